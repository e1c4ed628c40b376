//! A registration: one item for each user, which keeps the earliest receipt.
//!
//! The item also has what became of the profile since. Normally there is nothing yet when a
//! registration arrives, and one write does it. Otherwise the refusal returns the item, and a
//! second write keeps what it has.

use std::borrow::Cow;

use aws_sdk_dynamodb::{
    primitives::Blob,
    types::AttributeValue::{self, B, Bool},
};
use sha1::{Digest, Sha1};

use super::{
    super::{
        StoreError,
        item::{
            self, AVATAR_URL, CREATE_TIME, DETAILS, DISPLAY_NAME, EXTRA, EXTRA_TRUNCATED,
            FIRST_LOGIN, Item, MANAGER_LEVEL, OLD_DETAILS, PROFILE_CHANGED_AT, PROFILE_READ_AT,
            RECEIVE_OPTION, RECONCILED, RECORDED_AT, SOURCE,
        },
        keys,
        table::{INDEX_PK, INDEX_SK, PK, SK},
    },
    Writer,
    update::Written,
};
use crate::domain::{Detail, Details, Outcome, Registration, RegistrationSource};

/// What decides between two registrations of one user: the time, then the content.
pub(super) const EARLIEST: &str = "k";

/// The details of a profile, by their attributes.
pub(super) const PROFILE_DETAILS: [&str; 6] =
    [AVATAR_URL, EXTRA, EXTRA_TRUNCATED, MANAGER_LEVEL, RECEIVE_OPTION, DETAILS];

/// How often an item is written that changes meanwhile.
const ATTEMPTS: usize = 10;

impl Writer {
    pub(super) async fn register(
        &self,
        registration: &Registration,
    ) -> Result<Outcome, StoreError> {
        let condition = format!(
            "(attribute_not_exists({EARLIEST}) OR {EARLIEST} > :{EARLIEST}) \
             AND attribute_not_exists({PROFILE_CHANGED_AT}) \
             AND attribute_not_exists({PROFILE_READ_AT})"
        );
        let mut written = self.table.put_if(write(registration), condition, &[EARLIEST]).await?;
        for _ in 0..ATTEMPTS {
            let Written::No(known) = written else { return Ok(Outcome::Applied) };
            let new = write(registration);
            if !is_earlier(&new, &known) {
                return Ok(Outcome::Duplicate);
            }
            let unchanged = [EARLIEST, PROFILE_CHANGED_AT, PROFILE_READ_AT];
            written = self.table.replace(&known, with_profile_of(new, &known), &unchanged).await?;
        }
        Err(StoreError::Item("a registration changed each time that it was written"))
    }
}

fn is_earlier(new: &Item, known: &Item) -> bool {
    let [new, known] = [new, known].map(|item| item::optional_bytes(item, EARLIEST));
    known.is_none() || new < known
}

/// A registration with what is known of the profile.
fn with_profile_of(mut new: Item, known: &Item) -> Item {
    if let Some(changed_at) = known.get(PROFILE_CHANGED_AT) {
        new.insert(PROFILE_CHANGED_AT.to_owned(), changed_at.clone());
    }
    let [of_new, of_known] = [&new, known].map(|item| item::optional_number(item, PROFILE_READ_AT));
    if of_known > of_new {
        for name in PROFILE_DETAILS.into_iter().chain([DISPLAY_NAME, PROFILE_READ_AT]) {
            match known.get(name) {
                Some(value) => new.insert(name.to_owned(), value.clone()),
                None => new.remove(name),
            };
        }
    }
    new
}

/// The attributes of a profile's details. One of them is always there.
pub(super) fn profile_details(details: &Details) -> Item {
    let old = OLD_DETAILS.map(|name| (name, details.get(name).and_then(item::detail)));
    let mut others = others(details).peekable();
    let others = others.peek().is_some().then(|| item::details(others));
    let sent = old.into_iter().chain([(DETAILS, others)]);
    // Every item has it, also of a provider without such a detail.
    let truncated = (EXTRA_TRUNCATED, Bool(false));
    item::of([truncated].into_iter().chain(sent.filter_map(|(name, value)| Some((name, value?)))))
}

fn source_name(source: RegistrationSource) -> &'static str {
    match source {
        RegistrationSource::Callback => "callback",
        RegistrationSource::FirstLogin => FIRST_LOGIN,
        RegistrationSource::Reconciled => RECONCILED,
    }
}

fn write(registration: &Registration) -> Item {
    let Registration { app, user, name, details, .. } = registration;
    let row = keys::registration_row(registration.registered_at(), user);
    let is_answer = registration.source == RegistrationSource::Reconciled;
    let optional = [
        (CREATE_TIME, registration.create_time.map(|time| item::number(time.0))),
        (DISPLAY_NAME, name.as_deref().map(item::string)),
        // The provider was asked for it, so the profile is as new as the answer.
        (PROFILE_READ_AT, is_answer.then(|| item::number(registration.recorded_at.0))),
    ];
    let required = [
        (PK, item::string(keys::user(app, user))),
        (SK, item::string(keys::REGISTRATION)),
        (INDEX_PK, item::string(keys::registrations_of(app, user))),
        (INDEX_SK, item::string(row)),
        (RECORDED_AT, item::number(registration.recorded_at.0)),
        (SOURCE, item::string(source_name(registration.source))),
        (EARLIEST, order(registration)),
    ];
    let optional = optional.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let mut item = profile_details(details);
    item.extend(item::of(required.into_iter().chain(optional)));
    item
}

/// The details that are not attributes of their own.
fn others(details: &Details) -> impl Iterator<Item = (&Cow<'static, str>, &Detail)> {
    details.iter().filter(|(name, _)| !OLD_DETAILS.contains(&name.as_ref()))
}

