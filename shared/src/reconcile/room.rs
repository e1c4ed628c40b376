//! A pass over one room: the provider is asked who is in, and what differs is stored.
//!
//! The provider's list names whom to ask about, and so does the record. Only what the provider says of
//! one person by name makes an observation: people move between the pages of a list.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::{
    Found, Profiles, Reconcile, ReconcileError, SharedTally, Writing,
    brake::{self, Answer, Decision, Fingerprint, Remembered, RoomIs},
    clock::Clock,
    difference::{Difference, Version, fingerprint, person_digest},
    turns::Turns,
};
use crate::{
    domain::{App, LifeId, Outcome, RoomId, Says, SeatObservation, Seen, UnixMillis, UserId},
    providers::zego::api::MAX_USERS,
    record::{Member, Record, Room},
    server_api::{FollowsFrom, ZegoApi},
    store::RoomMemory,
};

/// How many people are compared at the same time.
const CONCURRENT_PEOPLE: usize = 10;

/// How many people are compared, or observations stored, in one step: it takes a second or so.
const STEP: usize = 1000;

/// How many questions about people are asked at the same time. A provider far away answers one in
/// twice the time after which the next may be sent.
const CONCURRENT_QUESTIONS: usize = 4;

/// How many people of a room are read at once.
const PAGE: usize = 1000;

/// A provider's list that goes on for longer is none: its markers may go round in a circle.
const MAX_PAGES: usize = 10_000;

/// What a pass over a room, or over a user, has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomPassed {
    /// When it began.
    pub checked_at: UnixMillis,
    /// How the provider and the record differed.
    pub found: Found,
    /// How many observations were stored.
    pub stored: u64,
    /// What these say.
    pub observed: Found,
    /// Whether the brake held it up.
    pub is_braked: bool,
    /// How many people differed in the last pass, too, and nothing that is stored changes that.
    pub disagreements: u64,
    /// The profile of a user, if it had changed.
    pub profiles: Profiles,
}

impl RoomPassed {
    pub(super) fn begun(checked_at: UnixMillis) -> Self {
        let nothing = Found::default();
        Self {
            checked_at,
            found: nothing,
            stored: 0,
            observed: nothing,
            is_braked: false,
            disagreements: 0,
            profiles: Profiles::default(),
        }
    }
}

/// A pass over one room.
pub(super) struct RoomPass<'a> {
    pub(super) reconcile: &'a Reconcile,
    pub(super) api: &'a ZegoApi,
    pub(super) app: &'a App,
    pub(super) room: &'a RoomId,
    pub(super) clock: Clock,
    pub(super) writing: Writing,
    /// Of a pass over the app; `None` if only this room is asked about.
    pub(super) tally: Option<&'a SharedTally>,
    /// Shared by the rooms of a pass.
    pub(super) turns: &'a Turns,
}

/// What the provider said of people.
#[derive(Debug)]
struct Said {
    people: BTreeMap<UserId, Seen>,
    room: RoomIs,
}

