//! A proxy between the handlers and an AWS service. It counts requests, and can produce all faults
//! of a network and a service.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{
    iam::{self, Permission},
    secrets,
};

type Faults = dyn Fn(&Request) -> Option<Fault> + Send + Sync;

/// A request to an AWS service.
#[derive(Debug)]
pub(crate) struct Request {
    /// The operation, such as `UpdateItem`.
    pub(crate) operation: String,
    /// Its JSON.
    pub(crate) body: String,
    /// The id of the access key that signed it: of a real binary, the function's name.
    pub(crate) signed_by: String,
    headers: HeaderMap,
}

impl Request {
    /// The permission that it needs.
    pub(crate) fn permission(&self) -> Permission {
        let target = self.headers["x-amz-target"].to_str().unwrap();
        iam::permission(target, &serde_json::from_str(&self.body).unwrap())
    }
}

/// What can happen to a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    /// It is answered here, and the service never sees it.
    Answer(StatusCode, &'static str),
    /// It never gets an answer. The connection stays open.
    Hang,
    /// The connection is reset, and the service never sees the request.
    Reset,
    /// The service executes it, but then the connection is reset.
    LoseAnswer,
    /// It is passed on late.
    Slow(Duration),
    /// The answer comes a byte at a time, with this pause in between.
    Drip(Duration),
}

impl Fault {
    /// A service that is broken.
    pub(crate) fn internal_error() -> Self {
        let error = r#"{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError"}"#;
        Self::Answer(StatusCode::INTERNAL_SERVER_ERROR, error)
    }

    /// A service that throttles.
    pub(crate) fn throttling() -> Self {
        let error = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow down"}"#;
        Self::Answer(StatusCode::BAD_REQUEST, error)
    }
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
    faults: Mutex<Box<Faults>>,
    units: Mutex<f64>,
}

