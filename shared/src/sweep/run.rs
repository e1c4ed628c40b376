//! One run of the sweep.

use std::{ops::ControlFlow, pin::pin};

use futures::TryStreamExt;
use tokio::time::{Instant, timeout_at};

use super::{
    LEASE, MAX_COUNTED, QUIET_FOR, Sweep, SweepError, Swept,
    budget::Left,
    progress::{Pass, Progress, Round},
};
use crate::{
    domain::{App, Count, Counted, UnixMillis},
    metrics,
    store::{LIVE_PARTS, Lease, LiveRoom},
};

/// After how many rooms the place is noted.
const NOTED_AFTER: u64 = 20;

/// Whether to go on. Break: the budget or the time is used.
type Flow = ControlFlow<()>;

#[derive(Debug)]
pub(super) struct Run<'a> {
    sweep: &'a Sweep,
    lease: Lease,
    /// When the run began, by both clocks.
    began: (UnixMillis, Instant),
    deadline: Instant,
    left: Left,
    progress: Progress,
    swept: Swept,
}

impl<'a> Run<'a> {
    pub(super) fn new(sweep: &'a Sweep, lease: Lease, now: UnixMillis, deadline: Instant) -> Self {
        let progress = Progress::read(lease.progress.as_deref());
        Self {
            sweep,
            left: Left::new(sweep.budget, progress.paid_until, now),
            lease,
            began: (now, Instant::now()),
            deadline,
            progress,
            swept: Swept::default(),
        }
    }

    fn now(&self) -> UnixMillis {
        let (at, instant) = self.began;
        at.after(instant.elapsed())
    }

    pub(super) fn swept(&self) -> Swept {
        Swept { read_units: self.left.read_units, ..self.swept }
    }

    /// Goes on with the round, or begins the next one.
    pub(super) async fn sweep(&mut self) -> Result<(), SweepError> {
        let mut apps = self.sweep.reader.apps(self.now()).await?;
        apps.sort();
        let mut round = self.progress.round.take().unwrap_or_else(|| Round::new(self.now()));
        for app in apps {
            if round.done.as_ref().is_some_and(|done| app <= *done) {
                continue;
            }
            let mut pass = round.pass.take().filter(|pass| pass.app == app);
            let passing = pass.get_or_insert_with(|| Pass::new(app.clone(), self.now()));
            let passed = self.pass(&mut round, passing).await;
            if !matches!(passed, Ok(Flow::Continue(()))) {
                round.pass = pass;
                self.progress.round = Some(round);
                return passed.map(drop);
            }
            // A repetition after a crash adds no second sample.
            let sample = passing.sample(self.now());
            let added = self.sweep.store.add_sample(&app, &sample).await;
            if added.is_ok() {
                self.swept.passes += 1;
                round.done = Some(app);
            } else {
                round.pass = pass;
            }
            self.progress.round = Some(round.clone());
            added?;
            self.note().await?;
        }
        self.progress.swept_at = Some(round.began_at);
        self.progress.round = None;
        Ok(())
    }

