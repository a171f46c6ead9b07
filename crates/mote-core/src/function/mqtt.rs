//! A function's binding to MQTT topics. Who matches messages against it: the broker.

use serde::{Deserialize, Serialize};

use super::delivery::Retry;
use crate::mqtt::{Filter, Qos};

/// Messages whose topic the filter takes fire the function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MqttFilter {
    pub filter: Filter,
    /// Those that were published with less do not.
    #[serde(default)]
    pub qos: Qos,
    /// In place of the function's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
}
