//! Tokens of which the bytes are known, and invalid tokens.

use aes_gcm::{Aes256Gcm, KeyInit, aead::Aead};
use base64::{Engine, prelude::BASE64_STANDARD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    cipher::{decrypted, encrypt_cbc},
    layout::{MAX_TOKEN_CHARS, Mode, Sealed},
    mint::Chance,
    *,
};
use crate::{
    callback::Secret,
    domain::UnixSeconds,
    login::{Defect, Refusal, Valid},
    providers::zego::ServerSecret,
};

const SECRET: &str = "00112233445566778899aabbccddeeff";
const APP: u32 = 123_456_789;
const NOW: UnixSeconds = UnixSeconds(1_700_000_000);
const END: UnixSeconds = UnixSeconds(1_700_003_600);

/// A basic token of [`SECRET`] and [`CHANCE`], made with another implementation.
const BASIC: &str = "04AAAAAGVT/xAAEDAxMjM0NTY3ODlhYmNkZWYAcIDxN+p0p7TgXY8SrZzwz/ACOHNRN7lWx4ZvxNwjYK0/kwDD3zljOmQHdCB56AKzG4nmh3k/c97OvKBiNcLK4O6uZJKPoLVqpPyES+ubyJPLVxuGXstnnDRdWMAyUNzqHqNYs5OMbEXBlnqdjNVnV54=";

/// The same with privileges.
const PRIVILEGE: &str = "04AAAAAGVT/xAAEDAxMjM0NTY3ODlhYmNkZWYA0IDxN+p0p7TgXY8SrZzwz/ACOHNRN7lWx4ZvxNwjYK0/kwDD3zljOmQHdCB56AKzG4nmh3k/c97OvKBiNcLK4O6uZJKPoLVqpPyES+ubyJPLVxuGXstnnDRdWMAyUNzqHs4ALub2JzpiXn3zprjjwEPSPAugvMcaSRaO1jbGPG5sJS1pUZyTR2oQO7DxVAJiz23SjKNMLbsTcTeray7URYD3Bx/xx90WSf/IqgsAgGv3wduUFPbaqzGwWU5qG8Zjkm1cbIohjh8Jh5hprc262zM=";

/// The content of [`BASIC`], encrypted with AES-GCM.
const GCM: &str = "04AAAAAGVT/xAADDAxMjM0NTY3ODlhYgB/Uw8UeegKKlyFBoM+eGv/gG3DuAfARncBR74U++/i5ehVEcudb7DQFpVteoEpe6syZwkHczvhoGYPCROWqjPEtrHMtt1e1w7bzIAsQPG8XSWzbjZgCtZNuZLmse1hA00+lBxva8wcuNQ1yJ8ksCDRljhay2CMdKci6vfgmiYbBgE=";

/// A token with the ServerSecret that ZEGO publishes in its samples, made with OpenSSL.
const OPENSSL: &str = "04AAAAAGCLx8AAEGV4bjYybGJva29hOG44anAAcGWCw6utyxH2DEPArGHIW+uFtLMjAbYbXXoL81Y07fsYjfbtTn9mBL4AAO0fjm8DMbN290akErOffxI3bS2rROlLxu31U1EYWuwrtjfcvsHhsPJYAjXPg79+haYqVAor99iA1Z3AWRsqttkYgf/h6+k=";

const CHANCE: Chance = Chance { nonce: -1_234_567_890, iv: *b"0123456789abcdef" };

fn key(text: &str) -> ServerSecret {
    ServerSecret::new(&Secret::new(text.to_owned()).unwrap()).unwrap()
}

fn app(number: u32) -> ZegoAppId {
    u64::from(number).try_into().unwrap()
}

fn expected(user: &str) -> Expected {
    Expected { app: app(APP), user: user.parse().unwrap() }
}

fn claims(user: &str) -> Claims {
    let Expected { app, user } = expected(user);
    Claims { app, user, issued_at: NOW, lifetime: Lifetime::DEFAULT, room: None }
}

fn room() -> Room {
    let streams = ["s-1", "s-2"].map(str::to_owned);
    Room::new("room-7", Permission::Allowed, Permission::Denied, Some(&streams)).unwrap()
}

