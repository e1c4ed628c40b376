//! Reading the lives of a room.

use std::{
    collections::{BTreeSet, HashMap},
    pin::pin,
    time::Duration,
};

use futures::{StreamExt, TryStreamExt};

use super::{
    super::{
        StoreError,
        item::{self, CHECKED_AT, CLOSED_AT, CREATED_AT, Item, NEWEST, SEEN_AT},
        keys::{self, Section},
        table::{INDEX_PK, INDEX_SK, PK, SK},
    },
    NewestRows, Reader,
    rows::{Direction, Front, items, read_all},
    seat::SEATS_PER_REQUEST as ITEMS_PER_REQUEST,
};
use crate::domain::{App, Boundary, Life, LifeId, RoomId, UnixMillis};

/// How many of a room's newest life items are read: enough to skip expired ones.
const NEWEST_LIVES: i32 = 4;

/// The newest life of a room, and what the requests that find it also find.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewestLives {
    /// It; `None` if no life is known.
    pub newest: Option<Life>,
    /// When the newest lives were created and closed, as far as that is known, in no order.
    pub boundaries: Vec<Boundary>,
    /// Whether a row of somebody whom only observations show is among the newest.
    pub is_anyone_seen: bool,
    /// When the newest session began of somebody who may be in.
    pub newest_in: Option<UnixMillis>,
}

/// The newest rows of a room's index.
#[derive(Default)]
struct NewestSeats {
    of_lives: Vec<(Option<LifeId>, UnixMillis)>,
    is_anyone_seen: bool,
    newest_in: Option<UnixMillis>,
}

/// The lives that may be the newest one, with the logins that are known.
fn candidates(known: &[Life], seats: &NewestSeats, logins: &[(LifeId, UnixMillis)]) -> Vec<Life> {
    let of_seats = seats.of_lives.iter().filter_map(|(life, login)| Some((life.as_ref()?, login)));
    let mut candidates: Vec<Life> =
        known.iter().map(|life| Life::unknown(life.id.clone())).collect();
    for (id, at) in of_seats.chain(logins.iter().map(|(life, login)| (life, login))) {
        if !candidates.iter().any(|life| life.id == *id) {
            candidates.push(Life::unknown(id.clone()));
        }
        for life in candidates.iter_mut().filter(|life| life.id == *id) {
            life.saw_login(*at);
        }
    }
    candidates
}

fn unread(candidates: &[Life], read: &HashMap<LifeId, Life>) -> Vec<LifeId> {
    let ids = candidates.iter().map(|life| &life.id);
    ids.filter(|id| !read.contains_key(id)).cloned().collect()
}

fn read_life(item: &Item) -> Result<Life, StoreError> {
    Ok(Life {
        created: item::millis(item, CREATED_AT)?,
        closed: item::millis(item, CLOSED_AT)?,
        ..Life::unknown(keys::parse_life(item::text(item, SK)?)?)
    })
}

impl Reader {
    /// What is known of one life of a room, read consistently.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or the item cannot be read.
    pub async fn life(
        &self,
        app: &App,
        room: &RoomId,
        life: &LifeId,
        now: UnixMillis,
    ) -> Result<Life, StoreError> {
        let read = self.table.item(keys::room(app, room), keys::life(life)).await?;
        let mut found = Life::unknown(life.clone());
        if let Some(item) = read.filter(|item| !item::is_expired(item, now)) {
            self.read_into(app, &item, &mut found)?;
        }
        Ok(found)
    }

    /// What is known of one life of a room, and when the provider last had somebody in the room when
    /// it was asked, read consistently with one request.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or an item cannot be read.
    pub async fn life_and_seen(
        &self,
        app: &App,
        room: &RoomId,
        life: &LifeId,
        now: UnixMillis,
    ) -> Result<(Life, Option<UnixMillis>), StoreError> {
        let key = |sort_key: String| {
            let partition = item::string(keys::room(app, room));
            HashMap::from([(PK.to_owned(), partition), (SK.to_owned(), item::string(sort_key))])
        };
        let read = self.by_keys(vec![key(keys::life(life)), key(keys::checked(None))]).await?;
        let (mut found, mut seen_at) = (Life::unknown(life.clone()), None);
        for item in read.iter().filter(|item| !item::is_expired(item, now)) {
            if item::text(item, SK)? == keys::CHECKED {
                seen_at = item::millis(item, SEEN_AT)?;
            } else {
                self.read_into(app, item, &mut found)?;
            }
        }
        Ok((found, seen_at))
    }

