//! A panic costs one request, and never the process.

use std::{
    collections::VecDeque,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    extract::Path,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::StatusCode;
use lambda_http::lambda_runtime;
use rollcall::{
    http::{Reply, Request},
    runtime::{self, Function, service},
};
use serde_json::json;
use tokio::{net::TcpListener, process::Command, sync::mpsc};

use crate::support::gateway_event;

struct Fragile;

impl Function for Fragile {
    async fn answer(&self, request: &Request) -> Reply {
        assert_ne!(request.path, "/panic", "what {request:?} asks for");
        Reply::json(StatusCode::OK, &json!({}))
    }
}

/// The function, in its own process.
#[tokio::test]
#[ignore = "the other test runs it, and ends it"]
async fn a_function_that_panics() {
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some() {
        lambda_runtime::run(service(Fragile)).await.unwrap();
    }
}

#[tokio::test]
async fn a_panic_costs_one_request() {
    let mut events = VecDeque::new();
    for (id, path) in [("first", "/panic"), ("second", "/fine")] {
        events.push_back((id, gateway_event("GET", path, "", None)));
    }
    let events = Arc::new(Mutex::new(events));
    let next = async move || -> Response {
        let event = events.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some((id, event)) = event else { return std::future::pending().await };
        let headers = [
            ("lambda-runtime-aws-request-id", id.to_owned()),
            ("lambda-runtime-deadline-ms", (runtime::now().0 + 60_000).to_string()),
            ("lambda-runtime-invoked-function-arn", "arn".to_owned()),
        ];
        (headers, Json(event)).into_response()
    };
    let (answered, mut answers) = mpsc::unbounded_channel();
    let answer = async move |Path((id, kind)): Path<(String, String)>| {
        answered.send(format!("{id}: {kind}")).unwrap();
        StatusCode::ACCEPTED
    };
    let api = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/{kind}", post(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, api).await });

    let mut function = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "panics::a_function_that_panics", "--ignored"])
        .envs([
            ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "fragile"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "test"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "test"),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    // The gateway answers an error with a 500.
    for expected in ["first: error", "second: response"] {
        let answer = tokio::select! {
            answer = answers.recv() => answer.unwrap(),
            status = function.wait() => panic!("the function is gone: {status:?}"),
        };
        assert_eq!(answer, expected);
    }
    function.kill().await.unwrap();
}

#[test]
fn what_is_shipped_unwinds() {
    let manifest = include_str!("../../Cargo.toml").parse::<toml::Table>().unwrap();
    assert_eq!(manifest["profile"]["release"]["panic"].as_str(), Some("unwind"));
}
