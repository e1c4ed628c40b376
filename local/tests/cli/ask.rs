//! `ask` and `erase`, against a gateway and against answers as the contract has them.

use std::{
    path::Path,
    process::Output,
    sync::atomic::{AtomicUsize, Ordering},
};

use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Running, output, rollcall,
    stub::{Asked, Stub, error, json as answer},
};

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

async fn run(folder: &Path, url: &str, args: &str) -> Said {
    output(rollcall(folder).args(args.split(' ')).args(["--url", url])).await.into()
}

#[tokio::test]
async fn what_was_sent_can_be_asked_for() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let running = Running::start(folder, &["--in-memory"]).await;
    let send = async |args: &str| {
        let said = running.send(folder, &args.split(' ').collect::<Vec<_>>()).await;
        assert!(said.starts_with("200 applied"), "{said}");
    };
    let ask = async |args: &str| run(folder, &running.url, &format!("ask {args}")).await;

    let login =
        "--user ada --name Ada --room lobby --life 7 --session 5 --login-time 1700000000000";
    send(&format!("zego room-login {login} --seq 1")).await;
    let said = ask("who-is-in lobby").await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.starts_with("lobby (life 7) is open: 1 person at 20"), "{}", said.out);
    let row = " ada   Ada   audience  2023-11-14T22:13:20.000Z  ";
    assert!(said.out.lines().last().unwrap().starts_with(row), "{}", said.out);
    let chosen =
        "rollcall: zego app 1, the first of 3 that are known; --provider and --app choose\n";
    assert_eq!(said.err, chosen);

    send(&format!("zego room-logout {login} --seq 2 --time 1700000061000")).await;
    let visits =
        " user  name  room   role      entered                   left                      \
                  for        reason  session
 ada   Ada   lobby  audience  2023-11-14T22:13:20.000Z  2023-11-14T22:14:21.000Z  \
                  1 min 1 s  normal  5
";
    assert_eq!(ask("attendance room lobby").await.out, format!("1 visit\n\n{visits}"));
    let own = visits.replace(" user ", "").replace(" ada  ", "");
    assert_eq!(
        ask("attendance user ada --from 2023-11-14").await.out,
        format!("1 visit\n\n{visits}")
    );
    assert_eq!(ask("attendance user ada --from 2023-11-15").await.out, "0 visits\n");
    let says = "ada is offline, last seen 2023-11-14T22:14:21.000Z\n\n";
    assert_eq!(ask("user ada").await.out, format!("{says}{own}"));

    let said = ask("--json user ada").await;
    let mut asked: Value = serde_json::from_str(&said.out).unwrap();
    let mut expected = running.get("/presence/zego/1/users/ada").await;
    (asked["as_of"], expected["as_of"]) = (Value::Null, Value::Null);
    assert_eq!(asked, expected);

    send("openim user-register --user bob --name Bob").await;
    let said = ask("registration bob").await;
    assert!(said.err.starts_with("rollcall: openim app main"), "{}", said.err);
    assert!(said.out.lines().last().unwrap().starts_with(" bob   Bob   20"), "{}", said.out);
    assert!(ask("registrations").await.out.starts_with("1 registration\n"));
    send("tencent chat-login --user tom").await;
    assert!(ask("usage").await.out.starts_with("1 active user in 20"));
    let online = " user    online  last seen\n ada     no      2023-11-14T22:14:21.000Z\n \
                  nobody  no      -\n";
    assert_eq!(ask("online ada nobody").await.out, online);

    for (args, says) in [
        ("user nobody", "nobody is known as nobody in zego app 1"),
        ("who-is-in nowhere --provider openim", "no room nowhere is known in openim app main"),
        ("attendance user ada --app main", "nobody is known as ada in openim app main"),
    ] {
        let said = ask(args).await;
        assert_eq!(said.code, Some(3), "{args}: {}", said.err);
        assert!(said.err.ends_with(&format!("rollcall: {says}\n")), "{args}: {}", said.err);
        assert_eq!(said.out, "");
    }
    for (args, says) in [
        ("user ada --app 9", "say whose app 9 is, with --provider"),
        ("usage --month never", "400"),
        ("user ada --url http://127.0.0.1:1", "start it with `cargo run` in another terminal"),
    ] {
        let words: Vec<&str> = args.split(' ').collect();
        let mut command = rollcall(folder);
        command.arg("ask").args(&words);
        if !words.contains(&"--url") {
            command.args(["--url", &running.url]);
        }
        let said: Said = output(&mut command).await.into();
        assert_eq!(said.code, Some(1), "{args}");
        assert!(said.err.contains(says), "{args}: {}", said.err);
    }
    let said = ask("attendance user ada --from yesterday").await;
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("is no time"), "{}", said.err);
    running.stop().await;
}

