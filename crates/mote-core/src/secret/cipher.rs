//! Seals small values so that the store holds nothing in the clear: XChaCha20-Poly1305.
//!
//! Where the key comes from, a file or a passphrase, is the binary's matter. Who seals what:
//! [`super::vault`] its secrets, and whoever else must keep something that it has to read back.
//! What only has to be compared, such as a token, is hashed and not sealed.

use std::sync::Arc;

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::Secret;
use crate::clock::Clock;
use crate::error::{Error, Result};

/// The first byte of what is sealed: this way of sealing.
const FORMAT: u8 = 1;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// See the module's text.
pub struct Cipher {
    // Wipes its copy of the key when it is dropped.
    aead: XChaCha20Poly1305,
    clock: Arc<dyn Clock>,
}

/// 32 bytes that open everything: wiped when dropped, never printed.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; Key::BYTES]>);

impl Key {
    pub const BYTES: usize = 32;

    pub fn new(bytes: [u8; Key::BYTES]) -> Key {
        Key(Zeroizing::new(bytes))
    }

    pub fn reveal(&self) -> &[u8; Key::BYTES] {
        &self.0
    }
}

impl Cipher {
    pub fn new(key: &Key, clock: Arc<dyn Clock>) -> Cipher {
        Cipher { aead: XChaCha20Poly1305::new(key.reveal().into()), clock }
    }

    /// `place` is where it will be kept: whoever moves it to another place can't have it opened
    /// there. The nonce is drawn anew each time; 24 bytes are enough to never draw one twice.
    pub fn seal(&self, place: &str, value: &[u8]) -> Result<Vec<u8>> {
        let random = self.clock.random()?;
        let nonce: [u8; NONCE_BYTES] = std::array::from_fn(|at| random[at]);
        let mut sealed = Vec::with_capacity(1 + NONCE_BYTES + value.len() + TAG_BYTES);
        // Encrypted where it lies in the end, so that the clear text is not left elsewhere.
        sealed.extend_from_slice(value);
        let tag = self.aead.encrypt_inout_detached(&XNonce::from(nonce), place.as_bytes(), sealed.as_mut_slice().into());
        sealed.extend_from_slice(&tag.map_err(|_| Error::internal("a value could not be sealed"))?);
        sealed.splice(0..0, std::iter::once(FORMAT).chain(nonce));
        Ok(sealed)
    }

    /// `None`: not sealed with this key, not for this place, or changed since.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Option<Secret> {
        let (&format, rest) = sealed.split_first()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>()?;
        if format != FORMAT {
            return None;
        }
        let mut value = Zeroizing::new(sealed.to_vec());
        self.aead.decrypt_in_place(&XNonce::from(*nonce), place.as_bytes(), &mut *value).ok()?;
        Some(Secret(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn cipher(key: u8) -> Cipher {
        Cipher::new(&Key::new([key; 32]), Arc::new(SystemClock::new()))
    }

    #[test]
    fn opens_what_it_sealed() {
        for length in [0, 1, 31, 64 << 10] {
            let value = vec![7; length];
            let sealed = cipher(1).seal("secrets/default/db/1", &value).unwrap();
            assert_eq!(cipher(1).open("secrets/default/db/1", &sealed).unwrap().reveal(), value);
        }
    }

    #[test]
    fn seals_nothing_twice_alike() {
        assert_ne!(cipher(1).seal("a", b"value").unwrap(), cipher(1).seal("a", b"value").unwrap());
    }

    #[test]
    fn opens_nothing_else() {
        let sealed = cipher(1).seal("secrets/default/db/1", b"value").unwrap();
        assert!(cipher(2).open("secrets/default/db/1", &sealed).is_none(), "another key");
        assert!(cipher(1).open("secrets/default/db/2", &sealed).is_none(), "another generation");
        assert!(cipher(1).open("secrets/other/db/1", &sealed).is_none(), "another namespace");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(cipher(1).open("secrets/default/db/1", &changed).is_none(), "byte {at}");
            assert!(cipher(1).open("secrets/default/db/1", &sealed[..at]).is_none(), "cut at {at}");
        }
    }
}
