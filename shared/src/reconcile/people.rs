//! A pass over people: the provider is asked on which devices they are online, and what differs is
//! stored.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    Found, Reconcile, ReconcileError, RoomPassed, Writing,
    ask::{self, DeviceApi},
    brake::CONFIRMED_AFTER,
    clock::Clock,
    profiles::{AllDue, Due},
    run::AppPass,
};
use crate::{
    domain::{
        App, DeviceName, DeviceSays, DeviceSeen, Outcome, UNKNOWN_PLATFORM, UnixMillis, UserId,
    },
    record::{DeviceForCheck, Record},
    server_api::AccountSaid,
    store::{PersonDigest, PersonRow},
};

/// About how many people one question is.
const BATCH: usize = 100;

/// How many people are compared at the same time.
const CONCURRENT_PEOPLE: usize = 10;

/// How often it is noted that the provider confirmed a device, at most.
const CONFIRMED_EVERY: Duration = Duration::from_hours(1);

/// What a provider says of the devices of one person, compared with what is known.
#[derive(Debug)]
struct Compared {
    user: UserId,
    /// All devices of the record.
    known: Vec<DeviceName>,
    /// When they were asked about.
    at: UnixMillis,
    /// How many devices are online by the record.
    online: usize,
    /// What has to be stored, each with the digest of what was known.
    differ: Vec<(DeviceSeen, PersonDigest)>,
    /// What differs, and nothing that is stored changes that.
    disagree: Vec<DeviceSeen>,
    /// Digests of the devices that are online by both.
    agree: Vec<PersonDigest>,
    /// Devices that only an observation shows, and that the provider still shows.
    renewed: Vec<DeviceSeen>,
    /// Devices that were confirmed, and that was not noted for long.
    confirmed: Vec<DeviceName>,
}

impl Reconcile {
    /// Asks about the devices of one person, and for the profile if it has changed or is not known.
    pub(super) async fn user(
        &self,
        api: &DeviceApi,
        app: &App,
        user: &UserId,
        writing: Writing,
        clock: Clock,
    ) -> Result<RoomPassed, ReconcileError> {
        let view = self.records.at(app, clock.now()).await?;
        let due = due(view.record(), api, user).await?;
        // Nothing is stored before all questions are answered.
        let said = api.said(std::slice::from_ref(user)).await?.pop();
        let profile = api.profiles(due).await?;
        let view = self.records.at(app, clock.now()).await?;
        let record = view.record();
        let profiles = self.store_profiles(app, record, profile, writing, clock).await?;
        // Of somebody whom the answer does not name, nothing follows.
        let Some(said) = said else {
            return Ok(RoomPassed { profiles, ..RoomPassed::begun(clock.now()) });
        };
        let at = said.at;
        let mut passed = RoomPassed { profiles, ..RoomPassed::begun(at) };
        let compared = compare(record, said).await?;
        passed.found = compared.found();
        if !compared.disagree.is_empty() {
            let memory = self.passes.memory_of_people(app, clock.now()).await?;
            passed.disagreements = compared.disagreements(&memory.differed);
        }
        if writing == Writing::Stored {
            let known =
                compared.known.iter().chain(compared.differ.iter().map(|(seen, _)| &seen.device));
            let known: BTreeSet<&DeviceName> = known.collect();
            for seen in compared.differ.iter().map(|(seen, _)| seen).chain(&compared.renewed) {
                passed.stored += self.add_device(app, user, seen).await?;
            }
            self.observer.set_devices_checked(app, user, known, at).await?;
        }
        Ok(passed)
    }

    async fn add_device(
        &self,
        app: &App,
        user: &UserId,
        seen: &DeviceSeen,
    ) -> Result<u64, ReconcileError> {
        let outcome = self.observer.add_device(app, user, seen).await?;
        Ok(u64::from(outcome == Outcome::Applied))
    }
}

