//! Checks on arbitrary bytes: the bodies of the targets in `fuzz/`, which a test also runs over the
//! corpus. Each panics if a rule does not hold.

pub mod provider_answers;

use std::{any::TypeId, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Method};

use crate::{
    callback::{Callback, Provider, Rejection, Secret},
    domain::{Change, Mark, Outcome, SessionMark, UnixMillis},
    erase,
    http::Request,
    providers::{
        self, Apps, Configured,
        openim::OpenIm,
        tencent::{Chat, RoomEngine, Trtc, sign_chat, sign_trtc},
        zego::{self, Zego},
    },
    query,
    routes::callbacks,
    store, user_sig, zego_token,
};

const SECRET: &str = "5f4dcc3b5aa765d61d8327deb882cf99";
const APPS: &str = r#"{
    "zego": {"1": {"callback_secrets": ["5f4dcc3b5aa765d61d8327deb882cf99"]}},
    "openim": {"main": {"basic": [{"user": "u", "password": "5f4dcc3b5aa765d61d8327deb882cf99"}]}},
    "tencent": {"1400000000": {"chat_tokens": ["5f4dcc3b5aa765d61d8327deb882cf99"],
                               "trtc_keys": ["5f4dcc3b5aa765d61d8327deb882cf99"],
                               "live_tokens": ["5f4dcc3b5aa765d61d8327deb882cf99"],
                               "room_path_keys": ["5f4dcc3b5aa765d61d8327deb882cf99"]}}}"#;
/// The moment at which everything arrives.
const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const MAX_AGE: Duration = Duration::from_mins(10);

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A target by its name. It returns the number of changes that it parsed.
pub type Target = (&'static str, fn(&[u8]) -> usize);

/// All targets, by the names of their folders in `fuzz/corpus`.
pub const TARGETS: [Target; 11] = [
    ("zego", zego),
    ("openim", openim),
    ("tencent_chat", tencent_chat),
    ("tencent_trtc", tencent_trtc),
    ("tencent_room", tencent_room),
    ("provider_answers", provider_answers::check),
    ("user_sig", |data| only(user_sig::fuzz, data)),
    ("zego_token", |data| only(zego_token::fuzz, data)),
    ("keys", |data| only(store::fuzz_keys, data)),
    ("cursors", |data| only(query::fuzz_cursors, data)),
    ("parameters", |data| only(parameters, data)),
];

/// A target without changes.
fn only(target: fn(&[u8]), data: &[u8]) -> usize {
    target(data);
    0
}

/// A ZEGO body: as it is, and with a signature in front of its own fields.
#[must_use]
pub fn zego(data: &[u8]) -> usize {
    let mut requests = vec![request(data)];
    if let Some(fields) = data.strip_prefix(b"{") {
        let time = NOW.seconds().to_string();
        let signature = zego::sign(&secret(), &time, "17");
        let mut body = format!(
            r#"{{"appid":"1","timestamp":"{time}","nonce":"17","signature":"{signature}","#
        )
        .into_bytes();
        body.extend_from_slice(fields);
        requests.push(request(&body));
        requests.push(request(&[BYTE_ORDER_MARK, &body].concat()));
    }
    requests.iter().map(check_all::<Zego>).sum()
}

/// An OpenIM body, with and without the credentials of its URL.
#[must_use]
pub fn openim(data: &[u8]) -> usize {
    let mut known = request(data);
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("u:{SECRET}")));
    insert(&mut known, "authorization", &basic);
    let mut documented = known.clone();
    "command=userRegisterAfterCommand".clone_into(&mut documented.query);
    let body = [BYTE_ORDER_MARK, data].concat();
    let marked = Request { body: body.into(), ..known.clone() };
    [request(data), known, documented, marked].iter().map(check_all::<OpenIm>).sum()
}

/// A Chat query string and body, a line each: as they are, and signed.
#[must_use]
pub fn tencent_chat(data: &[u8]) -> usize {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let query = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let body = parts.next().unwrap_or_default();
    let time = NOW.seconds().to_string();
    let signed = format!(
        "{query}&SdkAppid=1400000000&RequestTime={time}&Sign={}",
        sign_chat(&secret(), &time)
    );
    let check = |query| check_all::<Chat>(&Request { query, ..request(body) });
    [query, signed].into_iter().map(check).sum()
}

