//! Profiles that changed: the provider is asked for them again, and what it says is stored.
//!
//! Only those are asked for of which a change was reported since they were read. Somebody whose
//! registration never arrived is recorded as the provider has stored them.

use std::collections::HashMap;

use serde::Serialize;

use super::{Reconcile, ReconcileError, Writing, ask::DeviceApi, clock::Clock};
use crate::{
    domain::{App, Change, Outcome, Registration, RegistrationSource, UnixMillis, UserId},
    providers::api::ApiError,
    record::{Account, Record},
    server_api::OpenImApi,
    store::PersonRow,
};

/// How many profiles had changed, or were missing with their registrations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ReconciledProfiles"))]
pub struct Profiles {
    /// How many of them the provider was asked for, and has.
    pub changed: u64,
    /// How many of these were stored. 0 in a dry run.
    pub stored: u64,
}

impl Profiles {
    pub(super) fn add_all(&mut self, other: Self) {
        self.changed += other.changed;
        self.stored += other.stored;
    }
}

/// Why a profile is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// The user is registered, and the profile changed.
    Changed,
    /// The profile changed at that time, and the registration never arrived.
    Unregistered(UnixMillis),
    /// Nothing is known of an account of the user.
    Unknown,
}

/// Whose profiles are asked for.
pub(super) type AllDue = HashMap<UserId, Due>;

impl Due {
    /// Why the profile of a user with this account is asked for; `None` if it is current.
    pub(super) fn of(account: Option<&Account>) -> Option<Self> {
        match account {
            Some(Account::Registered(known)) => {
                known.profile.unread_change().map(|_| Self::Changed)
            }
            Some(Account::Changed(at)) => Some(Self::Unregistered(*at)),
            None => Some(Self::Unknown),
        }
    }

    /// The same of somebody in a list of people.
    pub(super) fn of_row(row: &PersonRow) -> Option<Self> {
        let changed_at = row.profile_changed_at?;
        Some(if row.is_registered { Self::Changed } else { Self::Unregistered(changed_at) })
    }
}

/// What the provider said of those whose profiles were due.
#[derive(Debug, Default)]
pub(super) struct ProfilesSaid {
    due: AllDue,
    said: Vec<Registration>,
}

/// Asks for profiles, with no question if none is due.
pub(super) async fn ask(api: &OpenImApi, due: AllDue) -> Result<ProfilesSaid, ApiError> {
    if due.is_empty() {
        return Ok(ProfilesSaid::default());
    }
    let users: Vec<UserId> = due.keys().cloned().collect();
    let mut said = api.users_info(&users, RegistrationSource::Reconciled).await?;
    // Of somebody who was not asked about, or of whom it says two things, nothing follows.
    let mut times = HashMap::<UserId, usize>::new();
    for profile in &said {
        *times.entry(profile.user.clone()).or_default() += 1;
    }
    said.retain(|profile| due.contains_key(&profile.user) && times.get(&profile.user) == Some(&1));
    Ok(ProfilesSaid { due, said })
}

impl DeviceApi {
    /// Asks for profiles, if the provider has any.
    pub(super) async fn profiles(&self, due: AllDue) -> Result<ProfilesSaid, ApiError> {
        match self {
            Self::OpenIm(api) => ask(api, due).await,
            Self::Chat(_) | Self::Zim(_) => Ok(ProfilesSaid::default()),
        }
    }
}

impl Reconcile {
    /// Stores what the provider said of profiles. Who was erased stays erased.
    pub(super) async fn store_profiles(
        &self,
        app: &App,
        record: Record<'_>,
        ProfilesSaid { mut due, said }: ProfilesSaid,
        writing: Writing,
        clock: Clock,
    ) -> Result<Profiles, ReconcileError> {
        let mut profiles = Profiles::default();
        for profile in said {
            let is_registered = due.get(&profile.user) == Some(&Due::Changed);
            if !is_registered && record.is_erased(&profile) {
                continue;
            }
            due.remove(&profile.user);
            profiles.changed += 1;
            if writing == Writing::Stored {
                let stored = self.store_profile(record, profile, clock).await?;
                profiles.stored += u64::from(stored == Outcome::Applied);
            }
        }
        if writing == Writing::Stored {
            for (user, due) in due {
                if let Due::Unregistered(changed_at) = due {
                    self.observer.leave_unregistered(app, &user, changed_at).await?;
                }
            }
        }
        Ok(profiles)
    }

    async fn store_profile(
        &self,
        record: Record<'_>,
        profile: Registration,
        clock: Clock,
    ) -> Result<Outcome, ReconcileError> {
        match self.observer.set_profile(&profile).await? {
            // Nobody is registered by that name, or only since.
            Outcome::Ignored if !record.is_erased(&profile) => {
                Ok(self.writer.apply(&Change::Registration(profile), clock.now()).await?)
            }
            outcome => Ok(outcome),
        }
    }
}
