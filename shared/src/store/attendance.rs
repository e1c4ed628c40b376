//! Reading every visit: all seats of a room or of a person, each with all of its marks.
//!
//! Everything is a stream, so that a room with a hundred thousand visits needs no more memory than
//! one with a hundred.

use std::{collections::BTreeSet, pin::Pin};

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use futures::{
    Stream, StreamExt, TryStreamExt,
    future::try_join_all,
    stream::{self, BoxStream},
};

use super::{
    Store, StoreError,
    item::{self, Item},
    keys::{self, SHARDS, Section},
    seat::{Seat, read_seat},
    table::{INDEX_PK, INDEX_SK, PK},
};
use crate::domain::{App, Mark, RoomId, UnixMillis, UserId};

/// A seat of a room, and where it stands among the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomSeat {
    /// Whose seat.
    pub user: UserId,
    /// The seat.
    pub seat: Seat,
    /// Its place in the order of the room's seats. It stays when the person leaves, and moves
    /// towards the end when they come again.
    pub place: String,
}

/// Where among the seats of a room to begin.
#[derive(Debug, Clone, Copy)]
pub enum SeatsFrom<'a> {
    /// At those whose newest session began at a time.
    Time(UnixMillis),
    /// At a [`RoomSeat::place`].
    Place(&'a str),
}

impl Store {
    /// The seats of a room, whether their people are in or have left, by the time when each one's
    /// newest session began, oldest first.
    ///
    /// A seat that moves while the stream is read moves towards its end, so it may come twice, but
    /// is never missed.
    pub fn seats_of_room<'a>(
        &'a self,
        app: &App,
        room: &RoomId,
        from: SeatsFrom<'_>,
        page_size: usize,
        now: UnixMillis,
    ) -> impl Stream<Item = Result<RoomSeat, StoreError>> + Send + 'a {
        // A person who leaves meanwhile may still be found among those who are in; who has left is
        // the newer one of the two.
        let sections = (0..SHARDS).flat_map(|shard| [(shard, Section::Left), (shard, Section::In)]);
        let place = match from {
            SeatsFrom::Time(time) => keys::time(time),
            SeatsFrom::Place(place) => place.to_owned(),
        };
        let rows = sections.map(|(shard, section)| {
            let from = format!("{}{place}", section.prefix());
            let to = keys::rows_end(section);
            if to <= from {
                return stream::empty().boxed();
            }
            let query = self
                .query_index(keys::shard(app, room, shard))
                .scan_index_forward(true)
                .key_condition_expression(format!(
                    "{INDEX_PK} = :pk AND {INDEX_SK} BETWEEN :from AND :to"
                ))
                .expression_attribute_values(":from", item::string(from))
                .expression_attribute_values(":to", item::string(to));
            items(query, Some(page_size), now).and_then(async |item| read_room_seat(&item)).boxed()
        });
        let mut last = None;
        merge(rows.collect(), |seat: &RoomSeat| seat.place.clone()).try_filter(move |seat| {
            let is_new = last.as_ref() != Some(&seat.place);
            last = Some(seat.place.clone());
            std::future::ready(is_new)
        })
    }

    /// All seats of a person, read consistently.
    pub fn seats_of_user<'a>(
        &'a self,
        app: &App,
        user: &UserId,
        now: UnixMillis,
    ) -> impl Stream<Item = Result<Seat, StoreError>> + Send + 'a {
        let query = self.query_user(app, user, keys::SEAT);
        items(query, None, now).and_then(async |item| read_seat(&item))
    }

    /// All marks of a seat in their order, those that were moved to other items among them.
    pub fn marks<'a>(
        &'a self,
        app: &App,
        user: &UserId,
        seat: &Seat,
        now: UnixMillis,
    ) -> impl Stream<Item = Result<Mark, StoreError>> + Send + 'a {
        let moved = if seat.has_moved {
            let prefix = keys::moved_of(&seat.room, seat.life.as_ref());
            let query = self.query_user(app, user, &prefix);
            items(query, None, now).and_then(async |item| item::marks(&item)).boxed()
        } else {
            stream::empty().boxed()
        };
        let waiting = seat.marks.iter().cloned().collect();
        stream::try_unfold(Marks { waiting, read: None, moved }, Marks::next)
    }
}

/// The marks of a seat on their way: the items that they come from are sorted by the oldest mark
/// in each, so whatever is older than the next item's oldest one can go.
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

/// What a query finds, page by page, but for items whose time has come.
pub(super) fn items(
    query: QueryFluentBuilder,
    page_size: Option<usize>,
    now: UnixMillis,
) -> impl Stream<Item = Result<Item, StoreError>> + Send {
    let mut pages = query.into_paginator();
    if let Some(size) = page_size {
        pages = pages.page_size(i32::try_from(size).unwrap_or(i32::MAX));
    }
    let pages = stream::try_unfold(pages.send(), async |mut pages| {
        let page = pages.try_next().await?;
        Ok::<_, StoreError>(page.map(|page| (page.items.unwrap_or_default(), pages)))
    });
    pages
        .map_ok(|items| stream::iter(items.into_iter().map(Ok)))
        .try_flatten()
        .try_filter(move |item| std::future::ready(!item::is_expired(item, now)))
}

type Streams<'a, T> = Vec<Pin<Box<dyn Stream<Item = Result<T, StoreError>> + Send + 'a>>>;

/// Merges streams that are sorted by `key` into one that is. Of equal ones those of an earlier stream come
/// first.
fn merge<'a, T: Send + 'a, K: Ord + 'a>(
    streams: Streams<'a, T>,
    key: impl Fn(&T) -> K + Clone + Send + 'a,
) -> impl Stream<Item = Result<T, StoreError>> + Send + 'a {
    // All of them at once for the first time.
    let heads = stream::once(async move {
        let mut streams = streams;
        let heads = try_join_all(streams.iter_mut().map(TryStreamExt::try_next)).await?;
        Ok::<_, StoreError>((streams, heads))
    });
    heads
        .map_ok(move |state| {
            let key = key.clone();
            stream::try_unfold(state, move |(mut streams, mut heads)| {
                let heads_by_key = heads.iter().enumerate();
                let first = heads_by_key
                    .filter_map(|(number, head)| Some((key(head.as_ref()?), number)))
                    .min()
                    .map(|(_, number)| number);
                async move {
                    let Some(number) = first else { return Ok(None) };
                    let next = streams[number].try_next().await?;
                    let head = std::mem::replace(&mut heads[number], next);
                    Ok(head.map(|head| (head, (streams, heads))))
                }
            })
        })
        .try_flatten()
}

fn read_room_seat(item: &Item) -> Result<RoomSeat, StoreError> {
    Ok(RoomSeat {
        user: keys::parse_user(item::text(item, PK)?)?,
        seat: read_seat(item)?,
        place: keys::place(item::text(item, INDEX_SK)?).to_owned(),
    })
}
