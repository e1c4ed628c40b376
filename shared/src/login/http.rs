//! The two routes of a kind of ticket: one mints, one verifies.

use std::fmt;

use http::{Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Lifetime, Refusal, Valid};
use crate::{
    apps::AppsSource,
    domain::UnixSeconds,
    http::{ErrorCode, Reply, Request, read_object},
    providers::Apps,
};

/// The longest body that is read, in bytes.
const BODY_LIMIT: usize = 64 << 10;

/// A kind of ticket, as its two routes need it.
pub(crate) trait Kind {
    /// Where it is minted.
    const MINT: &'static str;
    /// Where it is verified.
    const VERIFY: &'static str;
    /// How it is named in messages.
    const WORDS: &'static Words;

    /// The body of a request to mint.
    type Mint: Body;
    /// The body of a request to verify.
    type Verify: Body;
    /// Why a ticket is refused.
    type Invalid: Refusal;
    /// The provider's code for that, as `openapi.yaml` describes it.
    type Code: Serialize + From<u32>;

    /// Mints what the body asks for. The answer holds the ticket, and is for its owner.
    fn mint(apps: &Apps, body: Self::Mint, now: UnixSeconds) -> Result<Reply, Error>;

    /// Checks the ticket of the body.
    fn verify(
        apps: &Apps,
        body: Self::Verify,
        now: UnixSeconds,
    ) -> Result<Result<Valid, Self::Invalid>, Error>;
}

/// How a kind of ticket is named in messages.
#[derive(Debug)]
pub(crate) struct Words {
    /// The ticket, such as `UserSig`.
    pub(crate) ticket: &'static str,
    /// An app's id, such as `SDKAppID`.
    pub(crate) app: &'static str,
    /// An app's key in the provider's console, such as `SecretKey`.
    pub(crate) key: &'static str,
    /// The provider in the apps' JSON.
    pub(crate) provider: &'static str,
    /// The list of an app's keys there.
    pub(crate) keys: &'static str,
}

/// The body of a request. Fields accept any JSON, so that an error can name the wrong field.
pub(crate) trait Body: DeserializeOwned {
    /// The names of all fields.
    const FIELDS: &'static str;
}

/// Answers a request for a route of `K`. Every failure becomes an error body. No ticket and no key
/// is ever logged.
pub(crate) async fn answer<K: Kind>(apps: &AppsSource, request: &Request) -> Reply {
    try_answer::<K>(apps, request).await.unwrap_or_else(|error| {
        if let Error::NotMinted { words, cause } = &error {
            tracing::error!(error = cause, "a {} could not be minted", words.ticket);
        }
        error.reply()
    })
}

async fn try_answer<K: Kind>(source: &AppsSource, request: &Request) -> Result<Reply, Error> {
    let route = Some(request.path.as_str()).filter(|_| request.method == Method::POST);
    let answer: fn(&Apps, &Request) -> Result<Answer, Error> = match route {
        Some(path) if path == K::MINT => mint::<K>,
        Some(path) if path == K::VERIFY => verify::<K>,
        _ => return Err(Error::NoRoute { mint: K::MINT, verify: K::VERIFY }),
    };
    if request.body.len() > BODY_LIMIT {
        return Err(Error::TooLarge);
    }
    let now = request.received_at;
    let apps = source.get(now).await.ok_or(Error::NoSecrets)?;
    source.refresh(now);
    let answered = answer(&apps, request);
    let might_match_another_key = match &answered {
        Ok(answer) => answer.might_match_another_key,
        Err(error) => matches!(error, Error::UnknownApp { .. } | Error::NoKey { .. }),
    };
    if might_match_another_key && let Some(apps) = source.newer_than(&apps, now).await {
        return Ok(answer(&apps, request)?.reply);
    }
    Ok(answered?.reply)
}

/// An answer, and whether it might be different with other keys.
struct Answer {
    reply: Reply,
    might_match_another_key: bool,
}

fn mint<K: Kind>(apps: &Apps, request: &Request) -> Result<Answer, Error> {
    let reply = K::mint(apps, read(&request.body)?, request.received_at.seconds())?;
    Ok(Answer { reply, might_match_another_key: false })
}

fn verify<K: Kind>(apps: &Apps, request: &Request) -> Result<Answer, Error> {
    let verdict = K::verify(apps, read(&request.body)?, request.received_at.seconds())?;
    let might_match_another_key = verdict.as_ref().is_err_and(Refusal::might_be_by_a_new_key);
    let verdict: Verdict<K::Code> = match verdict {
        Ok(valid) => Verdict::Valid { valid: true, code: 0, expires_at: valid.expires_at },
        Err(invalid) => Verdict::Refused {
            valid: false,
            code: invalid.code().into(),
            message: invalid.to_string(),
        },
    };
    Ok(Answer { reply: Reply::json(StatusCode::OK, &verdict), might_match_another_key })
}

