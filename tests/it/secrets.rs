//! The apps' secrets in Secrets Manager: read, kept, rotated. The tests set the time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rollcall::{
    apps::{MAX_AGE, OVERDUE, PAUSE, PAUSE_UNTIL_KNOWN},
    callback::Secret,
    domain::{UnixMillis, UnixSeconds},
    handler::Receiver,
    http::{Reply, Request},
    providers::zego::ServerSecret,
    runtime,
    user_sig::{Claims, Lifetime, SdkAppId, UserSigs},
    zego_token::{self, ZegoTokens},
};
use rollcall_players::{
    Callback, openim,
    tencent::EventName as TencentEvent,
    zego::{Event, EventName},
};
use serde_json::{Value, json};

use crate::support::{
    Database, Handlers, Log, Mood, OPENIM_PASSWORD, OTHER_SECRET, SECRET, SecretsManager,
    openim_event, tencent_event, zego_event,
};

const OLD: &str = "0fd7b3c1a1f34a7f8f6d5f1b9a1c2d3e";
const NEW: &str = "7c2f1e0d9b8a47568c3b2a1d0e9f8a7b";
const BUDGET: Duration = Duration::from_millis(1500);
const WAIT: Duration = Duration::from_millis(1500 / 4);

fn zego_apps(secrets: &[&str]) -> String {
    json!({ "zego": { "1": { "callback_secrets": secrets } } }).to_string()
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}

/// Handlers whose apps come from a secret, and a clock.
struct World {
    manager: SecretsManager,
    id: String,
    handlers: Handlers,
    start: UnixMillis,
    _database: Database,
}

impl World {
    async fn with(text: &str) -> Self {
        Self::within(BUDGET, text).await
    }

    async fn within(budget: Duration, text: &str) -> Self {
        let database = Database::start().await;
        let manager = SecretsManager::start().await;
        let id = manager.create("apps", text).await;
        let handlers = Handlers::on(&database.url);
        let apps = manager.apps(&id, budget);
        let receiver = Receiver { apps, budget, ..handlers.receiver };
        let handlers = Handlers { receiver, ..handlers };
        Self { manager, id, handlers, start: runtime::now(), _database: database }
    }

    fn after(&self, duration: Duration) -> UnixMillis {
        self.start.after(duration)
    }

    async fn login(&self, secret: &str, now: UnixMillis) -> Reply {
        self.handlers.deliver(&login("ada", secret, now), now).await
    }

    async fn status(&self, secret: &str, now: UnixMillis) -> u16 {
        self.login(secret, now).await.status.as_u16()
    }

    /// Waits for a read in the background.
    async fn readings(&self, wanted: usize) {
        let mut seen = 0;
        for _ in 0..200 {
            seen += self.manager.readings();
            if seen == wanted {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(seen, wanted);
    }
}

fn login(user: &str, secret: &str, now: UnixMillis) -> Callback {
    let event = Event { user: user.to_owned(), ..zego_event(EventName::RoomLogin, now) };
    let secret = Secret::new(secret.to_owned()).unwrap();
    event.callback(&secret, now.seconds(), &fastrand::u64(..).to_string())
}

/// The steps of `docs/operations.md`, with many concurrent requests in every step, and forged ones
/// all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_1_authentic_a_rotation_under_load_refuses_nobody_and_then_the_old_secret() {
    // This test is not about time, and a busy machine may be slow.
    let world = Arc::new(World::within(Duration::from_mins(1), &zego_apps(&[OLD])).await);
    let clock = Arc::new(AtomicU64::new(world.start.0));

    // Each request is half a second later than the one before.
    let deliver = async |secrets: &'static [&'static str], requests: usize| {
        let senders = (0..8).map(|sender| {
            let (world, clock) = (world.clone(), clock.clone());
            tokio::spawn(async move {
                for number in 0..requests / 8 {
                    let now = UnixMillis(clock.fetch_add(500, Ordering::SeqCst));
                    if number % 5 == sender % 5 {
                        assert_eq!(world.status(OTHER_SECRET, now).await, 401, "forged");
                    }
                    let secret = secrets[fastrand::usize(..secrets.len())];
                    let login = login(&format!("user{sender}-{number}"), secret, now);
                    let reply = world.handlers.deliver(&login, now).await;
                    assert_eq!(reply.status, 200, "{}", reply.body);
                }
            })
        });
        for sender in senders.collect::<Vec<_>>() {
            sender.await.unwrap();
        }
    };
    let put = |secrets: &[&str]| {
        let (old, text) = (clock.load(Ordering::SeqCst), zego_apps(secrets));
        let (world, clock) = (world.clone(), clock.clone());
        // At any moment, while requests are in progress.
        tokio::spawn(async move {
            while clock.load(Ordering::SeqCst) < old + 5000 {
                tokio::task::yield_now().await;
            }
            world.manager.put(&world.id, &text).await;
        })
    };

