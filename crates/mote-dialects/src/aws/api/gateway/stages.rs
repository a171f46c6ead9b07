//! Stages: what of an API answers at the public door, and by which bindings.
//!
//! Most APIs have one function: then a stage is one binding, of all that lies below its path, whose
//! route knows the stage's own. Where a path leads to another function, it has a binding of its own for
//! each, since a binding has one function. They change before the API's file does: what is answered is
//! what is bound.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use mote_core::action::{Action, Done};
use mote_core::dialect::Turn;
use mote_core::function::delivery::Destination;
use mote_core::function::{Binding, Bound, HttpRoute, Name, Qualifier, Seen, UrlAccess};
use mote_core::{Code, Error};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::deployments;
use super::shelf::{self, Api, Does, Route, Stage};
use super::{Ask, Outcome, Patch, Patches, Refusal, absent, bad, missing, read, refusal, seconds, settle, tags, tell, unexpected};
use crate::aws::envelope::over_http::about;
use crate::aws::gateway::table::{ANY, BASE, Entry, ROUTES};
use crate::aws::{gateway, manifest};

const STAGES_MAX: usize = 10;
/// Of an API: they come and go one by one, in one conversation.
const BOUND_MAX: usize = 25;
const NAME_BYTES_MAX: usize = 64;
const VARIABLES_MAX: usize = 100;
const VARIABLE_BYTES_MAX: usize = 512;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wish {
    stage_name: String,
    deployment_id: String,
    description: Option<String>,
    variables: BTreeMap<String, String>,
    tracing_enabled: bool,
    tags: BTreeMap<String, String>,
    canary_settings: Option<Value>,
}

pub(super) fn create(ask: Ask, id: &str) -> Outcome {
    let wish: Wish = read(&ask)?;
    if wish.canary_settings.is_some() {
        return Err(absent("canary releases of API Gateway: a function's alias splits by weight"));
    }
    check_name(&wish.stage_name)?;
    check_variables(&wish.variables)?;
    tags::check(&wish.tags)?;
    shelf::load(ask, id, move |ask, mut api| {
        deployments::find(&api, &wish.deployment_id)?;
        if api.stages.contains_key(&wish.stage_name) {
            return Err(Refusal::new(StatusCode::CONFLICT, "ConflictException", "Stage already exists"));
        }
        let now = seconds(ask.stamp.time);
        let Wish { stage_name: name, deployment_id: deployment, description, variables, tracing_enabled: tracing, tags, .. } = wish;
        api.stages.insert(name.clone(), Stage { deployment, created: now, updated: now, description, variables, tracing, tags });
        bind(ask, api, name.clone(), move |ask, api| keep(ask, api, name, StatusCode::CREATED))
    })
}

pub(super) fn get(ask: Ask, id: &str, name: &str) -> Outcome {
    let name = name.to_owned();
    shelf::load(ask, id, move |ask, api| Ok(tell(StatusCode::OK, &told(&api, &name)?, &ask)))
}

pub(super) fn list(ask: Ask, id: &str) -> Outcome {
    shelf::load(ask, id, |ask, api| {
        let items = api.stages.keys().map(|name| told(&api, name)).collect::<Result<Vec<_>, _>>()?;
        Ok(tell(StatusCode::OK, &json!({ "item": items }), &ask))
    })
}

pub(super) fn update(ask: Ask, id: &str, name: &str) -> Outcome {
    let patches: Patches = read(&ask)?;
    let name = name.to_owned();
    shelf::load(ask, id, move |ask, mut api| {
        let mut stage = api.stages.remove(&name).ok_or_else(no_stage)?;
        patches.patch_operations.iter().try_for_each(|patch| change(&mut stage, patch))?;
        deployments::find(&api, &stage.deployment)?;
        check_variables(&stage.variables)?;
        stage.updated = seconds(ask.stamp.time);
        api.stages.insert(name.clone(), stage);
        bind(ask, api, name.clone(), move |ask, api| keep(ask, api, name, StatusCode::OK))
    })
}

