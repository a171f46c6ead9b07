//! What functions and namespaces are called.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};

/// Namespace and name: which function, whatever its version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FunctionRef {
    pub namespace: Name,
    pub name: Name,
}

impl fmt::Display for FunctionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.as_str() == Name::DEFAULT { write!(f, "{}", self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

/// A name of a function or a namespace: 1 to 128 of `A-Z a-z 0-9 . _ -`, the first a letter or digit.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Name(Arc<str>);

impl Name {
    pub const DEFAULT: &str = "default";
    pub const LENGTH_MAX: usize = 128;

    pub fn new(text: &str) -> Result<Name> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let good = text.len() <= Self::LENGTH_MAX && text.chars().all(plain) && text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if good {
            return Ok(Name(text.into()));
        }
        let shown: String = text.chars().take(40).collect();
        Err(Error::new(Code::NameInvalid, format!("{shown:?} is not a name"))
            .hint("A name has 1 to 128 letters, digits, '.', '_' or '-', and begins with a letter or digit."))
    }

    pub fn default_namespace() -> Name {
        Name(Self::DEFAULT.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0.as_ref().to_owned()
    }
}

impl TryFrom<String> for Name {
    type Error = Error;

    fn try_from(text: String) -> Result<Name> {
        Name::new(&text)
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Name> {
        Name::new(text)
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |text: &str, good: bool| assert_eq!(Name::new(text).is_ok(), good, "{text:?}");
        check("formula", true);
        check("dev.lever", true);
        check("a_B-9", true);
        check("", false);
        check(".", false);
        check("..", false);
        check("-a", false);
        check("a/b", false);
        check("a\0", false);
        check("ä", false);
        check(&"x".repeat(129), false);
    }
}
