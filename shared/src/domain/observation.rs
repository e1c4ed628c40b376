//! What a provider answers when it is asked who is there.
//!
//! An observation is no event: nobody reported it, and it names no place among the events of its
//! seat. So it lies beside the marks, and readers take both into account: see
//! [`super::observed()`].

use std::time::Duration;

use super::{App, LifeId, MarkError, Platform, Role, RoomId, SessionId, UnixMillis, UserId};

/// How far our clock and a provider's may differ, together with how old its answer may be.
pub const CLOCKS_DIFFER: Duration = Duration::from_secs(10);

/// How much two times of one login may differ.
pub(super) const LOGINS_DIFFER: Duration = Duration::from_secs(1);

/// How long a session lasts at most: a login time that is older is none.
const LONGEST_SESSION: Duration = Duration::from_hours(7 * 24);

/// What a provider said of one person in one room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// When it was asked, by our clock.
    pub at: UnixMillis,
    /// What it said.
    pub says: Says,
}

/// Whether somebody is in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Says {
    /// They are in.
    In {
        /// When they logged in, if the provider said so.
        login: Option<UnixMillis>,
        /// Their role, if the provider said so; otherwise the role without a name.
        role: Role,
    },
    /// They are not.
    Out,
}

impl Seen {
    /// When the person logged in, if the provider named a time that can be right. Of a wrong one
    /// nothing follows: they are in, since when is not known.
    #[must_use]
    pub fn login(&self) -> Option<UnixMillis> {
        let Says::In { login, .. } = self.says else { return None };
        let range = self.at.before(LONGEST_SESSION)..=self.at.after(CLOCKS_DIFFER);
        login.filter(|login| range.contains(login))
    }

    /// How old it is to an erasure: as old as the session, as a mark is.
    #[must_use]
    pub fn age(&self) -> UnixMillis {
        self.login().unwrap_or(self.at)
    }

    /// It as it is stored: big-endian numbers, so that the newest one sorts last.
    ///
    /// ```
    /// use rollcall::domain::{Role, Says, Seen, UnixMillis};
    ///
    /// let says = Says::In { login: Some(UnixMillis(1_499_676_978_027)), role: Role(2) };
    /// let seen = Seen { at: UnixMillis(1_499_676_979_000), says };
    /// assert_eq!(Seen::from_bytes(&seen.to_bytes()), Ok(seen));
    /// # Ok::<(), rollcall::domain::MarkError>(())
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.at.0.to_be_bytes().to_vec();
        if let Says::In { login, role } = self.says {
            bytes.extend(login.unwrap_or(UnixMillis(0)).0.to_be_bytes());
            bytes.extend(role.0.to_be_bytes());
        }
        bytes
    }

    /// Reads what [`Seen::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// [`MarkError`] for any other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MarkError> {
        let (at, rest) = bytes.split_first_chunk().ok_or(MarkError)?;
        let at = UnixMillis(u64::from_be_bytes(*at));
        if rest.is_empty() {
            return Ok(Self { at, says: Says::Out });
        }
        let (login, rest) = rest.split_first_chunk().ok_or(MarkError)?;
        let login = Some(UnixMillis(u64::from_be_bytes(*login))).filter(|login| login.0 > 0);
        let role = Role(u16::from_be_bytes(rest.try_into().map_err(|_| MarkError)?));
        Ok(Self { at, says: Says::In { login, role } })
    }
}

/// The newest observations on one seat.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeatSeen {
    /// That somebody is in. Only on the seat without a life.
    pub came: Option<Seen>,
    /// That they are not.
    pub gone: Option<Seen>,
}

