//! The request and the reply, independent of any server's types.

mod reply;
mod request;

#[cfg(test)]
pub(crate) use reply::schemas;
pub use reply::{ErrorCode, MediaType, Reply};
pub(crate) use request::PATH;
pub use request::Request;
