//! The query of a control request, read once and checked key by key.

use std::borrow::Cow;
use std::str::FromStr;

use mote_core::Result;
use mote_core::function::Name;

use super::invalid;

const KEYS_MAX: usize = 100;

pub(super) struct Query<'u>(Vec<(Cow<'u, str>, Cow<'u, str>)>);

impl<'u> Query<'u> {
    pub(super) fn new(uri: &'u http::Uri) -> Result<Query<'u>> {
        let pairs: Vec<_> = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).take(KEYS_MAX + 1).collect();
        if pairs.len() > KEYS_MAX {
            return Err(invalid(format!("the query has more than {KEYS_MAX} keys")));
        }
        Ok(Query(pairs))
    }

    /// The last of that name; empty is as good as absent.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_ref()).filter(|value| !value.is_empty())
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.get(key).map(str::to_owned)
    }

    pub(super) fn parse<T: FromStr>(&self, key: &str, wanted: &str) -> Result<Option<T>> {
        let Some(text) = self.get(key) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| wrong(key, text, wanted))
    }

    pub(super) fn flag(&self, key: &str) -> Result<bool> {
        match self.get(key) {
            None | Some("0" | "false") => Ok(false),
            Some("1" | "true") => Ok(true),
            Some(text) => Err(wrong(key, text, "1 or 0")),
        }
    }

    pub(super) fn count(&self, key: &str, default: usize, max: usize) -> Result<usize> {
        let wanted = format!("a number from 0 to {max}");
        match self.parse::<usize>(key, &wanted)? {
            None => Ok(default),
            Some(count) if count <= max => Ok(count),
            Some(count) => Err(wrong(key, &count.to_string(), &wanted)),
        }
    }

    pub(super) fn name(&self, key: &str) -> Result<Option<Name>> {
        self.get(key).map(Name::new).transpose()
    }

    pub(super) fn namespace(&self) -> Result<Name> {
        Ok(self.name("namespace")?.unwrap_or_else(Name::default_namespace))
    }
}

pub(super) fn wrong(key: &str, found: &str, wanted: &str) -> mote_core::Error {
    let found: String = found.chars().take(60).collect();
    invalid(format!("`{key}` is {found:?}, and {wanted} is wanted"))
}
