//! Has a Rollcall ask the providers who is really there, and goes on until all of it is asked.

use rollcall::domain::{App, UnixMillis};
use serde_json::Value;

use super::{AskError, Client, Query, query::segments};

/// How often in a row an answer may say that nothing was asked, and that something is left.
const IDLE_ROUNDS: u32 = 3;

/// What a provider is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// All live rooms, or all people by their devices.
    App,
    /// Who is in a room.
    Room(String),
    /// On which devices a user is online.
    User(String),
    /// Who registered in a span of time.
    Registrations {
        /// The first time; the earliest, if there is none.
        from: Option<UnixMillis>,
        /// The last time; the latest, if there is none.
        to: Option<UnixMillis>,
    },
}

/// Whether what is found is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    /// It is.
    Stored,
    /// The answer says what would be.
    DryRun,
}

/// Asks until everything is asked, and returns all answers as one: numbers are sums, and the other
/// fields are those of the last answer. After an error, what was stored before stays.
///
/// A dry run does not go on over an app: it would begin anew each time.
///
/// # Errors
///
/// [`AskError`], also if several answers in a row asked about nothing and were not complete.
pub async fn reconcile(
    client: &Client,
    app: &App,
    subject: &Subject,
    writing: Writing,
) -> Result<Value, AskError> {
    let mut all = Value::Null;
    let (mut next, mut idle) = (None, 0);
    loop {
        let answer = client.json(&query(app, subject, writing, next.as_deref())).await?;
        let asked = ["rooms", "people", "failed"].map(|field| answer[field].as_u64());
        next = answer["next"].as_str().map(str::to_owned);
        let is_done = match subject {
            Subject::App if writing == Writing::Stored => answer["complete"] == true,
            Subject::Registrations { .. } => next.is_none(),
            _ => true,
        };
        let is_idle = *subject == Subject::App && asked.into_iter().flatten().sum::<u64>() == 0;
        idle = if is_idle { idle + 1 } else { 0 };
        add(&mut all, answer);
        if is_done {
            return Ok(all);
        }
        if idle > IDLE_ROUNDS {
            return Err(AskError::GivenUp(
                "something is left that could not be asked about now: run the command again"
                    .to_owned(),
            ));
        }
    }
}

fn query(app: &App, subject: &Subject, writing: Writing, next: Option<&str>) -> Query {
    let at = format!("/reconcile/{}", segments(app));
    let path = match subject {
        Subject::App => at,
        Subject::Room(_) => format!("{at}/rooms"),
        Subject::User(_) => format!("{at}/users"),
        Subject::Registrations { .. } => format!("{at}/registrations"),
    };
    let query = Query { body: String::new(), ..Query::post(path, &Value::Null) };
    let query = match subject {
        Subject::App => query,
        Subject::Room(room) => query.with("room", room),
        Subject::User(user) => query.with("user", user),
        Subject::Registrations { from, to } => query
            .with_any("from", from.map(|from| from.0))
            .with_any("to", to.map(|to| to.0))
            .with_any("next", next),
    };
    query.with_any("dry_run", (writing == Writing::DryRun).then_some(true))
}

/// Adds a later answer: its numbers, except times, and its flag of a brake.
fn add(all: &mut Value, later: Value) {
    let (Value::Object(sums), Value::Object(later)) = (&mut *all, &later) else {
        *all = later;
        return;
    };
    for (field, value) in later {
        let sum = sums.entry(field).or_insert(Value::Null);
        match (field.as_str(), sum.as_u64(), value.as_u64()) {
            ("braked", ..) => *sum = Value::Bool(*sum == true || *value == true),
            ("found" | "profiles", ..) => {
                for name in value.as_object().into_iter().flat_map(|value| value.keys()) {
                    let both = [&sum[name], &value[name]].map(|one| one.as_u64().unwrap_or(0));
                    sum[name] = both.iter().sum::<u64>().into();
                }
            }
            // What still differs now.
            ("checked_at" | "disagreements", ..) | (_, None, _) | (_, _, None) => {
                *sum = value.clone();
            }
            (_, Some(before), Some(now)) => *sum = (before + now).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rollcall::domain::ProviderName;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_question_has_its_route() {
        let app =
            App { provider: ProviderName::by_name("zego").unwrap(), id: "1".parse().unwrap() };
        let path = |subject: &Subject, writing| query(&app, subject, writing, Some("7")).path;
        assert_eq!(path(&Subject::App, Writing::Stored), "/reconcile/zego/1");
        let room = Subject::Room("a b".to_owned());
        assert_eq!(path(&room, Writing::DryRun), "/reconcile/zego/1/rooms?room=a%20b&dry_run=true");
        let user = Subject::User("ada".to_owned());
        assert_eq!(path(&user, Writing::Stored), "/reconcile/zego/1/users?user=ada");
        let span = Subject::Registrations { from: Some(UnixMillis(5)), to: None };
        assert_eq!(path(&span, Writing::Stored), "/reconcile/zego/1/registrations?from=5&next=7");
        assert_eq!(
            query(&app, &room, Writing::Stored, None).to_string(),
            "POST /reconcile/zego/1/rooms"
        );
    }

    #[test]
    fn several_answers_are_one() {
        let answer = |at: u64, rooms: u64, braked: bool, complete: bool| {
            json!({
                "checked_at": at, "rooms": rooms, "found": { "in": 1, "out": rooms },
                "profiles": { "changed": 2, "stored": 1 }, "braked": braked, "disagreements": rooms, "complete": complete, "next": null
            })
        };
        let mut all = Value::Null;
        add(&mut all, answer(10, 5, true, false));
        add(&mut all, answer(20, 7, false, true));
        let expected = json!({
            "checked_at": 20, "rooms": 12, "found": { "in": 2, "out": 12 },
            "profiles": { "changed": 4, "stored": 2 }, "braked": true, "disagreements": 7, "complete": true, "next": null
        });
        assert_eq!(all, expected);
    }
}
