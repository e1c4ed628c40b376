//! The routes of UserSig.

use http::{Method, StatusCode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Claims, Expected, Invalid, Lifetime, MintError, ParameterError, Privileges, Room, SdkAppId,
    UserId, verify,
};
use crate::{
    apps::AppsSource,
    callback::Secret,
    domain::{AppId, UnixSeconds},
    http::{ErrorCode, Reply, Request, read_object},
    providers::Apps,
    routes::{MINT, VERIFY},
};

/// The longest body that is read, in bytes.
const BODY_LIMIT: usize = 64 << 10;

/// Mints and verifies tickets with the apps' keys. No ticket and no key is ever logged.
#[derive(Debug, Clone)]
pub struct UserSigs {
    /// The apps, among them Tencent's with their keys.
    pub apps: AppsSource,
}

impl UserSigs {
    /// Answers a request for [`MINT`] or [`VERIFY`]. Every failure becomes an error body.
    pub async fn answer(&self, request: &Request) -> Reply {
        let answer = self.try_answer(request).await;
        answer.unwrap_or_else(|error| {
            if let Error::NotMinted(error) = &error {
                tracing::error!(%error, "a UserSig could not be minted");
            }
            error.reply()
        })
    }

    async fn try_answer(&self, request: &Request) -> Result<Reply, Error> {
        let route = Some(request.path.as_str()).filter(|_| request.method == Method::POST);
        let answer: fn(Keys<'_>, &Request) -> Result<Answer, Error> = match route {
            Some(MINT) => |keys, request| keys.mint(request),
            Some(VERIFY) => |keys, request| keys.verify(request),
            _ => return Err(Error::NoRoute),
        };
        if request.body.len() > BODY_LIMIT {
            return Err(Error::TooLarge);
        }
        let now = request.received_at;
        let apps = self.apps.get(now).await.ok_or(Error::NoSecrets)?;
        self.apps.refresh(now);
        let answered = answer(Keys(&apps), request);
        let might_match_another_key = match &answered {
            Ok(answer) => answer.might_match_another_key,
            Err(error) => matches!(error, Error::UnknownApp(_) | Error::NoKey(_)),
        };
        if might_match_another_key && let Some(apps) = self.apps.newer_than(&apps, now).await {
            return Ok(answer(Keys(&apps), request)?.reply);
        }
        Ok(answered?.reply)
    }
}

/// An answer, and whether it might be different with other keys.
struct Answer {
    reply: Reply,
    might_match_another_key: bool,
}

/// The keys of all apps.
#[derive(Clone, Copy)]
struct Keys<'a>(&'a Apps);

impl<'a> Keys<'a> {
    fn mint(self, request: &Request) -> Result<Answer, Error> {
        let body: MintBody = read(&request.body)?;
        let claims = Claims {
            app: app(body.sdk_app_id)?,
            user: user(body.user_id)?,
            issued_at: request.received_at.seconds(),
            lifetime: lifetime(body.expire_seconds)?,
        };
        let room = body.room.map(room).transpose()?;
        let privileges = privileges(body.privileges)?;
        if room.is_none() && privileges.is_some() {
            return Err(Error::bad("privileges", "needs a `room`: a UserSig has none of its own"));
        }
        let key = self.of(claims.app)?.first().ok_or(Error::NoKey(claims.app))?;
        let private_map_key =
            |room: &Room| claims.private_map_key(room, privileges.unwrap_or_default(), key);
        let user_sig = claims.user_sig(key)?;
        let private_map_key = room.as_ref().map(private_map_key).transpose()?;
        let answer = Minted {
            user_sig: user_sig.expose(),
            private_map_key: private_map_key.as_ref().map(super::Ticket::expose),
            user_id: &claims.user,
            sdk_app_id: claims.app,
            issued_at: claims.issued_at,
            expires_at: claims.expires_at(),
        };
        let reply = Reply::json(StatusCode::OK, &answer);
        Ok(Answer { reply, might_match_another_key: false })
    }

    fn verify(self, request: &Request) -> Result<Answer, Error> {
        let body: VerifyBody = read(&request.body)?;
        let expected = Expected { app: app(body.sdk_app_id)?, user: user(body.user_id)? };
        let ticket = text("user_sig", body.user_sig)?;
        if self.of(expected.app)?.is_empty() {
            return Err(Error::NoKey(expected.app));
        }
        let keys = |app| self.of(app).unwrap_or_default();
        let verdict = verify(&ticket, &expected, keys, request.received_at.seconds());
        let might_match_another_key = verdict == Err(Invalid::ForeignKey);
        let answer = match verdict {
            Ok(valid) => Verdict::Valid { valid: true, code: 0, expires_at: valid.expires_at },
            Err(invalid) => Verdict::Refused {
                valid: false,
                code: invalid.code(),
                message: invalid.to_string(),
            },
        };
        Ok(Answer { reply: Reply::json(StatusCode::OK, &answer), might_match_another_key })
    }

    /// The keys of an app, the one that signs first.
    fn of(self, app: SdkAppId) -> Result<&'a [Secret], Error> {
        let id: Option<AppId> = app.to_string().parse().ok();
        let credentials = id.and_then(|id| self.0.tencent.get(&id));
        credentials.map(|app| app.secret_keys.as_slice()).ok_or(Error::UnknownApp(app))
    }
}

