//! Signed URLs: a call that whoever holds the URL may make until it expires, and no other call.
//!
//! A signature is bound to function, method, path and query, and to the token of whoever asked for
//! it: the URL is worth no more than that is when it is used. The key is made from the server's
//! and the namespace's generation, so that one step forward voids every URL of a namespace.
//! `mote-expires`, `mote-signer` and `mote-signature` stand in the query and are taken off it.

use std::collections::HashMap;
use std::sync::RwLock;
use std::time::Duration;

use subtle::ConstantTimeEq;

use super::mac::{hex, mac, unhex};
use super::tokens::TokenId;
use crate::clock::Timestamp;
use crate::error::{Code, Error, Result};
use crate::event::HttpRequest;
use crate::function::{FunctionRef, Name};
use crate::store::{Catalog, Write};

/// The longest time that a URL may be good for.
pub const LIFE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

const PREFIX: &str = "signing/";
const EXPIRES: &str = "mote-expires";
/// Of the administrator's URLs there is none: he ends with the server's key.
const SIGNER: &str = "mote-signer";
const SIGNATURE: &str = "mote-signature";

/// What a signature is over.
#[derive(Clone, Copy)]
pub struct Signable<'a> {
    pub function: &'a FunctionRef,
    pub method: &'a str,
    /// As it is sent, percent-encoded.
    pub path: &'a str,
    /// As it is sent, without the signature's own parameters.
    pub query: &'a str,
    /// Seconds since 1970.
    pub expires_s: u64,
    /// Whose token asked for it; `None`: the administrator's.
    pub signer: Option<TokenId>,
}

/// What a good signature says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    pub signer: Option<TokenId>,
}

/// The keys of signed URLs.
pub struct Signing {
    key: [u8; 32],
    /// Of the namespaces whose key was changed.
    generations: RwLock<HashMap<Name, u64>>,
}

impl Signing {
    pub(super) fn new(key: [u8; 32]) -> Signing {
        Signing { key, generations: RwLock::default() }
    }

