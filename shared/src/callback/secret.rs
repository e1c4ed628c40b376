//! Secrets, and the one function that compares them.

use std::fmt;

use subtle::{Choice, ConstantTimeEq};

/// A shared secret. It prints redacted, cannot be blank, has no white space around it, and can be
/// compared by [`find_match`] only:
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
    /// Makes a secret without what [`trim`] removes; `None` if nothing is left, because a blank
    /// secret verifies nothing.
    #[must_use]
    pub fn new(text: String) -> Option<Self> {
        let trimmed = trim(&text);
        let text = if trimmed.len() < text.len() { trimmed.to_owned() } else { text };
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

/// Removes invisible text at both ends: Unicode white space, control characters, and invisible
/// characters such as U+FEFF and U+200B. They come from files and from copies of web pages.
///
/// ```
/// use rollcall::callback::trim;
///
/// assert_eq!(trim("\u{feff}\tan open sesame\u{a0}\n"), "an open sesame");
/// ```
#[must_use]
pub fn trim(text: &str) -> &str {
    text.trim_matches(|character: char| character.is_whitespace() || is_invisible(character))
}

/// Whether a character is invisible, but not white space.
pub(super) fn is_invisible(character: char) -> bool {
    let has_no_width = matches!(
        character,
        '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}'
    );
    has_no_width || (character.is_control() && !character.is_whitespace())
}

/// Proof that a presented value matched an expected one. Only [`find_match`] makes it.
#[derive(Debug)]
pub struct SecretMatch(());

/// Compares a presented value with every value that would be right, in a time that depends only on
/// their number and lengths. This is the only place where secrets, or values made from them, are
/// compared.
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
    fn a_blank_secret_is_refused() {
        for text in
            ["", " ", "   ", "\t", "\n", "\r\n", "\u{a0}", "\u{3000}", "\u{feff}", "\u{200b}", "\0"]
        {
            assert!(Secret::new(text.to_owned()).is_none(), "{text:?}");
        }
    }

    #[test]
    fn white_space_around_a_secret_is_not_part_of_it() {
        for text in ["a b", " a b", "a b\n", "\u{feff}a b\r\n", "\t\u{a0}a b\u{200b}\0"] {
            assert_eq!(Secret::new(text.to_owned()).unwrap().expose(), "a b", "{text:?}");
        }
    }

    #[test]
    fn a_secret_prints_redacted() {
        let secret = Secret::new("hunter2".to_owned()).unwrap();
        assert!(!format!("{secret:?}").contains("hunter2"));
    }
}
