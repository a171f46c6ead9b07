//! A JSON value with places that the body fills: a string that is a path (`"$.order.id"`) stands
//! for what is there, and for `null` where nothing is. `"$$…"` is the text `$…`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::path::Path;
use crate::error::Result;

/// See the module's text. Kept as it was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Template(Value);

impl Template {
    pub const DEPTH_MAX: usize = 16;

    /// An error if a string that begins with `$` is no path.
    pub fn new(value: Value) -> Result<Template> {
        fn check(value: &Value) -> Result<()> {
            match value {
                Value::String(text) if text.starts_with('$') && !text.starts_with("$$") => text.parse::<Path>().map(drop),
                Value::Array(list) => list.iter().try_for_each(check),
                Value::Object(map) => map.values().try_for_each(check),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
            }
        }
        check(&value)?;
        Ok(Template(value))
    }

    /// The text, if it is one that the body has no part in.
    pub fn text(&self) -> Option<&str> {
        let text = self.0.as_str()?;
        if text.starts_with("$$") { text.get(1..) } else { Some(text).filter(|text| !text.starts_with('$')) }
    }

    pub fn value(&self) -> &Value {
        &self.0
    }

    /// `None` if it would have more than so many bytes. That is judged while it is filled: a few
    /// letters of a definition can name a large body as often as they like.
    pub fn fill(&self, body: &Value, bytes_max: usize) -> Option<Value> {
        Filling { body, bytes_left: bytes_max }.fill(&self.0)
    }
}

struct Filling<'b> {
    body: &'b Value,
    bytes_left: usize,
}

impl Filling<'_> {
    fn fill(&mut self, value: &Value) -> Option<Value> {
        Some(match value {
            Value::String(text) => match text.strip_prefix('$') {
                None => value.clone(),
                Some(rest) if rest.starts_with('$') => rest.into(),
                Some(_) => match text.parse::<Path>().ok().and_then(|path| path.get(self.body)) {
                    Some(found) => {
                        self.take(found)?;
                        found.clone()
                    }
                    None => Value::Null,
                },
            },
            Value::Array(list) => list.iter().map(|value| self.fill(value)).collect::<Option<_>>()?,
            Value::Object(map) => {
                map.iter().map(|(key, value)| Some((key.clone(), self.fill(value)?))).collect::<Option<Map<_, _>>>()?.into()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        })
    }

    /// No more than the value has as text.
    fn take(&mut self, value: &Value) -> Option<()> {
        let own = match value {
            Value::String(text) => text.len() + 2,
            _ => 1,
        };
        self.bytes_left = self.bytes_left.checked_sub(own)?;
        match value {
            Value::Array(list) => list.iter().try_for_each(|value| self.take(value)),
            Value::Object(map) => map.iter().try_for_each(|(key, value)| {
                self.bytes_left = self.bytes_left.checked_sub(key.len() + 3)?;
                self.take(value)
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_template_is_filled() {
        let body = json!({"order": {"id": 7}, "who": "Ada"});
        let template = Template::new(json!({"id": "$.order.id", "all": ["$.who", "who", "$$5", null, "$.none"], "n": 1})).unwrap();
        assert_eq!(template.fill(&body, 1000), Some(json!({"id": 7, "all": ["Ada", "who", "$5", null, null], "n": 1})));
        assert_eq!(Template::new(json!("$")).unwrap().fill(&body, 1000), Some(body));
        assert!(Template::new(json!(["$who"])).is_err());
    }

    #[test]
    fn a_template_that_names_the_body_again_and_again_is_filled_no_further_than_it_may() {
        let fills = |body: &Value, times: usize| Template::new(json!(vec!["$"; times])).unwrap().fill(body, 1 << 20).is_some();
        // Filled to its end this would be 10 GB.
        assert!(!fills(&json!("x".repeat(1 << 20)), 10_000));
        assert!(!fills(&json!({"a": vec![0; 100_000], "b": {"c": "d"}}), 10_000));
        assert!(fills(&json!({"a": [1, "b"]}), 10_000));
    }
}
