//! In which format a list is answered.

use http::{HeaderMap, StatusCode, header::ACCEPT};
use percent_encoding::utf8_percent_encode;

use super::{Parameters, QueryError, answer::List, csv};
use crate::http::{ErrorCode, PATH, Reply, Request, Text};

/// The format of a list: the parameter `format`, or else what the header `accept` prefers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Format<'a> {
    Json,
    Csv(NextPage<'a>),
}

/// The request for a page. That for the next page differs by its cursor.
#[derive(Debug, Clone, Copy)]
pub(super) struct NextPage<'a> {
    path: &'a str,
    parameters: &'a Parameters,
}

impl<'a> Format<'a> {
    pub(super) fn of(request: &'a Request, parameters: &'a Parameters) -> Result<Self, QueryError> {
        let csv = Self::Csv(NextPage { path: &request.path, parameters });
        match parameters.get("format")? {
            Some("json") => Ok(Self::Json),
            Some("csv") => Ok(csv),
            Some(_) => Err(QueryError::BadParameter("format", "is not json or csv".to_owned())),
            None if prefers_csv(&request.headers) => Ok(csv),
            None => Ok(Self::Json),
        }
    }

    pub(super) fn reply<L: List>(self, list: &L) -> Reply {
        let Self::Csv(next_page) = self else { return list.reply() };
        match csv::write(list.rows()) {
            Ok(body) => Reply::csv(body, list.next().map(|cursor| next_page.at(cursor))),
            Err(error) => {
                tracing::error!(%error, "an answer could not be written as CSV");
                let message = "the answer could not be written as CSV".to_owned();
                Reply::error(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Internal, message)
            }
        }
    }
}

impl NextPage<'_> {
    /// Its path and query string.
    fn at(self, cursor: &str) -> String {
        // What begins with two slashes would be another host.
        let path = utf8_percent_encode(self.path.trim_start_matches('/'), PATH);
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in self.parameters.iter() {
            if let Text::Sent(value) = value
                && name != "next"
            {
                query.append_pair(name, value);
            }
        }
        query.append_pair("next", cursor);
        format!("/{path}?{}", query.finish())
    }
}

/// Whether `accept` prefers CSV to JSON: by its weight, then the type that it names more exactly.
/// If it names none of them, or both alike, the answer is in JSON.
fn prefers_csv(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<Range<'_>> = accept.flat_map(|value| value.split(',')).map(Range::of).collect();
    let preference = |main_type: &str, subtype: &str| {
        let exactness = |range: &Range<'_>| range.exactness(main_type, subtype);
        let found = ranges.iter().filter_map(|range| Some((exactness(range)?, range.weight)));
        let (exactness, weight) = found.max().unwrap_or_default();
        (weight > 0).then_some((weight, exactness))
    };
    preference("text", "csv") > preference("application", "json")
}

/// A range of media types in `accept`, such as `text/*;q=0.5`.
struct Range<'a> {
    main_type: &'a str,
    subtype: &'a str,
    /// In thousandths.
    weight: u16,
}

impl<'a> Range<'a> {
    fn of(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let (main_type, subtype) =
            parts.next().and_then(|name| name.split_once('/')).unwrap_or_default();
        let weight = parts.find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.eq_ignore_ascii_case("q").then_some(value)
        });
        Self { main_type, subtype, weight: weight.map_or(1000, thousandths) }
    }

    /// How exactly it names a type, if it contains it.
    fn exactness(&self, main_type: &str, subtype: &str) -> Option<u8> {
        match (self.main_type, self.subtype) {
            ("*", "*") => Some(0),
            (of, "*") if of.eq_ignore_ascii_case(main_type) => Some(1),
            (of, name)
                if of.eq_ignore_ascii_case(main_type) && name.eq_ignore_ascii_case(subtype) =>
            {
                Some(2)
            }
            _ => None,
        }
    }
}

/// `0.25` is 250. What is not from 0 to 1 is 0.
fn thousandths(weight: &str) -> u16 {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let thousandths = format!("{whole}{fraction:0<3.3}").parse().ok();
    thousandths.filter(|weight| *weight <= 1000).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_next_page_is_at_the_same_host_and_has_one_cursor() {
        let parameters = Parameters::read("next=a&room=%0D%0A%3E&next=b");
        let next = NextPage { path: "//other.example/a b", parameters: &parameters };
        assert_eq!(next.at("c"), "/other.example/a%20b?room=%0D%0A%3E&next=c");
    }

    #[test]
    fn accept_prefers_csv_by_weight_and_then_by_exactness() {
        let prefers = |accept: &[&'static str]| {
            let accept = accept.iter().map(|value| (ACCEPT, HeaderValue::from_static(value)));
            prefers_csv(&accept.collect())
        };
        for csv in [
            "text/csv",
            "Text/CSV; charset=utf-8",
            "text/csv; header=present; q=0.1",
            "text/csv, */*",
            "text/csv, application/*",
            "text/*",
            "application/json;q=0.5, text/csv;q=0.501",
            "application/json;q=0, */*",
            "text/csv;Q=1.000,application/json;q=0.999",
        ] {
            assert!(prefers(&[csv]), "{csv}");
        }
        for json in [
            "",
            "*/*",
            "application/json",
            "application/json, text/csv",
            "application/json, text/*",
            "text/csv;q=0",
            "text/csv;q=0, */*",
            "text/csv;q=0.9, application/json",
            "text/csv;q=0.2, */*;q=0.3",
            "text/csv;q=2",
            "text/csv;q=x",
            "text/html, application/xhtml+xml, */*;q=0.8",
            "text/html",
            "text",
            ",;,=;q=1",
        ] {
            assert!(!prefers(&[json]), "{json}");
        }
        assert!(!prefers(&[]));
        assert!(prefers(&["application/json;q=0.5", "text/csv"]));
        assert!(!prefers(&["text/csv;q=0.5", "application/json"]));
    }
}