fn check(token: &str, user: &str, now: UnixSeconds) -> Result<Valid, Invalid> {
    let key = key(SECRET);
    verify(token, &expected(user), [(app(APP), &key)], now)
}

/// What is encrypted in a token.
fn content(token: &str, secret: &str) -> String {
    let candidate = decrypted(&Sealed::read(token).unwrap(), &key(secret));
    assert!(candidate.is_whole);
    String::from_utf8(candidate.bytes).unwrap()
}

/// A token with this content, and this end in front of it.
fn sealed(content: &str, expires_at: i64) -> String {
    let ciphertext = encrypt_cbc(content.as_bytes(), &CHANCE.iv, &key(SECRET));
    let iv = CHANCE.iv.to_vec();
    Sealed { expires_at, iv, ciphertext, mode: Mode::Cbc }.text().expose().to_owned()
}

fn good() -> Value {
    json!({
        "app_id": APP, "user_id": "ada", "nonce": 1, "ctime": NOW.0, "expire": END.0, "payload": ""
    })
}

/// A token whose bytes were changed.
fn changed(token: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = BASE64_STANDARD.decode(&token[2..]).unwrap();
    change(&mut bytes);
    format!("04{}", BASE64_STANDARD.encode(bytes))
}

#[test]
fn the_bytes_of_a_token_are_those_of_another_implementation() {
    let valid = Valid { issued_at: NOW, expires_at: END };
    for (room, token, payload) in [
        (None, BASIC, ""),
        (
            Some(room()),
            PRIVILEGE,
            r#"{\"room_id\":\"room-7\",\"privilege\":{\"1\":1,\"2\":0},\"stream_id_list\":[\"s-1\",\"s-2\"]}"#,
        ),
    ] {
        let claims = Claims { room, ..claims("user-7") };
        assert_eq!(claims.token_with(CHANCE, &key(SECRET)).unwrap().expose(), token);
        let expected = format!(
            r#"{{"app_id":123456789,"user_id":"user-7","nonce":-1234567890,"ctime":1700000000,"expire":1700003600,"payload":"{payload}"}}"#
        );
        assert_eq!(content(token, SECRET), expected);
        assert_eq!(check(token, "user-7", NOW), Ok(valid));
    }
    let head = BASE64_STANDARD.decode(&BASIC[2..]).unwrap();
    let expected = "000000006553ff100010303132333435363738396162636465660070";
    assert_eq!(hex::encode(&head[..28]), expected);
}

#[test]
fn a_token_made_with_openssl_is_the_same_here() {
    let secret = "fa94dd0f974cf2e293728a526b028271";
    let claims = Claims {
        app: app(1),
        user: "demo".parse().unwrap(),
        issued_at: UnixSeconds(1_619_769_776),
        lifetime: Lifetime::from_seconds(3600).unwrap(),
        room: None,
    };
    let chance = Chance { nonce: 123_456_789, iv: *b"exn62lbokoa8n8jp" };
    assert_eq!(claims.token_with(chance, &key(secret)).unwrap().expose(), OPENSSL);
    let expected = Expected { app: claims.app, user: claims.user.clone() };
    let valid = verify(OPENSSL, &expected, [(claims.app, &key(secret))], claims.issued_at);
    assert_eq!(valid.unwrap().expires_at, UnixSeconds(1_619_773_376));
}

#[test]
fn a_token_of_aes_gcm_is_read_too_and_its_tag_is_checked() {
    assert_eq!(content(GCM, SECRET), content(BASIC, SECRET));
    let valid = Valid { issued_at: NOW, expires_at: END };
    assert_eq!(check(GCM, "user-7", NOW), Ok(valid));
    assert_eq!(check(GCM, "ada", NOW), Err(Invalid::OtherUser));
    let length = BASE64_STANDARD.decode(&GCM[2..]).unwrap().len();
    // Each byte of nonce, ciphertext and tag.
    for at in (10..22).chain(24..length - 1) {
        let found = check(&changed(GCM, |bytes| bytes[at] ^= 1), "user-7", NOW);
        assert_eq!(found, Err(Invalid::Undecryptable), "{at}");
    }
    // Our own, with a nonce of its own.
    let cipher = Aes256Gcm::new(key(SECRET).bytes().into());
    let ciphertext = cipher.encrypt(&[7; 12].into(), good().to_string().as_bytes()).unwrap();
    let sealed = |ciphertext: Vec<u8>| Sealed {
        expires_at: i64::try_from(END.0).unwrap(),
        iv: vec![7; 12],
        ciphertext,
        mode: Mode::Gcm,
    };
    assert_eq!(check(sealed(ciphertext.clone()).text().expose(), "ada", NOW), Ok(valid));
    for length in [0, 15] {
        let found = check(sealed(ciphertext[..length].to_vec()).text().expose(), "ada", NOW);
        assert_eq!(found, Err(Invalid::Undecodable(Flaw::Length)));
    }
}

