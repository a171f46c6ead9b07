//! Signature Version 4: who signed this request, and what did they promise about its body?
//!
//! Pure: no clock, no I/O, and no operation of any service: each of the aws door's APIs verifies with
//! it and words a [`Refusal`] in its own way. Canonical text: `canonical.rs`. S3 streams its bodies,
//! so it verifies by itself and goes on with the [`Signer`]; who reads a body whole hands a
//! [`SignedRequest`] to [`super::Access`]. Signature Version 2 is deliberately not here.

mod canonical;
pub mod time;

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Method, Uri};
use sha2::{Digest, Sha256};

use super::Access;
use crate::clock::Timestamp;
use crate::error::{Code, Error};

pub use super::mac::hex;
pub use canonical::query_pairs;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SKEW_MAX_MS: u64 = 15 * 60 * 1000;
/// Seven days: what S3 allows a presigned URL.
const EXPIRES_MAX_S: u64 = 7 * 24 * 3600;
const SIGNED_HEADERS_MAX: usize = 100;

/// What a request says of its signer, not yet believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub key_id: String,
    date: String,
    pub region: String,
    pub service: String,
    /// `YYYYMMDDTHHMMSSZ`, as it was signed.
    time: String,
    signed_headers: Vec<String>,
    signature: Vec<u8>,
    /// In the query rather than in a header; then for how long.
    presigned_s: Option<u64>,
}

/// The key and the running signature, for those who verify what follows the headers.
#[derive(Clone)]
pub struct Signer {
    key: [u8; 32],
    time: String,
    scope: String,
    signature: String,
}

/// What of a request is signed beside its body.
#[derive(Clone, Copy)]
pub struct Head<'r> {
    pub method: &'r Method,
    pub uri: &'r Uri,
    pub headers: &'r HeaderMap,
}

impl<'r> From<&'r http::request::Parts> for Head<'r> {
    fn from(parts: &'r http::request::Parts) -> Head<'r> {
        Head { method: &parts.method, uri: &parts.uri, headers: &parts.headers }
    }
}

impl<'r> From<(&'r Method, &'r Uri, &'r HeaderMap)> for Head<'r> {
    fn from((method, uri, headers): (&'r Method, &'r Uri, &'r HeaderMap)) -> Head<'r> {
        Head { method, uri, headers }
    }
}

/// A request whose body was read whole, and what it says of its signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRequest {
    claim: Claim,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    payload_hash: String,
}

impl SignedRequest {
    pub fn new(claim: Claim, head: Head<'_>, body: &[u8]) -> SignedRequest {
        let (method, uri, headers) = (head.method.clone(), head.uri.clone(), head.headers.clone());
        SignedRequest { claim, method, uri, headers, payload_hash: hex(&Sha256::digest(body)) }
    }

    /// Whom it claims to come from.
    pub fn key_id(&self) -> &str {
        &self.claim.key_id
    }

    /// The key whose owner has sent this, or why nobody knows.
    pub fn verify(&self, access: &Access, now: Timestamp) -> Result<&str, Refusal> {
        let head = Head { method: &self.method, uri: &self.uri, headers: &self.headers };
        self.claim.verify(head, &self.payload_hash, access, now)?;
        Ok(&self.claim.key_id)
    }
}

/// Why a signature is not believed; each API has its own words for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub flaw: Flaw,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Another kind of authorization, or a request that can't be read.
    Unreadable,
    HeaderMalformed,
    QueryMalformed,
    /// Something that must be signed is not, or what is signed is not there.
    Uncovered,
    UnknownKey,
    Mismatch,
    /// Signed too far from now.
    Skewed,
    /// A URL before or after its time.
    Expired,
}

macro_rules! refusal {
    ($flaw:ident, $($text:tt)+) => {
        $crate::access::sigv4::Refusal { flaw: $crate::access::sigv4::Flaw::$flaw, text: format!($($text)+) }
    };
}
use refusal;

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refusal {}

/// Who words it for a client finds the refusal as the error's source.
impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        Error::new(Code::CredentialInvalid, refusal.text.clone()).caused_by(refusal)
    }
}

impl Claim {
    /// `None` if the request is not signed at all.
    pub fn read(head: Head<'_>) -> Result<Option<Claim>, Refusal> {
        let query = query_pairs(head.uri)?;
        if query.iter().any(|(name, _)| name == "X-Amz-Signature" || name == "X-Amz-Algorithm") {
            return Claim::from_query(&query).map(Some);
        }
        match head.headers.get(http::header::AUTHORIZATION) {
            Some(value) => Claim::from_header(value, head.headers).map(Some),
            None => Ok(None),
        }
    }

