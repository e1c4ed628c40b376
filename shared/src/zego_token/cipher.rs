//! AES-256 with an app's ServerSecret: its 32 characters are the key as they are, not decoded.

use aes::{
    Aes256,
    cipher::{
        BlockModeDecrypt, BlockModeEncrypt, KeyIvInit,
        block_padding::{NoPadding, Pkcs7},
    },
};
use aes_gcm::{Aes256Gcm, KeyInit, aead::Aead};

use super::layout::{BLOCK_BYTES, Mode, Sealed};
use crate::providers::zego::ServerSecret;

/// AES-256-CBC with the padding PKCS#7.
pub(super) fn encrypt_cbc(content: &[u8], iv: &[u8; BLOCK_BYTES], key: &ServerSecret) -> Vec<u8> {
    let cipher = cbc::Encryptor::<Aes256>::new(key.bytes().into(), iv.into());
    cipher.encrypt_padded_vec::<Pkcs7>(content)
}

/// What a key makes of a token.
///
/// If the padding is wrong, the bytes are all that was decrypted, and the caller reads them as it
/// reads any others before it asks whether they are whole. So neither an answer nor its time says
/// whether a padding was right. With that, an attacker could decrypt a token byte by byte.
pub(super) fn decrypted(sealed: &Sealed, key: &ServerSecret) -> Candidate {
    match sealed.mode {
        Mode::Cbc => {
            let iv = <&[u8; BLOCK_BYTES]>::try_from(sealed.iv.as_slice());
            let bytes = iv.ok().and_then(|iv| {
                let cipher = cbc::Decryptor::<Aes256>::new(key.bytes().into(), iv.into());
                cipher.decrypt_padded_vec::<NoPadding>(&sealed.ciphertext).ok()
            });
            Candidate::padded(bytes.unwrap_or_default())
        }
        Mode::Gcm => {
            let nonce = sealed.iv.as_slice().try_into().ok();
            let cipher = Aes256Gcm::new(key.bytes().into());
            let bytes = nonce.and_then(|nonce| cipher.decrypt(nonce, &sealed.ciphertext[..]).ok());
            Candidate { is_whole: bytes.is_some(), bytes: bytes.unwrap_or_default() }
        }
    }
}

/// What a key has made of a token.
pub(super) struct Candidate {
    /// The content, if the key is the right one.
    pub(super) bytes: Vec<u8>,
    /// Whether the padding or the tag is right.
    pub(super) is_whole: bool,
}

impl Candidate {
    /// Takes the padding off. Each byte of the last block is looked at, whatever the others are.
    fn padded(mut bytes: Vec<u8>) -> Self {
        let length = bytes.last().copied().unwrap_or_default();
        let padding = usize::from(length);
        let wrong =
            bytes.iter().rev().take(BLOCK_BYTES).enumerate().fold(0, |wrong, (at, byte)| {
                // All ones for a byte of the padding.
                let is_padding = 0_u8.wrapping_sub(u8::from(at < padding));
                wrong | ((byte ^ length) & is_padding)
            });
        let is_whole = wrong | u8::from(!(1..=BLOCK_BYTES).contains(&padding)) == 0;
        bytes.truncate(bytes.len() - if is_whole { padding } else { 0 });
        Self { bytes, is_whole }
    }
}
