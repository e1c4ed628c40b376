//! Bytes that were meant to be text.
//!
//! A name may be cut inside a character before it is sent: then a JSON escape is half a surrogate
//! pair, or the bytes are not UTF-8. The event must not be lost, so the text is repaired while it
//! is read. The repair is remembered, because a repaired text is not an id.

use std::borrow::Cow;

use super::Unreadable;
use crate::http::{Text, without_byte_order_mark};

/// Replaces a part of a text that cannot be read.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// The same JSON in valid UTF-8: each invalid sequence becomes the escape of an unpaired surrogate,
/// so that one kind of damage is left for [`string`] to find. Nothing is copied if there is none.
pub(super) fn json(body: &[u8]) -> Result<Cow<'_, str>, Unreadable> {
    let body = without_byte_order_mark(body);
    match std::str::from_utf8(body) {
        Ok(body) => Ok(Cow::Borrowed(body)),
        Err(_) => repaired(body).map(Cow::Owned),
    }
}

fn repaired(body: &[u8]) -> Result<String, Unreadable> {
    let mut json = String::with_capacity(body.len() + 16);
    for chunk in body.utf8_chunks() {
        json.push_str(chunk.valid());
        if chunk.invalid().is_empty() {
            continue;
        }
        if ends_in_backslash(json.as_bytes()) {
            return Err(Unreadable("an escape in it is not UTF-8"));
        }
        // Two escapes must not become a pair, and the first one already marks the damage.
        if ends_in_high_surrogate(json.as_bytes()) {
            json.push(REPLACEMENT);
        } else {
            json.push_str(r"\udfff");
        }
    }
    Ok(json)
}

/// Whether what follows is escaped.
fn ends_in_backslash(json: &[u8]) -> bool {
    json.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Whether the first half of a surrogate pair is the last thing, as an escape.
fn ends_in_high_surrogate(json: &[u8]) -> bool {
    json.split_last_chunk().is_some_and(|(before, escape)| {
        let is_high =
            matches!(escape, [b'u', b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B', _, _]);
        is_high && ends_in_backslash(before)
    })
}

/// Reads a JSON string with its quotes. The string must be grammatical.
pub(super) fn string(json: &str) -> serde_json::Result<Text> {
    let quoted = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
    if let Some(text) = quoted.filter(|text| !text.contains('\\')) {
        return Ok(Text::Sent(text.to_owned()));
    }
    serde_json::from_str(json).map(Text::Sent).or_else(|_| {
        // Read as bytes, an unpaired surrogate is not an error: it is encoded like a character.
        let Wtf8(bytes) = serde_json::from_str(json)?;
        let mut text = String::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            // The first of its three bytes; the other two are invalid as well.
            if chunk.invalid().first() == Some(&0xED) {
                text.push(REPLACEMENT);
            }
        }
        Ok(Text::Repaired(text))
    })
}

struct Wtf8(Vec<u8>);

impl<'de> serde::Deserialize<'de> for Wtf8 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl serde::de::Visitor<'_> for Bytes {
            type Value = Wtf8;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Wtf8, E> {
                Ok(Wtf8(bytes.to_vec()))
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(json: &[u8]) -> Text {
        let json = super::json(json).unwrap();
        let raw: &serde_json::value::RawValue = serde_json::from_str(&json).unwrap();
        string(raw.get()).unwrap()
    }

    #[test]
    fn each_damage_is_one_replacement() {
        let cases: [(&[u8], &str); 10] = [
            (br#""Ada \ud83d""#, "Ada \u{fffd}"),
            (br#""\ude00 Ada""#, "\u{fffd} Ada"),
            (br#""\ud83dA\n""#, "\u{fffd}A\n"),
            (br#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
            (b"\"Ada \xf0\x9f\x98\"", "Ada \u{fffd}"),
            (b"\"\xff\xffAda\"", "\u{fffd}\u{fffd}Ada"),
            (b"\"\\ud83d\xff\\ude00\"", "\u{fffd}\u{fffd}\u{fffd}"),
            (b"\"\\ud83d\xff\xff\\ude00\"", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
            (b"\"\\\\ud83d\xff\\ude00\"", "\\ud83d\u{fffd}\u{fffd}"),
            (b"\"\\\\\xff\"", "\\\u{fffd}"),
        ];
        for (json, text) in cases {
            assert_eq!(read(json), Text::Repaired(text.to_owned()), "{json:?}");
        }
        assert!(json(b"\"\\\xff\"").is_err(), "an escape of nothing");
    }

    #[test]
    fn a_replacement_that_was_sent_is_no_damage() {
        for json in ["\"\u{fffd}\"", r#""\ufffd""#, r#""\uFFFD""#] {
            assert_eq!(read(json.as_bytes()), Text::Sent("\u{fffd}".to_owned()));
        }
    }

    proptest! {
        /// A valid string is read as `serde_json` reads it.
        #[test]
        fn a_valid_string_is_read_as_it_was_sent(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(read(json.as_bytes()), Text::Sent(text));
        }

        /// Wherever bytes are cut and joined, the result is the same as for the bytes alone.
        #[test]
        fn invalid_bytes_in_a_string_are_replaced_as_anywhere(
            bytes in prop::collection::vec(
                prop_oneof![0x80_u8..=0xff, Just(b'a'), Just(0xF0), Just(0x9F)],
                1..20,
            ),
        ) {
            let expected = match String::from_utf8(bytes.clone()) {
                Ok(text) => Text::Sent(text),
                Err(error) => {
                    Text::Repaired(String::from_utf8_lossy(error.as_bytes()).into_owned())
                }
            };
            prop_assert_eq!(read(&[b"\"", &bytes[..], b"\""].concat()), expected);
        }
    }
}
