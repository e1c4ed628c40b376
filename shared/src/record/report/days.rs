//! Days of a time zone.

use std::str::FromStr;

use jiff::{
    Timestamp, ToSpan,
    civil::Date,
    tz::{TimeZone, TimeZoneDatabase},
};

use super::span::Span;
use crate::domain::UnixMillis;

/// A time zone of the IANA database, which is part of the binary.
#[derive(Debug, Clone)]
pub struct Timezone(TimeZone);

/// The text names no time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an IANA time zone, such as Europe/Berlin")]
pub struct TimezoneError;

/// By its IANA name, such as `Europe/Berlin` or `UTC`.
impl FromStr for Timezone {
    type Err = TimezoneError;

    fn from_str(name: &str) -> Result<Self, TimezoneError> {
        TimeZoneDatabase::bundled().get(name).map(Self).map_err(|_| TimezoneError)
    }
}

impl Timezone {
    /// UTC.
    #[must_use]
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// Its IANA name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The days that a span lies in, such as `2026-11-26`, with its part in each. A day begins at
    /// its first moment by local clocks. An empty span lies in one day.
    pub(super) fn days(&self, span: Span) -> Vec<(String, Span)> {
        let (mut from, mut days) = (span.from, Vec::new());
        let mut day = self.0.to_datetime(timestamp(span.from)).date();
        loop {
            // Beyond the end of time there is no other day.
            let next = day.checked_add(1.day()).ok();
            let begins = next.and_then(|next| self.beginning(next));
            let Some((next, begins)) = next.zip(begins).filter(|(_, at)| *at < span.to) else {
                days.push((day.to_string(), Span { from, to: span.to }));
                return days;
            };
            // When clocks go back over midnight, a day may begin before the one before it ends. A
            // zone that moves over the date line leaves out a day.
            if begins > from {
                days.push((day.to_string(), Span { from, to: begins }));
                from = begins;
            }
            day = next;
        }
    }

    fn beginning(&self, day: Date) -> Option<UnixMillis> {
        let midnight = day.to_zoned(self.0.clone()).ok()?.timestamp().as_millisecond();
        Some(UnixMillis(u64::try_from(midnight).unwrap_or(0)))
    }
}

/// A time as the calendar has it.
pub(in crate::record) fn timestamp(at: UnixMillis) -> Timestamp {
    let ms = i64::try_from(at.0).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}