/// A TRTC body, signed and not.
#[must_use]
pub fn tencent_trtc(data: &[u8]) -> usize {
    let mut known = request(data);
    insert(&mut known, "SdkAppId", "1400000000");
    insert(&mut known, "Sign", &sign_trtc(&secret(), data));
    check_all::<Trtc>(&request(data)) + check_all::<Trtc>(&known)
}

/// A query string and a body of `RoomEngine` or Live, a line each: as they are, signed, and with the
/// key in the path.
#[must_use]
pub fn tencent_room(data: &[u8]) -> usize {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let query = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let body = parts.next().unwrap_or_default();
    let time = NOW.seconds().to_string();
    let of_app = format!("{query}&SdkAppid=1400000000");
    let sign = sign_chat(&secret(), &time);
    let signed = format!("{of_app}&RequestTime={time}&Sign={sign}");
    let keyed = format!("/tencent/room/{SECRET}");
    let check = |(path, query): (&str, String)| {
        let path = path.to_owned();
        check_all::<RoomEngine>(&Request { path, query, ..request(body) })
    };
    [("/tencent/room", query), ("/tencent/room", signed), (&keyed, of_app)]
        .into_iter()
        .map(check)
        .sum()
}

/// A path and a query string with a `?` in between: asked for, and deleted. Whose data can be read can
/// be erased, and nobody else. No unreadable part of an id is replaced.
///
/// # Panics
///
/// If that does not hold.
pub fn parameters(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == b'?');
    // A gateway decodes the path, and replaces what is not UTF-8.
    let path = percent_encoding::percent_decode(parts.next().unwrap_or_default());
    let query = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let get = Request::get(&path.decode_utf8_lossy(), &query, NOW);
    let delete = Request { method: Method::DELETE, ..get.clone() };
    let (read, erased) = (query::fuzz_parameters(&get), erase::fuzz(&delete));
    for refused in [read.as_ref().err(), erased.as_ref().err()].into_iter().flatten() {
        assert!([400, 404].contains(&refused.status.as_u16()), "{refused:?}");
        assert!(serde_json::from_str::<serde_json::Value>(&refused.body).is_ok(), "{refused:?}");
    }
    let is_sent = query.contains('\u{fffd}') || query.to_ascii_lowercase().contains("%ef%bf%bd");
    #[cfg(feature = "server-api")]
    {
        let path = get.path.replacen("/presence/", "/reconcile/", 1);
        let asked = Request { method: Method::POST, path, ..get.clone() };
        if let Err(refused) = crate::reconcile::fuzz(&asked) {
            assert!([400, 404].contains(&refused.status.as_u16()), "{refused:?}");
        }
    }
    match (read, erased) {
        (Ok(Some((app, user))), Ok(person)) => {
            assert_eq!((&app, &user), (&person.app, &person.user));
            assert!(is_sent || !user.as_str().contains('\u{fffd}'), "{user:?}");
        }
        (Ok(None), Err(refused)) => assert_eq!(refused.status, 404),
        // Other queries may be refused for something else.
        (Err(read), Err(erased)) => {
            assert!(erased.status == 404 || erased.status == read.status, "{read:?}, {erased:?}");
        }
        (read, erased) => panic!("read: {read:?}, erased: {erased:?}"),
    }
}

macro_rules! check_all {
    ($($provider:ident = $module:ident {
        $($name:ident, $event:literal, $function:literal, [$($path:literal),+];)+
    })+) => {
        /// Checks a request with all callback types of a provider.
        fn check_all<P: Provider>(request: &Request) -> usize {
            0 $($(+ if is_from::<providers::$module::$name, P>() {
                check::<providers::$module::$name>(request)
            } else {
                0
            })+)+
        }
    };
}
callbacks!(check_all);

fn is_from<C: Callback, P: Provider>() -> bool {
    TypeId::of::<C::Provider>() == TypeId::of::<P>()
}

