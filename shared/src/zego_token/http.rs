//! The routes of tokens.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Claims, Expected, Invalid, ParameterError, Permission, Room, UserId, ZegoAppId, verify,
};
use crate::{
    apps::AppsSource,
    domain::{AppId, UnixSeconds},
    http::{Reply, Request},
    login::{
        self, Error, Kind, Valid, Words, parameter, required_number, required_text, valid_for,
    },
    providers::{Apps, zego::ServerSecret},
    routes::{MINT_ZEGO_TOKEN, VERIFY_ZEGO_TOKEN},
};

/// Mints and verifies tokens with the apps' ServerSecrets. No token and no secret is ever logged.
#[derive(Debug, Clone)]
pub struct ZegoTokens {
    /// The apps, among them ZEGO's with their ServerSecrets.
    pub apps: AppsSource,
}

impl ZegoTokens {
    /// Answers a request for [`MINT_ZEGO_TOKEN`] or [`VERIFY_ZEGO_TOKEN`]. Every failure becomes an
    /// error body.
    pub async fn answer(&self, request: &Request) -> Reply {
        login::answer::<Token04>(&self.apps, request).await
    }
}

/// token04 as a kind of ticket.
struct Token04;

impl Kind for Token04 {
    const MINT: &'static str = MINT_ZEGO_TOKEN;
    const VERIFY: &'static str = VERIFY_ZEGO_TOKEN;
    const WORDS: &'static Words = &Words {
        ticket: "token",
        app: "AppID",
        key: "ServerSecret",
        provider: "zego",
        keys: "server_secrets",
    };

    type Mint = MintBody;
    type Verify = VerifyBody;
    type Invalid = Invalid;
    type Code = Code;

    fn mint(apps: &Apps, body: MintBody, now: UnixSeconds) -> Result<Reply, Error> {
        let claims = Claims {
            app: app(body.app_id)?,
            user: user(body.user_id)?,
            issued_at: now,
            lifetime: valid_for(body.expire_seconds)?,
            room: body.room.map(room).transpose()?,
        };
        let key = keys(apps, claims.app)?.first().ok_or_else(|| no_key(claims.app))?;
        let minted = claims
            .token(key)
            .map_err(|error| Error::NotMinted { words: Self::WORDS, cause: error.to_string() })?;
        let answer = Minted {
            token: minted.expose(),
            issued_at: claims.issued_at,
            expires_at: claims.expires_at(),
        };
        Ok(Reply::json(StatusCode::OK, &answer))
    }

    fn verify(
        apps: &Apps,
        body: VerifyBody,
        now: UnixSeconds,
    ) -> Result<Result<Valid, Invalid>, Error> {
        let expected = Expected { app: app(body.app_id)?, user: user(body.user_id)? };
        let text = required_text("token", body.token)?;
        if keys(apps, expected.app)?.is_empty() {
            return Err(no_key(expected.app));
        }
        Ok(verify(&text, &expected, all_keys(apps), now))
    }
}

/// The keys of an app, the one that mints first.
fn keys(apps: &Apps, app: ZegoAppId) -> Result<&[ServerSecret], Error> {
    let id: Option<AppId> = app.to_string().parse().ok();
    let credentials = id.and_then(|id| apps.zego.get(&id));
    let unknown = || Error::UnknownApp { words: Token04::WORDS, app: app.get() };
    credentials.map(|app| app.server_secrets.as_slice()).ok_or_else(unknown)
}

/// The keys of all apps.
fn all_keys(apps: &Apps) -> impl Iterator<Item = (ZegoAppId, &ServerSecret)> {
    apps.zego.iter().flat_map(|(id, credentials)| {
        let app = id.as_str().parse::<ZegoAppId>().ok();
        app.into_iter().flat_map(|app| credentials.server_secrets.iter().map(move |key| (app, key)))
    })
}

