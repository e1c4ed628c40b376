//! Asks: waits for its turn, sends, reads, and asks again where that helps.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::time::{Instant, sleep_until};

use super::{
    Transport,
    limits::{Counted, Limit, Limits},
};
use crate::{
    domain::UnixMillis,
    providers::api::{Answer, ApiError, ApiRequest, NoAnswer, Nonce},
};

/// How often one question is asked, if the provider is asked too often, or the connection is lost.
const ATTEMPTS: u32 = 3;

/// The clock that says when a request was sent.
pub type Clock = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

/// An answer, and when the request for it was sent, by our clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked<T> {
    /// When.
    pub at: UnixMillis,
    /// The answer.
    pub answer: T,
}

/// What all clients share.
#[derive(Clone)]
pub(super) struct Caller {
    transport: Transport,
    limits: Arc<Mutex<Limits>>,
    clock: Clock,
}

impl Caller {
    pub(super) fn new(transport: Transport, clock: Clock) -> Self {
        Self { transport, limits: Arc::default(), clock }
    }

    /// The time by the clock.
    pub(super) fn now(&self) -> UnixMillis {
        (self.clock)()
    }

    /// Asks a question. `counted` says for which limits it counts.
    pub(super) async fn ask<T>(
        &self,
        counted: &[(Counted, Limit)],
        request: impl Fn(UnixMillis, Nonce) -> Result<ApiRequest, ApiError>,
        read: impl Fn(UnixMillis, &Answer) -> Result<T, ApiError>,
    ) -> Result<Asked<T>, ApiError> {
        let mut attempt = 1;
        loop {
            self.turn(counted).await;
            let at = self.now();
            let request = request(at, nonce()?)?;
            let answer = self.transport.send(request).await;
            match answer.and_then(|answer| read(at, &answer)) {
                Ok(answer) => return Ok(Asked { at, answer }),
                Err(error) if attempt < ATTEMPTS && helps_again(&error) => {
                    if error.is_throttled() {
                        self.limits().back_off(counted, Instant::now());
                    }
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until the limits allow a request.
    async fn turn(&self, counted: &[(Counted, Limit)]) {
        loop {
            let taken = self.limits().take(counted, Instant::now());
            match taken {
                Ok(()) => return,
                Err(next) => sleep_until(next).await,
            }
        }
    }

    fn limits(&self) -> std::sync::MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("transport", &self.transport).finish_non_exhaustive()
    }
}

/// Whether the same question may have an answer at once: all questions only read. An answer that
/// took too long is not waited for again.
fn helps_again(error: &ApiError) -> bool {
    let is_lost = |why| matches!(why, NoAnswer::Lost | NoAnswer::NoConnection);
    error.is_throttled() || matches!(error, ApiError::NoAnswer { why, .. } if is_lost(*why))
}

fn nonce() -> Result<Nonce, ApiError> {
    let mut bytes = [0; 8];
    let why = "the system has no random numbers";
    getrandom::fill(&mut bytes).map_err(|_| ApiError::NotAsked { action: "a question", why })?;
    Ok(Nonce(bytes))
}
