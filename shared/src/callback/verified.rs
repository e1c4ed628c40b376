//! A request whose sender is verified.

use super::{Provider, SecretMatch};
use crate::domain::{App, AppId, SignatureUse, UnixMillis};

/// A request of provider `P` whose sender has been verified.
///
/// Making one requires a [`SecretMatch`], so an unverified request cannot be parsed. Nor can it be
/// parsed as another provider's, because callbacks accept only their own provider's `Verified`:
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
    /// Marks `body` as sent by `app`'s provider. The match is the proof.
    pub fn new(_proof: &SecretMatch, app: AppId, body: P::Body, received_at: UnixMillis) -> Self {
        Self { app, body, received_at, signature_use: None }
    }

    /// The same request, whose signature does not cover its body.
    #[must_use]
    pub fn signed_by(self, signature_use: SignatureUse) -> Self {
        Self { signature_use: Some(signature_use), ..self }
    }

    /// The use of the request's signature, if the signature does not cover the body and can be
    /// valid for one body only.
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
