//! What queries read.

mod attendance;
mod batch;
mod boundary;
mod device;
mod erasure;
mod life;
mod live;
mod month;
mod newest_rows;
mod pairs;
mod people;
mod person;
mod registration;
mod room_shards;
mod roster;
mod rows;
mod sample;
mod seat;
mod settled;
mod whereabouts;

use std::sync::Arc;

use aws_sdk_dynamodb::{Client, operation::query::builders::QueryFluentBuilder};
use futures::TryStreamExt;

pub use attendance::{RoomSeat, SeatsFrom};
pub use boundary::NEWEST_BOUNDARIES;
pub use erasure::ErasureList;
pub(super) use erasure::{read_erasure, read_hash_key};
pub use life::NewestLives;
pub use live::{LIVE_PARTS, LiveRoom};
pub use newest_rows::NewestRows;
pub use people::{PeopleSource, PersonRow};
pub use person::{PersonContent, PersonItem};
pub(super) use person::{PersonKind, month_counted_at};
pub use registration::{Account, RegistrationRow, RegistrationsPage};
pub use roster::{IsIn, Member, Roster, RosterPage, RosterRow};
pub use seat::Seat;
pub use whereabouts::Whereabouts;

use super::{
    StoreError,
    erasures::Erasures,
    item::{self, Item},
    keys,
    room_shards::KnownShards,
    table::{PK, SK, Table, TableName},
};
use crate::domain::{App, Settings, Track, Tracks, UnixMillis, UserId};

/// The table as queries use it: they read and never write.
///
/// Its function may get items and query. Items of a user are read consistently. Results from the
/// index may lag behind, usually by less than a second.
#[derive(Debug, Clone)]
pub struct Reader {
    table: Table,
    erased: Arc<Erasures>,
    settings: Arc<Settings>,
    shards: KnownShards,
}

impl Reader {
    /// A reader of the table of that name.
    #[must_use]
    pub fn new(client: Client, table: impl Into<TableName>) -> Self {
        let (erased, settings) = (Arc::default(), Arc::default());
        let shards = KnownShards::default();
        Self { table: Table::new(client, table), erased, settings, shards }
    }

    /// The same reader, to which observations that do not count by these settings are not there.
    #[must_use]
    pub fn with_settings(self, settings: Settings) -> Self {
        Self { settings: Arc::new(settings), ..self }
    }

    /// By which tracks it is decided who is in the rooms of an app. The one that every provider has
    /// decides alone until another one has reported anything.
    #[must_use]
    pub fn tracks(&self, app: &App) -> Tracks {
        match self.settings.rooms(app) {
            Tracks::Both if !self.erased.has_second_track(app) => Tracks::Only(Track::Media),
            tracks => tracks,
        }
    }

    /// Whether there is nothing of a track that does not count.
    fn has_only_tracks_that_count(&self, app: &App) -> bool {
        let is_media_only =
            !self.erased.has_second_track(app) && self.tracks(app).has(Track::Media);
        is_media_only || self.tracks(app) == Tracks::Both
    }

    /// The items of a user whose sort keys begin with `prefix`, read consistently, without expired
    /// ones.
    async fn of_user(
        &self,
        app: &App,
        user: &UserId,
        prefix: &str,
        now: UnixMillis,
    ) -> Result<Vec<Item>, StoreError> {
        rows::items(self.query_user(app, user, prefix), None, now).try_collect().await
    }

    /// A consistent query of the items of a user whose sort keys begin with `prefix`.
    fn query_user(&self, app: &App, user: &UserId, prefix: &str) -> QueryFluentBuilder {
        self.query_table()
            .key_condition_expression(format!("{PK} = :pk AND begins_with({SK}, :prefix)"))
            .expression_attribute_values(":pk", item::string(keys::user(app, user)))
            .expression_attribute_values(":prefix", item::string(prefix))
    }

    /// A consistent query of the table itself.
    fn query_table(&self) -> QueryFluentBuilder {
        self.table.client.query().table_name(&self.table.name).consistent_read(true)
    }
}
