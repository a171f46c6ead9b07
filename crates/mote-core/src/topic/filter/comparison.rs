//! What a filter may ask of one value: that it is this one, or one of the comparisons of [`WORDS`].

use std::net::IpAddr;

use serde_json::Value;

use super::TEXT_BYTES_MAX;
use crate::error::{Code, Error, Result};

/// Each the name of a comparison: `{"prefix": "order."}`.
pub(super) const WORDS: &[&str] = &["prefix", "suffix", "equals-ignore-case", "wildcard", "anything-but", "numeric", "exists", "cidr"];

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    Exact(Value),
    Prefix(Text),
    Suffix(Text),
    /// In lower case.
    IgnoreCase(String),
    /// What stands between the stars.
    Wildcard(Vec<String>),
    /// None of these.
    AnythingBut(Vec<Test>),
    /// All of these.
    Numeric(Vec<(Sign, f64)>),
    Exists(bool),
    /// The network's address, and how many bits of it count.
    Cidr(IpAddr, u32),
}

/// In lower case, if cases count as one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Text {
    wanted: String,
    ignores_case: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sign {
    Equal,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
}

impl Test {
    /// `whole`: not inside of an `anything-but`.
    pub(super) fn read(value: &Value, whole: bool) -> Result<Test> {
        let Some(object) = value.as_object() else { return Test::exact(value) };
        let mut entries = object.iter();
        let (Some((word, rule)), None) = (entries.next(), entries.next()) else {
            return Err(wrong(value, "one comparison in each object"));
        };
        let text = || match rule.as_str() {
            Some(text) => bounded(text).map(|()| text.to_owned()),
            None => Err(wrong(value, &format!("a text for {word:?}"))),
        };
        match word.as_str() {
            "prefix" => Text::read(rule, value).map(Test::Prefix),
            "suffix" => Text::read(rule, value).map(Test::Suffix),
            "equals-ignore-case" => Ok(Test::IgnoreCase(text()?.to_lowercase())),
            "wildcard" => wildcard(value, &text()?),
            "exists" if whole => rule.as_bool().map(Test::Exists).ok_or_else(|| wrong(value, "true or false for \"exists\"")),
            "numeric" if whole => numeric(value, rule),
            "cidr" if whole => cidr(&text()?).ok_or_else(|| wrong(value, "a network such as 10.0.0.0/24 for \"cidr\"")),
            "anything-but" if whole => anything_but(value, rule),
            _ if whole => Err(wrong(value, &format!("one of {}", WORDS.join(", ")))),
            _ => Err(wrong(value, "values, prefix, suffix, equals-ignore-case or wildcard in \"anything-but\"")),
        }
    }

    fn exact(value: &Value) -> Result<Test> {
        match value {
            Value::String(text) => bounded(text)?,
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::Array(_) | Value::Object(_) => return Err(wrong(value, "a value that is no list")),
        }
        Ok(Test::Exact(value.clone()))
    }

    pub(super) fn weight(&self) -> usize {
        match self {
            Test::AnythingBut(tests) => tests.len(),
            Test::Wildcard(parts) => parts.len(),
            _ => 1,
        }
    }

    pub(super) fn holds(&self, value: &Value) -> bool {
        let text = value.as_str();
        match self {
            Test::Exact(Value::Number(wanted)) => wanted.as_f64().is_some() && wanted.as_f64() == value.as_f64(),
            Test::Exact(wanted) => wanted == value,
            Test::Prefix(prefix) => text.is_some_and(|text| prefix.holds(text, |text, wanted| text.starts_with(wanted))),
            Test::Suffix(suffix) => text.is_some_and(|text| suffix.holds(text, |text, wanted| text.ends_with(wanted))),
            Test::IgnoreCase(wanted) => text.is_some_and(|text| text.to_lowercase() == *wanted),
            Test::Wildcard(parts) => text.is_some_and(|text| has_parts(text, parts)),
            Test::AnythingBut(tests) => !tests.iter().any(|test| test.holds(value)),
            Test::Numeric(ranges) => value.as_f64().is_some_and(|number| ranges.iter().all(|(sign, bound)| sign.holds(number, *bound))),
            Test::Exists(wanted) => *wanted,
            Test::Cidr(network, bits) => text.and_then(|text| text.parse().ok()).is_some_and(|at| is_within(at, *network, *bits)),
        }
    }
}

impl Text {
    /// A text, or one in which cases count as one: `{"equals-ignore-case": "x"}`.
    fn read(rule: &Value, value: &Value) -> Result<Text> {
        let folded = rule.as_object().filter(|object| object.len() == 1).and_then(|object| object.get("equals-ignore-case"));
        let ignores_case = folded.is_some();
        let text = folded.unwrap_or(rule).as_str().ok_or_else(|| wrong(value, "a text to begin or end with"))?;
        bounded(text)?;
        Ok(Text { wanted: if ignores_case { text.to_lowercase() } else { text.to_owned() }, ignores_case })
    }

