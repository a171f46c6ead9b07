//! `[[http]]`, `[cors]` and `methods`: which requests reach a function, and what pages may do.
//! Reference: `docs/reference/manifest.md`.

use mote_core::Result;
use mote_core::function::{Binding, Cors};

use super::invalid;
use super::keys::{MINUTE, TEXT_BYTES_MAX};
use super::section::{Section, Value};

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

pub(super) fn route(table: &Section) -> Result<Binding> {
    table.expect_keys("[[http]]", &["path", "methods"])?;
    let at = table.get("path").ok_or_else(|| invalid("[[http]] has no `path`"))?;
    Ok(Binding::http(path(&at)?, table.get("methods").map(methods).transpose()?.unwrap_or_default()))
}

/// Of a route.
pub(super) fn path(path: &Value) -> Result<String> {
    let text = path.text()?;
    if !text.starts_with('/') || text.starts_with("/@") || text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(path.wanted("a path such as \"/orders/{id}\", which begins with '/' and not with \"/@\","));
    }
    Ok(text.to_owned())
}

pub(super) fn methods(value: Value) -> Result<Vec<String>> {
    let mut methods: Vec<String> = Vec::new();
    for method in value.texts(METHODS.len())? {
        let method = method.to_ascii_uppercase();
        if !METHODS.contains(&method.as_str()) {
            return Err(value.wanted(&format!("a list of {}", METHODS.join(", "))));
        }
        if !methods.contains(&method) {
            methods.push(method);
        }
    }
    Ok(methods)
}

pub(super) fn cors(value: Value) -> Result<Cors> {
    let table = value.table()?;
    table.expect_keys("[cors]", &["origins", "methods", "headers", "expose", "credentials", "max_age"])?;
    let list = |key: &str, good: fn(&str) -> bool, wanted: &str| -> Result<Vec<String>> {
        let Some(value) = table.get(key) else { return Ok(Vec::new()) };
        let texts = value.texts(100)?;
        if !texts.iter().all(|text| text.len() <= TEXT_BYTES_MAX && good(text)) {
            return Err(value.wanted(wanted));
        }
        Ok(texts.into_iter().map(str::to_owned).collect())
    };
    let is_header = |text: &str| http::HeaderName::from_bytes(text.as_bytes()).is_ok();
    let cors = Cors {
        origins: list("origins", is_origin, "a list of \"*\" or origins such as \"https://example.org\"")?,
        methods: table.get("methods").map(methods).transpose()?.unwrap_or_default(),
        headers: list("headers", is_header, "a list of header names")?,
        expose: list("expose", is_header, "a list of header names")?,
        credentials: table.get("credentials").map(|value| value.flag()).transpose()?.unwrap_or_default(),
        max_age_s: table
            .get("max_age")
            .map(|value| value.duration_ms(0..=24 * 60 * MINUTE))
            .transpose()?
            .map_or(0, |ms| (ms / 1000) as u32),
    };
    if cors.origins.is_empty() {
        return Err(value.wrong("allows no origin").hint("Set `origins` to [\"*\"] or to a list of origins."));
    }
    if cors.credentials && cors.origins.iter().any(|origin| origin == "*") {
        return Err(value
            .wrong("allows credentials to every origin")
            .hint("Name the origins that may send credentials; browsers refuse \"*\" there."));
    }
    Ok(cors)
}

/// `*`, or scheme and authority without a path, as browsers send it.
fn is_origin(text: &str) -> bool {
    let authority = text.split_once("://").filter(|(scheme, _)| !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric()));
    text == "*"
        || authority.is_some_and(|(_, host)| !host.is_empty() && host.bytes().all(|b| b.is_ascii_graphic() && !b"/?#@*".contains(&b)))
}
