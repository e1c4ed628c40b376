//! What a pass does with one item.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};

use super::super::{
    super::{
        StoreError,
        erasures::{ErasedAt, is_leave_of_nameless},
        item::{
            self, COUNTED_MONTH, EXPIRES_AT, Item, KICKED_STAMP, LOGIN_AT, LOGOUT_STAMP, MARKS,
            MOVED_TO, NEWEST, OFFLINE_STAMP, ONLINE_STAMP, PROFILE_CHANGED_AT, SEEN_IN,
            SEEN_OFFLINE, SEEN_ONLINE, SEEN_OUT, SESSIONS,
        },
        keys,
        read::{PersonKind, month_counted_at},
        table::{INDEX_PK, INDEX_SK, PK, SK},
    },
    registration::EARLIEST,
    update::{Deletion, Update},
};
use super::Pass;
use crate::domain::{Mark, Month, SeatSeen, Seen, SessionId, SessionMark, Stamp, UnixMillis};

const REGISTERS: [&str; 4] = [ONLINE_STAMP, OFFLINE_STAMP, LOGOUT_STAMP, KICKED_STAMP];

const SEEN: [&str; 2] = [SEEN_ONLINE, SEEN_OFFLINE];

const ALL_REGISTERS: [&str; 6] =
    [ONLINE_STAMP, OFFLINE_STAMP, LOGOUT_STAMP, KICKED_STAMP, SEEN_ONLINE, SEEN_OFFLINE];

/// For how long after an end its beginning may still come. While DynamoDB is down, a beginning
/// waits in the spill queue, and an end that came a moment later may be stored before it.
pub(super) const BEGINNING_MAY_COME: Duration = Duration::from_hours(24);

/// What has to be done with an item.
pub(super) enum Step {
    Keep,
    Delete(Deletion),
    Update(Update),
    /// Puts an item in its place, if these attributes are unchanged.
    Replace(Item, &'static [&'static str]),
}

/// A step, and whether it leaves an end whose beginning may still come.
pub(super) struct Plan {
    pub(super) step: Step,
    pub(super) is_waiting: bool,
}

impl From<Step> for Plan {
    fn from(step: Step) -> Self {
        Self { step, is_waiting: false }
    }
}

/// Which pass it is, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct PassAt<'a> {
    pub(super) pass: Pass,
    pub(super) now: UnixMillis,
    /// The logins of sessions since the erasure.
    pub(super) since: &'a LoginsSince,
}

/// The logins of a person's sessions since the erasure, on whatever items they lie.
#[derive(Debug, Default)]
pub(super) struct LoginsSince {
    /// The sessions that they began.
    sessions: BTreeSet<SessionId>,
    /// Those that were reported.
    logins: Vec<UnixMillis>,
}

impl LoginsSince {
    /// The logins on these items.
    pub(super) fn of(items: &[Item], erased: ErasedAt) -> Result<Self, StoreError> {
        let mut since = Self::default();
        for item in items {
            since.add(&item::sessions(item)?, erased);
        }
        Ok(since)
    }

    fn add(&mut self, marks: &[SessionMark], erased: ErasedAt) {
        for mark in marks.iter().filter(|mark| mark.is_login() && !erased.covers(mark.at)) {
            self.sessions.insert(mark.session.clone());
            if mark.is_reported_login() {
                self.logins.push(mark.at);
            }
        }
    }
}

impl PassAt<'_> {
    /// Whether an end of that time is left, though it has no beginning.
    fn leaves_end_of(self, at: UnixMillis) -> bool {
        self.pass == Pass::First || at.after(BEGINNING_MAY_COME) > self.now
    }
}

/// The time of what is newest in an item.
pub(super) fn newest_time(item: &Item) -> Result<UnixMillis, StoreError> {
    let of_marks = |marks: Vec<Mark>| marks.into_iter().map(|mark| mark.order.time).max();
    let newest = match PersonKind::of(item)? {
        PersonKind::Seat => {
            let seen = item::seat_seen(item)?.iter().map(|seen| seen.age()).max();
            of_marks(item::marks(item)?).max(seen)
        }
        PersonKind::Moved => of_marks(item::marks(item)?),
        PersonKind::Device => {
            let seen = newest_seen(item)?;
            newest_stamp(item)?.map(Stamp::at).max(seen)
        }
        PersonKind::Sessions => item::sessions(item)?.into_iter().map(|mark| mark.at).max(),
        PersonKind::Month => Some(month_counted_at(item)?),
        PersonKind::Registration => {
            let registered_at =
                item::is_registered(item).then(|| item::registered_at(item)).transpose()?;
            registered_at.max(item::millis(item, PROFILE_CHANGED_AT)?)
        }
    };
    Ok(newest.unwrap_or(UnixMillis(0)))
}

