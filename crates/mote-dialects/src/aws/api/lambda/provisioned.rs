//! Provisioned concurrency: instances of a version that are kept ready, by its number or by an alias.
//!
//! The core keeps them, by the same names; when that was last said is remembered here. A service that
//! counts what it lends would allocate them; here they are there when they have started.

use std::fmt::Display;

use http::StatusCode;
use mote_core::action::{Description, SettingsPatch};
use mote_core::dialect::Turn;
use mote_core::engine::Ready;
use mote_core::function::Qualifier;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::concurrency::{ACCOUNT_MAX, UNRESERVED_MIN};
use super::fault::Fault;
use super::names::Address;
use super::{bare, describe_named, number, query, read, refuse, settings, tell};
use crate::aws::api::Ask;
use crate::aws::arn::{self, LATEST};

/// When each was last changed.
pub(super) const CONFIGS: &str = "ProvisionedConcurrency";
const PAGE_MAX: usize = 50;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wish {
    provisioned_concurrent_executions: i64,
}

pub(super) fn put(address: Address, ask: Ask) -> Result<Turn, Fault> {
    let Wish { provisioned_concurrent_executions: wanted } = read(&ask.body)?;
    let Some(instances) = u32::try_from(wanted).ok().filter(|instances| *instances > 0) else {
        let member = "provisionedConcurrentExecutions";
        return Err(Fault::constraint(&wanted.to_string(), member, "Member must have value greater than or equal to 1"));
    };
    published(&address, "Provisioned Concurrency Configs cannot be applied to unpublished function versions.")?;
    Ok(describe_named(address, ask, move |address, ask, description| {
        if let Err(fault) = free(&address.version(), instances, &description) {
            return refuse(&fault, ask.stamp.id);
        }
        let modified = ask.stamp.time.rfc3339().replace('Z', "+0000");
        let mut configs = settings::by_qualifier(&description, CONFIGS);
        configs.insert(word(&address), modified.as_str().into());
        let patch =
            SettingsPatch { instances_min: [(address.version(), Some(instances))].into(), ..settings::noted(CONFIGS, configs.into()) };
        settings::change(&address, ask, description.revision, patch, move |ask, _| {
            let told = told(instances, Ready::default(), &modified.into());
            tell(StatusCode::ACCEPTED, &told.into(), ask.stamp.id)
        })
    }))
}

/// Of one version either its number or aliases say it, and no more than there may be.
fn free(qualifier: &Qualifier, instances: u32, seen: &Description) -> Result<(), Fault> {
    let conflict = |message: &str| Err(Fault::new(StatusCode::CONFLICT, "ResourceConflictException", message));
    let kept = &seen.settings.instances_min;
    let leads = |name, version| seen.settings.aliases.get(name).is_some_and(|alias| alias.version == version);
    match qualifier {
        Qualifier::Alias(name) => {
            let version = seen.settings.aliases.get(name).map(|alias| alias.version).unwrap_or_default();
            if version == mote_core::function::Function::DRAFT {
                return Err(Fault::invalid("Provisioned Concurrency Configs cannot be applied to unpublished function versions."));
            }
            if kept.contains_key(&Qualifier::Version(version)) {
                return conflict("Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version");
            }
        }
        Qualifier::Version(version) => {
            if kept.keys().any(|other| matches!(other, Qualifier::Alias(name) if leads(name, *version))) {
                return conflict("Version is pointed by a Provisioned Concurrency alias");
            }
        }
        Qualifier::Live => {}
    }
    let others: u32 = kept.iter().filter(|(other, _)| *other != qualifier).map(|(_, instances)| *instances).sum();
    if seen.settings.concurrency_max.is_some_and(|reserved| others.saturating_add(instances) > reserved) {
        let message = "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function";
        return Err(Fault::invalid(message));
    }
    if instances > ACCOUNT_MAX {
        return Err(Fault::invalid(format!(
            "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [{ACCOUNT_MAX}]."
        )));
    }
    if instances > ACCOUNT_MAX - UNRESERVED_MIN {
        return Err(Fault::invalid(format!(
            "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [{UNRESERVED_MIN}]."
        )));
    }
    Ok(())
}

