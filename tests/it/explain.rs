//! Why the answers about a person are as they are: one history for each rule of `docs/design.md`, and
//! the whole answer in `explain/`. `ROLLCALL_WRITE=1` writes these files anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use rollcall::{
    domain::{
        App, DeviceName, DeviceSays, DeviceSeen, EndRule, LastsRule, MarkRule, Moved, ProviderName,
        RegisterRule, Role, Says, SeatObservation, Seen, SeenRule, Settings, Track, TrackRule,
        Tracks, UnixMillis,
    },
    record::Records,
    store::{Observer, Reader},
};
use rollcall_players::{
    Event,
    openim::{
        self,
        EventName::{UserOffline, UserOnline},
    },
    tencent::{
        self,
        EventName::{
            ChatDisconnect, ChatLogin, ChatLogout, LiveOffline, LiveOnline,
            RoomCreate as EngineCreate, RoomDestroy, RoomEnter, RoomLeave, TrtcCreate, TrtcDismiss,
            TrtcEnter, TrtcExit, TrtcRole,
        },
    },
    zego::{
        self,
        EventName::{RoomClose, RoomCreate, RoomLogin, RoomLogout},
    },
    zim::{
        self, Action,
        EventName::{UserAction, ZimRoomCreate},
    },
};
use serde_json::{Value, json};

use crate::support::{
    Database, Handlers, TABLE_NAME, client_of, openim_event, player_secrets, tencent_event,
    zego_event, zim_event,
};

const START: u64 = 1_790_000_000_000;
const ZEGO: &str = "/explain/zego/1/users/ada";
const TENCENT: &str = "/explain/tencent/1400000000/users/ada";
const OPENIM: &str = "/explain/openim/main/users/ada";

fn at(ms: u64) -> UnixMillis {
    UnixMillis(START + ms)
}

/// A login of Ada: the session, its number among the changes of life 7, and when.
fn login(session: u64, sequence: u64, ms: u64) -> zego::Event {
    zego::Event { session: session.to_string(), sequence, ..zego_event(RoomLogin, at(ms)) }
}

fn logout(login: &zego::Event, sequence: u64, ms: u64) -> zego::Event {
    zego::Event { name: RoomLogout, sequence, at: at(ms), ..login.clone() }
}

fn life(name: zego::EventName, life: u64, ms: u64) -> zego::Event {
    zego::Event { life, user: "bob".to_owned(), ..zego_event(name, at(ms)) }
}

fn zegos(events: impl IntoIterator<Item = zego::Event>) -> Vec<Event> {
    events.into_iter().map(Event::Zego).collect()
}

fn tencents(
    events: impl IntoIterator<Item = (tencent::EventName, u64)>,
    change: impl Fn(usize, &mut tencent::Options),
) -> Vec<Event> {
    let event = |(index, (name, ms))| {
        let mut event = tencent_event(name, at(ms));
        change(index, &mut event.options);
        Event::Tencent(event)
    };
    events.into_iter().enumerate().map(event).collect()
}

fn plain(_: usize, _: &mut tencent::Options) {}

fn openims(
    events: impl IntoIterator<Item = (openim::EventName, u64)>,
    change: impl Fn(&mut openim::Options),
) -> Vec<Event> {
    let event = |(name, ms)| {
        let mut event = openim_event(name, at(ms));
        change(&mut event.options);
        Event::OpenIm(event)
    };
    events.into_iter().map(event).collect()
}

/// A history that one rule is about, and what is asked afterwards.
struct Case {
    /// What the file is called.
    name: &'static str,
    path: &'static str,
    events: Vec<Event>,
    /// When it is asked, in ms since the start.
    asked_at: u64,
    /// A register of the iPhone that could not be stored.
    lost: Option<&'static str>,
    /// What the provider said when it was asked.
    seen: Option<Answered>,
    /// Which of Tencent's products decide who is in a room.
    rooms: Tracks,
}

