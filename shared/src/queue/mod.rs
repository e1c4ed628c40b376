//! A queue: what cannot be done now waits there. This is the only place that names SQS.

mod error;
mod received;
mod sqs;

pub use error::QueueError;
pub use received::ReceivedMessage;
pub(crate) use received::{Kept, handle_all, oldest_s};
pub(crate) use sqs::without_noncharacters;
pub use sqs::{MAX_DELAY, Queue};
