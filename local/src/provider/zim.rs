//! ZIM's Server API: who is online.
//!
//! Source: ZIM's Server API, `QueryUserOnlineState`, and its list of codes. It is signed as RTC's is.

use rollcall_players::servers::ZimUser;
use serde_json::{Value, json};

use super::{Action, Call, Lie, Scene, State, zego};

/// The most ids in one request.
const MAX_IDS: usize = 100;

const BAD_INPUT: u32 = 660_000_001;
const ABOVE_LIMIT: u32 = 7;
const TOO_MANY: u32 = 660_000_011;
/// The user never existed, never logged in, or logged out.
const NOT_LOGGED_IN: u32 = 660_200_001;

pub(super) fn answer(
    scene: &Scene<'_>,
    call: &Call<'_>,
    action: Action,
    state: &mut State,
) -> Value {
    let done = (|| {
        let app = zego::check(scene, call)?;
        let taken = state.limiter.take(&scene.behaviour.limits, action, (app, None), scene.now);
        taken.map_err(|_| ABOVE_LIMIT)?;
        online_state(scene, call, app)
    })();
    match done {
        Ok((results, errors)) => {
            // If all of them failed, the whole request has a code, too.
            let code = if results.is_empty() { NOT_LOGGED_IN } else { 0 };
            envelope(code, state.requests, &results, &errors)
        }
        Err(code) => envelope(code, state.requests, &[], &[]),
    }
}

/// An answer with this code.
pub(super) fn envelope(code: u32, request: u64, results: &[Value], errors: &[Value]) -> Value {
    let message = match code {
        0 => "success",
        ABOVE_LIMIT => "qps limit",
        TOO_MANY => "too many user ids",
        NOT_LOGGED_IN => "user not exist",
        zego::INTERNAL => "internal error",
        _ => "request params error",
    };
    json!({
        "Code": code, "Message": message, "RequestId": format!("{request}"),
        "Result": results, "ErrorList": errors
    })
}

fn online_state(
    scene: &Scene<'_>,
    call: &Call<'_>,
    app: &str,
) -> Result<(Vec<Value>, Vec<Value>), u32> {
    let ids = call.query.iter().filter(|(name, _)| name == "UserId[]");
    let ids: Vec<&str> = ids.map(|(_, id)| id.as_str()).collect();
    match ids.len() {
        0 => return Err(BAD_INPUT),
        1..=MAX_IDS => {}
        _ => return Err(TOO_MANY),
    }
    let users = scene.servers.zim.get(app);
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for id in ids {
        let name = Lie::name(scene.behaviour.lie, id);
        match users.and_then(|users| users.get(id)).and_then(|user| status(scene, user)) {
            Some(status) => results.push(json!({ "UserId": name, "Status": status })),
            None => errors.push(json!({ "UserId": name, "SubCode": NOT_LOGGED_IN })),
        }
    }
    Ok((results, errors))
}

/// The status of a user; `None` if they are not logged in.
fn status(scene: &Scene<'_>, user: &ZimUser) -> Option<&'static str> {
    match scene.behaviour.lie {
        Some(Lie::EverybodyOut) => Some("Offline"),
        Some(Lie::EverybodyIn) => Some("Online"),
        Some(Lie::UnknownRoom) => None,
        _ if !user.online.is_empty() => Some("Online"),
        _ => user.is_lost.then_some("Offline"),
    }
}
