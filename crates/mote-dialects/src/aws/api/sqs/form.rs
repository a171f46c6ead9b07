//! The two protocols of SQS as one: the input as JSON, and the output as JSON or as XML.
//!
//! In the Query protocol lists and maps are numbered fields (`Attribute.1.Name`), and the XML of an
//! answer has one element for each entry, whose name is the singular of the list's.

use std::fmt::Write;
use std::sync::Arc;

use http::StatusCode;
use mote_core::action::{Action, Done};
use mote_core::dialect::Turn;
use mote_core::function::Name;
use mote_core::{Error, Result};
use serde_json::{Map, Value, json};

use super::super::Ask;
use super::super::wire::{self, Protocol, Refusal};
use super::{missing, refusal};
use crate::aws::arn;

const XMLNS: &str = "http://queue.amazonaws.com/doc/2012-11-05/";
const TARGET: &str = "AmazonSQS.";

/// A request, whichever protocol it came in.
#[derive(Clone)]
pub(super) struct Asked {
    ask: Arc<Ask>,
    protocol: Protocol,
    pub(super) operation: Arc<String>,
    pub(super) input: Arc<Value>,
}

impl Asked {
    /// An error is of the JSON protocol.
    pub(super) fn read(ask: Ask) -> Result<Asked, Refusal> {
        let target = ask.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).and_then(|target| target.strip_prefix(TARGET));
        let (protocol, operation, input) = match target {
            Some(operation) => {
                let body: &[u8] = if ask.body.is_empty() { b"{}" } else { &ask.body };
                let input = serde_json::from_slice::<Value>(body).ok().filter(Value::is_object).ok_or_else(|| {
                    Refusal::new(StatusCode::BAD_REQUEST, "SerializationException", "The request's body is no JSON object")
                })?;
                (Protocol::Json, operation.to_owned(), input)
            }
            None => {
                let form = ask.form();
                let operation = form.iter().find(|(name, _)| name == "Action").map(|(_, value)| value.clone()).unwrap_or_default();
                let mut input = input_of(form);
                // The address may name the queue in place of a field.
                if input["QueueUrl"].is_null() && ask.uri.path() != "/" {
                    input["QueueUrl"] = ask.uri.path().into();
                }
                (Protocol::Query, operation, input)
            }
        };
        Ok(Asked { ask: Arc::new(ask), protocol, operation: Arc::new(operation), input: Arc::new(input) })
    }

    pub(super) fn namespace(&self) -> Name {
        self.ask.namespace.clone()
    }

    pub(super) fn account_of(&self) -> String {
        self.ask.account.of(&self.ask.namespace)
    }

    pub(super) fn url(&self, name: &Name) -> String {
        format!("{}/{}/{name}", self.ask.stamp.origin, self.account_of())
    }

    pub(super) fn arn(&self, name: &Name) -> String {
        arn::of_queue(name, &self.ask.region, &self.account_of())
    }

    pub(super) fn text(&self, name: &str) -> &str {
        self.input[name].as_str().unwrap_or_default()
    }

    pub(super) fn needed(&self, name: &'static str) -> Result<&str, Refusal> {
        Some(self.text(name)).filter(|text| !text.is_empty()).ok_or_else(|| missing(name))
    }

    /// Does it, and goes on with what came of it.
    pub(super) fn turn(&self, what: Action, then: impl FnOnce(Result<Done>) -> Turn + Send + 'static) -> Turn {
        Turn::act(self.ask.who.clone(), what, then)
    }

    /// Does it, and answers with what `told` makes of it.
    pub(super) fn act(&self, what: Action, told: impl FnOnce(Done) -> Result<Value, Refusal> + Send + 'static) -> Turn {
        let again = self.clone();
        self.turn(what, move |done| match done.map_err(|error: Error| refusal(&error)).and_then(told) {
            Ok(output) => again.done(output),
            Err(refusal) => again.refuse(&refusal),
        })
    }

    /// Does it, and has nothing to tell.
    pub(super) fn then(&self, what: Action) -> Turn {
        self.act(what, |_| Ok(json!({})))
    }

    pub(super) fn done(&self, output: Value) -> Turn {
        let id = self.ask.stamp.id;
        Turn::Answer(match self.protocol {
            Protocol::Json => wire::json(&output, id),
            Protocol::Query | Protocol::Rest => wire::query(XMLNS, &self.operation, &xml(&self.operation, &output), id),
        })
    }

    pub(super) fn refuse(&self, refusal: &Refusal) -> Turn {
        let shape = Refusal { code: shape(refusal.code), ..refusal.clone() };
        let worded = if self.protocol == Protocol::Json { &shape } else { refusal };
        let mut response = wire::refuse(self.protocol, worded, self.ask.stamp.id);
        // What clients of the JSON protocol make their exceptions of, from the days of the other one.
        if let Ok(code) = http::HeaderValue::try_from(format!("{};Sender", refusal.code)) {
            response.headers_mut().insert("x-amzn-query-error", code);
        }
        Turn::Answer(response)
    }
}

