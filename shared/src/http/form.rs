//! Forms and query strings.

/// A text, and whether it was repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// As it was sent.
    Sent(String),
    /// Parts that could not be read were replaced.
    Repaired(String),
}

/// The names and values of a form or a query string, in their order.
pub fn form(form: &[u8]) -> impl Iterator<Item = (Text, Text)> {
    form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let mut parts = pair.splitn(2, |byte| *byte == b'=');
        let mut part = || decoded(parts.next().unwrap_or_default());
        (part(), part())
    })
}

fn decoded(part: &[u8]) -> Text {
    match String::from_utf8(percent_decoded(part)) {
        Ok(text) => Text::Sent(text),
        Err(error) => Text::Repaired(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

/// The bytes that a percent-encoded text stands for. `+` is a space, as in every "`UrlDecode`".
#[must_use]
pub fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> =
        text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_encoding::percent_decode(&spaced).collect()
}
