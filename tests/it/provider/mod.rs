//! The server APIs that `rollcall provider` plays answer as the providers' do: their shapes, codes,
//! pages, limits and signatures.

mod asked;
mod chat;
mod openim;
mod truth;
mod zego;
mod zim;

use bytes::Bytes;
use http::{Request, Response};
use rollcall::{domain::UnixMillis, providers::ProviderApis};
use rollcall_local::provider::{Behaviour, EXAMPLE_APIS, Fault, Faults, Provider, Truth, serve};
use rollcall_players::servers::Servers;
use serde_json::{Value, json};

/// 2026-11-26T12:00:00Z.
const NOW: u64 = 1_795_694_400_000;

/// Plays this truth as it is configured for the example apps.
fn plays(servers: Servers, behaviour: Behaviour) -> Provider {
    let accounts = ProviderApis::from_json(EXAMPLE_APIS).unwrap();
    Provider::new(accounts, Truth::always(servers), behaviour, 1)
}

fn servers(json: Value) -> Servers {
    serde_json::from_value(json).unwrap()
}

fn get(url: &str) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).unwrap()
}

fn read(response: Option<Response<String>>) -> Value {
    let response = response.unwrap();
    assert_eq!(response.status(), 200, "the providers' errors have status 200, too");
    serde_json::from_str(response.body()).unwrap()
}

/// Somebody in each provider.
fn somebody() -> Servers {
    servers(json!({
        "zego": { "1": { "lobby": { "life": 7, "people": {
            "ada": { "session": "s", "name": "Ada", "role": 1, "login_time": NOW - 5000 }
        } } } },
        "chat": { "1400000000": { "ada": { "platforms": { "iOS": "Online" } } } },
        "openim": { "main": { "ada": {
            "profile": { "nickname": "Ada", "create_time": NOW - 5000 }, "platforms": [1]
        } } }
    }))
}

#[test]
fn a_request_fails_as_it_is_told() {
    let request = get(&zego::url("DescribeUserNum", "RoomId[]=lobby", NOW));
    for kind in [Fault::Status, Fault::Code, Fault::Json, Fault::Hang] {
        let faults = Faults { percent: 100.0, kinds: vec![kind] };
        let provider = plays(somebody(), Behaviour { faults, ..Behaviour::default() });
        let response = provider.answer(&request, UnixMillis(NOW));
        let json = response
            .as_ref()
            .map(|response| serde_json::from_str::<Value>(response.body()).map_err(|_| "no JSON"));
        match kind {
            Fault::Status => assert_eq!(response.unwrap().status(), 503),
            Fault::Code => assert_eq!(json.unwrap().unwrap()["Code"], 100_000_015),
            Fault::Json => assert_eq!(json, Some(Err("no JSON"))),
            Fault::Hang => assert!(response.is_none()),
        }
        let expected = u64::from(kind != Fault::Json);
        let (_, count) = provider.counts()[0];
        assert_eq!((count.failed, count.answered), (1, 1 - expected));
    }
    let faults = Faults { percent: 30.0, kinds: vec![Fault::Code] };
    let provider = plays(somebody(), Behaviour { faults, ..Behaviour::default() });
    let failed = (0..1000)
        .filter(|at| {
            let at = NOW + at * 1000;
            let request = get(&zego::url("DescribeUserNum", "RoomId[]=lobby", at));
            read(provider.answer(&request, UnixMillis(at)))["Code"] != 0
        })
        .count();
    assert!((250..350).contains(&failed), "{failed} of 1000 are 30%");
}

#[test]
fn what_has_no_path_is_not_found() {
    let provider = plays(somebody(), Behaviour::default());
    for request in [
        get("http://h/v4/openim/query_online_status"),
        get("http://h/user/get_users"),
        get("http://h/DescribeUsers"),
        Request::post("http://h/?Action=DescribeUsers").body(Bytes::new()).unwrap(),
        Request::post("http://h/auth/user_token").body(Bytes::new()).unwrap(),
    ] {
        let response = provider.answer(&request, UnixMillis(NOW)).unwrap();
        assert_eq!(response.status(), 404, "{} {}", request.method(), request.uri());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_apis_are_on_one_port() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let provider = std::sync::Arc::new(plays(somebody(), Behaviour::default()));
    let serving =
        tokio::spawn(serve(provider, std::time::Duration::ZERO, listener, std::future::pending()));
    let client = rollcall_players::client().unwrap();
    let now = rollcall::runtime::now().0;

    let url = zego::url("DescribeUserList", "RoomId=lobby", now);
    let url = url.replace("http://h", &base);
    let answer = client.get(url).send().await.unwrap().text().await.unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["Data"]["UserList"][0]["UserId"], "ada");

    let chat = chat::request(&json!({ "To_Account": ["ada"] }), now);
    let url = chat.uri().to_string().replace("http://h", &base);
    let answer = client.post(url).body(chat.body().clone()).send().await.unwrap();
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(answer["QueryResult"][0]["Status"], "Online");

    let token = json!({ "secret": "openIM123", "userID": "imAdmin" }).to_string();
    let request = client.post(format!("{base}/auth/get_admin_token")).header("operationID", "1");
    let answer = request.body(token).send().await.unwrap().text().await.unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["errCode"], 0);
    serving.abort();
}
