//! What a million people do in a day. All of it is assumed: the numbers here are the assumptions.

use std::{f64::consts::TAU, ops::Range};

use crate::measured::{DEVICE, ENTERS, ENTERS_AGAIN, LEAVES, Units};

pub(crate) const DAY: usize = 24 * HOUR;
pub(crate) const HOUR: usize = 3600;
pub(crate) const MINUTE: usize = 60;

/// DynamoDB is down.
pub(crate) const OUTAGE: Range<usize> = 18 * HOUR..19 * HOUR;

/// The large room fills, and empties, evenly over a minute.
pub(crate) const FILLS: Range<usize> = 20 * HOUR + 30 * MINUTE..20 * HOUR + 31 * MINUTE;
pub(crate) const EMPTIES: Range<usize> = 21 * HOUR + 30 * MINUTE..21 * HOUR + 31 * MINUTE;

/// Half of the people use ZEGO's rooms with OpenIM, the other half TRTC's rooms with Chat. A person
/// comes online so many times in a day, and each time enters and leaves so many rooms.
const VISITS: f64 = 5.0;
const ROOMS_IN_A_VISIT: f64 = 2.0;

/// How far the rate of the evening peak is above the mean, and that of the morning below it.
const SWING: f64 = 0.8;
const PEAK_AT: usize = 21 * HOUR;

/// One room of ZEGO's has this share of all people at its peak. They are in it for the first time.
const SHARE_IN_LARGE_ROOM: f64 = 0.5;

/// So many rooms of each person are stored.
const ROOMS_STORED: f64 = 20.0;

/// Who sends a callback, and sends it again if it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    Zego,
    OpenIm,
    Trtc,
    Chat,
}

impl Sender {
    pub(crate) const ALL: [Self; 4] = [Self::Zego, Self::OpenIm, Self::Trtc, Self::Chat];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Zego => "ZEGO",
            Self::OpenIm => "OpenIM",
            Self::Trtc => "TRTC",
            Self::Chat => "Chat",
        }
    }

    /// After how many seconds a callback is sent again that failed for the first time, the second time
    /// and so on; then it is lost. (docs/reliability.md; `faults.rs` in tests/it plays the same)
    pub(crate) fn sends_again_after(self) -> &'static [usize] {
        match self {
            Self::Zego => &[2, 4, 8, 16, 32],
            // The first time at once: here in the next second.
            Self::Trtc => &[1, 10, 10, 10, 10, 10],
            Self::OpenIm | Self::Chat => &[],
        }
    }
}

/// A callback is sent at most so many times.
pub(crate) const MOST_ATTEMPTS: usize = 7;

/// Callbacks that are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    EntersZego,
    LeavesZego,
    EntersLargeRoom,
    LeavesLargeRoom,
    OpenImOnline,
    OpenImStaysOnline,
    OpenImOffline,
    EntersTrtc,
    LeavesTrtc,
    ChatLogin,
    ChatLogout,
}

pub(crate) const KINDS: usize = Kind::ALL.len();

/// A number for each kind of callback, in the order of [`Kind::ALL`].
pub(crate) type Counts = [f64; KINDS];

/// How many functions receive them.
pub(crate) const FUNCTIONS: usize = 6;

impl Kind {
    pub(crate) const ALL: [Self; 11] = [
        Self::EntersZego,
        Self::LeavesZego,
        Self::EntersLargeRoom,
        Self::LeavesLargeRoom,
        Self::OpenImOnline,
        Self::OpenImStaysOnline,
        Self::OpenImOffline,
        Self::EntersTrtc,
        Self::LeavesTrtc,
        Self::ChatLogin,
        Self::ChatLogout,
    ];

    pub(crate) fn sender(self) -> Sender {
        match self {
            Self::EntersZego | Self::LeavesZego | Self::EntersLargeRoom | Self::LeavesLargeRoom => {
                Sender::Zego
            }
            Self::OpenImOnline | Self::OpenImStaysOnline | Self::OpenImOffline => Sender::OpenIm,
            Self::EntersTrtc | Self::LeavesTrtc => Sender::Trtc,
            Self::ChatLogin | Self::ChatLogout => Sender::Chat,
        }
    }

    /// The function that receives it, which is also its route.
    pub(crate) fn function(self) -> usize {
        match self {
            Self::EntersZego | Self::EntersLargeRoom => 0,
            Self::LeavesZego | Self::LeavesLargeRoom => 1,
            Self::OpenImOnline | Self::OpenImStaysOnline => 2,
            Self::OpenImOffline => 3,
            Self::EntersTrtc | Self::LeavesTrtc => 4,
            Self::ChatLogin | Self::ChatLogout => 5,
        }
    }

