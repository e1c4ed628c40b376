//! Checks that explanations are complete: every mark and every register that is stored is listed once
//! and with its rules, and the stays are those of the other answers.

use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::percent_decode_str;
use rollcall::{
    domain::{
        Mark,
        ProviderName::{self, Tencent},
        SessionMark, Stamp, devices_of_sessions,
    },
    providers,
};
use serde_json::{Map, Value, json};

use super::play::{System, encode};

/// How many marks a page has: few, so that readers have to turn pages.
const MARKS: &str = "limit=5";

/// The registers of a device, by their attributes.
const REGISTERS: [(&str, &str); 4] = [
    ("online_stamp", "online"),
    ("offline_stamp", "offline"),
    ("logout_stamp", "logged_out"),
    ("kicked_stamp", "kicked_by_itself"),
];

/// Compares the explanations of users, `PROVIDER/APP/ID`, with what is stored and with the other
/// answers.
pub(super) async fn check(
    system: &System,
    users: &BTreeSet<String>,
    now: u64,
) -> Result<(), String> {
    let mut stored = stored(system).await;
    for path in users {
        let (app, user) = path.split_at(path.match_indices('/').nth(1).unwrap().0);
        let user = format!("user={}", encode(&user[1..]));
        let ask = async |query: &str, limit: &str, list: &str| {
            let query = format!("/{query}/{app}/users");
            system.pages(&query, &format!("{user}&{limit}"), list, now).await
        };
        let presence = ask("presence", "limit=1000", "sessions").await;
        let Some((rows, stays)) = explained(system, app, &user, now).await? else {
            if presence.is_some() {
                return Err(format!("{path} is known, but not explained"));
            }
            continue;
        };
        let expected = stored.remove(path).unwrap_or_default();
        same(&format!("marks and registers of {path}"), rows, expected)?;

        let attendance = ask("attendance", "limit=1000", "sessions").await;
        let visits = list(&attendance.unwrap_or_default()["sessions"]);
        let (in_rooms, on_devices): (Vec<_>, Vec<_>) =
            stays.into_iter().partition(|stay| stay["room"].is_string());
        same(&format!("stays of {path} in rooms"), in_rooms, visits)?;

        let sessions = list(&presence.unwrap_or_default()["sessions"]);
        for session in sessions.iter().filter(|session| session["device"].is_string()) {
            let is_same = |stay: &&Value| {
                let mut fields = stay.as_object().unwrap().iter();
                fields.all(|(name, value)| name == "duration_ms" || session[name] == *value)
            };
            if on_devices.iter().filter(is_same).count() != 1 {
                return Err(format!("{path}: {session} is not one of {on_devices:#?}"));
            }
        }
    }
    if stored.is_empty() { Ok(()) } else { Err(format!("nobody asked about {stored:?}")) }
}

/// The marks and registers of a person, and their stays without their rules.
async fn explained(
    system: &System,
    app: &str,
    user: &str,
    now: u64,
) -> Result<Option<(Vec<Value>, Vec<Value>)>, String> {
    let (mut rows, mut stays, mut next) = (Vec::new(), Vec::new(), String::new());
    loop {
        let query = format!("{user}&{MARKS}{next}");
        let Some(answer) = system.ask(&format!("/explain/{app}/users"), &query, now).await else {
            return Ok(None);
        };
        for room in list(&answer["rooms"]) {
            for mark in list(&room["marks"]) {
                has_rules(&mark)?;
                rows.push(json!([
                    room["room"],
                    room["life"],
                    room["track"],
                    mark["kind"],
                    mark["at"],
                    mark["order"],
                    mark["role"],
                    mark["reason"]
                ]));
            }
            for stay in list(&room["stays"]) {
                has_rules(&stay)?;
                stays.push(without_rules(&stay, json!({})));
            }
        }
        for device in list(&answer["devices"]) {
            for register in list(&device["registers"]) {
                has_rules(&register)?;
                rows.push(json!([
                    device["device"],
                    device["session"],
                    register["kind"],
                    register["at"]
                ]));
            }
            for stay in list(&device["stays"]) {
                has_rules(&stay)?;
                let of = json!({ "device": device["device"], "session": device["session"] });
                stays.push(without_rules(&stay, of));
            }
        }
        match answer["next"].as_str() {
            Some(cursor) => next = format!("&next={}", encode(cursor)),
            None => return Ok(Some((rows, stays))),
        }
    }
}

