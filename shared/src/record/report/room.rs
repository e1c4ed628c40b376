//! The report of a room: everyone who was there.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use super::{
    MAX_PEOPLE, ReportError,
    digest::Digest,
    life::{ReportedLife, SEATS_PER_READ},
    person::{Figures, PersonReport, Window},
    span::{Peak, Span, peak},
};
use crate::{
    domain::{LifeId, Mark, RoomId, SeatStay, UnixMillis, UserId, Visit},
    providers::Numbered,
    record::{
        Record, RecordError,
        ends::{LifeEnd, RoomEnds},
        united,
    },
    store::{Member, Seat, SeatsFrom, StoreError},
};

/// Everyone who was in one life of a room, with the decided visits of each.
pub(super) struct Occupants<'a> {
    record: Record<'a>,
    pub(super) life: ReportedLife,
    seats: BoxStream<'a, Result<Seats, StoreError>>,
    ends: RoomEnds<'a>,
    /// Those whose seat without a life was read: their other seats come with it.
    seen: BTreeSet<String>,
}

/// Somebody's seat, and the one by the other track, if they have one that counts.
type Seats = (Member, Option<Seat>);

/// Somebody who was there. Their visits come oldest first.
pub(super) struct Occupant {
    pub(super) user: UserId,
    pub(super) name: Option<String>,
    pub(super) marks: Vec<Mark>,
    pub(super) visits: Vec<Visit>,
    /// Whether their marks came before.
    pub(super) is_again: bool,
}

impl<'a> Record<'a> {
    /// Everyone who was in a life of a room, in the order of the index; only `users`, if there are
    /// any. Who comes again meanwhile may come twice.
    pub(super) async fn occupants(
        self,
        room: &RoomId,
        life: Option<&LifeId>,
        window: Window,
        users: &[&UserId],
    ) -> Result<Occupants<'a>, ReportError> {
        let mut ends = RoomEnds::new(self, room.clone());
        let life = self.reported_life(room, life, window, &mut ends).await?;
        let Self { store, app, now } = self;
        let seats = if users.is_empty() {
            let from = SeatsFrom::Time(life.first_seats());
            let seats = store.seats_of_room(app, room, from, SEATS_PER_READ, now);
            let until = life.last_seats();
            // They come in the order of the newest session of each.
            let is_later = move |(seat, _): &Seats| {
                seat.seat.marks.iter().max().is_some_and(|newest| newest.order.time > until)
            };
            let seats = seats.map_ok(|found| (found.member, found.other));
            let seats = seats.try_take_while(move |seat| std::future::ready(Ok(!is_later(seat))));
            seats.boxed()
        } else {
            let mut members = Vec::new();
            for user in users {
                let mut seats = store.seats_in_room(app, user, room, now).await?;
                let are_two = united::of_two_tracks(self.tracks(), &seats).is_some();
                let mut other = if are_two { seats.pop() } else { None };
                let members_of = seats
                    .into_iter()
                    .map(|seat| Ok((Member { user: (*user).clone(), seat }, other.take())));
                members.extend(members_of);
            }
            stream::iter(members).boxed()
        };
        Ok(Occupants { record: self, life, seats, ends, seen: BTreeSet::new() })
    }
}

