//! A function's LoggingConfig: in which form its code logs, from which level on, and in which group.
//!
//! The form and the level are the code's contract: its environment says them, and runtimes keep to that.
//! What mote itself puts in the log (`START`, `REPORT`) stays text.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::fault::Fault;

/// Among what is remembered of the function.
pub(super) const LOGGING: &str = "LoggingConfig";
const FORMAT: &str = "LogFormat";
const APPLICATION: &str = "ApplicationLogLevel";
const SYSTEM: &str = "SystemLogLevel";
const GROUP: &str = "LogGroup";
const JSON: &str = "JSON";
const GROUP_BYTES_MAX: usize = 512;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Logging {
    log_format: Option<String>,
    application_log_level: Option<String>,
    system_log_level: Option<String>,
    log_group: Option<String>,
}

impl Logging {
    /// Each member by itself.
    pub(super) fn check(&self) -> Result<(), Fault> {
        let levels = &["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"][..];
        for (said, member, known) in [
            (&self.log_format, "loggingConfig.logFormat", &[JSON, "Text"][..]),
            (&self.application_log_level, "loggingConfig.applicationLogLevel", levels),
            (&self.system_log_level, "loggingConfig.systemLogLevel", &levels[1..4]),
        ] {
            if let Some(said) = said.as_deref().filter(|said| !known.contains(said)) {
                return Err(Fault::constraint(said, member, format_args!("Member must satisfy enum value set: [{}]", known.join(", "))));
            }
        }
        let sound = |b: u8| b.is_ascii_alphanumeric() || b".-_/#".contains(&b);
        match self.log_group.as_deref() {
            Some(group) if group.is_empty() || group.len() > GROUP_BYTES_MAX || !group.bytes().all(sound) => {
                let pattern = r"Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+";
                Err(Fault::constraint(group, "loggingConfig.logGroup", pattern))
            }
            _ => Ok(()),
        }
    }

    /// Beside what was said before. Levels are JSON's alone: text has none.
    pub(super) fn over(&self, before: Option<&Value>) -> Result<Value, Fault> {
        let mut said: Map<String, Value> = before.and_then(Value::as_object).cloned().unwrap_or_default();
        let is_json = |said: &Map<String, Value>| said.get(FORMAT).and_then(Value::as_str) == Some(JSON);
        let new = [
            (FORMAT, &self.log_format),
            (APPLICATION, &self.application_log_level),
            (SYSTEM, &self.system_log_level),
            (GROUP, &self.log_group),
        ];
        said.extend(new.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into()))));
        if is_json(&said) {
            for level in [APPLICATION, SYSTEM] {
                said.entry(level).or_insert_with(|| "INFO".into());
            }
            return Ok(said.into());
        }
        if self.application_log_level.is_some() || self.system_log_level.is_some() {
            return Err(Fault::invalid(
                "LogLevel is not supported when LogFormat is set to \"Text\". Remove LogLevel from your request or change the LogFormat to \"JSON\" and try again.",
            ));
        }
        said.retain(|name, _| name != APPLICATION && name != SYSTEM);
        Ok(said.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(text: Value) -> Logging {
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn json_has_levels_and_text_has_none() {
        let check = |new: Value, before: Value, expect: Value| {
            said(new.clone()).check().unwrap();
            assert_eq!(said(new).over(Some(&before)).unwrap(), expect);
        };
        let info = json!({"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"});
        check(json!({"LogFormat": "JSON"}), json!(null), info.clone());
        check(
            json!({"ApplicationLogLevel": "DEBUG"}),
            info.clone(),
            json!({"LogFormat": "JSON", "ApplicationLogLevel": "DEBUG", "SystemLogLevel": "INFO"}),
        );
        check(json!({"LogFormat": "Text"}), info, json!({"LogFormat": "Text"}));
        check(json!({"LogGroup": "cool"}), json!({"LogFormat": "Text"}), json!({"LogFormat": "Text", "LogGroup": "cool"}));
        let fault = said(json!({"SystemLogLevel": "WARN"})).over(None).unwrap_err();
        assert_eq!(fault.kind, "InvalidParameterValueException");
        for wrong in [
            json!({"LogFormat": "xml"}),
            json!({"ApplicationLogLevel": "LOUD"}),
            json!({"SystemLogLevel": "TRACE"}),
            json!({"LogGroup": ""}),
            json!({"LogGroup": "a b"}),
        ] {
            assert_eq!(said(wrong.clone()).check().unwrap_err().kind, "ValidationException", "{wrong}");
        }
    }
}
