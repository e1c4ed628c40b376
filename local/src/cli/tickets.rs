//! What the commands for login tickets have in common: whose ticket it is, and the verdict on one.

use std::{fmt, process::ExitCode};

use clap::Args;
use rollcall::{
    domain::UnixSeconds,
    login::{Lifetime, Refusal, Valid},
    runtime,
};

use super::Failure;

/// Whose ticket it is, and when.
#[derive(Debug, Args)]
pub(super) struct Whose {
    /// The user's id
    #[arg(long)]
    pub(super) user: String,
    /// The app's id: an SDKAppID, or ZEGO's AppID [default: the example's]
    #[arg(long)]
    app: Option<String>,
    /// The app's key: Tencent's SecretKey, or ZEGO's ServerSecret [default: the app's in
    /// `ROLLCALL_APPS`, else the example's]
    #[arg(long)]
    pub(super) key: Option<String>,
    /// The time in Unix seconds [default: the clock's]
    #[arg(long, value_name = "SECONDS")]
    now: Option<u64>,
}

impl Whose {
    pub(super) fn app<'a>(&'a self, of_example: &'a str) -> &'a str {
        self.app.as_deref().unwrap_or(of_example)
    }

    pub(super) fn now(&self) -> UnixSeconds {
        self.now.map_or_else(|| runtime::now().seconds(), UnixSeconds)
    }
}

/// The lifetime of `--expire`.
pub(super) fn lifetime<const MIN_S: u64, const MAX_S: u64, const DEFAULT_S: u64>(
    expire: Option<u64>,
) -> Result<Lifetime<MIN_S, MAX_S, DEFAULT_S>, Failure> {
    match expire {
        Some(seconds) => Ok(Lifetime::from_seconds(seconds).map_err(of("--expire"))?),
        None => Ok(Lifetime::DEFAULT),
    }
}

/// Prints until when a ticket is valid, or the provider's code and what is wrong.
pub(super) fn say(verdict: Result<Valid, impl Refusal>) -> ExitCode {
    match verdict {
        Ok(valid) => {
            println!("valid until {}", valid.expires_at);
            ExitCode::SUCCESS
        }
        Err(invalid) => {
            println!("{} {invalid}", invalid.code());
            ExitCode::FAILURE
        }
    }
}

/// What is wrong with an option.
pub(super) fn of<E: fmt::Display>(option: &'static str) -> impl Fn(E) -> String {
    move |error| format!("{option} {error}")
}

/// There is nothing to sign with.
pub(super) fn no_key(name_of_app: &str, app: impl fmt::Display) -> Failure {
    format!("no key is known for {name_of_app} {app}: give one with --key").into()
}
