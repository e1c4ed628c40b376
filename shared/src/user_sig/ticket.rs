//! The text of a ticket: base64 of zlib of JSON.

use std::{fmt, io::Write};

use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::{Compression, Decompress, FlushDecompress, Status, write::ZlibEncoder};

/// The longest content that is inflated, in bytes. The longest that is minted has under 500.
pub(super) const MAX_CONTENT_BYTES: usize = 4096;

/// A minted ticket. Whoever has it can log in, so it prints redacted.
#[derive(Clone)]
pub struct Ticket(String);

impl Ticket {
    /// The ticket itself, for its owner. Never for a log or a record.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(redacted)")
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
    Ok(Ticket(BASE64_STANDARD.encode(zlib.finish()?).chars().map(url_safe).collect()))
}

/// Undoes [`encode`]; `None` if that is impossible. Needs the memory of the ticket and of
/// [`MAX_CONTENT_BYTES`], whatever the ticket would inflate to.
pub(super) fn decode(ticket: &str) -> Option<Vec<u8>> {
    // Tencent's own alphabet. A ticket in another one would be a second text for the same ticket.
    let standard = |byte| match byte {
        b'*' => Some(b'+'),
        b'-' => Some(b'/'),
        b'_' => Some(b'='),
        byte if byte.is_ascii_alphanumeric() => Some(byte),
        _ => None,
    };
    let base64: Vec<u8> = ticket.bytes().map(standard).collect::<Option<_>>()?;
    inflate(&BASE64_STANDARD.decode(base64).ok()?)
}

fn inflate(zlib: &[u8]) -> Option<Vec<u8>> {
    // One byte more than allowed: a stream that fills it is too long.
    let mut content = vec![0; MAX_CONTENT_BYTES + 1];
    let mut stream = Decompress::new(true);
    let status = stream.decompress(zlib, &mut content, FlushDecompress::Finish).ok()?;
    let read = usize::try_from(stream.total_in()).ok()?;
    let written = usize::try_from(stream.total_out()).ok()?;
    // The end comes after the checksum, and nothing comes after the end.
    let is_whole = status == Status::StreamEnd && read == zlib.len();
    content.truncate(written);
    (is_whole && written <= MAX_CONTENT_BYTES).then_some(content)
}