#[test]
fn a_token_is_valid_in_its_last_second_and_not_in_the_next() {
    for room in [None, Some(room())] {
        let claims = Claims { room, ..claims("ada") };
        let token = claims.token(&key(SECRET)).unwrap();
        assert_eq!(claims.expires_at(), END);
        assert_eq!(check(token.expose(), "ada", END).unwrap().expires_at, END);
        let next = UnixSeconds(END.0 + 1);
        assert_eq!(check(token.expose(), "ada", next), Err(Invalid::Expired));
        assert!(check(token.expose(), "ada", UnixSeconds(0)).is_ok(), "clocks differ");
    }
}

#[test]
fn a_token_of_another_user_is_reported_as_such_whether_it_has_expired_or_not() {
    let token = claims("ada").token(&key(SECRET)).unwrap();
    for other in ["bob", "Ada", "ada ", "ad"] {
        for now in [NOW, UnixSeconds(END.0 + 1)] {
            assert_eq!(check(token.expose(), other, now), Err(Invalid::OtherUser), "{other}");
        }
    }
}

#[test]
fn two_tokens_of_one_second_have_nothing_in_common_but_their_end() {
    let key = key(SECRET);
    let tokens: Vec<Sealed> = (0..50)
        .map(|_| Sealed::read(claims("ada").token(&key).unwrap().expose()).unwrap())
        .collect();
    for (index, token) in tokens.iter().enumerate() {
        for other in &tokens[index + 1..] {
            assert_eq!(token.expires_at, other.expires_at);
            assert_ne!(token.iv, other.iv);
            assert_ne!(token.ciphertext[..16], other.ciphertext[..16]);
        }
    }
    let nonces: std::collections::BTreeSet<String> = tokens
        .iter()
        .map(|token| {
            let content: Value = serde_json::from_slice(&decrypted(token, &key).bytes).unwrap();
            content["nonce"].to_string()
        })
        .collect();
    assert!(nonces.len() > 45, "{nonces:?}");
}

#[test]
fn a_token_for_another_app_is_distinguished_from_a_forged_one_by_that_apps_key() {
    let (own, others) = (key(SECRET), key("ffeeddccbbaa99887766554433221100"));
    let (other, unknown) = (app(APP + 1), app(APP + 2));
    let keys = [(app(APP), &own), (other, &others)];
    let check = |of: ZegoAppId, key: &ServerSecret| {
        let token = Claims { app: of, ..claims("ada") }.token(key).unwrap();
        // Whatever comes first.
        let verdict = verify(token.expose(), &expected("ada"), keys, NOW);
        let reversed = keys.into_iter().rev();
        assert_eq!(verify(token.expose(), &expected("ada"), reversed, NOW), verdict);
        verdict
    };
    assert!(check(app(APP), &own).is_ok());
    assert_eq!(check(other, &others), Err(Invalid::OtherApp));
    assert_eq!(check(other, &own), Err(Invalid::OtherApp));
    assert_eq!(check(other, &key(&"x".repeat(32))), Err(Invalid::Undecryptable));
    assert_eq!(check(unknown, &others), Err(Invalid::Undecryptable));
    // The other app's key proves nothing about this app, nor about what is wrong with a content.
    assert_eq!(check(app(APP), &others), Err(Invalid::Undecryptable));
    let malformed = Sealed {
        expires_at: 0,
        iv: vec![1; 16],
        ciphertext: encrypt_cbc(b"{}", &[1; 16], &others),
        mode: Mode::Cbc,
    };
    let found = verify(malformed.text().expose(), &expected("ada"), keys, NOW);
    assert_eq!(found, Err(Invalid::Undecryptable));
}

