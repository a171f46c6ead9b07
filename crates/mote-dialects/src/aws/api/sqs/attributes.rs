//! A queue's attributes in SQS's words, and its settings in mote's.

use mote_core::access::Patch;
use mote_core::function::Name;
use mote_core::queues::QueueInfo;
use mote_core::queues::settings::Settings;
use serde_json::{Map, Value, json};

use super::super::wire::Refusal;
use super::invalid;

/// Where a queue's tags are remembered.
pub(super) const TAGS: &str = "tags";

/// An attribute that is a setting.
struct Attribute {
    name: &'static str,
    setting: &'static str,
    /// Milliseconds or bytes of one.
    unit: u64,
    bounds: std::ops::RangeInclusive<u64>,
}

const NUMBERS: [Attribute; 5] = [
    Attribute { name: "VisibilityTimeout", setting: "visibility_ms", unit: 1000, bounds: 0..=43_200 },
    Attribute { name: "DelaySeconds", setting: "delay_ms", unit: 1000, bounds: 0..=900 },
    Attribute { name: "ReceiveMessageWaitTimeSeconds", setting: "receive_wait_ms", unit: 1000, bounds: 0..=20 },
    Attribute { name: "MessageRetentionPeriod", setting: "retention_ms", unit: 1000, bounds: 60..=1_209_600 },
    Attribute { name: "MaximumMessageSize", setting: "message_bytes_max", unit: 1, bounds: 1024..=1_048_576 },
];

const FLAGS: [(&str, &str); 2] = [("FifoQueue", "fifo"), ("ContentBasedDeduplication", "dedup_by_content")];

/// Kept and given back, and without effect: rights are those of mote's tokens.
const REMEMBERED: [&str; 2] = ["Policy", "RedriveAllowPolicy"];

const COUNTS: [&str; 5] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
];

/// As a change of settings. What mote can't honour is refused by its name.
pub(super) fn read(given: &Value, account: &str) -> Result<Patch, Refusal> {
    let mut patch = Patch::new();
    for (name, value) in given.as_object().into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let wrong = || invalid("InvalidAttributeValue", format!("Invalid value for the parameter {name}."));
        if let Some(number) = NUMBERS.iter().find(|number| number.name == name) {
            let value = text.parse().ok().filter(|value| number.bounds.contains(value)).ok_or_else(wrong)?;
            patch.insert(number.setting.to_owned(), (value * number.unit).into());
        } else if let Some((_, setting)) = FLAGS.iter().find(|(flag, _)| flag == name) {
            patch.insert((*setting).to_owned(), text.parse::<bool>().map_err(|_| wrong())?.into());
        } else if name == "RedrivePolicy" {
            patch.insert("dead_letters".to_owned(), redrive(&text, account).ok_or_else(wrong)?);
        } else if name == "SqsManagedSseEnabled" && text == "false" {
            // There is none to switch off.
        } else if REMEMBERED.contains(&name.as_str()) {
            remember(&mut patch, name, text.into());
        } else {
            return Err(invalid("InvalidAttributeName", format!("Unknown Attribute {name}.")));
        }
    }
    Ok(patch)
}

/// `{"deadLetterTargetArn":"arn:aws:sqs:…:name","maxReceiveCount":3}`; the empty text takes it away.
fn redrive(text: &str, account: &str) -> Option<Value> {
    if text.is_empty() {
        return Some(Value::Null);
    }
    let policy: Value = serde_json::from_str(text).ok()?;
    let arn = policy["deadLetterTargetArn"].as_str()?;
    let ["arn", _, "sqs", _, owner, queue] = arn.split(':').collect::<Vec<_>>()[..] else { return None };
    let queue = Name::new(queue).ok().filter(|_| owner == account)?;
    let count = &policy["maxReceiveCount"];
    let count = count.as_u64().or_else(|| count.as_str()?.parse().ok()).filter(|count| (1..=1000).contains(count))?;
    Some(json!({ "queue": queue, "receives_max": count }))
}

/// What is remembered of a queue, in a change of it.
pub(super) fn remember(patch: &mut Patch, name: &str, value: Value) {
    let about = patch.entry("about").or_insert_with(|| Map::new().into());
    match about {
        Value::Object(about) => _ = about.insert(name.to_owned(), value),
        other => *other = json!({ name: value }),
    }
}

/// Whether a queue is already as a second creation wants it.
pub(super) fn agrees(settings: &Settings, wanted: &Patch) -> bool {
    let is = serde_json::to_value(settings).unwrap_or_default();
    wanted.iter().filter(|(name, _)| *name != "about").all(|(name, value)| is[name] == *value)
}

pub(super) fn check_names(wanted: &[String]) -> Result<(), Refusal> {
    let known = |name: &str| {
        name == "All"
            || name == "QueueArn"
            || name == "RedrivePolicy"
            || name == "SqsManagedSseEnabled"
            || NUMBERS.iter().any(|number| number.name == name)
            || FLAGS.iter().any(|(flag, _)| *flag == name)
            || REMEMBERED.contains(&name)
            || COUNTS.contains(&name)
    };
    match wanted.iter().find(|name| !known(name)) {
        Some(name) => Err(invalid("InvalidAttributeName", format!("Unknown Attribute {name}."))),
        None => Ok(()),
    }
}

/// Those that are asked for; all of them are texts.
pub(super) fn write(info: &QueueInfo, arn: &str, wanted: &[String]) -> Map<String, Value> {
    let settings = &info.record.settings;
    let is = serde_json::to_value(settings).unwrap_or_default();
    let mut all = vec![("QueueArn", arn.to_owned())];
    all.extend(NUMBERS.iter().map(|number| (number.name, (is[number.setting].as_u64().unwrap_or_default() / number.unit).to_string())));
    if settings.fifo {
        all.extend(FLAGS.iter().map(|(name, setting)| (*name, is[*setting].as_bool().unwrap_or_default().to_string())));
    }
    if let Some(rule) = &settings.dead_letters {
        // In the same region and account.
        let target = arn.rsplit_once(':').map_or("", |(place, _)| place);
        let policy = json!({ "deadLetterTargetArn": format!("{target}:{}", rule.queue), "maxReceiveCount": rule.receives_max });
        all.push(("RedrivePolicy", policy.to_string()));
    }
    all.push(("SqsManagedSseEnabled", "false".to_owned()));
    all.extend(REMEMBERED.iter().filter_map(|name| Some((*name, settings.about.get(*name)?.as_str()?.to_owned()))));
    let seconds = (info.record.created.0 / 1000).to_string();
    let visible = info.messages.saturating_sub(info.in_flight).saturating_sub(info.delayed);
    let counts = [visible.to_string(), info.in_flight.to_string(), info.delayed.to_string(), seconds.clone(), seconds];
    all.extend(COUNTS.into_iter().zip(counts));
    let asked = |name: &str| wanted.iter().any(|one| one == "All" || one == name);
    all.into_iter().filter(|(name, _)| asked(name)).map(|(name, text)| (name.to_owned(), text.into())).collect()
}
