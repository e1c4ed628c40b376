//! The request and the reply, independent of any server's types.

mod body;
mod form;
mod reply;
mod request;

pub use body::{read_object, without_byte_order_mark};
pub use form::{Text, form, percent_decoded};
#[cfg(test)]
pub(crate) use reply::schemas;
pub use reply::{ErrorCode, MediaType, Reply};
pub(crate) use request::PATH;
pub use request::Request;
