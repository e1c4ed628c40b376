//! How many users were active in a month.

use serde::Serialize;

use super::QueryError;
use crate::{domain::Month, record::Record};

/// The users with at least one login in a calendar month (UTC).
#[derive(Debug, Serialize)]
pub(super) struct Usage {
    month: String,
    active_users: usize,
}

pub(super) async fn month(record: Record<'_>, month: Month) -> Result<Usage, QueryError> {
    let active_users = record.active_users(month).await?;
    Ok(Usage { month: month.to_string(), active_users })
}
