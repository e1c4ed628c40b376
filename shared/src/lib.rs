//! Rollcall's shared crate: it verifies, parses, models and stores the callbacks that ZEGOCLOUD,
//! OpenIM and Tencent RTC send to a backend, and answers who is registered, who is online and who is in which room.
//!
//! There is one way through the house, and the modules are its rooms:
//!
//! ```text
//! request -> verify -> parse -> change -> store -> outcome -> reply
//! ```
//!
//! | module | what it holds | what it may know |
//! | --- | --- | --- |
//! | [`domain`] | ids, times, marks, changes, visits | nothing else |
//! | [`callback`] | raw and verified requests, the traits [`callback::Provider`] and [`callback::Callback`] | `domain` |
//! | [`providers`] | one folder per provider: verification, wire format, reply; one file per callback type | `callback`, `domain` |
//! | [`aws`] | what all AWS clients share: environment, HTTP client, roots, times | nothing else |
//! | [`apps`] | the apps and their secrets as they are known now; AWS Secrets Manager | `aws`, `config`, `domain` |
//! | [`store`] | DynamoDB: keys, conditions, index attributes; a writer for callbacks, a reader for queries | `aws`, `domain` |
//! | [`spill`] | SQS: the queue for what could not be stored in time | `aws`, `domain` |
//! | [`handler`] | the one pipeline from a raw request to a reply | all of the above |
//! | [`replay`] | the pipeline from the queue to the store | `domain`, `metrics`, `spill`, `store` |
//! | [`endpoint`] | every callback type in one list | `handler` and `providers` |
//! | [`query`] | the answers to a backend's questions | `domain`, `payload`, `providers`, `store` |
//! | [`payload`] | how much a call of a Lambda function can carry | nothing else |
//! | [`user_sig`] | Tencent's login tickets: minted, verified, and the routes for both | `apps`, `callback`, `config`, `domain`, `query` |
//! | [`metrics`] | the log line of a callback as `CloudWatch` metrics | `domain` |
//! | [`config`] | the environment variables of the contract | `providers` |
//! | [`runtime`] | Lambda's runner, the environment and the clock | everything |
#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod apps;
pub mod aws;
pub mod callback;
pub mod config;
pub mod domain;
pub mod endpoint;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod handler;
pub mod metrics;
pub mod payload;
pub mod providers;
pub mod query;
pub mod replay;
pub mod runtime;
pub mod spill;
pub mod store;
pub mod user_sig;
