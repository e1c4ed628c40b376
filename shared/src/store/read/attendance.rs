//! Reading every visit: all seats of a room or of a person, each with all of its marks.
//!
//! All results are streams, so a room with a hundred thousand visits needs no more memory than one
//! with a hundred.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use super::{
    super::{
        StoreError,
        erasures::is_leave_of_nameless,
        item,
        keys::{self, Section},
        table::{PK, SK},
    },
    Reader,
    roster::Member,
    rows::{Direction, Merged, Row, items, rows_per_shard},
    seat::Seat,
};
use crate::domain::{App, Mark, RoomId, Tracks, UnixMillis, UserId};

/// A seat of a room, and its place among the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomSeat {
    /// The user and the seat.
    pub member: Member,
    /// Their seat by the other track, if both count and they have one.
    pub other: Option<Seat>,
    /// Its place in the order of the room's seats. It stays when the person leaves, and moves
    /// towards the end when they come again.
    pub place: String,
}

/// Where to begin among the seats of a room.
#[derive(Debug, Clone, Copy)]
pub enum SeatsFrom<'a> {
    /// At the seats whose newest session began at this time.
    Time(UnixMillis),
    /// At a [`RoomSeat::place`].
    Place(&'a str),
}

impl Reader {
    /// The seats of a room, whether their people are in or have left, by the time when each one's
    /// newest session began, oldest first. About `at_first` of them are read with the first
    /// requests, and then more and more.
    ///
    /// A seat that moves while the stream is read moves towards its end, so it may come twice, but
    /// is never missed. Of a person's seats by two tracks, the one comes that is nearer to the
    /// beginning, with the other one.
    #[must_use]
    pub fn seats_of_room<'a>(
        &'a self,
        app: &App,
        room: &RoomId,
        from: SeatsFrom<'_>,
        at_first: usize,
        now: UnixMillis,
    ) -> BoxStream<'a, Result<RoomSeat, StoreError>> {
        let place = match from {
            SeatsFrom::Time(time) => keys::time(time),
            SeatsFrom::Place(place) => place.to_owned(),
        };
        // A person who leaves meanwhile may be found in both sections. The row in `left` is then
        // the newer one.
        let (of_app, of_room) = (app.clone(), room.clone());
        let merged = async move {
            let shards = self.shards_of(&of_room, now).await?;
            let page_size = rows_per_shard(at_first, shards.number());
            let sections =
                shards.each().flat_map(|shard| [(shard, Section::Left), (shard, Section::In)]);
            let partitions = sections.map(|(shard, section)| {
                let range = (format!("{}{place}", section.prefix()), keys::rows_end(section));
                let partition = keys::shard(&of_app, &of_room, shard);
                let rows = self.rows(partition, range, Direction::OldestFirst, page_size, now);
                rows.map_ok(|(row, item)| (keys::place(&row).to_owned(), item)).boxed()
            });
            Merged::new(partitions.collect(), Direction::OldestFirst).await
        };
        let seats = stream::once(merged).map_ok(|merged| {
            stream::try_unfold(merged, async |mut merged| {
                Ok::<_, StoreError>(merged.next().await?.map(|row| (row, merged)))
            })
        });
        let (app, of_app) = (app.clone(), app.clone());
        let seats = seats.try_flatten().try_filter_map(move |(place, item): Row| {
            let member = self.read_member(&app, &item);
            let seat = |member: Member| RoomSeat { member, other: None, place };
            std::future::ready(member.map(|member| member.map(seat)))
        });
        let mut last = None;
        let is_new = move |seat: &RoomSeat| {
            let is_new = last.as_ref() != Some(&seat.place);
            last = Some(seat.place.clone());
            std::future::ready(is_new)
        };
        let seats = seats.try_filter(is_new).boxed();
        match self.tracks(&of_app) {
            Tracks::Only(_) => seats,
            Tracks::Both => {
                let first = match from {
                    SeatsFrom::Time(time) => Some(keys::time(time)),
                    SeatsFrom::Place(_) => None,
                };
                self.in_pairs(&of_app, room, seats, (first, at_first), now)
            }
        }
    }

    /// All seats of a person by the tracks that count, read consistently.
    #[must_use]
    pub fn seats_of_user<'a>(
        &'a self,
        app: &App,
        user: &UserId,
        now: UnixMillis,
    ) -> BoxStream<'a, Result<Seat, StoreError>> {
        let tracks = self.tracks(app);
        let seats = self.every_seat_of_user(app, user, now);
        seats.try_filter(move |seat| std::future::ready(tracks.has(seat.track))).boxed()
    }

    /// All seats of a person by any track, read consistently.
    #[must_use]
    pub fn every_seat_of_user<'a>(
        &'a self,
        app: &App,
        user: &UserId,
        now: UnixMillis,
    ) -> BoxStream<'a, Result<Seat, StoreError>> {
        let query = self.query_user(app, user, keys::SEAT);
        self.read_seats(query, app, user, now)
    }

    /// The seats of a person from a room on by any track, in the order of their keys, read
    /// consistently.
    #[must_use]
    pub fn seats_of_user_from<'a>(
        &'a self,
        app: &App,
        user: &UserId,
        room: &RoomId,
        now: UnixMillis,
    ) -> BoxStream<'a, Result<Seat, StoreError>> {
        let query = self
            .query_user(app, user, keys::SEAT)
            .key_condition_expression(format!("{PK} = :pk AND {SK} BETWEEN :from AND :to"))
            .set_expression_attribute_values(Some(HashMap::from([
                (":pk".to_owned(), item::string(keys::user(app, user))),
                (":from".to_owned(), item::string(keys::seats_of(room))),
                (":to".to_owned(), item::string(keys::SEATS_END)),
            ])));
        self.read_seats(query, app, user, now)
    }

    /// The seats of a person in one room by any track, read consistently.
    #[must_use]
    pub fn seats_of_user_in<'a>(
        &'a self,
        app: &App,
        user: &UserId,
        room: &RoomId,
        now: UnixMillis,
    ) -> BoxStream<'a, Result<Seat, StoreError>> {
        let query = self.query_user(app, user, &keys::seats_of(room));
        self.read_seats(query, app, user, now)
    }

    /// The seats of a person that a query finds.
    fn read_seats<'a>(
        &'a self,
        query: QueryFluentBuilder,
        app: &App,
        user: &UserId,
        now: UnixMillis,
    ) -> BoxStream<'a, Result<Seat, StoreError>> {
        let (app, user) = (app.clone(), user.clone());
        let seat = move |item| std::future::ready(self.read_seat(&app, &user, &item));
        items(query, None, now).try_filter_map(seat).boxed()
    }

    /// All marks of a seat in their order, including those that were moved to other items.
    pub fn marks<'a>(
        &'a self,
        app: &App,
        user: &UserId,
        seat: &Seat,
        now: UnixMillis,
    ) -> BoxStream<'a, Result<Mark, StoreError>> {
        let moved = if seat.moved_to.is_some() {
            let prefix = keys::moved_of(&seat.room, seat.life.as_ref(), seat.track);
            let query = self.query_user(app, user, &prefix);
            items(query, None, now).and_then(async |item| item::marks(&item)).boxed()
        } else {
            stream::empty().boxed()
        };
        let waiting = seat.marks.iter().cloned().collect();
        let marks = stream::try_unfold(Marks { waiting, read: None, moved }, Marks::next);
        let Some(erased) = self.erased.of(app, user) else { return marks.boxed() };
        // A leave that does not name its session may end one from before the erasure.
        let is_erased = move |mark: &Mark| erased.covers_mark(mark) || is_leave_of_nameless(mark);
        marks.try_skip_while(move |mark| std::future::ready(Ok(is_erased(mark)))).boxed()
    }
}

/// The marks of a seat while they are read. The items that they come from are sorted by the oldest
/// mark in each. So every mark that is older than the next item's oldest one can be returned.
struct Marks<'a> {
    waiting: BTreeSet<Mark>,
    /// The marks of the next item.
    read: Option<BTreeSet<Mark>>,
    moved: BoxStream<'a, Result<Vec<Mark>, StoreError>>,
}

impl Marks<'_> {
    async fn next(mut self) -> Result<Option<(Mark, Self)>, StoreError> {
        loop {
            if self.read.is_none() {
                let read = self.moved.try_next().await?;
                self.read = read.map(|marks| marks.into_iter().collect());
            }
            let oldest_read = self.read.as_ref().and_then(BTreeSet::first);
            let oldest = self.waiting.first();
            if oldest_read.is_some() && (oldest.is_none() || oldest >= oldest_read) {
                self.waiting.extend(self.read.take().into_iter().flatten());
                continue;
            }
            return Ok(self.waiting.pop_first().map(|mark| (mark, self)));
        }
    }
}
