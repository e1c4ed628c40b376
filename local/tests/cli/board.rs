//! `rollcall board` in front of a gateway that demands `SigV4`, as API Gateway does.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use hmac::{Hmac, KeyInit, Mac};
use rollcall_local::board::About;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, pem::PemObject},
    },
    server::TlsStream,
};

use super::*;

const KEY_ID: &str = "AKIDBOARD";
const SECRET_KEY: &str = "wJalrXUtnFEMI/b0ard-s3cret";
const TOKEN: &str = "t0ken-s3cret";
const REGION: &str = "eu-central-1";

/// A gateway in the cloud: it verifies signatures, and what is signed is answered by `cargo run`.
struct Stack {
    url: String,
    /// Its certificate, for `SSL_CERT_FILE`.
    certificate: String,
    /// `METHOD PATH` of all requests.
    asked: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone)]
struct Behind {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Stack {
    async fn before(behind: &str, folder: &Path) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let file = folder.join("certificate.pem");
        std::fs::write(&file, made.cert.pem()).unwrap();
        let key = made.signing_key.serialize_pem();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let behind = Behind { url: behind.to_owned(), asked: asked.clone() };
        let router = Router::new().fallback(demand_signature).with_state(behind);
        let listener = Tls { listener, acceptor: TlsAcceptor::from(Arc::new(config)) };
        tokio::spawn(async move { axum::serve(listener, router).await });
        let certificate = file.to_str().unwrap().to_owned();
        Self { url: format!("https://localhost:{port}"), certificate, asked }
    }

    fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

async fn demand_signature(State(behind): State<Behind>, request: Request) -> Response {
    let target = request.uri().to_string();
    behind.asked.lock().unwrap().push(format!("{} {target}", request.method()));
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    if let Err(why) = verify(&parts, &body) {
        // Some gateways quote the whole request.
        let body = json!({ "message": format!("{why}\n\n{:?}", parts.headers) }).to_string();
        return (StatusCode::FORBIDDEN, [(header::CONTENT_TYPE, "application/json")], body)
            .into_response();
    }
    if target.ends_with("room=moved") {
        let elsewhere = [(header::LOCATION, "/presence/zego/1/rooms?room=elsewhere")];
        return (StatusCode::TEMPORARY_REDIRECT, elsewhere).into_response();
    }
    let client = rollcall_players::client().unwrap();
    let answer = client.request(parts.method, format!("{}{target}", behind.url)).send().await;
    let answer = answer.unwrap();
    let headers = [header::CONTENT_TYPE, header::LINK]
        .map(|name| (name.clone(), answer.headers().get(name).cloned()));
    let mut response = (answer.status(), answer.text().await.unwrap()).into_response();
    for (name, value) in headers {
        if let Some(value) = value {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Signature Version 4, by its specification:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.
fn verify(parts: &axum::http::request::Parts, body: &[u8]) -> Result<(), &'static str> {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let authorization = header("authorization").ok_or("Missing Authentication Token")?;
    let field = |name: &str| {
        let (_, rest) = authorization.split_once(name).unwrap();
        rest.split(", ").next().unwrap()
    };
    let (credential, names) = (field("Credential="), field("SignedHeaders="));
    let (id, scope) = credential.split_once('/').unwrap();
    let (date, at) = (scope.split('/').next().unwrap(), header("x-amz-date").unwrap());
    assert_eq!(scope, format!("{date}/{REGION}/execute-api/aws4_request"));
    if id != KEY_ID || header("x-amz-security-token") != Some(TOKEN) {
        return Err("The security token included in the request is invalid");
    }
    for name in ["host", "x-amz-date", "x-amz-security-token"] {
        assert!(names.split(';').any(|of| of == name), "{name} is signed: {names}");
    }
    // The path as it is sent, encoded once more; the parameters are encoded as they are sent.
    let path = parts.uri.path().replace('%', "%25");
    let mut pairs: Vec<&str> = parts.uri.query().map_or(Vec::new(), |of| of.split('&').collect());
    let strict = |c: char| c.is_ascii_alphanumeric() || "-._~%=".contains(c);
    assert!(pairs.iter().all(|pair| pair.chars().all(strict)), "{pairs:?}");
    pairs.sort_unstable();
    let headers: Vec<String> =
        names.split(';').map(|name| format!("{name}:{}\n", header(name).unwrap())).collect();
    let headers = headers.concat();
    let canonical = format!(
        "{}\n{path}\n{}\n{headers}\n{names}\n{}",
        parts.method,
        pairs.join("&"),
        hex::encode(Sha256::digest(body))
    );
    let to_sign =
        format!("AWS4-HMAC-SHA256\n{at}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
    let mac = |key: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let key = format!("AWS4{SECRET_KEY}").into_bytes();
    let key = scope.split('/').fold(key, |key, part| mac(&key, part));
    let is_right = hex::encode(mac(&key, &to_sign)) == field("Signature=");
    is_right.then_some(()).ok_or("The request signature we calculated does not match")
}

/// `rollcall board`.
struct Board {
    url: String,
    _child: Child,
}

impl Board {
    async fn start(folder: &Path, stack: &Stack, secret_key: Option<&str>) -> Self {
        let mut command = rollcall(folder);
        command.args(["board", "--port", "0", "--app", "zego/1", "--app", "openim/main"]);
        command.args(["--url", &stack.url]).env("SSL_CERT_FILE", &stack.certificate);
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
            command.env_remove(name);
        }
        if let Some(secret_key) = secret_key {
            command.env("AWS_ACCESS_KEY_ID", KEY_ID).env("AWS_SECRET_ACCESS_KEY", secret_key);
            command.env("AWS_SESSION_TOKEN", TOKEN).env("AWS_REGION", REGION);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
        let says = format!("See {} in a browser: ", stack.url);
        let url = first.strip_prefix(&says).and_then(|url| url.strip_suffix('/')).unwrap();
        assert!(url.starts_with("http://127.0.0.1:"), "{first}");
        // The rest of the output must be read, or the program would fail.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { url: url.to_owned(), _child: child }
    }

    /// An answer: its status, its headers and its body.
    async fn ask(&self, method: &str, path: &str) -> (u16, reqwest::header::HeaderMap, String) {
        self.ask_as(method, path, None).await
    }

    async fn ask_as(
        &self,
        method: &str,
        path: &str,
        header: Option<(&str, &str)>,
    ) -> (u16, reqwest::header::HeaderMap, String) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let client = rollcall_players::client().unwrap();
        let mut request = client.request(method, format!("{}{path}", self.url));
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.text().await.unwrap();
        for secret in [SECRET_KEY, TOKEN, KEY_ID, "s3cret"] {
            assert!(!format!("{headers:?}{body}").contains(secret), "{path}: {body}");
        }
        (status, headers, body)
    }

    /// The status of the answer to this path, sent byte for byte.
    async fn status_of(&self, path: &str) -> u16 {
        let host = self.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).await.unwrap();
        let asked = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(asked.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    async fn json(&self, path: &str) -> Value {
        let (status, _, body) = self.ask("GET", path).await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }
}

fn timeless(mut answer: Value) -> Value {
    answer.as_object_mut().unwrap().remove("as_of").unwrap();
    answer
}

#[tokio::test]
async fn a_stack_s_board_signs_its_questions_and_shows_the_answers() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let running = Running::start(folder, &["--in-memory"]).await;
    let stack = Stack::before(&running.url, folder).await;
    let board = Board::start(folder, &stack, Some(SECRET_KEY)).await;

    let config = board.json("/board/config.json").await;
    assert_eq!(
        config,
        json!({
            "mode": "stack", "events": false, "commands": [], "example_apps": false,
            "apps": [{ "provider": "zego", "app": "1" }, { "provider": "openim", "app": "main" }],
            "version": About::VERSION, "address": board.url, "logs_query": About::LOGS_QUERY,
        })
    );
    let (status, headers, _) = board.ask("GET", "/").await;
    assert_eq!(
        (status, &headers["content-type"]),
        (200, &"text/html; charset=utf-8".parse().unwrap())
    );
    assert!(headers.contains_key("content-security-policy"));
    assert_eq!(stack.take_asked(), [""; 0], "the page itself is no question");

    // Any id, as a browser encodes it: some characters are left as they are.
    let rooms = [
        ("lobby", "lobby"),
        ("a/b é?&=#%+", "a%2Fb%20%C3%A9%3F%26%3D%23%25%2B"),
        ("it's (not) * a-room!", "it's%20(not)%20*+a-room!"),
        ("<img src=x onerror=alert(1)>", "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"),
    ];
    for (room, encoded) in rooms {
        for user in ["ada", "bob"] {
            let login = ["zego", "room-login", "--user", user, "--room", room];
            assert!(running.send(folder, &login).await.starts_with("200 applied"));
        }
        let path = format!("/presence/zego/1/rooms?room={encoded}&limit=1");
        let answer = board.json(&path).await;
        assert_eq!((&answer["room"], &answer["online"]), (&json!(room), &json!(2)), "{answer}");
        assert!(answer["next"].is_string(), "{answer}");
        assert_eq!(timeless(answer.clone()), timeless(running.get(&path).await));
        // The next page.
        let next = format!("{path}&next={}", answer["next"].as_str().unwrap());
        assert_eq!(timeless(board.json(&next).await), timeless(running.get(&next).await));
    }
    let user = board.json("/presence/zego/1/users/ada").await;
    assert_eq!(user["online"], true, "{user}");
    // A spreadsheet's next page is in a header.
    let csv = "/attendance/zego/1/rooms?room=lobby&format=csv&limit=1";
    let (status, headers, body) = board.ask("GET", csv).await;
    assert_eq!(status, 200, "{body}");
    assert!(headers["content-type"].to_str().unwrap().starts_with("text/csv"), "{headers:?}");
    let link = headers["link"].to_str().unwrap();
    let next =
        link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap();
    assert!(next.starts_with(&format!("{csv}&next=")), "{next}");
    let (status, headers, second) = board.ask("GET", next).await;
    assert_eq!((status, headers.get("link")), (200, None), "{second}");
    assert_ne!(second, body);
    // An error is passed on as it is.
    let (status, _, body) = board.ask("GET", "/presence/zego/1/rooms?room=nowhere").await;
    let error: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &error["error"]["code"]), (404, &json!("not_found")), "{body}");
    let asked = stack.take_asked();
    assert!(asked.iter().all(|asked| asked.starts_with("GET /")), "{asked:?}");
    // Nothing is signed for another address than the one that was given.
    let (status, headers, _) = board.ask("GET", "/presence/zego/1/rooms?room=moved").await;
    assert_eq!((status, headers.get("location")), (307, None));
    assert_eq!(stack.take_asked(), ["GET /presence/zego/1/rooms?room=moved"]);
    // What is encoded twice is an id with a percent sign.
    assert_eq!(board.status_of("/presence/zego/1/rooms/%252e%252e").await, 404);
    assert_eq!(stack.take_asked(), ["GET /presence/zego/1/rooms/%252e%252e"]);
    running.stop().await;
}

#[tokio::test]
async fn a_stack_s_board_asks_nothing_else_and_nobody_else_can_ask_it() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let running = Running::start(folder, &["--in-memory"]).await;
    let stack = Stack::before(&running.url, folder).await;
    let board = Board::start(folder, &stack, Some(SECRET_KEY)).await;
    // Nothing that changes something, that is about other apps, or that is all of a person.
    let refused = [
        (405, "POST", "/presence/zego/1/users"),
        (405, "POST", "/zego/room-login"),
        (405, "POST", "/tencent/user-sig"),
        (405, "POST", "/zego/token"),
        (405, "POST", "/reconcile/zego/1/rooms/lobby"),
        (405, "DELETE", "/users/zego/1/ada"),
        (405, "PUT", "/presence/zego/1/rooms?room=lobby"),
        (404, "GET", "/users/zego/1/ada"),
        (404, "GET", "/users/zego/1?user=ada"),
        (404, "GET", "/erasures/zego/1"),
        (404, "GET", "/presence/zego/2/rooms?room=lobby"),
        (404, "GET", "/presence/tencent/1/rooms?room=lobby"),
        (404, "GET", "/events"),
        (404, "GET", "/board/callbacks"),
        (404, "GET", "/favicon.ico"),
        (404, "GET", "/presence"),
        (404, "GET", "//evil.example.com/presence/zego/1/rooms"),
        (400, "GET", "/presence/zego/1/rooms?room=%ff"),
        (400, "GET", "/presence/zego/1/rooms/%ff"),
    ];
    for (expected, method, path) in refused {
        let (status, _, body) = board.ask(method, path).await;
        assert_eq!(status, expected, "{method} {path}: {body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert!(body["message"].is_string(), "{method} {path}: {body}");
    }
    // Sent as they are: a browser would shorten such paths first.
    for (expected, path) in [
        (400, "/presence/zego/1/rooms/%2e%2e"),
        (400, "/presence/zego/1/rooms/.%2E"),
        (400, "/presence/zego/1/users/."),
        (404, "/presence/zego/1/../../../users/zego/1/ada"),
        (404, "/presence/zego/1/%2e%2e/%2e%2e/%2e%2e/users/zego/1/ada"),
        (404, "/presence/zego/1%2f..%2f2/rooms"),
        (404, "/presence/%2e%2e/1/rooms"),
        (404, "/presence//zego/1/rooms"),
        (404, "/users/zego/1/ada?/presence/zego/1/rooms"),
        (403, "http://evil.example.com/presence/zego/1/rooms?room=lobby"),
    ] {
        assert_eq!(board.status_of(path).await, expected, "{path}");
    }
    // Another page cannot use the credentials.
    for (name, value) in [
        ("host", "evil.example.com"),
        ("origin", "https://evil.example.com"),
        ("sec-fetch-site", "cross-site"),
    ] {
        for path in ["/", "/board/config.json", "/presence/zego/1/rooms?room=lobby"] {
            let (status, headers, _) = board.ask_as("GET", path, Some((name, value))).await;
            assert_eq!(status, 403, "{path} {name}: {value}");
            assert!(!headers.contains_key("access-control-allow-origin"));
        }
    }
    assert_eq!(stack.take_asked(), [""; 0]);
    running.stop().await;
}

#[tokio::test]
async fn a_stack_s_board_says_why_it_has_no_answer() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let running = Running::start(folder, &["--in-memory"]).await;
    let stack = Stack::before(&running.url, folder).await;
    let path = "/presence/zego/1/rooms?room=lobby";
    for (secret_key, says) in [
        (Some("another-key"), "needs the permission execute-api:Invoke"),
        (None, "has to be signed for IAM"),
    ] {
        let board = Board::start(folder, &stack, secret_key).await;
        let (status, _, body) = board.ask("GET", path).await;
        assert_eq!(status, 403, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert!(body["message"].as_str().unwrap().contains(says), "{body}");
    }
    let nobody = Stack { url: "https://127.0.0.1:1".to_owned(), ..stack };
    let board = Board::start(folder, &nobody, Some(SECRET_KEY)).await;
    let (status, _, body) = board.ask("GET", path).await;
    assert_eq!(status, 502, "{body}");
    assert!(body.contains("does not answer"), "{body}");
    running.stop().await;
}

#[tokio::test]
async fn a_stack_s_board_has_to_know_the_apps() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let failures: [(&[&str], i32, &str); 3] = [
        (&[], 1, "say which apps the board shows"),
        (&["--app", "zego"], 2, "write PROVIDER/ID"),
        (&["--app", "agora/1"], 2, "agora is none of"),
    ];
    for (args, code, says) in failures {
        let output =
            output(rollcall(folder).args(["board", "--url", "https://x"]).args(args)).await;
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.contains(says), "{stderr}");
    }
}
