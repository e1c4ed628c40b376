//! The command line as a new user meets it: the real program, in a folder of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(unix)]

#[path = "cli/ask.rs"]
mod ask;
#[path = "cli/board.rs"]
mod board;
#[path = "cli/export.rs"]
mod export;
#[path = "cli/provider.rs"]
mod provider;
#[path = "cli/stub.rs"]
mod stub;
#[path = "cli/zim.rs"]
mod zim;

use std::{
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use rollcall::runtime;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
    task::JoinHandle,
    time::timeout,
};

/// Anything that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(30);

fn rollcall(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
    command.current_dir(folder).env_remove("ROLLCALL_APPS").env_remove("RUST_LOG");
    // How long a debug build takes on a busy machine is not what is tested.
    command.env("ROLLCALL_BUDGET_MS", "20000").kill_on_drop(true);
    command
}

/// `cargo run` on free ports.
struct Running {
    child: Child,
    url: String,
    dynamodb: String,
    log: JoinHandle<String>,
}

impl Running {
    async fn start(folder: &Path, args: &[&str]) -> Self {
        let args = [&["--port", "0", "--dynamodb-port", "0"], args].concat();
        Self::start_with(folder, &args).await
    }

    async fn start_with(folder: &Path, args: &[&str]) -> Self {
        let child = rollcall(folder)
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self::listen(child).await
    }

    /// Reads where it listens.
    async fn listen(mut child: Child) -> Self {
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut line =
            async || timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
        let (first, second) = (line().await, line().await);
        let mut urls = second.split([' ', ',']).filter(|word| word.starts_with("http://"));
        let url = urls.next().unwrap().to_owned();
        let dynamodb = urls.next().unwrap().to_owned();
        assert_eq!(first, format!("See it in a browser: {url}/"));
        // The rest of the output must be read, or the program would block.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let mut stderr = child.stderr.take().unwrap();
        let log = tokio::spawn(async move {
            let mut log = String::new();
            stderr.read_to_string(&mut log).await.unwrap();
            log
        });
        Self { child, url, dynamodb, log }
    }

    async fn send(&self, folder: &Path, args: &[&str]) -> String {
        let output = self.send_output(folder, args).await;
        String::from_utf8(output.stdout).unwrap()
    }

    async fn send_output(&self, folder: &Path, args: &[&str]) -> Output {
        output(rollcall(folder).arg("send").args(args).args(["--url", &self.url])).await
    }

    async fn get(&self, path: &str) -> Value {
        let client = rollcall_players::client().unwrap();
        let text = client.get(format!("{}{path}", self.url)).send().await.unwrap().text().await;
        serde_json::from_str(&text.unwrap()).unwrap()
    }

    /// Stops it, and returns its exit code and its log.
    async fn stop(mut self) -> (Option<i32>, String) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").arg(id).status().await.unwrap().success());
        let status = timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        (status.code(), self.log.await.unwrap())
    }
}

async fn output(command: &mut Command) -> Output {
    timeout(PATIENCE, command.output()).await.expect("it ends by itself").unwrap()
}

#[tokio::test]
async fn the_readme_s_first_minutes() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let running = Running::start(folder, &[]).await;
    let ok = r#"{"code":0}"#;

    let login = ["zego", "room-login", "--user", "ada", "--room", "lobby"];
    assert_eq!(running.send(folder, &login).await, format!("200 applied {ok}\n"));
    let three_times = [&login[..], &["--times", "3"]].concat();
    let expected = format!("200 applied {ok}\n200 duplicate {ok}\n200 duplicate {ok}\n");
    assert_eq!(running.send(folder, &three_times).await, expected);
    let room = running.get("/presence/zego/1/rooms/lobby").await;
    assert_eq!(room["online"], 1);
    assert_eq!(room["members"][0]["user"], "ada");

    let logout = ["zego", "room-logout", "--user", "ada", "--room", "lobby"];
    assert_eq!(running.send(folder, &logout).await, format!("200 applied {ok}\n"));
    assert_eq!(running.get("/presence/zego/1/rooms/lobby").await["online"], 0);
    let ada = running.get("/presence/zego/1/users/ada").await;
    assert!(ada["sessions"][0]["entered_at"].as_u64() < ada["sessions"][0]["left_at"].as_u64());

    let (code, log) = running.stop().await;
    assert_eq!(code, Some(0));
    assert_eq!(log.lines().count(), 5, "one line per callback: {log}");
    for part in [
        "provider=\"zego\"",
        "event=\"room_login\"",
        "app=\"1\"",
        "user=\"ada\"",
        "room=\"lobby\"",
        "outcome=\"applied\"",
        "duration_ms=",
    ] {
        assert!(log.lines().next().unwrap().contains(part), "{part}: {log}");
    }
}

#[tokio::test]
async fn records_survive_a_restart_and_other_programs_see_the_table() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let running = Running::start(folder, &["--data", "records"]).await;
    running.send(folder, &["zego", "room-login"]).await;
    let client = rollcall::store::connect(
        &rollcall::aws::at(&running.dynamodb),
        std::time::Duration::from_secs(5),
    );
    let tables = client.list_tables().send().await.unwrap();
    assert_eq!(tables.table_names(), ["rollcall"]);
    assert_eq!(running.stop().await.0, Some(0));

    let running = Running::start(folder, &["--data", "records"]).await;
    assert_eq!(running.get("/presence/zego/1/rooms/lobby").await["online"], 1);
    assert_eq!(running.stop().await.0, Some(0));

    let running = Running::start(folder, &["--in-memory"]).await;
    assert_eq!(running.get("/presence/zego/1/rooms/lobby").await["error"]["code"], "not_found");
    assert_eq!(running.stop().await.0, Some(0));
}

#[tokio::test]
async fn another_dynamodb_can_be_used() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let first = Running::start(folder, &["--in-memory"]).await;
    first.send(folder, &["zego", "room-login"]).await;
    let args = ["--port", "0", "--dynamodb-endpoint", &first.dynamodb];
    let second = Running::start_with(folder, &args).await;
    assert_eq!(second.get("/presence/zego/1/rooms/lobby").await["online"], 1);
    assert_eq!(second.stop().await.0, Some(0));
    assert_eq!(first.stop().await.0, Some(0));
}

