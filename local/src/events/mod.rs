//! Events on a laptop: what function `relay`, the table's stream and `EventBridge` do in the cloud.
//!
//! ```text
//! a write of the gateway -> Feed (old and new image) -> rollcall::relay::events -> Journal
//!                                                                   Journal -> GET /events
//!                                                                   Journal -> --webhook URL
//! ```

mod feed;
mod journal;
mod sse;
mod webhook;

pub use feed::{Feed, Images};
pub use journal::{Forgotten, Journal, Line, Reader};
pub use sse::router;
pub use webhook::post_all;