/// The JSON protocol's name of an error.
fn shape(code: &'static str) -> &'static str {
    match code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code) {
        "NonExistentQueue" => "QueueDoesNotExist",
        "QueueAlreadyExists" => "QueueNameExists",
        "AccessDenied" => "AccessDeniedException",
        "Throttling" => "ThrottlingException",
        code => code,
    }
}

/// How a list or a map is called in a form, and in JSON.
const LISTS: [(&str, &str); 8] = [
    ("AttributeName", "AttributeNames"),
    ("MessageAttributeName", "MessageAttributeNames"),
    ("MessageSystemAttributeName", "MessageSystemAttributeNames"),
    ("TagKey", "TagKeys"),
    ("SendMessageBatchRequestEntry", "Entries"),
    ("DeleteMessageBatchRequestEntry", "Entries"),
    ("ChangeMessageVisibilityBatchRequestEntry", "Entries"),
    ("Entry", "Entries"),
];
const MAPS: [(&str, &str, &str); 4] = [
    ("Attribute", "Attributes", "Name"),
    ("MessageAttribute", "MessageAttributes", "Name"),
    ("Tag", "Tags", "Key"),
    ("Tags", "Tags", "Key"),
];

/// The fields of one entry of a list or a map.
struct Entry {
    name: String,
    number: String,
    fields: Vec<(String, String)>,
}

fn input_of(form: Vec<(String, String)>) -> Value {
    let mut input = Map::new();
    let mut grouped: Vec<Entry> = Vec::new();
    for (field, value) in form {
        match numbered(&field) {
            None => drop(input.insert(field, value.into())),
            Some((name, number, rest)) => match grouped.iter_mut().find(|entry| entry.name == name && entry.number == number) {
                Some(entry) => entry.fields.push((rest.to_owned(), value)),
                None => grouped.push(Entry { name: name.to_owned(), number: number.to_owned(), fields: vec![(rest.to_owned(), value)] }),
            },
        }
    }
    for Entry { name, fields, .. } in grouped {
        if let Some((_, list)) = LISTS.iter().find(|(n, _)| *n == name) {
            let entry = match <[(String, String); 1]>::try_from(fields) {
                Ok([(rest, value)]) if rest.is_empty() => value.into(),
                Ok(one) => input_of(one.into()),
                Err(fields) => input_of(fields),
            };
            if let Some(list) = input.entry(*list).or_insert_with(|| json!([])).as_array_mut() {
                list.push(entry);
            }
        } else if let Some((_, map, key)) = MAPS.iter().find(|(n, ..)| *n == name) {
            let Some((_, key)) = fields.iter().find(|(rest, _)| rest == key).cloned() else { continue };
            let mut value =
                input_of(fields.into_iter().filter_map(|(rest, value)| Some((rest.strip_prefix("Value")?.to_owned(), value))).collect());
            // `Value` itself, or `Value.StringValue` and its kind.
            let value = match value.as_object_mut().and_then(|value| value.remove("")) {
                Some(plain) => plain,
                None => unprefixed(value),
            };
            if let Some(map) = input.entry(*map).or_insert_with(|| json!({})).as_object_mut() {
                map.insert(key, value);
            }
        }
    }
    input.into()
}

/// `Name.3.Rest`, if it is such a field.
fn numbered(field: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = field.split_once('.')?;
    let (number, rest) = rest.split_once('.').unwrap_or((rest, ""));
    (!name.is_empty() && !number.is_empty() && number.len() <= 4 && number.bytes().all(|b| b.is_ascii_digit()))
        .then_some((name, number, rest))
}

/// `.StringValue` → `StringValue`.
fn unprefixed(value: Value) -> Value {
    let Value::Object(fields) = value else { return value };
    fields.into_iter().map(|(name, value)| (name.trim_start_matches('.').to_owned(), value)).collect::<Map<_, _>>().into()
}

