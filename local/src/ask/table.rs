//! Rows of JSON as a table for people.

use comfy_table::{ContentArrangement, Table, presets};
use rollcall::domain::UnixMillis;
use serde_json::Value;

use super::time;

/// What a column has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any value, as it is.
    Text,
    /// Unix ms.
    Time,
    /// Milliseconds.
    Duration,
    /// A number from 0 to 1.
    Share,
}

/// A column: its heading, the field of a row, and what it has.
#[derive(Debug, Clone, Copy)]
pub struct Column(pub &'static str, pub &'static str, pub Kind);

/// A table of these rows, without the columns in which no row has anything. Without rows it is
/// empty. Each line ends with a line end.
#[must_use]
pub fn table(rows: &[Value], columns: &[Column]) -> String {
    let has_any = |column: &&Column| rows.iter().any(|row| !is_empty(&row[column.1]));
    let columns: Vec<&Column> = columns.iter().filter(has_any).collect();
    let cells = rows.iter().map(|row| {
        columns.iter().map(|Column(_, field, kind)| cell(&row[*field], *kind)).collect()
    });
    lines(columns.iter().map(|column| column.0.to_owned()).collect(), cells.collect())
}

/// A table of these cells.
#[must_use]
pub fn lines(header: Vec<String>, rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header).add_rows(rows);
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

fn cell(value: &Value, kind: Kind) -> String {
    match (kind, value) {
        (_, Value::Null) => "-".to_owned(),
        (Kind::Time, Value::Number(_)) => at(value),
        (Kind::Duration, Value::Number(ms)) => {
            ms.as_u64().map_or_else(|| ms.to_string(), time::duration)
        }
        (Kind::Share, Value::Number(share)) => {
            let percent = share.as_f64().unwrap_or_default() * 100.0;
            format!("{percent:.0}%")
        }
        (_, value) => text(value),
    }
}

/// A time in Unix ms for people; `-` if it is null.
#[must_use]
pub fn at(value: &Value) -> String {
    value.as_u64().map_or_else(|| "-".to_owned(), |ms| time::shown(UnixMillis(ms)))
}

/// Any value for people: words, without JSON's quotes.
#[must_use]
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => plain(text),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            let pairs: Vec<_> = fields.map(|(name, value)| pair(name, value)).collect();
            format!("({})", pairs.join(" "))
        }
        value => plain(&value.to_string()),
    }
}

/// A field of any item. What is named after a time is one.
#[must_use]
pub fn pair(name: &str, value: &Value) -> String {
    let is_time = name == "at" || name.ends_with("_at");
    let shown = if is_time && value.is_u64() { at(value) } else { text(value) };
    format!("{}={shown}", plain(name))
}

/// A text without control characters, which could write anywhere on the terminal, and without those
/// that turn the direction of what follows: names come from strangers.
#[must_use]
pub fn plain(text: &str) -> String {
    let turns = |c| matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => plain.push_str("\\n"),
            '\t' => plain.push_str("\\t"),
            c if c.is_control() || turns(c) => plain.extend(c.escape_unicode()),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_has_the_columns_that_have_anything() {
        let rows = [
            json!({ "user": "ada", "role": null, "at": 1_795_694_400_007_u64, "ms": 61_000 }),
            json!({ "user": "王\u{1b}[2J", "added": 1, "at": null, "ms": 5, "roles": ["a", "b"] }),
        ];
        let columns = [
            Column("user", "user", Kind::Text),
            Column("role", "role", Kind::Text),
            Column("at", "at", Kind::Time),
            Column("for", "ms", Kind::Duration),
            Column("roles", "roles", Kind::Text),
        ];
        let expected = " user         at                        for        roles
 ada          2026-11-26T12:00:00.007Z  1 min 1 s  -
 王\\u{1b}[2J  -                         5 ms       a, b
";
        assert_eq!(table(&rows, &columns), expected);
        assert_eq!(table(&[], &columns), "");
    }
}
