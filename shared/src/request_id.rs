//! The gateway's id of a request, in every line that a function logs about it.
//!
//! Example: a line of the access log says `"requestId":"JKJaXmPLvHcESHA=","status":"429"` or `503`,
//! and the lines of the function have the same `requestId`. So one query finds both. API Gateway
//! answers with it, too, in the header [`HEADER`].
//!
//! It is not the id by which Lambda knows the call: the access log has no such id.

use std::fmt;

use tracing::{Event, Metadata, Span, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormattedFields,
        format::{JsonFields, Writer},
    },
    registry::LookupSpan,
};

/// The header by which an HTTP API answers with the id of the request.
pub const HEADER: &str = "apigw-requestid";

/// The target of the span of a request. It is not the path of a module, which is the target of all
/// others.
const TARGET: &str = "rollcall.request";

/// The id that a gateway gave to a request: `requestContext.requestId` of an HTTP API's event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// The id of a gateway, as it is.
    #[must_use]
    pub fn new(id: String) -> Self {
        Self(id)
    }

    /// The text of the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The span of this request. What is logged in it has the id, if the subscriber writes its lines
    /// by [`WithRequestId`].
    #[must_use]
    pub fn span(&self) -> Span {
        // The access log and Lambda write the name like this.
        tracing::info_span!(target: TARGET, "request", requestId = self.0)
    }
}

/// Writes lines like `F`, which are JSON objects. In the span of a request, each begins with the
/// member `requestId`.
#[derive(Debug)]
pub struct WithRequestId<F>(pub F);

impl<S, F> FormatEvent<S, JsonFields> for WithRequestId<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    F: FormatEvent<S, JsonFields>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let is_request = |span: &Metadata<'_>| span.target() == TARGET;
        let mut spans = context.event_scope().into_iter().flatten();
        let Some(request) = spans.find(|span| is_request(span.metadata())) else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let extensions = request.extensions();
        // `{"requestId":"..."}`
        let fields = extensions.get::<FormattedFields<JsonFields>>();
        let fields = fields.and_then(|fields| fields.strip_suffix('}'));
        match (fields, line.strip_prefix('{')) {
            (Some(fields), Some(rest)) => write!(writer, "{fields},{rest}"),
            _ => writer.write_str(&line),
        }
    }
}
