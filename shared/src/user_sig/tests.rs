//! Tickets as Tencent's own packages make them, and invalid tickets.

use std::time::Instant;

use base64::{Engine, prelude::BASE64_STANDARD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{payload::Payload, *};
use crate::{
    callback::Secret,
    domain::UnixSeconds,
    login::{Defect, Refusal, Valid},
};

/// The key that Tencent publishes in its examples.
const KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";
const APP: u32 = 1_400_000_000;
const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

struct Vector {
    user: &'static str,
    expire: u64,
    userbuf: Option<&'static [u8]>,
    sig: &'static str,
    /// From PyPI's `tls-sig-api-v2` 1.1 and npm's 1.0.2, their clocks set to [`NOW`].
    tokens: &'static [&'static str],
}

const VECTORS: [Vector; 3] = [
    Vector {
        user: "xiaojun",
        expire: 15_552_000,
        userbuf: None,
        sig: "LvA7d/Iw7gSsnskvVzBDPOCCDbuNCw4GHwTC0bip+B4=",
        tokens: &[
            "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkKjIT87NK82CSxSnZiQUFmSlAKUMTAyiAyqVWFGQWpYJkTE1NjRDiJZm5YFFzNPXFmekgG3zKHM1T9D3LzdODi-OKs8vCqpxcAvydnV2SSv2cy03cPcpDnA2SMgu0nUxslWoBHdYzUg__",
            "eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBwhWZiflZpXlQqeKU7MSCgswUJStDEwMogMiUZOamKlkZmqOKplYUZBaBxE1NTY3gosWZ6UpWSj5ljuYp*p7l5unBxXnF2WVhVU4uAf7Ozi5JpX7O5SbuHuUhzgZJmQXaTia2SrUAohcx8g__",
        ],
    },
    Vector {
        user: "user-01_A",
        expire: 86400,
        userbuf: None,
        sig: "oAc3bd9Y3HC0YleJKZLPFr/g3tfKCA35t7Pa9m817xQ=",
        tokens: &[
            "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkSotTi3QNDOMdYdLFKdmJBQWZKUBJQxMDKIDKpVYUZBalAmUszEzggiWZuSAhQ3M0xcWZ6SAL8h2TjZNSLCONPZwNInNSvbyjfALcivTTjUvSvJ0djU1LzAMSLXMtDM0rAm2VagGSBDHB",
            "eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBwqXFqUW6BobxjlDJ4pTsxIKCzBQlK0MTAyiAyJRk5qYqWRmao4qmVhRkFqUqWVmYmcCEijPTlayU8h2TjZNSLCONPZwNInNSvbyjfALcivTTjUvSvJ0djU1LzAMSLXMtDM0rAm2VagEXNjBh",
        ],
    },
    Vector {
        user: "xiaojun",
        expire: 15_552_000,
        userbuf: Some(b"abc"),
        sig: "QjT201xPkXk/aM1e+y0vakZb0K2iPrFue++0s5y6bFM=",
        tokens: &[
            "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkKjIT87NK82CSxSnZiQUFmSlAKUMTAyiAyqVWFGQWpYJkTE1NjRDiJZm5YFFzNPWlxalFSaVpIFsiw72y4FZkpoOEArNCjAwMKwKyI7L1E30NU7UrDcoSs6OSDLyNMgOK3EpTtbUNik0rzZLcfG2VagHdkjl6",
        ],
    },
];

fn key(text: &str) -> Secret {
    Secret::new(text.to_owned()).unwrap()
}

fn app(number: u32) -> SdkAppId {
    u64::from(number).try_into().unwrap()
}

fn expected(user: &str) -> Expected {
    Expected { app: app(APP), user: user.parse().unwrap() }
}

fn claims(user: &str) -> Claims {
    let Expected { app, user } = expected(user);
    Claims { app, user, issued_at: NOW, lifetime: Lifetime::DEFAULT }
}