impl RoomPass<'_> {
    /// Asks and stores until `deadline`.
    pub(super) async fn run(&self, deadline: Instant) -> Result<RoomPassed, ReconcileError> {
        timeout_at(deadline, self.pass()).await.unwrap_or(Err(ReconcileError::OutOfTime))
    }

    async fn pass(&self) -> Result<RoomPassed, ReconcileError> {
        let Self { reconcile, app, room, .. } = *self;
        let began_at = self.clock.now();
        let listed = self.listed().await?;
        // The record is read after the list. What it misses of the time between is asked about by name.
        let (known, members) = self.turns.step(self.known()).await?;
        let there: BTreeSet<UserId> = members.keys().cloned().collect();
        let doubtful: Vec<UserId> = listed.symmetric_difference(&there).cloned().collect();
        let said = self.said(&doubtful).await?;
        let differences = self.differences(known.as_ref(), &there, &said).await?;
        let memory = reconcile.passes.memory(app, room, self.clock.now());
        let memory = self.turns.step(memory).await?;
        let life = known.as_ref().and_then(Room::life);
        self.store(began_at, life, &members, &said, differences, &memory).await
    }

    /// Whom the provider lists.
    async fn listed(&self) -> Result<BTreeSet<UserId>, ReconcileError> {
        let mut listed = BTreeSet::new();
        let mut marker = None;
        for _ in 0..MAX_PAGES {
            let asking = self.api.user_list(self.room, marker.as_ref());
            let page = self.turns.step(asking).await?.answer;
            let before = listed.len();
            listed.extend(page.people);
            // A page that adds nobody is the last one.
            marker = page.next.filter(|_| listed.len() > before);
            if marker.is_none() {
                break;
            }
        }
        Ok(listed)
    }

    /// What the record knows of the room, and everybody whom it has in.
    async fn known(&self) -> Result<(Option<Room>, BTreeMap<UserId, Version>), ReconcileError> {
        let view = self.reconcile.records.at(self.app, self.clock.now()).await?;
        let record = view.record();
        let known = record.room(self.room).await?;
        let members = members(record, known.as_ref()).await?;
        Ok((known, members))
    }

    /// What the provider says of each of these people by name.
    async fn said(&self, people: &[UserId]) -> Result<Said, ReconcileError> {
        let mut said = Said { people: BTreeMap::new(), room: RoomIs::Known };
        let questions: Vec<Vec<UserId>> = people.chunks(MAX_USERS).map(<[_]>::to_vec).collect();
        let mut answers = stream::iter(questions)
            .map(async |people| self.turns.step(self.api.users(self.room, &people)).await)
            .buffered(CONCURRENT_QUESTIONS);
        while let Some(answer) = answers.try_next().await? {
            for person in answer {
                if person.follows_from == FollowsFrom::NoSuchRoom {
                    said.room = RoomIs::Unknown;
                }
                said.people.insert(person.user, person.seen);
            }
        }
        Ok(said)
    }

    /// Who is in by the provider and out by the record, or the other way round, in the order of their
    /// ids.
    async fn differences(
        &self,
        known: Option<&Room>,
        there: &BTreeSet<UserId>,
        said: &Said,
    ) -> Result<Vec<Difference>, ReconcileError> {
        let people: Vec<(&UserId, &Seen)> = said.people.iter().collect();
        let mut differences = Vec::new();
        for people in people.chunks(STEP) {
            let step = self.turns.step(self.compared(known, there, people));
            differences.extend(step.await?);
        }
        Ok(differences)
    }

    /// The same of some people. Their seats are read again, by a view that is newer than the answers.
    async fn compared(
        &self,
        known: Option<&Room>,
        there: &BTreeSet<UserId>,
        people: &[(&UserId, &Seen)],
    ) -> Result<Vec<Difference>, ReconcileError> {
        let view = self.reconcile.records.at(self.app, self.clock.now()).await?;
        let record = view.record();
        let people: Vec<(UserId, Seen)> =
            people.iter().map(|(user, seen)| ((*user).clone(), **seen)).collect();
        let compared = stream::iter(people)
            .map(async |(user, seen)| {
                let observations = record.observe_in(self.room, known, &user, seen).await?;
                let is_in = matches!(seen.says, Says::In { .. });
                let differs = !observations.is_empty() || is_in != there.contains(&user);
                let difference = Difference { user, says: seen.says, observations };
                Ok::<_, ReconcileError>(differs.then_some(difference))
            })
            .buffered(CONCURRENT_PEOPLE);
        compared.try_filter_map(async |difference| Ok(difference)).try_collect().await
    }

    /// Stores what differs, unless the brake holds it up or this is a dry run.
    async fn store(
        &self,
        checked_at: UnixMillis,
        life: Option<&LifeId>,
        members: &BTreeMap<UserId, Version>,
        said: &Said,
        differences: Vec<Difference>,
        memory: &RoomMemory,
    ) -> Result<RoomPassed, ReconcileError> {
        let Self { reconcile, app, room, .. } = *self;
        let mut passed = RoomPassed::begun(checked_at);
        let mut ends = 0;
        let mut differed = BTreeSet::new();
        for difference in &differences {
            passed.found.add(difference.says);
            if difference.observations.is_empty() {
                let digest = person_digest(room, difference);
                passed.disagreements += u64::from(memory.differed.contains(&digest));
                differed.insert(digest);
            } else {
                ends += usize::from(difference.says == Says::Out);
            }
        }
        let answer = Answer {
            stays: members.len(),
            ends,
            room: said.room,
            fingerprint: fingerprint(members, &differences),
        };
        let remembered =
            memory.braked.map(|(at, digest)| Remembered { at, fingerprint: Fingerprint(digest) });
        let now = self.clock.now();
        let decision = match self.tally {
            Some(tally) => tally.decide(&answer, remembered, now),
            None => brake::decide(&answer, None, remembered, now),
        };
        passed.is_braked = decision.is_braked();
        if self.writing == Writing::DryRun {
            return Ok(passed);
        }
        let braked = match decision {
            Decision::Remember => Some((now, answer.fingerprint.0)),
            Decision::Wait => memory.braked,
            Decision::Store | Decision::Confirmed => None,
        };
        if !passed.is_braked {
            let observations: Vec<_> =
                differences.into_iter().flat_map(|difference| difference.observations).collect();
            for observations in observations.chunks(STEP) {
                let added = self.turns.step(self.add_all(observations)).await?;
                passed.observed.add_all(added);
            }
            passed.stored = passed.observed.in_ + passed.observed.out;
        }
        let new = RoomMemory { braked, differed };
        let noted = async {
            reconcile.passes.remember(app, room, memory, &new, now).await?;
            if !passed.is_braked {
                reconcile.observer.set_room_checked(app, room, life, checked_at).await?;
            }
            Ok::<_, ReconcileError>(passed)
        };
        self.turns.step(noted).await
    }

    async fn add_all(&self, observations: &[SeatObservation]) -> Result<Found, ReconcileError> {
        let adding = stream::iter(observations.to_vec())
            .map(async |observation| {
                let outcome = self.reconcile.observer.add(&observation).await?;
                Ok::<_, ReconcileError>((outcome, observation.seen.says))
            })
            .buffer_unordered(CONCURRENT_PEOPLE);
        let added: Vec<_> = adding.try_collect().await?;
        let mut observed = Found::default();
        for (_, says) in added.iter().filter(|(outcome, _)| *outcome == Outcome::Applied) {
            observed.add(*says);
        }
        Ok(observed)
    }
}

/// Everybody whom the record has in a room.
async fn members(
    record: Record<'_>,
    room: Option<&Room>,
) -> Result<BTreeMap<UserId, Version>, ReconcileError> {
    let mut members = BTreeMap::new();
    let Some(room) = room else { return Ok(members) };
    let mut after = None;
    loop {
        let mut page = record.members_for_check(room, after.as_deref(), PAGE).await?;
        while let Some((_, member)) = page.rows.try_next().await? {
            if let Some(Member { user, stay }) = member {
                members.insert(user, (stay.visit.session, stay.visit.last_in));
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(members);
        }
    }
}
