//! A small Rollcall that answers what a test wants, by the forms of the contract.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A request that arrived.
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: HashMap<String, String>,
    /// How many came before it.
    pub(crate) number: usize,
}

impl Asked {
    pub(crate) fn get(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }
}

type Handler = dyn Fn(&Asked) -> Response + Send + Sync;

/// What was asked, and what answers.
type Shared = (Arc<Mutex<Vec<String>>>, Arc<Handler>);

pub(crate) struct Stub {
    pub(crate) url: String,
    /// `METHOD PATH` of all requests.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    pub(crate) async fn start(
        handler: impl Fn(&Asked) -> Response + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let handler: Arc<Handler> = Arc::new(handler);
        let router = Router::new().fallback(answer).with_state((Arc::clone(&asked), handler));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, asked }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(State((all, handler)): State<Shared>, request: Request<Body>) -> Response {
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let pairs = request.uri().query().unwrap_or_default().split('&');
    let decoded =
        |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
    let pairs = pairs.filter_map(|pair| pair.split_once('='));
    let query = pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect();
    let number = {
        let mut all = all.lock().unwrap();
        all.push(format!("{method} {}", request.uri()));
        all.len() - 1
    };
    handler(&Asked { method, path, query, number })
}

pub(crate) fn json(body: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

pub(crate) fn error(status: u16, code: &str, message: &str) -> Response {
    let body = json!({ "error": { "code": code, "message": message } });
    (StatusCode::from_u16(status).unwrap(), json(&body)).into_response()
}

/// A page of CSV as the contract has it: a header, rows from the cursor on, and a link.
pub(crate) fn csv(asked: &Asked, header: &str, rows: &[String]) -> Response {
    if asked.get("format") != "csv" {
        return error(400, "bad_parameter", "`format` is missing");
    }
    let cursor = BASE64_URL_SAFE_NO_PAD.decode(asked.get("next")).unwrap();
    let first: usize = String::from_utf8(cursor).unwrap().parse().unwrap_or_default();
    let limit: usize = asked.get("limit").parse().unwrap_or(100);
    let page = rows.iter().skip(first).take(limit);
    let text: String = std::iter::once(header).chain(page.map(String::as_str)).collect();
    let mut response = ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], text).into_response();
    if first + limit < rows.len() {
        let cursor = BASE64_URL_SAFE_NO_PAD.encode((first + limit).to_string());
        // A link to another host, to which nothing may be sent.
        let link =
            format!("<http://127.0.0.1:1{}?format=csv&next={cursor}>; rel=\"next\"", asked.path);
        response.headers_mut().insert(header::LINK, link.parse().unwrap());
    }
    response
}
