//! A pass over the rooms of an app.

use std::{pin::pin, time::Duration};

use futures::{StreamExt, TryStreamExt, stream::FuturesUnordered};
use tokio::time::{Instant, interval_at};

use super::{
    LEASE, Reconcile, ReconcileError, RoomPassed, SharedTally, Writing, ask, order, room::RoomPass,
    run::AppPass, turns::Turns,
};
use crate::{
    domain::RoomId,
    providers::is_asked_about,
    server_api::ZegoApi,
    store::{LIVE_PARTS, LiveRoom},
};

/// About how many rooms of an app a pass asks at the same time. A large room takes long, because a
/// provider allows one page of its list per second.
const CONCURRENT_ROOMS: usize = 16;

/// How often a lease is kept.
const KEPT_EVERY: Duration = Duration::from_secs(20);

/// After how many rooms in a row without an answer a pass ends: the API is down.
const MAX_FAILED_IN_A_ROW: u64 = 10;

impl AppPass<'_> {
    /// Asks about the rooms of the app. After each slice all of them pause between two questions, so
    /// that a request need not wait until a large room is done, and go on.
    pub(super) async fn rooms(&mut self, api: &ZegoApi) -> Result<(), ReconcileError> {
        let Self { reconcile, app, clock, writing, deadline, .. } = *self;
        self.progress.rooms.begin(clock.now());
        let failed_before = self.passed.failed;
        let mut rooms = self.in_order().await?.into_iter();
        let (tally, turns) = (SharedTally::default(), Turns::default());
        let mut asking = FuturesUnordered::new();
        let mut failed_in_a_row = 0;
        let mut keep = interval_at(Instant::now() + KEPT_EVERY, KEPT_EVERY);
        loop {
            let slice_ends = self.slice_ends();
            let mut pausing = pin!(turns.pause_at(slice_ends));
            let pause = loop {
                while asking.len() < CONCURRENT_ROOMS
                    && Instant::now() < slice_ends
                    && failed_in_a_row < MAX_FAILED_IN_A_ROW
                {
                    let Some((room, is_asked)) = rooms.next() else { break };
                    let (tally, turns) = (Some(&tally), &turns);
                    asking.push(async move {
                        let pass = RoomPass {
                            reconcile,
                            api,
                            app,
                            room: &room,
                            clock,
                            writing,
                            tally,
                            turns,
                        };
                        let passed = pass.run(deadline).await;
                        (room, is_asked, passed)
                    });
                }
                tokio::select! {
                    pause = &mut pausing => break Some(pause),
                    next = asking.next() => match next {
                        None => break None,
                        Some((room, is_asked, passed)) => {
                            self.done(&room, is_asked, passed, &mut failed_in_a_row).await?;
                        }
                    },
                    _ = keep.tick() => self.keep_until(clock.now().after(LEASE)).await?,
                }
            };
            if asking.is_empty() {
                if failed_in_a_row >= MAX_FAILED_IN_A_ROW || self.is_cut {
                    return Ok(());
                }
                if rooms.len() == 0 {
                    let failed = self.passed.failed - failed_before;
                    self.progress.rooms.end(failed);
                    self.passed.is_complete = failed == 0;
                    return Ok(());
                }
            }
            if !self.leave_to_requests().await? {
                return Ok(());
            }
            drop(pause);
        }
    }

    /// A room was asked about. An error of the table ends the pass.
    async fn done(
        &mut self,
        room: &RoomId,
        is_asked: IsAsked,
        passed: Result<RoomPassed, ReconcileError>,
        failed_in_a_row: &mut u64,
    ) -> Result<(), ReconcileError> {
        let passed = match passed {
            Ok(passed) => passed,
            Err(ReconcileError::Api(error)) => {
                let code = error.code();
                tracing::warn!(%error, code, "a room could not be asked about");
                self.passed.failed += 1;
                *failed_in_a_row += u64::from(ask::is_of_all(&error));
                return Ok(());
            }
            // The next run begins with it.
            Err(ReconcileError::OutOfTime) => {
                self.is_cut = true;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        *failed_in_a_row = 0;
        self.passed.rooms += 1;
        self.passed.add(&passed);
        if self.writing == Writing::Stored {
            let store = &self.reconcile.passes;
            store.passed(self.app, room, passed.checked_at).await?;
            if is_asked == IsAsked::Yes {
                store.answered(self.app, room).await?;
            }
        }
        Ok(())
    }

    /// The rooms to ask about: first those that requests asked about.
    async fn in_order(&self) -> Result<Vec<(RoomId, IsAsked)>, ReconcileError> {
        let Self { reconcile: Reconcile { reader, .. }, app, clock, .. } = *self;
        let mut asked = reader.asked_rooms(app, clock.now()).await?;
        asked.retain(|room| is_asked_about(app.provider, room));
        let mut live: Vec<LiveRoom> = Vec::new();
        for part in 0..LIVE_PARTS {
            let listed = reader.live_part(app, part, None, clock.now());
            live.extend(listed.try_collect::<Vec<_>>().await?);
        }
        live.retain(|live| is_asked_about(app.provider, &live.room));
        let since = self.progress.rooms.began_at().unwrap_or_else(|| clock.now());
        order::sort(&mut live, since);
        let live = live.into_iter().map(|live| live.room).filter(|room| !asked.contains(room));
        let live = live.map(|room| (room, IsAsked::No)).collect::<Vec<_>>();
        Ok(asked.into_iter().map(|room| (room, IsAsked::Yes)).chain(live).collect())
    }
}

/// Whether a request asked about a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IsAsked {
    Yes,
    No,
}
