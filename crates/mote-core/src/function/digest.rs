//! The name of an artifact: what is in it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// SHA-256 of an artifact's content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = Error;

    fn try_from(text: String) -> Result<Digest> {
        let bad = || Error::internal(format!("{text:?} is not a digest of 64 hexadecimal digits"));
        let mut bytes = [0; 32];
        // Asked digit by digit: the number parser below would take a sign.
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| bad())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
        }
        Ok(Digest(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests() {
        let check = |text: String, good: bool| assert_eq!(Digest::try_from(text.clone()).is_ok(), good, "{text:?}");
        check("0f".repeat(32), true);
        check("+f".repeat(32), false);
        check("0f".repeat(31), false);
        check("ä".repeat(32), false);
    }
}
