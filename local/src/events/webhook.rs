//! `--webhook URL`: posts each event, one after another.

use std::time::Duration;

use tokio::time::sleep;

use super::{Line, Reader};

/// How long an answer may take, as for an API destination of `EventBridge`.
const LIMIT: Duration = Duration::from_secs(5);

/// The pause before an event is posted again. It doubles with each further failure.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How often an event is posted before it is given up, as `EventBridge` does it.
const TRIES: u32 = 185;

/// Posts events until no more come. An event that is not taken is posted again.
pub async fn post_all(http: &reqwest::Client, url: &str, mut events: Reader) {
    loop {
        match events.next().await {
            Ok(Some(line)) => post(http, url, &line).await,
            Ok(None) => return,
            Err(forgotten) => tracing::warn!(%forgotten, "the webhook is too slow"),
        }
    }
}

async fn post(http: &reqwest::Client, url: &str, line: &Line) {
    let mut pause = FIRST_PAUSE;
    for attempt in 1..=TRIES {
        let request = http.post(url).timeout(LIMIT).header("content-type", "application/json");
        let sent = request.body(line.json.clone()).send().await;
        match sent.and_then(reqwest::Response::error_for_status) {
            Ok(_) => return,
            // The URL may contain a secret.
            Err(error) => {
                let error = error.without_url();
                tracing::warn!(id = line.id, attempt, %error, "the webhook did not take an event");
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    tracing::error!(id = line.id, "an event was given up");
}
