//! How long two people, or people in two roles, were in a room at the same time.

use serde::Serialize;

use super::{QueryLimits, in_time, question};
use crate::{
    domain::{AppId, LifeId, ProviderName, RoomId, UnixMillis, UserId},
    query::{Parameters, QueryError},
    record::{Record, Whom},
};

/// When both sides were there.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in crate::query) struct Together {
    /// The provider that sent the callbacks.
    provider: ProviderName,
    /// The app of the provider.
    app: AppId,
    /// The room.
    room: RoomId,
    /// The life of the room. Null in Tencent's rooms and ZIM's, which have no lives.
    life: Option<LifeId>,
    /// The time for which the answer is true, by the clock of the function that answers. A visit
    /// that lasts has lasted until then.
    as_of: UnixMillis,
    /// Whether no callback is expected that could change the answer, as in a room's report.
    #[serde(rename = "final")]
    is_final: bool,
    /// The parameter `a`.
    a: String,
    /// The parameter `b`.
    b: String,
    /// The sum of the spans, in milliseconds.
    together_ms: u64,
    /// Whether the beginning or the end of a visit of either side was inferred.
    assumed: bool,
    /// When both sides were present, oldest first. They do not overlap.
    #[cfg_attr(test, schemars(length(max = QueryLimits::DEFAULT.spans)))]
    spans: Vec<TogetherSpan>,
}

/// A span in which both sides were present.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct TogetherSpan {
    /// Its beginning.
    from: UnixMillis,
    /// Its end.
    to: UnixMillis,
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
        return record.role_named(role).map(Whom::InRole).ok_or_else(|| {
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
    limits: QueryLimits,
) -> Result<Together, QueryError> {
    let (a, b) = (whom(record, parameters, "a")?, whom(record, parameters, "b")?);
    if a == b && matches!(a, Whom::User(_)) {
        return Err(QueryError::BadParameter("b", "is the same person as `a`".to_owned()));
    }
    let (window, life) = (parameters.window(record.now())?, parameters.life()?);
    let question = question(parameters, life.as_ref(), window)?;
    let report = Box::pin(async { Ok(record.together(room, [&a, &b], question).await?) });
    let report = in_time(limits.time, report, ", or for two people by their ids").await?;
    if report.spans.len() > limits.spans {
        return Err(QueryError::TooLarge(format!(
            "there are more than {} spans: ask for a shorter span with `from` and `to`",
            limits.spans
        )));
    }
    let asked = |name| Ok::<_, QueryError>(parameters.get(name)?.unwrap_or_default().to_owned());
    Ok(Together {
        provider: record.app().provider,
        app: record.app().id.clone(),
        room: room.clone(),
        life: report.life,
        as_of: window.as_of,
        is_final: report.is_final,
        a: asked("a")?,
        b: asked("b")?,
        together_ms: report.spans.iter().map(|span| span.ms()).sum(),
        assumed: report.is_assumed,
        spans: report
            .spans
            .iter()
            .map(|span| TogetherSpan { from: span.from, to: span.to })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{payload, query::LAST_TIME};

    /// Two sides have as many characters as a parameter may have.
    #[test]
    fn as_many_spans_as_are_allowed_fit_into_an_answer_of_lambda() {
        let side = "\u{1}".repeat(260);
        let span = || TogetherSpan { from: LAST_TIME, to: LAST_TIME };
        let answer = Together {
            provider: ProviderName::Zego,
            app: "1".parse().unwrap(),
            room: side[..255].parse().unwrap(),
            life: None,
            as_of: LAST_TIME,
            is_final: true,
            a: side.clone(),
            b: side,
            together_ms: u64::MAX,
            assumed: true,
            spans: std::iter::repeat_with(span).take(QueryLimits::DEFAULT.spans).collect(),
        };
        let bytes = payload::body_bytes(&answer);
        assert!((2_500_000..5_000_000).contains(&bytes), "{bytes}");
    }
}