    fn read_into(&self, app: &App, item: &Item, life: &mut Life) -> Result<(), StoreError> {
        life.created = item::millis(item, CREATED_AT)?;
        life.closed = item::millis(item, CLOSED_AT)?;
        life.checked = self.checked(app, item)?;
        Ok(())
    }

    /// The newest life of a room, by the time it began. `None` if nothing is known of the room.
    ///
    /// The candidates come from the index: the newest lives with a creation or a close, and the
    /// lives of the people who came last, whether they are in or have left. `logins` are further
    /// candidates that the caller knows, because the index may lag behind. Lives in `read` are not
    /// read again.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or an item cannot be read.
    pub async fn newest_life(
        &self,
        app: &App,
        room: &RoomId,
        logins: impl IntoIterator<Item = (LifeId, UnixMillis)>,
        read: &HashMap<LifeId, Life>,
        now: UnixMillis,
    ) -> Result<Option<Life>, StoreError> {
        let mut rows = Box::pin(self.newest_rows_and_lives(app, room, 0, now)).await?;
        let lives = self.newest_lives_of(app, room, &mut rows, logins, read, now);
        Ok(Box::pin(lives).await?.newest)
    }

    /// The newest life, and what else the same requests find, when the room's newest rows and lives
    /// were read: then only the lives are, and those who may be in, if many have left.
    ///
    /// # Errors
    ///
    /// As [`Reader::newest_life`].
    pub async fn newest_lives_of(
        &self,
        app: &App,
        room: &RoomId,
        rows: &mut NewestRows,
        logins: impl IntoIterator<Item = (LifeId, UnixMillis)>,
        read: &HashMap<LifeId, Life>,
        now: UnixMillis,
    ) -> Result<NewestLives, StoreError> {
        let mut seats = self.newest_seats(app, rows, now).await?;
        let logins: Vec<_> = logins.into_iter().collect();
        let mut candidates = candidates(&rows.lives, &seats, &logins);
        let mut read = read.clone();
        let were_complete = rows.are_complete();
        let unread = unread(&candidates, &read);
        let (lives, ()) = tokio::try_join!(self.lives(app, room, unread, now), rows.complete())?;
        read.extend(lives);
        if !were_complete {
            seats = self.newest_seats(app, rows, now).await?;
            candidates = self::candidates(&rows.lives, &seats, &logins);
            read.extend(self.lives(app, room, self::unread(&candidates, &read), now).await?);
        }
        let candidates = candidates.into_iter().map(|Life { id, first_login, .. }| {
            let read = read.remove(&id).unwrap_or_else(|| Life::unknown(id));
            Life { first_login, ..read }
        });
        let candidates: Vec<Life> = candidates.collect();
        let known = rows.lives.iter().chain(&candidates).flat_map(Life::boundaries).collect();
        Ok(NewestLives {
            newest: Life::newest(candidates),
            boundaries: known,
            is_anyone_seen: seats.is_anyone_seen,
            newest_in: seats.newest_in,
        })
    }

    /// What is known of some lives of a room, read consistently with one request.
    async fn lives(
        &self,
        app: &App,
        room: &RoomId,
        ids: Vec<LifeId>,
        now: UnixMillis,
    ) -> Result<HashMap<LifeId, Life>, StoreError> {
        if let [id] = &ids[..] {
            return Ok(HashMap::from([(id.clone(), self.life(app, room, id, now).await?)]));
        }
        let mut lives = HashMap::new();
        for ids in ids.chunks(ITEMS_PER_REQUEST) {
            let key = |life: &LifeId| {
                let partition = item::string(keys::room(app, room));
                let life = item::string(keys::life(life));
                HashMap::from([(PK.to_owned(), partition), (SK.to_owned(), life)])
            };
            lives.extend(ids.iter().map(|id| (id.clone(), Life::unknown(id.clone()))));
            for item in self.by_keys(ids.iter().map(key).collect()).await? {
                let life = lives.get_mut(&keys::parse_life(item::text(&item, SK)?)?);
                if let Some(life) = life.filter(|_| !item::is_expired(&item, now)) {
                    self.read_into(app, &item, life)?;
                }
            }
        }
        Ok(lives)
    }

