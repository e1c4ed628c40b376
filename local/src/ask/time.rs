//! Times and durations: what people type, and what they see.

use std::str::FromStr;

use aws_smithy_types::date_time::{DateTime, Format};
use rollcall::domain::UnixMillis;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Smaller numbers are times in seconds, or in 1970 to 1973.
const SMALLEST_MS: u64 = 100_000_000_000;

/// A moment that somebody typed: RFC 3339 such as `2026-11-26T09:30:00Z`, a date (a day in UTC), or
/// Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    first: UnixMillis,
    last: UnixMillis,
}

/// A text that is no moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MomentError {
    /// None of the forms.
    #[error(
        "is no time: write 2026-11-26, 2026-11-26T09:30:00Z, 2026-11-26T09:30:00+01:00 or Unix \
         milliseconds"
    )]
    Form,
    /// A number that is probably seconds.
    #[error("looks like Unix seconds: milliseconds have three digits more")]
    Seconds,
}

impl Moment {
    /// Its beginning: of a day, midnight.
    #[must_use]
    pub fn first(self) -> UnixMillis {
        self.first
    }

    /// Its end: of a day, its last millisecond.
    #[must_use]
    pub fn last(self) -> UnixMillis {
        self.last
    }
}

impl FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Self, MomentError> {
        let at = |ms| Self { first: UnixMillis(ms), last: UnixMillis(ms) };
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return match text.parse() {
                Ok(ms @ 1..SMALLEST_MS) if ms >= SMALLEST_MS / 1000 => Err(MomentError::Seconds),
                Ok(ms) => Ok(at(ms)),
                Err(_) => Err(MomentError::Form),
            };
        }
        if text.len() == "2026-11-26".len() {
            let first = rfc_3339(&format!("{text}T00:00:00Z"))?;
            return Ok(Self { first: UnixMillis(first), last: UnixMillis(first + DAY_MS - 1) });
        }
        rfc_3339(text).map(at)
    }
}

fn rfc_3339(text: &str) -> Result<u64, MomentError> {
    let time = DateTime::from_str(text, Format::DateTimeWithOffset);
    let ms = time.ok().and_then(|time| time.to_millis().ok());
    ms.and_then(|ms| u64::try_from(ms).ok()).ok_or(MomentError::Form)
}

/// A time in UTC as RFC 3339, to the millisecond: it can be typed again.
#[must_use]
pub fn shown(at: UnixMillis) -> String {
    let seconds = i64::try_from(at.0 / 1000).ok().map(DateTime::from_secs);
    match seconds.and_then(|seconds| seconds.fmt(Format::DateTime).ok()) {
        Some(text) => format!("{}.{:03}Z", text.trim_end_matches('Z'), at.0 % 1000),
        None => at.0.to_string(),
    }
}

/// A duration with its two largest units, such as `1 h 12 min`.
#[must_use]
pub fn duration(ms: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("d", DAY_MS), ("h", 3_600_000), ("min", 60_000), ("s", 1000)];
    let Some(first) = UNITS.iter().position(|(_, unit)| ms >= *unit) else {
        return format!("{ms} ms");
    };
    let mut rest = ms;
    let mut parts = Vec::new();
    for (name, unit) in UNITS.iter().skip(first).take(2) {
        if rest / unit > 0 {
            parts.push(format!("{} {name}", rest / unit));
        }
        rest %= unit;
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(text: &str) -> Result<(u64, u64), MomentError> {
        text.parse().map(|moment: Moment| (moment.first().0, moment.last().0))
    }

    #[test]
    fn a_moment_is_rfc_3339_or_a_day_or_unix_milliseconds() {
        let noon = 1_795_694_400_000;
        assert_eq!(span("2026-11-26T12:00:00Z"), Ok((noon, noon)));
        assert_eq!(span("2026-11-26T13:00:00.250+01:00"), Ok((noon + 250, noon + 250)));
        assert_eq!(span("1795694400000"), Ok((noon, noon)));
        assert_eq!(span("0"), Ok((0, 0)));
        let day = noon - DAY_MS / 2;
        assert_eq!(span("2026-11-26"), Ok((day, day + DAY_MS - 1)));
        assert_eq!(span("1795694400"), Err(MomentError::Seconds));
        for wrong in ["", "2026-11-31", "2026-11-26T12:00:00", "yesterday", "-5", "1969-01-01"] {
            assert_eq!(span(wrong), Err(MomentError::Form), "{wrong}");
        }
    }

    #[test]
    fn a_time_that_is_shown_can_be_typed() {
        for ms in [1_795_694_400_000, 1_795_694_400_007, 1_795_694_400_120, 999_999_999_999] {
            assert_eq!(span(&shown(UnixMillis(ms))), Ok((ms, ms)));
        }
        assert_eq!(shown(UnixMillis(1_795_694_400_007)), "2026-11-26T12:00:00.007Z");
        assert_eq!(shown(UnixMillis(u64::MAX)), u64::MAX.to_string());
    }

    #[test]
    fn a_duration_has_its_two_largest_units() {
        let cases = [
            (0, "0 ms"),
            (999, "999 ms"),
            (16_400, "16 s"),
            (60_000, "1 min"),
            (200_000, "3 min 20 s"),
            (3_600_000 + 5_000, "1 h"),
            (3_600_000 + 12 * 60_000 + 5_000, "1 h 12 min"),
            (2 * DAY_MS + 3 * 3_600_000, "2 d 3 h"),
        ];
        for (ms, expected) in cases {
            assert_eq!(duration(ms), expected);
        }
    }
}
