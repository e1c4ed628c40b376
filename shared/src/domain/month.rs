//! Calendar months, by which Tencent counts active users.

use std::{fmt, str::FromStr};

use super::UnixMillis;

/// A calendar month in UTC, written `2026-11`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    year: u32,
    month: u32,
}

/// A text that is not a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a month like 2026-11")]
pub struct MonthError;

impl From<UnixMillis> for Month {
    /// Uses the proleptic Gregorian calendar. Years begin in March here, so that leap days come
    /// last.
    fn from(time: UnixMillis) -> Self {
        const DAYS_BEFORE_EPOCH: u64 = 719_468; // from 0000-03-01 to 1970-01-01
        const DAYS_OF_400_YEARS: u64 = 146_097;
        let days = time.0 / 86_400_000 + DAYS_BEFORE_EPOCH;
        let (era, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day_of_year = day - (365 * year + year / 4 - year / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let (month, carry) =
            if from_march < 10 { (from_march + 3, 0) } else { (from_march - 9, 1) };
        let year = era * 400 + year + carry;
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Self { year: narrow(year), month: narrow(month) }
    }
}

impl Month {
    /// The month before.
    #[must_use]
    pub fn before(self) -> Self {
        match self.month {
            0 | 1 => Self { year: self.year.saturating_sub(1), month: 12 },
            month => Self { month: month - 1, ..self },
        }
    }
}

impl FromStr for Month {
    type Err = MonthError;

    fn from_str(text: &str) -> Result<Self, MonthError> {
        let (year, month) = text.split_once('-').ok_or(MonthError)?;
        let number = |text: &str, digits: usize| {
            let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| is_number).ok_or(MonthError)
        };
        match (number(year, 4)?, number(month, 2)?) {
            (year, month @ 1..=12) => Ok(Self { year, month }),
            _ => Err(MonthError),
        }
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn month(seconds: u64) -> String {
        Month::from(UnixMillis(seconds * 1000)).to_string()
    }

    #[test]
    fn december_comes_before_january() {
        let before = |text: &str| text.parse::<Month>().unwrap().before().to_string();
        assert_eq!(before("2026-01"), "2025-12");
        assert_eq!(before("2026-12"), "2026-11");
    }

    #[test]
    fn months_begin_and_end_at_midnight_utc() {
        assert_eq!(month(0), "1970-01");
        assert_eq!(month(1_793_491_199), "2026-10"); // 2026-10-31T23:59:59Z
        assert_eq!(month(1_793_491_200), "2026-11");
        assert_eq!(month(1_798_761_599), "2026-12");
        assert_eq!(month(1_798_761_600), "2027-01");
    }

    #[test]
    fn leap_days_belong_to_february() {
        assert_eq!(month(951_782_400), "2000-02"); // 2000-02-29
        assert_eq!(month(951_868_800), "2000-03");
        assert_eq!(month(1_709_164_800), "2024-02"); // 2024-02-29
        assert_eq!(month(4_107_542_400), "2100-03"); // no leap year
        assert_eq!(month(4_107_542_399), "2100-02");
    }

    #[test]
    fn a_month_is_read_strictly() {
        assert_eq!("2026-11".parse::<Month>().unwrap().to_string(), "2026-11");
        for text in ["", "2026", "2026-13", "2026-00", "2026-1", "26-11", "2026-11-01", "+026-11"] {
            assert_eq!(text.parse::<Month>(), Err(MonthError), "{text}");
        }
    }
}
