//! Whether a request that was posted here comes from who it says: the providers' schemes.
//!
//! Over the raw bytes, in constant time, and before anything is read of them. A scheme with a time
//! in its signature refuses what is five minutes off; what a provider sends again under one id is
//! taken once. Pure: the secret and the clock are given.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::sign::{self, hmac};
use crate::access::mac::unhex;
use crate::clock::Timestamp;
use crate::error::{Code, Error, Result};
use crate::function::Name;
use crate::secret::Secret;

const TOLERANCE_S: u64 = 300;
/// Of one header; a provider that rolls its secret over sends some.
const SIGNATURES_MAX: usize = 16;
const ID_BYTES_MAX: usize = 256;

/// A route that providers post to, `[[webhook]]` in a function's manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inlet {
    pub path: String,
    pub verify: Scheme,
    pub secret: Name,
    /// Published there, in place of sent to the function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<Name>,
}

/// How a provider signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Scheme {
    StandardWebhooks,
    GitHub,
    Stripe,
    Slack,
    GitLab,
    Shopify,
    /// HMAC-SHA256 of the body in this header, in hexadecimal or Base64; `sha256=` may stand before it.
    HmacSha256(http::HeaderName),
}

/// What is known of a request that verifies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// The provider's own name of this delivery: one that comes again is the same.
    pub once: Option<String>,
    /// What the provider calls it: `push`, `orders/create`.
    pub kind: Option<String>,
}

impl Scheme {
    pub fn verify(&self, secret: &Secret, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Verified> {
        let raw = secret.reveal().trim_ascii();
        let found = Headers(headers);
        // Anybody can sign with an empty key.
        if raw.is_empty() {
            return Err(unready());
        }
        match self {
            Scheme::StandardWebhooks => {
                let (id, at) = (found.id("webhook-id")?, found.text("webhook-timestamp")?);
                let key = sign::key(secret).map_err(|error| unready().caused_by(error))?;
                let mac = hmac(&key, &[id.as_bytes(), b".", at.as_bytes(), b".", body]);
                let offered = found.text("webhook-signature")?.split(' ').filter_map(|one| one.strip_prefix("v1,"));
                proven(mac, offered.map(from_base64))?;
                recent(at, now)?;
                Ok(Verified { once: Some(id.to_owned()), kind: None })
            }
            Scheme::GitHub => {
                let offered = found.text("x-hub-signature-256")?.strip_prefix("sha256=").map(unhex::<32>);
                proven(hmac(raw, &[body]), offered)?;
                Ok(Verified { once: found.maybe("x-github-delivery")?, kind: found.maybe("x-github-event")? })
            }
            Scheme::Stripe => {
                let header = found.text("stripe-signature")?;
                let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
                let at = parts().find(|(key, _)| *key == "t").map(|(_, at)| at).ok_or_else(|| refused("its Stripe-Signature has no t="))?;
                let offered = parts().filter(|(key, _)| *key == "v1").map(|(_, hex)| unhex::<32>(hex));
                let mac = hmac(raw, &[at.as_bytes(), b".", body]);
                let once = crate::access::mac::hex(&mac.clone().finalize().into_bytes());
                proven(mac, offered)?;
                recent(at, now)?;
                Ok(Verified { once: Some(once), kind: None })
            }
            Scheme::Slack => {
                let (at, header) = (found.text("x-slack-request-timestamp")?, found.text("x-slack-signature")?);
                proven(hmac(raw, &[b"v0:", at.as_bytes(), b":", body]), header.strip_prefix("v0=").map(unhex::<32>))?;
                recent(at, now)?;
                Ok(Verified { once: Some(header.to_owned()), kind: None })
            }
            Scheme::GitLab => {
                let token = found.text("x-gitlab-token")?;
                if !bool::from(token.as_bytes().ct_eq(raw)) {
                    return Err(refused("its X-Gitlab-Token is another"));
                }
                Ok(Verified { once: found.maybe("x-gitlab-event-uuid")?, kind: found.maybe("x-gitlab-event")? })
            }
            Scheme::Shopify => {
                proven(hmac(raw, &[body]), [from_base64(found.text("x-shopify-hmac-sha256")?)])?;
                Ok(Verified { once: found.maybe("x-shopify-webhook-id")?, kind: found.maybe("x-shopify-topic")? })
            }
            Scheme::HmacSha256(name) => {
                let text = found.text(name.as_str())?;
                let text = text.strip_prefix("sha256=").unwrap_or(text);
                proven(hmac(raw, &[body]), [unhex::<32>(&text.to_ascii_lowercase()), from_base64(text)])?;
                Ok(Verified::default())
            }
        }
    }

    /// The answer to a provider's question whether somebody is here; only after its signature was verified.
    pub fn handshake(&self, body: &[u8]) -> Option<String> {
        #[derive(Deserialize)]
        struct Challenge {
            r#type: String,
            challenge: String,
        }
        let Scheme::Slack = self else { return None };
        let asked: Challenge = serde_json::from_slice(body).ok()?;
        (asked.r#type == "url_verification").then_some(asked.challenge)
    }
}

struct Headers<'h>(&'h HeaderMap);

impl<'h> Headers<'h> {
    /// One of that name alone: who signs twice, signs nothing.
    fn text(&self, name: &str) -> Result<&'h str> {
        let mut values = self.0.get_all(name).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(refused(&format!("it has no {name}, or several")));
        };
        value.to_str().map_err(|_| refused(&format!("its {name} is no text")))
    }

    fn id(&self, name: &str) -> Result<&'h str> {
        let good = |id: &&str| (1..=ID_BYTES_MAX).contains(&id.len());
        Some(self.text(name)?).filter(good).ok_or_else(|| refused(&format!("its {name} is empty or too long")))
    }

    fn maybe(&self, name: &str) -> Result<Option<String>> {
        if self.0.contains_key(name) { self.id(name).map(|id| Some(id.to_owned())) } else { Ok(None) }
    }
}

