//! The one pipeline that every callback goes through.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    callback::{Callback, Parsed, Provider, RawRequest, Rejection, Reply},
    config::{Apps, AppsOf},
    domain::{Change, Outcome, RoomId, UserId},
    spill::Queue,
    store::Store,
};

/// How much of the time for one answer the store gets, in hundredths. The rest is for the queue, its
/// first TLS handshake included.
const STORE_PERCENT: u32 = 60;

/// By when the queue has to have answered, in hundredths of the time for one answer: the answer has
/// to be written and sent, too.
const QUEUE_PERCENT: u32 = 94;

/// What a callback needs on its way.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// The apps whose callbacks are accepted.
    pub apps: Arc<Apps>,
    /// Where changes go.
    pub store: Store,
    /// Where changes go that could not be stored in time; `None` if there is no queue, and then
    /// such a callback is refused.
    pub spill: Option<Queue>,
    /// How far a signed time may lie behind or ahead of our clock.
    pub max_age: Duration,
    /// The time for one answer.
    pub budget: Duration,
}

impl Receiver {
    /// Takes a callback of type `C` from request to reply, and logs one line about it. A success
    /// is answered only once the change is stored, or safe in the queue.
    pub async fn receive<C: Callback>(&self, request: &RawRequest) -> Reply
    where
        Apps: AppsOf<C::Provider>,
    {
        let started = Instant::now();
        let mut event = C::EVENT;
        let (changes, answer) = match parse::<C>(self.apps.apps(), request, self.max_age) {
            Ok(Parsed { event: told, changes, left_out }) => {
                event = told.unwrap_or(event);
                let stored = self.store(event, &changes, request, started).await;
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

    /// Stores the changes of a request. What is not known to be stored when the store's share of the
    /// time is over goes to the queue: not every provider sends it again.
    async fn store(
        &self,
        event: &str,
        changes: &[Change],
        request: &RawRequest,
        started: Instant,
    ) -> Result<Outcome, Rejection> {
        let by = |limit| tokio::time::Instant::from_std(started + limit);
        let deadline = by(store_limit(self.budget));
        let applied = self.store.apply_all(changes, request.received_at, deadline).await;
        let Some((_, error)) = applied.failed.first() else { return Ok(applied.outcome) };
        tracing::error!(%error, count = applied.failed.len(), "a callback could not be stored");
        let queue = self.spill.as_ref().ok_or(Rejection::NotStored)?;
        let left = applied.failed.iter().map(|(change, _)| *change);
        let deadline = by(self.budget * QUEUE_PERCENT / 100);
        queue.spill(event, request.received_at, left, deadline).await.map_err(|error| {
            tracing::error!(%error, "a callback could not be spilled");
            Rejection::NotStored
        })?;
        Ok(Outcome::Spilled)
    }
}

/// How much of the time for one answer the store may take.
#[must_use]
pub fn store_limit(budget: Duration) -> Duration {
    budget * STORE_PERCENT / 100
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
    event: &str,
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
                provider, event, app, user, room, count, outcome = "rejected", status,
                reason = %rejection, duration_ms, "callback"
            );
        }
    }
}
