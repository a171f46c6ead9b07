//! What of a request nobody may read later: the values that show who called, by their names.
//!
//! One list for headers, parameters of the query, values of a path and attributes of an event. What
//! else is secret can't be told by a name; `keep_body = false` is for that.

use std::borrow::Cow;

use http::HeaderValue;

use super::HttpRequest;

/// How much is taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Care {
    /// What shows who called. For an event on its way to its function, which is given all else.
    Credentials,
    /// And what may do so. For what others look at.
    Suspects,
}

/// Names in lower case, their letters and digits alone: `X-Api-Key`, `api_key` and `login[apiKey]` all end in `apikey`.
struct Names {
    whole: &'static [&'static str],
    ends: &'static [&'static str],
}

const CREDENTIALS: Names = Names {
    whole: &["sig", "auth"],
    ends: &["token", "secret", "password", "passwd", "signature", "credential", "authorization", "apikey", "cookie"],
};
const SUSPECTS: Names = Names {
    whole: &["key", "code", "pass", "pin", "sas", "sid", "ticket"],
    ends: &[
        "accesskey",
        "accesskeyid",
        "assertion",
        "authkey",
        "credentials",
        "csrf",
        "customerkey",
        "functionskey",
        "hmac",
        "jwt",
        "masterkey",
        "otp",
        "passcode",
        "passphrase",
        "privatekey",
        "pwd",
        "samlresponse",
        "secretkey",
        "sessid",
        "session",
        "sessionid",
        "sharedkey",
        "signature256",
        "xsrf",
    ],
};
/// Stands where such a value stood.
const REDACTED: &str = "(not-kept)";

impl Care {
    pub(super) fn takes(self, name: &str) -> bool {
        let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
        let among = |names: &Names| names.whole.contains(&name.as_str()) || names.ends.iter().any(|end| name.ends_with(end));
        among(&CREDENTIALS) || self == Care::Suspects && among(&SUSPECTS)
    }

    pub fn redact(self, attributes: &mut serde_json::Map<String, serde_json::Value>) {
        attributes.iter_mut().filter(|(name, _)| self.takes(name)).for_each(|(_, value)| *value = REDACTED.into());
    }
}

/// Whether it stands where a value was that is not kept.
pub fn is_redacted(value: &serde_json::Value) -> bool {
    value.as_str() == Some(REDACTED)
}

impl HttpRequest {
    pub fn redact(&mut self, care: Care) {
        for (name, value) in &mut self.headers {
            if care.takes(name.as_str()) {
                *value = HeaderValue::from_static(REDACTED);
            } else {
                // `Referer` and its kind.
                in_its_query(value, |query| redacted(query, care));
            }
        }
        self.query = redacted(&self.query, care).into_owned();
        if care == Care::Suspects {
            self.redact_path();
        }
    }

    /// A route names the parts of its path, as in `/reset/{token}`.
    fn redact_path(&mut self) {
        for (_, value) in self.params.iter_mut().filter(|(name, _)| Care::Suspects.takes(name)) {
            let is_it = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy() == value.as_str();
            let parts = self.path.split('/').map(|part| if !part.is_empty() && is_it(part) { REDACTED } else { part });
            self.path = parts.collect::<Vec<_>>().join("/");
            *value = REDACTED.to_owned();
        }
    }

    /// Takes off what stands in the place of such values: it would be taken for one.
    pub fn without_redacted(mut self) -> HttpRequest {
        let mut kept = http::HeaderMap::with_capacity(self.headers.len());
        for (name, value) in self.headers.iter().filter(|(_, value)| *value != REDACTED) {
            let mut value = value.clone();
            in_its_query(&mut value, rest);
            kept.append(name, value);
        }
        self.headers = kept;
        self.query = rest(&self.query).into_owned();
        self.params.retain(|(_, value)| value != REDACTED);
        self
    }
}

fn in_its_query(value: &mut HeaderValue, change: impl Fn(&str) -> Cow<'_, str>) {
    let Some((before, query)) = value.to_str().ok().and_then(|text| text.split_once('?')) else { return };
    if let Cow::Owned(query) = change(query)
        && let Ok(changed) = HeaderValue::try_from(format!("{before}?{query}"))
    {
        *value = changed;
    }
}

/// The parameters with their separators: some servers take `;` for one, too.
fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split_inclusive(['&', ';']).map(|pair| pair.split_at(pair.trim_end_matches(['&', ';']).len()))
}

