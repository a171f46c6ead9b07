//! Which function a path or a member means: a name, a part of an ARN or a whole one, with a qualifier or without.

use std::fmt;

use mote_core::function::{FunctionRef, Name, Qualifier};

use mote_core::action::Target;

use super::Ask;
use super::fault::Fault;
use crate::aws::arn::{self, LATEST};

const NAME_BYTES_MAX: usize = 64;
const WHOLE_BYTES_MAX: usize = 170;
const PATTERN: &str = "(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?\
                       ([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?";

/// See the module's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) name: Name,
    pub(super) qualifier: Option<String>,
    /// Where an ARN says whose it is.
    account: Option<String>,
}

impl Address {
    /// `text`: of a path, or of a member of that kind.
    pub(super) fn read(text: &str) -> Result<Address, Fault> {
        let wrong = || Fault::constraint(text, "functionName", format!("Member must satisfy regular expression pattern: {PATTERN}"));
        if text.len() > WHOLE_BYTES_MAX {
            let limit = format!("Member must have length less than or equal to {WHOLE_BYTES_MAX}");
            return Err(Fault::constraint(text, "functionName", limit));
        }
        let mut parts: &[&str] = &text.split(':').collect::<Vec<_>>();
        if let ["arn", partition, "lambda", rest @ ..] = parts {
            if !partition.starts_with("aws") {
                return Err(wrong());
            }
            parts = rest;
        }
        if let [region, rest @ ..] = parts
            && !rest.is_empty()
            && is_region(region)
        {
            parts = rest;
        }
        let mut account = None;
        if let [number, rest @ ..] = parts
            && !rest.is_empty()
            && number.len() == 12
            && number.bytes().all(|b| b.is_ascii_digit())
        {
            (account, parts) = (Some((*number).to_owned()), rest);
        }
        if let ["function", rest @ ..] = parts
            && !rest.is_empty()
        {
            parts = rest;
        }
        let (name, qualifier) = match parts {
            [name] => (*name, None),
            [name, qualifier] => (*name, Some(*qualifier)),
            _ => return Err(wrong()),
        };
        let sound = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !sound(name) || !qualifier.is_none_or(|qualifier| qualifier == LATEST || sound(qualifier)) {
            return Err(wrong());
        }
        if name.len() > NAME_BYTES_MAX {
            let limit = format!("Member must have length less than or equal to {NAME_BYTES_MAX}");
            return Err(Fault::constraint(name, "functionName", limit));
        }
        let name =
            Name::new(name).map_err(|_| Fault::invalid(format!("{name}: a function's name begins with a letter or a digit here")))?;
        Ok(Address { name, qualifier: qualifier.map(str::to_owned), account })
    }

    pub(super) fn of(name: Name) -> Address {
        Address { name, qualifier: None, account: None }
    }

    /// With the qualifier that stands in the query, if any; the two must not differ.
    pub(super) fn qualified(mut self, other: Option<String>) -> Result<Address, Fault> {
        match (&self.qualifier, other) {
            (Some(one), Some(other)) if *one != other => {
                Err(Fault::invalid("The derived qualifier from the function name does not match the specified qualifier."))
            }
            (None, other) => {
                self.qualifier = other;
                Ok(self)
            }
            _ => Ok(self),
        }
    }

    pub(super) fn reference(&self, ask: &Ask) -> FunctionRef {
        FunctionRef { namespace: ask.namespace.clone(), name: self.name.clone() }
    }

    /// Which version it means. No word that is read here is none; a number that no version has is far away.
    pub(super) fn version(&self) -> Qualifier {
        match self.qualifier.as_deref() {
            None | Some(LATEST) => Qualifier::Live,
            Some(word) => Qualifier::try_from(word.to_owned()).unwrap_or(Qualifier::Version(u64::MAX)),
        }
    }

    pub(super) fn target(&self, ask: &Ask) -> Target {
        Target::Function { function: self.reference(ask), version: self.version() }
    }

    /// An error for another account's, which is not there at all.
    pub(super) fn is_known(&self, ask: &Ask) -> Result<(), Fault> {
        let ours = self.account.as_ref().is_none_or(|account| *account == ask.account.of(&ask.namespace));
        if ours { Ok(()) } else { Err(self.missing(ask)) }
    }

    pub(super) fn missing(&self, ask: &Ask) -> Fault {
        Fault::missing(format!("Function not found: {}", self.arn(ask)))
    }

    pub(super) fn arn(&self, ask: &Ask) -> String {
        let account = self.account.clone().unwrap_or_else(|| ask.account.of(&ask.namespace));
        let qualifier = fmt::from_fn(|f| match &self.qualifier {
            Some(qualifier) => write!(f, ":{qualifier}"),
            None => Ok(()),
        });
        format!("arn:{}:lambda:{}:{account}:function:{}{qualifier}", arn::partition(&ask.region), ask.region, self.name)
    }
}

/// `us-east-1`, `us-gov-west-1`, `us-isob-east-1`.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let word = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    match parts.split_last() {
        Some((number, words)) => {
            (2..=3).contains(&words.len()) && words.iter().all(word) && number.len() == 1 && number.bytes().all(|b| b.is_ascii_digit())
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_has_many_addresses() {
        let check = |text: &str, name: &str, qualifier: Option<&str>, account: Option<&str>| {
            let address = Address::read(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
            assert_eq!(
                (address.name.as_str(), address.qualifier.as_deref(), address.account.as_deref()),
                (name, qualifier, account),
                "{text}"
            );
        };
        check("f", "f", None, None);
        check("f:live", "f", Some("live"), None);
        check("f:$LATEST", "f", Some("$LATEST"), None);
        check("function:f", "f", None, None);
        check("function", "function", None, None);
        check("123456789012:function:f", "f", None, Some("123456789012"));
        check("123456789012:f:3", "f", Some("3"), Some("123456789012"));
        check("123456789012", "123456789012", None, None);
        check("us-east-1:123456789012:function:f", "f", None, Some("123456789012"));
        check("arn:aws:lambda:us-east-1:123456789012:function:f", "f", None, Some("123456789012"));
        check("arn:aws-cn:lambda:cn-north-1:123456789012:function:f:1", "f", Some("1"), Some("123456789012"));
        check("arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:my_f-2:a", "my_f-2", Some("a"), Some("123456789012"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = "x".repeat(65);
        for text in [
            "",
            ":",
            "f:",
            "f:a:b",
            "f:$LAST",
            "ä",
            "a b",
            "arn:aws:s3:::bucket",
            "arn:gcp:lambda:us-east-1:123456789012:function:f",
            "a/b",
            &long,
        ] {
            assert_eq!(Address::read(text).unwrap_err().kind, "ValidationException", "{text:?}");
        }
    }

    #[test]
    fn two_qualifiers_must_be_one() {
        let address = |text| Address::read(text).unwrap();
        assert_eq!(address("f").qualified(Some("a".into())).unwrap(), address("f:a"));
        assert_eq!(address("f:a").qualified(Some("a".into())).unwrap(), address("f:a"));
        assert_eq!(address("f:a").qualified(None).unwrap(), address("f:a"));
        assert_eq!(address("f:a").qualified(Some("b".into())).unwrap_err().kind, "InvalidParameterValueException");
    }
}
