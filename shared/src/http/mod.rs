//! The request and the reply, independent of any server's types.

mod body;
mod form;
mod parameters;
mod reply;
mod request;

pub use body::{read_object, without_byte_order_mark};
pub use form::{Text, form, percent_decoded};
pub use parameters::{ParameterError, Parameters, id_in_path};
#[cfg(test)]
pub(crate) use reply::schemas;
pub use reply::{ErrorCode, MediaType, Reply};
pub(crate) use request::PATH;
pub use request::Request;
