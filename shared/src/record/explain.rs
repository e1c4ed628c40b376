//! Why the answers about a person are as they are: each mark on their seats and each register of
//! their devices, with the rule that made something of it.
//!
//! The verdicts are given by the code that decides: by the provider's rules, and for the ends of
//! visits by [`super::ends`].

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
};

use futures::{TryStreamExt, stream::BoxStream};

use super::{
    DeviceStay, PersonSeats, Record, RecordError, RoomStay,
    ends::RoomEnds,
    observed,
    united::{AllStays, United},
};
use crate::{
    domain::{
        DeviceVerdict, LifeId, Mark, MarkRule, Observed, Part, Register, RegisterRule, RoomId,
        Says, Seen, SeenRule, Stamp, Track, UnixMillis, UserId, Verdict, Visit, observed_device,
    },
    providers::{Rules, Visits},
    store::{Seat, StoreError},
};

/// Which of a person's seats.
#[derive(Debug, Clone, Copy)]
pub enum Seats<'r> {
    /// All of them.
    All,
    /// Those in a room and in the rooms after it.
    From(&'r RoomId),
    /// Those in a room.
    In(&'r RoomId),
}

/// The marks of one seat in their order, each with what became of it.
#[expect(missing_debug_implementations, reason = "it holds a stream")]
pub struct SeatMarks<'s, 'a> {
    user: &'s UserId,
    seat: &'s Seat,
    ends: &'s mut RoomEnds<'a>,
    rules: &'static Rules,
    marks: BoxStream<'a, Result<Mark, StoreError>>,
    /// `None` when all marks have come.
    visits: Option<Box<dyn Visits>>,
    /// All visits to the seat, if something was observed in the room, or if two tracks report it.
    decided: Option<Vec<Visit>>,
    /// The stays that two tracks report, if they do.
    united: Option<United>,
    counts: Counts,
    seen: Vec<ExplainedSeen>,
    /// How many visits are completed.
    completed: usize,
    /// The marks that were not returned yet.
    waiting: VecDeque<Verdict>,
    /// The visits that these marks belong to, by their numbers.
    of_waiting: HashMap<usize, VisitOfMarks>,
}

/// Whether a seat decides where its person is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counts {
    Yes,
    /// The app's rooms are decided by another track.
    No,
}

#[derive(Default)]
struct VisitOfMarks {
    /// How many of its marks are waiting.
    waiting: usize,
    /// Whether one of its marks was returned.
    is_returned: bool,
    visit: Option<Visit>,
    stay: Option<RoomStay>,
}

/// A mark, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedMark {
    /// The mark.
    pub mark: Mark,
    /// What it says, in the provider's terms.
    pub says: String,
    /// The role, as answers call it.
    pub role: Cow<'static, str>,
    /// The rule that made something of it.
    pub rule: MarkRule,
    /// The stay that it belongs to, as its own track reports it.
    pub stay: RoomStay,
    /// Whether it is the first mark of that stay.
    pub is_first: bool,
    /// What another track makes of that stay.
    pub other: OtherTrack,
}

/// What another track makes of a stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OtherTrack {
    /// Nothing.
    Nothing,
    /// The other track alone decides who is in the app's rooms.
    Decides,
    /// It reports the same time: both are one stay.
    United {
        /// That stay.
        stay: Box<RoomStay>,
        /// Whether this is the first mark of it.
        is_first: bool,
    },
}

/// What the provider said of somebody in a room, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedSeen {
    /// It.
    pub seen: Seen,
    /// What it says.
    pub says: String,
    /// The role, as answers call it, if it says that they are in.
    pub role: Option<Cow<'static, str>>,
    /// The rule that made something of it.
    pub rule: SeenRule,
    /// The stay that only it shows.
    pub stay: Option<RoomStay>,
}

/// A device, and what became of its registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedDevice {
    /// Its stay online.
    pub stay: DeviceStay,
    /// Until when it is online, if that has to be repeated.
    pub lease_until: Option<UnixMillis>,
    /// The registers that it has.
    pub registers: Vec<ExplainedRegister>,
}

/// A register of a device, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedRegister {
    /// Its name in answers.
    pub name: &'static str,
    /// When it happened.
    pub at: UnixMillis,
    /// What it says, in the provider's terms.
    pub says: String,
    /// The rule that made something of it.
    pub rule: RegisterRule,
}

