//! Who created a room whose lives have no names.

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{App, RoomId, UnixMillis, UserId};

/// Half the length of a [`CreatorHash`].
const HALF: usize = 16;

/// Who created a room. The rules only ask whether it was a certain user, so what is stored is a
/// hash: nobody can list who created a room, or which rooms a person created. Anyone who may read the
/// table and guesses a person can test the guess.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Creator {
    /// The user: as the provider says, and as older versions stored it.
    Named(UserId),
    /// The hash of the user.
    Hashed(CreatorHash),
}

/// HMAC-SHA-256 of the creator's id, whose key is derived from the app, the room and the time. So
/// it is the same in each function, however the app's secrets are rotated, and it differs in each
/// room. It is preceded by the key, so that a reader can compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "HashText", into = "HashText")]
pub struct CreatorHash {
    key: [u8; HALF],
    hash: [u8; HALF],
}

/// A hash in a message.
#[derive(Serialize, Deserialize)]
struct HashText {
    hashed: String,
}

impl CreatorHash {
    fn new(key: [u8; HALF], user: &UserId) -> Self {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else {
            unreachable!("an HMAC takes a key of any length");
        };
        mac.update(user.as_str().as_bytes());
        Self { key, hash: first_half(&mac.finalize().into_bytes()) }
    }

    /// The bytes that are stored.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        [self.key, self.hash].concat()
    }

    /// Reads what [`CreatorHash::to_bytes`] wrote; `None` for any other bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (key, hash) = bytes.split_at_checked(HALF)?;
        Some(Self { key: key.try_into().ok()?, hash: hash.try_into().ok()? })
    }
}

impl Creator {
    /// Whether it was this user.
    #[must_use]
    pub fn is(&self, user: &UserId) -> bool {
        match self {
            Self::Named(creator) => creator == user,
            Self::Hashed(hash) => *hash == CreatorHash::new(hash.key, user),
        }
    }

    /// The hash of who created a room at a time.
    #[must_use]
    pub fn hashed(&self, app: &App, room: &RoomId, at: UnixMillis) -> CreatorHash {
        match self {
            Self::Hashed(hash) => *hash,
            Self::Named(user) => {
                let mut salt = Sha256::new();
                // The lengths distinguish any two of them.
                for part in [app.provider.as_str(), app.id.as_str(), room.as_str()] {
                    salt.update((part.len() as u64).to_be_bytes());
                    salt.update(part);
                }
                salt.update(at.0.to_be_bytes());
                CreatorHash::new(first_half(&salt.finalize()), user)
            }
        }
    }
}

fn first_half(hash: &[u8]) -> [u8; HALF] {
    std::array::from_fn(|index| hash[index])
}

impl From<CreatorHash> for HashText {
    fn from(hash: CreatorHash) -> Self {
        Self { hashed: hex::encode(hash.to_bytes()) }
    }
}

impl TryFrom<HashText> for CreatorHash {
    type Error = &'static str;

    fn try_from(text: HashText) -> Result<Self, Self::Error> {
        let bytes = hex::decode(text.hashed).ok();
        bytes.and_then(|bytes| Self::from_bytes(&bytes)).ok_or("not a hash of a creator")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ProviderName;

    fn app(id: &str) -> App {
        App { provider: ProviderName::Tencent, id: id.parse().unwrap() }
    }

    fn hash(app_id: &str, room: &str, at: u64, user: &str) -> CreatorHash {
        let creator = Creator::Named(user.parse().unwrap());
        creator.hashed(&app(app_id), &room.parse().unwrap(), UnixMillis(at))
    }

    /// It is part of a key, so it never changes.
    #[test]
    fn a_hash_stays_the_same_and_differs_in_every_room() {
        let known = hash("1400000000", "lobby", 1_790_000_000_000, "ada");
        assert_eq!(hex::encode(known.to_bytes()), KNOWN);
        for other in [
            hash("1400000001", "lobby", 1_790_000_000_000, "ada"),
            hash("1400000000", "lobb", 1_790_000_000_000, "ada"),
            hash("1400000000", "lobby", 1_790_000_000_001, "ada"),
            hash("1400000000", "lobby", 1_790_000_000_000, "adb"),
        ] {
            assert_ne!(other.hash, known.hash);
        }
    }

    /// Worked out apart from this code.
    const KNOWN: &str = "9b0d6b525934cccf93d02032324c6522ae4568578e0a1a76b30cc1054e4b73e8";

    #[test]
    fn only_the_creator_is_the_creator_whether_named_or_hashed() {
        let named = Creator::Named("ada".parse().unwrap());
        let hashed = Creator::Hashed(hash("1", "lobby", 5, "ada"));
        for creator in [named, hashed] {
            assert!(creator.is(&"ada".parse().unwrap()));
            assert!(!creator.is(&"bob".parse().unwrap()));
            let text = serde_json::to_string(&creator).unwrap();
            assert_eq!(serde_json::from_str::<Creator>(&text).unwrap(), creator);
        }
        assert_eq!(CreatorHash::from_bytes(&[0; 31]), None);
    }
}