    fn from_header(value: &http::HeaderValue, headers: &HeaderMap) -> Result<Claim, Refusal> {
        let malformed = || refusal!(HeaderMalformed, "The Authorization header is not one of {ALGORITHM}");
        let text = value.to_str().map_err(|_| malformed())?;
        let Some(fields) = text.strip_prefix(ALGORITHM) else {
            return Err(refusal!(Unreadable, "This kind of authorization is not supported. Please use {ALGORITHM}"));
        };
        let (mut credential, mut signed, mut signature) = (None, None, None);
        for field in fields.split(',') {
            match field.trim().split_once('=') {
                Some(("Credential", v)) => credential = Some(v),
                Some(("SignedHeaders", v)) => signed = Some(v),
                Some(("Signature", v)) => signature = Some(v),
                _ => return Err(malformed()),
            }
        }
        let (Some(credential), Some(signed), Some(signature)) = (credential, signed, signature) else { return Err(malformed()) };
        let time = headers.get("x-amz-date").and_then(|v| v.to_str().ok());
        let time = time.ok_or_else(|| refusal!(Uncovered, "A signed request needs a valid x-amz-date header"))?;
        Claim::new(credential, signed, signature, time, None).ok_or_else(malformed)
    }

    fn from_query(query: &[(String, String)]) -> Result<Claim, Refusal> {
        let field = |name: &str| query.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        let malformed = |what: &str| refusal!(QueryMalformed, "{what}");
        if field("X-Amz-Algorithm") != Some(ALGORITHM) {
            return Err(malformed("X-Amz-Algorithm must be AWS4-HMAC-SHA256"));
        }
        let needed = |name: &str| field(name).ok_or_else(|| malformed(&format!("The query parameter {name} is missing")));
        let expires = needed("X-Amz-Expires")?.parse().ok().filter(|s| *s <= EXPIRES_MAX_S);
        let expires = expires.ok_or_else(|| malformed("X-Amz-Expires must be a number of seconds up to 604800"))?;
        let signed = needed("X-Amz-SignedHeaders")?;
        Claim::new(needed("X-Amz-Credential")?, signed, needed("X-Amz-Signature")?, needed("X-Amz-Date")?, Some(expires))
            .ok_or_else(|| malformed("The X-Amz-Credential, X-Amz-SignedHeaders or X-Amz-Signature parameter is malformed"))
    }

    fn new(credential: &str, signed: &str, signature: &str, time: &str, presigned_s: Option<u64>) -> Option<Claim> {
        let mut scope = credential.rsplitn(5, '/');
        let (end, service, region, date) = (scope.next()?, scope.next()?, scope.next()?, scope.next()?);
        let key_id = scope.next().filter(|id| !id.is_empty() && id.len() <= 128)?;
        let signature = canonical::unhex(signature).filter(|bytes| bytes.len() == 32)?;
        let signed_headers: Vec<String> = signed.split(';').map(str::to_ascii_lowercase).collect();
        let sound = end == "aws4_request" && signed_headers.len() <= SIGNED_HEADERS_MAX;
        sound.then(|| Claim {
            key_id: key_id.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            time: time.to_owned(),
            signed_headers,
            signature,
            presigned_s,
        })
    }

    pub fn is_presigned(&self) -> bool {
        self.presigned_s.is_some()
    }

