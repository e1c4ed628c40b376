//! Sends queries to one Rollcall, signs them where IAM wants it, and follows pages.

use std::{
    error::Error as _,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, LINK},
};
use rollcall::runtime;
use serde_json::Value;

use super::{Answer, AskError, Query, iam::Signer};

/// The longest page that Rollcall gives.
pub const MAX_PAGE: usize = 1000;

/// The most live rooms on one page.
const MAX_ROOMS: usize = 100;

/// How often a list is read again from its beginning, because its cursor was valid no longer.
const RESTARTS: u32 = 3;

/// How long the first pause before a repetition is; each one is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(15);

/// Asks one Rollcall.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    signer: Option<Signer>,
    /// How often a query is repeated that may be answered later.
    retries: u32,
    /// Whether there was any answer. An address that never answered is probably wrong.
    has_answered: AtomicBool,
}

impl Client {
    /// Asks the Rollcall at this address. In the cloud queries are signed, if the environment has
    /// credentials ([`Signer::from_env`]).
    #[must_use]
    pub fn new(http: reqwest::Client, url: &str) -> Self {
        let url = url.trim_end_matches('/').to_owned();
        let signer = Signer::from_env(&url);
        Self { http, url, signer, retries: 0, has_answered: AtomicBool::new(false) }
    }

    /// The same, which repeats up to `retries` times what is answered by 429 or 5xx, or, after a
    /// first answer, by nothing at all.
    #[must_use]
    pub fn with_retries(self, retries: u32) -> Self {
        Self { retries, ..self }
    }

    /// Where it asks, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether queries are signed.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.signer.is_some()
    }

    /// Sends a query once, and returns the answer, whatever its status is.
    ///
    /// # Errors
    ///
    /// [`AskError::NoAnswer`] or [`AskError::Unsigned`].
    pub async fn send(&self, query: &Query) -> Result<Answer, AskError> {
        let Query { method, path, body } = query;
        let url = format!("{}{path}", self.url);
        let mut request = self.http.request(method.clone(), &url);
        if let Some(signer) = &self.signer {
            let headers = signer.sign(method, &url, body, runtime::now());
            for (name, value) in headers.map_err(AskError::Unsigned)? {
                request = request.header(name, value);
            }
        }
        let answered = async {
            let response = request.body(body.clone()).send().await?;
            let links = response.headers().get_all(LINK).iter();
            let next = links.filter_map(|link| link.to_str().ok()).find_map(next_of);
            let media_type = response.headers().get(CONTENT_TYPE);
            let media_type = media_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
            let media_type = media_type.split(';').next().unwrap_or_default().trim().to_owned();
            let status = response.status();
            Ok(Answer { status, media_type, next, body: response.text().await? })
        };
        let answer = answered.await.map_err(|error| self.no_answer(error))?;
        self.has_answered.store(true, Ordering::Relaxed);
        Ok(answer)
    }

    /// The answer of status 200, or 202 if it is done later. Repeats the query if it may be answered later.
    ///
    /// # Errors
    ///
    /// [`AskError`].
    pub async fn answer(&self, query: &Query) -> Result<Answer, AskError> {
        let mut pause = FIRST_PAUSE;
        for _ in 0..self.retries {
            match self.send(query).await {
                Ok(answer) if may_pass(answer.status) => {}
                Ok(answer) => return self.right(query, answer),
                Err(AskError::NoAnswer { .. }) if self.has_answered.load(Ordering::Relaxed) => {}
                Err(error) => return Err(error),
            }
            // Not all at the same time.
            tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            pause = LAST_PAUSE.min(pause * 2);
        }
        let answer = self.send(query).await?;
        self.right(query, answer)
    }

    /// The JSON of an answer.
    ///
    /// # Errors
    ///
    /// [`AskError`].
    pub async fn json(&self, query: &Query) -> Result<Value, AskError> {
        let answer = self.answer(query).await?;
        serde_json::from_str(&answer.body).map_err(|_| AskError::Unreadable {
            query: query.to_string(),
            fault: "is not JSON".to_owned(),
        })
    }

    /// All pages of a list as one answer: the first page, with the entries of all in these fields,
    /// or with the first `most`. Its `next` is null, unless more follow.
    ///
    /// # Errors
    ///
    /// [`AskError`].
    pub async fn list(
        &self,
        query: &Query,
        fields: &[&str],
        most: usize,
    ) -> Result<Value, AskError> {
        let mut restarts = 0;
        loop {
            match self.pages(query, fields, most).await {
                // A roster's cursor is valid for one life of the room.
                Err((AskError::Refused { status, .. }, true))
                    if status == StatusCode::BAD_REQUEST && restarts < RESTARTS =>
                {
                    restarts += 1;
                }
                done => return done.map_err(|(error, _)| error),
            }
        }
    }

    /// As `list`; an error says whether it was a later page's.
    async fn pages(
        &self,
        query: &Query,
        fields: &[&str],
        most: usize,
    ) -> Result<Value, (AskError, bool)> {
        let max = if query.path.starts_with("/rooms/") { MAX_ROOMS } else { MAX_PAGE };
        let page = |most: usize| query.clone().with("limit", most.clamp(1, max));
        let mut all = self.json(&page(most)).await.map_err(|error| (error, false))?;
        loop {
            let read: usize = fields.iter().map(|field| rows(&all[*field])).sum();
            let Some(next) = all["next"].as_str().filter(|_| read < most) else { return Ok(all) };
            let later = page(most - read).with("next", next);
            let mut later = self.json(&later).await.map_err(|error| (error, true))?;
            for field in fields {
                append(&mut all[*field], later[*field].take());
            }
            all["next"] = later["next"].take();
        }
    }

    /// What was answered, if it is what was asked for.
    fn right(&self, query: &Query, answer: Answer) -> Result<Answer, AskError> {
        match answer.status {
            StatusCode::OK | StatusCode::ACCEPTED => Ok(answer),
            _ => Err(AskError::of(&self.url, self.is_signed(), query, &answer)),
        }
    }

    /// The error's own text has the whole URL, with cursors and ids.
    fn no_answer(&self, error: reqwest::Error) -> AskError {
        let error = error.without_url();
        let mut innermost: &dyn std::error::Error = &error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        let cause = error.source().map_or(String::new(), |_| format!(": {innermost}"));
        AskError::NoAnswer { url: self.url.clone(), cause }
    }
}

