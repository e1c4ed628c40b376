//! Each answer as people see it: a sentence, and a table. Fields that are added later are ignored.

use serde_json::{Value, json};

use super::{
    reconcile::Writing,
    table::{
        Column,
        Kind::{Duration, Share, Text, Time},
        at, lines, pair, plain, table, text,
    },
    time,
};

const VISITS: [Column; 10] = [
    Column("user", "user", Text),
    Column("name", "name", Text),
    Column("room", "room", Text),
    Column("device", "device", Text),
    Column("role", "role", Text),
    Column("entered", "entered", Text),
    Column("left", "left", Text),
    Column("for", "for_ms", Duration),
    Column("reason", "reason", Text),
    Column("session", "session", Text),
];

const REGISTRATIONS: [Column; 6] = [
    Column("user", "user", Text),
    Column("name", "name", Text),
    Column("registered", "registered_at", Time),
    Column("known from", "registered_at_from", Text),
    Column("extra", "extra", Text),
    Column("changed since", "profile_changed_at", Time),
];

const MORE: &str = "These are the first ones: more follow with a higher --limit, or without it.\n";

/// Who is in a room.
#[must_use]
pub fn room(answer: &Value) -> String {
    let state = if answer["open"] == true { "open" } else { "closed" };
    let members = visits(&answer["members"], &answer["as_of"]);
    let online = match (&answer["online"], &answer["online_at_least"]) {
        (Value::Null, Value::Number(least)) => format!("at least {least} people"),
        (online, _) => count(online, "person", "people"),
    };
    let room = plain(answer["room"].as_str().unwrap_or_default());
    let life = of("life", &answer["life"]);
    let says = format!("{room}{life} is {state}: {online} at {}", at(&answer["as_of"]));
    page(&says, &table(&members, &VISITS), answer)
}

/// Which rooms are live.
#[must_use]
pub fn rooms(answer: &Value) -> String {
    const COLUMNS: [Column; 8] = [
        Column("room", "room", Text),
        Column("people", "online", Text),
        Column("at least", "online_at_least", Text),
        Column("open", "open", Text),
        Column("opened", "opened_at", Time),
        Column("last activity", "last_activity_at", Time),
        Column("missing", "missing", Text),
        Column("life", "life", Text),
    ];
    let rows = rows(&answer["rooms"]);
    let says =
        format!("{} at {}", count(&json!(rows.len()), "room", "rooms"), at(&answer["as_of"]));
    page(&says, &table(rows, &COLUMNS), answer)
}

/// How many rooms and people an app had over time.
#[must_use]
pub fn stats(answer: &Value) -> String {
    const SAMPLES: [Column; 4] = [
        Column("at", "at", Time),
        Column("rooms", "rooms", Text),
        Column("people", "online", Text),
        Column("at least", "at_least", Text),
    ];
    const DAYS: [Column; 2] = [Column("day", "day", Text), Column("most people", "online", Text)];
    const HOURS: [Column; 2] =
        [Column("hour", "hour", Text), Column("most people", "online", Text)];
    let samples = rows(&answer["samples"]);
    let says = count(&json!(samples.len()), "sample", "samples");
    let tables = [
        table(rows(&answer["daily_peaks"]), &DAYS),
        table(rows(&answer["peaks"]), &HOURS),
        table(samples, &SAMPLES),
    ];
    let tables: Vec<String> = tables.into_iter().filter(|table| !table.is_empty()).collect();
    page(&says, &tables.join("\n"), answer)
}

/// Where a user is and was.
#[must_use]
pub fn user(answer: &Value) -> String {
    let state = if answer["online"] == true { "online" } else { "offline" };
    let user = plain(answer["user"].as_str().unwrap_or_default());
    let says = format!("{user} is {state}, last seen {}", at(&answer["last_seen_at"]));
    let visits = visits(&answer["sessions"], &answer["as_of"]);
    page(&says, &table(&visits, &VISITS), answer)
}

/// Which of several users are online.
#[must_use]
pub fn users(answer: &Value) -> String {
    let columns = [
        Column("user", "user", Text),
        Column("online", "online", Text),
        Column("last seen", "last_seen_at", Time),
    ];
    table(rows(&answer["users"]), &columns)
}

