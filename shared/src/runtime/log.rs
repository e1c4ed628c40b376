//! The log on stdout, which Lambda collects.

use std::str::FromStr;

use tracing_subscriber::{
    filter::LevelFilter,
    fmt::{self, format::JsonFields},
};

use super::now;
use crate::{metrics::EmbeddedMetrics, request_id::WithRequestId};

/// One JSON object per line, which `CloudWatch` Logs Insights parses automatically. The level is
/// Lambda's own setting. If `ROLLCALL_METRICS_NAMESPACE` is set, the lines about callbacks are
/// metrics, too. Lines about a request have the gateway's id of it.
pub(super) fn to_stdout() {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").ok();
    let level = level.and_then(|level| LevelFilter::from_str(&level).ok());
    let lines =
        fmt::format().json().flatten_event(true).with_target(false).with_current_span(false);
    let log = tracing_subscriber::fmt()
        .fmt_fields(JsonFields::new())
        .with_max_level(level.unwrap_or(LevelFilter::INFO));
    let namespace = std::env::var("ROLLCALL_METRICS_NAMESPACE").ok();
    match namespace.filter(|namespace| !namespace.is_empty()) {
        Some(namespace) => {
            let lines = EmbeddedMetrics::new(&namespace, lines, now);
            log.event_format(WithRequestId(lines)).init();
        }
        None => log.event_format(WithRequestId(lines)).init(),
    }
}
