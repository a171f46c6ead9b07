//! Reserved concurrency: how many calls of a function run at once, of all its versions together.

use http::StatusCode;
use mote_core::action::SettingsPatch;
use mote_core::dialect::Turn;
use serde::Deserialize;
use serde_json::{Value, json};

use super::fault::Fault;
use super::names::Address;
use super::{bare, describe, read, refuse, settings, tell};
use crate::aws::api::Ask;

/// Of an account's, so many are left for the functions that reserve none.
pub(super) const UNRESERVED_MIN: u32 = 100;
pub(super) const ACCOUNT_MAX: u32 = 1000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wish {
    reserved_concurrent_executions: i64,
}

pub(super) fn put(address: Address, ask: Ask) -> Result<Turn, Fault> {
    let Wish { reserved_concurrent_executions: wanted } = read(&ask.body)?;
    let calls = u32::try_from(wanted).map_err(|_| {
        Fault::constraint(&wanted.to_string(), "reservedConcurrentExecutions", "Member must have value greater than or equal to 0")
    })?;
    if calls > ACCOUNT_MAX - UNRESERVED_MIN {
        return Err(Fault::invalid(format!(
            "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [{UNRESERVED_MIN}]."
        )));
    }
    Ok(describe(address, ask, move |address, ask, description| {
        let provisioned: u32 = description.settings.instances_min.values().sum();
        if provisioned > calls {
            let message = format!(
                "ReservedConcurrentExecutions  {calls} should not be lower than function's total provisioned concurrency [{provisioned}]."
            );
            return refuse(&Fault::invalid(message), ask.stamp.id);
        }
        let patch = SettingsPatch { concurrency_max: Some(Some(calls)), ..SettingsPatch::default() };
        settings::change(&address, ask, description.revision, patch, move |ask, _| tell(StatusCode::OK, &told(calls), ask.stamp.id))
    }))
}

pub(super) fn get(address: Address, ask: Ask) -> Result<Turn, Fault> {
    Ok(describe(address, ask, |_, ask, description| {
        tell(StatusCode::OK, &description.settings.concurrency_max.map_or_else(|| json!({}), told), ask.stamp.id)
    }))
}

pub(super) fn delete(address: Address, ask: Ask) -> Result<Turn, Fault> {
    Ok(describe(address, ask, |address, ask, description| {
        let patch = SettingsPatch { concurrency_max: Some(None), ..SettingsPatch::default() };
        settings::change(&address, ask, description.revision, patch, |ask, _| Turn::Answer(bare(StatusCode::NO_CONTENT, ask.stamp.id)))
    }))
}

pub(super) fn told(calls: u32) -> Value {
    json!({ "ReservedConcurrentExecutions": calls })
}
