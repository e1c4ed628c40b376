//! Secrets as an operator configured them, and what is wrong with them.

use super::{
    Secret,
    secret::{is_invisible, trim},
};
use crate::domain::{AppId, ProviderName};

/// A kind of secret.
#[derive(Debug, Clone, Copy)]
pub struct SecretKind {
    /// Its name in the apps' JSON.
    pub name: &'static str,
    /// What all values of this kind look like, if that is known.
    pub form: Option<SecretForm>,
}

/// What the values of a kind look like.
#[derive(Debug, Clone, Copy)]
pub struct SecretForm {
    /// In words, such as `64 hexadecimal digits`.
    pub words: &'static str,
    /// Whether a value looks like that.
    pub fits: fn(&str) -> bool,
    /// What becomes of a value that does not.
    pub misfit: Misfit,
}

/// What becomes of a secret that does not look like its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// It is used: it could be right after all.
    Used,
    /// It is not: it would protect nothing.
    LeftOut,
}

/// What is wrong with a secret as it was configured. It never contains any of it. The text follows
/// the name of the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretFault {
    /// It is empty, or has only characters that nobody can see.
    #[error("is empty or blank")]
    Blank,
    /// White space or invisible characters surrounded it.
    #[error("has white space or invisible characters around it: it is used without them")]
    Surrounded,
    /// It cannot be right for its kind.
    #[error("cannot be right: it is not {0}")]
    Misshapen(&'static str),
    /// It is too weak for its kind.
    #[error("is not used: it is not {0}")]
    Unfit(&'static str),
    /// It has characters that nobody can see.
    #[error("has invisible characters in it")]
    Invisible,
}

impl SecretKind {
    /// A kind whose values may be any text.
    #[must_use]
    pub const fn any(name: &'static str) -> Self {
        Self { name, form: None }
    }

    /// Takes a secret of this kind, and reports what is wrong with it; `None` if it is blank, or too
    /// weak.
    #[must_use]
    pub fn take(&self, text: String) -> (Option<Secret>, Vec<SecretFault>) {
        let given = text.len();
        let Some(secret) = Secret::new(text) else { return (None, vec![SecretFault::Blank]) };
        let mut faults = Vec::new();
        let text = secret.expose();
        if text.len() < given {
            faults.push(SecretFault::Surrounded);
        }
        match self.form {
            Some(form) if !(form.fits)(text) => match form.misfit {
                Misfit::Used => faults.push(SecretFault::Misshapen(form.words)),
                Misfit::LeftOut => {
                    faults.push(SecretFault::Unfit(form.words));
                    return (None, faults);
                }
            },
            _ if text.chars().any(is_invisible) => faults.push(SecretFault::Invisible),
            _ => {}
        }
        (Some(secret), faults)
    }

    /// Takes an app's secrets of this kind. Blank ones and those that are too weak are left out.
    pub fn take_all(&self, texts: Vec<String>, warnings: &mut AppWarnings) -> Vec<Secret> {
        let take = |text| {
            let (secret, faults) = self.take(text);
            for fault in faults {
                warnings.add(AppWarning::Secret(self.name, fault));
            }
            secret
        };
        texts.into_iter().filter_map(take).collect()
    }
}

/// What is wrong with a pattern of robots. The text follows what names the pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RobotsFault {
    /// It is empty, or has only characters that nobody can see.
    #[error("is left out: it is empty or blank")]
    Blank,
    /// White space or invisible characters surrounded it.
    #[error("has white space or invisible characters around it: it is used without them")]
    Surrounded,
    /// It is longer than any id.
    #[error("is left out: it is longer than {0} bytes")]
    TooLong(usize),
    /// It cannot be read.
    #[error("is left out: it is no pattern, by its character {at}: {why}")]
    NoPattern {
        /// The place, from 1.
        at: usize,
        /// What is wrong there.
        why: &'static str,
    },
}

