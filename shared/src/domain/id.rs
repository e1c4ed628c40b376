//! Newtypes for the ids that providers hand out.

use std::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The longest id that is accepted, in bytes. ZEGOCLOUD documents 64 for users and 128 for rooms,
/// and up to 255 on other pages; longer ones would not fit a DynamoDB key once escaped.
const MAX_BYTES: usize = 255;

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty.
    #[error("is empty")]
    Empty,
    /// The text has more than 255 bytes.
    #[error("is longer than {MAX_BYTES} bytes")]
    TooLong,
}

fn check(text: &str) -> Result<(), IdError> {
    match text.len() {
        0 => Err(IdError::Empty),
        1..=MAX_BYTES => Ok(()),
        _ => Err(IdError::TooLong),
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Any text of 1 to 255 bytes.
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[serde(try_from = "String")]
        pub struct $name(#[cfg_attr(test, schemars(length(min = 1, max = MAX_BYTES)))] String);

        impl $name {
            /// The id as the provider wrote it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                check(&text)?;
                Ok(Self(text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        /// Shorter first, then byte by byte, so that decimal ids sort by their number.
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                (self.0.len(), &self.0).cmp(&(other.0.len(), &other.0))
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
    };
}

id!(
    /// One customer's application at a provider: a ZEGO AppID, the name of an OpenIM
    /// installation, a Tencent SDKAppID.
    AppId
);
id!(
    /// A person, as the app names them: ZEGO's `user_account`.
    UserId
);
id!(
    /// A room, as the app names it. A name may be used again: see [`LifeId`].
    RoomId
);
id!(
    /// One life of a room, from its creation to its end: ZEGO's `room_seq`, which `room_create`
    /// and `room_close` call `room_session_id`.
    LifeId
);
id!(
    /// One stay of a person in a room, as the provider names it: ZEGO's `session_id`.
    SessionId
);

id!(
    /// A kind of device, as the provider names it: `IOS`, `Web`.
    Platform
);

/// A provider whose callbacks Rollcall receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ProviderName {
    /// ZEGOCLOUD.
    Zego,
    /// OpenIM.
    OpenIm,
    /// Tencent: Chat, TRTC, and the products built on them.
    Tencent,
}

impl ProviderName {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Zego, Self::OpenIm, Self::Tencent];

    /// The provider of that name, if there is one.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.as_str() == name)
    }

    /// The name in routes, keys and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zego => "zego",
            Self::OpenIm => "openim",
            Self::Tencent => "tencent",
        }
    }
}

impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An app at its provider: what isolates one customer's records from another's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct App {
    /// Whose app it is.
    pub provider: ProviderName,
    /// Its id there.
    pub id: AppId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_1_to_255_bytes() {
        assert_eq!("".parse::<UserId>(), Err(IdError::Empty));
        assert!("u".repeat(255).parse::<UserId>().is_ok());
        assert_eq!("u".repeat(256).parse::<UserId>(), Err(IdError::TooLong));
    }

    #[test]
    fn decimal_ids_sort_by_their_number() {
        let id = |text: &str| text.parse::<SessionId>().unwrap();
        assert!(id("9") < id("10"));
        assert!(id("792148503087288320") < id("792462300429684736"));
    }
}