fn change(stage: &mut Stage, patch: &Patch) -> Result<(), Refusal> {
    let path: Vec<&str> = patch.path.trim_start_matches('/').split('/').collect();
    match path.as_slice() {
        ["deploymentId"] => stage.deployment = patch.value.clone().unwrap_or_default(),
        ["description"] => stage.description = patch.text(),
        ["tracingEnabled"] => stage.tracing = patch.value.as_deref() == Some("true"),
        ["variables", name] => {
            let name = super::unescaped(name);
            match patch.op.as_str() {
                "remove" => drop(stage.variables.remove(&name)),
                _ => drop(stage.variables.insert(name, patch.value.clone().unwrap_or_default())),
            }
        }
        _ => return Err(patch.unknown()),
    }
    Ok(())
}

pub(super) fn delete(ask: Ask, id: &str, name: &str) -> Outcome {
    let name = name.to_owned();
    shelf::load(ask, id, move |ask, mut api| {
        api.stages.remove(&name).ok_or_else(no_stage)?;
        let stage = binding(&api.id, &name);
        Ok(bound(ask, &api.id.clone(), move |ask, there| {
            let goes = there.into_iter().filter(|id| is_of(id, &stage)).collect();
            Ok(unbind(ask, goes, move |ask| shelf::keep(ask, api, |ask, _| Ok(tell(StatusCode::ACCEPTED, &Value::Null, &ask)))))
        }))
    })
}

fn keep(ask: Ask, api: Api, name: String, status: StatusCode) -> Outcome {
    shelf::keep(ask, api, move |ask, api| Ok(tell(status, &told(&api, &name)?, &ask)))
}

fn told(api: &Api, name: &str) -> Result<Value, Refusal> {
    let stage = api.stages.get(name).ok_or_else(no_stage)?;
    let mut told = json!({
        "stageName": name,
        "deploymentId": stage.deployment,
        "createdDate": stage.created,
        "lastUpdatedDate": stage.updated,
        "tracingEnabled": stage.tracing,
        "cacheClusterEnabled": false,
        "cacheClusterStatus": "NOT_AVAILABLE",
        "methodSettings": {},
        "tags": stage.tags,
    });
    if let Some(description) = &stage.description {
        told["description"] = description.as_str().into();
    }
    if !stage.variables.is_empty() {
        told["variables"] = json!(stage.variables);
    }
    Ok(told)
}

pub(super) fn no_stage() -> Refusal {
    missing("Invalid stage identifier specified")
}

pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    let sound =
        !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if sound { Ok(()) } else { Err(bad(format!("Stage name only allows a-zA-Z0-9_- and at most {NAME_BYTES_MAX} of them"))) }
}

pub(super) fn check_variables(variables: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let plain = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let long = |(name, value): (&String, &String)| !plain(name) || name.len() > VARIABLE_BYTES_MAX || value.len() > VARIABLE_BYTES_MAX;
    match variables.len() > VARIABLES_MAX || variables.iter().any(long) {
        true => Err(bad("Invalid stage variables: names have letters, digits and '_', values at most 512 bytes")),
        false => Ok(()),
    }
}

/// The id of a stage's first binding; those of its others go on from it.
fn binding(api: &str, stage: &str) -> String {
    format!("rest-api.{api}.{stage}")
}

fn is_of(id: &Name, stage: &str) -> bool {
    id.as_str().strip_prefix(stage).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Binds what a stage serves, and lets go what it does not any more.
pub(super) fn bind(ask: Ask, api: Api, stage: String, then: impl FnOnce(Ask, Api) -> Outcome + Send + 'static) -> Outcome {
    if api.stages.len() > STAGES_MAX {
        return Err(Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            "LimitExceededException",
            format!("An API has at most {STAGES_MAX} stages"),
        ));
    }
    let wanted = wanted(&ask, &api, &stage)?;
    let first = binding(&api.id, &stage);
    Ok(bound(ask, &api.id.clone(), move |ask, there| {
        let ids: BTreeSet<Name> = wanted.iter().map(|bound| bound.id.clone()).collect();
        let (mine, others): (Vec<Name>, Vec<Name>) = there.into_iter().partition(|id| is_of(id, &first));
        if others.len() + ids.len() > BOUND_MAX {
            return Err(bad(format!("The API's paths lead to different functions at more than {BOUND_MAX} places, which mote can't bind")));
        }
        let stale = mine.into_iter().filter(|id| !ids.contains(id)).collect();
        Ok(each(ask, wanted, Box::new(move |ask| Ok(unbind(ask, stale, move |ask| then(ask, api))))))
    }))
}

