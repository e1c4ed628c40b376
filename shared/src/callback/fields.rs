//! The named values of a body.
//!
//! Within one body some callbacks send numbers as strings and others as numbers, so every scalar
//! is kept as its text.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{FieldError, Unreadable, text};
use crate::{
    domain::{IdError, MAX_EVENT_TIME_AHEAD, UnixMillis},
    http::{Text, form},
};

/// The fields of a body, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(BTreeMap<String, Scalar>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Scalar {
    Null,
    /// A string's content.
    Text(String),
    /// The repaired text of a string that is not valid Unicode.
    Repaired(String),
    /// A number exactly as it was written: 64-bit ids never pass through a float, and a signed
    /// timestamp is signed as text.
    Number(String),
    /// Anything else, as JSON.
    Other(String),
}

impl Fields {
    /// The same fields without one: what must not travel on is removed at once.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// Reads a body that is a JSON object. A byte order mark is skipped, and invalid UTF-8 in
    /// strings is repaired: only [`Fields::shown`] returns repaired strings.
    ///
    /// # Errors
    ///
    /// As [`Fields::from_json`].
    pub fn from_body(body: &[u8]) -> Result<Self, Unreadable> {
        Self::from_json(&text::json(body)?)
    }

    /// Reads a JSON object.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] if it is anything else, or names a field twice.
    pub fn from_json(json: &str) -> Result<Self, Unreadable> {
        serde_json::from_str(json)
            .map_err(|_| Unreadable("it is not one JSON object with each field named once"))
    }

    /// Reads a form, whose fields are all texts.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] if it names a field twice.
    pub fn from_form(body: &[u8]) -> Result<Self, Unreadable> {
        let mut fields = Self::default();
        for (name, value) in form(body) {
            if fields.insert(name, value.into()).is_some() {
                return Err(Unreadable("it names a field twice"));
            }
        }
        Ok(fields)
    }

    /// Reads a query string. If a name comes twice, the last value counts.
    #[must_use]
    pub fn from_query(query: &str) -> Self {
        let mut fields = Self::default();
        for (name, value) in form(query.as_bytes()) {
            fields.insert(name, value.into());
        }
        fields
    }

    /// Reads the parameters of a query string that have one of some names, in whatever case these
    /// are written. If a name comes twice, the last value counts.
    #[must_use]
    pub fn from_query_in_any_case(query: &str, names: &[&'static str]) -> Self {
        let mut fields = Self::default();
        for (name, value) in form(query.as_bytes()) {
            let Text::Sent(name) = name else { continue };
            let known = names.iter().find(|known| known.eq_ignore_ascii_case(&name));
            if let Some(known) = known {
                fields.insert(Text::Sent((*known).to_owned()), value.into());
            }
        }
        fields
    }

    /// Adds a field, and returns the previous one of that name. A field whose name had to be
    /// repaired is ignored.
    fn insert(&mut self, name: Text, value: Scalar) -> Option<Scalar> {
        match name {
            Text::Sent(name) => self.0.insert(name, value),
            Text::Repaired(_) => None,
        }
    }

    /// The text of a field; `None` if it is missing, null or empty.
    ///
    /// # Errors
    ///
    /// [`FieldError::NotScalar`] for an object, an array or a boolean, and [`FieldError::Damaged`]
    /// if it was repaired: a repaired id could be the id of another user.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, FieldError> {
        match self.0.get(name) {
            Some(Scalar::Repaired(_)) => Err(FieldError::Damaged(name)),
            _ => self.shown(name),
        }
    }

    /// The text of a field that is only shown to people: U+FFFD replaces the parts that cannot be
    /// read. `None` if it is missing, null or empty.
    ///
    /// # Errors
    ///
    /// [`FieldError::NotScalar`] for an object, an array or a boolean.
    pub fn shown(&self, name: &'static str) -> Result<Option<&str>, FieldError> {
        match self.0.get(name) {
            None | Some(Scalar::Null) => Ok(None),
            Some(Scalar::Text(text) | Scalar::Repaired(text) | Scalar::Number(text)) => {
                Ok(Some(text.as_str()).filter(|text| !text.is_empty()))
            }
            Some(Scalar::Other(_)) => Err(FieldError::NotScalar(name)),
        }
    }

    /// Whether a field is there, even if it is null or empty.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Whether a field is there and is null.
    #[must_use]
    pub fn is_null(&self, name: &str) -> bool {
        matches!(self.0.get(name), Some(Scalar::Null))
    }

    /// The fields of a field that is an object and must be there.
    ///
    /// # Errors
    ///
    /// [`FieldError::Missing`], or [`FieldError::NotObject`].
    pub fn object(&self, name: &'static str) -> Result<Self, FieldError> {
        let json = self.nested(name).ok_or(FieldError::Missing(name))?;
        Self::from_json(json).map_err(|_| FieldError::NotObject(name))
    }

    /// Whether a field is there and was written as a number, not as a string.
    #[must_use]
    pub fn is_number(&self, name: &str) -> bool {
        matches!(self.0.get(name), Some(Scalar::Number(_)))
    }

