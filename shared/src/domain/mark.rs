//! The mark that an event leaves on a seat, and its order among the marks of that seat.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{IdError, SessionId, UnixMillis};

/// The place of an event among all events of its seat.
///
/// Compared field by field, from the first to the last. For ZEGO these are `login_time`,
/// `session_id` (shorter first) and `user_update_seq`: login and logout carry all three. TRTC has
/// the time of the event and, at the same millisecond, the rank of its kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Order {
    /// When the session began; where there are no sessions, when the event happened.
    pub time: UnixMillis,
    /// Which session it is, if the provider has sessions.
    pub session: Option<SessionId>,
    /// The provider's own count within the room's life, or a rank.
    pub sequence: u64,
}

/// What happened on the seat. At the same [`Order`], leaving comes after entering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Somebody took the seat.
    Enter = 1,
    /// Somebody left it.
    Leave = 2,
    /// The person on it has been there before: their role or their network changed.
    Stay = 3,
}

/// A person's role in a room: a code, by which marks sort, and 0 if the provider named none. The
/// provider's rules say what it means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "RoleSpelling", into = "RoleSpelling")]
pub struct Role(pub u16);

impl Role {
    /// A service and no person, such as a recorder: ZEGO's role 4, and that of every user whom an
    /// app's `robots` name.
    pub const ADMIN: Self = Self(4);
}

/// A role as it is written to the spill queue: in messages of version 1, some codes have names.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RoleSpelling {
    Unspecified,
    Anchor,
    Audience,
    Admin,
    Other(u16),
}

impl From<RoleSpelling> for Role {
    fn from(spelling: RoleSpelling) -> Self {
        Self(match spelling {
            RoleSpelling::Unspecified => 0,
            RoleSpelling::Anchor => 1,
            RoleSpelling::Audience => 2,
            RoleSpelling::Admin => 4,
            RoleSpelling::Other(code) => code,
        })
    }
}

impl From<Role> for RoleSpelling {
    fn from(Role(code): Role) -> Self {
        match code {
            0 => Self::Unspecified,
            1 => Self::Anchor,
            2 => Self::Audience,
            4 => Self::Admin,
            other => Self::Other(other),
        }
    }
}

/// Why somebody left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaveReason {
    /// The provider gave none.
    Unspecified,
    /// They left of their own accord.
    Normal,
    /// Their heartbeat stopped.
    HeartbeatTimeout,
    /// Their connection broke.
    Disconnected,
    /// They were kicked out, or logged in again somewhere else: ZEGO has one code for both.
    Kicked,
    /// Their token expired.
    TokenExpired,
    /// The room was closed, and the provider named them as one of those who were in it.
    RoomClosed,
    /// A code of the provider that has no name here.
    Other(u8),
}

impl LeaveReason {
    const OTHER: u16 = 0x100;

    pub(super) fn code(self) -> u16 {
        match self {
            Self::Unspecified => 0,
            Self::Normal => 1,
            Self::HeartbeatTimeout => 2,
            Self::Disconnected => 3,
            Self::Kicked => 4,
            Self::TokenExpired => 5,
            Self::RoomClosed => 6,
            Self::Other(code) => Self::OTHER + u16::from(code),
        }
    }

    pub(super) fn from_code(code: u16) -> Option<Self> {
        Some(match code {
            0 => Self::Unspecified,
            1 => Self::Normal,
            2 => Self::HeartbeatTimeout,
            3 => Self::Disconnected,
            4 => Self::Kicked,
            5 => Self::TokenExpired,
            6 => Self::RoomClosed,
            other => Self::Other(u8::try_from(other.checked_sub(Self::OTHER)?).ok()?),
        })
    }
}

impl fmt::Display for LeaveReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unspecified => f.write_str("unspecified"),
            Self::Normal => f.write_str("normal"),
            Self::HeartbeatTimeout => f.write_str("heartbeat_timeout"),
            Self::Disconnected => f.write_str("disconnected"),
            Self::Kicked => f.write_str("kicked"),
            Self::TokenExpired => f.write_str("token_expired"),
            Self::RoomClosed => f.write_str("room_closed"),
            Self::Other(code) => write!(f, "reason_{code}"),
        }
    }
}

/// What one event leaves on a seat: its idempotency key, and everything that a reader needs.
///
/// Marks of one seat are totally ordered, and their bytes sort as they do, so that DynamoDB can
/// compare them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    /// Its place among the events of the seat.
    pub order: Order,
    /// Whether it took or left the seat.
    pub kind: Kind,
    /// When it happened, by the provider's clock.
    pub at: UnixMillis,
    /// The person's role.
    pub role: Role,
    /// Why they left; [`LeaveReason::Unspecified`] on entering.
    pub reason: LeaveReason,
}

/// Stored bytes that are not a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a mark")]
pub struct MarkError;

impl Mark {
    /// Why the person left; `None` if the mark is not about a departure.
    #[must_use]
    pub fn departure(&self) -> Option<LeaveReason> {
        (self.kind == Kind::Leave).then_some(self.reason)
    }

