//! Looking at functions, and taking them away.

use http::StatusCode;
use mote_core::action::{Action, Done};
use mote_core::dialect::Turn;
use serde_json::json;

use super::configuration::{self, Moment, TAGS};
use super::fault::Fault;
use super::names::Address;
use super::{bare, describe, number, query, refuse, tell, unexpected};
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
    Versions,
    Tags,
}

pub(super) fn get(address: Address, ask: Ask, told: Told) -> Result<Turn, Fault> {
    Ok(describe(address, ask, move |address, ask, description| {
        let function = &description.function;
        let mut configuration = configuration::of(function, &ask.account, Moment::At);
        if let Some(qualifier) = &address.qualifier {
            let arn = arn::of_function(function, &ask.account, Some(qualifier));
            configuration.insert("FunctionArn".into(), arn.into());
        }
        let tags = function.about.get(TAGS).cloned();
        let answer = match told {
            Told::Configuration => configuration.into(),
            Told::Versions => {
                let arn = arn::of_function(function, &ask.account, Some(&super::names::LATEST));
                configuration.insert("FunctionArn".into(), arn.into());
                json!({ "Versions": [configuration] })
            }
            Told::Tags => json!({ "Tags": tags.unwrap_or_else(|| json!({})) }),
            Told::Whole => {
                let mut whole = json!({ "Configuration": configuration, "Code": { "RepositoryType": "S3" } });
                if let (Some(whole), Some(tags)) = (whole.as_object_mut(), tags) {
                    whole.insert(TAGS.into(), tags);
                }
                whole
            }
        };
        tell(StatusCode::OK, &answer, ask.stamp.id)
    }))
}

/// In name order; the marker is the last name of the page before.
pub(super) fn list(ask: Ask) -> Result<Turn, Fault> {
    let limit = number(&ask, "MaxItems", 10_000)?.min(PAGE_MAX);
    let after = query(&ask, "Marker");
    // One more than the page tells whether there is another page.
    let what = Action::List { namespace: ask.namespace.clone(), after, limit: limit + 1 };
    Ok(Turn::act(ask.who.clone(), what, move |listed| {
        let functions = match listed {
            Ok(Done::Functions(functions)) => functions,
            Ok(_) => return refuse(&Fault::of(&unexpected()), ask.stamp.id),
            Err(error) => return refuse(&Fault::of(&error), ask.stamp.id),
        };
        let page = functions.get(..limit).unwrap_or(&functions);
        let told: Vec<_> = page.iter().map(|function| listed_as(function, &ask)).collect();
        let mut answer = json!({ "Functions": told });
        if let (true, Some(last), Some(answer)) = (functions.len() > limit, page.last(), answer.as_object_mut()) {
            answer.insert("NextMarker".into(), last.name.as_str().into());
        }
        tell(StatusCode::OK, &answer, ask.stamp.id)
    }))
}

/// A list says nothing of states.
fn listed_as(function: &mote_core::function::Function, ask: &Ask) -> serde_json::Map<String, serde_json::Value> {
    let mut told = configuration::of(function, &ask.account, Moment::At);
    told.retain(|name, _| !matches!(name.as_str(), "State" | "LastUpdateStatus" | "RuntimeVersionConfig"));
    told
}

pub(super) fn delete(address: Address, ask: Ask) -> Result<Turn, Fault> {
    if address.qualifier.as_deref() == Some(super::names::LATEST) {
        return Err(Fault::invalid("$LATEST version cannot be deleted without deleting the function."));
    }
    address.is_known(&ask)?;
    let what = Action::Remove { function: address.reference(&ask) };
    Ok(Turn::act(ask.who.clone(), what, move |removed| match removed {
        Ok(_) => Turn::Answer(bare(StatusCode::OK, ask.stamp.id)),
        Err(error) if error.code() == mote_core::Code::FunctionNotFound => refuse(&address.missing(&ask), ask.stamp.id),
        Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
    }))
}