    /// When a room was created and closed about a time that is known to `give_or_take`: all times
    /// within it, the last times before it and the first one after it, as far as they are known.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or an item cannot be read.
    pub async fn boundaries_around(
        &self,
        app: &App,
        room: &RoomId,
        at: UnixMillis,
        give_or_take: Duration,
        now: UnixMillis,
    ) -> Result<Vec<Boundary>, StoreError> {
        let (earliest, latest) = (at.before(give_or_take), at.after(give_or_take));
        let newest = usize::try_from(NEWEST_LIVES).unwrap_or(1);
        let about = |direction, most| {
            let (comparison, is_forward) = match direction {
                Direction::OldestFirst => (">", true),
                Direction::NewestFirst => ("<", false),
            };
            let query = self
                .query_index(keys::lives(app, room))
                .key_condition_expression(format!(
                    "{INDEX_PK} = :pk AND {INDEX_SK} {comparison} :at"
                ))
                .expression_attribute_values(":at", item::string(keys::time_end(latest)))
                .scan_index_forward(is_forward);
            items(query, Some(most), now).and_then(async |item| read_life(&item))
        };
        let before = async {
            let (mut lives, mut are_before) = (Vec::new(), 0);
            let mut read = pin!(about(Direction::NewestFirst, newest));
            while are_before < newest
                && let Some(life) = read.try_next().await?
            {
                are_before += usize::from(life.boundaries().all(|known| known.at() <= earliest));
                lives.push(life);
            }
            Ok::<_, StoreError>(lives)
        };
        let after = about(Direction::OldestFirst, 2).take(2).try_collect::<Vec<_>>();
        let (before, after) = tokio::try_join!(before, after)?;
        Ok(before.iter().chain(&after).flat_map(Life::boundaries).collect())
    }

    /// Of the lives of a room whose creation or close is known, the first one that began after a
    /// time, as far as that is known.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or an item cannot be read.
    pub async fn next_life(
        &self,
        app: &App,
        room: &RoomId,
        life: &LifeId,
        began: UnixMillis,
        now: UnixMillis,
    ) -> Result<Option<Life>, StoreError> {
        let query = self
            .query_index(keys::lives(app, room))
            .scan_index_forward(true)
            .key_condition_expression(format!("{INDEX_PK} = :pk AND {INDEX_SK} > :began"))
            .expression_attribute_values(":began", item::string(keys::time_end(began)));
        let mut later = pin!(items(query, Some(2), now));
        while let Some(item) = later.try_next().await? {
            let id = keys::parse_life(item::text(&item, SK)?)?;
            if id != *life {
                return read_life(&item).map(Some);
            }
        }
        Ok(None)
    }

    /// Lives of a room that began before a time: those whose creation or close is the newest
    /// before it, and those of the people whose newest sessions before it are the newest.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or an item cannot be read.
    pub async fn lives_before(
        &self,
        app: &App,
        room: &RoomId,
        before: UnixMillis,
        now: UnixMillis,
    ) -> Result<BTreeSet<LifeId>, StoreError> {
        let query = self
            .query_index(keys::lives(app, room))
            .key_condition_expression(format!("{INDEX_PK} = :pk AND {INDEX_SK} < :before"))
            .expression_attribute_values(":before", item::string(keys::time(before)));
        let known = async {
            let newest = items(query, Some(2), now).take(2);
            let ids = newest.and_then(async |item| keys::parse_life(item::text(&item, SK)?));
            ids.try_collect::<Vec<_>>().await
        };
        let shards = self.shards_of(room, now).await?;
        let seats = shards
            .each()
            .flat_map(|shard| [(shard, Section::In), (shard, Section::Left)])
            .map(async |(shard, section)| {
                let range = (section.prefix().to_owned(), keys::rows_from(section, before));
                let partition = keys::shard(app, room, shard);
                let mut rows = self.rows(partition, range, Direction::NewestFirst, 1, now);
                while let Some((_, item)) = rows.try_next().await? {
                    if let (_, Some(life), _) = keys::parse_seat(item::text(&item, SK)?)? {
                        return Ok(Some(life));
                    }
                }
                Ok::<_, StoreError>(None)
            });
        let (known, of_seats) = tokio::try_join!(known, read_all(seats))?;
        Ok(known.into_iter().chain(of_seats.into_iter().flatten()).collect())
    }

    pub(super) async fn newest_life_items(
        &self,
        app: &App,
        room: &RoomId,
        now: UnixMillis,
    ) -> Result<Vec<Life>, StoreError> {
        let page = self
            .query_index(keys::lives(app, room))
            .key_condition_expression(format!("{INDEX_PK} = :pk"))
            .limit(NEWEST_LIVES)
            .send()
            .await?;
        let fresh = page.items().iter().filter(|item| !item::is_expired(item, now));
        fresh.map(read_life).collect()
    }

