//! When two people, or people in two roles, were in a room at the same time.

use std::collections::BTreeMap;

use super::{
    MAX_PEOPLE, ReportError,
    life::ReportedLife,
    person::is_assumed,
    room::{Occupants, RoomQuestion},
    span::{Span, together, united},
};
use crate::{
    domain::{LifeId, Role, RoomId, UserId, Visit},
    record::{Record, ends::LifeEnd},
};

/// One of the two sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// A person.
    User(UserId),
    /// Anyone who had this role at the end of their visit.
    InRole(Role),
}

/// When somebody of one side and somebody else of the other side were present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Together {
    /// Which life of the room it is about; `None` where lives have no names.
    pub life: Option<LifeId>,
    /// The spans, oldest first. They do not overlap.
    pub spans: Vec<Span>,
    /// Whether the beginning or the end of a visit of either side was inferred.
    pub is_assumed: bool,
    /// Whether no callback is expected that could change it.
    pub is_final: bool,
}

impl Whom {
    fn is(&self, user: &UserId, visit: &Visit) -> bool {
        match self {
            Self::User(whom) => whom == user,
            Self::InRole(role) => visit.role == *role,
        }
    }
}

impl Record<'_> {
    /// When both sides were in a room at the same time. If both are people, only their seats are
    /// read, consistently; otherwise all seats of the room are.
    ///
    /// # Errors
    ///
    /// [`ReportError`] if the room or the life is not known, if there are too many people, or if
    /// the records cannot be read.
    pub async fn together(
        self,
        room: &RoomId,
        [a, b]: [&Whom; 2],
        question: RoomQuestion<'_>,
    ) -> Result<Together, ReportError> {
        let RoomQuestion { life, window, settle } = question;
        let users = match (a, b) {
            (Whom::User(a), Whom::User(b)) => vec![a, b],
            _ => Vec::new(),
        };
        let mut occupants = self.occupants(room, life, window, &users).await?;
        let limits = occupants.life.limits();
        let mut people = BTreeMap::new();
        let (mut is_assumed_of_any, mut is_anyone_in) = (false, false);
        while let Some(occupant) = occupants.next().await? {
            let mut sides = [Vec::new(), Vec::new()];
            for visit in occupant.visits.iter().filter(|visit| window.holds(visit)) {
                let part = window.part(visit).within(limits);
                let is_of = [a, b].map(|whom| whom.is(&occupant.user, visit));
                for (spans, _) in sides.iter_mut().zip(is_of).filter(|(_, is_of)| *is_of) {
                    spans.push(part);
                }
                if is_of.contains(&true) {
                    is_assumed_of_any |= is_assumed(visit);
                    is_anyone_in |= visit.ending.is_none();
                }
            }
            if sides.iter().all(Vec::is_empty) {
                continue;
            }
            people.insert(occupant.user.to_string(), sides.map(united));
            if people.len() > MAX_PEOPLE {
                return Err(ReportError::TooManyPeople);
            }
        }
        let Occupants { life: ReportedLife { life, end, .. }, .. } = occupants;
        let is_final = match &life {
            Some(_) => end.as_ref().map(LifeEnd::at).is_some_and(|at| at.after(settle) <= self.now),
            None => window.to.after(settle) <= self.now && !is_anyone_in,
        };
        Ok(Together {
            life: life.map(|life| life.id),
            spans: together(people.into_values()),
            is_assumed: is_assumed_of_any,
            is_final,
        })
    }
}
