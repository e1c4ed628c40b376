//! Signatures that are good for one body.

use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use sha2::{Digest, Sha256};

use super::{
    super::{
        StoreError,
        item::{self, BODY},
        keys::{self, SIGNATURE_USE},
    },
    Writer,
    update::{Update, Written},
};
use crate::domain::{App, SignatureUse};

/// Whether a signature may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// It has not been used yet, or for this body only.
    Yes,
    /// It was used for another body.
    ByAnotherBody,
}

impl Writer {
    /// Claims a signature for a body, as long as the signature can be verified. The same body may
    /// claim it again: a retry, or what a crash left undone. The SHA-256 of both is what is stored.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if that could not be made sure. The signature may be claimed all the same.
    pub async fn claim(&self, app: &App, used: &SignatureUse) -> Result<Claimed, StoreError> {
        let [signature, body] = [used.signature.as_bytes(), &used.body]
            .map(|bytes| <[u8; 32]>::from(Sha256::digest(bytes)));
        // In its last second the signature is still good.
        let expires_at = used.good_until.after(Duration::from_secs(1));
        let update = Update::of(keys::signature(app, &signature), SIGNATURE_USE)
            .set(BODY, item::bytes(Blob::new(body)))
            .set(item::EXPIRES_AT, item::number(expires_at.0))
            .only_if(format!("attribute_not_exists({BODY}) OR {BODY} = :{BODY}"));
        Ok(match self.table.update(update).await? {
            Written::Yes(_) => Claimed::Yes,
            Written::No(_) => Claimed::ByAnotherBody,
        })
    }
}
