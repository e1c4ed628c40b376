//! What the creations and dismissals of a room do to stays, where the room's lives have no ids.

use crate::domain::{Boundary, Ending, MAX_EVENT_TIME_AHEAD, UnixMillis, UserId};

/// What a dismissal means for a room that was created at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtOnce {
    /// The room was dismissed after it was created.
    DismissedLast,
    /// The room was dismissed, and created again: the dismissal is one of before.
    CreatedLast,
}

/// What a boundary of a room does to the stay of a person who was last reported in at `last_in`.
///
/// A person who was in before the room was created or dismissed is out. But a creation does not end
/// the stay of its own creator, who may have entered a moment before, because clocks differ. At the
/// same millisecond a creation comes before all other events, and a dismissal after them.
#[must_use]
pub fn boundary_effect(boundary: &Boundary, user: &UserId, last_in: UnixMillis) -> BoundaryEffect {
    match boundary {
        Boundary::Created { at, .. } if *at <= last_in => BoundaryEffect::Nothing,
        Boundary::Closed { at, .. } if *at < last_in => BoundaryEffect::Nothing,
        Boundary::Created { at, creator: Some(creator) }
            if creator.is(user) && last_in >= at.before(MAX_EVENT_TIME_AHEAD) =>
        {
            BoundaryEffect::SparesCreator
        }
        Boundary::Created { at, .. } => BoundaryEffect::Ends(Ending::RoomReplaced { at: *at }),
        Boundary::Closed { at, .. } => BoundaryEffect::Ends(Ending::RoomClosed { at: *at }),
    }
}

/// What a creation or dismissal of a room does to a stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundaryEffect {
    /// Nothing: it was before.
    Nothing,
    /// It ends the stay.
    Ends(Ending),
    /// It would end the stay of anyone but the person who created the room.
    SparesCreator,
}

impl BoundaryEffect {
    /// Whether it ends the stay.
    #[must_use]
    pub fn is_end(self) -> bool {
        matches!(self, Self::Ends(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Creator;

    #[test]
    fn a_creation_spares_its_creator_only_around_its_own_time() {
        let at = UnixMillis(10_000_000);
        let (ada, bob) = ("ada".parse().unwrap(), "bob".parse().unwrap());
        let created = Boundary::Created { at, creator: Some(Creator::Named(ada)) };
        let ada = "ada".parse().unwrap();
        let ends =
            |user: &UserId, ms: u64| boundary_effect(&created, user, UnixMillis(ms)).is_end();
        assert!(!ends(&ada, 10_000_000 - 600_000));
        assert!(ends(&ada, 10_000_000 - 600_001));
        assert!(ends(&bob, 9_999_999));
        assert!(!ends(&bob, 10_000_000));
    }
}