impl AppPass<'_> {
    /// Asks about the people of the app, from where the last run has ended.
    pub(super) async fn people(&mut self, api: &DeviceApi) -> Result<(), ReconcileError> {
        let mut slice_ends = self.slice_ends();
        self.progress.people.begin(self.clock.now());
        let failed_before = self.passed.failed;
        loop {
            let began = Instant::now();
            let (people, parts) = self.next_people().await?;
            if people.is_empty() {
                self.progress.part += 1;
                self.progress.after = None;
                if self.progress.part >= parts {
                    let failed = self.passed.failed - failed_before;
                    self.progress.people.end(failed);
                    self.progress.part = 0;
                    self.passed.is_complete = failed == 0;
                    return Ok(());
                }
                continue;
            }
            let last = people.last().map(|person| person.row.clone());
            match timeout_at(self.deadline, self.batch(api, &people)).await {
                Ok(Ok(())) => {}
                Ok(Err(ReconcileError::Api(error))) => {
                    let code = error.code();
                    tracing::warn!(%error, code, people = people.len(), "people could not be asked about");
                    self.passed.failed += 1;
                    if ask::is_of_all(&error) {
                        return Ok(());
                    }
                }
                Ok(Err(error)) => return Err(error),
                // The next run begins with them.
                Err(_) => return Ok(()),
            }
            self.progress.after = last;
            let paid = Duration::from_secs(1) * u32::try_from(people.len()).unwrap_or(u32::MAX)
                / self.reconcile.people_per_second.get();
            sleep_until((began + paid).min(self.deadline)).await;
            if Instant::now() >= self.deadline {
                return Ok(());
            }
            if Instant::now() >= slice_ends {
                if !self.leave_to_requests().await? {
                    return Ok(());
                }
                slice_ends = self.slice_ends();
            }
        }
    }

    /// The next people, none if their part of the list ends, and how many parts there are.
    async fn next_people(&self) -> Result<(Vec<PersonRow>, u8), ReconcileError> {
        let view = self.reconcile.records.at(self.app, self.clock.now()).await?;
        let record = view.record();
        let after = self.progress.after.as_deref();
        let people = record.people(self.progress.part, after).take(BATCH).try_collect().await?;
        Ok((people, record.parts_of_people()))
    }

    /// Asks about some people, and stores what differs.
    async fn batch(&mut self, api: &DeviceApi, people: &[PersonRow]) -> Result<(), ReconcileError> {
        let Self { reconcile, app, clock, writing, .. } = *self;
        let users: Vec<UserId> = people.iter().map(|person| person.user.clone()).collect();
        let due = people.iter().filter_map(|row| Some((row.user.clone(), Due::of_row(row)?)));
        let said = api.said(&users).await?;
        let profiles = api.profiles(due.collect()).await?;
        let view = reconcile.records.at(app, clock.now()).await?;
        let record = view.record();
        let profiles = reconcile.store_profiles(app, record, profiles, writing, clock).await?;
        self.passed.profiles.add_all(profiles);
        let compared = stream::iter(said)
            .map(|said| compare(record, said))
            .buffer_unordered(CONCURRENT_PEOPLE)
            .try_collect::<Vec<_>>()
            .await?;
        self.passed.people += u64::try_from(users.len()).unwrap_or(u64::MAX);
        let mut ends = 0;
        for person in &compared {
            self.passed.found.add_all(person.found());
            let offline = |(seen, _): &&(DeviceSeen, _)| seen.online == DeviceSays::Offline;
            ends += person.differ.iter().filter(offline).count();
        }
        let online = compared.iter().map(|compared| compared.online).sum();
        let is_allowed = self.tally.may_end(online, ends);
        self.store(compared, is_allowed).await
    }

    /// Stores what differs of some people. What the brake holds up is remembered by its digest, and
    /// forgotten when the provider says otherwise.
    async fn store(
        &mut self,
        compared: Vec<Compared>,
        is_allowed: bool,
    ) -> Result<(), ReconcileError> {
        let Self { reconcile, app, clock, writing, .. } = *self;
        let before = reconcile.passes.memory_of_people(app, clock.now()).await?;
        let is_old = before.braked.is_some_and(|(at, _)| at.after(CONFIRMED_AFTER) <= clock.now());
        let mut memory = before.clone();
        let mut held = BTreeSet::<PersonDigest>::new();
        for person in compared {
            self.passed.disagreements += person.disagreements(&before.differed);
            person.remember_disagreements(&mut memory.differed);
            let Compared { user, at, differ, agree, renewed, confirmed, .. } = person;
            for digest in agree {
                memory.differed.remove(&digest);
            }
            for (seen, digest) in &differ {
                let is_end = seen.online == DeviceSays::Offline;
                let is_confirmed = is_old && before.differed.contains(digest);
                if is_end && !is_allowed && !is_confirmed {
                    held.insert(*digest);
                    continue;
                }
                memory.differed.remove(digest);
                if writing == Writing::Stored {
                    self.passed.stored += reconcile.add_device(app, &user, seen).await?;
                    self.passed.observed.add_device(seen.online);
                }
            }
            if writing == Writing::DryRun {
                continue;
            }
            for seen in &renewed {
                reconcile.add_device(app, &user, seen).await?;
            }
            reconcile.observer.set_devices_checked(app, &user, &confirmed, at).await?;
        }
        self.passed.braked += u64::from(!held.is_empty());
        if writing == Writing::DryRun {
            return Ok(());
        }
        let has_new = !held.is_subset(&before.differed);
        memory.differed.extend(held);
        memory.braked = match (memory.differed.is_empty(), has_new) {
            (true, _) => None,
            // All of them wait for as long as the newest.
            (false, true) => Some((clock.now(), [0; 32])),
            (false, false) => before.braked,
        };
        if memory != before {
            reconcile.passes.remember_people(app, &before, &memory, clock.now()).await?;
        }
        Ok(())
    }
}

/// Whose profile is asked for of one person, if any is: one that changed, or one whose registration is
/// not known.
async fn due(record: Record<'_>, api: &DeviceApi, user: &UserId) -> Result<AllDue, ReconcileError> {
    let DeviceApi::OpenIm(_) = api else { return Ok(AllDue::new()) };
    let due = Due::of(record.account(user).await?.as_ref());
    Ok(due.map(|due| (user.clone(), due)).into_iter().collect())
}

