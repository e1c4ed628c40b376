//! What `cargo run` says first, on the terminal and on the board.

use std::time::Duration;

use rollcall::{
    callback::{Provider, Secret},
    config::Apps,
    domain::{App, AppId, ProviderName},
    providers::{
        openim::{AppCredentials, OpenIm},
        tencent::Chat,
        zego::AppCredentials as ZegoCredentials,
    },
    runtime,
};
use rollcall_local::{
    ask::DEFAULT_URL,
    board::{About, Mode, ShownApp, about::Command},
};
use rollcall_players::{openim, tencent, zego};

use super::{apps_of, ids};

/// How many callbacks a command of the board sends, and how many per second: slowly enough to see
/// people come and go.
const SHOWN: &str = "--count 500 --rate 20";

/// What somebody who starts Rollcall has to know.
#[derive(Clone, Copy)]
pub(super) struct Introduction<'a> {
    /// The gateway's address.
    pub(super) url: &'a str,
    /// The apps.
    pub(super) apps: &'a Apps,
    /// Whether they are the examples.
    pub(super) is_example: bool,
}

impl Introduction<'_> {
    /// Prints the apps, and commands to try. Every command works as it is printed.
    pub(super) fn print(&self, max_age: Duration) {
        let Self { url, apps, is_example } = *self;
        let source = if is_example {
            "example apps, since ROLLCALL_APPS is not set"
        } else {
            "ROLLCALL_APPS"
        };
        let (zego, openim, tencent) = (ids(&apps.zego), ids(&apps.openim), ids(&apps.tencent));
        let names = |ids: &[&AppId]| {
            let ids: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
            if ids.is_empty() { "none".to_owned() } else { ids.join(", ") }
        };
        let (zegos, openims, tencents) = (names(&zego), names(&openim), names(&tencent));
        println!("Apps of ZEGO: {zegos}; OpenIM: {openims}; Tencent: {tencents} ({source}).");
        let to = self.to();
        let mut commands = Vec::new();
        let plain: Vec<&AppId> = zego.into_iter().filter(|id| is_plain(id)).collect();
        let of_zego = |has: fn(&ZegoCredentials) -> bool| {
            plain.iter().copied().find(|id| has(&apps.zego[*id]))
        };
        let zego = of_zego(|app| !app.callback_secrets.is_empty());
        if let Some(id) = zego {
            let app = option(id, &zego::Options::default().app);
            commands.push(format!(
                "cargo run -- send zego room-login --user ada --room lobby{app}{to}"
            ));
            let of =
                if is_example { String::new() } else { format!(" --provider zego --app {id}") };
            commands.push(format!("cargo run -- ask who-is-in lobby{of}{to}"));
            commands.push(format!("curl {url}/presence/zego/{id}/rooms/lobby"));
        }
        if let Some(id) = openim.into_iter().find(|id| is_plain(id) && sends(&apps.openim[*id])) {
            let app = option(id, &openim::Options::default().app);
            commands.push(format!("cargo run -- send openim user-register --user ada{app}{to}"));
            commands.push(format!("curl {url}/registrations/openim/{id}/users/ada"));
        }
        let mints = |id: &AppId| !apps.tencent[id].secret_keys.is_empty();
        if let Some(id) = tencent.into_iter().find(|id| is_plain(id) && mints(id)) {
            let app = option(id, &tencent::Options::default().app);
            commands.push(format!("cargo run -- user-sig mint --user ada{app}"));
        }
        if let Some(id) = of_zego(|app| !app.server_secrets.is_empty()) {
            let app = option(id, &zego::Options::default().app);
            commands.push(format!("cargo run -- token mint --user ada{app}"));
        }
        if !commands.is_empty() {
            let with = if is_example { "" } else { " with the same ROLLCALL_APPS" };
            println!("\nTry it, in another terminal{with}:\n");
            for command in commands {
                println!("  {command}");
            }
        }
        // Configured secrets are not printed, and neither is anything that they sign.
        if let Some(id) = zego.filter(|_| is_example)
            && let Some(secret) = apps.zego[id].callback_secrets.first()
        {
            let age = max_age.as_secs();
            println!("\nor send a signed callback by hand (it is valid for {age} s):\n");
            println!("  {}", curl(url, id, secret));
        }
        println!("\nCtrl-C stops.\n");
    }

    /// The same for the board.
    pub(super) fn about(&self, events: bool) -> About {
        About {
            mode: Mode::Laptop,
            apps: self.shown(),
            version: About::VERSION,
            address: self.url.to_owned(),
            events,
            logs_query: None,
            commands: self.commands(),
            example_apps: self.is_example,
        }
    }

    /// The apps that callbacks can be verified for.
    fn shown(&self) -> Vec<ShownApp> {
        let all = apps_of(self.apps, ProviderName::ALL).into_iter();
        let shown = all.filter(|App { provider, id }| self.event(*provider, id).is_some());
        shown.map(ShownApp::from).collect()
    }

    /// Which event of an app `send` has to name: none, if it can sign all of them. `None` if it can
    /// sign none.
    fn event(&self, provider: ProviderName, id: &AppId) -> Option<&'static str> {
        match provider {
            provider if provider == OpenIm::NAME => sends(&self.apps.openim[id]).then_some(""),
            provider if provider == Chat::NAME => {
                let app = &self.apps.tencent[id];
                match (app.chat_tokens.is_empty(), app.trtc_keys.is_empty()) {
                    (false, false) => Some(""),
                    (false, true) => Some(" chat-login"),
                    (true, false) => Some(" trtc-enter"),
                    (true, true) if !app.room_path_keys.is_empty() => Some(" room-enter"),
                    (true, true) => (!app.live_tokens.is_empty()).then_some(" live-online"),
                }
            }
            _ => (!self.apps.zego[id].callback_secrets.is_empty()).then_some(""),
        }
    }

    /// One command for all providers, if it knows the apps, and one for each that has an app.
    fn commands(&self) -> Vec<Command> {
        let to = self.to();
        let mut commands = Vec::new();
        let mut add = |provider, what: &str| {
            let command = format!("cargo run -- send {what} {SHOWN}{to}");
            commands.push(Command { provider, command });
        };
        if self.is_example {
            add("all", "all");
        }
        let apps = self.shown();
        for provider in ProviderName::ALL {
            let is_fit = |shown: &&ShownApp| shown.provider == provider && is_plain(&shown.app);
            let Some(ShownApp { app, .. }) = apps.iter().find(is_fit) else { continue };
            let default = match provider {
                provider if provider == OpenIm::NAME => openim::Options::default().app,
                provider if provider == Chat::NAME => tencent::Options::default().app,
                _ => zego::Options::default().app,
            };
            let (name, event) = (provider.as_str(), self.event(provider, app).unwrap_or_default());
            add(name, &format!("{name}{event}{}", option(app, &default)));
        }
        commands
    }

    /// Where a command sends to, if not to the default.
    fn to(&self) -> String {
        if self.url == DEFAULT_URL { String::new() } else { format!(" --url {}", self.url) }
    }
}

/// Whether callbacks of an OpenIM installation can be verified.
fn sends(app: &AppCredentials) -> bool {
    !app.secrets.is_empty() || !app.basic.is_empty()
}

/// Whether an id can be part of a path and of a command as it is.
fn is_plain(id: &AppId) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '~' | '-');
    id.as_str().chars().all(is_plain) && !id.as_str().starts_with(['-', '~', '.'])
}

/// `--app`, if the app is not the default.
fn option(id: &AppId, default: &str) -> String {
    if id.as_str() == default { String::new() } else { format!(" --app {id}") }
}

fn curl(url: &str, app: &AppId, secret: &Secret) -> String {
    let now = runtime::now();
    let options = zego::Options::for_user(app.as_str(), "grace", "library");
    let event = zego::Rooms::default().happen(zego::EventName::RoomLogin, &options, now);
    let callback = event.callback(secret, now.seconds(), &zego::nonce(now.seconds()));
    format!("curl {} -d '{}'", callback.url(url), callback.body)
}
