//! What is noted of a room after nothing has changed for a while: a life that is over, or that
//! nobody is in. No user is named.

use super::{
    StoreError,
    item::{
        self, BEGAN_AT, DIGEST, EMPTIED_AT, ENDED_AT, Item, MISSING, PEOPLE, PERSON_MS, REASON,
        REVISION, SETTLE_SECONDS, SETTLED_AT,
    },
    keys,
    table::SK,
};
use crate::domain::{LifeId, UnixMillis};

/// A life of a room that is over, as it was known at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledLife {
    /// Which life.
    pub life: LifeId,
    /// 1, and one more each time that something of it has changed.
    pub revision: u64,
    /// When it began, as far as is known.
    pub began_at: Option<UnixMillis>,
    /// When it ended.
    pub ended_at: UnixMillis,
    /// What its report says; `None` if it has none, because it has too many people.
    pub totals: Option<LifeTotals>,
    /// When that was found, by our clock.
    pub settled_at: UnixMillis,
    /// For how long nothing had changed then, in seconds.
    pub settle_seconds: u64,
}

/// What the report of a life says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifeTotals {
    /// How many people were there.
    pub people: u64,
    /// The time that they were present, in all, in milliseconds.
    pub person_ms: u64,
    /// The least number of callbacks that never arrived; `None` where they have no numbers.
    pub missing: Option<u64>,
    /// The digest of the report.
    pub digest: String,
}

/// A room that nobody is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmptiedRoom {
    /// Which life of it, if the provider distinguishes lives.
    pub life: Option<LifeId>,
    /// When the last person left.
    pub at: UnixMillis,
    /// Why they left.
    pub reason: String,
    /// When that was found, by our clock.
    pub settled_at: UnixMillis,
}

impl SettledLife {
    pub(super) fn attributes(&self) -> Item {
        let number = |at: UnixMillis| item::number(at.0);
        let always = [
            (REVISION, item::number(self.revision)),
            (ENDED_AT, number(self.ended_at)),
            (SETTLED_AT, number(self.settled_at)),
            (SETTLE_SECONDS, item::number(self.settle_seconds)),
        ];
        let began = self.began_at.map(|at| (BEGAN_AT, number(at)));
        let totals = self.totals.iter().flat_map(|totals| {
            let missing = totals.missing.map(|missing| (MISSING, item::number(missing)));
            let known = [
                (PEOPLE, item::number(totals.people)),
                (PERSON_MS, item::number(totals.person_ms)),
                (DIGEST, item::string(&totals.digest)),
            ];
            known.into_iter().chain(missing)
        });
        item::of(always.into_iter().chain(began).chain(totals))
    }

    pub(super) fn read(item: &Item) -> Result<Self, StoreError> {
        let needed = |name| {
            item::optional_number(item, name)
                .ok_or(StoreError::Item("a settled life lacks a number"))
        };
        let totals = match item::optional_text(item, DIGEST) {
            Some(digest) => Some(LifeTotals {
                people: needed(PEOPLE)?,
                person_ms: needed(PERSON_MS)?,
                missing: item::optional_number(item, MISSING),
                digest,
            }),
            None => None,
        };
        Ok(Self {
            life: keys::parse_life(item::text(item, SK)?)?,
            revision: needed(REVISION)?,
            began_at: item::millis(item, BEGAN_AT)?,
            ended_at: UnixMillis(needed(ENDED_AT)?),
            totals,
            settled_at: UnixMillis(needed(SETTLED_AT)?),
            settle_seconds: needed(SETTLE_SECONDS)?,
        })
    }

    /// Whether it says the same of the life as another revision. The number of lost callbacks
    /// counts, too, which is not in the digest.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.totals == other.totals
            && (self.began_at, self.ended_at) == (other.began_at, other.ended_at)
    }
}

impl EmptiedRoom {
    pub(super) fn attributes(&self) -> Item {
        item::of([
            (EMPTIED_AT, item::number(self.at.0)),
            (REASON, item::string(&self.reason)),
            (SETTLED_AT, item::number(self.settled_at.0)),
        ])
    }

    pub(super) fn read(item: &Item) -> Result<Self, StoreError> {
        let missing = StoreError::Item("an emptied room has no time");
        Ok(Self {
            life: keys::parse_emptied(item::text(item, SK)?)?,
            at: item::millis(item, EMPTIED_AT)?.ok_or(missing)?,
            reason: item::text(item, REASON)?.to_owned(),
            settled_at: item::millis(item, SETTLED_AT)?.unwrap_or(UnixMillis(0)),
        })
    }
}
