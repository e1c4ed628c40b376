//! Rows as CSV: RFC 4180 in UTF-8, with a header row.
//!
//! A row becomes JSON first, so that both formats say the same.

use std::collections::HashMap;

use ::csv::{Terminator, WriterBuilder};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error as _, Visitor, value},
    forward_to_deserialize_any,
};
use serde_json::value::RawValue;

/// A spreadsheet takes a cell that begins with one of the first four for a formula, also behind
/// white space. The quote itself is here, so that a reader can take off the one in front.
const QUOTED: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\''];

/// Why rows cannot be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum CsvError {
    #[error("a row is no struct")]
    NoStruct,
    #[error("a field of a row has no place in a cell: {0}")]
    Field(#[from] serde_json::Error),
    #[error(transparent)]
    Csv(#[from] ::csv::Error),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    NotUtf8(#[from] std::string::FromUtf8Error),
}

/// The header and the rows. Each line ends with CR LF.
pub(super) fn write<R: Serialize + DeserializeOwned>(rows: &[R]) -> Result<String, CsvError> {
    let header = field_names::<R>().ok_or(CsvError::NoStruct)?;
    let mut bytes = Vec::new();
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(&mut bytes);
    writer.write_record(header)?;
    for row in rows {
        let json = serde_json::to_string(row)?;
        let fields: HashMap<&str, &RawValue> = serde_json::from_str(&json)?;
        for name in header {
            writer.write_field(fields.get(name).copied().map_or(Ok(String::new()), cell)?)?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    writer.flush()?;
    drop(writer);
    Ok(String::from_utf8(bytes)?)
}

/// Null is an empty cell. A list of texts is one cell, with spaces between them.
fn cell(value: &RawValue) -> Result<String, serde_json::Error> {
    let json = value.get();
    let text = match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str(json)?,
        Some(b'[') => serde_json::from_str::<Vec<String>>(json)?.join(" "),
        Some(b'{') => return Err(serde_json::Error::custom("an object")),
        Some(b'n') => return Ok(String::new()),
        _ => return Ok(json.to_owned()),
    };
    Ok(if text.starts_with(QUOTED) { format!("'{text}") } else { text })
}

/// The names of a struct's fields, as serde writes them.
fn field_names<'de, R: Deserialize<'de>>() -> Option<&'static [&'static str]> {
    let mut names = None;
    // It reads no value: it stops at the names.
    let _ = R::deserialize(Names(&mut names));
    names
}

struct Names<'a>(&'a mut Option<&'static [&'static str]>);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = value::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, value::Error> {
        *self.0 = Some(fields);
        Err(value::Error::custom("only its names were asked for"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, value::Error> {
        Err(value::Error::custom("no struct"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::payload;

    #[derive(Debug, Clone, Serialize, Deserialize)]
    struct Row {
        user: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        roles: Vec<String>,
        minutes: Option<i64>,
        share: f64,
        assumed: bool,
    }

    /// Texts of what is special in CSV, in JSON and in spreadsheets, and anything else.
    fn text() -> impl Strategy<Value = String> {
        let special = prop::sample::select(vec![
            ",", "\"", "'", "\r", "\n", "\r\n", "=", "+", "-", "@", "\t", ";", " ", "\\", "\0",
            "\u{1}", "\u{7f}", "\u{2028}", "\u{feff}", "é", "😀", "a",
        ]);
        let specials = prop::collection::vec(special, 0..8).prop_map(|parts| parts.concat());
        prop_oneof![3 => specials, 1 => any::<String>()]
    }

    prop_compose! {
        fn row()(
            user in text(),
            name in prop::option::of(text()),
            roles in prop::collection::vec("[a-z_0-9]{1,8}", 0..3),
            minutes in any::<Option<i64>>(),
            share in 0.0..1.0,
            assumed in any::<bool>(),
        ) -> Row {
            Row { user, name, roles, minutes, share, assumed }
        }
    }

    /// A text as a reader has it: one quote less, and nothing for null.
    fn read(cell: &str) -> &str {
        cell.strip_prefix('\'').unwrap_or(cell)
    }

    proptest! {
        #[test]
        fn rows_in_csv_can_be_read_back_and_no_cell_is_a_formula(
            rows in prop::collection::vec(row(), 0..5),
        ) {
            let csv = write(&rows).unwrap();
            prop_assert!(csv.ends_with("\r\n"));
            let mut reader = ::csv::Reader::from_reader(csv.as_bytes());
            let header = ["user", "name", "roles", "minutes", "share", "assumed"];
            prop_assert!(reader.headers().unwrap().iter().eq(header));
            let records: Vec<::csv::StringRecord> = reader.records().map(Result::unwrap).collect();
            prop_assert_eq!(records.len(), rows.len());
            for (record, row) in records.iter().zip(&rows) {
                prop_assert_eq!(read(&record[0]), &row.user);
                prop_assert_eq!(read(&record[1]), row.name.as_deref().unwrap_or_default());
                prop_assert_eq!(&record[2], row.roles.join(" "));
                prop_assert_eq!(&record[3], row.minutes.map_or(String::new(), |m| m.to_string()));
                prop_assert_eq!(&record[4], json!(row.share).to_string());
                prop_assert_eq!(&record[5], row.assumed.to_string());
                for cell in [&record[0], &record[1], &record[2]] {
                    prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{:?}", cell);
                }
            }
        }

        /// So the limit of a page, which counts its JSON, is right for both.
        #[test]
        fn rows_are_no_longer_in_csv_than_in_json(rows in prop::collection::vec(row(), 1..5)) {
            let csv = payload::json_bytes(&write(&rows).unwrap());
            let json = payload::body_bytes(&json!({ "rows": rows, "next": null }));
            prop_assert!(csv <= json, "{} > {}", csv, json);
        }
    }

    #[test]
    fn a_page_without_rows_has_its_header() {
        assert_eq!(write::<Row>(&[]).unwrap(), "user,name,roles,minutes,share,assumed\r\n");
    }

    #[test]
    fn what_has_no_place_in_a_cell_is_an_error() {
        #[derive(Serialize, Deserialize)]
        struct Nested {
            peak: Value,
        }
        assert!(matches!(write::<u8>(&[]), Err(CsvError::NoStruct)));
        let nested = Nested { peak: json!({ "online": 2 }) };
        assert!(matches!(write(&[nested]), Err(CsvError::Field(_))));
    }
}
