//! A request as it comes in and the reply that goes out, free of any server's types.

mod reply;
mod request;

pub use reply::Reply;
pub use request::Request;