fn has_rules(row: &Value) -> Result<(), String> {
    let names = row["rules"].as_array().is_some_and(|rules| !rules.is_empty());
    let words = row["rule"].as_str().is_some_and(|rule| !rule.is_empty());
    if names && words { Ok(()) } else { Err(format!("it lacks a rule: {row}")) }
}

fn without_rules(stay: &Value, mut of: Value) -> Value {
    let mut fields: Map<String, Value> = stay.as_object().unwrap().clone();
    fields.retain(|name, _| name != "rule" && name != "rules");
    of.as_object_mut().unwrap().extend(fields);
    of
}

/// The marks and registers that are stored, by the path of their person.
async fn stored(system: &System) -> BTreeMap<String, Vec<Value>> {
    let mut stored = BTreeMap::<String, Vec<Value>>::new();
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
    for item in system.records().await.into_values() {
        let part = |key: &str, part: usize| {
            let text = item[key].as_str().unwrap().split('#').nth(part);
            text.filter(|text| !text.is_empty()).map(decoded)
        };
        let whose = || {
            let parts = [0, 1, 3].map(|number| part("pk", number).unwrap());
            parts.join("/")
        };
        match part("sk", 0).as_deref() {
            Some("seat") => {
                let provider = ProviderName::by_name(&part("pk", 0).unwrap()).unwrap();
                let rules = providers::rules(provider);
                let (life, track) = match part("sk", 2).as_deref() {
                    Some("%room_engine") => (None, Some("room_engine")),
                    life => (life.map(str::to_owned), (provider == Tencent).then_some("trtc")),
                };
                for mark in list(&item["marks"]) {
                    let bytes = hex::decode(mark.as_str().unwrap()).unwrap();
                    let Mark { order, kind, at, role, reason } = Mark::from_bytes(&bytes).unwrap();
                    let leaves = kind == rollcall::domain::Kind::Leave;
                    let order = json!({
                        "time": order.time, "session": order.session, "sequence": order.sequence
                    });
                    stored.entry(whose()).or_default().push(json!([
                        part("sk", 1),
                        life,
                        track,
                        kind,
                        at,
                        order,
                        rules.role_name(role),
                        leaves.then(|| reason.to_string())
                    ]));
                }
            }
            Some("device") => {
                for (attribute, kind) in REGISTERS {
                    let number = item[attribute].as_str().map(|number| number.parse().unwrap());
                    let Some(stamp) = number.map(Stamp::from_number) else { continue };
                    let row = json!([part("sk", 1), part("sk", 2), kind, stamp.at()]);
                    stored.entry(whose()).or_default().push(row);
                }
            }
            Some("sessions") => {
                let marks = list(&item["sessions"]);
                let marks = marks.iter().map(|mark| {
                    SessionMark::from_bytes(&hex::decode(mark.as_str().unwrap()).unwrap()).unwrap()
                });
                for device in devices_of_sessions(marks, None) {
                    let registers = [device.online, device.offline, device.logged_out];
                    let kinds = ["online", "offline", "logged_out"];
                    for (kind, stamp) in kinds.into_iter().zip(registers) {
                        let Some(stamp) = stamp else { continue };
                        let row = json!([device.platform, device.connection, kind, stamp.at()]);
                        stored.entry(whose()).or_default().push(row);
                    }
                }
            }
            _ => {}
        }
    }
    stored
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn same(what: &str, got: Vec<Value>, expected: Vec<Value>) -> Result<(), String> {
    let sorted = |rows: Vec<Value>| {
        let mut rows: Vec<String> = rows.iter().map(Value::to_string).collect();
        rows.sort();
        rows
    };
    let (got, expected) = (sorted(got), sorted(expected));
    if got == expected {
        return Ok(());
    }
    Err(format!("{what}: got {got:#?}\nexpected {expected:#?}"))
}
