//! What is known of one app: who was in which room and on which device, and how that ended.
//!
//! [`Record`] decides. What it returns are stays whose ends are decided; `query` writes them down.

mod attendance;
mod ends;
mod explain;
mod person;
mod registrations;
mod report;
mod room;
mod stay;
mod visits;

use std::borrow::Cow;

pub use self::{
    attendance::{PersonSeats, RoomSeats, SeatVisits},
    explain::{ExplainedDevice, ExplainedMark, ExplainedRegister, SeatMarks, Seats},
    person::Person,
    report::{
        DayReport, Digest, Figures, MAX_PEOPLE, Peak, PersonDays, PersonReport, ReportError,
        RoomDays, RoomQuestion, RoomReport, RoomTotals, Span, Timezone, TimezoneError, Together,
        Whom, Window,
    },
    room::{Changes, Member, Members, Room},
    stay::{DeviceStay, RoomStay, Stay},
};
use crate::{
    domain::{App, ProviderName, Role, UnixMillis},
    providers::{self, Months, RoomEnds, Rules},
    store::{Reader, StoreError},
};

/// The records of all apps.
#[derive(Debug, Clone)]
pub struct Records(Reader);

impl Records {
    /// The records that a reader reads.
    #[must_use]
    pub fn new(reader: Reader) -> Self {
        Self(reader)
    }

    /// One app's records at one moment.
    #[must_use]
    pub fn of<'a>(&'a self, app: &'a App, now: UnixMillis) -> Record<'a> {
        Record { store: &self.0, app, now }
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

    /// The rules by which these records are read.
    fn rules(&self) -> &'static Rules {
        providers::rules(self.app.provider)
    }

    /// How the app's rooms end visits. Where there are no rooms, nothing is found of their lives.
    fn room_ends(&self) -> RoomEnds {
        self.rules().rooms.map_or(RoomEnds::Lives, |rooms| rooms.ends)
    }
}

/// The records cannot be read. The cause is for the log.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct RecordError(#[from] StoreError);

/// Whether a provider's active users are counted by month.
#[must_use]
pub fn counts_months(provider: ProviderName) -> bool {
    providers::rules(provider).months == Months::Counted
}
