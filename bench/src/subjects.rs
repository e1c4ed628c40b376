//! The subjects: every function with its own callbacks, and the peers.

use std::{collections::BTreeMap, path::Path, time::Duration};

use bytes::Bytes;
use rollcall::{
    aws,
    breaker::Breaker,
    config::{Apps, ReplayGuard},
    domain::{UnixMillis, UnixSeconds},
    endpoint::Endpoint,
    handler::Receiver,
    http::Request,
    providers::{openim::AppCredentials, tencent},
    routes::{MINT_USER_SIG, MINT_ZEGO_TOKEN},
    runtime,
    store::Writer,
};
use rollcall_local::EXAMPLE_APPS;
use rollcall_players::{
    Callback,
    openim::{self, EventName as OpenImName},
    tencent::{Event as TencentEvent, EventName as Tencent, Options as TencentOptions, Product},
    zego::{self, EventName as Zego},
    zim::{self, EventName as Zim},
};
use serde_json::{Value, json};

use crate::{
    Failure,
    build::Built,
    dynamodb::DynamoDb,
    lambda::Program,
    names::{Common, FUNCTIONS, Kind, NATIVE_PEERS, NODE, PYTHON, TUNED},
};

/// A function or a peer that is measured.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) kind: Kind,
    pub(crate) common: Common,
    pub(crate) program: Program,
    /// The binary that is shipped; `None` for a script.
    pub(crate) binary: Option<std::path::PathBuf>,
}

/// The variable with the address of the spill queue.
pub(crate) const SPILL_QUEUE_URL: &str = "ROLLCALL_SPILL_QUEUE_URL";

pub(crate) const TABLE: &str = "rollcall";
const PEER_TABLE: &str = "peer";
pub(crate) const TUNED_TABLE: &str = "tuned";

/// The app of ZEGO's callbacks, and its secret, as [`EXAMPLE_APPS`] has them.
const ZEGO_APP: &str = "1";
pub(crate) const ZEGO_SECRET: &str = "secret";
const IDEMPOTENCY_TABLE: &str = "idempotency";

