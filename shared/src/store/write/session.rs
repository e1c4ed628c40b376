//! The sessions of a user: one item with a grow-only set of marks. Union commutes, so any order of
//! arrival gives the same result. The reader decides what the marks of a session mean.
//!
//! A user's first login is also their registration, and a login counts them for its month. Both are
//! written before the item's flags that they are done: the newest month in which the user was counted,
//! and the earliest login that was. After a crash in between, the next login writes both again. The
//! flags are part of the common condition, so each later login of the month is one write, in whatever
//! session it is.
//!
//! When the item outgrows one write unit, its oldest marks are added to another item and then deleted
//! from the first one. Readers take the union, so a crash in between changes nothing.
//!
//! A repetition looks for its mark on the first item only, as one of a seat does: then every callback is
//! one request. If the mark was moved, it is added and reported once more, and is in the union once. That is
//! rare: a provider repeats within a minute, and the newest marks are never moved.

use aws_sdk_dynamodb::primitives::Blob;

use super::{
    super::{
        StoreError,
        item::{self, COUNTED_MONTH, EXPIRES_AT, Item, LOGIN_AT, SESSIONS},
        keys,
    },
    Writer, seat,
    update::{Update, WriteUnits, Written},
};
use crate::domain::{App, Month, Outcome, SessionChange, SessionEvent, UnixMillis, UserId};

/// What a write of sessions of at most a kilobyte consumes.
const MAX_UNITS: WriteUnits = WriteUnits(1.0);

/// How many of the newest marks stay on the item: enough that it is moved every twenty events or so.
const NEWEST_KEPT: usize = 8;

/// How often the flags are read again that another login changes.
const ATTEMPTS: usize = 5;

/// The value of the event's own mark in conditions.
const EVENT: &str = "event";

impl Writer {
    pub(super) async fn apply_session(
        &self,
        change: &SessionChange,
        received_at: UnixMillis,
    ) -> Result<Outcome, StoreError> {
        let is_new = format!("NOT contains({SESSIONS}, :{EVENT})");
        if change.event != SessionEvent::LoggedIn {
            let update = self.update_sessions(change, received_at).only_if(is_new);
            return Ok(match self.write_sessions(change, update, received_at).await? {
                Written::Yes(_) => Outcome::Applied,
                Written::No(_) => Outcome::Duplicate,
            });
        }
        let (login, month) = (change.at, Month::from(change.at));
        let is_counted =
            format!("{COUNTED_MONTH} = :{COUNTED_MONTH} AND {LOGIN_AT} <= :{LOGIN_AT}");
        let common = self
            .update_sessions(change, received_at)
            .given(COUNTED_MONTH, item::string(month.to_string()))
            .given(LOGIN_AT, item::number(login.0))
            .only_if(format!("{is_new} AND {is_counted}"));
        let mut known = match self.write_sessions(change, common, received_at).await? {
            Written::Yes(_) => return Ok(Outcome::Applied),
            Written::No(known) => known,
        };
        let event = Blob::new(change.mark().to_bytes());
        if item::session_bytes(&known).contains(&event) {
            return Ok(Outcome::Duplicate);
        }
        let registration = change.first_login(received_at);
        tokio::try_join!(
            self.register(&registration),
            self.count_for_month(&change.app, &change.user, login, received_at),
        )?;
        for _ in 0..ATTEMPTS {
            let mut update = self.update_sessions(change, received_at);
            if let Some((month, login)) = flags(&known, month, login) {
                update = update
                    .set(COUNTED_MONTH, item::string(month.to_string()))
                    .set(LOGIN_AT, item::number(login.0));
            }
            let update = update.only_if_as_read(&known, &[COUNTED_MONTH, LOGIN_AT]).and_if(&is_new);
            known = match self.write_sessions(change, update, received_at).await? {
                Written::Yes(_) => return Ok(Outcome::Applied),
                Written::No(known) if item::session_bytes(&known).contains(&event) => {
                    return Ok(Outcome::Duplicate);
                }
                Written::No(changed) => changed,
            };
        }
        Err(StoreError::Item("the sessions of a user changed each time that they were written"))
    }

    /// Adds what an event says of a session. The caller adds the condition.
    fn update_sessions(&self, change: &SessionChange, received_at: UnixMillis) -> Update {
        let mark = change.mark();
        let marks: Vec<_> = change.mark_of_login().into_iter().chain([mark.clone()]).collect();
        Update::of(keys::user(&change.app, &change.user), keys::SESSIONS)
            .add(SESSIONS, item::session_set(&marks))
            .set(EXPIRES_AT, item::number(self.seat_expiry(received_at).0))
            .given(EVENT, item::session_mark(&mark))
            .measured()
            .or_return_item()
    }

    /// Sends it. If the item has grown too large, its oldest marks are moved: the event is stored
    /// already, and if the move fails or takes too long, the next event tries again.
    async fn write_sessions(
        &self,
        change: &SessionChange,
        update: Update,
        received_at: UnixMillis,
    ) -> Result<Written, StoreError> {
        let written = self.table.update(update).await?;
        if let Written::Yes(units) = &written
            && *units > MAX_UNITS
        {
            seat::in_time(self.move_oldest_sessions(&change.app, &change.user, received_at)).await;
        }
        Ok(written)
    }

    async fn move_oldest_sessions(
        &self,
        app: &App,
        user: &UserId,
        received_at: UnixMillis,
    ) -> Result<(), StoreError> {
        let partition = keys::user(app, user);
        let read = self.table.item(partition.clone(), keys::SESSIONS.to_owned()).await?;
        let Some(item) = read else { return Ok(()) };
        let mut marks = item::sessions(&item)?;
        marks.sort_unstable();
        marks.truncate(marks.len().saturating_sub(NEWEST_KEPT));
        let Some(oldest) = marks.first() else { return Ok(()) };
        let moved = item::session_set(&marks);
        let add = Update::of(partition.clone(), keys::moved_sessions(&oldest.to_bytes()))
            .set(EXPIRES_AT, item::number(self.seat_expiry(received_at).0))
            .add(SESSIONS, moved.clone());
        self.table.update(add).await?;
        let delete = Update::of(partition, keys::SESSIONS)
            .delete(SESSIONS, moved)
            .only_if(format!("attribute_exists({SESSIONS})"));
        self.table.update(delete).await.map(drop)
    }
}

/// The flags once a login is counted, too: the newest month, and the earliest login that is counted in
/// it. `None` if they stay as they are.
fn flags(known: &Item, month: Month, login: UnixMillis) -> Option<(Month, UnixMillis)> {
    let counted: Option<Month> =
        item::optional_text(known, COUNTED_MONTH).and_then(|month| month.parse().ok());
    let since = item::optional_number(known, LOGIN_AT).map(UnixMillis);
    match counted.zip(since) {
        Some((counted, _)) if counted > month => None,
        Some((counted, since)) if counted == month && since <= login => None,
        _ => Some((month, login)),
    }
}