/// Passes a request through the pipeline up to the store. Every request is answered. Its changes
/// belong to the app that sent it, and can be written to the queue and read back.
fn check<C: Callback<Provider: Configured>>(request: &Request) -> usize {
    let apps = Apps::from_json(APPS).unwrap_or_default();
    let verified = C::Provider::verify(request, C::Provider::of(&apps), MAX_AGE);
    let parsed = verified.map_err(Rejection::from).and_then(|verified| {
        let app = verified.app();
        Ok((app, C::parse(&verified)?))
    });
    // No unreadable part of an id is replaced.
    let is_sent =
        is_replacement_sent(&request.body) || is_replacement_sent(request.query.as_bytes());
    let (changes, reply) = match parsed {
        Ok((app, parsed)) => {
            for change in &parsed.changes {
                assert_eq!(change.app(), &app);
                assert!(is_sent || !ids(change).contains('\u{fffd}'), "{change:?}");
                if let Change::Seat(seat) = change {
                    assert_eq!(Mark::from_bytes(&seat.mark.to_bytes()), Ok(seat.mark.clone()));
                }
                if let Change::Session(session) = change {
                    for mark in session.mark_of_login().into_iter().chain([session.mark()]) {
                        assert_eq!(SessionMark::from_bytes(&mark.to_bytes()), Ok(mark));
                    }
                }
                let json = serde_json::to_string(change).unwrap_or_default();
                assert_eq!(serde_json::from_str::<Change>(&json).ok().as_ref(), Some(change));
                assert!(!json.contains(SECRET));
            }
            (parsed.changes.len(), C::Provider::reply(request, &Ok(Outcome::Applied)))
        }
        Err(rejection) => (0, C::Provider::reply(request, &Err(rejection))),
    };
    let is_json = serde_json::from_str::<serde_json::Value>(&reply.body).is_ok();
    assert!(is_json && !reply.body.contains(SECRET), "{}", reply.body);
    changes
}

/// Whether some bytes may contain U+FFFD: as it is, as an escape, or percent-encoded.
fn is_replacement_sent(bytes: &[u8]) -> bool {
    let bytes = bytes.to_ascii_lowercase();
    let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    has("\u{fffd}".as_bytes()) || has(b"\\ufffd") || has(b"%")
}

/// All ids of a change, one after the other.
fn ids(change: &Change) -> String {
    let user = change.user().map(ToString::to_string);
    let room = change.room().map(ToString::to_string);
    let (place, session) = match change {
        Change::Seat(seat) => (
            seat.life.as_ref().map(ToString::to_string),
            seat.mark.order.session.as_ref().map(ToString::to_string),
        ),
        Change::Device(device) => {
            (Some(device.platform.to_string()), device.connection.id().map(ToString::to_string))
        }
        Change::Session(session) => {
            (Some(session.platform.to_string()), Some(session.session.to_string()))
        }
        Change::Life(life) => (Some(life.life.to_string()), None),
        Change::Boundary(_) | Change::Registration(_) | Change::Profile(_) => (None, None),
    };
    [user, room, place, session].into_iter().flatten().collect()
}

fn secret() -> Secret {
    let secret = Secret::new(SECRET.to_owned());
    #[expect(clippy::unwrap_used, reason = "it is not empty")]
    secret.unwrap()
}

fn request(body: &[u8]) -> Request {
    Request::post("/", Bytes::copy_from_slice(body), NOW)
}

fn insert(request: &mut Request, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        let name = http::HeaderName::from_bytes(name.as_bytes());
        request.headers.extend(name.ok().map(|name| (name, value)));
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn the_corpus_of_every_target_holds() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("fuzz");
        for (name, target) in TARGETS {
            let main = fs::read_to_string(root.join(format!("fuzz_targets/{name}.rs"))).unwrap();
            assert!(main.contains("fuzz_target!"), "{name}");
            let (mut seeds, mut changes) = (0, 0);
            for file in fs::read_dir(root.join("corpus").join(name)).unwrap() {
                let data = fs::read(file.unwrap().path()).unwrap();
                changes += target(&data);
                // Truncated bytes, and bytes with a flipped bit.
                for length in 0..data.len().min(2000) {
                    target(&data[..length]);
                    let mut flipped = data.clone();
                    flipped[length] ^= 1 << (length % 8);
                    target(&flipped);
                }
                seeds += 1;
            }
            assert!(seeds > 0, "{name} has no corpus");
            // A target that never gets past the verification tests little.
            let has_changes =
                !["user_sig", "zego_token", "keys", "cursors", "parameters"].contains(&name);
            assert_eq!(changes >= 2, has_changes, "{name}: {changes}");
        }
    }
}