impl SeatSeen {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.came.is_none() && self.gone.is_none()
    }

    /// Those that there are.
    pub fn iter(&self) -> impl Iterator<Item = Seen> + use<> {
        self.came.into_iter().chain(self.gone)
    }

    /// Adds one, unless a newer one of its kind is there.
    pub fn add(&mut self, seen: Seen) {
        let kind = match seen.says {
            Says::In { .. } => &mut self.came,
            Says::Out => &mut self.gone,
        };
        *kind = (*kind).max(Some(seen));
    }

    /// Those for which something is true.
    #[must_use]
    pub fn filtered(self, keep: impl Fn(&Seen) -> bool) -> Self {
        Self { came: self.came.filter(&keep), gone: self.gone.filter(keep) }
    }
}

/// An observation, and the seat that it lies on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatObservation {
    /// The app.
    pub app: App,
    /// Who was asked for.
    pub user: UserId,
    /// The room.
    pub room: RoomId,
    /// The life of the seat; `None` for the seat that has no marks.
    pub life: Option<LifeId>,
    /// What the provider said.
    pub seen: Seen,
    /// Of an `Out` on the seat without a life, the `In` whose stay it ends.
    pub ends: Option<Seen>,
}

/// One of a person's devices.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeviceName {
    /// What kind of device.
    pub platform: Platform,
    /// Which connection of it, if the provider says so.
    pub connection: Option<SessionId>,
}

/// What a provider said of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSeen {
    /// Which one.
    pub device: DeviceName,
    /// When it was asked, by our clock.
    pub at: UnixMillis,
    /// What it said.
    pub online: DeviceSays,
}

/// Whether a device is online.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceSays {
    /// It is.
    Online,
    /// It is not.
    Offline,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen() -> impl Strategy<Value = Seen> {
        let time = || prop_oneof![1..300_u64, any::<u64>().prop_map(|time| time.max(1))];
        let says = prop_oneof![
            Just(Says::Out),
            (prop::option::of(time()), any::<u16>()).prop_map(|(login, role)| Says::In {
                login: login.map(UnixMillis),
                role: Role(role)
            }),
        ];
        (time(), says).prop_map(|(at, says)| Seen { at: UnixMillis(at), says })
    }

    proptest! {
        #[test]
        fn observations_come_back_from_their_bytes_and_sort_by_time(a in seen(), b in seen()) {
            prop_assert_eq!(Seen::from_bytes(&a.to_bytes()), Ok(a));
            if a.at < b.at {
                prop_assert!(a.to_bytes() < b.to_bytes());
            }
        }

        #[test]
        fn other_bytes_are_no_observation_and_no_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..30),
        ) {
            if let Ok(seen) = Seen::from_bytes(&bytes) {
                prop_assert_eq!(seen.to_bytes(), bytes);
            }
        }
    }

    #[test]
    fn a_login_that_cannot_be_right_is_none() {
        let at = UnixMillis(100 * 86_400_000);
        let login =
            |login| Seen { at, says: Says::In { login: Some(login), role: Role(1) } }.login();
        let s = CLOCKS_DIFFER;
        assert_eq!(login(at.after(s)), Some(at.after(s)));
        assert_eq!(login(at.after(s + Duration::from_millis(1))), None);
        assert_eq!(login(at.before(LONGEST_SESSION)), Some(at.before(LONGEST_SESSION)));
        assert_eq!(login(at.before(LONGEST_SESSION + Duration::from_millis(1))), None);
        assert_eq!(login(UnixMillis(0)), None);
    }

    #[test]
    fn the_newest_of_each_kind_stays_whatever_comes_first() {
        let out = |at| Seen { at: UnixMillis(at), says: Says::Out };
        let is_in = |at| Seen { at: UnixMillis(at), says: Says::In { login: None, role: Role(1) } };
        let all = [out(3), is_in(2), out(1), is_in(5)];
        let (mut there, mut back) = (SeatSeen::default(), SeatSeen::default());
        for seen in all {
            there.add(seen);
        }
        all.into_iter().rev().for_each(|seen| back.add(seen));
        assert_eq!(there, back);
        assert_eq!(there, SeatSeen { came: Some(is_in(5)), gone: Some(out(3)) });
    }
}