/// What the provider said, when in ms since the start.
#[derive(Clone, Copy)]
enum Answered {
    /// Ada is in the room, and logged in at that time.
    In(u64, Option<u64>),
    /// She is not.
    Out(u64),
    /// Her iPhone is online or not.
    Device(u64, DeviceSays),
}

fn case(name: &'static str, path: &'static str, events: Vec<Event>) -> Case {
    Case { name, path, events, asked_at: 100_000, lost: None, seen: None, rooms: Tracks::Both }
}

fn zego_cases() -> Vec<Case> {
    let (first, second) = (login(101, 1, 1000), login(102, 3, 20_000));
    let again = zego::Event { relogin: true, sequence: 3, ..first.clone() };
    let next_life = zego::Event { life: 8, ..login(102, 1, 20_000) };
    let admin = zego::Event { role: 4, ..first.clone() };
    let timeout = zego::Event { reason: 1, ..logout(&first, 2, 9000) };
    let kicked = zego::Event { reason: 3, ..logout(&first, 4, 22_000) };
    let contradiction =
        [zego::Event { sequence: 5, ..first.clone() }, logout(&login(101, 3, 2000), 3, 9000)];
    let case = |name, events: Vec<zego::Event>| case(name, ZEGO, zegos(events));
    vec![
        case("zego_a_login_begins_a_visit", vec![first.clone()]),
        case("zego_a_logout_ends_it", vec![first.clone(), timeout]),
        case("zego_a_recorder_is_not_counted", vec![admin]),
        case(
            "zego_within_a_session_the_higher_sequence_decides",
            vec![first.clone(), zego::Event { role: 1, sequence: 2, ..first.clone() }],
        ),
        case(
            "zego_a_relogin_that_keeps_its_session_begins_when_the_visit_before_ended",
            vec![first.clone(), logout(&first, 2, 9000), again.clone()],
        ),
        case("zego_a_logout_without_its_login_names_the_beginning", vec![logout(&first, 2, 9000)]),
        case(
            "zego_a_logout_without_its_relogin_begins_when_the_visit_before_ended",
            vec![first.clone(), logout(&first, 2, 9000), logout(&first, 4, 12_000)],
        ),
        case(
            "zego_the_next_session_supersedes_the_one_before",
            vec![first.clone(), second.clone()],
        ),
        case(
            "zego_a_logout_after_the_next_session_began_is_moved_to_its_beginning",
            vec![first.clone(), second.clone(), kicked],
        ),
        case("zego_the_newest_mark_decides_against_a_higher_sequence", contradiction.into()),
        case("zego_nobody_leaves_before_they_came", vec![first.clone(), logout(&first, 2, 990)]),
        case(
            "zego_the_close_of_a_life_ends_it",
            vec![life(RoomCreate, 7, 500), first.clone(), life(RoomClose, 7, 9000)],
        ),
        case(
            "zego_a_close_before_the_login_ends_it_at_once",
            vec![first.clone(), life(RoomClose, 7, 900)],
        ),
        case(
            "zego_the_next_life_ends_it",
            vec![life(RoomCreate, 7, 500), first.clone(), life(RoomCreate, 8, 9000)],
        ),
        case(
            "zego_nobody_is_in_two_lives_at_once",
            vec![
                life(RoomCreate, 7, 500),
                first.clone(),
                life(RoomCreate, 8, 19_000),
                next_life,
                logout(&first, 2, 22_000),
            ],
        ),
    ]
}

