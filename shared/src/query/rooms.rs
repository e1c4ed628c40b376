//! Which rooms are live.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Parameters, QueryError, answer::List, cursor, rows::Rows};
use crate::{
    domain::{AppId, Count, Counted, LifeId, ProviderName, RoomId, Sample, UnixMillis},
    record::{self, Record},
};

/// How far the people in a room are counted, unless all are to be.
pub(super) const MAX_COUNTED: usize = 5000;

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 100;

/// How many rooms of the list a page goes through to find those whose ids begin with `prefix`, and
/// the most that are listed without their records.
const MAX_LISTED: usize = 1000;

/// How many rooms are read at the same time.
const CONCURRENT_ROOMS: usize = 5;

/// How long a page goes on to the next room.
const TIME_LIMIT: Duration = Duration::from_secs(4);

/// A page of the rooms in which somebody is.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct LiveRooms {
    /// The provider that sent the callbacks.
    provider: ProviderName,
    /// The app of the provider.
    app: AppId,
    /// The time for which the answer is true, by the clock of the function that answers.
    as_of: UnixMillis,
    /// How many rooms and people the app has, as the newest sample says. Null before the first one.
    totals: Option<Totals>,
    /// Those with the earliest activity first, by the hour. A page may have fewer rooms than asked
    /// for, or none, and still have `next`.
    #[cfg_attr(test, schemars(length(max = MAX_LISTED)))]
    rooms: Vec<LiveRoom>,
    /// The parameter `next` of the next page. Null on the last page.
    next: Option<String>,
}

/// How many rooms and people an app has.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Totals {
    /// When the newest of these numbers was read.
    as_of: UnixMillis,
    /// In how many rooms somebody was.
    rooms: u64,
    /// How many people were in rooms. Who was in two rooms counts twice.
    online: u64,
    /// Whether there may have been more, as in a sample.
    at_least: bool,
    /// How old the oldest of these numbers is, in milliseconds.
    oldest_age_ms: u64,
}

impl Totals {
    fn of(sample: &Sample, now: UnixMillis) -> Self {
        Self {
            as_of: sample.at.after(sample.took),
            rooms: sample.rooms,
            online: sample.online,
            at_least: sample.counted == Counted::AtLeast,
            oldest_age_ms: now.0.saturating_sub(sample.at.0),
        }
    }
}

/// A room, as its record says at the time of the answer. With `count=false`, as it is listed: all but
/// `room` and `last_activity_at` is null.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct LiveRoom {
    /// The room.
    room: RoomId,
    /// The newest life of the room. Null in Tencent's rooms and ZIM's, which have no lives.
    life: Option<LifeId>,
    /// Whether the room is open. False after a close. After a dismissal in ZIM, or by each of
    /// Tencent's products that reported the room, false until someone is in again.
    open: Option<bool>,
    /// When the room was created. Null if no callback says so, or if it was dismissed since.
    opened_at: Option<UnixMillis>,
    /// How many people are in it. Null if there are very many.
    online: Option<usize>,
    /// How many are in it at least. Null if `online` says how many.
    online_at_least: Option<usize>,
    /// When something last happened in the room, earlier by five minutes at most.
    last_activity_at: UnixMillis,
    /// When the provider last confirmed who is in, by Rollcall's clock. Null if it was never asked
    /// about this life of the room.
    checked_at: Option<UnixMillis>,
    /// The smallest number of lost callbacks that explains what arrived in this life of the room.
    /// Null if the provider does not number them, or if more than 5000 people have been in.
    missing: Option<u64>,
}

impl List for LiveRooms {
    type Row = LiveRoom;

    fn rows(&self) -> &[LiveRoom] {
        &self.rooms
    }

    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

/// Where a page ended.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    #[serde(deserialize_with = "cursor::row")]
    after: String,
}

/// Which rooms are asked for.
struct Wanted<'a> {
    of_each: OfEach,
    limit: usize,
    min_people: usize,
    prefix: &'a str,
}

/// What is said of each room.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OfEach {
    /// What its record says.
    Record,
    /// When something last happened: no room is read.
    Activity,
}

impl<'a> Wanted<'a> {
    fn read(parameters: &'a Parameters) -> Result<Self, QueryError> {
        let (of_each, max) = match parameters.get("count")? {
            None => (OfEach::Record, MAX_LIMIT),
            Some("false") => (OfEach::Activity, MAX_LISTED),
            Some(_) => return Err(QueryError::BadParameter("count", "is not false".to_owned())),
        };
        if of_each == OfEach::Activity && parameters.get("min_people")?.is_some() {
            let why = "needs a count: leave out `count=false`".to_owned();
            return Err(QueryError::BadParameter("min_people", why));
        }
        Ok(Self {
            of_each,
            limit: parameters.number("limit", 1..=max, DEFAULT_LIMIT)?,
            // Nobody counts further.
            min_people: parameters.number("min_people", 0..=MAX_COUNTED, 1)?,
            prefix: parameters.get("prefix")?.unwrap_or_default(),
        })
    }
}