#[tokio::test]
async fn a_room_has_one_life_until_it_is_closed() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let running = Running::start(folder, &["--in-memory"]).await;
    let lives = async |events: &[&str]| -> Vec<String> {
        let mut lives = Vec::new();
        for event in events {
            let printed = running.send(folder, &["zego", event, "--print"]).await;
            assert!(running.send(folder, &["zego", event]).await.starts_with("200 applied"));
            let (post, body) = printed.split_once('\n').unwrap();
            assert_eq!(post, format!("POST {}/zego/{event}", running.url));
            let body: Value = serde_json::from_str(body).unwrap();
            let room_seq = body["room_seq"].as_str().map(str::to_owned);
            lives.push(room_seq.unwrap_or_else(|| body["room_session_id"].to_string()));
        }
        lives
    };
    // A printed event has not happened, so a life that begins with it gets another number.
    let first = lives(&["room-login", "room-create", "room-logout", "room-close"]).await;
    assert_eq!(first[1..], [first[1].clone(), first[1].clone(), first[1].clone()]);
    let second = lives(&["room-login", "room-logout"]).await;
    assert_ne!(second[1], first[1]);
    running.stop().await;
}

#[tokio::test]
async fn a_wrong_secret_is_refused_and_never_shown() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let running = Running::start(folder, &["--in-memory"]).await;
    let output = running.send_output(folder, &["zego", "room-login", "--secret", "hunter2"]).await;
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.starts_with("401 rejected"), "{stdout}");
    assert!(!output.status.success());
    let (_, log) = running.stop().await;
    assert!(log.contains("outcome=\"rejected\" status=401"), "{log}");
    assert!(!stdout.contains("hunter2") && !log.contains("hunter2"));
}

/// What API Gateway and Lambda do in the cloud.
#[tokio::test]
async fn an_answer_has_an_id_that_is_in_the_log_and_a_refusal_names_its_source() {
    let folder = TempDir::new().unwrap();
    let running = Running::start(folder.path(), &["--in-memory"]).await;
    running.send(folder.path(), &["zego", "room-login"]).await;
    let client = rollcall_players::client().unwrap();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let answer = client.post(format!("{}/zego/room-login", running.url)).body("{}");
        let answer = answer.send().await.unwrap();
        assert_eq!(answer.status(), 401);
        ids.push(answer.headers()["apigw-requestid"].to_str().unwrap().to_owned());
    }
    assert_ne!(ids[0], ids[1]);
    let (_, log) = running.stop().await;
    let line = |words: &str| log.lines().find(|line| line.contains(words)).unwrap_or_default();
    for id in ids {
        let refused = line(&id);
        assert!(refused.contains("outcome=\"rejected\""), "{log}");
        assert!(refused.contains("source_ip=127.0.0.1"), "{log}");
    }
    let applied = line("outcome=\"applied\"");
    assert!(applied.contains("requestId=") && !applied.contains("source_ip"), "{log}");
}