fn newest_stamp(item: &Item) -> Result<Option<Stamp>, StoreError> {
    let mut newest = None;
    for register in REGISTERS {
        newest = newest.max(item::stamp(item, register)?);
    }
    Ok(newest)
}

/// When the provider last said something of a device.
fn newest_seen(item: &Item) -> Result<Option<UnixMillis>, StoreError> {
    Ok(item::millis(item, SEEN_ONLINE)?.max(item::millis(item, SEEN_OFFLINE)?))
}

/// Whether it is a device that was online since, or holds such sessions, and its user counts because
/// of some login.
pub(super) fn is_returned(
    item: &Item,
    pass: PassAt<'_>,
    erased: ErasedAt,
) -> Result<bool, StoreError> {
    Ok(item.contains_key(COUNTED_MONTH) && !logins_since(item, pass.since, erased)?.is_empty())
}

/// The logins since the erasure that a device has, or the sessions of the person: the earliest one of
/// each month.
pub(super) fn logins_since(
    item: &Item,
    since: &LoginsSince,
    erased: ErasedAt,
) -> Result<BTreeMap<Month, UnixMillis>, StoreError> {
    let mut logins = Vec::new();
    if PersonKind::of(item)? == PersonKind::Sessions {
        let mut own = LoginsSince::default();
        own.add(&item::sessions(item)?, erased);
        logins.extend(own.logins.into_iter().chain(since.logins.iter().copied()));
    } else if let Some(online) = item::stamp(item, ONLINE_STAMP)? {
        logins.extend(Some(online.at()).filter(|at| !erased.covers(*at)));
    }
    logins.sort_unstable_by_key(|login| std::cmp::Reverse(*login));
    Ok(logins.into_iter().map(|login| (Month::from(login), login)).collect())
}

/// What has to be done with an item.
pub(super) fn plan(item: &Item, pass: PassAt<'_>, erased: ErasedAt) -> Result<Plan, StoreError> {
    match PersonKind::of(item)? {
        PersonKind::Seat => seat(item, pass, erased),
        PersonKind::Moved => Ok(moved(item, erased)?.into()),
        PersonKind::Device => device(item, pass, erased),
        PersonKind::Sessions => sessions(item, pass, erased),
        PersonKind::Month => {
            let is_old = erased.covers(month_counted_at(item)?);
            Ok(delete_if(is_old, item, &[EXPIRES_AT, LOGIN_AT])?.into())
        }
        PersonKind::Registration => Ok(registration(item, erased)?.into()),
    }
}

/// What decides whether a registration was erased, and what became of its profile.
const OF_REGISTRATION: &[&str] = &[EARLIEST, PROFILE_CHANGED_AT];

/// A registration and a change of the profile lie on one item, and either may be older than the
/// erasure.
fn registration(item: &Item, erased: ErasedAt) -> Result<Step, StoreError> {
    let registered_at = item::is_registered(item).then(|| item::registered_at(item)).transpose()?;
    let changed_at = item::millis(item, PROFILE_CHANGED_AT)?;
    let is_left = |at: Option<UnixMillis>| at.is_some_and(|at| !erased.covers(at));
    Ok(match (is_left(registered_at), is_left(changed_at)) {
        (false, false) => Step::Delete(Deletion::of(item, OF_REGISTRATION)?),
        (true, false) if changed_at.is_some() => {
            let update = update_of(item)?.set_or_remove(PROFILE_CHANGED_AT, None);
            Step::Update(update.only_if_as_read(item, OF_REGISTRATION))
        }
        (false, true) if registered_at.is_some() => {
            Step::Replace(only_change(item)?, OF_REGISTRATION)
        }
        _ => Step::Keep,
    })
}

/// The item of somebody whose registration was erased, and whose profile changed since.
fn only_change(item: &Item) -> Result<Item, StoreError> {
    let kept = [PK, SK, PROFILE_CHANGED_AT];
    let kept = kept.into_iter().filter_map(|name| Some((name, item.get(name)?.clone())));
    let Some((app, keys::Owner::User(user))) = keys::parse_partition(item::text(item, PK)?)? else {
        return Err(StoreError::Item("it is not in the partition of a person"));
    };
    let place = [
        (INDEX_PK, item::string(keys::unregistered(&app))),
        (INDEX_SK, item::string(keys::unregistered_row(&user))),
    ];
    Ok(item::of(kept.chain(place)))
}

