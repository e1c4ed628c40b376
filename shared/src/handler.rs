//! The one pipeline that every callback goes through.

use std::time::{Duration, Instant};

use crate::{
    apps::AppsSource,
    callback::{Callback, Parsed, Provider, Rejection, VerifyError},
    config::{Apps, AppsOf, ReplayGuard},
    domain::{App, Change, Named, Outcome, SignatureUse},
    http::{Reply, Request},
    metrics,
    spill::Queue,
    store::{Claimed, Store, StoreError},
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
    pub apps: AppsSource,
    /// Where changes go.
    pub store: Store,
    /// Where changes go that could not be stored in time; `None` if there is no queue, and then
    /// such a callback is refused.
    pub spill: Option<Queue>,
    /// How far a signed time may lie behind or ahead of our clock.
    pub max_age: Duration,
    /// Whether a signature that does not cover the body is good for one body only.
    pub replay_guard: ReplayGuard,
    /// The time for one answer.
    pub budget: Duration,
}

impl Receiver {
    /// Takes a callback of type `C` from request to reply, and logs one line about it. A success
    /// is answered only once the change is stored, or safe in the queue.
    pub async fn receive<C: Callback>(&self, request: &Request) -> Reply
    where
        Apps: AppsOf<C::Provider>,
    {
        let started = Instant::now();
        let mut event = C::EVENT;
        let (changes, answer) = match self.parse::<C>(request, started).await {
            Ok(Parsed { event: told, changes, left_out }) => {
                event = told.unwrap_or(event);
                self.apps.refresh(request.received_at);
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

    /// Verifies and parses: what the request changes, if its sender and its form are right.
    async fn parse<C: Callback>(
        &self,
        request: &Request,
        started: Instant,
    ) -> Result<Parsed, Rejection>
    where
        Apps: AppsOf<C::Provider>,
    {
        let limit = C::Provider::BODY_LIMIT;
        if request.body.len() > limit {
            return Err(Rejection::TooLarge { limit });
        }
        let now = request.received_at;
        let verify = |apps: &Apps| C::Provider::verify(request, apps.apps(), self.max_age);
        let apps = self.apps.get(now).await.ok_or(Rejection::NoSecrets)?;
        let verified = match verify(&apps) {
            Err(error) if error.may_be_for_want_of_a_secret() => {
                match self.apps.newer_than(&apps, now).await {
                    Some(apps) => verify(&apps)?,
                    None => return Err(error.into()),
                }
            }
            verified => verified?,
        };
        let parsed = C::parse(&verified)?;
        if let (ReplayGuard::On, Some(used)) = (self.replay_guard, verified.signature_use())
            && !parsed.changes.is_empty()
        {
            self.guard(&verified.app(), used, started).await?;
        }
        Ok(parsed)
    }

    /// Sees to it that a signature is good for one body. It is claimed before anything is changed:
    /// after a crash in between, the same body may claim it again. What could not be claimed is not
    /// accepted.
    async fn guard(
        &self,
        app: &App,
        used: &SignatureUse,
        started: Instant,
    ) -> Result<(), Rejection> {
        let left = store_limit(self.budget).saturating_sub(started.elapsed());
        let claimed = tokio::time::timeout(left, self.store.claim(app, used)).await;
        match claimed.unwrap_or(Err(StoreError::OutOfTime)) {
            Ok(Claimed::Yes) => Ok(()),
            Ok(Claimed::ByAnotherBody) => Err(VerifyError::UsedSignature.into()),
            Err(error) => {
                tracing::error!(%error, "a signature could not be claimed");
                Err(Rejection::NotStored)
            }
        }
    }

    /// Stores the changes of a request. What is not known to be stored when the store's share of the
    /// time is over goes to the queue: not every provider sends it again.
    async fn store(
        &self,
        event: &str,
        changes: &[Change],
        request: &Request,
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

fn log<C: Callback>(
    event: &'static str,
    changes: &[Change],
    answer: &Result<Outcome, Rejection>,
    elapsed: Duration,
) {
    let provider = C::Provider::NAME.as_str();
    let duration_ms = (elapsed.as_secs_f64() * 1e6).round() / 1e3;
    let Named { app, user, room, count } = Named::of(changes);
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