// Fields accept any JSON, so that an error can name the wrong field.

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

trait Fields: DeserializeOwned {
    const NAMES: &'static str;
}

impl Fields for MintBody {
    const NAMES: &'static str = "sdk_app_id, user_id, expire_seconds, room, privileges";
}

impl Fields for VerifyBody {
    const NAMES: &'static str = "sdk_app_id, user_id, user_sig";
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

/// Whether a ticket is valid.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "UserSigVerdict"))]
#[serde(untagged)]
enum Verdict {
    /// The ticket is valid.
    Valid {
        /// True.
        #[cfg_attr(test, schemars(extend("const" = true)))]
        valid: bool,
        /// Tencent's code for success: 0.
        #[cfg_attr(test, schemars(extend("const" = 0)))]
        code: u32,
        /// The last second in which it is valid, in Unix seconds.
        expires_at: UnixSeconds,
    },
    /// The ticket is refused.
    Refused {
        /// False.
        #[cfg_attr(test, schemars(extend("const" = false)))]
        valid: bool,
        /// Tencent's code: 70001 expired, 70002 empty, 70003 cannot be decoded, 70005 not a ticket
        /// of version 2.0, 70009 not signed with a key of its app, 70013 for another user, 70014
        /// for another app.
        #[cfg_attr(
            test,
            schemars(extend("enum" = [70001, 70002, 70003, 70005, 70009, 70013, 70014]))
        )]
        code: u32,
        /// What is wrong with the ticket, in English.
        #[cfg_attr(test, schemars(length(min = 1)))]
        message: String,
    },
}

/// Generates the schemas of both answers.
#[cfg(test)]
pub(crate) fn schemas(generator: &mut schemars::SchemaGenerator) {
    generator.subschema_for::<Minted<'_>>();
    generator.subschema_for::<Verdict>();
}

fn read<B: Fields>(body: &[u8]) -> Result<B, Error> {
    // The error may quote a ticket.
    read_object(body).map_err(|_| Error::Body(B::NAMES))
}

fn app(value: Option<Value>) -> Result<SdkAppId, Error> {
    let value = required("sdk_app_id", value)?;
    let app = value.as_u64().ok_or(ParameterError::SdkAppId).and_then(SdkAppId::try_from);
    app.map_err(|error| Error::Parameter("sdk_app_id", error))
}

fn user(value: Option<Value>) -> Result<UserId, Error> {
    let user = text("user_id", value)?.parse();
    user.map_err(|error| Error::Parameter("user_id", error))
}

fn lifetime(value: Option<Value>) -> Result<Lifetime, Error> {
    let Some(value) = value else { return Ok(Lifetime::DEFAULT) };
    let lifetime = value.as_u64().ok_or(ParameterError::Lifetime).and_then(Lifetime::from_seconds);
    lifetime.map_err(|error| Error::Parameter("expire_seconds", error))
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
    room.map_err(|error| Error::Parameter("room", error))
}

fn privileges(value: Option<Value>) -> Result<Option<Privileges>, Error> {
    let Some(value) = value else { return Ok(None) };
    let bits = value.as_u64().and_then(|bits| u8::try_from(bits).ok());
    let bits = bits.ok_or(Error::bad("privileges", "is not a whole number from 0 to 255"))?;
    Ok(Some(Privileges(bits)))
}

fn text(name: &'static str, value: Option<Value>) -> Result<String, Error> {
    match required(name, value)? {
        Value::String(text) => Ok(text),
        _ => Err(Error::bad(name, "is not a string")),
    }
}

fn required(name: &'static str, value: Option<Value>) -> Result<Value, Error> {
    value.ok_or(Error::bad(name, "is missing"))
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("there is no such route: post to {MINT} or {VERIFY}")]
    NoRoute,
    #[error(
        "SDKAppID {0} is not configured here: add it under `tencent` to the apps of ROLLCALL_APPS or \
         its secret"
    )]
    UnknownApp(SdkAppId),
    #[error("SDKAppID {0} has no key here: add its SecretKey to its `secret_keys`")]
    NoKey(SdkAppId),
    #[error("the body is longer than {BODY_LIMIT} bytes")]
    TooLarge,
    #[error("the body is not a JSON object of these fields, each named once: {0}")]
    Body(&'static str),
    #[error("`{0}` {1}")]
    Parameter(&'static str, ParameterError),
    #[error("`{0}` {1}")]
    Field(&'static str, &'static str),
    #[error("the keys could not be loaded yet: try again")]
    NoSecrets,
    #[error("the UserSig could not be minted")]
    NotMinted(#[from] MintError),
}

impl Error {
    fn bad(name: &'static str, what: &'static str) -> Self {
        Self::Field(name, what)
    }

    fn reply(&self) -> Reply {
        let (status, code) = match self {
            Self::NoRoute | Self::UnknownApp(_) | Self::NoKey(_) => {
                (StatusCode::NOT_FOUND, ErrorCode::NotFound)
            }
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::TooLarge),
            Self::Body(_) | Self::Parameter(..) | Self::Field(..) => {
                (StatusCode::BAD_REQUEST, ErrorCode::BadParameter)
            }
            Self::NoSecrets => (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable),
            Self::NotMinted(_) => (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Internal),
        };
        Reply::error(status, code, self.to_string())
    }
}