    deliver(&[OLD], 96).await;
    let both = put(&[NEW, OLD]);
    deliver(&[OLD], 96).await;
    both.await.unwrap();
    // More than 40 s later, ZEGO's servers change to the new secret one after the other.
    deliver(&[OLD, NEW], 400).await;
    let one = put(&[NEW]);
    deliver(&[NEW], 400).await;
    one.await.unwrap();
    clock.fetch_add(ms(OVERDUE), Ordering::SeqCst);
    deliver(&[NEW], 80).await;

    let now = UnixMillis(clock.load(Ordering::SeqCst));
    assert_eq!(world.status(OLD, now).await, 401, "it was taken away");
    let lasted = Duration::from_millis(now.0 - world.start.0);
    let most = usize::try_from(lasted.as_secs() / PAUSE.as_secs()).unwrap() + 1;
    let readings = world.manager.readings();
    assert!((3..=most).contains(&readings), "{readings} readings in {lasted:?}");
}

#[tokio::test]
async fn a_new_secret_is_known_when_it_is_first_used() {
    let world = World::with(&zego_apps(&[OLD])).await;
    assert_eq!(world.status(OLD, world.start).await, 200);
    world.manager.put(&world.id, &zego_apps(&[NEW, OLD])).await;
    assert_eq!(world.status(NEW, world.after(PAUSE)).await, 200);
    assert_eq!(world.manager.readings(), 2);
    // And an app that was not there before.
    let two = json!({ "zego": { "2": { "callback_secrets": [NEW] } } });
    world.manager.put(&world.id, &two.to_string()).await;
    assert_eq!(world.status(NEW, world.after(PAUSE)).await, 200, "not asked before it is time");
    assert_eq!(world.status(OTHER_SECRET, world.after(PAUSE * 2)).await, 401);
    assert_eq!(world.status(NEW, world.after(PAUSE * 2)).await, 401, "app 1 is gone");
}

/// Whatever an attacker sends, Secrets Manager is read once in half a minute.
#[tokio::test]
async fn forged_requests_do_not_reach_secrets_manager() {
    let world = World::with(&zego_apps(&[OLD])).await;
    assert_eq!(world.status(OLD, world.start).await, 200);
    assert_eq!(world.manager.readings(), 1);
    for second in 0..30 {
        let now = world.after(Duration::from_secs(second));
        for _ in 0..5 {
            assert_eq!(world.status(OTHER_SECRET, now).await, 401);
        }
        let other = Event { app: "9".to_owned(), ..zego_event(EventName::RoomLogin, now) };
        let secret = Secret::new(OLD.to_owned()).unwrap();
        let unknown = other.callback(&secret, now.seconds(), "1");
        assert_eq!(world.handlers.deliver(&unknown, now).await.status, 401);
        let late = other.callback(&secret, UnixSeconds(now.seconds().0 - 700), "1");
        assert_eq!(world.handlers.deliver(&late, now).await.status, 401);
        assert_eq!(world.manager.readings(), 0, "after {second} s");
    }
    assert_eq!(world.status(OTHER_SECRET, world.after(PAUSE)).await, 401);
    assert_eq!(world.manager.readings(), 1);
}

#[tokio::test]
async fn a_secret_is_read_again_beside_the_store_and_before_if_it_is_overdue() {
    let world = World::with(&zego_apps(&[OLD])).await;
    assert_eq!(world.status(OLD, world.start).await, 200);
    world.readings(1).await;
    world.manager.put(&world.id, &zego_apps(&[NEW])).await;
    let aged = world.after(MAX_AGE).before(Duration::from_secs(1));
    assert_eq!(world.status(OLD, aged).await, 200);
    world.readings(0).await;
    // No request waits for this read, so the old secret is accepted once more.
    world.manager.is(Mood::Hanging);
    let started = Instant::now();
    assert_eq!(world.status(OLD, world.after(MAX_AGE)).await, 200);
    assert!(started.elapsed() < WAIT, "{:?}", started.elapsed());
    world.readings(1).await;
    world.manager.is(Mood::Well);
    tokio::time::sleep(BUDGET).await;
    let _ = world.manager.readings();
    assert_eq!(world.status(OLD, world.after(OVERDUE)).await, 401, "overdue: read, then verified");
    assert_eq!(world.status(NEW, world.after(OVERDUE)).await, 200);
    assert_eq!(world.manager.readings(), 1);
}

