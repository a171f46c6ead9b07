//! Where REST APIs lie: a file of the namespace for each, `apis/ID`, with all that is said of it.

use std::collections::BTreeMap;

use mote_core::action::{Action, Done, Over};
use mote_core::dialect::Turn;
use mote_core::function::{Name, Qualifier};
use mote_core::store::ObjectListQuery;
use mote_core::{Code, Error};
use serde::{Deserialize, Serialize};

use super::{Ask, Outcome, Refusal, bad, missing, refusal, settle, unexpected};
use crate::aws::gateway::{self, table};

const PREFIX: &str = "apis/";
const BYTES_MAX: usize = 4 << 20;

/// See the module's text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Api {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) version: Option<String>,
    /// Seconds since 1970, as all times here.
    pub(super) created: u64,
    pub(super) endpoint: String,
    #[serde(default)]
    pub(super) compression: Option<u32>,
    #[serde(default)]
    pub(super) binary: Vec<String>,
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
    /// As they were imported; what is called is what was deployed.
    #[serde(default)]
    pub(super) routes: Vec<Route>,
    #[serde(default)]
    pub(super) deployments: Vec<Deployment>,
    #[serde(default)]
    pub(super) stages: BTreeMap<String, Stage>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Route {
    pub(super) path: String,
    /// Or [`table::ANY`].
    pub(super) method: String,
    pub(super) does: Does,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Does {
    Call {
        function: Name,
        #[serde(default, skip_serializing_if = "Qualifier::is_live")]
        qualifier: Qualifier,
    },
    Say(table::Said),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Deployment {
    pub(super) id: String,
    pub(super) created: u64,
    #[serde(default)]
    pub(super) description: Option<String>,
    /// As they were.
    pub(super) routes: Vec<Route>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stage {
    pub(super) deployment: String,
    pub(super) created: u64,
    pub(super) updated: u64,
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) variables: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) tracing: bool,
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
}

fn key(id: &str) -> String {
    format!("{PREFIX}{id}")
}

pub(super) fn no_api(ask: &Ask, id: &str) -> Refusal {
    missing(format!("Invalid API identifier specified {}:{id:.40}", ask.account.of(&ask.namespace)))
}

/// Goes on with an API, if it is there.
pub(super) fn load(ask: Ask, id: &str, then: impl FnOnce(Ask, Api) -> Outcome + Send + 'static) -> Outcome {
    if !gateway::is_id(id) {
        return Err(no_api(&ask, id));
    }
    let id = id.to_owned();
    Ok(find(ask, id.clone(), move |ask, found| match found {
        Some(api) => then(ask, api),
        None => Err(no_api(&ask, &id)),
    }))
}

fn find(ask: Ask, id: String, then: impl FnOnce(Ask, Option<Api>) -> Outcome + Send + 'static) -> Turn {
    let asked = ask.stamp.id;
    let what = Action::ReadFile { namespace: ask.namespace.clone(), key: key(&id) };
    Turn::act(ask.who.clone(), what, move |kept| match kept {
        Ok(Done::Object(_, body)) => Turn::read(body, BYTES_MAX as u64, move |text| {
            let api = text.and_then(|text| {
                serde_json::from_slice(&text).map_err(|error| Error::internal("what is kept of an API can't be read").caused_by(error))
            });
            settle(api.map_err(|error| refusal(&error)).and_then(|api| then(ask, Some(api))), asked)
        }),
        Ok(_) => settle(Err(unexpected()), asked),
        Err(error) if error.code() == Code::ObjectNotFound => settle(then(ask, None), asked),
        Err(error) => settle(Err(refusal(&error)), asked),
    })
}

pub(super) fn keep(ask: Ask, api: Api, then: impl FnOnce(Ask, Api) -> Outcome + Send + 'static) -> Outcome {
    let text = serde_json::to_vec(&api).map_err(|error| refusal(&Error::internal("an API can't be written").caused_by(error)))?;
    if text.len() > BYTES_MAX {
        return Err(bad(format!("The API with its deployments has {} bytes, and may have {BYTES_MAX}: delete deployments", text.len())));
    }
    let what = Action::KeepFile { namespace: ask.namespace.clone(), key: key(&api.id), body: text.into(), over: Over::Anything };
    let asked = ask.stamp.id;
    Ok(Turn::act(ask.who.clone(), what, move |kept| settle(kept.map_err(|error| refusal(&error)).and_then(|_| then(ask, api)), asked)))
}

pub(super) fn drop(ask: Ask, id: &str, then: impl FnOnce(Ask) -> Outcome + Send + 'static) -> Turn {
    let asked = ask.stamp.id;
    let what = Action::DropFile { namespace: ask.namespace.clone(), key: key(id) };
    Turn::act(ask.who.clone(), what, move |gone| settle(gone.map_err(|error| refusal(&error)).and_then(|_| then(ask)), asked))
}

/// So many after one, by their ids.
pub(super) fn page(
    ask: Ask,
    after: Option<String>,
    limit: usize,
    then: impl FnOnce(Ask, Vec<Api>, Option<String>) -> Outcome + Send + 'static,
) -> Turn {
    let asked = ask.stamp.id;
    let after = after.map(|id| key(&id));
    let query = ObjectListQuery { prefix: PREFIX.into(), delimiter: None, after, limit };
    let what = Action::ListFiles { namespace: ask.namespace.clone(), query };
    Turn::act(ask.who.clone(), what, move |listed| match listed {
        Ok(Done::Objects(list)) => {
            let ids = list.objects.iter().filter_map(|object| object.key.strip_prefix(PREFIX).map(str::to_owned));
            let mut ids: Vec<String> = ids.collect();
            let next = list.next.and(ids.last().cloned());
            ids.reverse();
            each(ask, ids, Vec::new(), Box::new(move |ask, apis| then(ask, apis, next)))
        }
        Ok(_) => settle(Err(unexpected()), asked),
        Err(error) => settle(Err(refusal(&error)), asked),
    })
}

type Found = Box<dyn FnOnce(Ask, Vec<Api>) -> Outcome + Send>;

/// `ids`: the next one is the last.
fn each(ask: Ask, mut ids: Vec<String>, mut apis: Vec<Api>, then: Found) -> Turn {
    let Some(id) = ids.pop() else {
        let asked = ask.stamp.id;
        return settle(then(ask, apis), asked);
    };
    find(ask, id, move |ask, api| {
        apis.extend(api);
        Ok(each(ask, ids, apis, then))
    })
}
