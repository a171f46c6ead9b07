//! A JSON value with places that the body fills: a string that is a path (`"$.order.id"`) stands
//! for what is there, and for `null` where nothing is. `"$$…"` is the text `$…`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

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

    pub fn fill(&self, body: &Value) -> Value {
        fn fill(value: &Value, body: &Value) -> Value {
            match value {
                Value::String(text) => match text.strip_prefix('$') {
                    None => value.clone(),
                    Some(rest) if rest.starts_with('$') => rest.into(),
                    Some(_) => text.parse::<Path>().ok().and_then(|path| path.get(body).cloned()).unwrap_or_default(),
                },
                Value::Array(list) => list.iter().map(|value| fill(value, body)).collect(),
                Value::Object(map) => {
                    map.iter().map(|(key, value)| (key.clone(), fill(value, body))).collect::<serde_json::Map<_, _>>().into()
                }
                Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
            }
        }
        fill(&self.0, body)
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
        assert_eq!(template.fill(&body), json!({"id": 7, "all": ["Ada", "who", "$5", null, null], "n": 1}));
        assert_eq!(Template::new(json!("$")).unwrap().fill(&body), body);
        assert!(Template::new(json!(["$who"])).is_err());
    }
}