#[test]
fn any_key_of_a_rotation_verifies_and_none_verifies_nothing() {
    let (current, previous) = (key(&"c".repeat(32)), key(&"p".repeat(32)));
    let token = claims("ada").token(&previous).unwrap();
    let of = |keys: &[&ServerSecret]| {
        let keys: Vec<_> = keys.iter().map(|key| (app(APP), *key)).collect();
        verify(token.expose(), &expected("ada"), keys, NOW)
    };
    assert!(of(&[&current, &previous]).is_ok() && of(&[&previous, &current]).is_ok());
    assert_eq!(of(&[&current]), Err(Invalid::Undecryptable));
    assert_eq!(of(&[]), Err(Invalid::Undecryptable));
}

#[test]
fn the_codes_are_those_of_zegos_clients() {
    for (invalid, code) in [
        (Invalid::Undecryptable, 1_002_033),
        (Invalid::Empty, 1_002_067),
        (Invalid::Undecodable(Flaw::Damaged), 1_002_075),
        (Invalid::Malformed(Defect::Repeated), 1_002_075),
        (Invalid::OtherApp, 1_002_076),
        (Invalid::OtherUser, 1_002_077),
        (Invalid::Expired, 1_002_078),
        (Invalid::Undecodable(Flaw::Version), 1_002_079),
        (Invalid::Undecodable(Flaw::Mode), 1_002_079),
        (Invalid::Nonce, 1_002_080),
    ] {
        assert_eq!(invalid.code(), code);
        let by_a_new_key = invalid == Invalid::Undecryptable;
        assert_eq!(invalid.might_be_by_a_new_key(), by_a_new_key);
    }
}

/// A wrong padding, a wrong key, a changed byte: whatever makes a token undecryptable, the verdict
/// is the same in every part.
#[test]
fn a_wrong_padding_is_not_distinguished_from_a_wrong_key() {
    let token = claims("ada").token_with(CHANCE, &key(SECRET)).unwrap();
    let foreign = claims("ada").token_with(CHANCE, &key(&"x".repeat(32))).unwrap();
    let wanted = check(foreign.expose(), "ada", NOW).unwrap_err();
    assert_eq!(wanted, Invalid::Undecryptable);

    // The byte before the last block decides the padding: each other value of it. It also spoils
    // its own block, so none leaves a content that can be read.
    let bytes = BASE64_STANDARD.decode(&token.expose()[2..]).unwrap();
    let (at, mut right, mut wrong) = (bytes.len() - 17, 0, 0);
    for mask in 1..=u8::MAX {
        let found = changed(token.expose(), |bytes| bytes[at] ^= mask);
        let candidate = decrypted(&Sealed::read(&found).unwrap(), &key(SECRET));
        if candidate.is_whole {
            right += 1;
        } else {
            wrong += 1;
        }
        let invalid = check(&found, "ada", NOW).unwrap_err();
        assert_eq!((invalid, invalid.to_string()), (wanted, wanted.to_string()), "{mask}");
    }
    assert!(right >= 1 && wrong >= 200, "{right} paddings are right, {wrong} wrong");
    // The same in a token of one block, where the IV decides everything.
    for mask in 0..=u8::MAX {
        let found = changed(&sealed("{", 0), |bytes| bytes[25] ^= mask);
        assert_eq!(check(&found, "ada", NOW), Err(wanted), "{mask}");
    }
}

