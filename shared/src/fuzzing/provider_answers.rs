//! What a provider's server API may answer.

use bytes::Bytes;
use http::StatusCode;

use super::NOW;
use crate::{
    callback::Provider,
    domain::{App, RegistrationSource, RoomId, UserId},
    providers::{
        api::{AccountDevices, Answer, ApiError},
        openim::{OpenIm, api as openim},
        tencent::api as chat,
        zego::{api as zego, zim_api as zim},
    },
};

/// An answer to each question. It returns how many people it speaks of.
///
/// # Panics
///
/// If an answer speaks of somebody who was not asked about, an error quotes the answer, or another
/// status than 200 is an answer.
#[must_use]
pub fn check(data: &[u8]) -> usize {
    let answer = Answer::ok(Bytes::copy_from_slice(data));
    let failed = Answer { status: StatusCode::BAD_GATEWAY, ..answer.clone() };
    assert_eq!(people(&failed), 0);
    people(&answer)
}

fn people(answer: &Answer) -> usize {
    let asked: Vec<UserId> = ["a", "b"].iter().filter_map(|name| name.parse().ok()).collect();
    let rooms: Vec<RoomId> = ["r"].iter().filter_map(|name| name.parse().ok()).collect();
    let devices = |said: Result<std::collections::HashMap<UserId, AccountDevices>, _>| {
        let said = read(said).unwrap_or_default();
        assert!(said.keys().all(|user| asked.contains(user)));
        said.len()
    };
    let in_room = match read(zego::read_users(&asked, answer)) {
        Some(zego::UsersAnswer::Of(said)) => {
            assert!(said.keys().all(|user| asked.contains(user)));
            said.len()
        }
        Some(zego::UsersAnswer::NoSuchRoom) => asked.len(),
        Some(zego::UsersAnswer::AskOneByOne) | None => 0,
    };
    let listed = read(zego::read_user_list(None, answer)).map_or(0, |page| page.people.len());
    let counts = read(zego::read_user_num(&rooms, answer)).unwrap_or_default();
    assert!(counts.len() <= rooms.len());
    let online = devices(chat::read_online_status(&asked, answer))
        + devices(openim::read_users_status(&asked, answer))
        + devices(zim::read_online_state(&asked, answer));
    let Ok(id) = "main".parse() else { return 0 };
    let app = App { provider: OpenIm::NAME, id };
    let source = RegistrationSource::Callback;
    let page =
        read(openim::read_users(&app, source, NOW, answer)).map_or(0, |page| page.users.len());
    let infos = read(openim::read_users_info(&app, source, NOW, answer)).map_or(0, |all| all.len());
    let ids = read(openim::read_all_users_uid(answer)).map_or(0, |page| page.users.len());
    let _ = read(openim::read_register_statistics(answer));
    for dialect in [openim::TokenDialect::AdminToken, openim::TokenDialect::UserToken] {
        let _ = read(openim::read_token(dialect, answer));
    }
    in_room + listed + online + page + infos + ids
}

/// An answer, if it is one. Nothing that the provider wrote is in an error but its code.
fn read<T>(answer: Result<T, ApiError>) -> Option<T> {
    answer.inspect_err(|error| assert!(error.to_string().len() < 200, "{error}")).ok()
}
