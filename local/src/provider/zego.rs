//! ZEGO's Server API: who is in a room.
//!
//! Source: "Server API" of RTC, `describe-user-list`, `describe-users`, `describe-user-num`, and its
//! lists of codes.

use md5::{Digest, Md5};
use rollcall::{callback::find_match, domain::AppId};
use rollcall_players::servers::{Occupant, Room};
use serde_json::{Value, json};

use super::{Absent, Action, Call, Lie, Scene, State, faults, limits::Above};

/// How far a request's time may be from the server's, in seconds.
const SKEW_S: u64 = 600;

/// The most people on a page, also where no number or 0 is given.
const MAX_PAGE: usize = 200;

/// The most ids or rooms in one request.
const MAX_LIST: usize = 10;

/// The longest room id, in bytes.
const MAX_ROOM_BYTES: usize = 128;

const BAD_INPUT: u32 = 2;
const TOO_LONG: u32 = 3;
const NO_SUCH_USER: u32 = 105;
const ABOVE_APP: u32 = 206;
const ABOVE_ROOM: u32 = 207;
const NO_SUCH_ROOM: u32 = 50_001;
const NOT_ONLINE: u32 = 50_003;
const LIST_TOO_LONG: u32 = 50_011;
const APP_ID: u32 = 100_000_001;
const NO_TIMESTAMP: u32 = 100_000_002;
const TIMESTAMP: u32 = 100_000_003;
const EXPIRED: u32 = 100_000_004;
const SIGNATURE: u32 = 100_000_005;
const NO_ACTION: u32 = 100_000_006;
const UNKNOWN_ACTION: u32 = 100_000_007;
const NO_NONCE: u32 = 100_000_008;
const NO_SIGNATURE: u32 = 100_000_009;
const NO_APP: u32 = 100_000_011;
const NO_VERSION: u32 = 100_000_013;
const VERSION: u32 = 100_000_014;
pub(super) const INTERNAL: u32 = 100_000_015;

pub(super) fn answer(
    scene: &Scene<'_>,
    call: &Call<'_>,
    action: Action,
    state: &mut State,
) -> Value {
    let done = (|| {
        let app = check(scene, call)?;
        if action == Action::UnknownOfZego {
            let is_named = call.parameter("Action").is_some();
            return Err(if is_named { UNKNOWN_ACTION } else { NO_ACTION });
        }
        let (limits, room) = (&scene.behaviour.limits, call.parameter("RoomId"));
        let taken = state.limiter.take(limits, action, (app, room), scene.now);
        taken.map_err(|above| match above {
            Above::App => ABOVE_APP,
            Above::Room => ABOVE_ROOM,
        })?;
        match action {
            Action::DescribeUserList => user_list(scene, call, app),
            Action::DescribeUsers => users(scene, call, app),
            _ => user_num(scene, call, app),
        }
    })();
    match done {
        Ok(data) => envelope(0, state.requests, &data),
        Err(code) => envelope(code, state.requests, &json!({})),
    }
}

/// An answer with this code.
pub(super) fn envelope(code: u32, request: u64, data: &Value) -> Value {
    let message = match code {
        0 => "success",
        BAD_INPUT => "input params error",
        TOO_LONG => "param is too long",
        NO_SUCH_USER => "user not exist",
        ABOVE_APP => "app qps limit",
        ABOVE_ROOM => "room qps limit",
        NO_SUCH_ROOM => "room not exist",
        NOT_ONLINE => "user not online",
        LIST_TOO_LONG => "list is too long",
        EXPIRED => "signature expired",
        SIGNATURE => "signature invalid",
        INTERNAL => "internal error",
        _ => "request params error",
    };
    json!({ "Code": code, "Message": message, "RequestId": format!("{request}"), "Data": data })
}

