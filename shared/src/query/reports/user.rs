//! Where a person was, by day.

use serde::{Deserialize, Serialize};

use super::{QueryLimits, in_time};
use crate::{
    domain::{AppId, ProviderName, RoomId, UnixMillis, UserId},
    query::{Parameters, QueryError, answer::List, cursor, rows::Earliest},
    record::{Record, Timezone, Window},
};

/// A page of the days and rooms of a person.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in crate::query) struct UserReport {
    /// The provider that sent the callbacks.
    provider: ProviderName,
    /// The app of the provider.
    app: AppId,
    /// Who it was.
    user: UserId,
    /// The time zone of the days, an IANA name.
    timezone: String,
    /// When the first page was asked for. A visit that lasts has lasted until then.
    as_of: UnixMillis,
    #[serde(flatten)]
    totals: Totals,
    /// Day by day, and on each day in the byte order of the rooms' ids.
    #[cfg_attr(test, schemars(length(max = crate::query::MAX_LIMIT)))]
    rows: Vec<DayRow>,
    /// The parameter `next` of the next page. Null on the last page.
    next: Option<String>,
}

/// What a report says of the whole span, on each of its pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "UserTotals"))]
struct Totals {
    /// How many visits there were, each counted once on however many days it lasted.
    visits: usize,
    /// The sum of `present_ms` over all pages, in milliseconds.
    present_ms: u64,
}

/// One room on one day.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "DayReport"))]
pub(in crate::query) struct DayRow {
    /// The day in the time zone, such as `2026-11-26`.
    #[cfg_attr(test, schemars(regex(pattern = "^[0-9]{4,}-[0-9]{2}-[0-9]{2}$")))]
    day: String,
    /// The room.
    room: RoomId,
    /// How many visits lasted at any time of the day.
    visits: usize,
    /// How long the person was present in the room on that day, in milliseconds.
    present_ms: u64,
    /// Whether the beginning or the end of one of these visits was inferred.
    assumed: bool,
}

/// Where a page ended, and what the first page says of the whole span.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    day: String,
    room: String,
    timezone: String,
    from: UnixMillis,
    to: UnixMillis,
    as_of: UnixMillis,
    totals: Totals,
}

impl super::Place for Place {
    const QUESTION: &'static str = "`timezone`, `from` or `to`";

    fn window(&self) -> Window {
        Window { from: self.from, to: self.to, as_of: self.as_of }
    }
}

/// A page of the report of a person: by day, and on each day by the bytes of the ids of the rooms.
///
/// Each page reads all of their seats, and keeps no more rows than it returns and one room's days.
pub(in crate::query) async fn user(
    record: Record<'_>,
    user: &UserId,
    parameters: &Parameters,
    limits: QueryLimits,
) -> Result<UserReport, QueryError> {
    let timezone = parameters.parsed("timezone")?.unwrap_or_else(Timezone::utc);
    let name = timezone.name().to_owned();
    let is_of = |place: &Place| place.timezone == name;
    let (window, place) = super::page(record, parameters, is_of)?;
    let after = place.as_ref().map(|place| (place.day.clone(), place.room.clone()));
    let limit = parameters.limit()?;
    let report = Box::pin(async {
        let mut rows = Earliest::<(String, String), DayRow>::new(limit);
        let mut totals = Totals::default();
        let mut report = record.days_of_person(user, window, timezone);
        while let Some(room) = report.next().await? {
            totals.visits += room.visits;
            for day in room.days {
                totals.present_ms += day.present_ms;
                let place = (day.day.clone(), room.room.to_string());
                if after.as_ref().is_none_or(|after| place > *after) && rows.may_take(&place) {
                    let room = room.room.clone();
                    rows.take(
                        place,
                        DayRow {
                            day: day.day,
                            room,
                            visits: day.visits,
                            present_ms: day.present_ms,
                            assumed: day.is_assumed,
                        },
                    );
                }
            }
        }
        Ok((rows.into_page(), totals, report.is_known()))
    });
    let ((rows, last), totals, is_known) = in_time(limits.time, report, "").await?;
    if !is_known && !record.is_known_outside_rooms(user).await? {
        return Err(QueryError::Unknown("user"));
    }
    let totals = place.map_or(totals, |place| place.totals);
    let next = last.and_then(|(day, room)| {
        let (Window { from, to, as_of }, timezone) = (window, name.clone());
        cursor::write(&Place { day, room, timezone, from, to, as_of, totals })
    });
    Ok(UserReport {
        provider: record.app().provider,
        app: record.app().id.clone(),
        user: user.clone(),
        timezone: name,
        as_of: window.as_of,
        totals,
        rows,
        next,
    })
}

impl List for UserReport {
    type Row = DayRow;

    fn rows(&self) -> &[DayRow] {
        &self.rows
    }

    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

#[cfg(any(test, fuzzing))]
pub(super) fn fuzz_cursor(data: &[u8]) {
    cursor::fuzz::<Place>(data);
}
