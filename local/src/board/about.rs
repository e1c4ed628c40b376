//! `GET /board/config.json`: what the page has to know before it asks anything.

use rollcall::domain::{App, AppId, ProviderName};
use serde::Serialize;

/// What the board shows.
#[derive(Debug, Clone, Serialize)]
pub struct About {
    /// Where its answers come from.
    pub mode: Mode,
    /// The apps that one can pick. The first one is shown first.
    pub apps: Vec<ShownApp>,
    /// The program's version.
    pub version: &'static str,
    /// Where the board is, without a slash at the end.
    pub address: String,
    /// Whether there is a stream of events at `/events`.
    pub events: bool,
    /// How the callbacks are found in `CloudWatch` Logs Insights, where there is no stream of them.
    pub logs_query: Option<&'static str>,
    /// Commands that make something to see.
    pub commands: Vec<Command>,
    /// Whether the apps are the examples. If not, `send` needs the same `ROLLCALL_APPS`.
    pub example_apps: bool,
}

/// An app, as answers name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownApp {
    /// Whose app it is.
    pub provider: ProviderName,
    /// Its id there.
    pub app: AppId,
}

impl From<App> for ShownApp {
    fn from(App { provider, id }: App) -> Self {
        Self { provider, app: id }
    }
}

/// Where the answers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// From `cargo run`, in the same process.
    Laptop,
    /// From a stack in the cloud, which is asked for each of them.
    Stack,
}

/// A command to copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Command {
    /// Whose callbacks it sends; `all` if everyone's.
    pub provider: &'static str,
    /// The command.
    pub command: String,
}

impl About {
    /// This program's version.
    pub const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    /// A query of `CloudWatch` Logs Insights, over the log group of a stack, that lists what
    /// `/board/callbacks` has on a laptop.
    pub const LOGS_QUERY: &'static str = "fields @timestamp, provider, event, outcome, reason, app, room, user, duration_ms\n\
         | filter message = \"callback\"\n| sort @timestamp desc\n| limit 500";
}
