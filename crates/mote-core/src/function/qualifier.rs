//! Which version of a function is meant: the one that is live, one by its number, or one by an alias.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Name;
use crate::error::{Code, Error, Result};

/// Written `$live`, `3`, `stable`: no alias is a number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Qualifier {
    #[default]
    Live,
    Version(u64),
    Alias(Name),
}

const LIVE: &str = "$live";

impl Qualifier {
    pub fn is_live(&self) -> bool {
        *self == Qualifier::Live
    }

    /// An alias, if it may be called so.
    pub fn alias(name: &str) -> Result<Name> {
        if !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Error::new(Code::NameInvalid, format!("{name:.40} is a number, which stands for a version"))
                .hint("Give the alias a name with a letter in it."));
        }
        Name::new(name)
    }
}

impl fmt::Display for Qualifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Qualifier::Live => f.write_str(LIVE),
            Qualifier::Version(number) => number.fmt(f),
            Qualifier::Alias(name) => name.fmt(f),
        }
    }
}

impl From<Qualifier> for String {
    fn from(qualifier: Qualifier) -> String {
        qualifier.to_string()
    }
}

impl TryFrom<String> for Qualifier {
    type Error = Error;

    fn try_from(text: String) -> Result<Qualifier> {
        match text.as_str() {
            LIVE => Ok(Qualifier::Live),
            number if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => number
                .parse()
                .map(Qualifier::Version)
                .map_err(|_| Error::new(Code::VersionNotFound, format!("{number:.40} is no number of a version"))),
            name => Name::new(name).map(Qualifier::Alias),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qualifier_is_written_in_a_word() {
        for (text, expect) in [
            ("$live", Qualifier::Live),
            ("3", Qualifier::Version(3)),
            ("live", Qualifier::Alias(Name::new("live").unwrap())),
            ("3a", Qualifier::Alias(Name::new("3a").unwrap())),
        ] {
            assert_eq!(Qualifier::try_from(text.to_owned()).unwrap(), expect, "{text}");
            assert_eq!(expect.to_string(), text);
        }
        for wrong in ["", "$LATEST", "a b", "99999999999999999999999"] {
            assert!(Qualifier::try_from(wrong.to_owned()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn no_alias_is_a_number() {
        assert_eq!(Qualifier::alias("7").unwrap_err().code(), Code::NameInvalid);
        assert_eq!(Qualifier::alias("v7").unwrap().as_str(), "v7");
    }
}