/// Checks the common parameters. Returns the app.
pub(super) fn check<'c>(scene: &Scene<'_>, call: &'c Call<'_>) -> Result<&'c str, u32> {
    let app = call.parameter("AppId").filter(|app| app.parse::<u32>().is_ok()).ok_or(APP_ID)?;
    let time = call.parameter("Timestamp").ok_or(NO_TIMESTAMP)?;
    let sent_at: u64 = time.parse().map_err(|_| TIMESTAMP)?;
    let nonce = call.parameter("SignatureNonce").ok_or(NO_NONCE)?;
    let signature = call.parameter("Signature").ok_or(NO_SIGNATURE)?;
    match call.parameter("SignatureVersion") {
        None => return Err(NO_VERSION),
        Some("2.0") => {}
        Some(_) => return Err(VERSION),
    }
    let id: AppId = app.parse().map_err(|_| NO_APP)?;
    let account = scene.accounts.zego.get(&id).ok_or(NO_APP)?;
    if scene.now.seconds().0.abs_diff(sent_at) > SKEW_S {
        return Err(EXPIRED);
    }
    let signed = format!("{app}{nonce}{}{time}", account.server_secret.expose());
    let expected = hex::encode(Md5::digest(signed));
    find_match([expected], signature).ok_or(SIGNATURE)?;
    Ok(app)
}

/// The values of a list: `Name[]=a&Name[]=b`, or the same without brackets.
fn list<'c>(call: &'c Call<'_>, name: &str) -> Result<Vec<&'c str>, u32> {
    let with_brackets = format!("{name}[]");
    let named = call.query.iter().filter(|(known, _)| *known == with_brackets || known == name);
    let values: Vec<&str> = named.map(|(_, value)| value.as_str()).collect();
    match values.len() {
        0 => Err(BAD_INPUT),
        1..=MAX_LIST if values.iter().any(|value| value.is_empty()) => Err(BAD_INPUT),
        1..=MAX_LIST => Ok(values),
        _ => Err(LIST_TOO_LONG),
    }
}

fn room_id<'c>(call: &'c Call<'_>) -> Result<&'c str, u32> {
    let room = call.parameter("RoomId").ok_or(BAD_INPUT)?;
    if room.len() > MAX_ROOM_BYTES { Err(TOO_LONG) } else { Ok(room) }
}

/// A room with somebody in it, unless a lie hides it.
fn room<'s>(scene: &Scene<'s>, app: &str, room: &str) -> Option<&'s Room> {
    let rooms = scene.servers.zego.get(app)?;
    match scene.behaviour.lie {
        Some(Lie::UnknownRoom) => None,
        Some(Lie::OtherRoom) => {
            let mut others = rooms.iter().filter(|(id, _)| *id != room);
            let next = others.clone().find(|(id, _)| id.as_str() > room);
            next.or_else(|| others.next()).map(|(_, room)| room)
        }
        _ => rooms.get(room),
    }
}

fn login_time(scene: &Scene<'_>, occupant: &Occupant) -> u64 {
    match scene.behaviour.lie {
        Some(Lie::LoginAtZero) => 0,
        Some(Lie::LoginInFuture) => scene.now.0 + faults::FUTURE_MS,
        _ => occupant.login_time,
    }
}