/// Who was in a room, or where a user was.
#[must_use]
pub fn attendance(answer: &Value) -> String {
    let visits = visits(&answer["sessions"], &answer["as_of"]);
    let says = count(&json!(visits.len()), "visit", "visits");
    page(&says, &table(&visits, &VISITS), answer)
}

/// When a user was registered.
#[must_use]
pub fn registration(answer: &Value) -> String {
    table(std::slice::from_ref(answer), &REGISTRATIONS)
}

/// Who was registered.
#[must_use]
pub fn registrations(answer: &Value) -> String {
    let rows = rows(&answer["registrations"]);
    let says = count(&json!(rows.len()), "registration", "registrations");
    page(&says, &table(rows, &REGISTRATIONS), answer)
}

/// What people did in one life of a room.
#[must_use]
pub fn report(answer: &Value) -> String {
    const COLUMNS: [Column; 10] = [
        Column("user", "user", Text),
        Column("name", "name", Text),
        Column("roles", "roles", Text),
        Column("first entered", "first_entered_at", Time),
        Column("last left", "last_left_at", Time),
        Column("visits", "visits", Text),
        Column("present", "present_ms", Duration),
        Column("share", "share", Share),
        Column("reason", "reason", Text),
        Column("assumed", "assumed", Text),
    ];
    let room = plain(answer["room"].as_str().unwrap_or_default());
    let life = of("life", &answer["life"]);
    let began = at(&answer["began_at"]) + if_assumed(&answer["began_assumed"]);
    let ended = at(&answer["ended_at"]) + if_assumed(&answer["ended_assumed"]);
    let state = match &answer["final"] {
        Value::Bool(true) => "final",
        _ => "not final: it can still change",
    };
    let in_all = time::duration(answer["person_ms"].as_u64().unwrap_or(0));
    let mut facts = vec![count(&answer["people"], "person", "people"), format!("{in_all} in all")];
    if let Some(peak) = answer["peak"]["online"].as_u64() {
        let when = at(&answer["peak"]["at"]);
        facts.push(format!("at most {peak} at the same time ({when})"));
    }
    if answer["missing"].as_u64().is_some_and(|missing| missing > 0) {
        let missing = count(&answer["missing"], "callback", "callbacks");
        facts.push(format!("{missing} never arrived"));
    }
    let facts = facts.join(", ");
    let mut says = format!("{room}{life}: began {began}, ended {ended}, {state}\n{facts}");
    if let Some(digest) = answer["digest"].as_str() {
        says = format!("{says}\ndigest {}", plain(digest));
    }
    page(&says, &table(rows(&answer["rows"]), &COLUMNS), answer)
}

/// What a user did, by day and room.
#[must_use]
pub fn report_of_user(answer: &Value) -> String {
    const COLUMNS: [Column; 5] = [
        Column("day", "day", Text),
        Column("room", "room", Text),
        Column("visits", "visits", Text),
        Column("present", "present_ms", Duration),
        Column("assumed", "assumed", Text),
    ];
    let says = format!("{} in all", time::duration(answer["present_ms"].as_u64().unwrap_or(0)));
    page(&says, &table(rows(&answer["rows"]), &COLUMNS), answer)
}

/// When two people, or two roles, were in a room together.
#[must_use]
pub fn together(answer: &Value) -> String {
    const COLUMNS: [Column; 3] =
        [Column("from", "from", Time), Column("to", "to", Time), Column("for", "for_ms", Duration)];
    let mut spans = rows(&answer["spans"]).to_vec();
    for span in &mut spans {
        span["for_ms"] = between(&span["from"], &span["to"]);
    }
    let (a, b) = (text(&answer["a"]), text(&answer["b"]));
    let together = time::duration(answer["together_ms"].as_u64().unwrap_or(0));
    let assumed = if_assumed(&answer["assumed"]);
    let says = format!("{a} and {b} were together for {together}{assumed}");
    page(&says, &table(&spans, &COLUMNS), answer)
}

