//! Amazon resource names, and the account numbers in them: `arn:aws:lambda:us-east-1:000000000000:function:f:live`.

use std::fmt::{self, Display};

use mote_core::function::{Function, Name};

/// Of a function that was not made by a client that said where.
pub(super) const REGION: &str = "us-east-1";

/// Where a dialect of this kind remembers what a function's client said.
pub(super) const ABOUT_REGION: &str = "region";

/// The number by which the default namespace is known; the others' follow from their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account(String);

impl Default for Account {
    fn default() -> Self {
        Account("0".repeat(DIGITS))
    }
}

const DIGITS: usize = 12;

impl Account {
    pub fn new(number: &str) -> Option<Account> {
        let valid = number.len() == DIGITS && number.bytes().all(|b| b.is_ascii_digit());
        valid.then(|| Account(number.to_owned()))
    }

    pub fn of(&self, namespace: &Name) -> String {
        if namespace.as_str() == Name::DEFAULT {
            return self.0.clone();
        }
        // FNV-1a: it has to stay the same for ever, and keeps no secret.
        let hash =
            namespace.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        format!("{:012}", hash % 1_000_000_000_000)
    }
}

/// The ARN of a function as it was called: without a qualifier, or with that of a version or an alias.
pub(super) fn of_function(function: &Function, account: &Account, qualifier: Option<&dyn Display>) -> String {
    let region = region_of(function);
    let mut arn = format!("arn:{}:lambda:{region}:{}:function:{}", partition(region), account.of(&function.namespace), function.name);
    if let Some(qualifier) = qualifier {
        let _ = fmt::Write::write_fmt(&mut arn, format_args!(":{qualifier}"));
    }
    arn
}

pub(super) fn of_queue(queue: &Name, region: &str, account: &str) -> String {
    format!("arn:{}:sqs:{region}:{account}:{queue}", partition(region))
}

/// An ARN of another account is nobody's here, though the name at its end may be somebody's. The error says whose it is.
pub(super) fn check_owner(arn: &str, account: &str) -> Result<(), String> {
    match arn.split(':').nth(4) {
        Some(owner) if arn.starts_with("arn:") && owner != account => {
            Err(format!("The account {owner:.12} is not this one ({account}), and nothing goes from one to the other."))
        }
        _ => Ok(()),
    }
}

/// The draft, by the name that AWS has for it.
pub(super) const LATEST: &str = "$LATEST";

/// A version as AWS speaks of it.
pub(super) fn version(function: &Function) -> String {
    version_word(function.version)
}

pub(super) fn version_word(version: u64) -> String {
    match version {
        Function::DRAFT => LATEST.to_owned(),
        number => number.to_string(),
    }
}

pub(super) fn region_of(function: &Function) -> &str {
    function.about.get(ABOUT_REGION).and_then(|region| region.as_str()).unwrap_or(REGION)
}

/// The part of the world that a region is in, as ARNs name it.
pub(super) fn partition(region: &str) -> &'static str {
    const OTHERS: [(&str, &str); 5] =
        [("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"), ("us-isob-", "aws-iso-b"), ("us-iso-", "aws-iso"), ("eu-isoe-", "aws-iso-e")];
    OTHERS.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("aws", |(_, partition)| partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_another_account_is_told() {
        let is_own = |arn| check_owner(arn, "000000000000").is_ok();
        assert!(is_own("arn:aws:sqs:us-east-1:000000000000:q"));
        assert!(!is_own("arn:aws:sqs:us-east-1:123456789012:q") && !is_own("arn:aws:sqs:us-east-1::q"));
        // No ARN at all, which others refuse.
        assert!(is_own("q") && is_own("arn:aws:sqs"));
        assert!(check_owner("arn:aws:sqs:r:123456789012:q", "000000000000").unwrap_err().starts_with("The account 123456789012 is not"));
    }

    #[test]
    fn partitions() {
        let check = |region, expect| assert_eq!(partition(region), expect, "{region}");
        check("us-east-1", "aws");
        check("cn-north-1", "aws-cn");
        check("us-gov-west-1", "aws-us-gov");
        check("us-iso-east-1", "aws-iso");
        check("us-isob-east-1", "aws-iso-b");
    }

    #[test]
    fn every_namespace_has_a_number_of_its_own() {
        let account = Account::new("123456789012").unwrap();
        assert_eq!(account.of(&Name::default_namespace()), "123456789012");
        let others: Vec<String> = ["a", "b", "team"].iter().map(|name| account.of(&Name::new(name).unwrap())).collect();
        assert!(others.iter().all(|number| Account::new(number).is_some()), "{others:?}");
        assert!(others[0] != others[1] && others[1] != others[2]);
        for wrong in ["", "12345678901", "12345678901x", "1234567890123"] {
            assert_eq!(Account::new(wrong), None, "{wrong:?}");
        }
    }
}
