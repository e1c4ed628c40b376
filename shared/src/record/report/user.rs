//! The report of a person: by day, and by room.

use std::collections::BTreeMap;

use super::{
    days::Timezone,
    person::{Window, is_assumed},
    span::{Span, total_ms, united},
};
use crate::{
    domain::{RoomId, UserId},
    record::{PersonSeats, Record, RecordError},
};

/// The report of a person while it is read: room by room.
#[expect(missing_debug_implementations, reason = "it holds a stream")]
pub struct PersonDays<'a> {
    seats: PersonSeats<'a>,
    window: Window,
    timezone: Timezone,
    is_known: bool,
    room: Option<OneRoom>,
}

/// One person's visits to one room on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayReport {
    /// The day, such as `2026-11-26`.
    pub day: String,
    /// How many visits lasted at any time of the day.
    pub visits: usize,
    /// For how long they were present, in milliseconds.
    pub present_ms: u64,
    /// Whether the beginning or the end of one of these visits was inferred.
    pub is_assumed: bool,
}

/// One person's visits to one room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomDays {
    /// Which room.
    pub room: RoomId,
    /// How many visits there were, each counted once.
    pub visits: usize,
    /// Each day on which one of them lasted, the oldest first.
    pub days: Vec<DayReport>,
}

/// The visits to one room while they are read.
struct OneRoom {
    room: RoomId,
    /// The part of each visit in the span, and whether it was inferred.
    visits: Vec<(Span, bool)>,
}

impl<'a> Record<'a> {
    /// The report of a person.
    #[must_use]
    pub fn days_of_person(
        self,
        user: &UserId,
        window: Window,
        timezone: Timezone,
    ) -> PersonDays<'a> {
        let seats = self.seats_of_person(user);
        PersonDays { seats, window, timezone, is_known: false, room: None }
    }
}

impl PersonDays<'_> {
    /// The next room that the person was in.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn next(&mut self) -> Result<Option<RoomDays>, RecordError> {
        while let Some(mut seat) = self.seats.next().await? {
            self.is_known = true;
            let mut next = OneRoom { room: seat.room().clone(), visits: Vec::new() };
            while let Some(visit) = seat.next().await? {
                if visit.place() > self.window.to {
                    continue;
                }
                let visit = seat.decide(visit).await?.visit;
                if self.window.holds(&visit) {
                    next.visits.push((self.window.part(&visit), is_assumed(&visit)));
                }
            }
            match &mut self.room {
                Some(room) if room.room == next.room => room.visits.append(&mut next.visits),
                room => {
                    if let Some(done) = room.replace(next) {
                        return Ok(Some(done.by_day(&self.timezone)));
                    }
                }
            }
        }
        Ok(self.room.take().map(|done| done.by_day(&self.timezone)))
    }

    /// Whether the person was seen in any room, whenever that was.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.is_known
    }
}

impl OneRoom {
    fn by_day(self, timezone: &Timezone) -> RoomDays {
        let mut days = BTreeMap::<String, DayReport>::new();
        let visits = self.visits.len();
        for (part, is_assumed) in &self.visits {
            for (day, _) in timezone.days(*part) {
                let report = days.entry(day.clone()).or_insert_with(|| DayReport {
                    day,
                    visits: 0,
                    present_ms: 0,
                    is_assumed: false,
                });
                report.visits += 1;
                report.is_assumed |= is_assumed;
            }
        }
        let spans = united(self.visits.into_iter().map(|(span, _)| span).collect());
        for (day, span) in spans.into_iter().flat_map(|span| timezone.days(span)) {
            if let Some(report) = days.get_mut(&day) {
                report.present_ms += total_ms(&[span]);
            }
        }
        RoomDays { room: self.room, visits, days: days.into_values().collect() }
    }
}
