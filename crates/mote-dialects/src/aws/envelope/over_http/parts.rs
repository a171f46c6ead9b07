//! What the forms have in common of a request: its body as text, its headers, its host, and when it came.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{self, HeaderName, HeaderValue};
use mote_core::clock::Timestamp;
use mote_core::event::HttpRequest;

use super::Form;

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_PORT: &str = "x-forwarded-port";
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// A body as an event has it.
pub(super) struct Content<'b> {
    /// `None`: there is none.
    pub(super) text: Option<Cow<'b, str>>,
    pub(super) base64: bool,
}

impl<'b> Content<'b> {
    pub(super) fn of(body: &'b [u8], content_type: Option<&str>, form: Form) -> Content<'b> {
        if body.is_empty() {
            return Content { text: None, base64: false };
        }
        // A REST API takes everything for text that it was not told to be binary.
        let as_text = form == Form::Rest || content_type.is_none_or(is_text);
        match std::str::from_utf8(body) {
            Ok(text) if as_text => Content { text: Some(text.into()), base64: false },
            _ => Content { text: Some(BASE64.encode(body).into()), base64: true },
        }
    }
}

/// What an HTTP API passes on without base64; forms are not among it.
fn is_text(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    const KINDS: [&str; 4] = ["application/json", "application/javascript", "application/xml", "application/graphql"];
    kind.is_empty() || kind.starts_with("text/") || kind.ends_with("+json") || kind.ends_with("+xml") || KINDS.contains(&kind.as_str())
}

/// Each name with its values, in the order of names: those of the connection are left out, and what
/// only the platform says of the way is said anew.
pub(super) fn headers(request: &HttpRequest) -> Vec<(&str, Vec<Cow<'_, str>>)> {
    let mut all: Vec<(&str, Vec<Cow<'_, str>>)> = Vec::with_capacity(request.headers.keys_len() + 4);
    for name in request.headers.keys().filter(|name| !is_the_connections(name)) {
        let values = request.headers.get_all(name).iter().map(text);
        match name.as_str() {
            FORWARDED_FOR | FORWARDED_PORT | FORWARDED_PROTO => {}
            name => all.push((name, values.collect())),
        }
    }
    let (scheme, authority) = request.origin.split_once("://").unwrap_or(("http", &request.origin));
    if !request.headers.contains_key(header::HOST) {
        all.push((header::HOST.as_str(), vec![authority.into()]));
    }
    let mut peers: Vec<Cow<'_, str>> = request.headers.get_all(FORWARDED_FOR).iter().map(text).collect();
    peers.push(request.peer.as_str().into());
    all.push((FORWARDED_FOR, vec![peers.join(", ").into()]));
    let (_, port) = host_and_port(authority);
    let port = port.unwrap_or(if scheme == "https" { "443" } else { "80" });
    all.push((FORWARDED_PORT, vec![port.into()]));
    all.push((FORWARDED_PROTO, vec![scheme.into()]));
    all.sort_by_key(|(name, _)| *name);
    all
}

fn is_the_connections(name: &HeaderName) -> bool {
    const HOP: [HeaderName; 6] =
        [header::CONNECTION, header::EXPECT, header::TE, header::TRAILER, header::TRANSFER_ENCODING, header::UPGRADE];
    HOP.contains(name) || matches!(name.as_str(), "keep-alive" | "proxy-connection" | "http2-settings")
}

pub(super) fn text(value: &HeaderValue) -> Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes())
}

/// The name that the client has for the server, without a port, and the first part of it.
pub(super) fn domain(request: &HttpRequest) -> (Cow<'_, str>, String) {
    let authority = match request.headers.get(header::HOST) {
        Some(host) => text(host),
        None => request.origin.split_once("://").map_or(request.origin.as_str(), |(_, authority)| authority).into(),
    };
    let host = host_and_port(&authority).0.to_owned();
    let prefix = host.split('.').next().unwrap_or_default().to_owned();
    (host.into(), prefix)
}

fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        // Not the colons of an address in brackets.
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => (host, Some(port)),
        _ => (authority, None),
    }
}

pub(super) fn user_agent(request: &HttpRequest) -> Option<Cow<'_, str>> {
    request.headers.get(header::USER_AGENT).map(text)
}

/// As logs of web servers have it: `12/Mar/2020:19:03:58 +0000`.
pub(super) fn log_time(time: Timestamp) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = time.rfc3339();
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    let month = part(5, 7).parse::<usize>().ok().and_then(|month| MONTHS.get(month.checked_sub(1)?).copied());
    format!("{}/{}/{}:{} +0000", part(8, 10), month.unwrap_or_default(), part(0, 4), part(11, 19))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_text_is_passed_on_as_it_is() {
        let check = |body: &[u8], kind: Option<&str>, form: Form, expect: Option<&str>, base64: bool| {
            let content = Content::of(body, kind, form);
            assert_eq!((content.text.as_deref(), content.base64), (expect, base64), "{kind:?}");
        };
        for form in [Form::Rest, Form::HttpApi, Form::Url] {
            check(b"", Some("text/plain"), form, None, false);
            check("é".as_bytes(), Some("text/plain; charset=utf-8"), form, Some("é"), false);
            check(b"{}", Some("application/vnd.api+json"), form, Some("{}"), false);
            check(b"{}", None, form, Some("{}"), false);
            check(&[0xff, 0], Some("application/json"), form, Some("/wA="), true);
        }
        check(b"a=b", Some("application/x-www-form-urlencoded"), Form::Rest, Some("a=b"), false);
        check(b"a=b", Some("application/x-www-form-urlencoded"), Form::Url, Some("YT1i"), true);
        check(b"a", Some("image/svg"), Form::HttpApi, Some("YQ=="), true);
    }

    #[test]
    fn a_domain_has_no_port() {
        let check = |host: &str, domain: &str, prefix: &str| {
            let mut request = HttpRequest::default();
            request.headers.insert(header::HOST, host.parse().unwrap());
            assert_eq!(self::domain(&request), (domain.into(), prefix.to_owned()));
        };
        check("abc.lambda-url.us-east-1.localhost:8080", "abc.lambda-url.us-east-1.localhost", "abc");
        check("shop.example", "shop.example", "shop");
        check("[::1]:8080", "[::1]", "[::1]");
        let request = HttpRequest { origin: "https://h:1".into(), ..HttpRequest::default() };
        assert_eq!(domain(&request), ("h".into(), "h".to_owned()));
    }

    #[test]
    fn times_are_those_of_logs() {
        assert_eq!(log_time(Timestamp(1_584_039_838_000)), "12/Mar/2020:19:03:58 +0000");
        assert_eq!(log_time(Timestamp(0)), "01/Jan/1970:00:00:00 +0000");
    }
}
