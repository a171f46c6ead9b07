//! What an event has besides when it came over HTTP, and how that lies on disk.
//!
//! Not here: who reads it off the wire (a dialect's `parse`), what a function sees of it (a
//! dialect's `encode`), and what of it is not kept ([`super::redact`]).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::function::HttpRoute;

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
    /// That it came by, if not by a URL; filled in with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Arc<HttpRoute>>,
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
