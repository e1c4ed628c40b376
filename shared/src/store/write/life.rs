//! The two ends of a room's life, each written once.

use super::{
    super::{
        StoreError,
        item::{self, CLOSED_AT, CREATED_AT},
        keys,
        table::{INDEX_PK, INDEX_SK},
    },
    Writer,
    update::Update,
};
use crate::domain::{Boundary, LifeChange, Outcome, UnixMillis};

impl Writer {
    pub(super) async fn apply_life(
        &self,
        change: &LifeChange,
        received_at: UnixMillis,
    ) -> Result<Outcome, StoreError> {
        let LifeChange { app, room, life, boundary } = change;
        let row = |at| item::string(keys::life_row(at, life));
        let expires_at = item::number(self.life_expiry(received_at).0);
        let update = Update::of(keys::room(app, room), keys::life(life))
            .set(INDEX_PK, item::string(keys::lives(app, room)));
        // A life is sorted by its beginning; by its end only as long as that is all that is known. It
        // expires some time after its end; after its beginning only if the end never comes.
        let update = match *boundary {
            Boundary::Created { at, .. } => update
                .set(CREATED_AT, item::number(at.0))
                .set(INDEX_SK, row(at))
                .set_if_missing(item::EXPIRES_AT, expires_at)
                .only_if(format!("attribute_not_exists({CREATED_AT})")),
            Boundary::Closed { at, .. } => update
                .set(CLOSED_AT, item::number(at.0))
                .set_if_missing(INDEX_SK, row(at))
                .set(item::EXPIRES_AT, expires_at)
                .only_if(format!("attribute_not_exists({CLOSED_AT})")),
        };
        Ok(self.table.update(update).await?.once())
    }
}
