//! Tencent: Chat's `State.StateChange`, TRTC's room events, and those of `RoomEngine` and Live.
//!
//! They are three senders with little in common but the app: each is verified in its own way, so each
//! is a [`crate::callback::Provider`].

#[cfg(feature = "server-api")]
pub mod api;
#[cfg(feature = "server-api")]
mod api_account;
mod apps;
mod chat;
mod chat_state;
mod device;
mod platform;
mod reply;
mod room_engine;
mod room_event;
mod rules;
mod says;
mod trtc;
mod trtc_event;
mod visits;

#[cfg(feature = "server-api")]
pub use api_account::{ApiAccount, SECRET_KEY};
#[cfg(feature = "server-api")]
pub(super) use api_account::{ApiAccountJson, read_api_account};
pub use apps::{
    AppCredentials, Apps, CHAT_TOKENS, LIVE_TOKENS, ROOM_PATH_KEYS, SECRET_KEYS, TRTC_KEYS,
};
pub(super) use apps::{AppJson, read_apps};
pub use chat::{Chat, StateChange, sign as sign_chat};
pub use chat_state::ChatState;
pub use room_engine::RoomEngine;
pub use room_event::RoomEvent;
pub use rules::RULES;
pub(super) use rules::seats;
pub use trtc::{Trtc, sign as sign_trtc};
pub use trtc_event::TrtcEvent;
