//! The text of a token: `04` and base64 of big-endian numbers and bytes.
//!
//! ```text
//! end i64 | length u16, iv | length u16, ciphertext | mode u8
//! ```
//!
//! `end` is the last second in which the token is valid, and is in the ciphertext, too. ZEGO's own
//! generators leave out the mode, which then is AES-CBC.

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::login::{Ticket, common_hint};

const VERSION: &str = "04";

/// The longest token that is read, in characters. The longest that is minted has under 23,000.
pub(super) const MAX_TOKEN_CHARS: usize = 32 << 10;

pub(super) const BLOCK_BYTES: usize = 16;
/// The nonce of AES-GCM.
const NONCE_BYTES: usize = 12;
/// What AES-GCM appends to its ciphertext.
const TAG_BYTES: usize = 16;

const CBC: u8 = 0;
const GCM: u8 = 1;

/// Why a token cannot be decoded. None of it is ever shown but one character that does not belong
/// there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It does not begin with `04`: it is another version, or something else.
    #[error("it does not begin with `04`")]
    Version,
    /// How it is encrypted is not known.
    #[error("its mode is neither AES-CBC nor AES-GCM")]
    Mode,
    /// A character does not belong there.
    #[error("the character {character:?} at position {position} does not belong there: {}", hint(*character))]
    Stray {
        /// The character.
        character: char,
        /// Its position in characters, from 1.
        position: usize,
    },
    /// It is not base64, or not all of it is there.
    #[error("part of it may be missing")]
    Damaged,
    /// There is more after its end.
    #[error("something follows its end")]
    Continued,
    /// Its IV or its ciphertext has a length that its mode does not have.
    #[error("its IV or its ciphertext does not have the length that AES gives it")]
    Length,
    /// It is too long.
    #[error("it is longer than {MAX_TOKEN_CHARS} characters")]
    TooLong,
}

/// How the character may have got into the token.
fn hint(character: char) -> &'static str {
    match character {
        '-' | '_' => "the alphabet may be that of URL-safe base64, which is another one",
        '#' => "it may be a Kit Token of ZEGO's UIKit, whose token04 ends before it",
        '=' => "it belongs at the end only",
        _ => common_hint(character)
            .unwrap_or("a token has only ASCII letters, digits, `+`, `/` and `=`"),
    }
}

/// How the content is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// AES-256-CBC with the padding PKCS#7: what ZEGO's generators do, and what Rollcall mints.
    Cbc,
    /// AES-256-GCM, its tag at the end. ZEGO's "Token Assistant" reads it; no generator of ZEGO's
    /// is known to make it.
    Gcm,
}

/// A token whose content is encrypted. Its lengths are those that its mode allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sealed {
    /// The last second in which it is valid, in Unix seconds. It is not encrypted.
    pub(super) expires_at: i64,
    pub(super) iv: Vec<u8>,
    pub(super) ciphertext: Vec<u8>,
    pub(super) mode: Mode,
}

impl Sealed {
    /// The token. IV and ciphertext are shorter than 64 KiB.
    pub(super) fn text(&self) -> Ticket {
        let mut bytes = self.expires_at.to_be_bytes().to_vec();
        for part in [&self.iv, &self.ciphertext] {
            bytes.extend(u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
            bytes.extend(part);
        }
        if self.mode == Mode::Gcm {
            bytes.push(GCM);
        }
        Ticket::new(format!("{VERSION}{}", BASE64_STANDARD.encode(bytes)))
    }

    /// Reverses [`Sealed::text`].
    pub(super) fn read(text: &str) -> Result<Self, Flaw> {
        if text.len() > MAX_TOKEN_CHARS {
            return Err(Flaw::TooLong);
        }
        let base64 = text.strip_prefix(VERSION).ok_or(Flaw::Version)?;
        Self::of(&decoded(base64).map_err(|flaw| flaw.after(VERSION))?)
    }

    fn of(bytes: &[u8]) -> Result<Self, Flaw> {
        let (expires_at, rest) = bytes.split_first_chunk().ok_or(Flaw::Damaged)?;
        let (iv, rest) = part(rest)?;
        let (ciphertext, rest) = part(rest)?;
        let mode = match rest {
            [] | [CBC] => Mode::Cbc,
            [GCM] => Mode::Gcm,
            [_] => return Err(Flaw::Mode),
            _ => return Err(Flaw::Continued),
        };
        let fits = match mode {
            Mode::Cbc => {
                let is_of_blocks = ciphertext.len().is_multiple_of(BLOCK_BYTES);
                iv.len() == BLOCK_BYTES && is_of_blocks && !ciphertext.is_empty()
            }
            Mode::Gcm => iv.len() == NONCE_BYTES && ciphertext.len() >= TAG_BYTES,
        };
        if !fits {
            return Err(Flaw::Length);
        }
        let (iv, ciphertext) = (iv.to_vec(), ciphertext.to_vec());
        Ok(Self { expires_at: i64::from_be_bytes(*expires_at), iv, ciphertext, mode })
    }
}

/// Bytes after their length, and what follows.
fn part(bytes: &[u8]) -> Result<(&[u8], &[u8]), Flaw> {
    let (length, rest) = bytes.split_first_chunk().ok_or(Flaw::Damaged)?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(Flaw::Damaged)
}

fn decoded(base64: &str) -> Result<Vec<u8>, Flaw> {
    match stray(base64) {
        Some((index, character)) => Err(Flaw::Stray { character, position: index + 1 }),
        None => BASE64_STANDARD.decode(base64).map_err(|_| Flaw::Damaged),
    }
}

/// The first character that does not belong in base64, with its index in characters.
fn stray(base64: &str) -> Option<(usize, char)> {
    let is_foreign = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/'));
    let mut characters = base64.chars().enumerate().skip_while(|(_, c)| !is_foreign(*c)).peekable();
    let first = characters.next()?;
    if first.1 != '=' {
        return Some(first);
    }
    // Padding: one or two at the end. Before anything that does not belong there, it is not what is
    // wrong.
    characters.next_if(|(_, c)| *c == '=');
    let next = characters.next()?;
    Some(if is_foreign(next.1) && next.1 != '=' { next } else { first })
}

impl Flaw {
    /// The same in a text that begins with `start`.
    fn after(self, start: &str) -> Self {
        match self {
            Self::Stray { character, position } => {
                Self::Stray { character, position: position + start.len() }
            }
            other => other,
        }
    }
}