    /// When the provider last confirmed who is in a room of which no life is known.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or the item cannot be read.
    pub async fn checked_without_life(
        &self,
        app: &App,
        room: &RoomId,
        now: UnixMillis,
    ) -> Result<Option<UnixMillis>, StoreError> {
        let item = self.table.item(keys::room(app, room), keys::checked(None)).await?;
        let item = item.filter(|item| !item::is_expired(item, now)).unwrap_or_default();
        self.checked(app, &item)
    }

    /// When a check was noted in an item. What is ignored has confirmed nothing.
    fn checked(&self, app: &App, item: &Item) -> Result<Option<UnixMillis>, StoreError> {
        let at = item::millis(item, CHECKED_AT)?;
        Ok(at.filter(|at| self.settings.counts_seen_at(app, *at)))
    }

    /// Whether a room was ever created or closed, as far as is known.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer.
    pub async fn has_lives(
        &self,
        app: &App,
        room: &RoomId,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let query = self
            .query_index(keys::lives(app, room))
            .key_condition_expression(format!("{INDEX_PK} = :pk"));
        let mut lives = pin!(items(query, Some(1), now));
        Ok(lives.try_next().await?.is_some())
    }

    /// Whether anybody was ever seen in a room whose lives have no names.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or an item cannot be read.
    pub async fn is_room_known(
        &self,
        app: &App,
        room: &RoomId,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut rows = Box::pin(self.newest_rows(app, room, 0, now)).await?;
        self.is_known_by(app, &mut rows, now).await
    }

    /// The same, by the newest rows of the room. If many have left, more rows are read.
    ///
    /// # Errors
    ///
    /// As [`Reader::is_room_known`].
    pub async fn is_known_by(
        &self,
        app: &App,
        rows: &mut NewestRows,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let is_known = !self.newest_seats(app, rows, now).await?.of_lives.is_empty();
        if is_known || rows.are_complete() {
            return Ok(is_known);
        }
        rows.complete().await?;
        Ok(!self.newest_seats(app, rows, now).await?.of_lives.is_empty())
    }

    /// The life and the time of the newest row in each section of each shard.
    async fn newest_seats(
        &self,
        app: &App,
        rows: &NewestRows,
        now: UnixMillis,
    ) -> Result<NewestSeats, StoreError> {
        let seats = rows.sections().map(async |(section, front)| {
            let (seat, is_anyone_seen) = self.newest_seat(app, front, now).await?;
            Ok::<_, StoreError>((section, seat, is_anyone_seen))
        });
        let mut newest = NewestSeats::default();
        for (section, seat, is_anyone_seen) in read_all(seats).await? {
            let at = seat.as_ref().map(|(_, at)| *at).filter(|_| section == Section::In);
            newest.newest_in = newest.newest_in.max(at);
            newest.is_anyone_seen |= is_anyone_seen;
            newest.of_lives.extend(seat);
        }
        Ok(newest)
    }

    /// The life and the time of the newest row with marks in one section of one shard, and whether
    /// one comes before it that has only observations.
    async fn newest_seat(
        &self,
        app: &App,
        front: &Front,
        now: UnixMillis,
    ) -> Result<(Option<(Option<LifeId>, UnixMillis)>, bool), StoreError> {
        let login = |item: &Item| {
            let (_, life, _) = keys::parse_seat(item::text(item, SK)?)?;
            Ok::<_, StoreError>((life, item::newest(item)?.order.time))
        };
        if self.erased.is_empty() && self.has_only_tracks_that_count(app) {
            let fresh = front.items.first().filter(|item| !item::is_expired(item, now));
            if fresh.is_none_or(|item| item.contains_key(NEWEST)) {
                return Ok((fresh.map(login).transpose()?, false));
            }
        }
        let mut rows = pin!(front.clone().into_items(now));
        let mut is_anyone_seen = false;
        while let Some(item) = rows.try_next().await? {
            match self.read_member(app, &item)? {
                Some(member) if member.seat.is_only_seen() => is_anyone_seen = true,
                Some(_) => return Ok((Some(login(&item)?), is_anyone_seen)),
                None => {}
            }
        }
        Ok((None, is_anyone_seen))
    }
}
