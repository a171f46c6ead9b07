//! Settings that are kept and given back, and change nothing here: what becomes of circles of calls, and
//! when a runtime is updated.
//!
//! mote ends a circle after so many calls whatever is said, and runs the host's own runtimes. The signing
//! of code is not kept: no function has any, which is what is told of it.

use std::fmt::Display;

use http::StatusCode;
use mote_core::dialect::Turn;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::names::Address;
use super::{bare, describe, describe_named, read, refuse, settings, tell};
use crate::aws::api::Ask;
use crate::aws::arn::{self, LATEST};

const RECURSION: &str = "RecursiveLoop";
pub(super) const RUNTIMES: &str = "RuntimeManagement";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Recursion {
    recursive_loop: Option<String>,
}

pub(super) fn put_recursion(address: Address, ask: Ask) -> Result<Turn, Fault> {
    let wish: Recursion = read(&ask.body)?;
    let wanted = one_of(wish.recursive_loop, "recursiveLoop", &["Allow", "Terminate"])?;
    Ok(describe(unqualified(address)?, ask, move |address, ask, description| {
        let answer = json!({ RECURSION: wanted });
        let patch = settings::noted(RECURSION, wanted.into());
        settings::change(&address, ask, description.revision, patch, move |ask, _| tell(StatusCode::OK, &answer, ask.stamp.id))
    }))
}

pub(super) fn get_recursion(address: Address, ask: Ask) -> Result<Turn, Fault> {
    Ok(describe(unqualified(address)?, ask, |_, ask, description| {
        let said = description.settings.about.get(RECURSION).and_then(Value::as_str).unwrap_or("Terminate");
        tell(StatusCode::OK, &json!({ RECURSION: said }), ask.stamp.id)
    }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Management {
    update_runtime_on: Option<String>,
    runtime_version_arn: Option<String>,
}

pub(super) fn put_runtimes(address: Address, ask: Ask) -> Result<Turn, Fault> {
    let Management { update_runtime_on, runtime_version_arn } = read(&ask.body)?;
    let when = one_of(update_runtime_on, "updateRuntimeOn", &["Auto", "Manual", "FunctionUpdate"])?;
    if (when == "Manual") != runtime_version_arn.is_some() {
        return Err(Fault::invalid("RuntimeVersionArn is needed where UpdateRuntimeOn is Manual, and only there"));
    }
    Ok(describe_named(address, ask, move |address, ask, description| {
        let mut said = settings::by_qualifier(&description, RUNTIMES);
        let config = json!({ "UpdateRuntimeOn": when, "RuntimeVersionArn": runtime_version_arn });
        said.insert(word(&address).to_owned(), config.clone());
        let arn = arn_of(&address, &description, &ask);
        settings::change(&address, ask, description.revision, settings::noted(RUNTIMES, said.into()), move |ask, _| {
            tell(StatusCode::OK, &with_arn(config, arn), ask.stamp.id)
        })
    }))
}

pub(super) fn get_runtimes(address: Address, ask: Ask) -> Result<Turn, Fault> {
    Ok(describe_named(address, ask, |address, ask, description| {
        let said = settings::by_qualifier(&description, RUNTIMES).remove(word(&address));
        let config = said.unwrap_or_else(|| json!({ "UpdateRuntimeOn": "Auto", "RuntimeVersionArn": null }));
        let arn = arn_of(&address, &description, &ask);
        tell(StatusCode::OK, &with_arn(config, arn), ask.stamp.id)
    }))
}

fn arn_of(address: &Address, description: &mote_core::action::Description, ask: &Ask) -> String {
    arn::of_function(&description.function, &ask.account, address.qualifier.as_ref().map(|qualifier| qualifier as &dyn Display))
}

fn with_arn(mut config: Value, arn: String) -> Value {
    if let Some(config) = config.as_object_mut() {
        config.insert("FunctionArn".into(), arn.into());
    }
    config
}

/// Of a function without a signing configuration, as every one is here.
pub(super) fn get_signing(address: Address, ask: Ask) -> Result<Turn, Fault> {
    Ok(describe(address, ask, |_, ask, _| tell(StatusCode::OK, &Map::new().into(), ask.stamp.id)))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Signing {
    code_signing_config_arn: String,
}

/// There is none to give it.
pub(super) fn put_signing(address: Address, ask: Ask) -> Result<Turn, Fault> {
    let Signing { code_signing_config_arn: arn } = read(&ask.body)?;
    Ok(describe(address, ask, move |_, ask, _| {
        let message = format!(
            "The code signing configuration cannot be found. Check that the provided configuration is not deleted: {arn:.200}. mote signs no code."
        );
        refuse(&Fault::new(StatusCode::NOT_FOUND, "CodeSigningConfigNotFoundException", message), ask.stamp.id)
    }))
}

pub(super) fn delete_signing(address: Address, ask: Ask) -> Result<Turn, Fault> {
    Ok(describe(address, ask, |_, ask, _| Turn::Answer(bare(StatusCode::NO_CONTENT, ask.stamp.id))))
}

fn one_of(said: Option<String>, member: &'static str, known: &[&'static str]) -> Result<&'static str, Fault> {
    let shown = said.as_deref().unwrap_or("null");
    let found = known.iter().find(|known| **known == shown);
    found.copied().ok_or_else(|| {
        let set = format!("Member must satisfy enum value set: [{}]", known.join(", "));
        Fault::constraint(shown, member, set)
    })
}

fn unqualified(address: Address) -> Result<Address, Fault> {
    match &address.qualifier {
        Some(qualifier) if qualifier != LATEST => {
            Err(Fault::constraint(qualifier, "functionName", "Member must be a function without a qualifier"))
        }
        _ => Ok(address),
    }
}

fn word(address: &Address) -> &str {
    address.qualifier.as_deref().unwrap_or(LATEST)
}
