//! Events on a laptop: what functions `relay` and `sweep`, the table's stream and `EventBridge` do in the cloud.
//!
//! ```text
//! a write of the gateway -> Feed (old and new image) -> rollcall::relay::events -> Journal
//!                                                                   Journal -> GET /events
//!                                                                   Journal -> --webhook URL
//! ```

mod feed;
mod journal;
mod sse;
mod sweep;
mod webhook;

pub use feed::{Feed, Images};
pub use journal::{Journal, Line, Reader};
pub use sse::router;
pub use sweep::{SWEEP_BUDGET, sweep_each_minute, sweep_of};
pub use webhook::post_all;