/// ZIM's sessions and rooms.
fn zim_cases() -> Vec<Case> {
    let case = |name, events: Vec<zim::Event>| {
        case(name, ZEGO, events.into_iter().map(Event::Zim).collect())
    };
    let action =
        |action, ms| zim::Event { action, login_time: at(1000), ..zim_event(UserAction, at(ms)) };
    let login = |ms| zim::Event { login_time: at(ms), ..action(Action::Login, ms) };
    let (lost, logout) = (|ms| action(Action::Offline, ms), |ms| action(Action::Logout, ms));
    let by_bob = |name, ms| zim::Event { user: "bob".to_owned(), ..zim_event(name, at(ms)) };
    let (enter, exit) = (
        |ms| zim_event(zim::EventName::RoomEnter, at(ms)),
        |ms| zim_event(zim::EventName::RoomExit, at(ms)),
    );
    let kick = zim::Event { is_kicked: true, ..exit(9000) };
    let destroy =
        zim::Event { others: vec!["ada".to_owned()], ..by_bob(zim::EventName::RoomDestroy, 9000) };
    vec![
        case("zim_a_login_is_online", vec![login(1000)]),
        case("zim_a_lost_connection", vec![login(1000), lost(9000)]),
        case("zim_a_login_a_second_after_the_loss", vec![login(1000), lost(9000), login(10_000)]),
        case("zim_a_login_in_the_second_of_the_loss", vec![login(1000), lost(9000), login(9000)]),
        case("zim_a_logout_is_final", vec![login(1000), logout(9000), lost(12_000), login(20_000)]),
        case("zim_a_logout_in_the_second_of_the_loss", vec![login(1000), lost(9000), logout(9000)]),
        case("zim_a_logout_without_its_login_names_the_beginning", vec![logout(9000)]),
        case("zim_an_entry_begins_a_visit", vec![enter(1000)]),
        case("zim_an_exit_ends_it", vec![enter(1000), exit(9000)]),
        case("zim_a_kick_ends_it", vec![enter(1000), kick]),
        case("zim_an_entry_after_an_entry", vec![enter(1000), enter(9000)]),
        case("zim_an_entry_and_an_exit_of_one_second", vec![enter(1000), exit(9000), enter(9000)]),
        case("zim_an_exit_of_somebody_who_was_not_in", vec![exit(9000)]),
        case("zim_a_destruction_ends_it", vec![enter(1000), destroy]),
        case(
            "zim_a_destruction_that_does_not_name_them_ends_it",
            vec![enter(1000), by_bob(zim::EventName::RoomDestroy, 9000)],
        ),
        case("zim_a_creation_ends_it", vec![enter(1000), by_bob(ZimRoomCreate, 9000)]),
    ]
}

fn trtc_cases() -> Vec<Case> {
    let with = |name, events: Vec<_>, change: fn(usize, &mut tencent::Options)| {
        case(name, TENCENT, tencents(events, change))
    };
    vec![
        with("trtc_an_entry_begins_a_visit", vec![(TrtcEnter, 1000)], plain),
        with("trtc_an_exit_ends_it", vec![(TrtcEnter, 1000), (TrtcExit, 9000)], plain),
        with("trtc_an_entry_after_an_entry", vec![(TrtcEnter, 1000), (TrtcEnter, 20_000)], plain),
        with(
            "trtc_an_entry_over_another_network_and_the_exit_of_the_replaced_connection",
            vec![(TrtcEnter, 1000), (TrtcEnter, 20_000), (TrtcExit, 21_000)],
            |index, options| {
                options.enter_reason = if index == 1 { 2 } else { 1 };
                options.exit_reason = 3;
            },
        ),
        with(
            "trtc_a_kick_soon_after_a_second_entry_belongs_to_the_replaced_connection",
            vec![(TrtcEnter, 1000), (TrtcEnter, 20_000), (TrtcExit, 21_000)],
            |_, options| options.exit_reason = 3,
        ),
        with(
            "trtc_a_change_of_role",
            vec![(TrtcEnter, 1000), (TrtcRole, 5000)],
            |index, options| options.role = if index == 1 { 20 } else { 21 },
        ),
        with("trtc_a_change_of_role_of_somebody_who_was_not_in", vec![(TrtcRole, 5000)], plain),
        with("trtc_an_exit_of_somebody_who_was_not_in", vec![(TrtcExit, 9000)], plain),
        with("trtc_a_dismissal_ends_it", vec![(TrtcEnter, 1000), (TrtcDismiss, 9000)], plain),
        with(
            "trtc_a_creation_ends_it",
            vec![(TrtcEnter, 1000), (TrtcCreate, 9000)],
            |index, options| {
                if index == 1 {
                    "bob".clone_into(&mut options.user);
                }
            },
        ),
        with(
            "trtc_a_creation_does_not_end_its_own_creators_visit",
            vec![(TrtcEnter, 1000), (TrtcCreate, 9000)],
            plain,
        ),
    ]
}

