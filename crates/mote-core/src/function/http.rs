//! How the public door may reach a function: its URL, and the routes that are bindings.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Function;

/// A path that leads to a function.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HttpRoute {
    /// `/orders/{id}`; `{*rest}` takes the rest of the path.
    pub path: String,
    /// Empty: all.
    pub methods: Vec<String>,
    /// With all that lies below it: the path only leads there, and the function sees what comes behind.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub below: bool,
    /// In place of the function's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<UrlAccess>,
    /// The same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// What the function's dialect reads of it, and nobody else.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub about: Map<String, Value>,
}

impl HttpRoute {
    pub fn new(path: impl Into<String>, methods: Vec<String>) -> HttpRoute {
        HttpRoute { path: path.into(), methods, ..HttpRoute::default() }
    }
}

impl Function {
    /// Who may call it by that route, or by its URL.
    pub fn access_by(&self, route: Option<&HttpRoute>) -> UrlAccess {
        route.and_then(|route| route.access).unwrap_or(self.http.access)
    }

    /// What a page of another origin may do by that route, or by its URL.
    pub fn cors_by<'a>(&'a self, route: Option<&'a HttpRoute>) -> Option<&'a Cors> {
        route.and_then(|route| route.cors.as_ref()).or(self.http.cors.as_ref())
    }
}

/// How the public door may reach the function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpAccess {
    /// Whether `/<name>` answers; routes are bindings.
    pub url: bool,
    /// Who may call the URL and the routes.
    pub access: UrlAccess,
    /// Methods that the function URL takes; empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
}

impl Default for HttpAccess {
    fn default() -> Self {
        HttpAccess { url: true, access: UrlAccess::Public, methods: Vec::new(), cors: None }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UrlAccess {
    /// Anybody who reaches the door.
    #[default]
    Public,
    /// Who has a token with the right to invoke.
    Token,
    /// Who has a URL that was signed for this function, or such a token.
    Signed,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cors {
    /// `*`, or exact origins.
    pub origins: Vec<String>,
    /// Empty: the methods of the route.
    pub methods: Vec<String>,
    /// Request headers; empty: those that the browser asks for.
    pub headers: Vec<String>,
    /// Reply headers that the page may read.
    pub expose: Vec<String>,
    pub credentials: bool,
    pub max_age_s: u32,
}
