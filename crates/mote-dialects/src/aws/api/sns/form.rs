//! The Query protocol of SNS: a form whose numbered fields are lists and maps, and XML out.

use std::fmt::Write;
use std::sync::Arc;

use mote_core::action::{Action, Done};
use mote_core::dialect::Turn;
use mote_core::function::Name;
use mote_core::{Error, Result};
use serde_json::{Map, Value, json};

use super::super::Ask;
use super::super::wire::{self, Protocol, Refusal};
use super::{invalid, refusal};
use crate::aws::arn;

const XMLNS: &str = "http://sns.amazonaws.com/doc/2010-03-31/";
/// `PublishBatchRequestEntries.member.1.MessageAttributes.entry.1.Value.StringValue`.
const DEPTH_MAX: usize = 9;

/// A request, its fields as a tree.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) ask: Arc<Ask>,
    pub(super) operation: Arc<str>,
    pub(super) input: Arc<Value>,
}

impl Asked {
    pub(super) fn read(ask: Ask) -> Asked {
        let input = tree(ask.form());
        let operation = input["Action"].as_str().unwrap_or_default().into();
        Asked { ask: Arc::new(ask), operation, input: Arc::new(input) }
    }

    pub(super) fn namespace(&self) -> Name {
        self.ask.namespace.clone()
    }

    pub(super) fn account(&self) -> String {
        self.ask.account.of(&self.ask.namespace)
    }

    pub(super) fn arn(&self, service: &str, resource: &str) -> String {
        let region = &self.ask.region;
        format!("arn:{}:{service}:{region}:{}:{resource}", arn::partition(region), self.account())
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.input[name].as_str().filter(|text| !text.is_empty())
    }

    pub(super) fn needed(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name).ok_or_else(|| invalid(format!("{name} is missing")))
    }

    /// Does it, and goes on with what came of it.
    pub(super) fn turn(&self, what: Action, then: impl FnOnce(Asked, Result<Done>) -> Turn + Send + 'static) -> Turn {
        let again = self.clone();
        Turn::act(self.ask.who.clone(), what, move |done| then(again, done))
    }

    /// Does it, and goes on if it went well.
    pub(super) fn then(&self, what: Action, then: impl FnOnce(Asked, Done) -> Result<Turn, Refusal> + Send + 'static) -> Turn {
        self.turn(what, move |asked, done| {
            let done = done.map_err(|error: Error| refusal(&error));
            done.and_then(|done| then(asked.clone(), done)).unwrap_or_else(|refusal| asked.refuse(&refusal))
        })
    }

    pub(super) fn done(&self, output: &Value) -> Turn {
        Turn::Answer(wire::query(XMLNS, &self.operation, &xml(output), self.ask.stamp.id))
    }

    pub(super) fn refuse(&self, refusal: &Refusal) -> Turn {
        Turn::Answer(wire::refuse(Protocol::Query, refusal, self.ask.stamp.id))
    }
}

/// `a.1.b` = `{"a": {"1": {"b": …}}}`. What fits into no tree is left out.
fn tree(form: Vec<(String, String)>) -> Value {
    let mut tree = json!({});
    for (name, value) in form {
        let path: Vec<&str> = name.split('.').collect();
        if path.len() > DEPTH_MAX {
            continue;
        }
        let place = path.iter().try_fold(&mut tree, |at, part| match at {
            Value::Object(fields) => Some(fields.entry(*part).or_insert_with(|| json!({}))),
            _ => None,
        });
        if let Some(place @ Value::Object(_)) = place
            && place == &json!({})
        {
            *place = value.into();
        }
    }
    tree
}

/// The entries of a list, in the order of their numbers.
pub(super) fn members(list: &Value) -> Vec<&Value> {
    let numbered = list["member"].as_object().into_iter().flatten();
    let mut numbered: Vec<(u32, &Value)> = numbered.filter_map(|(number, entry)| Some((number.parse().ok()?, entry))).collect();
    numbered.sort_by_key(|(number, _)| *number);
    numbered.into_iter().map(|(_, entry)| entry).collect()
}

/// A map, of texts (`key`, `value`) or of message attributes (`Name`, `Value`).
pub(super) fn map(entries: &Value) -> Map<String, Value> {
    let entries = entries["entry"].as_object().into_iter().flatten();
    let pairs = entries.filter_map(|(_, entry)| {
        let key = entry["key"].as_str().or_else(|| entry["Name"].as_str())?;
        let value = entry.get("value").or_else(|| entry.get("Value"))?;
        Some((key.to_owned(), value.clone()))
    });
    pairs.collect()
}

/// A list has `member`s; what is named `Attributes` is a map of `entry`s.
fn xml(output: &Value) -> String {
    let mut text = String::new();
    for (name, value) in output.as_object().into_iter().flatten() {
        let _ = write!(text, "<{name}>");
        match value {
            Value::Array(list) => text.extend(list.iter().map(|one| format!("<member>{}</member>", xml(one)))),
            Value::Object(map) if name == "Attributes" => {
                for (key, value) in map {
                    let _ = write!(text, "<entry><key>{}</key><value>{}</value></entry>", wire::escape(key), plain(value));
                }
            }
            Value::Object(_) => text.push_str(&xml(value)),
            plain_value => text.push_str(&plain(plain_value)),
        }
        let _ = write!(text, "</{name}>");
    }
    text
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => wire::escape(text),
        other => wire::escape(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(form: &str) -> Value {
        tree(form_urlencoded::parse(form.as_bytes()).into_owned().collect())
    }

    #[test]
    fn a_form_is_a_tree() {
        let input = read("L.member.10.Id=j&L.member.2.Id=b&M.entry.1.key=k&M.entry.1.value=&A=1&A.b=2&B.c=1&B=2");
        assert_eq!(members(&input["L"]), [&json!({ "Id": "b" }), &json!({ "Id": "j" })]);
        assert_eq!(map(&input["M"]), *json!({ "k": "" }).as_object().unwrap());
        assert_eq!((&input["A"], &input["B"]), (&json!("1"), &json!({ "c": "1" })), "what comes first counts");
        let typed = read("M.entry.1.Name=n&M.entry.1.Value.DataType=String&M.entry.1.Value.StringValue=v");
        assert_eq!(Value::from(map(&typed["M"])), json!({ "n": { "DataType": "String", "StringValue": "v" } }));
        assert_eq!(read("a.b.c.d.e.f.g.h.i.j=1"), json!({}));
        assert!(members(&Value::Null).is_empty() && map(&json!("x")).is_empty());
    }

    #[test]
    fn an_answer_in_xml() {
        let check = |output: Value, expect: &str| assert_eq!(xml(&output), expect);
        check(json!({ "Topics": [{ "TopicArn": "a<" }] }), "<Topics><member><TopicArn>a&lt;</TopicArn></member></Topics>");
        check(json!({ "Attributes": { "A": 1 } }), "<Attributes><entry><key>A</key><value>1</value></entry></Attributes>");
    }
}
