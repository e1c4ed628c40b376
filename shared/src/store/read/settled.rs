//! What the last check of a room has found.

use super::{
    super::{
        StoreError,
        item::{self, Item},
        keys,
        settled::{EmptiedRoom, SettledLife},
        table::{PK, SK},
    },
    Reader,
};
use crate::domain::{App, LifeId, RoomId};

impl Reader {
    /// The newest revision of a settled life, read consistently.
    pub(crate) async fn newest_settled(
        &self,
        app: &App,
        room: &RoomId,
        life: &LifeId,
    ) -> Result<Option<SettledLife>, StoreError> {
        let item = self.newest(app, room, keys::settled_of(life)).await?;
        item.map(|item| SettledLife::read(&item)).transpose()
    }

    /// When a room was last empty in one of its lives, read consistently.
    pub(crate) async fn newest_emptied(
        &self,
        app: &App,
        room: &RoomId,
        life: Option<&LifeId>,
    ) -> Result<Option<EmptiedRoom>, StoreError> {
        let item = self.newest(app, room, keys::emptied_of(life)).await?;
        item.map(|item| EmptiedRoom::read(&item)).transpose()
    }

    async fn newest(
        &self,
        app: &App,
        room: &RoomId,
        prefix: String,
    ) -> Result<Option<Item>, StoreError> {
        let query = self
            .query_table()
            .scan_index_forward(false)
            .limit(1)
            .key_condition_expression(format!("{PK} = :pk AND begins_with({SK}, :prefix)"))
            .expression_attribute_values(":pk", item::string(keys::room(app, room)))
            .expression_attribute_values(":prefix", item::string(prefix));
        let page = Box::pin(query.send()).await?;
        Ok(page.items.unwrap_or_default().into_iter().next())
    }
}
