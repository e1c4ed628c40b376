//! What the table has seen: over how many partitions of the index the rows of which rooms were
//! spread, ever. It is one item, `rollcall#apps` and `room_shards`, that only grows. For each pattern
//! of rooms and each number of shards it has an attribute, whose value says since when.
//!
//! A row may be in any partition that was ever used, because a seat keeps its partition. So a reader
//! reads, of each room, the largest number whose pattern matches, and a writer uses the same number
//! five minutes after it was written down. In between, every reader has read the item again: what it
//! has read is good for a minute. Who does not know the item uses four shards, which are always read.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    StoreError,
    item::{self, Item},
    keys,
    table::{PK, SK, Table},
};
use crate::domain::{RoomId, RoomPattern, RoomShards, Shards, UnixMillis};

/// How long after a number of shards was written down it is used for new rows.
pub const SHARDS_USED_AFTER: Duration = Duration::from_mins(5);

/// For how long a reader uses the numbers that it has read.
pub const SHARDS_FRESH_FOR: Duration = Duration::from_mins(1);

const _: () = assert!(SHARDS_FRESH_FOR.as_secs() * 5 <= SHARDS_USED_AFTER.as_secs());

/// What the names of the attributes begin with: `shards_64_2a` is 64 shards of rooms that match `*`.
const PREFIX: &str = "shards_";

/// A number of shards that was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
struct WrittenDown {
    of: RoomShards,
    since: UnixMillis,
}

/// All numbers of shards that were written down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SeenShards(Vec<WrittenDown>);

impl SeenShards {
    /// Reads the item, if there is one.
    pub(super) fn read(item: &Item) -> Result<Self, StoreError> {
        let attributes = item.keys().filter(|name| *name != PK && *name != SK);
        let written = attributes.map(|name| {
            let of = read_name(name).ok_or(StoreError::Item("no number of shards of rooms"))?;
            let since = item::millis(item, name)?;
            Ok(WrittenDown { of, since: since.ok_or(StoreError::Item("a time is missing"))? })
        });
        written.collect::<Result<_, _>>().map(Self)
    }

    /// The shards of a room that may have rows.
    pub(super) fn to_read(&self, room: &RoomId) -> Shards {
        largest(self.0.iter().map(|written| &written.of), room)
    }

    /// The shards of a room that new rows are spread over.
    pub(super) fn to_write(&self, room: &RoomId, now: UnixMillis) -> Shards {
        let used = self.0.iter().filter(|written| written.since.after(SHARDS_USED_AFTER) <= now);
        largest(used.map(|written| &written.of), room)
    }

    /// The largest number that was written down for these rooms, whatever they are called there.
    pub(super) fn covering(&self, rooms: &RoomPattern) -> Option<&RoomShards> {
        let covering = self.0.iter().map(|written| &written.of).filter(|of| of.rooms.covers(rooms));
        covering.max_by_key(|of| of.shards)
    }

    /// The same with one more number.
    pub(super) fn with(mut self, of: RoomShards, since: UnixMillis) -> Self {
        self.0.push(WrittenDown { of, since });
        self
    }
}

fn largest<'a>(all: impl Iterator<Item = &'a RoomShards>, room: &RoomId) -> Shards {
    let matching = all.filter(|of| of.rooms.matches(room)).map(|of| of.shards);
    matching.max().unwrap_or(Shards::FEWEST)
}

/// The attribute of a number of shards of rooms. An expression takes no other characters than these.
pub(super) fn name(RoomShards { rooms, shards }: &RoomShards) -> String {
    format!("{PREFIX}{shards}_{}", hex::encode(rooms.as_str()))
}

fn read_name(name: &str) -> Option<RoomShards> {
    let (shards, rooms) = name.strip_prefix(PREFIX)?.split_once('_')?;
    let rooms = String::from_utf8(hex::decode(rooms).ok()?).ok()?;
    Some(RoomShards { rooms: rooms.parse().ok()?, shards: Shards::new(shards.parse().ok()?)? })
}

impl Table {
    /// What the table has seen, read consistently.
    pub(super) async fn seen_shards(&self) -> Result<SeenShards, StoreError> {
        let item = self.item(keys::APPS.to_owned(), keys::ROOM_SHARDS.to_owned()).await?;
        SeenShards::read(&item.unwrap_or_default())
    }
}