impl Occupants<'_> {
    pub(super) async fn next(&mut self) -> Result<Option<Occupant>, RecordError> {
        let Record { store, app, now } = self.record;
        while let Some((Member { user, seat }, other)) = self.seats.try_next().await? {
            if let Some(other) = other {
                return self.of_both(user, seat, other).await.map(Some);
            }
            let is_of_life = seat.life.as_ref() == self.life.id();
            if !seat.seen.is_empty() && (is_of_life || seat.is_only_seen()) {
                if let Some(occupant) = self.observed(user, seat).await? {
                    return Ok(Some(occupant));
                }
                continue;
            }
            if !is_of_life || self.seen.contains(user.as_str()) {
                continue;
            }
            let marks: Vec<Mark> = store.marks(app, &user, &seat, now).try_collect().await?;
            let mut visits = Vec::new();
            for visit in self.record.rules().visits_of(seat.track, &marks) {
                visits.push(self.ends.decide_on(&user, &seat, visit).await?);
            }
            let (name, is_again) = (seat.name, false);
            return Ok(Some(Occupant { user, name, marks, visits, is_again }));
        }
        Ok(None)
    }

    /// Somebody whom two tracks report.
    async fn of_both(
        &mut self,
        user: UserId,
        seat: Seat,
        other: Seat,
    ) -> Result<Occupant, RecordError> {
        let Record { store, app, now } = self.record;
        let visits = self.ends.united(&user, &[&seat, &other]).await?.into_visits();
        // Only one of them names roles.
        let named = if seat.track.is_media() { &seat } else { &other };
        let marks = store.marks(app, &user, named, now).try_collect().await?;
        let (name, is_again) = (seat.name.or(other.name), false);
        Ok(Occupant { user, name, marks, visits, is_again })
    }

    /// Somebody who was observed, with the visits to all of their seats that are of the life; `None`
    /// if there are none, or if they came before. A stay that only an observation shows is of the
    /// life in whose time it began.
    async fn observed(
        &mut self,
        user: UserId,
        seat: Seat,
    ) -> Result<Option<Occupant>, RecordError> {
        if !self.seen.insert(user.to_string()) {
            return Ok(None);
        }
        let Record { store, app, now } = self.record;
        let seats = store.seats_in_room(app, &user, &seat.room, now).await?;
        let observed = self.ends.observed(&user, &seats).await?;
        let limits = self.life.times();
        let is_of_life = |stay: &SeatStay| match &stay.life {
            None => limits.from <= stay.visit.place() && stay.visit.place() < limits.to,
            life => life.as_ref() == self.life.id(),
        };
        let stays = observed.into_stays().filter(is_of_life);
        let mut visits: Vec<Visit> = stays.map(|stay| stay.visit).collect();
        visits.sort_by_key(Visit::place);
        let of_life = seats.into_iter().find(|seat| seat.life.as_ref() == self.life.id());
        let (mut name, mut marks, mut is_again) = (None, Vec::new(), false);
        if let Some(of_life) = of_life {
            // Seats come in the order of their newest sessions.
            let newest = of_life.marks.iter().max().map(|mark| mark.order.time);
            let came = seat.seen.came.map(|came| came.at);
            is_again = seat.is_only_seen() && of_life.seen.is_empty() && newest < came;
            marks = store.marks(app, &user, &of_life, now).try_collect().await?;
            name = of_life.name;
        }
        let is_there = !visits.is_empty() || !marks.is_empty();
        Ok(is_there.then_some(Occupant { user, name, marks, visits, is_again }))
    }
}

/// Which report of a room is asked for.
#[derive(Debug, Clone, Copy)]
pub struct RoomQuestion<'q> {
    /// Which life; the newest, if none is named.
    pub life: Option<&'q LifeId>,
    /// Which part of it.
    pub window: Window,
    /// How long after the end callbacks are still expected.
    pub settle: Duration,
}

/// The report of a room while it is read: everyone who was there, in no order.
#[expect(missing_debug_implementations, reason = "it holds a stream")]
pub struct RoomReport<'a> {
    occupants: Occupants<'a>,
    window: Window,
    /// When the first visit of the life began.
    first_visit: Option<UnixMillis>,
    is_anyone_in: bool,
    settle: Duration,
    changes: Option<Box<dyn Numbered>>,
    admins: BTreeSet<String>,
    people: BTreeMap<String, Figures>,
}

/// What a report says of the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomTotals {
    /// Which life it is about; `None` where lives have no names.
    pub life: Option<LifeId>,
    /// When the life began, if that is known. Without lives, the first creation in the span.
    pub began_at: Option<UnixMillis>,
    /// Whether the creation never arrived, so that this is the beginning of the first visit.
    pub began_assumed: bool,
    /// When it ended; `None` while it lasts. Without lives, the last dismissal in the span.
    pub ended_at: Option<UnixMillis>,
    /// Whether the close never arrived, so that this is the beginning of the next life.
    pub ended_assumed: bool,
    /// Whether no callback is expected that could change the report.
    pub is_final: bool,
    /// The digest of everything that the report says of people and time.
    pub digest: Digest,
    /// How many people were there.
    pub people: usize,
    /// How many others were only there as admins, which are not people.
    pub admins: usize,
    /// The time that people were present, in all, in milliseconds.
    pub person_ms: u64,
    /// How many were present at one moment, at most; `None` if nobody was for any time.
    pub peak: Option<Peak>,
    /// The least number of callbacks of the life that never arrived; `None` where the provider
    /// does not number them.
    pub missing: Option<u64>,
}

