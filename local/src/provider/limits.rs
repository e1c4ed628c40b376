//! How many requests a provider answers in a second: counted, and refused above.

use std::collections::{BTreeMap, VecDeque};

use rollcall::domain::UnixMillis;

use super::{Call, OpenImAge};

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the providers' own names")]
pub enum Action {
    DescribeUserList,
    DescribeUsers,
    DescribeUserNum,
    QueryUserOnlineState,
    /// Any other action of ZEGO's, or none.
    UnknownOfZego,
    QueryOnlineStatus,
    GetAdminToken,
    UserToken,
    GetUsersStatus,
    GetUsers,
    GetAllUsersUid,
    GetUsersInfo,
    RegisterStatistics,
}

/// Each action that has a name, with its name.
pub const ACTIONS: [(&str, Action); 12] = [
    ("DescribeUserList", Action::DescribeUserList),
    ("DescribeUsers", Action::DescribeUsers),
    ("DescribeUserNum", Action::DescribeUserNum),
    ("QueryUserOnlineState", Action::QueryUserOnlineState),
    ("/v4/openim/query_online_status", Action::QueryOnlineStatus),
    ("/auth/get_admin_token", Action::GetAdminToken),
    ("/auth/user_token", Action::UserToken),
    ("/user/get_users_status", Action::GetUsersStatus),
    ("/user/get_users", Action::GetUsers),
    ("/user/get_all_users_uid", Action::GetAllUsersUid),
    ("/user/get_users_info", Action::GetUsersInfo),
    ("/statistics/user/register", Action::RegisterStatistics),
];

impl Action {
    /// Which action a request is for; none if there is no such path.
    pub(super) fn of(call: &Call<'_>, age: OpenImAge) -> Option<Self> {
        let (path, is_post) = (call.request.uri().path(), *call.request.method() == "POST");
        if path == "/" {
            let action = call.parameter("Action");
            let known = ACTIONS.into_iter().find(|(name, _)| Some(*name) == action);
            let known = known.map(|(_, action)| action).filter(|action| action.is_zego());
            return (!is_post).then(|| known.unwrap_or(Self::UnknownOfZego));
        }
        let known = ACTIONS.into_iter().find(|(name, _)| *name == path)?.1;
        let is_there = match known {
            Self::GetAdminToken => age == OpenImAge::Current,
            Self::UserToken => age == OpenImAge::Old,
            _ => true,
        };
        Some(known).filter(|action| is_post && is_there && !action.is_zego())
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = ACTIONS.into_iter().find(|(_, action)| *action == self);
        found.map_or("another action", |(name, _)| name)
    }

    pub(super) fn is_zego(self) -> bool {
        matches!(
            self,
            Self::DescribeUserList
                | Self::DescribeUsers
                | Self::DescribeUserNum
                | Self::QueryUserOnlineState
                | Self::UnknownOfZego
        )
    }

    pub(super) fn is_zim(self) -> bool {
        self == Self::QueryUserOnlineState
    }

    pub(super) fn is_chat(self) -> bool {
        self == Self::QueryOnlineStatus
    }
}

/// The most requests in a second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Of an app, by action. An action that is not named has no limit.
    pub per_app: BTreeMap<Action, u32>,
    /// `DescribeUserList` of one room.
    pub user_list_per_room: u32,
}

/// The providers' own.
impl Default for Limits {
    fn default() -> Self {
        let per_app = BTreeMap::from([
            (Action::DescribeUserList, 200),
            (Action::DescribeUsers, 10),
            (Action::DescribeUserNum, 10),
            (Action::QueryUserOnlineState, 20),
            (Action::QueryOnlineStatus, 200),
        ]);
        Self { per_app, user_list_per_room: 1 }
    }
}

/// How many requests of an action there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// That were within the limits, and were answered by the provider.
    pub answered: u64,
    /// That were above a limit.
    pub refused: u64,
    /// That were made to fail.
    pub failed: u64,
    /// The most that were answered within a second.
    pub most: usize,
}

/// Which limit a request is above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Above {
    App,
    Room,
}

/// Counts requests. Of what is refused, nothing counts against the limits.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    counts: BTreeMap<Action, Count>,
    /// When the requests of the last second were answered, by app, action and room.
    recent: BTreeMap<(String, Action, Option<String>), VecDeque<u64>>,
}

impl Limiter {
    /// Counts a request of an app, about a room if it is about one.
    pub(super) fn take(
        &mut self,
        limits: &Limits,
        action: Action,
        (app, room): (&str, Option<&str>),
        now: UnixMillis,
    ) -> Result<(), Above> {
        let count = self.counts.entry(action).or_default();
        let of_app = (app.to_owned(), action, None);
        let room = room.filter(|_| action == Action::DescribeUserList);
        let of_room = room.map(|room| (app.to_owned(), action, Some(room.to_owned())));
        let limit_of_app = limits.per_app.get(&action).copied();
        let limit_of_room = Some(limits.user_list_per_room);
        let limited = [
            (of_room.as_ref(), limit_of_room, Above::Room),
            (Some(&of_app), limit_of_app, Above::App),
        ];
        for (key, limit, above) in limited {
            let (Some(key), Some(limit)) = (key, limit) else { continue };
            let recent = self.recent.entry(key.clone()).or_default();
            while recent.front().is_some_and(|at| at + 1000 <= now.0) {
                recent.pop_front();
            }
            if recent.len() >= usize::try_from(limit).unwrap_or(usize::MAX) {
                count.refused += 1;
                return Err(above);
            }
        }
        for key in of_room.into_iter().chain([of_app]) {
            let is_app = key.2.is_none();
            let recent = self.recent.entry(key).or_default();
            while recent.front().is_some_and(|at| at + 1000 <= now.0) {
                recent.pop_front();
            }
            recent.push_back(now.0);
            if is_app {
                count.most = count.most.max(recent.len());
            }
        }
        count.answered += 1;
        Ok(())
    }

    pub(super) fn failed(&mut self, action: Action) {
        self.counts.entry(action).or_default().failed += 1;
    }

    pub(super) fn counts(&self) -> Vec<(Action, Count)> {
        self.counts.iter().map(|(action, count)| (*action, *count)).collect()
    }
}