/// Compares what the provider says of a person's devices with what is known.
async fn compare(record: Record<'_>, said: AccountSaid) -> Result<Compared, ReconcileError> {
    let AccountSaid { user, at, devices: says } = said;
    let user = &user;
    let known = record.devices_for_check(user).await?;
    let mut compared = Compared {
        user: user.clone(),
        known: known.iter().map(|device| device.name.clone()).collect(),
        at,
        online: known.iter().filter(|device| device.is_online).count(),
        differ: Vec::new(),
        disagree: Vec::new(),
        agree: Vec::new(),
        renewed: Vec::new(),
        confirmed: Vec::new(),
    };
    let is_online_somewhere = says.is_online_somewhere();
    for device in known.iter().filter(|device| device.is_online) {
        let seen = |online| DeviceSeen { device: device.name.clone(), at, online };
        let says = match says.says(&device.name.platform) {
            // It is the one device that is known to be.
            None if is_online_somewhere && compared.online == 1 => Some(DeviceSays::Online),
            says => says,
        };
        match says {
            Some(DeviceSays::Offline) => {
                let seen = seen(DeviceSays::Offline);
                if record.is_device_changed_by(user, Some(device), &seen) {
                    compared.differ.push((seen, digest(user, device)));
                } else {
                    compared.disagree.push(seen);
                }
            }
            Some(DeviceSays::Online) => {
                compared.agree.push(digest(user, device));
                if device.is_only_seen {
                    compared.renewed.push(seen(DeviceSays::Online));
                } else if device.checked_at.is_none_or(|by| by.after(CONFIRMED_EVERY) <= at) {
                    compared.confirmed.push(device.name.clone());
                }
            }
            None => {}
        }
    }
    // Somebody whose login never arrived: on which device, nobody says.
    if let (true, 0, Some(device)) = (is_online_somewhere, compared.online, somewhere()) {
        compared.disagree.push(DeviceSeen { device, at, online: DeviceSays::Online });
    }
    for platform in says.online() {
        let mut devices = known.iter().filter(|device| device.name.platform == *platform);
        if devices.clone().any(|device| device.is_online) {
            continue;
        }
        // The provider does not say which of several devices it is: it is none of them.
        let connection = match (devices.next(), devices.next()) {
            (Some(only), None) => only.name.connection.clone(),
            _ => None,
        };
        let device = DeviceName { platform: platform.clone(), connection };
        let known = known.iter().find(|known| known.name == device);
        let seen = DeviceSeen { device, at, online: DeviceSays::Online };
        if record.is_device_changed_by(user, known, &seen) {
            compared.differ.push((seen, [0; 16]));
        } else {
            compared.disagree.push(seen);
        }
    }
    Ok(compared)
}

/// A device of which only that it is online is known. No record has it.
fn somewhere() -> Option<DeviceName> {
    Some(DeviceName { platform: UNKNOWN_PLATFORM.parse().ok()?, connection: None })
}

impl Compared {
    fn found(&self) -> Found {
        let mut found = Found::default();
        for seen in self.differ.iter().map(|(seen, _)| seen).chain(&self.disagree) {
            found.add_device(seen.online);
        }
        found
    }

    /// How many devices differed in the last pass, too, and nothing that is stored changes that.
    fn disagreements(&self, differed: &BTreeSet<PersonDigest>) -> u64 {
        let disagree = self.disagree.iter();
        let again = disagree.filter(|seen| differed.contains(&disagreement(&self.user, seen)));
        again.count().try_into().unwrap_or(u64::MAX)
    }

    /// Leaves to the next pass which of the person's devices disagree, and no others.
    fn remember_disagreements(&self, differed: &mut BTreeSet<PersonDigest>) {
        for device in self.known.iter().chain(&somewhere()) {
            for online in [DeviceSays::Online, DeviceSays::Offline] {
                let seen = DeviceSeen { device: device.clone(), at: self.at, online };
                differed.remove(&disagreement(&self.user, &seen));
            }
        }
        differed.extend(self.disagree.iter().map(|seen| disagreement(&self.user, seen)));
    }
}

/// A digest of a device and of its events.
fn digest(user: &UserId, device: &DeviceForCheck) -> PersonDigest {
    digest_of(user, &device.name, &device.version)
}

/// A digest of what a provider says of a device. No version of events is as short.
fn disagreement(user: &UserId, seen: &DeviceSeen) -> PersonDigest {
    digest_of(user, &seen.device, &[u8::from(seen.online == DeviceSays::Online)])
}

fn digest_of(user: &UserId, device: &DeviceName, of: &[u8]) -> PersonDigest {
    let DeviceName { platform, connection } = device;
    let connection = connection.as_ref().map_or("", |connection| connection.as_str());
    let mut digest = Sha256::new();
    for part in [user.as_str(), platform.as_str(), connection] {
        digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(part);
    }
    digest.update(of);
    let mut whole = digest.finalize().into_iter();
    PersonDigest::default().map(|_| whole.next().unwrap_or_default())
}