    /// Believes the claim, or says why not. `payload_hash` is what the header announces.
    pub fn verify(&self, head: Head<'_>, payload_hash: &str, access: &Access, now: Timestamp) -> Result<Signer, Refusal> {
        self.check_time(now)?;
        self.check_coverage(head.headers)?;
        let secret = access
            .secret_of(&self.key_id)
            .ok_or_else(|| refusal!(UnknownKey, "The access key {:?} is not one of this server's", self.key_id))?;
        let key = [self.date.as_str(), &self.region, &self.service, "aws4_request"]
            .iter()
            .fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac(&key, part.as_bytes()).finalize().into_bytes().to_vec());
        let key: [u8; 32] = key.try_into().map_err(|_| refusal!(Mismatch, "A key of that kind can't be made"))?;
        let scope = format!("{}/{}/{}/aws4_request", self.date, self.region, self.service);
        let signer = Signer { key, time: self.time.clone(), scope, signature: hex(&self.signature) };
        // Some clients sign the path as they send it, others as S3 would encode it; both are right.
        for path in canonical::paths(head.uri, &self.service) {
            let text = canonical::request(head, &path, &self.signed_headers, payload_hash)?;
            let text = format!("{ALGORITHM}\n{}\n{}\n{}", signer.time, signer.scope, hex(&Sha256::digest(text)));
            if hmac(&signer.key, text.as_bytes()).verify_slice(&self.signature).is_ok() {
                return Ok(signer);
            }
        }
        Err(refusal!(
            Mismatch,
            "The signature that was computed here is not the one of the request. Check the secret key and how the request is signed"
        ))
    }

    fn check_time(&self, now: Timestamp) -> Result<(), Refusal> {
        let signed = time::parse(&self.time).ok_or_else(|| refusal!(Uncovered, "X-Amz-Date must look like 20260131T235959Z"))?;
        if self.time.get(..8) != Some(self.date.as_str()) {
            return Err(refusal!(Mismatch, "The date of the credential scope is not that of X-Amz-Date"));
        }
        let early = signed.since(now).as_millis() as u64 > SKEW_MAX_MS;
        match self.presigned_s {
            None if early || now.since(signed).as_millis() as u64 > SKEW_MAX_MS => Err(refusal!(
                Skewed,
                "The request was signed at {}, more than 15 minutes from this server's time {}",
                self.time,
                now.rfc3339()
            )),
            Some(_) if early => Err(refusal!(Expired, "Request is not yet valid")),
            Some(seconds) if now.since(signed).as_secs() >= seconds => Err(refusal!(Expired, "Request has expired")),
            _ => Ok(()),
        }
    }

    /// Without this, the bearer of a presigned PUT could add `x-amz-copy-source` to it and read
    /// whatever the signer may read.
    fn check_coverage(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let signed = |name: &str| self.signed_headers.iter().any(|s| s == name);
        let free = |name: &str| self.is_presigned() && name == "x-amz-content-sha256";
        let stray = headers.keys().map(http::HeaderName::as_str).find(|n| n.starts_with("x-amz-") && !signed(n) && !free(n));
        match stray {
            Some(name) => Err(refusal!(Uncovered, "The header {name} is in the request, but is not signed")),
            None if !signed("host") => Err(refusal!(Uncovered, "The host header must be signed")),
            None => Ok(()),
        }
    }
}

impl Signer {
    /// Whether `signature` follows the last one over this; if so it becomes the last one.
    pub fn follows(&mut self, kind: &str, over: &str, signature: &str) -> bool {
        let text = format!("{ALGORITHM}-{kind}\n{}\n{}\n{}\n{over}", self.time, self.scope, self.signature);
        let right = canonical::unhex(signature).is_some_and(|bytes| hmac(&self.key, text.as_bytes()).verify_slice(&bytes).is_ok());
        self.signature = signature.to_owned();
        right
    }
}

fn hmac(key: &[u8], data: &[u8]) -> Hmac<Sha256> {
    // HMAC takes a key of any length; the empty one stands in for an error that can't be.
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap_or_else(|_| <Hmac<Sha256> as KeyInit>::new(&Default::default()));
    mac.update(data);
    mac
}

