//! A request whose sender is known.

use super::{Provider, SecretMatch};
use crate::domain::{App, AppId, SignatureUse, UnixMillis};

/// A request of provider `P` whose sender has been verified.
///
/// It takes a [`SecretMatch`] to make one, so what has not been verified cannot be parsed. Nor
/// can it be parsed as another provider's, since callbacks take `Verified` of their own only:
///
/// ```compile_fail
/// use rollcall::{callback::Callback, http::Request, providers::zego::RoomLogin};
///
/// fn parse_at_once(request: &Request) {
///     RoomLogin::parse(request); // expected `&Verified<Zego>`, found `&Request`
/// }
/// ```
#[derive(Debug)]
pub struct Verified<P: Provider> {
    app: AppId,
    body: P::Body,
    received_at: UnixMillis,
    signature_use: Option<SignatureUse>,
}

impl<P: Provider> Verified<P> {
    /// Vouches for `body` as sent by `app`'s provider, on the strength of a match.
    pub fn new(_proof: &SecretMatch, app: AppId, body: P::Body, received_at: UnixMillis) -> Self {
        Self { app, body, received_at, signature_use: None }
    }

    /// The same request, whose signature does not cover its body.
    #[must_use]
    pub fn signed_by(self, signature_use: SignatureUse) -> Self {
        Self { signature_use: Some(signature_use), ..self }
    }

    /// The use that the request makes of its signature, if that does not cover the body and can be
    /// good for one body only.
    #[must_use]
    pub fn signature_use(&self) -> Option<&SignatureUse> {
        self.signature_use.as_ref()
    }

    /// The app that the request is for.
    #[must_use]
    pub fn app(&self) -> App {
        App { provider: P::NAME, id: self.app.clone() }
    }

    /// What the provider sent.
    #[must_use]
    pub fn body(&self) -> &P::Body {
        &self.body
    }

    /// When it arrived, by our clock.
    #[must_use]
    pub fn received_at(&self) -> UnixMillis {
        self.received_at
    }
}
