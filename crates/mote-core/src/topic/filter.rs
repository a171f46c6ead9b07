//! Which events of a topic a subscriber wants, and which way a flow's branch takes: a JSON object, in the words of the clouds' filter
//! policies (`prefix`, `suffix`, `anything-but`, `numeric`, `exists`, `equals-ignore-case`).
//!
//! Read once into tests, each bounded; an event is judged in one walk for each field, so no filter
//! costs more than its event's size times its fields. No patterns, so nothing backtracks.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::content::Content;
use crate::error::{Code, Error, Result};

/// Fields that a filter names, and tests of all of them.
const FIELDS_MAX: usize = 32;
pub const TESTS_MAX: usize = 256;
const DEPTH_MAX: usize = 8;
const TEXT_BYTES_MAX: usize = 1024;

/// See the module's text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Filter {
    written: Value,
    fields: Vec<Field>,
}

/// All fields have to hold, each by any of its tests.
#[derive(Clone, Debug, PartialEq)]
struct Field {
    path: Vec<String>,
    any: Vec<Test>,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Exact(Value),
    Prefix(String),
    Suffix(String),
    /// In lower case.
    IgnoreCase(String),
    /// None of these.
    AnythingBut(Vec<Test>),
    /// All of these.
    Numeric(Vec<(Sign, f64)>),
    Exists(bool),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sign {
    Equal,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
}

impl Filter {
    pub fn read(written: Value) -> Result<Filter> {
        let Some(object) = written.as_object() else { return Err(wrong(&written, "an object of fields")) };
        let mut fields = Vec::new();
        walk(object, &mut Vec::new(), &mut fields)?;
        let filter = Filter { written, fields };
        let (fields, tests) = (filter.fields.len(), filter.tests());
        if fields > FIELDS_MAX || tests > TESTS_MAX {
            let found = format!("the filter has {fields} fields with {tests} tests; {FIELDS_MAX} with {TESTS_MAX} is the limit");
            return Err(Error::new(Code::FilterInvalid, found).hint("Let the subscriber look at what is finer than that."));
        }
        Ok(filter)
    }

    /// Of all fields.
    pub fn tests(&self) -> usize {
        self.fields.iter().map(|field| field.any.iter().map(Test::weight).sum::<usize>()).sum()
    }

    pub fn takes(&self, content: &Content<'_>) -> bool {
        self.fields.iter().all(|field| {
            let mut there = false;
            let any = content.any(&field.path, &mut |value| {
                there = true;
                field.any.iter().any(|test| test.holds(value))
            });
            any || !there && field.any.contains(&Test::Exists(false))
        })
    }
}

impl TryFrom<Value> for Filter {
    type Error = Error;

    fn try_from(written: Value) -> Result<Filter> {
        Filter::read(written)
    }
}

/// As it is written.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.written, f)
    }
}

impl From<Filter> for Value {
    fn from(filter: Filter) -> Value {
        filter.written
    }
}

fn walk(object: &Map<String, Value>, path: &mut Vec<String>, fields: &mut Vec<Field>) -> Result<()> {
    if path.len() >= DEPTH_MAX {
        return Err(Error::new(Code::FilterInvalid, format!("the filter is more than {DEPTH_MAX} objects deep")));
    }
    for (key, value) in object {
        bounded(key)?;
        path.push(key.clone());
        match value {
            Value::Object(deeper) if !deeper.is_empty() => walk(deeper, path, fields)?,
            Value::Array(tests) if !tests.is_empty() => {
                let any = tests.iter().map(|test| Test::read(test, true)).collect::<Result<_>>()?;
                fields.push(Field { path: path.clone(), any });
            }
            other => return Err(wrong(other, &format!("a list of values or an object at {:?}", path.join(".")))),
        }
        path.pop();
    }
    Ok(())
}

