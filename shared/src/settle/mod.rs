//! Rooms in which nothing has changed for a while: a life that is over is settled, and a room that
//! nobody is in is empty.
//!
//! ```text
//! a fact -> relay -> note and message -> (the grace) -> check -> item in the table -> stream -> event
//! ```
//!
//! The table is the outbox: what a check finds is written on the condition that it is not there
//! yet, and the stream makes an event of it. The figures are those of the room's report, so a
//! backend that asks for the report gets the same.

mod checks;

use tokio::{sync::mpsc, task::JoinSet, time::Instant};

use self::checks::Taken;
pub use self::checks::{Check, CheckError, CheckQueue, Checks, Delayed};
use crate::{
    domain::{LifeId, Outcome, UnixMillis},
    metrics,
    queue::{self, Kept, ReceivedMessage},
    record::{
        EndedLife, Record, RecordError, Records, ReportError, RoomQuestion, RoomTotals, Window,
    },
    store::{EmptiedRoom, LifeTotals, RoomLife, SettledLife, StoreError},
};

/// How often a life is read again that another check settles at the same time.
const ATTEMPTS: usize = 10;

/// How long one check on a laptop may take.
const CHECK_LIMIT: std::time::Duration = std::time::Duration::from_secs(30);

/// Checks rooms.
#[derive(Debug, Clone)]
pub struct Settle {
    /// What is known of the rooms.
    pub records: Records,
    /// What has rooms checked.
    pub checks: Checks,
}

/// Why a room could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// It is not known whether it will be checked again.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The records cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// What was found cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Others have settled the life each time.
    #[error("a life was settled by others each time")]
    Contended,
    /// The message cannot be read.
    #[error("it is no message of this version")]
    Unreadable,
    /// The time was over before.
    #[error("the time was over")]
    OutOfTime,
}

impl Settle {
    /// Checks a room: the life that the message names, lives before it, and whether the room is
    /// empty. If something changed within the grace, it asks for another check.
    ///
    /// # Errors
    ///
    /// [`SettleError`] if the check is not complete. It can be done again without harm.
    pub async fn check(
        &self,
        check: &Check,
        now: UnixMillis,
        deadline: Instant,
    ) -> Result<(), SettleError> {
        if self.checks.take(check, now, deadline).await? == Taken::Later {
            return Ok(());
        }
        let of = &check.of;
        let view = self.records.at(&of.app, now).await?;
        let record = view.record();
        let mut again = None;
        // What a provider said of somebody may be of any life.
        let life = match &of.life {
            Some(life) => Some(life.clone()),
            None => record.room(&of.room).await?.and_then(|room| room.life().cloned()),
        };
        if let Some(life) = &life {
            for ended in record.ended_lives(&of.room, life).await? {
                let at = ended.at.after(self.checks.grace);
                if at > now {
                    again = again.into_iter().chain([at]).min();
                } else {
                    self.settle(record, of, &ended).await?;
                }
            }
        }
        again = again.into_iter().chain(self.empty(record, of).await?).min();
        if let Some(at) = again {
            self.checks.ask_again(check.next(), at, now, deadline).await?;
        }
        Ok(())
    }

    /// Writes what the report of an ended life says, unless that is written already.
    async fn settle(
        &self,
        record: Record<'_>,
        of: &RoomLife,
        ended: &EndedLife,
    ) -> Result<(), SettleError> {
        let (store, RoomLife { app, room, life }) = (&self.checks.store, of);
        let is_named = life.as_ref().is_none_or(|life| *life == ended.life);
        if !is_named && self.is_pending(of, Some(&ended.life), record.now()).await? {
            return Ok(());
        }
        for _ in 0..ATTEMPTS {
            // It is read before the report: then no older report follows a newer one.
            let last = store.reader.newest_settled(app, room, &ended.life).await?;
            let is_same_end = last.as_ref().is_some_and(|last| last.ended_at == ended.at);
            if is_same_end && !is_named {
                // What changes it names it.
                return Ok(());
            }
            let totals = self.totals(record, of, ended).await?;
            let settled = SettledLife {
                life: ended.life.clone(),
                revision: last.as_ref().map_or(1, |last| last.revision + 1),
                began_at: totals.as_ref().and_then(|totals| totals.began_at),
                ended_at: totals.as_ref().and_then(|totals| totals.ended_at).unwrap_or(ended.at),
                totals: totals.map(LifeTotals::from),
                settled_at: record.now(),
                settle_seconds: self.checks.grace.as_secs(),
            };
            if last.is_some_and(|last| last.is_like(&settled))
                || store.settle(app, room, &settled).await? == Outcome::Applied
            {
                return Ok(());
            }
        }
        Err(SettleError::Contended)
    }

