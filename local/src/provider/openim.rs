//! `OpenIM`'s REST API: who is registered, and who is online.
//!
//! Source: `open-im-server` 3.8, `internal/api`, and its `servererrs`.

use std::collections::{BTreeMap, HashMap};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rollcall::{
    callback::find_match,
    domain::{AppId, UnixMillis},
};
use rollcall_players::servers::{Member, Profile};
use serde_json::{Value, json};

use super::{Action, Call, Lie, Scene, State, texts};
use crate::ask::time;

/// The most ids in one request, and the most users on a page.
const MAX_LIST: usize = 1000;

/// A platform that is online when everybody is said to be: the web.
const WEB: u8 = 5;

const ARGUMENTS: u32 = 1001;
const NO_PERMISSION: u32 = 1002;
const EXPIRED: u32 = 1501;
const UNKNOWN_TOKEN: u32 = 1507;
pub(super) const INTERNAL: u32 = 500;

/// The tokens that are valid: of whom, in which app, and until when, in Unix ms.
#[derive(Debug, Default)]
pub(super) struct Tokens(HashMap<String, (AppId, u64)>);

pub(super) fn answer(
    scene: &Scene<'_>,
    call: &Call<'_>,
    action: Action,
    state: &mut State,
) -> Value {
    let done = (|| {
        call.header("operationID").ok_or(ARGUMENTS)?;
        let body: Value = serde_json::from_slice(call.request.body()).map_err(|_| ARGUMENTS)?;
        if matches!(action, Action::GetAdminToken | Action::UserToken) {
            let (app, data) = token(scene, &body, action, state)?;
            // It is counted, and has no limit of its own.
            let whose = (app.as_str(), None);
            let _ = state.limiter.take(&scene.behaviour.limits, action, whose, scene.now);
            return Ok(Some(data));
        }
        let app = state.tokens.app(call, scene.now)?;
        let whose = (app.as_str(), None);
        let taken = state.limiter.take(&scene.behaviour.limits, action, whose, scene.now);
        taken.map_err(|_| INTERNAL)?;
        let admin = &scene.accounts.openim.get(&app).ok_or(NO_PERMISSION)?.admin;
        let members = Members { scene, app: app.as_str(), admin };
        match action {
            Action::GetUsersStatus => members.status(&body).map(Some),
            Action::GetUsers => members.page(&body).map(Some),
            Action::GetAllUsersUid => members.ids(&body).map(Some),
            Action::GetUsersInfo => members.info(&body).map(Some),
            _ => members.statistics(&body).map(Some),
        }
    })();
    match done {
        Ok(data) => success(data),
        Err(code) => failure(code),
    }
}

/// An answer; `data` is absent where there is none.
fn success(data: Option<Value>) -> Value {
    let mut answer = json!({ "errCode": 0, "errMsg": "", "errDlt": "" });
    if let Some(data) = data {
        answer["data"] = data;
    }
    answer
}

/// The answer of a request that fails, which has status 200, too.
pub(super) fn failure(code: u32) -> Value {
    let message = match code {
        ARGUMENTS => "ArgsError",
        NO_PERMISSION => "NoPermissionError",
        EXPIRED => "TokenExpiredError",
        UNKNOWN_TOKEN => "TokenNotExistError",
        _ => "ServerInternalError",
    };
    json!({ "errCode": code, "errMsg": message, "errDlt": message })
}

/// A new token. The secret says in which app.
fn token(
    scene: &Scene<'_>,
    body: &Value,
    action: Action,
    state: &mut State,
) -> Result<(AppId, Value), u32> {
    let (secret, user) = (body["secret"].as_str(), body["userID"].as_str());
    let (Some(secret), Some(user)) = (secret, user.filter(|user| !user.is_empty())) else {
        return Err(ARGUMENTS);
    };
    if action == Action::UserToken && !body["platformID"].is_u64() {
        return Err(ARGUMENTS);
    }
    let known = scene.accounts.openim.iter();
    let mut fitting =
        known.filter(|(_, account)| find_match([account.secret.expose()], secret).is_some());
    let (app, account) = fitting.next().ok_or(NO_PERMISSION)?;
    if user != account.admin {
        return Err(ARGUMENTS);
    }
    let life = scene.behaviour.token_life;
    let until = scene.now.0 + u64::try_from(life.as_millis()).unwrap_or(u64::MAX >> 1);
    let claims = json!({ "UserID": user, "PlatformID": 10, "exp": until / 1000 });
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(&json!({ "alg": "HS256", "typ": "JWT" }));
    let signature: [u64; 4] = std::array::from_fn(|_| state.random.u64(..));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(signature.map(u64::to_be_bytes).concat());
    let token = format!("{header}.{}.{signature}", part(&claims));
    state.tokens.0.insert(token.clone(), (app.clone(), until));
    Ok((app.clone(), json!({ "token": token, "expireTimeSeconds": life.as_secs() })))
}

impl Tokens {
    /// The app whose admin asks.
    fn app(&self, call: &Call<'_>, now: UnixMillis) -> Result<AppId, u32> {
        let token = call.header("token").ok_or(ARGUMENTS)?;
        let (app, until) = self.0.get(token).ok_or(UNKNOWN_TOKEN)?;
        if now.0 < *until { Ok(app.clone()) } else { Err(EXPIRED) }
    }
}

/// The users of an app.
struct Members<'s> {
    scene: &'s Scene<'s>,
    app: &'s str,
    admin: &'s str,
}

