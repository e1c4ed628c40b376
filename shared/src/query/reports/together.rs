//! How long two people, or people in two roles, were in a room at the same time.

use serde::Serialize;

use super::{app, in_time, question};
use crate::{
    domain::{RoomId, UserId},
    query::{Parameters, QueryError},
    record::{Record, Whom},
};

/// How many spans an answer has at most: twice as many would be too long for Lambda.
const MAX_SPANS: usize = 50_000;

/// When both sides were there.
#[derive(Debug, Serialize)]
pub(in crate::query) struct TogetherReport {
    provider: &'static str,
    app: String,
    room: String,
    life: Option<String>,
    as_of: u64,
    #[serde(rename = "final")]
    is_final: bool,
    a: String,
    b: String,
    together_ms: u64,
    assumed: bool,
    spans: Vec<TogetherSpan>,
}

#[derive(Debug, Serialize)]
struct TogetherSpan {
    from: u64,
    to: u64,
}

/// One side: a user's id, `role:` and a role, or `user:` and an id that begins like one of these.
fn whom(
    record: Record<'_>,
    parameters: &Parameters,
    name: &'static str,
) -> Result<Whom, QueryError> {
    let bad = |why: String| QueryError::BadParameter(name, why);
    let text = parameters.get(name)?.ok_or_else(|| bad("is missing".to_owned()))?;
    if let Some(role) = text.strip_prefix("role:") {
        return record.role_named(role).map(Whom::Role).ok_or_else(|| {
            bad("names no role, such as `role:audience` or `role:role_9`; a user whose id begins \
                 with `role:` is `user:role:...`"
                .to_owned())
        });
    }
    let id: Result<UserId, _> = text.strip_prefix("user:").unwrap_or(text).parse();
    id.map(Whom::User).map_err(|error| bad(error.to_string()))
}

pub(in crate::query) async fn together(
    record: Record<'_>,
    room: &RoomId,
    parameters: &Parameters,
) -> Result<TogetherReport, QueryError> {
    let (a, b) = (whom(record, parameters, "a")?, whom(record, parameters, "b")?);
    if a == b && matches!(a, Whom::User(_)) {
        return Err(QueryError::BadParameter("b", "is the same person as `a`".to_owned()));
    }
    let (window, life) = (parameters.window(record.now())?, parameters.life()?);
    let question = question(parameters, life.as_ref(), window)?;
    let report = Box::pin(async { Ok(record.together(room, [&a, &b], question).await?) });
    let report = in_time(report, ", or for two people by their ids").await?;
    if report.spans.len() > MAX_SPANS {
        return Err(QueryError::TooLarge(format!(
            "there are more than {MAX_SPANS} spans: ask for a shorter span with `from` and `to`"
        )));
    }
    let (provider, app) = app(record);
    let asked = |name| Ok::<_, QueryError>(parameters.get(name)?.unwrap_or_default().to_owned());
    Ok(TogetherReport {
        provider,
        app,
        room: room.to_string(),
        life: report.life.map(|life| life.to_string()),
        as_of: window.as_of.0,
        is_final: report.is_final,
        a: asked("a")?,
        b: asked("b")?,
        together_ms: report.spans.iter().map(|span| span.ms()).sum(),
        assumed: report.is_assumed,
        spans: report
            .spans
            .iter()
            .map(|span| TogetherSpan { from: span.from.0, to: span.to.0 })
            .collect(),
    })
}
