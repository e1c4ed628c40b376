//! The parameters of a request: those of its query string, and ids in its path.

use std::{fmt, ops::RangeInclusive, str::FromStr};

use super::{Text, form};

/// Why a parameter cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` {why}")]
pub struct ParameterError {
    /// Which parameter.
    pub name: &'static str,
    /// What is wrong with it, after its name.
    pub why: String,
}

impl ParameterError {
    /// What is wrong with a parameter, such as `is missing`.
    pub fn new(name: &'static str, why: impl fmt::Display) -> Self {
        Self { name, why: why.to_string() }
    }
}

/// The query parameters, decoded. Of several with one name the first counts.
#[derive(Debug)]
pub struct Parameters(Vec<(String, Text)>);

impl Parameters {
    /// Reads a query string, as it was sent.
    #[must_use]
    pub fn read(query: &str) -> Self {
        let named = form(query.as_bytes()).filter_map(|(name, value)| match name {
            Text::Sent(name) => Some((name, value)),
            Text::Repaired(_) => None,
        });
        Self(named.collect())
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Text)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// A value; `None` if there is none of that name.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] if it was repaired: it could be another id than the one that was meant.
    pub fn get(&self, name: &'static str) -> Result<Option<&str>, ParameterError> {
        match self.0.iter().find(|(key, _)| key == name) {
            None => Ok(None),
            Some((_, Text::Sent(value))) => Ok(Some(value)),
            Some((_, Text::Repaired(_))) => {
                let why = "is not valid Unicode: it may have been cut inside a character";
                Err(ParameterError::new(name, why))
            }
        }
    }

    /// A parameter that is parsed.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] if it was repaired, or cannot be parsed.
    pub fn parsed<T: FromStr<Err: fmt::Display>>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, ParameterError> {
        let parsed = self.get(name)?.map(str::parse::<T>).transpose();
        parsed.map_err(|error| ParameterError::new(name, error))
    }

    /// A whole number within a range; `default` if there is none.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] if it is no such number.
    pub fn number<N: FromStr + PartialOrd + fmt::Display>(
        &self,
        name: &'static str,
        range: RangeInclusive<N>,
        default: N,
    ) -> Result<N, ParameterError> {
        let Some(text) = self.get(name)? else { return Ok(default) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            ParameterError::new(name, format!("is not {} to {}", range.start(), range.end()))
        })
    }

    /// An id, which is a part of the path or else a parameter.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] if there is none, or if it cannot be the id that was meant.
    pub fn id<I: FromStr<Err: fmt::Display>>(
        &self,
        name: &'static str,
        of_path: Option<&str>,
    ) -> Result<I, ParameterError> {
        match of_path {
            Some(text) => id_in_path(name, text),
            None => self.parsed(name)?.ok_or_else(|| ParameterError::new(name, "is missing")),
        }
    }
}

/// An id that is a part of the path. A gateway decodes the path, and replaces what is not UTF-8.
///
/// # Errors
///
/// [`ParameterError`] if something may have been replaced, or if it is no id.
pub fn id_in_path<I: FromStr<Err: fmt::Display>>(
    name: &'static str,
    text: &str,
) -> Result<I, ParameterError> {
    if text.contains(char::REPLACEMENT_CHARACTER) {
        let why = "is not valid Unicode in the path: an id with U+FFFD is sent as a parameter";
        return Err(ParameterError::new(name, why));
    }
    text.parse().map_err(|error| ParameterError::new(name, error))
}