#[tokio::test]
async fn promise_8_discreet_the_last_good_value_stays_and_no_value_is_logged() {
    let (log, _guard) = Log::capture();
    let world = World::with(&zego_apps(&[OLD])).await;
    assert_eq!(world.status(OLD, world.start).await, 200);
    let mut pauses = 1;
    let mut refused = async |says: &str| {
        let now = world.after(PAUSE * pauses);
        pauses += 1;
        assert_eq!(world.status(NEW, now).await, 401);
        assert_eq!(world.status(OLD, now).await, 200);
        // A read may take longer than any request waits for it.
        for _ in 0..300 {
            if log.text().contains(says) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{says}: {}", log.text());
    };
    world.manager.put(&world.id, &zego_apps(&[NEW, OLD])).await;
    world.manager.is(Mood::Garbled);
    refused("its answer cannot be read").await;
    world.manager.is(Mood::Failing);
    refused("InternalServiceError: a bad day").await;
    world.manager.is(Mood::Hanging);
    refused("timeout").await;
    world.manager.is(Mood::Well);
    for text in [
        format!("{NEW} is not JSON"),
        format!(r#"{{"zego":{{"1":{{"callback_secrets":"{NEW}"}}}}}}"#),
        format!(r#"{{"zego":{{"1":{{"callback_secret":["{NEW}"]}}}}}}"#),
        format!(r#"{{"{NEW}":{{}}}}"#),
    ] {
        world.manager.put(&world.id, &text).await;
        refused("the secret is broken at line 1, column").await;
    }
    let twice = format!(r#""1":{{"callback_secrets":["{NEW}"]}}"#);
    world.manager.put(&world.id, &format!(r#"{{"zego":{{{twice},{twice}}}}}"#)).await;
    refused("the secret names the zego app `1` twice").await;
    world.manager.put(&world.id, &zego_apps(&[NEW])).await;
    let now = world.after(PAUSE * pauses);
    assert_eq!(world.status(NEW, now).await, 200, "and a good value is taken again");
    for secret in [OLD, NEW, OTHER_SECRET] {
        assert!(!log.text().contains(secret), "{}", log.text());
    }
    assert!(log.text().contains("last_good"), "{}", log.text());
}

/// A secret that was saved on Windows and pasted with a line feed.
#[tokio::test]
async fn faults_of_a_stored_secret_are_logged_once_for_each_version_and_it_works() {
    let surrounded = format!("\u{feff}{}", zego_apps(&[&format!("{OLD}\r\n"), "\u{a0}"]));
    let world = World::with(&surrounded).await;
    let (log, _guard) = Log::capture();
    let warnings = |says: &str| log.text().matches(says).count();
    let (trimmed, blank) =
        ("`callback_secrets` has white space", "`callback_secrets` is empty or blank");
    for times in 0..5 {
        assert_eq!(world.status(OLD, world.after(MAX_AGE * times)).await, 200);
        world.readings(1).await;
        // Log what was read, too.
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!((warnings(trimmed), warnings(blank)), (1, 1), "{}", log.text());
    }
    world.manager.put(&world.id, &format!("{surrounded}\n")).await;
    assert_eq!(world.status(OLD, world.after(OVERDUE * 4)).await, 200);
    assert_eq!((warnings(trimmed), warnings(blank)), (2, 2), "{}", log.text());
    assert!(log.text().contains("provider=\"zego\" app=1"), "{}", log.text());
    assert!(!log.text().contains(OLD));
}

/// The callbacks of all providers, each signed as it should be.
fn of_all_providers(now: UnixMillis) -> Vec<(&'static str, Callback)> {
    let secret = |text: &str| Secret::new(text.to_owned()).unwrap();
    let basic = rollcall::providers::openim::Basic::new("openim", secret(OPENIM_PASSWORD)).unwrap();
    let openim_app =
        rollcall::providers::openim::AppCredentials { secrets: Vec::new(), basic: vec![basic] };
    let online = openim_event(openim::EventName::UserOnline, now);
    let chat = tencent_event(TencentEvent::ChatLogin, now);
    let trtc = tencent_event(TencentEvent::TrtcEnter, now);
    vec![
        ("code", login("ada", OLD, now)),
        ("errMsg", online.callback(&openim_app)),
        ("ErrorInfo", chat.callback(&secret(OLD))),
        ("code", trtc.callback(&secret(OLD))),
    ]
}

fn apps_of_all_providers() -> String {
    json!({
        "zego": { "1": { "callback_secrets": [OLD] } },
        "openim": { "main": { "basic": [{ "user": "openim", "password": OPENIM_PASSWORD }] } },
        "tencent": { "1400000000": { "chat_tokens": [OLD], "trtc_keys": [OLD] } }
    })
    .to_string()
}

#[tokio::test]
async fn promise_6_on_time_without_secrets_the_answer_is_503_in_the_providers_dialect() {
    let world = World::with(&apps_of_all_providers()).await;
    let mut seconds = 0;
    for mood in [Mood::Hanging, Mood::Failing, Mood::Garbled] {
        world.manager.is(mood);
        for (field, _) in of_all_providers(world.start) {
            seconds += 2;
            let now = world.after(Duration::from_secs(seconds));
            for (other, callback) in of_all_providers(now) {
                if other != field {
                    continue;
                }
                let started = Instant::now();
                let reply = world.handlers.deliver(&callback, now).await;
                assert!(started.elapsed() < BUDGET, "{mood:?}: {:?}", started.elapsed());
                assert_eq!(reply.status, 503, "{mood:?}: {}", reply.body);
                assert_eq!(reply.outcome, Some("rejected"));
                let body: Value = serde_json::from_str(&reply.body).unwrap();
                assert!(!body[field].is_null(), "{}", reply.body);
                assert!(reply.body.contains("could not be loaded yet"), "{}", reply.body);
            }
        }
        // The hanging reads have ended by now.
        tokio::time::sleep(BUDGET).await;
    }
    assert!(world.manager.readings() > 0);
    world.manager.is(Mood::Well);
    let now = world.after(Duration::from_secs(seconds) + PAUSE_UNTIL_KNOWN);
    for (_, callback) in of_all_providers(now) {
        let reply = world.handlers.deliver(&callback, now).await;
        assert_eq!(reply.outcome, Some("applied"), "{}", reply.body);
    }
    assert_eq!(world.manager.readings(), 1, "one is enough for all");
}

/// A request that can be verified does not wait. One that cannot waits a little, once in half a
/// minute.
#[tokio::test]
async fn promise_6_on_time_a_hanging_secrets_manager_delays_nobody_beyond_the_wait() {
    let world = World::with(&zego_apps(&[OLD])).await;
    assert_eq!(world.status(OLD, world.start).await, 200);
    world.manager.is(Mood::Hanging);
    let within = WAIT + Duration::from_millis(300);
    for (secret, after, status) in [
        (OTHER_SECRET, PAUSE, 401),
        (OLD, PAUSE, 200),
        (OLD, MAX_AGE, 200),
        (OLD, OVERDUE, 200),
        (OLD, OVERDUE * 6, 200),
    ] {
        let started = Instant::now();
        assert_eq!(world.status(secret, world.after(after)).await, status);
        assert!(started.elapsed() < within, "{after:?}: {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn user_sigs_keys_are_read_like_all_others() {
    let world = World::with(&json!({ "tencent": {} }).to_string()).await;
    let user_sigs = UserSigs { apps: world.handlers.receiver.apps.clone() };
    let ask = async |path: &str, body: Value, now: UnixMillis| {
        let request = Request::post(path, body.to_string(), now);
        let reply = user_sigs.answer(&request).await;
        (reply.status.as_u16(), serde_json::from_str::<Value>(&reply.body).unwrap())
    };
    let mint = json!({ "sdk_app_id": 1_400_000_000, "user_id": "ada" });
    world.manager.is(Mood::Failing);
    let (status, body) = ask("/tencent/user-sig", mint.clone(), world.start).await;
    assert_eq!((status, &body["error"]["code"]), (503, &json!("unavailable")));
    world.manager.is(Mood::Well);
    // The failed read is tried again, for as long as an answer may take.
    tokio::time::sleep(BUDGET).await;
    let now = world.after(PAUSE_UNTIL_KNOWN);
    assert_eq!(ask("/tencent/user-sig", mint.clone(), now).await.0, 404);

    let keys =
        |keys: &[&str]| json!({ "tencent": { "1400000000": { "secret_keys": keys } } }).to_string();
    world.manager.put(&world.id, &keys(&[OLD])).await;
    let now = world.after(PAUSE * 2);
    let (status, minted) = ask("/tencent/user-sig", mint, now).await;
    assert_eq!(status, 200, "an app that is new: {minted}");

    world.manager.put(&world.id, &keys(&[NEW, OLD])).await;
    let now = world.after(PAUSE * 3);
    let claims = Claims {
        app: SdkAppId::try_from(1_400_000_000).unwrap(),
        user: "ada".parse().unwrap(),
        issued_at: now.seconds(),
        lifetime: Lifetime::DEFAULT,
    };
    let ticket = claims.user_sig(&Secret::new(NEW.to_owned()).unwrap()).unwrap();
    let verify =
        json!({ "sdk_app_id": 1_400_000_000, "user_id": "ada", "user_sig": ticket.expose() });
    let (_, verdict) = ask("/tencent/user-sig/verify", verify, now).await;
    assert_eq!(verdict["valid"], true, "a key that is new: {verdict}");
    let ticket = claims.user_sig(&Secret::new(SECRET.to_owned()).unwrap()).unwrap();
    let forged =
        json!({ "sdk_app_id": 1_400_000_000, "user_id": "ada", "user_sig": ticket.expose() });
    let (_, verdict) = ask("/tencent/user-sig/verify", forged, now).await;
    assert_eq!(verdict["code"], 70009);
}

#[tokio::test]
async fn the_keys_of_zegos_tokens_are_read_like_all_others() {
    let world = World::with(&json!({ "zego": {} }).to_string()).await;
    let tokens = ZegoTokens { apps: world.handlers.receiver.apps.clone() };
    let ask = async |path: &str, body: Value, now: UnixMillis| {
        let request = Request::post(path, body.to_string(), now);
        let reply = tokens.answer(&request).await;
        (reply.status.as_u16(), serde_json::from_str::<Value>(&reply.body).unwrap())
    };
    let mint = json!({ "app_id": 1, "user_id": "ada" });
    world.manager.is(Mood::Failing);
    let (status, body) = ask("/zego/token", mint.clone(), world.start).await;
    assert_eq!((status, &body["error"]["code"]), (503, &json!("unavailable")));
    world.manager.is(Mood::Well);
    // The failed read is tried again, for as long as an answer may take.
    tokio::time::sleep(BUDGET).await;
    let now = world.after(PAUSE_UNTIL_KNOWN);
    assert_eq!(ask("/zego/token", mint.clone(), now).await.0, 404);

    let keys = |keys: &[&str]| json!({ "zego": { "1": { "server_secrets": keys } } }).to_string();
    world.manager.put(&world.id, &keys(&[OLD])).await;
    let (status, minted) = ask("/zego/token", mint, world.after(PAUSE * 2)).await;
    assert_eq!(status, 200, "an app that is new: {minted}");

    world.manager.put(&world.id, &keys(&[NEW, OLD])).await;
    let now = world.after(PAUSE * 3);
    let token = |secret: &str| {
        let claims = zego_token::Claims {
            app: zego_token::ZegoAppId::try_from(1).unwrap(),
            user: "ada".parse().unwrap(),
            issued_at: now.seconds(),
            lifetime: zego_token::Lifetime::DEFAULT,
            room: None,
        };
        let secret = Secret::new(secret.to_owned()).unwrap();
        let token = claims.token(&ServerSecret::new(&secret).unwrap()).unwrap();
        json!({ "app_id": 1, "user_id": "ada", "token": token.expose() })
    };
    world.manager.readings();
    let (_, verdict) = ask("/zego/token/verify", token(NEW), now).await;
    assert_eq!(verdict["valid"], true, "a key that is new: {verdict}");
    assert_eq!(world.manager.readings(), 1);
    // A token that cannot be decrypted causes a read, once in half a minute, as any other does.
    for _ in 0..5 {
        let (_, verdict) = ask("/zego/token/verify", token(SECRET), now).await;
        assert_eq!(verdict["code"], 1_002_033);
    }
    assert_eq!(world.manager.readings(), 0);
}
