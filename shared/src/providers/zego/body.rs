//! How ZEGO wraps the fields of a callback.
//!
//! It sends plain JSON. Its pages say "you need to `UrlDecode` it", and its older variant, still to
//! be had on request, is a form; all are understood.

use crate::{
    callback::{Fields, Unreadable},
    http::{percent_decoded, without_byte_order_mark},
};

/// Reads a body: JSON, else percent-encoded JSON, else a form. JSON comes first, since a name in it
/// may well contain `%41` or `+`.
pub(super) fn read(body: &[u8]) -> Result<Fields, Unreadable> {
    let body = without_byte_order_mark(body).trim_ascii();
    match body {
        [] => Err(Unreadable("it is empty")),
        [b'{', ..] => Fields::from_body(body),
        [b'%', ..] => Fields::from_body(&percent_decoded(body)),
        _ if body.contains(&b'=') => Fields::from_form(body),
        _ => Err(Unreadable("it is neither a JSON object nor a form")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Fields {
        super::read(body.as_bytes()).unwrap()
    }

    #[test]
    fn json_is_not_percent_decoded() {
        assert_eq!(read(r#"{"name":"100%41+1"}"#).required("name"), Ok("100%41+1"));
    }

    #[test]
    fn percent_encoded_json_and_forms_read_as_the_json_they_stand_for() {
        let json = read(r#"{"event":"room_login","room_id":"a b+c&d=e%41"}"#);
        let encoded = read(
            "%7B%22event%22%3A%22room_login%22%2C%22room_id%22%3A%22a+b%2Bc%26d%3De%2541%22%7D",
        );
        let form = read("event=room_login&room_id=a+b%2Bc%26d%3De%2541");
        assert_eq!(encoded, json);
        assert_eq!(form, json);
    }

    #[test]
    fn a_field_named_twice_makes_the_body_unreadable() {
        for body in [r#"{"a":1,"a":1}"#, "a=1&a=1", r#"{"a":1,"\u0061":2}"#] {
            assert!(super::read(body.as_bytes()).is_err(), "{body}");
        }
    }
}
