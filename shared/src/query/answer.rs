//! How an answer becomes a reply.

use http::StatusCode;
use serde::{Serialize, de::DeserializeOwned};

use crate::http::Reply;

/// An answer in JSON. `answers!` lists all of them.
pub(super) trait Answer: Serialize + Sized {
    fn reply(&self) -> Reply {
        Reply::json(StatusCode::OK, self)
    }
}

/// An answer that is a page of rows, and can also be CSV.
pub(super) trait List: Answer {
    /// A struct whose fields are texts, numbers, flags, or lists of texts, or null. Their names are
    /// the header of the CSV, which is why it can also be deserialized.
    type Row: Serialize + DeserializeOwned;

    /// The rows of this page.
    fn rows(&self) -> &[Self::Row];

    /// The cursor of the next page.
    fn next(&self) -> Option<&str>;
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
