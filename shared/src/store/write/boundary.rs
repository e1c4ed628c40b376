//! A room that was created or dismissed, where its lives have no names: one small item per event.

use aws_sdk_dynamodb::primitives::Blob;

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
        let BoundaryChange { app, room, track, boundary } = change;
        let (name, at, creator, row) = match boundary {
            Boundary::Created { at, creator } => {
                let creator = creator.as_ref().map(|creator| creator.hashed(app, room, *at));
                (CREATED_AT, at, creator, keys::creation_row(*track, *at, creator))
            }
            Boundary::Closed { at, .. } => (CLOSED_AT, at, None, keys::dismissal_row(*track, *at)),
        };
        let attributes = [
            (PK, item::string(keys::room(app, room))),
            (SK, item::string(format!("{}{row}", keys::BOUNDARY))),
            (INDEX_PK, item::string(keys::lives(app, room))),
            (INDEX_SK, item::string(row)),
            (item::EXPIRES_AT, item::number(self.life_expiry(received_at).0)),
            (name, item::number(at.0)),
        ];
        let creator = creator.map(|creator| (CREATOR, item::bytes(Blob::new(creator.to_bytes()))));
        self.table.put_first(item::of(attributes.into_iter().chain(creator))).await
    }
}
