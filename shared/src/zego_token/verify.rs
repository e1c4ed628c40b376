//! Checks a token.

use super::{
    Invalid, UserId, ZegoAppId,
    cipher::decrypted,
    content::{Content, is_object},
    layout::Sealed,
};
use crate::{domain::UnixSeconds, login::Valid, providers::zego::ServerSecret};

/// The app and the user that a token should be for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The app that the user logs in to.
    pub app: ZegoAppId,
    /// The user.
    pub user: UserId,
}

/// Checks that a token lets `expected.user` log in to `expected.app` at the time `now`. What a
/// privilege token allows is not checked.
///
/// `keys` has the keys of all apps, of each any number. A key of `expected.app` may have encrypted the
/// token, or a key of the app that the token itself names.
///
/// The order of the checks: whether there is a token, whether it has the layout of one, whether a key
/// decrypts it to a JSON object, and only then its content, app, user and time. Every key is tried,
/// also after one was right. What does not decrypt has one reason, [`Invalid::Undecryptable`],
/// whatever is wrong with it.
///
/// # Errors
///
/// [`Invalid`]: the first check that fails.
pub fn verify<'k>(
    token: &str,
    expected: &Expected,
    keys: impl IntoIterator<Item = (ZegoAppId, &'k ServerSecret)>,
    now: UnixSeconds,
) -> Result<Valid, Invalid> {
    if token.is_empty() {
        return Err(Invalid::Empty);
    }
    let sealed = Sealed::read(token).map_err(Invalid::Undecodable)?;
    let contents = keys.into_iter().map(|(app, key)| {
        let candidate = decrypted(&sealed, key);
        // Both are asked, whatever the first one says.
        let (is_object, is_whole) = (is_object(&candidate.bytes), candidate.is_whole);
        let content =
            (is_object && is_whole).then(|| Content::read(&candidate.bytes, sealed.expires_at));
        // Another app's key proves nothing about this app.
        content.filter(|content| {
            let is_its_own = content.as_ref().is_ok_and(|content| content.is_of(app));
            app == expected.app || is_its_own
        })
    });
    let content = contents.fold(None, Option::or);
    content.ok_or(Invalid::Undecryptable)??.check(expected.app, &expected.user, now)
}
