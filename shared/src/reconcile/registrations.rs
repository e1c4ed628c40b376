//! Registrations whose callbacks were lost: the provider's list of users is compared with the record.

use std::num::NonZeroU32;

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use super::{
    LEASE, Reconcile, ReconcileError, Writing,
    ask::{Api, DeviceApi},
    clock::Clock,
    profiles::{self, AllDue, Due, Profiles},
};
use crate::{
    domain::{App, Change, Outcome, Registration, RegistrationSource, UnixMillis, UserId},
    providers::openim::api::Page,
    record::{Account, Record},
    server_api::OpenImApi,
};

/// How many users a page of the provider's list has.
const PAGE: u32 = 200;

/// How many users are looked up at the same time.
const CONCURRENT_USERS: usize = 16;

/// How much of a request's time a page may take, in parts of it: no page begins in the last one.
const LAST_PART: u32 = 5;

/// Which registrations are compared, and from which page of the provider's list on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first time; `None` for the earliest.
    pub from: Option<UnixMillis>,
    /// The last time; `None` for the latest.
    pub to: Option<UnixMillis>,
    /// The page; `None` for the first.
    pub page: Option<NonZeroU32>,
    /// Whether those that are missing are stored.
    pub writing: Writing,
}

/// What was found of registrations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ReconciledRegistrations"))]
pub(super) struct Registrations {
    /// When the provider was asked.
    checked_at: UnixMillis,
    /// How many users of the provider's list were looked up.
    users: u64,
    /// How many of them are registered at a time that is asked about, and are not in the records.
    missing: u64,
    /// How many of these were stored. 0 in a dry run.
    recorded: u64,
    /// The profiles of others of them that had changed.
    profiles: Profiles,
    /// Where the next request begins: `?next=...`; null if the list is done.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    next: Option<String>,
}

impl Reconcile {
    /// Looks up the users of the provider's list, page by page, until it ends or the time is over. Those
    /// who are missing are recorded as the provider has stored them.
    ///
    /// The list has no order that lasts: a user may move between pages meanwhile. A second request over
    /// all pages finds the rest.
    pub(super) async fn registrations(
        &self,
        app: &App,
        window: &Window,
        request_id: &str,
        now: UnixMillis,
        deadline: Instant,
    ) -> Result<Registrations, ReconcileError> {
        let clock = Clock::at(now);
        let Api::Devices(DeviceApi::OpenIm(api)) = Api::of(&self.apis, app).await? else {
            return Err(ReconcileError::NothingToAsk);
        };
        let mut lease = self.lease(app, request_id, clock, deadline).await?;
        let last_page_begins =
            Instant::now() + (deadline - Instant::now()) * (LAST_PART - 1) / LAST_PART;
        let mut found = Registrations {
            checked_at: now,
            users: 0,
            missing: 0,
            recorded: 0,
            profiles: Profiles::default(),
            next: None,
        };
        let mut page = window.page.map_or(1, NonZeroU32::get);
        let done = loop {
            let paging = self.registrations_page(&api, app, window, page, clock, &mut found);
            match timeout_at(deadline, paging).await {
                Ok(Ok(IsLast::Yes)) => break Ok(()),
                Ok(Ok(IsLast::No)) => page = page.saturating_add(1),
                Ok(Err(error)) => break Err(error),
                Err(_) => break Err(ReconcileError::OutOfTime),
            }
            if Instant::now() >= last_page_begins {
                found.next = Some(page.to_string());
                break Ok(());
            }
            let now = clock.now();
            if !self.passes.keep(&mut lease, None, now.after(LEASE)).await? {
                break Err(ReconcileError::LeaseLost);
            }
        };
        self.passes.keep(&mut lease, None, clock.now()).await?;
        done.map(|()| found)
    }

    async fn registrations_page(
        &self,
        api: &OpenImApi,
        app: &App,
        window: &Window,
        page: u32,
        clock: Clock,
        found: &mut Registrations,
    ) -> Result<IsLast, ReconcileError> {
        let listed = api.all_users_uid(Page { number: page, size: PAGE }).await?;
        let view = self.records.at(app, clock.now()).await?;
        let record = view.record();
        let users = count(listed.users.len());
        let rows = users + count(listed.unreadable);
        found.users += users;
        let looked_up = stream::iter(listed.users)
            .map(async |user| {
                let account = record.account(&user).await?;
                Ok::<_, ReconcileError>((user, account))
            })
            .buffered(CONCURRENT_USERS)
            .try_collect::<Vec<(UserId, Option<Account>)>>()
            .await?;
        let (mut unknown, mut due) = (Vec::new(), AllDue::new());
        for (user, account) in looked_up {
            let why = Due::of(account.as_ref());
            match (&account, why) {
                (Some(Account::Registered(known)), Some(why)) => {
                    if window.has(&known.registration) {
                        due.insert(user, why);
                    }
                }
                (Some(Account::Registered(_)), None) => {}
                (Some(Account::Changed(_)) | None, _) => unknown.push(user),
            }
        }
        let changed = profiles::ask(api, due).await?;
        let changed = self.store_profiles(app, record, changed, window.writing, clock).await?;
        found.profiles.add_all(changed);
        if !unknown.is_empty() {
            let profiles = api.users_info(&unknown, RegistrationSource::Reconciled).await?;
            let missing: Vec<Registration> = profiles
                .into_iter()
                .filter(|registration| window.has(registration) && !is_erased(record, registration))
                .collect();
            found.missing += count(missing.len());
            if window.writing == Writing::Stored {
                found.recorded += self.record_all(missing, clock).await?;
            }
        }
        Ok(if rows < u64::from(PAGE) { IsLast::Yes } else { IsLast::No })
    }

    async fn record_all(
        &self,
        missing: Vec<Registration>,
        clock: Clock,
    ) -> Result<u64, ReconcileError> {
        let recording = stream::iter(missing.into_iter().map(Change::Registration))
            .map(async |change| self.writer.apply(&change, clock.now()).await)
            .buffer_unordered(CONCURRENT_USERS);
        let outcomes: Vec<Outcome> = recording.try_collect().await?;
        Ok(count(outcomes.iter().filter(|outcome| **outcome == Outcome::Applied).count()))
    }
}

/// Whether a page is the last one of a list.
enum IsLast {
    Yes,
    No,
}

impl Window {
    fn has(&self, registration: &Registration) -> bool {
        let at = registration.registered_at();
        self.from.is_none_or(|from| from <= at) && self.to.is_none_or(|to| at <= to)
    }
}

/// Whether somebody asked to be forgotten, whatever the provider still has.
fn is_erased(record: Record<'_>, registration: &Registration) -> bool {
    record.is_erased(registration)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