fn check(ticket: &str, user: &str, now: UnixSeconds) -> Result<Valid, Invalid> {
    let keys = [key(KEY)];
    verify(ticket, &expected(user), |_| &keys, now)
}

fn content(ticket: &str) -> Value {
    serde_json::from_slice(&ticket::decode(ticket).unwrap()).unwrap()
}

/// A ticket with this content.
fn ticket_of(content: &Value) -> String {
    ticket::encode(&content.to_string()).unwrap().expose().to_owned()
}

#[test]
fn tickets_say_what_tencents_own_packages_say() {
    for Vector { user, expire, userbuf, sig, tokens } in VECTORS {
        let ours = Payload::signed(user, app(APP), NOW, expire, userbuf, &key(KEY));
        let ours = serde_json::to_value(&ours).unwrap();
        let mut expected = json!({
            "TLS.ver": "2.0", "TLS.identifier": user, "TLS.sdkappid": APP,
            "TLS.time": NOW.0, "TLS.expire": expire, "TLS.sig": sig
        });
        if let Some(bytes) = userbuf {
            expected["TLS.userbuf"] = BASE64_STANDARD.encode(bytes).into();
        }
        assert_eq!(ours, expected);
        for token in tokens {
            assert_eq!(content(token), expected);
            let expires_at = UnixSeconds(NOW.0 + expire);
            assert_eq!(check(token, user, NOW), Ok(Valid { issued_at: NOW, expires_at }));
        }
    }
}

#[test]
fn a_ticket_is_valid_in_its_last_second_and_not_in_the_next() {
    let ticket = claims("ada").user_sig(&key(KEY)).unwrap();
    let last = claims("ada").expires_at();
    assert_eq!(last.0, NOW.0 + 7 * 24 * 3600);
    assert_eq!(check(ticket.expose(), "ada", last).unwrap().expires_at, last);
    let next = UnixSeconds(last.0 + 1);
    assert_eq!(check(ticket.expose(), "ada", next), Err(Invalid::Expired));
    assert!(check(ticket.expose(), "ada", UnixSeconds(0)).is_ok(), "as Tencent's verifiers do");
}

#[test]
fn a_forged_ticket_is_never_reported_as_expired_or_for_another_user() {
    let forged = claims("ada").user_sig(&key("another")).unwrap();
    for (user, now) in [("ada", NOW), ("bob", NOW), ("ada", UnixSeconds(u64::MAX))] {
        assert_eq!(check(forged.expose(), user, now), Err(Invalid::ForeignKey));
    }
}

#[test]
fn a_genuine_ticket_of_another_user_is_reported_as_such() {
    let genuine = claims("ada").user_sig(&key(KEY)).unwrap();
    for now in [NOW, UnixSeconds(u64::MAX)] {
        assert_eq!(check(genuine.expose(), "bob", now), Err(Invalid::OtherUser));
        assert_eq!(check(genuine.expose(), "Ada", now), Err(Invalid::OtherUser));
    }
}

#[test]
fn a_ticket_for_another_app_is_distinguished_from_a_forged_one_by_that_apps_key() {
    let (keys, others) = ([key(KEY)], [key("another")]);
    let (other, unknown) = (app(APP + 1), app(APP + 2));
    let keys_of = |requested: SdkAppId| -> &[Secret] {
        if requested == app(APP) {
            &keys
        } else if requested == other {
            &others
        } else {
            &[]
        }
    };
    let check = |claims: &Claims, key: &Secret| {
        let ticket = claims.user_sig(key).unwrap();
        verify(ticket.expose(), &expected("ada"), keys_of, NOW)
    };
    let of = |app| Claims { app, ..claims("ada") };
    assert_eq!(check(&of(other), &others[0]), Err(Invalid::OtherApp));
    assert_eq!(check(&of(other), &keys[0]), Err(Invalid::OtherApp));
    assert_eq!(check(&of(other), &key("x")), Err(Invalid::ForeignKey));
    assert_eq!(check(&of(unknown), &others[0]), Err(Invalid::ForeignKey));
    // The other app's key proves nothing about this app.
    assert_eq!(check(&of(app(APP)), &others[0]), Err(Invalid::ForeignKey));
}