impl Test {
    /// `whole`: not inside of an `anything-but`.
    fn read(value: &Value, whole: bool) -> Result<Test> {
        let Some(object) = value.as_object() else { return Test::exact(value) };
        let mut entries = object.iter();
        let (Some((word, rule)), None) = (entries.next(), entries.next()) else {
            return Err(wrong(value, "one comparison in each object"));
        };
        let text = || match rule.as_str() {
            Some(text) => bounded(text).map(|()| text.to_owned()),
            None => Err(wrong(value, &format!("a text for {word:?}"))),
        };
        match word.as_str() {
            "prefix" => Ok(Test::Prefix(text()?)),
            "suffix" => Ok(Test::Suffix(text()?)),
            "equals-ignore-case" => Ok(Test::IgnoreCase(text()?.to_lowercase())),
            "exists" if whole => rule.as_bool().map(Test::Exists).ok_or_else(|| wrong(value, "true or false for \"exists\"")),
            "numeric" if whole => numeric(value, rule),
            "anything-but" if whole => {
                let list = rule.as_array().map_or(std::slice::from_ref(rule), Vec::as_slice);
                if list.is_empty() {
                    return Err(wrong(value, "something that it shall not be"));
                }
                Ok(Test::AnythingBut(list.iter().map(|test| Test::read(test, false)).collect::<Result<_>>()?))
            }
            _ if whole => Err(wrong(value, "prefix, suffix, equals-ignore-case, anything-but, numeric or exists")),
            _ => Err(wrong(value, "values, prefix, suffix or equals-ignore-case in \"anything-but\"")),
        }
    }

    fn exact(value: &Value) -> Result<Test> {
        match value {
            Value::String(text) => bounded(text)?,
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::Array(_) | Value::Object(_) => return Err(wrong(value, "a value that is no list")),
        }
        Ok(Test::Exact(value.clone()))
    }

    fn weight(&self) -> usize {
        match self {
            Test::AnythingBut(tests) => tests.len(),
            _ => 1,
        }
    }

    fn holds(&self, value: &Value) -> bool {
        let text = value.as_str();
        match self {
            Test::Exact(Value::Number(wanted)) => wanted.as_f64().is_some() && wanted.as_f64() == value.as_f64(),
            Test::Exact(wanted) => wanted == value,
            Test::Prefix(prefix) => text.is_some_and(|text| text.starts_with(prefix.as_str())),
            Test::Suffix(suffix) => text.is_some_and(|text| text.ends_with(suffix.as_str())),
            Test::IgnoreCase(wanted) => text.is_some_and(|text| text.to_lowercase() == *wanted),
            Test::AnythingBut(tests) => !tests.iter().any(|test| test.holds(value)),
            Test::Numeric(ranges) => value.as_f64().is_some_and(|number| ranges.iter().all(|(sign, bound)| sign.holds(number, *bound))),
            Test::Exists(wanted) => *wanted,
        }
    }
}

impl Sign {
    fn holds(self, number: f64, bound: f64) -> bool {
        match self {
            Sign::Equal => number == bound,
            Sign::Less => number < bound,
            Sign::LessOrEqual => number <= bound,
            Sign::More => number > bound,
            Sign::MoreOrEqual => number >= bound,
        }
    }
}

/// `[">", 0, "<=", 100]`: one comparison, or two.
fn numeric(value: &Value, rule: &Value) -> Result<Test> {
    let wanted = || wrong(value, "one or two of =, <, <=, >, >= for \"numeric\", each with a number,");
    let list = rule.as_array().filter(|list| matches!(list.len(), 2 | 4)).ok_or_else(wanted)?;
    let range = |pair: &[Value]| {
        let [sign, bound] = pair else { return None };
        let sign = match sign.as_str()? {
            "=" => Sign::Equal,
            "<" => Sign::Less,
            "<=" => Sign::LessOrEqual,
            ">" => Sign::More,
            ">=" => Sign::MoreOrEqual,
            _ => return None,
        };
        Some((sign, bound.as_f64()?))
    };
    list.chunks(2).map(range).collect::<Option<_>>().map(Test::Numeric).ok_or_else(wanted)
}

fn bounded(text: &str) -> Result<()> {
    if text.len() <= TEXT_BYTES_MAX {
        return Ok(());
    }
    Err(Error::new(Code::FilterInvalid, format!("a text of the filter has {} bytes, more than the limit of {TEXT_BYTES_MAX}", text.len())))
}

fn wrong(found: &Value, wanted: &str) -> Error {
    let shown: String = found.to_string().chars().take(80).collect();
    Error::new(Code::FilterInvalid, format!("the filter has {shown}, and {wanted} is wanted"))
        .hint("Such as {\"type\": [\"order.paid\"], \"data\": {\"total\": [{\"numeric\": [\">\", 100]}]}}; see the guide on topics.")
}

#[cfg(test)]
mod tests;