/// The examples of the S3 API reference, which name each signature on the way.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{KeyPair, Root};
    use crate::clock::SystemClock;
    use http::Request;
    use http::request::Parts;
    use std::sync::Arc;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const MOMENT: &str = "20130524T000000Z";
    const CREDENTIAL: &str = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request";

    fn access() -> Access {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned();
        let keys = vec![KeyPair { id: "AKIAIOSFODNN7EXAMPLE".into(), secret }];
        Access::new(Root { token: "token".into(), keys, server_key: [0; 32] }, Arc::new(SystemClock::new()))
    }

    fn request(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn verify(parts: &Parts, hash: &str, moment: &str) -> Result<Signer, String> {
        let claim = Claim::read(parts.into()).map_err(|e| format!("{:?}", e.flaw))?.ok_or("unsigned")?;
        claim.verify(parts.into(), hash, &access(), time::parse(moment).unwrap()).map_err(|e| format!("{:?}", e.flaw))
    }

    fn get(signature: &str) -> Parts {
        let authorization =
            format!("{ALGORITHM} Credential={CREDENTIAL},SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature={signature}");
        let headers = [
            ("host", "examplebucket.s3.amazonaws.com"),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", EMPTY),
            ("x-amz-date", MOMENT),
            ("authorization", &authorization),
        ];
        request("GET", "/test.txt", &headers)
    }

    const GET: &str = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";

    #[test]
    fn a_signed_get() {
        assert!(verify(&get(GET), EMPTY, MOMENT).is_ok());
        assert_eq!(verify(&get(&GET.replace('f', "0")), EMPTY, MOMENT).err().unwrap(), "Mismatch");
        let mut other = get(GET);
        other.headers.insert("range", "bytes=0-10".parse().unwrap());
        assert_eq!(verify(&other, EMPTY, MOMENT).err().unwrap(), "Mismatch");
        let mut more = get(GET);
        more.headers.insert("x-amz-copy-source", "/secret/key".parse().unwrap());
        assert_eq!(verify(&more, EMPTY, MOMENT).err().unwrap(), "Uncovered");
    }

    #[test]
    fn fifteen_minutes_either_way() {
        let check = |moment, expect: Option<&str>| assert_eq!(verify(&get(GET), EMPTY, moment).err().as_deref(), expect, "{moment}");
        check("20130524T001500Z", None);
        check("20130524T001501Z", Some("Skewed"));
        check("20130523T234500Z", None);
        check("20130523T234459Z", Some("Skewed"));
    }

    #[test]
    fn a_presigned_get() {
        let uri = format!(
            "/test.txt?X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={}&X-Amz-Date={MOMENT}&X-Amz-Expires=86400\
             &X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
            CREDENTIAL.replace('/', "%2F")
        );
        let parts = request("GET", &uri, &[("host", "examplebucket.s3.amazonaws.com")]);
        let check = |moment, expect: Option<&str>| assert_eq!(verify(&parts, "UNSIGNED-PAYLOAD", moment).err().as_deref(), expect);
        check("20130524T235959Z", None);
        check("20130525T000000Z", Some("Expired"));
        check("20130523T000000Z", Some("Expired"));
    }

    #[test]
    fn signed_chunks_follow_each_other() {
        let hash = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
        let signed =
            "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class";
        let signature = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
        let authorization = format!("{ALGORITHM} Credential={CREDENTIAL},SignedHeaders={signed},Signature={signature}");
        let headers = [
            ("host", "s3.amazonaws.com"),
            ("x-amz-date", MOMENT),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("authorization", &authorization),
            ("x-amz-content-sha256", hash),
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", "66560"),
            ("content-length", "66824"),
        ];
        let mut signer = verify(&request("PUT", "/examplebucket/chunkObject.txt", &headers), hash, MOMENT).unwrap();
        let chunks: [(usize, &str); 3] = [
            (65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
            (1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
            (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
        ];
        for (size, signature) in chunks {
            let over = format!("{EMPTY}\n{}", hex(&Sha256::digest(vec![b'a'; size])));
            assert!(!signer.clone().follows("PAYLOAD", &over, GET));
            assert!(signer.follows("PAYLOAD", &over, signature));
        }
    }

    #[test]
    fn what_is_garbled_is_named() {
        let check = |authorization: &str, expect: &str| {
            let parts = request("GET", "/", &[("host", "h"), ("x-amz-date", MOMENT), ("authorization", authorization)]);
            assert_eq!(verify(&parts, EMPTY, MOMENT).err().unwrap(), expect, "{authorization}");
        };
        check("Basic abc", "Unreadable");
        check(ALGORITHM, "HeaderMalformed");
        check(&format!("{ALGORITHM} Credential=a, SignedHeaders=host, Signature={GET}"), "HeaderMalformed");
        check(&format!("{ALGORITHM} Credential={CREDENTIAL}, SignedHeaders=host, Signature=xyz"), "HeaderMalformed");
        let other = CREDENTIAL.replace("AKIA", "BKIA");
        let both = "host;x-amz-date";
        check(&format!("{ALGORITHM} Credential={other}, SignedHeaders={both}, Signature={GET}"), "UnknownKey");
        let date = CREDENTIAL.replace("20130524", "20130525");
        check(&format!("{ALGORITHM} Credential={date}, SignedHeaders={both}, Signature={GET}"), "Mismatch");
        check(&format!("{ALGORITHM} Credential={CREDENTIAL}, SignedHeaders=x-amz-date, Signature={GET}"), "Uncovered");
    }
}