fn from_base64(text: &str) -> Option<[u8; 32]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// An error unless one of the signatures is the right one. Each is compared in constant time.
fn proven(mac: impl Mac, offered: impl IntoIterator<Item = Option<[u8; 32]>>) -> Result<()> {
    let right = mac.finalize().into_bytes();
    let same = |one: [u8; 32]| bool::from(one.as_slice().ct_eq(&right));
    if offered.into_iter().take(SIGNATURES_MAX).flatten().any(same) {
        return Ok(());
    }
    Err(refused("its signature is not that of this body and the secret"))
}

fn recent(at: &str, now: Timestamp) -> Result<()> {
    // Asked digit by digit: the parser would take a sign.
    let at = at.bytes().all(|b| b.is_ascii_digit()).then(|| at.parse::<u64>().ok()).flatten();
    let at = at.ok_or_else(|| refused("its time is no number of seconds"))?;
    if at.abs_diff(now.0 / 1000) <= TOLERANCE_S {
        return Ok(());
    }
    Err(refused(&format!("it was signed {} s from now, more than the {TOLERANCE_S} s that are allowed", at.abs_diff(now.0 / 1000))))
}

/// A stranger is not told what is wrong here; a deploy warns whoever owns it, and the cause is for the log.
pub(super) fn unready() -> Error {
    Error::new(Code::SignatureInvalid, "nothing can be verified here yet")
}

fn refused(why: &str) -> Error {
    Error::new(Code::SignatureInvalid, format!("the request is not signed as this webhook wants it: {why}"))
        .hint("Compare the secret on both sides, and that nothing between them changes the body.")
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scheme::StandardWebhooks => "standard-webhooks",
            Scheme::GitHub => "github",
            Scheme::Stripe => "stripe",
            Scheme::Slack => "slack",
            Scheme::GitLab => "gitlab",
            Scheme::Shopify => "shopify",
            Scheme::HmacSha256(name) => return write!(f, "hmac-sha256:{name}"),
        })
    }
}

impl FromStr for Scheme {
    type Err = Error;

    fn from_str(text: &str) -> Result<Scheme> {
        let named = || text.strip_prefix("hmac-sha256:").and_then(|name| http::HeaderName::from_bytes(name.as_bytes()).ok());
        Ok(match text {
            "standard-webhooks" => Scheme::StandardWebhooks,
            "github" => Scheme::GitHub,
            "stripe" => Scheme::Stripe,
            "slack" => Scheme::Slack,
            "gitlab" => Scheme::GitLab,
            "shopify" => Scheme::Shopify,
            _ => named().map(Scheme::HmacSha256).ok_or_else(|| {
                let shown: String = text.chars().take(40).collect();
                Error::new(Code::ManifestInvalid, format!("{shown:?} is no way to verify a webhook"))
                    .hint("Known are standard-webhooks, github, stripe, slack, gitlab, shopify and hmac-sha256:HEADER.")
            })?,
        })
    }
}

impl From<Scheme> for String {
    fn from(scheme: Scheme) -> String {
        scheme.to_string()
    }
}

impl TryFrom<String> for Scheme {
    type Error = Error;

    fn try_from(text: String) -> Result<Scheme> {
        text.parse()
    }
}

#[cfg(test)]
mod tests;
