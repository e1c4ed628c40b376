//! A laptop's whole repair: callbacks are lost, a played provider is asked, and rosters are right.

use std::{collections::BTreeSet, path::Path, process::Stdio};

use rollcall_local::provider::{EXAMPLE_APIS, TruthFile};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use super::{PATIENCE, Running, output, rollcall};

/// `cargo run -- provider` on a free port.
pub(super) struct Provider {
    child: Child,
    out: BufReader<ChildStdout>,
    pub(super) url: String,
}

impl Provider {
    pub(super) async fn start(folder: &Path, args: &[&str]) -> Self {
        let mut child = rollcall(folder)
            .env_remove("ROLLCALL_PROVIDER_APIS")
            .args(["provider", "--port", "0"])
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        timeout(PATIENCE, out.read_line(&mut first)).await.unwrap().unwrap();
        let url = first.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
        Self { url: url.trim_end_matches('.').to_owned(), child, out }
    }

    /// Stops it, and returns what it printed.
    pub(super) async fn stop(mut self) -> String {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").arg(id).status().await.unwrap().success());
        assert!(timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap().success());
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).await.unwrap();
        rest
    }
}

/// A gateway that asks this provider.
pub(super) async fn gateway(folder: &Path, provider: &str) -> Running {
    let apis = EXAMPLE_APIS.replace("http://127.0.0.1:9700", provider);
    let child = rollcall(folder)
        .env("ROLLCALL_PROVIDER_APIS", apis)
        .args(["--port", "0", "--dynamodb-port", "0", "--in-memory"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    Running::listen(child).await
}

async fn reconcile(folder: &Path, url: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let done = output(rollcall(folder).arg("reconcile").args(args).args(["--url", url])).await;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (done.status.code(), text(done.stdout), text(done.stderr))
}

pub(super) async fn repaired(folder: &Path, url: &str, args: &[&str]) -> Value {
    let (code, out, errors) = reconcile(folder, url, &[args, &["--json"]].concat()).await;
    assert_eq!(code, Some(0), "{out}{errors}");
    serde_json::from_str(&out).unwrap()
}

/// The rooms with people whose roster is not the truth.
async fn wrong(running: &Running, truth: &TruthFile) -> BTreeSet<String> {
    let servers = truth.read().unwrap();
    let mut wrong = BTreeSet::new();
    for (id, room) in &servers.zego["1"] {
        let answer = running.get(&format!("/presence/zego/1/rooms/{id}?limit=1000")).await;
        let members = answer["members"].as_array().cloned().unwrap_or_default();
        let members: BTreeSet<&str> =
            members.iter().map(|member| member["user"].as_str().unwrap()).collect();
        if members != room.people.keys().map(String::as_str).collect() {
            wrong.insert(id.clone());
        }
    }
    wrong
}

#[tokio::test]
async fn lost_callbacks_leave_wrong_rosters_and_a_pass_repairs_them() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let provider = Provider::start(folder, &[]).await;
    let running = gateway(folder, &provider.url).await;
    let sent =
        running.send(folder, &["zego", "--count", "400", "--seed", "7", "--lose", "20"]).await;
    assert!(sent.contains("320 callbacks of 400 events"), "{sent}");
    assert!(sent.contains("lost           80"), "{sent}");
    let truth = TruthFile::at(folder.join(TruthFile::DEFAULT));
    let before = wrong(&running, &truth).await;
    assert!(!before.is_empty(), "nothing to repair");

    let would = repaired(folder, &running.url, &["zego", "1", "--dry-run"]).await;
    assert_eq!(would["stored"], 0);
    assert!(would["found"]["out"].as_u64() > Some(0), "{would}");
    assert_eq!(wrong(&running, &truth).await, before, "nothing is stored");

    let (code, out, errors) = reconcile(folder, &running.url, &["zego"]).await;
    assert_eq!(code, Some(0), "{out}{errors}");
    assert!(out.contains("By the provider, "), "{out}");
    assert_eq!(wrong(&running, &truth).await, BTreeSet::new(), "{out}");

    let room = before.first().unwrap();
    let again = repaired(folder, &running.url, &["zego", "1", "--room", room]).await;
    assert_eq!(again["found"], json!({ "in": 0, "out": 0 }), "{again}");
    running.stop().await;
    let counts = provider.stop().await;
    assert!(counts.contains("DescribeUserList"), "{counts}");
}

#[tokio::test]
async fn one_lost_logout_and_one_lost_device_are_repaired() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let provider = Provider::start(folder, &[]).await;
    let running = gateway(folder, &provider.url).await;
    // Within ten seconds of a login the clocks may differ too much to say that it is over.
    let login_time = (rollcall::runtime::now().0 - 60_000).to_string();
    for user in ["ada", "bob"] {
        let login = ["zego", "room-login", "--user", user, "--login-time", &login_time];
        running.send(folder, &login).await;
    }
    let lost =
        running.send(folder, &["zego", "room-logout", "--user", "ada", "--lose", "100"]).await;
    assert!(lost.starts_with("lost: "), "{lost}");
    assert_eq!(running.get("/presence/zego/1/rooms/lobby").await["online"], 2);
    let found = repaired(folder, &running.url, &["zego", "1", "--room", "lobby"]).await;
    assert_eq!(found["found"], json!({ "in": 0, "out": 1 }), "{found}");
    assert_eq!(found["stored"], 1, "{found}");
    let room = running.get("/presence/zego/1/rooms/lobby").await;
    assert_eq!((&room["online"], &room["members"][0]["user"]), (&json!(1), &json!("bob")));

    running.send(folder, &["openim", "user-online", "--user", "ada"]).await;
    running.send(folder, &["openim", "user-offline", "--user", "ada", "--lose", "100"]).await;
    running.send(folder, &["openim", "user-register", "--user", "eve", "--lose", "100"]).await;
    let found = repaired(folder, &running.url, &["openim", "registrations"]).await;
    assert_eq!(found["next"], Value::Null);
    let eve = running.get("/registrations/openim/main/users/eve").await;
    assert_eq!(eve["user"], "eve", "{found}");
    running.stop().await;
    provider.stop().await;
}

#[tokio::test]
async fn what_cannot_be_asked_says_why() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let provider = Provider::start(folder, &["--fail", "100", "--fail-with", "code"]).await;
    let running = gateway(folder, &provider.url).await;
    running.send(folder, &["zego", "room-login"]).await;
    let (code, _, errors) =
        reconcile(folder, &running.url, &["zego", "1", "--room", "lobby"]).await;
    assert_eq!(code, Some(1));
    assert!(errors.contains("502") && errors.contains("100000015"), "{errors}");
    let (code, _, errors) = reconcile(folder, &running.url, &["zego", "2", "--room", "a"]).await;
    assert_eq!(code, Some(1));
    assert!(errors.contains("409"), "{errors}");
    running.stop().await;
    provider.stop().await;
    let (code, _, errors) = reconcile(folder, "http://127.0.0.1:1", &["zego"]).await;
    assert_eq!(code, Some(1));
    assert!(errors.contains("start it with `cargo run`"), "{errors}");
}
