//! OpenIM: the last event of a device decides, a connection without an id is a lease unless the
//! server is an old one, a user is registered once, and the last arrival of an update says since when
//! the profile may be another one.

use std::collections::BTreeMap;

use crate::openim::EventName::{UserOffline, UserOnline, UserRegister, UserUpdate, UserUpdateEx};

use super::Arrived;
use crate::answers::{Answers, End, Registration, Stay};

const LEASE: u64 = 2_700_000;

/// 2019: an earlier `createTime` is ignored.
const OPENIM_BEGAN: u64 = 1_546_300_800_000;

/// A `createTime` further ahead of our clock is ignored too.
const AHEAD: u64 = 600_000;

pub(super) fn know(arrived: &[Arrived], now: u64, answers: &mut Answers) {
    // Of each connection: its last online, whether that lasts until an offline, its last offline,
    // and whether the time of that is approximate.
    let mut devices = BTreeMap::<_, (Option<(u64, bool)>, Option<u64>, bool)>::new();
    let mut registrations = BTreeMap::<_, (u64, u64, &str)>::new();
    let mut changed = BTreeMap::<_, u64>::new();
    for arrived in arrived {
        let crate::Event::OpenIm(event) = &arrived.event else { continue };
        let options = &event.options;
        let (app, connection) = (&options.app, event.connection());
        // The published pages show no time of a device: the time of arrival counts.
        let at = if event.has_time() { event.at() } else { arrived.received_at };
        // Only registrations come in batches.
        let is_batch = event.name == UserRegister;
        for user in options.users.iter().take(if is_batch { usize::MAX } else { 1 }) {
            let key = (app, user, options.platform.name(), connection.unwrap_or_default());
            match event.name {
                UserOnline => {
                    let (online, _, is_about) = devices.entry(key).or_default();
                    *is_about |= !event.has_time();
                    *online = Some((at, connection != Some(""))).max(*online);
                }
                UserOffline => {
                    let (_, offline, is_about) = devices.entry(key).or_default();
                    *is_about |= !event.has_time();
                    *offline = Some(at).max(*offline);
                }
                UserRegister => {
                    let name = options.name.as_ref().unwrap_or(user);
                    let receipt = (arrived.received_at, options.create_time, name.as_str());
                    let first = registrations.entry((app, user)).or_insert(receipt);
                    *first = receipt.min(*first);
                }
                UserUpdate | UserUpdateEx => {
                    let last = changed.entry((app, user)).or_default();
                    *last = arrived.received_at.max(*last);
                }
            }
        }
    }
    // The server knows somebody whose profile changes, though their registration never arrived.
    for (app, user) in changed.keys() {
        answers.users.entry(format!("openim/{app}/{user}")).or_default();
    }
    for ((app, user), (received_at, create_time, name)) in registrations {
        let is_plausible = is_plausible(create_time, received_at);
        let (at, from) =
            if is_plausible { (create_time, "create_time") } else { (received_at, "receipt") };
        let path = format!("openim/{app}/{user}");
        answers.users.entry(path.clone()).or_default();
        let (from, name) = (from.to_owned(), Some(name.to_owned()));
        let profile_changed_at = changed.get(&(app, user)).copied();
        answers.registrations.insert(path, Registration { at, from, name, profile_changed_at });
    }
    for ((app, user, platform, connection), (said_online, offline, is_about)) in devices {
        let online = said_online.map(|(seq, _)| seq);
        let user = answers.users.entry(format!("openim/{app}/{user}")).or_default();
        user.last_seen_at = user.last_seen_at.max(online).max(offline);
        let lease_ends =
            said_online.filter(|(_, is_for_good)| !is_for_good).map(|(seq, _)| seq + LEASE);
        let session = Some(connection.to_owned()).filter(|connection| !connection.is_empty());
        // Of a lease only the last repetition is known.
        let is_entry_assumed = online.is_none() || lease_ends.is_some();
        let stay = Stay {
            place: platform.to_owned(),
            session,
            entered_at: online,
            is_entry_assumed,
            is_about,
            ..Stay::default()
        };
        let end = match (offline, lease_ends) {
            (Some(offline), _) if online.is_none_or(|online| offline > online) => {
                Some(End { is_about, ..End::reported(offline, "unspecified") })
            }
            (_, Some(ends)) if ends <= now => Some(End::assumed(ends, "lease_expired")),
            _ => None,
        };
        match end {
            Some(end) => {
                user.over.insert((stay, end));
            }
            None => {
                user.open.insert(stay);
            }
        }
    }
}

fn is_plausible(create_time: u64, received_at: u64) -> bool {
    (OPENIM_BEGAN..=received_at + AHEAD).contains(&create_time)
}

/// When the users of a registration were registered, in Unix ms.
pub(super) fn registered_at(event: &crate::openim::Event, received_at: u64) -> u64 {
    let create_time = event.options.create_time;
    if is_plausible(create_time, received_at) { create_time } else { received_at }
}
