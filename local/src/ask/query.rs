//! A request to Rollcall and its answer, as values.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, StatusCode};
use rollcall::domain::App;
use serde_json::Value;

/// What has to be escaped in a path or a query that is signed.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A query of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The method.
    pub method: Method,
    /// The path and the query.
    pub path: String,
    /// The body, JSON or empty.
    pub body: String,
}

/// An answer of any status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The media type of the body, such as `text/csv`.
    pub media_type: String,
    /// The cursor in `Link: <...>; rel="next"`, if there is one.
    pub next: Option<String>,
    /// The body.
    pub body: String,
}

impl Query {
    /// A GET of this path.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: String::new() }
    }

    /// A DELETE of this path.
    #[must_use]
    pub fn delete(path: impl Into<String>) -> Self {
        Self { method: Method::DELETE, ..Self::get(path) }
    }

    /// A POST of this body.
    #[must_use]
    pub fn post(path: impl Into<String>, body: &Value) -> Self {
        Self { method: Method::POST, path: path.into(), body: body.to_string() }
    }

    /// A GET about one app: `/{root}/{provider}/{app}{rest}`.
    #[must_use]
    pub fn of(app: &App, root: &str, rest: &str) -> Self {
        Self::get(format!("/{root}/{}{rest}", segments(app)))
    }

    /// The same with one more parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.path.push(if self.path.contains('?') { '&' } else { '?' });
        self.path.push_str(name);
        self.path.push('=');
        self.path.push_str(&encoded(&value.to_string()));
        self
    }

    /// The same with one more parameter, if it has a value.
    #[must_use]
    pub fn with_any(self, name: &str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The path without the query.
    #[must_use]
    pub fn route(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }
}

/// Without the query, whose cursors are long.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.route())
    }
}

/// The part of a path that names an app: `{provider}/{app}`.
#[must_use]
pub fn segments(app: &App) -> String {
    format!("{}/{}", app.provider.as_str(), encoded(app.id.as_str()))
}

/// An id or a cursor as it can stand in a path or a query.
#[must_use]
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use rollcall::domain::ProviderName;

    use super::*;

    #[test]
    fn an_id_with_any_character_travels_in_a_parameter() {
        let app =
            App { provider: ProviderName::by_name("zego").unwrap(), id: "a b".parse().unwrap() };
        let query = Query::of(&app, "presence", "/users").with("user", "é/?&=#%+");
        assert_eq!(query.path, "/presence/zego/a%20b/users?user=%C3%A9%2F%3F%26%3D%23%25%2B");
        assert_eq!(query.clone().with("limit", 5).path, format!("{}&limit=5", query.path));
        assert_eq!(query.to_string(), "GET /presence/zego/a%20b/users");
    }
}
