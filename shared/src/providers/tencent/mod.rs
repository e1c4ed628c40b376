//! Tencent: Chat's `State.StateChange`, and TRTC's room events.
//!
//! They are two senders with nothing in common but the app: each has a signature and an answer of
//! its own, so each is a [`crate::callback::Provider`].

#[cfg(feature = "server-api")]
pub mod api;
#[cfg(feature = "server-api")]
mod api_account;
mod apps;
mod chat;
mod chat_state;
mod device;
mod platform;
mod rules;
mod says;
mod trtc;
mod trtc_event;
mod visits;

#[cfg(feature = "server-api")]
pub use api_account::{ApiAccount, SECRET_KEY};
#[cfg(feature = "server-api")]
pub(super) use api_account::{ApiAccountJson, read_api_account};
pub use apps::{AppCredentials, Apps, CHAT_TOKENS, SECRET_KEYS, TRTC_KEYS};
pub(super) use apps::{AppJson, read_apps};
pub use chat::{Chat, StateChange, sign as sign_chat};
pub use chat_state::ChatState;
pub use rules::{RULES, SEATS};
pub use trtc::{Trtc, sign as sign_trtc};
pub use trtc_event::TrtcEvent;
