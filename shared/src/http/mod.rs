//! The request and the reply, independent of any server's types.

mod body;
mod reply;
mod request;

pub use body::{read_object, without_byte_order_mark};
pub use reply::Reply;
pub use request::Request;