/// Unknown rooms are empty ones. Every page with anybody has a marker, the last one, too.
fn user_list(scene: &Scene<'_>, call: &Call<'_>, app: &str) -> Result<Value, u32> {
    let room = room(scene, app, room_id(call)?);
    let is_newest_first = match call.parameter("Mode") {
        None | Some("0") => false,
        Some("1") => true,
        Some(_) => return Err(BAD_INPUT),
    };
    let limit = match call.parameter("Limit").map(str::parse) {
        None | Some(Ok(0)) => MAX_PAGE,
        Some(Ok(limit @ 1..=MAX_PAGE)) => limit,
        Some(_) => return Err(BAD_INPUT),
    };
    let after = call.parameter("Marker").map(|marker| {
        let (at, user) = marker.split_once('-')?;
        Some((at.parse::<u64>().ok()?, user))
    });
    let after = after.map(|after| after.ok_or(BAD_INPUT)).transpose()?;
    let is_out = matches!(scene.behaviour.lie, Some(Lie::EverybodyOut | Lie::EmptyList));
    let people = room.filter(|_| !is_out).into_iter().flat_map(|room| &room.people);
    let mut people: Vec<((u64, &str), &Occupant)> =
        people.map(|(user, occupant)| ((occupant.login_time, user.as_str()), occupant)).collect();
    people.sort_unstable_by_key(|(at, _)| *at);
    if is_newest_first {
        people.reverse();
    }
    people.retain(|(at, _)| {
        after.is_none_or(|after| if is_newest_first { *at < after } else { *at > after })
    });
    people.truncate(limit);
    let marker = people.last().map_or_else(String::new, |((at, user), _)| format!("{at}-{user}"));
    let users: Vec<Value> = people
        .iter()
        .map(|((_, user), occupant)| {
            let user = Lie::name(scene.behaviour.lie, user);
            json!({ "UserId": user, "UserName": occupant.name, "UserRole": occupant.role })
        })
        .collect();
    Ok(json!({ "Marker": marker, "UserList": users }))
}

/// A room without anybody does not exist.
fn users(scene: &Scene<'_>, call: &Call<'_>, app: &str) -> Result<Value, u32> {
    let lie = scene.behaviour.lie;
    let room = room(scene, app, room_id(call)?);
    let asked = list(call, "UserId")?;
    let room = match (room, lie) {
        (Some(room), _) => Some(room),
        (None, Some(Lie::EverybodyOut | Lie::EverybodyIn)) => None,
        (None, _) => return Err(NO_SUCH_ROOM),
    };
    let is_in = |user: &str| room.and_then(|room| room.people.get(user));
    let is_any_absent = asked.iter().any(|user| is_in(user).is_none());
    match scene.behaviour.absent {
        Absent::NotOnline if is_any_absent && lie.is_none() => return Err(NOT_ONLINE),
        Absent::NoSuchUser if is_any_absent && lie.is_none() => return Err(NO_SUCH_USER),
        _ => {}
    }
    let status = |user: &&str| {
        let occupant = is_in(user).filter(|_| lie != Some(Lie::EverybodyOut));
        let (status, login_time, role) = match occupant {
            Some(occupant) => (1, login_time(scene, occupant), occupant.role),
            None if lie == Some(Lie::EverybodyIn) => (1, scene.now.0, 2),
            None => (0, 0, 0),
        };
        json!({
            "UserId": Lie::name(lie, user),
            "Status": status,
            "LoginTime": login_time,
            "UserRole": role
        })
    };
    Ok(json!({ "UserStatusList": asked.iter().map(status).collect::<Vec<_>>() }))
}

/// Unknown rooms have nobody in them.
fn user_num(scene: &Scene<'_>, call: &Call<'_>, app: &str) -> Result<Value, u32> {
    let is_out = scene.behaviour.lie == Some(Lie::EverybodyOut);
    let count = |id: &&str| {
        let people = room(scene, app, id).filter(|_| !is_out).map(|room| &room.people);
        let admins = people.map(|people| people.values().filter(|one| one.role == 4).count());
        json!({
            "RoomId": id,
            "UserCount": people.map_or(0, std::collections::BTreeMap::len),
            "AdminUserCount": admins.unwrap_or_default()
        })
    };
    Ok(json!({ "UserCountList": list(call, "RoomId")?.iter().map(count).collect::<Vec<_>>() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_signatures_are_ours() {
        for (signed, expected) in [
            (
                "123454fd24687296dd9f39193cc662a4c0ec135ec71fb57194b381615186943",
                "43e5cfcca828314675f91b001390566a",
            ),
            (
                "123456789a1b2c3d4e5f6071800112233445566778899aabbccddeeff1700000000",
                "f3b63431aad1ea08be6c1ea9de810c7b",
            ),
        ] {
            assert_eq!(hex::encode(Md5::digest(signed)), expected);
        }
    }
}
