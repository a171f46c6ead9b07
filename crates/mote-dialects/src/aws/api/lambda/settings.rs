//! Changes of what stands beside a function's versions: look, decide, change what was seen.

use mote_core::action::{Action, Description, Done, SettingsPatch};
use mote_core::dialect::Turn;
use serde_json::{Map, Value};

use super::fault::Fault;
use super::names::Address;
use super::{invoke_config, kept, policy, provisioned, refuse, unexpected};
use crate::aws::api::Ask;

/// Somebody else's change meanwhile makes this one fail, as the service has it.
pub(super) fn change(
    address: &Address,
    ask: Ask,
    seen: u64,
    patch: SettingsPatch,
    then: impl FnOnce(Ask, Description) -> Turn + Send + 'static,
) -> Turn {
    let what = Action::Configure { function: address.reference(&ask), patch: Box::new(patch), expect: Some(seen) };
    Turn::act(ask.who.clone(), what, move |changed| match changed {
        Ok(Done::Function(description)) => then(ask, *description),
        Ok(_) => refuse(&Fault::of(&unexpected()), ask.stamp.id),
        Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
    })
}

/// A patch of what is remembered of the function alone.
pub(super) fn noted(name: &str, value: Value) -> SettingsPatch {
    SettingsPatch { about: Map::from_iter([(name.to_owned(), value)]), ..SettingsPatch::default() }
}

/// All that is remembered of one qualifier, to be forgotten.
pub(super) fn forgotten(description: &Description, qualifier: &str) -> Map<String, Value> {
    let kept = [policy::POLICIES, invoke_config::CONFIGS, provisioned::CONFIGS, kept::RUNTIMES];
    let without = kept.into_iter().filter_map(|name| {
        let mut all = by_qualifier(description, name);
        all.remove(qualifier).map(|_| (name.to_owned(), all.into()))
    });
    without.collect()
}

/// What is remembered by qualifier: `{"$LATEST": …, "live": …}`.
pub(super) fn by_qualifier(description: &Description, name: &str) -> Map<String, Value> {
    description.settings.about.get(name).and_then(Value::as_object).cloned().unwrap_or_default()
}
