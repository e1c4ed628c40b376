//! Leases, by which one run works at a time.

use super::{
    super::{
        StoreError,
        item::{self, LEASE_OWNER, LEASE_UNTIL, PROGRESS},
        keys,
        table::Table,
    },
    update::{Update, Written},
};
use crate::domain::UnixMillis;

/// The right to work, until a time. No two of one kind are valid at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The sort key of its item.
    sk: String,
    owner: String,
    until: UnixMillis,
    /// How far the work had come when the lease was taken; `None` at the very first time.
    pub progress: Option<String>,
}

impl Lease {
    /// Who has it.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }
}

impl Table {
    /// Takes a lease until a time; `None` if another owner has it. An owner is one run, not a
    /// process.
    pub(super) async fn take_lease(
        &self,
        sk: String,
        owner: &str,
        now: UnixMillis,
        until: UnixMillis,
    ) -> Result<Option<Lease>, StoreError> {
        let stored = self.item(keys::APPS.to_owned(), sk.clone()).await?.unwrap_or_default();
        let held_by = item::optional_text(&stored, LEASE_OWNER).unwrap_or_default();
        let taking = lease(&sk, owner, until);
        let update = match item::millis(&stored, LEASE_UNTIL)? {
            Some(held_until) if held_until > now => return Ok(None),
            Some(held_until) => if_held(taking, &held_by, held_until),
            None => taking.only_if(format!("attribute_not_exists({LEASE_UNTIL})")),
        };
        let is_taken = self.is_own_lease(owner, until, update).await?;
        let progress = item::optional_text(&stored, PROGRESS);
        Ok(is_taken.then(|| Lease { sk, owner: owner.to_owned(), until, progress }))
    }

    /// Notes how far the work has come, if it says so, and keeps the lease until a time. Returns
    /// false if another owner has taken it: then nothing is noted.
    pub(super) async fn keep_lease(
        &self,
        lease: &mut Lease,
        progress: Option<String>,
        until: UnixMillis,
    ) -> Result<bool, StoreError> {
        let update = self::lease(&lease.sk, &lease.owner, until);
        let update = match progress {
            Some(progress) => update.set(PROGRESS, item::string(progress)),
            None => update,
        };
        let update = if_held(update, &lease.owner, lease.until);
        let is_kept = self.is_own_lease(&lease.owner, until, update).await?;
        lease.until = until;
        Ok(is_kept)
    }

    /// Whether an update of a lease was done. If its answer was lost, it was sent twice, and the
    /// second one is refused because of the first.
    async fn is_own_lease(
        &self,
        owner: &str,
        until: UnixMillis,
        update: Update,
    ) -> Result<bool, StoreError> {
        Ok(match self.update(update.or_return_item()).await? {
            Written::Yes(_) => true,
            Written::No(stored) => {
                item::optional_text(&stored, LEASE_OWNER).as_deref() == Some(owner)
                    && item::millis(&stored, LEASE_UNTIL)? == Some(until)
            }
        })
    }
}

fn lease(sk: &str, owner: &str, until: UnixMillis) -> Update {
    Update::of(keys::APPS.to_owned(), sk)
        .set(LEASE_OWNER, item::string(owner))
        .set(LEASE_UNTIL, item::number(until.0))
}

/// An update that is done if the lease is the one that was read.
fn if_held(update: Update, by: &str, until: UnixMillis) -> Update {
    update
        .given("held_by", item::string(by))
        .given("held_until", item::number(until.0))
        .only_if(format!("{LEASE_OWNER} = :held_by AND {LEASE_UNTIL} = :held_until"))
}
