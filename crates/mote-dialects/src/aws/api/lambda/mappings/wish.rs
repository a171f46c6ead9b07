//! What is asked of a mapping: read, bounded, and held against its function and its queue.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use http::StatusCode;
use mote_core::function::{Function, Name, QueueBinding, Receiver};
use mote_core::queues::QueueInfo;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::fault::Fault;
use super::super::names::Address;
use super::super::wish::tags;
use super::{TAGS, filter};
use crate::aws::api::Ask;

const REPORTS: &str = "ReportBatchItemFailures";
/// Larger ones need a window, in which they can fill.
const BATCH_AT_ONCE_MAX: u64 = 10;
const BATCH_MAX: u64 = 10_000;
const WINDOW_S_MAX: u64 = 300;
const CONCURRENCY: RangeInclusive<u64> = 2..=1000;
const SOURCE_PATTERN: &str = r"Member must satisfy regular expression pattern: arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:([a-z]{2}(-gov)?(-iso([a-z])?)?-[a-z]+-\d{1})?:(\d{12})?:(.*)";

/// Of streams and brokers, which are read otherwise.
const NOT_OF_QUEUES: &[&str] = &[
    "StartingPosition",
    "StartingPositionTimestamp",
    "ParallelizationFactor",
    "BisectBatchOnFunctionError",
    "MaximumRetryAttempts",
    "MaximumRecordAgeInSeconds",
    "TumblingWindowInSeconds",
    "DestinationConfig",
    "Topics",
    "Queues",
    "SourceAccessConfigurations",
    "SelfManagedEventSource",
    "AmazonManagedKafkaEventSourceConfig",
    "SelfManagedKafkaEventSourceConfig",
    "DocumentDBEventSourceConfig",
];

