//! `CloudWatch` metrics: the log line of a callback is its metrics, too.
//!
//! In Lambda, a line of the log that has a member `_aws` in the embedded metric format becomes
//! metrics, without a call and without a second line
//! ([specification](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html)).
//! So the line that the pipeline writes about each callback gets that member and the values that it
//! names:
//!
//! | metric | unit | by |
//! | --- | --- | --- |
//! | `callbacks`: 1 | count | provider, event and outcome |
//! | `duration_ms` | milliseconds | provider; provider and event |
//! | `rejected`: 1 if the callback was refused, else 0 | count | provider |
//! | `spilled`: 1 if it went to the spill queue, else 0 | count | provider |
//! | `breaker_open`: 1 if callbacks pass by a store that does not answer, else 0 | count | provider |
//! | `rejections`: 1, only in lines about refused callbacks | count | provider and rejection |
//!
//! So does the line about each batch of messages that was replayed from the spill queue:
//!
//! | metric | unit | by |
//! | --- | --- | --- |
//! | `kept`: messages that stay in the queue | count | function |
//! | `oldest_kept_s`: the age of the oldest of them | seconds | function |
//! | `dead_letters`: messages that went to the dead letters, in whole or in part | count | function |
//!
//! So do the lines about erasures: one about each pass over a person's items, and one about each batch
//! of later passes.
//!
//! | metric | unit | by |
//! | --- | --- | --- |
//! | `erasures`: 1 when a request has erased a person, else 0 | count | function |
//! | `erased_items`: items that the pass deleted or shortened | count | function |
//! | `kept`: later passes that are not done | count | function |
//! | `oldest_kept_s`: the age of the oldest of them | seconds | function |
//!
//! So does the line about each batch of the table's stream:
//!
//! | metric | unit | by |
//! | --- | --- | --- |
//! | `events`: events of the batch | count | function |
//! | `unsent`: those that the bus did not take in time; their records are delivered again | count | function |
//!
//! So does the line about each batch of checks of rooms: `kept` and `oldest_kept_s`, as above.
//!
//! So does the line about each run of the sweep:
//!
//! | metric | unit | by |
//! | --- | --- | --- |
//! | `swept_rooms`: rooms that the run looked at | count | function |
//! | `removed_rooms`: rooms that it took off the list of live rooms | count | function |
//! | `read_units`: what its reads consumed | count | function |
//! | `pass_age_s`: the age of the oldest number in the newest samples | seconds | function |
//!
//! So does the line about each run of passes that ask providers who is there:
//!
//! | metric | unit | by |
//! | --- | --- | --- |
//! | `passes`: passes over an app that are complete | count | function |
//! | `oldest_pass_s`: the age of the oldest pass over a live room or an app's people | seconds | function |
//! | `seen_in`: observations that somebody is in or online | count | function |
//! | `seen_out`: observations that somebody is out or offline | count | function |
//! | `braked`: rooms and parts of a list of people that the brake held up | count | function |
//! | `disagreements`: people who still differ after two passes | count | function |
//! | `unanswered`: rooms and parts of a list of people without an answer that can be used | count | function |
//!
//! Each value of a dimension is a name in the sources. So there are few values, whatever is sent.

use std::fmt::{self, Write};

use serde::Serialize;
use serde_json::json;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Json, Writer},
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

use crate::domain::UnixMillis;

/// The target of the line about a callback. It is not the path of a module, which is the target of
/// all other lines. The line's fields are `provider`, `event`, `outcome`, `duration_ms`, and
/// `rejection` and `source_ip` if the callback was refused.
pub const CALLBACK: &str = "rollcall.callback";

/// The target of the line about a batch of the spill queue. The line's fields are `messages`,
/// `kept`, `oldest_kept_s` and `dead_letters`.
pub const REPLAY: &str = "rollcall.replay";

