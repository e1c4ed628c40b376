//! `cargo run -- ask`: what a backend would ask, for people.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use rollcall::domain::App;
use rollcall_local::ask::{AskError, Client, Query, export::Subject, shown, time::Moment};
use serde_json::{Value, json};

use super::{
    Failure,
    target::{About, Target, no_answer, print},
};

/// A busy Rollcall is asked again twice.
const RETRIES: u32 = 2;

/// How many users one query may name.
const MOST_USERS: usize = 100;

#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    target: Target,
    /// Print the answer as JSON, all pages as one
    #[arg(long, global = true)]
    json: bool,
    /// The most rows [default: all]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Who is in a room
    WhoIsIn { room: String },
    /// Which rooms are live, and how many people are in them
    Rooms {
        /// With at least so many people; 0 also lists rooms that are empty by now [default: 1]
        #[arg(long, value_name = "N")]
        min_people: Option<u32>,
        /// Only rooms whose ids begin so
        #[arg(long, value_name = "TEXT")]
        prefix: Option<String>,
    },
    /// How many rooms and people an app had over time, and the most in each hour and day
    Stats {
        #[command(flatten)]
        span: Span,
    },
    /// Whether a user is online, in which rooms and on which devices
    User { user: String },
    /// Which of several users are online
    Online {
        #[arg(required = true)]
        users: Vec<String>,
    },
    /// Who was in a room, or in which rooms a user was, and for how long
    Attendance {
        of: Of,
        id: String,
        #[command(flatten)]
        span: Span,
    },
    /// When a user was registered
    Registration { user: String },
    /// Who was registered, in the order of time
    Registrations {
        #[command(flatten)]
        span: Span,
    },
    /// What each person did in a room: visits, minutes, share
    Report {
        room: String,
        /// The room's life [default: the newest]
        #[arg(long)]
        life: Option<String>,
        /// How many seconds after its end a report is final [default: 600]
        #[arg(long, value_name = "SECONDS")]
        settle: Option<u64>,
        #[command(flatten)]
        span: Span,
    },
    /// In which rooms a user was on which day, and for how long
    ReportUser {
        user: String,
        /// Where days begin at midnight, such as Asia/Shanghai [default: UTC]
        #[arg(long, value_name = "NAME")]
        timezone: Option<String>,
        #[command(flatten)]
        span: Span,
    },
    /// When two people were in a room at the same time; `role:anchor` is everybody of that role
    Together {
        room: String,
        a: String,
        b: String,
        /// The room's life [default: the newest]
        #[arg(long)]
        life: Option<String>,
        #[command(flatten)]
        span: Span,
    },
    /// Why the answers about a user say what they say
    Explain {
        user: String,
        /// One room only
        #[arg(long)]
        room: Option<String>,
    },
    /// How many users logged in to Tencent Chat, or to ZEGO's ZIM, in a month
    Usage {
        /// Such as 2026-11 [default: this month]
        #[arg(long, value_name = "YYYY-MM")]
        month: Option<String>,
    },
    /// Everything that is stored about a user
    Data { user: String },
    /// Who was erased and when, by hash
    Erasures,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Of {
    Room,
    User,
}

#[derive(Debug, Default, Args)]
pub(crate) struct Span {
    /// From this time on: 2026-11-26 (UTC), 2026-11-26T09:30:00Z or Unix ms
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<Moment>,
    /// Up to this time; a day with all of it
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<Moment>,
}

/// A query, the lists in its answer that have pages, and how people see it.
struct Asked {
    query: Query,
    list: &'static [&'static str],
    subject: Subject,
    shown: fn(&Value) -> String,
}

pub(crate) async fn run(args: AskArgs) -> Result<ExitCode, Failure> {
    let about = match args.what {
        What::Registration { .. } | What::Registrations { .. } => About::Registrations,
        What::Usage { .. } => About::Usage,
        _ => About::Presence,
    };
    let app = args.target.app(about)?;
    let client = args.target.client(RETRIES)?;
    let most = args.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let asked = args.what.asked(&app);
    let answer = match (&args.what, asked.list) {
        (What::Online { users }, _) => online(&client, &asked.query, users).await,
        (_, []) => client.json(&asked.query).await,
        (_, lists) => client.list(&asked.query, lists, most).await,
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return no_answer(error, &app, &asked.subject),
    };
    print(&if args.json { format!("{answer}\n") } else { (asked.shown)(&answer) })?;
    Ok(ExitCode::SUCCESS)
}

