//! What is known of one app: who was in which room and on which device, and how that ended.
//!
//! [`Record`] decides. What it returns are stays whose ends are decided; `query` writes them down.

mod attendance;
mod boundaries;
mod check;
mod data;
mod ends;
mod explain;
mod live;
mod observed;
mod person;
mod registrations;
mod report;
mod room;
mod samples;
mod stay;
mod united;
mod visits;

use std::{borrow::Cow, time::Duration};

use futures::try_join;

pub use self::{
    attendance::{PersonSeats, RoomSeats, SeatVisits},
    check::DeviceForCheck,
    data::{PersonContent, PersonItem},
    explain::{
        ExplainedDevice, ExplainedMark, ExplainedRegister, ExplainedSeen, OtherTrack, SeatMarks,
        Seats,
    },
    live::LiveRoom,
    person::Person,
    report::{
        DayReport, Digest, EndedLife, Figures, MAX_PEOPLE, Peak, PersonDays, PersonReport,
        ReportError, RoomDays, RoomQuestion, RoomReport, RoomTotals, Span, Timezone, TimezoneError,
        Together, Whom, Window,
    },
    room::{Changes, Member, Members, NewestRows, Room},
    samples::{utc_day, utc_hour},
    stay::{DeviceStay, RoomStay, Stay},
};
pub use crate::store::Account;
use crate::{
    domain::{App, ProviderName, Role, RoomId, Track, UnixMillis},
    providers::{self, Months, RoomEnds, Rules},
    store::{ErasureList, Reader, StoreError},
};

/// The records of all apps.
#[derive(Debug, Clone)]
pub struct Records {
    reader: Reader,
    erasures: ErasureList,
}

impl Records {
    /// The records that a reader reads. A list of erasures that was read is used again for
    /// `erasures_fresh_for`.
    #[must_use]
    pub fn new(reader: Reader, erasures_fresh_for: Duration) -> Self {
        let erasures = ErasureList::new(reader.clone(), erasures_fresh_for);
        Self { reader, erasures }
    }

    /// One app's records at one moment, without what was erased.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the app's erasures cannot be read.
    pub async fn at<'a>(&self, app: &'a App, now: UnixMillis) -> Result<View<'a>, RecordError> {
        let erased = self.erasures.of(app, now).await?;
        Ok(View { store: self.reader.without(erased), app, now })
    }

    /// The same, and at the same time the newest rows of a room, as many as a page of `limit` people
    /// needs.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn at_room<'a>(
        &self,
        app: &'a App,
        room: &RoomId,
        limit: usize,
        now: UnixMillis,
    ) -> Result<(View<'a>, NewestRows), RecordError> {
        let rows = Record { store: &self.reader, app, now }.newest_rows(room, limit);
        try_join!(self.at(app, now), rows)
    }
}

/// What one app's records are read from, at one moment.
#[derive(Debug)]
pub struct View<'a> {
    store: Reader,
    app: &'a App,
    now: UnixMillis,
}

impl View<'_> {
    /// The records.
    #[must_use]
    pub fn record(&self) -> Record<'_> {
        Record { store: &self.store, app: self.app, now: self.now }
    }
}

/// One view of one app at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    store: &'a Reader,
    app: &'a App,
    now: UnixMillis,
}

impl Record<'_> {
    /// Whose records these are.
    #[must_use]
    pub fn app(&self) -> &App {
        self.app
    }

    /// The moment.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        self.now
    }

    /// What answers call a role.
    #[must_use]
    pub fn role_name(&self, role: Role) -> Cow<'static, str> {
        self.rules().role_name(role)
    }

    /// The role that answers call so; `None` if they call no role so.
    #[must_use]
    pub fn role_named(&self, name: &str) -> Option<Role> {
        self.rules().role_named(name)
    }

    /// What answers call a track; `None` if the provider has only one.
    #[must_use]
    pub fn track_name(&self, track: Track) -> Option<&'static str> {
        self.rules().track_name(track)
    }

    /// The rules by which these records are read.
    fn rules(&self) -> &'static Rules {
        providers::rules(self.app.provider)
    }

    /// How a room ends visits. Where there are no rooms, nothing is found of their lives.
    fn room_ends(&self, room: &RoomId) -> RoomEnds {
        self.rules().room(room, Track::Media).map_or(RoomEnds::Lives, |rules| rules.ends)
    }
}

/// The records cannot be read. The cause is for the log.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct RecordError(#[from] StoreError);

impl RecordError {
    /// They were not read in the time that there was.
    #[must_use]
    pub fn out_of_time() -> Self {
        Self(StoreError::OutOfTime)
    }
}

/// Whether a provider's active users are counted by month.
#[must_use]
pub fn counts_months(provider: ProviderName) -> bool {
    providers::rules(provider).months == Months::Counted
}
