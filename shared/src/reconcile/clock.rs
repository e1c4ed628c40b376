//! The time during a pass: the time when it began, and what has passed since.

use tokio::time::Instant;

use crate::domain::UnixMillis;

/// A clock that was set when a pass began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    began: (UnixMillis, Instant),
}

impl Clock {
    /// It is now that time.
    pub(super) fn at(now: UnixMillis) -> Self {
        Self { began: (now, Instant::now()) }
    }

    pub(super) fn now(&self) -> UnixMillis {
        let (at, instant) = self.began;
        at.after(instant.elapsed())
    }
}
