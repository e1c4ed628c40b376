//! The providers are asked who is really there, and what differs from the records is stored.
//!
//! Callbacks get lost, and a lost one makes an answer wrong until something else happens to that
//! person. A pass asks the provider's server API. It stores nothing where the provider and the record
//! agree, and an *observation* where they differ.
//!
//! A run begins by a schedule. For each app with credentials it asks about all live rooms, those with
//! late events first (`order`), or about all people who may be online on a device, and for the
//! profiles that changed (`profiles`). One run at a time asks about an app, by a lease. A backend can
//! also ask about one room, one user or one app (`http`).
//!
//! An answer that would end many stays is held up by the [`brake`].

mod ask;
pub mod brake;
mod clock;
mod difference;
mod http;
mod order;
mod people;
mod profiles;
mod progress;
mod registrations;
mod requests;
mod room;
mod rooms;
mod run;
mod tally;
mod turns;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use serde::Serialize;

#[cfg(any(test, fuzzing))]
pub(crate) use self::http::fuzz;
#[cfg(test)]
pub(crate) use self::http::schemas;
use self::tally::SharedTally;
pub use self::{profiles::Profiles, registrations::Window, room::RoomPassed, run::Ran};
use crate::{
    domain::{DeviceSays, Says, UnixMillis},
    providers::api::ApiError,
    record::{RecordError, Records},
    server_api::ServerApis,
    store::{Observer, PassStore, Reader, StoreError, Writer},
};

/// How long a lease lasts after it was kept. A run keeps it more often.
pub const LEASE: Duration = Duration::from_mins(1);

/// How long a request may take. API Gateway waits for 30 seconds.
pub const REQUEST_LIMIT: Duration = Duration::from_secs(25);

/// Asks providers who is there.
#[derive(Debug, Clone)]
pub struct Reconcile {
    /// What is known of all apps.
    pub records: Records,
    /// The lists of live rooms and of people.
    pub reader: Reader,
    /// Stores observations.
    pub observer: Observer,
    /// Stores registrations.
    pub writer: Writer,
    /// The leases, and what the next pass has to know.
    pub passes: PassStore,
    /// The providers' server APIs.
    pub apis: Arc<ServerApis>,
    /// How many people per second are compared with what a provider says of their devices.
    pub people_per_second: NonZeroU32,
    /// How long a request may take.
    pub request_limit: Duration,
}

/// Why a provider was asked in vain.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The table cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The records cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The provider's server API failed, or refused.
    #[error("nothing was stored: {0}")]
    Api(#[from] ApiError),
    /// The provider's server API cannot say that.
    #[error("the provider's server API does not say that")]
    NothingToAsk,
    /// ZIM's rooms are not asked about.
    #[error(
        "who is in a room of ZIM's (`z:...`) is not asked: only RTC's rooms are, and who is online"
    )]
    RoomOfZim,
    /// The id of the room is longer than the provider's are.
    #[error("`room` is longer than the ids of this provider's rooms")]
    RoomTooLong,
    /// There are no credentials for the app.
    #[error(
        "there are no credentials for the server API of this app: put them into the secret of the \
         provider APIs"
    )]
    NoCredentials,
    /// The credentials could not be read.
    #[error("the credentials for the server API could not be read: ask again")]
    NotRead,
    /// Another run asks about the app.
    #[error("another pass over this app is under way: ask again")]
    Busy,
    /// The time is over.
    #[error("the time for the answer was over: ask again")]
    OutOfTime,
    /// The place cannot be written down.
    #[error("the place of the pass cannot be written: {0}")]
    Progress(#[from] serde_json::Error),
    /// The run took too long between two steps.
    #[error("another run has taken the lease")]
    LeaseLost,
}

/// Whether a pass stores what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    /// It does.
    Stored,
    /// It only says what it would do.
    DryRun,
}

/// How a provider and the records differed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ReconciledFound"))]
pub struct Found {
    /// How many people, or devices, are in or online by the provider and not by the records.
    #[serde(rename = "in")]
    pub in_: u64,
    /// How many are out or offline by the provider and not by the records.
    pub out: u64,
}

impl Found {
    fn add(&mut self, says: Says) {
        match says {
            Says::In { .. } => self.in_ += 1,
            Says::Out => self.out += 1,
        }
    }

    fn add_device(&mut self, says: DeviceSays) {
        match says {
            DeviceSays::Online => self.in_ += 1,
            DeviceSays::Offline => self.out += 1,
        }
    }

    fn add_all(&mut self, other: Self) {
        self.in_ += other.in_;
        self.out += other.out;
    }
}

/// What a pass over an app has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// When it began.
    pub began_at: UnixMillis,
    /// How many rooms were asked about.
    pub rooms: u64,
    /// How many people were asked about by their devices.
    pub people: u64,
    /// How the provider and the records differed.
    pub found: Found,
    /// How many observations were stored.
    pub stored: u64,
    /// What these say.
    pub observed: Found,
    /// How many rooms, or parts of a list of people, the brake held up.
    pub braked: u64,
    /// How many people differed in the last pass, too, and nothing that is stored changes that.
    pub disagreements: u64,
    /// The profiles that had changed.
    pub profiles: Profiles,
    /// About how many rooms, or parts of a list of people, there was no answer that can be used.
    pub failed: u64,
    /// Whether everything was asked about.
    pub is_complete: bool,
    /// Since when everything was asked about at least once, if that is known.
    pub oldest_at: Option<UnixMillis>,
}

impl Passed {
    fn begun(began_at: UnixMillis) -> Self {
        Self {
            began_at,
            rooms: 0,
            people: 0,
            found: Found::default(),
            stored: 0,
            observed: Found::default(),
            braked: 0,
            disagreements: 0,
            profiles: Profiles::default(),
            failed: 0,
            is_complete: false,
            oldest_at: None,
        }
    }
}