/// All bytes of a padding have to be right, and a block of nothing but padding is one.
#[test]
fn the_padding_is_that_of_pkcs_7() {
    use aes::cipher::{BlockModeEncrypt, KeyIvInit, block_padding::NoPadding};

    let is_whole = |block: [u8; 16]| {
        let cipher =
            cbc::Encryptor::<aes::Aes256>::new(key(SECRET).bytes().into(), (&CHANCE.iv).into());
        let ciphertext = cipher.encrypt_padded_vec::<NoPadding>(&block);
        let iv = CHANCE.iv.to_vec();
        let candidate =
            decrypted(&Sealed { expires_at: 0, iv, ciphertext, mode: Mode::Cbc }, &key(SECRET));
        candidate.is_whole.then_some(candidate.bytes)
    };
    for length in 1..=16_u8 {
        let mut block = [b'x'; 16];
        let start = 16 - usize::from(length);
        block[start..].fill(length);
        assert_eq!(is_whole(block).unwrap(), vec![b'x'; start]);
        for at in start..16 {
            let mut wrong = block;
            wrong[at] ^= 0x40;
            assert_eq!(is_whole(wrong), None, "{length} {at}");
        }
    }
    for last in (0..=u8::MAX).filter(|last| !(1..=16).contains(last)) {
        assert_eq!(is_whole([last; 16]), None, "{last}");
    }
}

#[test]
fn unreadable_tokens_are_undecodable_and_what_is_no_token04_has_its_own_code() {
    assert_eq!(check("", "ada", NOW), Err(Invalid::Empty));
    for other in ["x", "0", "03AAAA", " 04", "0", "eJyrVgrxCdYrSy1SslJQMtIz"] {
        let version = Err(Invalid::Undecodable(Flaw::Version));
        assert_eq!(check(other, "ada", NOW), version, "{other}");
    }
    let damaged = Err(Invalid::Undecodable(Flaw::Damaged));
    for text in ["04", "04=", "04AAAA", "04AAAAA", &BASIC[..BASIC.len() - 1], &BASIC[..100]] {
        assert_eq!(check(text, "ada", NOW), damaged, "{text}");
    }
    let continued = Err(Invalid::Undecodable(Flaw::Continued));
    assert_eq!(check(&changed(BASIC, |bytes| bytes.extend([0, 0])), "ada", NOW), continued);
    assert_eq!(check(&changed(GCM, |bytes| bytes.push(1)), "user-7", NOW), continued);
    // The mode may be named, and no other is known.
    assert!(check(&changed(BASIC, |bytes| bytes.push(0)), "user-7", NOW).is_ok());
    for mode in [2, 255] {
        let found = check(&changed(BASIC, |bytes| bytes.push(mode)), "user-7", NOW);
        assert_eq!(found, Err(Invalid::Undecodable(Flaw::Mode)));
    }
    let length = Err(Invalid::Undecodable(Flaw::Length));
    let cbc = |iv: usize, ciphertext: usize| {
        let (iv, ciphertext) = (vec![1; iv], vec![2; ciphertext]);
        Sealed { expires_at: 0, iv, ciphertext, mode: Mode::Cbc }.text().expose().to_owned()
    };
    for (iv, ciphertext) in [(0, 16), (12, 16), (15, 16), (17, 16), (16, 0), (16, 15), (16, 17)] {
        assert_eq!(check(&cbc(iv, ciphertext), "ada", NOW), length, "{iv} {ciphertext}");
    }
    assert_eq!(check(&cbc(16, 16), "ada", NOW), Err(Invalid::Undecryptable));
    let long = format!("04{}", "A".repeat(MAX_TOKEN_CHARS - 1));
    assert_eq!(check(&long, "ada", NOW), Err(Invalid::Undecodable(Flaw::TooLong)));
}

#[test]
fn a_character_that_does_not_belong_in_a_token_is_named_with_its_position() {
    let says = |token: &str| {
        let invalid = check(token, "user-7", NOW).unwrap_err();
        assert_eq!(invalid.code(), 1_002_075, "{token}");
        invalid.to_string()
    };
    let next = BASIC.len() + 1;
    for (token, character, position, hint) in [
        (format!("{BASIC}\n"), r"'\n'", next, "copied along"),
        (format!("{BASIC}#eyJ1c2"), "'#'", next, "Kit Token"),
        (BASIC.replace('/', "_"), "'_'", BASIC.find('/').unwrap() + 1, "URL-safe"),
        (BASIC.replace('=', "%3D"), "'%'", BASIC.len(), "URL-encoded"),
        (format!("{BASIC}=="), "'='", BASIC.len(), "at the end only"),
        (format!("04\u{e9}\u{1f600}{}", &BASIC[2..]), "'\u{e9}'", 3, "only ASCII letters"),
        (format!("04{}\u{feff}{}", &BASIC[2..50], &BASIC[50..]), r"'\u{feff}'", 51, "only ASCII"),
    ] {
        let says = says(&token);
        let expected = format!("the character {character} at position {position} does not belong");
        assert!(says.contains(&expected) && says.contains(hint), "{says}");
        assert!(!says.contains(&BASIC[3..20]), "{says}");
    }
}

