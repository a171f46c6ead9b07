//! The parameters of a plain function, as its code words them.

use serde::{Deserialize, Serialize};

/// The parameters of a plain function, read from its code at deploy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Signature {
    pub parameters: Vec<Parameter>,
    /// The return type as the code words it; empty if it says none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub returns: String,
    /// The first paragraph of its documentation.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub doc: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parameter {
    pub name: String,
    /// A JSON Schema `type`, or empty if the code does not say.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    pub required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<serde_json::Value>,
}

impl Signature {
    pub fn takes(&self, name: &str) -> bool {
        self.parameters.iter().any(|parameter| parameter.name == name)
    }
}
