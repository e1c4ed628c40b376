//! A callback on its way in: raw, then verified, then parsed.
//!
//! Authentication and reply belong to the [`Provider`], event identity and parsing to the
//! [`Callback`]. A [`Verified`] request cannot be had without a [`SecretMatch`], and only a
//! `Verified` request of its own provider can be parsed.

mod batch;
mod coded;
mod configured;
mod fields;
mod secret;
mod text;
mod verified;

use std::{fmt, time::Duration};

pub use batch::{Batch, elements};
pub use coded::coded_reply;
pub use configured::{
    AppWarning, AppWarnings, Misfit, RobotsFault, SecretFault, SecretForm, SecretKind,
};
pub use fields::Fields;
pub use secret::{Secret, SecretMatch, find_match, trim};
pub use verified::Verified;

use crate::{
    domain::{Change, IdError, MAX_EVENT_TIME_AHEAD, Outcome, ProviderName, UnixSeconds},
    http::{Reply, Request},
};

/// A provider: how its requests are verified and how they are answered.
pub trait Provider: Sized + 'static {
    /// The name in routes, keys and logs.
    const NAME: ProviderName;

    /// The longest body that is read, in bytes.
    const BODY_LIMIT: usize;

    /// The secrets of the provider's apps, as they are in the configuration.
    type Apps: Send + Sync;

    /// The verified request as parsing gets it.
    type Body: Send;

    /// Whether a request that was not accepted is sent again.
    const REDELIVERY: Redelivery;

    /// Checks that the provider sent this request.
    ///
    /// # Errors
    ///
    /// [`VerifyError`]. Then no part of the request may be used.
    fn verify(
        request: &Request,
        apps: &Self::Apps,
        max_age: Duration,
    ) -> Result<Verified<Self>, VerifyError>;

    /// Writes the answer in the provider's own dialect.
    fn reply(request: &Request, answer: &Result<Outcome, Rejection>) -> Reply;
}

/// Whether a provider sends a request again that was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redelivery {
    /// Yes, for a while.
    Repeats,
    /// No, or only if an operator has switched that on.
    Never,
}

impl Redelivery {
    /// What to do about a request that failed for a temporary reason.
    fn advice(self) -> &'static str {
        match self {
            Self::Repeats => "send it again",
            Self::Never => "it does not come again by itself",
        }
    }
}

/// How much of a request was not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unstored {
    /// How many entries were not stored.
    pub count: usize,
    /// How many entries it has.
    pub all: usize,
}

impl fmt::Display for Unstored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { all: 1, .. } => write!(f, "the event could not be stored"),
            Self { count, all } => write!(f, "{count} of {all} entries could not be stored"),
        }
    }
}

/// The names of a callback type. Do not implement it by hand: the table in `routes` does.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no row in the table of shared/src/routes.rs"
)]
pub trait Routed {
    /// The name of its Lambda function, and of its folder in `functions/`.
    const FUNCTION: &'static str;

    /// The paths it is posted to.
    const ROUTES: &'static [&'static str];

    /// The provider's name of the event.
    const EVENT: &'static str;
}

/// A callback type: which requests it accepts and what they change.
pub trait Callback: Routed + 'static {
    /// The provider that sends it.
    type Provider: Provider;

    /// Returns what a verified request changes.
    ///
    /// # Errors
    ///
    /// [`ParseError`] if the request is not a whole event of this type.
    fn parse(request: &Verified<Self::Provider>) -> Result<Parsed, ParseError>;
}

/// The result of parsing a verified request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// Which event it is, if the route accepts several; for the log.
    pub event: Option<&'static str>,
    /// What it changes; nothing, if it is not an event that is recorded.
    pub changes: Vec<Change>,
    /// Which entries of a batch were unusable. The rest is stored all the same, because a provider
    /// that never repeats itself would lose all of it. The answer is a rejection with this error.
    pub left_out: Option<ParseError>,
}

impl Parsed {
    /// A request that is acknowledged and not stored.
    #[must_use]
    pub fn ignored() -> Self {
        Self { event: None, changes: Vec::new(), left_out: None }
    }
}

impl From<Change> for Parsed {
    fn from(change: Change) -> Self {
        Self { event: None, changes: vec![change], left_out: None }
    }
}

