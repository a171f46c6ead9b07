//! What an event has besides when it came over HTTP, and how that lies on disk.
//!
//! Not here: who reads it off the wire (a dialect's `parse`), and what a function sees of it
//! (a dialect's `encode`).

use http::HeaderName;
use http::header::{self, HeaderValue};
use serde::{Deserialize, Serialize};

/// See the module's text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HttpRequest {
    #[serde(with = "method")]
    pub method: http::Method,
    /// Scheme and authority as the client wrote them, for absolute links.
    pub origin: String,
    /// The whole path, percent-encoded as it came.
    pub path: String,
    /// How many bytes of the path only lead to the function: its namespace, and at a function URL
    /// its name. Filled in when the route is resolved.
    pub mount: usize,
    /// Without the `?`, as it came.
    pub query: String,
    #[serde(with = "headers")]
    pub headers: http::HeaderMap,
    /// The values of the route's `{names}`, percent-decoded; filled in when the route is resolved.
    pub params: Vec<(String, String)>,
    /// The peer's address, without its port.
    pub peer: String,
}

/// Headers by which callers show who they are.
const SECRET_HEADERS: [HeaderName; 4] = [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE, header::SET_COOKIE];
/// Ends of the names of other headers, and of parameters of the query, that do the same.
const SECRET_ENDS: [&str; 10] =
    ["token", "secret", "password", "passwd", "signature", "credential", "authorization", "api-key", "api_key", "apikey"];
/// Stands where such a value stood.
const REDACTED: &str = "(not-kept)";

impl HttpRequest {
    /// Takes off what shows who called: no record of a call keeps it.
    pub fn redact(&mut self) {
        for (name, value) in &mut self.headers {
            if SECRET_HEADERS.contains(name) || is_secret(name.as_str()) {
                *value = HeaderValue::from_static(REDACTED);
            }
        }
        self.each_parameter(|name, pair| Some(if is_secret(name) { format!("{name}={REDACTED}") } else { pair.to_owned() }));
    }

    /// Takes off what stands in the place of such values: it would be taken for one.
    pub fn without_redacted(mut self) -> HttpRequest {
        let mut kept = http::HeaderMap::with_capacity(self.headers.len());
        for (name, value) in self.headers.iter().filter(|(_, value)| *value != REDACTED) {
            kept.append(name, value.clone());
        }
        self.headers = kept;
        self.each_parameter(|_, pair| (!pair.ends_with(&format!("={REDACTED}"))).then(|| pair.to_owned()));
        self
    }

    /// Most queries hold nothing of the kind, and are left as they are.
    fn each_parameter(&mut self, change: impl Fn(&str, &str) -> Option<String>) {
        if self.query.is_empty() {
            return;
        }
        let name = |pair: &str| pair.split_once('=').map_or(pair, |(name, _)| name).to_owned();
        let pairs = self.query.split('&').filter_map(|pair| change(&name(pair), pair));
        self.query = pairs.collect::<Vec<_>>().join("&");
    }
}

fn is_secret(name: &str) -> bool {
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy().to_ascii_lowercase();
    name == "sig" || name == "auth" || SECRET_ENDS.iter().any(|end| name.ends_with(end))
}

mod method {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(method: &http::Method, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(method.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<http::Method, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// Pairs, since a name may come again. A value that is no text loses what is none.
mod headers {
    use http::{HeaderMap, HeaderName, HeaderValue};
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(headers: &HeaderMap, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(headers.iter().map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()))))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<HeaderMap, D::Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in Vec::<(String, String)>::deserialize(from)? {
            headers.append(HeaderName::try_from(name).map_err(D::Error::custom)?, HeaderValue::try_from(value).map_err(D::Error::custom)?);
        }
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_shows_who_called_is_kept() {
        let mut request =
            HttpRequest { query: "a=1&mote-signature=5eal&x=%20&X-Amz-Credential=me&access%5Ftoken=t&sig".into(), ..Default::default() };
        for (name, value) in [("authorization", "Bearer t"), ("cookie", "a=b"), ("x-api-key", "k"), ("accept", "text/html")] {
            request.headers.insert(name, HeaderValue::from_static(value));
        }
        request.redact();
        let text = serde_json::to_string(&request).unwrap();
        for secret in ["Bearer", "a=b", "\"k\"", "5eal", "=me", "=t"] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
        assert!(text.contains("text/html") && text.contains("a=1&mote-signature="), "{text}");
        let read: HttpRequest = serde_json::from_str(&text).unwrap();
        assert_eq!(read, request);
        let replayed = read.without_redacted();
        assert_eq!((replayed.query.as_str(), replayed.headers.len()), ("a=1&x=%20", 1));
    }
}