#[tokio::test]
async fn live_rooms_are_listed_with_events_and_refused_without() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let running = Running::start(folder, &["--in-memory"]).await;
    running.send(folder, &["zego", "room-login", "--user", "ada", "--room", "lobby"]).await;
    // The room is listed when the callback has been answered.
    let listed = async {
        loop {
            let answer = running.get("/rooms/zego/1").await;
            match answer["rooms"].as_array().unwrap().first() {
                Some(room) => return room.clone(),
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    let room = timeout(PATIENCE, listed).await.unwrap();
    assert_eq!((&room["room"], &room["online"]), (&"lobby".into(), &1.into()), "{room}");
    running.stop().await;

    let running = Running::start(folder, &["--in-memory", "--events", "off"]).await;
    for path in ["/rooms/zego/1", "/stats/zego/1"] {
        let answer = running.get(path).await;
        assert_eq!(answer["error"]["code"], "events_off", "{path}: {answer}");
    }
    running.stop().await;
}

/// What `check` prints of this gateway, with these apps.
async fn check(running: &Running, folder: &Path, apps: Option<&str>) -> (Option<i32>, String) {
    let mut command = rollcall(folder);
    command.args(["check", &running.url]).envs(apps.map(|apps| ("ROLLCALL_APPS", apps)));
    let output = output(&mut command).await;
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn a_gateway_that_does_what_it_should_passes_the_check_again_and_again() {
    let folder = TempDir::new().unwrap();
    let running = Running::start(folder.path(), &["--in-memory"]).await;
    for _ in 0..2 {
        let (code, printed) = check(&running, folder.path(), None).await;
        assert_eq!(code, Some(0), "{printed}");
        let (lines, last) = printed.trim_end().rsplit_once('\n').unwrap();
        assert!(lines.lines().all(|line| line.starts_with("ok     ")), "{printed}");
        assert_eq!(last, format!("all {} checks are right", lines.lines().count()));
        for event in [
            "room-create",
            "user-action",
            "zego user, on a device",
            "room-enter",
            "user-register",
            "user-online",
            "chat-login",
            "trtc-enter",
        ] {
            assert!(lines.contains(event), "{event}: {printed}");
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn a_gateway_with_other_secrets_fails_the_check_and_the_line_names_what_to_look_at() {
    let folder = TempDir::new().unwrap();
    let running = Running::start(folder.path(), &["--in-memory"]).await;
    let apps = r#"{
        "zego": {"1": {"callback_secrets": ["zego-s3cret"]}},
        "openim": {"main": {"secrets": ["openim-s3cret"]}},
        "tencent": {"1400000000": {"trtc_keys": ["123654"]}}
    }"#;
    let (code, printed) = check(&running, folder.path(), Some(apps)).await;
    assert_eq!(code, Some(1), "{printed}");
    let refused = "WRONG  zego room-create: 401 rejected, not 200 applied \
                   (is the app's first secret in ROLLCALL_APPS one that is deployed there?)";
    assert!(printed.contains(refused), "{printed}");
    assert!(!printed.contains("room-login"), "the rest follows from it: {printed}");
    // What cannot be signed is left out, and what is right is said.
    assert!(printed.contains("none   openim: ROLLCALL_APPS has no \"basic\" of it"), "{printed}");
    assert!(printed.contains("ok     tencent trtc-enter: 200 applied"), "{printed}");
    assert!(printed.ends_with("1 of 8 checks are wrong\n"), "{printed}");
    assert!(!printed.contains("s3cret"), "{printed}");
    running.stop().await;
}

#[tokio::test]
async fn a_start_that_fails_says_why_in_one_line() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    std::fs::write(folder.join("a-file"), "no folder").unwrap();
    std::fs::create_dir(folder.join("broken")).unwrap();
    std::fs::write(folder.join("broken/dynamodb.sqlite"), "no database ".repeat(999)).unwrap();

    let free = ["--port", "0", "--dynamodb-port", "0"];
    let failures: [(&str, &[&str], &str); 11] = [
        ("", &["--port", &port, "--dynamodb-port", "0"], "choose another port with --port"),
        (
            "",
            &["--port", "0", "--dynamodb-port", &port],
            "choose another port with --dynamodb-port",
        ),
        ("", &[&free[..], &["--data", "a-file"]].concat(), "the data folder a-file cannot be used"),
        ("", &[&free[..], &["--data", "broken"]].concat(), "the data folder broken cannot be used"),
        ("", &["--port", "0", "--dynamodb-endpoint", "http://127.0.0.1:1"], "DynamoDB"),
        ("nonsense", &free, "ROLLCALL_APPS is broken at line 1, column 1"),
        ("[]", &free, "ROLLCALL_APPS is broken"),
        (r#"{"zego":{"1":{"callback_secrets":"hunter2"}}}"#, &free, "ROLLCALL_APPS is broken"),
        (r#"{"zego":{"":{"callback_secrets":["hunter2"]}}}"#, &free, "ROLLCALL_APPS names an app"),
        (
            r#"{"openim":{"a":{"secrets":["hunter2"]},"a":{"secrets":["x"]}}}"#,
            &free,
            "ROLLCALL_APPS names the openim app `a` twice",
        ),
        (
            r#"{"openim":{"a":{"secrets":["hunter2"]},"b":{"secrets":["hunter2"]}}}"#,
            &free,
            "a credential in common",
        ),
    ];
    for (apps, args, says) in failures {
        let output = output(rollcall(folder).args(args).env("ROLLCALL_APPS", apps)).await;
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
        assert!(stderr.contains(says), "{args:?}: {stderr}");
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
}

/// Promise 8: secrets and tokens never reach a log, an answer or a record. Everything that is
/// written is searched, at the most detailed log level.
#[tokio::test]
async fn promise_8_discreet_nothing_that_is_written_holds_a_secret() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let apps = r#"{
        "zego": {"1": {
            "callback_secrets": ["zego-s3cret"],
            "server_secrets": ["server-s3cret-server-s3cret-0123"]
        }},
        "openim": {"main": {
            "secrets": ["openim-s3cret"],
            "basic": [{"user": "openim", "password": "basic-s3cret"}]
        }},
        "tencent": {"1400000000": {
            "secret_keys": ["tencent-s3cret"],
            "chat_tokens": ["chat-s3cret"],
            "trtc_keys": ["trtc-s3cret"]
        }}
    }"#;
    let child = rollcall(folder)
        .args(["--port", "0", "--dynamodb-port", "0"])
        .env("ROLLCALL_APPS", apps)
        .env("RUST_LOG", "rollcall=trace")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let running = Running::listen(child).await;
    let sent: [&[&str]; 12] = [
        &["zego", "room-login", "--secret", "zego-s3cret"],
        &["zego", "room-login", "--secret", "another-s3cret"],
        &["openim", "user-register", "--secret", "openim-s3cret"],
        &["openim", "user-register", "--secret", "openim-s3cret", "--documented"],
        &["openim", "user-register", "--secret", "another-s3cret"],
        &["openim", "user-online", "--basic", "openim:basic-s3cret"],
        &["openim", "user-offline", "--basic", "openim:another-s3cret"],
        &["openim", "user-register", "--secret", "openim-s3cret", "--user", "", "--user", "bob"],
        &["tencent", "chat-login", "--secret", "chat-s3cret"],
        &["tencent", "chat-login", "--secret", "another-s3cret"],
        &["tencent", "trtc-enter", "--secret", "trtc-s3cret"],
        &["tencent", "trtc-enter", "--secret", "another-s3cret"],
    ];
    let mut written = String::new();
    for args in sent {
        written += &running.send(folder, args).await;
    }
    assert_eq!(written.matches("applied").count(), 5, "{written}");
    assert_eq!(written.matches("rejected").count(), 6, "{written}");
    let client = rollcall_players::client().unwrap();
    let token = r#"{"callbackCommand":"callbackUserOnlineCommand","token":"token-s3cret","userID":"ada","platformID":1,"seq":1}"#;
    let basic = "Basic b3BlbmltOmJhc2ljLXMzY3JldA==";
    let url = format!("{}/openim", running.url);
    let answer = client.post(url).header("authorization", basic).body(token).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    written += &answer.text().await.unwrap();

    // A ticket is for its owner only.
    let url = format!("{}/tencent/user-sig", running.url);
    let asked = r#"{"sdk_app_id":1400000000,"user_id":"ada"}"#;
    let answer = client.post(&url).body(asked).send().await.unwrap().text().await.unwrap();
    let minted: Value = serde_json::from_str(&answer).unwrap();
    let ticket = minted["user_sig"].as_str().unwrap();
    let asked = format!(r#"{{"sdk_app_id":1400000000,"user_id":"bob","user_sig":"{ticket}"}}"#);
    let answer = client.post(format!("{url}/verify")).body(asked).send().await.unwrap();
    written += &answer.text().await.unwrap();
    assert!(written.contains("70013"), "{written}");
    let url = format!("{}/zego/token", running.url);
    let asked = r#"{"app_id":1,"user_id":"ada"}"#;
    let answer = client.post(&url).body(asked).send().await.unwrap().text().await.unwrap();
    let minted: Value = serde_json::from_str(&answer).unwrap();
    let token = minted["token"].as_str().unwrap();
    let asked = format!(r#"{{"app_id":1,"user_id":"bob","token":"{token}"}}"#);
    let answer = client.post(format!("{url}/verify")).body(asked).send().await.unwrap();
    written += &answer.text().await.unwrap();
    assert!(written.contains("1002077"), "{written}");

    let (_, log) = running.stop().await;
    // The callbacks, and that the keys of UserSig and TRTC cannot be right.
    assert_eq!(log.matches("cannot be right").count(), 2, "{log}");
    assert_eq!(log.lines().count(), 13 + 2, "{log}");
    written += &log;
    let mut files = 0;
    for file in std::fs::read_dir(folder.join(".rollcall")).unwrap() {
        written += &String::from_utf8_lossy(&std::fs::read(file.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files >= 2, "the records and what was sent");
    assert!(written.contains("callback") && written.contains("ada"));
    assert!(!written.contains("s3cret"));
    assert!(!written.contains(ticket) && !written.contains(&token[2..40]));
    assert!(!written.contains("b3BlbmltOmJhc2ljLXMzY3JldA"));
}

#[tokio::test]
async fn openim_in_both_dialects() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let running = Running::start(folder, &["--in-memory"]).await;
    let real = r#"{"actionCode":0,"errCode":0,"errMsg":"","errDlt":"","nextCode":0}"#;
    let documented = real.replace(r#""nextCode":0"#, r#""nextCode":"0""#);
    let ada = ["openim", "user-register", "--user", "ada"];
    assert_eq!(running.send(folder, &ada).await, format!("200 applied {real}\n"));
    let ada = [&ada[..], &["--documented"]].concat();
    assert_eq!(running.send(folder, &ada).await, format!("200 duplicate {documented}\n"));
    assert_eq!(running.get("/registrations/openim/main/users/ada").await["name"], "ada");

    let online = ["openim", "user-online", "--platform", "web"];
    assert_eq!(running.send(folder, &online).await, format!("200 applied {real}\n"));
    let presence = running.get("/presence/openim/main/users/ada").await;
    assert_eq!(
        (&presence["online"], &presence["sessions"][0]["device"]),
        (&true.into(), &"Web".into())
    );
    let offline = ["openim", "user-offline", "--platform", "web", "--documented"];
    assert!(running.send(folder, &offline).await.starts_with("200 applied"));
    assert_eq!(running.get("/presence/openim/main/users/ada").await["online"], false);

    // Each age of a server, and the pages: one that is not there sends no id and repeats itself.
    let (hours_ago, id) = (runtime::now().before(Duration::from_hours(3)).to_string(), "c1");
    for (user, more) in [
        ("v3", &["--seq", &hours_ago][..]),
        ("ids", &["--seq", &hours_ago, "--conn-id", id]),
        ("v2", &["--seq", &hours_ago, "--server", "v2"]),
        ("page", &["--documented"]),
    ] {
        let online = ["openim", "user-online", "--user", user, "--verify"];
        let output = running.send_output(folder, &[&online, more].concat()).await;
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{user}: {stdout}");
        let presence = running.get(&format!("/presence/openim/main/users/{user}")).await;
        assert_eq!(presence["online"], user != "v3", "{presence}");
    }
    running.stop().await;
}

async fn user_sig(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let output = output(rollcall(folder).arg("user-sig").args(args)).await;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn a_user_sig_is_minted_and_verified() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let at = ["--now", "1700000000"];
    let (code, minted, _) = user_sig(folder, &[&["mint", "--user", "ada"], &at[..]].concat()).await;
    assert_eq!((code, minted.lines().count()), (Some(0), 1));
    let ticket = minted.trim_end();

    let verify = async |user: &str, more: &[&str]| {
        user_sig(folder, &[&["verify", "--user", user, ticket], more].concat()).await
    };
    let valid = (Some(0), "valid until 1700604800\n".to_owned(), String::new());
    assert_eq!(verify("ada", &at).await, valid);
    assert_eq!(verify("ada", &["--now", "1700604800"]).await, valid);
    for (user, more, code) in [
        ("ada", &["--now", "1700604801"][..], "70001 "),
        ("ada", &[], "70001 "),
        ("bob", &at, "70013 "),
        ("ada", &["--app", "1400000001", "--key", "another"], "70009 "),
        ("ada", &["--key", "another", "--now", "1700000000"], "70009 "),
    ] {
        let (exit, found, _) = verify(user, more).await;
        assert_eq!(exit, Some(1), "{found}");
        assert!(found.starts_with(code), "{found}");
    }
    let cut = user_sig(folder, &["verify", "--user", "ada", &ticket[..20]]).await;
    assert!(cut.1.starts_with("70003 "), "{}", cut.1);

    let room = ["mint", "--user", "ada", "--expire", "60", "--privileges", "42"];
    for room in [[&room[..], &["--room", "lobby"]], [&room[..], &["--room-number", "10000"]]] {
        let (code, minted, _) = user_sig(folder, &room.concat()).await;
        assert_eq!((code, minted.lines().count()), (Some(0), 2));
        for ticket in minted.lines() {
            let verdict = user_sig(folder, &["verify", "--user", "ada", ticket]).await;
            assert!(verdict.1.starts_with("valid until "), "{}", verdict.1);
        }
    }
}

#[tokio::test]
async fn a_user_sig_that_cannot_be_says_why() {
    let folder = TempDir::new().unwrap();
    for (args, says) in [
        (&["--user", "a b"][..], "--user is not 1 to 32 characters"),
        (&["--user", "ada", "--expire", "59"], "--expire is not"),
        (&["--user", "ada", "--room-number", "0"], "--room-number is"),
        (&["--user", "ada", "--room", ""], "--room is"),
        (&["--user", "ada", "--privileges", "1"], "--privileges needs"),
        (&["--user", "ada", "--app", "x"], "--app is not"),
        (&["--user", "ada", "--app", "1"], "no key is known for SDKAppID 1"),
        (&["--user", "ada", "--key", ""], "--key is empty"),
    ] {
        let (code, stdout, stderr) = user_sig(folder.path(), &[&["mint"], args].concat()).await;
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{args:?}");
        assert!(stderr.contains(says), "{args:?}: {stderr}");
    }
}

async fn token(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let output = output(rollcall(folder).arg("token").args(args)).await;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn a_token_of_zegos_is_minted_and_verified() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let at = ["--now", "1700000000"];
    let (code, minted, _) = token(folder, &[&["mint", "--user", "ada"], &at[..]].concat()).await;
    assert_eq!((code, minted.lines().count()), (Some(0), 1));
    let ticket = minted.trim_end();

    let verify = async |user: &str, more: &[&str]| {
        token(folder, &[&["verify", "--user", user, ticket], more].concat()).await
    };
    let valid = (Some(0), "valid until 1700003600\n".to_owned(), String::new());
    assert_eq!(verify("ada", &at).await, valid);
    assert_eq!(verify("ada", &["--now", "1700003600"]).await, valid);
    let another = "00112233445566778899aabbccddeeff";
    for (user, more, code) in [
        ("ada", &["--now", "1700003601"][..], "1002078 "),
        ("ada", &[], "1002078 "),
        ("bob", &at, "1002077 "),
        ("ada", &["--app", "2", "--key", "9193cc662a4c0ec135ec71fb57194b38"], "1002076 "),
        ("ada", &["--key", another, "--now", "1700000000"], "1002033 "),
    ] {
        let (exit, found, _) = verify(user, more).await;
        assert_eq!(exit, Some(1), "{found}");
        assert!(found.starts_with(code), "{found}");
    }
    for (cut, code) in [(&ticket[..20], "1002075 "), ("x", "1002079 "), ("", "1002067 ")] {
        let (exit, found, _) = token(folder, &["verify", "--user", "ada", cut]).await;
        assert!(exit == Some(1) && found.starts_with(code), "{found}");
    }

    let mint = ["mint", "--user", "ada", "--expire", "60", "--room", "lobby"];
    for more in [&[][..], &["--no-login"], &["--publish", "--stream", "a", "--stream", "b"]] {
        let (code, minted, _) = token(folder, &[&mint[..], more].concat()).await;
        assert_eq!((code, minted.lines().count()), (Some(0), 1));
        let verdict = token(folder, &["verify", "--user", "ada", minted.trim_end()]).await;
        assert!(verdict.1.starts_with("valid until "), "{}", verdict.1);
    }
}

/// The tokens of the facts that another implementation made, with the time and the key of then.
#[tokio::test]
async fn tokens_of_another_implementation_are_verified_at_the_command_line() {
    let folder = TempDir::new().unwrap();
    let whose = ["--app", "1", "--user", "demo", "--key", "fa94dd0f974cf2e293728a526b028271"];
    let made = "04AAAAAGCLx8AAEGV4bjYybGJva29hOG44anAAcGWCw6utyxH2DEPArGHIW+uFtLMjAbYbXXoL81Y07fsYjfbtTn9mBL4AAO0fjm8DMbN290akErOffxI3bS2rROlLxu31U1EYWuwrtjfcvsHhsPJYAjXPg79+haYqVAor99iA1Z3AWRsqttkYgf/h6+k=";
    for (now, says) in [("1619773376", "valid until 1619773376\n"), ("1619773377", "1002078 ")] {
        let args = [&["verify", made, "--now", now], &whose[..]].concat();
        let (_, found, _) = token(folder.path(), &args).await;
        assert!(found.starts_with(says), "{found}");
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_says_why() {
    let folder = TempDir::new().unwrap();
    let long = "u".repeat(65);
    for (args, says) in [
        (&["--user", &long][..], "--user is not 1 to 64 bytes"),
        (&["--user", "ada", "--expire", "59"], "--expire is not"),
        (&["--user", "ada", "--room", ""], "--room is not"),
        (&["--user", "ada", "--room", "a", "--stream", ""], "--stream has an id"),
        (&["--user", "ada", "--app", "x"], "--app is not"),
        (&["--user", "ada", "--app", "2"], "no key is known for AppID 2"),
        (&["--user", "ada", "--key", ""], "--key is empty"),
        (&["--user", "ada", "--key", "hunter2"], "--key is no key of AES-256"),
    ] {
        let (code, stdout, stderr) = token(folder.path(), &[&["mint"], args].concat()).await;
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{args:?}");
        assert!(stderr.contains(says) && !stderr.contains("hunter"), "{args:?}: {stderr}");
    }
    for needs_a_room in [&["--publish"][..], &["--no-login"], &["--stream", "a"]] {
        let args = [&["mint", "--user", "ada"], needs_a_room].concat();
        let (code, _, stderr) = token(folder.path(), &args).await;
        assert!(code == Some(2) && stderr.contains("--room"), "{stderr}");
    }
}

#[tokio::test]
async fn faults_of_a_secret_of_an_option_are_printed_and_its_value_is_not() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let run = async |args: &[&str], apps: &str| {
        let output = output(rollcall(folder).args(args).env("ROLLCALL_APPS", apps)).await;
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (blank, surrounded) =
        ("is empty or blank", "white space or invisible characters around it");
    for (args, exit, says) in [
        (&["send", "zego", "room-login", "--print", "--secret", " \u{a0}"][..], 1, &[blank][..]),
        (&["send", "openim", "user-register", "--print", "--secret", "\t"], 1, &[blank]),
        (&["send", "openim", "user-register", "--print", "--secret", ""], 1, &[blank]),
        (&["send", "openim", "user-online", "--print", "--basic", "u: \n"], 1, &[blank]),
        (&["send", "openim", "user-online", "--print", "--basic", "\u{feff}:hunter2"], 1, &[blank]),
        (&["send", "tencent", "chat-login", "--print", "--secret", " "], 1, &[blank]),
        (&["send", "tencent", "trtc-enter", "--print", "--secret", "\u{200b}"], 1, &[blank]),
        (&["user-sig", "mint", "--user", "ada", "--key", " "], 1, &[blank]),
        (&["token", "mint", "--user", "ada", "--key", " "], 1, &[blank]),
        (&["send", "zego", "room-login", "--print", "--secret", "hunter2 "], 0, &[surrounded]),
        (&["send", "tencent", "chat-login", "--print", "--secret", "\nhunter2"], 0, &[surrounded]),
        (&["send", "tencent", "trtc-enter", "--print", "--secret", "hunter-2"], 0, &["1 to 32"]),
        (
            &["user-sig", "mint", "--user", "ada", "--key", "hunter2\n"],
            0,
            &[surrounded, "64 hexadecimal digits"],
        ),
        (&["user-sig", "mint", "--user", "ada"], 0, &[]),
    ] {
        let (code, _, stderr) = run(args, "").await;
        assert_eq!(code, Some(exit), "{args:?}: {stderr}");
        assert_eq!(stderr.lines().count(), says.len(), "{args:?}: {stderr}");
        assert!(says.iter().all(|says| stderr.contains(says)), "{args:?}: {stderr}");
        assert!(!stderr.contains("hunter"), "{stderr}");
    }

    // The key's line feed is not part of the key, and the same warning is logged for the apps.
    let key = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";
    let apps =
        format!("\u{feff}{{\"tencent\":{{\"1400000000\":{{\"secret_keys\":[\"{key}\\n\"]}}}}}}");
    let mint = ["user-sig", "mint", "--user", "ada", "--now", "1700000000"];
    let (_, of_example, _) = run(&mint, "").await;
    let (code, of_apps, stderr) = run(&mint, &apps).await;
    assert_eq!((code, of_apps), (Some(0), of_example));
    assert!(stderr.contains(surrounded) && !stderr.contains(key), "{stderr}");
    let apps = r#"{
        "zego": {"1": {"callback_secrets": ["hunter2 "]}},
        "openim": {"main": {"secrets": ["hunter2"]}},
        "tencent": {"1400000000": {"chat_tokens": ["hunter2"], "trtc_keys": ["hunter2"]}}
    }"#;
    let (code, _, stderr) = run(&["send", "all", "--count", "4", "--print"], apps).await;
    assert_eq!((code, stderr.matches(surrounded).count()), (Some(0), 1), "{stderr}");
}

#[tokio::test]
async fn tencent_s_devices_and_rooms() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let running = Running::start(folder, &["--in-memory"]).await;
    let sent = async |event: &str, more: &[&str]| {
        running.send(folder, &[&["tencent", event], more].concat()).await
    };
    let ok = r#"200 applied {"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":""}"#;
    assert_eq!(sent("chat-login", &[]).await, format!("{ok}\n"));
    assert_eq!(sent("trtc-create", &[]).await, "200 applied {\"code\":0}\n");
    assert_eq!(sent("trtc-enter", &[]).await, "200 applied {\"code\":0}\n");
    assert_eq!(sent("trtc-role", &["--role", "20"]).await, "200 applied {\"code\":0}\n");
    let ada = running.get("/presence/tencent/1400000000/users/ada").await;
    assert_eq!(ada["sessions"].as_array().unwrap().len(), 2, "{ada}");
    assert_eq!(running.get("/presence/tencent/1400000000/rooms/lobby").await["online"], 1);
    assert_eq!(running.get("/usage/tencent/1400000000").await["active_users"], 1);
    assert!(sent("trtc-exit", &[]).await.starts_with("200 applied"));
    assert!(sent("trtc-dismiss", &[]).await.starts_with("200 applied"));
    assert!(sent("chat-disconnect", &[]).await.starts_with("200 applied"));
    assert_eq!(running.get("/presence/tencent/1400000000/users/ada").await["online"], false);
    assert!(sent("chat-logout", &["--secret", "wrong"]).await.starts_with("401 rejected"));
    running.stop().await;
}

#[tokio::test]
async fn send_without_a_gateway_says_so() {
    let folder = TempDir::new().unwrap();
    let args = ["send", "zego", "room-login", "--url", "http://127.0.0.1:1"];
    let output = output(rollcall(folder.path()).args(args)).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("does not answer"));
}

#[tokio::test]
async fn help_lists_the_events() {
    let folder = TempDir::new().unwrap();
    let output = output(rollcall(folder.path()).args(["send", "--help"])).await;
    let help = String::from_utf8(output.stdout).unwrap();
    let zego = ["room-login", "room-logout", "room-create", "room-close"];
    for event in zego.into_iter().chain(["user-register", "user-online", "user-offline"]) {
        assert!(help.contains(event), "{help}");
    }
}

/// All events of every provider, out of order and with repetitions, and all of it is recorded as it
/// was sent. (Promises 2 and 3, as an operator can check them on their own stack.)
#[tokio::test]
async fn a_history_is_recorded_as_it_was_sent() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let running = Running::start(folder, &["--in-memory"]).await;
    let load = ["--count", "120", "--shuffle", "--duplicate", "25%", "--verify", "--seed", "7"];
    for (provider, counted) in [
        (&["zego"][..], "visits, 0 devices"),
        (&["openim"], "0 visits"),
        (&["openim", "--documented", "--user", "bob"], "0 visits"),
        (&["tencent"], "devices"),
        (&["all"], "devices"),
    ] {
        let output = running.send_output(folder, &[provider, &load].concat()).await;
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{provider:?}: {stdout}");
        assert!(stdout.starts_with("150 callbacks of 120 events in "), "{stdout}");
        assert!(stdout.contains("per second, seed 7, names with "), "{stdout}");
        assert!(stdout.contains("answered after p50 "), "{stdout}");
        let last = stdout.lines().last().unwrap();
        assert!(last.starts_with("the record is what was sent: "), "{stdout}");
        assert!(last.contains(counted) && !last.contains(": 0 people"), "{stdout}");
        assert!(output.stderr.is_empty(), "a progress bar is for terminals");
    }
    let known = running.get("/registrations/openim/main").await;
    let bob = known["registrations"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["user"].as_str().unwrap().starts_with("bob-"));
    assert!(bob.is_some(), "names begin with those given: {known}");
    running.stop().await;
}

#[tokio::test]
async fn every_event_can_be_sent_alone_and_in_numbers_and_verified() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let running = Running::start(folder, &["--in-memory"]).await;
    for (provider, events) in [
        ("zego", &["room-create", "room-login", "room-logout", "room-close", "user-action"][..]),
        ("openim", &["user-register", "user-online", "user-offline"]),
        ("tencent", &["chat-login", "chat-logout", "chat-disconnect"]),
        ("tencent", &["trtc-create", "trtc-enter", "trtc-role", "trtc-exit", "trtc-dismiss"]),
    ] {
        for event in events {
            for more in [&["--verify"][..], &["--verify", "--count", "30"]] {
                let args = [&[provider, event], more].concat();
                let output = running.send_output(folder, &args).await;
                let stdout = String::from_utf8(output.stdout).unwrap();
                assert!(output.status.success(), "{args:?}: {stdout}");
                let last = stdout.lines().last().unwrap();
                assert!(last.starts_with("the record is what was sent"), "{args:?}: {stdout}");
            }
        }
    }
    running.stop().await;
}

/// The history is compared with an empty gateway's record, and with a record with one more
/// callback.
#[tokio::test]
async fn a_record_that_is_not_what_was_sent_fails() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let running = Running::start(folder, &["--in-memory"]).await;
    let history = ["zego", "--count", "40", "--seed", "3", "--until", "1790000000000"];
    let printed = output(rollcall(folder).arg("send").args(history).arg("--print")).await;
    let printed = String::from_utf8(printed.stdout).unwrap();
    // A user who has left is back in the room at the end: the history does not contain that.
    let bodies = printed.lines().filter(|line| line.starts_with('{'));
    let bodies: Vec<Value> = bodies.map(|body| serde_json::from_str(body).unwrap()).collect();
    assert_eq!(bodies.len(), 40);
    let logout = bodies.iter().find(|body| body["event"] == "room_logout").unwrap();
    let text = |name: &str| logout[name].as_str().unwrap();
    let at: u64 = text("logout_time").parse().unwrap();
    let stray = ["zego", "room-login", "--user", text("user_account"), "--room", text("room_id")];
    let (at, life) = ((at + 1).to_string(), text("room_seq"));
    let stray = [&stray[..], &["--life", life, "--login-time", &at, "--seq", "9999"]].concat();
    assert!(running.send(folder, &stray).await.starts_with("200"));

    let output = running.send_output(folder, &[&history[..], &["--verify"]].concat()).await;
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    assert!(stdout.contains("the record is not what was sent"), "{stdout}");
    assert!(stdout.contains("was not sent"), "{stdout}");
    running.stop().await;
}

#[tokio::test]
async fn a_history_can_be_repeated_to_the_last_byte() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let print = async |args: &[&str]| -> String {
        let printed = output(rollcall(folder).arg("send").args(args).arg("--print")).await;
        let printed = String::from_utf8(printed.stdout).unwrap();
        // The time and the nonce of a signature are of the moment.
        let bodies = printed.lines().filter(|line| line.starts_with('{'));
        bodies
            .map(|body| {
                let mut body: Value = serde_json::from_str(body).unwrap();
                for of_the_moment in ["nonce", "signature", "timestamp"] {
                    body[of_the_moment].take();
                }
                body.to_string() + "\n"
            })
            .collect()
    };
    let until = ["--count", "50", "--until", "1790000000000"];
    for provider in ["zego", "openim"] {
        let first = print(&[&[provider, "--seed", "1"], &until[..]].concat()).await;
        let again = print(&[&[provider, "--seed", "1"], &until[..]].concat()).await;
        let other = print(&[&[provider, "--seed", "2"], &until[..]].concat()).await;
        assert_eq!(first, again);
        assert_ne!(first, other);
        assert_eq!(first.lines().count(), 50);
    }

    let running = Running::start(folder, &["--in-memory"]).await;
    let all = [&["all", "--seed", "1", "--verify"], &until[..]].concat();
    assert!(running.send(folder, &all).await.contains("the record is what was sent"));
    let again = running.send(folder, &[&all[..], &["--concurrency", "1"]].concat()).await;
    assert!(again.contains("200 duplicate "), "{again}");
    // Each arrival of an update of a profile is news: nothing in it says when it happened.
    let args = [&["send", "all", "--seed", "1", "--print"], &until[..]].concat();
    let printed = String::from_utf8(output(rollcall(folder).args(args)).await.stdout).unwrap();
    let updates = printed.matches("\"callbackAfterUpdateUserInfo").count();
    assert_ne!(updates, 0, "{printed}");
    let applied = again.lines().find_map(|line| line.trim().strip_prefix("200 applied"));
    let applied = applied.map_or(0, |number| number.trim().parse().unwrap());
    assert_eq!(applied, updates, "{again}");
    assert!(again.contains("the record is what was sent"), "{again}");
    running.stop().await;
}

#[tokio::test]
async fn a_rate_is_kept_and_a_refusal_fails() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let running = Running::start(folder, &["--in-memory"]).await;
    let started = std::time::Instant::now();
    let rated = ["openim", "user-online", "--count", "11", "--rate", "10"];
    let output = running.send_output(folder, &rated).await;
    assert!(output.status.success());
    assert!(started.elapsed() >= Duration::from_secs(1), "the eleventh is due after a second");

    let wrong = ["tencent", "--count", "10", "--secret", "hunter2"];
    let output = running.send_output(folder, &wrong).await;
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout.contains("  401 rejected   10\n"), "{stdout}");
    assert!(stdout.contains("such as: 401 ") && !stdout.contains("hunter2"), "{stdout}");
    running.stop().await;

    for args in [
        &["zego"][..],
        &["zego", "--rate", "5"],
        &["all"],
        &["zego", "--count", "0"],
        &["zego", "--count", "5", "--rate", "0"],
        &["zego", "--count", "5", "--duplicate", "101"],
        &["zego", "--count", "5", "--times", "2"],
        &["zego", "--count", "5", "--session", "1"],
    ] {
        let output = crate::output(rollcall(folder).arg("send").args(args)).await;
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
    let nobody = ["send", "all", "--count", "5", "--url", "http://127.0.0.1:1"];
    let output = crate::output(rollcall(folder).args(nobody)).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("does not answer"));
}

/// What `cargo run` prints first, up to its last line.
async fn introduction(folder: &Path, args: &[&str], apps: Option<&str>) -> (Child, Vec<String>) {
    let mut command = rollcall(folder);
    if let Some(apps) = apps {
        command.env("ROLLCALL_APPS", apps);
    }
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut printed = Vec::new();
    while let Some(line) = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap() {
        let is_last = line == "Ctrl-C stops.";
        printed.push(line);
        if is_last {
            break;
        }
    }
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, printed)
}

/// In a shell in which `cargo run --` is the built program.
#[tokio::test]
async fn every_command_that_is_printed_works_as_printed() {
    use std::os::unix::fs::PermissionsExt;

    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let cargo = format!(
        "#!/bin/sh\n[ \"$1 $2\" = 'run --' ] || exit 2\nshift 2\nexec '{}' \"$@\"\n",
        env!("CARGO_BIN_EXE_rollcall")
    );
    std::fs::create_dir(folder.join("bin")).unwrap();
    std::fs::write(folder.join("bin/cargo"), cargo).unwrap();
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.join("bin/cargo"), executable).unwrap();
    // A refusal fails.
    std::fs::write(folder.join(".curlrc"), "fail\nsilent\nshow-error\n").unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", folder.join("bin").display());

    let shared = Running::start(folder, &["--in-memory"]).await;
    let several = r#"{
        "zego": {"7": {"callback_secrets": ["hunter2"]}, "1": {"callback_secrets": [], "server_secrets": ["hunter5-hunter5-hunter5-hunter5-"]}},
        "openim": {"a b": {"secrets": ["hunter3"]}, "second": {"basic": [{"user": "u", "password": "hunter4"}]}},
        "tencent": {"1400000009": {"secret_keys": ["5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"]}}
    }"#;
    let zego_only = r#"{"zego": {"1": {"callback_secrets": ["hunter2"]}}}"#;
    let free = ["--port", "0", "--dynamodb-port", "0"];
    let records = [&free[..], &["--data", "some records"]].concat();
    let in_memory = [&free[..], &["--in-memory"]].concat();
    let elsewhere = ["--port", "0", "--dynamodb-endpoint", &shared.dynamodb];
    for (args, apps, expected) in [
        (&free[..], None, 8),
        (&records, None, 8),
        (&in_memory, Some(several), 7),
        (&in_memory, Some(zego_only), 3),
        (&in_memory, Some("{}"), 0),
        (&elsewhere, None, 8),
        (&elsewhere, Some(several), 7),
    ] {
        let (mut child, printed) = introduction(folder, args, apps).await;
        assert_eq!(printed.last().map(String::as_str), Some("Ctrl-C stops."), "{args:?}");
        assert!(!printed.concat().contains("hunter"), "{printed:?}");
        let commands = printed.iter().filter_map(|line| line.strip_prefix("  "));
        let commands: Vec<&str> = commands.collect();
        assert_eq!(commands.len(), expected, "{printed:?}");
        for line in commands {
            let mut shell = Command::new("sh");
            shell.args(["-c", line]).current_dir(folder).env("PATH", &path);
            shell.env("CURL_HOME", folder).env_remove("ROLLCALL_APPS").kill_on_drop(true);
            if let Some(apps) = apps {
                shell.env("ROLLCALL_APPS", apps);
            }
            let output = output(&mut shell).await;
            let said = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{args:?}: {line}: {said}{errors}");
            let is_known = !line.contains("/presence/") || said.contains(r#""online":1"#);
            let is_in = !line.contains(" ask ") || said.contains(" is open: 1 person at ");
            assert!(is_known && is_in && !said.is_empty(), "{args:?}: {line}: {said}");
        }
        child.kill().await.unwrap();
    }
    shared.stop().await;
}

