//! A page in the browser that shows who is where, live: `cargo run` serves it at `/`, and
//! `rollcall board` serves it for a stack.
//!
//! ```text
//! browser -> guard -> /, /board/*         files, what the page must know
//!                  -> /board/callbacks    Callbacks <- log_line <- the gateway's callbacks
//!                  -> /events, queries    the gateway itself, or signed and passed on to a stack
//! ```
//!
//! | module | contents |
//! | --- | --- |
//! | [`guard`] | refuses what another page sends |
//! | [`files`] | the page, embedded |
//! | [`about`] | what the page has to know first |
//! | [`callbacks`] | the newest callbacks |
//! | [`log_line`] | what the log says of each of them |
//! | `sse` | the stream of them |
//! | `stack` | questions to a stack |

pub mod about;
pub mod callbacks;
pub mod files;
pub mod guard;
pub mod log_line;
mod sse;
mod stack;

use std::future::ready;

use axum::{Router, routing::get};
use http::StatusCode;

pub use about::{About, Mode, ShownApp};
pub use callbacks::{Answered, Callbacks};
pub use guard::Guard;

use crate::{ask::Client, reply::json};

/// The board of a gateway in this process.
#[derive(Debug, Clone)]
pub struct Board {
    /// What the page has to know.
    pub about: About,
    /// What the gateway has answered.
    pub callbacks: Callbacks,
}

impl Board {
    /// Its routes.
    pub fn router(self) -> Router {
        let callbacks = Router::new().route("/board/callbacks", get(sse::callbacks));
        page(self.about).merge(callbacks.with_state(self.callbacks))
    }
}

/// The board of a stack, which is asked by this client.
pub fn of_stack(client: Client, about: About) -> Router {
    let asked = stack::router(client, &about);
    page(about).fallback_service(asked)
}

/// The page, and what it has to know.
fn page(about: About) -> Router {
    let config = get(move || ready(json(StatusCode::OK, &about)));
    Router::new()
        .route("/", get(files::page))
        .route("/board/config.json", config)
        .route("/board/{name}", get(files::named))
}
