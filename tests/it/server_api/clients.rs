//! The clients: batches, limits, tokens, and what follows from an error.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use rollcall::{
    callback::Secret,
    domain::{App, ProviderName, RegistrationSource, RoomId, Says, Seen, UnixMillis, UnixSeconds},
    providers::{
        api::{ApiError, Cause},
        openim::api::Page,
    },
    runtime,
    server_api::{FollowsFrom, NoServerApi, ServerApi, ServerApis, Transport},
    user_sig::{self, Expected},
};
use serde_json::json;

use super::{
    CHAT_KEY, Clients, PATIENCE,
    server::{Asked, Deed, Server, json as answer},
    users,
};
use crate::support::{Mood, SecretsManager};

fn room() -> RoomId {
    "r".parse().unwrap()
}

/// ZEGO: `u0`, `u2`, ... are in. Of a batch with somebody else it says 50003.
fn zego_with_even_people(asked: &Asked, _: usize) -> Deed {
    let users = asked.parameter("UserId%5B%5D");
    assert!(users.len() <= 10);
    let is_in = |user: &&str| user[1..].parse::<u32>().unwrap() % 2 == 0;
    if users.iter().all(is_in) {
        let row =
            |user: &&str| json!({ "UserId": user, "Status": 1, "LoginTime": 5, "UserRole": 2 });
        let rows: Vec<_> = users.iter().map(row).collect();
        return answer(&json!({ "Code": 0, "Data": { "UserStatusList": rows } }));
    }
    answer(&json!({ "Code": 50_003, "Message": "user not online" }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_with_somebody_who_is_not_in_is_asked_one_by_one() {
    let server = Server::start(zego_with_even_people).await;
    let clients = Clients::at(&server.url()).await;
    let even = users((0..10).map(|n| format!("u{}", 2 * n)));
    let said = clients.zego.users(&room(), &even).await.unwrap();
    assert_eq!((said.len(), server.asked().len()), (10, 1));

    let mixed = users((0..11).map(|n| format!("u{n}")));
    let said = clients.zego.users(&room(), &mixed).await.unwrap();
    assert_eq!(server.asked().len(), 1 + 1 + 10 + 1);
    assert_eq!(said.iter().map(|said| said.user.clone()).collect::<Vec<_>>(), mixed);
    for (n, said) in said.iter().enumerate() {
        let is_out = said.seen.says == Says::Out;
        assert_eq!((is_out, said.follows_from), (n % 2 == 1, FollowsFrom::Name), "{said:?}");
        assert_eq!(said.seen.at, UnixMillis(clients.clock.load(Ordering::SeqCst)));
    }
    assert!(clients.zego.users(&room(), &[]).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_does_not_exist_has_nobody_in_it_and_says_that_it_is_for_that_reason() {
    let server = Server::start(|_, _| answer(&json!({ "Code": 50_001 }))).await;
    let clients = Clients::at(&server.url()).await;
    let said = clients.zego.users(&room(), &users(["a", "b"])).await.unwrap();
    assert_eq!(said.len(), 2);
    for said in said {
        let at = UnixMillis(clients.clock.load(Ordering::SeqCst));
        assert_eq!(said.seen, Seen { at, says: Says::Out });
        assert_eq!(said.follows_from, FollowsFrom::NoSuchRoom);
    }
}

/// Nothing is taken from part of an answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_in_a_later_batch_is_an_error() {
    let server = Server::start(|asked, number| match number {
        0 => zego_with_even_people(asked, 0),
        _ => answer(&json!({ "Code": 1 })),
    })
    .await;
    let clients = Clients::at(&server.url()).await;
    let people = users((0..20).map(|n| format!("u{}", 2 * n)));
    let error = clients.zego.users(&room(), &people).await.unwrap_err();
    assert_eq!(error.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_requests_are_asked_again_after_a_pause_and_not_for_ever() {
    let empty = json!({ "Code": 0, "Data": { "UserStatusList": [] } });
    let server = Server::start(move |_, number| match number {
        0 => answer(&json!({ "Code": 206 })),
        1 => Deed::Answer(429, String::new()),
        2 => answer(&empty),
        _ => answer(&json!({ "Code": 207 })),
    })
    .await;
    let clients = Clients::at(&server.url()).await;
    assert_eq!(clients.zego.users(&room(), &users(["a"])).await, Ok(Vec::new()));
    let at: Vec<Instant> = server.asked().iter().map(|asked| asked.at).collect();
    assert!(at.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_millis(950)), "{at:?}");
    let asked = server.asked();
    let nonces: BTreeSet<_> = asked.iter().map(|asked| asked.parameter("Signature")).collect();
    assert_eq!(nonces.len(), 3, "each request has a signature of its own");
    let error = clients.zego.users(&room(), &users(["a"])).await.unwrap_err();
    assert_eq!((error.code(), error.is_throttled()), (Some(207), true));
    assert_eq!(server.asked().len(), 6);
}

/// Ten a second for the app, and one page a second for each room, whoever asks at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_kept_by_everybody_who_asks_at_once() {
    let server = Server::start(|_, _| {
        answer(&json!({ "Code": 0, "Data": { "UserStatusList": [], "UserList": [] } }))
    })
    .await;
    let clients = Clients::at(&server.url()).await;
    let asking = (0..4).map(|asker| {
        let zego = clients.zego.clone();
        tokio::spawn(async move {
            for _ in 0..5 {
                zego.users(&room(), &users(["a"])).await.unwrap();
            }
            for page in 0..2 {
                let room = format!("{}", asker % 2).parse().unwrap();
                zego.user_list(&room, None).await.unwrap();
                let _ = page;
            }
        })
    });
    for task in asking.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let mut kinds: BTreeMap<String, Vec<Instant>> = BTreeMap::new();
    for asked in server.asked() {
        let room = asked.parameter("RoomId").join("");
        kinds.entry(format!("{} {room}", asked.parameter("Action")[0])).or_default().push(asked.at);
    }
    let counts: Vec<usize> = kinds.values().map(Vec::len).collect();
    assert_eq!(counts, [4, 4, 20], "{kinds:?}");
    for (kind, at) in kinds {
        let limit = if kind.starts_with("DescribeUsers") { 10 } else { 1 };
        let most = at.iter().map(|from| {
            at.iter().filter(|at| **at >= *from && **at - *from < Duration::from_secs(1)).count()
        });
        assert!(most.max().unwrap() <= limit, "{kind}: {at:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chat_is_asked_with_a_user_sig_that_is_minted_once_a_day() {
    let server = Server::start(|_, number| match number {
        4 => answer(&json!({ "ActionStatus": "FAIL", "ErrorCode": 70_052 })),
        _ => answer(&json!({
            "ActionStatus": "OK", "ErrorCode": 0,
            "QueryResult": [{ "To_Account": "u0", "Status": "Offline" }]
        })),
    })
    .await;
    let clients = Clients::at(&server.url()).await;
    let later = |by: Duration| {
        clients.clock.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    };
    let many = users((0..501).map(|n| format!("u{n}")));
    let said = clients.chat.online_status(&many).await.unwrap();
    assert_eq!((said.len(), server.asked().len()), (1, 2), "500 at a time");
    later(Duration::from_hours(23));
    clients.chat.online_status(&many[..1]).await.unwrap();
    later(Duration::from_hours(1));
    clients.chat.online_status(&many[..1]).await.unwrap();
    later(Duration::from_mins(1));
    let error = clients.chat.online_status(&many[..1]).await.unwrap_err();
    assert!(error.is_about_credentials());
    clients.chat.online_status(&many[..1]).await.unwrap();

    let sent: Vec<String> =
        server.asked().iter().map(|asked| asked.parameter("usersig").join("")).collect();
    assert_eq!(sent[0], sent[2]);
    assert_ne!(sent[2], sent[3], "a day later");
    assert_eq!(sent[3], sent[4]);
    assert_ne!(sent[4], sent[5], "Chat does not accept it any more");
    let keys = [Secret::new(CHAT_KEY.to_owned()).unwrap()];
    let expected =
        Expected { app: "1400000000".parse().unwrap(), user: "administrator".parse().unwrap() };
    let now = UnixSeconds(clients.clock.load(Ordering::SeqCst) / 1000);
    let ticket = percent_encoding::percent_decode_str(&sent[5]).decode_utf8().unwrap();
    user_sig::verify(&ticket, &expected, |_| &keys, now).unwrap();
    let asked = server.asked();
    let randoms: BTreeSet<_> = asked.iter().map(|asked| asked.parameter("random")).collect();
    assert_eq!(randoms.len(), 6);
}

fn openim_token(token: &str) -> Deed {
    let data = json!({ "token": token, "expireTimeSeconds": 7_776_000 });
    answer(&json!({ "errCode": 0, "errMsg": "", "errDlt": "", "data": data }))
}

fn openim_page() -> Deed {
    answer(&json!({ "errCode": 0, "data": { "total": 1, "userIDs": ["u7"] } }))
}

const PAGE: Page = Page { number: 1, size: 100 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_openim_token_is_kept_until_the_server_does_not_accept_it_any_more() {
    let server = Server::start(|asked, number| match (asked.path(), number) {
        ("/auth/get_admin_token", _) => openim_token(&format!("token-{number}")),
        (_, 3 | 6 | 8) => answer(&json!({ "errCode": 1501, "errMsg": "TokenExpiredError" })),
        _ => openim_page(),
    })
    .await;
    let clients = Clients::at(&server.url()).await;
    for _ in 0..3 {
        let page = clients.openim.all_users_uid(PAGE).await.unwrap();
        assert_eq!(page.users, users(["u7"]));
    }
    // Twice in a row it is an error.
    let error = clients.openim.all_users_uid(PAGE).await.unwrap_err();
    assert!(matches!(error, ApiError::Refused { code: 1501, cause: Cause::Token, .. }), "{error}");
    let sent: Vec<String> = server
        .asked()
        .iter()
        .map(|asked| {
            let token = asked.head.lines().find_map(|line| line.strip_prefix("token: "));
            format!("{} {}", asked.path().rsplit('/').next().unwrap(), token.unwrap_or(""))
        })
        .collect();
    assert_eq!(
        sent,
        [
            "get_admin_token ",
            "get_all_users_uid token-0",
            "get_all_users_uid token-0",
            "get_all_users_uid token-0",
            "get_admin_token ",
            "get_all_users_uid token-4",
            "get_all_users_uid token-4",
            "get_admin_token ",
            "get_all_users_uid token-7",
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_openim_server_is_asked_for_a_token_as_it_knows() {
    let server = Server::start(|asked, _| match asked.path() {
        "/auth/get_admin_token" => Deed::Answer(404, "404 page not found".to_owned()),
        "/auth/user_token" => {
            assert!(asked.body.contains("\"platformID\":10"), "{}", asked.body);
            openim_token("older")
        }
        "/user/get_users_info" => answer(&json!({ "errCode": 0 })),
        "/user/get_users_status" => answer(&json!({
            "errCode": 0,
            "data": { "statusList": [{ "userID": "u7", "status": 1, "platformIDs": [5] }] }
        })),
        _ => openim_page(),
    })
    .await;
    let clients = Clients::at(&server.url()).await;
    assert_eq!(clients.openim.token().await.unwrap().expose(), "older");
    let said = clients.openim.users_status(&users(["u7", "u8"])).await.unwrap();
    assert_eq!(said.len(), 1, "nothing is known of u8");
    assert_eq!(said[0].devices.online(), ["Web".parse().unwrap()]);
    let source = RegistrationSource::Callback;
    assert_eq!(clients.openim.users_info(&users(["u8"]), source).await.unwrap(), []);
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_come_from_a_secret_and_a_changed_one_is_used() {
    let manager = SecretsManager::start().await;
    let id = manager.create("apis", "{}").await;
    manager.is(Mood::Failing);
    let start = runtime::now();
    let clock = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(start.0));
    let ours = clock.clone();
    let apis = ServerApis::new(
        manager.apis(&id, Duration::from_secs(2)),
        Transport::system(PATIENCE).unwrap(),
        std::sync::Arc::new(move || UnixMillis(ours.load(Ordering::SeqCst))),
    );
    let app = App { provider: ProviderName::Zego, id: "1".parse().unwrap() };
    assert_eq!(apis.of(&app).await.unwrap_err(), NoServerApi::NotRead);
    manager.is(Mood::Well);
    clock.fetch_add(2000, Ordering::SeqCst);
    assert_eq!(apis.of(&app).await.unwrap_err(), NoServerApi::NotConfigured);
    assert!(apis.apps().await.unwrap().is_empty());
    let gone = || answer(&json!({ "Code": 50_001 }));
    let servers =
        [Server::start(move |_, _| gone()).await, Server::start(move |_, _| gone()).await];
    for (number, server) in servers.iter().enumerate() {
        let account = json!({ "server_secret": " s ", "url": server.url() });
        let text = format!("\u{feff}{}", json!({ "zego": { "1": account } }));
        manager.put(&id, &text).await;
        clock.fetch_add(600_000, Ordering::SeqCst);
        for _ in 0..2 {
            let client = apis.of(&app).await.unwrap();
            let ServerApi::Zego(zego) = client else { panic!("another provider's client") };
            zego.users(&room(), &users(["a"])).await.unwrap();
        }
        assert_eq!(server.asked().len(), 2, "server {number}");
        assert_eq!(apis.apps().await.unwrap(), std::slice::from_ref(&app));
    }
    // What cannot be read changes nothing.
    manager.put(&id, "{\"zego\":{\"1\":{\"server_secret\":7}}}").await;
    clock.fetch_add(600_000, Ordering::SeqCst);
    assert!(apis.of(&app).await.is_ok());
}
