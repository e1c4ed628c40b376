//! A room that was created or dismissed, where its lives have no names: one small item per event.

use super::{
    super::{
        StoreError,
        item::{self, CLOSED_AT, CREATED_AT, CREATOR},
        keys,
        table::{INDEX_PK, INDEX_SK, PK, SK},
    },
    Writer,
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
        let (name, at, creator) = match boundary {
            Boundary::Created { at, creator } => (CREATED_AT, at, creator.as_ref()),
            Boundary::Closed { at, .. } => (CLOSED_AT, at, None),
        };
        let attributes = [
            (PK, item::string(keys::room(app, room))),
            (SK, item::string(format!("{}{row}", keys::BOUNDARY))),
            (INDEX_PK, item::string(keys::lives(app, room))),
            (INDEX_SK, item::string(row)),
            (item::EXPIRES_AT, item::number(self.life_expiry(received_at).0)),
            (name, item::number(at.0)),
        ];
        let creator = creator.map(|creator| (CREATOR, item::string(creator.as_str())));
        self.table.put_first(item::of(attributes.into_iter().chain(creator))).await
    }
}
