//! How the public door may reach a function. Its routes are bindings.

use serde::{Deserialize, Serialize};

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
