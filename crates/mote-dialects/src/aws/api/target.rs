//! What the services of the JSON protocols share: the operation in `X-Amz-Target`, JSON in and JSON out.
//!
//! Not here: SQS, which has a second protocol (`sqs/form.rs`), and REST, whose operations are paths.

use std::ops::RangeInclusive;
use std::sync::Arc;

use http::StatusCode;
use mote_core::action::{Action, Done};
use mote_core::dialect::{Response, Turn};
use mote_core::function::Name;
use mote_core::rule::Rule;
use mote_core::{Code, Error, Result};
use serde_json::Value;

use super::Ask;
use super::wire::{self, Protocol, Refusal};
use crate::aws::arn;

/// A request of one operation, to whoever answers it.
#[derive(Clone)]
pub(super) struct Asked {
    ask: Arc<Ask>,
    operation: Arc<str>,
    pub(super) input: Arc<Value>,
    words: Words,
}

/// How a service words things.
#[derive(Clone, Copy)]
pub(super) struct Words {
    /// In front of the operation: `Logs_20140328.`.
    pub(super) target: &'static str,
    /// Its name in ARNs.
    pub(super) service: &'static str,
    /// What it calls a member that is not as it should be.
    pub(super) invalid: &'static str,
    pub(super) refusal: fn(&Error) -> Refusal,
}

impl Asked {
    pub(super) fn read(ask: Ask, words: Words) -> Result<Asked, Box<Response>> {
        let id = ask.stamp.id;
        let body: &[u8] = if ask.body.is_empty() { b"{}" } else { &ask.body };
        let Some(input) = serde_json::from_slice::<Value>(body).ok().filter(Value::is_object) else {
            let refusal = Refusal::new(StatusCode::BAD_REQUEST, "SerializationException", "The request's body is no JSON object");
            return Err(wire::refuse(Protocol::Json, &refusal, id).into());
        };
        let target = ask.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        let operation = target.strip_prefix(words.target).unwrap_or(target).into();
        Ok(Asked { ask: Arc::new(ask), operation, input: Arc::new(input), words })
    }

    pub(super) fn operation(&self) -> Arc<str> {
        self.operation.clone()
    }

    pub(super) fn ask(&self) -> &Ask {
        &self.ask
    }

    pub(super) fn namespace(&self) -> Name {
        self.ask.namespace.clone()
    }

    pub(super) fn arn(&self, resource: &str) -> String {
        let Ask { region, account, namespace, .. } = &*self.ask;
        format!("arn:{}:{}:{region}:{}:{resource}", arn::partition(region), self.words.service, account.of(namespace))
    }

    pub(super) fn account(&self) -> String {
        self.ask.account.of(&self.ask.namespace)
    }

    /// An empty text is as good as none.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.input[name].as_str().filter(|text| !text.is_empty())
    }

    pub(super) fn needed(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name).ok_or_else(|| self.invalid(format!("{name} must be given")))
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.input[name].as_bool().unwrap_or_default()
    }

    pub(super) fn number(&self, name: &str, bounds: RangeInclusive<u64>) -> Result<Option<u64>, Refusal> {
        match &self.input[name] {
            Value::Null => Ok(None),
            value => value.as_u64().filter(|number| bounds.contains(number)).map(Some).ok_or_else(|| {
                let (from, to) = (bounds.start(), bounds.end());
                self.invalid(format!("{name} is {}, and a number from {from} to {to} is wanted", short(value)))
            }),
        }
    }

    pub(super) fn invalid(&self, message: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, self.words.invalid, message)
    }

    /// What the service has and mote has not.
    pub(super) fn absent(what: &str) -> Refusal {
        let what: String = what.chars().take(100).collect();
        Refusal::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", format!("mote has no {what}"))
    }

    /// Does it, and goes on with what came of it.
    pub(super) fn turn(&self, what: Action, then: impl FnOnce(Asked, Result<Done>) -> Turn + Send + 'static) -> Turn {
        let again = self.clone();
        Turn::act(self.ask.who.clone(), what, move |done| then(again, done))
    }

    /// Does it, and goes on if it went well.
    pub(super) fn then(&self, what: Action, then: impl FnOnce(Asked, Done) -> Result<Turn, Refusal> + Send + 'static) -> Turn {
        self.turn(what, move |asked, done| {
            let done = done.map_err(|error| (asked.words.refusal)(&error));
            done.and_then(|done| then(asked.clone(), done)).unwrap_or_else(|refusal| asked.refuse(&refusal))
        })
    }

    /// Looks for a rule; `None` if there is none, else the rule with its revision.
    pub(super) fn find(
        &self,
        group: Name,
        name: Name,
        then: impl FnOnce(Asked, Option<(Rule, u64)>) -> Result<Turn, Refusal> + Send + 'static,
    ) -> Turn {
        self.turn(Action::ShowRule { namespace: self.namespace(), group, name }, move |asked, done| {
            let outcome = match done {
                Ok(Done::Rule(rule, revision)) => then(asked.clone(), Some((*rule, revision))),
                Err(error) if error.code() == Code::RuleNotFound => then(asked.clone(), None),
                Ok(_) => Err((asked.words.refusal)(&Error::internal("an action was answered with what belongs to another"))),
                Err(error) => Err((asked.words.refusal)(&error)),
            };
            outcome.unwrap_or_else(|refusal| asked.refuse(&refusal))
        })
    }

    pub(super) fn done(&self, output: &Value) -> Turn {
        Turn::Answer(wire::json(output, self.ask.stamp.id))
    }

    pub(super) fn refuse(&self, refusal: &Refusal) -> Turn {
        Turn::Answer(wire::refuse(Protocol::Json, refusal, self.ask.stamp.id))
    }
}

/// So much of a value as a message shows of it.
pub(super) fn short(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}
