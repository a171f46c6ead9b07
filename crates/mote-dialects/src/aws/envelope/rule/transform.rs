//! The template of an `InputTransformer`: JSON or text with the names of values in angle brackets.
//!
//! Between quotes a value is text, elsewhere JSON. A name that no path and no word of EventBridge's
//! stands for is text like any other.

use std::collections::BTreeMap;

use mote_core::event::StoredEvent;
use mote_core::flow::path::Path;
use mote_core::rule::Rule;
use mote_core::{Code, Error, Result};
use serde_json::Value;

use super::BYTES_MAX;

const PATHS_MAX: usize = 100;
const TEMPLATE_BYTES_MAX: usize = 8192;
const OWN: &str = "aws.events.";

/// See the module's text.
#[derive(Debug, PartialEq)]
pub(in crate::aws) struct Template {
    parts: Vec<Part>,
    paths: BTreeMap<String, Path>,
}

#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    Value { name: String, is_quoted: bool },
}

impl Template {
    pub(in crate::aws) fn read(transformer: &Value) -> Result<Template> {
        let paths = match &transformer["InputPathsMap"] {
            Value::Null => BTreeMap::new(),
            Value::Object(map) if map.len() <= PATHS_MAX => {
                let path = |(name, path): (&String, &Value)| Ok((name.clone(), path.as_str().unwrap_or_default().parse()?));
                map.iter().map(path).collect::<Result<_>>()?
            }
            _ => return Err(wrong("InputPathsMap is an object of 100 paths at most")),
        };
        if paths.keys().any(|name| name.starts_with("aws")) {
            return Err(wrong("a name in InputPathsMap can't begin with aws"));
        }
        let text = transformer["InputTemplate"].as_str().filter(|text| (1..=TEMPLATE_BYTES_MAX).contains(&text.len()));
        let text = text.ok_or_else(|| wrong("InputTemplate is a text of 1 to 8192 bytes"))?;
        Ok(Template { parts: parts(text, |name| paths.contains_key(name) || is_own(name)), paths })
    }

    pub(super) fn fill(&self, event: &Value, rule: &Rule, arn: &str, stored: &StoredEvent) -> Result<String> {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Value { name, is_quoted } => {
                    let value = match self.paths.get(name) {
                        Some(path) => path.get(event).cloned().unwrap_or_else(|| "".into()),
                        None => own(name, event, rule, arn, stored),
                    };
                    match (is_quoted, value) {
                        (true, Value::String(text)) => filled.push_str(inside_quotes(&Value::from(text).to_string())),
                        (true, value) => filled.push_str(inside_quotes(&Value::from(value.to_string()).to_string())),
                        (false, value) => filled.push_str(&value.to_string()),
                    }
                }
            }
            // It may name one large value many times.
            if filled.len() > BYTES_MAX {
                return Err(Error::new(Code::EventInvalid, format!("the target would get more than {BYTES_MAX} bytes")));
            }
        }
        Ok(filled)
    }
}

fn inside_quotes(json: &str) -> &str {
    json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or(json)
}

fn parts(text: &str, is_value: impl Fn(&str) -> bool) -> Vec<Part> {
    let (mut parts, mut plain) = (Vec::new(), String::new());
    let (mut is_quoted, mut is_escaped, mut rest) = (false, false, text);
    while let Some(c) = rest.chars().next() {
        if let Some(name) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>')).map(|(name, _)| name)
            && is_value(name)
        {
            parts.push(Part::Text(std::mem::take(&mut plain)));
            parts.push(Part::Value { name: name.to_owned(), is_quoted });
            rest = rest.get(name.len() + 2..).unwrap_or_default();
            continue;
        }
        if c == '"' && !is_escaped {
            is_quoted = !is_quoted;
        }
        is_escaped = c == '\\' && !is_escaped;
        plain.push(c);
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    parts.push(Part::Text(plain));
    parts
}

fn is_own(name: &str) -> bool {
    let known = ["rule-arn", "rule-name", "event.ingestion-time", "event", "event.json"];
    name.strip_prefix(OWN).is_some_and(|name| known.contains(&name))
}

/// What EventBridge knows of a rule and its event.
fn own(name: &str, event: &Value, rule: &Rule, arn: &str, stored: &StoredEvent) -> Value {
    match name.strip_prefix(OWN) {
        Some("rule-arn") => arn.into(),
        Some("rule-name") => rule.name.as_str().into(),
        Some("event.ingestion-time") => stored.time.rfc3339().into(),
        Some("event.json") => event.clone(),
        _ => {
            let mut event = event.clone();
            event.as_object_mut().map(|event| event.remove("detail"));
            event
        }
    }
}

fn wrong(why: &str) -> Error {
    Error::new(Code::RequestInvalid, why)
}
