//! Reports: how long everyone was in a room, where a person was by day, and how long two people were
//! together.

mod room;
mod together;
mod user;

use std::time::Duration;

use super::{LAST_TIME, Parameters, QueryError};
use crate::{
    domain::{LifeId, UnixMillis},
    record::{MAX_PEOPLE, ReportError, RoomQuestion, Window},
};

pub(super) use self::{
    room::{RoomReport, room},
    together::{Together, together},
    user::{UserReport, user},
};

/// How long a report may take: `template.yaml` gives the function two seconds more.
pub const REPORT_LIMIT: Duration = Duration::from_secs(8);

/// How long after the end of a room's life its callbacks are still expected, if nothing is said.
const SETTLE: u64 = 600;
/// The longest such time, in seconds: thirty days.
const MAX_SETTLE: u64 = 30 * 86_400;

/// Answers within the time limit of a report.
async fn in_time<T>(
    report: impl Future<Output = Result<T, QueryError>>,
    instead: &str,
) -> Result<T, QueryError> {
    tokio::time::timeout(REPORT_LIMIT, report).await.unwrap_or_else(|_| {
        let seconds = REPORT_LIMIT.as_secs();
        Err(QueryError::TooLarge(format!(
            "this report takes longer than {seconds} s: ask for a shorter span with `from` and \
             `to`{instead}"
        )))
    })
}

impl Parameters {
    /// The span of a report. A visit that lasts has lasted until `as_of`.
    fn window(&self, as_of: UnixMillis) -> Result<Window, QueryError> {
        let from = self.time("from")?.unwrap_or(UnixMillis(0));
        Ok(Window { from, to: self.time("to")?.unwrap_or(LAST_TIME), as_of })
    }

    fn settle(&self) -> Result<Duration, QueryError> {
        let Some(text) = self.get("settle")? else { return Ok(Duration::from_secs(SETTLE)) };
        match text.parse() {
            Ok(seconds @ 0..=MAX_SETTLE) => Ok(Duration::from_secs(seconds)),
            _ => Err(QueryError::BadParameter("settle", format!("is not 0 to {MAX_SETTLE}"))),
        }
    }

    fn life(&self) -> Result<Option<LifeId>, QueryError> {
        Ok(self.parsed("life")?)
    }
}

/// What is asked of a room.
fn question<'q>(
    parameters: &Parameters,
    life: Option<&'q LifeId>,
    window: Window,
) -> Result<RoomQuestion<'q>, QueryError> {
    Ok(RoomQuestion { life, window, settle: parameters.settle()? })
}

impl From<ReportError> for QueryError {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::UnknownRoom => Self::Unknown("room"),
            ReportError::UnknownLife => Self::Unknown("life of the room"),
            ReportError::NoLives => Self::BadParameter(
                "life",
                "cannot be asked for, because this provider's rooms have no lives: use `from` and \
                 `to`"
                    .to_owned(),
            ),
            ReportError::TooManyPeople => Self::TooLarge(format!(
                "more than {MAX_PEOPLE} people were in the room: ask for a shorter span with \
                 `from` and `to`, or for /attendance, which has every visit page by page"
            )),
            ReportError::Record(error) => Self::Record(error),
        }
    }
}

#[cfg(any(test, fuzzing))]
pub(super) fn fuzz_cursors(data: &[u8]) {
    room::fuzz_cursor(data);
    user::fuzz_cursor(data);
}
