//! `cargo run -- check URL`: whether a stack, or a laptop, does what it should.

use std::{error::Error as _, process::ExitCode, time::Duration};

use clap::{Args, ValueEnum};
use reqwest::StatusCode;
use rollcall::{
    callback::{Provider, Secret},
    domain::{AppId, ProviderName},
    providers::{
        openim::{AppCredentials as OpenImSecrets, OpenIm},
        tencent::{AppCredentials as TencentSecrets, Chat},
        zego::{AppCredentials as ZegoSecrets, Zego},
    },
    routes::{MINT_USER_SIG, MINT_ZEGO_TOKEN, VERIFY_USER_SIG, VERIFY_ZEGO_TOKEN},
    runtime,
};
use rollcall_local::ask::{Client, DEFAULT_URL, Query, query::encoded};
use rollcall_players::{Answer, Callback, client, openim, tencent, zego, zim};
use serde_json::{Value, json};

use super::{
    Failure, apps, first,
    heard::{Heard, Hearing},
};

/// What is read from the index may lag behind for a moment.
const ATTEMPTS: usize = 10;
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Where Rollcall listens, such as `https://ID.execute-api.REGION.amazonaws.com`
    #[arg(default_value = DEFAULT_URL)]
    url: String,
    /// An SQS queue that a rule of the stack's bus sends all events to. What is in it is deleted
    #[arg(long, value_name = "URL")]
    events_queue: Option<String>,
}

/// Sends callbacks and queries, and reports for each whether it was right.
struct Check {
    http: reqwest::Client,
    client: Client,
    /// Part of all names. No user or room had it before.
    tag: String,
    right: usize,
    wrong: usize,
}

/// A kind of login ticket: its routes and the fields of their bodies.
struct Tickets {
    name: &'static str,
    mint: &'static str,
    verify: &'static str,
    app: &'static str,
    ticket: &'static str,
    /// The provider's code for the ticket `x`.
    code_of_x: u32,
}

const USER_SIG: Tickets = Tickets {
    name: "tencent UserSig",
    mint: MINT_USER_SIG,
    verify: VERIFY_USER_SIG,
    app: "sdk_app_id",
    ticket: "user_sig",
    code_of_x: 70003,
};

const ZEGO_TOKEN: Tickets = Tickets {
    name: "zego token",
    mint: MINT_ZEGO_TOKEN,
    verify: VERIFY_ZEGO_TOKEN,
    app: "app_id",
    ticket: "token",
    code_of_x: 1_002_079,
};

/// A callback was not taken, so what follows from it cannot be right.
struct Refused;

/// An app of a provider, with what signs for it.
struct App<'a, S> {
    id: &'a AppId,
    secret: &'a S,
}

/// What is expected of a part of an answer.
enum Part {
    Is(Value),
    AtLeast(u64),
    Text,
}

impl<T: Into<Value>> From<T> for Part {
    fn from(value: T) -> Self {
        Self::Is(value.into())
    }
}

impl Part {
    /// What is wrong with this part, without its value: it may be a ticket.
    fn fault(&self, found: Option<&Value>) -> Option<String> {
        let found = found.unwrap_or(&Value::Null);
        match self {
            Self::Is(wanted) => (found != wanted).then(|| format!("is {found}, not {wanted}")),
            Self::AtLeast(least) => (found.as_u64() < Some(*least))
                .then(|| format!("is {found}, which is not {least} or more")),
            Self::Text => (!found.is_string()).then(|| "is missing, or is not a text".to_owned()),
        }
    }
}