impl<'a> Record<'a> {
    /// The report of a room.
    ///
    /// # Errors
    ///
    /// [`ReportError`] if the room or the life is not known, or if the records cannot be read.
    pub async fn room_report(
        self,
        room: &RoomId,
        question: RoomQuestion<'_>,
    ) -> Result<RoomReport<'a>, ReportError> {
        let RoomQuestion { life, window, settle } = question;
        let occupants = self.occupants(room, life, window, &[]).await?;
        Ok(RoomReport {
            changes: self.rules().rooms.and_then(|rooms| rooms.numbered).map(|numbered| numbered()),
            occupants,
            window,
            first_visit: None,
            is_anyone_in: false,
            settle,
            admins: BTreeSet::new(),
            people: BTreeMap::new(),
        })
    }
}

impl RoomReport<'_> {
    /// The next person who was there in the span. Somebody who comes again meanwhile may be
    /// reported twice: then the second report is the newer one.
    ///
    /// # Errors
    ///
    /// [`ReportError`] if there are too many people, or if the records cannot be read.
    pub async fn next(&mut self) -> Result<Option<PersonReport>, ReportError> {
        while let Some(occupant) = self.occupants.next().await? {
            let Occupant { user, name, marks, mut visits, is_again } = occupant;
            let life = &self.occupants.life;
            if let Some(changes) = self.changes.as_mut().filter(|_| !is_again) {
                if life.end.is_some() {
                    changes.seat_of_ended_life(&marks);
                } else {
                    changes.seat(&marks);
                }
            }
            let first = visits.iter().map(Visit::place).min();
            self.first_visit = self.first_visit.into_iter().chain(first).min();
            visits.retain(|visit| self.window.holds(visit));
            self.is_anyone_in |= visits.iter().any(|visit| visit.ending.is_none());
            let all = visits.len();
            let rules = self.occupants.record.rules();
            visits.retain(|visit| rules.is_person(visit.role));
            let limits = life.limits();
            let part = |visit: &Visit| self.window.part(visit).within(limits);
            let Some(person) = PersonReport::new(user.clone(), name, &marks, &visits, part) else {
                if all > 0 {
                    self.admins.insert(user.to_string());
                }
                continue;
            };
            // Who came first as an admin may have been seen as another one.
            self.admins.remove(user.as_str());
            self.people.insert(user.to_string(), person.figures.clone());
            if self.people.len() > MAX_PEOPLE {
                return Err(ReportError::TooManyPeople);
            }
            return Ok(Some(person));
        }
        Ok(None)
    }

    /// What is known of the room, once everyone was read.
    #[must_use]
    pub fn totals(self) -> RoomTotals {
        let Self { occupants, window, first_visit, people, .. } = self;
        let ReportedLife { life, created, end } = occupants.life;
        let now = occupants.record.now;
        let began_at = match &life {
            Some(life) => created.or(first_visit).or(life.closed),
            None => created,
        };
        let ended_at = end.as_ref().map(|end| end.at().max(began_at.unwrap_or(UnixMillis(0))));
        let settled = |at: UnixMillis| at.after(self.settle) <= now;
        let is_final = match life {
            Some(_) => ended_at.is_some_and(settled),
            None => settled(window.to) && !self.is_anyone_in,
        };
        let life = life.map(|life| life.id);
        let of_people = people.iter().map(|(user, figures)| (user.as_str(), figures));
        RoomTotals {
            digest: Digest::new(life.as_ref(), began_at, ended_at, of_people),
            began_at,
            began_assumed: life.is_some() && created.is_none(),
            ended_at,
            ended_assumed: matches!(end, Some(LifeEnd::Replaced { .. })),
            is_final,
            people: people.len(),
            admins: self.admins.len(),
            person_ms: people.values().map(Figures::present_ms).sum(),
            peak: peak(people.values().map(|figures| figures.present.as_slice())),
            missing: self.changes.map(|changes| changes.lost().map_or(0, |lost| lost.missing)),
            life,
        }
    }
}

impl Window {
    /// The share of a room's life that somebody was present, in ten-thousandths: of its part in the
    /// window. A life that lasts has lasted until `as_of`. `None` if that part has no length or no
    /// known beginning.
    #[must_use]
    pub fn share_of_life(
        &self,
        began_at: Option<UnixMillis>,
        ended_at: Option<UnixMillis>,
        present: &[Span],
    ) -> Option<u16> {
        let (from, to) = (began_at?, ended_at.unwrap_or(self.as_of));
        let life = Span { from, to }.within(Span { from: self.from, to: self.to });
        let present: u64 = present.iter().map(|span| span.within(life).ms()).sum();
        let share = u128::from(present) * 10_000 / u128::from(life.ms()).max(1);
        (life.ms() > 0).then(|| u16::try_from(share).unwrap_or(u16::MAX))
    }
}