    /// The JSON of a field that is an object, an array or a boolean; `None` if it is missing or a
    /// scalar.
    #[must_use]
    pub fn nested(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Scalar::Other(json)) => Some(json),
            _ => None,
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

                let mut fields = Fields::default();
                // A raw value is skipped without recursion, however deeply it is nested.
                while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                    let name = text::string(name.get()).map_err(A::Error::custom)?;
                    let value = Scalar::read(value.get()).map_err(A::Error::custom)?;
                    if fields.insert(name, value).is_some() {
                        return Err(A::Error::custom("a field is named twice"));
                    }
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

impl Scalar {
    fn read(json: &str) -> serde_json::Result<Self> {
        Ok(match json.as_bytes() {
            [b'"', ..] => text::string(json)?.into(),
            [b'-' | b'0'..=b'9', ..] => Self::Number(json.to_owned()),
            b"null" => Self::Null,
            _ => Self::Other(json.to_owned()),
        })
    }
}

impl From<Text> for Scalar {
    fn from(text: Text) -> Self {
        match text {
            Text::Sent(text) => Self::Text(text),
            Text::Repaired(text) => Self::Repaired(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::UserId;

    fn read(body: &str) -> Fields {
        Fields::from_json(body).unwrap()
    }

    #[test]
    fn strings_and_numbers_are_the_same() {
        let (text, number) = (read(r#"{"seq":"17"}"#), read(r#"{"seq":17}"#));
        assert_eq!(text.required("seq"), number.required("seq"));
        assert_eq!(text.required_integer::<u64>("seq"), Ok(17));
        assert_eq!(number.required_integer::<u64>("seq"), Ok(17));
        assert_eq!((text.is_number("seq"), number.is_number("seq")), (false, true));
    }

    #[test]
    fn a_parameter_is_found_in_whatever_case_its_name_is_written() {
        let fields =
            Fields::from_query_in_any_case("sdkappid=1&SIGN=a&other=2", &["SdkAppid", "Sign"]);
        assert_eq!((fields.required("SdkAppid"), fields.required("Sign")), (Ok("1"), Ok("a")));
        assert!(!fields.is_named("other"));
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
    fn unknown_fields_may_be_nested_as_deeply_as_they_like() {
        let deep = format!(r#"{{"event":"x","extra":{}{}}}"#, "[".repeat(9999), "]".repeat(9999));
        assert_eq!(read(&deep).required("event"), Ok("x"));
        assert_eq!(read(&deep).text("extra"), Err(FieldError::NotScalar("extra")));
    }

    #[test]
    fn a_damaged_text_is_shown_but_is_no_id() {
        let half =
            read(r#"{"user":"Ada \ud83d","n":"1\udfff","\ud83d":1,"other":{"user":"\ud83d"}}"#);
        let cut =
            Fields::from_body(b"\xef\xbb\xbf{\"user\":\"Ada \xf0\x9f\",\"n\":\"1\xff\"}").unwrap();
        let form = Fields::from_form(b"user=Ada+%F0%9F&n=1%FF&%FF=1").unwrap();
        for fields in [&half, &cut, &form] {
            assert_eq!(fields.shown("user"), Ok(Some("Ada \u{fffd}")));
            assert_eq!(fields.text("user"), Err(FieldError::Damaged("user")));
            assert_eq!(fields.id::<UserId>("user"), Err(FieldError::Damaged("user")));
            assert_eq!(fields.integer::<u64>("n"), Err(FieldError::Damaged("n")));
        }
        let other = half.object("other").unwrap();
        assert_eq!(other.id::<UserId>("user"), Err(FieldError::Damaged("user")));
        // One that was sent as it is.
        assert_eq!(read("{\"user\":\"\u{fffd}\"}").required("user"), Ok("\u{fffd}"));
    }

    #[test]
    fn damage_outside_of_strings_is_no_json() {
        for body in [&b"{\"a\":\xff}"[..], b"{\xff}", b"\xff{}", b"{}\xff", b"{\"a\":\"\\\xff\"}"] {
            assert!(Fields::from_body(body).is_err(), "{body:?}");
        }
        for json in [r#"{"a":\udfff}"#, r#"{"a\ud83":1}"#, "{\"a\u{1}\":1}"] {
            assert!(Fields::from_json(json).is_err(), "{json}");
        }
    }

    proptest! {
        /// A name is what it stands for, however it is escaped, and is there once.
        #[test]
        fn names_are_read_as_texts_are(name in any::<String>(), value in any::<String>()) {
            let pair = format!("{}:{}", serde_json::json!(name), serde_json::json!(value));
            let fields = Fields::from_json(&format!("{{{pair}}}")).unwrap();
            prop_assert_eq!(fields.0.get(&name), Some(&Scalar::Text(value)));
            let twice = format!("{{{pair},{pair}}}");
            prop_assert!(Fields::from_json(&twice).is_err());
        }
    }
}
