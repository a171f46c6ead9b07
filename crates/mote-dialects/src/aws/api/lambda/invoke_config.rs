//! How a function gets the events that nobody waits for: tries, age, destinations.
//!
//! Kept for each qualifier as it was said, beside the delivery that the core makes of it.

use std::fmt::Display;

use http::StatusCode;
use mote_core::action::{Description, SettingsPatch};
use mote_core::dialect::Turn;
use mote_core::function::delivery::{Delivery, Destination};
use mote_core::function::{Function, Name};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::names::Address;
use super::{bare, describe, number, read, refuse, settings, tell};
use crate::aws::api::Ask;
use crate::aws::arn::{self, LATEST};

pub(super) const CONFIGS: &str = "EventInvokeConfigs";
const RETRIES_MAX: u64 = 2;
const AGE_S: std::ops::RangeInclusive<u64> = 60..=21_600;

const DESTINATION_PATTERN: &str = r"Member must satisfy regular expression pattern: ^$|arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:([a-z]{2}(-gov)?-[a-z]+-\d{1})?:(\d{12})?:(.*)";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Wish {
    maximum_retry_attempts: Option<i64>,
    maximum_event_age_in_seconds: Option<i64>,
    destination_config: Option<Value>,
}

/// What is said in place of what was said before, or beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    Whole,
    Changed,
}

pub(super) fn put(address: Address, ask: Ask, put: Put) -> Result<Turn, Fault> {
    let wish: Wish = read(&ask.body)?;
    let said = wish.said()?;
    if said.is_empty() {
        return Err(Fault::invalid("You must specify at least one of error handling or destination setting."));
    }
    Ok(describe(address, ask, move |address, ask, description| {
        let mut configs = settings::by_qualifier(&description, CONFIGS);
        let before = configs.get(word(&address)).and_then(Value::as_object).cloned();
        let mut config = match (put, before) {
            (Put::Changed, Some(before)) => before,
            (Put::Changed, None) => return refuse(&none(&description, &address, &ask), ask.stamp.id),
            (Put::Whole, _) => Map::new(),
        };
        config.extend(said);
        config.insert("LastModified".into(), (ask.stamp.time.0 as f64 / 1000.0).into());
        let delivery = match delivery(&config, &description.function, &ask.account.of(&ask.namespace)) {
            Ok(delivery) => delivery,
            Err(fault) => return refuse(&fault, ask.stamp.id),
        };
        configs.insert(word(&address).to_owned(), config.into());
        let patch = SettingsPatch { deliveries: [(address.version(), Some(delivery))].into(), ..settings::noted(CONFIGS, configs.into()) };
        settings::change(&address.clone(), ask, description.revision, patch, move |ask, description| {
            let configs = settings::by_qualifier(&description, CONFIGS);
            let config = configs.get(word(&address)).and_then(Value::as_object).cloned().unwrap_or_default();
            tell(StatusCode::OK, &told(&description.function, &ask, word(&address), &config).into(), ask.stamp.id)
        })
    }))
}

impl Wish {
    fn said(self) -> Result<Map<String, Value>, Fault> {
        let between = |value: Option<i64>, member: &'static str, min: u64, max: u64| match value {
            Some(value) if value < min as i64 => {
                let limit = format_args!("Member must have value greater than or equal to {min}").to_string();
                Err(Fault::constraint(&value.to_string(), member, limit))
            }
            Some(value) if value > max as i64 => {
                let limit = format_args!("Member must have value less than or equal to {max}").to_string();
                Err(Fault::constraint(&value.to_string(), member, limit))
            }
            other => Ok(other),
        };
        for when in ["OnSuccess", "OnFailure"] {
            let arn = self.destination_config.as_ref().and_then(|config| config.get(when)?.get("Destination")?.as_str());
            if let Some(arn) = arn.filter(|arn| !arn.is_empty() && !arn.starts_with("arn:")) {
                let member =
                    if when == "OnSuccess" { "destinationConfig.onSuccess.destination" } else { "destinationConfig.onFailure.destination" };
                return Err(Fault::constraint(arn, member, DESTINATION_PATTERN));
            }
        }
        let retries = between(self.maximum_retry_attempts, "maximumRetryAttempts", 0, RETRIES_MAX)?;
        let age = between(self.maximum_event_age_in_seconds, "maximumEventAgeInSeconds", *AGE_S.start(), *AGE_S.end())?;
        let said = [
            ("MaximumRetryAttempts", retries.map(Value::from)),
            ("MaximumEventAgeInSeconds", age.map(Value::from)),
            ("DestinationConfig", self.destination_config),
        ];
        Ok(said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
    }
}

