//! The pipeline that every callback goes through.

use std::{net::IpAddr, time::Duration};

use tokio::time::{Instant, timeout};
use tracing::field::display;

use crate::{
    apps::AppsSource,
    breaker::{Attempt, AttemptKind, Breaker, StoreState},
    callback::{Callback, ParseError, Parsed, Provider, Rejection, Unstored, VerifyError},
    config::ReplayGuard,
    domain::{App, Change, Counts, Named, Outcome, SignatureUse, UnixMillis},
    http::{Reply, Request},
    metrics,
    providers::{Apps, Configured},
    queue::Queue,
    store::{AppliedAll, Claimed, StoreError, Writer},
};

/// How much of the time for one answer the store gets, in hundredths. The rest is for the queue,
/// its first TLS handshake included.
const STORE_PERCENT: u32 = 60;

/// How much of the time for one answer the store gets in hundredths, if it did not answer before. A
/// connection has to be made in the same time anyway.
const PROBE_PERCENT: u32 = 20;

/// The deadline for the queue, in hundredths of the time for one answer. The rest is for writing
/// and sending the answer.
const QUEUE_PERCENT: u32 = 94;

/// Everything that a callback needs.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// The apps whose callbacks are accepted.
    pub apps: AppsSource,
    /// The store for changes.
    pub store: Writer,
    /// The queue for changes that could not be stored in time. If it is `None`, such a callback is
    /// refused.
    pub spill: Option<Queue>,
    /// Lets callbacks pass by a store that does not answer, if there is a queue.
    pub breaker: Breaker,
    /// How far a signed time may lie behind or ahead of our clock.
    pub max_age: Duration,
    /// Whether a signature that does not cover the body is valid for one body only.
    pub replay_guard: ReplayGuard,
    /// The time for one answer.
    pub budget: Duration,
}

impl Receiver {
    /// Reads at the start of a function what would cost its first callback of type `C` a request of
    /// its own, after [`Writer::warm_up`]. It takes at most `limit`, and a failure does no harm.
    pub async fn warm_up<C: Callback<Provider: Configured>>(
        &self,
        limit: Duration,
        now: UnixMillis,
    ) {
        let Ok(Some(apps)) = timeout(limit, self.apps.get(now)).await else { return };
        let apps = C::Provider::with_second_track(&apps);
        self.store.read_track_notes(&apps, limit).await;
    }

    /// Takes a callback of type `C` from request to reply, and logs one line about it. A success
    /// is answered only when the change is stored, or safe in the queue.
    pub async fn receive<C: Callback<Provider: Configured>>(&self, request: &Request) -> Reply {
        let started = Instant::now();
        let (mut event, mut counts) = (C::EVENT, None);
        let (changes, answer) = match self.parse::<C>(request, started).await {
            Ok(Parsed { event: parsed, changes, left_out }) => {
                event = parsed.unwrap_or(event);
                self.apps.refresh(request.received_at);
                let mut counted = self.store(event, &changes, request, started).await;
                let is_stored = counted.not_stored == 0;
                let malformed = left_out.as_ref().map_or(0, ParseError::left_out);
                counted.not_stored += malformed;
                let all = changes.len() + malformed;
                let answer = match left_out {
                    _ if !is_stored => Err(Rejection::NotStored {
                        unstored: Unstored { count: counted.not_stored, all },
                        redelivery: C::Provider::REDELIVERY,
                    }),
                    Some(error) => Err(Rejection::Malformed(error)),
                    None => Ok(counted.outcome()),
                };
                counts = Some(counted).filter(|_| all > 1);
                (changes, answer)
            }
            Err(rejection) => (Vec::new(), Err(rejection)),
        };
        let breaker_open = self.breaker_open();
        log::<C>(event, &changes, &answer, started.elapsed(), breaker_open, request.source_ip);
        Reply { counts, ..C::Provider::reply(request, &answer) }
    }

    /// Verifies and parses. Returns what the request changes.
    async fn parse<C: Callback<Provider: Configured>>(
        &self,
        request: &Request,
        started: Instant,
    ) -> Result<Parsed, Rejection> {
        let limit = C::Provider::BODY_LIMIT;
        if request.body.len() > limit {
            return Err(Rejection::TooLarge { limit });
        }
        let now = request.received_at;
        let verify =
            |apps: &Apps| C::Provider::verify(request, C::Provider::of(apps), self.max_age);
        let apps = self.apps.get(now).await.ok_or(Rejection::NoSecrets(C::Provider::REDELIVERY))?;
        let (apps, verified) = match verify(&apps) {
            Err(error) if error.might_match_another_secret() => {
                let newer = self.apps.newer_than(&apps, now).await.ok_or(error)?;
                let verified = verify(&newer)?;
                (newer, verified)
            }
            verified => {
                let verified = verified?;
                (apps, verified)
            }
        };
        let mut parsed = C::parse(&verified)?;
        apps.mark_robots(&mut parsed.changes);
        if let (ReplayGuard::On, Some(used)) = (self.replay_guard, verified.signature_use())
            && !parsed.changes.is_empty()
        {
            self.guard(&verified.app(), used, started).await.map_err(|error| match error {
                GuardError::Used => VerifyError::UsedSignature.into(),
                GuardError::Unknown => {
                    let all = parsed.changes.len();
                    let unstored = Unstored { count: all, all };
                    Rejection::NotStored { unstored, redelivery: C::Provider::REDELIVERY }
                }
            })?;
        }
        Ok(parsed)
    }