/// How many rows of a page these are: of an explained room, its marks.
fn rows(entries: &Value) -> usize {
    let entries = entries.as_array().map_or(&[][..], Vec::as_slice);
    entries.iter().map(|entry| entry["marks"].as_array().map_or(1, Vec::len)).sum()
}

/// Appends the entries of a later page. A page may end within an explained room.
fn append(all: &mut Value, more: Value) {
    let (Value::Array(all), Value::Array(more)) = (all, more) else { return };
    let mut more = more.into_iter().peekable();
    if let (Some(last), Some(first)) = (all.last_mut(), more.peek())
        && last["marks"].is_array()
        && ["room", "life"].iter().all(|name| last[*name] == first[*name])
        && let Some(mut first) = more.next()
    {
        for field in ["marks", "stays"] {
            append(&mut last[field], first[field].take());
        }
    }
    all.extend(more);
}

/// Whether the same query may be answered later.
fn may_pass(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

/// The cursor of `Link: <...?next=CURSOR>; rel="next"`. Only the cursor is taken: a request is
/// signed for no other address than the one that was given.
fn next_of(link: &str) -> Option<String> {
    let targets = link.split('<').skip(1);
    targets.filter_map(|link| link.split_once('>')).find_map(|(target, parameters)| {
        let is_next = parameters.split([';', ',']).any(|parameter| {
            let parameter = parameter.trim().to_ascii_lowercase();
            parameter.strip_prefix("rel=").is_some_and(|rel| rel.trim_matches('"') == "next")
        });
        let (_, query) = target.split_once('?').filter(|_| is_next)?;
        let value = query.split('&').find_map(|pair| pair.strip_prefix("next="))?;
        percent_encoding::percent_decode_str(value).decode_utf8().ok().map(Into::into)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_room_that_a_page_cuts_is_one_room() {
        let room = |name: &str, marks: &[u64]| json!({ "room": name, "life": null, "marks": marks, "stays": marks });
        let mut all = json!([room("a", &[1]), room("b", &[2, 3])]);
        assert_eq!(rows(&all), 3);
        append(&mut all, json!([room("b", &[4]), room("c", &[5])]));
        assert_eq!(all, json!([room("a", &[1]), room("b", &[2, 3, 4]), room("c", &[5])]));
        let mut visits = json!([{ "room": "a" }]);
        append(&mut visits, json!([{ "room": "a" }]));
        assert_eq!(rows(&visits), 2, "visits to one room are several");
    }

    #[test]
    fn the_next_cursor_is_read_from_the_link() {
        let next = |link| next_of(link);
        let relative = r#"</attendance/zego/1/rooms?room=a&next=eyJ%2Fx&format=csv>; rel="next""#;
        assert_eq!(next(relative).as_deref(), Some("eyJ/x"));
        assert_eq!(next("<https://h/x?next=a>; rel=next").as_deref(), Some("a"));
        let several = r#"</x?next=a>; rel="first", </x?next=b>; type="text/csv"; rel="next""#;
        assert_eq!(next(several).as_deref(), Some("b"));
        for none in ["", "</x?next=a>", r#"</x?next=a>; rel="prev""#, r#"</x>; rel="next""#, "<"] {
            assert_eq!(next(none), None, "{none}");
        }
    }
}
