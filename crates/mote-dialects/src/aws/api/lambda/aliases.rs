//! Aliases: names for versions, with shares of the calls for others.

use std::collections::BTreeMap;

use http::StatusCode;
use mote_core::action::{Description, SettingsPatch};
use mote_core::dialect::Turn;
use mote_core::function::{Alias, Function, Name, Qualifier};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::code::outdated;
use super::fault::Fault;
use super::names::Address;
use super::{bare, describe, number, query, read, refuse, settings, tell};
use crate::aws::api::Ask;
use crate::aws::arn::{self, LATEST};

const PATTERN: &str = r"Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)";
const PAGE_MAX: usize = 50;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Wish {
    name: String,
    function_version: Option<String>,
    description: Option<String>,
    routing_config: Option<Routing>,
    revision_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Routing {
    additional_version_weights: BTreeMap<String, f64>,
}

pub(super) fn create(address: Address, ask: Ask) -> Result<Turn, Fault> {
    let wish: Wish = read(&ask.body)?;
    let name = alias_name(&wish.name)?;
    if wish.function_version.is_none() {
        return Err(Fault::constraint("null", "functionVersion", "Member must not be null"));
    }
    Ok(describe(address, ask, move |address, ask, description| {
        if description.settings.aliases.contains_key(&name) {
            let message = format!("Alias already exists: {}", arn_of(&description, &ask, &name));
            return refuse(&Fault::new(StatusCode::CONFLICT, "ResourceConflictException", message), ask.stamp.id);
        }
        set(address, ask, description, name, Alias::default(), wish, StatusCode::CREATED)
    }))
}

pub(super) fn update(address: Address, ask: Ask, name: &str) -> Result<Turn, Fault> {
    let wish: Wish = read(&ask.body)?;
    let name = alias_name(name)?;
    Ok(describe(address, ask, move |address, ask, description| {
        let Some(alias) = description.settings.aliases.get(&name).cloned() else {
            return refuse(&no_alias(&description, &ask, &name), ask.stamp.id);
        };
        let known = alias.about.get("RevisionId").and_then(Value::as_str);
        if wish.revision_id.as_deref().is_some_and(|revision| Some(revision) != known) {
            return refuse(&outdated(), ask.stamp.id);
        }
        set(address, ask, description, name, alias, wish, StatusCode::OK)
    }))
}

fn set(address: Address, ask: Ask, seen: Description, name: Name, alias: Alias, wish: Wish, status: StatusCode) -> Turn {
    let id = ask.stamp.id;
    let alias = match changed(alias, wish, &seen, &ask) {
        Ok(alias) => alias,
        Err(fault) => return refuse(&fault, id),
    };
    let patch = SettingsPatch { aliases: [(name.clone(), Some(alias))].into(), ..SettingsPatch::default() };
    settings::change(&address, ask, seen.revision, patch, move |ask, description| match description.settings.aliases.get(&name) {
        Some(alias) => tell(status, &told(&description, &ask, &name, alias), ask.stamp.id),
        None => refuse(&no_alias(&description, &ask, &name), ask.stamp.id),
    })
}

fn changed(mut alias: Alias, wish: Wish, seen: &Description, ask: &Ask) -> Result<Alias, Fault> {
    if let Some(version) = &wish.function_version {
        alias.version = number_of(version, seen, ask)?;
    }
    if let Some(routing) = wish.routing_config {
        let weights = routing.additional_version_weights;
        if weights.len() > 1 {
            return Err(Fault::invalid("Number of items in AdditionalVersionWeights cannot be greater than 1"));
        }
        let shares = weights.iter().map(|(version, weight)| Ok((number_of(version, seen, ask)?, *weight)));
        alias.shares = shares.collect::<Result<_, Fault>>()?;
    }
    if alias.shares.keys().chain([&alias.version]).any(|version| *version == Function::DRAFT) && !alias.shares.is_empty() {
        return Err(Fault::invalid("$LATEST is not supported for an alias pointing to more than 1 version"));
    }
    if alias.shares.contains_key(&alias.version) {
        return Err(Fault::invalid(format!(
            "Invalid function version {}. Function version {0} is already included in routing configuration.",
            alias.version
        )));
    }
    if let Some(weight) = alias.shares.values().find(|weight| !(0.0..=1.0).contains(*weight)) {
        return Err(Fault::constraint(
            &weight.to_string(),
            "routingConfig.additionalVersionWeights",
            "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0]",
        ));
    }
    if let Some(text) = wish.description {
        alias.about.insert("Description".into(), text.into());
    }
    alias.about.insert("RevisionId".into(), ask.stamp.id.to_string().into());
    Ok(alias)
}

/// A version that is there.
fn number_of(version: &str, seen: &Description, ask: &Ask) -> Result<u64, Fault> {
    let number = if version == LATEST { Some(Function::DRAFT) } else { version.parse().ok().filter(|number| *number != Function::DRAFT) };
    number.filter(|number| seen.versions.contains(number)).ok_or_else(|| {
        let arn = arn::of_function(&seen.function, &ask.account, Some(&version));
        Fault::missing(format!("Function not found: {arn}"))
    })
}

pub(super) fn get(address: Address, ask: Ask, name: &str) -> Result<Turn, Fault> {
    let name = alias_name(name)?;
    Ok(describe(address, ask, move |_, ask, description| match description.settings.aliases.get(&name) {
        Some(alias) => tell(StatusCode::OK, &told(&description, &ask, &name, alias), ask.stamp.id),
        None => refuse(&no_alias(&description, &ask, &name), ask.stamp.id),
    }))
}

/// Of one that is not there, too: it is gone. What was said of it goes with it.
pub(super) fn delete(address: Address, ask: Ask, name: &str) -> Result<Turn, Fault> {
    let name = alias_name(name)?;
    Ok(describe(address, ask, move |address, ask, description| {
        let about = settings::forgotten(&description, name.as_str());
        let patch = SettingsPatch { aliases: [(name, None)].into(), about, ..SettingsPatch::default() };
        settings::change(&address, ask, description.revision, patch, |ask, _| Turn::Answer(bare(StatusCode::NO_CONTENT, ask.stamp.id)))
    }))
}

/// In the order of their names; the marker is the last name of the page before.
pub(super) fn list(address: Address, ask: Ask) -> Result<Turn, Fault> {
    let limit = number(&ask, "MaxItems", 10_000)?.min(PAGE_MAX);
    Ok(describe(address, ask, move |_, ask, description| {
        let version = query(&ask, "FunctionVersion");
        let wanted = |alias: &Alias| version.as_ref().is_none_or(|version| arn::version_word(alias.version) == *version);
        let after = query(&ask, "Marker");
        let all = description.settings.aliases.iter();
        let rest = all.filter(|(name, alias)| wanted(alias) && after.as_deref().is_none_or(|after| name.as_str() > after));
        let page: Vec<_> = rest.take(limit + 1).collect();
        let told: Vec<_> = page.iter().take(limit).map(|(name, alias)| told(&description, &ask, name, alias)).collect();
        let mut answer = json!({ "Aliases": told });
        if let (Some((last, _)), Some(answer)) =
            (page.get(..limit).filter(|_| page.len() > limit).and_then(<[_]>::last), answer.as_object_mut())
        {
            answer.insert("NextMarker".into(), last.as_str().into());
        }
        tell(StatusCode::OK, &answer, ask.stamp.id)
    }))
}

fn alias_name(name: &str) -> Result<Name, Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let wrong = || Fault::constraint(name, "name", PATTERN);
    if name.is_empty() || name.len() > Name::LENGTH_MAX || !name.bytes().all(plain) {
        return Err(wrong());
    }
    Qualifier::alias(name).map_err(|_| wrong())
}

fn arn_of(description: &Description, ask: &Ask, name: &Name) -> String {
    arn::of_function(&description.function, &ask.account, Some(name))
}

fn no_alias(description: &Description, ask: &Ask, name: &Name) -> Fault {
    Fault::missing(format!("Cannot find alias arn: {}", arn_of(description, ask, name)))
}

fn told(description: &Description, ask: &Ask, name: &Name, alias: &Alias) -> Value {
    let mut told = json!({
        "AliasArn": arn_of(description, ask, name),
        "Name": name,
        "FunctionVersion": arn::version_word(alias.version),
        "Description": "",
    });
    if let Some(told) = told.as_object_mut() {
        told.extend(alias.about.clone());
        if !alias.shares.is_empty() {
            let weights: Map<String, Value> =
                alias.shares.iter().map(|(version, share)| (arn::version_word(*version), (*share).into())).collect();
            told.insert("RoutingConfig".into(), json!({ "AdditionalVersionWeights": weights }));
        }
    }
    told
}