/// Of queues, and nothing that mote could keep.
const ABSENT: &[(&str, &str)] = &[("KMSKeyArn", "encrypted filters"), ("ProvisionedPollerConfig", "provisioned pollers")];

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Wish {
    event_source_arn: Option<String>,
    pub(super) function_name: Option<String>,
    pub(super) enabled: Option<bool>,
    batch_size: Option<i64>,
    maximum_batching_window_in_seconds: Option<i64>,
    filter_criteria: Option<filter::Criteria>,
    function_response_types: Option<Vec<String>>,
    scaling_config: Option<Scaling>,
    metrics_config: Option<Value>,
    tags: BTreeMap<String, String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Scaling {
    maximum_concurrency: Option<i64>,
}

/// As a mapping is of which nothing more is said.
pub(super) fn defaults(arn: String) -> Map<String, Value> {
    let said = json!({ "EventSourceArn": arn, "BatchSize": 10, "MaximumBatchingWindowInSeconds": 0, "FunctionResponseTypes": [] });
    said.as_object().cloned().unwrap_or_default()
}

impl Wish {
    /// The queue's ARN, and its name.
    pub(super) fn source(&self, ask: &Ask) -> Result<(String, Name), Fault> {
        let Some(arn) = &self.event_source_arn else {
            return Err(match self.others.get("SelfManagedEventSource") {
                Some(_) => Fault::absent("Kafka as an event source"),
                None => Fault::invalid("Unrecognized event source, must be kafka or specify an EventSourceArn"),
            });
        };
        let source = match arn.splitn(6, ':').collect::<Vec<_>>()[..] {
            ["arn", _, "sqs", _, account, name] => (account == ask.account.of(&ask.namespace)).then_some(name),
            ["arn", _, "kinesis", ..] => return Err(Fault::absent("Kinesis streams as event sources")),
            ["arn", _, "dynamodb", ..] => return Err(Fault::absent("DynamoDB streams as event sources")),
            ["arn", _, "kafka", ..] => return Err(Fault::absent("Kafka as an event source")),
            ["arn", _, "mq", ..] => return Err(Fault::absent("brokers of Amazon MQ as event sources")),
            ["arn", _, "rds", ..] => return Err(Fault::absent("DocumentDB as an event source")),
            ["arn", ..] => return Err(Fault::invalid(format!("Unrecognized event source: {arn:.200}"))),
            _ => return Err(Fault::constraint(arn, "eventSourceArn", SOURCE_PATTERN)),
        };
        self.of_queues()?;
        // Another account's are not there at all.
        let name = source.and_then(|name| Name::new(name).ok()).ok_or_else(no_queue)?;
        Ok((arn.clone(), name))
    }

    /// Nothing is asked that a queue has not.
    pub(super) fn of_queues(&self) -> Result<(), Fault> {
        let asked = |member: &str| self.others.get(member).is_some_and(|value| !value.is_null());
        if let Some((_, what)) = ABSENT.iter().find(|(member, _)| asked(member)) {
            return Err(Fault::absent(what));
        }
        match NOT_OF_QUEUES.iter().find(|member| asked(member)) {
            Some(member) => Err(Fault::invalid(format!("{member} is not valid for SQS event sources."))),
            None => Ok(()),
        }
    }

    /// What is asked in place of what was said.
    pub(super) fn change(&self, said: &mut Map<String, Value>) -> Result<(), Fault> {
        let mut set = |member: &str, value: Value| {
            match value.is_null() {
                true => said.remove(member),
                false => said.insert(member.to_owned(), value),
            };
        };
        if let Some(size) = self.batch_size {
            set("BatchSize", within(size, "batchSize", 1..=BATCH_MAX)?.into());
        }
        if let Some(window) = self.maximum_batching_window_in_seconds {
            set("MaximumBatchingWindowInSeconds", within(window, "maximumBatchingWindowInSeconds", 0..=WINDOW_S_MAX)?.into());
        }
        if let Some(criteria) = &self.filter_criteria {
            criteria.filters()?;
            set("FilterCriteria", criteria.told());
        }
        if let Some(types) = &self.function_response_types {
            if types.len() > 1 || types.iter().any(|one| one != REPORTS) {
                let wanted = format!("Member must satisfy constraint: [Member must satisfy enum value set: [{REPORTS}]]");
                return Err(Fault::constraint(&format!("[{}]", types.join(", ")), "functionResponseTypes", wanted));
            }
            set("FunctionResponseTypes", types.clone().into());
        }
        if let Some(Scaling { maximum_concurrency }) = &self.scaling_config {
            let most = maximum_concurrency.map(|most| within(most, "scalingConfig.maximumConcurrency", CONCURRENCY)).transpose()?;
            set("ScalingConfig", most.map_or(Value::Null, |most| json!({ "MaximumConcurrency": most })));
        }
        if let Some(metrics) = &self.metrics_config {
            if metrics["Metrics"].as_array().is_none_or(|metrics| metrics.iter().any(|metric| metric != "EventCount")) {
                return Err(Fault::invalid("Only EventCount metrics are supported for event source mappings."));
            }
            set("MetricsConfig", json!({ "Metrics": metrics["Metrics"] }));
        }
        if let Some((_, tags)) = tags(self.tags.clone())? {
            set(TAGS, tags);
        }
        Ok(())
    }
}

fn within(value: i64, member: &'static str, bounds: RangeInclusive<u64>) -> Result<u64, Fault> {
    let (min, max) = (*bounds.start(), *bounds.end());
    let wrong = |limit: String| Err(Fault::constraint(&value.to_string(), member, limit));
    match u64::try_from(value) {
        Ok(value) if bounds.contains(&value) => Ok(value),
        Ok(value) if value > max => wrong(format!("Member must have value less than or equal to {max}")),
        _ => wrong(format!("Member must have value greater than or equal to {min}")),
    }
}

/// What the one allows the other.
pub(super) fn fits(said: &Map<String, Value>, function: &Function, queue: &QueueInfo) -> Result<(), Fault> {
    let (batch, window) = (number(said, "BatchSize"), number(said, "MaximumBatchingWindowInSeconds"));
    let settings = &queue.record.settings;
    if settings.fifo && window > 0 {
        return Err(Fault::invalid("Batching window is not supported for FIFO queues"));
    }
    if settings.fifo && batch > BATCH_AT_ONCE_MAX {
        return Err(Fault::invalid(format!("Batch size must not exceed {BATCH_AT_ONCE_MAX} for FIFO queues")));
    }
    if batch > BATCH_AT_ONCE_MAX && window == 0 {
        let needs = "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10";
        return Err(Fault::invalid(needs));
    }
    let timeout_ms = function.limits.timeout_ms;
    if settings.visibility_ms < timeout_ms {
        let (hidden, runs) = (settings.visibility_ms / 1000, timeout_ms / 1000);
        return Err(Fault::invalid(format!("Queue visibility timeout: {hidden} seconds is less than Function timeout: {runs} seconds")));
    }
    Ok(())
}

fn number(said: &Map<String, Value>, member: &str) -> u64 {
    said.get(member).and_then(Value::as_u64).unwrap_or_default()
}

/// What was said, as core has it.
pub(super) fn binding(queue: Name, said: &Map<String, Value>) -> Result<QueueBinding, Fault> {
    let criteria = said.get("FilterCriteria").cloned().map(serde_json::from_value::<filter::Criteria>);
    let criteria = criteria.transpose().ok().flatten().unwrap_or_default();
    let most = said.get("ScalingConfig").and_then(|scaling| scaling.get("MaximumConcurrency")?.as_u64());
    let reports = said.get("FunctionResponseTypes").and_then(Value::as_array).is_some_and(|types| !types.is_empty());
    Ok(QueueBinding {
        batch: number(said, "BatchSize").clamp(1, BATCH_MAX) as u32,
        window_ms: number(said, "MaximumBatchingWindowInSeconds") * 1000,
        concurrency: most.map_or(QueueBinding::CONCURRENCY, |most| most as u32),
        filters: criteria.filters()?,
        receiver: Some(Receiver { reports }),
        ..QueueBinding::new(queue)
    })
}

pub(super) fn no_queue() -> Fault {
    let text = "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. \
                SQS Error Message: The specified queue does not exist.";
    Fault::invalid(text)
}

pub(super) fn conflict(said: &Map<String, Value>, address: &Address, other: &str) -> Fault {
    let source = said.get("EventSourceArn").and_then(Value::as_str).unwrap_or_default();
    let qualifier = address.qualifier.as_ref().map(|qualifier| format!(":{qualifier}")).unwrap_or_default();
    let text = format!(
        "An event source mapping with SQS arn (\" {source} \") and function (\" {}{qualifier} \") already exists. \
         Please update or delete the existing mapping with UUID {other}",
        address.name
    );
    Fault::new(StatusCode::CONFLICT, "ResourceConflictException", text)
}