#[test]
fn a_content_that_is_none_of_a_token_is_malformed_and_its_field_is_named() {
    let end = i64::try_from(END.0).unwrap();
    let check_content = |content: &str| check(&sealed(content, end), "ada", NOW);
    assert!(check_content(&good().to_string()).is_ok());
    // Not JSON objects: as any other key's.
    for content in ["", "null", "[]", "{", "\"x\"", "{}x", "{}\u{0}", "\u{feff}{}", "{]"] {
        assert_eq!(check_content(content), Err(Invalid::Undecryptable), "{content}");
    }
    for field in ["app_id", "user_id", "nonce", "ctime", "expire"] {
        let mut without = good();
        without.as_object_mut().unwrap().remove(field);
        let found = check_content(&without.to_string());
        assert_eq!(found, Err(Invalid::Malformed(Defect::Missing(field))));
    }
    let mut without = good();
    without.as_object_mut().unwrap().remove("payload");
    assert!(check_content(&without.to_string()).is_ok(), "ZEGO's UIKit leaves it out");
    let twice = good().to_string().replacen('{', r#"{"user_id":"ada","#, 1);
    assert_eq!(check_content(&twice), Err(Invalid::Malformed(Defect::Repeated)));
    for (field, value) in [
        ("app_id", json!("123456789")),
        ("app_id", json!(-1)),
        ("app_id", json!(4_294_967_296_u64)),
        ("app_id", json!(1.5)),
        ("user_id", json!(7)),
        ("ctime", json!("1700000000")),
        ("ctime", json!(1.7e9)),
        ("ctime", json!(END.0)),
        ("expire", json!("1700003600")),
        ("expire", json!(NOW.0)),
        ("expire", json!(-1)),
        ("expire", json!(END.0 + 1)),
        ("expire", json!(u64::MAX)),
        ("payload", json!({})),
        ("payload", json!("room-7")),
        ("payload", json!("{")),
    ] {
        let mut changed = good();
        changed[field] = value;
        let found = check_content(&changed.to_string());
        // An end that is not later than the beginning: `expire` is named.
        let named = if field == "ctime" && changed["ctime"] == END.0 { "expire" } else { field };
        let names_the_field =
            matches!(found, Err(Invalid::Malformed(Defect::Not(name, _))) if name == named);
        assert!(names_the_field, "{changed}: {found:?}");
    }
    for nonce in [json!("1"), json!(1.5), json!([])] {
        let mut changed = good();
        changed["nonce"] = nonce;
        assert_eq!(check_content(&changed.to_string()), Err(Invalid::Nonce));
    }
    for (field, value) in [
        ("nonce", json!(u64::MAX)),
        ("nonce", json!(i64::MIN)),
        ("app_id", json!(APP)),
        ("payload", json!("{\"room_id\":\"\"}")),
        ("payload", Value::Null),
        ("ctime", json!(-1)),
        ("more", json!("is ignored")),
    ] {
        let mut changed = good();
        changed[field] = value;
        assert!(check_content(&changed.to_string()).is_ok(), "{changed}");
    }
}

/// The end outside is not encrypted, so anybody can change it. That renews nothing.
#[test]
fn a_changed_end_in_front_of_the_ciphertext_is_malformed() {
    let token = claims("ada").token(&key(SECRET)).unwrap();
    let late = UnixSeconds(END.0 + 1000);
    for at in 0..8 {
        let found = changed(token.expose(), |bytes| bytes[at] ^= 0x10);
        for now in [NOW, late] {
            let invalid = check(&found, "ada", now).unwrap_err();
            assert!(matches!(invalid, Invalid::Malformed(Defect::Not("expire", _))), "{at}");
        }
    }
    let ended = sealed(&good().to_string(), 0);
    assert!(matches!(check(&ended, "ada", NOW), Err(Invalid::Malformed(_))));
}

#[test]
fn an_end_before_1970_is_expired() {
    let mut old = good();
    (old["ctime"], old["expire"]) = (json!(-100), json!(-10));
    assert_eq!(check(&sealed(&old.to_string(), -10), "ada", UnixSeconds(0)), Err(Invalid::Expired));
}

#[test]
fn parameters_have_limits() {
    for user in ["", &"a".repeat(65), &"\u{e9}".repeat(33)] {
        assert_eq!(user.parse::<UserId>(), Err(ParameterError::UserId), "{user}");
    }
    assert!("a b\u{e9}@#\"".parse::<UserId>().is_ok() && "a".repeat(64).parse::<UserId>().is_ok());
    for app in ["", "0", "-1", "+1", " 1", "1.0", "4294967296", "18446744073709551617"] {
        assert_eq!(app.parse::<ZegoAppId>(), Err(ParameterError::App), "{app}");
    }
    assert_eq!("4294967295".parse::<ZegoAppId>().unwrap().get(), u32::MAX);
    for seconds in [0, 59, 15_552_001, u64::MAX] {
        assert_eq!(Lifetime::from_seconds(seconds), Err(Lifetime::ERROR));
    }
    assert!(Lifetime::from_seconds(60).is_ok() && Lifetime::from_seconds(15_552_000).is_ok());
    assert_eq!(Lifetime::DEFAULT.duration().as_secs(), 3600);

    let room = |id: &str, streams: Option<&[String]>| {
        Room::new(id, Permission::Allowed, Permission::Allowed, streams)
    };
    for id in ["", &"r".repeat(128)] {
        assert_eq!(room(id, None).unwrap_err(), ParameterError::RoomId);
    }
    assert!(room(&"r".repeat(127), None).is_ok());
    let streams = |count: usize, length: usize| vec!["s".repeat(length); count];
    for (count, length, error) in [
        (0, 1, Some(ParameterError::Streams)),
        (101, 1, Some(ParameterError::Streams)),
        (1, 0, Some(ParameterError::StreamId)),
        (1, 256, Some(ParameterError::StreamId)),
        (100, 255, Some(ParameterError::TooLong)),
        (100, 1, None),
        (1, 255, None),
        (30, 255, None),
    ] {
        let found = room("room", Some(&streams(count, length))).err();
        assert_eq!(found, error, "{count} streams of {length} bytes");
    }
}

/// Whatever can be minted can be read: also the longest token, whose JSON is all escapes.
#[test]
fn the_longest_token_is_read() {
    let fits = |count: usize| {
        let streams = vec!["\"".repeat(255); count];
        let id = "\"".repeat(127);
        Room::new(&id, Permission::Allowed, Permission::Allowed, Some(&streams)).ok()
    };
    let longest = (1..=100).rev().find_map(fits).unwrap();
    let user: UserId = "\u{1}".repeat(64).parse().unwrap();
    let room = Some(longest);
    let claims = Claims { user: user.clone(), room, ..claims("ada") };
    let token = claims.token(&key(SECRET)).unwrap();
    assert!((20_000..23_000).contains(&token.expose().len()), "{}", token.expose().len());
    let expected = Expected { app: claims.app, user };
    assert!(verify(token.expose(), &expected, [(claims.app, &key(SECRET))], NOW).is_ok());
}

#[test]
fn privileges_are_written_as_zego_reads_them() {
    let payload = |login: bool, publish: bool, streams: Option<&[String]>| {
        Room::new("r", login.into(), publish.into(), streams).unwrap().payload().to_owned()
    };
    let expected = r#"{"room_id":"r","privilege":{"1":1,"2":0},"stream_id_list":null}"#;
    assert_eq!(payload(true, false, None), expected);
    let expected = r#"{"room_id":"r","privilege":{"1":0,"2":1},"stream_id_list":["a"]}"#;
    assert_eq!(payload(false, true, Some(&["a".to_owned()])), expected);
}

#[test]
fn tokens_and_keys_print_redacted() {
    let token = claims("ada").token(&key(SECRET)).unwrap();
    assert_eq!(format!("{token:?}"), "Ticket(redacted)");
    assert_eq!(format!("{:?}", key(SECRET)), "ServerSecret(redacted)");
}

/// AES-CBC has no signature. But one bit changes the other half of a block or nothing, and the end is
/// in a token twice.
#[test]
fn no_flip_of_a_bit_in_a_token_renews_it_or_gives_it_to_somebody_else() {
    let token = claims("ada").token_with(CHANCE, &key(SECRET)).unwrap();
    let length = BASE64_STANDARD.decode(&token.expose()[2..]).unwrap().len();
    for (at, bit) in (0..length).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let found = changed(token.expose(), |bytes| bytes[at] ^= 1 << bit);
        if let Ok(valid) = check(&found, "ada", NOW) {
            assert_eq!(valid.expires_at, END, "{at} {bit}");
        }
        let late = check(&found, "ada", UnixSeconds(END.0 + 1));
        assert!(late.is_err(), "{at} {bit}");
        for other in ["Ada", "bob", "ad", "adaa"] {
            assert!(check(&found, other, NOW).is_err(), "{at} {bit}");
        }
    }
}

