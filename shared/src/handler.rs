//! The one pipeline that every callback goes through.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    callback::{Callback, Provider, RawRequest, Rejection, Reply},
    config::{Apps, AppsOf},
    domain::{Change, Outcome, UserId},
    store::{Store, StoreError},
};

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
        let (change, answer) = match change::<C>(self.apps.apps(), request, self.max_age) {
            Ok(change) => {
                let answer = self.store(change.as_ref(), request, started).await;
                (change, answer)
            }
            Err(rejection) => (None, Err(rejection)),
        };
        log::<C>(change.as_ref(), &answer, started.elapsed());
        C::Provider::reply(&answer)
    }

    async fn store(
        &self,
        change: Option<&Change>,
        request: &RawRequest,
        started: Instant,
    ) -> Result<Outcome, Rejection> {
        let Some(change) = change else { return Ok(Outcome::Ignored) };
        let left = self.budget.saturating_sub(started.elapsed());
        let stored =
            tokio::time::timeout(left, self.store.apply(change, request.received_at)).await;
        let stored = stored.unwrap_or(Err(StoreError::OutOfTime));
        stored.map_err(|error| {
            tracing::error!(%error, "a callback could not be stored");
            Rejection::NotStored
        })
    }
}

/// Verifies and parses: what the request changes, if its sender and its form are right.
fn change<C: Callback>(
    apps: &<C::Provider as Provider>::Apps,
    request: &RawRequest,
    max_age: Duration,
) -> Result<Option<Change>, Rejection> {
    let limit = C::Provider::BODY_LIMIT;
    if request.body.len() > limit {
        return Err(Rejection::TooLarge { limit });
    }
    let verified = C::Provider::verify(request, apps, max_age)?;
    Ok(C::parse(&verified)?)
}

fn log<C: Callback>(
    change: Option<&Change>,
    answer: &Result<Outcome, Rejection>,
    elapsed: Duration,
) {
    let provider = C::Provider::NAME.as_str();
    let event = C::EVENT;
    let duration_ms = (elapsed.as_secs_f64() * 1e6).round() / 1e3;
    let app = change.map(|change| change.app().id.as_str());
    let user = change.and_then(Change::user).map(UserId::as_str);
    let room = change.map(|change| change.room().as_str());
    match answer {
        Ok(outcome) => {
            let outcome = outcome.as_str();
            tracing::info!(provider, event, app, user, room, outcome, duration_ms, "callback");
        }
        Err(rejection) => {
            let status = rejection.status().as_u16();
            tracing::warn!(
                provider, event, app, user, room, outcome = "rejected", status,
                reason = %rejection, duration_ms, "callback"
            );
        }
    }
}