fn delete_if(is_old: bool, item: &Item, unchanged: &[&str]) -> Result<Step, StoreError> {
    if is_old { Ok(Step::Delete(Deletion::of(item, unchanged)?)) } else { Ok(Step::Keep) }
}

fn seat(item: &Item, pass: PassAt<'_>, erased: ErasedAt) -> Result<Plan, StoreError> {
    let seen = item::seat_seen(item)?;
    if !item.contains_key(NEWEST) {
        return Ok(only_seen(item, seen, erased)?.into());
    }
    // The newest mark is the one that goes last: all others are as old.
    if erased.covers_mark(&item::newest(item)?) {
        return Ok(Step::Delete(Deletion::of(item, &[NEWEST])?).into());
    }
    let is_gone_old = seen.gone.is_some_and(|gone| erased.covers(gone.age()));
    let (mut old, mut left): (Vec<Mark>, Vec<Mark>) =
        item::marks(item)?.into_iter().partition(|mark| erased.covers_mark(mark));
    let moved_to = item::moved_to(item)?;
    let is_moved_to_old = moved_to.as_ref().is_some_and(|mark| erased.covers_mark(mark));
    let mut is_waiting = false;
    if moved_to.is_none() || is_moved_to_old {
        // The leaves that do not name their session, and whose enter has not come.
        left.sort_unstable();
        let began = left.iter().position(|mark| !is_leave_of_nameless(mark));
        let alone = &left[..began.unwrap_or(left.len())];
        let given_up = alone.partition_point(|mark| !pass.leaves_end_of(mark.order.time));
        is_waiting = given_up < alone.len();
        if given_up == left.len() {
            return Ok(Step::Delete(Deletion::of(item, &[NEWEST, MARKS])?).into());
        }
        old.extend(left.drain(..given_up));
    }
    let update = update_of(item)?;
    let step = match (is_moved_to_old, old.is_empty()) {
        _ if is_gone_old => {
            let mut update = update.set_or_remove(SEEN_OUT, None);
            if !old.is_empty() {
                update = update.delete(MARKS, mark_set(&old));
            }
            if is_moved_to_old {
                update = update.set_or_remove(MOVED_TO, None);
            }
            Step::Update(update.only_if_as_read(item, &[SEEN_OUT, MOVED_TO]))
        }
        (false, true) => Step::Keep,
        (false, false) => {
            let update = update.delete(MARKS, mark_set(&old));
            Step::Update(update.only_if(format!("attribute_exists({NEWEST})")))
        }
        (true, is_empty) => {
            let update = if is_empty { update } else { update.delete(MARKS, mark_set(&old)) };
            let update = update.set_or_remove(MOVED_TO, None);
            Step::Update(update.only_if_unchanged(item, &[MOVED_TO]))
        }
    };
    Ok(Plan { step, is_waiting })
}

/// A seat on which nothing but observations is.
fn only_seen(item: &Item, seen: SeatSeen, erased: ErasedAt) -> Result<Step, StoreError> {
    let covers = |seen: Option<Seen>| seen.is_some_and(|seen| erased.covers(seen.age()));
    if seen.came.is_none() || covers(seen.came) {
        return Ok(Step::Delete(Deletion::of(item, &[SEEN_IN, SEEN_OUT])?));
    }
    if !covers(seen.gone) {
        return Ok(Step::Keep);
    }
    let update = update_of(item)?.set_or_remove(SEEN_OUT, None);
    Ok(Step::Update(update.only_if_as_read(item, &[SEEN_OUT])))
}

fn moved(item: &Item, erased: ErasedAt) -> Result<Step, StoreError> {
    let (old, left): (Vec<Mark>, Vec<Mark>) =
        item::marks(item)?.into_iter().partition(|mark| erased.covers_mark(mark));
    if left.is_empty() {
        return Ok(Step::Delete(Deletion::of(item, &[MARKS])?));
    }
    if old.is_empty() {
        return Ok(Step::Keep);
    }
    let update = update_of(item)?.delete(MARKS, mark_set(&old));
    Ok(Step::Update(update.only_if(format!("attribute_exists({MARKS})"))))
}

