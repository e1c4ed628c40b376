//! How many rooms and people an app had over time.

use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use super::{Page, QueryError, answer::List, cursor, rows::Rows};
use crate::{
    domain::{Counted, Sample, UnixMillis},
    record::{self, Record},
};

/// A page of samples, and the highest of each hour and day.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Stats {
    /// In the order of time.
    #[cfg_attr(test, schemars(length(max = super::MAX_LIMIT)))]
    samples: Vec<StatsSample>,
    /// The highest sample of each hour (UTC) whose first sample is on this page, also if it is on a
    /// later page itself.
    #[cfg_attr(test, schemars(length(max = super::MAX_LIMIT)))]
    peaks: Vec<HourPeak>,
    /// The same of each day.
    #[cfg_attr(test, schemars(length(max = super::MAX_LIMIT)))]
    daily_peaks: Vec<DayPeak>,
    /// The parameter `next` of the next page. Null on the last page.
    next: Option<String>,
}

/// What one pass over an app's rooms found.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct StatsSample {
    /// When the pass began.
    at: UnixMillis,
    /// In how many rooms somebody was.
    rooms: u64,
    /// How many people were in rooms. Who was in two rooms counts twice.
    online: u64,
    /// Whether there may have been more: a room with more than 5000 people is not counted to the
    /// end, and a room that the pass could not read is left out.
    at_least: bool,
    /// How long the pass took, in milliseconds: so long after `at` the newest of its numbers was
    /// read.
    took_ms: u64,
}

/// The highest sample of an hour.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct HourPeak {
    /// The hour in UTC, such as `2026-11-26T05`.
    hour: String,
    /// The highest number of people in rooms that a sample has.
    online: u64,
    /// Always true: between two samples there may have been more.
    at_least: bool,
}

/// The highest sample of a day.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct DayPeak {
    /// The day in UTC, such as `2026-11-26`.
    day: String,
    /// The highest number of people in rooms that a sample has.
    online: u64,
    /// Always true: between two samples there may have been more.
    at_least: bool,
}

impl List for Stats {
    type Row = StatsSample;

    fn rows(&self) -> &[StatsSample] {
        &self.samples
    }

    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

impl From<&Sample> for StatsSample {
    fn from(sample: &Sample) -> Self {
        Self {
            at: sample.at,
            rooms: sample.rooms,
            online: sample.online,
            at_least: sample.counted == Counted::AtLeast,
            took_ms: u64::try_from(sample.took.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// Where a page ended.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    after: UnixMillis,
}

pub(super) async fn samples(record: Record<'_>, page: &Page<'_>) -> Result<Stats, QueryError> {
    let after = page.next.map(cursor::read::<Place>).transpose()?.map(|place| place.after);
    let first = after.map_or(page.from, |after| UnixMillis(after.0.saturating_add(1)));
    let span = first.max(page.from)..=page.to;
    // An hour or a day that began before the page is on another one.
    let told = after.filter(|after| *after >= page.from);
    let mut hours = Peaks::of(UnixMillis::hour, told);
    let mut days = Peaks::of(UnixMillis::day, told);
    let mut found = record.samples(span, page.limit + 1);
    let (mut rows, mut last, mut next) = (Rows::new(page.limit), None, None);
    while let Some(sample) = found.try_next().await? {
        if next.is_none() && rows.add(StatsSample::from(&sample)).is_break() {
            next = last.and_then(|after| cursor::write(&Place { after }));
        }
        if next.is_none() {
            last = Some(sample.at);
            hours.begin(&sample);
            days.begin(&sample);
        }
        let (is_in_hour, is_in_day) = (hours.raise(&sample), days.raise(&sample));
        if next.is_some() && !is_in_hour && !is_in_day {
            break;
        }
    }
    let hour =
        |Peak { at, online, .. }| HourPeak { hour: record::utc_hour(at), online, at_least: true };
    let day =
        |Peak { at, online, .. }| DayPeak { day: record::utc_day(at), online, at_least: true };
    Ok(Stats {
        samples: rows.into_vec(),
        peaks: hours.found.into_iter().map(hour).collect(),
        daily_peaks: days.found.into_iter().map(day).collect(),
        next,
    })
}

/// The highest samples of the periods that begin on a page.
struct Peaks {
    /// The number of the period that a time is in.
    period: fn(UnixMillis) -> u64,
    /// The last period that an earlier page has.
    told: Option<u64>,
    found: Vec<Peak>,
}

struct Peak {
    period: u64,
    /// A time in the period.
    at: UnixMillis,
    online: u64,
}

impl Peaks {
    fn of(period: fn(UnixMillis) -> u64, told: Option<UnixMillis>) -> Self {
        Self { period, told: told.map(period), found: Vec::new() }
    }

    /// The page has this sample, and so its period, unless an earlier page has it.
    fn begin(&mut self, sample: &Sample) {
        let period = (self.period)(sample.at);
        let is_known = self.found.last().is_some_and(|peak| peak.period == period);
        if !is_known && self.told != Some(period) {
            self.found.push(Peak { period, at: sample.at, online: 0 });
        }
    }

    /// Whether the sample is in the last period of the page.
    fn raise(&mut self, sample: &Sample) -> bool {
        let period = (self.period)(sample.at);
        let last = self.found.last_mut().filter(|peak| peak.period == period);
        let is_in = last.is_some();
        if let Some(peak) = last {
            peak.online = peak.online.max(sample.online);
        }
        is_in
    }
}

#[cfg(any(test, fuzzing))]
pub(super) fn fuzz_cursor(data: &[u8]) {
    cursor::fuzz::<Place>(data);
}
