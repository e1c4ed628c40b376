//! What a backend's requests have done.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::{
    LEASE, Passed, Reconcile, ReconcileError, RoomPassed, Writing, ask::Api, clock::Clock,
    room::RoomPass, turns::Turns,
};
use crate::{
    domain::{App, RoomId, UnixMillis, UserId},
    providers::{
        api::{ApiError, Cause},
        is_asked_about,
        zego::api::USER_LIST,
    },
    store::Lease,
};

/// How often a request tries to take the lease of a pass.
const TRIES_EVERY: Duration = Duration::from_millis(300);

/// How much of a request's time is left for what comes after the pass.
const RESERVE: Duration = Duration::from_secs(2);

impl Reconcile {
    /// Asks about a room; `None` if it cannot be done in time, and a later pass begins with it.
    pub(super) async fn room_on_request(
        &self,
        app: &App,
        room: &RoomId,
        writing: Writing,
        request_id: &str,
        now: UnixMillis,
        deadline: Instant,
    ) -> Result<Option<RoomPassed>, ReconcileError> {
        let clock = Clock::at(now);
        let api = Api::of(&self.apis, app).await?;
        let api = api.rooms().ok_or(ReconcileError::NothingToAsk)?;
        if !is_asked_about(app.provider, room) {
            return Err(ReconcileError::RoomOfZim);
        }
        let passed = match self.lease(app, request_id, clock, deadline).await {
            Ok(mut lease) => {
                let turns = Turns::default();
                let pass = RoomPass {
                    reconcile: self,
                    api,
                    app,
                    room,
                    clock,
                    writing,
                    tally: None,
                    turns: &turns,
                };
                let passed = pass.run(deadline - RESERVE).await;
                self.passes.keep(&mut lease, None, clock.now()).await?;
                passed
            }
            Err(error) => Err(error),
        };
        match passed {
            Ok(passed) => Ok(Some(passed)),
            Err(ReconcileError::Busy | ReconcileError::OutOfTime) if writing == Writing::Stored => {
                self.passes.ask(app, room, clock.now()).await?;
                Ok(None)
            }
            Err(ReconcileError::Api(error)) if is_room_too_long(&error) => {
                Err(ReconcileError::RoomTooLong)
            }
            Err(error) => Err(error),
        }
    }

    /// Asks about a person's devices. That is one question, which needs no lease.
    pub(super) async fn user_on_request(
        &self,
        app: &App,
        user: &UserId,
        writing: Writing,
        now: UnixMillis,
        deadline: Instant,
    ) -> Result<RoomPassed, ReconcileError> {
        let api = Api::of(&self.apis, app).await?.devices();
        let asked = self.user(&api, app, user, writing, Clock::at(now));
        timeout_at(deadline, asked).await.unwrap_or(Err(ReconcileError::OutOfTime))
    }

    /// Asks about an app until everything was asked about, or until the time is over.
    pub(super) async fn pass_on_request(
        &self,
        app: &App,
        writing: Writing,
        request_id: &str,
        now: UnixMillis,
        deadline: Instant,
    ) -> Result<Passed, ReconcileError> {
        let clock = Clock::at(now);
        let api = Api::of(&self.apis, app).await?;
        let lease = self.lease(app, request_id, clock, deadline).await?;
        self.pass_with(lease, app, &api, writing, clock, deadline - RESERVE).await
    }

    /// Takes the lease of an app's passes as soon as it is free.
    pub(super) async fn lease(
        &self,
        app: &App,
        request_id: &str,
        clock: Clock,
        deadline: Instant,
    ) -> Result<Lease, ReconcileError> {
        loop {
            let now = clock.now();
            if let Some(lease) = self.passes.take(app, request_id, now, now.after(LEASE)).await? {
                return Ok(lease);
            }
            if Instant::now() + TRIES_EVERY + RESERVE >= deadline {
                return Err(ReconcileError::Busy);
            }
            sleep(TRIES_EVERY).await;
        }
    }
}

/// Whether the provider refused the id of the room, which the list of its people is asked for by.
fn is_room_too_long(error: &ApiError) -> bool {
    matches!(error, ApiError::Refused { action: USER_LIST, cause: Cause::TooLong, .. })
}