/// Asks about any number of users.
async fn online(client: &Client, at: &Query, users: &[String]) -> Result<Value, AskError> {
    let mut all = Vec::new();
    for users in users.chunks(MOST_USERS) {
        let query = Query::post(&at.path, &json!({ "users": users }));
        if let Value::Array(users) = client.json(&query).await?["users"].take() {
            all.extend(users);
        }
    }
    Ok(json!({ "users": all }))
}

impl What {
    #[expect(clippy::too_many_lines, reason = "one arm for each question")]
    fn asked(&self, app: &App) -> Asked {
        let of = |root, rest| Query::of(app, root, rest);
        let room = |room: &String| Subject::Room(room.clone());
        let user = |user: &String| Subject::User(user.clone());
        match self {
            Self::WhoIsIn { room: id } => Asked {
                query: of("presence", "/rooms").with("room", id),
                list: &["members"],
                subject: room(id),
                shown: shown::room,
            },
            Self::Rooms { min_people, prefix } => {
                let query = of("rooms", "").with_any("min_people", *min_people);
                Asked {
                    query: query.with_any("prefix", prefix.as_ref()),
                    list: &["rooms"],
                    subject: Subject::Everybody,
                    shown: shown::rooms,
                }
            }
            Self::Stats { span } => Asked {
                query: span.add(of("stats", "")),
                list: &["samples", "peaks", "daily_peaks"],
                subject: Subject::Everybody,
                shown: shown::stats,
            },
            Self::User { user: id } => Asked {
                query: of("presence", "/users").with("user", id),
                list: &["sessions"],
                subject: user(id),
                shown: shown::user,
            },
            Self::Online { .. } => Asked {
                query: of("presence", "/users"),
                list: &[],
                subject: Subject::Everybody,
                shown: shown::users,
            },
            Self::Attendance { of: Of::Room, id, span } => Asked {
                query: span.add(of("attendance", "/rooms").with("room", id)),
                list: &["sessions"],
                subject: room(id),
                shown: shown::attendance,
            },
            Self::Attendance { of: Of::User, id, span } => Asked {
                query: span.add(of("attendance", "/users").with("user", id)),
                list: &["sessions"],
                subject: user(id),
                shown: shown::attendance,
            },
            Self::Registration { user: id } => Asked {
                query: of("registrations", "/users").with("user", id),
                list: &[],
                subject: user(id),
                shown: shown::registration,
            },
            Self::Registrations { span } => Asked {
                query: span.add(of("registrations", "")),
                list: &["registrations"],
                subject: Subject::Everybody,
                shown: shown::registrations,
            },
            Self::Report { room: id, life, settle, span } => {
                let query = of("reports", "/rooms").with("room", id);
                let query = query.with_any("life", life.as_ref());
                Asked {
                    query: span.add(query.with_any("settle", *settle)),
                    list: &["rows"],
                    subject: room(id),
                    shown: shown::report,
                }
            }
            Self::ReportUser { user: id, timezone, span } => {
                let query = of("reports", "/users").with("user", id);
                Asked {
                    query: span.add(query.with_any("timezone", timezone.as_ref())),
                    list: &["rows"],
                    subject: user(id),
                    shown: shown::report_of_user,
                }
            }
            Self::Together { room: id, a, b, life, span } => {
                let query = of("reports", "/together").with("room", id);
                let query = query.with("a", a).with("b", b);
                Asked {
                    query: span.add(query.with_any("life", life.as_ref())),
                    list: &[],
                    subject: room(id),
                    shown: shown::together,
                }
            }
            Self::Explain { user: id, room } => Asked {
                query: of("explain", "/users").with("user", id).with_any("room", room.as_ref()),
                list: &["rooms", "devices"],
                subject: user(id),
                shown: shown::explain,
            },
            Self::Usage { month } => Asked {
                query: of("usage", "").with_any("month", month.as_ref()),
                list: &[],
                subject: Subject::Everybody,
                shown: shown::usage,
            },
            Self::Data { user: id } => Asked {
                query: of("users", "").with("user", id),
                list: &["items"],
                subject: user(id),
                shown: shown::data,
            },
            Self::Erasures => Asked {
                query: of("erasures", ""),
                list: &["erasures"],
                subject: Subject::Everybody,
                shown: shown::erasures,
            },
        }
    }
}

impl Span {
    /// The query about this span.
    fn add(&self, query: Query) -> Query {
        let query = query.with_any("from", self.from.map(|from| from.first().0));
        query.with_any("to", self.to.map(|to| to.last().0))
    }
}
