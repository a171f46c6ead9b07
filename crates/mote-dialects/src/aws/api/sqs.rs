//! SQS over mote's queues: its JSON protocol, and the older Query protocol brought to the same form.
//!
//! | SQS | mote |
//! |---|---|
//! | queue URL `http://host/<account>/<name>` | the queue's name; the host and the account may be any |
//! | receipt handle | receipt |
//! | visibility timeout, redrive policy | visibility, dead letters |
//! | message group, deduplication id | group, key |
//!
//! An operation is one function from its input to a [`Turn`]. Attributes: [`attributes`]; messages:
//! [`message`]; the two protocols: [`form`].

mod attributes;
mod form;
mod message;

use std::time::Duration;

use mote_core::access::Patch;
use mote_core::action::{Action, Done, Outgoing, SettleMessages};
use mote_core::dialect::Turn;
use mote_core::function::Name;
use mote_core::{Code, Error, Result};
use serde_json::{Value, json};

use super::Ask;
use super::wire::{self, Protocol, Refusal};
use form::Asked;

/// A queue's attributes as its settings; the error says what is wrong.
pub(in crate::aws) fn queue_settings(given: &Value, account: &str) -> Result<Patch, String> {
    attributes::read(given, account).map_err(|refusal| refusal.message)
}

/// Entries of one request.
const BATCH_MAX: usize = 10;
/// What a receiver may ask for at once.
const RECEIVE_MAX: usize = 10;
const WAIT_MAX_S: u64 = 20;
const VISIBILITY_MAX_S: u64 = 43_200;
const LIST_MAX: usize = 1000;

pub(super) fn answer(ask: Ask) -> Turn {
    let id = ask.stamp.id;
    let asked = match Asked::read(ask) {
        Ok(asked) => asked,
        Err(refusal) => return Turn::Answer(wire::refuse(Protocol::Json, &refusal, id)),
    };
    let outcome = match asked.operation.as_str() {
        "CreateQueue" => create(&asked),
        "GetQueueUrl" => named(&asked, "QueueName").map(|name| {
            let url = asked.url(&name);
            asked.act(Action::ShowQueue { namespace: asked.namespace(), name }, move |_| Ok(json!({ "QueueUrl": url })))
        }),
        "ListQueues" => list(&asked),
        "DeleteQueue" => queue(&asked).map(|name| asked.then(Action::RemoveQueue { namespace: asked.namespace(), name })),
        "PurgeQueue" => queue(&asked).map(|name| asked.then(Action::PurgeQueue { namespace: asked.namespace(), name })),
        "GetQueueAttributes" => get_attributes(&asked),
        "SetQueueAttributes" => set_attributes(&asked),
        "SendMessage" => send(&asked),
        "SendMessageBatch" => send_batch(&asked),
        "ReceiveMessage" => receive(&asked),
        "DeleteMessage" => settle_one(&asked, |receipts| Ok(SettleMessages::Delete { receipts })),
        "ChangeMessageVisibility" => settle_one(&asked, |receipts| {
            Ok(SettleMessages::Extend { receipts, visibility: visibility(&asked.input)?.ok_or_else(|| missing("VisibilityTimeout"))? })
        }),
        "DeleteMessageBatch" => delete_batch(&asked),
        "ChangeMessageVisibilityBatch" => extend_batch(&asked),
        "ListQueueTags" => queue(&asked).map(|name| {
            asked.act(Action::ShowQueue { namespace: asked.namespace(), name }, |done| {
                let Done::Queue(info) = done else { return Ok(json!({})) };
                Ok(json!({ "Tags": info.record.settings.about.get(attributes::TAGS).cloned().unwrap_or_else(|| json!({})) }))
            })
        }),
        "TagQueue" | "UntagQueue" => tag(&asked),
        other => Err(Refusal::new(
            http::StatusCode::BAD_REQUEST,
            "InvalidAction",
            format!("The action {} is not valid for this endpoint.", other.chars().take(100).collect::<String>()),
        )),
    };
    outcome.unwrap_or_else(|refusal| asked.refuse(&refusal))
}