/// The bindings of an API, of all of its stages.
fn bound(ask: Ask, api: &str, then: impl FnOnce(Ask, Vec<Name>) -> Outcome + Send + 'static) -> Turn {
    let asked = ask.stamp.id;
    let prefix = format!("rest-api.{api}.");
    let what = Action::ListBound { namespace: ask.namespace.clone(), function: None, after: Some(prefix.clone()), limit: BOUND_MAX * 2 };
    Turn::act(ask.who.clone(), what, move |listed| match listed {
        Ok(Done::Bound(listed)) => {
            let ids = listed.iter().map(|bound| bound.id.clone()).filter(|id| id.as_str().starts_with(&prefix));
            settle(then(ask, ids.collect()), asked)
        }
        Ok(_) => settle(Err(unexpected()), asked),
        Err(error) => settle(Err(refusal(&error)), asked),
    })
}

type Then = Box<dyn FnOnce(Ask) -> Outcome + Send>;

/// `wanted`: the next one is the last.
fn each(ask: Ask, mut wanted: Vec<Bound>, then: Then) -> Turn {
    let asked = ask.stamp.id;
    let Some(next) = wanted.pop() else { return settle(then(ask), asked) };
    Turn::act(ask.who.clone(), Action::Bind { bound: Box::new(next), seen: Seen::Whatever }, move |made| match made {
        Ok(_) => each(ask, wanted, then),
        Err(error) => settle(Err(refusal(&error)), asked),
    })
}

fn unbind(ask: Ask, ids: Vec<Name>, then: impl FnOnce(Ask) -> Outcome + Send + 'static) -> Turn {
    let_go(ask, ids, Box::new(then))
}

fn let_go(ask: Ask, mut ids: Vec<Name>, then: Then) -> Turn {
    let asked = ask.stamp.id;
    let Some(id) = ids.pop() else { return settle(then(ask), asked) };
    let what = Action::Unbind { namespace: ask.namespace.clone(), id };
    Turn::act(ask.who.clone(), what, move |gone| match gone {
        Err(error) if error.code() != Code::BindingNotFound => settle(Err(refusal(&error)), asked),
        // It may have gone with its function.
        _ => let_go(ask, ids, then),
    })
}

pub(super) fn unbind_all(ask: Ask, api: &str, then: impl FnOnce(Ask) -> Outcome + Send + 'static) -> Turn {
    bound(ask, api, move |ask, ids| Ok(unbind(ask, ids, then)))
}

type To = (Name, Qualifier);

