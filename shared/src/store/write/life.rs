//! The two ends of a room's life, each written once.

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
use crate::domain::{Boundary, LifeChange, Outcome, UnixMillis};

impl Writer {
    pub(super) async fn apply_life(
        &self,
        change: &LifeChange,
        received_at: UnixMillis,
    ) -> Result<Outcome, StoreError> {
        let LifeChange { app, room, life, boundary } = change;
        let update = self
            .table
            .client
            .update_item()
            .table_name(&self.table.name)
            .key(PK, item::string(keys::room(app, room)))
            .key(SK, item::string(keys::life(life)))
            .expression_attribute_values(":index_pk", item::string(keys::lives(app, room)))
            .expression_attribute_values(
                ":expires_at",
                item::number(self.life_expiry(received_at).0),
            );
        // A life is sorted by its beginning; by its end only as long as that is all that is known.
        let update = match boundary {
            Boundary::Created { at, creator } => {
                let (set_creator, update) = match creator {
                    Some(creator) => (
                        format!(", {CREATOR} = :creator"),
                        update.expression_attribute_values(
                            ":creator",
                            item::string(creator.as_str()),
                        ),
                    ),
                    None => (String::new(), update),
                };
                update
                    .condition_expression(format!("attribute_not_exists({CREATED_AT})"))
                    .update_expression(format!(
                        "SET {CREATED_AT} = :at, {INDEX_PK} = :index_pk, {INDEX_SK} = :index_sk, \
                         {EXPIRES_AT} = if_not_exists({EXPIRES_AT}, :expires_at){set_creator}"
                    ))
                    .expression_attribute_values(":at", item::number(at.0))
                    .expression_attribute_values(
                        ":index_sk",
                        item::string(keys::life_row(*at, life)),
                    )
            }
            Boundary::Closed { at, reason } => {
                let (set_reason, update) = match reason {
                    Some(reason) => (
                        format!(", {CLOSE_REASON} = :reason"),
                        update.expression_attribute_values(
                            ":reason",
                            item::number(u64::from(*reason)),
                        ),
                    ),
                    None => (String::new(), update),
                };
                update
                    .condition_expression(format!("attribute_not_exists({CLOSED_AT})"))
                    .update_expression(format!(
                        "SET {CLOSED_AT} = :at, {INDEX_PK} = :index_pk, \
                         {INDEX_SK} = if_not_exists({INDEX_SK}, :index_sk), \
                         {EXPIRES_AT} = :expires_at{set_reason}"
                    ))
                    .expression_attribute_values(":at", item::number(at.0))
                    .expression_attribute_values(
                        ":index_sk",
                        item::string(keys::life_row(*at, life)),
                    )
            }
        };
        written_once(update.send()).await
    }
}
