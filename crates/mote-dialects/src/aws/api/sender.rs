//! Who sends a request to the aws door: whom its signature names, or anybody on this machine.
//!
//! Whether a signature is right is judged in core, as of every credential.

use http::request::Parts;
use http::{HeaderMap, HeaderName, Uri, header};
use mote_core::access::Credential;
use mote_core::access::sigv4::{Claim, SignedRequest};
use mote_core::dialect::Stamp;

use crate::aws::Keys;

pub(super) fn credential(claim: Option<Claim>, parts: &Parts, body: &[u8], local: bool) -> Credential {
    let signed = claim.map(|claim| Box::new(SignedRequest::new(claim, parts.into(), body)));
    match signed {
        signed if local => Credential::Local { signed },
        Some(signed) => Credential::Signed(signed),
        None => Credential::Anonymous,
    }
}

/// Whether it comes from this machine, where that is proof enough.
pub(in crate::aws) fn is_local(keys: Keys, uri: &Uri, headers: &HeaderMap, stamp: &Stamp) -> bool {
    let near = keys == Keys::Local && is_loopback(&stamp.peer);
    near && !is_a_browsers(headers) && !is_forwarded(headers) && names_this_machine(uri, headers)
}

fn is_loopback(peer: &str) -> bool {
    peer.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Any page that somebody looks at may post here; what it can't do is leave these out.
fn is_a_browsers(headers: &HeaderMap) -> bool {
    let own = |value: &header::HeaderValue| value == "none" || value == "same-origin";
    headers.contains_key(header::ORIGIN) || headers.get_all("sec-fetch-site").iter().any(|value| !own(value))
}

/// A proxy on this machine carries requests from elsewhere.
fn is_forwarded(headers: &HeaderMap) -> bool {
    const BY: [&str; 5] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];
    BY.iter().any(|name| headers.contains_key(HeaderName::from_static(name)))
}

/// A name that leads elsewhere today may lead here tomorrow: a page's own server can say so.
fn names_this_machine(uri: &Uri, headers: &HeaderMap) -> bool {
    let named = uri.authority().map(|authority| authority.as_str());
    let named = named.or_else(|| headers.get(header::HOST).and_then(|host| host.to_str().ok()));
    let Some(Ok(authority)) = named.map(str::parse::<http::uri::Authority>) else { return false };
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
        assert!(ask("127.0.0.1", &[here, ("sec-fetch-site", "none")]));
        let stamp = Stamp { id: Id(1), time: Timestamp(1), peer: "127.0.0.1".into(), origin: String::new() };
        let headers = HeaderMap::from_iter([(header::HOST, "localhost".parse().unwrap())]);
        assert!(!is_local(Keys::Known, &Uri::from_static("/"), &headers, &stamp));
    }
}
