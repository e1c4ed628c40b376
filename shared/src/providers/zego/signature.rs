//! The signature of room callbacks: SHA-1 over the sorted secret, timestamp and nonce.
//!
//! Source: ZEGO Server API, "Receiving a callback", signature verification. The three values are
//! fields of the body. The signature does not cover the body itself.

use std::time::Duration;

use sha1::{Digest, Sha1};

use super::{Apps, Zego, body, named::RoomEventName};
use crate::{
    callback::{FieldError, Fields, Secret, Verified, VerifyError, find_match},
    domain::{IdError, SignatureUse, UnixMillis, UnixSeconds},
    http::Request,
};

const TIMESTAMP: &str = "timestamp";

/// The signature that ZEGO puts into a callback: 40 lower-case hexadecimal digits.
///
/// `timestamp` and `nonce` are the texts as they are sent.
///
/// ```
/// use rollcall::{callback::Secret, providers::zego};
///
/// // The vector that ZEGO publishes.
/// let secret = Secret::new("secret".to_owned()).unwrap();
/// let signature = zego::sign(&secret, "1470820198", "123412");
/// assert_eq!(signature, "5bd59fd62953a8059fb7eaba95720f66d19e4517");
/// ```
#[must_use]
pub fn sign(secret: &Secret, timestamp: &str, nonce: &str) -> String {
    let mut parts = [secret.expose(), timestamp, nonce];
    parts.sort_unstable();
    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

/// A time of ZEGO's, in seconds or in milliseconds: ZIM's pages say that the `timestamp` of room events
/// is in milliseconds, and their samples show seconds. As seconds, the first number that is taken for
/// milliseconds would be in the year 5138.
pub(super) fn unix_millis(number: u64) -> UnixMillis {
    const FIRST_MILLIS: u64 = 100_000_000_000;
    UnixMillis(if number < FIRST_MILLIS { number * 1000 } else { number })
}

/// When a callback was signed: in seconds, and only of the events in ZIM's rooms by its magnitude.
fn signed_at(body: &Fields) -> Result<UnixSeconds, FieldError> {
    let number = body.required_integer(TIMESTAMP)?;
    let name = body.text("event").ok().flatten();
    let is_of_zims_rooms = name.is_some_and(|name| RoomEventName::of(name, body).is_some());
    Ok(if is_of_zims_rooms { unix_millis(number).seconds() } else { UnixSeconds(number) })
}

/// Checks the signature and the age of a request.
pub(super) fn verify(
    request: &Request,
    apps: &Apps,
    max_age: Duration,
) -> Result<Verified<Zego>, VerifyError> {
    let body = body::read(&request.body)?;
    let app = match body.required("appid")?.parse() {
        Ok(app) => app,
        Err(IdError::Empty | IdError::TooLong) => return Err(VerifyError::UnknownApp),
    };
    let timestamp = body.required(TIMESTAMP)?;
    let nonce = body.required("nonce")?;
    let signature = body.required("signature")?;

    let secrets = &apps.get(&app).ok_or(VerifyError::UnknownApp)?.callback_secrets;
    if secrets.is_empty() {
        return Err(VerifyError::NoSecret);
    }
    let signed_at = signed_at(&body)?;
    let now = request.received_at.seconds();
    let good_until = VerifyError::check_age(TIMESTAMP, signed_at, now, max_age)?;
    let expected = secrets.iter().map(|secret| sign(secret, timestamp, nonce));
    let proof = find_match(expected, signature).ok_or(VerifyError::WrongSignature)?;
    // The signature itself, not nonce and timestamp: they are signed without anything between them,
    // so there are other pairs with the same one.
    let signature_use =
        SignatureUse { signature: signature.to_owned(), body: request.body.clone(), good_until };
    Ok(Verified::new(&proof, app, body, request.received_at).signed_by(signature_use))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of ZEGO's page and three more, in which the secret sorts first, in the middle
    /// and last.
    const VECTORS: [(&str, &str, &str, &str); 4] = [
        ("secret", "1470820198", "123412", "5bd59fd62953a8059fb7eaba95720f66d19e4517"),
        (
            "0123456789abcdef0123456789abcdef",
            "1700000000",
            "7301444403500000001",
            "3598424d7008356c894f5d618c0b70a1c624b8ec",
        ),
        (
            "2bcdef0123456789abcdef0123456789",
            "1700000000",
            "7301444403500000001",
            "5671472b18660dd9893d82459c3c92134b078a39",
        ),
        (
            "fedcba9876543210fedcba9876543210",
            "1700000000",
            "7301444403500000001",
            "2868c577835b3c67005e0cc57c52902849571244",
        ),
    ];

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned()).unwrap()
    }

    #[test]
    fn signatures_equal_the_published_vectors() {
        for (text, timestamp, nonce, signature) in VECTORS {
            assert_eq!(sign(&secret(text), timestamp, nonce), signature);
        }
    }

    #[test]
    fn an_unsorted_concatenation_does_not_sign() {
        assert_ne!(
            sign(&secret("secret"), "1470820198", "123412"),
            "c015908d52c8c454bc2d9fb2b1cce1163e29b356"
        );
    }

    #[test]
    fn a_time_is_in_seconds_or_in_milliseconds_by_its_magnitude() {
        for (number, millis) in [
            (1_700_000_000, 1_700_000_000_000),
            (1_700_000_000_123, 1_700_000_000_123),
            (99_999_999_999, 99_999_999_999_000),
            (100_000_000_000, 100_000_000_000),
            (0, 0),
            (u64::MAX, u64::MAX),
        ] {
            assert_eq!(unix_millis(number), UnixMillis(millis));
        }
    }

    #[test]
    fn a_timestamp_is_fresh_to_the_second_on_both_sides() {
        let now = UnixSeconds(1_700_000_000);
        let age =
            |at| VerifyError::check_age(TIMESTAMP, UnixSeconds(at), now, Duration::from_mins(10));
        assert_eq!(age(1_699_999_400), Ok(now));
        assert!(matches!(age(1_699_999_399), Err(VerifyError::Expired { .. })));
        assert_eq!(age(1_700_000_600), Ok(UnixSeconds(1_700_001_200)));
        assert!(matches!(age(1_700_000_601), Err(VerifyError::Future { .. })));
        assert!(matches!(age(u64::MAX), Err(VerifyError::Future { .. })));
        assert!(matches!(age(0), Err(VerifyError::Expired { .. })));
    }
}
