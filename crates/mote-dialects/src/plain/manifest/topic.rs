//! `[[topic]]` and `[[webhook]]`: what a function is subscribed to, and what providers post to it.
//! Reference: `docs/reference/manifest.md`.

use mote_core::function::{Binding, Name};
use mote_core::topic::Subscription;
use mote_core::topic::filter::Filter;
use mote_core::webhook::Inlet;
use mote_core::webhook::verify::Scheme;
use mote_core::{Error, Result};

use super::delivery::RETRY;
use super::http::path;
use super::invalid;
use super::keys::hint;
use super::section::{Section, Value};

pub(super) fn topic(table: &Section) -> Result<Binding> {
    table.expect_keys("[[topic]]", &[&["name", "filter"], RETRY].concat())?;
    let topic = table.get("name").ok_or_else(|| invalid("[[topic]] has no `name`").hint("Any name will do; a topic needs no creation."))?;
    let filter = table.get("filter").map(|value| told(&value, value.json().and_then(Filter::read))).transpose()?;
    Ok(Binding::Topic(
        Subscription { topic: told(&topic, Name::new(topic.text()?))?, filter, retry: None, adds: Default::default() }.into(),
    ))
}

pub(super) fn webhook(table: &Section) -> Result<Binding> {
    table.expect_keys("[[webhook]]", &["path", "verify", "secret", "topic"])?;
    let wanted = |key: &str| {
        table.get(key).ok_or_else(|| {
            invalid(format!("[[webhook]] has no `{key}`"))
                .hint("Such as `path = \"/hooks/github\"`, `verify = \"github\"`, `secret = \"github-hook\"`.")
        })
    };
    let (verify, secret) = (wanted("verify")?, wanted("secret")?);
    let name = |value: Value| told(&value, Name::new(value.text()?));
    let inlet = Inlet {
        path: path(&wanted("path")?)?,
        verify: told(&verify, verify.text()?.parse::<Scheme>())?,
        secret: name(secret)?,
        topic: table.get("topic").map(name).transpose()?,
    };
    Ok(Binding::Webhook(inlet.into()))
}

/// The error of core's, told of this key.
pub(super) fn told<T>(value: &Value, outcome: Result<T>) -> Result<T> {
    outcome.map_err(|error: Error| value.wrong(&format!("can't be taken: {}", error.detail())).hint(hint(&error)))
}
