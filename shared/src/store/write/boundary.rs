//! A room that was created or dismissed, where its lives have no names: one small item per event.

use super::{
    super::{
        StoreError,
        item::{self, CLOSE_REASON, CLOSED_AT, CREATED_AT, CREATOR},
        keys,
        table::{EXPIRES_AT, INDEX_PK, INDEX_SK, PK, SK},
    },
    Writer,
    update::written_once,
};
use crate::domain::{Boundary, BoundaryChange, Outcome, UnixMillis};

impl Writer {
    pub(super) async fn apply_boundary(
        &self,
        change: &BoundaryChange,
        received_at: UnixMillis,
    ) -> Result<Outcome, StoreError> {
        let BoundaryChange { app, room, boundary } = change;
        let row = keys::boundary_row(boundary);
        let mut put = self
            .table
            .client
            .put_item()
            .table_name(&self.table.name)
            .item(PK, item::string(keys::room(app, room)))
            .item(SK, item::string(format!("{}{row}", keys::BOUNDARY)))
            .item(INDEX_PK, item::string(keys::lives(app, room)))
            .item(INDEX_SK, item::string(row))
            .item(EXPIRES_AT, item::number(self.life_expiry(received_at).0))
            .condition_expression(format!("attribute_not_exists({PK})"));
        put = match boundary {
            Boundary::Created { at, creator } => {
                let put = put.item(CREATED_AT, item::number(at.0));
                match creator {
                    Some(creator) => put.item(CREATOR, item::string(creator.as_str())),
                    None => put,
                }
            }
            Boundary::Closed { at, reason } => {
                let put = put.item(CLOSED_AT, item::number(at.0));
                match reason {
                    Some(reason) => put.item(CLOSE_REASON, item::number(u64::from(*reason))),
                    None => put,
                }
            }
        };
        written_once(put.send()).await
    }
}