impl Members<'_> {
    fn all(&self) -> Option<&BTreeMap<String, Member>> {
        self.scene.servers.openim.get(self.app)
    }

    /// Those who are registered, in the order in which they were.
    fn registered(&self) -> Vec<(&str, &Profile)> {
        let all = self.all().into_iter().flatten();
        let mut registered: Vec<(&str, &Profile)> = all
            .filter_map(|(user, member)| Some((user.as_str(), member.profile.as_ref()?)))
            .collect();
        registered.sort_by_key(|(_, profile)| profile.create_time);
        registered
    }

    /// Users who are not known are offline.
    fn status(&self, body: &Value) -> Result<Value, u32> {
        let lie = self.scene.behaviour.lie;
        let status = |user: &String| {
            let member = self.all().and_then(|all| all.get(user));
            let mut platforms: Vec<u8> =
                member.map(|member| member.platforms.iter().copied().collect()).unwrap_or_default();
            match lie {
                Some(Lie::EverybodyOut | Lie::UnknownRoom) => platforms.clear(),
                Some(Lie::EverybodyIn) => platforms = vec![WEB],
                _ => {}
            }
            let status = u8::from(!platforms.is_empty());
            json!({ "userID": Lie::name(lie, user), "status": status, "platformIDs": platforms })
        };
        let users = asked(body)?;
        Ok(json!({ "statusList": users.iter().map(status).collect::<Vec<_>>() }))
    }

    /// Ordinary users. `userID` and `nickName` are expressions; here they are parts of what is found.
    fn page(&self, body: &Value) -> Result<Value, u32> {
        let part = |field: &str| body[field].as_str().unwrap_or_default().to_lowercase();
        let (user_part, name_part) = (part("userID"), part("nickName"));
        let is_any = user_part.is_empty() && name_part.is_empty();
        let has = |text: &str, part: &str| !part.is_empty() && text.to_lowercase().contains(part);
        let found: Vec<Value> = self
            .registered()
            .into_iter()
            .filter(|(user, profile)| {
                is_any || has(user, &user_part) || has(&profile.nickname, &name_part)
            })
            .map(|(user, profile)| self.shown(user, profile))
            .collect();
        let total = found.len();
        Ok(json!({ "total": total, "users": page(body, found)? }))
    }

    /// Everybody, the admin, too.
    fn ids(&self, body: &Value) -> Result<Value, u32> {
        let registered = self.registered().into_iter().map(|(user, _)| user.to_owned());
        let ids: Vec<String> = std::iter::once(self.admin.to_owned()).chain(registered).collect();
        let total = ids.len();
        Ok(json!({ "total": total, "userIDs": page(body, ids)? }))
    }

    /// Users who are not known are left out.
    fn info(&self, body: &Value) -> Result<Value, u32> {
        let known = |user: &String| {
            let profile = self.all()?.get(user)?.profile.as_ref()?;
            Some(self.shown(user, profile))
        };
        let users: Vec<Value> = asked(body)?.iter().filter_map(known).collect();
        Ok(json!({ "usersInfo": users }))
    }

    fn shown(&self, user: &str, profile: &Profile) -> Value {
        json!({
            "userID": Lie::name(self.scene.behaviour.lie, user),
            "nickname": profile.nickname,
            "faceURL": profile.face_url,
            "ex": profile.ex,
            "createTime": profile.create_time,
            "appMangerLevel": 1,
            "globalRecvMsgOpt": 0
        })
    }

    /// By days in UTC; a day without any is left out, and so is an empty list of days.
    fn statistics(&self, body: &Value) -> Result<Value, u32> {
        let (start, end) = (body["start"].as_u64(), body["end"].as_u64());
        let (Some(start @ 1..), Some(end @ 1..)) = (start, end) else { return Err(ARGUMENTS) };
        if start > end {
            return Err(ARGUMENTS);
        }
        let created: Vec<u64> =
            self.registered().into_iter().map(|(_, profile)| profile.create_time).collect();
        let mut count = BTreeMap::<String, u64>::new();
        for at in created.iter().filter(|at| (start..end).contains(at)) {
            let day = time::shown(UnixMillis(*at)).chars().take("2026-11-26".len()).collect();
            *count.entry(day).or_default() += 1;
        }
        let before = created.iter().filter(|at| **at < start).count();
        let mut data = json!({ "total": created.len(), "before": before });
        if !count.is_empty() {
            data["count"] = json!(count);
        }
        Ok(data)
    }
}

fn asked(body: &Value) -> Result<Vec<String>, u32> {
    let users = texts(body, "userIDs").ok_or(ARGUMENTS)?;
    if (1..=MAX_LIST).contains(&users.len()) { Ok(users) } else { Err(ARGUMENTS) }
}

/// The part of a list that a page has.
fn page<T>(body: &Value, all: Vec<T>) -> Result<Vec<T>, u32> {
    let number = |field: &str| body["pagination"][field].as_u64().unwrap_or_default();
    let (Ok(page), Ok(size)) =
        (usize::try_from(number("pageNumber")), usize::try_from(number("showNumber")))
    else {
        return Err(ARGUMENTS);
    };
    if page < 1 || !(1..=MAX_LIST).contains(&size) {
        return Err(ARGUMENTS);
    }
    Ok(all.into_iter().skip((page - 1).saturating_mul(size)).take(size).collect())
}
