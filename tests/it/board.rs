//! The board: who may ask, what the stream of callbacks holds, and that nothing waits for who watches.

use std::{fmt::Write, fs, path::Path, time::Duration};

use http::{Method, StatusCode};
use rollcall::{
    aws,
    domain::{App, UnixMillis},
    runtime, store,
    user_sig::UserSigs,
    zego_token::ZegoTokens,
};
use rollcall_local::{
    board::{About, Answered, Board, Callbacks, Mode, ShownApp, files, log_line::Said},
    gateway::Gateway,
};
use rollcall_players::zego::{Event, EventName, Options, Rooms};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use crate::support::{Database, Handlers, SECRET, secrets};

const LIMIT: Duration = Duration::from_mins(1);

/// How many callbacks are remembered.
const REMEMBERED: u64 = 500;

/// A board of ZEGO's app `1`.
pub(crate) fn board(url: &str) -> Board {
    let about = About {
        mode: Mode::Laptop,
        apps: vec![ShownApp::from(App {
            provider: rollcall::domain::ProviderName::Zego,
            id: "1".parse().unwrap(),
        })],
        version: About::VERSION,
        address: url.to_owned(),
        events: false,
        logs_query: None,
        commands: Vec::new(),
        example_apps: false,
    };
    Board { about, callbacks: Callbacks::since(UnixMillis(1)) }
}

/// A gateway as `cargo run` starts it.
struct Laptop {
    url: String,
    host: String,
    callbacks: Callbacks,
    /// Its store, which must outlive it.
    _database: Database,
}

/// A request as a browser or a stranger writes it, header for header.
struct Sent<'a> {
    method: Method,
    path: &'a str,
    headers: Vec<(&'a str, String)>,
    body: String,
}

/// The answer: its status, its head, and its body.
struct Got {
    status: u16,
    head: String,
    body: String,
}

impl Got {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (of, value) = line.split_once(": ")?;
            of.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

impl<'a> Sent<'a> {
    fn get(path: &'a str) -> Self {
        Self { method: Method::GET, path, headers: Vec::new(), body: String::new() }
    }

