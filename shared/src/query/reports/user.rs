//! Where a person was, by day.

use serde::{Deserialize, Serialize};

use super::{app, in_time};
use crate::{
    domain::{UnixMillis, UserId},
    query::{Parameters, QueryError, cursor, rows::Earliest},
    record::{Record, Timezone},
};

/// A page of the days and rooms of a person.
#[derive(Debug, Serialize)]
pub(in crate::query) struct UserReport {
    provider: &'static str,
    app: String,
    user: String,
    timezone: String,
    as_of: u64,
    #[serde(flatten)]
    totals: Totals,
    rows: Vec<DayRow>,
    next: Option<String>,
}

/// What a report says of the whole span, on each of its pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Totals {
    /// Each visit once, on however many days it lasted.
    visits: usize,
    present_ms: u64,
}

/// One room on one day.
#[derive(Debug, Serialize)]
struct DayRow {
    day: String,
    room: String,
    visits: usize,
    present_ms: u64,
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

/// A page of the report of a person: by day, and on each day by the bytes of the ids of the rooms.
///
/// Each page reads all of their seats, and keeps no more rows than it returns and one room's days.
pub(in crate::query) async fn user(
    record: Record<'_>,
    user: &UserId,
    parameters: &Parameters,
) -> Result<UserReport, QueryError> {
    let place = parameters.get("next")?.map(cursor::read::<Place>).transpose()?;
    let as_of = place.as_ref().map_or(record.now(), |place| place.as_of.min(record.now()));
    let window = parameters.window(as_of)?;
    let timezone = parameters.parsed("timezone")?.unwrap_or_else(Timezone::utc);
    let name = timezone.name().to_owned();
    if place.as_ref().is_some_and(|place| {
        (place.from, place.to, &place.timezone) != (window.from, window.to, &name)
    }) {
        let why = "belongs to another `timezone`, `from` or `to`: start again without it";
        return Err(QueryError::BadParameter("next", why.to_owned()));
    }
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
                    let (day, room) = (day, place.1.clone());
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
    let ((rows, last), totals, is_known) = in_time(report, "").await?;
    if !is_known && !record.is_known_outside_rooms(user).await? {
        return Err(QueryError::Unknown("user"));
    }
    let totals = place.map_or(totals, |place| place.totals);
    let (provider, app) = app(record);
    let next = last.and_then(|(day, room)| {
        let (from, to, timezone) = (window.from, window.to, name.clone());
        cursor::write(&Place { day, room, timezone, from, to, as_of, totals })
    });
    Ok(UserReport {
        provider,
        app,
        user: user.to_string(),
        timezone: name,
        as_of: as_of.0,
        totals,
        rows,
        next,
    })
}

#[cfg(any(test, fuzzing))]
pub(super) fn fuzz_cursor(data: &[u8]) {
    cursor::fuzz::<Place>(data);
}