    /// Makes a signature valid for one body only. The signature is claimed before anything is
    /// changed: after a crash in between, the same body may claim it again. If the claim fails, the
    /// callback is not accepted.
    async fn guard(
        &self,
        app: &App,
        used: &SignatureUse,
        started: Instant,
    ) -> Result<(), GuardError> {
        let breaker = self.spill.as_ref().map(|_| &self.breaker);
        let attempt = breaker.map(|breaker| breaker.admit(started).ok_or(GuardError::Unknown));
        let attempt = attempt.transpose()?;
        let kind = attempt.as_ref().map_or(AttemptKind::Usual, Attempt::kind);
        let deadline = started + self.limit(kind);
        let claimed = tokio::time::timeout_at(deadline, self.store.claim(app, used)).await;
        let claimed = claimed.unwrap_or(Err(StoreError::OutOfTime));
        if let Some(attempt) = attempt {
            let state = claimed.as_ref().map_or_else(StoreError::state, |_| StoreState::Answers);
            attempt.showed(state);
        }
        match claimed {
            Ok(Claimed::Yes) => Ok(()),
            Ok(Claimed::ByAnotherBody) => Err(GuardError::Used),
            Err(error) => {
                tracing::error!(%error, "a signature could not be claimed");
                Err(GuardError::Unknown)
            }
        }
    }

    /// Stores the changes of a request. Changes that are not known to be stored when the store's
    /// share of the time is over go to the queue, because not every provider sends them again. While
    /// the store does not answer, they go there at once. Without a queue, the store has the queue's
    /// share, too.
    async fn store(
        &self,
        event: &str,
        changes: &[Change],
        request: &Request,
        started: Instant,
    ) -> Counts {
        let queue_deadline = started + self.budget * QUEUE_PERCENT / 100;
        let Some(queue) = &self.spill else {
            let applied = self.store.apply_all(changes, request.received_at, queue_deadline).await;
            log_unstored(&applied);
            return Counts { not_stored: applied.failed.len(), stored: applied.outcomes };
        };
        if changes.is_empty() {
            return Counts::default();
        }
        let (mut counts, left) = match self.breaker.admit(started) {
            None => (Counts::default(), changes.iter().collect()),
            Some(attempt) => {
                let deadline = started + self.limit(attempt.kind());
                let applied = self.store.apply_all(changes, request.received_at, deadline).await;
                attempt.showed(applied.store_state());
                log_unstored(&applied);
                let left: Vec<_> = applied.failed.iter().map(|(change, _)| *change).collect();
                (Counts { stored: applied.outcomes, not_stored: 0 }, left)
            }
        };
        if left.is_empty() {
            return counts;
        }
        let count = left.len();
        match queue.spill(event, request.received_at, left, queue_deadline).await {
            Ok(()) => {
                counts.stored.insert(Outcome::Spilled, count);
            }
            Err(error) => {
                tracing::error!(%error, "a callback could not be spilled");
                counts.not_stored = count;
            }
        }
        counts
    }

    /// How long the store may take, from the beginning of the request.
    fn limit(&self, kind: AttemptKind) -> Duration {
        match kind {
            AttemptKind::Usual => store_limit(self.budget),
            AttemptKind::Probe => probe_limit(self.budget),
        }
    }

    /// 1 if callbacks pass the store by, for the metric; `None` if there is no queue.
    fn breaker_open(&self) -> Option<u8> {
        self.spill.as_ref().map(|_| u8::from(self.breaker.is_open()))
    }
}

fn log_unstored(applied: &AppliedAll<'_>) {
    if let Some((_, error)) = applied.failed.first() {
        let count = applied.failed.len();
        tracing::error!(%error, count, "a callback could not be stored");
    }
}

/// Why a signature is not known to be valid for this body.
enum GuardError {
    /// It came with another body.
    Used,
    /// The store did not answer.
    Unknown,
}

/// How much of the time for one answer the store may take if there is a queue.
#[must_use]
pub fn store_limit(budget: Duration) -> Duration {
    budget * STORE_PERCENT / 100
}

/// How much of the time for one answer the store may take that did not answer before.
#[must_use]
pub fn probe_limit(budget: Duration) -> Duration {
    budget * PROBE_PERCENT / 100
}

fn log<C: Callback>(
    event: &'static str,
    changes: &[Change],
    answer: &Result<Outcome, Rejection>,
    elapsed: Duration,
    breaker_open: Option<u8>,
    source_ip: Option<IpAddr>,
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
                breaker_open,
                "callback"
            );
        }
        Err(rejection) => {
            let status = rejection.status().as_u16();
            // Of refused callbacks only: it may be a person's.
            let source_ip = source_ip.map(display);
            tracing::warn!(
                target: metrics::CALLBACK,
                provider, event, app, user, room, count, outcome = metrics::REJECTED, status,
                reason = %rejection, rejection = rejection.name(), duration_ms, breaker_open, source_ip,
                "callback"
            );
        }
    }
}