fn room_engine_cases() -> Vec<Case> {
    let with = |name, events: Vec<_>, change: fn(usize, &mut tencent::Options)| {
        case(name, TENCENT, tencents(events, change))
    };
    let kicked: fn(usize, &mut tencent::Options) =
        |_, options| "Kicked".clone_into(&mut options.leave_type);
    let both = vec![(TrtcEnter, 1000), (RoomEnter, 1200), (TrtcExit, 8000), (RoomLeave, 9000)];
    vec![
        with("room_engine_a_leave_ends_it", vec![(RoomEnter, 1000), (RoomLeave, 9000)], kicked),
        with("room_engine_a_leave_of_somebody_who_was_not_in", vec![(RoomLeave, 9000)], plain),
        with(
            "room_engine_an_entry_after_an_entry",
            vec![(RoomEnter, 1000), (RoomEnter, 20_000)],
            plain,
        ),
        with(
            "room_engine_a_destruction_ends_it",
            vec![(RoomEnter, 1000), (RoomDestroy, 9000)],
            plain,
        ),
        with(
            "room_engine_a_creation_does_not_end_its_own_creators_visit",
            vec![(RoomEnter, 1000), (EngineCreate, 9000)],
            plain,
        ),
        with(
            "live_a_heartbeat_is_interrupted_and_comes_back",
            vec![(LiveOnline, 1000), (LiveOffline, 9000), (LiveOnline, 12_000)],
            |index, options| {
                let causes = ["Enter", "HeartbeatInterrupt", "HeartbeatRecover"];
                options.cause = Some(causes[index].to_owned());
            },
        ),
        with("two_tracks_of_one_stay", both.clone(), plain),
        Case {
            rooms: Tracks::Only(Track::Media),
            ..with("two_tracks_of_which_trtc_decides", both, plain)
        },
    ]
}

fn chat_cases() -> Vec<Case> {
    let with = |name, events: Vec<_>, change: fn(usize, &mut tencent::Options)| {
        case(name, TENCENT, tencents(events, change))
    };
    vec![
        with("chat_a_login_is_online", vec![(ChatLogin, 1000)], plain),
        with("chat_a_disconnect", vec![(ChatLogin, 1000), (ChatDisconnect, 9000)], plain),
        with("chat_a_disconnect_without_a_login", vec![(ChatDisconnect, 9000)], plain),
        with("chat_a_logout", vec![(ChatLogin, 1000), (ChatLogout, 9000)], plain),
        with("chat_an_older_event", vec![(ChatLogin, 9000), (ChatLogout, 1000)], plain),
        with(
            "chat_a_login_on_another_platform",
            vec![(ChatLogin, 1000), (ChatLogin, 9000)],
            |index, options| {
                if index == 1 {
                    "Web".clone_into(&mut options.platform);
                    options.kick = vec!["iOS".to_owned()];
                }
            },
        ),
        Case {
            lost: Some("online_stamp"),
            ..with(
                "chat_a_login_on_its_own_platform_that_could_not_be_stored_itself",
                vec![(ChatLogin, 9000)],
                |_, options| options.kick = vec!["iOS".to_owned()],
            )
        },
        with(
            "chat_an_old_clients_logout_after_a_login_on_its_platform",
            vec![(ChatLogin, 1000), (ChatLogin, 9000), (ChatLogout, 10_000)],
            |index, options| {
                if index == 1 {
                    options.kick = vec!["iOS".to_owned()];
                }
            },
        ),
    ]
}