#[test]
fn any_key_of_a_rotation_verifies_and_none_verifies_nothing() {
    let ticket = claims("ada").user_sig(&key("previous")).unwrap();
    let keys = [key("current"), key("previous")];
    assert!(verify(ticket.expose(), &expected("ada"), |_| &keys, NOW).is_ok());
    let none = verify(ticket.expose(), &expected("ada"), |_| &[], NOW);
    assert_eq!(none, Err(Invalid::ForeignKey));
}

#[test]
fn the_codes_are_tencents() {
    let codes = [
        (Invalid::Expired, 70001),
        (Invalid::Empty, 70002),
        (Invalid::Undecodable(Flaw::Damaged), 70003),
        (Invalid::Malformed(Defect::Repeated), 70005),
        (Invalid::ForeignKey, 70009),
        (Invalid::OtherUser, 70013),
        (Invalid::OtherApp, 70014),
    ];
    for (invalid, code) in codes {
        assert_eq!(invalid.code(), code);
    }
}

#[test]
fn a_key_of_any_length_signs_as_hmac_does() {
    use hmac::{Hmac, KeyInit, Mac};

    for length in [1, 4, 63, 64, 65, 131, 1000] {
        let secret = key(&"k".repeat(length));
        let mut hmac = Hmac::<sha2::Sha256>::new_from_slice(secret.expose().as_bytes()).unwrap();
        hmac.update(b"what do ya want for nothing?");
        let expected: [u8; 32] = hmac.finalize().into_bytes().into();
        assert_eq!(payload::hmac_sha256(&secret, "what do ya want for nothing?"), expected);
    }
    // RFC 4231, test case 2.
    let jefe = payload::hmac_sha256(&key("Jefe"), "what do ya want for nothing?");
    let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(hex::encode(jefe), expected);
}

/// A ticket with this content, signed with the app's key.
fn signed_ticket_of(mut content: Value) -> String {
    use hmac::{Hmac, KeyInit, Mac};

    let value = |field: &str| match &content[format!("TLS.{field}")] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let userbuf = (!content["TLS.userbuf"].is_null()).then_some("userbuf");
    let mut hmac = Hmac::<sha2::Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
    for field in ["identifier", "sdkappid", "time", "expire"].into_iter().chain(userbuf) {
        hmac.update(format!("TLS.{field}:{}\n", value(field)).as_bytes());
    }
    content["TLS.sig"] = BASE64_STANDARD.encode(hmac.finalize().into_bytes()).into();
    ticket_of(&content)
}