fn redacted(query: &str, care: Care) -> Cow<'_, str> {
    let name = |pair: &str| pair.find('=').unwrap_or(pair.len());
    let is_secret = |pair: &str| care.takes(&pair[..name(pair)]);
    if !pairs(query).any(|(pair, _)| is_secret(pair)) {
        return query.into();
    }
    let each = pairs(query).map(|(pair, end)| match is_secret(pair) {
        true => format!("{}={REDACTED}{end}", &pair[..name(pair)]),
        false => format!("{pair}{end}"),
    });
    each.collect::<String>().into()
}

fn rest(query: &str) -> Cow<'_, str> {
    if !query.contains(REDACTED) {
        return query.into();
    }
    let kept = pairs(query).filter(|(pair, _)| pair.split_once('=').is_none_or(|(_, value)| value != REDACTED));
    let kept: String = kept.flat_map(|(pair, end)| [pair, end]).collect();
    kept.trim_end_matches(['&', ';']).to_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_what_is_secret() {
        let check = |name: &str, credential: bool, suspect: bool| {
            assert_eq!((Care::Credentials.takes(name), Care::Suspects.takes(name)), (credential, suspect), "{name}");
        };
        for name in [
            "Authorization",
            "proxy-authorization",
            "Cookie",
            "set-cookie",
            "x-api-key",
            "api_key",
            "X-Amz-Security-Token",
            "X-Amz-Signature",
            "X-Amz-Credential",
            "access%5Ftoken",
            "id_token",
            "user[password]",
            "sig",
            "auth",
            "X-CSRFToken",
            "x-hub-signature",
            "client_secret",
        ] {
            check(name, true, true);
        }
        for name in [
            "key",
            "code",
            "pwd",
            "db.pwd",
            "session",
            "user_session",
            "PHPSESSID",
            "JSESSIONID",
            "connect.sid2",
            "sid",
            "jwt",
            "cf-access-jwt-assertion",
            "x-functions-key",
            "X-Auth-Key",
            "AWSAccessKeyId",
            "SAMLResponse",
            "otp",
            "pin",
            "ticket",
            "X-XSRF",
            "x-hub-signature-256",
            "x-amz-server-side-encryption-customer-key",
            "private_key",
        ] {
            check(name, false, name != "connect.sid2");
        }
        for name in [
            "",
            "a",
            "keyword",
            "sort_key",
            "idempotency-key",
            "sec-websocket-key",
            "zipcode",
            "author",
            "state",
            "max_tokens",
            "user-agent",
        ] {
            check(name, false, false);
        }
    }

    fn request() -> HttpRequest {
        let mut request = HttpRequest {
            query: "a=1&mote-signature=5eal;x=%20&X-Amz-Credential=me&login[password]=pw&key=cat.jpg&sig".into(),
            path: "/reset/t%6Fp/t".into(),
            params: vec![("token".into(), "top".into()), ("id".into(), "t".into())],
            ..Default::default()
        };
        for (name, value) in [
            ("authorization", "Bearer t0"),
            ("cookie", "a=b"),
            ("x-functions-key", "fk"),
            ("accept", "text/html"),
            ("referer", "https://shop.test/login?session=s1&page=2"),
        ] {
            request.headers.insert(name, HeaderValue::from_static(value));
        }
        request
    }

    #[test]
    fn nothing_that_may_show_who_called_is_kept() {
        let mut kept = request();
        kept.redact(Care::Suspects);
        let text = serde_json::to_string(&kept).unwrap();
        for secret in ["Bearer", "a=b", "fk", "5eal", "=me", "pw", "cat.jpg", "s1", "top", "t%6Fp"] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
        assert_eq!(
            kept.query,
            "a=1&mote-signature=(not-kept);x=%20&X-Amz-Credential=(not-kept)&login[password]=(not-kept)&key=(not-kept)&sig=(not-kept)"
        );
        assert_eq!(
            (kept.path.as_str(), kept.headers["referer"].to_str().unwrap()),
            ("/reset/(not-kept)/t", "https://shop.test/login?session=(not-kept)&page=2")
        );
        let read: HttpRequest = serde_json::from_str(&text).unwrap();
        assert_eq!(read, kept);
        let again = read.without_redacted();
        assert_eq!((again.query.as_str(), again.params.len(), again.headers.len()), ("a=1&x=%20", 1, 2));
        assert_eq!(again.headers["referer"], "https://shop.test/login?page=2");
    }

    #[test]
    fn an_event_on_its_way_loses_no_more_than_credentials() {
        let mut sent = request();
        sent.redact(Care::Credentials);
        let sent = sent.without_redacted();
        assert_eq!((sent.query.as_str(), sent.path.as_str(), sent.params.len()), ("a=1&x=%20&key=cat.jpg", "/reset/t%6Fp/t", 2));
        assert_eq!(sent.headers.len(), 3);
    }
}
