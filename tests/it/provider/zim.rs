//! ZIM's Server API.

use rollcall::domain::UnixMillis;
use rollcall_local::provider::{Action, Behaviour, Limits, Provider};
use rollcall_players::servers::Servers;
use serde_json::{Value, json};

use super::{NOW, get, plays, read, servers, zego};

const ONLINE_STATE: &str = "QueryUserOnlineState";

fn users() -> Servers {
    servers(json!({ "zim": { "1": {
        "user-7": { "online": ["940000000000000001"] },
        "user-8": { "is_lost": true },
        "user-9": {}
    } } }))
}

fn ask(provider: &Provider, parameters: &str, now: u64) -> Value {
    let url = zego::url(ONLINE_STATE, parameters, now);
    read(provider.answer(&get(&url), UnixMillis(now)))
}

#[test]
fn the_answer_has_the_published_shape() {
    let provider = plays(users(), Behaviour::default());
    let asked = "UserId[]=user-7&UserId[]=user-8&UserId[]=user-9&UserId[]=nobody";
    let mut answer = ask(&provider, asked, NOW);
    assert!(answer["RequestId"].take().is_string());
    let failed = |user: &str| json!({ "UserId": user, "SubCode": 660_200_001 });
    let published = json!({
        "Code": 0, "Message": "success", "RequestId": null,
        "Result": [
            { "UserId": "user-7", "Status": "Online" }, { "UserId": "user-8", "Status": "Offline" }
        ],
        "ErrorList": [failed("user-9"), failed("nobody")]
    });
    assert_eq!(answer, published);
    // If all of them failed, the request has a code, too.
    let answer = ask(&provider, "UserId[]=nobody", NOW);
    assert_eq!(
        (&answer["Code"], &answer["ErrorList"]),
        (&json!(660_200_001), &json!([failed("nobody")]))
    );
}

#[test]
fn a_request_that_is_wrong_has_a_code_and_no_lists() {
    let provider = plays(users(), Behaviour::default());
    let of = |count: usize| vec!["UserId[]=user-7"; count].join("&");
    for (at, (parameters, expected)) in
        [(of(100), 0), (of(101), 660_000_011), (String::new(), 660_000_001)].into_iter().enumerate()
    {
        let answer = ask(&provider, &parameters, NOW + at as u64 * 1000);
        assert_eq!(answer["Code"], expected, "{parameters:.40}");
        if expected != 0 {
            assert_eq!((&answer["Result"], &answer["ErrorList"]), (&json!([]), &json!([])));
        }
    }
    let right = zego::url(ONLINE_STATE, "UserId[]=user-7", NOW);
    for (from, to, expected) in [
        ("AppId=1", "AppId=2", 100_000_011),
        ("SignatureNonce=4", "SignatureNonce=5", 100_000_005),
        ("SignatureVersion=2.0", "SignatureVersion=1.0", 100_000_014),
    ] {
        assert!(right.contains(from), "{from}");
        let answer = read(provider.answer(&get(&right.replace(from, to)), UnixMillis(NOW)));
        assert_eq!(answer["Code"], expected, "{from}");
    }
    let answer = read(provider.answer(&get(&right), UnixMillis(NOW + 601_000)));
    assert_eq!(answer["Code"], 100_000_004);
}

#[test]
fn twenty_requests_of_a_second_are_answered() {
    let provider = plays(users(), Behaviour::default());
    let codes: Vec<Value> =
        (0..22).map(|_| ask(&provider, "UserId[]=user-7", NOW)["Code"].clone()).collect();
    assert!(codes[..20].iter().all(|code| *code == 0) && codes[20..].iter().all(|code| *code == 7));
    assert_eq!(ask(&provider, "UserId[]=user-7", NOW + 1000)["Code"], 0);
    let (_, count) = provider.counts()[0];
    assert_eq!((count.answered, count.refused), (21, 2));
    assert_eq!(Limits::default().per_app[&Action::QueryUserOnlineState], 20);
}