fn device(item: &Item, pass: PassAt<'_>, erased: ErasedAt) -> Result<Plan, StoreError> {
    let newer = |stamp: Option<Stamp>| stamp.map(Stamp::at).filter(|at| !erased.covers(*at));
    let seen = item::millis(item, SEEN_ONLINE)?.filter(|at| !erased.covers(*at));
    let was_online = newer(item::stamp(item, ONLINE_STAMP)?).is_some() || seen.is_some();
    let is_end_left = newer(newest_stamp(item)?).is_some_and(|at| pass.leaves_end_of(at));
    if !was_online && !is_end_left {
        return Ok(Step::Delete(Deletion::of(item, &ALL_REGISTERS)?).into());
    }
    let step = if has_old_registers(item, erased)? {
        Step::Update(shortened_device(item, erased)?)
    } else {
        Step::Keep
    };
    Ok(Plan { step, is_waiting: !was_online })
}

fn sessions(item: &Item, pass: PassAt<'_>, erased: ErasedAt) -> Result<Plan, StoreError> {
    let marks = item::sessions(item)?;
    let mut online = LoginsSince::default();
    online.add(&marks, erased);
    let is_online =
        |session| online.sessions.contains(session) || pass.since.sessions.contains(session);
    // The sessions that an older login began: their ends are as old.
    let is_old_login = |mark: &&SessionMark| mark.is_login() && erased.covers(mark.at);
    let began: BTreeSet<&SessionId> =
        marks.iter().filter(is_old_login).map(|mark| &mark.session).collect();
    let (mut old, mut is_waiting) = (Vec::new(), false);
    for mark in &marks {
        let is_alone = !is_online(&mark.session);
        if erased.covers(mark.at)
            || is_alone && (began.contains(&mark.session) || !pass.leaves_end_of(mark.at))
        {
            old.push(mark);
        } else {
            is_waiting |= is_alone;
        }
    }
    let step = if old.len() == marks.len() {
        Step::Delete(Deletion::of(item, &[SESSIONS])?)
    } else if old.is_empty() && !item.contains_key(COUNTED_MONTH) {
        Step::Keep
    } else {
        Step::Update(without_sessions(item, &old)?)
    };
    Ok(Plan { step, is_waiting })
}

/// Sessions without these marks, and without the flags of a login that may be old.
fn without_sessions(item: &Item, old: &[&SessionMark]) -> Result<Update, StoreError> {
    let mut update =
        update_of(item)?.set_or_remove(COUNTED_MONTH, None).set_or_remove(LOGIN_AT, None);
    if !old.is_empty() {
        update = update.delete(SESSIONS, item::session_set(old.iter().copied()));
    }
    Ok(update.only_if_as_read(item, &[SESSIONS, COUNTED_MONTH, LOGIN_AT]))
}

/// A device, or sessions, without what is old.
pub(super) fn shortened(item: &Item, erased: ErasedAt) -> Result<Update, StoreError> {
    if PersonKind::of(item)? != PersonKind::Sessions {
        return shortened_device(item, erased);
    }
    let marks = item::sessions(item)?;
    let old: Vec<&SessionMark> = marks.iter().filter(|mark| erased.covers(mark.at)).collect();
    without_sessions(item, &old)
}

/// Whether a device has a register that is old, or a session a mark.
pub(super) fn has_old_registers(item: &Item, erased: ErasedAt) -> Result<bool, StoreError> {
    if item::sessions(item)?.iter().any(|mark| erased.covers(mark.at)) {
        return Ok(true);
    }
    for register in REGISTERS {
        if item::stamp(item, register)?.is_some_and(|stamp| erased.covers(stamp.at())) {
            return Ok(true);
        }
    }
    for seen in SEEN {
        if item::millis(item, seen)?.is_some_and(|at| erased.covers(at)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A device without the registers that are old, and without the month of a login that may be old.
fn shortened_device(item: &Item, erased: ErasedAt) -> Result<Update, StoreError> {
    let mut update = update_of(item)?.set_or_remove(COUNTED_MONTH, None);
    for register in REGISTERS {
        let stamp = item::stamp(item, register)?;
        if stamp.is_some_and(|stamp| erased.covers(stamp.at())) {
            update = update.set_or_remove(register, None);
        }
    }
    for seen in SEEN {
        if item::millis(item, seen)?.is_some_and(|at| erased.covers(at)) {
            update = update.set_or_remove(seen, None);
        }
    }
    Ok(update.only_if_unchanged(item, &ALL_REGISTERS))
}

fn update_of(item: &Item) -> Result<Update, StoreError> {
    Ok(Update::of(item::text(item, PK)?.to_owned(), item::text(item, SK)?))
}

fn mark_set(marks: &[Mark]) -> AttributeValue {
    item::mark_set(marks.iter().map(|mark| Blob::new(mark.to_bytes())).collect())
}