fn rooms() -> impl Strategy<Value = Option<Room>> {
    let streams = proptest::option::of(proptest::collection::vec("\\PC{1,16}", 1..4));
    let room = ("\\PC{1,16}", any::<bool>(), any::<bool>(), streams);
    let room = room.prop_map(|(id, login, publish, streams)| {
        Room::new(&id, login.into(), publish.into(), streams.as_deref()).unwrap()
    });
    proptest::option::of(room)
}

proptest! {
    #[test]
    fn minted_tokens_verify_and_cut_ones_do_not(
        user in "\\PC{1,16}",
        number in 1..=u32::MAX,
        issued_at in 0..=u64::from(u32::MAX),
        seconds in 60..=15_552_000_u64,
        room in rooms(),
        secret in "[!-~]{32}",
        index: prop::sample::Index,
    ) {
        let key = key(&secret);
        let claims = Claims {
            app: app(number),
            user: user.parse().unwrap(),
            issued_at: UnixSeconds(issued_at),
            lifetime: Lifetime::from_seconds(seconds).unwrap(),
            room,
        };
        let token = claims.token(&key).unwrap();
        let token = token.expose();
        let expected = Expected { app: claims.app, user: claims.user.clone() };
        let last = claims.expires_at();
        let valid = Valid { issued_at: claims.issued_at, expires_at: last };
        let check = |token: &str, now| verify(token, &expected, [(claims.app, &key)], now);
        prop_assert_eq!(check(token, claims.issued_at), Ok(valid));
        prop_assert_eq!(check(token, last), Ok(valid));
        prop_assert_eq!(check(token, UnixSeconds(last.0 + 1)), Err(Invalid::Expired));

        let cut = index.index(token.len());
        let expected = match cut {
            0 => Invalid::Empty,
            1 => Invalid::Undecodable(Flaw::Version),
            _ => Invalid::Undecodable(Flaw::Damaged),
        };
        prop_assert_eq!(check(&token[..cut], claims.issued_at), Err(expected));
    }

    #[test]
    fn no_made_up_token_verifies(text: String, content: String, bytes: Vec<u8>) {
        prop_assert!(check(&text, "ada", NOW).is_err());
        prop_assert!(check(&sealed(&content, 0), "ada", NOW).is_err());
        for text in [text, BASE64_STANDARD.encode(bytes)] {
            let token = format!("04{text}");
            prop_assert!(check(&token, "ada", NOW).is_err());
        }
    }

    /// Whatever is written over the ciphertext, its verdict is that of a wrong key, or of a content
    /// that it decrypts to. It is never one of a layout.
    #[test]
    fn random_bytes_in_place_of_the_ciphertext_are_undecryptable(
        blocks in proptest::collection::vec(any::<[u8; 16]>(), 1..9),
    ) {
        let ciphertext = blocks.concat();
        let iv = vec![3; 16];
        let sealed = Sealed { expires_at: 0, iv, ciphertext, mode: Mode::Cbc };
        prop_assert_eq!(check(sealed.text().expose(), "ada", NOW), Err(Invalid::Undecryptable));
    }
}