/// Answers with one page of 2,500 members.
fn members(asked: &Asked) -> Response {
    let first: usize = asked.get("next").parse().unwrap_or_default();
    let limit: usize = asked.get("limit").parse().unwrap();
    let end = 2500.min(first + limit);
    let members: Vec<Value> = (first..end).map(|n| json!({ "user": format!("u{n}") })).collect();
    let next = (end < 2500).then(|| end.to_string());
    answer(&json!({ "room": "hall", "open": true, "online": 2500, "as_of": 5, "members": members,
        "next": next }))
}

#[tokio::test]
async fn all_pages_are_one_answer_and_a_limit_is_kept() {
    let folder = TempDir::new().unwrap();
    let stub = Stub::start(members).await;
    let ask = async |args: &str| run(folder.path(), &stub.url, &format!("ask {args}")).await;
    let said = ask("who-is-in hall --provider zego --app 1 --json").await;
    let all: Value = serde_json::from_str(&said.out).unwrap();
    let users = all["members"].as_array().unwrap().iter().map(|member| member["user"].as_str());
    assert!(users.eq(
        (0..2500).map(|n| format!("u{n}")).collect::<Vec<_>>().iter().map(|u| Some(u.as_str()))
    ));
    assert_eq!(all["next"], Value::Null);
    assert_eq!(said.err, "", "the app is named");

    let said = ask("who-is-in hall --provider zego --app 1 --limit 1500").await;
    let rows = said.out.lines().filter(|line| line.starts_with(" u") && !line.contains("user"));
    assert_eq!(rows.count(), 1500);
    assert!(said.out.ends_with("more follow with a higher --limit, or without it.\n"));
    let limits = stub
        .asked()
        .into_iter()
        .skip(3)
        .map(|path| path.split("limit=").nth(1).unwrap()[..3].to_owned());
    assert_eq!(limits.collect::<Vec<_>>(), ["100", "500"], "no more is read than is shown");
}

#[tokio::test]
async fn a_list_whose_cursor_ran_out_is_read_again() {
    let folder = TempDir::new().unwrap();
    let stub = Stub::start(|asked| match asked.number {
        1 => error(400, "bad_parameter", "`next` is of another life of the room"),
        3 => error(503, "unavailable", "just now"),
        _ => members(asked),
    })
    .await;
    let said = run(folder.path(), &stub.url, "ask who-is-in hall --json").await;
    let all: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(all["members"].as_array().unwrap().len(), 2500);
    assert_eq!(stub.asked().len(), 1 + 1 + 3 + 1, "begun again, and repeated once");
}