/// A body that cannot be read, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body cannot be read: {0}")]
pub struct Unreadable(pub &'static str);

/// Why the sender of a request could not be verified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum VerifyError {
    /// The body is in no format that could hold a signature.
    #[error(transparent)]
    UnreadableBody(#[from] Unreadable),
    /// A field that the signature needs is missing or has the wrong type.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// No such app is configured.
    #[error("this app is not configured here: add it to the apps of ROLLCALL_APPS or its secret")]
    UnknownApp,
    /// The app has no secret, so nothing can be verified.
    #[error("no callback secret is configured for this app")]
    NoSecret,
    /// The signed time lies too far behind our clock.
    #[error("`{field}` lies more than {limit_s} s in the past")]
    Expired {
        /// The field that holds the time.
        field: &'static str,
        /// The limit, in seconds.
        limit_s: u64,
    },
    /// The signed time lies too far ahead of our clock.
    #[error("`{field}` lies more than {limit_s} s in the future")]
    Future {
        /// The field that holds the time.
        field: &'static str,
        /// The limit, in seconds.
        limit_s: u64,
    },
    /// The request has no credentials.
    #[error("there are no credentials: {0}")]
    NoCredentials(&'static str),
    /// The credentials belong to no app.
    #[error("the credentials belong to no app that is configured here")]
    WrongCredentials,
    /// The signature matches none of the app's secrets.
    #[error("the signature does not match: check the callback secret of this app")]
    WrongSignature,
    /// The key in the path is none of the app's.
    #[error("the key at the end of the path is none of this app's `room_path_keys`")]
    WrongPathKey,
    /// The signature does not cover the body, and came with another body before.
    #[error("the signature was used for another body already")]
    UsedSignature,
}

impl VerifyError {
    /// Whether the request might be valid with a secret that is not known yet.
    #[must_use]
    pub fn might_match_another_secret(&self) -> bool {
        match self {
            Self::UnknownApp
            | Self::NoSecret
            | Self::WrongCredentials
            | Self::WrongSignature
            | Self::WrongPathKey => true,
            Self::UnreadableBody(_)
            | Self::Field(_)
            | Self::Expired { .. }
            | Self::Future { .. }
            | Self::NoCredentials(_)
            | Self::UsedSignature => false,
        }
    }

    /// Checks that a signed time is at most `max_age` behind or ahead of our clock. Returns the
    /// last second in which this holds: the replay guard remembers the signature until then.
    ///
    /// # Errors
    ///
    /// [`VerifyError::Expired`] or [`VerifyError::Future`].
    pub fn check_age(
        field: &'static str,
        at: UnixSeconds,
        now: UnixSeconds,
        max_age: Duration,
    ) -> Result<UnixSeconds, Self> {
        let limit_s = max_age.as_secs();
        let good_until = at.after(max_age);
        if good_until < now {
            return Err(Self::Expired { field, limit_s });
        }
        if at > now.after(max_age) {
            return Err(Self::Future { field, limit_s });
        }
        Ok(good_until)
    }
}

/// Why a verified request is not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// A field is missing or wrong.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// Some entries of a batch are unusable; the others were stored.
    #[error("{left_out} of {all} {entries} were not recorded, the others were; the first: {first}")]
    PartOfBatch {
        /// What the entries are, such as `users`.
        entries: &'static str,
        /// How many were left out.
        left_out: usize,
        /// How many there were.
        all: usize,
        /// What is wrong with the first of them.
        first: FieldError,
    },
    /// All entries of a batch are unusable.
    #[error("none of {all} {entries} was recorded; the first: {first}")]
    WholeBatch {
        /// What the entries are, such as `users`.
        entries: &'static str,
        /// How many there were.
        all: usize,
        /// What is wrong with the first of them.
        first: FieldError,
    },
    /// The event belongs to another route.
    #[error("this route does not take `{event}`: send it to {route}")]
    WrongRoute {
        /// The event that was sent.
        event: &'static str,
        /// Its own route.
        route: &'static str,
    },
}

impl ParseError {
    /// How many entries of a batch were left out.
    #[must_use]
    pub fn left_out(&self) -> usize {
        match self {
            Self::PartOfBatch { left_out, .. } => *left_out,
            Self::WholeBatch { all, .. } => *all,
            Self::Field(_) | Self::WrongRoute { .. } => 0,
        }
    }
}

/// What is wrong with one field of a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// The field is not there, null or empty.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// The field is neither a string nor a number.
    #[error("`{0}` is neither a string nor a number")]
    NotScalar(&'static str),
    /// The field is not a whole number in its range.
    #[error("`{0}` is not a whole number in range")]
    NotInteger(&'static str),
    /// The field has half a surrogate pair or bytes that are not UTF-8, and is not only shown.
    #[error("`{0}` is not valid Unicode: it may have been cut inside a character")]
    Damaged(&'static str),
    /// The field is not a usable id.
    #[error("`{0}` {1}")]
    Id(&'static str, IdError),
    /// The field is not an object, or names a field twice.
    #[error("`{0}` is not an object as it should be")]
    NotObject(&'static str),
    /// The field is not an array.
    #[error("`{0}` is not an array as it should be")]
    NotArray(&'static str),
    /// The field is neither an object nor an array of objects, each with its fields named once.
    #[error("`{0}` is neither a user nor an array of users")]
    NotUsers(&'static str),
    /// The field is not an array, or an element of it is not what it should be.
    #[error("`{0}` is not a list as it should be")]
    NotList(&'static str),
    /// The field claims a time too far ahead of our clock.
    #[error("`{0}` lies more than {limit} s in the future", limit = MAX_EVENT_TIME_AHEAD.as_secs())]
    Future(&'static str),
}

/// Why a request was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Rejection {
    /// The sender could not be verified.
    #[error(transparent)]
    Unverified(#[from] VerifyError),
    /// The sender is verified, but the request is not a whole event.
    #[error(transparent)]
    Malformed(#[from] ParseError),
    /// The body is too long.
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The apps' secrets could not be read yet. The cause is logged, not returned.
    #[error("the secrets that verify the sender could not be loaded yet: {}", .0.advice())]
    NoSecrets(Redelivery),
    /// Some or all of it could not be stored in time. The cause is logged, not returned.
    #[error("{unstored}: {}", redelivery.advice())]
    NotStored {
        /// How much of it was not stored.
        unstored: Unstored,
        /// Whether it is sent again.
        redelivery: Redelivery,
    },
}

impl Rejection {
    /// Its name in the metrics, such as `wrong_signature` or `malformed`. There are only a few
    /// names, whatever is sent.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unverified(error) => error.into(),
            other => other.into(),
        }
    }

    /// The HTTP status that all providers' replies use for it.
    #[must_use]
    pub fn status(&self) -> http::StatusCode {
        match self {
            Self::Unverified(_) => http::StatusCode::UNAUTHORIZED,
            Self::Malformed(_) => http::StatusCode::BAD_REQUEST,
            Self::TooLarge { .. } => http::StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoSecrets(_) | Self::NotStored { .. } => http::StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}