/// The target of the line about a pass over a person's items. The line's fields are `provider`,
/// `app`, `hash`, `erasures`, `erased_items`, `pass` and `complete`.
pub const ERASURE: &str = "rollcall.erasure";

/// The target of the line about a batch of later passes. The line's fields are `messages`, `kept`
/// and `oldest_kept_s`.
pub const REPEATS: &str = "rollcall.repeats";

/// The target of the line about a batch of the table's stream. The line's fields are `records`,
/// `events`, `unsent` and `kept`.
pub const RELAY: &str = "rollcall.relay";

/// The target of the line about a batch of checks of rooms. The line's fields are `messages`, `kept`
/// and `oldest_kept_s`.
pub const SETTLE: &str = "rollcall.settle";

/// The target of the line about a run of the sweep. The line's fields are `swept_rooms`,
/// `removed_rooms`, `passes`, `read_units` and `pass_age_s`.
pub const SWEEP: &str = "rollcall.sweep";

/// The target of the line about a run of passes that ask providers. The line's fields are `passes`,
/// `rooms`, `people`, `seen_in`, `seen_out`, `braked`, `disagreements`, `unanswered` and
/// `oldest_pass_s`.
pub const RECONCILE: &str = "rollcall.reconcile";

/// The outcome of a callback that was refused.
pub const REJECTED: &str = "rejected";

/// The outcome of a callback that was not stored and is safe in the spill queue.
const SPILLED: &str = "spilled";

/// Writes log lines as JSON, and metrics into those about callbacks, replays, erasures, the stream,
/// sweeps and passes.
#[derive(Debug)]
pub struct EmbeddedMetrics {
    /// The directives for callbacks that were accepted, as JSON.
    accepted: String,
    /// Those for refused ones.
    refused: String,
    /// Those for a batch of the spill queue.
    replayed: String,
    /// Those for a pass over a person's items.
    erased: String,
    /// Those for a batch of later passes, or of checks of rooms.
    repeated: String,
    /// Those for a batch of the table's stream.
    relayed: String,
    /// Those for a run of the sweep.
    swept: String,
    /// Those for a run of passes.
    reconciled: String,
    lines: Format<Json>,
    now: fn() -> UnixMillis,
}

impl EmbeddedMetrics {
    /// Writes lines like `lines`, with metrics of the namespace.
    #[must_use]
    pub fn new(namespace: &str, lines: Format<Json>, now: fn() -> UnixMillis) -> Self {
        let [accepted, refused] =
            [false, true].map(|is_rejected| json!(directives(namespace, is_rejected)).to_string());
        let of_function = |metrics| {
            let dimensions = &[&["function"] as &[_]];
            json!([Directive { namespace, dimensions, metrics }]).to_string()
        };
        let oldest_kept = const { Metric { name: "oldest_kept_s", unit: "Seconds" } };
        Self {
            accepted,
            refused,
            replayed: of_function(&[
                Metric::count("kept"),
                oldest_kept,
                Metric::count("dead_letters"),
            ]),
            erased: of_function(&[Metric::count("erasures"), Metric::count("erased_items")]),
            repeated: of_function(&[Metric::count("kept"), oldest_kept]),
            relayed: of_function(&[Metric::count("events"), Metric::count("unsent")]),
            swept: of_function(&[
                Metric::count("swept_rooms"),
                Metric::count("removed_rooms"),
                Metric::count("read_units"),
                const { Metric { name: "pass_age_s", unit: "Seconds" } },
            ]),
            reconciled: of_function(&[
                Metric::count("passes"),
                const { Metric { name: "oldest_pass_s", unit: "Seconds" } },
                Metric::count("seen_in"),
                Metric::count("seen_out"),
                Metric::count("braked"),
                Metric::count("disagreements"),
                Metric::count("unanswered"),
            ]),
            lines,
            now,
        }
    }
}