/// Why the answers about a user say what they say.
#[must_use]
pub fn explain(answer: &Value) -> String {
    const MARKS: [Column; 6] = [
        Column("mark", "kind", Text),
        Column("at", "at", Time),
        Column("session", "session", Text),
        Column("order", "order", Text),
        Column("says", "says", Text),
        Column("rule", "rule", Text),
    ];
    let mut parts = Vec::new();
    let mut part = |heading: &str, marks: &Value, ends: &Value| {
        let marks: Vec<Value> = rows(marks).iter().map(mark).collect();
        parts.push(page(heading, &table(&marks, &MARKS), &Value::Null));
        let ends = visits(ends, &answer["as_of"]);
        if !ends.is_empty() {
            parts.push(page("and so the stays are", &table(&ends, &VISITS), &Value::Null));
        }
    };
    for room in rows(&answer["rooms"]) {
        let name = plain(room["room"].as_str().unwrap_or_default());
        let heading = format!("room {name}{}", of("life", &room["life"]));
        part(&heading, &room["marks"], &room["stays"]);
    }
    for device in rows(&answer["devices"]) {
        let session = of("session", &device["session"]);
        let heading = format!("device {}{session}", text(&device["device"]));
        part(&heading, &device["registers"], &device["stays"]);
    }
    if parts.is_empty() {
        parts.push("nothing is known of this user's rooms and devices\n".to_owned());
    }
    if answer["next"].is_string() {
        parts.push(MORE.to_owned());
    }
    parts.join("\n")
}

/// A mark with its place in the order in words.
fn mark(mark: &Value) -> Value {
    let mut mark = mark.clone();
    if mark["order"].is_object() {
        let Value::Object(order) = mark["order"].take() else { return mark };
        let (time, sequence) = (order.get("time"), order.get("sequence"));
        let part = |value: Option<&Value>, shown: fn(&Value) -> String| value.map(shown);
        let parts = [part(time, at), part(sequence, |number| format!("#{}", text(number)))];
        mark["order"] = json!(parts.into_iter().flatten().collect::<Vec<_>>().join(" "));
    }
    mark
}

/// How many users were active in a month.
#[must_use]
pub fn usage(answer: &Value) -> String {
    let users = count(&answer["active_users"], "active user", "active users");
    format!("{} in {}\n", users, text(&answer["month"]))
}

/// Everything that is stored about a person.
#[must_use]
pub fn data(answer: &Value) -> String {
    let found = rows(&answer["items"]);
    let user = plain(answer["user"].as_str().unwrap_or_default());
    let says = format!("{} about {user}", count(&json!(found.len()), "item", "items"));
    page(&says, &items(found), answer)
}

/// Who was erased, by hash.
#[must_use]
pub fn erasures(answer: &Value) -> String {
    const COLUMNS: [Column; 3] =
        [Column("at", "at", Time), Column("items", "items", Text), Column("hash", "hash", Text)];
    let rows = rows(&answer["erasures"]);
    let says = count(&json!(rows.len()), "erasure", "erasures");
    page(&says, &table(rows, &COLUMNS), answer)
}

/// What a provider said that differed.
#[must_use]
pub fn reconciled(answer: &Value, writing: Writing) -> String {
    const COLUMNS: [Column; 8] = [
        Column("asked", "checked_at", Time),
        Column("rooms", "rooms", Text),
        Column("people", "people", Text),
        Column("in", "in", Text),
        Column("out", "out", Text),
        Column("stored", "stored", Text),
        Column("still differ", "disagreements", Text),
        Column("failed", "failed", Text),
    ];
    if answer["queued"] == true {
        return "It takes longer than a request may: the next pass over the app begins with it.\n"
            .to_owned();
    }
    let mut row = answer.clone();
    let (found_in, found_out) = (row["found"]["in"].take(), row["found"]["out"].take());
    let is_none = found_in == 0 && found_out == 0;
    let mut says = if is_none {
        "The provider and the record agree.\n".to_owned()
    } else {
        format!(
            "By the provider, {} in whom the record had out, and {} out whom it had in.\n",
            count(&found_in, "is", "are"),
            count(&found_out, "is", "are")
        )
    };
    if !is_none && writing == Writing::DryRun {
        says += "Nothing is stored: this is what a pass would find.\n";
    }
    if answer["braked"] == true {
        says += "Of that, the brake holds a part: the same answer in half a minute is stored.\n";
    }
    let differs = found_in.as_u64().unwrap_or(0) + found_out.as_u64().unwrap_or(0);
    let is_kept = differs > answer["stored"].as_u64().unwrap_or(differs);
    if is_kept && writing == Writing::Stored && answer["braked"] == false {
        says += "Of that, what changed in the last ten seconds waits for a later pass.\n";
    }
    if answer["complete"] == false {
        says += "Not everything was asked about in the time of one request.\n";
    }
    says += &changed_profiles(answer);
    (row["in"], row["out"]) = (found_in, found_out);
    page(says.trim_end(), &table(&[row], &COLUMNS), answer)
}