fn openim_cases() -> Vec<Case> {
    fn leased(_: &mut openim::Options) {}
    let with = |name, events: Vec<_>, change: fn(&mut openim::Options)| {
        case(name, OPENIM, openims(events, change))
    };
    vec![
        with("openim_a_lease", vec![(UserOnline, 1000)], leased),
        Case {
            asked_at: 45 * 60_000 + 1000,
            ..with("openim_a_lease_that_ended", vec![(UserOnline, 1000)], leased)
        },
        with("openim_a_named_connection", vec![(UserOnline, 1000)], |options| {
            "c1".clone_into(&mut options.conn_id);
        }),
        with("openim_a_server_that_reports_once", vec![(UserOnline, 1000)], |options| {
            options.server = openim::Server::V2;
        }),
        with("openim_offline", vec![(UserOnline, 1000), (UserOffline, 9000)], leased),
        with("openim_online_wins_a_tie", vec![(UserOnline, 1000), (UserOffline, 1000)], leased),
    ]
}

fn seen_cases() -> Vec<Case> {
    let zego = |name, events: Vec<zego::Event>, seen| Case {
        seen: Some(seen),
        ..case(name, ZEGO, zegos(events))
    };
    let openim = |name, events: Vec<_>, says| Case {
        seen: Some(Answered::Device(40_000, says)),
        ..case(name, OPENIM, openims(events, |_| {}))
    };
    let first = || login(101, 1, 1000);
    let left = |ms| vec![first(), logout(&first(), 2, ms)];
    let opened = life(RoomCreate, 7, 0);
    vec![
        zego("zego_seen_in_agrees", vec![first()], Answered::In(30_000, Some(1000))),
        zego("zego_seen_in_shows_a_stay", vec![opened.clone()], Answered::In(30_000, Some(20_000))),
        zego("zego_seen_in_soon_after_a_logout", left(25_000), Answered::In(30_000, Some(1000))),
        zego(
            "zego_seen_in_soon_after_a_close",
            vec![opened, life(RoomClose, 7, 29_000)],
            Answered::In(30_000, None),
        ),
        zego("zego_seen_out_ends_a_stay", vec![first()], Answered::Out(30_000)),
        zego("zego_seen_out_after_a_logout", left(9000), Answered::Out(30_000)),
        openim(
            "openim_seen_online",
            vec![(UserOnline, 1000), (UserOffline, 9000)],
            DeviceSays::Online,
        ),
        Case {
            asked_at: 46 * 60_000,
            ..openim(
                "openim_seen_online_and_not_since",
                vec![(UserOnline, 1000), (UserOffline, 9000)],
                DeviceSays::Online,
            )
        },
        openim("openim_seen_offline", vec![(UserOnline, 1000)], DeviceSays::Offline),
    ]
}

/// Stores what the provider said.
async fn observe(database: &Database, seen: Answered) {
    let observer = Observer::new(
        database.client.clone(),
        crate::support::TABLE_NAME,
        crate::support::RETENTION,
    );
    let (user, room) = ("ada".parse().unwrap(), "lobby".parse().unwrap());
    let app = |provider, id: &str| App { provider, id: id.parse().unwrap() };
    let (ms, says, life) = match seen {
        Answered::In(ms, login) => (ms, Says::In { login: login.map(at), role: Role(2) }, None),
        Answered::Out(ms) => (ms, Says::Out, Some("7".parse().unwrap())),
        Answered::Device(ms, online) => {
            let device = DeviceName { platform: "IOS".parse().unwrap(), connection: None };
            let seen = DeviceSeen { device, at: at(ms), online };
            let app = app(ProviderName::OpenIm, "main");
            observer.add_device(&app, &user, &seen).await.unwrap();
            return;
        }
    };
    let (app, seen) = (app(ProviderName::Zego, "1"), Seen { at: at(ms), says });
    let observation = SeatObservation { app, user, room, life, seen, ends: None };
    observer.add(&observation).await.unwrap();
}

