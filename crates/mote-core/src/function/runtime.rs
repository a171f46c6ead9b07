//! What a function is written for: it picks the engine, the runner and the interpreter.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};

/// The family picks the engine and the runner; the version, if named, the interpreter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Runtime {
    pub family: Family,
    /// `3.12` of `python3.12`, `20` of `node20`; empty: the host's newest.
    pub version: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    Python,
    Node,
    /// By AWS Lambda's runtime client alone, which the function brings: mote has no runner for it.
    Java,
    /// A program: body on stdin, answer on stdout, one process a call.
    Executable,
    /// No code of its own: [`super::Function::flow`] says which functions follow one another.
    Flow,
}

impl Family {
    pub const ALL: &[Family] = &[Family::Python, Family::Node, Family::Java, Family::Executable, Family::Flow];

    pub fn as_str(self) -> &'static str {
        match self {
            Family::Python => "python",
            Family::Node => "node",
            Family::Java => "java",
            Family::Executable => "executable",
            Family::Flow => "flow",
        }
    }
}

impl From<Family> for Runtime {
    fn from(family: Family) -> Runtime {
        Runtime { family, version: String::new() }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.family.as_str(), self.version)
    }
}

impl From<Runtime> for String {
    fn from(runtime: Runtime) -> String {
        runtime.to_string()
    }
}

impl TryFrom<String> for Runtime {
    type Error = Error;

    fn try_from(text: String) -> Result<Runtime> {
        text.parse()
    }
}

impl FromStr for Runtime {
    type Err = Error;

    fn from_str(text: &str) -> Result<Runtime> {
        for &family in Family::ALL {
            if let Some(version) = text.strip_prefix(family.as_str())
                && version.len() <= 8
                && version.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            {
                return Ok(Runtime { family, version: version.to_owned() });
            }
        }
        Err(Error::new(Code::ManifestInvalid, format!("{text:?} is not a runtime that mote knows"))
            .hint("Use `python`, `python3.12`, `node`, `node20` or `executable`."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes() {
        let check = |text: &str, family, version: &str| {
            assert_eq!(text.parse::<Runtime>().unwrap(), Runtime { family, version: version.into() });
            assert_eq!(text.parse::<Runtime>().unwrap().to_string(), text);
        };
        check("python", Family::Python, "");
        check("python3.12", Family::Python, "3.12");
        check("node20", Family::Node, "20");
        check("executable", Family::Executable, "");
        assert!("ruby3".parse::<Runtime>().is_err());
        assert!("python../../x".parse::<Runtime>().is_err());
    }
}
