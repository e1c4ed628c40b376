//! A proxy between the handlers and the store: it counts what passes, and can answer instead.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;

type Instead = dyn Fn(&Request) -> Option<(StatusCode, &'static str)> + Send + Sync;

/// A request to DynamoDB.
#[derive(Debug)]
pub(crate) struct Request {
    /// The operation, such as `UpdateItem`.
    pub(crate) operation: String,
    /// Its JSON.
    pub(crate) body: String,
}

#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    target: String,
    http: reqwest::Client,
    seen: Mutex<Vec<Request>>,
    instead: Mutex<Box<Instead>>,
    units: Mutex<f64>,
}

impl Proxy {
    pub(crate) async fn before(target: &str) -> Self {
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            http: rollcall_local::send::client().unwrap(),
            seen: Mutex::default(),
            instead: Mutex::new(Box::new(|_| None)),
            units: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, shared }
    }

    /// What has come since the last call, passed on or not.
    pub(crate) fn take(&self) -> Vec<Request> {
        std::mem::take(&mut self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The capacity that was consumed since the last call, as the store itself counts it.
    pub(crate) fn take_units(&self) -> f64 {
        std::mem::take(&mut self.shared.units.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on, answers 500 to those requests, as DynamoDB does on a bad day.
    pub(crate) fn refuse(&self, requests: impl Fn(&Request) -> bool + Send + Sync + 'static) {
        let error = r#"{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError"}"#;
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        self.instead(move |request| requests(request).then_some((status, error)));
    }

    /// From now on, finds nothing in the index, as DynamoDB may for a moment after a write.
    pub(crate) fn lag(&self) {
        let nothing = r#"{"Items":[],"Count":0,"ScannedCount":0}"#;
        let is_index = |request: &Request| request.body.contains("\"IndexName\"");
        self.instead(move |request| is_index(request).then_some((StatusCode::OK, nothing)));
    }

    fn instead(
        &self,
        answer: impl Fn(&Request) -> Option<(StatusCode, &'static str)> + Send + Sync + 'static,
    ) {
        *self.shared.instead.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(answer);
    }
}

async fn pass(State(shared): State<Arc<Shared>>, mut headers: HeaderMap, body: Bytes) -> Response {
    let target = headers["x-amz-target"].to_str().unwrap();
    let request = Request {
        operation: target.rsplit('.').next().unwrap().to_owned(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    let instead = shared.instead.lock().unwrap_or_else(PoisonError::into_inner)(&request);
    shared.seen.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    if let Some(answer) = instead {
        return answer.into_response();
    }
    let body = asking_for_units(&body);
    headers.remove("content-length");
    let sent = shared.http.post(&shared.target).headers(headers).body(body).send().await.unwrap();
    let (status, headers) = (sent.status(), sent.headers().clone());
    let body = sent.bytes().await.unwrap();
    *shared.units.lock().unwrap_or_else(PoisonError::into_inner) += units(&body);
    (status, headers, body).into_response()
}

/// The store's JSON has no signature that would cover it here, so it can be asked for more.
fn asking_for_units(body: &[u8]) -> Vec<u8> {
    let mut request: Value = serde_json::from_slice(body).unwrap();
    request["ReturnConsumedCapacity"] = "TOTAL".into();
    request.to_string().into_bytes()
}

fn units(body: &[u8]) -> f64 {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    answer["ConsumedCapacity"]["CapacityUnits"].as_f64().unwrap_or_default()
}
