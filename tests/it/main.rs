//! Tests across crates: whole callbacks against a real store.
//!
//! The promises of `docs/design.md` are named in the tests that guard them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::too_many_lines)]

mod support;

mod architecture;
mod attendance;
mod board;
mod breaker;
mod callbacks;
mod cloudfront;
mod csv;
mod damage;
mod deadlines;
mod documents;
mod drain;
mod erase;
mod explain;
mod faults;
mod histories;
mod hostile;
mod lambda_events;
mod laptop_events;
mod large_rooms;
mod metrics;
mod openim;
mod pages;
mod panics;
mod policies;
mod profiles;
mod provider;
mod queries;
mod reconcile;
mod relay;
mod replay_guard;
mod reports;
mod request_id;
mod requests;
mod resync;
mod robots;
mod room_engine;
mod room_page;
mod room_shards;
mod rooms;
mod seats;
mod secrets;
mod server_api;
mod settle;
mod spill;
mod sweep;
mod template;
mod tencent;
mod user_sig;
mod wire;
mod zego_token;
mod zim;
