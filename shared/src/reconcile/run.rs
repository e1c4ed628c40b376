//! A run: passes over all apps that have credentials.

use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::time::{Instant, sleep};

use super::{
    LEASE, Passed, Reconcile, ReconcileError, RoomPassed, SharedTally, Writing,
    ask::{Api, DeviceApi},
    clock::Clock,
    progress::Progress,
};
use crate::{
    domain::{App, UnixMillis},
    metrics,
    server_api::ZegoApi,
    store::Lease,
};

/// Over how many apps passes go at the same time.
const CONCURRENT_APPS: usize = 4;

/// After how long a pass leaves the app to requests that wait, for how long, and how often it tries to
/// go on.
const SLICE: Duration = Duration::from_secs(15);
const GAP: Duration = Duration::from_secs(1);

/// What a run has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ran {
    /// Over how many apps a pass is complete.
    pub passes: u64,
    /// The sum of what was done.
    pub all: Passed,
}

/// A pass over an app.
pub(super) struct AppPass<'a> {
    pub(super) reconcile: &'a Reconcile,
    pub(super) app: &'a App,
    pub(super) clock: Clock,
    pub(super) writing: Writing,
    pub(super) deadline: Instant,
    /// `None` if another run has it by now.
    pub(super) lease: Option<Lease>,
    pub(super) progress: Progress,
    pub(super) tally: SharedTally,
    pub(super) passed: Passed,
    /// Whether there was no time for something that had begun.
    pub(super) is_cut: bool,
}

impl Reconcile {
    /// Asks about all apps that have credentials, until everything was asked about or `deadline`.
    /// `run_id` is of this run alone. The line about the run is logged.
    ///
    /// # Errors
    ///
    /// The first [`ReconcileError`] by which a pass over an app ended early. The other passes are done
    /// all the same.
    pub async fn run(
        &self,
        run_id: &str,
        now: UnixMillis,
        deadline: Instant,
    ) -> Result<Ran, ReconcileError> {
        let clock = Clock::at(now);
        let apps = self.apis.apps().await.map_err(|_| ReconcileError::NotRead)?;
        let passing = stream::iter(apps)
            .map(async |app| {
                let done = self.pass(&app, Writing::Stored, run_id, clock, deadline).await;
                if let Err(error) = &done {
                    let (provider, id) = (app.provider.as_str(), app.id.as_str());
                    tracing::warn!(%error, provider, app = id, "a pass over an app ended early");
                }
                done
            })
            .buffer_unordered(CONCURRENT_APPS);
        let all: Vec<_> = passing.collect().await;
        let mut ran = Ran { passes: 0, all: Passed::begun(now) };
        let mut failed = None;
        for done in all {
            match done {
                Ok(passed) => ran.add(&passed),
                // That run's line has what it does.
                Err(ReconcileError::Busy) => tracing::info!("another run asks about an app"),
                Err(error) => {
                    ran.all.failed += 1;
                    failed.get_or_insert(error);
                }
            }
        }
        ran.log(clock.now());
        failed.map_or(Ok(ran), Err)
    }

    /// Asks about an app until everything was asked about, or `deadline`.
    pub(super) async fn pass(
        &self,
        app: &App,
        writing: Writing,
        run_id: &str,
        clock: Clock,
        deadline: Instant,
    ) -> Result<Passed, ReconcileError> {
        let api = Api::of(&self.apis, app).await?;
        let lease = self.passes.take(app, run_id, clock.now(), clock.now().after(LEASE)).await?;
        let lease = lease.ok_or(ReconcileError::Busy)?;
        self.pass_with(lease, app, &api, writing, clock, deadline).await
    }