type Outcome = Result<Turn, Refusal>;

fn create(asked: &Asked) -> Outcome {
    let name = named(asked, "QueueName")?;
    let fifo = name.as_str().ends_with(".fifo");
    let wanted = &asked.input["Attributes"];
    let mut patch = attributes::read(wanted, &asked.account_of())?;
    if fifo != patch.get("fifo").is_some_and(|fifo| fifo == true) {
        let message = "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length.";
        return Err(invalid("InvalidParameterValue", message));
    }
    let tags = asked.input.get("tags").or_else(|| asked.input.get("Tags")).cloned();
    if let Some(tags) = tags.filter(|tags| tags.as_object().is_some_and(|tags| !tags.is_empty())) {
        attributes::remember(&mut patch, attributes::TAGS, tags);
    }
    let (url, namespace) = (asked.url(&name), asked.namespace());
    let (again, wanted) = (asked.clone(), patch.clone());
    // One that is there has to be as it is wanted now.
    Ok(asked.turn(Action::ShowQueue { namespace: namespace.clone(), name: name.clone() }, move |shown| match shown {
        Ok(Done::Queue(info)) if attributes::agrees(&info.record.settings, &wanted) => again.done(json!({ "QueueUrl": url })),
        Ok(_) => {
            again.refuse(&invalid("QueueAlreadyExists", "A queue already exists with the same name and a different value for an attribute"))
        }
        Err(error) if error.code() == Code::QueueNotFound => {
            again.act(Action::SetQueue { namespace, name, patch }, move |_| Ok(json!({ "QueueUrl": url })))
        }
        Err(error) => again.refuse(&refusal(&error)),
    }))
}

fn list(asked: &Asked) -> Outcome {
    // Who does not say how many gets no token, as on AWS.
    let wanted = number(&asked.input, "MaxResults", 1..=LIST_MAX as u64)?;
    let max = wanted.map_or(LIST_MAX, |max| max as usize);
    let prefix = asked.text("QueueNamePrefix").to_owned();
    let after = Some(asked.text("NextToken").to_owned()).filter(|after| !after.is_empty());
    // Those of a prefix lie beside each other: each that is looked at beside them costs its tallies.
    let after = after.max(before(&prefix));
    let urls = asked.clone();
    Ok(asked.act(Action::ListQueues { namespace: asked.namespace(), after, limit: max }, move |done| {
        let Done::Queues(queues) = done else { return Ok(json!({})) };
        let mut names: Vec<_> = queues.into_iter().map(|info| info.name).filter(|name| name.as_str().starts_with(&prefix)).collect();
        let more = names.len() >= max && wanted.is_some();
        names.truncate(max);
        let mut told = json!({});
        if !names.is_empty() {
            told["QueueUrls"] = names.iter().map(|name| urls.url(name)).collect();
        }
        if let Some(last) = names.last().filter(|_| more) {
            told["NextToken"] = last.as_str().into();
        }
        Ok(told)
    }))
}

/// What comes after every name that is less than the prefix, and before the first that has it.
fn before(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    let last = text.pop().filter(char::is_ascii_graphic)? as u8 - 1;
    // No name has such a letter, and each that it may have is less.
    text.extend([char::from(last), '\x7f']);
    Some(text)
}

fn get_attributes(asked: &Asked) -> Outcome {
    let name = queue(asked)?;
    let wanted = strings(&asked.input["AttributeNames"]);
    attributes::check_names(&wanted)?;
    let arn = asked.arn(&name);
    Ok(asked.act(Action::ShowQueue { namespace: asked.namespace(), name }, move |done| {
        let Done::Queue(info) = done else { return Ok(json!({})) };
        let told = attributes::write(&info, &arn, &wanted);
        Ok(if told.is_empty() { json!({}) } else { json!({ "Attributes": told }) })
    }))
}

