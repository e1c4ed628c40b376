//! The names of roles and reasons in answers.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::domain::{Ending, LeaveReason};

/// A person's role in a room: `anchor`, `audience`, `admin`, `unspecified`, or `role_N` for a code
/// of the provider that has no name here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Role"))]
pub(super) struct RoleName(
    #[cfg_attr(
        test,
        schemars(regex(pattern = r"^(anchor|audience|admin|unspecified|role_[0-9]+)$"))
    )]
    Cow<'static, str>,
);

impl From<Cow<'static, str>> for RoleName {
    fn from(name: Cow<'static, str>) -> Self {
        Self(name)
    }
}

/// Which of Tencent's products reported a room: `trtc` or `room_engine`, to which Live belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Track"))]
pub(super) struct TrackName(#[cfg_attr(test, schemars(regex(pattern = "^[a-z_]+$")))] &'static str);

impl From<&'static str> for TrackName {
    fn from(name: &'static str) -> Self {
        Self(name)
    }
}

/// Why a session ended: `normal`, `heartbeat_timeout`, `disconnected`, `kicked` (also after another
/// login, because ZEGO has one code for both), `token_expired`, `unspecified`, or `reason_N` for a
/// code of the provider that has no name here. If the end was inferred: `superseded` by a newer
/// session, `room_closed`, `room_replaced` by a newer life, `lease_expired` for a device whose server
/// did not repeat that it is online, or `reconciled` because the provider said so when it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Reason"))]
pub(super) struct ReasonName(
    #[cfg_attr(
        test,
        schemars(regex(
            pattern = r"^(normal|heartbeat_timeout|disconnected|kicked|token_expired|unspecified|reason_[0-9]+|superseded|room_closed|room_replaced|lease_expired|reconciled)$"
        ))
    )]
    String,
);

impl From<LeaveReason> for ReasonName {
    fn from(reason: LeaveReason) -> Self {
        Self(reason.to_string())
    }
}

impl From<Ending> for ReasonName {
    fn from(ending: Ending) -> Self {
        Self(ending.reason())
    }
}