impl Proxy {
    pub(crate) async fn before(target: &str) -> Self {
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            http: rollcall_players::client().unwrap(),
            seen: Mutex::default(),
            faults: Mutex::new(Box::new(|_| None)),
            units: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let proxy = Self { url, shared: shared.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                // A peer may always close the connection.
                tokio::spawn(async move { shared.serve(stream).await });
            }
        });
        proxy
    }

    /// The requests since the last call, passed on or not.
    pub(crate) fn take(&self) -> Vec<Request> {
        std::mem::take(&mut self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The capacity that requests for a table have consumed since the last call.
    pub(crate) fn take_units(&self) -> f64 {
        std::mem::take(&mut self.shared.units.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on, answers 500 to those requests, as DynamoDB does on a bad day.
    pub(crate) fn refuse(&self, requests: impl Fn(&Request) -> bool + Send + Sync + 'static) {
        self.faults(move |request| requests(request).then(Fault::internal_error));
    }

    /// From now on, finds nothing in the index, as DynamoDB may for a moment after a write.
    pub(crate) fn lag(&self) {
        let nothing = r#"{"Items":[],"Count":0,"ScannedCount":0}"#;
        let is_index = |request: &Request| request.body.contains("\"IndexName\"");
        self.faults(move |request| {
            is_index(request).then_some(Fault::Answer(StatusCode::OK, nothing))
        });
    }

    /// From now on, the same happens to every request; `None` ends it.
    pub(crate) fn break_with(&self, fault: Option<Fault>) {
        self.faults(move |_| fault);
    }

    /// From now on, decides for each request what happens to it.
    pub(crate) fn faults(
        &self,
        faults: impl Fn(&Request) -> Option<Fault> + Send + Sync + 'static,
    ) {
        *self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(faults);
    }
}

impl Shared {
    /// Serves one connection until it ends; an error is the peer's or the proxy's own.
    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        let mut buffer = Vec::new();
        loop {
            let request = read_request(&mut stream, &mut buffer).await?;
            secrets::expect_none("a request to AWS", &request.body);
            if iam::POLICIES.contains_key(&request.signed_by) {
                iam::expect_allowed_for(&request.signed_by, &request.permission());
            }
            let fault = self.faults.lock().unwrap_or_else(PoisonError::into_inner)(&request);
            let headers = request.headers.clone();
            let body = request.body.clone();
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(request);
            match fault {
                None => {
                    let answer = self.pass_on(headers, body).await?;
                    stream.write_all(&answer).await.ok()?;
                }
                Some(Fault::Answer(status, body)) => {
                    let answer = response(status, &HeaderMap::new(), body.as_bytes());
                    stream.write_all(&answer).await.ok()?;
                }
                Some(Fault::Hang) => {
                    // Until the other side gives up.
                    while stream.read(&mut [0; 1024]).await.ok()? > 0 {}
                    return None;
                }
                Some(Fault::Reset) => return reset(&stream),
                Some(Fault::LoseAnswer) => {
                    self.pass_on(headers, body).await?;
                    return reset(&stream);
                }
                Some(Fault::Slow(late)) => {
                    tokio::time::sleep(late).await;
                    let answer = self.pass_on(headers, body).await?;
                    stream.write_all(&answer).await.ok()?;
                }
                Some(Fault::Drip(late)) => {
                    for byte in self.pass_on(headers, body).await? {
                        tokio::time::sleep(late).await;
                        stream.write_all(&[byte]).await.ok()?;
                    }
                }
            }
        }
    }

    async fn pass_on(&self, headers: HeaderMap, body: String) -> Option<Vec<u8>> {
        let body = counting_units(body);
        let sent = self.http.post(&self.target).headers(headers).body(body).send().await.ok()?;
        let (status, headers) = (sent.status(), sent.headers().clone());
        let body = sent.bytes().await.ok()?;
        *self.units.lock().unwrap_or_else(PoisonError::into_inner) += units(&body);
        Some(response(status, &headers, &body))
    }
}

#[expect(deprecated, reason = "a linger of zero does not block: it is what makes the reset")]
fn reset(stream: &TcpStream) -> Option<()> {
    stream.set_linger(Some(Duration::ZERO)).ok()
}

/// Reads the next request of a connection. `buffer` holds bytes that came too early.
async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Request> {
    let end_of_head = loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(buffer[..end_of_head].to_vec()).unwrap();
    let mut headers = HeaderMap::new();
    for line in head.lines().skip(1) {
        let (name, value) = line.split_once(':').unwrap();
        let name: HeaderName = name.parse().unwrap();
        headers.insert(name, value.trim().parse().unwrap());
    }
    let text = |name: &str| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let length: usize = text("content-length").unwrap().parse().unwrap();
    let operation = text("x-amz-target").unwrap_or_default();
    let operation = operation.rsplit('.').next().unwrap_or_default().to_owned();
    let credential = text("authorization").and_then(|header| header.split_once("Credential="));
    let signed_by = credential.and_then(|(_, scope)| scope.split_once('/'));
    let signed_by = signed_by.map(|(key, _)| key.to_owned()).unwrap_or_default();
    while buffer.len() < end_of_head + 4 + length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let rest = buffer.split_off(end_of_head + 4 + length);
    let request = std::mem::replace(buffer, rest);
    let body = String::from_utf8(request[end_of_head + 4..].to_vec()).unwrap();
    headers.remove("content-length");
    Some(Request { operation, body, signed_by, headers })
}

fn response(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let mut response = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
    for name in ["content-type", "x-amzn-errortype", "x-amzn-query-error"] {
        if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
            response.extend([name, ": ", value, "\r\n"]);
        }
    }
    response.push_str("\r\n");
    [response.as_bytes(), body].concat()
}

/// The same request, also asking for the consumed capacity. Nothing here checks its signature.
fn counting_units(body: String) -> String {
    match serde_json::from_str(&body) {
        Ok(Value::Object(mut request)) if request.contains_key("TableName") => {
            request.insert("ReturnConsumedCapacity".to_owned(), "TOTAL".into());
            Value::Object(request).to_string()
        }
        _ => body,
    }
}

fn units(body: &[u8]) -> f64 {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    answer["ConsumedCapacity"]["CapacityUnits"].as_f64().unwrap_or_default()
}