fn set_attributes(asked: &Asked) -> Outcome {
    let (name, mut patch) = (queue(asked)?, attributes::read(&asked.input["Attributes"], &asked.account_of())?);
    if patch.contains_key("fifo") {
        return Err(invalid("InvalidAttributeName", "Unknown Attribute FifoQueue."));
    }
    let remembered = patch.remove("about").and_then(|about| about.as_object().cloned()).unwrap_or_default();
    merge(asked, name, move |about| about.extend(remembered), patch)
}

fn tag(asked: &Asked) -> Outcome {
    let name = queue(asked)?;
    let given = asked.input["Tags"].as_object().cloned().unwrap_or_default();
    let gone = strings(&asked.input["TagKeys"]);
    merge(
        asked,
        name,
        move |about| {
            let mut tags = about.get(attributes::TAGS).and_then(Value::as_object).cloned().unwrap_or_default();
            tags.extend(given);
            tags.retain(|key, _| !gone.contains(key));
            about.insert(attributes::TAGS.to_owned(), tags.into());
        },
        Patch::new(),
    )
}

/// Changes a queue that is there; what is remembered of it is changed, not replaced.
fn merge(asked: &Asked, name: Name, change: impl FnOnce(&mut Patch) + Send + 'static, mut patch: Patch) -> Outcome {
    let (namespace, again) = (asked.namespace(), asked.clone());
    Ok(asked.turn(Action::ShowQueue { namespace: namespace.clone(), name: name.clone() }, move |shown| match shown {
        Ok(Done::Queue(info)) => {
            let mut about = info.record.settings.about;
            change(&mut about);
            patch.insert("about".to_owned(), about.into());
            again.then(Action::SetQueue { namespace, name, patch })
        }
        Ok(_) => again.done(json!({})),
        Err(error) => again.refuse(&refusal(&error)),
    }))
}

fn send(asked: &Asked) -> Outcome {
    let name = queue(asked)?;
    let (new, sums) = message::read(&asked.input)?;
    let fifo = new.group.is_some();
    let what = Outgoing::Ready(vec![new]);
    Ok(asked.act(Action::SendMessages { namespace: asked.namespace(), name, what }, move |done| {
        let Done::Sent(ids) = done else { return Ok(json!({})) };
        Ok(ids.first().map_or_else(|| json!({}), |id| message::sent(*id, &sums, fifo)))
    }))
}

fn send_batch(asked: &Asked) -> Outcome {
    let name = queue(asked)?;
    let (entries, mut new, mut sums) = (entries(asked)?, Vec::new(), Vec::new());
    for entry in &entries {
        let (message, sum) = message::read(&entry.input)?;
        sums.push((entry.id.clone(), sum, message.group.is_some()));
        new.push(message);
    }
    let bytes: usize = new.iter().map(|message| message.body.len()).sum();
    if bytes > message::BYTES_MAX {
        let text = format!("Batch requests cannot be longer than {} bytes. You have sent {bytes} bytes.", message::BYTES_MAX);
        return Err(invalid("AWS.SimpleQueueService.BatchRequestTooLong", text));
    }
    let what = Outgoing::Ready(new);
    Ok(asked.act(Action::SendMessages { namespace: asked.namespace(), name, what }, move |done| {
        let Done::Sent(ids) = done else { return Ok(json!({})) };
        let sent = ids.iter().zip(sums).map(|(id, (entry, sums, fifo))| {
            let mut told = message::sent(*id, &sums, fifo);
            told["Id"] = entry.into();
            told
        });
        Ok(json!({ "Successful": sent.collect::<Vec<_>>(), "Failed": [] }))
    }))
}

fn receive(asked: &Asked) -> Outcome {
    let name = queue(asked)?;
    let input = &asked.input;
    let max = number(input, "MaxNumberOfMessages", 1..=RECEIVE_MAX as u64)?.unwrap_or(1) as usize;
    let wait = number(input, "WaitTimeSeconds", 0..=WAIT_MAX_S)?.map(Duration::from_secs);
    let shown = message::Shown::of(input, &asked.account_of());
    let action = Action::ReceiveMessages { namespace: asked.namespace(), name, max, visibility: visibility(input)?, wait };
    Ok(asked.act(action, move |done| {
        let Done::Messages(messages) = done else { return Ok(json!({})) };
        let told: Vec<Value> = messages.iter().map(|message| message::received(message, &shown)).collect();
        Ok(if told.is_empty() { json!({}) } else { json!({ "Messages": told }) })
    }))
}

