//! Secrets, and the one function that compares them.

use std::fmt;

use subtle::{Choice, ConstantTimeEq};

/// A shared secret. It prints redacted, cannot be empty, and can be compared by [`find_match`] only:
///
/// ```compile_fail
/// use rollcall::callback::Secret;
///
/// let [a, b] = ["a", "b"].map(|text| Secret::new(text.to_owned()));
/// a == b; // `Secret` is not `PartialEq`
/// ```
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret; `None` if it is empty, since an empty secret verifies nothing.
    #[must_use]
    pub fn new(text: String) -> Option<Self> {
        (!text.is_empty()).then_some(Self(text))
    }

    /// The secret itself, for computing signatures. Never for a log, an error or a record.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// Proof that a presented value matched an expected one. Only [`find_match`] makes it.
#[derive(Debug)]
pub struct SecretMatch(());

/// Compares what was presented with every value that would be right, in a time that depends on
/// their number and lengths only. This is the one place where secrets, or what is made from
/// them, are compared.
///
/// ```
/// use rollcall::callback::find_match;
///
/// assert!(find_match(["current", "previous"], "previous").is_some());
/// assert!(find_match(["current", "previous"], "prev").is_none());
/// assert!(find_match(Vec::<String>::new(), "").is_none());
/// ```
pub fn find_match(
    expected: impl IntoIterator<Item = impl AsRef<[u8]>>,
    presented: impl AsRef<[u8]>,
) -> Option<SecretMatch> {
    let presented = presented.as_ref();
    let found = expected
        .into_iter()
        .fold(Choice::from(0), |found, expected| found | expected.as_ref().ct_eq(presented));
    bool::from(found).then_some(SecretMatch(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_secret_is_refused() {
        assert!(Secret::new(String::new()).is_none());
    }

    #[test]
    fn a_secret_prints_redacted() {
        let secret = Secret::new("hunter2".to_owned()).unwrap();
        assert!(!format!("{secret:?}").contains("hunter2"));
    }
}