    /// Whether another message has the room checked in another life: then that one decides.
    async fn is_pending(
        &self,
        of: &RoomLife,
        life: Option<&LifeId>,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let other = RoomLife { life: life.cloned(), ..of.clone() };
        self.checks.is_pending(&other, now).await
    }

    /// What the report of a life says; `None` if it has none.
    async fn totals(
        &self,
        record: Record<'_>,
        of: &RoomLife,
        ended: &EndedLife,
    ) -> Result<Option<RoomTotals>, RecordError> {
        let as_of = record.now();
        let window = Window { from: UnixMillis(0), to: UnixMillis(u64::MAX), as_of };
        let (life, settle) = (Some(&ended.life), self.checks.grace);
        let read = async {
            let mut report =
                record.room_report(&of.room, RoomQuestion { life, window, settle }).await?;
            while report.next().await?.is_some() {}
            Ok(report.totals())
        };
        match read.await {
            Ok(totals) => Ok(Some(totals)),
            Err(ReportError::Record(error)) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Writes that a room is empty, unless that is written already. Returns when to look again, if
    /// the last person left within the grace.
    async fn empty(
        &self,
        record: Record<'_>,
        of: &RoomLife,
    ) -> Result<Option<UnixMillis>, SettleError> {
        let (store, RoomLife { app, room: id, .. }) = (&self.checks.store, of);
        let Some(room) = record.room(id).await? else { return Ok(None) };
        let is_named = room.life() == of.life.as_ref();
        if record.is_anyone_in(&room).await?
            || (!is_named && self.is_pending(of, room.life(), record.now()).await?)
        {
            return Ok(None);
        }
        let last = store.reader.newest_emptied(app, id, room.life()).await?.map(|last| last.at);
        // A life has few people compared with a room that has no lives.
        let since = last.filter(|_| room.life().is_none()).unwrap_or(UnixMillis(0));
        let Some(leave) = record.last_leave(&room, since).await? else { return Ok(None) };
        let (at, reason) = (leave.at(), leave.reason());
        if last.is_some_and(|last| at <= last) {
            return Ok(None);
        }
        let due_at = at.after(self.checks.grace);
        if due_at > record.now() {
            return Ok(Some(due_at));
        }
        let life = room.life().cloned();
        let emptied = EmptiedRoom { life, at, reason, settled_at: record.now() };
        store.empty(app, id, &emptied).await?;
        Ok(None)
    }

    /// Checks the rooms of some messages. Returns the ids of the messages that must stay in the
    /// queue, because their check is not complete.
    pub async fn check_all(
        &self,
        messages: Vec<ReceivedMessage>,
        now: UnixMillis,
        deadline: Instant,
    ) -> Vec<String> {
        let kept = queue::handle_all(messages, now, "a room is not checked", |body| async move {
            let check = Check::read(&body).ok_or(SettleError::Unreadable)?;
            let checked = Box::pin(self.check(&check, now, deadline));
            let checked = tokio::time::timeout_at(deadline, checked).await;
            checked.unwrap_or(Err(SettleError::OutOfTime))
        });
        let Kept { ids, of, oldest_s } = kept.await;
        tracing::info!(
            target: metrics::SETTLE,
            messages = of,
            kept = ids.len(),
            oldest_kept_s = oldest_s,
            "checks of rooms"
        );
        ids
    }

    /// Does each check when its time has come, until nobody can ask for one any more. A check that
    /// still waits when the process ends is not done.
    pub async fn check_in_time(
        self,
        mut asked: mpsc::UnboundedReceiver<Delayed>,
        now: fn() -> UnixMillis,
    ) {
        let mut waiting = JoinSet::new();
        loop {
            tokio::select! {
                delayed = asked.recv() => {
                    let Some(Delayed { check, delay }) = delayed else { break };
                    let settle = self.clone();
                    waiting.spawn(async move {
                        tokio::time::sleep(delay).await;
                        let deadline = Instant::now() + CHECK_LIMIT;
                        if let Err(error) = settle.check(&check, now(), deadline).await {
                            tracing::error!(%error, "a room is not checked");
                        }
                    });
                }
                Some(_) = waiting.join_next() => {}
            }
        }
    }
}

impl From<RoomTotals> for LifeTotals {
    fn from(totals: RoomTotals) -> Self {
        Self {
            people: totals.people.try_into().unwrap_or(u64::MAX),
            person_ms: totals.person_ms,
            missing: totals.missing,
            digest: totals.digest.to_string(),
        }
    }
}
