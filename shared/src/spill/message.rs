//! The format of a message in the spill queue.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{MessageError, SpillError};
use crate::{
    domain::{Change, Track, UnixMillis},
    queue::without_noncharacters,
};

/// The version of most messages that are written. If a change of the model makes old messages
/// unreadable, it needs a new version.
const VERSION: u64 = 1;

/// The version of messages with a change of a second track, which a function of before would take
/// for one of the first. Both are read.
const VERSION_WITH_TRACKS: u64 = 2;

/// The longest message, in bytes. SQS accepts 256 KiB everywhere, and 1 MiB since August 2025 in
/// most places. 8 KiB are left for the reason with which a message may be sent to the dead letters.
pub const MAX_MESSAGE_BYTES: usize = (256 - 8) * 1024;

/// Changes that wait to be stored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Spilled {
    /// The provider's name of the event; for the log.
    pub event: String,
    /// When the callback arrived, by our clock.
    pub received_at: UnixMillis,
    /// The changes of the callback.
    pub changes: Vec<Change>,
}

#[derive(Serialize)]
struct Message<'a> {
    version: u64,
    event: &'a str,
    received_at: UnixMillis,
    changes: &'a [Box<RawValue>],
}

#[derive(Deserialize)]
struct Version {
    version: u64,
}

impl Spilled {
    /// Reads a message.
    ///
    /// # Errors
    ///
    /// [`MessageError`] if it is not in our format. Reading it again would not help.
    pub fn read(body: &str) -> Result<Self, MessageError> {
        match serde_json::from_str::<Version>(body)?.version {
            VERSION | VERSION_WITH_TRACKS => Ok(serde_json::from_str(body)?),
            other => Err(MessageError::Version(other)),
        }
    }
}

