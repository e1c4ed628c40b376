//! OpenIM: a device is what it last said, a connection without an id is a lease unless the server is
//! an old one, and a user is registered once.

use std::collections::BTreeMap;

use rollcall_local::send::openim::{
    EventName::{UserOffline, UserOnline, UserRegister},
    Platform, Server,
};

use super::Arrived;
use crate::histories::{
    answers::{Answers, End, Stay},
    world,
};

const LEASE: u64 = 2_700_000;

/// 2019: a `createTime` of before is none.
const OPENIM_BEGAN: u64 = 1_546_300_800_000;

/// Nor is one that is so far ahead of our clock.
const AHEAD: u64 = 600_000;

pub(super) fn know(arrived: &[Arrived], now: u64, answers: &mut Answers) {
    // Of each connection: when it last said online, whether for good, and when it last said offline.
    let mut devices = BTreeMap::<_, (Option<(u64, bool)>, Option<u64>)>::new();
    let mut registrations = BTreeMap::<String, (u64, u64)>::new();
    for arrived in arrived {
        let world::Event::OpenIm(event) = &arrived.event else { continue };
        let options = &event.options;
        for user in &options.users {
            let device = || (user.clone(), platform(options.platform), options.conn_id.clone());
            match event.name {
                UserOnline => {
                    let (online, _) = devices.entry(device()).or_default();
                    let is_for_good = options.server == Server::V2;
                    *online = options.seq.map(|seq| (seq, is_for_good)).max(*online);
                }
                UserOffline => {
                    let (_, offline) = devices.entry(device()).or_default();
                    *offline = options.seq.max(*offline);
                }
                UserRegister => {
                    let receipt = (arrived.received_at, options.create_time);
                    let first = registrations.entry(user.clone()).or_insert(receipt);
                    *first = receipt.min(*first);
                }
            }
        }
    }
    for (user, (received_at, create_time)) in registrations {
        let is_plausible = (OPENIM_BEGAN..=received_at + AHEAD).contains(&create_time);
        let registered = if is_plausible {
            (create_time, "create_time".to_owned())
        } else {
            (received_at, "receipt".to_owned())
        };
        let path = format!("openim/main/{user}");
        answers.users.entry(path.clone()).or_default();
        answers.registrations.insert(path, registered);
    }
    for ((user, platform, connection), (said_online, offline)) in devices {
        let online = said_online.map(|(seq, _)| seq);
        let user = answers.users.entry(format!("openim/main/{user}")).or_default();
        user.last_seen_at = user.last_seen_at.max(online).max(offline);
        let lease_ends = said_online
            .filter(|(_, is_for_good)| connection.is_empty() && !is_for_good)
            .map(|(seq, _)| seq + LEASE);
        let session = Some(connection).filter(|connection| !connection.is_empty());
        // Of a lease only the last repetition is known.
        let is_entry_assumed = online.is_none() || lease_ends.is_some();
        let stay = Stay {
            place: platform.to_owned(),
            session,
            entered_at: online,
            is_entry_assumed,
            ..Stay::default()
        };
        let end = match (offline, lease_ends) {
            (Some(offline), _) if online.is_none_or(|online| offline > online) => {
                Some(End::told(offline, "unspecified"))
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

fn platform(platform: Platform) -> &'static str {
    match platform {
        Platform::Ios => "IOS",
        Platform::Web => "Web",
        Platform::HarmonyOs => "HarmonyOS",
        other => panic!("no {other:?} in this world"),
    }
}
