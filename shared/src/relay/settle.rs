//! Which rooms have to be checked when nothing more has changed for a while.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{StreamExt, stream};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::pause::{FIRST_PAUSE, LONGEST_PAUSE};
use crate::{
    domain::{Kind, Says, UnixMillis},
    providers,
    settle::Checks,
    store::{Fact, NewFact, RoomLife, StoreError, StreamRecord},
};

/// How many rooms are asked for at the same time.
const CONCURRENT_ROOMS: usize = 8;

/// How far the clocks of two servers may differ.
const CLOCKS_DIFFER: Duration = Duration::from_secs(10);

/// The rooms that a record's facts may have ended or emptied, or that may have been settled without
/// them.
///
/// # Errors
///
/// [`StoreError::Item`] if the record's item is not one that Rollcall writes.
pub fn rooms_to_check(
    record: &StreamRecord,
    grace: Duration,
    now: UnixMillis,
) -> Result<BTreeSet<RoomLife>, StoreError> {
    Ok(record.facts()?.into_iter().filter_map(|new| room_to_check(new, grace, now)).collect())
}

fn room_to_check(new: NewFact, grace: Duration, now: UnixMillis) -> Option<RoomLife> {
    let NewFact { app, at, fact, .. } = new;
    let is_fresh = at.after(grace.saturating_sub(CLOCKS_DIFFER)) > now;
    let (room, life) = match fact {
        Fact::Seat { room, life, mark, .. } => {
            // A person who came just now ends nothing. If their life has ended since, its check is
            // still to come, because it waits for the grace after the end. But somebody who goes on
            // in a role that is no person's may have been the last one.
            let is_person = providers::rules(app.provider).is_person(mark.role);
            if mark.kind != Kind::Leave && is_person && is_fresh {
                return None;
            }
            (room, life)
        }
        // Of a large room, an answer is stored long after it was asked for.
        Fact::Seen { room, life, seen, .. } => {
            if seen.says != Says::Out && is_fresh {
                return None;
            }
            (room, life)
        }
        // The beginning of a life may be the end of the one before it.
        Fact::Opened { room, life, .. } | Fact::Closed { room, life, .. } => (room, life),
        _ => return None,
    };
    Some(RoomLife { app, room, life })
}

/// A room in a batch: what it is asked for by, and the places of the records about it.
struct Asked {
    of: RoomLife,
    by: String,
    records: Vec<usize>,
}

/// Asks for a check of each room in a batch of records, each with its place, again and again until `deadline`. Returns the places
/// of the records whose rooms may not be checked.
pub(super) async fn ask_for_all<'a>(
    checks: &Checks,
    records: impl Iterator<Item = (usize, &'a StreamRecord)>,
    now: UnixMillis,
    deadline: Instant,
) -> BTreeSet<usize> {
    let started = Instant::now();
    let mut left = rooms_of(records, checks.grace, now);
    let mut pause = FIRST_PAUSE;
    loop {
        let asks = left.into_iter().map(async |asked| {
            let now = now.after(started.elapsed());
            let ask = Box::pin(checks.ask(&asked.of, &asked.by, now, deadline));
            match timeout_at(deadline, ask).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "a room may not be checked");
                    Some(asked)
                }
                Err(_) => Some(asked),
            }
        });
        let asks: Vec<_> = asks.collect();
        let asked: Vec<_> = stream::iter(asks).buffered(CONCURRENT_ROOMS).collect().await;
        left = asked.into_iter().flatten().collect();
        let next = Instant::now() + pause;
        if left.is_empty() || next >= deadline {
            return left.into_iter().flat_map(|asked| asked.records).collect();
        }
        sleep_until(next).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The rooms of a batch, each once. The first record about a room is what it is asked for by: it
/// comes again if it is not known that the room will be checked.
fn rooms_of<'a>(
    records: impl Iterator<Item = (usize, &'a StreamRecord)>,
    grace: Duration,
    now: UnixMillis,
) -> Vec<Asked> {
    let mut rooms = BTreeMap::<RoomLife, (String, Vec<usize>)>::new();
    for (place, record) in records {
        // Of a record that cannot be read there is another word.
        for of in rooms_to_check(record, grace, now).unwrap_or_default() {
            let (_, places) =
                rooms.entry(of).or_insert_with(|| (record.id().to_owned(), Vec::new()));
            places.push(place);
        }
    }
    let asked = |(of, (by, records))| Asked { of, by, records };
    rooms.into_iter().map(asked).collect()
}