impl<'a> Record<'a> {
    /// Some of a person's seats. Take them with [`PersonSeats::next_marks`].
    #[must_use]
    pub fn explained_seats(self, user: &UserId, seats: Seats<'_>) -> PersonSeats<'a> {
        let Self { store, app, now } = self;
        let found = match seats {
            Seats::All => store.every_seat_of_user(app, user, now),
            Seats::From(room) => store.seats_of_user_from(app, user, room, now),
            Seats::In(room) => store.seats_of_user_in(app, user, room, now),
        };
        PersonSeats::new(self, user, found)
    }

    /// The devices of a person, by their kinds and connections.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn explained_devices(
        self,
        user: &UserId,
    ) -> Result<Vec<ExplainedDevice>, RecordError> {
        let Some(rules) = self.rules().devices else { return Ok(Vec::new()) };
        let devices = self.store.devices(self.app, user, self.now).await?;
        let explained = devices.into_iter().map(|device| {
            let verdict = (rules.decide)(&device, self.now);
            let verdict: DeviceVerdict = observed_device(verdict, &device, self.now);
            let registers = [
                (Register::Online, device.online, verdict.online),
                (Register::Offline, device.offline, verdict.offline),
                (Register::LoggedOut, device.logged_out, verdict.logged_out),
                (Register::KickedByItself, device.kicked_by_itself, verdict.kicked_by_itself),
            ];
            let explained = |(register, stamp, rule): (_, Option<Stamp>, Option<RegisterRule>)| {
                let (stamp, rule) = stamp.zip(rule)?;
                let says = (rules.says)(&device, register, stamp);
                Some(ExplainedRegister { name: register.name(), at: stamp.at(), says, rule })
            };
            let registers = registers.into_iter().filter_map(explained);
            let seen = [
                ("seen_online", "online", device.seen_online, verdict.seen_online),
                ("seen_offline", "offline", device.seen_offline, verdict.seen_offline),
            ];
            let seen = seen.into_iter().filter_map(|(name, what, at, rule)| {
                let (at, rule) = at.zip(rule)?;
                let says = format!("asked at {at}, the provider said that the device is {what}");
                Some(ExplainedRegister { name, at, says, rule })
            });
            let registers = registers.chain(seen).collect();
            let lease_until = verdict.lease_until;
            let stay = DeviceStay::new(device, rules, &verdict);
            ExplainedDevice { stay, lease_until, registers }
        });
        let mut explained: Vec<_> = explained.collect();
        explained.sort_by(|a, b| a.stay.place().cmp(&b.stay.place()));
        Ok(explained)
    }

    /// Whether anything is known of a person.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn is_known(self, user: &UserId) -> Result<bool, RecordError> {
        let mut seats = self.store.every_seat_of_user(self.app, user, self.now);
        Ok(seats.try_next().await?.is_some() || self.is_known_outside_rooms(user).await?)
    }
}

impl<'a> PersonSeats<'a> {
    /// The next seat that does not come before a place: the marks on it.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn next_marks(
        &mut self,
        from: Option<(&RoomId, Option<&LifeId>, Track)>,
    ) -> Result<Option<SeatMarks<'_, 'a>>, RecordError> {
        let Record { store, app, now } = self.record();
        let (rules, tracks) = (self.record().rules(), self.record().tracks());
        let is_before =
            |seat: &Seat| from.is_some_and(|(room, life, track)| seat.is_before(room, life, track));
        while self.next_seat().await?.is_some_and(is_before) {}
        let Some((user, seat, ends, all)) = self.current() else { return Ok(None) };
        let mut visits = rules.visits(&seat.room, seat.track);
        visits.verdicts().ask();
        let counts = if tracks.has(seat.track) { Counts::Yes } else { Counts::No };
        let (mut decided, mut seen, mut united) = (None, None, None);
        match all {
            Some(AllStays::Observed(observed)) => {
                decided = Some(observed::on_seat(observed.clone(), seat));
                seen = Some(explained_seen(rules, seat, observed));
            }
            Some(AllStays::United(all)) if counts == Counts::Yes => {
                decided = all.of(seat.track).map(<[Visit]>::to_vec);
                united = Some(all.clone());
            }
            _ => {}
        }
        Ok(Some(SeatMarks {
            user,
            seat,
            ends,
            rules,
            marks: store.marks(app, user, seat, now),
            visits: Some(visits),
            decided,
            united,
            counts,
            seen: seen.unwrap_or_default(),
            completed: 0,
            waiting: VecDeque::new(),
            of_waiting: HashMap::new(),
        }))
    }
}

impl SeatMarks<'_, '_> {
    /// The room that the seat is in.
    #[must_use]
    pub fn room(&self) -> &RoomId {
        &self.seat.room
    }

    /// The life of the room, if the provider distinguishes lives.
    #[must_use]
    pub fn life(&self) -> Option<&LifeId> {
        self.seat.life.as_ref()
    }

