//! Reading the lives of a room.

use std::{collections::BTreeSet, pin::pin};

use futures::{StreamExt, TryStreamExt, future::try_join_all};

use super::{
    super::{
        StoreError,
        item::{self, CLOSED_AT, CREATED_AT, Item},
        keys::{self, SHARDS, Section},
        table::{INDEX_PK, INDEX_SK, SK},
    },
    Reader,
    rows::{Direction, items},
};
use crate::domain::{App, Life, LifeId, RoomId, UnixMillis};

/// How many of a room's newest life items are read: enough to skip expired ones.
const NEWEST_LIVES: i32 = 4;

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
            found.created = item::millis(&item, CREATED_AT)?;
            found.closed = item::millis(&item, CLOSED_AT)?;
        }
        Ok(found)
    }

    /// The newest life of a room, by the time it began. `None` if nothing is known of the room.
    ///
    /// The candidates come from the index: the newest lives with a creation or a close, and the
    /// lives of the people who came last, whether they are in or have left. `logins` are further
    /// candidates that the caller knows, because the index may lag behind.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or an item cannot be read.
    pub async fn newest_life(
        &self,
        app: &App,
        room: &RoomId,
        logins: impl IntoIterator<Item = (LifeId, UnixMillis)>,
        now: UnixMillis,
    ) -> Result<Option<Life>, StoreError> {
        let (ids, seats) = tokio::try_join!(
            self.newest_life_ids(app, room, now),
            self.newest_seats(app, room, now)
        )?;
        let of_seats = seats.into_iter().filter_map(|(life, login)| Some((life?, login)));

        let mut candidates: Vec<Life> = ids.into_iter().map(Life::unknown).collect();
        for (id, at) in of_seats.chain(logins) {
            if !candidates.iter().any(|life| life.id == id) {
                candidates.push(Life::unknown(id.clone()));
            }
            for life in candidates.iter_mut().filter(|life| life.id == id) {
                life.saw_login(at);
            }
        }
        let read = candidates.into_iter().map(async |candidate| {
            let first_login = candidate.first_login;
            let life = self.life(app, room, &candidate.id, now).await?;
            Ok::<_, StoreError>(Life { first_login, ..life })
        });
        Ok(Life::newest(try_join_all(read).await?))
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
                return Ok(Some(Life {
                    created: item::millis(&item, CREATED_AT)?,
                    closed: item::millis(&item, CLOSED_AT)?,
                    ..Life::unknown(id)
                }));
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
        let seats = (0..SHARDS)
            .flat_map(|shard| [(shard, Section::In), (shard, Section::Left)])
            .map(async |(shard, section)| {
                let range = (section.prefix().to_owned(), keys::rows_from(section, before));
                let partition = keys::shard(app, room, shard);
                let mut rows = self.rows(partition, range, Direction::NewestFirst, 1, now);
                let Some((_, item)) = rows.try_next().await? else { return Ok(None) };
                Ok::<_, StoreError>(keys::parse_seat(item::text(&item, SK)?)?.1)
            });
        let (known, of_seats) = tokio::try_join!(known, try_join_all(seats))?;
        Ok(known.into_iter().chain(of_seats.into_iter().flatten()).collect())
    }

    async fn newest_life_ids(
        &self,
        app: &App,
        room: &RoomId,
        now: UnixMillis,
    ) -> Result<Vec<LifeId>, StoreError> {
        let page = self
            .query_index(keys::lives(app, room))
            .key_condition_expression(format!("{INDEX_PK} = :pk"))
            .limit(NEWEST_LIVES)
            .send()
            .await?;
        let fresh = page.items().iter().filter(|item| !item::is_expired(item, now));
        fresh.map(|item| keys::parse_life(item::text(item, SK)?)).collect()
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
        Ok(!self.newest_seats(app, room, now).await?.is_empty())
    }

    /// The life and the time of the newest row in each section of each shard.
    async fn newest_seats(
        &self,
        app: &App,
        room: &RoomId,
        now: UnixMillis,
    ) -> Result<Vec<(Option<LifeId>, UnixMillis)>, StoreError> {
        let seats = (0..SHARDS)
            .flat_map(|shard| [(shard, Section::In), (shard, Section::Left)])
            .map(|(shard, section)| self.newest_seat(app, room, shard, section, now));
        Ok(try_join_all(seats).await?.into_iter().flatten().collect())
    }

    /// The life and the time of the newest row in one section of one shard.
    async fn newest_seat(
        &self,
        app: &App,
        room: &RoomId,
        shard: u8,
        section: Section,
        now: UnixMillis,
    ) -> Result<Option<(Option<LifeId>, UnixMillis)>, StoreError> {
        let query = self
            .query_index(keys::shard(app, room, shard))
            .key_condition_expression(format!(
                "{INDEX_PK} = :pk AND begins_with({INDEX_SK}, :section)"
            ))
            .expression_attribute_values(":section", item::string(section.prefix()));
        let login = |item: &Item| {
            let (_, life) = keys::parse_seat(item::text(item, SK)?)?;
            Ok((life, item::newest(item)?.order.time))
        };
        if self.erased.is_empty() {
            let page = query.limit(1).send().await?;
            let fresh = page.items().iter().find(|item| !item::is_expired(item, now));
            return fresh.map(login).transpose();
        }
        let mut rows = pin!(items(query, Some(1), now));
        while let Some(item) = rows.try_next().await? {
            if self.read_member(app, &item)?.is_some() {
                return login(&item).map(Some);
            }
        }
        Ok(None)
    }
}
