//! Everything that is stored about a person: their partition of the table, item by item.

use std::{collections::BTreeSet, sync::Arc};

use aws_sdk_dynamodb::types::AttributeValue::M;
use futures::{Stream, StreamExt, TryStreamExt, stream::BoxStream};
use tokio::sync::OnceCell;

use super::{
    super::{
        StoreError,
        erasures::Complete,
        item::{self, COUNTED_MONTH, DETAILS, EXPIRES_AT, Item, LOGIN_AT},
        keys,
        table::{PK, SK},
    },
    Reader,
    device::{read_device, read_sessions},
    registration::Account,
    rows::{items, pages},
    seat::Seat,
};
use crate::domain::{
    App, Details, Device, LifeId, Mark, Month, Registered, RoomId, SessionId, Track, UnixMillis,
    UnixSeconds, UserId,
};

/// One of the items that are stored about a person.
#[derive(Debug, Clone)]
pub struct PersonItem {
    /// Its place among them: a list that begins after it continues there.
    pub place: String,
    /// When it may be deleted, unless something new is stored in it. A registration stays.
    pub expires_at: Option<UnixSeconds>,
    /// What it says.
    pub content: PersonContent,
}

/// What one of the items says.
#[derive(Debug, Clone)]
pub enum PersonContent {
    /// A seat in one life of a room, and what else the provider sent, by its own field names.
    Seat(Seat, Details),
    /// The marks of a seat that were moved from it.
    OlderMarks(RoomId, Option<LifeId>, Track, Vec<Mark>),
    /// A device, and the month that its newest login is counted for.
    Device(Device, Option<Month>),
    /// Sessions, each as a device, and the newest month that a login of theirs is counted for.
    Sessions(Vec<Device>, Option<Month>),
    /// A month in which they count as active, and the login by which they do.
    Month(Month, Option<UnixMillis>),
    /// Their registration, and what became of the profile.
    Registration(Registered),
    /// When their profile changed. Their registration never arrived.
    ProfileChange(UnixMillis),
}

/// The sessions of a person that are known. They are read once, when the first item of sessions
/// comes.
type KnownSessions = OnceCell<BTreeSet<Option<SessionId>>>;

/// The kinds of items in a person's partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum PersonKind {
    Seat,
    Moved,
    Device,
    Sessions,
    Month,
    Registration,
}

impl PersonKind {
    /// The kind of an item.
    pub(in super::super) fn of(item: &Item) -> Result<Self, StoreError> {
        let sk = item::text(item, SK)?;
        let kinds = [
            (keys::SEAT, Self::Seat),
            (keys::MOVED, Self::Moved),
            (keys::DEVICE, Self::Device),
            (keys::SESSIONS, Self::Sessions),
            (keys::MONTH, Self::Month),
        ];
        if sk == keys::REGISTRATION {
            return Ok(Self::Registration);
        }
        let kind = kinds.into_iter().find(|(prefix, _)| sk.starts_with(prefix));
        kind.map(|(_, kind)| kind)
            .ok_or(StoreError::Item("it is of no kind that is stored about a person"))
    }
}