/// Puts changes into as few messages as they need.
pub(super) fn write<'a>(
    event: &str,
    received_at: UnixMillis,
    changes: impl IntoIterator<Item = &'a Change>,
) -> Result<Vec<String>, SpillError> {
    let message = |version, changes: &[Box<RawValue>]| {
        serde_json::to_string(&Message { version, event, received_at, changes })
    };
    let room = MAX_MESSAGE_BYTES - message(VERSION, &[])?.len();
    let mut messages = Vec::new();
    let (mut part, mut length, mut version) = (Vec::new(), 0, VERSION);
    for change in changes {
        if change.track().is_some_and(|track| track != Track::Media) {
            // All changes of a callback are of one track.
            version = VERSION_WITH_TRACKS;
        }
        let text = without_noncharacters(serde_json::to_string(change)?);
        // A comma for each, including the last one.
        let bytes = text.len() + 1;
        if bytes > room {
            return Err(SpillError::TooLong(bytes));
        }
        if length + bytes > room {
            messages.push(message(version, &part)?);
            part.clear();
            length = 0;
        }
        length += bytes;
        part.push(RawValue::from_string(text)?);
    }
    if !part.is_empty() {
        messages.push(message(version, &part)?);
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::{
        Account, App, Boundary, BoundaryChange, Connection, Creator, Detail, Details, DeviceChange,
        DeviceEvent, Kind, LeaveReason, LifeChange, Mark, Order, ProfileChange, ProviderName,
        Registration, RegistrationSource, Role, RoomId, Roster, SeatChange, SessionChange,
        SessionEvent,
    };

    fn app() -> App {
        App { provider: ProviderName::OpenIm, id: "main".parse().unwrap() }
    }

    fn registration(user: &str, text: Option<String>, number: Option<i32>) -> Registration {
        Registration {
            app: app(),
            user: user.parse().unwrap(),
            source: RegistrationSource::Callback,
            create_time: text.as_ref().map(|_| UnixMillis(1)),
            recorded_at: UnixMillis(u64::MAX),
            name: text.clone(),
            details: Details::from([
                ("avatar_url".into(), text.clone().into()),
                ("extra".into(), text.into()),
                ("extra_truncated".into(), Detail::Flag(true)),
                ("manager_level".into(), number.into()),
            ]),
        }
    }

    fn change() -> impl Strategy<Value = Change> {
        let id = || "\\PC{1,20}|[\u{0}-\u{ffff}]{1,20}";
        let texts = prop::option::of(prop_oneof![
            any::<String>(),
            Just("\"\\\u{0}\u{fffe}\u{ffff}\u{1fffe}\u{7f}\u{85}".to_owned())
        ]);
        let at = any::<u64>().prop_map(UnixMillis);
        let reason =
            prop_oneof![Just(LeaveReason::Kicked), any::<u8>().prop_map(LeaveReason::Other)];
        (id(), id(), texts, at, any::<u16>(), reason, any::<Option<i32>>(), 0..11_u8).prop_map(
            |(user, room, text, at, number, reason, integer, which)| {
                let (user, room) = (user.parse().unwrap(), room.parse::<RoomId>().unwrap());
                let connection = match number % 3 {
                    0 => Connection::Leased,
                    1 => Connection::Unnamed,
                    _ => Connection::Named(number.to_string().parse().unwrap()),
                };
                let device = |event| {
                    Change::Device(DeviceChange {
                        app: app(),
                        user: "u".parse().unwrap(),
                        platform: "IOS".parse().unwrap(),
                        connection: connection.clone(),
                        event,
                        at,
                    })
                };
                match which {
                    0 => Change::Seat(SeatChange {
                        app: app(),
                        user,
                        room,
                        life: Some("7".parse().unwrap()),
                        track: if number % 2 == 0 { Track::Media } else { Track::RoomEngine },
                        mark: Mark {
                            order: Order { time: at, session: None, sequence: at.0 },
                            kind: if number % 2 == 0 { Kind::Enter } else { Kind::Stay },
                            at,
                            role: Role(number),
                            reason,
                        },
                        roster: Roster {
                            details: BTreeMap::from([("room_name".into(), text.clone().into())]),
                            name: text,
                        },
                    }),
                    1 => Change::Life(LifeChange {
                        app: app(),
                        room,
                        life: "7".parse().unwrap(),
                        boundary: Boundary::Closed { at, reason: Some(number.into()) },
                    }),
                    2 => Change::Boundary(BoundaryChange {
                        app: app(),
                        room,
                        track: if number % 2 == 0 { Track::Media } else { Track::RoomEngine },
                        boundary: Boundary::Created { at, creator: Some(Creator::Named(user)) },
                    }),
                    3 => device(DeviceEvent::Online(Account::RegistersItself)),
                    4 => device(DeviceEvent::Offline(reason)),
                    5 => device(DeviceEvent::LoggedOut),
                    6 => device(DeviceEvent::Kicked),
                    7 => device(DeviceEvent::KickedByItself),
                    8 => Change::Session(SessionChange {
                        app: app(),
                        user,
                        session: "9".parse().unwrap(),
                        platform: room.as_str().parse().unwrap(),
                        event: [
                            SessionEvent::LoggedIn,
                            SessionEvent::Offline,
                            SessionEvent::LoggedOut,
                        ][usize::from(number % 3)],
                        at,
                        login_at: integer.map(|_| at),
                    }),
                    9 => Change::Profile(ProfileChange { app: app(), user, changed_at: at }),
                    _ => Change::Registration(registration("u", text, integer)),
                }
            },
        )
    }

    /// Whether SQS accepts a character in a message.
    fn is_allowed(character: char) -> bool {
        matches!(character, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
    }

    proptest! {
        #[test]
        fn changes_come_back_from_their_messages(
            changes in prop::collection::vec(change(), 1..20),
            received_at in any::<u64>().prop_map(UnixMillis),
        ) {
            let messages = write("room_login", received_at, &changes).unwrap();
            let mut read = Vec::new();
            for message in &messages {
                prop_assert!(message.chars().all(is_allowed), "{}", message);
                let spilled = Spilled::read(message).unwrap();
                prop_assert_eq!(spilled.event, "room_login");
                prop_assert_eq!(spilled.received_at, received_at);
                read.extend(spilled.changes);
            }
            prop_assert_eq!(messages.len(), 1);
            prop_assert_eq!(read, changes);
        }
    }

    /// `bench/scale` counts with a kilobyte for it and for what Lambda passes with it.
    #[test]
    fn a_message_of_an_entry_is_short() {
        let entry = r#"{"seat":{"app":{"provider":"zego","id":"1234567890"},"user":"888120154",
            "room":"rid_1242649","life":"6085791336856668982",
            "mark":{"order":{"time":1790000000000,"session":"792148503087288320","sequence":2},
                    "kind":"enter","at":1790000000000,"role":"audience","reason":"unspecified"},
            "roster":{"name":"Ada","details":{"room_name":"Lobby"}}}}"#;
        let entry: Change = serde_json::from_str(entry).unwrap();
        let [message] = write("room_login", UnixMillis(1_790_000_000_000), [&entry])
            .unwrap()
            .try_into()
            .unwrap();
        assert!((400..500).contains(&message.len()), "{}", message.len());
    }

    /// The largest change has the longest texts that `OpenIM`'s limits allow, each byte six in
    /// JSON.
    #[test]
    fn the_largest_change_has_room_in_a_message() {
        let escaped = |bytes| Some("\u{1}".repeat(bytes));
        let largest = |user: &str| {
            Change::Registration(Registration {
                app: App {
                    provider: ProviderName::OpenIm,
                    id: "\u{1}".repeat(255).parse().unwrap(),
                },
                name: escaped(4 * 1024),
                details: Details::from([
                    ("avatar_url".into(), escaped(4 * 1024).into()),
                    ("extra".into(), escaped(32 * 1024).into()),
                    ("extra_truncated".into(), Detail::Flag(true)),
                    ("manager_level".into(), Some(i32::MIN).into()),
                    ("receive_option".into(), Some(i32::MIN).into()),
                ]),
                ..registration(&user.repeat(255), None, None)
            })
        };
        let changes = ["\u{1}", "\u{2}", "\u{3}"].map(largest);
        let messages = write("callbackAfterUserRegisterCommand", UnixMillis(u64::MAX), &changes);
        let messages = messages.unwrap();
        assert_eq!(messages.len(), 3);
        for (message, change) in messages.iter().zip(changes) {
            assert!(message.len() <= MAX_MESSAGE_BYTES, "{}", message.len());
            assert_eq!(Spilled::read(message).unwrap().changes, [change]);
        }
        let none: [&Change; 0] = [];
        assert!(write("e", UnixMillis(0), none).unwrap().is_empty());
    }

    /// A new release must read the messages of the previous one. A new name in the model needs a
    /// new version of the message.
    #[test]
    fn a_message_of_version_1_is_read() {
        let message = r#"{"version":1,"event":"room_login","received_at":1790000000000,"changes":[
            {"seat":{"app":{"provider":"zego","id":"1"},"user":"ada","room":"lobby","life":"7",
                "mark":{"order":{"time":5,"session":"s1","sequence":2},"kind":"leave","at":6,
                        "role":"audience","reason":{"other":9}},
                "roster":{"name":"Ada","details":{"room_name":"Lobby"}}}},
            {"seat":{"app":{"provider":"tencent","id":"1"},"user":"ada","room":"lobby","life":null,
                "mark":{"order":{"time":5,"session":null,"sequence":3},"kind":"enter","at":5,
                        "role":{"other":9},"reason":"unspecified"},
                "roster":{"name":null,"details":{}}}},
            {"life":{"app":{"provider":"zego","id":"1"},"room":"lobby","life":"7",
                "boundary":{"closed":{"at":7,"reason":1}}}},
            {"boundary":{"app":{"provider":"tencent","id":"1400000000"},"room":"s:1",
                "boundary":{"created":{"at":7,"creator":"ada"}}}},
            {"device":{"app":{"provider":"openim","id":"main"},"user":"ada","platform":"IOS",
                "connection":"c1","event":{"online":"registers_itself"},"at":8}},
            {"device":{"app":{"provider":"openim","id":"main"},"user":"ada","platform":"IOS",
                "connection":null,"event":"kicked_by_itself","at":8}},
            {"device":{"app":{"provider":"openim","id":"main"},"user":"ada","platform":"IOS",
                "connection":null,"told":"once","event":{"online":"registered"},"at":8}},
            {"registration":{"app":{"provider":"openim","id":"main"},"user":"ada",
                "source":"callback","create_time":1,"recorded_at":2,"name":"Ada","avatar_url":"a",
                "extra":"e","extra_truncated":false,"manager_level":1,"receive_option":2}},
            {"profile":{"app":{"provider":"openim","id":"main"},"user":"ada","changed_at":9}}]}"#;
        let spilled = Spilled::read(message).unwrap();
        let written = write(&spilled.event, spilled.received_at, &spilled.changes).unwrap();
        let lines: String = message.lines().map(str::trim_start).collect();
        assert_eq!(written, [lines]);
    }

    /// A function of before must not store it as if it were of the first track.
    #[test]
    fn a_message_of_a_second_track_has_a_version_of_its_own() {
        let message = r#"{"version":2,"event":"room_enter","received_at":1790000000000,"changes":[
            {"seat":{"app":{"provider":"tencent","id":"1"},"user":"ada","room":"lobby","life":null,
                "track":"room_engine",
                "mark":{"order":{"time":5,"session":null,"sequence":3},"kind":"enter","at":5,
                        "role":"unspecified","reason":"unspecified"},
                "roster":{"name":null,"details":{}}}},
            {"boundary":{"app":{"provider":"tencent","id":"1"},"room":"s:1","track":"room_engine",
                "boundary":{"closed":{"at":7,"reason":null}}}}]}"#;
        let spilled = Spilled::read(message).unwrap();
        assert!(spilled.changes.iter().all(|change| change.track() == Some(Track::RoomEngine)));
        let written = write(&spilled.event, spilled.received_at, &spilled.changes).unwrap();
        let lines: String = message.lines().map(str::trim_start).collect();
        assert_eq!(written, [lines]);
    }

    #[test]
    fn the_error_about_an_unreadable_message_has_none_of_its_content() {
        assert_eq!(Spilled::read(r#"{"version":3}"#), Err(MessageError::Version(3)));
        for body in ["", "hunter2", "[]", "{}", r#"{"version":1,"event":"hunter2"}"#] {
            let error = Spilled::read(body).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
