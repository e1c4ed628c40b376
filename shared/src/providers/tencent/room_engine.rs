//! The callbacks of `RoomEngine` and of Live: verification and answer.
//!
//! Sources: Tencent RTC, "Webhook overview" (60722) for `Room.*`, and "Live callback
//! authentication" (i/1071/78178, c/647/118333) for `Live.*`.
//!
//! Live signs its callbacks as Chat does. For `Room.*` nothing is documented that shows who sends
//! them. So an operator puts a key into their address that nobody can guess. It is in no log.

use std::time::Duration;

use super::{
    AppCredentials, Apps,
    chat::{APP, REQUEST_TIME, SIGN, verify_sign},
    reply, trtc,
};
use crate::{
    callback::{
        Fields, Provider, Redelivery, Rejection, Secret, Verified, VerifyError, find_match,
    },
    domain::{App, AppId, Outcome, ProviderName},
    http::{Reply, Request},
    providers::{self, Configured},
};

/// The field with the name of the event. In the query of Live's it may have another name.
pub(super) const COMMAND: &str = "CallbackCommand";

/// What comes before the key in the path.
const BEFORE_KEY: &str = "/tencent/room/";

/// `RoomEngine` and Live as a [`Provider`].
#[derive(Debug)]
pub struct RoomEngine;

/// Whose event a request claims to be. It only says what has to be proved.
enum Claimed {
    /// Live's: its `Sign` proves it.
    Live,
    /// `RoomEngine`'s: only the key in the path can prove it.
    Room,
    /// An event that is not recorded: either proves it.
    Other,
}

impl Claimed {
    fn by(body: &Fields) -> Self {
        match body.text(COMMAND) {
            Ok(Some(command)) if command.starts_with("Live.") => Self::Live,
            Ok(Some(command)) if command.starts_with("Room.") => Self::Room,
            _ => Self::Other,
        }
    }
}

impl Configured for RoomEngine {
    fn of(apps: &providers::Apps) -> &Apps {
        &apps.tencent
    }

    fn with_second_track(apps: &providers::Apps) -> Vec<App> {
        let verifies = |app: &AppCredentials| {
            [&app.live_tokens, &app.room_path_keys].iter().any(|of| !of.is_empty())
        };
        let apps = apps.tencent.iter().filter(|(_, app)| verifies(app));
        apps.map(|(id, _)| App { provider: Self::NAME, id: id.clone() }).collect()
    }
}

impl Provider for RoomEngine {
    const NAME: ProviderName = ProviderName::Tencent;
    const BODY_LIMIT: usize = 1 << 20;
    /// Whether it repeats anything is not documented.
    const REDELIVERY: Redelivery = Redelivery::Never;

    type Apps = Apps;
    type Body = Fields;

    fn verify(
        request: &Request,
        apps: &Apps,
        max_age: Duration,
    ) -> Result<Verified<Self>, VerifyError> {
        // One of Live's pages writes `SdkAppId`.
        let parameters = Fields::from_query_in_any_case(&request.query, &[APP, REQUEST_TIME, SIGN]);
        if !parameters.is_named(APP) && request.headers.contains_key(trtc::APP) {
            return Err(VerifyError::NoCredentials("events of TRTC are sent to /tencent/trtc"));
        }
        let app: AppId = parameters.required(APP)?.parse().map_err(|_| VerifyError::UnknownApp)?;
        let secrets = || apps.get(&app).ok_or(VerifyError::UnknownApp);
        let body = Fields::from_body(&request.body).unwrap_or_default();
        // A gateway may have its own path in front.
        let key = request.path.rsplit_once(BEFORE_KEY).map(|(_, key)| key);
        let proof = match (Claimed::by(&body), key) {
            (Claimed::Live, _) | (Claimed::Other, None) => {
                let tokens = || Ok(secrets()?.live_tokens.as_slice());
                verify_sign(&parameters, tokens, request.received_at, max_age)?
            }
            (Claimed::Room, None) => {
                let why = "`Room.*` is sent to /tencent/room/KEY, with one of `room_path_keys`";
                return Err(VerifyError::NoCredentials(why));
            }
            (Claimed::Room | Claimed::Other, Some(key)) => {
                let keys = &secrets()?.room_path_keys;
                if keys.is_empty() {
                    return Err(VerifyError::NoSecret);
                }
                let expected = keys.iter().map(Secret::expose);
                find_match(expected, key).ok_or(VerifyError::WrongPathKey)?
            }
        };
        Ok(Verified::new(&proof, app, body, request.received_at))
    }

    fn reply(_request: &Request, answer: &Result<Outcome, Rejection>) -> Reply {
        reply::reply(answer)
    }
}