fn told(asked: &Asked) -> Response {
    let (noon, hour) = (1_795_694_400_000_u64, 3_600_000);
    answer(&match asked.path.as_str() {
        "/reports/zego/1/rooms" => json!({
            "room": "lesson-7", "life": "6085", "as_of": noon + 9 * hour, "began_at": noon,
            "began_assumed": false, "ended_at": noon + hour, "ended_assumed": true, "final": true, "digest": "sha256:ab", "people": 2,
            "person_ms": 5_400_000, "peak": { "online": 2, "at": noon + 5 }, "missing": 1,
            "added_later": {}, "next": null,
            "rows": [
                { "user": "ada", "name": "A\u{1b}[31mda", "roles": ["anchor", "audience"],
                  "first_entered_at": noon, "last_left_at": noon + hour, "visits": 2,
                  "present_ms": hour, "share": 0.97, "reason": "normal", "assumed": false,
                  "added_later": 1 },
                { "user": "王小明", "name": null, "roles": ["audience"], "first_entered_at": null,
                  "last_left_at": noon + 5, "visits": 1, "present_ms": 0, "share": 0.0,
                  "reason": "heartbeat_timeout", "assumed": true }
            ]
        }),
        "/reports/zego/1/users" => json!({
            "present_ms": 2_700_000, "next": null,
            "rows": [{ "day": "2026-11-26", "room": "lesson-7", "visits": 1, "present_ms": 2_700_000,
                       "assumed": true }]
        }),
        "/reports/zego/1/together" => json!({
            "a": "ada", "b": "role:anchor", "together_ms": 61_000, "assumed": true,
            "spans": [{ "from": noon, "to": noon + 61_000 }]
        }),
        "/stats/zego/1" => json!({
            "samples": [
                { "at": noon, "rooms": 3, "online": 17, "at_least": false, "took_ms": 40 },
                { "at": noon + hour, "rooms": 2, "online": 5, "at_least": true, "took_ms": 41 }],
            "peaks": [{ "hour": "2026-11-26T12", "online": 17, "at_least": true },
                      { "hour": "2026-11-26T13", "online": 5, "at_least": true }],
            "daily_peaks": [{ "day": "2026-11-26", "online": 17, "at_least": true }],
            "next": null
        }),
        "/explain/zego/1/users" => json!({
            "user": "ada",
            "rooms": [{ "room": "lesson-7", "life": "6085",
                "marks": [{ "kind": "enter", "at": noon, "session": "9", "says": "entered",
                            "order": { "time": noon, "session": "9", "sequence": 4 },
                            "rule": "superseded by session 10", "rules": ["superseded"] }],
                "stays": [{ "entered_at": noon, "left_at": noon + hour, "assumed": true,
                            "reason": "superseded" }] }],
            "devices": [{ "device": "iOS", "session": null,
                "registers": [{ "kind": "online", "at": noon, "says": "online", "rule": "newest" }],
                "stays": [{ "entered_at": noon, "left_at": null, "reason": null }] }],
            "as_of": noon + hour, "next": null
        }),
        "/users/zego/1" => json!({
            "user": "ada", "next": null,
            "items": [{ "kind": "seat", "room": "lesson-7", "details": {}, "expires_at": null,
                        "marks": [{ "event": "enter", "at": noon, "reason": null },
                                  { "event": "leave", "at": noon + 5, "reason": "normal" }] },
                      { "kind": "registration", "registered_at": noon, "name": "Ada" }]
        }),
        "/erasures/zego/1" => json!({
            "next": null, "erasures": [{ "hash": "f00d", "at": noon, "items": 12 }]
        }),
        _ => return axum::http::StatusCode::NOT_FOUND.into_response(),
    })
}