pub(super) async fn live(
    record: Record<'_>,
    parameters: &Parameters,
) -> Result<LiveRooms, QueryError> {
    let Wanted { of_each, limit, min_people, prefix } = Wanted::read(parameters)?;
    let place = parameters.get("next")?.map(cursor::read::<Place>).transpose()?;
    let after = place.as_ref().map(|place| place.after.as_str());
    let started = Instant::now();
    let newest = record.newest_sample().await?;

    let mut listed = record.live_rooms(after, if prefix.is_empty() { limit } else { MAX_LISTED });
    let (mut found, mut seen, mut last, mut next) = (Vec::new(), 0, None, None);
    while let Some(live) = listed.try_next().await? {
        if found.len() == limit || seen == MAX_LISTED {
            next = last;
            break;
        }
        seen += 1;
        last = Some(live.place.clone());
        if live.room.as_str().starts_with(prefix) {
            found.push(live);
        }
    }

    let mut read = stream::iter(found)
        .map(async |live| {
            let place = live.place.clone();
            let room = match of_each {
                OfEach::Record => {
                    let room = room(record, live).await?;
                    room.filter(|room| room.people() >= min_people)
                }
                OfEach::Activity => Some(LiveRoom::listed(live)),
            };
            Ok::<_, QueryError>((place, room))
        })
        .buffered(CONCURRENT_ROOMS);
    let (mut rooms, mut last) = (Rows::new(limit), None);
    while let Some((place, room)) = read.try_next().await? {
        let is_over = last.is_some() && started.elapsed() > TIME_LIMIT;
        if is_over || room.is_some_and(|room| rooms.add(room).is_break()) {
            next = last;
            break;
        }
        last = Some(place);
    }
    Ok(LiveRooms {
        provider: record.app().provider,
        app: record.app().id.clone(),
        as_of: record.now(),
        totals: newest.as_ref().map(|sample| Totals::of(sample, record.now())),
        rooms: rooms.into_vec(),
        next: next.and_then(|after| cursor::write(&Place { after })),
    })
}

/// A listed room by its record; `None` if nothing is known of it any more.
async fn room(record: Record<'_>, live: record::LiveRoom) -> Result<Option<LiveRoom>, QueryError> {
    let mut rows = record.newest_rows(&live.room, 0).await?;
    let Some(room) = record.room_of(&live.room, &mut rows).await? else { return Ok(None) };
    let count = record.count(&room, rows, MAX_COUNTED).await?;
    let missing = match count {
        Count::Exactly(_) => record.lost_changes(&room, MAX_COUNTED).await?,
        Count::AtLeast(_) | Count::Unknown => None,
    };
    let (online, online_at_least) = online(count);
    Ok(Some(LiveRoom {
        life: room.life().filter(|_| !room.is_closed() || !is_somebody_in(count)).cloned(),
        checked_at: record.checked_at(&room).await?,
        open: Some(!room.is_closed() || is_somebody_in(count)),
        opened_at: room.opened_at(),
        online,
        online_at_least,
        last_activity_at: live.last_at,
        missing: missing.map(|changes| changes.missing),
        room: live.room,
    }))
}

impl LiveRoom {
    /// A room of which only the list is read.
    fn listed(live: record::LiveRoom) -> Self {
        Self {
            room: live.room,
            life: None,
            open: None,
            opened_at: None,
            online: None,
            online_at_least: None,
            last_activity_at: live.last_at,
            checked_at: None,
            missing: None,
        }
    }

    /// How many people are in it, as far as they were counted.
    fn people(&self) -> usize {
        self.online.or(self.online_at_least).unwrap_or_default()
    }
}

/// The fields `online` and `online_at_least` of a room.
pub(super) fn online(count: Count) -> (Option<usize>, Option<usize>) {
    match count {
        Count::Exactly(online) => (Some(online), None),
        Count::AtLeast(online) => (None, Some(online)),
        Count::Unknown => (None, None),
    }
}

fn is_somebody_in(count: Count) -> bool {
    matches!(count, Count::Exactly(online) | Count::AtLeast(online) if online > 0)
}

#[cfg(any(test, fuzzing))]
pub(super) fn fuzz_cursor(data: &[u8]) {
    cursor::fuzz::<Place>(data);
}
