//! The request and the reply, independent of any server's types.

mod reply;
mod request;

#[cfg(test)]
pub(crate) use reply::schemas;
pub use reply::{ErrorCode, Reply};
pub use request::Request;