#[tokio::test]
async fn people_see_tables() {
    let folder = TempDir::new().unwrap();
    let stub = Stub::start(told).await;
    let cases = [
        (
            "report lesson-7 --settle 60",
            "\
lesson-7 (life 6085): began 2026-11-26T12:00:00.000Z, ended 2026-11-26T13:00:00.000Z (assumed), final
2 people, 1 h 30 min in all, at most 2 at the same time (2026-11-26T12:00:00.005Z), 1 callback never arrived
digest sha256:ab

 user    name           roles             first entered             last left                 visits  present  share  reason             assumed
 ada     A\\u{1b}[31mda  anchor, audience  2026-11-26T12:00:00.000Z  2026-11-26T13:00:00.000Z  2       1 h      97%    normal             no
 王小明  -              audience          -                         2026-11-26T12:00:00.005Z  1       0 ms     0%     heartbeat_timeout  yes
",
        ),
        (
            "report-user ada --timezone Asia/Shanghai",
            "\
45 min in all

 day         room      visits  present  assumed
 2026-11-26  lesson-7  1       45 min   yes
",
        ),
        (
            "stats --from 2026-11-26",
            "\
2 samples

 day         most people
 2026-11-26  17

 hour           most people
 2026-11-26T12  17
 2026-11-26T13  5

 at                        rooms  people  at least
 2026-11-26T12:00:00.000Z  3      17      no
 2026-11-26T13:00:00.000Z  2      5       yes
",
        ),
        (
            "together lesson-7 ada role:anchor",
            "\
ada and role:anchor were together for 1 min 1 s (assumed)

 from                      to                        for
 2026-11-26T12:00:00.000Z  2026-11-26T12:01:01.000Z  1 min 1 s
",
        ),
        (
            "explain ada --room lesson-7",
            "\
room lesson-7 (life 6085)

 mark   at                        session  order                        says     rule
 enter  2026-11-26T12:00:00.000Z  9        2026-11-26T12:00:00.000Z #4  entered  superseded by session 10

and so the stays are

 entered                   left                                for  reason
 2026-11-26T12:00:00.000Z  2026-11-26T13:00:00.000Z (assumed)  1 h  superseded

device iOS

 mark    at                        says    rule
 online  2026-11-26T12:00:00.000Z  online  newest

and so the stays are

 entered                   for
 2026-11-26T12:00:00.000Z  1 h
",
        ),
        (
            "data ada",
            "\
2 items about ada

 item          fields
 seat          marks=(at=2026-11-26T12:00:00.000Z event=enter), (at=2026-11-26T12:00:00.005Z event=leave reason=normal)  room=lesson-7
 registration  name=Ada  registered_at=2026-11-26T12:00:00.000Z
",
        ),
        (
            "erasures",
            "\
1 erasure

 at                        items  hash
 2026-11-26T12:00:00.000Z  12     f00d
",
        ),
    ];
    for (args, expected) in cases {
        let said = run(folder.path(), &stub.url, &format!("ask {args}")).await;
        assert_eq!(said.out, expected, "{args}: {}", said.err);
        assert_eq!(said.code, Some(0));
    }
    let asked = stub.asked();
    for parameters in [
        "room=lesson-7&settle=60",
        "user=ada&timezone=Asia%2FShanghai",
        "room=lesson-7&a=ada&b=role%3Aanchor",
        "user=ada&room=lesson-7",
    ] {
        assert!(asked.iter().any(|asked| asked.contains(parameters)), "{parameters}: {asked:?}");
    }
    let said = run(folder.path(), &stub.url, "ask usage --provider zego").await;
    assert_eq!(said.code, Some(1), "no such route is not a person who is not known");
    assert!(said.err.contains("has no GET /usage/zego/1"), "{}", said.err);
}

/// Answers about ada, of whom three deletions erase everything.
fn erasing(asked: &Asked) -> Response {
    match (asked.method.as_str(), asked.number) {
        ("GET", _) if asked.get("user") == "nobody" => error(404, "not_found", "not known"),
        ("GET", _) => answer(&json!({ "user": "ada", "items": [{}, {}, {}], "next": null })),
        ("DELETE", 1) => answer(&json!({ "user": "ada", "erased": 2, "complete": false })),
        ("DELETE", 2) => error(503, "unavailable", "just now"),
        ("DELETE", 3) => answer(&json!({ "user": "ada", "erased": 0, "complete": false })),
        _ => answer(&json!({ "user": "ada", "erased": 1, "complete": true })),
    }
}

#[tokio::test]
async fn erase_asks_first_and_goes_on_until_it_is_complete() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let stub = Stub::start(erasing).await;
    let said = run(folder, &stub.url, "erase ada").await;
    assert_eq!(said.code, Some(1));
    let says = "rollcall: there is no terminal to ask on, and nothing is erased: add --yes\n";
    assert_eq!(said.err, says);
    let said = run(folder, &stub.url, "erase ada --yes").await;
    assert_eq!(said.err, "rollcall: say in which app, with --provider and --app\n");
    assert_eq!(stub.asked(), [""; 0], "nothing is sent");

    let said = run(folder, &stub.url, "erase ada --yes --provider zego").await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("3 items are stored about ada in zego app 1.\n"), "{}", said.err);
    let says = "3 items are erased, and no answer names ada in zego app 1 any more.\nA second pass \
                follows in 15 minutes, for callbacks that their provider sends again until then.\n";
    assert_eq!(said.out, says);
    let delete = "DELETE /users/zego/1?user=ada";
    assert_eq!(
        stub.asked(),
        ["GET /users/zego/1?user=ada&limit=1000", delete, delete, delete, delete]
    );

    // An erasure that was interrupted: readers show nothing, and items may be left.
    let said = run(folder, &stub.url, "erase nobody --yes --json --provider zego").await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    let expected = json!({ "user": "nobody", "erased": 1, "complete": true });
    assert_eq!(serde_json::from_str::<Value>(&said.out).unwrap(), expected);
}

#[tokio::test]
async fn an_erasure_that_makes_no_progress_fails() {
    let folder = TempDir::new().unwrap();
    let rounds = AtomicUsize::new(0);
    let stub = Stub::start(move |asked| {
        if asked.method == "GET" {
            return answer(&json!({ "user": "ada", "items": [{}], "next": null }));
        }
        let erased = usize::from(rounds.fetch_add(1, Ordering::Relaxed) == 0);
        answer(&json!({ "user": "ada", "erased": erased, "complete": false }))
    })
    .await;
    let said = run(folder.path(), &stub.url, "erase ada --yes --provider zego").await;
    assert_eq!(said.code, Some(1));
    assert_eq!(said.out, "");
    assert!(said.err.contains("run the command again"), "{}", said.err);
}
