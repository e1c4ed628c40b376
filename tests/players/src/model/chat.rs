//! Chat: what happened to a person's platform last, and who logged in when.

use std::collections::{BTreeMap, BTreeSet};

use crate::tencent::{
    Event,
    EventName::{ChatDisconnect, ChatLogin, ChatLogout},
};

use super::Arrived;
use crate::answers::{Answers, End, Registration, Stay, User};

/// Clients of before 2021 log out when their own platform kicks them, at most so long after.
const OLD_CLIENTS_LOGOUT: u64 = 5000;

/// At one millisecond: leaving, then coming, then being kicked by another platform. Of leaving, the
/// reason with the higher code counts.
#[derive(Clone, Copy, PartialEq, PartialOrd, Eq, Ord)]
enum What {
    Unspecified,
    LoggedOut,
    TimedOut,
    Disconnected,
    KickedByItself,
    Online,
    Kicked,
}

pub(super) fn know(arrived: &[Arrived], answers: &mut Answers) {
    let mut devices = BTreeMap::<(&str, &str, &str), Vec<(u64, What)>>::new();
    let mut months = BTreeMap::<String, BTreeSet<&str>>::new();
    for (event, user, platform) in arrived.iter().filter_map(chat_event) {
        let (app, at) = (event.options.app.as_str(), event.at());
        let what = match (event.name, event.options.reason.as_str()) {
            (ChatLogin, _) => What::Online,
            (ChatLogout, _) => What::LoggedOut,
            (_, "LinkClose") => What::Disconnected,
            (_, "TimeOut") => What::TimedOut,
            _ => What::Unspecified,
        };
        devices.entry((app, user, platform)).or_default().push((at, what));
        if event.name != ChatLogin {
            continue;
        }
        for kicked in &event.options.kick {
            let what = if kicked == platform { What::KickedByItself } else { What::Kicked };
            devices.entry((app, user, kicked)).or_default().push((at, what));
        }
        let (year, month) = month(at);
        months.entry(format!("tencent/{app}/{year}-{month:02}")).or_default().insert(user);
        let registration = answers.registrations.entry(format!("tencent/{app}/{user}"));
        let from = "first_login".to_owned();
        let first =
            registration.or_insert(Registration { at, from, name: None, profile_changed_at: None });
        first.at = first.at.min(at);
    }
    let counted = months.into_iter().map(|(month, users)| (month, users.len()));
    answers.active_users.extend(counted);
    for ((app, user, platform), mut history) in devices {
        history.sort_unstable();
        let user = answers.users.entry(format!("tencent/{app}/{user}")).or_default();
        user.join(device(platform, &history));
    }
}

/// What is known of a platform by what happened to it, in this order.
fn device(platform: &str, history: &[(u64, What)]) -> User {
    let kick = history.iter().rev().find(|(_, what)| *what == What::KickedByItself);
    let is_old_clients = |(at, what): &(u64, What)| {
        let after = kick.is_some_and(|(kick, _)| kick <= at && *at <= kick + OLD_CLIENTS_LOGOUT);
        *what == What::LoggedOut && after && Some(&(*at, *what)) >= kick
    };
    let last = history.iter().filter(|event| !is_old_clients(event)).max();
    let seen = history.iter().filter(|(_, what)| *what != What::KickedByItself);
    let entered_at =
        history.iter().filter(|(_, what)| *what == What::Online).map(|(at, _)| *at).max();
    let is_entry_assumed = entered_at.is_none();
    let stay = Stay { place: platform.to_owned(), entered_at, is_entry_assumed, ..Stay::default() };
    let mut user = User { last_seen_at: seen.map(|(at, _)| *at).max(), ..User::default() };
    // If nothing is left, all that arrived is an old client's logout.
    let Some((at, what)) = last.filter(|(_, what)| *what != What::Online) else {
        user.open.insert(stay);
        return user;
    };
    let reason = match what {
        What::LoggedOut => "normal",
        What::TimedOut => "heartbeat_timeout",
        What::Disconnected => "disconnected",
        What::KickedByItself | What::Kicked => "kicked",
        What::Unspecified | What::Online => "unspecified",
    };
    user.over.insert((stay, End::reported(*at, reason)));
    user
}

/// The year and the month of a time in Unix ms, in UTC.
pub(super) fn month(at: u64) -> (u64, u64) {
    let is_leap =
        |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let (mut days, mut year, mut month) = (at / 86_400_000, 1970, 1);
    loop {
        let length = match month {
            2 => 28 + u64::from(is_leap(year)),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if days < length {
            return (year, month);
        }
        days -= length;
        (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    }
}

fn chat_event(arrived: &Arrived) -> Option<(&Event, &str, &str)> {
    match &arrived.event {
        crate::Event::Tencent(event)
            if matches!(event.name, ChatLogin | ChatLogout | ChatDisconnect) =>
        {
            Some((event, &event.options.user, &event.options.platform))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::month;

    #[test]
    fn a_month_ends_at_midnight_in_utc() {
        for (at, expected) in [
            (0, (1970, 1)),
            (951_868_799_999, (2000, 2)),
            (951_868_800_000, (2000, 3)),
            (1_788_220_799_999, (2026, 8)),
            (1_788_220_800_000, (2026, 9)),
            (4_107_542_399_999, (2100, 2)),
            (4_107_542_400_000, (2100, 3)),
        ] {
            assert_eq!(month(at), expected, "{at}");
        }
    }
}
