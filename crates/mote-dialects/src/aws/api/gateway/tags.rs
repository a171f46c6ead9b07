//! Tags of an API and of its stages, which nothing here is found by.

use std::collections::BTreeMap;

use http::StatusCode;
use mote_core::access::sigv4::query_pairs;
use serde::Deserialize;
use serde_json::{Value, json};

use super::shelf::{self, Api};
use super::{Ask, Outcome, Refusal, bad, missing, read, tell};

const TAGS_MAX: usize = 50;
const KEY_BYTES_MAX: usize = 128;
const VALUE_BYTES_MAX: usize = 256;

type Tags = BTreeMap<String, String>;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wish {
    tags: Tags,
}

pub(super) fn list(ask: Ask, arn: &str) -> Outcome {
    of(ask, arn, |ask, mut api, stage| {
        let tags = tags(&mut api, stage.as_deref())?;
        Ok(tell(StatusCode::OK, &json!({ "tags": tags }), &ask))
    })
}

pub(super) fn add(ask: Ask, arn: &str) -> Outcome {
    let wish: Wish = read(&ask)?;
    of(ask, arn, move |ask, mut api, stage| {
        let tags = tags(&mut api, stage.as_deref())?;
        tags.extend(wish.tags);
        check(tags)?;
        shelf::keep(ask, api, |ask, _| Ok(tell(StatusCode::NO_CONTENT, &Value::Null, &ask)))
    })
}

pub(super) fn remove(ask: Ask, arn: &str) -> Outcome {
    let keys: Vec<String> =
        query_pairs(&ask.uri).unwrap_or_default().into_iter().filter(|(key, _)| key == "tagKeys").map(|(_, value)| value).collect();
    of(ask, arn, move |ask, mut api, stage| {
        tags(&mut api, stage.as_deref())?.retain(|key, _| !keys.contains(key));
        shelf::keep(ask, api, |ask, _| Ok(tell(StatusCode::NO_CONTENT, &Value::Null, &ask)))
    })
}

pub(super) fn check(tags: &Tags) -> Result<(), Refusal> {
    let long = |(key, value): (&String, &String)| key.is_empty() || key.len() > KEY_BYTES_MAX || value.len() > VALUE_BYTES_MAX;
    match tags.len() > TAGS_MAX || tags.iter().any(long) {
        true => Err(bad(format!("Invalid tags: at most {TAGS_MAX} of {KEY_BYTES_MAX} and {VALUE_BYTES_MAX} bytes"))),
        false => Ok(()),
    }
}

fn tags<'a>(api: &'a mut Api, stage: Option<&str>) -> Result<&'a mut Tags, Refusal> {
    match stage {
        None => Ok(&mut api.tags),
        Some(name) => api.stages.get_mut(name).map(|stage| &mut stage.tags).ok_or_else(super::stages::no_stage),
    }
}

/// `arn:aws:apigateway:<region>::/restapis/<id>[/stages/<name>]`.
fn of(ask: Ask, arn: &str, then: impl FnOnce(Ask, Api, Option<String>) -> Outcome + Send + 'static) -> Outcome {
    let path = match arn.splitn(6, ':').collect::<Vec<_>>().as_slice() {
        ["arn", _, "apigateway", _, _, path] => *path,
        _ => return Err(bad(format!("Invalid ARN specified in the request: {arn:.100}"))),
    };
    match path.trim_matches('/').split('/').collect::<Vec<_>>().as_slice() {
        ["restapis", id] => shelf::load(ask, id, |ask, api| then(ask, api, None)),
        ["restapis", id, "stages", name] => {
            let name = (*name).to_owned();
            shelf::load(ask, id, |ask, api| then(ask, api, Some(name)))
        }
        _ => Err(missing(format!("mote keeps tags of REST APIs and their stages, not of {path:.100}"))),
    }
}