fn read<B: Body>(body: &[u8]) -> Result<B, Error> {
    // The error may quote a ticket.
    read_object(body).map_err(|_| Error::Body(B::FIELDS))
}

// `C` describes the provider's codes.
/// Whether a ticket is valid.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "{C}Verdict"))]
#[serde(untagged)]
enum Verdict<C> {
    /// The ticket is valid.
    Valid {
        /// True.
        #[cfg_attr(test, schemars(extend("const" = true)))]
        valid: bool,
        /// Success: 0.
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
        code: C,
        /// What is wrong with the ticket, in English.
        #[cfg_attr(test, schemars(length(min = 1)))]
        message: String,
    },
}

/// Generates the schema of the verdict on a kind of ticket.
#[cfg(test)]
pub(crate) fn verdict_schema<K: Kind<Code: schemars::JsonSchema>>(
    generator: &mut schemars::SchemaGenerator,
) {
    generator.subschema_for::<Verdict<K::Code>>();
}

/// A parameter of a body that was read, or why it is not one.
pub(crate) fn parameter<T>(
    name: &'static str,
    read: Result<T, impl fmt::Display>,
) -> Result<T, Error> {
    read.map_err(|error| Error::Parameter(name, error.to_string()))
}

/// A field that has to be there and is a text.
pub(crate) fn required_text(name: &'static str, value: Option<Value>) -> Result<String, Error> {
    match required(name, value)? {
        Value::String(text) => Ok(text),
        _ => Err(Error::bad(name, "is not a string")),
    }
}

/// A field that has to be there; a number if it is a whole one without a sign.
pub(crate) fn required_number(
    name: &'static str,
    value: Option<Value>,
) -> Result<Option<u64>, Error> {
    Ok(required(name, value)?.as_u64())
}

/// The lifetime that `expire_seconds` asks for.
pub(crate) fn valid_for<const MIN_S: u64, const MAX_S: u64, const DEFAULT_S: u64>(
    value: Option<Value>,
) -> Result<Lifetime<MIN_S, MAX_S, DEFAULT_S>, Error> {
    let Some(value) = value else { return Ok(Lifetime::DEFAULT) };
    let no_number = Lifetime::<MIN_S, MAX_S, DEFAULT_S>::ERROR;
    let lifetime = value.as_u64().ok_or(no_number).and_then(Lifetime::from_seconds);
    parameter("expire_seconds", lifetime)
}

fn required(name: &'static str, value: Option<Value>) -> Result<Value, Error> {
    value.ok_or_else(|| Error::bad(name, "is missing"))
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("there is no such route: post to {mint} or {verify}")]
    NoRoute { mint: &'static str, verify: &'static str },
    #[error(
        "{} {app} is not configured here: add it under `{}` to the apps of ROLLCALL_APPS or its \
         secret",
        words.app, words.provider
    )]
    UnknownApp { words: &'static Words, app: u32 },
    #[error("{} {app} has no key here: add its {} to its `{}`", words.app, words.key, words.keys)]
    NoKey { words: &'static Words, app: u32 },
    #[error("the body is longer than {BODY_LIMIT} bytes")]
    TooLarge,
    #[error("the body is not a JSON object of these fields, each named once: {0}")]
    Body(&'static str),
    #[error("`{0}` {1}")]
    Parameter(&'static str, String),
    #[error("the keys could not be loaded yet: try again")]
    NoSecrets,
    #[error("the {} could not be minted", words.ticket)]
    NotMinted { words: &'static Words, cause: String },
}

impl Error {
    /// A field is wrong.
    pub(crate) fn bad(name: &'static str, what: &str) -> Self {
        Self::Parameter(name, what.to_owned())
    }

    fn reply(&self) -> Reply {
        let (status, code) = match self {
            Self::NoRoute { .. } | Self::UnknownApp { .. } | Self::NoKey { .. } => {
                (StatusCode::NOT_FOUND, ErrorCode::NotFound)
            }
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::TooLarge),
            Self::Body(_) | Self::Parameter(..) => {
                (StatusCode::BAD_REQUEST, ErrorCode::BadParameter)
            }
            Self::NoSecrets => (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable),
            Self::NotMinted { .. } => (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Internal),
        };
        Reply::error(status, code, self.to_string())
    }
}