    fn with(mut self, name: &'a str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

impl Laptop {
    async fn start() -> Self {
        let database = Database::start().await;
        let client = store::connect(&aws::at(&database.url), LIMIT);
        let Handlers { receiver, queries, erase, reconcile, .. } = Handlers::with(client);
        let user_sigs = UserSigs { apps: receiver.apps.clone() };
        let zego_tokens = ZegoTokens { apps: receiver.apps.clone() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let url = format!("http://{host}");
        let gateway = Gateway { receiver, queries, erase, user_sigs, zego_tokens, reconcile };
        let board = board(&url);
        let callbacks = board.callbacks.clone();
        tokio::spawn(gateway.serve(listener, board, None, std::future::pending()));
        Self { url, host, callbacks, _database: database }
    }

    /// Sends a request byte for byte. `Host` is this gateway's, unless the headers have one.
    async fn send(&self, sent: &Sent<'_>) -> Got {
        let Sent { method, path, headers, body } = sent;
        let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            write!(text, "Host: {}\r\n", self.host).unwrap();
        }
        for (name, value) in headers {
            write!(text, "{name}: {value}\r\n").unwrap();
        }
        write!(text, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        self.raw(&text).await
    }

    /// Sends this, and reads until the connection ends.
    async fn raw(&self, text: &str) -> Got {
        let mut stream = TcpStream::connect(&self.host).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(LIMIT, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        let answer = String::from_utf8(answer).unwrap();
        secrets::expect_none("an answer", &answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Got { status, head: head.to_owned(), body: body.to_owned() }
    }

    async fn get(&self, path: &str) -> Got {
        self.send(&Sent::get(path)).await
    }

    /// A login, signed by a secret, by way of another host.
    async fn login(&self, user: &str, room: &str, secret: &str) -> Got {
        let now = runtime::now();
        let options = Options::for_user("1", user, room);
        let event: Event = Rooms::default().happen(EventName::RoomLogin, &options, now);
        let secret = rollcall::callback::Secret::new(secret.to_owned()).unwrap();
        let nonce = rollcall_players::zego::nonce(now.seconds());
        let callback = event.callback(&secret, now.seconds(), &nonce);
        let sent = Sent {
            method: Method::POST,
            path: callback.route,
            headers: vec![
                ("Host", "tunnel.example.com".to_owned()),
                ("Content-Type", "application/json".to_owned()),
                ("Origin", "https://tunnel.example.com".to_owned()),
                ("Sec-Fetch-Site", "cross-site".to_owned()),
            ],
            body: callback.body,
        };
        self.send(&sent).await
    }

    /// The first callbacks of the stream.
    async fn callbacks(&self, last: Option<&str>, count: usize) -> Vec<Value> {
        let client = rollcall_players::client().unwrap();
        let mut request = client.get(format!("{}/board/callbacks", self.url));
        if let Some(id) = last {
            request = request.header("last-event-id", id);
        }
        let mut response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut text = String::new();
        while text.matches("\n\n").count() < count {
            let chunk = tokio::time::timeout(LIMIT, response.chunk()).await.unwrap().unwrap();
            text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
        secrets::expect_none("the stream of callbacks", &text);
        read(&text)
    }
}

/// The callbacks in a stream. Each is one line.
fn read(text: &str) -> Vec<Value> {
    let events = text.split("\n\n").filter(|event| event.contains("data: "));
    let read = |event: &str| {
        let of = |name| event.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let data: Value = serde_json::from_str(of("data: ")).unwrap();
        assert_eq!(data["id"].to_string(), of("id: "));
        data
    };
    events.map(read).collect()
}

fn number(callback: &Value) -> u64 {
    callback["id"].as_u64().unwrap()
}

/// One request for each kind of route that is no callback.
const GUARDED: [(Method, &str); 12] = [
    (Method::GET, "/"),
    (Method::GET, "/board/app.js"),
    (Method::GET, "/board/config.json"),
    (Method::GET, "/board/callbacks"),
    (Method::GET, "/events"),
    (Method::GET, "/presence/zego/1/rooms?room=lobby"),
    (Method::GET, "/stats/zego/1"),
    (Method::POST, "/presence/zego/1/users"),
    (Method::DELETE, "/users/zego/1/ada"),
    (Method::POST, "/tencent/user-sig"),
    (Method::POST, "/zego/token"),
    (Method::POST, "/reconcile/zego/1/rooms/lobby"),
];

/// What a page from elsewhere makes a browser send.
fn foreign(host: &str) -> Vec<(&'static str, &'static str, String)> {
    let port = host.rsplit(':').next().unwrap();
    let own = |value: &str| value.replace("PORT", port);
    let origins = [
        "https://evil.example.com",
        "null",
        "http://evil.example.com:PORT",
        "http://localhost",
        "http://localhost:3000",
        // Another name of the same machine is another origin.
        "http://localhost:PORT",
        "https://127.0.0.1:PORT",
        "http://127.0.0.1:PORT.evil.example.com",
    ];
    let hosts = [
        "evil.example.com",
        "evil.example.com:PORT",
        "127.0.0.1.evil.example.com:PORT",
        "localhost.evil.example.com:PORT",
        "127.0.0.1:PORT.evil.example.com",
        "evil.example.com#127.0.0.1:PORT",
        "[::1].evil.example.com:PORT",
        "[::ffff:127.0.0.1]:PORT",
        "[::1]",
        "localhost",
        "localhost:1",
        "127.0.0.1",
        "0.0.0.0:PORT",
        "user@127.0.0.1:PORT",
        "",
    ];
    let sites = ["cross-site", "same-site", "anything"];
    let origins = origins.iter().map(|value| ("another origin", "Origin", own(value)));
    let hosts = hosts.iter().map(|value| ("DNS rebinding", "Host", own(value)));
    let sites = sites.iter().map(|value| ("another page", "Sec-Fetch-Site", own(value)));
    origins.chain(hosts).chain(sites).collect()
}

#[tokio::test]
async fn a_page_from_elsewhere_can_neither_read_nor_make_it_ask() {
    let laptop = Laptop::start().await;
    for (method, path) in GUARDED {
        for (attack, name, value) in foreign(&laptop.host) {
            let sent = Sent { method: method.clone(), ..Sent::get(path) };
            let got = laptop.send(&sent.with(name, &value)).await;
            assert_eq!(got.status, 403, "{attack}: {method} {path} {name}: {value}");
            let body: Value = serde_json::from_str(&got.body).unwrap();
            assert!(body["message"].is_string(), "{body}");
        }
        let twice = Sent { method: method.clone(), ..Sent::get(path) }
            .with("Host", &laptop.host)
            .with("Host", "evil.example.com");
        let status = laptop.send(&twice).await.status;
        assert!([400, 403].contains(&status), "two hosts: {method} {path}: {status}");
    }
    for (method, path) in GUARDED {
        for host in ["evil.example.com", "user@127.0.0.1", "localhost.evil.example.com"] {
            let as_a_proxy = format!("http://{host}{path}");
            let sent = Sent { method: method.clone(), ..Sent::get(&as_a_proxy) };
            assert_eq!(laptop.send(&sent).await.status, 403, "{method} {as_a_proxy}");
        }
        let without_host = laptop.raw(&format!("{method} {path} HTTP/1.0\r\n\r\n")).await;
        assert_eq!(without_host.status, 403, "{method} {path}");
    }
}

#[tokio::test]
async fn the_page_itself_and_programs_may_ask() {
    let laptop = Laptop::start().await;
    let port = laptop.host.rsplit(':').next().unwrap();
    for host in ["127.0.0.1", "localhost", "LocalHost", "[::1]"] {
        let host = format!("{host}:{port}");
        for (method, path) in GUARDED {
            // Streams do not end.
            if ["/board/callbacks", "/events"].contains(&path) {
                continue;
            }
            let sent = Sent { method: method.clone(), ..Sent::get(path) }.with("Host", &host);
            let got = laptop.send(&sent).await;
            assert_ne!(got.status, 403, "{host}: {method} {path}");
            let page = Sent { method: method.clone(), ..Sent::get(path) }
                .with("Host", &host)
                .with("Origin", &format!("http://{host}"))
                .with("Sec-Fetch-Site", "same-origin");
            assert_ne!(laptop.send(&page).await.status, 403, "{host}: {method} {path}");
        }
    }
    let typed = Sent::get("/").with("Sec-Fetch-Site", "none");
    assert_eq!(laptop.send(&typed).await.status, 200);
}

#[tokio::test]
async fn no_answer_may_be_read_or_shown_or_kept_by_another_page() {
    let laptop = Laptop::start().await;
    for path in ["/", "/board/config.json", "/presence/zego/1/rooms?room=lobby", "/nowhere"] {
        for origin in [None, Some("https://evil.example.com")] {
            let sent = origin.map_or(Sent::get(path), |of| Sent::get(path).with("Origin", of));
            let got = laptop.send(&sent).await;
            let head = got.head.to_ascii_lowercase();
            assert!(!head.contains("access-control-"), "{path}: {head}");
            let policy = got.header("content-security-policy").unwrap();
            assert!(policy.starts_with("default-src 'none';"), "{policy}");
            assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
            assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("cross-origin-resource-policy", "same-origin"),
                ("cross-origin-opener-policy", "same-origin"),
            ] {
                assert_eq!(got.header(name), Some(value), "{path}");
            }
            assert!(got.header("cache-control").is_some(), "{path}");
        }
    }
    let preflight = Sent { method: Method::OPTIONS, ..Sent::get("/presence/zego/1/users") }
        .with("Origin", "https://evil.example.com")
        .with("Access-Control-Request-Method", "POST");
    let got = laptop.send(&preflight).await;
    assert_eq!(got.status, 403);
    assert!(!got.head.to_ascii_lowercase().contains("access-control-"), "{}", got.head);
}

#[tokio::test]
async fn callbacks_come_through_a_tunnel_and_are_seen_with_their_outcome() {
    let laptop = Laptop::start().await;
    let markup = "<img src=x onerror=alert(1)>\u{2028}\n\"data: {}";
    let first = laptop.login(markup, "lobby", SECRET).await;
    assert_eq!((first.status, first.header("x-rollcall-outcome")), (200, Some("applied")));
    assert_eq!(first.header("content-security-policy"), None, "a callback's answer is as it was");
    let seen = laptop.callbacks(None, 1).await;
    let [seen] = seen.as_slice() else { panic!("{seen:?}") };
    let at = seen["at"].as_u64().unwrap();
    assert!(runtime::now().0 - at < 60_000 && seen["took_us"].as_u64().unwrap() > 0, "{seen}");
    // Its user is what was sent, character for character: the stream's lines are not broken by it.
    assert_eq!(
        *seen,
        json!({
            "id": seen["id"], "at": at, "took_us": seen["took_us"],
            "route": "/zego/room-login", "provider": "zego", "event": "room_login",
            "outcome": "applied", "reason": null, "message": null, "status": 200,
            "app": "1", "room": "lobby", "user": markup, "count": null, "counts": null,
        })
    );
}

/// A stranger may name any app, person and room.
#[tokio::test]
async fn a_callback_that_is_not_verified_shows_no_ids() {
    let laptop = Laptop::start().await;
    let wrong = laptop.login("mallory", "vault", "hunter2hunter2").await;
    assert_eq!(wrong.status, 401);
    let strange = Sent { method: Method::POST, ..Sent::get("/openim/mallory%20was%20here") };
    assert_ne!(laptop.send(&strange).await.status, 200);
    let seen = laptop.callbacks(None, 2).await;
    assert_eq!(seen[0]["reason"], "wrong_signature");
    assert_eq!(seen[0]["status"], 401);
    assert_eq!(seen[1]["route"], "/openim/{proxy+}");
    for seen in &seen {
        assert_eq!(seen["outcome"], "rejected");
        assert!(seen["message"].as_str().is_some_and(|text| !text.is_empty()), "{seen}");
        for id in ["app", "room", "user"] {
            assert_eq!(seen[id], Value::Null, "{seen}");
        }
        let text = seen.to_string();
        assert!(!text.contains("mallory") && !text.contains("vault"), "{text}");
    }
}

fn answered(user: u64) -> Answered {
    let said = Said { user: Some(user.to_string()), ..Said::default() };
    Answered {
        at: UnixMillis(user),
        route: "/zego/room-login",
        said,
        status: 200,
        counts: None,
        took_us: 0,
    }
}

#[tokio::test]
async fn the_stream_goes_on_where_a_reader_lost_it() {
    let laptop = Laptop::start().await;
    for user in 0..10 {
        laptop.callbacks.add(answered(user));
    }
    let all = laptop.callbacks(None, 10).await;
    let ids: Vec<u64> = all.iter().map(number).collect();
    // They begin with the time of the start in microseconds: those of a later run are greater.
    assert_eq!(ids, (1000..1010).collect::<Vec<_>>());
    let users = |seen: &[Value]| -> Vec<String> {
        seen.iter().map(|seen| seen["user"].as_str().unwrap().to_owned()).collect()
    };
    let rest = laptop.callbacks(Some(&ids[6].to_string()), 3).await;
    assert_eq!(users(&rest), ["7", "8", "9"]);
    // Of another run, or no id at all: all that there is.
    for unknown in ["7", "99999999999999", "", "x", "-1"] {
        assert_eq!(users(&laptop.callbacks(Some(unknown), 10).await).len(), 10, "{unknown}");
    }
    // Only the newest are kept.
    for user in 10..REMEMBERED + 50 {
        laptop.callbacks.add(answered(user));
    }
    let kept = laptop.callbacks(None, 500).await;
    assert_eq!((kept.len() as u64, users(&kept)[0].as_str()), (REMEMBERED, "50"));
    let forgotten = laptop.callbacks(Some(&ids[0].to_string()), 500).await;
    assert_eq!(number(&forgotten[0]), ids[0] + 50, "the ids say that some are missing");
}

#[test]
fn a_browser_s_numbers_hold_the_ids() {
    assert!(runtime::now().0 * 1000 < 1 << 53);
}

/// Of the text of a stream, the number of each callback.
fn numbers(text: &str) -> impl Iterator<Item = u64> {
    text.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok())
}

#[tokio::test]
async fn a_reader_who_does_not_read_is_dropped_and_nobody_waits_for_it() {
    const ALL: usize = 1200;
    let laptop = Laptop::start().await;
    let mut stuck = TcpStream::connect(&laptop.host).await.unwrap();
    let request = "GET /board/callbacks HTTP/1.1\r\nConnection: close\r\nHost: ";
    stuck.write_all(format!("{request}{}\r\n\r\n", laptop.host).as_bytes()).await.unwrap();
    stuck.readable().await.unwrap();

    let client = rollcall_players::client().unwrap();
    let stream = client.get(format!("{}/board/callbacks", laptop.url)).send();
    let mut stream = stream.await.unwrap();
    let (progress, mut reads) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(chunk) = stream.chunk().await.unwrap() {
            let lines = String::from_utf8_lossy(&chunk).matches('\n').count();
            let _ = progress.send(lines);
        }
    });
    // Together more than a connection holds.
    let message = "x".repeat(20_000);
    let mut lines = 0;
    for added in 1..=ALL {
        let mut callback = answered(0);
        callback.said.message = Some(message.clone());
        laptop.callbacks.add(callback);
        // Who reads gets all of them: each has three lines.
        while added % 100 == 0 && lines < added * 3 {
            let more = tokio::time::timeout(LIMIT, reads.recv()).await.unwrap();
            lines += more.expect("it is not cut off");
        }
    }
    assert_eq!(laptop.login("ada", "lobby", SECRET).await.status, 200);
    // Who does not read gets what the connection held, and then the end.
    let mut rest = Vec::new();
    tokio::time::timeout(LIMIT, stuck.read_to_end(&mut rest)).await.unwrap().unwrap();
    let got = numbers(&String::from_utf8_lossy(&rest)).count();
    assert!(0 < got && got < ALL, "{got} of {ALL}");
}

#[tokio::test]
async fn the_page_s_files_are_known_by_their_content() {
    let laptop = Laptop::start().await;
    for file in &files::FILES {
        let path = format!("/board/{}", file.name);
        let got = laptop.get(&path).await;
        assert_eq!((got.status, got.body.as_bytes()), (200, file.content), "{path}");
        assert_eq!(got.header("content-type"), Some(file.media_type()), "{path}");
        assert_ne!(file.media_type(), "application/octet-stream", "{path} has an unknown type");
        assert_eq!(got.header("cache-control"), Some("no-cache"), "{path}");
        let tag = got.header("etag").unwrap().to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}")] {
            let again = laptop.send(&Sent::get(&path).with("If-None-Match", &known)).await;
            assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
            assert_eq!(again.header("etag"), Some(tag.as_str()));
        }
        let changed = laptop.send(&Sent::get(&path).with("If-None-Match", "\"other\"")).await;
        assert_eq!(changed.status, 200);
    }
    let page = laptop.get("/").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    for none in ["/board/none.js", "/board/..%2fCargo.toml", "/board/../Cargo.toml", "/board/"] {
        assert_eq!(laptop.get(none).await.status, 404, "{none}");
    }
    let config: Value = serde_json::from_str(&laptop.get("/board/config.json").await.body).unwrap();
    assert_eq!(
        config,
        json!({
            "mode": "laptop", "apps": [{ "provider": "zego", "app": "1" }],
            "version": About::VERSION, "address": laptop.url, "events": false,
            "logs_query": null, "commands": [], "example_apps": false,
        })
    );
}

#[test]
fn every_file_of_the_page_is_embedded_and_together_they_are_small() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("local/board");
    let mut there: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    there.sort();
    let mut embedded: Vec<&str> = files::FILES.iter().map(|file| file.name).collect();
    embedded.sort_unstable();
    assert_eq!(embedded, there);
    let bytes: usize = files::FILES.iter().map(|file| file.content.len()).sum();
    assert!(bytes < 60_000, "{bytes} bytes");
}
