//! What a pass over a room has found, and its digests, by which one pass recognizes what another
//! found.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::brake::Fingerprint;
use crate::{
    domain::{RoomId, Says, SeatObservation, SessionId, UnixMillis, UserId},
    store::PersonDigest,
};

/// How one person differs.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) user: UserId,
    pub(super) says: Says,
    /// None if nothing that can be stored makes the record agree.
    pub(super) observations: Vec<SeatObservation>,
}

/// What changes with a person's stay.
pub(super) type Version = (Option<SessionId>, UnixMillis);

/// A digest of who differs, and of everybody whom the record has in.
pub(super) fn fingerprint(
    members: &BTreeMap<UserId, Version>,
    differences: &[Difference],
) -> Fingerprint {
    let mut digest = Sha256::new();
    let mut part = |text: &str| {
        digest.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(text);
    };
    for (user, (session, last_in)) in members {
        part(user.as_str());
        part(session.as_ref().map_or("", |session| session.as_str()));
        part(&last_in.to_string());
    }
    part("");
    for difference in differences {
        part(difference.user.as_str());
        part(if difference.says == Says::Out { "out" } else { "in" });
    }
    Fingerprint(digest.finalize().into())
}

/// A digest of how one person differs.
pub(super) fn person_digest(room: &RoomId, difference: &Difference) -> PersonDigest {
    let mut digest = Sha256::new();
    for part in [room.as_str(), difference.user.as_str()] {
        digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(part);
    }
    digest.update([u8::from(difference.says == Says::Out)]);
    let mut whole = digest.finalize().into_iter();
    PersonDigest::default().map(|_| whole.next().unwrap_or_default())
}
