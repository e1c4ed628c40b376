//! Erasing a person, in two passes or more.
//!
//! A request is answered when the first pass is over. The second one comes a quarter of an hour
//! later, when no provider sends anything again: it deletes what late callbacks have stored
//! meanwhile. Until then, readers leave that out.
//!
//! A pass that finds an end without a beginning cannot know whether the visit began before the
//! erasure, or whether its beginning waits in the spill queue. So it leaves the end, and arranges
//! another pass, until the beginning has come or the end is a day old.
//!
//! The order of the steps lets a crash do no harm. The erasure is noted before anything is deleted,
//! and the second pass is arranged before the first one begins. After a crash, the same request
//! does the rest.

mod http;
mod repeat;

use std::time::Duration;

use tokio::time::Instant;

#[cfg(any(test, fuzzing))]
pub(crate) use self::http::fuzz;
#[cfg(test)]
pub(crate) use self::http::schemas;
pub use self::repeat::{Repeat, RepeatError, Repeats};
use crate::{
    domain::UnixMillis,
    metrics,
    store::{Eraser, Pass, PassEnd, Passed, Person, StoreError, UserHash},
};

/// How long after the request the second pass comes, and each further pass after the one before: the
/// longest time that a message of SQS can be delayed. No provider repeats a callback for so long.
pub const SECOND_PASS_AFTER: Duration = Duration::from_mins(15);

/// How long a request may take. API Gateway waits for 30 seconds.
pub const REQUEST_LIMIT: Duration = Duration::from_secs(20);

/// How much longer the last items of a request may take.
const GRACE: Duration = Duration::from_secs(5);

/// Erases people.
#[derive(Debug, Clone)]
pub struct Erase {
    /// The table.
    pub store: Eraser,
    /// What makes the later passes happen.
    pub repeats: Repeats,
    /// How long a request may take. What is not erased by then needs another request.
    pub limit: Duration,
}

/// Why a person was not erased.
#[derive(Debug, thiserror::Error)]
enum EraseError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the next pass cannot be arranged: {0}")]
    Repeat(#[from] RepeatError),
    #[error("the time for the answer was over")]
    OutOfTime,
}

impl Erase {
    /// Erases what is stored about a person, and arranges the second pass.
    async fn first_pass(&self, person: &Person, now: UnixMillis) -> Result<Passed, EraseError> {
        let deadline = Instant::now() + self.limit;
        let work = async {
            let hash = self.store.hash(person).await?;
            let at = self.store.note(&person.app, hash, now).await?;
            self.repeats.arrange(Repeat { person: person.clone(), at }, deadline).await?;
            let passed = self.store.pass(person, hash, Pass::First, at, now, deadline).await?;
            self.done(person, hash, Pass::First, passed).await?;
            Ok(passed)
        };
        // A pass ends at the deadline by itself, unless the table does not answer.
        tokio::time::timeout_at(deadline + GRACE, work).await.unwrap_or(Err(EraseError::OutOfTime))
    }

    /// Erases what came late, and arranges another pass if something may still come.
    async fn later_pass(
        &self,
        repeat: &Repeat,
        now: UnixMillis,
        deadline: Instant,
    ) -> Result<(), EraseError> {
        let Repeat { person, at } = repeat;
        let hash = self.store.hash(person).await?;
        let noted = self.store.noted(&person.app, hash).await?;
        let at = noted.map_or(*at, |noted| noted.at.max(*at));
        let passed = self.store.pass(person, hash, Pass::Later, at, now, deadline).await?;
        self.done(person, hash, Pass::Later, passed).await?;
        match passed.end {
            PassEnd::Complete if passed.is_waiting => {
                Ok(self.repeats.arrange(repeat.clone(), deadline).await?)
            }
            PassEnd::Complete => Ok(()),
            PassEnd::OutOfTime => Err(EraseError::OutOfTime),
        }
    }

    /// Counts what a pass has erased. The line names the hash, never the person.
    async fn done(
        &self,
        person: &Person,
        hash: UserHash,
        pass: Pass,
        passed: Passed,
    ) -> Result<(), StoreError> {
        let Passed { items, end, .. } = passed;
        let erasures = u64::from(pass == Pass::First && end == PassEnd::Complete);
        tracing::info!(
            target: metrics::ERASURE,
            provider = person.app.provider.as_str(),
            app = person.app.id.as_str(),
            %hash,
            erasures,
            erased_items = items,
            pass = match pass {
                Pass::First => "first",
                Pass::Later => "later",
            },
            complete = end == PassEnd::Complete,
            "erasure"
        );
        if items > 0 {
            self.store.count(&person.app, hash, items).await?;
        }
        Ok(())
    }
}