#[test]
fn unreadable_tickets_are_undecodable_and_wrong_contents_are_malformed() {
    assert_eq!(check("", "ada", NOW), Err(Invalid::Empty));
    let ticket = claims("ada").user_sig(&key(KEY)).unwrap();
    let ticket = ticket.expose();
    let plain = BASE64_STANDARD.encode(content(ticket).to_string());
    let plain = plain.replace('+', "*").replace('/', "-").replace('=', "_");
    for damaged in ["_", "null", "e", "eJ", &plain, &ticket[1..]] {
        let found = check(damaged, "ada", NOW);
        assert_eq!(found, Err(Invalid::Undecodable(Flaw::Damaged)), "{damaged}");
    }
    for content in ["", "null", "[]", "{", "\"x\"", r#"["2.0","ada",1400000000,1,60,null,"x"]"#] {
        let ticket = ticket::encode(content).unwrap();
        let found = check(ticket.expose(), "ada", NOW);
        assert_eq!(found, Err(Invalid::Undecodable(Flaw::Damaged)), "{content}");
    }
    let good = content(ticket);
    for field in ["TLS.ver", "TLS.identifier", "TLS.sdkappid", "TLS.time", "TLS.expire", "TLS.sig"]
    {
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove(field);
        let found = check(&ticket_of(&without), "ada", NOW);
        assert_eq!(found, Err(Invalid::Malformed(Defect::Missing(field))));
    }
    let twice = good.to_string().replacen('{', r#"{"TLS.ver":"2.0","#, 1);
    let found = check(ticket::encode(&twice).unwrap().expose(), "ada", NOW);
    assert_eq!(found, Err(Invalid::Malformed(Defect::Repeated)));
    let malformed = [
        ("TLS.ver", json!("1.0")),
        ("TLS.ver", json!(2.0)),
        ("TLS.identifier", json!(1)),
        ("TLS.sdkappid", json!(0)),
        ("TLS.sdkappid", json!(-1)),
        ("TLS.sdkappid", json!("1400000000")),
        ("TLS.sdkappid", json!(1_400_000_000.0)),
        ("TLS.sdkappid", json!(5_695_000_000_u64)),
        ("TLS.time", json!("1700000000")),
        ("TLS.time", json!(1.5)),
        ("TLS.time", json!(1e9)),
        ("TLS.time", json!(1e30)),
        ("TLS.expire", json!("604800")),
        ("TLS.expire", json!(604_800.5)),
        ("TLS.expire", json!(-1e30)),
        ("TLS.expire", json!(u64::MAX)),
        ("TLS.userbuf", json!("YWJ")),
        ("TLS.userbuf", json!("YWJj\n")),
        ("TLS.userbuf", json!([1])),
    ];
    for (field, value) in malformed {
        let mut changed = good.clone();
        changed[field] = value;
        for ticket in [ticket_of(&changed), signed_ticket_of(changed.clone())] {
            let found = check(&ticket, "ada", NOW);
            let names_the_field =
                matches!(found, Err(Invalid::Malformed(Defect::Not(name, _))) if name == field);
            assert!(names_the_field, "{changed}: {found:?}");
        }
    }
}

#[test]
fn a_genuine_ticket_whose_end_has_passed_is_expired_however_it_came_to_that() {
    let good = content(claims("ada").user_sig(&key(KEY)).unwrap().expose());
    for (time, expire) in [
        (json!(NOW.0), json!(-604_800)),
        (json!(NOW.0), json!(-1)),
        (json!(NOW.0), json!(i64::MIN)),
        (json!(-1), json!(60)),
        (json!(i64::MIN), json!(i64::MIN)),
        (json!(NOW.0 - 1), json!(0)),
    ] {
        let mut changed = good.clone();
        changed["TLS.time"] = time;
        changed["TLS.expire"] = expire;
        assert_eq!(check(&ticket_of(&changed), "ada", NOW), Err(Invalid::ForeignKey), "{changed}");
        let genuine = signed_ticket_of(changed.clone());
        assert_eq!(check(&genuine, "ada", NOW), Err(Invalid::Expired), "{changed}");
        assert_eq!(check(&genuine, "bob", NOW), Err(Invalid::OtherUser), "{changed}");
    }
}

#[test]
fn a_character_that_does_not_belong_in_a_ticket_is_named_with_its_position() {
    let says = |ticket: &str| {
        let invalid = check(ticket, "ada", NOW).unwrap_err();
        assert_eq!(invalid.code(), 70003, "{ticket}");
        invalid.to_string()
    };
    // It has all characters in which the alphabets differ.
    let ticket = VECTORS[0].tokens[1].replacen('8', "*", 1);
    let standard = ticket.replace('*', "+").replace('-', "/").replace('_', "=");
    let position = standard.find('+').unwrap() + 1;
    assert_eq!(
        says(&standard),
        format!(
            "the UserSig cannot be decoded: the character '+' at position {position} does not belong \
             there: the alphabet is that of standard base64, and a UserSig has `*` for `+`, `-` for \
             `/` and `_` for `=`"
        )
    );
    let ticket = VECTORS[0].tokens[0];
    let next = ticket.len() + 1;
    for (ticket, character, position) in [
        (format!("{ticket}\n"), r"'\n'", next),
        (format!("{ticket} "), "' '", next),
        (format!("{ticket}\u{1b}[31m"), r"'\u{1b}'", next),
        (format!("\u{feff}{ticket}"), r"'\u{feff}'", 1),
        (format!(" {ticket}"), "' '", 1),
        (" ".to_owned(), "' '", 1),
        (format!("\"{ticket}\""), "'\"'", 1),
        (format!("e\u{e9}\u{1f600}{}", &ticket[1..]), "'\u{e9}'", 2),
        (ticket.replace('_', "="), "'='", ticket.len() - 1),
        (ticket.replace('_', "%5F"), "'%'", ticket.len() - 1),
        (format!("eJ_{}", &ticket[3..]), "'_'", 3),
        (format!("{ticket}_"), "'_'", ticket.len() - 1),
    ] {
        let says = says(&ticket);
        let expected = format!("the character {character} at position {position} does not belong");
        assert!(says.contains(&expected), "{says}");
    }
    assert!(says(&format!("{}AAAA", VECTORS[2].tokens[0])).contains("something follows its end"));
}

#[test]
fn every_value_is_signed() {
    let key = key(KEY);
    let room = Room::name("lobby").unwrap();
    let good = claims("ada").private_map_key(&room, Privileges::ALL, &key).unwrap();
    let good = content(good.expose());
    assert!(check(&ticket_of(&good), "ada", NOW).is_ok());
    let values = [
        ("identifier", json!("bob")),
        ("sdkappid", json!(APP + 1)),
        ("time", json!(NOW.0 + 1)),
        ("expire", json!(604_801)),
        ("userbuf", json!("YWJj")),
        ("userbuf", json!("")),
        ("sig", json!("")),
    ];
    for (field, value) in values {
        let mut changed = good.clone();
        changed[format!("TLS.{field}")] = value;
        for user in ["ada", "bob"] {
            let found = check(&ticket_of(&changed), user, NOW);
            assert_eq!(found, Err(Invalid::ForeignKey), "{changed}");
        }
    }
    let mut without = good;
    without.as_object_mut().unwrap().remove("TLS.userbuf");
    assert_eq!(check(&ticket_of(&without), "ada", NOW), Err(Invalid::ForeignKey));
}

#[test]
fn a_ticket_that_inflates_to_megabytes_is_refused_at_once() {
    let spaces = " ".repeat(64 << 20);
    let bomb = ticket::encode(&format!("{{{spaces}}}")).unwrap();
    assert!(bomb.expose().len() < 100_000);
    let start = Instant::now();
    let too_long = Err(Invalid::Undecodable(Flaw::TooLong));
    assert_eq!(check(bomb.expose(), "ada", NOW), too_long);
    assert!(start.elapsed().as_millis() < 500, "{:?}", start.elapsed());

    let mut padded = content(claims("ada").user_sig(&key(KEY)).unwrap().expose());
    let length = padded.to_string().len();
    let fill = ticket::MAX_CONTENT_BYTES - length - r#","x":"""#.len();
    padded["x"] = "a".repeat(fill).into();
    assert!(check(&ticket_of(&padded), "ada", NOW).is_ok(), "the longest that is read");
    padded["x"] = "a".repeat(fill + 1).into();
    assert_eq!(check(&ticket_of(&padded), "ada", NOW), too_long);
}

#[test]
fn a_private_map_key_has_the_layout_of_tencents_packages() {
    let claims = Claims { lifetime: Lifetime::from_seconds(86400).unwrap(), ..claims("ada") };
    let userbuf = |room: &Room, privileges| {
        let ticket = claims.private_map_key(room, privileges, &key(KEY)).unwrap();
        assert!(check(ticket.expose(), "ada", NOW).is_ok());
        let text = content(ticket.expose())["TLS.userbuf"].as_str().unwrap().to_owned();
        BASE64_STANDARD.decode(text).unwrap()
    };
    let number = userbuf(&Room::number(10000).unwrap(), Privileges(42));
    let expected: [&[u8]; 8] = [
        &[0],
        &[0, 3],
        b"ada",
        &1_400_000_000_u32.to_be_bytes(),
        &10000_u32.to_be_bytes(),
        &1_700_086_400_u32.to_be_bytes(),
        &42_u32.to_be_bytes(),
        &0_u32.to_be_bytes(),
    ];
    assert_eq!(number, expected.concat());

    // The length is that of the bytes, not of the characters.
    let name = userbuf(&Room::name("caf\u{e9} 10000").unwrap(), Privileges::ALL);
    let expected: [&[u8]; 10] = [
        &[1],
        &[0, 3],
        b"ada",
        &1_400_000_000_u32.to_be_bytes(),
        &0_u32.to_be_bytes(),
        &1_700_086_400_u32.to_be_bytes(),
        &255_u32.to_be_bytes(),
        &0_u32.to_be_bytes(),
        &[0, 11],
        "caf\u{e9} 10000".as_bytes(),
    ];
    assert_eq!(name, expected.concat());
}

#[test]
fn parameters_have_limits() {
    for user in ["", "a b", "ada.lovelace", "\u{e9}", "ada\n", &"a".repeat(33)] {
        assert_eq!(user.parse::<UserId>(), Err(ParameterError::UserId), "{user}");
    }
    assert!("aZ09_-".parse::<UserId>().is_ok() && "a".repeat(32).parse::<UserId>().is_ok());
    for app in ["", "0", "-1", "+1", " 1", "1.0", "4294967296", "18446744073709551617"] {
        assert_eq!(app.parse::<SdkAppId>(), Err(ParameterError::SdkAppId), "{app}");
    }
    assert_eq!("4294967295".parse::<SdkAppId>().unwrap().get(), u32::MAX);
    for seconds in [0, 59, 15_552_001, u64::MAX] {
        assert_eq!(Lifetime::from_seconds(seconds), Err(Lifetime::ERROR));
    }
    assert!(Lifetime::from_seconds(60).is_ok() && Lifetime::from_seconds(15_552_000).is_ok());
    for number in [0, 4_294_967_295, u64::MAX] {
        assert_eq!(Room::number(number), Err(ParameterError::RoomNumber));
    }
    assert!(Room::number(1).is_ok() && Room::number(4_294_967_294).is_ok());
    for name in ["", &"r".repeat(65), &"\u{e9}".repeat(33)] {
        assert_eq!(Room::name(name), Err(ParameterError::RoomName));
    }
    assert!(Room::name(&"\u{e9}".repeat(32)).is_ok());
}

#[test]
fn a_ticket_prints_redacted() {
    let ticket = claims("ada").user_sig(&key(KEY)).unwrap();
    assert_eq!(format!("{ticket:?}"), "Ticket(redacted)");
}

/// A ticket with a flipped bit may be another text for the same content (zlib allows that), and
/// nothing else.
#[test]
fn no_flip_of_a_bit_makes_another_ticket() {
    let ticket = claims("ada").user_sig(&key(KEY)).unwrap();
    let ticket = ticket.expose();
    for (index, bit) in (0..ticket.len()).flat_map(|index| (0..8).map(move |bit| (index, bit))) {
        let mut bytes = ticket.as_bytes().to_vec();
        bytes[index] ^= 1 << bit;
        let Ok(flipped) = String::from_utf8(bytes) else { continue };
        let found = check(&flipped, "ada", NOW);
        assert!(found.is_err() || content(&flipped) == content(ticket), "{index} {bit}");
        for other in ["Ada", "bda", "cda", "ad", "adaa"] {
            assert!(check(&flipped, other, NOW).is_err(), "{index} {bit}");
        }
    }
}

fn rooms() -> impl Strategy<Value = Option<Room>> {
    let number = (1..=4_294_967_294_u64).prop_map(|number| Room::number(number).unwrap());
    let name = "\\PC{1,16}".prop_map(|name| Room::name(&name).unwrap());
    proptest::option::of(prop_oneof![number, name])
}

proptest! {
    #[test]
    fn minted_tickets_verify_and_changed_ones_do_not(
        user in "[A-Za-z0-9_-]{1,32}",
        number in 1..=u32::MAX,
        issued_at in 0..=u64::from(u32::MAX),
        seconds in 60..=15_552_000_u64,
        room in rooms(),
        privileges: u8,
        text in "[!-~].{0,99}",
        index: prop::sample::Index,
        bit in 0..8_u8,
    ) {
        let keys = [key(&text)];
        let claims = Claims {
            app: app(number),
            user: user.parse().unwrap(),
            issued_at: UnixSeconds(issued_at),
            lifetime: Lifetime::from_seconds(seconds).unwrap(),
        };
        let ticket = match &room {
            Some(room) => claims.private_map_key(room, Privileges(privileges), &keys[0]),
            None => claims.user_sig(&keys[0]),
        };
        let ticket = ticket.unwrap();
        let ticket = ticket.expose();
        let expected = Expected { app: claims.app, user: claims.user.clone() };
        let last = claims.expires_at();
        let valid = Valid { issued_at: claims.issued_at, expires_at: last };
        let check = |ticket: &str, now| verify(ticket, &expected, |_| &keys, now);
        prop_assert_eq!(check(ticket, claims.issued_at), Ok(valid));
        prop_assert_eq!(check(ticket, last), Ok(valid));
        prop_assert_eq!(check(ticket, UnixSeconds(last.0 + 1)), Err(Invalid::Expired));

        let cut = index.index(ticket.len());
        let damaged = Invalid::Undecodable(Flaw::Damaged);
        let expected = if cut == 0 { Invalid::Empty } else { damaged };
        prop_assert_eq!(check(&ticket[..cut], claims.issued_at), Err(expected));

        let mut flipped = ticket.as_bytes().to_vec();
        flipped[cut] ^= 1 << bit;
        if let Ok(flipped) = String::from_utf8(flipped)
            && let Ok(found) = check(&flipped, claims.issued_at)
        {
            prop_assert_eq!(found, valid);
            prop_assert_eq!(content(&flipped), content(ticket));
        }
    }

    #[test]
    fn a_character_that_is_put_into_a_ticket_is_found(
        stray in any::<char>().prop_filter("foreign", |stray| {
            !stray.is_ascii_alphanumeric() && !"*-_".contains(*stray)
        }),
        index: prop::sample::Index,
    ) {
        let ticket = claims("ada").user_sig(&key(KEY)).unwrap();
        let mut spoilt: Vec<char> = ticket.expose().chars().collect();
        let place = index.index(spoilt.len() + 1);
        spoilt.insert(place, stray);
        let spoilt = String::from_iter(spoilt);
        let expected = Flaw::Stray { character: stray, position: place + 1 };
        prop_assert_eq!(check(&spoilt, "ada", NOW), Err(Invalid::Undecodable(expected)));
    }

    #[test]
    fn no_made_up_ticket_verifies(text: String, content: String) {
        prop_assert!(check(&text, "ada", NOW).is_err());
        let ticket = ticket::encode(&content).unwrap();
        prop_assert!(check(ticket.expose(), "ada", NOW).is_err());
    }

    #[test]
    fn no_bytes_verify(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        has_header: bool,
    ) {
        let bytes = if has_header { [&[0x78, 0x9c], &bytes[..]].concat() } else { bytes };
        let base64 = BASE64_STANDARD.encode(bytes);
        let ticket = base64.replace('+', "*").replace('/', "-").replace('=', "_");
        prop_assert!(check(&ticket, "ada", NOW).is_err());
    }
}