    pub(super) async fn load(&self, catalog: &dyn Catalog) -> Result<()> {
        const PAGE: usize = 1000;
        let mut after = None;
        loop {
            let page = catalog.scan(PREFIX, after.as_deref(), PAGE).await?;
            for record in &page {
                let name = record.key.strip_prefix(PREFIX).unwrap_or_default();
                let generation = std::str::from_utf8(&record.value).ok().and_then(|text| text.parse().ok());
                let generation = generation.ok_or_else(|| Error::internal(format!("the record {} can't be read", record.key)))?;
                self.write().insert(Name::new(name)?, generation);
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.key.clone()),
                _ => return Ok(()),
            }
        }
    }

    /// The query that makes the request a signed one.
    pub fn query(&self, what: Signable<'_>) -> String {
        let between = if what.query.is_empty() { "" } else { "&" };
        let signer = what.signer.map(|id| format!("&{SIGNER}={}", hex(&id))).unwrap_or_default();
        format!("{}{between}{EXPIRES}={}{signer}&{SIGNATURE}={}", what.query, what.expires_s, hex(&self.sign(what)))
    }

    /// Takes a signature off the request's query; `None` if there is none. An error if it is not
    /// good for this request. Whether its signer still may is for the caller to ask.
    pub fn verify(&self, function: &FunctionRef, request: &mut HttpRequest, now: Timestamp) -> Result<Option<Signed>> {
        let Some((query, claim)) = parted(&request.query)? else { return Ok(None) };
        let Claim { expires_s, signer, .. } = claim;
        let what = Signable { function, method: request.method.as_str(), path: &request.path, query: &query, expires_s, signer };
        if !bool::from(self.sign(what).ct_eq(&claim.signature)) {
            return Err(Error::new(Code::CredentialInvalid, "the URL's signature is not one for this method, path and query")
                .hint("Use the URL as it was made, with its method; `mote sign` makes another."));
        }
        if claim.expires_s.saturating_mul(1000) <= now.0 {
            let end = Timestamp(claim.expires_s.saturating_mul(1000)).rfc3339();
            return Err(Error::new(Code::CredentialInvalid, format!("the URL expired at {end}")).hint("`mote sign` makes another."));
        }
        request.query = query;
        Ok(Some(Signed { signer }))
    }

    /// Voids every URL of a namespace that was signed before.
    pub(super) async fn rotate(&self, catalog: &dyn Catalog, namespace: &Name) -> Result<()> {
        let key = format!("{PREFIX}{namespace}");
        let expect = catalog.get(&key).await?.map_or(0, |record| record.revision);
        let next = self.generation(namespace) + 1;
        catalog.commit(vec![Write::Put { key, expect, value: next.to_string().into() }]).await?;
        self.write().insert(namespace.clone(), next);
        Ok(())
    }

    fn sign(&self, what: Signable<'_>) -> [u8; 32] {
        let namespace = &what.function.namespace;
        let generation = self.generation(namespace).to_be_bytes();
        let key = mac(&self.key, "signed URLs of a namespace", &[namespace.as_str().as_bytes(), &generation]);
        let texts = [what.function.name.as_str(), what.method, what.path, what.query].map(str::as_bytes);
        let expires = what.expires_s.to_be_bytes();
        let mut parts = vec![texts[0], texts[1], texts[2], texts[3], &expires];
        // Where there is none there is no part: so were URLs signed before signers were told.
        parts.extend(what.signer.as_ref().map(|id| &id[..]));
        mac(&key, "signed URL", &parts)
    }

    fn generation(&self, namespace: &Name) -> u64 {
        let generations = self.generations.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        generations.get(namespace).copied().unwrap_or_default()
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<Name, u64>> {
        self.generations.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

struct Claim {
    expires_s: u64,
    signer: Option<TokenId>,
    signature: [u8; 32],
}

/// The query without a signature's parameters, and what these say. Any query may come here.
fn parted(query: &str) -> Result<Option<(String, Claim)>> {
    let malformed = || {
        Error::new(Code::CredentialInvalid, format!("the URL's signature is not one: {EXPIRES} and {SIGNATURE} are wanted, once each"))
            .hint("Use the URL as it was made; `mote sign` makes another.")
    };
    let (mut expires, mut signer, mut signature, mut rest) = (None, None, None, Vec::new());
    for pair in query.split('&') {
        let slot = match pair.split_once('=') {
            Some((EXPIRES, value)) => (&mut expires, value),
            Some((SIGNER, value)) => (&mut signer, value),
            Some((SIGNATURE, value)) => (&mut signature, value),
            _ => {
                rest.push(pair);
                continue;
            }
        };
        if slot.0.replace(slot.1).is_some() {
            return Err(malformed());
        }
    }
    let (expires, signature) = match (expires, signature) {
        (None, None) if signer.is_none() => return Ok(None),
        (Some(expires), Some(signature)) => (expires, signature),
        _ => return Err(malformed()),
    };
    // One number has one form, or a URL could be written anew.
    let digits = !expires.is_empty() && !expires.starts_with('0') && expires.bytes().all(|byte| byte.is_ascii_digit());
    let expires_s = expires.parse().ok().filter(|_| digits).ok_or_else(malformed)?;
    let signature = unhex(signature).ok_or_else(malformed)?;
    let signer = signer.map(|id| unhex(id).ok_or_else(malformed)).transpose()?;
    Ok(Some((rest.join("&"), Claim { expires_s, signer, signature })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str) -> FunctionRef {
        FunctionRef { namespace: Name::default_namespace(), name: name.parse().unwrap() }
    }

    fn request(method: &str, path: &str, query: &str) -> HttpRequest {
        HttpRequest { method: method.parse().unwrap(), path: path.into(), query: query.into(), ..Default::default() }
    }

    /// A URL that the first release with signed URLs made, whose signatures knew of no signer.
    #[test]
    fn a_url_that_was_signed_before_signers_were_told_is_good() {
        let key = mac(&[1; 32], "signed URLs of a namespace", &[b"default", &0u64.to_be_bytes()]);
        let signature = mac(&key, "signed URL", &[b"f", b"GET", b"/f", b"a=1", &100u64.to_be_bytes()]);
        let mut request = request("GET", "/f", &format!("a=1&mote-expires=100&mote-signature={}", hex(&signature)));
        let found = Signing::new([1; 32]).verify(&function("f"), &mut request, Timestamp(0)).unwrap();
        assert_eq!((found, request.query.as_str()), (Some(Signed { signer: None }), "a=1"));
    }

    #[test]
    fn a_signature_is_for_one_call() {
        let signing = Signing::new([1; 32]);
        let f = function("f");
        let what = Signable { function: &f, method: "GET", path: "/f/x", query: "a=1&b=%20", expires_s: 100, signer: None };
        let signed = signing.query(what);
        let verify = |signing: &Signing, f: &FunctionRef, mut request: HttpRequest, now_ms| {
            let found = signing.verify(f, &mut request, Timestamp(now_ms)).map_err(|e| e.code());
            found.map(|found| found.map(|Signed { signer }| (request.query, signer)))
        };
        assert_eq!(verify(&signing, &f, request("GET", "/f/x", &signed), 99_999), Ok(Some(("a=1&b=%20".to_owned(), None))));
        let by_token = signing.query(Signable { signer: Some([10; 8]), ..what });
        assert_eq!(verify(&signing, &f, request("GET", "/f/x", &by_token), 0), Ok(Some(("a=1&b=%20".to_owned(), Some([10; 8])))));
        assert_eq!(verify(&signing, &f, request("GET", "/f/x", "a=1"), 0), Ok(None));
        let refused = |signing: &Signing, f: &FunctionRef, request, now_ms| {
            assert_eq!(verify(signing, f, request, now_ms), Err(Code::CredentialInvalid));
        };
        refused(&signing, &f, request("GET", "/f/x", &signed), 100_000);
        refused(&signing, &f, request("POST", "/f/x", &signed), 0);
        refused(&signing, &f, request("GET", "/f/y", &signed), 0);
        refused(&signing, &function("g"), request("GET", "/f/x", &signed), 0);
        refused(&Signing::new([2; 32]), &f, request("GET", "/f/x", &signed), 0);
        let others = [
            signed.replace("a=1", "a=2"),
            signed.replace("expires=100", "expires=999"),
            signed.replace("expires=100", "expires=0100"),
            signed.replace("a=1&", ""),
            format!("{signed}&c=3"),
            format!("{signed}&mote-expires=999"),
            format!("{signed}&mote-signer=0a0a0a0a0a0a0a0a"),
            by_token.replace("0a0a", "0b0b"),
            by_token.replace("&mote-signer=0a0a0a0a0a0a0a0a", ""),
            "mote-expires=100".to_owned(),
            "mote-signer=0a0a0a0a0a0a0a0a".to_owned(),
            "mote-signature=00".to_owned(),
        ];
        others.iter().for_each(|query| refused(&signing, &f, request("GET", "/f/x", query), 0));
    }
}
