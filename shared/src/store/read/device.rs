//! The devices of a user.

use super::{
    super::{
        StoreError,
        item::{self, Item, KICKED_STAMP, LOGOUT_STAMP, OFFLINE_STAMP, ONLINE_STAMP},
        keys,
        table::SK,
    },
    Reader,
};
use crate::domain::{App, Device, UnixMillis, UserId};

impl Reader {
    /// All devices of a user, read consistently.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or an item cannot be read.
    pub async fn devices(
        &self,
        app: &App,
        user: &UserId,
        now: UnixMillis,
    ) -> Result<Vec<Device>, StoreError> {
        let items = self.of_user(app, user, keys::DEVICE, now).await?;
        let erased = self.erased.of(app, user);
        let device = |item| {
            let device = read_device(item)?;
            Ok(match erased {
                Some(erased) => erased.left_of_device(device),
                None => Some(device),
            })
        };
        items.iter().filter_map(|item| device(item).transpose()).collect()
    }
}

pub(super) fn read_device(item: &Item) -> Result<Device, StoreError> {
    let (platform, connection) = keys::parse_device(item::text(item, SK)?)?;
    Ok(Device {
        platform,
        connection,
        online: item::stamp(item, ONLINE_STAMP)?,
        offline: item::stamp(item, OFFLINE_STAMP)?,
        logged_out: item::stamp(item, LOGOUT_STAMP)?,
        kicked_by_itself: item::stamp(item, KICKED_STAMP)?,
    })
}
