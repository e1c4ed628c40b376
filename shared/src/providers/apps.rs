//! Reading the apps' JSON, and what can be wrong with it.

use std::{collections::HashMap, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

use crate::{
    callback::AppWarnings,
    domain::{AppId, ProviderName},
};

/// What is wrong with the apps' JSON. Never holds any of it that could be a secret.
#[derive(Debug, thiserror::Error)]
pub enum AppsError {
    /// It cannot be read.
    #[error(
        "is broken at line {line}, column {column}: it has to look like \
         {{\"zego\":{{\"1\":{{\"callback_secrets\":[\"...\"]}}}}}}"
    )]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// An app's id is no id.
    #[error("names an app that cannot be: its id is empty or too long")]
    AppId,
    /// An app is there twice, and it is not clear which one is meant.
    #[error("names the {0} app `{1}` twice: name it once, with all of its secrets")]
    Twice(ProviderName, AppId),
    /// Two `OpenIM` apps have a credential in common, so a request could belong to either.
    #[error("gives the OpenIM apps `{0}` and `{1}` a credential in common")]
    SharedCredential(AppId, AppId),
    /// A user of Basic credentials cannot have a colon.
    #[error("gives the OpenIM app `{0}` a `basic` user with a colon")]
    BasicUser(AppId),
}

/// The apps of one provider in the JSON, in their order: a map would keep one of two with one id.
#[derive(Debug)]
pub(super) struct AppsJson<J>(Vec<(String, J)>);

impl<J> Default for AppsJson<J> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, J: Deserialize<'de>> Deserialize<'de> for AppsJson<J> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<J>(PhantomData<J>);

        impl<'de, J: Deserialize<'de>> Visitor<'de> for Object<J> {
            type Value = AppsJson<J>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("apps by their ids")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<AppsJson<J>, M::Error> {
                let mut apps = Vec::new();
                while let Some(app) = map.next_entry()? {
                    apps.push(app);
                }
                Ok(AppsJson(apps))
            }
        }

        deserializer.deserialize_map(Object(PhantomData))
    }
}

/// Reads the apps of a provider, and adds what is odd about them. `read` reads what one app has.
pub(super) fn read_apps<J, A, E: From<AppsError>>(
    provider: ProviderName,
    AppsJson(apps): AppsJson<J>,
    all_warnings: &mut Vec<AppWarnings>,
    read: impl Fn(&AppId, J, &mut AppWarnings) -> Result<A, E>,
) -> Result<HashMap<AppId, A>, E> {
    let mut found = HashMap::new();
    for (id, app) in apps {
        let id: AppId = id.parse().map_err(|_| AppsError::AppId)?;
        let mut warnings = AppWarnings::new(provider, id.clone());
        let app = read(&id, app, &mut warnings)?;
        all_warnings.push(warnings);
        if found.insert(id.clone(), app).is_some() {
            return Err(AppsError::Twice(provider, id).into());
        }
    }
    Ok(found)
}