    fn holds(&self, text: &str, compare: impl Fn(&str, &'_ str) -> bool) -> bool {
        if self.ignores_case { compare(&text.to_lowercase(), &self.wanted) } else { compare(text, &self.wanted) }
    }
}

impl Sign {
    fn holds(self, number: f64, bound: f64) -> bool {
        match self {
            Sign::Equal => number == bound,
            Sign::Less => number < bound,
            Sign::LessOrEqual => number <= bound,
            Sign::More => number > bound,
            Sign::MoreOrEqual => number >= bound,
        }
    }
}

/// One value, a list of them, or one comparison with a text or a list of texts.
fn anything_but(value: &Value, rule: &Value) -> Result<Test> {
    let mut tests = Vec::new();
    for one in rule.as_array().map_or(std::slice::from_ref(rule), Vec::as_slice) {
        let list = one.as_object().filter(|object| object.len() == 1).and_then(|object| object.iter().next());
        match list {
            Some((word, Value::Array(texts))) => {
                for text in texts {
                    tests.push(Test::read(&Value::Object([(word.clone(), text.clone())].into_iter().collect()), false)?);
                }
            }
            _ => tests.push(Test::read(one, false)?),
        }
    }
    if tests.is_empty() {
        return Err(wrong(value, "something that it shall not be"));
    }
    Ok(Test::AnythingBut(tests))
}

/// A star stands for any text, `\*` for itself and `\\` for a backslash.
fn wildcard(value: &Value, text: &str) -> Result<Test> {
    let (mut parts, mut part, mut was_star) = (Vec::new(), String::new(), false);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' if was_star => return Err(wrong(value, "no two stars side by side in \"wildcard\"")),
            '*' => parts.push(std::mem::take(&mut part)),
            '\\' => match chars.next() {
                Some(c @ ('*' | '\\')) => part.push(c),
                _ => return Err(wrong(value, "`\\*` or `\\\\` after a backslash in \"wildcard\"")),
            },
            c => part.push(c),
        }
        was_star = c == '*';
    }
    parts.push(part);
    Ok(Test::Wildcard(parts))
}

/// The first place for each part is as good as any later one, so none is tried twice.
fn has_parts(text: &str, parts: &[String]) -> bool {
    let [first, middle @ .., last] = parts else { return parts.first().is_none_or(|whole| whole == text) };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        match rest.split_once(part.as_str()) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

fn cidr(text: &str) -> Option<Test> {
    let (address, bits) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.parse().ok().filter(|found| bits.bytes().all(|b| b.is_ascii_digit()) && *found <= most)?;
    Some(Test::Cidr(address, bits))
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    // Of what differs, nothing may lie in the bits that count.
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => (a.to_bits() ^ n.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0,
        (IpAddr::V6(a), IpAddr::V6(n)) => (a.to_bits() ^ n.to_bits()).checked_shr(128 - bits).unwrap_or(0) == 0,
        _ => false,
    }
}

/// `[">", 0, "<=", 100]`: one comparison, or two.
fn numeric(value: &Value, rule: &Value) -> Result<Test> {
    let wanted = || wrong(value, "one or two of =, <, <=, >, >= for \"numeric\", each with a number,");
    let list = rule.as_array().filter(|list| matches!(list.len(), 2 | 4)).ok_or_else(wanted)?;
    let range = |pair: &[Value]| {
        let [sign, bound] = pair else { return None };
        let sign = match sign.as_str()? {
            "=" => Sign::Equal,
            "<" => Sign::Less,
            "<=" => Sign::LessOrEqual,
            ">" => Sign::More,
            ">=" => Sign::MoreOrEqual,
            _ => return None,
        };
        Some((sign, bound.as_f64()?))
    };
    list.chunks(2).map(range).collect::<Option<_>>().map(Test::Numeric).ok_or_else(wanted)
}

pub(super) fn bounded(text: &str) -> Result<()> {
    if text.len() <= TEXT_BYTES_MAX {
        return Ok(());
    }
    Err(Error::new(Code::FilterInvalid, format!("a text of the filter has {} bytes, more than the limit of {TEXT_BYTES_MAX}", text.len())))
}

pub(super) fn wrong(found: &Value, wanted: &str) -> Error {
    let shown: String = found.to_string().chars().take(80).collect();
    Error::new(Code::FilterInvalid, format!("the filter has {shown}, and {wanted} is wanted"))
        .hint("Such as {\"type\": [\"order.paid\"], \"data\": {\"total\": [{\"numeric\": [\">\", 100]}]}}; see the guide on topics.")
}
