//! Reports: how long everyone was in a room, where a person was by day, and how long two people were
//! together.

mod room;
mod together;
mod user;

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::{LAST_TIME, Parameters, QueryError, QueryLimits, cursor};
use crate::{
    domain::{LifeId, UnixMillis},
    record::{MAX_PEOPLE, Record, ReportError, RoomQuestion, Window},
};

pub(super) use self::{
    room::{RoomReport, room},
    together::{Together, together},
    user::{UserReport, user},
};

/// How long after the end of a room's life its callbacks are still expected, if nothing is said.
const SETTLE: u64 = 600;
/// The longest such time, in seconds: thirty days.
const MAX_SETTLE: u64 = 30 * 86_400;

/// Answers within the time limit of a report.
async fn in_time<T>(
    limit: Duration,
    report: impl Future<Output = Result<T, QueryError>>,
    instead: &str,
) -> Result<T, QueryError> {
    tokio::time::timeout(limit, report).await.unwrap_or_else(|_| {
        let seconds = limit.as_secs();
        Err(QueryError::TooLarge(format!(
            "this report takes longer than {seconds} s: ask for a shorter span with `from` and \
             `to`{instead}"
        )))
    })
}

/// Where the page before this one ended. It names the question that it belongs to.
trait Place: DeserializeOwned {
    /// The parameters that must be the same on each page.
    const QUESTION: &'static str;

    /// The span of the report.
    fn window(&self) -> Window;
}

/// Reads the cursor and the span of a page. Every page has the `as_of` of the first one.
/// `is_of` says whether the cursor agrees with what else was asked.
fn page<P: Place>(
    record: Record<'_>,
    parameters: &Parameters,
    is_of: impl FnOnce(&P) -> bool,
) -> Result<(Window, Option<P>), QueryError> {
    let place = parameters.get("next")?.map(cursor::read::<P>).transpose()?;
    let now = record.now();
    let as_of = place.as_ref().map_or(now, |place| place.window().as_of.min(now));
    let window = parameters.window(as_of)?;
    let is_same = place.as_ref().is_none_or(|place| {
        let Window { from, to, .. } = place.window();
        (from, to) == (window.from, window.to) && is_of(place)
    });
    if !is_same {
        let why = format!("belongs to another {}: start again without it", P::QUESTION);
        return Err(QueryError::BadParameter("next", why));
    }
    Ok((window, place))
}

impl Parameters {
    /// The span of a report. A visit that lasts has lasted until `as_of`.
    fn window(&self, as_of: UnixMillis) -> Result<Window, QueryError> {
        let from = self.time("from")?.unwrap_or(UnixMillis(0));
        Ok(Window { from, to: self.time("to")?.unwrap_or(LAST_TIME), as_of })
    }

    fn settle(&self) -> Result<Duration, QueryError> {
        Ok(Duration::from_secs(self.number("settle", 0..=MAX_SETTLE, SETTLE)?))
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
