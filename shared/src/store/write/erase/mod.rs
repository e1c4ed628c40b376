//! Erasing a person: what is stored about them is deleted, item by item.
//!
//! Each write has the condition that the item is unchanged since it was read. If it has changed,
//! it is read again. So nothing newer is lost, and a pass that ends half way can be repeated.
//!
//! A callback never sees an erasure. One that is late may store again what was erased, until a
//! later pass deletes that, too. An end without a beginning ends a visit from before the erasure,
//! or its beginning has not come yet: so it is left for a day. Where accounts register themselves, a late login may also keep a
//! new one from registering its user and from counting them for the month: the device says that
//! both are done. So when the device was online since the erasure, the pass does both again.

mod list;
mod step;

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use self::step::{
    BEGINNING_MAY_COME, LoginsSince, PassAt, Plan, Step, has_old_registers, is_returned,
    logins_since, newest_time, plan, shortened,
};
use super::{
    super::{
        StoreError,
        erasures::{ErasedAt, UserHash},
        item::{self, Item},
        read::{PersonKind, Reader},
        table::{PK, SK, TableName},
    },
    Writer,
    update::Written,
};
use crate::domain::{
    App, Details, MAX_EVENT_TIME_AHEAD, Registration, RegistrationSource, UnixMillis, UserId,
};

/// How many items are erased at the same time.
const CONCURRENT_ITEMS: usize = 16;

/// How often an item is read again that changes while it is erased.
const ATTEMPTS: usize = 10;

/// The table as erasures use it.
///
/// Its function may query the table, and get, put, update and delete items.
#[derive(Debug, Clone)]
pub struct Eraser {
    reader: Reader,
    writer: Writer,
}

/// A person who is erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The app.
    pub app: App,
    /// The user.
    pub user: UserId,
}

/// Which pass over a person's items it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// When the erasure is requested. Everything that is found is erased: if it is newer than the
    /// erasure by the provider's clock, the erasure is moved to that time.
    First,
    /// When all late callbacks have come. What is newer stays.
    Later,
}

/// What a pass did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// What is not newer than this was erased.
    pub at: UnixMillis,
    /// How many items were deleted or shortened.
    pub items: u64,
    /// Whether all items were looked at.
    pub end: PassEnd,
    /// Whether an end was left whose beginning may still come. If it does not, another pass has to
    /// delete the end.
    pub is_waiting: bool,
}

/// How a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassEnd {
    /// All items were looked at.
    Complete,
    /// The time was over before.
    OutOfTime,
}

/// A device that was online since the erasure, though an older login had registered its user; or
/// sessions of which that is true.
struct Returned {
    item: Item,
}

/// What became of an item.
enum Erased {
    Kept { is_waiting: bool },
    Gone { is_waiting: bool },
    Returned(Returned),
    OutOfTime,
}

impl Eraser {
    /// For how long after an end its beginning may still come. Until then, an end without a
    /// beginning is left, although no query returns it.
    pub const BEGINNING_MAY_COME: Duration = BEGINNING_MAY_COME;