    /// The same with a lease that was taken.
    pub(super) async fn pass_with(
        &self,
        lease: Lease,
        app: &App,
        api: &Api,
        writing: Writing,
        clock: Clock,
        deadline: Instant,
    ) -> Result<Passed, ReconcileError> {
        let progress = Progress::read(lease.progress.as_deref());
        let mut pass = AppPass {
            reconcile: self,
            app,
            clock,
            writing,
            deadline,
            lease: Some(lease),
            progress,
            tally: SharedTally::default(),
            passed: Passed::begun(clock.now()),
            is_cut: false,
        };
        let done = match api.rooms() {
            Some(rooms) => pass.people_and_rooms(&api.devices(), rooms).await,
            None => pass.people(&api.devices()).await,
        };
        pass.passed.oldest_at = pass.progress.oldest_at();
        let ended = pass.keep_until(clock.now()).await;
        done.and(ended).map(|()| pass.passed)
    }
}

impl AppPass<'_> {
    /// Asks about people for half of the time at most, and then about rooms: neither waits for a round
    /// of the other that takes longer than a run.
    async fn people_and_rooms(
        &mut self,
        people: &DeviceApi,
        rooms: &ZegoApi,
    ) -> Result<(), ReconcileError> {
        let (now, end) = (Instant::now(), self.deadline);
        self.deadline = now + end.saturating_duration_since(now) / 2;
        self.people(people).await?;
        self.deadline = end;
        let are_people_complete = std::mem::take(&mut self.passed.is_complete);
        // Another run asks about the app by now.
        if self.lease.is_none() {
            return Ok(());
        }
        self.rooms(rooms).await?;
        self.passed.is_complete &= are_people_complete;
        Ok(())
    }

    /// When the pass next leaves the app to requests.
    pub(super) fn slice_ends(&self) -> Instant {
        (Instant::now() + SLICE).min(self.deadline)
    }

    /// Gives the lease back for a moment, so that a request that waits gets it. Returns false if the
    /// time is over.
    pub(super) async fn leave_to_requests(&mut self) -> Result<bool, ReconcileError> {
        self.keep_until(self.clock.now()).await?;
        let Some(lease) = self.lease.take() else { return Ok(false) };
        while Instant::now() + GAP < self.deadline {
            sleep(GAP).await;
            let now = self.clock.now();
            let passes = &self.reconcile.passes;
            self.lease = passes.take(self.app, lease.owner(), now, now.after(LEASE)).await?;
            if self.lease.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Keeps the lease until a time, and notes how far the pass has come.
    pub(super) async fn keep_until(&mut self, until: UnixMillis) -> Result<(), ReconcileError> {
        let progress = match self.writing {
            Writing::Stored => Some(serde_json::to_string(&self.progress)?),
            Writing::DryRun => None,
        };
        let Some(lease) = &mut self.lease else { return Ok(()) };
        if self.reconcile.passes.keep(lease, progress, until).await? {
            Ok(())
        } else {
            Err(ReconcileError::LeaseLost)
        }
    }
}

impl Passed {
    pub(super) fn add(&mut self, room: &RoomPassed) {
        self.found.add_all(room.found);
        self.stored += room.stored;
        self.observed.add_all(room.observed);
        self.braked += u64::from(room.is_braked);
        self.disagreements += room.disagreements;
        self.profiles.add_all(room.profiles);
    }
}

impl Ran {
    fn add(&mut self, passed: &Passed) {
        let all = &mut self.all;
        self.passes += u64::from(passed.is_complete);
        all.rooms += passed.rooms;
        all.people += passed.people;
        all.found.add_all(passed.found);
        all.observed.add_all(passed.observed);
        all.stored += passed.stored;
        all.braked += passed.braked;
        all.disagreements += passed.disagreements;
        all.profiles.add_all(passed.profiles);
        all.failed += passed.failed;
        // The oldest of all.
        let ages = all.oldest_at.into_iter().chain(passed.oldest_at);
        all.oldest_at = ages.min();
    }

    fn log(&self, now: UnixMillis) {
        let all = &self.all;
        let age = all.oldest_at.map_or(0, |at| now.0.saturating_sub(at.0) / 1000);
        tracing::info!(
            target: metrics::RECONCILE,
            passes = self.passes,
            rooms = all.rooms,
            people = all.people,
            seen_in = all.observed.in_,
            seen_out = all.observed.out,
            braked = all.braked,
            disagreements = all.disagreements,
            unanswered = all.failed,
            oldest_pass_s = age,
            "passes"
        );
    }
}