pub(super) fn get(address: Address, ask: Ask) -> Result<Turn, Fault> {
    published(&address, "The function resource provided must be an alias or a published version.")?;
    Ok(describe_named(address, ask, |address, ask, description| match of(&description, &address.version()) {
        Some(config) => tell(StatusCode::OK, &config.into(), ask.stamp.id),
        None => {
            let kind = "ProvisionedConcurrencyConfigNotFoundException";
            refuse(&Fault::new(StatusCode::NOT_FOUND, kind, "No Provisioned Concurrency Config found for this function"), ask.stamp.id)
        }
    }))
}

/// Of one that is not there, too.
pub(super) fn delete(address: Address, ask: Ask) -> Result<Turn, Fault> {
    published(&address, "The function resource provided must be an alias or a published version.")?;
    Ok(describe_named(address, ask, |address, ask, description| {
        let mut configs = settings::by_qualifier(&description, CONFIGS);
        configs.remove(&word(&address));
        let patch = SettingsPatch { instances_min: [(address.version(), None)].into(), ..settings::noted(CONFIGS, configs.into()) };
        settings::change(&address, ask, description.revision, patch, |ask, _| Turn::Answer(bare(StatusCode::NO_CONTENT, ask.stamp.id)))
    }))
}

/// In the order of their names; the marker is the last name of the page before.
pub(super) fn list(address: Address, ask: Ask) -> Result<Turn, Fault> {
    let limit = number(&ask, "MaxItems", PAGE_MAX)?;
    let after = query(&ask, "Marker");
    Ok(super::describe(address, ask, move |_, ask, description| {
        let names = description.settings.instances_min.keys().map(|qualifier| (qualifier.to_string(), qualifier));
        let mut rest: Vec<_> = names.filter(|(name, _)| after.as_ref().is_none_or(|after| name > after)).collect();
        rest.sort();
        let configs = rest.iter().take(limit).filter_map(|(name, qualifier)| {
            let mut config = of(&description, qualifier)?;
            let arn = arn::of_function(&description.function, &ask.account, Some(name as &dyn Display));
            config.insert("FunctionArn".into(), arn.into());
            Some(Value::from(config))
        });
        let mut answer = Map::from_iter([("ProvisionedConcurrencyConfigs".to_owned(), configs.collect())]);
        let last = rest.get(limit.saturating_sub(1)).filter(|_| rest.len() > limit);
        answer.extend(last.map(|(name, _)| ("NextMarker".to_owned(), name.as_str().into())));
        tell(StatusCode::OK, &answer.into(), ask.stamp.id)
    }))
}

fn of(description: &Description, qualifier: &Qualifier) -> Option<Map<String, Value>> {
    let wanted = *description.settings.instances_min.get(qualifier)?;
    let ready = description.ready.get(qualifier).copied().unwrap_or_default();
    let modified = settings::by_qualifier(description, CONFIGS).remove(&qualifier.to_string()).unwrap_or_default();
    Some(told(wanted, ready, &modified))
}

fn told(wanted: u32, ready: Ready, modified: &Value) -> Map<String, Value> {
    let mut told = Map::new();
    for (name, value) in [
        ("RequestedProvisionedConcurrentExecutions", wanted),
        ("AvailableProvisionedConcurrentExecutions", ready.instances),
        ("AllocatedProvisionedConcurrentExecutions", ready.instances),
    ] {
        told.insert(name.into(), value.into());
    }
    let status = match ready {
        Ready { instances, .. } if instances >= wanted => "READY",
        Ready { fails: true, .. } => "FAILED",
        Ready { fails: false, .. } => "IN_PROGRESS",
    };
    told.insert("Status".into(), status.into());
    if status == "FAILED" {
        told.insert("StatusReason".into(), "FUNCTION_ERROR_INIT_FAILURE".into());
    }
    told.insert("LastModified".into(), modified.clone());
    told
}

/// It is named, and no draft.
fn published(address: &Address, message: &str) -> Result<(), Fault> {
    match address.qualifier.as_deref() {
        None => Err(Fault::constraint("null", "qualifier", "Member must not be null")),
        Some(LATEST) => Err(Fault::invalid(message)),
        Some(_) => Ok(()),
    }
}

fn word(address: &Address) -> String {
    address.version().to_string()
}
