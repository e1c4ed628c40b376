//! The routes of UserSig.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Claims, Expected, Invalid, MintError, ParameterError, Privileges, Room, SdkAppId, UserId,
    verify,
};
use crate::{
    apps::AppsSource,
    callback::Secret,
    domain::{AppId, UnixSeconds},
    http::{Reply, Request},
    login::{
        self, Error, Kind, Ticket, Valid, Words, parameter, required_number, required_text,
        valid_for,
    },
    providers::Apps,
    routes::{MINT_USER_SIG, VERIFY_USER_SIG},
};

/// Mints and verifies tickets with the apps' keys. No ticket and no key is ever logged.
#[derive(Debug, Clone)]
pub struct UserSigs {
    /// The apps, among them Tencent's with their keys.
    pub apps: AppsSource,
}

impl UserSigs {
    /// Answers a request for [`MINT_USER_SIG`] or [`VERIFY_USER_SIG`]. Every failure becomes an
    /// error body.
    pub async fn answer(&self, request: &Request) -> Reply {
        login::answer::<UserSig>(&self.apps, request).await
    }
}

/// UserSig as a kind of ticket.
struct UserSig;

impl Kind for UserSig {
    const MINT: &'static str = MINT_USER_SIG;
    const VERIFY: &'static str = VERIFY_USER_SIG;
    const WORDS: &'static Words = &Words {
        ticket: "UserSig",
        app: "SDKAppID",
        key: "SecretKey",
        provider: "tencent",
        keys: "secret_keys",
    };

    type Mint = MintBody;
    type Verify = VerifyBody;
    type Invalid = Invalid;
    type Code = Code;

    fn mint(apps: &Apps, body: MintBody, now: UnixSeconds) -> Result<Reply, Error> {
        let claims = Claims {
            app: app(body.sdk_app_id)?,
            user: user(body.user_id)?,
            issued_at: now,
            lifetime: valid_for(body.expire_seconds)?,
        };
        let room = body.room.map(room).transpose()?;
        let privileges = privileges(body.privileges)?;
        if room.is_none() && privileges.is_some() {
            return Err(Error::bad("privileges", "needs a `room`: a UserSig has none of its own"));
        }
        let key = keys(apps, claims.app)?.first().ok_or_else(|| no_key(claims.app))?;
        let private_map_key =
            |room: &Room| claims.private_map_key(room, privileges.unwrap_or_default(), key);
        let user_sig = claims.user_sig(key).map_err(|error| not_minted(&error))?;
        let private_map_key = room.as_ref().map(private_map_key).transpose();
        let private_map_key = private_map_key.map_err(|error| not_minted(&error))?;
        let answer = Minted {
            user_sig: user_sig.expose(),
            private_map_key: private_map_key.as_ref().map(Ticket::expose),
            user_id: &claims.user,
            sdk_app_id: claims.app,
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
        let expected = Expected { app: app(body.sdk_app_id)?, user: user(body.user_id)? };
        let text = required_text("user_sig", body.user_sig)?;
        if keys(apps, expected.app)?.is_empty() {
            return Err(no_key(expected.app));
        }
        Ok(verify(&text, &expected, |app| keys(apps, app).unwrap_or_default(), now))
    }
}

/// The keys of an app, the one that signs first.
fn keys(apps: &Apps, app: SdkAppId) -> Result<&[Secret], Error> {
    let id: Option<AppId> = app.to_string().parse().ok();
    let credentials = id.and_then(|id| apps.tencent.get(&id));
    let unknown = || Error::UnknownApp { words: UserSig::WORDS, app: app.get() };
    credentials.map(|app| app.secret_keys.as_slice()).ok_or_else(unknown)
}

fn no_key(app: SdkAppId) -> Error {
    Error::NoKey { words: UserSig::WORDS, app: app.get() }
}

fn not_minted(error: &MintError) -> Error {
    Error::NotMinted { words: UserSig::WORDS, cause: error.to_string() }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MintBody {
    sdk_app_id: Option<Value>,
    user_id: Option<Value>,
    expire_seconds: Option<Value>,
    room: Option<Value>,
    privileges: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VerifyBody {
    sdk_app_id: Option<Value>,
    user_id: Option<Value>,
    user_sig: Option<Value>,
}

impl login::Body for MintBody {
    const FIELDS: &'static str = "sdk_app_id, user_id, expire_seconds, room, privileges";
}

impl login::Body for VerifyBody {
    const FIELDS: &'static str = "sdk_app_id, user_id, user_sig";
}

/// A ticket, and from when until when it is valid.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "MintedUserSig"))]
struct Minted<'a> {
    /// The UserSig: the ticket with which the user logs in.
    #[cfg_attr(test, schemars(length(min = 1)))]
    user_sig: &'a str,
    /// The PrivateMapKey: the ticket for the room. Only if a `room` was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(length(min = 1)))]
    private_map_key: Option<&'a str>,
    /// The user who can log in with it.
    user_id: &'a UserId,
    /// The app that the user can log in to.
    sdk_app_id: SdkAppId,
    /// When it was minted, in Unix seconds.
    issued_at: UnixSeconds,
    /// The last second in which it is valid, in Unix seconds.
    expires_at: UnixSeconds,
}

/// Tencent's code: 70001 expired, 70002 empty, 70003 cannot be decoded, 70005 not a ticket
/// of version 2.0, 70009 not signed with a key of its app, 70013 for another user, 70014
/// for another app.
#[derive(Serialize)]
#[cfg_attr(
    test,
    derive(schemars::JsonSchema),
    schemars(
        rename = "UserSig",
        inline,
        extend("enum" = [70001, 70002, 70003, 70005, 70009, 70013, 70014])
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
    login::verdict_schema::<UserSig>(generator);
}

fn app(value: Option<Value>) -> Result<SdkAppId, Error> {
    let number = required_number("sdk_app_id", value)?;
    let app = number.ok_or(ParameterError::SdkAppId).and_then(SdkAppId::try_from);
    parameter("sdk_app_id", app)
}

fn user(value: Option<Value>) -> Result<UserId, Error> {
    parameter("user_id", required_text("user_id", value)?.parse::<UserId>())
}

fn room(value: Value) -> Result<Room, Error> {
    let mut id = match value {
        Value::Object(fields) if fields.len() == 1 => fields,
        _ => return Err(Error::bad("room", "is not {\"id\": a number or a string}")),
    };
    let room = match id.remove("id") {
        Some(Value::Number(number)) => {
            number.as_u64().ok_or(ParameterError::RoomNumber).and_then(Room::number)
        }
        Some(Value::String(name)) => Room::name(&name),
        _ => return Err(Error::bad("room", "is not {\"id\": a number or a string}")),
    };
    parameter("room", room)
}

fn privileges(value: Option<Value>) -> Result<Option<Privileges>, Error> {
    let Some(value) = value else { return Ok(None) };
    let bits = value.as_u64().and_then(|bits| u8::try_from(bits).ok());
    let bits =
        bits.ok_or_else(|| Error::bad("privileges", "is not a whole number from 0 to 255"))?;
    Ok(Some(Privileges(bits)))
}
