//! The signature of what is posted, as the Standard Webhooks specification has it: HMAC-SHA256 over
//! `id.timestamp.body`, keyed by the Base64 behind `whsec_`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::error::{Code, Error, Result};
use crate::secret::Secret;

const PREFIX: &str = "whsec_";
/// The specification's bounds.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// `v1,…` for one attempt.
pub fn signature(secret: &Secret, id: &str, timestamp_s: u64, body: &[u8]) -> Result<String> {
    let mac = hmac(&key(secret)?, &[id.as_bytes(), b".", timestamp_s.to_string().as_bytes(), b".", body]);
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// The key's bytes.
pub fn key(secret: &Secret) -> Result<Vec<u8>> {
    let text = std::str::from_utf8(secret.reveal()).ok().map(str::trim);
    let key = text.and_then(|text| STANDARD.decode(text.strip_prefix(PREFIX).unwrap_or(text)).ok());
    key.filter(|key| KEY_BYTES.contains(&key.len())).ok_or_else(|| {
        Error::new(Code::CredentialInvalid, "the webhook's secret is no Base64 of 24 to 64 bytes, with whsec_ before it")
            .hint("Make one: `echo whsec_$(head -c 32 /dev/urandom | base64) | mote secret set NAME`.")
    })
}

pub(super) fn hmac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    // HMAC takes a key of any length.
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes any key");
    parts.iter().for_each(|part| mac.update(part));
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vector_of_the_published_libraries() {
        let secret = Secret::new(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_vec());
        let signed = signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#).unwrap();
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_that_is_none_is_refused() {
        for bad in ["", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!!", "hunter2"] {
            let error = key(&Secret::new(bad.as_bytes().to_vec())).expect_err(bad);
            assert_eq!(error.code(), Code::CredentialInvalid, "{bad}");
        }
    }
}
