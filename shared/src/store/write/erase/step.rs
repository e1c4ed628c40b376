//! What a pass does with one item.

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};

use super::super::{
    super::{
        StoreError,
        erasures::{ErasedAt, is_leave_of_nameless},
        item::{
            self, COUNTED_MONTH, EXPIRES_AT, Item, KICKED_STAMP, LOGIN_AT, LOGOUT_STAMP, MARKS,
            MOVED_TO, NEWEST, OFFLINE_STAMP, ONLINE_STAMP,
        },
        read::{PersonKind, month_counted_at},
        table::{PK, SK},
    },
    registration::EARLIEST,
    update::{Deletion, Update},
};
use super::Pass;
use crate::domain::{Mark, Stamp, UnixMillis};

const REGISTERS: [&str; 4] = [ONLINE_STAMP, OFFLINE_STAMP, LOGOUT_STAMP, KICKED_STAMP];

/// What has to be done with an item.
pub(super) enum Step {
    Keep,
    Delete(Deletion),
    Update(Update),
}

/// The time of what is newest in an item.
pub(super) fn newest_time(item: &Item) -> Result<UnixMillis, StoreError> {
    let of_marks = |marks: Vec<Mark>| marks.into_iter().map(|mark| mark.order.time).max();
    let newest = match PersonKind::of(item)? {
        PersonKind::Seat | PersonKind::Moved => of_marks(item::marks(item)?),
        PersonKind::Device => newest_stamp(item)?.map(Stamp::at),
        PersonKind::Month => Some(month_counted_at(item)?),
        PersonKind::Registration => Some(item::registered_at(item)?),
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

/// Whether it is a device that was online since, whose user counts because of some login.
pub(super) fn is_returned(item: &Item, erased: ErasedAt) -> Result<bool, StoreError> {
    let online = item::stamp(item, ONLINE_STAMP)?;
    let is_newer = online.is_some_and(|online| !erased.covers(online.at()));
    Ok(is_newer && item.contains_key(COUNTED_MONTH))
}

/// What has to be done with an item.
pub(super) fn step(item: &Item, pass: Pass, erased: ErasedAt) -> Result<Step, StoreError> {
    match PersonKind::of(item)? {
        PersonKind::Seat => seat(item, pass, erased),
        PersonKind::Moved => moved(item, erased),
        PersonKind::Device => device(item, pass, erased),
        PersonKind::Month => {
            let is_old = erased.covers(month_counted_at(item)?);
            delete_if(is_old, item, &[EXPIRES_AT, LOGIN_AT])
        }
        PersonKind::Registration => {
            let at = item::registered_at(item)?;
            delete_if(erased.covers(at), item, &[EARLIEST])
        }
    }
}

fn delete_if(is_old: bool, item: &Item, unchanged: &[&str]) -> Result<Step, StoreError> {
    if is_old { Ok(Step::Delete(Deletion::of(item, unchanged)?)) } else { Ok(Step::Keep) }
}

fn seat(item: &Item, pass: Pass, erased: ErasedAt) -> Result<Step, StoreError> {
    // The newest mark is the one that goes last: all others are as old.
    if erased.covers_mark(&item::newest(item)?) {
        return Ok(Step::Delete(Deletion::of(item, &[NEWEST])?));
    }
    let (old, mut left): (Vec<Mark>, Vec<Mark>) =
        item::marks(item)?.into_iter().partition(|mark| erased.covers_mark(mark));
    let mut old = old;
    let moved_to = item::moved_to(item)?;
    let is_moved_to_old = moved_to.as_ref().is_some_and(|mark| erased.covers_mark(mark));
    if pass == Pass::Second && (moved_to.is_none() || is_moved_to_old) {
        // A leave that does not name its session, and whose enter would have come by now.
        left.sort_unstable();
        let began = left.iter().position(|mark| !is_leave_of_nameless(mark));
        let Some(began) = began else {
            return Ok(Step::Delete(Deletion::of(item, &[NEWEST, MARKS])?));
        };
        old.extend(left.drain(..began));
    }
    let update = update_of(item)?;
    match (is_moved_to_old, old.is_empty()) {
        (false, true) => Ok(Step::Keep),
        (false, false) => {
            let update = update.delete(MARKS, mark_set(&old));
            Ok(Step::Update(update.only_if(format!("attribute_exists({NEWEST})"))))
        }
        (true, is_empty) => {
            let update = if is_empty { update } else { update.delete(MARKS, mark_set(&old)) };
            Ok(Step::Update(
                update.set_or_remove(MOVED_TO, None).only_if_unchanged(item, &[MOVED_TO]),
            ))
        }
    }
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

fn device(item: &Item, pass: Pass, erased: ErasedAt) -> Result<Step, StoreError> {
    let is_newer = |stamp: Option<Stamp>| stamp.is_some_and(|stamp| !erased.covers(stamp.at()));
    let stays = match pass {
        Pass::First => is_newer(newest_stamp(item)?),
        Pass::Second => is_newer(item::stamp(item, ONLINE_STAMP)?),
    };
    if !stays {
        return Ok(Step::Delete(Deletion::of(item, &REGISTERS)?));
    }
    if has_old_registers(item, erased)? {
        return Ok(Step::Update(shortened_device(item, erased)?));
    }
    Ok(Step::Keep)
}

/// Whether a device has a register that is old.
pub(super) fn has_old_registers(item: &Item, erased: ErasedAt) -> Result<bool, StoreError> {
    for register in REGISTERS {
        if item::stamp(item, register)?.is_some_and(|stamp| erased.covers(stamp.at())) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A device without the registers that are old, and without the month of a login that may be old.
pub(super) fn shortened_device(item: &Item, erased: ErasedAt) -> Result<Update, StoreError> {
    let mut update = update_of(item)?.set_or_remove(COUNTED_MONTH, None);
    for register in REGISTERS {
        let stamp = item::stamp(item, register)?;
        if stamp.is_some_and(|stamp| erased.covers(stamp.at())) {
            update = update.set_or_remove(register, None);
        }
    }
    Ok(update.only_if_unchanged(item, &REGISTERS))
}

fn update_of(item: &Item) -> Result<Update, StoreError> {
    Ok(Update::of(item::text(item, PK)?.to_owned(), item::text(item, SK)?))
}

fn mark_set(marks: &[Mark]) -> AttributeValue {
    item::mark_set(marks.iter().map(|mark| Blob::new(mark.to_bytes())).collect())
}
