//! The people of an app who may be online on a device.

use futures::{Stream, TryStreamExt};

use super::{
    super::{
        StoreError, item,
        keys::{self, MONTH_SHARDS, REGISTRATION_SHARDS},
        table::PK,
    },
    Reader,
    registration::read_profile,
    rows::Direction,
};
use crate::domain::{App, Month, UnixMillis, UserId};

/// How many people are read with the first request.
const AT_FIRST: usize = 100;

/// What the places of people are between: no place has a character before the space, because control
/// characters are escaped.
const ROWS: [&str; 2] = [" ", "\u{10ffff}"];

/// Which list of people is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeopleSource {
    /// Those who logged in in this month or in the one before.
    Active(Month),
    /// Those who are registered, and then those whose profiles changed although their registrations
    /// never arrived.
    Registered,
}

/// Somebody in a list of people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonRow {
    /// Their place in the list: where a page after it begins.
    pub row: String,
    /// Who.
    pub user: UserId,
    /// Whether they are registered, as far as the list is about that.
    pub is_registered: bool,
    /// When the newest change of their profile was reported, if it was not read since.
    pub profile_changed_at: Option<UnixMillis>,
}

impl PeopleSource {
    /// In how many parts the list is read.
    #[must_use]
    pub fn parts(self) -> u8 {
        match self {
            Self::Active(_) => 2 * MONTH_SHARDS,
            Self::Registered => REGISTRATION_SHARDS + 1,
        }
    }

    fn partition(self, app: &App, part: u8) -> String {
        match self {
            Self::Active(month) if part < MONTH_SHARDS => keys::month_shard(app, month, part),
            Self::Active(month) => keys::month_shard(app, month.before(), part - MONTH_SHARDS),
            Self::Registered if part < REGISTRATION_SHARDS => keys::registrations(app, part),
            Self::Registered => keys::unregistered(app),
        }
    }
}

impl Reader {
    /// One part of a list of people, after a place. The index may lag behind, usually by less than a
    /// second.
    pub fn people<'a>(
        &'a self,
        app: &App,
        source: PeopleSource,
        part: u8,
        after: Option<&'a str>,
        now: UnixMillis,
    ) -> impl Stream<Item = Result<PersonRow, StoreError>> + Send + use<'a> {
        let [first, end] = ROWS;
        let range = (after.unwrap_or(first).to_owned(), end.to_owned());
        self.rows(source.partition(app, part), range, Direction::OldestFirst, AT_FIRST, now)
            .try_filter(move |(row, _)| std::future::ready(Some(row.as_str()) != after))
            .and_then(|(row, item)| {
                let read = || {
                    let user = keys::parse_user(item::text(&item, PK)?)?;
                    let profile_changed_at = read_profile(&item)?.unread_change();
                    let is_registered = item::is_registered(&item);
                    Ok(PersonRow { row, user, is_registered, profile_changed_at })
                };
                std::future::ready(read())
            })
    }
}
