//! Where a value is in a JSON body: `$`, `$.order.id`, `$.items[0]`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Code, Error};

/// See the module's text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Path(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Key(String),
    Index(usize),
}

impl Path {
    pub const BYTES_MAX: usize = 512;
    pub const PARTS_MAX: usize = 32;

    pub fn is_whole(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(value, |value, part| match part {
            Part::Key(key) => value.get(key),
            Part::Index(index) => value.get(index),
        })
    }

    /// Puts a value there, making the objects on the way; `None` if something else is in the way.
    pub fn put(&self, body: &mut Value, new: Value) -> Option<()> {
        let mut place = body;
        for part in &self.0 {
            if place.is_null() && matches!(part, Part::Key(_)) {
                *place = Value::Object(Map::new());
            }
            place = match (part, place) {
                (Part::Key(key), Value::Object(map)) => map.entry(key.as_str()).or_insert(Value::Null),
                (Part::Index(index), Value::Array(list)) => list.get_mut(*index)?,
                _ => return None,
            };
        }
        *place = new;
        Some(())
    }
}

impl FromStr for Path {
    type Err = Error;

    fn from_str(text: &str) -> Result<Path, Error> {
        let wrong = || {
            let shown: String = text.chars().take(60).collect();
            Error::new(Code::ManifestInvalid, format!("{shown:?} is no path into a body"))
                .hint("Write it as `$`, `$.order.id` or `$.items[0]`.")
        };
        let mut rest = text.strip_prefix('$').filter(|_| text.len() <= Path::BYTES_MAX).ok_or_else(wrong)?;
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let (part, after) = if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                let (key, after) = after.split_at(end);
                if key.is_empty() || key.contains(']') {
                    return Err(wrong());
                }
                (Part::Key(key.to_owned()), after)
            } else {
                let (index, after) = rest.strip_prefix('[').and_then(|inside| inside.split_once(']')).ok_or_else(wrong)?;
                let digits = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
                (Part::Index(index.parse().ok().filter(|_| digits).ok_or_else(wrong)?), after)
            };
            parts.push(part);
            rest = after;
        }
        if parts.len() > Path::PARTS_MAX { Err(wrong()) } else { Ok(Path(parts)) }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        self.0.iter().try_for_each(|part| match part {
            Part::Key(key) => write!(f, ".{key}"),
            Part::Index(index) => write!(f, "[{index}]"),
        })
    }
}

impl From<Path> for String {
    fn from(path: Path) -> String {
        path.to_string()
    }
}

impl TryFrom<String> for Path {
    type Error = Error;

    fn try_from(text: String) -> Result<Path, Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths() {
        let body = json!({"order": {"id": 7, "lines": [{"n": 1}, {"n": 2}]}});
        let check = |text: &str, expect: Option<Value>| {
            let path: Path = text.parse().unwrap();
            assert_eq!((path.get(&body).cloned(), path.to_string()), (expect, text.to_owned()));
        };
        check("$", Some(body.clone()));
        check("$.order.id", Some(json!(7)));
        check("$.order.lines[1].n", Some(json!(2)));
        check("$.order.lines[2]", None);
        check("$.order.id.deeper", None);
        check("$[0]", None);
        for bad in ["", "order", "$order", "$.", "$..a", "$[", "$[x]", "$[-1]", "$.a]", "$[+1]", &format!("${}", ".a".repeat(33))] {
            assert!(bad.parse::<Path>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_value_is_put_where_the_path_says() {
        let put = |text: &str, mut body: Value| text.parse::<Path>().unwrap().put(&mut body, json!(1)).map(|()| body);
        assert_eq!(put("$", json!({"a": 2})), Some(json!(1)));
        assert_eq!(put("$.a.b", json!({"c": 3})), Some(json!({"a": {"b": 1}, "c": 3})));
        assert_eq!(put("$.a", Value::Null), Some(json!({"a": 1})));
        assert_eq!(put("$.a[0]", json!({"a": [5, 6]})), Some(json!({"a": [1, 6]})));
        assert_eq!(put("$.a[2]", json!({"a": [5, 6]})), None);
        assert_eq!(put("$.a.b", json!({"a": "text"})), None);
    }
}
