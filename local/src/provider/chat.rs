//! Chat's REST API: who is online.
//!
//! Source: `query_online_status` (Tencent Cloud, documents 269/2566 and 1047/35477), and Chat's error
//! codes (1047/34348).

use rollcall::{
    domain::AppId,
    login::Refusal,
    user_sig::{Expected, SdkAppId, UserId, verify},
};
use rollcall_players::servers::{Account, Link};
use serde_json::{Value, json};

use super::{Action, Call, Lie, Scene, State, texts};

/// The most accounts in one request.
const MAX_ACCOUNTS: usize = 500;

const PARAMETERS: u32 = 60_003;
const ABOVE_LIMIT: u32 = 60_007;
const NO_ADMIN: u32 = 60_010;
const NO_APP: u32 = 60_012;
const UNKNOWN_APP: u32 = 70_020;
const UNKNOWN_USER: u32 = 70_107;
const JSON: u32 = 90_001;
const NO_ACCOUNTS: u32 = 90_003;
const TOO_MANY: u32 = 90_011;
pub(super) const INTERNAL: u32 = 91_000;

pub(super) fn answer(
    scene: &Scene<'_>,
    call: &Call<'_>,
    action: Action,
    state: &mut State,
) -> Value {
    let done = (|| {
        let app = check(scene, call)?;
        let taken = state.limiter.take(&scene.behaviour.limits, action, (app, None), scene.now);
        taken.map_err(|_| ABOVE_LIMIT)?;
        online_status(scene, call, app)
    })();
    done.unwrap_or_else(failure)
}

/// The answer of a request that fails, which has status 200, too.
pub(super) fn failure(code: u32) -> Value {
    let info = match code {
        PARAMETERS => "Fail to parse the parameters of the URL",
        ABOVE_LIMIT => "The call frequency exceeds the limit",
        NO_ADMIN => "The identifier is no admin account",
        JSON => "Fail to Parse json data of body",
        TOO_MANY => "Too many accounts in To_Account",
        INTERNAL => "Internal error",
        _ => "Request error",
    };
    json!({ "ActionStatus": "FAIL", "ErrorInfo": info, "ErrorCode": code })
}

/// Checks who asks: an admin of the app, by a UserSig of their own.
fn check<'c>(scene: &Scene<'_>, call: &'c Call<'_>) -> Result<&'c str, u32> {
    let app = call.parameter("sdkappid").ok_or(NO_APP)?;
    let id: AppId = app.parse().map_err(|_| UNKNOWN_APP)?;
    let account = scene.accounts.tencent.get(&id).ok_or(UNKNOWN_APP)?;
    let is_random = call.parameter("random").is_some_and(|random| random.parse::<u32>().is_ok());
    if !is_random || call.parameter("contenttype") != Some("json") {
        return Err(PARAMETERS);
    }
    let identifier = call.parameter("identifier").ok_or(NO_ADMIN)?;
    let user: UserId = identifier.parse().map_err(|_| NO_ADMIN)?;
    let id: SdkAppId = app.parse().map_err(|_| UNKNOWN_APP)?;
    let expected = Expected { app: id, user };
    let ticket = call.parameter("usersig").unwrap_or_default();
    let keys = std::slice::from_ref(&account.secret_key);
    verify(ticket, &expected, |_| keys, scene.now.seconds()).map_err(|invalid| invalid.code())?;
    if identifier == account.admin { Ok(app) } else { Err(NO_ADMIN) }
}

fn online_status(scene: &Scene<'_>, call: &Call<'_>, app: &str) -> Result<Value, u32> {
    let body: Value = serde_json::from_slice(call.request.body()).map_err(|_| JSON)?;
    let asked = texts(&body, "To_Account").filter(|asked| !asked.is_empty());
    let asked = asked.ok_or(NO_ACCOUNTS)?;
    if asked.len() > MAX_ACCOUNTS {
        return Err(TOO_MANY);
    }
    let (has_detail, lie) = (body["IsNeedDetail"] == 1, scene.behaviour.lie);
    let accounts = scene.servers.chat.get(app);
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for user in &asked {
        let Some(account) = accounts.and_then(|accounts| accounts.get(user)) else {
            errors.push(json!({ "To_Account": user, "ErrorCode": UNKNOWN_USER }));
            continue;
        };
        let detail = detail(account, lie);
        let says = |status: &str| detail.iter().any(|(_, known)| *known == status);
        let statuses = ["Online", "PushOnline"];
        let status = statuses.into_iter().find(|status| says(status)).unwrap_or("Offline");
        let mut result = json!({ "To_Account": Lie::name(lie, user), "Status": status });
        if has_detail && !detail.is_empty() {
            let platform =
                |(platform, status): &(&str, _)| json!({ "Platform": platform, "Status": status });
            result["Detail"] = detail.iter().map(platform).collect();
        }
        results.push(result);
    }
    let mut answer = json!({
        "ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0, "QueryResult": results
    });
    if !errors.is_empty() {
        answer["ErrorList"] = errors.into();
    }
    Ok(answer)
}

/// The platforms that are not offline, by this API's names.
fn detail(account: &Account, lie: Option<Lie>) -> Vec<(&str, &'static str)> {
    match lie {
        Some(Lie::EverybodyOut | Lie::UnknownRoom) => return Vec::new(),
        Some(Lie::EverybodyIn) => return vec![("Web", "Online")],
        _ => {}
    }
    let platforms = account.platforms.iter().map(|(platform, link)| {
        let status = match link {
            Link::Online => "Online",
            Link::Push => "PushOnline",
        };
        (name(platform), status)
    });
    platforms.collect()
}

/// The name of a platform here, by its name in callbacks.
fn name(platform: &str) -> &str {
    match platform {
        "iOS" | "IOS" => "iPhone",
        "Windows" | "Linux" => "PC",
        "macOS" => "Mac",
        other => other,
    }
}