    /// The mark as it is stored: big-endian numbers in the order of the fields, the session
    /// preceded by its length in one byte.
    ///
    /// ```
    /// use rollcall::domain::{Kind, LeaveReason, Mark, Order, Role, UnixMillis};
    ///
    /// let mark = Mark { order: Order { time: UnixMillis(1_499_676_978_027), session:
    /// Some("792".parse()?), sequence: 1 }, kind: Kind::Enter, at: UnixMillis(1_499_676_978_027),
    /// role: Role(2), reason: LeaveReason::Unspecified, };
    /// assert_eq!(Mark::from_bytes(&mark.to_bytes()), Ok(mark));
    /// # Ok::<(), rollcall::domain::IdError>(())
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let session = self.order.session.as_ref().map_or("", SessionId::as_str).as_bytes();
        let mut bytes = Vec::with_capacity(30 + session.len());
        bytes.extend(self.order.time.0.to_be_bytes());
        // An id has at most 255 bytes.
        bytes.push(u8::try_from(session.len()).unwrap_or(u8::MAX));
        bytes.extend(session);
        bytes.extend(self.order.sequence.to_be_bytes());
        bytes.push(self.kind as u8);
        bytes.extend(self.at.0.to_be_bytes());
        bytes.extend(self.role.0.to_be_bytes());
        bytes.extend(self.reason.code().to_be_bytes());
        bytes
    }

    /// Reads what [`Mark::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// [`MarkError`] for any other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MarkError> {
        let mut rest = bytes;
        let time = UnixMillis(take_u64(&mut rest)?);
        let [length] = take(&mut rest)?;
        let (session, mut rest) = rest.split_at_checked(length.into()).ok_or(MarkError)?;
        let session = std::str::from_utf8(session).map_err(|_| MarkError)?;
        let session = match session {
            "" => None,
            session => Some(session.parse().map_err(|_: IdError| MarkError)?),
        };
        let sequence = take_u64(&mut rest)?;
        let kind = match take(&mut rest)? {
            [1] => Kind::Enter,
            [2] => Kind::Leave,
            [3] => Kind::Stay,
            _ => return Err(MarkError),
        };
        let at = UnixMillis(take_u64(&mut rest)?);
        let role = Role(u16::from_be_bytes(take(&mut rest)?));
        let reason = LeaveReason::from_code(u16::from_be_bytes(take(&mut rest)?));
        if !rest.is_empty() {
            return Err(MarkError);
        }
        Ok(Self {
            order: Order { time, session, sequence },
            kind,
            at,
            role,
            reason: reason.ok_or(MarkError)?,
        })
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], MarkError> {
    let (head, tail) = bytes.split_first_chunk().ok_or(MarkError)?;
    *bytes = tail;
    Ok(*head)
}

fn take_u64(bytes: &mut &[u8]) -> Result<u64, MarkError> {
    take(bytes).map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mark() -> impl Strategy<Value = Mark> {
        let reason = prop_oneof![
            Just(LeaveReason::Unspecified),
            Just(LeaveReason::Normal),
            Just(LeaveReason::TokenExpired),
            any::<u8>().prop_map(LeaveReason::Other),
        ];
        // Few values, so that marks often agree in their first fields.
        let time = prop_oneof![Just(0), Just(255), Just(256), Just(u64::MAX)];
        let kind = prop_oneof![Just(Kind::Enter), Just(Kind::Leave), Just(Kind::Stay)];
        let role = prop_oneof![0..6_u16, any::<u16>()].prop_map(Role);
        (time.clone(), "[19a]{0,3}|.{1,60}", time.clone(), kind, time, role, reason).prop_map(
            |(time, session, sequence, kind, at, role, reason)| Mark {
                order: Order { time: UnixMillis(time), session: session.parse().ok(), sequence },
                kind,
                at: UnixMillis(at),
                role,
                reason,
            },
        )
    }

    proptest! {
        #[test]
        fn marks_come_back_from_their_bytes(mark in mark()) {
            prop_assert_eq!(Mark::from_bytes(&mark.to_bytes()), Ok(mark));
        }

        #[test]
        fn bytes_sort_as_their_marks_do(a in mark(), b in mark()) {
            prop_assert_eq!(a.cmp(&b), a.to_bytes().cmp(&b.to_bytes()));
            prop_assert_eq!(a.partial_cmp(&b), Some(a.cmp(&b)));
            prop_assert_eq!(a.partial_cmp(&a), Some(std::cmp::Ordering::Equal));
        }

        #[test]
        fn other_bytes_are_no_mark_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(mark) = Mark::from_bytes(&bytes) {
                prop_assert_eq!(mark.to_bytes(), bytes);
            }
        }

        #[test]
        fn half_a_mark_is_not_a_mark(mark in mark(), cut in any::<prop::sample::Index>()) {
            let bytes = mark.to_bytes();
            prop_assert_eq!(Mark::from_bytes(&bytes[..cut.index(bytes.len())]), Err(MarkError));
        }
    }
}