/// What a process knows of what the table has seen.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownShards(Arc<Mutex<Option<Known>>>);

#[derive(Debug)]
struct Known {
    /// When it was read, by both clocks: the caller's may stand still, and ours while a function
    /// sleeps.
    read_at: (UnixMillis, Instant),
    seen: Arc<SeenShards>,
}

impl KnownShards {
    pub(super) fn set(&self, seen: SeenShards, now: UnixMillis) -> Arc<SeenShards> {
        let seen = Arc::new(seen);
        let known = Known { read_at: (now, Instant::now()), seen: seen.clone() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
        seen
    }

    /// What was read, however long ago.
    pub(super) fn any(&self) -> Option<Arc<SeenShards>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().map(|known| known.seen.clone())
    }

    /// What was read less than a minute ago.
    pub(super) fn fresh(&self, now: UnixMillis) -> Option<Arc<SeenShards>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |known: &&Known| {
            let (at, instant) = known.read_at;
            (at..at.after(SHARDS_FRESH_FOR)).contains(&now) && instant.elapsed() < SHARDS_FRESH_FOR
        };
        known.as_ref().filter(is_fresh).map(|known| known.seen.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rooms: &str, shards: u8) -> RoomShards {
        RoomShards { rooms: rooms.parse().unwrap(), shards: Shards::new(shards).unwrap() }
    }

    #[test]
    fn readers_read_at_once_what_writers_use_five_minutes_later() {
        let seen = SeenShards::default()
            .with(of("big-*", 64), UnixMillis(1_000_000))
            .with(of("*", 8), UnixMillis(2_000_000))
            .with(of("big-*", 16), UnixMillis(0));
        let (big, small) = ("big-1".parse().unwrap(), "small".parse().unwrap());
        assert_eq!([&big, &small].map(|room| seen.to_read(room).number()), [64, 8]);
        let at = |now| [&big, &small].map(|room| seen.to_write(room, UnixMillis(now)).number());
        assert_eq!(at(299_999), [4, 4]);
        assert_eq!(at(300_000), [16, 4]);
        assert_eq!(at(1_299_999), [16, 4]);
        assert_eq!(at(1_300_000), [64, 4]);
        assert_eq!(at(2_300_000), [64, 8]);
    }

    #[test]
    fn what_is_written_down_is_read_again() {
        for shards in [of("*", 64), of("[!a]ä?_#%", 5), of(&"x".repeat(100), 4)] {
            // DynamoDB takes names of 255 bytes in an expression, and a value has a `:` before it.
            assert!(name(&shards).len() < 255);
            let item = Item::from([
                (PK.to_owned(), item::string("rollcall#apps")),
                (SK.to_owned(), item::string("room_shards")),
                (name(&shards), item::number(7)),
            ]);
            let seen = SeenShards::read(&item).unwrap();
            assert_eq!(seen, SeenShards::default().with(shards, UnixMillis(7)));
        }
        assert_eq!(SeenShards::read(&Item::new()).unwrap(), SeenShards::default());
    }

    /// A reader that cannot read what a newer version wrote must not leave out rows.
    #[test]
    fn what_cannot_be_read_is_an_error() {
        for name in ["shards_128_2a", "shards_8", "shards_8_2", "shards_8_5b", "other"] {
            let item = Item::from([(name.to_owned(), item::number(7))]);
            SeenShards::read(&item).unwrap_err();
        }
        SeenShards::read(&Item::from([("shards_8_2a".to_owned(), item::string("7"))])).unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_is_fresh_for_a_minute_by_both_clocks() {
        let known = KnownShards::default();
        assert_eq!(known.any(), None);
        known.set(SeenShards::default(), UnixMillis(1000));
        let is_fresh = |now| known.fresh(UnixMillis(now)).is_some();
        assert_eq!([999, 1000, 60_999, 61_000].map(is_fresh), [false, true, true, false]);
        tokio::time::advance(SHARDS_FRESH_FOR).await;
        assert!(!is_fresh(1000) && known.any().is_some());
    }
}