/// The function's own, changed as it is said.
fn delivery(config: &Map<String, Value>, function: &Function, account: &str) -> Result<Delivery, Fault> {
    let mut delivery = Delivery { dead_letters: None, ..function.delivery.clone() };
    let number = |name: &str| config.get(name).and_then(Value::as_u64);
    if let Some(retries) = number("MaximumRetryAttempts") {
        delivery.retry.attempts_max = retries as u32 + 1;
    }
    if let Some(age_s) = number("MaximumEventAgeInSeconds") {
        delivery.retry.age_max_ms = age_s * 1000;
    }
    let arn = |when: &str| config.get("DestinationConfig")?.get(when)?.get("Destination")?.as_str();
    let to = |when| arn(when).filter(|arn| !arn.is_empty()).map(|arn| own_destination(arn, account)).transpose();
    (delivery.on_success, delivery.on_failure) = (to("OnSuccess")?, to("OnFailure")?);
    Ok(delivery)
}

/// The same for a manifest.
pub(in crate::aws) fn destination_of(arn: &str, account: &str) -> Result<Destination, String> {
    own_destination(arn, account).map_err(|fault| fault.message)
}

/// One of this account.
pub(super) fn own_destination(arn: &str, account: &str) -> Result<Destination, Fault> {
    let destination = destination(arn)?;
    arn::check_owner(arn, account).map_err(|why| Fault::invalid(format!("{arn:.200}: {why}")))?;
    Ok(destination)
}

/// A queue, a topic or a function, by its ARN.
pub(super) fn destination(arn: &str) -> Result<Destination, Fault> {
    let wrong = || Fault::invalid(format!("The provided destination config DestinationArn is invalid: {arn:.200}"));
    let name = |text: &str| Name::new(text).map_err(|_| wrong());
    match arn.splitn(6, ':').collect::<Vec<_>>().as_slice() {
        ["arn", _, "sqs", _, _, queue] => name(queue).map(Destination::Queue),
        ["arn", _, "sns", _, _, topic] => name(topic).map(Destination::Topic),
        ["arn", _, "lambda", _, _, function] => {
            match function.strip_prefix("function:").unwrap_or_default().split(':').collect::<Vec<_>>()[..] {
                [function] | [function, LATEST] => name(function).map(Destination::Function),
                [_, _] => Err(Fault::absent("versions and aliases as destinations")),
                _ => Err(wrong()),
            }
        }
        ["arn", _, "events", ..] => Err(Fault::absent("event buses as destinations")),
        ["arn", _, "s3", ..] => Err(Fault::absent("buckets as destinations")),
        _ => Err(wrong()),
    }
}

pub(super) fn get(address: Address, ask: Ask) -> Result<Turn, Fault> {
    Ok(describe(address, ask, |address, ask, description| {
        let configs = settings::by_qualifier(&description, CONFIGS);
        match configs.get(word(&address)).and_then(Value::as_object) {
            Some(config) => tell(StatusCode::OK, &told(&description.function, &ask, word(&address), config).into(), ask.stamp.id),
            None => refuse(&none(&description, &address, &ask), ask.stamp.id),
        }
    }))
}

pub(super) fn delete(address: Address, ask: Ask) -> Result<Turn, Fault> {
    Ok(describe(address, ask, |address, ask, description| {
        let mut configs = settings::by_qualifier(&description, CONFIGS);
        if configs.remove(word(&address)).is_none() {
            return refuse(&none(&description, &address, &ask), ask.stamp.id);
        }
        let patch = SettingsPatch { deliveries: [(address.version(), None)].into(), ..settings::noted(CONFIGS, configs.into()) };
        settings::change(&address, ask, description.revision, patch, |ask, _| Turn::Answer(bare(StatusCode::NO_CONTENT, ask.stamp.id)))
    }))
}

/// All of them on one page: a function has few.
pub(super) fn list(address: Address, ask: Ask) -> Result<Turn, Fault> {
    number(&ask, "MaxItems", 50)?;
    Ok(describe(address, ask, |_, ask, description| {
        let configs = settings::by_qualifier(&description, CONFIGS);
        let told = configs.iter().filter_map(|(qualifier, config)| Some(told(&description.function, &ask, qualifier, config.as_object()?)));
        let told: Vec<_> = told.collect();
        tell(StatusCode::OK, &json!({ "FunctionEventInvokeConfigs": told }), ask.stamp.id)
    }))
}

fn told(function: &Function, ask: &Ask, qualifier: &str, config: &Map<String, Value>) -> Map<String, Value> {
    let mut told = config.clone();
    told.insert("FunctionArn".into(), arn::of_function(function, &ask.account, Some(&qualifier as &dyn Display)).into());
    let config = told.entry("DestinationConfig").or_insert_with(|| json!({}));
    for when in ["OnSuccess", "OnFailure"] {
        if let Some(config) = config.as_object_mut() {
            config.entry(when).or_insert_with(|| json!({}));
        }
    }
    told
}

fn none(description: &Description, address: &Address, ask: &Ask) -> Fault {
    let arn = arn::of_function(&description.function, &ask.account, Some(&word(address)));
    Fault::missing(format!("The function {arn} doesn't have an EventInvokeConfig"))
}

fn word(address: &Address) -> &str {
    address.qualifier.as_deref().unwrap_or(LATEST)
}