    /// Goes on with a pass over an app's rooms.
    async fn pass(&mut self, round: &mut Round, pass: &mut Pass) -> Result<Flow, SweepError> {
        let sweep = self.sweep;
        while pass.part < LIVE_PARTS {
            if !self.may_go_on().await {
                return Ok(Flow::Break(()));
            }
            let (app, after) = (pass.app.clone(), pass.after.clone());
            let listed = sweep.reader.live_part(&app, pass.part, after.as_deref(), self.now());
            let mut listed = pin!(listed);
            loop {
                let Ok(next) = timeout_at(self.deadline, listed.try_next()).await else {
                    return Ok(Flow::Break(()));
                };
                let Some(live) = next? else { break };
                // A room moves on in the list once an hour, and may have been counted where it was.
                if live.last_at.hour() > pass.part_began_at.hour() {
                    pass.counted = Counted::AtLeast;
                    break;
                }
                if !self.may_go_on().await {
                    return Ok(Flow::Break(()));
                }
                // If it cannot be read, the next run goes on behind it.
                pass.after = Some(live.row.clone());
                self.swept.rooms += 1;
                match timeout_at(self.deadline, self.look_at(&app, &live)).await {
                    Ok(Ok(Seen { online, counted, is_removed })) => {
                        pass.rooms += u64::from(online > 0);
                        pass.online += online;
                        if counted == Counted::AtLeast {
                            pass.counted = counted;
                        }
                        self.swept.removed += u64::from(is_removed);
                    }
                    failed => {
                        pass.counted = Counted::AtLeast;
                        return failed
                            .map_or(Ok(Flow::Break(())), |failed| failed.map(|_| Flow::Break(())));
                    }
                }
                if self.swept.rooms.is_multiple_of(NOTED_AFTER) {
                    round.pass = Some(pass.clone());
                    self.progress.round = Some(round.clone());
                    self.note().await?;
                }
            }
            pass.next_part(self.now());
        }
        Ok(Flow::Continue(()))
    }

    /// Counts the people in a room. If there are none and nothing happened for a while, it is taken
    /// off the list.
    async fn look_at(&self, app: &App, live: &LiveRoom) -> Result<Seen, SweepError> {
        // Facts that are stored later may not be seen.
        let read_at = self.now();
        let view = self.sweep.records.at(app, read_at).await?;
        let record = view.record();
        let mut rows = record.newest_rows(&live.room, 0).await?;
        let count = match record.room_of(&live.room, &mut rows).await? {
            Some(room) => record.count(&room, rows, MAX_COUNTED).await?,
            None => Count::Exactly(0),
        };
        let (online, counted) = match count {
            Count::Exactly(online) => (online, Counted::All),
            Count::AtLeast(online) => (online, Counted::AtLeast),
            Count::Unknown => (0, Counted::AtLeast),
        };
        let changed_at = live.late_at.unwrap_or(live.last_at).max(live.last_at);
        let is_over = count == Count::Exactly(0) && changed_at.after(QUIET_FOR) <= read_at;
        let is_removed = is_over && self.sweep.live.remove_if_unchanged(app, live).await?;
        let online = u64::try_from(online).unwrap_or(u64::MAX);
        Ok(Seen { online, counted, is_removed })
    }

    async fn may_go_on(&mut self) -> bool {
        let now = self.now();
        self.left.may_go_on(&self.sweep.meter, now, self.deadline).await
    }

    /// Notes how far it has come.
    async fn note(&mut self) -> Result<(), SweepError> {
        self.keep_until(self.now().after(LEASE)).await
    }

    async fn keep_until(&mut self, until: UnixMillis) -> Result<(), SweepError> {
        self.progress.paid_until = Some(self.left.paid_until);
        let progress = serde_json::to_string(&self.progress)?;
        let is_kept = self.sweep.store.keep(&mut self.lease, progress, until).await?;
        if is_kept { Ok(()) } else { Err(SweepError::LeaseLost) }
    }

    /// Notes how far it has come, and gives the lease back. The line about the run is logged.
    pub(super) async fn end(&mut self) -> Result<(), SweepError> {
        self.left.pay(&self.sweep.meter);
        let ended = self.keep_until(self.now()).await;
        let oldest_at = self.progress.oldest_at().unwrap_or(self.now());
        let Swept { rooms, removed, passes, read_units } = self.swept();
        tracing::info!(
            target: metrics::SWEEP,
            swept_rooms = rooms,
            removed_rooms = removed,
            passes,
            read_units,
            pass_age_s = self.now().0.saturating_sub(oldest_at.0) / 1000,
            "sweep"
        );
        ended
    }
}

/// What was found of a room.
struct Seen {
    online: u64,
    counted: Counted,
    is_removed: bool,
}
