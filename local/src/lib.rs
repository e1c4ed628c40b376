//! Rollcall on a laptop: a gateway that serves the functions' own handlers in one process, an
//! embedded DynamoDB, a page in the browser that shows what happens, a sender that plays the
//! providers' callbacks, and a server that plays their server APIs.

pub mod ask;
pub mod board;
pub mod dynamodb;
pub mod events;
pub mod gateway;
pub mod provider;
pub mod reconcile;
mod reply;
pub mod resync;
pub mod ring;
pub mod send;

/// The apps that are served when `ROLLCALL_APPS` is not set, with the secrets that the providers
/// publish in their own examples, and users whose names begin with `recorder_` as robots. They publish
/// no key for the address of `RoomEngine`'s callbacks.
pub const EXAMPLE_APPS: &str = r#"{
    "zego": {"1": {
        "callback_secrets": ["secret"],
        "server_secrets": ["9193cc662a4c0ec135ec71fb57194b38"],
        "robots": ["recorder_*"]
    }},
    "openim": {"main": {
        "secrets": ["openIM123"],
        "basic": [{"user": "openim", "password": "openIM123"}]
    }},
    "tencent": {"1400000000": {
        "secret_keys": ["5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"],
        "chat_tokens": ["xxxxyyyy"],
        "trtc_keys": ["123654"],
        "live_tokens": ["xxxxyyyy"],
        "room_path_keys": ["a-key-that-nobody-guesses-on-a-laptop"],
        "robots": ["recorder_*"]
    }}
}"#;