fn settle_one(asked: &Asked, what: impl FnOnce(Vec<String>) -> Result<SettleMessages, Refusal>) -> Outcome {
    let name = queue(asked)?;
    let receipt = asked.needed("ReceiptHandle")?.to_owned();
    let (what, again) = (what(vec![receipt])?, asked.clone());
    let deletes = matches!(what, SettleMessages::Delete { .. });
    Ok(asked.turn(Action::SettleMessages { namespace: asked.namespace(), name, what }, move |done| match done {
        Ok(Done::Settled(outcomes)) => match outcomes.into_iter().flatten().find_map(|error| late(&error, deletes)) {
            Some(refusal) => again.refuse(&refusal),
            None => again.done(json!({})),
        },
        Ok(_) => again.done(json!({})),
        Err(error) => again.refuse(&refusal(&error)),
    }))
}

/// Deleting what is somebody else's by now, or gone, succeeds and changes nothing, as in SQS.
fn late(error: &Error, deletes: bool) -> Option<Refusal> {
    match error.code() {
        Code::LeaseLost if deletes => None,
        Code::LeaseLost => Some(invalid("InvalidParameterValue", "The message is not available for visibility timeout change.")),
        Code::RequestInvalid => Some(invalid("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")),
        _ => Some(refusal(error)),
    }
}

fn delete_batch(asked: &Asked) -> Outcome {
    let (name, entries) = (queue(asked)?, entries(asked)?);
    let receipts = entries.iter().map(|entry| entry.needed("ReceiptHandle")).collect::<Result<Vec<_>, _>>()?;
    let ids: Vec<String> = entries.into_iter().map(|entry| entry.id).collect();
    let what = SettleMessages::Delete { receipts };
    Ok(asked.act(Action::SettleMessages { namespace: asked.namespace(), name, what }, move |done| {
        let Done::Settled(outcomes) = done else { return Ok(json!({})) };
        Ok(batch(ids.into_iter().zip(outcomes.iter().map(|outcome| outcome.as_ref().and_then(|error| late(error, true))))))
    }))
}

/// Each may ask for a time of its own, so one after the other.
fn extend_batch(asked: &Asked) -> Outcome {
    let (name, mut waiting) = (queue(asked)?, Vec::new());
    for entry in entries(asked)? {
        let visibility = visibility(&entry.input)?.ok_or_else(|| missing("VisibilityTimeout"))?;
        waiting.push((entry.needed("ReceiptHandle")?, visibility, entry.id));
    }
    waiting.reverse();
    Ok(extend_next(asked.clone(), name, waiting, Vec::new()))
}

fn extend_next(asked: Asked, name: Name, mut waiting: Vec<(String, Duration, String)>, mut told: Vec<(String, Option<Refusal>)>) -> Turn {
    let Some((receipt, visibility, id)) = waiting.pop() else { return asked.done(batch(told.into_iter())) };
    let what = SettleMessages::Extend { receipts: vec![receipt], visibility };
    let (again, action) = (asked.clone(), Action::SettleMessages { namespace: asked.namespace(), name: name.clone(), what });
    asked.turn(action, move |done| match done {
        Ok(Done::Settled(outcomes)) => {
            told.push((id, outcomes.iter().flatten().find_map(|error| late(error, false))));
            extend_next(again, name, waiting, told)
        }
        Ok(_) => again.done(json!({})),
        Err(error) => again.refuse(&refusal(&error)),
    })
}

fn batch(entries: impl Iterator<Item = (String, Option<Refusal>)>) -> Value {
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for (id, refusal) in entries {
        match refusal {
            None => successful.push(json!({ "Id": id })),
            Some(refusal) => failed.push(json!({
                "Id": id, "Code": refusal.code, "Message": refusal.message, "SenderFault": refusal.status.is_client_error(),
            })),
        }
    }
    json!({ "Successful": successful, "Failed": failed })
}

