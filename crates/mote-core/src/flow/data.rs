//! The body that flows: bytes with their type, read as JSON only by those steps that look inside.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Data {
    pub content_type: Option<String>,
    pub bytes: Bytes,
}

/// The largest body that a flow carries from step to step.
pub const BODY_BYTES_MAX: usize = 1 << 20;

pub const JSON: &str = "application/json";

impl Data {
    pub fn json(value: &Value) -> Data {
        Data { content_type: Some(JSON.to_owned()), bytes: value.to_string().into() }
    }

    pub fn text(text: impl Into<String>) -> Data {
        Data { content_type: Some("text/plain; charset=utf-8".to_owned()), bytes: Bytes::from(text.into()) }
    }

    /// What it says, if it is JSON: by its type, or without one by its look.
    pub fn value(&self) -> Option<Value> {
        let kind = self.content_type.as_deref().unwrap_or(JSON);
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let is_json = kind.eq_ignore_ascii_case(JSON) || kind.ends_with("+json");
        serde_json::from_slice(&self.bytes).ok().filter(|_| is_json)
    }

    /// As a part of a JSON value: itself, a text as a string, other bytes as `{"base64": …}`, nothing as `null`.
    pub fn part(&self) -> Value {
        if self.bytes.is_empty() {
            return Value::Null;
        }
        let text = || std::str::from_utf8(&self.bytes).ok().map(Value::from);
        self.value().or_else(text).unwrap_or_else(|| json!({ "base64": STANDARD.encode(&self.bytes) }))
    }

    /// For steps that put something into it: empty is as good as an object that is.
    pub fn object(&self) -> Option<Value> {
        if self.bytes.is_empty() { Some(json!({})) } else { self.value().filter(Value::is_object) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_json_and_what_is_a_part() {
        let check = |kind: Option<&str>, bytes: &'static [u8], value: Option<Value>, part: Value| {
            let data = Data { content_type: kind.map(str::to_owned), bytes: bytes.into() };
            assert_eq!((data.value(), data.part()), (value, part), "{kind:?}");
        };
        check(Some("application/json; charset=utf-8"), b"[1]", Some(json!([1])), json!([1]));
        check(Some("application/cloudevents+json"), b"{}", Some(json!({})), json!({}));
        check(None, b"17", Some(json!(17)), json!(17));
        check(None, b"hello", None, json!("hello"));
        check(Some("text/plain"), b"17", None, json!("17"));
        check(Some("image/png"), b"\xff\x00", None, json!({"base64": "/wA="}));
        check(None, b"", None, Value::Null);
    }
}
