//! The one pipeline that every callback goes through.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};

use crate::{
    callback::{Callback, Parsed, Provider, RawRequest, Rejection, Reply},
    config::{Apps, AppsOf},
    domain::{Change, Outcome, RoomId, UserId},
    metrics,
    store::{Store, StoreError},
};

/// How many changes of one request are stored at the same time.
const CONCURRENT_CHANGES: usize = 32;

/// What a callback needs on its way.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// The apps whose callbacks are accepted.
    pub apps: Arc<Apps>,
    /// Where changes go.
    pub store: Store,
    /// How far a signed time may lie behind or ahead of our clock.
    pub max_age: Duration,
    /// The time for one answer.
    pub budget: Duration,
}

impl Receiver {
    /// Takes a callback of type `C` from request to reply, and logs one line about it. A success
    /// is answered only once the change is stored.
    pub async fn receive<C: Callback>(&self, request: &RawRequest) -> Reply
    where
        Apps: AppsOf<C::Provider>,
    {
        let started = Instant::now();
        let mut event = C::EVENT;
        let (changes, answer) = match parse::<C>(self.apps.apps(), request, self.max_age) {
            Ok(Parsed { event: told, changes, left_out }) => {
                event = told.unwrap_or(event);
                let stored = self.store(&changes, request, started).await;
                let answer = match left_out {
                    Some(error) => stored.and(Err(Rejection::Malformed(error))),
                    None => stored,
                };
                (changes, answer)
            }
            Err(rejection) => (Vec::new(), Err(rejection)),
        };
        log::<C>(event, &changes, &answer, started.elapsed());
        C::Provider::reply(request, &answer)
    }

    /// Stores all changes of a request, a bounded number of them at the same time. One that fails
    /// does not keep the others from being stored: not every provider sends them again.
    async fn store(
        &self,
        changes: &[Change],
        request: &RawRequest,
        started: Instant,
    ) -> Result<Outcome, Rejection> {
        let mut writes = Vec::with_capacity(changes.len());
        for change in changes {
            writes.push(self.store.apply(change, request.received_at));
        }
        let all = stream::iter(writes).buffer_unordered(CONCURRENT_CHANGES);
        let most_notable = all.fold(Ok(Outcome::Ignored), async |most_notable, stored| {
            Ok(Outcome::max(most_notable?, stored?))
        });
        let left = self.budget.saturating_sub(started.elapsed());
        let stored = tokio::time::timeout(left, most_notable).await;
        stored.unwrap_or(Err(StoreError::OutOfTime)).map_err(|error| {
            tracing::error!(%error, "a callback could not be stored");
            Rejection::NotStored
        })
    }
}

/// Verifies and parses: what the request changes, if its sender and its form are right.
fn parse<C: Callback>(
    apps: &<C::Provider as Provider>::Apps,
    request: &RawRequest,
    max_age: Duration,
) -> Result<Parsed, Rejection> {
    let limit = C::Provider::BODY_LIMIT;
    if request.body.len() > limit {
        return Err(Rejection::TooLarge { limit });
    }
    let verified = C::Provider::verify(request, apps, max_age)?;
    Ok(C::parse(&verified)?)
}

fn log<C: Callback>(
    event: &'static str,
    changes: &[Change],
    answer: &Result<Outcome, Rejection>,
    elapsed: Duration,
) {
    let provider = C::Provider::NAME.as_str();
    let duration_ms = (elapsed.as_secs_f64() * 1e6).round() / 1e3;
    // A batch is about more people than a line can name.
    let change = changes.first().filter(|_| changes.len() == 1);
    let count = (changes.len() > 1).then_some(changes.len());
    let app = changes.first().map(|change| change.app().id.as_str());
    let user = change.and_then(Change::user).map(UserId::as_str);
    let room = change.and_then(Change::room).map(RoomId::as_str);
    match answer {
        Ok(outcome) => {
            let outcome = outcome.as_str();
            tracing::info!(
                target: metrics::CALLBACK,
                provider,
                event,
                app,
                user,
                room,
                count,
                outcome,
                duration_ms,
                "callback"
            );
        }
        Err(rejection) => {
            let status = rejection.status().as_u16();
            tracing::warn!(
                target: metrics::CALLBACK,
                provider, event, app, user, room, count, outcome = metrics::REJECTED, status,
                reason = %rejection, rejection = rejection.name(), duration_ms, "callback"
            );
        }
    }
}
