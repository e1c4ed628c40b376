//! Rollcall's shared crate: it verifies, parses, models and stores the callbacks that ZEGOCLOUD,
//! OpenIM and Tencent RTC send to a backend, and answers who is registered, who is online and who
//! is in which room.
//!
//! Every callback takes the same path:
//!
//! ```text
//! request -> verify -> parse -> change -> store -> outcome -> reply
//! ```
//!
//! The modules in order: each comes before those that use it. A test compares the last column with
//! the sources.
//!
//! | module | contents | modules that it uses |
//! | --- | --- | --- |
//! | [`domain`] | ids, times, marks, changes, visits | none |
//! | [`http`] | the request and the reply | `domain` |
//! | [`payload`] | how long a request to a Lambda function and its answer may be | none |
//! | [`routes`] | the table of all routes, and who calls them | `domain` |
//! | [`callback`] | verified requests, the traits [`callback::Provider`] and [`callback::Callback`] | `domain`, `http` |
//! | [`providers`] | one folder per provider: its apps, verification, wire format, reply, rules for reading; one file per callback type | `callback`, `domain`, `http`, `routes` |
//! | [`config`] | the environment variables of the contract | `domain`, `providers` |
//! | [`aws`] | what all AWS clients share: environment, HTTP client, roots, times | none |
//! | [`apps`] | the current apps and their secrets; AWS Secrets Manager | `aws`, `domain`, `providers` |
//! | [`store`] | DynamoDB: keys, conditions, index attributes; a writer for callbacks, a reader for queries | `aws`, `domain`, `providers` |
//! | [`spill`] | SQS: the queue for what could not be stored in time | `aws`, `domain` |
//! | [`metrics`] | the log line of a callback as `CloudWatch` metrics | `domain` |
//! | [`handler`] | the pipeline from a request to a reply | `apps`, `callback`, `config`, `domain`, `http`, `metrics`, `providers`, `spill`, `store` |
//! | [`endpoint`] | every callback type as a value | `callback`, `handler`, `http`, `providers`, `routes` |
//! | [`replay`] | the pipeline from the queue to the store | `domain`, `metrics`, `spill`, `store` |
//! | [`erase`] | a person is erased: the request, and the later passes | `domain`, `http`, `metrics`, `routes`, `spill`, `store` |
//! | [`record`] | what is known about an app at one moment: people, rooms, stays and how they ended | `domain`, `providers`, `store` |
//! | [`query`] | the answers to a backend's queries | `config`, `domain`, `http`, `payload`, `record`, `routes` |
//! | [`settle`] | rooms in which nothing has changed for a while | `domain`, `metrics`, `record`, `spill`, `store` |
//! | [`relay`] | the pipeline from the table's stream to events; `EventBridge` | `aws`, `domain`, `metrics`, `providers`, `settle`, `store` |
//! | [`sweep`] | the list of live rooms is swept, and people are counted | `domain`, `metrics`, `record`, `store` |
//! | [`user_sig`] | Tencent's login tickets: minted, verified, and the answers for both | `apps`, `callback`, `domain`, `http`, `providers`, `routes` |
//! | `fuzzing` | the checks that `fuzz/` and a test run on arbitrary bytes | `callback`, `domain`, `erase`, `http`, `providers`, `query`, `routes`, `store`, `user_sig` |
//! | [`runtime`] | Lambda's runner, the environment and the clock | `apps`, `aws`, `callback`, `config`, `domain`, `erase`, `handler`, `http`, `metrics`, `providers`, `query`, `record`, `relay`, `replay`, `settle`, `spill`, `store`, `sweep`, `user_sig` |
#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod apps;
pub mod aws;
pub mod callback;
pub mod config;
pub mod domain;
pub mod endpoint;
pub mod erase;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod handler;
pub mod http;
pub mod metrics;
#[cfg(test)]
mod openapi;
pub mod payload;
pub mod providers;
pub mod query;
pub mod record;
pub mod relay;
pub mod replay;
pub mod routes;
pub mod runtime;
pub mod settle;
pub mod spill;
pub mod store;
pub mod sweep;
pub mod user_sig;