/// Which registrations a provider has that the record had not.
#[must_use]
pub fn reconciled_registrations(answer: &Value, writing: Writing) -> String {
    let users = count(&answer["users"], "user", "users");
    let done = match writing {
        Writing::Stored => format!("{} recorded", text(&answer["recorded"])),
        Writing::DryRun => "nothing is stored".to_owned(),
    };
    let missing = text(&answer["missing"]);
    format!("{users} of the provider: {missing} missing here, {done}\n{}", changed_profiles(answer))
}

/// How many profiles had changed, if any had.
fn changed_profiles(answer: &Value) -> String {
    match answer["profiles"]["changed"].as_u64() {
        None | Some(0) => String::new(),
        Some(changed) => {
            let profiles = count(&json!(changed), "profile", "profiles");
            format!("{profiles} had changed: {} stored\n", text(&answer["profiles"]["stored"]))
        }
    }
}

/// A number with its noun.
#[must_use]
pub fn count(number: &Value, one: &str, many: &str) -> String {
    let noun = if number.as_u64() == Some(1) { one } else { many };
    format!("{} {noun}", text(number))
}

fn page(says: &str, table: &str, answer: &Value) -> String {
    let gap = if table.is_empty() { "" } else { "\n" };
    let more = if answer["next"].is_string() { format!("\n{MORE}") } else { String::new() };
    format!("{says}\n{gap}{table}{more}")
}

fn rows(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

fn of(what: &str, value: &Value) -> String {
    if value.is_null() { String::new() } else { format!(" ({what} {})", text(value)) }
}

fn between(from: &Value, to: &Value) -> Value {
    let span = from.as_u64().zip(to.as_u64());
    span.map_or(Value::Null, |(from, to)| json!(to.saturating_sub(from)))
}

/// What follows a time, or a sum of times, that no callback reported.
fn if_assumed(is_assumed: &Value) -> &'static str {
    if *is_assumed == true { " (assumed)" } else { "" }
}

/// Visits and times online, with their times in words. An end or a beginning that no callback
/// reported says so.
fn visits(list: &Value, as_of: &Value) -> Vec<Value> {
    let mut visits = rows(list).to_vec();
    for visit in &mut visits {
        let entered = match &visit["entered_at"] {
            Value::Null => "not known".to_owned(),
            time => at(time) + if_assumed(&visit["entered_assumed"]),
        };
        let left = match &visit["left_at"] {
            Value::Null => Value::Null,
            time => json!(at(time) + if_assumed(&visit["assumed"])),
        };
        let until = if visit["left_at"].is_null() { as_of } else { &visit["left_at"] };
        let for_ms = match &visit["duration_ms"] {
            Value::Null => between(&visit["entered_at"], until),
            duration => duration.clone(),
        };
        visit["entered"] = json!(entered);
        visit["left"] = left;
        visit["for_ms"] = for_ms;
    }
    visits
}

/// Items of any form: its kind, and all its other fields.
fn items(items: &[Value]) -> String {
    let row = |item: &Value| {
        let fields = item.as_object().into_iter().flatten();
        let has_any = |value: &Value| !value.is_null() && *value != json!({});
        let others = fields.filter(|(name, value)| has_any(value) && name.as_str() != "kind");
        let pairs = others.map(|(name, value)| pair(name, value));
        vec![text(&item["kind"]), pairs.collect::<Vec<_>>().join("  ")]
    };
    lines(vec!["item".to_owned(), "fields".to_owned()], items.iter().map(row).collect())
}
