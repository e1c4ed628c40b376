//! The digest of a report: equal as long as nothing in it has changed.
//!
//! It is the SHA-256 of lines of JSON, each of which ends with a line feed. The first line is
//! `["rollcall report 1",LIFE,BEGAN_AT,ENDED_AT]`. A line for each person follows, in the order of
//! the bytes of their ids: `[USER,FIRST_ENTERED_AT,LAST_LEFT_AT,VISITS,PRESENT_MS]`. The JSON is
//! that of RFC 8785: no white space, and a text escapes only what it has to. So no two reports have
//! the same lines, whatever characters an id has, and `docs/design.md` recomputes it in Python.

use std::fmt;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::person::Figures;
use crate::domain::{LifeId, UnixMillis};

/// What the first line begins with. Another form of the lines would have another number.
const FORM: &str = "rollcall report 1";

/// The digest of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of a room's life and its people, who come in the order of the bytes of their ids.
    pub(super) fn new<'a>(
        life: Option<&LifeId>,
        began_at: Option<UnixMillis>,
        ended_at: Option<UnixMillis>,
        people: impl Iterator<Item = (&'a str, &'a Figures)>,
    ) -> Self {
        let mut hash = Sha256::new();
        add(&mut hash, &(FORM, life, began_at, ended_at));
        for (user, figures) in people {
            let Figures { first_entered_at, last_left_at, visits, .. } = figures;
            add(&mut hash, &(user, first_entered_at, last_left_at, visits, figures.present_ms()));
        }
        Self(hash.finalize().into())
    }
}

/// `serde_json` escapes as RFC 8785 does.
fn add(hash: &mut Sha256, line: &impl Serialize) {
    match serde_json::to_vec(line) {
        Ok(line) => hash.update(line),
        Err(error) => tracing::error!(%error, "a line of a report could not be written as JSON"),
    }
    hash.update(b"\n");
}

/// `sha256:` and 64 hexadecimal digits.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Span;

    /// The expected digest was computed by the Python in `docs/design.md`.
    #[test]
    fn any_id_has_one_form() {
        let mut users = ["\u{1}\"\\/\u{7f}", "a\tb", "dée", "e😀", "role:x\u{2028}"];
        users.sort_unstable();
        let people: Vec<(&str, Figures)> = (0_u64..)
            .zip(users)
            .map(|(number, user)| {
                let figures = Figures {
                    first_entered_at: (number != 0).then_some(UnixMillis(1000 + number)),
                    last_left_at: (number != 1).then_some(UnixMillis(2000)),
                    visits: 1,
                    present: vec![Span { from: UnixMillis(1), to: UnixMillis(1 + number) }],
                };
                (user, figures)
            })
            .collect();
        let people = people.iter().map(|(user, figures)| (*user, figures));
        assert_eq!(
            Digest::new(None, None, None, people).to_string(),
            "sha256:8e3b79a1c0f1bdd224d03f0ce984b75b8ba0be078c527d9616ad2a5b31d24742"
        );
    }
}
