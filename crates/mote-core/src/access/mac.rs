//! One keyed hash for all that is made from the server's key: each purpose has a key of its own.
//!
//! HMAC-SHA256. Fast on purpose: what is hashed here is random, so there is nothing to guess, and
//! a hash made slow for passwords would only be a burden on every call.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The hash of these parts. Each goes in with its length, so that no two lists are alike.
pub(crate) fn mac(key: &[u8; 32], purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
    // HMAC fills a short key up with zeros to a block of its hash.
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
    for part in [purpose.as_bytes()].iter().chain(parts) {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for half in [byte >> 4, byte & 15] {
            text.push(char::from_digit(half.into(), 16).unwrap_or('0'));
        }
        text
    })
}

/// Lower-case digits only: one value has one form.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let half = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().as_chunks::<2>().0) {
        *byte = half(pair[0])? << 4 | half(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_lists_are_alike() {
        let key = [1; 32];
        assert_ne!(mac(&key, "p", &[b"ab", b"c"]), mac(&key, "p", &[b"a", b"bc"]));
        assert_ne!(mac(&key, "p", &[b"a"]), mac(&key, "q", &[b"a"]));
        assert_ne!(mac(&key, "p", &[]), mac(&[2; 32], "p", &[]));
    }

    #[test]
    fn hexadecimal() {
        assert_eq!(hex(&[0, 0x9f, 0xff]), "009fff");
        assert_eq!(unhex::<3>("009fff"), Some([0, 0x9f, 0xff]));
        for bad in ["", "009ff", "009fff0", "009fFf", "+09fff", "00ä9f"] {
            assert_eq!(unhex::<3>(bad), None, "{bad}");
        }
    }
}
