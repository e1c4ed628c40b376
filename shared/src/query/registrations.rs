//! Who is registered.

use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use super::{Page, QueryError, cursor, rows::Rows};
use crate::{
    domain::{Detail, Registration, RegistrationSource, UserId},
    record::Record,
};

/// A user, as they were registered.
#[derive(Debug, Serialize)]
pub(super) struct UserRegistration {
    provider: &'static str,
    app: String,
    user: String,
    name: Option<String>,
    avatar_url: Option<String>,
    extra: Option<String>,
    extra_truncated: bool,
    manager_level: Option<i64>,
    receive_option: Option<i64>,
    registered_at: u64,
    /// The source of `registered_at`: the provider's value, or the time of receipt.
    registered_at_from: &'static str,
    recorded_at: u64,
    source: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct RegistrationList {
    registrations: Vec<UserRegistration>,
    next: Option<String>,
}

/// Where a page ended.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    #[serde(deserialize_with = "cursor::row")]
    after: String,
}

impl From<Registration> for UserRegistration {
    fn from(registration: Registration) -> Self {
        let detail = |name| registration.details.get(name);
        let text = |name| detail(name).and_then(Detail::as_text).map(str::to_owned);
        let number = |name| detail(name).and_then(Detail::as_number);
        Self {
            provider: registration.app.provider.as_str(),
            registered_at: registration.registered_at().0,
            registered_at_from: match (registration.source, registration.create_time) {
                (RegistrationSource::FirstLogin, _) => "first_login",
                (RegistrationSource::Callback, Some(_)) => "create_time",
                (RegistrationSource::Callback, None) => "receipt",
            },
            app: registration.app.id.to_string(),
            user: registration.user.to_string(),
            name: registration.name,
            avatar_url: text("avatar_url"),
            extra: text("extra"),
            extra_truncated: detail("extra_truncated") == Some(&Detail::Flag(true)),
            manager_level: number("manager_level"),
            receive_option: number("receive_option"),
            recorded_at: registration.recorded_at.0,
            source: match registration.source {
                RegistrationSource::Callback => "callback",
                RegistrationSource::FirstLogin => "first_login",
            },
        }
    }
}

pub(super) async fn user(
    record: Record<'_>,
    user: &UserId,
) -> Result<UserRegistration, QueryError> {
    let found = record.registration(user).await?;
    found.map(UserRegistration::from).ok_or(QueryError::Unknown("registration"))
}

pub(super) async fn list(
    record: Record<'_>,
    page: &Page<'_>,
) -> Result<RegistrationList, QueryError> {
    let place = page.next.map(cursor::read::<Place>).transpose()?;
    let after = place.as_ref().map(|place| place.after.as_str());
    let mut rows = Rows::new(page.limit);
    let mut found = record.registrations(page.from..=page.to, after, page.limit);
    let (mut last, mut next) = (None, None);
    while let Some((row, registration)) = found.try_next().await? {
        if rows.add(UserRegistration::from(registration)).is_break() {
            next = last.and_then(|after| cursor::write(&Place { after }));
            break;
        }
        last = Some(row);
    }
    Ok(RegistrationList { registrations: rows.into_vec(), next })
}

#[cfg(any(test, fuzzing))]
pub(super) fn fuzz_cursor(data: &[u8]) {
    cursor::fuzz::<Place>(data);
}
