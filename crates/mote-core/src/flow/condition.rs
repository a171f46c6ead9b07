//! What can be asked of a body: small tests of what is at a path, and their combinations.
//!
//! A body that is no JSON, and a path with nothing there, pass no test but `exists = false`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::path::Path;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// True of everything if it is empty.
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Test {
        at: Path,
        is: Test,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    Equals(Value),
    OneOf(Vec<Value>),
    /// Whether something is there that is not `null`.
    Exists(bool),
    Prefix(String),
    Suffix(String),
    /// A part of a text, or an element of a list.
    Contains(Value),
    Above(f64),
    AtLeast(f64),
    Below(f64),
    AtMost(f64),
    /// Something is there, and it is not so.
    Not(Box<Test>),
}

impl Condition {
    pub fn holds(&self, body: Option<&Value>) -> bool {
        match self {
            Condition::All(all) => all.iter().all(|one| one.holds(body)),
            Condition::Any(any) => any.iter().any(|one| one.holds(body)),
            Condition::Test { at, is } => is.passes(body.and_then(|body| at.get(body)).filter(|value| !value.is_null())),
        }
    }
}

impl Test {
    fn passes(&self, found: Option<&Value>) -> bool {
        if let Test::Exists(wanted) = self {
            return found.is_some() == *wanted;
        }
        let Some(found) = found else { return false };
        let text = |pass: &dyn Fn(&str) -> bool| found.as_str().is_some_and(pass);
        let number = |pass: &dyn Fn(f64) -> bool| found.as_f64().is_some_and(pass);
        match self {
            Test::Equals(value) => same(found, value),
            Test::OneOf(values) => values.iter().any(|value| same(found, value)),
            Test::Exists(wanted) => *wanted,
            Test::Prefix(start) => text(&|found| found.starts_with(start)),
            Test::Suffix(end) => text(&|found| found.ends_with(end)),
            Test::Contains(part) => match found {
                Value::Array(list) => list.iter().any(|element| same(element, part)),
                Value::String(found) => part.as_str().is_some_and(|part| found.contains(part)),
                _ => false,
            },
            Test::Above(bound) => number(&|found| found > *bound),
            Test::AtLeast(bound) => number(&|found| found >= *bound),
            Test::Below(bound) => number(&|found| found < *bound),
            Test::AtMost(bound) => number(&|found| found <= *bound),
            Test::Not(test) => !test.passes(Some(found)),
        }
    }
}

/// `1` and `1.0` are one number.
fn same(a: &Value, b: &Value) -> bool {
    a == b || matches!((a, b), (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tests_of_what_is_there() {
        let body = json!({"kind": "image/jpeg", "size": 5, "tags": ["sea", 7], "none": null});
        let check = |at: &str, is: Test, expect: bool| {
            let condition = Condition::Test { at: at.parse().unwrap(), is };
            assert_eq!(condition.holds(Some(&body)), expect, "{condition:?}");
        };
        check("$.size", Test::Equals(json!(5.0)), true);
        check("$.size", Test::Equals(json!("5")), false);
        check("$.kind", Test::OneOf(vec![json!("image/png"), json!("image/jpeg")]), true);
        check("$.kind", Test::Prefix("image/".into()), true);
        check("$.size", Test::Prefix("5".into()), false);
        check("$.kind", Test::Suffix("png".into()), false);
        check("$.kind", Test::Contains(json!("jp")), true);
        check("$.tags", Test::Contains(json!(7)), true);
        check("$.tags", Test::Contains(json!("se")), false);
        check("$.size", Test::Above(4.5), true);
        check("$.size", Test::AtLeast(5.0), true);
        check("$.size", Test::Below(5.0), false);
        check("$.size", Test::AtMost(5.0), true);
        check("$.kind", Test::Above(0.0), false);
        check("$.none", Test::Exists(false), true);
        check("$.gone", Test::Exists(true), false);
        check("$.size", Test::Not(Box::new(Test::Equals(json!(6)))), true);
        check("$.gone", Test::Not(Box::new(Test::Equals(json!(6)))), false);
    }

    #[test]
    fn combinations() {
        let size = |is| Condition::Test { at: "$.size".parse().unwrap(), is };
        let holds = |condition: Condition| condition.holds(Some(&json!({"size": 5})));
        assert!(holds(Condition::All(vec![size(Test::Above(1.0)), size(Test::Below(9.0))])));
        assert!(!holds(Condition::All(vec![size(Test::Above(1.0)), size(Test::Below(2.0))])));
        assert!(holds(Condition::Any(vec![size(Test::Above(7.0)), size(Test::Below(9.0))])));
        assert!(holds(Condition::All(Vec::new())) && !holds(Condition::Any(Vec::new())));
        assert!(!size(Test::Exists(true)).holds(None) && size(Test::Exists(false)).holds(None));
    }
}
