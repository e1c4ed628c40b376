//! Erases a person: asks again until all of it is done.

use std::time::Duration;

use reqwest::Method;
use rollcall::domain::App;
use serde_json::Value;

use super::{AskError, Client, Query};

/// How often in a row an answer may say that nothing was erased, and that something is left.
const IDLE_ROUNDS: u32 = 5;

/// How long to wait before asking again after such an answer.
const PAUSE: Duration = Duration::from_secs(1);

/// How many items are stored about a user: 0 if nobody is known by this id.
///
/// # Errors
///
/// [`AskError`].
pub async fn found(client: &Client, app: &App, user: &str) -> Result<usize, AskError> {
    let query = Query::of(app, "users", "").with("user", user);
    match client.list(&query, &["items"], usize::MAX).await {
        Ok(answer) => answer["items"].as_array().map(Vec::len).ok_or(AskError::Unreadable {
            query: query.to_string(),
            fault: "has no `items`".to_owned(),
        }),
        Err(AskError::NotKnown { .. }) => Ok(0),
        Err(error) => Err(error),
    }
}

/// Erases a user, and returns how many items that were. What was erased before an error stays
/// erased; the rest is erased when it is asked again.
///
/// # Errors
///
/// [`AskError`], also if several answers in a row erased nothing and were not complete.
pub async fn erase(client: &Client, app: &App, user: &str) -> Result<u64, AskError> {
    let query = Query::of(app, "users", "").with("user", user);
    let query = Query { method: Method::DELETE, ..query };
    let (mut erased, mut idle) = (0, 0);
    loop {
        let answer = client.json(&query).await?;
        let now = answer["erased"].as_u64().unwrap_or_default();
        erased += now;
        match &answer["complete"] {
            Value::Bool(true) => return Ok(erased),
            Value::Bool(false) if now > 0 => idle = 0,
            Value::Bool(false) if idle < IDLE_ROUNDS => {
                idle += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Value::Bool(false) => {
                return Err(AskError::GivenUp(format!(
                    "{erased} items are erased, and something is left that could not be erased \
                     now: run the command again"
                )));
            }
            _ => {
                return Err(AskError::Unreadable {
                    query: query.to_string(),
                    fault: "has no `complete`".to_owned(),
                });
            }
        }
    }
}
