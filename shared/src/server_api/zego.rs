//! ZEGOCLOUD's Server APIs: RTC's, which knows who is in a room, and ZIM's, which knows who is online.

use std::sync::Arc;

use super::{
    AccountSaid,
    caller::{Asked, Caller},
    limits::{Counted, Limit},
};
use crate::{
    domain::{App, Role, RoomId, Says, Seen, UnixMillis, UserId},
    providers::{
        api::ApiError,
        zego::{
            ApiAccount,
            api::{self, Marker, RoomCount, UserListPage, UsersAnswer},
            zim_api::{self, ONLINE_STATE},
        },
    },
};

/// Pages of lists of an app.
const LISTS: Limit = Limit::per_second(200);

/// Pages of the list of one room.
const LISTS_OF_A_ROOM: Limit = Limit::per_second(1);

/// Questions about people of an app.
const USERS: Limit = Limit::per_second(10);

/// Questions for numbers of people of an app.
const NUMBERS: Limit = Limit::per_second(10);

/// Questions about users of an app to ZIM.
const ONLINE_STATES: Limit = Limit::per_second(20);

/// Asks ZEGO about one app.
#[derive(Debug, Clone)]
pub struct ZegoApi {
    app: App,
    account: Arc<ApiAccount>,
    caller: Caller,
}

/// What ZEGO said of one person in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonSaid {
    /// Who.
    pub user: UserId,
    /// What, and when they were asked about.
    pub seen: Seen,
    /// From what that follows.
    pub follows_from: FollowsFrom,
}

/// From what it follows that somebody is in a room or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowsFrom {
    /// The provider named them.
    Name,
    /// The provider does not know the room, so nobody is in. A mistyped app would have the same
    /// answer.
    NoSuchRoom,
}

impl ZegoApi {
    pub(super) fn new(app: App, account: ApiAccount, caller: Caller) -> Self {
        Self { app, account: Arc::new(account), caller }
    }

    /// One page of the people in a room: whom to ask [about](Self::users). Pages of one room come a
    /// second apart.
    ///
    /// # Errors
    ///
    /// [`ApiError`]. Nothing follows from it about anybody.
    pub async fn user_list(
        &self,
        room: &RoomId,
        from: Option<&Marker>,
    ) -> Result<Asked<UserListPage>, ApiError> {
        let in_room = Counted::Room(self.app.clone(), api::USER_LIST, room.clone());
        let counted = [(in_room, LISTS_OF_A_ROOM), (self.counted(api::USER_LIST), LISTS)];
        let account = &self.account;
        let request =
            |at: UnixMillis, nonce| api::user_list(account, room, from, at.seconds(), nonce);
        self.caller.ask(&counted, request, |_, answer| api::read_user_list(from, answer)).await
    }

    /// What ZEGO says of some people in a room, ten at a time and ten times a second. A person of
    /// whom it says nothing is left out.
    ///
    /// # Errors
    ///
    /// [`ApiError`]. Nothing follows from it about anybody.
    pub async fn users(
        &self,
        room: &RoomId,
        users: &[UserId],
    ) -> Result<Vec<PersonSaid>, ApiError> {
        let mut said = Vec::new();
        for batch in users.chunks(api::MAX_USERS) {
            if let All::No = self.batch(room, batch, &mut said).await? {
                for user in batch {
                    self.batch(room, std::slice::from_ref(user), &mut said).await?;
                }
            }
        }
        Ok(said)
    }

    async fn batch(
        &self,
        room: &RoomId,
        batch: &[UserId],
        said: &mut Vec<PersonSaid>,
    ) -> Result<All, ApiError> {
        let account = &self.account;
        let request = |at: UnixMillis, nonce| api::users(account, room, batch, at.seconds(), nonce);
        let counted = [(self.counted(api::USERS), USERS)];
        let asked =
            self.caller.ask(&counted, request, |_, answer| api::read_users(batch, answer)).await?;
        let mut add = |user: &UserId, says, follows_from| {
            let says = match says {
                // As callbacks about a robot are recorded.
                Says::In { login, .. } if account.robots.have(user) => {
                    Says::In { login, role: Role::ADMIN }
                }
                says => says,
            };
            let seen = Seen { at: asked.at, says };
            said.push(PersonSaid { user: user.clone(), seen, follows_from });
        };
        match asked.answer {
            UsersAnswer::Of(of) => {
                for user in batch {
                    if let Some(says) = of.get(user) {
                        add(user, *says, FollowsFrom::Name);
                    }
                }
            }
            UsersAnswer::NoSuchRoom => {
                for user in batch {
                    add(user, Says::Out, FollowsFrom::NoSuchRoom);
                }
            }
            UsersAnswer::AskOneByOne => return Ok(All::No),
        }
        Ok(All::Yes)
    }

    /// How many people are in some rooms, ten at a time and ten times a second. A room of which
    /// ZEGO says nothing is left out.
    ///
    /// # Errors
    ///
    /// [`ApiError`]
    pub async fn user_num(&self, rooms: &[RoomId]) -> Result<Vec<RoomCount>, ApiError> {
        let mut counts = Vec::new();
        for batch in rooms.chunks(api::MAX_ROOMS) {
            let account = &self.account;
            let request =
                |at: UnixMillis, nonce| api::user_num(account, batch, at.seconds(), nonce);
            let counted = [(self.counted(api::USER_NUM), NUMBERS)];
            let read = |_, answer: &_| api::read_user_num(batch, answer);
            counts.extend(self.caller.ask(&counted, request, read).await?.answer);
        }
        Ok(counts)
    }

    /// Which users are online by ZIM, 100 at a time and 20 times a second. A user of whom ZIM says
    /// nothing clear is left out.
    ///
    /// # Errors
    ///
    /// [`ApiError`]. Nothing follows from it about anybody.
    pub async fn online_state(&self, users: &[UserId]) -> Result<Vec<AccountSaid>, ApiError> {
        let mut said = Vec::new();
        for batch in users.chunks(zim_api::MAX_USERS) {
            let account = &self.account;
            let request =
                |at: UnixMillis, nonce| zim_api::online_state(account, batch, at.seconds(), nonce);
            let counted = [(self.counted(ONLINE_STATE), ONLINE_STATES)];
            let read = |_, answer: &_| zim_api::read_online_state(batch, answer);
            let asked = self.caller.ask(&counted, request, read).await?;
            let mut answer = asked.answer;
            for user in batch {
                if let Some((user, devices)) = answer.remove_entry(user) {
                    said.push(AccountSaid { user, at: asked.at, devices });
                }
            }
        }
        Ok(said)
    }

    fn counted(&self, action: &'static str) -> Counted {
        Counted::App(self.app.clone(), action)
    }
}

/// Whether a batch was answered as a whole.
enum All {
    Yes,
    No,
}
