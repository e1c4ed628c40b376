//! The request and the reply, independent of any server's types.

mod reply;
mod request;

pub use reply::Reply;
pub use request::Request;
