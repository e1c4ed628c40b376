//! The body of a room callback: named scalars, however they are wrapped.
//!
//! ZEGO sends plain JSON. Its pages say "you need to `UrlDecode` it", and its older variant, still
//! to be had on request, is a form; both are understood. Within one body some callbacks send
//! numbers as strings and others as numbers, so every scalar is kept as its text.

use std::{collections::HashMap, fmt, str::FromStr};

use percent_encoding::percent_decode_str;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::{
    callback::{FieldError, VerifyError},
    domain::{IdError, MAX_EVENT_TIME_AHEAD, UnixMillis},
};

/// The fields of a body, by their names. Values that are neither string nor number are known to
/// be there, but not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(HashMap<String, Scalar>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Scalar {
    Null,
    /// A string's content, or a number exactly as it was written: 64-bit ids never pass through
    /// a float, and a signed timestamp is signed as text.
    Text(String),
    Other,
}

impl Fields {
    /// Reads a body: JSON, else percent-encoded JSON, else a form. JSON comes first, since a name
    /// in it may well contain `%41` or `+`.
    ///
    /// # Errors
    ///
    /// [`VerifyError::UnreadableBody`] if it is none of these, or names a field twice.
    pub fn read(body: &[u8]) -> Result<Self, VerifyError> {
        let unreadable = VerifyError::UnreadableBody;
        let body = std::str::from_utf8(body).map_err(|_| unreadable("it is not UTF-8"))?.trim();
        match body.as_bytes() {
            [] => Err(unreadable("it is empty")),
            [b'{', ..] => Self::from_json(body),
            [b'%', ..] => {
                // `+` is a space, as in every "UrlDecode".
                let body = body.replace('+', " ");
                let json = percent_decode_str(&body).decode_utf8();
                Self::from_json(&json.map_err(|_| unreadable("it is not UTF-8"))?)
            }
            _ if body.contains('=') => Self::from_form(body),
            _ => Err(unreadable("it is neither a JSON object nor a form")),
        }
    }

    fn from_json(json: &str) -> Result<Self, VerifyError> {
        serde_json::from_str(json).map_err(|_| {
            VerifyError::UnreadableBody("it is not one JSON object with each field named once")
        })
    }

    fn from_form(form: &str) -> Result<Self, VerifyError> {
        let mut fields = HashMap::new();
        for (name, value) in form_urlencoded::parse(form.as_bytes()) {
            let value = Scalar::Text(value.into_owned());
            if fields.insert(name.into_owned(), value).is_some() {
                return Err(VerifyError::UnreadableBody("its form names a field twice"));
            }
        }
        Ok(Self(fields))
    }

    /// The text of a field; `None` if it is missing, null or empty.
    ///
    /// # Errors
    ///
    /// [`FieldError::NotScalar`] for an object, an array or a boolean.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, FieldError> {
        match self.0.get(name) {
            None | Some(Scalar::Null) => Ok(None),
            Some(Scalar::Text(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(Scalar::Other) => Err(FieldError::NotScalar(name)),
        }
    }

    /// The text of a field that must be there.
    ///
    /// # Errors
    ///
    /// [`FieldError::Missing`], or as [`Fields::text`].
    pub fn required(&self, name: &'static str) -> Result<&str, FieldError> {
        self.text(name)?.ok_or(FieldError::Missing(name))
    }

    /// A whole number, written as a number or as a string.
    ///
    /// # Errors
    ///
    /// [`FieldError::NotInteger`] for a sign, a fraction, an exponent or a number out of range,
    /// or as [`Fields::text`].
    pub fn integer<N: FromStr>(&self, name: &'static str) -> Result<Option<N>, FieldError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| text.parse().ok()).flatten();
        number.map(Some).ok_or(FieldError::NotInteger(name))
    }

    /// A whole number that must be there.
    ///
    /// # Errors
    ///
    /// [`FieldError::Missing`], or as [`Fields::integer`].
    pub fn required_integer<N: FromStr>(&self, name: &'static str) -> Result<N, FieldError> {
        self.integer(name)?.ok_or(FieldError::Missing(name))
    }

    /// An id that must be there.
    ///
    /// # Errors
    ///
    /// [`FieldError::Id`] if it is too long, or as [`Fields::required`].
    pub fn id<I: FromStr<Err = IdError>>(&self, name: &'static str) -> Result<I, FieldError> {
        self.required(name)?.parse().map_err(|error| FieldError::Id(name, error))
    }

    /// The time of an event, in milliseconds, that must be there.
    ///
    /// # Errors
    ///
    /// [`FieldError::Future`] if it lies more than [`MAX_EVENT_TIME_AHEAD`] after `now`, or as
    /// [`Fields::required_integer`].
    pub fn event_time(
        &self,
        name: &'static str,
        now: UnixMillis,
    ) -> Result<UnixMillis, FieldError> {
        let time = UnixMillis(self.required_integer(name)?);
        if time > now.after(MAX_EVENT_TIME_AHEAD) {
            return Err(FieldError::Future(name));
        }
        Ok(time)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                use serde::de::Error;

                let mut fields = HashMap::new();
                // A raw value is passed over without recursion, however deeply it is nested.
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    let scalar = Scalar::read(value.get()).map_err(A::Error::custom)?;
                    if fields.insert(name, scalar).is_some() {
                        return Err(A::Error::custom("a field is named twice"));
                    }
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

impl Scalar {
    fn read(json: &str) -> serde_json::Result<Self> {
        Ok(match json.as_bytes() {
            [b'"', ..] => Self::Text(serde_json::from_str(json)?),
            [b'-' | b'0'..=b'9', ..] => Self::Text(json.to_owned()),
            b"null" => Self::Null,
            _ => Self::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Fields {
        Fields::read(body.as_bytes()).unwrap()
    }

    #[test]
    fn strings_and_numbers_are_the_same() {
        let (text, number) = (read(r#"{"seq":"17"}"#), read(r#"{"seq":17}"#));
        assert_eq!(text, number);
        assert_eq!(text.required_integer::<u64>("seq"), Ok(17));
    }

    #[test]
    fn a_64_bit_id_keeps_every_digit() {
        let fields = read(r#"{"room_session_id":18446744073709551615,"other":858012925204410401}"#);
        assert_eq!(fields.required_integer("room_session_id"), Ok(u64::MAX));
        assert_eq!(fields.required("other"), Ok("858012925204410401"));
    }

    #[test]
    fn no_number_is_rounded_signed_or_out_of_range() {
        for number in ["1.0", "1e3", "-1", "\"+1\"", "\" 1\"", "18446744073709551616", "\"x\""] {
            let fields = read(&format!(r#"{{"n":{number}}}"#));
            assert_eq!(fields.integer::<u64>("n"), Err(FieldError::NotInteger("n")), "{number}");
        }
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
            assert!(matches!(Fields::read(body.as_bytes()), Err(VerifyError::UnreadableBody(_))));
        }
    }

    #[test]
    fn unknown_fields_may_be_nested_as_deeply_as_they_like() {
        let deep = format!(r#"{{"event":"x","extra":{}{}}}"#, "[".repeat(9999), "]".repeat(9999));
        assert_eq!(read(&deep).required("event"), Ok("x"));
        assert_eq!(read(&deep).text("extra"), Err(FieldError::NotScalar("extra")));
    }
}
