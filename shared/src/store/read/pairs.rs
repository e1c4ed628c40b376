//! The seats of people whom two tracks report in one room: each person comes once, with both.
//!
//! Both seats of a person lie in the same partitions of the index, often close to each other. So
//! what is read anyway mostly has both of them, and only the other seat of the others is asked for.

use std::collections::{HashMap, HashSet};

use futures::{
    StreamExt, TryStreamExt,
    future::try_join_all,
    stream::{self, BoxStream},
};

use super::{
    super::{
        StoreError, item, keys,
        table::{PK, SK},
    },
    Reader,
    attendance::RoomSeat,
    roster::{Member, RosterPage, RosterRow},
    rows::rows_per_shard,
    seat::{SEATS_PER_REQUEST, Seat},
};
use crate::domain::{App, RoomId, Shards, Track, UnixMillis, UserId};

/// The most seats that are looked at together.
const MOST_TOGETHER: usize = 1000;

/// The seats of people by their other track: of each of some seats, the other one of its person.
pub(super) type Others = HashMap<(UserId, Track), Seat>;

/// A seat and its person.
type Held<'s> = (&'s UserId, &'s Seat);

impl Reader {
    /// The other seat of each of these people, if they have one. Those that are given are not read.
    pub(super) async fn others(
        &self,
        app: &App,
        room: &RoomId,
        seats: impl Iterator<Item = Held<'_>> + Clone,
        now: UnixMillis,
    ) -> Result<Others, StoreError> {
        // By the track whose seat it is the other one of.
        let mut others: Others = seats
            .clone()
            .map(|(user, seat)| ((user.clone(), seat.track.other()), seat.clone()))
            .collect();
        let missing =
            seats.filter(|(user, seat)| !others.contains_key(&((*user).clone(), seat.track)));
        let keys: Vec<_> = missing
            .map(|(user, seat)| {
                let partition = item::string(keys::user(app, user));
                let other = item::string(keys::seat(room, None, seat.track.other()));
                HashMap::from([(PK.to_owned(), partition), (SK.to_owned(), other)])
            })
            .collect();
        let reads = keys.chunks(SEATS_PER_REQUEST).map(|keys| self.by_keys(keys.to_vec()));
        for found in try_join_all(reads).await?.into_iter().flatten() {
            if item::is_expired(&found, now) {
                continue;
            }
            let user = keys::parse_user(item::text(&found, PK)?)?;
            if let Some(seat) = self.read_seat(app, &user, &found)? {
                others.insert((user, seat.track.other()), seat);
            }
        }
        Ok(others)
    }

    /// Of these rows of people who are in, each person's newest one, with their other seat. Who is on
    /// an earlier page by the other seat is left out. `seen` are those whose rows came before.
    pub(super) async fn once_each(
        &self,
        app: &App,
        room: &RoomId,
        page: &RosterPage<'_>,
        rows: Vec<RosterRow>,
        seen: &mut HashSet<UserId>,
        now: UnixMillis,
    ) -> Result<Vec<RosterRow>, StoreError> {
        let held = rows.iter().map(|row| (&row.member.user, &row.member.seat));
        let mut others = self.others(app, room, held, now).await?;
        let mut once = Vec::with_capacity(rows.len());
        for row in rows {
            let user = &row.member.user;
            let other = others.remove(&(user.clone(), row.member.seat.track));
            if !seen.insert(user.clone()) {
                continue;
            }
            if let (Some(after), Some(other)) = (page.after.map(keys::place), &other) {
                let is_before = other.place(user).is_some_and(|place| *place >= *after);
                let other = Member { user: user.clone(), seat: other.clone() };
                if is_before
                    && (page.is_in)(&self.with_deciding_marks(app, other, now).await?, None)
                {
                    continue;
                }
            }
            once.push(RosterRow { other, ..row });
        }
        Ok(once)
    }

    /// The seats of a room, of which each person's comes once: the one that is nearer to the
    /// beginning, with the other one. Those before `first` are not read; without it, they were read
    /// before. About `at_first` seats and some more are looked at together.
    pub(super) fn in_pairs<'a>(
        &'a self,
        app: &App,
        room: &RoomId,
        seats: BoxStream<'a, Result<RoomSeat, StoreError>>,
        (first, at_first): (Option<String>, usize),
        now: UnixMillis,
    ) -> BoxStream<'a, Result<RoomSeat, StoreError>> {
        let (app, room) = (app.clone(), room.clone());
        let shards = Shards::FEWEST.number();
        let together = (rows_per_shard(at_first, shards) * usize::from(shards)).min(MOST_TOGETHER);
        seats
            .try_chunks(together)
            .map_err(|error| error.1)
            .and_then(move |seats| {
                let (app, room, first) = (app.clone(), room.clone(), first.clone());
                async move {
                    let held = seats.iter().map(|seat| (&seat.member.user, &seat.member.seat));
                    let mut others = self.others(&app, &room, held, now).await?;
                    let once = seats.into_iter().filter_map(move |seat| {
                        let Member { user, seat: own } = &seat.member;
                        let other = others.remove(&(user.clone(), own.track));
                        // Otherwise the other one has come.
                        let is_first =
                            other.as_ref().and_then(|other| other.place(user)).is_none_or(
                                |place| place > seat.place || Some(&place) < first.as_ref(),
                            );
                        is_first.then_some(RoomSeat { other, ..seat })
                    });
                    Ok(stream::iter(once.map(Ok).collect::<Vec<_>>()))
                }
            })
            .try_flatten()
            .boxed()
    }
}
