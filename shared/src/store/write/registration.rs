//! A registration: one item for each user, which keeps the earliest receipt.

use aws_sdk_dynamodb::{
    primitives::Blob,
    types::AttributeValue::{self, B, Bool, N},
};
use sha1::{Digest, Sha1};

use super::{
    super::{
        StoreError,
        item::{
            self, AVATAR_URL, CREATE_TIME, DISPLAY_NAME, EXTRA, EXTRA_TRUNCATED, FIRST_LOGIN, Item,
            MANAGER_LEVEL, RECEIVE_OPTION, RECORDED_AT, SOURCE,
        },
        keys,
        table::{INDEX_PK, INDEX_SK, PK, SK},
    },
    Writer,
};
use crate::domain::{Outcome, Registration, RegistrationSource};

/// What decides between two registrations of one user: the time, then the content.
pub(super) const EARLIEST: &str = "k";

impl Writer {
    pub(super) async fn register(
        &self,
        registration: &Registration,
    ) -> Result<Outcome, StoreError> {
        self.table.put_lowest(write(registration), EARLIEST).await
    }
}

fn source_name(source: RegistrationSource) -> &'static str {
    match source {
        RegistrationSource::Callback => "callback",
        RegistrationSource::FirstLogin => FIRST_LOGIN,
    }
}

fn write(registration: &Registration) -> Item {
    let Registration { app, user, name, avatar_url, extra, .. } = registration;
    let row = keys::registration_row(registration.registered_at(), user);
    let integer = |number: i32| N(number.to_string());
    let optional = [
        (CREATE_TIME, registration.create_time.map(|time| item::number(time.0))),
        (DISPLAY_NAME, name.as_deref().map(item::string)),
        (AVATAR_URL, avatar_url.as_deref().map(item::string)),
        (EXTRA, extra.as_deref().map(item::string)),
        (MANAGER_LEVEL, registration.manager_level.map(integer)),
        (RECEIVE_OPTION, registration.receive_option.map(integer)),
    ];
    let required = [
        (PK, item::string(keys::user(app, user))),
        (SK, item::string(keys::REGISTRATION)),
        (INDEX_PK, item::string(keys::registrations_of(app, user))),
        (INDEX_SK, item::string(row)),
        (RECORDED_AT, item::number(registration.recorded_at.0)),
        (SOURCE, item::string(source_name(registration.source))),
        (EXTRA_TRUNCATED, Bool(registration.extra_truncated)),
        (EARLIEST, order(registration)),
    ];
    let optional = optional.into_iter().filter_map(|(name, value)| Some((name, value?)));
    item::of(required.into_iter().chain(optional))
}

/// The time, of which the earliest wins, and then a hash of the content. So of two receipts at the
/// same millisecond, the same one wins in any order.
fn order(registration: &Registration) -> AttributeValue {
    let mut content = Sha1::new();
    for text in [&registration.name, &registration.avatar_url, &registration.extra] {
        // The length distinguishes two texts from one, and no text from an empty one.
        content.update(text.as_ref().map_or(u64::MAX, |text| text.len() as u64).to_be_bytes());
        content.update(text.as_deref().unwrap_or_default());
    }
    let create_time = registration.create_time.map_or(u64::MAX, |time| time.0);
    content.update(create_time.to_be_bytes());
    for number in [registration.manager_level, registration.receive_option] {
        content.update(number.map_or(i64::MIN, i64::from).to_be_bytes());
    }
    content.update([u8::from(registration.extra_truncated)]);
    let mut order = registration.order().0.to_be_bytes().to_vec();
    order.extend(&content.finalize()[..8]);
    B(Blob::new(order))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::domain::{App, ProviderName, UnixMillis};

    /// Promise 3: of two different receipts at one millisecond, the same one wins in any order.
    #[test]
    fn promise_3_convergent_no_two_registrations_have_one_order() {
        let text = |text: &str| Some(text.to_owned());
        let none = Registration {
            app: App { provider: ProviderName::OpenIm, id: "main".parse().unwrap() },
            user: "ada".parse().unwrap(),
            source: RegistrationSource::Callback,
            create_time: None,
            recorded_at: UnixMillis(1_700_000_000_000),
            name: None,
            avatar_url: None,
            extra: None,
            extra_truncated: false,
            manager_level: None,
            receive_option: None,
        };
        let truncated = Registration { extra_truncated: true, ..none.clone() };
        let mut registrations = vec![none.clone(), truncated];
        for content in ["", "x"] {
            registrations.push(Registration { name: text(content), ..none.clone() });
            registrations.push(Registration { avatar_url: text(content), ..none.clone() });
            registrations.push(Registration { extra: text(content), ..none.clone() });
        }
        for time in [0, 1] {
            registrations
                .push(Registration { create_time: Some(UnixMillis(time)), ..none.clone() });
        }
        for number in [-1, 0, 1] {
            registrations.push(Registration { manager_level: Some(number), ..none.clone() });
            registrations.push(Registration { receive_option: Some(number), ..none.clone() });
        }
        let orders =
            registrations.iter().map(|one| order(one).as_b().unwrap().clone().into_inner());
        assert_eq!(orders.collect::<HashSet<_>>().len(), registrations.len());
    }
}