    pub(crate) fn units(self) -> Units {
        match self {
            // People come to rooms that they know, which takes more.
            Self::EntersZego | Self::EntersTrtc => ENTERS_AGAIN,
            Self::EntersLargeRoom => ENTERS,
            Self::LeavesZego | Self::LeavesTrtc | Self::LeavesLargeRoom => LEAVES,
            Self::OpenImOnline
            | Self::OpenImStaysOnline
            | Self::OpenImOffline
            | Self::ChatLogin
            | Self::ChatLogout => DEVICE,
        }
    }

    pub(crate) fn is_in_large_room(self) -> bool {
        matches!(self, Self::EntersLargeRoom | Self::LeavesLargeRoom)
    }

    /// Whether it is an event: what is no news is none.
    pub(crate) fn is_event(self) -> bool {
        self != Self::OpenImStaysOnline
    }

    /// How many of them an average person causes on a day, without the large room.
    fn for_each_person(self) -> f64 {
        let for_each_user = match self {
            Self::EntersLargeRoom | Self::LeavesLargeRoom => 0.0,
            Self::EntersZego | Self::LeavesZego | Self::EntersTrtc | Self::LeavesTrtc => {
                VISITS * ROOMS_IN_A_VISIT
            }
            // OpenIM repeats itself after 10 or 20 minutes: once in a visit.
            Self::OpenImOnline
            | Self::OpenImStaysOnline
            | Self::OpenImOffline
            | Self::ChatLogin
            | Self::ChatLogout => VISITS,
        };
        for_each_user / 2.0
    }
}

/// How many people there are.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct People(pub(crate) f64);

impl People {
    pub(crate) fn in_large_room(self) -> f64 {
        self.0 * SHARE_IN_LARGE_ROOM
    }

    /// The callbacks that are sent for the first time in a second of the day.
    pub(crate) fn callbacks(self, second: usize) -> Counts {
        Kind::ALL.map(|kind| {
            let minute = match kind {
                Kind::EntersLargeRoom => FILLS,
                Kind::LeavesLargeRoom => EMPTIES,
                _ => return self.0 * kind.for_each_person() / DAY as f64 * curve(second),
            };
            if minute.contains(&second) { self.in_large_room() / minute.len() as f64 } else { 0.0 }
        })
    }

    /// The most callbacks in a second that are sent for the first time.
    pub(crate) fn most_callbacks(self) -> f64 {
        [FILLS, EMPTIES]
            .map(|minute| self.callbacks(minute.start).iter().sum())
            .into_iter()
            .fold(0.0, f64::max)
    }

    /// How many write units of table and index they take at the evening's peak, without the large room.
    pub(crate) fn usual_units(self) -> (f64, f64) {
        let peak = self.callbacks(PEAK_AT);
        let of = |units: fn(Units) -> u32| -> f64 {
            Kind::ALL
                .iter()
                .zip(peak)
                .map(|(kind, count)| count * f64::from(units(kind.units())))
                .sum()
        };
        (of(|units| units.table), of(|units| units.index))
    }

    /// The items of all of them.
    pub(crate) fn items(self) -> f64 {
        self.0 * (ROOMS_STORED + 1.0)
    }
}

/// The share of the mean rate: one wave a day, whose mean is one.
fn curve(second: usize) -> f64 {
    1.0 + SWING * (TAU * (second as f64 - PEAK_AT as f64) / DAY as f64).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_do_in_a_day_what_is_assumed() {
        let people = People(1_000_000.0);
        let mut all = [0.0; KINDS];
        for second in 0..DAY {
            for (sum, count) in all.iter_mut().zip(people.callbacks(second)) {
                *sum += count;
            }
        }
        // Half of a million people, five visits each.
        let visits = 2_500_000.0;
        let room = 500_000.0;
        let expected = [
            2.0 * visits,
            2.0 * visits,
            room,
            room,
            visits,
            visits,
            visits,
            2.0 * visits,
            2.0 * visits,
            visits,
            visits,
        ];
        for ((kind, sum), expected) in Kind::ALL.iter().zip(all).zip(expected) {
            assert!((sum - expected).abs() < 1.0, "{kind:?}: {sum}");
        }
        // The whole of the evening's peak is 1.8 times the mean.
        let peak: f64 = people.callbacks(PEAK_AT).iter().sum();
        assert!((peak - 1.8 * 32_500_000.0 / 86_400.0).abs() < 0.1, "{peak}");
    }

    #[test]
    fn no_sender_sends_more_often_than_is_played() {
        for sender in Sender::ALL {
            assert!(sender.sends_again_after().len() < MOST_ATTEMPTS);
        }
    }
}
