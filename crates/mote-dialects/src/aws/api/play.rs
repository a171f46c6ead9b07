//! One request of a service played to its end, as the HTTP door would, against a platform that a test makes up.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use mote_core::clock::{Id, Timestamp};
use mote_core::dialect::TURNS_MAX;
use mote_core::rule::Rule;
use serde_json::Value;

use super::*;

pub(super) const ACCOUNT: &str = "123456789012";
pub(super) const REGION: &str = "eu-west-1";

pub(super) struct Told {
    pub(super) status: u16,
    pub(super) text: String,
}

impl Told {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Status and code of a refusal in JSON.
    pub(super) fn refusal(&self) -> (u16, String) {
        (self.status, self.json()["__type"].as_str().unwrap_or_default().to_owned())
    }
}

pub(super) fn ask(method: &str, path: &str, target: &str, body: impl Into<Bytes>) -> Ask {
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-target", target.parse().unwrap());
    Ask {
        method: method.parse().unwrap(),
        uri: path.parse().unwrap(),
        headers,
        body: body.into(),
        who: Credential::Anonymous,
        caller: "admin".into(),
        namespace: Name::default_namespace(),
        region: REGION.into(),
        account: Account::new(ACCOUNT).unwrap(),
        stamp: Stamp { id: Id(7), time: Timestamp(1), peer: "127.0.0.1".into(), origin: "http://localhost:4566".into() },
    }
}

pub(super) fn play(mut turn: Turn, mut platform: impl FnMut(Action) -> Result<Done>) -> Told {
    for _ in 0..TURNS_MAX {
        turn = match turn {
            Turn::Read { body, then, .. } => then(Ok(body.as_bytes().cloned().unwrap_or_default())),
            Turn::Do { what, then, .. } => then(platform(what)),
            Turn::Pour { .. } => panic!("these services answer at once"),
            Turn::Answer(response) => {
                let text = String::from_utf8(response.body().as_bytes().unwrap().to_vec()).unwrap();
                return Told { status: response.status().as_u16(), text };
            }
        };
    }
    panic!("no end of turns")
}

/// A platform that keeps rules, each with its revision.
#[derive(Default)]
pub(super) struct Rules(pub(super) BTreeMap<(Name, Name), (Rule, u64)>);

impl Rules {
    pub(super) fn execute(&mut self, what: Action) -> Result<Done> {
        let missing = || Error::new(Code::RuleNotFound, "there is none");
        match what {
            Action::SetRule { rule, expect } => {
                let key = (rule.group.clone(), rule.name.clone());
                let found = self.0.get(&key).map_or(0, |(_, revision)| *revision);
                if expect != Some(found) {
                    return Err(Error::new(Code::Conflict, "somebody else has changed it"));
                }
                self.0.insert(key, (*rule, found + 1));
                Ok(Done::Nothing)
            }
            Action::ShowRule { group, name, .. } => {
                self.0.get(&(group, name)).map(|(rule, revision)| Done::Rule(Box::new(rule.clone()), *revision)).ok_or_else(missing)
            }
            Action::RemoveRule { group, name, .. } => self.0.remove(&(group, name)).map(|_| Done::Nothing).ok_or_else(missing),
            Action::ListRules { group, .. } => {
                let of = |(rule, _): &&(Rule, u64)| group.as_ref().is_none_or(|group| rule.group == *group);
                Ok(Done::Rules(self.0.values().filter(of).map(|(rule, _)| Arc::new(rule.clone())).collect()))
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn named(&self, name: &str) -> &Rule {
        &self.0.iter().find(|((_, of), _)| of.as_str() == name).unwrap().1.0
    }
}
