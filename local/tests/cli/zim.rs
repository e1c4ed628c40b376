//! ZEGO's ZIM at the command line: `send`, `ask`, and the repair of who is online.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Running, output, provider, rollcall};

#[tokio::test]
async fn zim_s_devices_and_rooms() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let running = Running::start(folder, &["--in-memory"]).await;
    let sent = async |args: &str| {
        let args: Vec<&str> = ["zego"].into_iter().chain(args.split(' ')).collect();
        running.send(folder, &args).await
    };
    let ask = async |args: &str| {
        let mut command = rollcall(folder);
        command.arg("ask").args(args.split(' ')).args(["--provider", "zego", "--app", "1"]);
        let said = output(command.args(["--url", &running.url])).await;
        assert_eq!(said.status.code(), Some(0), "{args}: {said:?}");
        String::from_utf8(said.stdout).unwrap()
    };
    let ok = "200 applied {\"code\":0}\n";
    let login = "user-action --user ada --os WEB --login-time 1700000000000 --session 9";
    assert_eq!(sent(login).await, ok);
    assert_eq!(sent(login).await, "200 duplicate {\"code\":0}\n");
    let said = ask("user ada").await;
    assert!(said.starts_with("ada is online, last seen 2023-11-14T22:13:20.000Z"), "{said}");
    assert!(said.lines().last().unwrap().starts_with(" WEB "), "{said}");
    let registered = ask("registrations").await;
    assert!(registered.starts_with("1 registration\n"), "{registered}");
    let known = running.get("/registrations/zego/1/users/ada").await;
    assert_eq!(known["source"], "first_login", "{known}");
    assert_eq!(ask("usage --month 2023-11").await, "1 active user in 2023-11\n");

    // The session is remembered from one command to the next.
    assert_eq!(sent("user-action --user ada --action offline --time 1700000060000").await, ok);
    let said = ask("user ada").await;
    assert!(said.starts_with("ada is offline, last seen 2023-11-14T22:14:20.000Z"), "{said}");
    assert!(said.lines().last().unwrap().ends_with(" disconnected  9"), "{said}");
    let why = ask("explain ada").await;
    for part in [
        "device WEB (session 9)",
        "user_action: the session logged in at login_time 1700000000000",
        "user_action: action 2 (the connection was lost) at 1700000060000",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }

    // Rooms of ZIM beside RTC's of the same id.
    for event in ["zim-room-create", "room-enter --user ada", "room-enter --user bob"] {
        assert_eq!(sent(&format!("{event} --room lobby")).await, ok, "{event}");
    }
    assert_eq!(sent("room-login --user eve --room lobby").await, ok);
    let said = ask("who-is-in z:lobby").await;
    assert!(said.starts_with("z:lobby is open: 2 people at "), "{said}");
    assert!(ask("who-is-in lobby").await.contains("is open: 1 person at "));
    let why = ask("explain bob").await;
    assert!(why.contains("room z:lobby") && why.contains("room_enter: entered the room"), "{why}");
    // In the second of the entry it is stale, and counts all the same.
    let out = sent("room-exit --user bob --other ada --kicked --room lobby").await;
    assert!(out == ok || out == ok.replace("applied", "stale"), "{out}");
    let visits = ask("attendance room z:lobby").await;
    assert_eq!(visits.matches(" kicked").count(), 2, "{visits}");
    assert_eq!(sent("room-destroy --room lobby").await, ok);
    assert!(ask("who-is-in lobby").await.contains("is open: 1 person at "));

    let refused = running.send_output(folder, &["zego", "room-enter", "--count", "3"]).await;
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && why.contains("send it without --count"), "{why}");
    assert!(sent("user-action --secret wrong").await.starts_with("401 rejected"));
    running.stop().await;
}

#[tokio::test]
async fn a_session_whose_end_was_lost_is_repaired() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let played = provider::Provider::start(folder, &[]).await;
    let running = provider::gateway(folder, &played.url).await;
    let login_time = (rollcall::runtime::now().0 - 60_000).to_string();
    for user in ["ada", "bob"] {
        let login = ["zego", "user-action", "--user", user, "--login-time", &login_time];
        running.send(folder, &login).await;
    }
    let logout = ["zego", "user-action", "--user", "ada", "--action", "logout", "--lose", "100"];
    assert!(running.send(folder, &logout).await.starts_with("lost: "));
    assert_eq!(running.get("/presence/zego/1/users/ada").await["online"], true);
    let found = provider::repaired(folder, &running.url, &["zego", "1", "--user", "ada"]).await;
    assert_eq!(found["found"], json!({ "in": 0, "out": 1 }), "{found}");
    assert_eq!(found["stored"], 1, "{found}");
    for (user, is_online) in [("ada", false), ("bob", true)] {
        let answer = running.get(&format!("/presence/zego/1/users/{user}")).await;
        assert_eq!(answer["online"], is_online, "{answer}");
    }
    // A pass over the app asks about people and about rooms.
    let found = provider::repaired(folder, &running.url, &["zego", "1"]).await;
    assert_eq!((&found["people"], &found["complete"]), (&json!(2), &json!(true)), "{found}");
    let bob = running.get("/presence/zego/1/users/bob").await;
    assert_ne!(bob["checked_at"], Value::Null, "{bob}");
    running.stop().await;
    let counts = played.stop().await;
    assert!(counts.contains("QueryUserOnlineState"), "{counts}");
}
