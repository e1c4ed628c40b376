//! An `EventBridge` bus over HTTP: at `ROLLCALL_TEST_EVENT_BRIDGE_URL`, or else a small double.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use aws_sdk_eventbridge::Client;
use axum::{Json, Router, extract::State, routing::post};
use http::{HeaderMap, StatusCode};
use rollcall::aws;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::secrets;

/// What one call takes.
const MAX_ENTRIES: usize = 10;
const MAX_BYTES: usize = 256 << 10;

/// The bus that the tests send to, named after the template's.
pub(crate) const BUS: &str = "EventBus-1";

/// The service.
pub(crate) struct EventBridge {
    pub(crate) url: String,
    double: Option<Arc<Double>>,
}

/// The part of `EventBridge` that a sender needs.
#[derive(Default)]
struct Double {
    taken: Mutex<Vec<Value>>,
    /// How many more entries are refused.
    refused: AtomicUsize,
}

impl EventBridge {
    pub(crate) async fn start() -> Self {
        if let Ok(url) = std::env::var("ROLLCALL_TEST_EVENT_BRIDGE_URL") {
            // It may be there from another test.
            let _ = Client::new(&aws::at(&url)).create_event_bus().name(BUS).send().await;
            return Self { url, double: None };
        }
        let double = Arc::<Double>::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(post(Double::answer)).with_state(double.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, double: Some(double) }
    }

    /// The entries that were taken since the last call; `None` if it is not the double.
    pub(crate) fn take(&self) -> Option<Vec<Value>> {
        let double = self.double.as_ref()?;
        Some(std::mem::take(&mut double.taken.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Refuses this many entries; the others of the same call are taken. Returns whether it can.
    pub(crate) fn refuse(&self, entries: usize) -> bool {
        self.double.as_ref().map(|double| double.refused.store(entries, Ordering::SeqCst)).is_some()
    }
}

impl Double {
    #[expect(clippy::unused_async, reason = "axum's handlers are futures")]
    async fn answer(
        State(double): State<Arc<Self>>,
        headers: HeaderMap,
        body: String,
    ) -> (StatusCode, Json<Value>) {
        secrets::expect_none("an event", &body);
        assert_eq!(headers["x-amz-target"], "AWSEvents.PutEvents");
        let asked: Value = serde_json::from_str(&body).unwrap();
        let entries = asked["Entries"].as_array().unwrap();
        let bytes: usize = entries.iter().map(Value::to_string).map(|entry| entry.len()).sum();
        if entries.is_empty() || entries.len() > MAX_ENTRIES || bytes > MAX_BYTES {
            let error = json!({ "__type": "ValidationException", "message": "no" });
            return (StatusCode::BAD_REQUEST, Json(error));
        }
        let mut taken = double.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut failed = 0;
        let answers: Vec<Value> = entries
            .iter()
            .map(|entry| {
                let less = |left: usize| left.checked_sub(1);
                let is_refused =
                    double.refused.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok();
                if is_refused || entry["EventBusName"] != BUS {
                    failed += 1;
                    return json!({ "ErrorCode": "ThrottlingException", "ErrorMessage": "slow down" });
                }
                taken.push(entry.clone());
                json!({ "EventId": taken.len().to_string() })
            })
            .collect();
        let answer = json!({ "FailedEntryCount": failed, "Entries": answers });
        (StatusCode::OK, Json(answer))
    }
}
