//! `if`: a table of paths and what is asked of them, all of which must hold; or a list of such
//! tables, one of which must.
//!
//! ```toml
//! if = { "$.kind" = "jpeg", "$.size" = { above = 1000 } }
//! ```

use mote_core::flow::condition::{Condition, Test};
use mote_core::flow::path::Path;
use mote_core::{Error, Result};

use super::super::keys::hint;
use super::super::section::{Section, Value};

const WORDS: &[&str] = &["equals", "one_of", "exists", "prefix", "suffix", "contains", "above", "at_least", "below", "at_most", "not"];
const ALTERNATIVES_MAX: usize = 100;

pub(super) fn read(value: &Value) -> Result<Condition> {
    if let Ok(table) = value.table() {
        return all(&table, value);
    }
    let tables =
        value.tables(ALTERNATIVES_MAX).map_err(|_| value.wanted("a table such as { \"$.kind\" = \"jpeg\" }, or a list of them,"))?;
    let any = tables.iter().map(|table| all(table, value)).collect::<Result<Vec<_>>>()?;
    if any.is_empty() { Err(value.wrong("never holds: the list is empty")) } else { Ok(Condition::Any(any)) }
}

fn all(table: &Section, at: &Value) -> Result<Condition> {
    let one = |(key, value): (&str, Value)| {
        let path: Path = key.parse().map_err(|error: Error| value.wrong(&format!("is wrong: {error}")).hint(hint(&error)))?;
        let tests = tests(&value)?.into_iter().map(|is| Condition::Test { at: path.clone(), is });
        Ok(tests.collect::<Vec<_>>())
    };
    let mut tests = table.values().map(one).collect::<Result<Vec<_>>>()?.concat();
    match tests.len() {
        0 => Err(at.wrong("asks nothing")),
        1 => Ok(tests.remove(0)),
        _ => Ok(Condition::All(tests)),
    }
}

/// A value is what is wanted, a list the values of which one is; a table says more.
fn tests(value: &Value) -> Result<Vec<Test>> {
    match value.json()? {
        serde_json::Value::Object(_) => {}
        serde_json::Value::Array(values) => return Ok(vec![Test::OneOf(values)]),
        plain => return Ok(vec![Test::Equals(plain)]),
    }
    let table = value.table()?;
    table.expect_keys("a test", WORDS)?;
    let test = |(word, value): (&str, Value)| {
        Ok(match word {
            "equals" => Test::Equals(value.json()?),
            "one_of" => match value.json()? {
                serde_json::Value::Array(values) => Test::OneOf(values),
                _ => return Err(value.wanted("a list")),
            },
            "exists" => Test::Exists(value.flag()?),
            "prefix" => Test::Prefix(value.text()?.to_owned()),
            "suffix" => Test::Suffix(value.text()?.to_owned()),
            "contains" => Test::Contains(value.json()?),
            "above" => Test::Above(value.number()?),
            "at_least" => Test::AtLeast(value.number()?),
            "below" => Test::Below(value.number()?),
            "at_most" => Test::AtMost(value.number()?),
            _ => return not(&value),
        })
    };
    let tests = table.values().map(test).collect::<Result<Vec<_>>>()?;
    if tests.is_empty() { Err(value.wrong("asks nothing")) } else { Ok(tests) }
}

fn not(value: &Value) -> Result<Test> {
    let mut tests = tests(value)?;
    match (tests.pop(), tests.is_empty()) {
        (Some(test), true) => Ok(Test::Not(Box::new(test))),
        _ => Err(value.wrong("takes one test, or a value")),
    }
}
