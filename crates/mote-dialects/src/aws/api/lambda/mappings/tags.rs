//! Tags of a mapping, which has an ARN of its own.

use std::collections::BTreeMap;

use http::StatusCode;
use mote_core::access::sigv4::query_pairs;
use mote_core::dialect::Turn;
use mote_core::function::{Bound, Seen};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::fault::Fault;
use super::super::{bare, read, refuse, tell, wish};
use super::{MAPPING, TAGS, find, keep, said};
use crate::aws::api::Ask;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Wish {
    tags: BTreeMap<String, String>,
}

/// The id in a mapping's ARN.
pub(in crate::aws::api::lambda) fn uuid_of(arn: &str, account: &str) -> Option<String> {
    match arn.split(':').collect::<Vec<_>>()[..] {
        // None has the empty id, and another account's are as none.
        ["arn", _, "lambda", _, owner, "event-source-mapping", id] => Some(if owner == account { id.to_owned() } else { String::new() }),
        _ => None,
    }
}

pub(in crate::aws::api::lambda) fn tags(ask: Ask, id: String, verb: &str) -> Result<Turn, Fault> {
    let new = if verb == "POST" { wish::tags(read::<Wish>(&ask.body)?.tags)? } else { None };
    let pairs = query_pairs(&ask.uri).unwrap_or_default();
    let gone: Vec<String> = pairs.into_iter().filter(|(name, _)| name == "tagKeys").map(|(_, key)| key).collect();
    let lists = verb == "GET";
    Ok(find(ask, id, move |ask, bound| {
        let mut tags = said(&bound).and_then(|said| said.get(TAGS)?.as_object()).cloned().unwrap_or_default();
        if lists {
            return tell(StatusCode::OK, &json!({ "Tags": tags }), ask.stamp.id);
        }
        if let Some((_, Value::Object(new))) = new {
            tags.extend(new);
        }
        tags.retain(|key, _| !gone.contains(key));
        match tags.len() {
            0..=wish::TAGS_MAX => {
                keep(ask, with(&bound, tags), Seen::This(bound), |ask, _| Turn::Answer(bare(StatusCode::NO_CONTENT, ask.stamp.id)))
            }
            _ => refuse(&wish::too_many_tags(), ask.stamp.id),
        }
    }))
}

fn with(bound: &Bound, tags: Map<String, Value>) -> Bound {
    let mut bound = bound.clone();
    if let Some(Value::Object(said)) = bound.about.get_mut(MAPPING) {
        said.insert(TAGS.to_owned(), tags.into());
    }
    bound
}
