//! A credential that is made anew shortly before it is not valid any more.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{callback::Secret, domain::UnixMillis};

/// How long before its end a credential is not used any more, but never more than half of its
/// time.
const MARGIN: Duration = Duration::from_mins(10);

/// The newest credential, if there is one.
#[derive(Default)]
pub(super) struct Kept(Mutex<Option<(Secret, UnixMillis)>>);

impl Kept {
    /// The credential, if it is good for a while.
    pub(super) fn get(&self, now: UnixMillis) -> Option<Secret> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|(_, until)| now < *until).map(|(secret, _)| secret.clone())
    }

    /// Keeps a credential that was made at some moment and is valid for some time.
    pub(super) fn keep(&self, secret: Secret, made_at: UnixMillis, valid_for: Duration) {
        let until = made_at.after(valid_for.saturating_sub(MARGIN.min(valid_for / 2)));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((secret, until));
    }

    /// Forgets it: the provider does not accept it.
    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_kept_until_shortly_before_its_end() {
        let now = UnixMillis(1_700_000_000_000);
        let secret = || Secret::new("s".to_owned()).unwrap();
        let kept = Kept::default();
        assert!(kept.get(now).is_none());
        for (valid_for_s, good_for_s) in [(86_400, 85_800), (1200, 600), (600, 300), (2, 1)] {
            kept.keep(secret(), now, Duration::from_secs(valid_for_s));
            let last = now.after(Duration::from_secs(good_for_s));
            assert!(kept.get(UnixMillis(last.0 - 1)).is_some(), "{valid_for_s}");
            assert!(kept.get(last).is_none(), "{valid_for_s}");
        }
        kept.keep(secret(), now, Duration::ZERO);
        assert!(kept.get(now).is_none(), "one of unknown lifetime is used once");
        kept.keep(secret(), now, Duration::from_hours(1));
        kept.forget();
        assert!(kept.get(now).is_none());
    }
}
