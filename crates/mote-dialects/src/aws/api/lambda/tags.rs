//! Tags of a function: those it was created with, until they are changed.

use std::collections::BTreeMap;

use http::StatusCode;
use mote_core::access::sigv4::query_pairs;
use mote_core::action::Description;
use mote_core::dialect::Turn;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::configuration::TAGS;
use super::fault::Fault;
use super::names::Address;
use super::{bare, describe, read, settings, tell, wish};
use crate::aws::api::Ask;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Wish {
    tags: BTreeMap<String, String>,
}

pub(super) fn of(description: &Description) -> Map<String, Value> {
    let set = description.settings.about.get(TAGS).or_else(|| description.function.about.get(TAGS));
    set.and_then(Value::as_object).cloned().unwrap_or_default()
}

pub(super) fn list(address: Address, ask: Ask) -> Result<Turn, Fault> {
    Ok(describe(address, ask, |_, ask, description| tell(StatusCode::OK, &json!({ "Tags": of(&description) }), ask.stamp.id)))
}

pub(super) fn add(address: Address, ask: Ask) -> Result<Turn, Fault> {
    let new = wish::tags(read::<Wish>(&ask.body)?.tags)?;
    Ok(describe(address, ask, |address, ask, description| {
        let mut tags = of(&description);
        if let Some((_, Value::Object(new))) = new {
            tags.extend(new);
        }
        match tags.len() {
            0..=wish::TAGS_MAX => keep(&address, ask, &description, tags),
            _ => super::refuse(&wish::too_many_tags(), ask.stamp.id),
        }
    }))
}

pub(super) fn remove(address: Address, ask: Ask) -> Result<Turn, Fault> {
    let pairs = query_pairs(&ask.uri).unwrap_or_default();
    let keys: Vec<String> = pairs.into_iter().filter(|(name, _)| name == "tagKeys").map(|(_, key)| key).collect();
    if keys.is_empty() {
        return Err(Fault::constraint("null", "tagKeys", "Member must not be null"));
    }
    Ok(describe(address, ask, move |address, ask, description| {
        let mut tags = of(&description);
        tags.retain(|key, _| !keys.contains(key));
        keep(&address, ask, &description, tags)
    }))
}

fn keep(address: &Address, ask: Ask, seen: &Description, tags: Map<String, Value>) -> Turn {
    let patch = settings::noted(TAGS, tags.into());
    settings::change(address, ask, seen.revision, patch, |ask, _| Turn::Answer(bare(StatusCode::NO_CONTENT, ask.stamp.id)))
}
