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
//! | [`aws`] | what all AWS clients share: environment, HTTP client, roots, times | none |
//! | [`apps`] | the current apps and their secrets; AWS Secrets Manager | `aws`, `domain`, `providers` |
//! | [`login`] | what the login tickets of all providers have in common: lifetimes, verdicts, the two routes of each kind | `apps`, `domain`, `http`, `providers` |
//! | [`breaker`] | whether a callback asks the store, or passes it by because it does not answer | none |
//! | [`store`] | DynamoDB: keys, conditions, index attributes; a writer for callbacks, a reader for queries | `aws`, `breaker`, `domain`, `providers` |
//! | [`config`] | the environment variables of the contract | `domain`, `providers`, `store` |
//! | [`queue`] | SQS: a queue, and the messages that are received from it | `aws`, `domain` |
//! | [`spill`] | what could not be stored in time, as messages of a queue; the pace at which it is stored | `domain`, `queue` |
//! | [`metrics`] | the log line of a callback as `CloudWatch` metrics | `domain` |
//! | [`request_id`] | the gateway's id of a request, in every line of the log | none |
//! | [`handler`] | the pipeline from a request to a reply | `apps`, `breaker`, `callback`, `config`, `domain`, `http`, `metrics`, `providers`, `queue`, `store` |
//! | [`endpoint`] | every callback type as a value | `callback`, `handler`, `http`, `providers`, `routes` |
//! | [`replay`] | the pipeline from the queue to the store | `domain`, `metrics`, `queue`, `spill`, `store` |
//! | [`erase`] | a person is erased: the request, and the later passes | `domain`, `http`, `metrics`, `queue`, `routes`, `store` |
//! | [`record`] | what is known about an app at one moment: people, rooms, stays and how they ended | `domain`, `providers`, `store` |
//! | [`query`] | the answers to a backend's queries | `config`, `domain`, `http`, `payload`, `record`, `routes` |
//! | [`settle`] | rooms in which nothing has changed for a while | `domain`, `metrics`, `queue`, `record`, `store` |
//! | [`relay`] | the pipeline from the table's stream to events; `EventBridge` | `aws`, `domain`, `metrics`, `providers`, `settle`, `store` |
//! | [`sweep`] | the list of live rooms is swept, and people are counted | `domain`, `metrics`, `record`, `store` |
//! | [`user_sig`] | Tencent's login tickets: minted, verified, and the answers for both | `apps`, `callback`, `domain`, `http`, `login`, `providers`, `routes` |
//! | [`zego_token`] | ZEGO's login tickets: the same | `apps`, `callback`, `domain`, `http`, `login`, `providers`, `routes` |
//! | [`server_api`] | the providers' server APIs are asked: credentials, limits, HTTP, one client for each; feature `server-api` | `apps`, `callback`, `domain`, `providers`, `user_sig` |
//! | [`reconcile`] | the providers are asked who is really there, and what differs is stored; feature `server-api` | `domain`, `http`, `metrics`, `providers`, `record`, `routes`, `server_api`, `store` |
//! | `fuzzing` | the checks that `fuzz/` and a test run on arbitrary bytes | `callback`, `domain`, `erase`, `http`, `providers`, `query`, `reconcile`, `routes`, `store`, `user_sig`, `zego_token` |
//! | [`runtime`] | Lambda's runner, the environment and the clock | `apps`, `aws`, `breaker`, `callback`, `config`, `domain`, `erase`, `handler`, `http`, `metrics`, `providers`, `query`, `queue`, `reconcile`, `record`, `relay`, `replay`, `request_id`, `server_api`, `settle`, `spill`, `store`, `sweep`, `user_sig`, `zego_token` |
#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod apps;
pub mod aws;
pub mod breaker;
pub mod callback;
pub mod config;
pub mod domain;
pub mod endpoint;
pub mod erase;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod handler;
pub mod http;
pub mod login;
pub mod metrics;
#[cfg(test)]
mod openapi;
pub mod payload;
pub mod providers;
pub mod query;
pub mod queue;
#[cfg(feature = "server-api")]
pub mod reconcile;
pub mod record;
pub mod relay;
pub mod replay;
pub mod request_id;
pub mod routes;
pub mod runtime;
#[cfg(feature = "server-api")]
pub mod server_api;
pub mod settle;
pub mod spill;
pub mod store;
pub mod sweep;
pub mod user_sig;
pub mod zego_token;
