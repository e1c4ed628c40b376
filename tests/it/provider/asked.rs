//! Rollcall's own clients, against the played servers.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use rollcall::{
    domain::{App, DeviceSays, RegistrationSource, RoomId, Says, UnixMillis, UserId},
    providers::{ProviderApis, openim::api::Page},
    runtime,
    server_api::{FollowsFrom, Patience, ServerApi, ServerApis, Transport},
};
use rollcall_local::provider::{
    Absent, Action, Behaviour, EXAMPLE_APIS, Fault, Faults, Lie, OpenImAge, Provider, Truth, serve,
};
use rollcall_players::servers::Servers;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{servers, somebody};

/// A played provider on a port, and our clients of it.
struct Played {
    provider: Arc<Provider>,
    apis: ServerApis,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Played {
    async fn start(servers: Servers, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = format!("http://{}", listener.local_addr().unwrap());
        let apis = EXAMPLE_APIS.replace("http://127.0.0.1:9700", &here);
        let apis = ProviderApis::from_json(&apis).unwrap();
        let provider = Arc::new(Provider::new(apis.clone(), Truth::always(servers), behaviour, 1));
        let served = serve(provider.clone(), Duration::ZERO, listener, std::future::pending());
        let serving = tokio::spawn(served);
        let patience = Patience { answer: Duration::from_secs(2), ..Patience::default() };
        let transport = Transport::system(patience).unwrap();
        let apis = ServerApis::new(apis, transport, Arc::new(runtime::now));
        Self { provider, apis, serving }
    }

    async fn of(&self, provider: &str, id: &str) -> ServerApi {
        let provider = rollcall::domain::ProviderName::by_name(provider).unwrap();
        self.apis.of(&App { provider, id: id.parse().unwrap() }).await.unwrap()
    }

    async fn zego(&self) -> rollcall::server_api::ZegoApi {
        let ServerApi::Zego(zego) = self.of("zego", "1").await else { panic!() };
        zego
    }

    async fn chat(&self) -> rollcall::server_api::ChatApi {
        let ServerApi::Chat(chat) = self.of("tencent", "1400000000").await else { panic!() };
        chat
    }

    async fn openim(&self) -> rollcall::server_api::OpenImApi {
        let ServerApi::OpenIm(openim) = self.of("openim", "main").await else { panic!() };
        openim
    }

    fn refused(&self) -> u64 {
        self.provider.counts().iter().map(|(_, count)| count.refused).sum()
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn users(names: &[&str]) -> Vec<UserId> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn lobby() -> RoomId {
    "lobby".parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_of_several_pages_is_walked_without_a_refusal() {
    let people: serde_json::Map<String, Value> = (0..450)
        .map(|number| {
            let at = runtime::now().0 - number;
            (
                format!("u{number}"),
                json!({ "session": "s", "name": "", "role": 2, "login_time": at }),
            )
        })
        .collect();
    let room = json!({ "zego": { "1": { "lobby": { "life": 7, "people": people } } } });
    let played = Played::start(servers(room), Behaviour::default()).await;
    let zego = played.zego().await;
    let (mut found, mut from) = (BTreeSet::new(), None);
    loop {
        let page = zego.user_list(&lobby(), from.as_ref()).await.unwrap().answer;
        assert_eq!(page.unreadable, 0);
        found.extend(page.people);
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(found.len(), 450);
    let asked: Vec<UserId> = found.into_iter().take(120).collect();
    let said = zego.users(&lobby(), &asked).await.unwrap();
    assert_eq!(said.len(), 120);
    assert!(said.iter().all(|said| matches!(said.seen.says, Says::In { login: Some(_), .. })));
    assert_eq!(played.refused(), 0, "{:?}", played.provider.counts());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_in_a_room_is_out_however_zego_says_it() {
    for absent in [Absent::Status, Absent::NotOnline, Absent::NoSuchUser] {
        let played = Played::start(somebody(), Behaviour { absent, ..Behaviour::default() }).await;
        let said = played.zego().await.users(&lobby(), &users(&["ada", "bob"])).await.unwrap();
        let of = |name: &str| said.iter().find(|said| said.user.as_str() == name).unwrap();
        assert!(matches!(of("ada").seen.says, Says::In { .. }), "{absent:?}");
        assert_eq!(of("bob").seen.says, Says::Out, "{absent:?}");
        assert_eq!(of("bob").follows_from, FollowsFrom::Name);
    }
    let played = Played::start(Servers::default(), Behaviour::default()).await;
    let said = played.zego().await.users(&lobby(), &users(&["ada"])).await.unwrap();
    assert_eq!((said[0].seen.says, said[0].follows_from), (Says::Out, FollowsFrom::NoSuchRoom));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_devices_of_chat_and_openim_are_those_that_are_connected() {
    let played = Played::start(
        servers(json!({
            "chat": { "1400000000": {
                "ada": { "platforms": { "Web": "Online", "iOS": "Push" } }, "bob": {}
            } },
            "openim": { "main": { "ada": { "platforms": [1, 5] } } }
        })),
        Behaviour::default(),
    )
    .await;
    let device = |name: &str| name.parse().unwrap();
    let asked = users(&["ada", "bob", "eve"]);
    let said = played.chat().await.online_status(&asked).await.unwrap();
    let of = |name: &str| said.iter().find(|said| said.user.as_str() == name);
    let ada = &of("ada").unwrap().devices;
    assert_eq!(ada.says(&device("Web")), Some(DeviceSays::Online));
    assert_eq!(ada.says(&device("iOS")), Some(DeviceSays::Offline), "a push is no connection");
    assert_eq!(of("bob").unwrap().devices.says(&device("Web")), Some(DeviceSays::Offline));

    let said = played.openim().await.users_status(&asked).await.unwrap();
    let of = |name: &str| said.iter().find(|said| said.user.as_str() == name);
    let ada = &of("ada").unwrap().devices;
    assert_eq!(ada.says(&device("IOS")), Some(DeviceSays::Online));
    assert_eq!(ada.says(&device("Android")), Some(DeviceSays::Offline));
    assert_eq!(of("eve").unwrap().devices.says(&device("IOS")), Some(DeviceSays::Offline));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registrations_of_an_openim_server_are_read_whatever_its_age_is() {
    for openim in [OpenImAge::Current, OpenImAge::Old] {
        let played = Played::start(somebody(), Behaviour { openim, ..Behaviour::default() }).await;
        let client = played.openim().await;
        let page = client.all_users_uid(Page { number: 1, size: 10 }).await.unwrap();
        let ids: Vec<&str> = page.users.iter().map(UserId::as_str).collect();
        assert_eq!(ids, ["imAdmin", "ada"], "{openim:?}");
        let profiles =
            client.users_info(&users(&["ada", "eve"]), RegistrationSource::Callback).await.unwrap();
        assert_eq!(profiles.len(), 1);
        let day = 86_400_000;
        let now = runtime::now().0;
        let statistics = client
            .register_statistics(
                UnixMillis(super::NOW - day),
                UnixMillis(now.max(super::NOW) + day),
            )
            .await
            .unwrap();
        assert_eq!((statistics.total, statistics.before), (1, 0));
        assert_eq!(statistics.by_day.values().sum::<u64>(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_accepted_any_more_is_asked_for_again() {
    let played = Played::start(somebody(), Behaviour::default()).await;
    let client = played.openim().await;
    let asked = users(&["ada"]);
    assert_eq!(client.users_status(&asked).await.unwrap().len(), 1);
    played.provider.forget_tokens();
    assert_eq!(client.users_status(&asked).await.unwrap().len(), 1);
    let counts = played.provider.counts();
    let tokens = counts.iter().find(|(action, _)| *action == Action::GetAdminToken).unwrap().1;
    assert_eq!(tokens.answered, 2, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_follows_from_an_api_that_fails() {
    for kind in [Fault::Status, Fault::Code, Fault::Json, Fault::Hang] {
        let faults = Faults { percent: 100.0, kinds: vec![kind] };
        let played = Played::start(somebody(), Behaviour { faults, ..Behaviour::default() }).await;
        let asked = users(&["ada"]);
        let (zego, chat, openim) =
            (played.zego().await, played.chat().await, played.openim().await);
        let room = lobby();
        let (list, said, online, status) = tokio::join!(
            zego.user_list(&room, None),
            zego.users(&room, &asked),
            chat.online_status(&asked),
            openim.users_status(&asked)
        );
        assert!(list.is_err(), "{kind:?}: {list:?}");
        assert!(said.is_err(), "{kind:?}: {said:?}");
        assert!(online.is_err(), "{kind:?}: {online:?}");
        assert!(status.is_err(), "{kind:?}: {status:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_about_others_says_nothing() {
    let behaviour = Behaviour { lie: Some(Lie::OtherUsers), ..Behaviour::default() };
    let played = Played::start(somebody(), behaviour).await;
    let asked = users(&["ada"]);
    assert_eq!(played.zego().await.users(&lobby(), &asked).await.unwrap(), []);
    assert_eq!(played.chat().await.online_status(&asked).await.unwrap(), []);
    assert_eq!(played.openim().await.users_status(&asked).await.unwrap(), []);
}
