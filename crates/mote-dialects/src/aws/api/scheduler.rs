//! EventBridge Scheduler over mote's rules: each schedule is a rule that the clock fires, with one target.
//!
//! | Scheduler | mote |
//! |---|---|
//! | schedule | rule with a timer |
//! | schedule group | group of rules |
//! | flexible time window | jitter |
//! | ActionAfterCompletion DELETE | rule that goes with its last fire |
//!
//! REST: operations are paths. What a target gets: `envelope/rule.rs`. A target has accepted a fire for
//! good when it is told, so there is nothing that a retry policy of its own could try again.

mod groups;
mod schedules;
mod wish;

use http::StatusCode;
use mote_core::access::sigv4::query_pairs;
use mote_core::dialect::Turn;
use mote_core::function::Name;
use mote_core::{Code, Error};
use percent_encoding::percent_decode_str;

use super::Ask;
use super::target::{Asked, Words};
use super::wire::{Protocol, Refusal};

const DEFAULT_GROUP: &str = "default";
const PAGE_MAX: usize = 100;

const WORDS: Words = Words { target: "", service: "scheduler", invalid: "ValidationException", refusal };

type Outcome = Result<Turn, Refusal>;

pub(super) fn answer(ask: Ask) -> Turn {
    let asked = match Asked::read(ask, WORDS) {
        Ok(asked) => asked,
        Err(refused) => return Turn::Answer(*refused),
    };
    route(&asked).unwrap_or_else(|refusal| asked.refuse(&refusal))
}

fn route(asked: &Asked) -> Outcome {
    let ask = asked.ask();
    let segments = ask.uri.path().trim_matches('/').split('/').map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned());
    let segments: Vec<String> = segments.collect();
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (path.as_slice(), ask.method.as_str()) {
        (["schedules"], "GET") => schedules::list(asked),
        (["schedules", name], "POST") => schedules::create(asked, name),
        (["schedules", name], "PUT") => schedules::update(asked, name),
        (["schedules", name], "GET") => schedules::get(asked, name),
        (["schedules", name], "DELETE") => schedules::delete(asked, name),
        (["schedule-groups"], "GET") => groups::list(asked),
        (["schedule-groups", name], "POST") => groups::create(asked, name),
        (["schedule-groups", name], "GET") => groups::get(asked, name),
        (["schedule-groups", name], "DELETE") => groups::delete(asked, name),
        (["tags", arn @ ..], "GET") => groups::tags(asked, &arn.join("/")),
        (["tags", arn @ ..], "POST") => groups::tag(asked, &arn.join("/")),
        (["tags", arn @ ..], "DELETE") => groups::untag(asked, &arn.join("/")),
        (path, _) => {
            Err(Asked::absent(&format!("operation of Scheduler at /{}", path.iter().take(3).copied().collect::<Vec<_>>().join("/"))))
        }
    }
}

fn query(asked: &Asked, name: &str) -> Option<String> {
    let pairs = query_pairs(&asked.ask().uri).unwrap_or_default();
    pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value).filter(|value| !value.is_empty())
}

/// Of a schedule or a group, as the member of that name has it.
fn named(asked: &Asked, member: &str, text: &str) -> Result<Name, Refusal> {
    let shown: String = text.chars().take(80).collect();
    let wrong = |constraint: &str| {
        asked.invalid(format!("1 validation error detected: Value '{shown}' at '{member}' failed to satisfy constraint: {constraint}"))
    };
    if !(1..=64).contains(&text.len()) {
        return Err(wrong("Member must have length between 1 and 64"));
    }
    Name::new(text).map_err(|_| match text.starts_with(['.', '_', '-']) {
        true => asked.invalid(format!("{shown}: a name begins with a letter or a digit here")),
        false => wrong("Member must satisfy regular expression pattern: [0-9a-zA-Z-_.]+"),
    })
}

/// A page of what is listed, in the order of its keys, and the token of the next one.
fn page<T>(asked: &Asked, all: Vec<T>, key: impl Fn(&T) -> String) -> Result<(Vec<T>, Option<String>), Refusal> {
    let limit = match query(asked, "MaxResults") {
        None => PAGE_MAX,
        Some(text) => {
            let limit = text.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit));
            limit.ok_or_else(|| asked.invalid(format!("MaxResults is {text:.20}, and a number from 1 to {PAGE_MAX} is wanted")))?
        }
    };
    let after = query(asked, "NextToken").unwrap_or_default();
    let mut left: Vec<T> = all.into_iter().filter(|one| key(one) > after).collect();
    // By what the token is compared with: the rules are kept group by group, and `prod-eu/a` is before `prod/a`.
    left.sort_by_cached_key(&key);
    let next = left.get(limit).and_then(|_| left.get(limit - 1)).map(&key);
    left.truncate(limit);
    Ok((left, next))
}

fn missing(what: &str, name: &Name) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "ResourceNotFoundException", format!("{what} {name} does not exist."))
}

fn taken(what: &str, name: &Name) -> Refusal {
    Refusal::new(StatusCode::CONFLICT, "ConflictException", format!("{what} {name} already exists."))
}

fn unexpected() -> Refusal {
    refusal(&Error::internal("an action was answered with what belongs to another"))
}

fn refusal(error: &Error) -> Refusal {
    match error.code() {
        Code::RuleNotFound => Refusal::new(StatusCode::NOT_FOUND, "ResourceNotFoundException", error.detail()),
        Code::Conflict => Refusal::new(StatusCode::CONFLICT, "ConflictException", error.detail()),
        Code::QuotaExceeded => Refusal::new(StatusCode::PAYMENT_REQUIRED, "ServiceQuotaExceededException", error.detail()),
        _ => Refusal::of(Protocol::Json, error),
    }
}

#[cfg(test)]
mod tests;
