//! The check of a room after a while: the note that it waits, and what it finds.

use std::time::Duration;

use aws_sdk_dynamodb::Client;

use super::{
    super::{
        StoreError,
        item::{self, CHECK_AT, CHECK_BY, CHECK_UNTIL, EXPIRES_AT, Item},
        keys,
        read::Reader,
        settled::{EmptiedRoom, SettledLife},
        table::TableName,
        table::{PK, SK},
    },
    Writer,
    update::{Deletion, Update, Written},
};
use crate::domain::{App, LifeId, Outcome, RoomId, UnixMillis};

const NOTE: [&str; 3] = [CHECK_UNTIL, CHECK_BY, CHECK_AT];

/// How long a note is kept whose message never came.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(24);

/// The table as the checks of rooms use it, besides what they read of the record.
///
/// Their functions may query the table, and get, put, update and delete items.
#[derive(Debug, Clone)]
pub struct Settler {
    pub(crate) reader: Reader,
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
    /// What the message was sent for. A relay that comes again for the same reason sends it again.
    pub by: String,
    /// When the room is to be checked: nothing will have changed for the grace by then, unless the
    /// note says another time until then.
    pub due_at: UnixMillis,
}

/// A note as it was read.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReadNote {
    item: Item,
    /// The note, if there is one.
    pub(crate) note: Option<Note>,
}

impl Settler {
    /// Notes in the table of that name. What a check finds is kept as long as lives are.
    #[must_use]
    pub fn new(client: Client, table: impl Into<TableName>, retention: Duration) -> Self {
        let table: TableName = table.into();
        Self {
            reader: Reader::new(client.clone(), table.clone()),
            writer: Writer::new(client, table, retention),
        }
    }

    /// The note of a room in one of its lives, read consistently.
    pub(crate) async fn note(&self, of: &RoomLife) -> Result<ReadNote, StoreError> {
        let Some(item) = self.writer.table.item(pk(of), sk(of)).await? else {
            return Ok(ReadNote::default());
        };
        let time = |name| {
            item::millis(&item, name)?.ok_or(StoreError::Item("the note of a check lacks a time"))
        };
        let note = Note {
            until: time(CHECK_UNTIL)?,
            by: item::text(&item, CHECK_BY)?.to_owned(),
            due_at: time(CHECK_AT)?,
        };
        Ok(ReadNote { item, note: Some(note) })
    }

    /// Writes a note, if nobody has changed it since it was read.
    pub(crate) async fn write_note(
        &self,
        of: &RoomLife,
        read: &ReadNote,
        note: &Note,
    ) -> Result<bool, StoreError> {
        let update = Update::of(pk(of), sk(of))
            .set(CHECK_UNTIL, item::number(note.until.0))
            .set(CHECK_BY, item::string(&note.by))
            .set(CHECK_AT, item::number(note.due_at.0))
            .set(EXPIRES_AT, item::number(note.due_at.after(FORGOTTEN_AFTER).seconds().0))
            .only_if_as_read(&read.item, &NOTE);
        Ok(matches!(self.writer.table.update(update).await?, Written::Yes(_)))
    }

    /// Deletes a note, if nobody has changed it since it was read.
    pub(crate) async fn delete_note(&self, read: &ReadNote) -> Result<bool, StoreError> {
        self.writer.table.delete(Deletion::of(&read.item, &NOTE)?).await
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

fn pk(of: &RoomLife) -> String {
    keys::room(&of.app, &of.room)
}

fn sk(of: &RoomLife) -> String {
    keys::check(of.life.as_ref())
}