fn no_key(app: ZegoAppId) -> Error {
    Error::NoKey { words: Token04::WORDS, app: app.get() }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MintBody {
    app_id: Option<Value>,
    user_id: Option<Value>,
    expire_seconds: Option<Value>,
    room: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VerifyBody {
    app_id: Option<Value>,
    user_id: Option<Value>,
    token: Option<Value>,
}

impl login::Body for MintBody {
    const FIELDS: &'static str = "app_id, user_id, expire_seconds, room";
}

impl login::Body for VerifyBody {
    const FIELDS: &'static str = "app_id, user_id, token";
}

/// A token, and from when until when it is valid.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "MintedZegoToken"))]
struct Minted<'a> {
    /// The token04 with which the user logs in.
    #[cfg_attr(test, schemars(regex(pattern = "^04[A-Za-z0-9+/]+=*$")))]
    token: &'a str,
    /// When it was minted, in Unix seconds.
    issued_at: UnixSeconds,
    /// The last second in which it is valid, in Unix seconds.
    expires_at: UnixSeconds,
}

/// The code of ZEGO's client SDKs: 1002033 not decrypted by a key of the app, 1002067 empty, 1002075
/// cannot be decoded, or does not have the content of a token, 1002076 for another app, 1002077 for
/// another user, 1002078 expired, 1002079 not a token04, 1002080 its `nonce` is not a number.
#[derive(Serialize)]
#[cfg_attr(
    test,
    derive(schemars::JsonSchema),
    schemars(
        rename = "ZegoToken",
        inline,
        extend("enum" = [
            1_002_033, 1_002_067, 1_002_075, 1_002_076, 1_002_077, 1_002_078, 1_002_079, 1_002_080
        ])
    )
)]
struct Code(u32);

impl From<u32> for Code {
    fn from(code: u32) -> Self {
        Self(code)
    }
}

/// Generates the schemas of both answers.
#[cfg(test)]
pub(crate) fn schemas(generator: &mut schemars::SchemaGenerator) {
    generator.subschema_for::<Minted<'_>>();
    login::verdict_schema::<Token04>(generator);
}

fn app(value: Option<Value>) -> Result<ZegoAppId, Error> {
    let number = required_number("app_id", value)?;
    parameter("app_id", number.ok_or(ParameterError::App).and_then(ZegoAppId::try_from))
}

fn user(value: Option<Value>) -> Result<UserId, Error> {
    parameter("user_id", required_text("user_id", value)?.parse::<UserId>())
}

fn room(value: Value) -> Result<Room, Error> {
    let Value::Object(mut fields) = value else {
        return Err(Error::bad("room", "is not an object, such as {\"id\":\"lobby\"}"));
    };
    let id = required_text("room.id", fields.remove("id"))?;
    let login = permission(&mut fields, "login", "room.login", Permission::Allowed)?;
    let publish = permission(&mut fields, "publish", "room.publish", Permission::Denied)?;
    let streams = fields.remove("streams").map(streams).transpose()?.flatten();
    if !fields.is_empty() {
        return Err(Error::bad("room", "has other fields than id, login, publish, streams"));
    }
    let room = Room::new(&id, login, publish, streams.as_deref());
    let name = match room {
        Err(ParameterError::RoomId) => "room.id",
        Err(ParameterError::Streams | ParameterError::StreamId) => "room.streams",
        _ => "room",
    };
    parameter(name, room)
}

fn permission(
    fields: &mut Map<String, Value>,
    field: &str,
    name: &'static str,
    default: Permission,
) -> Result<Permission, Error> {
    match fields.remove(field) {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Bool(is_allowed)) => Ok(is_allowed.into()),
        Some(_) => Err(Error::bad(name, "is not true or false")),
    }
}

/// `None` for any stream.
fn streams(value: Value) -> Result<Option<Vec<String>>, Error> {
    let no_list = || Error::bad("room.streams", "is not a list of strings");
    let streams = match value {
        Value::Null => return Ok(None),
        Value::Array(streams) => streams,
        _ => return Err(no_list()),
    };
    let text = |stream| match stream {
        Value::String(id) => Ok(id),
        _ => Err(no_list()),
    };
    streams.into_iter().map(text).collect::<Result<_, _>>().map(Some)
}