fn cases() -> Vec<Case> {
    let zegos = [zego_cases(), zim_cases()].into_iter().flatten();
    let tencents = [trtc_cases(), room_engine_cases(), chat_cases()].into_iter().flatten();
    let all = [zegos.collect(), tencents.collect(), openim_cases(), seen_cases()];
    all.into_iter().flatten().collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("it/explain")
}

async fn deliver(handlers: &Handlers, events: &[Event]) {
    let secrets = player_secrets();
    for event in events {
        // ZEGO and OpenIM refuse nothing that is older, and all of them what is ahead.
        let now = UnixMillis(event.times().into_iter().max().unwrap());
        let reply = handlers.deliver(&event.callback(&secrets, now).unwrap(), now).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
}

/// The answer after a history.
async fn explained(case: &Case) -> Value {
    let database = Database::start().await;
    let mut handlers = Handlers::on(&database.url);
    let app = App { provider: ProviderName::Tencent, id: "1400000000".parse().unwrap() };
    let reader = Reader::new(client_of(&database.url), TABLE_NAME)
        .with_settings(Settings::new().with_rooms(app, case.rooms));
    handlers.queries.records = Records::new(reader, Duration::ZERO);
    deliver(&handlers, &case.events).await;
    if let Some(seen) = case.seen {
        observe(&database, seen).await;
    }
    if let Some(lost) = case.lost {
        let item = database.client.update_item().table_name(TABLE_NAME);
        let key = |text: &str| AttributeValue::S(text.to_owned());
        let item = item.key("pk", key("tencent#1400000000#user#ada")).key("sk", key("device#iOS#"));
        item.update_expression(format!("REMOVE {lost}")).send().await.unwrap();
    }
    let (status, answer) = handlers.get(case.path, "", at(case.asked_at)).await;
    assert_eq!(status, 200, "{}: {answer}", case.name);
    answer
}

/// The names of the rules of all marks, registers and stays.
fn rules(answer: &Value) -> BTreeSet<String> {
    let places = ["rooms", "devices"].into_iter().flat_map(|list| answer[list].as_array().unwrap());
    let rows = places
        .flat_map(|place| ["marks", "observations", "registers", "stays"].map(|list| &place[list]));
    rows.filter_map(Value::as_array)
        .flatten()
        .flat_map(|row| row["rules"].as_array().unwrap())
        .map(|rule| rule.as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn every_rule_explains_itself_as_it_did_before() {
    let is_writing = std::env::var_os("ROLLCALL_WRITE").is_some_and(|value| value == "1");
    let (mut names, mut wrong) = (BTreeSet::new(), BTreeMap::new());
    for case in cases() {
        let file = folder().join(format!("{}.json", case.name));
        assert!(names.insert(format!("{}.json", case.name)), "{} is there twice", case.name);
        let answer = serde_json::to_string_pretty(&explained(&case).await).unwrap() + "\n";
        let expected = fs::read_to_string(&file).unwrap_or_default();
        if answer != expected {
            if is_writing {
                fs::write(&file, &answer).unwrap();
            } else {
                wrong.insert(case.name, answer);
            }
        }
    }
    assert!(wrong.is_empty(), "ROLLCALL_WRITE=1 accepts these answers: {wrong:#?}");
    let files = fs::read_dir(folder()).unwrap();
    let files: BTreeSet<String> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, names, "each file has its history");
}

/// All rules that can be named in an answer.
fn all_rules() -> BTreeSet<&'static str> {
    let marks = MarkRule::ALL.iter().map(|rule| rule.name());
    let lasts = LastsRule::ALL.iter().map(|rule| rule.name());
    let ends = EndRule::ALL.iter().map(|rule| rule.name());
    let moved = Moved::ALL.iter().map(|rule| rule.name());
    let tracks = TrackRule::ALL.iter().map(|rule| rule.name());
    let registers = RegisterRule::ALL.iter().map(|rule| rule.name());
    let seen = SeenRule::ALL.iter().map(|rule| rule.name());
    marks.chain(lasts).chain(ends).chain(moved).chain(tracks).chain(seen).chain(registers).collect()
}

#[test]
fn every_rule_is_in_a_golden_answer_and_in_the_documents() {
    let mut shown = BTreeSet::new();
    for file in fs::read_dir(folder()).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        shown.extend(rules(&serde_json::from_str(&text).unwrap()));
    }
    let shown: BTreeSet<&str> = shown.iter().map(String::as_str).collect();
    assert_eq!(shown, all_rules());

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let design = fs::read_to_string(root.join("docs/design.md")).unwrap();
    let section = design.split("\n## Why an answer is as it is\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let documented: Vec<&str> = rows.collect();
    assert_eq!(documented.len(), all_rules().len(), "each once");
    assert_eq!(documented.into_iter().collect::<BTreeSet<_>>(), all_rules());
}

/// A person with several rooms and devices, and with so many marks in one that some were moved.
async fn a_busy_person(handlers: &Handlers) {
    let mut events = Vec::new();
    for visit in 0..40_u64 {
        let entered = login(1000 + visit, 2 * visit + 1, visit * 1000);
        events.push(entered.clone());
        if visit % 3 > 0 {
            events.push(logout(&entered, 2 * visit + 2, visit * 1000 + 500));
        }
    }
    for room in ["a#b", "ä", "z"] {
        for life in [7, 8] {
            let entered = login(life, 1, life * 1000);
            events.push(zego::Event { life, room: room.to_owned(), ..entered });
        }
    }
    deliver(handlers, &zegos(events)).await;
}

/// All pages of an explanation: the marks and the stays by room and life, and the devices.
async fn pages(handlers: &Handlers, path: &str, limit: usize) -> (Vec<Value>, Vec<Value>, usize) {
    let (mut rows, mut devices, mut pages, mut next) = (Vec::new(), Vec::new(), 0, String::new());
    loop {
        let query = format!("limit={limit}{next}");
        let (status, answer) = handlers.get(path, &query, at(100_000)).await;
        assert_eq!(status, 200, "{answer}");
        let mut count = answer["devices"].as_array().unwrap().len();
        for room in answer["rooms"].as_array().unwrap() {
            for list in ["marks", "stays"] {
                for row in room[list].as_array().unwrap() {
                    rows.push(json!([room["room"], room["life"], list, row]));
                }
            }
            count += room["marks"].as_array().unwrap().len();
        }
        devices.extend(answer["devices"].as_array().unwrap().iter().cloned());
        assert!(count <= limit, "{count} rows");
        pages += 1;
        match answer["next"].as_str() {
            Some(cursor) => next = format!("&next={cursor}"),
            None => return (rows, devices, pages),
        }
        assert_eq!(count, limit, "a page that is not the last one is full");
    }
}

fn sorted(mut rows: Vec<Value>) -> Vec<String> {
    rows.sort_by_key(ToString::to_string);
    rows.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn pages_of_any_size_have_every_mark_and_every_stay_once() {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    a_busy_person(&handlers).await;
    let (whole, _, count) = pages(&handlers, ZEGO, 1000).await;
    assert_eq!(count, 1);
    assert_eq!(whole.iter().filter(|row| row[2] == "marks").count(), 40 + 26 + 6);
    assert_eq!(whole.iter().filter(|row| row[2] == "stays").count(), 46);
    let whole = sorted(whole);
    for limit in [1, 2, 7, 66, 71, 72, 73] {
        let (rows, _, count) = pages(&handlers, ZEGO, limit).await;
        assert_eq!(sorted(rows), whole, "limit {limit}");
        assert_eq!(count, 72_usize.div_ceil(limit), "limit {limit}");
    }

    // More than one device, after the rooms.
    let mut events = tencents([(TrtcEnter, 1000), (TrtcExit, 2000)], plain);
    for platform in ["iOS", "Web", "Android"] {
        let login = |_, options: &mut tencent::Options| platform.clone_into(&mut options.platform);
        events.extend(tencents([(ChatLogin, 3000), (ChatLogout, 4000)], login));
    }
    deliver(&handlers, &events).await;
    let (whole, devices, _) = pages(&handlers, TENCENT, 1000).await;
    assert_eq!((whole.len(), devices.len()), (3, 3));
    for limit in [1, 2, 3, 4] {
        let (rows, some, _) = pages(&handlers, TENCENT, limit).await;
        assert_eq!((sorted(rows), some), (sorted(whole.clone()), devices.clone()));
    }
}

#[tokio::test]
async fn a_late_mark_does_not_hide_another_one_from_the_pages() {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    a_busy_person(&handlers).await;
    let (_, first) = handlers.get(ZEGO, "room=lobby&limit=20", at(100_000)).await;
    let late = login(900, 900, 1);
    deliver(&handlers, &zegos([late])).await;
    let query = format!("room=lobby&limit=1000&next={}", first["next"].as_str().unwrap());
    let (_, rest) = handlers.get(ZEGO, &query, at(100_000)).await;
    let marks = |answer: &Value| answer["rooms"][0]["marks"].as_array().unwrap().len();
    assert_eq!((marks(&first), marks(&rest)), (20, 46), "the late one comes before the cursor");
}

#[tokio::test]
async fn one_room_is_explained_alone_and_by_any_id() {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    a_busy_person(&handlers).await;
    for (room, query) in [("lobby", "room=lobby"), ("a#b", "room=a%23b"), ("ä", "room=%C3%A4")] {
        let (_, one) = handlers.get(ZEGO, query, at(100_000)).await;
        let (_, any) =
            handlers.get("/explain/zego/1/users", &format!("user=ada&{query}"), at(100_000)).await;
        assert_eq!(one, any);
        let rooms = one["rooms"].as_array().unwrap();
        assert!(!rooms.is_empty() && rooms.iter().all(|found| found["room"] == room), "{one}");
    }
    let (_, none) = handlers.get(ZEGO, "room=elsewhere", at(100_000)).await;
    assert_eq!(
        (&none["rooms"], &none["devices"], &none["next"]),
        (&json!([]), &json!([]), &Value::Null)
    );
}

#[tokio::test]
async fn nobody_is_404_and_a_wrong_parameter_is_400() {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    a_busy_person(&handlers).await;
    let registered = openims([(openim::EventName::UserRegister, 0)], |_| {});
    deliver(&handlers, &registered).await;
    let (status, answer) = handlers.get(OPENIM, "", at(1000)).await;
    assert_eq!((status.as_u16(), &answer["devices"]), (200, &json!([])), "registered only");
    for (path, query) in [
        ("/explain/zego/1/users/bob", ""),
        ("/explain/zego/1/users/bob", "room=lobby"),
        ("/explain/zego/2/users/ada", ""),
        ("/explain/x/1/users/ada", ""),
        ("/explain/zego/1/rooms/lobby", ""),
    ] {
        assert_eq!(handlers.get(path, query, at(1000)).await.0, 404, "{path}?{query}");
    }
    for query in ["room=", "limit=0", "limit=1001", "next=x", "next=e30", "next=bnVsbA"] {
        assert_eq!(handlers.get(ZEGO, query, at(1000)).await.0, 400, "{query}");
    }
    assert_eq!(handlers.get("/explain/zego/1/users", "", at(1000)).await.0, 400);
}
