//! Who is registered.

use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use super::{Page, QueryError, answer::List, cursor, rows::Rows};
use crate::{
    domain::{AppId, Detail, ProviderName, Registered, RegistrationSource, UnixMillis, UserId},
    record::Record,
};

/// A registration as it was first received, with the profile as it was read last.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Registration"))]
pub(super) struct UserRegistration {
    /// The provider that sent the callbacks.
    provider: ProviderName,
    /// The app of the provider.
    app: AppId,
    /// Who is registered.
    user: UserId,
    /// The display name. Null if the provider sent none.
    name: Option<String>,
    /// The address of the picture. Null if the provider sent none.
    avatar_url: Option<String>,
    /// OpenIM's `ex`, the app's own data. Null if the provider sent none, and in a list that was not
    /// asked for with `extra=true`.
    extra: Option<String>,
    /// Whether `extra` is only the beginning of what was sent.
    extra_truncated: bool,
    /// OpenIM's `appMangerLevel`: 0 and 1 ordinary, 2 administrator, 3 notification account, 4
    /// robot. Null if the provider sent none.
    manager_level: Option<i64>,
    /// OpenIM's `globalRecvMsgOpt`. Null if the provider sent none.
    receive_option: Option<i64>,
    /// When the user was registered, as well as it is known.
    registered_at: UnixMillis,
    /// The source of `registered_at`.
    registered_at_from: TimeSource,
    /// When Rollcall received it first.
    recorded_at: UnixMillis,
    /// How the registration is known.
    source: RegistrationSource,
    /// When the newest change of the profile was reported that is not in this answer yet: the name
    /// and what follows it may be older. Null if they are current.
    profile_changed_at: Option<UnixMillis>,
    /// When the provider was asked for this profile, because it had changed or because the
    /// registration was lost. Null if it is as it was registered.
    profile_read_at: Option<UnixMillis>,
}

/// The source of a time of registration.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum TimeSource {
    /// OpenIM's `createTime`, which was plausible.
    CreateTime,
    /// The time of receipt: the callback has no plausible time.
    Receipt,
    /// The first login. Accounts of Tencent's Chat and of ZIM register themselves.
    FirstLogin,
}

/// A page of registrations.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Registrations {
    /// In the order of `registered_at`.
    #[cfg_attr(test, schemars(length(max = super::MAX_LIMIT)))]
    registrations: Vec<UserRegistration>,
    /// The parameter `next` of the next page. Null on the last page.
    next: Option<String>,
}

impl List for Registrations {
    type Row = UserRegistration;

    fn rows(&self) -> &[UserRegistration] {
        &self.registrations
    }

    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

/// Whether a list has `extra`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListExtra {
    Yes,
    No,
}

/// Of how many registrations `extra` is read at once.
const EXTRAS_AT_ONCE: usize = 100;

/// Where a page ended.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    #[serde(deserialize_with = "cursor::row")]
    after: String,
}

impl From<Registered> for UserRegistration {
    fn from(Registered { registration, profile }: Registered) -> Self {
        let detail = |name| registration.details.get(name);
        let text = |name| detail(name).and_then(Detail::as_text).map(str::to_owned);
        let number = |name| detail(name).and_then(Detail::as_number);
        Self {
            registered_at: registration.registered_at(),
            registered_at_from: match (registration.source, registration.create_time) {
                (RegistrationSource::FirstLogin, _) => TimeSource::FirstLogin,
                (RegistrationSource::Callback | RegistrationSource::Reconciled, Some(_)) => {
                    TimeSource::CreateTime
                }
                (RegistrationSource::Callback | RegistrationSource::Reconciled, None) => {
                    TimeSource::Receipt
                }
            },
            provider: registration.app.provider,
            app: registration.app.id,
            user: registration.user,
            name: registration.name,
            avatar_url: text("avatar_url"),
            extra: text("extra"),
            extra_truncated: detail("extra_truncated") == Some(&Detail::Flag(true)),
            manager_level: number("manager_level"),
            receive_option: number("receive_option"),
            recorded_at: registration.recorded_at,
            source: registration.source,
            profile_changed_at: profile.unread_change(),
            profile_read_at: profile.read_at,
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
    extra: ListExtra,
) -> Result<Registrations, QueryError> {
    let place = page.next.map(cursor::read::<Place>).transpose()?;
    let after = place.as_ref().map(|place| place.after.as_str());
    let mut rows = Rows::new(page.limit);
    let found = record.registrations(page.from..=page.to, after, page.limit);
    let mut found = found.try_chunks(EXTRAS_AT_ONCE.min(page.limit + 1));
    let mut last = None;
    while let Some(chunk) = found.try_next().await.map_err(|error| error.1)? {
        let (places, mut registered): (Vec<_>, Vec<_>) = chunk.into_iter().unzip();
        if extra == ListExtra::Yes {
            record.add_extras(&mut registered).await?;
        }
        for (row, registered) in places.into_iter().zip(registered) {
            if rows.add(UserRegistration::from(registered)).is_break() {
                let next = last.and_then(|after| cursor::write(&Place { after }));
                return Ok(Registrations { registrations: rows.into_vec(), next });
            }
            last = Some(row);
        }
    }
    Ok(Registrations { registrations: rows.into_vec(), next: None })
}

#[cfg(any(test, fuzzing))]
pub(super) fn fuzz_cursor(data: &[u8]) {
    cursor::fuzz::<Place>(data);
}
