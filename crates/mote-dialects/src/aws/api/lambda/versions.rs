//! PublishVersion, and the list of what was published.

use http::StatusCode;
use mote_core::action::{Action, Done};
use mote_core::clock::Id;
use mote_core::dialect::Turn;
use mote_core::function::Function;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::code::outdated;
use super::configuration::{self, Moment};
use super::fault::Fault;
use super::names::Address;
use super::{describe, is_missing, number, query, read, refuse, tell, unexpected};
use crate::aws::api::Ask;
use crate::aws::arn;

const PAGE_MAX: usize = 50;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Publish {
    code_sha256: Option<String>,
    description: Option<String>,
    revision_id: Option<String>,
}

pub(super) fn publish(address: Address, ask: Ask) -> Result<Turn, Fault> {
    let publish: Publish = read(&ask.body)?;
    Ok(describe(address, ask, move |address, ask, description| {
        let (id, function) = (ask.stamp.id, description.function);
        if publish.revision_id.as_ref().is_some_and(|revision| *revision != function.id.to_string()) {
            return refuse(&outdated(), id);
        }
        let found = configuration::of(&function, &ask.account, Moment::At);
        let found = found.get("CodeSha256").and_then(Value::as_str).unwrap_or_default();
        if let Some(wanted) = publish.code_sha256.as_ref().filter(|wanted| !wanted.is_empty() && *wanted != found) {
            return refuse(
                &Fault::invalid(format!(
                    "CodeSHA256 ({wanted}) is different from current CodeSHA256 in $LATEST ({found}). Please try again with the CodeSHA256 in $LATEST."
                )),
                id,
            );
        }
        let about = publish.description.map(|text| ("Description".to_owned(), Value::from(text)));
        freeze(address, ask, about.into_iter().collect(), Some(function.id), (StatusCode::CREATED, Moment::At))
    }))
}

/// Makes a version of the draft as it is, and tells of it.
pub(super) fn freeze(
    address: Address,
    ask: Ask,
    about: Map<String, Value>,
    expect: Option<Id>,
    (status, moment): (StatusCode, Moment),
) -> Turn {
    let what = Action::Freeze { function: address.reference(&ask), about, expect };
    Turn::act(ask.who.clone(), what, move |frozen| match frozen {
        Ok(Done::Version(version)) => {
            let mut told = configuration::of(&version, &ask.account, moment);
            if moment == Moment::Created {
                // Of what was just made the function's own name is told, beside the version's number.
                told.insert("FunctionArn".into(), arn::of_function(&version, &ask.account, None).into());
            }
            tell(status, &told.into(), ask.stamp.id)
        }
        Ok(_) => refuse(&Fault::of(&unexpected()), ask.stamp.id),
        Err(error) if is_missing(&error) => refuse(&address.missing(&ask), ask.stamp.id),
        Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
    })
}

/// The draft first; the marker is the last number of the page before.
pub(super) fn list(address: Address, ask: Ask) -> Result<Turn, Fault> {
    let limit = number(&ask, "MaxItems", 10_000)?.min(PAGE_MAX);
    let after = match query(&ask, "Marker") {
        Some(marker) => Some(marker.parse().map_err(|_| Fault::invalid("The marker is none that this server gave."))?),
        None => None,
    };
    let what = Action::ListVersions { function: address.reference(&ask), after, limit: limit + 1 };
    Ok(Turn::act(ask.who.clone(), what, move |listed| {
        let versions = match listed {
            Ok(Done::Functions(versions)) => versions,
            Ok(_) => return refuse(&Fault::of(&unexpected()), ask.stamp.id),
            Err(error) if is_missing(&error) => return refuse(&address.missing(&ask), ask.stamp.id),
            Err(error) => return refuse(&Fault::of(&error), ask.stamp.id),
        };
        let page = versions.get(..limit).unwrap_or(&versions);
        let told: Vec<_> = page.iter().map(|version| told(version, &ask)).collect();
        let mut answer = json!({ "Versions": told });
        if let (true, Some(last), Some(answer)) = (versions.len() > limit, page.last(), answer.as_object_mut()) {
            answer.insert("NextMarker".into(), last.version.to_string().into());
        }
        tell(StatusCode::OK, &answer, ask.stamp.id)
    }))
}

pub(super) fn told(version: &Function, ask: &Ask) -> Map<String, Value> {
    let mut told = configuration::of(version, &ask.account, Moment::At);
    told.retain(|name, _| !matches!(name.as_str(), "State" | "LastUpdateStatus" | "RuntimeVersionConfig"));
    told.insert("FunctionArn".into(), arn::of_function(version, &ask.account, Some(&arn::version(version))).into());
    told
}