impl Reader {
    /// Everything that is stored about a person, read consistently, beginning after a place.
    pub fn person<'a>(
        &'a self,
        app: &'a App,
        user: &'a UserId,
        after: Option<&str>,
        at_first: usize,
        now: UnixMillis,
    ) -> impl Stream<Item = Result<PersonItem, StoreError>> + Send + 'a {
        let query = match after.filter(|after| !after.is_empty()) {
            None => self.query_table().key_condition_expression(format!("{PK} = :pk")),
            Some(after) => self
                .query_table()
                .key_condition_expression(format!("{PK} = :pk AND {SK} > :after"))
                .expression_attribute_values(":after", item::string(after)),
        };
        let query = query.expression_attribute_values(":pk", item::string(keys::user(app, user)));
        let sessions = Arc::new(KnownSessions::new());
        items(query, Some(at_first), now).try_filter_map(move |item| {
            let sessions = sessions.clone();
            async move { self.person_item(app, user, &item, &sessions, now).await }
        })
    }

    /// The items of a person page by page, as they are stored, also those that have expired.
    pub(in super::super) fn person_pages(
        &self,
        app: &App,
        user: &UserId,
    ) -> BoxStream<'static, Result<Vec<Item>, StoreError>> {
        let query = self
            .query_table()
            .key_condition_expression(format!("{PK} = :pk"))
            .expression_attribute_values(":pk", item::string(keys::user(app, user)));
        pages(query, None).boxed()
    }

    async fn person_item(
        &self,
        app: &App,
        user: &UserId,
        item: &Item,
        known: &KnownSessions,
        now: UnixMillis,
    ) -> Result<Option<PersonItem>, StoreError> {
        let erased = self.erased.of(app, user);
        let sk = item::text(item, SK)?;
        let covers = |at| erased.is_some_and(|erased| erased.covers(at));
        let content = match PersonKind::of(item)? {
            PersonKind::Seat => {
                let details = read_details(item);
                self.read_seat(app, user, item)?.map(|seat| PersonContent::Seat(seat, details))
            }
            PersonKind::Moved => {
                let (room, life, track) = keys::parse_seat(sk)?;
                let marks = match erased {
                    Some(erased) => erased.left_of(item::marks(item)?, Complete::No),
                    None => item::marks(item)?,
                };
                (!marks.is_empty()).then_some(PersonContent::OlderMarks(room, life, track, marks))
            }
            PersonKind::Device => {
                let device = self.left_of_devices(app, vec![read_device(item)?], erased).pop();
                device.map(|device| PersonContent::Device(device, counted_month(item)))
            }
            PersonKind::Sessions => {
                let known = known.get_or_try_init(|| self.known_sessions(app, user, now)).await?;
                let sessions = self.sessions_item(app, user, item, known)?;
                let month = counted_month(item);
                (!sessions.is_empty()).then_some(PersonContent::Sessions(sessions, month))
            }
            PersonKind::Month => {
                let login_at = item::millis(item, LOGIN_AT)?;
                let is_erased = covers(month_counted_at(item)?);
                (!is_erased).then_some(PersonContent::Month(keys::parse_month(sk)?, login_at))
            }
            PersonKind::Registration => {
                self.read_account(app, user, item)?.map(|account| match account {
                    Account::Registered(registered) => PersonContent::Registration(registered),
                    Account::Changed(at) => PersonContent::ProfileChange(at),
                })
            }
        };
        let expires_at = item::optional_number(item, EXPIRES_AT).map(UnixSeconds);
        Ok(content.map(|content| PersonItem { place: sk.to_owned(), expires_at, content }))
    }

    /// The sessions that are known, by all items of sessions: the login of a session may lie on
    /// another item than its end.
    async fn known_sessions(
        &self,
        app: &App,
        user: &UserId,
        now: UnixMillis,
    ) -> Result<BTreeSet<Option<SessionId>>, StoreError> {
        let known = self.devices(app, user, now).await?;
        Ok(known.into_iter().map(|known| known.connection).collect())
    }

    /// What one item of sessions says of those that are known.
    fn sessions_item(
        &self,
        app: &App,
        user: &UserId,
        item: &Item,
        known: &BTreeSet<Option<SessionId>>,
    ) -> Result<Vec<Device>, StoreError> {
        let erased = self.erased.of(app, user);
        let mut sessions = read_sessions(std::slice::from_ref(item))?;
        sessions.retain(|session| known.contains(&session.connection));
        let left = sessions.into_iter().map(|session| match erased {
            Some(erased) => erased.newer_of_device(session),
            None => session,
        });
        let has_registers = |session: &Device| {
            session.has_events() || session.seen_online.or(session.seen_offline).is_some()
        };
        Ok(left.map(|session| self.counting(app, session)).filter(has_registers).collect())
    }
}

/// When the login was by which a user counts for a month. Items from before that was stored say
/// only when they expire, which is some time after the receipt of that login.
pub(in super::super) fn month_counted_at(item: &Item) -> Result<UnixMillis, StoreError> {
    if let Some(login_at) = item::millis(item, LOGIN_AT)? {
        return Ok(login_at);
    }
    let expires_at = item::optional_number(item, EXPIRES_AT).unwrap_or_default();
    Ok(UnixMillis(expires_at.saturating_mul(1000)).before(keys::MONTH_KEPT))
}

/// The newest month that a login of a device, or of a session, is counted for.
fn counted_month(item: &Item) -> Option<Month> {
    item::optional_text(item, COUNTED_MONTH)?.parse().ok()
}

fn read_details(item: &Item) -> Details {
    let Some(M(details)) = item.get(DETAILS) else { return Details::new() };
    details.iter().map(|(name, value)| (name.clone().into(), item::read_detail(value))).collect()
}
