//! The text of a ticket: base64 of zlib of JSON.

use std::io::Write;

use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::{Compression, Decompress, FlushDecompress, Status, write::ZlibEncoder};

use crate::login::{Ticket, common_hint};

/// The longest content that is inflated, in bytes. The longest that is minted has under 500.
pub(super) const MAX_CONTENT_BYTES: usize = 4096;

/// Why a ticket cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// A character does not belong there. Nothing else of a ticket is ever shown.
    #[error("the character {character:?} at position {position} does not belong there: {}", hint(*character))]
    Stray {
        /// The character.
        character: char,
        /// Its position in characters, from 1.
        position: usize,
    },
    /// It is not base64 of zlib of a JSON object.
    #[error("part of it may be missing")]
    Damaged,
    /// There is more after its end.
    #[error("something follows its end")]
    Continued,
    /// Its content is too long.
    #[error("its content is longer than {MAX_CONTENT_BYTES} bytes")]
    TooLong,
}

/// How the character may have got into the ticket.
fn hint(character: char) -> &'static str {
    match character {
        '+' | '/' | '=' => {
            "the alphabet is that of standard base64, and a UserSig has `*` for `+`, `-` for `/` and \
             `_` for `=`"
        }
        '_' => {
            "it stands for `=`, so only at the end; the alphabet may be that of URL-safe base64, which \
             is another one"
        }
        _ => common_hint(character)
            .unwrap_or("a UserSig has only ASCII letters, digits, `*`, `-` and `_`"),
    }
}

pub(super) fn encode(content: &str) -> std::io::Result<Ticket> {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(content.as_bytes())?;
    let url_safe = |character| match character {
        '+' => '*',
        '/' => '-',
        '=' => '_',
        other => other,
    };
    Ok(Ticket::new(BASE64_STANDARD.encode(zlib.finish()?).chars().map(url_safe).collect()))
}

/// Reverses [`encode`]. It needs memory for the ticket and for [`MAX_CONTENT_BYTES`], however large
/// the ticket would inflate.
pub(super) fn decode(ticket: &str) -> Result<Vec<u8>, Flaw> {
    let stray = |(index, character): (usize, char)| Flaw::Stray {
        character,
        position: ticket[..index].chars().count() + 1,
    };
    // Tencent's own alphabet. With another one, the same ticket would have a second text.
    let standard = |at: (usize, char)| match at.1 {
        '*' => Ok(b'+'),
        '-' => Ok(b'/'),
        '_' => Ok(b'='),
        _ => u8::try_from(at.1).ok().filter(u8::is_ascii_alphanumeric).ok_or_else(|| stray(at)),
    };
    let base64 = ticket.char_indices().map(standard).collect::<Result<Vec<u8>, _>>()?;
    // Padding: the last two characters at most.
    if let Some(index) = ticket.find('_').filter(|index| index + 2 < ticket.len()) {
        return Err(stray((index, '_')));
    }
    inflate(&BASE64_STANDARD.decode(base64).map_err(|_| Flaw::Damaged)?)
}

fn inflate(zlib: &[u8]) -> Result<Vec<u8>, Flaw> {
    // One byte more than allowed: a stream that fills it is too long.
    let mut content = vec![0; MAX_CONTENT_BYTES + 1];
    let mut stream = Decompress::new(true);
    let status = stream.decompress(zlib, &mut content, FlushDecompress::Finish);
    let status = status.map_err(|_| Flaw::Damaged)?;
    let read = usize::try_from(stream.total_in()).map_err(|_| Flaw::TooLong)?;
    let written = usize::try_from(stream.total_out()).map_err(|_| Flaw::TooLong)?;
    if written > MAX_CONTENT_BYTES {
        return Err(Flaw::TooLong);
    }
    // The end comes after the checksum. Nothing may follow the end.
    match status {
        Status::StreamEnd if read == zlib.len() => {
            content.truncate(written);
            Ok(content)
        }
        Status::StreamEnd => Err(Flaw::Continued),
        Status::Ok | Status::BufError => Err(Flaw::Damaged),
    }
}