/// The time, of which the earliest wins, and then a hash of the content. So of two receipts at the
/// same millisecond, the same one wins in any order.
fn order(registration: &Registration) -> AttributeValue {
    let Registration { name, details, .. } = registration;
    let text = |name| details.get(name).and_then(Detail::as_text);
    let mut content = Sha1::new();
    for text in [name.as_deref(), text(AVATAR_URL), text(EXTRA)] {
        // The length distinguishes two texts from one, and no text from an empty one.
        content.update(text.map_or(u64::MAX, |text| text.len() as u64).to_be_bytes());
        content.update(text.unwrap_or_default());
    }
    let create_time = registration.create_time.map_or(u64::MAX, |time| time.0);
    content.update(create_time.to_be_bytes());
    for name in [MANAGER_LEVEL, RECEIVE_OPTION] {
        let number = details.get(name).and_then(Detail::as_number);
        content.update(number.unwrap_or(i64::MIN).to_be_bytes());
    }
    content.update([u8::from(details.get(EXTRA_TRUNCATED) == Some(&Detail::Flag(true)))]);
    for (name, detail) in others(details) {
        let (kind, value) = match detail {
            Detail::Missing => continue,
            Detail::Flag(flag) => (1, vec![u8::from(*flag)]),
            Detail::Number(number) => (2, number.to_be_bytes().to_vec()),
            Detail::Text(text) => (3, text.as_bytes().to_vec()),
        };
        for part in [name.as_bytes(), &[kind], &value] {
            content.update((part.len() as u64).to_be_bytes());
            content.update(part);
        }
    }
    let mut order = registration.order().0.to_be_bytes().to_vec();
    order.extend(&content.finalize()[..8]);
    B(Blob::new(order))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::domain::{App, ProviderName, UnixMillis};

    fn registration(details: &[(&'static str, Detail)]) -> Registration {
        let details = details.iter().map(|(name, detail)| (Cow::from(*name), detail.clone()));
        Registration {
            app: App { provider: ProviderName::OpenIm, id: "main".parse().unwrap() },
            user: "ada".parse().unwrap(),
            source: RegistrationSource::Callback,
            create_time: None,
            recorded_at: UnixMillis(1_700_000_000_000),
            name: None,
            details: details.collect(),
        }
    }

    /// Promise 3: of two different receipts at one millisecond, the same one wins in any order.
    #[test]
    fn promise_3_convergent_no_two_registrations_have_one_order() {
        let of = |name, detail| registration(&[(name, detail)]);
        let text = |text: &str| Detail::Text(text.to_owned());
        let mut registrations = vec![registration(&[]), of(EXTRA_TRUNCATED, Detail::Flag(true))];
        for content in ["", "x"] {
            let name = Some(content.to_owned());
            registrations.push(Registration { name, ..registration(&[]) });
            for name in [AVATAR_URL, EXTRA, "new", "newer"] {
                registrations.push(of(name, text(content)));
            }
        }
        for time in [0, 1] {
            let create_time = Some(UnixMillis(time));
            registrations.push(Registration { create_time, ..registration(&[]) });
        }
        for number in [-1, 0, 1] {
            for name in [MANAGER_LEVEL, RECEIVE_OPTION, "new", "newer"] {
                registrations.push(of(name, Detail::Number(number)));
            }
        }
        for flag in [false, true] {
            registrations.push(of("new", Detail::Flag(flag)));
        }
        registrations.push(registration(&[("new", text("x")), ("newer", text("x"))]));
        let orders =
            registrations.iter().map(|one| order(one).as_b().unwrap().clone().into_inner());
        assert_eq!(orders.collect::<HashSet<_>>().len(), registrations.len());
    }

    /// Items like these are stored, and their `k` is compared with that of later receipts.
    #[test]
    fn the_attributes_and_the_order_of_stored_registrations_stay() {
        let described = Registration {
            create_time: Some(UnixMillis(1_600_000_000_000)),
            name: Some("Ada".to_owned()),
            ..registration(&[
                (AVATAR_URL, Detail::Missing),
                (EXTRA, Detail::Text("{}".to_owned())),
                (EXTRA_TRUNCATED, Detail::Flag(true)),
                (MANAGER_LEVEL, Detail::Number(-1)),
                (RECEIVE_OPTION, Detail::Number(2)),
            ])
        };
        let login = Registration {
            source: RegistrationSource::FirstLogin,
            create_time: described.create_time,
            ..registration(&[])
        };
        let hex = |bytes: &str| B(Blob::new(hex::decode(bytes).unwrap()));
        let number = |number: &str| AttributeValue::N(number.to_owned());
        let common = [
            (PK, item::string("openim#main#user#ada")),
            (SK, item::string("registration")),
            (INDEX_PK, item::string("openim#main#registrations#0")),
            (INDEX_SK, item::string("0001600000000000#ada")),
            (CREATE_TIME, number("1600000000000")),
            (RECORDED_AT, number("1700000000000")),
        ];
        let of_login = [
            (SOURCE, item::string("first_login")),
            (EXTRA_TRUNCATED, Bool(false)),
            (EARLIEST, hex("00000174876e800044c1f6a5425d4331")),
        ];
        let of_described = [
            (SOURCE, item::string("callback")),
            (DISPLAY_NAME, item::string("Ada")),
            (EXTRA, item::string("{}")),
            (EXTRA_TRUNCATED, Bool(true)),
            (MANAGER_LEVEL, number("-1")),
            (RECEIVE_OPTION, number("2")),
            (EARLIEST, hex("0000018bcfe5680010e20e109b978ed5")),
        ];
        assert_eq!(write(&login), item::of(common.clone().into_iter().chain(of_login)));
        assert_eq!(write(&described), item::of(common.into_iter().chain(of_described)));
    }
}