#[tokio::test]
async fn a_batch_that_is_cut_says_how_many_were_not_stored_and_openim_is_not_asked_to_repeat_it() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let mut command = rollcall(folder);
    command.args(["--port", "0", "--dynamodb-port", "0", "--in-memory"]);
    command.env("ROLLCALL_BUDGET_MS", "1").stdout(Stdio::piped()).stderr(Stdio::piped());
    let hurried = Running::listen(command.spawn().unwrap()).await;
    let users: Vec<String> = (0..1000).map(|number| format!("--user=u{number}")).collect();
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    let register = [&["openim", "user-register"], &users[..]].concat();
    let said = hurried.send(folder, &register).await;
    assert!(said.starts_with("503 rejected"), "what is set explicitly wins: {said}");
    assert!(said.contains(" of 1000 entries could not be stored"), "{said}");
    assert!(!said.contains("send it again"), "OpenIM cannot: {said}");
    hurried.stop().await;
}

async fn import(
    running: &Running,
    folder: &Path,
    file: &str,
    more: &[&str],
) -> (Option<i32>, String) {
    let output = running.send_output(folder, &[&["openim", "import", file], more].concat()).await;
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn users_from_before_rollcall_are_imported_once() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let running = Running::start(folder, &["--in-memory"]).await;
    running.send(folder, &["openim", "user-register", "--user", "u7", "--name", "Ada"]).await;
    // Like pages of `/user/get_users`, where one user of each page is on the next one again.
    let row = |number: u64| {
        serde_json::json!({
            "userID": format!("u{number}"), "nickname": format!("Name {number}"), "faceURL": "",
            "ex": format!("{{\"n\":\"{}\"}}", "\"\\".repeat(100)), "createTime": 1_600_000_000_000 + number,
            "appMangerLevel": 0, "globalRecvMsgOpt": 0
        })
    };
    let pages = (0..10).map(|page| {
        let users: Vec<Value> = (page * 100..=page * 100 + 100).map(row).collect();
        let data = serde_json::json!({ "total": 1001, "users": users });
        serde_json::json!({ "errCode": 0, "errMsg": "", "errDlt": "", "data": data }).to_string()
    });
    std::fs::write(folder.join("users.json"), pages.collect::<Vec<_>>().join("\n")).unwrap();

    let (code, said) = import(&running, folder, "users.json", &[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("1010 users in "), "{said}");
    assert!(said.ends_with(": 1000 applied, 10 duplicates, 0 not stored\n"), "{said}");
    let ada = running.get("/registrations/openim/main/users/u7").await;
    assert_eq!(ada["name"], "Ada", "the callback's value stays");
    let other = running.get("/registrations/openim/main/users/u1000").await;
    assert_eq!(other["registered_at"], 1_600_000_001_000_u64);
    assert_eq!(other["registered_at_from"], "create_time");
    assert_eq!(other["extra"], row(1000)["ex"]);

    let (code, said) = import(&running, folder, "users.json", &["--batch", "1000"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.ends_with(": 0 applied, 1010 duplicates, 0 not stored\n"), "{said}");
    let again = running.get("/registrations/openim/main/users/u1000").await;
    assert_eq!(again, other, "nothing changes");
    running.stop().await;
}

#[tokio::test]
async fn an_import_says_what_was_not_stored_and_fails() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let running = Running::start(folder, &["--in-memory"]).await;
    let long = format!(r#"{{"userID":"{}"}}"#, "x".repeat(256));
    let rows =
        format!(r#"[{{"userID":"a"}},null,{{"nickname":"nobody"}},{long},{{"userID":"b"}}]"#);
    std::fs::write(folder.join("some.json"), rows).unwrap();
    let (code, said) = import(&running, folder, "some.json", &[]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(": 2 applied, 0 duplicates, 3 not stored\n"), "{said}");
    assert!(said.contains("such as: null is not a user"), "{said}");
    assert!(said.contains("such as: 400 "), "{said}");
    assert_eq!(running.get("/registrations/openim/main/users/b").await["user"], "b");

    std::fs::write(folder.join("broken.json"), "[{\"userID\":\"c\"}]\n[").unwrap();
    std::fs::write(folder.join("expired.json"), r#"{"errCode":1501,"errMsg":"TokenExpired"}"#)
        .unwrap();
    for (file, more, says) in [
        ("broken.json", &[][..], "broken.json is not JSON at line 2"),
        ("expired.json", &[], "errCode 1501: TokenExpired"),
        ("nowhere.json", &[], "nowhere.json cannot be read"),
        ("some.json", &["--secret", "hunter2"], "401 "),
    ] {
        let (code, said) = import(&running, folder, file, more).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(says), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    let nobody = running.get("/registrations/openim/main/users/c").await;
    assert_eq!(nobody["error"]["code"], "not_found", "nothing of a broken file is sent");
    running.stop().await;
}

/// `OpenIM` waits five seconds, and what is not stored by then is lost.
#[tokio::test]
async fn without_a_queue_an_answer_on_a_laptop_has_four_seconds() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    // A DynamoDB that accepts connections, and answers twice: the table exists, and has its index.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let database = format!("http://{}", silent.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = silent.accept().await {
            let answers = [
                (400, r#"{"__type":"com.amazonaws.dynamodb.v20120810#ResourceInUseException"}"#),
                (200, r#"{"Table":{"GlobalSecondaryIndexes":[{"IndexName":"gsi2"}]}}"#),
            ];
            if let Some((status, body)) = answers.get(open.len()) {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let answer = format!(
                    "HTTP/1.1 {status} Any\r\ncontent-type: application/x-amz-json-1.0\r\n\
                     connection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
            open.push(stream);
        }
    });
    let mut command = rollcall(folder);
    command.env_remove("ROLLCALL_BUDGET_MS");
    command.args(["--port", "0", "--dynamodb-endpoint", &database]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = Running::listen(command.spawn().unwrap()).await;
    let started = std::time::Instant::now();
    let said = running.send(folder, &["openim", "user-register"]).await;
    let took = started.elapsed();
    assert!(said.starts_with("503 rejected"), "{said}");
    assert!(said.contains("the event could not be stored"), "{said}");
    assert!(took >= Duration::from_millis(2300), "{took:?}");
    running.stop().await;
}
