//! How many rooms and people an app had.

use std::ops::RangeInclusive;

use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use super::{Record, RecordError, report::timestamp};
use crate::domain::{Sample, UnixMillis};

impl<'a> Record<'a> {
    /// The samples of a span of time, the earliest first. About `at_first` of them are read at once.
    #[must_use]
    pub fn samples(
        self,
        span: RangeInclusive<UnixMillis>,
        at_first: usize,
    ) -> BoxStream<'a, Result<Sample, RecordError>> {
        if span.is_empty() {
            return stream::empty().boxed();
        }
        let (from, to) = span.into_inner();
        self.store.samples(self.app, from, to, at_first, self.now).err_into().boxed()
    }

    /// The newest sample, if there is one.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn newest_sample(self) -> Result<Option<Sample>, RecordError> {
        Ok(self.store.newest_sample(self.app, self.now).await?)
    }
}

/// The hour of a time in UTC, such as `2026-11-26T05`.
#[must_use]
pub fn utc_hour(at: UnixMillis) -> String {
    // It is written as 2026-11-26T05:00:00Z.
    timestamp(at).to_string().chars().take(13).collect()
}

/// The day of a time in UTC, such as `2026-11-26`.
#[must_use]
pub fn utc_day(at: UnixMillis) -> String {
    timestamp(at).to_string().chars().take(10).collect()
}
