//! The check of a room after a while: the note that it waits, and what it finds.

use std::time::Duration;

use aws_sdk_dynamodb::Client;

use super::{
    super::{
        StoreError,
        item::{
            self, EXPIRES_AT, Item, SETTLE_BY, SETTLE_AT, SETTLE_LIFE, SETTLE_UNTIL,
        },
        keys,
        settled::{EmptiedRoom, SettledLife},
        table::{PK, SK},
    },
    Writer,
    update::{Update, Written},
};
use crate::domain::{App, LifeId, Outcome, RoomId, UnixMillis};

const NOTE: [&str; 4] = [SETTLE_UNTIL, SETTLE_LIFE, SETTLE_BY, SETTLE_AT];

/// The table as the checks of rooms use it, besides what they read of the record.
///
/// Its function may query the table, and get, put and update items.
#[derive(Debug, Clone)]
pub struct Settler {
    writer: Writer,
}

/// A room in one of its lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomLife {
    /// The app.
    pub app: App,
    /// The room.
    pub room: RoomId,
    /// The life, if the provider distinguishes lives.
    pub life: Option<LifeId>,
}

/// That a message waits which has a room checked. As long as the note is there, its message has not
/// been looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Until when the message waits, by the clock of its sender.
    pub until: UnixMillis,
    /// What the message was sent for. Whoever is there again for the same reason sends it again.
    pub by: String,
    /// When the room is to be checked: nothing will have changed for the grace by then, unless the
    /// note says another time until then.
    pub due_at: UnixMillis,
}

/// The note of a room as it was read.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReadNote {
    item: Item,
    /// The note, if it is about the life that was asked for.
    pub(crate) note: Option<Note>,
}

impl Settler {
    /// Notes in the table of that name. What a check finds is kept as long as lives are.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>, retention: Duration) -> Self {
        Self { writer: Writer::new(client, table, retention) }
    }

    /// The note of a room, read consistently.
    pub(crate) async fn note(&self, of: &RoomLife) -> Result<ReadNote, StoreError> {
        let pk = keys::room(&of.app, &of.room);
        let item = self.writer.table.item(pk, keys::LIVE.to_owned()).await?.unwrap_or_default();
        let is_about = item::optional_text(&item, SETTLE_LIFE).is_some_and(|life| life == life_of(of));
        let note = match item::millis(&item, SETTLE_UNTIL)?.filter(|_| is_about) {
            Some(until) => Some(Note {
                until,
                by: item::text(&item, SETTLE_BY)?.to_owned(),
                due_at: item::millis(&item, SETTLE_AT)?.unwrap_or(UnixMillis(0)),
            }),
            None => None,
        };
        Ok(ReadNote { item, note })
    }

    /// Writes a note, if nobody has changed it since it was read.
    pub(crate) async fn write_note(
        &self,
        of: &RoomLife,
        read: &ReadNote,
        note: &Note,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let expires_at = item::number(self.writer.seat_expiry(now).0);
        let update = update_of(of)
            .set(SETTLE_UNTIL, item::number(note.until.0))
            .set(SETTLE_LIFE, item::string(life_of(of)))
            .set(SETTLE_BY, item::string(&note.by))
            .set(SETTLE_AT, item::number(note.due_at.0))
            .set_if_missing(EXPIRES_AT, expires_at);
        self.update_if_unchanged(update, read).await
    }

    /// Removes a note, if nobody has changed it since it was read.
    pub(crate) async fn remove_note(
        &self,
        of: &RoomLife,
        read: &ReadNote,
    ) -> Result<bool, StoreError> {
        let update = NOTE.iter().fold(update_of(of), |update, name| update.set_or_remove(name, None));
        self.update_if_unchanged(update, read).await
    }

    async fn update_if_unchanged(
        &self,
        update: Update,
        read: &ReadNote,
    ) -> Result<bool, StoreError> {
        let update = update.only_if_as_read(&read.item, &NOTE);
        Ok(matches!(self.writer.table.update(update).await?, Written::Yes(_)))
    }

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
        let table = &self.writer.table;
        let query = table
            .client
            .query()
            .table_name(&table.name)
            .consistent_read(true)
            .scan_index_forward(false)
            .limit(1)
            .key_condition_expression(format!("{PK} = :pk AND begins_with({SK}, :prefix)"))
            .expression_attribute_values(":pk", item::string(keys::room(app, room)))
            .expression_attribute_values(":prefix", item::string(prefix));
        let page = Box::pin(query.send()).await?;
        Ok(page.items.unwrap_or_default().into_iter().next())
    }

    /// Writes a revision of a settled life, if there is no such revision yet.
    pub(crate) async fn settle(
        &self,
        app: &App,
        room: &RoomId,
        settled: &SettledLife,
    ) -> Result<Outcome, StoreError> {
        let sk = keys::settled(&settled.life, settled.revision);
        self.put(app, room, sk, settled.attributes(), settled.settled_at).await
    }

    /// Writes that a room is empty, if that is not known yet.
    pub(crate) async fn empty(
        &self,
        app: &App,
        room: &RoomId,
        emptied: &EmptiedRoom,
    ) -> Result<Outcome, StoreError> {
        let sk = keys::emptied(emptied.life.as_ref(), emptied.at);
        self.put(app, room, sk, emptied.attributes(), emptied.settled_at).await
    }

    async fn put(
        &self,
        app: &App,
        room: &RoomId,
        sk: String,
        attributes: Item,
        now: UnixMillis,
    ) -> Result<Outcome, StoreError> {
        let key = [
            (PK, item::string(keys::room(app, room))),
            (SK, item::string(sk)),
            (EXPIRES_AT, item::number(self.writer.life_expiry(now).0)),
        ];
        let mut item = item::of(key);
        item.extend(attributes);
        self.writer.table.put_first(item).await
    }
}

fn update_of(of: &RoomLife) -> Update {
    Update::of(keys::room(&of.app, &of.room), keys::LIVE)
}

/// No empty text, which not every DynamoDB takes.
fn life_of(of: &RoomLife) -> String {
    format!("#{}", keys::life_part(of.life.as_ref()))
}
