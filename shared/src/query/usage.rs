//! How many users were active in a month.

use serde::Serialize;

use super::QueryError;
use crate::{domain::Month, record::Record};

/// How many users were active in a month.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Usage {
    /// The calendar month in UTC, such as `2026-11`.
    #[cfg_attr(test, schemars(regex(pattern = "^[0-9]{4}-(0[1-9]|1[0-2])$")))]
    month: String,
    /// The users with at least one login to Chat or ZIM in that month, as Tencent counts monthly
    /// active users.
    active_users: usize,
}

pub(super) async fn month(record: Record<'_>, month: Month) -> Result<Usage, QueryError> {
    let active_users = record.active_users(month).await?;
    Ok(Usage { month: month.to_string(), active_users })
}
