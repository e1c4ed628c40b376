//! A user's profile after the registration, on the item of the registration.
//!
//! - A reported change is a register, which keeps the newest time. It comes in any order with the
//!   registration. Of a user whose registration never arrived it is all that the item has: such an
//!   item has no place among the registrations, and is listed apart, so that a pass asks for it.
//! - What the provider answered is a register, too: the profile that was asked for last. It is
//!   current if it was asked for after the newest change. So a change that arrives between the
//!   question and this write is never forgotten.

use super::{
    super::{
        StoreError,
        item::{self, DISPLAY_NAME, PROFILE_CHANGED_AT, PROFILE_READ_AT, RECORDED_AT},
        keys,
        table::{INDEX_PK, INDEX_SK},
    },
    Observer, Writer,
    observation::if_newer,
    registration::{EARLIEST, PROFILE_DETAILS, profile_details},
    update::{Update, Written},
};
use crate::domain::{App, Outcome, ProfileChange, Registration, UnixMillis, UserId};

impl Writer {
    /// Notes that a profile changed. `Duplicate` or `Stale` if a change as new or a newer one is
    /// known.
    pub(super) async fn note_profile(&self, change: &ProfileChange) -> Result<Outcome, StoreError> {
        let ProfileChange { app, user, changed_at } = change;
        let update = on_registration(app, user)
            .set(PROFILE_CHANGED_AT, item::number(changed_at.0))
            // Of somebody who is registered both are there.
            .set_if_missing(INDEX_PK, item::string(keys::unregistered(app)))
            .set_if_missing(INDEX_SK, item::string(keys::unregistered_row(user)))
            .only_if(if_newer(PROFILE_CHANGED_AT));
        Ok(match self.table.update(update).await? {
            Written::Yes(_) => Outcome::Applied,
            Written::No(known) => match item::millis(&known, PROFILE_CHANGED_AT)? {
                Some(at) if at == *changed_at => Outcome::Duplicate,
                _ => Outcome::Stale,
            },
        })
    }
}

impl Observer {
    /// Stores the profile of a user who is registered, as the provider answered: `answered` has it,
    /// and as `recorded_at` when it was asked for. `Duplicate` or `Stale` if one as new or a newer
    /// one is known; `Ignored` if the user was not registered when it was asked for.
    ///
    /// # Errors
    ///
    /// As [`Observer::add`].
    pub async fn set_profile(&self, answered: &Registration) -> Result<Outcome, StoreError> {
        let Registration { app, user, name, recorded_at: read_at, .. } = answered;
        let is_newer = if_newer(PROFILE_READ_AT);
        let mut update = on_registration(app, user)
            .set(PROFILE_READ_AT, item::number(read_at.0))
            .set_or_remove(DISPLAY_NAME, name.as_deref().map(item::string))
            .only_if(format!(
                "attribute_exists({EARLIEST}) AND {RECORDED_AT} <= :{PROFILE_READ_AT} \
                 AND ({is_newer})"
            ));
        let mut details = profile_details(&answered.details);
        for name in PROFILE_DETAILS {
            update = update.set_or_remove(name, details.remove(name));
        }
        Ok(match self.table.update(update).await? {
            Written::Yes(_) => Outcome::Applied,
            Written::No(known) => match item::millis(&known, PROFILE_READ_AT)? {
                Some(at) if at == *read_at => Outcome::Duplicate,
                Some(at) if at > *read_at => Outcome::Stale,
                None | Some(_) => Outcome::Ignored,
            },
        })
    }

    /// Takes a user who is not registered off the list of those whose profiles are asked for, unless
    /// another change was reported: the provider does not know them, or they were erased.
    ///
    /// # Errors
    ///
    /// As [`Observer::add`].
    pub async fn leave_unregistered(
        &self,
        app: &App,
        user: &UserId,
        changed_at: UnixMillis,
    ) -> Result<(), StoreError> {
        let update = on_registration(app, user)
            .set_or_remove(INDEX_PK, None)
            .set_or_remove(INDEX_SK, None)
            .given(PROFILE_CHANGED_AT, item::number(changed_at.0))
            .only_if(format!(
                "attribute_not_exists({EARLIEST}) AND {PROFILE_CHANGED_AT} = :{PROFILE_CHANGED_AT}"
            ));
        self.table.update(update).await.map(drop)
    }
}

fn on_registration(app: &App, user: &UserId) -> Update {
    Update::of(keys::user(app, user), keys::REGISTRATION).or_return_item()
}
