//! Patterns of a mapping as filters of core's, which look at a message as mote has it.
//!
//! | pattern | filter |
//! |---|---|
//! | `body`, an object | `data` |
//! | `body`, a list of comparisons | `body`, which is no JSON |
//! | `messageAttributes.NAME.stringValue` | `attributes.NAME` |
//! | `attributes.MessageGroupId` | `group` |
//! | `messageId` | `id` |

use mote_core::topic::filter::Filter;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::fault::Fault;

/// Of one mapping, and bytes of each.
const FILTERS_MAX: usize = 10;
const PATTERN_BYTES_MAX: usize = 4096;
const OR: &str = "$or";

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Criteria {
    filters: Vec<One>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct One {
    pattern: String,
}

impl Criteria {
    /// As they were said; without any, nothing is told.
    pub(super) fn told(&self) -> Value {
        if self.filters.is_empty() { Value::Null } else { json!(self) }
    }

    pub(super) fn filters(&self) -> Result<Vec<Filter>, Fault> {
        if self.filters.len() > FILTERS_MAX {
            return Err(Fault::invalid(format!("A mapping has at most {FILTERS_MAX} filters; {} were given.", self.filters.len())));
        }
        self.filters.iter().map(|one| filter(&one.pattern)).collect()
    }
}

/// The same of a manifest's; the error says what is wrong.
pub(in crate::aws) fn pattern_of(pattern: &str) -> Result<Filter, String> {
    filter(pattern).map_err(|fault| fault.message)
}

fn filter(pattern: &str) -> Result<Filter, Fault> {
    if pattern.len() > PATTERN_BYTES_MAX {
        let limit = format!("Member must have length less than or equal to {PATTERN_BYTES_MAX}");
        return Err(Fault::constraint(pattern, "filterCriteria.filters.pattern", limit));
    }
    let wrong = |why: &str| Fault::invalid(format!("Invalid filter pattern definition.{why}"));
    let pattern: Map<String, Value> = serde_json::from_str(pattern).map_err(|_| wrong(""))?;
    let words = translated(&pattern).map_err(|field| {
        wrong(&format!(
            " mote looks at body, messageAttributes.NAME.stringValue, attributes.MessageGroupId and messageId, not at {field:.100}"
        ))
    })?;
    Filter::read(words.into()).map_err(|error| wrong(&format!(" {}", error.detail())))
}

/// The error is the field that has no counterpart.
fn translated(pattern: &Map<String, Value>) -> Result<Map<String, Value>, String> {
    let mut words = Map::new();
    for (field, wanted) in pattern {
        match (field.as_str(), wanted) {
            ("body", Value::Object(_)) => {
                words.insert("data".into(), wanted.clone());
            }
            ("body", Value::Array(_)) => {
                words.insert("body".into(), wanted.clone());
                words.insert("data".into(), json!([{ "exists": false }]));
            }
            ("messageId", Value::Array(_)) => {
                words.insert("id".into(), wanted.clone());
            }
            ("messageAttributes", Value::Object(names)) => {
                let texts = names.iter().map(|(name, of)| Ok((name.clone(), only(of, "stringValue", &format!("{field}.{name}"))?)));
                words.insert("attributes".into(), texts.collect::<Result<Map<_, _>, String>>()?.into());
            }
            ("attributes", of @ Value::Object(_)) => {
                words.insert("group".into(), only(of, "MessageGroupId", field)?);
            }
            (OR, Value::Array(some)) => {
                let some = some.iter().map(|one| one.as_object().ok_or_else(|| OR.to_owned()).and_then(translated));
                words.insert(OR.into(), some.map(|one| one.map(Value::from)).collect::<Result<Vec<_>, String>>()?.into());
            }
            _ => return Err(field.clone()),
        }
    }
    Ok(words)
}

/// What is wanted of this one member, where nothing is of another.
fn only(of: &Value, member: &str, path: &str) -> Result<Value, String> {
    let of = of.as_object().ok_or_else(|| path.to_owned())?;
    match of.keys().find(|key| *key != member) {
        Some(other) => Err(format!("{path}.{other}")),
        None => of.get(member).cloned().ok_or_else(|| path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_filter() {
        let check = |pattern: Value, expect: Value| assert_eq!(Value::from(filter(&pattern.to_string()).unwrap()), expect, "{pattern}");
        check(json!({"body": {"a": [{"numeric": [">", 5]}]}}), json!({"data": {"a": [{"numeric": [">", 5]}]}}));
        check(json!({"body": [{"prefix": "x"}]}), json!({"body": [{"prefix": "x"}], "data": [{"exists": false}]}));
        check(json!({"messageAttributes": {"kind": {"stringValue": ["a"]}}}), json!({"attributes": {"kind": ["a"]}}));
        check(json!({"attributes": {"MessageGroupId": ["g"]}, "messageId": ["i"]}), json!({"group": ["g"], "id": ["i"]}));
        check(
            json!({"$or": [{"body": {"a": [1]}}, {"attributes": {"MessageGroupId": ["g"]}}]}),
            json!({"$or": [{"data": {"a": [1]}}, {"group": ["g"]}]}),
        );
        check(json!({}), json!({}));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let long = json!({ "body": ["x".repeat(5000)] }).to_string();
        for pattern in [
            "asdf",
            "",
            "[]",
            r#"{"body":"x"}"#,
            r#"{"body":{"a":"x"}}"#,
            r#"{"body":{"a":[{"colour":1}]}}"#,
            r#"{"awsRegion":["x"]}"#,
            r#"{"attributes":{"SenderId":["x"]}}"#,
            r#"{"messageAttributes":{"a":["x"]}}"#,
            r#"{"messageAttributes":{"a":{"dataType":["String"]}}}"#,
            r#"{"$or":["x"]}"#,
        ] {
            assert_eq!(filter(pattern).unwrap_err().kind, "InvalidParameterValueException", "{pattern}");
        }
        assert_eq!(filter(&long).unwrap_err().kind, "ValidationException");
        let many = Criteria { filters: vec![One { pattern: "{}".into() }; 11] };
        assert!(many.filters().is_err());
    }
}