    /// Erases in the table of that name, whose seats are kept for `retention`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<TableName>, retention: Duration) -> Self {
        let table: TableName = table.into();
        Self {
            reader: Reader::new(client.clone(), table.clone()),
            writer: Writer::new(client, table, retention),
        }
    }

    /// Opens the connection to the table, as [`Writer::warm_up`] does.
    pub async fn warm_up(&self, limit: Duration, now: UnixMillis) {
        self.writer.warm_up(limit, now).await;
    }

    /// Erases what is stored about a person and is not newer than `at`, until `deadline`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or an item cannot be read. What was erased by
    /// then stays erased.
    pub async fn pass(
        &self,
        person: &Person,
        hash: UserHash,
        pass: Pass,
        at: UnixMillis,
        now: UnixMillis,
        deadline: Instant,
    ) -> Result<Passed, StoreError> {
        let mut passed = Passed { at, items: 0, end: PassEnd::Complete, is_waiting: false };
        let nobody = LoginsSince::default();
        let this_pass = PassAt { pass, now, since: &nobody };
        let (mut devices, mut returned) = (Vec::new(), Vec::new());
        let mut pages = self.reader.person_pages(&person.app, &person.user);
        while passed.end == PassEnd::Complete
            && let Some(items) = pages.try_next().await?
        {
            if pass == Pass::First {
                passed.at = self.move_to(person, hash, passed.at, &items, now).await?;
            }
            let devices_or_sessions = [PersonKind::Device, PersonKind::Sessions];
            let is_device = |item: &Item| Ok(devices_or_sessions.contains(&PersonKind::of(item)?));
            let (of_page, others) = partition(items, is_device)?;
            devices.extend(of_page);
            self.erase_all(others, this_pass, deadline, &mut passed, &mut returned).await?;
        }
        // Devices come last: a login in between finds no old registration and no old month, or it
        // changes its device, which then is read again.
        let since = LoginsSince::of(&devices, ErasedAt(passed.at))?;
        let this_pass = PassAt { since: &since, ..this_pass };
        self.erase_all(devices, this_pass, deadline, &mut passed, &mut returned).await?;
        if passed.end == PassEnd::OutOfTime {
            return Ok(passed);
        }
        // Only now is what older logins had left gone.
        for device in returned {
            if Instant::now() >= deadline {
                return Ok(Passed { end: PassEnd::OutOfTime, ..passed });
            }
            passed.items +=
                u64::from(self.count_again(person, device, this_pass, passed.at).await?);
        }
        Ok(passed)
    }

    /// Erases some items, unless the time is over.
    async fn erase_all(
        &self,
        items: Vec<Item>,
        pass: PassAt<'_>,
        deadline: Instant,
        passed: &mut Passed,
        returned: &mut Vec<Returned>,
    ) -> Result<(), StoreError> {
        let erased_at = ErasedAt(passed.at);
        let erased = items.into_iter().map(|item| self.erase(item, pass, erased_at, deadline));
        let mut erased = stream::iter(erased).buffer_unordered(CONCURRENT_ITEMS);
        while let Some(erased) = erased.try_next().await? {
            match erased {
                Erased::Kept { is_waiting } => passed.is_waiting |= is_waiting,
                Erased::Gone { is_waiting } => {
                    passed.is_waiting |= is_waiting;
                    passed.items += 1;
                }
                Erased::Returned(device) => returned.push(device),
                Erased::OutOfTime => passed.end = PassEnd::OutOfTime,
            }
        }
        Ok(())
    }

    /// The time to which an erasure is moved because something of these items is newer: a
    /// provider's clock may be ahead of ours.
    async fn move_to(
        &self,
        person: &Person,
        hash: UserHash,
        at: UnixMillis,
        items: &[Item],
        now: UnixMillis,
    ) -> Result<UnixMillis, StoreError> {
        let mut newest = at;
        for item in items {
            newest = newest.max(newest_time(item)?);
        }
        let newest = newest.min(at.max(now.after(MAX_EVENT_TIME_AHEAD)));
        if newest == at {
            return Ok(at);
        }
        self.note(&person.app, hash, newest).await
    }

    /// Erases one item, or what of it is not newer.
    async fn erase(
        &self,
        mut item: Item,
        pass: PassAt<'_>,
        erased: ErasedAt,
        deadline: Instant,
    ) -> Result<Erased, StoreError> {
        for _ in 0..ATTEMPTS {
            if Instant::now() >= deadline {
                return Ok(Erased::OutOfTime);
            }
            if is_returned(&item, pass, erased)? {
                return Ok(Erased::Returned(Returned { item }));
            }
            let Plan { step, is_waiting } = plan(&item, pass, erased)?;
            let is_done = match step {
                Step::Keep => return Ok(Erased::Kept { is_waiting }),
                Step::Delete(deletion) => self.writer.table.delete(deletion).await?,
                Step::Update(update) => {
                    matches!(self.writer.table.update(update).await?, Written::Yes(_))
                }
                Step::Replace(new, unchanged) => {
                    let written = self.writer.table.replace(&item, new, unchanged).await?;
                    matches!(written, Written::Yes(_))
                }
            };
            if is_done {
                return Ok(Erased::Gone { is_waiting });
            }
            let Some(changed) = self.read_again(&item).await? else {
                return Ok(Erased::Kept { is_waiting: false });
            };
            item = changed;
        }
        Err(StoreError::Item("an item changed each time that it was erased"))
    }

    async fn read_again(&self, item: &Item) -> Result<Option<Item>, StoreError> {
        let [pk, sk] = [item::text(item, PK)?, item::text(item, SK)?];
        self.writer.table.item(pk.to_owned(), sk.to_owned()).await
    }

    /// Registers the person and counts them for the month, as of the logins that the device has, or
    /// the sessions, and removes from the item what is older. Returns whether there was anything to
    /// remove.
    async fn count_again(
        &self,
        person: &Person,
        Returned { mut item }: Returned,
        pass: PassAt<'_>,
        at: UnixMillis,
    ) -> Result<bool, StoreError> {
        let Person { app, user } = person;
        let (erased, now) = (ErasedAt(at), pass.now);
        for _ in 0..ATTEMPTS {
            let logins = logins_since(&item, pass.since, erased)?;
            let Some(first) = logins.values().min() else { return Ok(false) };
            self.writer.register(&first_login(app, user, *first, now)).await?;
            for login in logins.values() {
                self.writer.count_for_month(app, user, *login, now).await?;
            }
            let update = shortened(&item, erased)?;
            if let Written::Yes(_) = self.writer.table.update(update).await? {
                return has_old_registers(&item, erased);
            }
            let Some(changed) = self.read_again(&item).await? else { return Ok(false) };
            item = changed;
        }
        Err(StoreError::Item("a device changed each time that it was erased"))
    }
}

/// The items for which something is true, and the others.
fn partition(
    items: Vec<Item>,
    is_first: impl Fn(&Item) -> Result<bool, StoreError>,
) -> Result<(Vec<Item>, Vec<Item>), StoreError> {
    let (mut first, mut others) = (Vec::new(), Vec::new());
    for item in items {
        if is_first(&item)? { first.push(item) } else { others.push(item) }
    }
    Ok((first, others))
}

fn first_login(app: &App, user: &UserId, at: UnixMillis, received_at: UnixMillis) -> Registration {
    Registration {
        app: app.clone(),
        user: user.clone(),
        source: RegistrationSource::FirstLogin,
        create_time: Some(at),
        recorded_at: received_at,
        name: None,
        details: Details::new(),
    }
}