impl<S, N> FormatEvent<S, N> for EmbeddedMetrics
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let target = event.metadata().target();
        if ![CALLBACK, REPLAY, ERASURE, REPEATS, RELAY, SETTLE, SWEEP, RECONCILE].contains(&target)
        {
            return self.lines.format_event(context, writer, event);
        }
        let mut fields = LineFields::default();
        event.record(&mut fields);
        let now = (self.now)().0;
        let directives = match target {
            REPLAY => &self.replayed,
            ERASURE => &self.erased,
            REPEATS | SETTLE => &self.repeated,
            RELAY => &self.relayed,
            SWEEP => &self.swept,
            RECONCILE => &self.reconciled,
            _ if fields.is_rejected => &self.refused,
            _ => &self.accepted,
        };
        write!(writer, r#"{{"_aws":{{"Timestamp":{now},"CloudWatchMetrics":{directives}}},"#)?;
        match target {
            REPLAY => write!(writer, r#""function":"spill-replay","#)?,
            ERASURE | REPEATS => write!(writer, r#""function":"erase","#)?,
            RELAY => write!(writer, r#""function":"relay","#)?,
            SETTLE => write!(writer, r#""function":"settle","#)?,
            SWEEP => write!(writer, r#""function":"sweep","#)?,
            RECONCILE => write!(writer, r#""function":"reconcile","#)?,
            _ => {
                let rejected = u8::from(fields.is_rejected);
                let spilled = u8::from(fields.is_spilled);
                let rejections = if fields.is_rejected { r#""rejections":1,"# } else { "" };
                write!(
                    writer,
                    r#""callbacks":1,"rejected":{rejected},"spilled":{spilled},{rejections}"#
                )?;
                if !fields.has_breaker {
                    write!(writer, r#""breaker_open":0,"#)?;
                }
            }
        }
        write!(writer, r#""timestamp":""#)?;
        SystemTime.format_time(&mut writer)?;
        let level = event.metadata().level();
        writeln!(writer, r#"","level":"{level}"{members}}}"#, members = fields.members)
    }
}

/// The fields of a line. (`Format` would collect them in maps first, which takes longer than
/// anything else here.)
#[derive(Debug, Default)]
struct LineFields {
    /// `,"name":value` of each field.
    members: String,
    is_rejected: bool,
    is_spilled: bool,
    has_breaker: bool,
}

impl LineFields {
    fn member(&mut self, field: &Field, value: impl fmt::Display) {
        // Nothing that is written to a string fails.
        let _ = write!(self.members, r#","{field}":{value}"#);
    }
}

impl Visit for LineFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "outcome" {
            self.is_rejected = value == REJECTED;
            self.is_spilled = value == SPILLED;
        }
        self.member(field, serde_json::to_string(value).unwrap_or_default());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.member(field, json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.has_breaker |= field.name() == "breaker_open";
        self.member(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// Which members of the line are metrics, and which other members are their dimensions.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive<'a> {
    namespace: &'a str,
    dimensions: &'static [&'static [&'static str]],
    metrics: &'a [Metric],
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    name: &'static str,
    unit: &'static str,
}

impl Metric {
    const fn count(name: &'static str) -> Self {
        Self { name, unit: "Count" }
    }
}

fn directives(namespace: &str, is_rejected: bool) -> Vec<Directive<'_>> {
    let directive = |dimensions, metrics| Directive { namespace, dimensions, metrics };
    let mut directives = vec![
        directive(&[&["provider", "event", "outcome"]], const { &[Metric::count("callbacks")] }),
        directive(
            &[&["provider"], &["provider", "event"]],
            const { &[Metric { name: "duration_ms", unit: "Milliseconds" }] },
        ),
        directive(
            &[&["provider"]],
            const {
                &[
                    Metric::count("rejected"),
                    Metric::count("spilled"),
                    Metric::count("breaker_open"),
                ]
            },
        ),
    ];
    if is_rejected {
        let metrics = const { &[Metric::count("rejections")] };
        directives.push(directive(&[&["provider", "rejection"]], metrics));
    }
    directives
}
