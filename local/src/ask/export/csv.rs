//! A page of CSV (RFC 4180), as Rollcall answers it.

use super::super::Answer;

/// What a spreadsheet takes for a formula, and the sign that is put before it.
const FORMULAS: [char; 7] = ['=', '+', '-', '@', '\'', '\t', '\r'];

/// A page: its header and its rows, each with its line end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) header: String,
    pub(super) text: String,
    pub(super) rows: u64,
}

impl Page {
    /// Reads an answer. A report says nowhere of which room or user it is: then `own`, a column and
    /// what is in it, is put before each row.
    pub(super) fn read(answer: &Answer, own: Option<(&str, &str)>) -> Result<Self, &'static str> {
        if answer.media_type != "text/csv" {
            return Err("is not CSV: is it an older version of Rollcall?");
        }
        let mut records = records(&answer.body);
        let header = records.next().ok_or("is empty")??;
        let names = header.trim_end().split(',').map(|name| name.trim_matches('"'));
        let own = own.filter(|(column, _)| names.clone().all(|name| name != *column));
        let (first, cell) = own.map_or_else(Default::default, |(column, value)| {
            (format!("{column},"), format!("{},", cell(value)))
        });
        let mut page = Self { header: whole(&first, header), text: String::new(), rows: 0 };
        for record in records {
            page.text.push_str(&whole(&cell, record?));
            page.rows += 1;
        }
        Ok(page)
    }
}

/// A record with what stands before it. The last one of a page may have no line end.
fn whole(before: &str, record: &str) -> String {
    let end = if record.ends_with('\n') { "" } else { "\r\n" };
    format!("{before}{record}{end}")
}

/// The records of a text. A line end between quotes is part of a cell.
fn records(text: &str) -> impl Iterator<Item = Result<&str, &'static str>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut is_quoted = false;
        let end = rest.bytes().position(|byte| {
            is_quoted ^= byte == b'"';
            byte == b'\n' && !is_quoted
        });
        let (record, after) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
        rest = after;
        let is_whole = end.is_some() || !is_quoted;
        Some(if is_whole { Ok(record) } else { Err("ends within a cell") })
    })
}

/// A value as a cell, in the form of Rollcall's own cells.
fn cell(value: &str) -> String {
    let guard = if value.starts_with(FORMULAS) { "'" } else { "" };
    if value.contains([',', '"', '\r', '\n']) {
        format!("\"{guard}{}\"", value.replace('"', "\"\""))
    } else {
        format!("{guard}{value}")
    }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;

    fn answer(body: &str) -> Answer {
        let (status, media_type) = (StatusCode::OK, "text/csv".to_owned());
        Answer { status, media_type, next: None, body: body.to_owned() }
    }

    #[test]
    fn a_cell_may_have_commas_quotes_and_line_ends() {
        let body = "user,name\r\na,\"x\r\n\"\"y\"\", z\"\r\nb,\"\n\"";
        let page = Page::read(&answer(body), Some(("user", "a"))).unwrap();
        assert_eq!(page.header, "user,name\r\n");
        assert_eq!(page.text, "a,\"x\r\n\"\"y\"\", z\"\r\nb,\"\n\"\r\n");
        assert_eq!(page.rows, 2);
    }

    #[test]
    fn rows_that_do_not_name_their_room_get_it() {
        let page =
            |room| Page::read(&answer("user,n\r\na,1\r\nb,\"2\n\"\r\n"), Some(("room", room)));
        let lobby = page("lobby").unwrap();
        assert_eq!(lobby.header, "room,user,n\r\n");
        assert_eq!(lobby.text, "lobby,a,1\r\nlobby,b,\"2\n\"\r\n");
        assert_eq!(page("=1,\"2\"").unwrap().text.lines().next(), Some("\"'=1,\"\"2\"\"\",a,1"));
        assert_eq!(page("-a").unwrap().text.lines().next(), Some("'-a,a,1"));
    }

    #[test]
    fn what_is_not_whole_or_not_csv_is_refused() {
        assert_eq!(Page::read(&answer(""), None), Err("is empty"));
        assert_eq!(Page::read(&answer("user\r\n\"a\r\n"), None), Err("ends within a cell"));
        let json = Answer { media_type: "application/json".to_owned(), ..answer("{}") };
        assert!(Page::read(&json, None).is_err());
    }
}