pub(crate) async fn run(args: CheckArgs) -> Result<ExitCode, Failure> {
    let apps = apps()?;
    let (zego, openim, tencent) = (first(&apps.zego), first(&apps.openim), first(&apps.tencent));
    if zego.is_none() && openim.is_none() && tencent.is_none() {
        return Err("ROLLCALL_APPS has no app to sign for".into());
    }
    let http = client()?;
    let client = Client::new(http.clone(), &args.url);
    let tag = format!("{:08x}", fastrand::u32(..));
    // Before anything happens, so that none is missed.
    let hearing = Hearing::begin(&http, &args.url, args.events_queue).await;
    let mut check = Check { http, client, tag, right: 0, wrong: 0 };
    // A refused callback is shown already, and has no event.
    let mut reported = Vec::new();
    match zego {
        Some((id, secret)) => {
            let taken = check.zego(&App { id, secret }).await;
            reported.extend(taken.ok().map(|()| Zego::NAME));
        }
        None => println!("none   zego: ROLLCALL_APPS has no app of it"),
    }
    match openim.filter(|(_, secrets)| !secrets.basic.is_empty()) {
        Some((id, secret)) => {
            let taken = check.openim(&App { id, secret }).await;
            reported.extend(taken.ok().map(|()| OpenIm::NAME));
        }
        None => println!("none   openim: ROLLCALL_APPS has no \"basic\" of it"),
    }
    match tencent {
        Some((id, secret)) => {
            let taken = check.tencent(&App { id, secret }).await;
            reported.extend(taken.ok().map(|()| Chat::NAME));
        }
        None => println!("none   tencent: ROLLCALL_APPS has no app of it"),
    }
    match hearing {
        Ok(Hearing::Yes(heard)) => check.events(&heard, &reported).await,
        Ok(Hearing::No(why)) => println!("none   events: {why}"),
        Err(fault) => check.say("events", Err(fault)),
    }
    let Check { right, wrong, .. } = check;
    if wrong == 0 {
        println!("all {right} checks are right");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{wrong} of {} checks are wrong", right + wrong);
    Ok(ExitCode::FAILURE)
}

impl Check {
    fn name(&self, word: &str) -> String {
        format!("{word}-{}", self.tag)
    }

    fn say(&mut self, what: &str, found: Result<String, String>) {
        match found {
            Ok(found) => {
                self.right += 1;
                println!("ok     {what}: {found}");
            }
            Err(fault) => {
                self.wrong += 1;
                println!("WRONG  {what}: {fault}");
            }
        }
    }

    /// Expects an event of each of these providers.
    async fn events(&mut self, heard: &Heard, providers: &[ProviderName]) {
        for provider in providers {
            let found = heard.of(provider.as_str(), &self.tag).await;
            self.say(&format!("{provider} event"), found);
        }
    }

    /// Posts a callback, and expects an answer that begins with `expected`: its status, and what
    /// became of it.
    async fn send(
        &mut self,
        what: &str,
        callback: &Callback,
        expected: &str,
    ) -> Result<(), Refused> {
        let sent = callback.send(&self.http, self.client.url()).await;
        self.sent(what, sent, expected)
    }

    fn sent(
        &mut self,
        what: &str,
        sent: reqwest::Result<Answer>,
        expected: &str,
    ) -> Result<(), Refused> {
        let found = sent.map_err(|error| self.no_answer(error)).and_then(|answer| {
            let outcome = answer.outcome.as_deref().unwrap_or("-");
            let found = format!("{} {outcome}", answer.status.as_u16());
            if found.starts_with(expected) {
                return Ok(found);
            }
            let hint = if answer.status == StatusCode::UNAUTHORIZED {
                " (is the app's first secret in ROLLCALL_APPS one that is deployed there?)"
            } else {
                ""
            };
            Err(format!("{found}, not {expected}{hint}: {}", answer.body.trim()))
        });
        let refused = found.is_err();
        self.say(what, found);
        if refused { Err(Refused) } else { Ok(()) }
    }

    /// The error's own text has the whole URL, with Tencent's signature.
    fn no_answer(&self, error: reqwest::Error) -> String {
        let error = error.without_url();
        let cause = error.source().map_or(String::new(), |source| format!(": {source}"));
        format!("{} does not answer{cause}", self.client.url())
    }

    /// Repeats a query until the parts of its answer are as expected, or until it takes too long for
    /// a lag.
    async fn ask(&mut self, what: &str, query: Query, parts: &[(&str, Part)]) {
        self.ask_for(StatusCode::OK, what, query, parts).await;
    }

    async fn ask_for(
        &mut self,
        status: StatusCode,
        what: &str,
        query: Query,
        parts: &[(&str, Part)],
    ) {
        let mut found = self.answer(status, &query, parts).await;
        for _ in 1..ATTEMPTS {
            if found.is_ok() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            found = self.answer(status, &query, parts).await;
        }
        self.say(what, found.map(|_| status.as_u16().to_string()));
    }

    async fn answer(
        &self,
        status: StatusCode,
        query: &Query,
        parts: &[(&str, Part)],
    ) -> Result<Value, String> {
        let Query { method, path, .. } = query;
        let answer = self.client.send(query).await.map_err(|error| error.to_string())?;
        if answer.status != status {
            let hint = if answer.status == StatusCode::FORBIDDEN && !self.client.is_signed() {
                " (IAM: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
            } else {
                ""
            };
            let (found, wanted) = (answer.status, status.as_u16());
            return Err(format!("{method} {path}: {found}, not {wanted}{hint}: {}", answer.body));
        }
        let json: Value = serde_json::from_str(&answer.body)
            .map_err(|_| format!("{method} {path}: the answer is not JSON"))?;
        for (pointer, part) in parts {
            if let Some(fault) = part.fault(json.pointer(pointer)) {
                return Err(format!("{method} {path}: {pointer} {fault}"));
            }
        }
        Ok(json)
    }

    /// Tokens and callbacks are checked separately: an app may have secrets of one of them only.
    /// Refused if no callback was taken.
    async fn zego(&mut self, app: &App<'_, ZegoSecrets>) -> Result<(), Refused> {
        if app.secret.server_secrets.is_empty() {
            println!("none   zego token: ROLLCALL_APPS has no \"server_secrets\" of it");
        } else {
            self.tickets(&ZEGO_TOKEN, app.id).await;
        }
        let Some(secret) = app.secret.callback_secrets.first() else {
            println!("none   zego: ROLLCALL_APPS has no \"callback_secrets\" of it");
            return Err(Refused);
        };
        let app = App { id: app.id, secret };
        self.zego_rooms(&app).await?;
        self.zim(&app).await
    }

    async fn zego_rooms(&mut self, app: &App<'_, Secret>) -> Result<(), Refused> {
        let (ada, lobby) = (self.name("ada"), self.name("lobby"));
        let mut rooms = zego::Rooms::default();
        let options = zego::Options::for_user(app.id.as_str(), &ada, &lobby);
        let mut event = |name, options: &zego::Options| rooms.happen(name, options, runtime::now());
        let of = app.path(Zego::NAME);

        for (name, what) in [
            (zego::EventName::RoomCreate, "zego room-create"),
            (zego::EventName::RoomLogin, "zego room-login"),
        ] {
            self.send(what, &app.signed(&event(name, &options)), "200 applied").await?;
        }
        let room = [("/online", 1.into()), ("/members/0/user", ada.as_str().into())];
        let path = format!("/presence/{of}/rooms/{lobby}");
        self.ask("zego room, by path", Query::get(path), &room).await;
        let path = format!("/presence/{of}/rooms?room={lobby}");
        self.ask("zego room, by parameter", Query::get(path), &room).await;

        let logout = app.signed(&event(zego::EventName::RoomLogout, &options));
        self.send("zego room-logout", &logout, "200 applied").await?;
        let user = [("/online", false.into()), ("/sessions/0/reason", "normal".into())];
        let path = format!("/presence/{of}/users/{ada}");
        self.ask("zego user, by path", Query::get(path), &user).await;
        let path = format!("/presence/{of}/users?user={ada}");
        self.ask("zego user, by parameter", Query::get(path), &user).await;
        let query =
            Query::post(format!("/presence/{of}/users"), &json!({ "users": [ada, "nobody"] }));
        let users = [("/users/0/user", ada.as_str().into()), ("/users/1/online", false.into())];
        self.ask("zego users, several", query, &users).await;

        let close = event(zego::EventName::RoomClose, &options);
        self.send("zego room-close", &app.signed(&close), "200 applied").await?;
        self.send("zego room-close, again", &app.signed(&close), "200 duplicate").await?;
        let path = format!("/presence/{of}/rooms/{lobby}");
        self.ask("zego room, closed", Query::get(path), &[("/open", false.into())]).await;
        let visit = [
            ("/sessions/0/user", ada.as_str().into()),
            ("/sessions/0/room", lobby.as_str().into()),
            ("/sessions/0/role", "audience".into()),
            ("/sessions/0/duration_ms", Part::AtLeast(0)),
        ];
        for (what, path) in [
            ("by path", format!("/attendance/{of}/rooms/{lobby}")),
            ("by parameter", format!("/attendance/{of}/rooms?room={lobby}")),
        ] {
            let what = format!("zego room's attendance, {what}");
            self.ask(&what, Query::get(path), &visit).await;
        }
        for (what, path) in [
            ("by path", format!("/attendance/{of}/users/{ada}")),
            ("by parameter", format!("/attendance/{of}/users?user={ada}")),
        ] {
            let what = format!("zego user's attendance, {what}");
            self.ask(&what, Query::get(path), &visit).await;
        }
        self.reports(&of, &ada, &lobby).await;
        let explained = [
            ("/rooms/0/room", lobby.as_str().into()),
            ("/rooms/0/marks/0/rules/0", "begins".into()),
            ("/rooms/0/stays/0/rules/0", "left".into()),
        ];
        let path = format!("/explain/{of}/users/{ada}?room={lobby}");
        self.ask("zego user, explained", Query::get(path), &explained).await;
        let nowhere = Query::get(format!("/presence/{of}/rooms/{}", self.name("nowhere")));
        let unknown = [("/error/code", "not_found".into())];
        self.ask_for(StatusCode::NOT_FOUND, "zego room, unknown", nowhere, &unknown).await;

        // API Gateway passes a body that is not text in base64.
        let library = self.name("library");
        let tom = zego::Options::for_user(app.id.as_str(), &self.name("tom"), &library);
        let binary = app.signed(&event(zego::EventName::RoomLogin, &tom));
        let request = self.http.post(binary.url(self.client.url())).body(binary.body.clone());
        let request = request.header("content-type", "application/octet-stream");
        let sent = async { Answer::read(request.send().await?).await }.await;
        self.sent("zego room-login, of no known content type", sent, "200 applied")?;

        let each = zego::Options::for_user(app.id.as_str(), &self.name("each"), &self.name("each"));
        for name in zego::EventName::value_variants() {
            let callback = app.signed(&event(*name, &each));
            self.send(&format!("zego {}, one of each", word(name)), &callback, "200").await?;
        }
        let Some(wrong) = Secret::new(self.name("wrong")) else { return Ok(()) };
        let stranger = App { id: app.id, secret: &wrong };
        let forged = stranger.signed(&event(zego::EventName::RoomLogin, &options));
        self.send("zego room-login, with a wrong secret", &forged, "401 rejected").await?;
        self.erasure(&of, &ada).await;
        Ok(())
    }

    /// ZIM's sessions and rooms. The same secret signs them.
    async fn zim(&mut self, app: &App<'_, Secret>) -> Result<(), Refused> {
        let (eve, lounge) = (self.name("eve"), self.name("lounge"));
        let of = app.path(Zego::NAME);
        let usage = || Query::get(format!("/usage/{of}"));
        let before = self.answer(StatusCode::OK, &usage(), &[]).await.unwrap_or_default();
        let mut sessions = zim::Sessions::default();
        let common = zego::Options::for_user(app.id.as_str(), &eve, &lounge);
        let mut event = |name, action| {
            let options = zim::Options { action, ..zim::Options::default() };
            sessions.happen(name, &common, &options, runtime::now())
        };
        let login = event(zim::EventName::UserAction, zim::Action::Login);
        self.send("zego user-action, login", &app.signed_zim(&login), "200 applied").await?;
        let user = || format!("/presence/{of}/users/{eve}");
        let device = [("/online", true.into()), ("/sessions/0/device", "ANDROID".into())];
        self.ask("zego device", Query::get(user()), &device).await;
        let path = format!("/registrations/{of}/users/{eve}");
        let first_login = [("/source", "first_login".into())];
        self.ask("zego registration", Query::get(path), &first_login).await;
        let more = before["active_users"].as_u64().unwrap_or_default() + 1;
        let active = [("/active_users", Part::AtLeast(more))];
        self.ask("zego active users of the month", usage(), &active).await;
        for (name, what) in [
            (zim::EventName::ZimRoomCreate, "zego room_create of ZIM"),
            (zim::EventName::RoomEnter, "zego room-enter"),
        ] {
            let callback = app.signed_zim(&event(name, zim::Action::Login));
            self.send(what, &callback, "200 applied").await?;
        }
        let room = || format!("/presence/{of}/rooms/z:{lounge}");
        let roster = [("/online", 1.into()), ("/members/0/user", eve.as_str().into())];
        self.ask("zego room of ZIM", Query::get(room()), &roster).await;
        for (name, what) in [
            (zim::EventName::RoomExit, "zego room-exit"),
            (zim::EventName::RoomDestroy, "zego room-destroy"),
        ] {
            self.send(what, &app.signed_zim(&event(name, zim::Action::Login)), "200").await?;
        }
        // Within the second of its entry, somebody who was not in before has left.
        self.ask("zego room of ZIM, left", Query::get(room()), &[("/online", 0.into())]).await;
        let logout = event(zim::EventName::UserAction, zim::Action::Logout);
        self.send("zego user-action, logout", &app.signed_zim(&logout), "200 applied").await?;
        self.send("zego user-action, again", &app.signed_zim(&logout), "200 duplicate").await?;
        self.ask("zego device, offline", Query::get(user()), &[("/online", false.into())]).await;
        Ok(())
    }

    /// A person's own data, and its erasure. It is the last that is checked of that person.
    async fn erasure(&mut self, of: &str, user: &str) {
        let by_path = || format!("/users/{of}/{user}");
        let by_parameter = || format!("/users/{of}?user={user}");
        let whose = [("/user", user.into()), ("/items/0/kind", Part::Text)];
        self.ask("a person's data, by path", Query::get(by_path()), &whose).await;
        self.ask("a person's data, by parameter", Query::get(by_parameter()), &whose).await;
        let erased = [("/erased", Part::AtLeast(1)), ("/complete", true.into())];
        self.ask("erasure, by path", Query::delete(by_path()), &erased).await;
        let again = [("/erased", 0.into()), ("/complete", true.into())];
        self.ask("erasure, by parameter", Query::delete(by_parameter()), &again).await;
        let (gone, unknown) = (Query::get(by_path()), [("/error/code", "not_found".into())]);
        self.ask_for(StatusCode::NOT_FOUND, "an erased person's data", gone, &unknown).await;
        let list = Query::get(format!("/erasures/{of}"));
        self.ask("erasures", list, &[("/erasures/0/hash", Part::Text)]).await;
    }

    /// Asks for the reports of a room that Ada alone was in.
    async fn reports(&mut self, of: &str, ada: &str, lobby: &str) {
        let report = [
            ("/people", 1.into()),
            ("/rows/0/user", ada.into()),
            ("/rows/0/visits", 1.into()),
            ("/rows/0/reason", "normal".into()),
            ("/digest", Part::Text),
        ];
        for (what, path) in [
            ("by path", format!("/reports/{of}/rooms/{lobby}")),
            ("by parameter", format!("/reports/{of}/rooms?room={lobby}")),
        ] {
            self.ask(&format!("zego room's report, {what}"), Query::get(path), &report).await;
        }
        let days = [("/rows/0/room", lobby.into()), ("/rows/0/present_ms", Part::AtLeast(0))];
        for (what, path) in [
            ("by path", format!("/reports/{of}/users/{ada}?timezone=Europe/Berlin")),
            ("by parameter", format!("/reports/{of}/users?user={ada}")),
        ] {
            self.ask(&format!("zego user's report, {what}"), Query::get(path), &days).await;
        }
        let together = [("/together_ms", 0.into()), ("/a", ada.into())];
        for (what, path) in [
            ("by path", format!("/reports/{of}/rooms/{lobby}/together?a={ada}&b=nobody")),
            ("by parameter", format!("/reports/{of}/together?room={lobby}&a={ada}&b=nobody")),
        ] {
            self.ask(&format!("zego minutes together, {what}"), Query::get(path), &together).await;
        }
    }

    async fn openim(&mut self, app: &App<'_, OpenImSecrets>) -> Result<(), Refused> {
        let ada = self.name("ada");
        let options = openim::Options {
            app: app.id.to_string(),
            users: vec![ada.clone()],
            ..openim::Options::default()
        };
        let documented = openim::Options { documented: true, ..options.clone() };
        let v2 = openim::Options { server: openim::Server::V2, ..options.clone() };
        let event = |name, options: &openim::Options| {
            let event = openim::Event { name, options: options.clone(), now: runtime::now() };
            event.callback(app.secret)
        };
        let of = app.path(OpenIm::NAME);

        let register = event(openim::EventName::UserRegister, &options);
        self.send("openim user-register", &register, "200 applied").await?;
        let register = event(openim::EventName::UserRegister, &documented);
        self.send("openim user-register, as documented", &register, "200").await?;
        for (what, path) in [
            ("by path", format!("/registrations/{of}/users/{ada}")),
            ("by parameter", format!("/registrations/{of}/users?user={ada}")),
        ] {
            let what = format!("openim registration, {what}");
            self.ask(&what, Query::get(path), &[("/user", ada.as_str().into())]).await;
        }
        let path = format!("/registrations/{of}?limit=1");
        let any = [("/registrations/0/user", Part::Text)];
        self.ask("openim registrations", Query::get(path), &any).await;
        for (name, what) in [
            (openim::EventName::UserUpdate, "openim user-update"),
            (openim::EventName::UserUpdateEx, "openim user-update, by the other API"),
        ] {
            self.send(what, &event(name, &options), "200").await?;
        }
        let changed = [("/profile_changed_at", Part::AtLeast(1))];
        let path = format!("/registrations/{of}/users/{ada}");
        self.ask("openim registration, changed", Query::get(path), &changed).await;
        let online = event(openim::EventName::UserOnline, &options);
        self.send("openim user-online", &online, "200 applied").await?;
        let device = [("/online", true.into()), ("/sessions/0/device", "IOS".into())];
        let path = format!("/presence/{of}/users/{ada}");
        self.ask("openim device", Query::get(path), &device).await;
        let offline = event(openim::EventName::UserOffline, &v2);
        self.send("openim user-offline, at the bare address", &offline, "200 applied").await?;
        for (name, what, route) in [
            (
                openim::EventName::UserOnline,
                "openim user-online, before 3.7",
                "/openim/callbackUserOnlineCommand",
            ),
            (
                openim::EventName::UserOffline,
                "openim user-offline, before 3.7",
                "/openim/callbackUserOfflineCommand",
            ),
        ] {
            let callback = Callback { route, ..event(name, &options) };
            self.send(what, &callback, "200 applied").await?;
        }
        // An address that ends in a slash gives this.
        let route = "/openim//callbackAfterUserOnlineCommand";
        let doubled = Callback { route, ..event(openim::EventName::UserOnline, &options) };
        self.send("openim user-online, with a doubled slash", &doubled, "200 applied").await?;
        for name in openim::EventName::value_variants() {
            let what = format!("openim {}, one of each", word(name));
            self.send(&what, &event(*name, &options), "200").await?;
        }
        let mut forged = event(openim::EventName::UserOffline, &options);
        for (name, value) in &mut forged.headers {
            if *name == "authorization" {
                "Basic d3Jvbmc6d3Jvbmc=".clone_into(value);
            }
        }
        let what = "openim user-offline, with wrong credentials";
        self.send(what, &forged, "401 rejected").await
    }

    /// Chat, TRTC and UserSig are checked separately: an app may have only one of them.
    /// Refused if no callback was taken.
    async fn tencent(&mut self, app: &App<'_, TencentSecrets>) -> Result<(), Refused> {
        if app.secret.secret_keys.is_empty() {
            println!("none   tencent user-sig: ROLLCALL_APPS has no \"secret_keys\" of it");
        } else {
            self.tickets(&USER_SIG, app.id).await;
        }
        let mut taken = Err(Refused);
        match app.secret.chat_tokens.first() {
            Some(secret) => taken = self.chat(&App { id: app.id, secret }).await,
            None => println!("none   tencent chat: ROLLCALL_APPS has no \"chat_tokens\" of it"),
        }
        match app.secret.trtc_keys.first() {
            Some(secret) => taken = self.trtc(&App { id: app.id, secret }).await.or(taken),
            None => println!("none   tencent trtc: ROLLCALL_APPS has no \"trtc_keys\" of it"),
        }
        taken
    }

    /// Mints a ticket, and verifies it and a text that is none.
    async fn tickets(&mut self, kind: &Tickets, app: &AppId) {
        let Tickets { name, app: app_field, ticket: ticket_field, .. } = *kind;
        let asked = |ticket: Option<&str>| {
            let id = app.as_str().parse::<u64>().unwrap_or_default();
            let mut asked = json!({ app_field: id, "user_id": "check" });
            if let Some(ticket) = ticket {
                asked[ticket_field] = ticket.into();
            }
            asked
        };
        let mint = || Query::post(kind.mint, &asked(None));
        let verify = |ticket| Query::post(kind.verify, &asked(Some(ticket)));
        let pointer = format!("/{ticket_field}");
        self.ask(name, mint(), &[(&pointer, Part::Text)]).await;
        let minted = self.answer(StatusCode::OK, &mint(), &[]).await.unwrap_or_default();
        if let Some(ticket) = minted[ticket_field].as_str() {
            let valid = [("/valid", true.into())];
            self.ask(&format!("{name}, verified"), verify(ticket), &valid).await;
        }
        let no_ticket = [("/valid", false.into()), ("/code", kind.code_of_x.into())];
        self.ask(&format!("{name}, which is none"), verify("x"), &no_ticket).await;
    }

    async fn chat(&mut self, app: &App<'_, Secret>) -> Result<(), Refused> {
        let tom = self.name("tom");
        let of = app.path(Chat::NAME);
        let usage = || Query::get(format!("/usage/{of}"));
        let before = self.answer(StatusCode::OK, &usage(), &[]).await.unwrap_or_default();
        let events = app.tencent(&tom, &self.name("lobby"));
        let login = events(tencent::EventName::ChatLogin);
        self.send("tencent chat-login", &login, "200 applied").await?;
        let path = format!("/registrations/{of}/users/{tom}");
        let first_login = [("/source", "first_login".into())];
        self.ask("tencent registration", Query::get(path), &first_login).await;
        let more = before["active_users"].as_u64().unwrap_or_default() + 1;
        let active = [("/active_users", Part::AtLeast(more))];
        self.ask("tencent active users of the month", usage(), &active).await;
        let chat = tencent::EventName::value_variants().iter().filter(|name| name.is_chat());
        for name in chat.filter(|name| **name != tencent::EventName::ChatLogin) {
            let what = format!("tencent {}", word(name));
            self.send(&what, &events(*name), "200 applied").await?;
        }
        let path = format!("/presence/{of}/users/{tom}");
        self.ask("tencent user", Query::get(path), &[("/online", false.into())]).await;
        let Some(wrong) = Secret::new(self.name("wrong")) else { return Ok(()) };
        let forged = App { id: app.id, secret: &wrong };
        let forged = forged.tencent(&tom, "")(tencent::EventName::ChatLogin);
        self.send("tencent chat-login, with a wrong token", &forged, "401 rejected").await
    }

    async fn trtc(&mut self, app: &App<'_, Secret>) -> Result<(), Refused> {
        let (tom, lobby) = (self.name("tom"), self.name("lobby"));
        let events = app.tencent(&tom, &lobby);
        for (name, what) in [
            (tencent::EventName::TrtcCreate, "tencent trtc-create"),
            (tencent::EventName::TrtcEnter, "tencent trtc-enter"),
        ] {
            self.send(what, &events(name), "200 applied").await?;
        }
        let of = app.path(Chat::NAME);
        let path = format!("/presence/{of}/rooms/{lobby}");
        let room = [("/members/0/user", tom.as_str().into())];
        self.ask("tencent room", Query::get(path), &room).await;
        let began = [tencent::EventName::TrtcCreate, tencent::EventName::TrtcEnter];
        let trtc = tencent::EventName::value_variants().iter().filter(|name| !name.is_chat());
        for name in trtc.filter(|name| !began.contains(name)) {
            let what = format!("tencent {}", word(name));
            self.send(&what, &events(*name), "200").await?;
        }
        Ok(())
    }
}

impl<S> App<'_, S> {
    /// The part of a query's path that names the app.
    fn path(&self, provider: ProviderName) -> String {
        format!("{}/{}", provider.as_str(), encoded(self.id.as_str()))
    }
}

impl App<'_, Secret> {
    fn signed(&self, event: &zego::Event) -> Callback {
        let now = runtime::now().seconds();
        event.callback(self.secret, now, &zego::nonce(now))
    }

    fn signed_zim(&self, event: &zim::Event) -> Callback {
        let now = runtime::now().seconds();
        event.callback(self.secret, now, &zego::nonce(now))
    }

    /// Tencent's callbacks about this user and this room.
    fn tencent(&self, user: &str, room: &str) -> impl Fn(tencent::EventName) -> Callback + use<> {
        let (app, secret) = (self.id.to_string(), self.secret.clone());
        let options = tencent::Options { app, ..tencent::Options::for_user(user, room) };
        move |name| {
            let event = tencent::Event { name, options: options.clone(), now: runtime::now() };
            event.callback(&secret)
        }
    }
}

/// The name of an event at the command line.
fn word(event: &impl ValueEnum) -> String {
    event.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
