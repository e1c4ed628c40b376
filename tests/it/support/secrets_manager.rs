//! AWS Secrets Manager for the tests: a small double on loopback, or the service at
//! `ROLLCALL_TEST_SECRETS_MANAGER_URL`.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use rollcall::{
    apps::{AppsSource, SecretSource},
    aws,
    providers::ProviderApis,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// How the service behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It answers.
    Well,
    /// It takes requests and never answers.
    Hanging,
    /// It answers 500.
    Failing,
    /// It answers with half of its JSON.
    Garbled,
}

/// A proxy in front of the service or its double. It counts reads and can misbehave.
#[derive(Clone)]
pub(crate) struct SecretsManager {
    pub(crate) url: String,
    client: aws_sdk_secretsmanager::Client,
    shared: Arc<Shared>,
}

struct Shared {
    /// The service behind it, if it is not the double.
    target: Option<String>,
    http: reqwest::Client,
    secrets: Mutex<HashMap<String, String>>,
    versions: AtomicU64,
    readings: AtomicUsize,
    mood: Mutex<Mood>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SecretsManager {
    pub(crate) async fn start() -> Self {
        let shared = Arc::new(Shared {
            target: std::env::var("ROLLCALL_TEST_SECRETS_MANAGER_URL").ok(),
            http: rollcall_players::client().unwrap(),
            secrets: Mutex::default(),
            versions: AtomicU64::new(0),
            readings: AtomicUsize::new(0),
            mood: Mutex::new(Mood::Well),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { client: aws_sdk_secretsmanager::Client::new(&aws::at(&url)), url, shared }
    }

    /// Creates a secret with a unique name that begins with `name`, and returns its ARN.
    pub(crate) async fn create(&self, name: &str, text: &str) -> String {
        let name = format!("{name}-{:016x}", fastrand::u64(..));
        let made = self.client.create_secret().name(name).secret_string(text).send().await.unwrap();
        made.arn.unwrap()
    }

    pub(crate) async fn put(&self, id: &str, text: &str) {
        self.client.put_secret_value().secret_id(id).secret_string(text).send().await.unwrap();
    }

    pub(crate) fn is(&self, mood: Mood) {
        *lock(&self.shared.mood) = mood;
    }

    /// The number of reads since the last call.
    pub(crate) fn readings(&self) -> usize {
        self.shared.readings.swap(0, Ordering::SeqCst)
    }

    /// The apps of a secret.
    pub(crate) fn apps(&self, id: &str, budget: Duration) -> AppsSource {
        AppsSource::secret(&aws::at(&self.url), id, budget)
    }

    /// The accounts of the providers' APIs in a secret.
    pub(crate) fn apis(&self, id: &str, budget: Duration) -> SecretSource<ProviderApis> {
        SecretSource::secret(&aws::at(&self.url), id, budget)
    }
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers["x-amz-target"].to_str().unwrap().to_owned();
    let operation = target.strip_prefix("secretsmanager.").unwrap();
    let is_reading = operation == "GetSecretValue";
    if is_reading {
        shared.readings.fetch_add(1, Ordering::SeqCst);
    }
    let mood = if is_reading { *lock(&shared.mood) } else { Mood::Well };
    if mood == Mood::Hanging {
        std::future::pending::<()>().await;
    }
    if mood == Mood::Failing {
        let error = json!({ "__type": "InternalServiceError", "Message": "a bad day" });
        return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response();
    }
    let (status, text) = match &shared.target {
        Some(target) => {
            let sent = shared.http.post(target).headers(headers).body(body).send().await.unwrap();
            (sent.status(), sent.text().await.unwrap())
        }
        None => double(&shared, operation, &serde_json::from_slice(&body).unwrap()),
    };
    let text = if mood == Mood::Garbled { text[..text.len() - 2].to_owned() } else { text };
    (status, [("content-type", "application/x-amz-json-1.1")], text).into_response()
}

/// The part of Secrets Manager that Rollcall needs.
fn double(shared: &Shared, operation: &str, request: &Value) -> (StatusCode, String) {
    let mut secrets = lock(&shared.secrets);
    let version = || format!("{:032}", shared.versions.load(Ordering::SeqCst));
    let answer = match operation {
        "CreateSecret" | "PutSecretValue" => {
            let id = request["Name"].as_str().or(request["SecretId"].as_str()).unwrap();
            let text = request["SecretString"].as_str().unwrap();
            secrets.insert(id.to_owned(), text.to_owned());
            shared.versions.fetch_add(1, Ordering::SeqCst);
            json!({ "ARN": id, "Name": id, "VersionId": version() })
        }
        "GetSecretValue" => {
            let id = request["SecretId"].as_str().unwrap();
            let Some(text) = secrets.get(id) else {
                let error = json!({
                    "__type": "ResourceNotFoundException",
                    "Message": "Secrets Manager can't find the specified secret."
                });
                return (StatusCode::BAD_REQUEST, error.to_string());
            };
            json!({ "ARN": id, "Name": id, "VersionId": version(), "SecretString": text })
        }
        other => panic!("the double does not know {other}"),
    };
    (StatusCode::OK, answer.to_string())
}
