//! A message, or ten of them, to everybody who is subscribed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mote_core::action::{Action, Done};
use mote_core::clock::Id;
use mote_core::dialect::Turn;
use mote_core::event::Event;
use mote_core::function::Name;
use mote_core::invoke::deliver::parcel::Wish;
use serde_json::{Map, Value, json};

use super::form::{self, Asked};
use super::{Outcome, invalid, refusal, topic, unexpected};
use crate::aws::api::wire::Refusal;
use crate::aws::envelope::destination::MESSAGE_ATTRIBUTES;
use crate::aws::envelope::sns::{FILTERED, PUBLISHED};

/// Of a message with its attributes, and of all of a batch.
const BYTES_MAX: usize = 256 << 10;
const BATCH_MAX: usize = 10;
const SUBJECT_CHARS_MAX: usize = 100;
/// Of the keys of a message with one text for each protocol.
const DELIVERED: [&str; 2] = ["lambda", "sqs"];

pub(super) fn publish(asked: &Asked) -> Outcome {
    if asked.text("PhoneNumber").is_some() {
        return Err(invalid("PhoneNumber: mote sends no text messages"));
    }
    let topic = topic(asked)?;
    let message = Message::read(&asked.input)?;
    let event = message.event(asked, &topic, 0);
    Ok(asked.then(send(asked, topic, event), |asked, done| Ok(asked.done(&json!({ "MessageId": id(done)? })))))
}

pub(super) fn batch(asked: &Asked) -> Outcome {
    let topic = topic(asked)?;
    let entries = form::members(&asked.input["PublishBatchRequestEntries"]);
    let batch = |code, message: &str| Refusal::new(http::StatusCode::BAD_REQUEST, code, message);
    if entries.is_empty() {
        return Err(batch("EmptyBatchRequest", "The batch request doesn't contain any entries."));
    }
    if entries.len() > BATCH_MAX {
        return Err(batch("TooManyEntriesInBatchRequest", "The batch request contains more entries than permissible."));
    }
    let (mut left, mut bytes) = (Vec::new(), 0);
    for entry in entries {
        let id = entry["Id"].as_str().filter(|id| !id.is_empty() && id.len() <= 80).ok_or_else(|| invalid("Id"))?.to_owned();
        if left.iter().any(|(known, _)| *known == id) {
            return Err(batch("BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id."));
        }
        let message = Message::read(entry);
        bytes += message.as_ref().map_or(0, Message::bytes);
        left.push((id, message));
    }
    if bytes > BYTES_MAX {
        return Err(batch("BatchRequestTooLong", "The length of all the batch messages put together is more than the limit."));
    }
    left.reverse();
    Ok(next(asked, topic, left, (Vec::new(), Vec::new())))
}

/// One after the other: each is published or not by itself.
fn next(
    asked: &Asked,
    topic: Name,
    mut left: Vec<(String, Result<Message, Refusal>)>,
    (mut sent, mut failed): (Vec<Value>, Vec<Value>),
) -> Turn {
    let Some((id, message)) = left.pop() else {
        return asked.done(&json!({ "Successful": sent, "Failed": failed }));
    };
    let message = match message {
        Ok(message) => message,
        Err(refusal) => {
            failed.push(failure(&id, &refusal));
            return next(asked, topic, left, (sent, failed));
        }
    };
    let event = message.event(asked, &topic, left.len() as u128);
    asked.turn(send(asked, topic.clone(), event), move |asked, done| {
        match done.map_err(|error| refusal(&error)).and_then(self::id) {
            Ok(message) => sent.push(json!({ "Id": id, "MessageId": message })),
            Err(refusal) => failed.push(failure(&id, &refusal)),
        }
        next(&asked, topic, left, (sent, failed))
    })
}

fn failure(id: &str, refusal: &Refusal) -> Value {
    json!({ "Id": id, "Code": refusal.code, "Message": refusal.message, "SenderFault": refusal.status.is_client_error() })
}

fn send(asked: &Asked, topic: Name, event: Event) -> Action {
    Action::Publish { namespace: asked.namespace(), topic, event, wish: Wish::default() }
}

fn id(done: Done) -> Result<Id, Refusal> {
    let Done::Published(published) = done else { return Err(unexpected()) };
    published.ids.first().copied().ok_or_else(unexpected)
}

/// What is published, checked.
struct Message {
    text: String,
    subject: Option<String>,
    /// As they were said, and their values alone.
    typed: Map<String, Value>,
    values: Map<String, Value>,
}

