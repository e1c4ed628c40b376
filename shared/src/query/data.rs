//! A person's own data: everything that is stored about them. And who was erased.

use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use super::{QueryError, cursor, registrations::UserRegistration, rows::Rows};
use crate::{
    domain::{Details, Kind, LeaveReason, LifeId, Mark, RoomId, Stamp, UserId},
    record::{PersonContent, PersonItem, Record},
};

#[derive(Debug, Serialize)]
pub(super) struct PersonData {
    provider: &'static str,
    app: String,
    user: String,
    as_of: u64,
    items: Vec<Item>,
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct Item {
    #[serde(flatten)]
    content: Content,
    expires_at: Option<u64>,
}

/// What an item says, by its `kind`.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Content {
    Seat {
        room: String,
        life: Option<String>,
        name: Option<String>,
        details: Details,
        marks: Vec<Event>,
    },
    OlderMarks {
        room: String,
        life: Option<String>,
        marks: Vec<Event>,
    },
    Device {
        device: String,
        session: Option<String>,
        online_at: Option<u64>,
        offline_at: Option<u64>,
        offline_reason: Option<String>,
        logged_out_at: Option<u64>,
        kicked_by_own_platform_at: Option<u64>,
        counted_month: Option<String>,
    },
    Month {
        month: String,
        login_at: Option<u64>,
    },
    Registration(Box<UserRegistration>),
}

/// What one event says: a mark, in words.
#[derive(Debug, Serialize)]
struct Event {
    event: &'static str,
    at: u64,
    /// When its session began; where sessions have no names, `at`.
    session_began_at: u64,
    session: Option<String>,
    sequence: u64,
    role: String,
    reason: Option<String>,
}

/// Where a page ended.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    #[serde(deserialize_with = "cursor::row")]
    after: String,
}

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListPage<'a> {
    pub(super) limit: usize,
    /// Where the page before this one ended.
    pub(super) next: Option<&'a str>,
}

impl Event {
    fn new(record: Record<'_>, mark: Mark) -> Self {
        Self {
            event: match mark.kind {
                Kind::Enter => "enter",
                Kind::Leave => "leave",
                Kind::Stay => "stay",
            },
            at: mark.at.0,
            session_began_at: mark.order.time.0,
            session: mark.order.session.map(|session| session.to_string()),
            sequence: mark.order.sequence,
            role: record.role_name(mark.role).into_owned(),
            reason: (mark.kind == Kind::Leave).then(|| mark.reason.to_string()),
        }
    }
}

fn events(record: Record<'_>, mut marks: Vec<Mark>) -> Vec<Event> {
    marks.sort();
    marks.into_iter().map(|mark| Event::new(record, mark)).collect()
}

fn place(room: &RoomId, life: Option<&LifeId>) -> (String, Option<String>) {
    (room.to_string(), life.map(ToString::to_string))
}

impl Content {
    fn new(record: Record<'_>, content: PersonContent) -> Self {
        let at = |stamp: Option<Stamp>| stamp.map(|stamp| stamp.at().0);
        match content {
            PersonContent::Seat { room, life, name, details, marks } => {
                let (room, life) = place(&room, life.as_ref());
                Self::Seat { room, life, name, details, marks: events(record, marks) }
            }
            PersonContent::OlderMarks { room, life, marks } => {
                let (room, life) = place(&room, life.as_ref());
                Self::OlderMarks { room, life, marks: events(record, marks) }
            }
            PersonContent::Device(device, month) => Self::Device {
                online_at: at(device.online),
                offline_at: at(device.offline),
                offline_reason: device
                    .offline
                    .map(Stamp::reason)
                    .as_ref()
                    .map(LeaveReason::to_string),
                logged_out_at: at(device.logged_out),
                kicked_by_own_platform_at: at(device.kicked_by_itself),
                counted_month: month.map(|month| month.to_string()),
                device: device.platform.to_string(),
                session: device.connection.map(|connection| connection.to_string()),
            },
            PersonContent::Month(month, login_at) => {
                Self::Month { month: month.to_string(), login_at: login_at.map(|at| at.0) }
            }
            PersonContent::Registration(registration) => {
                Self::Registration(Box::new(registration.into()))
            }
        }
    }
}

impl Item {
    fn new(record: Record<'_>, item: PersonItem) -> Self {
        let expires_at = item.expires_at.map(|at| at.0.saturating_mul(1000));
        Self { content: Content::new(record, item.content), expires_at }
    }
}

pub(super) async fn user(
    record: Record<'_>,
    user: &UserId,
    page: ListPage<'_>,
) -> Result<PersonData, QueryError> {
    let place = page.next.map(cursor::read::<Place>).transpose()?;
    let after = place.as_ref().map(|place| place.after.as_str());
    let mut found = record.everything_about(user, after, page.limit);
    let mut rows = Rows::new(page.limit);
    let (mut last, mut next) = (None, None);
    while let Some(item) = found.try_next().await? {
        let place = item.place.clone();
        if rows.add(Item::new(record, item)).is_break() {
            next = last.and_then(|after| cursor::write(&Place { after }));
            break;
        }
        last = Some(place);
    }
    let items = rows.into_vec();
    if items.is_empty() && after.is_none() {
        return Err(QueryError::Unknown("user"));
    }
    Ok(PersonData {
        provider: record.app().provider.as_str(),
        app: record.app().id.to_string(),
        user: user.to_string(),
        as_of: record.now().0,
        items,
        next,
    })
}

/// A person who was erased.
#[derive(Debug, Serialize)]
struct Erasure {
    hash: String,
    at: u64,
    items: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct ErasureList {
    erasures: Vec<Erasure>,
    next: Option<String>,
}

pub(super) async fn erasures(
    record: Record<'_>,
    page: ListPage<'_>,
) -> Result<ErasureList, QueryError> {
    let place = page.next.map(cursor::read::<Place>).transpose()?;
    let after = place.as_ref().map(|place| place.after.as_str());
    let mut found = record.erasures(after);
    let mut rows = Rows::new(page.limit);
    let (mut last, mut next) = (None, None);
    while let Some(erasure) = found.try_next().await? {
        let hash = erasure.hash;
        let row = Erasure { hash: hash.clone(), at: erasure.at.0, items: erasure.items };
        if rows.add(row).is_break() {
            next = last.and_then(|after| cursor::write(&Place { after }));
            break;
        }
        last = Some(hash);
    }
    Ok(ErasureList { erasures: rows.into_vec(), next })
}

#[cfg(any(test, fuzzing))]
pub(super) fn fuzz_cursor(data: &[u8]) {
    cursor::fuzz::<Place>(data);
}