/// What is inside of `<…Result>`.
fn xml(operation: &str, output: &Value) -> String {
    let mut text = String::new();
    for (name, value) in output.as_object().into_iter().flatten() {
        let element = match name.as_str() {
            "QueueUrls" => "QueueUrl",
            "Messages" => "Message",
            "Failed" => "BatchResultErrorEntry",
            "Successful" => &format!("{operation}ResultEntry"),
            "Attributes" => "Attribute",
            "MessageAttributes" => "MessageAttribute",
            "Tags" => "Tag",
            name => name,
        };
        match value {
            Value::Array(entries) => entries.iter().for_each(|entry| push(&mut text, element, entry, operation)),
            Value::Object(map) => {
                let key = if name == "Tags" { "Key" } else { "Name" };
                for (name, value) in map {
                    let _ = write!(text, "<{element}><{key}>{}</{key}>", wire::escape(name));
                    push(&mut text, "Value", value, operation);
                    let _ = write!(text, "</{element}>");
                }
            }
            value => push(&mut text, element, value, operation),
        }
    }
    text
}

fn push(text: &mut String, element: &str, value: &Value, operation: &str) {
    let inside = match value {
        Value::Object(_) => xml(operation, value),
        Value::String(plain) => wire::escape(plain),
        other => other.to_string(),
    };
    let _ = write!(text, "<{element}>{inside}</{element}>");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(form: &str) -> Value {
        let decoded = form_urlencoded::parse(form.as_bytes()).into_owned();
        input_of(decoded.collect())
    }

    #[test]
    fn a_form_is_what_json_would_have_been() {
        let check = |form: &str, expect: Value| assert_eq!(input(form), expect, "{form}");
        check(
            "QueueName=q&Attribute.1.Name=DelaySeconds&Attribute.1.Value=5",
            json!({ "QueueName": "q", "Attributes": { "DelaySeconds": "5" } }),
        );
        check("AttributeName.1=All&AttributeName.2=QueueArn", json!({ "AttributeNames": ["All", "QueueArn"] }));
        check("Tag.1.Key=a&Tag.1.Value=b", json!({ "Tags": { "a": "b" } }));
        check(
            "MessageBody=b&MessageAttribute.1.Name=n&MessageAttribute.1.Value.StringValue=v&MessageAttribute.1.Value.DataType=String",
            json!({ "MessageBody": "b", "MessageAttributes": { "n": { "StringValue": "v", "DataType": "String" } } }),
        );
        check(
            "SendMessageBatchRequestEntry.1.Id=a&SendMessageBatchRequestEntry.1.MessageBody=x&SendMessageBatchRequestEntry.2.Id=b\
             &SendMessageBatchRequestEntry.2.MessageAttribute.1.Name=n&SendMessageBatchRequestEntry.2.MessageAttribute.1.Value.DataType=String",
            json!({ "Entries": [{ "Id": "a", "MessageBody": "x" }, { "Id": "b", "MessageAttributes": { "n": { "DataType": "String" } } }] }),
        );
        // What is numbered and means nothing is left out.
        check("Foo.1.Bar=x&Attribute.1.Value=x&.1=x&Attribute.99999.Name=x", json!({ ".1": "x", "Attribute.99999.Name": "x" }));
    }

    #[test]
    fn an_answer_in_xml() {
        let check = |operation: &str, output: Value, expect: &str| assert_eq!(xml(operation, &output), expect);
        check("ListQueues", json!({ "QueueUrls": ["u1", "u2"] }), "<QueueUrl>u1</QueueUrl><QueueUrl>u2</QueueUrl>");
        check(
            "GetQueueAttributes",
            json!({ "Attributes": { "DelaySeconds": "5" } }),
            "<Attribute><Name>DelaySeconds</Name><Value>5</Value></Attribute>",
        );
        check(
            "ReceiveMessage",
            json!({ "Messages": [{ "Body": "<b>", "MessageAttributes": { "n": { "DataType": "String" } } }] }),
            "<Message><Body>&lt;b&gt;</Body><MessageAttribute><Name>n</Name><Value><DataType>String</DataType></Value></MessageAttribute></Message>",
        );
        check(
            "SendMessageBatch",
            json!({ "Successful": [{ "Id": "a" }], "Failed": [{ "Id": "b", "SenderFault": true }] }),
            "<BatchResultErrorEntry><Id>b</Id><SenderFault>true</SenderFault></BatchResultErrorEntry>\
             <SendMessageBatchResultEntry><Id>a</Id></SendMessageBatchResultEntry>",
        );
    }
}
