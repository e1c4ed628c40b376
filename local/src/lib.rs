//! Rollcall on a laptop: a gateway that serves the functions' own handlers in one process, an
//! embedded DynamoDB, and a sender that plays the providers.

pub mod dynamodb;
pub mod gateway;
pub mod send;

/// The apps that are served when `ROLLCALL_APPS` is not set, with the secrets that the providers
/// publish in their own examples.
pub const EXAMPLE_APPS: &str = r#"{
    "zego": {"1": {"callback_secrets": ["secret"]}},
    "openim": {"main": {
        "secrets": ["openIM123"],
        "basic": [{"user": "openim", "password": "openIM123"}]
    }}
}"#;
