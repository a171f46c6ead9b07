//! Which events of a topic a subscriber wants, and which way a flow's branch takes: a JSON object, in the words of the clouds' filter
//! policies and event patterns. Each field has [comparisons](comparison); `$or` has alternatives.
//!
//! Read once into tests, each bounded; an event is judged in one walk for each field, so no filter
//! costs more than its event's size times its fields. Nothing in it backtracks, wildcards neither.

mod comparison;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::comparison::{Test, bounded, wrong};
use super::content::{self, Content};
use crate::error::{Code, Error, Result};

/// Fields that a filter names, and tests of all of them.
const FIELDS_MAX: usize = 32;
pub const TESTS_MAX: usize = 256;
const DEPTH_MAX: usize = 8;
const TEXT_BYTES_MAX: usize = 1024;
const OR: &str = "$or";

/// See the module's text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Filter {
    written: Value,
    clauses: Vec<Clause>,
}

/// All of a list have to hold.
#[derive(Clone, Debug, PartialEq)]
enum Clause {
    /// By any of its tests.
    Field { path: Vec<String>, any: Vec<Test> },
    /// One of these lists.
    Or(Vec<Vec<Clause>>),
}

/// Whether a test holds for a value at a path; it is asked for each until it does.
type Look<'l> = dyn Fn(&[String], &mut dyn FnMut(&Value) -> bool) -> bool + 'l;

impl Filter {
    pub fn read(written: Value) -> Result<Filter> {
        let Some(object) = written.as_object() else { return Err(wrong(&written, "an object of fields")) };
        let clauses = walk(object, &mut Vec::new(), 0)?;
        let (fields, tests) = size(&clauses);
        if fields > FIELDS_MAX || tests > TESTS_MAX {
            let found = format!("the filter has {fields} fields with {tests} tests; {FIELDS_MAX} with {TESTS_MAX} is the limit");
            return Err(Error::new(Code::FilterInvalid, found).hint("Let the subscriber look at what is finer than that."));
        }
        Ok(Filter { written, clauses })
    }

    /// Of all fields.
    pub fn tests(&self) -> usize {
        size(&self.clauses).1
    }

    pub fn takes(&self, content: &Content<'_>) -> bool {
        all_hold(&self.clauses, &|path, test| content.any(path, test))
    }

    /// Of what is no event: its fields are those of the JSON itself.
    pub fn takes_json(&self, json: &Value) -> bool {
        all_hold(&self.clauses, &|path, test| content::any(json, path, test))
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

fn all_hold(clauses: &[Clause], look: &Look<'_>) -> bool {
    clauses.iter().all(|clause| match clause {
        Clause::Or(lists) => lists.iter().any(|list| all_hold(list, look)),
        Clause::Field { path, any } => {
            let mut there = false;
            let found = look(path, &mut |value| {
                there = true;
                any.iter().any(|test| test.holds(value))
            });
            found || !there && any.contains(&Test::Exists(false))
        }
    })
}

/// Fields, and tests of all of them.
fn size(clauses: &[Clause]) -> (usize, usize) {
    clauses.iter().fold((0, 0), |(fields, tests), clause| {
        let more = match clause {
            Clause::Field { any, .. } => (1, any.iter().map(Test::weight).sum()),
            Clause::Or(lists) => lists.iter().map(|list| size(list)).fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1)),
        };
        (fields + more.0, tests + more.1)
    })
}

/// `depth` counts what the path does not: alternatives.
fn walk(object: &Map<String, Value>, path: &mut Vec<String>, depth: usize) -> Result<Vec<Clause>> {
    if depth >= DEPTH_MAX {
        return Err(Error::new(Code::FilterInvalid, format!("the filter is more than {DEPTH_MAX} objects deep")));
    }
    let mut clauses = Vec::new();
    for (key, value) in object {
        bounded(key)?;
        if let (OR, Some(lists)) = (key.as_str(), alternatives(value)) {
            let lists = lists.into_iter().map(|list| walk(list, path, depth + 1)).collect::<Result<_>>()?;
            clauses.push(Clause::Or(lists));
            continue;
        }
        path.push(key.clone());
        match value {
            Value::Object(deeper) if !deeper.is_empty() => clauses.extend(walk(deeper, path, depth + 1)?),
            Value::Array(tests) if !tests.is_empty() => {
                let any = tests.iter().map(|test| Test::read(test, true)).collect::<Result<_>>()?;
                clauses.push(Clause::Field { path: path.clone(), any });
            }
            other => return Err(wrong(other, &format!("a list of values or an object at {:?}", path.join(".")))),
        }
        path.pop();
    }
    Ok(clauses)
}

/// Objects of fields. A list of comparisons, or of one object, is that of a field with this name.
fn alternatives(value: &Value) -> Option<Vec<&Map<String, Value>>> {
    let lists: Option<Vec<_>> = value.as_array()?.iter().map(Value::as_object).collect();
    let of_fields = |list: &&Map<String, Value>| !list.is_empty() && !list.keys().any(|key| comparison::WORDS.contains(&key.as_str()));
    lists.filter(|lists| lists.len() > 1 && lists.iter().all(of_fields))
}

#[cfg(test)]
mod tests;