/// Everything that was built, ready to be started.
pub(crate) fn subjects(built: &Built, dynamodb: &DynamoDb, folder: &Path) -> Vec<Subject> {
    let path = |path: &Path| path.display().to_string();
    let program = |name: &str, command: Vec<String>, folder: &Path, roots: &[(&str, &Path)]| {
        let fixed = [
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("LANG", "en_US.UTF-8".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
            // As long as Lambda's token, which is signed and sent with every request.
            ("AWS_SESSION_TOKEN", "x".repeat(700)),
            ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.url.clone()),
            ("AWS_LAMBDA_FUNCTION_NAME", name.to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128".to_owned()),
            ("AWS_LAMBDA_LOG_LEVEL", "INFO".to_owned()),
            ("ROLLCALL_TABLE", TABLE.to_owned()),
            ("ROLLCALL_APPS_SECRET_ARN", "rollcall/apps".to_owned()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", dynamodb.url.clone()),
            // It gets no request as long as the store answers.
            (SPILL_QUEUE_URL, format!("{}/000000000000/spill", dynamodb.url)),
            ("ROLLCALL_METRICS_NAMESPACE", "Rollcall".to_owned()),
            ("TABLE", PEER_TABLE.to_owned()),
            ("TUNED_TABLE", TUNED_TABLE.to_owned()),
            ("ZEGO_APP", ZEGO_APP.to_owned()),
            ("ZEGO_CALLBACK_SECRET", ZEGO_SECRET.to_owned()),
            ("IDEMPOTENCY_TABLE", IDEMPOTENCY_TABLE.to_owned()),
        ];
        let fixed = fixed.into_iter().map(|(name, value)| (name.to_owned(), value));
        let roots = roots.iter().map(|(name, root)| ((*name).to_owned(), path(root)));
        let environment = fixed.chain(roots).collect();
        Program { name: name.to_owned(), command, folder: folder.to_owned(), environment }
    };
    let native = |name: &str, kind, common, roots: &[(&str, &Path)]| {
        let binary = built.binaries.get(name)?;
        Some(Subject {
            kind,
            common,
            program: program(name, vec![path(binary)], folder, roots),
            binary: Some(binary.clone()),
        })
    };
    let own = [("AWS_CA_BUNDLE", dynamodb.roots.as_path())];
    let system = [("SSL_CERT_FILE", dynamodb.system_roots.as_path())];
    let functions =
        FUNCTIONS.iter().filter_map(|(name, kind, common)| native(name, *kind, *common, &own));
    let peers = NATIVE_PEERS.into_iter().filter_map(|name| {
        let roots = if name == TUNED { &own } else { &system };
        native(name, Kind::NativePeer, Common::Zego(None, Zego::RoomLogin), roots)
    });
    let script = |name, command: Vec<String>, folder: &Path, roots: &[(&str, &Path)]| Subject {
        kind: Kind::ScriptPeer,
        common: Common::Zego(None, Zego::RoomLogin),
        program: program(name, command, folder, roots),
        binary: None,
    };
    let python = built.python.iter().map(|(python, folder)| {
        let command = [path(python), "-m".into(), "awslambdaric".into(), "app.handler".into()];
        let roots = [("AWS_CA_BUNDLE", dynamodb.system_roots.as_path())];
        script(PYTHON, command.to_vec(), folder, &roots)
    });
    let node = built.node.iter().map(|(node, folder)| {
        let roots = [("NODE_EXTRA_CA_CERTS", dynamodb.own_root.as_path())];
        script(NODE, vec![path(node), "runtime.mjs".into()], folder, &roots)
    });
    functions.chain(peers).chain(python).chain(node).collect()
}

async fn make_tables(dynamodb: &DynamoDb) -> Result<(), Failure> {
    let limit = Duration::from_mins(1);
    let client = rollcall::store::connect(&aws::at(&dynamodb.plain_url), limit);
    rollcall::store::TABLE.create(&client, TABLE).await?;
    for (table, key) in [
        (PEER_TABLE, &["pk", "sk"][..]),
        (TUNED_TABLE, &["pk", "sk"]),
        (IDEMPOTENCY_TABLE, &["id"]),
    ] {
        let types = ["HASH", "RANGE"].iter();
        let definition = json!({
            "TableName": table,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": key.iter().map(|name| json!({"AttributeName": name, "AttributeType": "S"})).collect::<Value>(),
            "KeySchema": key.iter().zip(types).map(|(name, kind)| json!({"AttributeName": name, "KeyType": kind})).collect::<Value>(),
        });
        dynamodb.ask("CreateTable", &definition).await?;
    }
    Ok(())
}

const DAY: Duration = Duration::from_hours(24);

fn writer(dynamodb: &DynamoDb) -> Writer {
    Writer::new(rollcall::store::connect(&aws::at(&dynamodb.plain_url), DAY), TABLE, DAY * 30)
}

/// Makes callbacks, and stores the events that must come before them without the measured
/// functions.
#[derive(Debug)]
pub(crate) struct Callbacks {
    receiver: Receiver,
    apps: Apps,
    count: u64,
}

impl Callbacks {
    /// Makes the tables.
    pub(crate) async fn new(dynamodb: &DynamoDb) -> Result<Self, Failure> {
        make_tables(dynamodb).await?;
        let receiver = Receiver {
            apps: Apps::from_json(EXAMPLE_APPS)?.into(),
            store: writer(dynamodb),
            spill: None,
            breaker: Breaker::default(),
            max_age: DAY,
            replay_guard: ReplayGuard::Off,
            budget: DAY,
        };
        Ok(Self { receiver, apps: Apps::from_json(EXAMPLE_APPS)?, count: 0 })
    }

    /// Creates the tables again, empty: unlike DynamoDB in the cloud, the embedded one gets slower
    /// with the number of items. Somebody has used `RoomEngine` before, as on every day but an app's
    /// first.
    pub(crate) async fn renew_tables(&mut self, dynamodb: &DynamoDb) -> Result<(), Failure> {
        for table in [TABLE, PEER_TABLE, TUNED_TABLE, IDEMPOTENCY_TABLE] {
            dynamodb.ask("DeleteTable", &json!({ "TableName": table })).await?;
        }
        make_tables(dynamodb).await?;
        // The old one remembers what it wrote to the old table.
        self.receiver.store = writer(dynamodb);
        let at = UnixMillis(runtime::now().0 - 60_000);
        self.happen(self.tencent(Tencent::RoomEnter, "the-first", at)?).await
    }

    /// The next event of a common path.
    pub(crate) async fn next(&mut self, common: Common) -> Result<Bytes, Failure> {
        self.count += 1;
        let user = format!("user-{}", self.count);
        let at = UnixMillis(runtime::now().0 - 60_000);
        let later = UnixMillis(at.0 + 1000);
        let callback = match common {
            Common::Zego(before, name) => {
                if let Some(before) = before {
                    self.happen(self.zego(before, &user, at, 1)?).await?;
                }
                // Lives count no changes; a person's second event is their second change.
                self.zego(name, &user, at, if name == Zego::RoomLogout { 2 } else { 1 })?
            }
            Common::Unknown(function) => {
                return Err(format!("bench/src/names.rs does not say what {function} does").into());
            }
            Common::OpenImRegister => self.openim(OpenImName::UserRegister, &user, at, false)?,
            Common::OpenImDocumentedRegister => {
                self.openim(OpenImName::UserRegister, &user, at, true)?
            }
            Common::OpenImOnline => self.openim(OpenImName::UserOnline, &user, at, false)?,
            Common::OpenImOffline => {
                self.happen(self.openim(OpenImName::UserOnline, &user, at, false)?).await?;
                self.openim(OpenImName::UserOffline, &user, later, false)?
            }
            Common::OpenImUpdate => {
                self.happen(self.openim(OpenImName::UserRegister, &user, at, false)?).await?;
                self.openim(OpenImName::UserUpdateEx, &user, later, false)?
            }
            Common::ChatLaterLogin => {
                self.happen(self.tencent(Tencent::ChatLogin, &user, at)?).await?;
                self.tencent(Tencent::ChatLogin, &user, later)?
            }
            Common::TrtcEnter => self.tencent(Tencent::TrtcEnter, &user, at)?,
            Common::RoomEnter => self.tencent(Tencent::RoomEnter, &user, at)?,
            Common::ZimLaterLogin => {
                self.happen(self.zim(Zim::UserAction, &user, at, zim::Action::Login)?).await?;
                self.zim(Zim::UserAction, &user, later, zim::Action::Login)?
            }
            Common::ZimEnter => self.zim(Zim::RoomEnter, &user, at, zim::Action::Login)?,
            Common::Presence => {
                self.happen(self.zego(Zego::RoomLogin, &user, at, 1)?).await?;
                return Ok(event("GET", &format!("/presence/zego/1/users/{user}"), &[], "", ""));
            }
            Common::MintUserSig => {
                let body = json!({"sdk_app_id": 1_400_000_000, "user_id": user}).to_string();
                return Ok(event("POST", MINT_USER_SIG, &[], "", &body));
            }
            Common::MintZegoToken => {
                let body = json!({"app_id": 1, "user_id": user}).to_string();
                return Ok(event("POST", MINT_ZEGO_TOKEN, &[], "", &body));
            }
        };
        Ok(as_event(&callback))
    }

    /// The callbacks whose cost the design states, one after another, each with its function.
    pub(crate) fn stated(&mut self) -> Result<Vec<Stated>, Failure> {
        self.count += 1;
        let user = format!("stated-{}", self.count);
        let from = runtime::now().0 - 60_000;
        let at = |s: u64| UnixMillis(from + s * 1000);
        let of_all = [
            self.stated_of_zego(&user, &at)?,
            self.stated_of_zim(&user, &at)?,
            self.stated_of_openim(&user, &at)?,
            self.stated_of_tencent(&user, &at)?,
        ];
        Ok(of_all.into_iter().flatten().collect())
    }

    fn stated_of_zego(
        &self,
        user: &str,
        t: &dyn Fn(u64) -> UnixMillis,
    ) -> Result<Vec<Stated>, Failure> {
        let zego = |name, seq| self.zego(name, user, t(0), seq);
        let again = |name, seq| {
            let event = zego_event(name, user, t(0), seq);
            self.zego_callback(&zego::Event {
                login_time: t(5),
                session: "100000000000000009".into(),
                ..event
            })
        };
        Ok(vec![
            stated("ZEGO: a room is created", "zego-room-create", &zego(Zego::RoomCreate, 1)?, 2.0),
            stated("ZEGO: a person enters", "zego-room-login", &zego(Zego::RoomLogin, 1)?, 2.0),
            stated(
                "ZEGO: the same callback again",
                "zego-room-login",
                &zego(Zego::RoomLogin, 1)?,
                1.0,
            ),
            stated("ZEGO: the person leaves", "zego-room-logout", &zego(Zego::RoomLogout, 2)?, 3.0),
            stated(
                "ZEGO: the person enters again",
                "zego-room-login",
                &again(Zego::RoomLogin, 3)?,
                3.0,
            ),
            stated("ZEGO: the room is closed", "zego-room-close", &zego(Zego::RoomClose, 1)?, 3.0),
        ])
    }

    fn stated_of_zim(
        &self,
        user: &str,
        t: &dyn Fn(u64) -> UnixMillis,
    ) -> Result<Vec<Stated>, Failure> {
        let zim = |name, at| self.zim(name, user, at, zim::Action::Login);
        let logout = self.zim(Zim::UserAction, user, t(2), zim::Action::Logout)?;
        Ok(vec![
            stated("ZIM: a later login", "zego-user-action", &zim(Zim::UserAction, t(1))?, 1.0),
            stated("ZIM: a logout", "zego-user-action", &logout, 1.0),
            stated(
                "ZIM: a room is created",
                "zego-room-event",
                &zim(Zim::ZimRoomCreate, t(0))?,
                2.0,
            ),
            stated("ZIM: a person enters", "zego-room-event", &zim(Zim::RoomEnter, t(1))?, 2.0),
            stated("ZIM: the person leaves", "zego-room-event", &zim(Zim::RoomExit, t(2))?, 3.0),
            stated(
                "ZIM: the person enters again",
                "zego-room-event",
                &zim(Zim::RoomEnter, t(3))?,
                3.0,
            ),
        ])
    }

    fn stated_of_openim(
        &self,
        user: &str,
        t: &dyn Fn(u64) -> UnixMillis,
    ) -> Result<Vec<Stated>, Failure> {
        let openim = |name, at| self.openim(name, user, at, false);
        Ok(vec![
            stated(
                "OpenIM: a user is registered",
                "openim-user-register",
                &openim(OpenImName::UserRegister, t(0))?,
                2.0,
            ),
            stated(
                "OpenIM: a device comes online",
                "openim-user-online",
                &openim(OpenImName::UserOnline, t(0))?,
                1.0,
            ),
            stated(
                "OpenIM: it still is",
                "openim-user-online",
                &openim(OpenImName::UserOnline, t(1))?,
                1.0,
            ),
            stated(
                "OpenIM: it goes offline",
                "openim-user-offline",
                &openim(OpenImName::UserOffline, t(2))?,
                1.0,
            ),
            stated(
                "OpenIM: a profile changes",
                "openim-user-update",
                &openim(OpenImName::UserUpdateEx, t(3))?,
                2.0,
            ),
        ])
    }

    fn stated_of_tencent(
        &self,
        user: &str,
        t: &dyn Fn(u64) -> UnixMillis,
    ) -> Result<Vec<Stated>, Failure> {
        let tencent = |name, at| self.tencent(name, user, at);
        Ok(vec![
            stated(
                "Chat: a later login",
                "tencent-chat-state",
                &tencent(Tencent::ChatLogin, t(1))?,
                1.0,
            ),
            stated(
                "Chat: a logout",
                "tencent-chat-state",
                &tencent(Tencent::ChatLogout, t(2))?,
                1.0,
            ),
            stated(
                "TRTC: a room is created",
                "tencent-trtc-event",
                &tencent(Tencent::TrtcCreate, t(0))?,
                2.0,
            ),
            stated(
                "TRTC: a person enters",
                "tencent-trtc-event",
                &tencent(Tencent::TrtcEnter, t(1))?,
                2.0,
            ),
            stated(
                "TRTC: the person leaves",
                "tencent-trtc-event",
                &tencent(Tencent::TrtcExit, t(2))?,
                3.0,
            ),
            stated(
                "TRTC: the person enters again",
                "tencent-trtc-event",
                &tencent(Tencent::TrtcEnter, t(3))?,
                3.0,
            ),
            stated(
                "RoomEngine: a room is created, as the first thing that an app ever reports of it",
                "tencent-room-event",
                &tencent(Tencent::RoomCreate, t(0))?,
                3.0,
            ),
            stated(
                "RoomEngine: a person enters",
                "tencent-room-event",
                &tencent(Tencent::RoomEnter, t(1))?,
                2.0,
            ),
            stated(
                "RoomEngine: the person leaves",
                "tencent-room-event",
                &tencent(Tencent::RoomLeave, t(2))?,
                3.0,
            ),
            stated(
                "Live: the person is online",
                "tencent-room-event",
                &tencent(Tencent::LiveOnline, t(3))?,
                3.0,
            ),
        ])
    }

    /// The user of [`Self::stated`] has logged in to Chat and to ZIM before.
    pub(crate) async fn prepare_stated(&mut self) -> Result<(), Failure> {
        let user = format!("stated-{}", self.count + 1);
        let at = UnixMillis(runtime::now().0 - 60_000);
        self.happen(self.tencent(Tencent::ChatLogin, &user, at)?).await?;
        self.happen(self.zim(Zim::UserAction, &user, at, zim::Action::Login)?).await
    }

    /// A signed body of ZEGO's `room_login` by a new user, for the load test.
    pub(crate) fn login_body(&mut self) -> Result<String, Failure> {
        self.count += 1;
        let at = UnixMillis(runtime::now().0 - 60_000);
        Ok(self.zego(Zego::RoomLogin, &format!("load-{}", self.count), at, 1)?.body)
    }

    fn zego(&self, name: Zego, user: &str, at: UnixMillis, seq: u64) -> Result<Callback, Failure> {
        self.zego_callback(&zego_event(name, user, at, seq))
    }

    fn zego_callback(&self, event: &zego::Event) -> Result<Callback, Failure> {
        let app = ZEGO_APP.parse()?;
        let secret = self.apps.zego[&app].callback_secrets.first().ok_or("no secret")?;
        let now: UnixSeconds = runtime::now().seconds();
        Ok(event.callback(secret, now, &zego::nonce(now)))
    }

    /// An event of ZIM's. Each is of a session of its own.
    fn zim(
        &self,
        name: Zim,
        user: &str,
        at: UnixMillis,
        action: zim::Action,
    ) -> Result<Callback, Failure> {
        let app = ZEGO_APP.parse()?;
        let secret = self.apps.zego[&app].callback_secrets.first().ok_or("no secret")?;
        let common = zego::Options::for_user(ZEGO_APP, user, "lobby");
        let options = zim::Options { action, ..zim::Options::default() };
        let event = zim::Sessions::default().happen(name, &common, &options, at);
        let now: UnixSeconds = runtime::now().seconds();
        Ok(event.callback(secret, now, &zego::nonce(now)))
    }

    fn openim(
        &self,
        name: OpenImName,
        user: &str,
        now: UnixMillis,
        documented: bool,
    ) -> Result<Callback, Failure> {
        let credentials: &AppCredentials = &self.apps.openim[&"main".parse()?];
        let options = openim::Options {
            app: "main".to_owned(),
            users: vec![user.to_owned()],
            name: Some("Ada".to_owned()),
            face_url: "https://example.com/ada.png".to_owned(),
            ex: String::new(),
            create_time: 0,
            platform: openim::Platform::Ios,
            conn_id: String::new(),
            server: openim::Server::V3,
            seq: None,
            documented,
        };
        Ok(openim::Event { name, options, now }.callback(credentials))
    }

    fn tencent(&self, name: Tencent, user: &str, at: UnixMillis) -> Result<Callback, Failure> {
        let credentials: &tencent::AppCredentials = &self.apps.tencent[&"1400000000".parse()?];
        let secrets = match name.product() {
            Product::Chat => &credentials.chat_tokens,
            Product::Trtc => &credentials.trtc_keys,
            Product::Live => &credentials.live_tokens,
            Product::Room => &credentials.room_path_keys,
        };
        let options =
            TencentOptions { time: Some(at.0), ..TencentOptions::for_user(user, "lobby") };
        let event = TencentEvent { name, options, now: runtime::now() };
        Ok(event.callback(secrets.first().ok_or("no secret")?))
    }

    /// Stores a callback without a function.
    async fn happen(&self, callback: Callback) -> Result<(), Failure> {
        let endpoint = Endpoint::at(callback.route).ok_or("no such route")?;
        let mut headers = rollcall_headers();
        for (name, value) in &callback.headers {
            headers.insert(*name, value.parse()?);
        }
        let request = Request {
            headers,
            query: callback.query.clone().unwrap_or_default(),
            ..Request::post(&callback.path(), callback.body.clone(), runtime::now())
        };
        let reply = endpoint.receive(&self.receiver, &request).await;
        if reply.status.is_success() { Ok(()) } else { Err(format!("{reply:?}").into()) }
    }
}

/// A callback whose write units the design states.
#[derive(Debug)]
pub(crate) struct Stated {
    pub(crate) what: &'static str,
    pub(crate) function: &'static str,
    pub(crate) event: Bytes,
    pub(crate) units: f64,
}

fn rollcall_headers() -> hyper::HeaderMap {
    hyper::HeaderMap::from_iter([(
        hyper::header::CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("application/json"),
    )])
}

fn zego_event(name: Zego, user: &str, at: UnixMillis, sequence: u64) -> zego::Event {
    let number = user.bytes().fold(7_u64, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(u64::from(byte)) % 1_000_000_007
    });
    zego::Event {
        name,
        app: ZEGO_APP.to_owned(),
        room: format!(
            "room-{}",
            if matches!(name, Zego::RoomCreate | Zego::RoomClose) { number } else { number % 50 }
        ),
        life: number + 1,
        user: user.to_owned(),
        nickname: "Ada".to_owned(),
        session: (100_000_000_000_000_001 + number * 10).to_string(),
        login_time: at,
        at: UnixMillis(at.0 + sequence * 100),
        sequence,
        role: 2,
        relogin: false,
        reason: 0,
    }
}

fn stated(what: &'static str, function: &'static str, callback: &Callback, units: f64) -> Stated {
    Stated { what, function, event: as_event(callback), units }
}

fn as_event(callback: &Callback) -> Bytes {
    let query = callback.query.as_deref().unwrap_or_default();
    event("POST", &callback.path(), &callback.headers, query, &callback.body)
}

/// An event of an HTTP API in payload format 2.0, as API Gateway makes it.
fn event(method: &str, path: &str, headers: &[(&str, String)], query: &str, body: &str) -> Bytes {
    let common = [
        ("accept-encoding", "gzip"),
        ("content-type", "application/json"),
        ("host", "x1y2z3.execute-api.us-east-1.amazonaws.com"),
        ("user-agent", "Go-http-client/1.1"),
        ("x-amzn-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-port", "443"),
        ("x-forwarded-proto", "https"),
    ];
    let common = common.into_iter().map(|(name, value)| (name, value.to_owned()));
    let headers: BTreeMap<&str, String> = common.chain(headers.iter().cloned()).collect();
    let event = json!({
        "version": "2.0", "routeKey": format!("{method} {path}"), "rawPath": path,
        "rawQueryString": query, "headers": headers,
        "requestContext": {
            "accountId": "123456789012", "apiId": "x1y2z3",
            "domainName": "x1y2z3.execute-api.us-east-1.amazonaws.com", "domainPrefix": "x1y2z3",
            "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "Go-http-client/1.1" },
            "requestId": "JKJaXmPLvHcESHA=", "routeKey": format!("{method} {path}"), "stage": "$default",
            "time": "22/Nov/2026:07:32:00 +0000", "timeEpoch": 1_795_332_720_000_u64
        },
        "body": if body.is_empty() { Value::Null } else { json!(body) }, "isBase64Encoded": false
    });
    event.to_string().into()
}