    /// Which of the provider's products reported it.
    #[must_use]
    pub fn track(&self) -> Track {
        self.seat.track
    }

    /// What was observed on the seat.
    pub fn seen(&mut self) -> Vec<ExplainedSeen> {
        std::mem::take(&mut self.seen)
    }

    /// The next mark that comes after a mark.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn next(
        &mut self,
        after: Option<&Mark>,
    ) -> Result<Option<ExplainedMark>, RecordError> {
        loop {
            let Some(number) = self.first_of_completed_visit() else {
                if self.read().await? {
                    continue;
                }
                return Ok(None);
            };
            let Some(Verdict { mark, rule, .. }) = self.waiting.pop_front() else { continue };
            let of_visit = self.of_waiting.entry(number).or_default();
            of_visit.waiting -= 1;
            let is_first = !std::mem::replace(&mut of_visit.is_returned, true);
            let is_wanted = after.is_none_or(|after| mark > *after);
            if let Some(visit) = of_visit.visit.take_if(|_| is_wanted) {
                let decided = self.decided.as_ref().and_then(|decided| decided.get(number));
                let visit = match decided {
                    Some(visit) => visit.clone(),
                    None => self.ends.decide(self.user, self.seat, visit).await?,
                };
                of_visit.stay = Some(RoomStay::new(self.rules, self.seat, visit));
            }
            let stay = of_visit.stay.clone();
            if of_visit.waiting == 0 {
                self.of_waiting.remove(&number);
            }
            let says = self.rules.says(&self.seat.room, self.seat.track, &mark);
            if let (Some(stay), Some(says), true) = (stay, says, is_wanted) {
                let role = self.rules.role_name(mark.role);
                let other = self.other_track(number, is_first);
                return Ok(Some(ExplainedMark { mark, says, role, rule, stay, is_first, other }));
            }
        }
    }

    /// What another track makes of the visit of that number, of which this is the first mark or not.
    fn other_track(&self, number: usize, is_first: bool) -> OtherTrack {
        if self.counts == Counts::No {
            return OtherTrack::Decides;
        }
        let part = Part { track: self.seat.track, number };
        let united = self.united.as_ref().and_then(|united| united.holding(part));
        let Some(united) = united.filter(|united| united.is_of_both()) else {
            return OtherTrack::Nothing;
        };
        let is_first = is_first && united.parts.iter().min() == Some(&part);
        let stay = RoomStay::new(self.rules, self.seat, united.visit.clone());
        OtherTrack::United { stay: Box::new(stay), is_first }
    }

    /// The visit of the first mark that is waiting, if it is completed.
    fn first_of_completed_visit(&self) -> Option<usize> {
        let first = self.waiting.front()?;
        (first.visit < self.completed).then_some(first.visit)
    }

    /// Reads the next mark. Whether there was one, or the last visits were completed.
    async fn read(&mut self) -> Result<bool, RecordError> {
        let Some(visits) = &mut self.visits else { return Ok(false) };
        let mark = self.marks.try_next().await?;
        let is_last = mark.is_none();
        let completed = match mark {
            Some(mark) => visits.push(mark),
            None => visits.finish(),
        };
        let mut verdicts = visits.verdicts().take();
        verdicts.sort_by(|a, b| a.mark.cmp(&b.mark));
        for verdict in &verdicts {
            self.of_waiting.entry(verdict.visit).or_default().waiting += 1;
        }
        self.waiting.extend(verdicts);
        for visit in completed {
            self.of_waiting.entry(self.completed).or_default().visit = Some(visit);
            self.completed += 1;
        }
        if is_last {
            self.visits = None;
        }
        Ok(true)
    }
}

/// What was observed on a seat.
fn explained_seen(rules: &'static Rules, seat: &Seat, observed: &Observed) -> Vec<ExplainedSeen> {
    let of_seat = observed.rules.iter().filter(|(life, ..)| *life == seat.life);
    let explained = of_seat.map(|(_, seen, rule)| {
        let at = seen.at;
        let (says, role) = match seen.says {
            Says::In { login, role } => {
                let since = login.map_or_else(String::new, |login| format!(" since {login}"));
                let says = format!("asked at {at}, the provider said that the user is in{since}");
                (says, Some(rules.role_name(role)))
            }
            Says::Out => {
                (format!("asked at {at}, the provider said that the user is not in"), None)
            }
        };
        let is_shown = *rule == SeenRule::Begins;
        let assumed = observed.assumed.clone().filter(|_| is_shown);
        let stay = assumed.map(|visit| RoomStay::new(rules, seat, visit));
        ExplainedSeen { seen: *seen, says, role, rule: *rule, stay }
    });
    explained.collect()
}