/// What is wrong with an app as it was configured. It never contains a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppWarning {
    /// Something is wrong with one of its secrets of the kind with this name.
    #[error("one of an app's `{0}` {1}")]
    Secret(&'static str, SecretFault),
    /// It has no secret that could verify anything.
    #[error("an app has no secret: it is refused")]
    NoSecret,
    /// Its provider cannot be asked about it.
    #[error("an app has no whole credentials for its provider's API: the provider is not asked")]
    NotAsked,
    /// Its id cannot be right.
    #[error("the id of an app cannot be right: it is not {0}")]
    Id(&'static str),
    /// Something is wrong with the pattern of robots with this number, from 1.
    #[error("number {0} of an app's `robots` {1}")]
    Robots(usize, RobotsFault),
    /// It has more patterns of robots than are used.
    #[error("an app has more than {0} `robots`: the others are left out")]
    TooManyRobots(usize),
    /// It has patterns of robots, and its provider has no rooms.
    #[error("an app has `robots`, which do nothing: its provider has no rooms")]
    RobotsWithoutRooms,
}

/// The warnings about one app, each of them once.
#[derive(Debug)]
pub struct AppWarnings {
    provider: ProviderName,
    app: AppId,
    warnings: Vec<AppWarning>,
}

impl AppWarnings {
    /// No warnings yet.
    #[must_use]
    pub fn new(provider: ProviderName, app: AppId) -> Self {
        Self { provider, app, warnings: Vec::new() }
    }

    /// Adds a warning, unless it is there already.
    pub fn add(&mut self, warning: AppWarning) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Warns of an id that is not a whole number, for providers whose ids are numbers.
    pub fn expect_number(&mut self) {
        if !self.app.as_str().bytes().all(|byte| byte.is_ascii_digit()) {
            self.add(AppWarning::Id("a whole number"));
        }
    }

    /// Warns of an id with white space or invisible characters around it.
    pub fn expect_trimmed(&mut self) {
        if trim(self.app.as_str()).len() < self.app.as_str().len() {
            self.add(AppWarning::Id("free of white space and invisible characters around it"));
        }
    }

    /// The warnings, in the order in which they were added.
    #[must_use]
    pub fn list(&self) -> &[AppWarning] {
        &self.warnings
    }

    /// Logs all of them.
    pub fn log(&self) {
        for warning in &self.warnings {
            tracing::warn!(provider = self.provider.as_str(), app = %self.app, "{warning}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(kind: SecretKind, text: &str) -> (Option<String>, Vec<SecretFault>) {
        let (secret, faults) = kind.take(text.to_owned());
        (secret.map(|secret| secret.expose().to_owned()), faults)
    }

    #[test]
    fn a_secret_is_trimmed_and_its_faults_are_named() {
        let digits = SecretForm {
            words: "digits",
            fits: |text| text.bytes().all(|byte| byte.is_ascii_digit()),
            misfit: Misfit::Used,
        };
        let numbers = SecretKind { name: "numbers", form: Some(digits) };
        let strict = SecretForm { misfit: Misfit::LeftOut, ..digits };
        let strict = SecretKind { name: "strict", form: Some(strict) };
        let texts = SecretKind::any("texts");
        let misshapen = SecretFault::Misshapen("digits");
        for (kind, text, secret, faults) in [
            (numbers, "17", Some("17"), vec![]),
            (numbers, " 17\n", Some("17"), vec![SecretFault::Surrounded]),
            (numbers, "x", Some("x"), vec![misshapen]),
            (numbers, "x\u{a0}", Some("x"), vec![SecretFault::Surrounded, misshapen]),
            (numbers, "1\u{200b}7", Some("1\u{200b}7"), vec![misshapen]),
            (numbers, " ", None, vec![SecretFault::Blank]),
            (strict, "17", Some("17"), vec![]),
            (strict, "x ", None, vec![SecretFault::Surrounded, SecretFault::Unfit("digits")]),
            (texts, "pass phrase", Some("pass phrase"), vec![]),
            (texts, "pass\u{200b}word", Some("pass\u{200b}word"), vec![SecretFault::Invisible]),
        ] {
            assert_eq!(take(kind, text), (secret.map(str::to_owned), faults), "{text:?}");
        }
    }

    #[test]
    fn the_same_warning_about_an_app_is_given_once() {
        let mut warnings = AppWarnings::new(ProviderName::Zego, "1".parse().unwrap());
        let texts = ["a ", " b", "", "c"].map(str::to_owned).to_vec();
        assert_eq!(SecretKind::any("texts").take_all(texts, &mut warnings).len(), 3);
        let expected = [SecretFault::Surrounded, SecretFault::Blank]
            .map(|fault| AppWarning::Secret("texts", fault));
        assert_eq!(warnings.list(), expected);
    }
}