impl Message {
    fn read(input: &Value) -> Result<Message, Refusal> {
        let text = input["Message"].as_str().filter(|text| !text.is_empty()).ok_or_else(|| invalid("Empty message"))?;
        let text = match input["MessageStructure"].as_str() {
            None | Some("") => text.to_owned(),
            Some("json") => for_all(text)?,
            Some(_) => return Err(invalid("MessageStructure")),
        };
        for name in ["MessageGroupId", "MessageDeduplicationId"] {
            if input[name].as_str().is_some_and(|text| !text.is_empty()) {
                return Err(invalid(format!("{name}: mote's topics keep no order and forget what was published")));
            }
        }
        let subject = input["Subject"].as_str().filter(|subject| !subject.is_empty()).map(str::to_owned);
        let plain = |subject: &String| subject.chars().count() <= SUBJECT_CHARS_MAX && !subject.chars().any(char::is_control);
        if subject.as_ref().is_some_and(|subject| !plain(subject)) {
            return Err(invalid("Subject"));
        }
        let typed = form::map(&input["MessageAttributes"]);
        let values = typed.iter().map(|(name, value)| Ok((name.clone(), filtered(name, value)?))).collect::<Result<_, Refusal>>()?;
        let message = Message { text, subject, typed, values };
        if message.bytes() > BYTES_MAX {
            return Err(invalid("Message too long"));
        }
        Ok(message)
    }

    fn bytes(&self) -> usize {
        let attributes = self.typed.iter().map(|(name, value)| {
            let texts = value.as_object().into_iter().flatten().filter_map(|(_, text)| text.as_str());
            name.len() + texts.map(str::len).sum::<usize>()
        });
        self.text.len() + attributes.sum::<usize>()
    }

    fn event(self, asked: &Asked, topic: &Name, number: u128) -> Event {
        let stamp = &asked.ask.stamp;
        // Of a batch each needs an id of its own, and a request has only one.
        let id = Id(stamp.id.0.wrapping_add(number));
        let is_json = self.text.starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(&self.text).is_ok();
        let kind = if is_json { "application/json" } else { "text/plain; charset=utf-8" };
        let mut event = Event::new(id, asked.arn("sns", topic.as_str()), PUBLISHED, stamp.time, self.text).with_content_type(kind);
        event.subject = self.subject;
        if !self.typed.is_empty() {
            event.extensions.insert(MESSAGE_ATTRIBUTES.to_owned(), Value::from(self.typed).to_string().into());
            event.extensions.insert(FILTERED.to_owned(), self.values.into());
        }
        event
    }
}

/// The text for everybody, of a message that has one for each protocol.
fn for_all(text: &str) -> Result<String, Refusal> {
    let texts =
        serde_json::from_str::<Map<String, Value>>(text).map_err(|_| invalid("Message Structure - JSON message body failed to parse"))?;
    if let Some(protocol) = DELIVERED.iter().find(|protocol| texts.contains_key(**protocol)) {
        return Err(invalid(format!("Message Structure - mote gives the default text to everybody, and none to {protocol} alone")));
    }
    let default = texts.get("default").and_then(Value::as_str);
    default.map(str::to_owned).ok_or_else(|| invalid("Message Structure - No default entry in JSON message body"))
}

/// An attribute's value as filter policies look at it.
fn filtered(name: &str, value: &Value) -> Result<Value, Refusal> {
    let wrong = || invalid(format!("The message attribute '{name:.100}' has no value of its type"));
    let text = value["StringValue"].as_str().filter(|text| !text.is_empty());
    match value["DataType"].as_str().unwrap_or_default().split('.').collect::<Vec<_>>().as_slice() {
        ["String", "Array"] => text.and_then(|text| serde_json::from_str(text).ok()).filter(Value::is_array).ok_or_else(wrong),
        ["String", ..] => text.map(Value::from).ok_or_else(wrong),
        ["Number", ..] => {
            text.and_then(|text| text.parse::<f64>().ok()).filter(|number| number.is_finite()).map(Value::from).ok_or_else(wrong)
        }
        ["Binary", ..] => {
            let sound = value["BinaryValue"].as_str().is_some_and(|text| !text.is_empty() && STANDARD.decode(text).is_ok());
            // No policy can name it.
            if sound { Ok(Value::Null) } else { Err(wrong()) }
        }
        _ => Err(invalid(format!("The message attribute '{name:.100}' has an invalid message attribute type"))),
    }
}