/// One of several in a request.
struct Entry {
    id: String,
    input: Value,
}

impl Entry {
    fn needed(&self, name: &'static str) -> Result<String, Refusal> {
        self.input[name].as_str().map(str::to_owned).ok_or_else(|| missing(name))
    }
}

fn entries(asked: &Asked) -> Result<Vec<Entry>, Refusal> {
    let list = asked.input["Entries"].as_array().cloned().unwrap_or_default();
    if list.is_empty() {
        return Err(invalid("AWS.SimpleQueueService.EmptyBatchRequest", "There should be at least one entry in the request."));
    }
    if list.len() > BATCH_MAX {
        let text = format!("Maximum number of entries per request are {BATCH_MAX}. You have sent {}.", list.len());
        return Err(invalid("AWS.SimpleQueueService.TooManyEntriesInBatchRequest", text));
    }
    let mut entries: Vec<Entry> = Vec::with_capacity(list.len());
    for input in list {
        let id = input["Id"].as_str().ok_or_else(|| missing("Id"))?.to_owned();
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if id.is_empty() || id.len() > 80 || !id.bytes().all(plain) {
            let text =
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.";
            return Err(invalid("AWS.SimpleQueueService.InvalidBatchEntryId", text));
        }
        if entries.iter().any(|entry| entry.id == id) {
            return Err(invalid("AWS.SimpleQueueService.BatchEntryIdsNotDistinct", format!("Id {id} repeated.")));
        }
        entries.push(Entry { id, input });
    }
    Ok(entries)
}

/// The queue that the request's URL names.
fn queue(asked: &Asked) -> Result<Name, Refusal> {
    let url = asked.needed("QueueUrl")?;
    let name = url.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    Name::new(name).map_err(|_| no_such_queue())
}

fn named(asked: &Asked, field: &'static str) -> Result<Name, Refusal> {
    let text = asked.needed(field)?;
    let (stem, plain) = (text.strip_suffix(".fifo").unwrap_or(text), |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let sound = !stem.is_empty() && text.len() <= 80 && stem.bytes().all(plain);
    Name::new(text).ok().filter(|_| sound).ok_or_else(|| {
        invalid("InvalidParameterValue", "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
    })
}

fn visibility(input: &Value) -> Result<Option<Duration>, Refusal> {
    Ok(number(input, "VisibilityTimeout", 0..=VISIBILITY_MAX_S)?.map(Duration::from_secs))
}

/// A number, as JSON has it or as a form does.
fn number(input: &Value, name: &'static str, bounds: std::ops::RangeInclusive<u64>) -> Result<Option<u64>, Refusal> {
    let value = &input[name];
    if value.is_null() {
        return Ok(None);
    }
    let number = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    number.filter(|number| bounds.contains(number)).map(Some).ok_or_else(|| {
        let shown: String = value.to_string().chars().take(40).collect();
        let (from, to) = (bounds.start(), bounds.end());
        let text = format!("Value {shown} for parameter {name} is invalid. Reason: Must be >= {from} and <= {to}, if provided.");
        invalid("InvalidParameterValue", text)
    })
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

fn missing(name: &str) -> Refusal {
    invalid("MissingParameter", format!("The request must contain the parameter {name}."))
}

fn invalid(code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal::new(http::StatusCode::BAD_REQUEST, code, message)
}

fn no_such_queue() -> Refusal {
    invalid("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")
}

/// What core says, as SQS does.
fn refusal(error: &Error) -> Refusal {
    match error.code() {
        Code::QueueNotFound => no_such_queue(),
        Code::NameInvalid | Code::RequestInvalid | Code::DestinationInvalid => invalid("InvalidParameterValue", error.detail()),
        Code::BodyTooLarge => invalid("InvalidParameterValue", format!("One or more parameters are invalid. Reason: {}", error.detail())),
        _ => Refusal::of(Protocol::Query, error),
    }
}

#[cfg(test)]
mod tests;
