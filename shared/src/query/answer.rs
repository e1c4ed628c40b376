//! How an answer becomes a reply.

use http::StatusCode;
use serde::Serialize;

use crate::http::Reply;

/// An answer in JSON. `answers!` lists all of them.
pub(super) trait Answer: Serialize + Sized {
    fn reply(&self) -> Reply {
        Reply::json(StatusCode::OK, self)
    }
}

/// Lists the types of all answers. Their schemas in `openapi.yaml` are generated from them.
macro_rules! answers {
    ($($answer:path,)+) => {
        $(impl Answer for $answer {})+

        /// Generates the schemas of all answers.
        #[cfg(test)]
        pub(crate) fn schemas(generator: &mut schemars::SchemaGenerator) {
            $(generator.subschema_for::<$answer>();)+
        }
    };
}
pub(super) use answers;
