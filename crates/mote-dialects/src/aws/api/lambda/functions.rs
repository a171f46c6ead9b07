//! Looking at functions, and taking them away.

use std::sync::Arc;

use http::StatusCode;
use mote_core::action::{Action, Done, SettingsPatch};
use mote_core::dialect::Turn;
use mote_core::function::{Function, Qualifier};
use serde_json::{Map, Value, json};

use super::configuration::{self, Moment, TAGS};
use super::fault::Fault;
use super::names::Address;
use super::{bare, describe, is_missing, number, query, refuse, tell, unexpected};
use super::{concurrency, make, settings, tags, versions, zipped};
use crate::aws::api::Ask;
use crate::aws::arn;

/// Functions of one answer, as AWS has it.
const PAGE_MAX: usize = 50;

/// How much of a function its caller wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// With its tags, and where its code is.
    Whole,
    Configuration,
}

pub(super) fn get(address: Address, ask: Ask, told: Told) -> Result<Turn, Fault> {
    Ok(describe(address, ask, move |address, ask, description| {
        let function = &description.function;
        let mut configuration = configuration::of(function, &ask.account, Moment::At);
        // Of an alias the version that it leads to is told.
        if address.qualifier.as_deref() == Some(arn::LATEST) {
            let arn = arn::of_function(function, &ask.account, Some(&arn::LATEST));
            configuration.insert("FunctionArn".into(), arn.into());
        }
        let answer = match told {
            Told::Configuration => configuration.into(),
            Told::Whole => {
                let mut whole = json!({ "Configuration": configuration, "Code": { "RepositoryType": "S3", "Location": location(function, &address, &ask) } });
                let tags = Some(tags::of(&description)).filter(|tags| !tags.is_empty());
                let beside = [(TAGS, tags.map(Value::from)), ("Concurrency", description.settings.concurrency_max.map(concurrency::told))];
                if let Some(whole) = whole.as_object_mut() {
                    whole.extend(beside.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
                }
                whole
            }
        };
        tell(StatusCode::OK, &answer, ask.stamp.id)
    }))
}

/// Where its zip can be had; a caller who must sign signs that request as well.
fn location(function: &Function, address: &Address, ask: &Ask) -> String {
    let version = address.qualifier.as_ref().map(|qualifier| format!("?Qualifier={qualifier}")).unwrap_or_default();
    format!("{}/2015-03-31/functions/{}/code{version}", ask.stamp.origin, function.name)
}

pub(super) fn zip(address: Address, ask: Ask) -> Result<Turn, Fault> {
    Ok(describe(address, ask, |_, ask, description| make::zip_of(ask, &description.function, |ask, zip| zipped(zip, ask.stamp.id))))
}

/// In name order; the marker is the last name of the page before.
pub(super) fn list(ask: Ask) -> Result<Turn, Fault> {
    let all = query(&ask, "FunctionVersion").as_deref() == Some("ALL");
    let limit = number(&ask, "MaxItems", 10_000)?.min(if all { ALL_MAX } else { PAGE_MAX });
    let after = query(&ask, "Marker");
    // One more than the page tells whether there is another page.
    let what = Action::List { namespace: ask.namespace.clone(), after, limit: limit + 1 };
    Ok(Turn::act(ask.who.clone(), what, move |listed| {
        let functions = match listed {
            Ok(Done::Functions(functions)) => functions,
            Ok(_) => return refuse(&Fault::of(&unexpected()), ask.stamp.id),
            Err(error) => return refuse(&Fault::of(&error), ask.stamp.id),
        };
        let page = functions.get(..limit).unwrap_or(&functions).to_vec();
        let next = page.last().filter(|_| functions.len() > limit).map(|last| last.name.to_string());
        if all {
            return every_version(ask, page.into_iter(), Vec::new(), next);
        }
        let told = page.iter().map(|function| listed_as(function, &ask)).collect();
        paged(&ask, told, next)
    }))
}

/// Of functions whose every version is told, since each is asked for by itself.
const ALL_MAX: usize = 20;
/// More than a function ever has, with its draft.
const VERSIONS_MAX: usize = 2000;

fn every_version(ask: Ask, mut left: std::vec::IntoIter<Arc<Function>>, mut told: Vec<Map<String, Value>>, next: Option<String>) -> Turn {
    let Some(function) = left.next() else { return paged(&ask, told, next) };
    let what = Action::ListVersions { function: function.reference(), after: None, limit: VERSIONS_MAX };
    Turn::act(ask.who.clone(), what, move |listed| {
        // One that is gone meanwhile has none.
        if let Ok(Done::Functions(versions)) = listed {
            told.extend(versions.iter().map(|version| versions::told(version, &ask)));
        }
        every_version(ask, left, told, next)
    })
}

fn paged(ask: &Ask, told: Vec<Map<String, Value>>, next: Option<String>) -> Turn {
    let mut answer = Map::from_iter([("Functions".to_owned(), told.into())]);
    answer.extend(next.map(|next| ("NextMarker".to_owned(), next.into())));
    tell(StatusCode::OK, &answer.into(), ask.stamp.id)
}

/// A list says nothing of states.
fn listed_as(function: &Function, ask: &Ask) -> Map<String, Value> {
    let mut told = configuration::of(function, &ask.account, Moment::At);
    told.retain(|name, _| !matches!(name.as_str(), "State" | "LastUpdateStatus" | "RuntimeVersionConfig"));
    told
}

/// All of it, or one of its versions.
pub(super) fn delete(address: Address, ask: Ask) -> Result<Turn, Fault> {
    if address.qualifier.as_deref() == Some(arn::LATEST) {
        return Err(Fault::invalid("$LATEST version cannot be deleted without deleting the function."));
    }
    address.is_known(&ask)?;
    let what = match address.version() {
        Qualifier::Live => Action::Remove { function: address.reference(&ask) },
        Qualifier::Version(version) => Action::RemoveVersion { function: address.reference(&ask), version },
        Qualifier::Alias(_) => return Err(Fault::invalid("An alias is deleted by DeleteAlias; a version is named by its number.")),
    };
    Ok(Turn::act(ask.who.clone(), what, move |removed| match removed {
        Ok(_) => match address.qualifier.clone() {
            Some(version) => forget(Address::of(address.name), ask, version),
            None => Turn::Answer(bare(StatusCode::OK, ask.stamp.id)),
        },
        Err(error) if is_missing(&error) => refuse(&address.missing(&ask), ask.stamp.id),
        Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
    }))
}

/// What was said of a version that is gone. That this fails is no failure of its removal: no other version
/// gets its number.
fn forget(address: Address, ask: Ask, version: String) -> Turn {
    let gone = |id| Turn::Answer(bare(StatusCode::OK, id));
    let what = Action::Describe { function: address.reference(&ask), version: Qualifier::Live };
    Turn::act(ask.who.clone(), what, move |described| {
        let id = ask.stamp.id;
        let Ok(Done::Function(description)) = described else { return gone(id) };
        let about = settings::forgotten(&description, &version);
        if about.is_empty() {
            return gone(id);
        }
        let patch = Box::new(SettingsPatch { about, ..SettingsPatch::default() });
        let what = Action::Configure { function: address.reference(&ask), patch, expect: Some(description.revision) };
        Turn::act(ask.who, what, move |_| gone(id))
    })
}