fn wanted(ask: &Ask, api: &Api, stage: &str) -> Result<Vec<Bound>, Refusal> {
    let config = api.stages.get(stage).ok_or_else(no_stage)?;
    let routes = &deployments::find(api, &config.deployment)?.routes;
    let main = main(routes).ok_or_else(|| bad("The REST API calls no function, and mote's routes all lead to one"))?;
    let mut by_path: BTreeMap<&str, Vec<&Route>> = BTreeMap::new();
    for route in routes {
        by_path.entry(route.path.trim_end_matches('/')).or_default().push(route);
    }
    let mount = gateway::path(&api.id, stage);
    let maker = Maker { ask, api, stage, config, mount: &mount };
    let (mixed, plain): (Vec<_>, Vec<_>) =
        by_path.into_iter().partition(|(_, routes)| routes.iter().any(|route| to(route).is_some_and(|to| to != main)));
    let whole: Vec<&Route> = plain.into_iter().flat_map(|(_, routes)| routes).collect();
    let mut all = vec![maker.bound(None, &main, &whole, HttpRoute { below: true, ..HttpRoute::new(&mount, Vec::new()) })?];
    for (path, routes) in mixed {
        if path.is_empty() {
            return Err(bad("The path / leads to different functions, which mote can't bind"));
        }
        let functions: BTreeSet<To> = routes.iter().filter_map(|route| to(route)).collect();
        for (number, function) in functions.into_iter().enumerate() {
            // What needs no function is said by whichever is asked.
            let own: Vec<&Route> = routes.iter().copied().filter(|route| to(route).is_none_or(|to| to == function)).collect();
            let mut methods: Vec<String> =
                own.iter().filter(|route| number == 0 || to(route).is_some()).map(|route| route.method.clone()).collect();
            if methods.iter().any(|method| method == ANY) {
                methods.clear();
            }
            let route = HttpRoute::new(format!("{mount}{}", manifest::path_of(path)), methods);
            all.push(maker.bound(Some(all.len()), &function, &own, route)?);
        }
    }
    Ok(all)
}

fn to(route: &Route) -> Option<To> {
    match &route.does {
        Does::Call { function, qualifier } => Some((function.clone(), qualifier.clone())),
        Does::Say(_) => None,
    }
}

/// The function of the root, else that of most routes.
fn main(routes: &[Route]) -> Option<To> {
    if let Some(root) = routes.iter().find(|route| route.path == "/").and_then(to) {
        return Some(root);
    }
    let mut counted: BTreeMap<To, usize> = BTreeMap::new();
    for function in routes.iter().filter_map(to) {
        *counted.entry(function).or_default() += 1;
    }
    counted.into_iter().max_by_key(|(_, count)| *count).map(|(function, _)| function)
}

struct Maker<'a> {
    ask: &'a Ask,
    api: &'a Api,
    stage: &'a str,
    config: &'a Stage,
    mount: &'a str,
}

impl Maker<'_> {
    fn bound(&self, number: Option<usize>, (function, qualifier): &To, routes: &[&Route], mut route: HttpRoute) -> Result<Bound, Refusal> {
        let entries = routes.iter().map(|route| Entry {
            path: route.path.clone(),
            method: route.method.clone(),
            says: match &route.does {
                Does::Call { .. } => None,
                Does::Say(said) => Some(said.clone()),
            },
        });
        let entries = serde_json::to_value(entries.collect::<Vec<_>>());
        let entries = entries.map_err(|error| refusal(&Error::internal("routes can't be written").caused_by(error)))?;
        let mut said = Map::from_iter([
            (about::PAYLOAD.to_owned(), "1.0".into()),
            (about::STAGE.to_owned(), self.stage.into()),
            (about::URL_ID.to_owned(), self.api.id.as_str().into()),
            (ROUTES.to_owned(), entries),
        ]);
        if !self.config.variables.is_empty() {
            said.insert(about::STAGE_VARIABLES.into(), json!(self.config.variables));
        }
        if let Qualifier::Version(_) | Qualifier::Alias(_) = qualifier {
            said.insert(about::QUALIFIER.into(), qualifier.to_string().into());
        }
        if number.is_some() {
            said.insert(BASE.into(), self.mount.into());
        }
        (route.about, route.access) = (said, Some(UrlAccess::Public));
        let first = binding(&self.api.id, self.stage);
        let id = number.map_or(first.clone(), |number| format!("{first}.{number:03}"));
        Ok(Bound {
            id: Name::new(&id).map_err(|error| refusal(&error))?,
            namespace: self.ask.namespace.clone(),
            to: Destination::Function(function.clone()),
            qualifier: qualifier.clone(),
            binding: Binding::Http(route.into()),
            enabled: true,
            since: self.ask.stamp.time,
            label: None,
            dialect: None,
            about: Map::new(),
        })
    }
}
