//! Who sends a request to the aws door: whom its signature names, code in a function, or anybody on this machine.
//!
//! Whether a signature is right is judged in core, as of every credential.

use http::request::Parts;
use http::{HeaderMap, HeaderName, Uri, header};
use mote_core::access::Credential;
use mote_core::access::sigv4::{Claim, SignedRequest};
use mote_core::dialect::Stamp;
use mote_core::function::Name;

use crate::aws::Keys;

/// By what a sender is known.
pub(super) enum Proof {
    /// He is on this machine, and that is enough.
    Local,
    Signature,
    /// His connection comes from an instance of this namespace.
    Inside(Name),
}

impl Proof {
    pub(super) fn credential(self, claim: Option<Claim>, parts: &Parts, body: &[u8]) -> Credential {
        let signed = || claim.map(|claim| Box::new(SignedRequest::new(claim, parts.into(), body)));
        match self {
            Proof::Local => Credential::Local { signed: signed() },
            Proof::Signature => signed().map_or(Credential::Anonymous, Credential::Signed),
            Proof::Inside(namespace) => Credential::Instance(namespace),
        }
    }
}

/// Whether it comes from this machine, where that is proof enough.
pub(in crate::aws) fn is_local(keys: Keys, uri: &Uri, headers: &HeaderMap, stamp: &Stamp) -> bool {
    let near = keys == Keys::Local && is_loopback(&stamp.peer);
    near && !is_a_strange_page(headers) && !is_forwarded(headers) && names_this_machine(uri, headers)
}

/// Whether a browser has sent it, for services that nobody reads in one: a GET with its fields in the
/// address changes things, whether a link in a mail leads there or a page that lies in a bucket.
pub(in crate::aws) fn is_a_browsers(headers: &HeaderMap) -> bool {
    const SAID: [&str; 3] = ["origin", "sec-fetch-site", "sec-fetch-dest"];
    SAID.iter().any(|name| headers.contains_key(*name)) || is_an_old_browsers(headers)
}

fn is_loopback(peer: &str) -> bool {
    peer.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Any page that somebody looks at may post here; what it can't do is leave these out.
fn is_a_strange_page(headers: &HeaderMap) -> bool {
    let own = |value: &header::HeaderValue| value == "none" || value == "same-origin";
    headers.contains_key(header::ORIGIN) || headers.get_all("sec-fetch-site").iter().any(|value| !own(value)) || is_an_old_browsers(headers)
}

/// One that does not say yet on whose behalf it asks.
fn is_an_old_browsers(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"Mozilla/"));
    agent && !headers.contains_key("sec-fetch-site")
}

/// A proxy on this machine carries requests from elsewhere.
fn is_forwarded(headers: &HeaderMap) -> bool {
    const BY: [&str; 6] = ["forwarded", "x-real-ip", "x-client-ip", "cf-connecting-ip", "true-client-ip", "via"];
    headers.keys().map(HeaderName::as_str).any(|name| name.starts_with("x-forwarded-") || BY.contains(&name))
}

/// A name that leads elsewhere today may lead here tomorrow: a page's own server can say so.
fn names_this_machine(uri: &Uri, headers: &HeaderMap) -> bool {
    let named = uri.authority().map(|authority| authority.as_str());
    let named = named.or_else(|| headers.get(header::HOST).and_then(|host| host.to_str().ok()));
    let Some(Ok(authority)) = named.map(str::parse::<http::uri::Authority>) else { return false };
    if headers.get_all(header::HOST).iter().count() > 1 {
        return false;
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost") || is_loopback(&host)
}

#[cfg(test)]
mod tests {
    use mote_core::clock::{Id, Timestamp};

    use super::*;

    fn ask(peer: &str, headers: &[(&'static str, &str)]) -> bool {
        let stamp = Stamp { id: Id(1), time: Timestamp(1), peer: peer.into(), origin: String::new() };
        let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
        is_local(Keys::Local, &Uri::from_static("/"), &headers, &stamp)
    }

    #[test]
    fn who_is_on_this_machine_needs_no_proof() {
        for host in ["127.0.0.1:4566", "127.8.9.1", "[::1]:4566", "localhost", "LOCALHOST:80", "photos.localhost:4566"] {
            assert!(ask("127.0.0.1", &[("host", host)]), "{host}");
        }
        assert!(ask("::1", &[("host", "localhost")]));
    }

    #[test]
    fn a_browser_a_proxy_and_a_strange_host_do() {
        let here = ("host", "127.0.0.1:4566");
        let check = |peer: &str, headers: &[(&'static str, &str)]| assert!(!ask(peer, headers), "{peer} {headers:?}");
        check("10.0.0.7", &[here]);
        check("127.0.0.1", &[]);
        check("127.0.0.1", &[("host", "evil.example")]);
        check("127.0.0.1", &[("host", "127.0.0.1.evil.example")]);
        check("127.0.0.1", &[("host", "localhost@evil.example")]);
        check("127.0.0.1", &[here, ("origin", "http://evil.example")]);
        check("127.0.0.1", &[here, ("origin", "null")]);
        check("127.0.0.1", &[here, ("sec-fetch-site", "cross-site")]);
        check("127.0.0.1", &[here, ("x-forwarded-for", "10.0.0.7")]);
        check("127.0.0.1", &[here, ("x-forwarded-proto", "https")]);
        check("127.0.0.1", &[here, ("cf-connecting-ip", "10.0.0.7")]);
        check("127.0.0.1", &[here, ("user-agent", "Mozilla/5.0 (Macintosh) Version/15.6 Safari/605.1.15")]);
        assert!(ask("127.0.0.1", &[here, ("sec-fetch-site", "none"), ("user-agent", "Mozilla/5.0 Firefox/140.0")]));
        let stamp = Stamp { id: Id(1), time: Timestamp(1), peer: "127.0.0.1".into(), origin: String::new() };
        let mut headers = HeaderMap::from_iter([(header::HOST, "localhost".parse().unwrap())]);
        assert!(!is_local(Keys::Known, &Uri::from_static("/"), &headers, &stamp));
        headers.append(header::HOST, "evil.example".parse().unwrap());
        assert!(!is_local(Keys::Local, &Uri::from_static("/"), &headers, &stamp));
    }
}
