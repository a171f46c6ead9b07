//! Deployments: the routes of an API as they were at one time, which a stage serves.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::shelf::{self, Api, Deployment, Stage};
use super::{Ask, Outcome, Refusal, absent, bad, missing, read, seconds, stages, tell};
use crate::aws::gateway;

/// Beside those that a stage serves; older ones go.
const KEPT: usize = 10;
const ID_LETTERS: usize = 6;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wish {
    stage_name: Option<String>,
    stage_description: Option<String>,
    description: Option<String>,
    variables: BTreeMap<String, String>,
    tracing_enabled: Option<bool>,
    canary_settings: Option<Value>,
}

/// With a stage's name it is there at once.
pub(super) fn create(ask: Ask, id: &str) -> Outcome {
    let wish: Wish = read(&ask)?;
    if wish.canary_settings.is_some() {
        return Err(absent("canary releases of API Gateway: a function's alias splits by weight"));
    }
    let stage = wish.stage_name.clone().filter(|name| !name.is_empty());
    stage.as_deref().map_or(Ok(()), stages::check_name)?;
    stages::check_variables(&wish.variables)?;
    shelf::load(ask, id, move |ask, mut api| {
        if api.routes.is_empty() {
            return Err(bad("The REST API doesn't contain any methods"));
        }
        let now = seconds(ask.stamp.time);
        let id = gateway::id(ask.stamp.id, "deployment", ID_LETTERS);
        api.deployments.push(Deployment { id: id.clone(), created: now, description: wish.description, routes: api.routes.clone() });
        let Some(name) = stage else {
            forget(&mut api);
            return keep(ask, api, id);
        };
        let before = api.stages.get(&name).cloned();
        let variables = if wish.variables.is_empty() { before.as_ref().map(|stage| stage.variables.clone()) } else { None };
        let stage = Stage {
            deployment: id.clone(),
            created: before.as_ref().map_or(now, |stage| stage.created),
            updated: now,
            description: wish.stage_description.or_else(|| before.as_ref()?.description.clone()),
            variables: variables.unwrap_or(wish.variables),
            tracing: wish.tracing_enabled.unwrap_or_else(|| before.as_ref().is_some_and(|stage| stage.tracing)),
            tags: before.map(|stage| stage.tags).unwrap_or_default(),
        };
        api.stages.insert(name.clone(), stage);
        forget(&mut api);
        stages::bind(ask, api, name, move |ask, api| keep(ask, api, id))
    })
}

fn keep(ask: Ask, api: Api, id: String) -> Outcome {
    shelf::keep(ask, api, move |ask, api| {
        let made = find(&api, &id)?;
        Ok(tell(StatusCode::CREATED, &told(made), &ask))
    })
}

/// The oldest that no stage serves, beyond so many.
fn forget(api: &mut Api) {
    let Api { deployments, stages, .. } = api;
    let served = |deployment: &Deployment| stages.values().any(|stage| stage.deployment == deployment.id);
    let mut spare = deployments.iter().filter(|deployment| !served(deployment)).count();
    deployments.retain(|deployment| {
        let goes = spare > KEPT && !served(deployment);
        spare -= usize::from(goes);
        !goes
    });
}

pub(super) fn find<'a>(api: &'a Api, id: &str) -> Result<&'a Deployment, Refusal> {
    api.deployments.iter().find(|deployment| deployment.id == id).ok_or_else(|| missing("Invalid Deployment identifier specified"))
}

pub(super) fn list(ask: Ask, id: &str) -> Outcome {
    shelf::load(ask, id, |ask, api| {
        let items: Vec<Value> = api.deployments.iter().map(told).collect();
        Ok(tell(StatusCode::OK, &json!({ "item": items }), &ask))
    })
}

pub(super) fn get(ask: Ask, id: &str, deployment: &str) -> Outcome {
    let deployment = deployment.to_owned();
    shelf::load(ask, id, move |ask, api| Ok(tell(StatusCode::OK, &told(find(&api, &deployment)?), &ask)))
}

pub(super) fn delete(ask: Ask, id: &str, deployment: &str) -> Outcome {
    let deployment = deployment.to_owned();
    shelf::load(ask, id, move |ask, mut api| {
        find(&api, &deployment)?;
        if api.stages.values().any(|stage| stage.deployment == deployment) {
            return Err(bad("Active stages pointing to this deployment must be moved or deleted"));
        }
        api.deployments.retain(|other| other.id != deployment);
        shelf::keep(ask, api, |ask, _| Ok(tell(StatusCode::ACCEPTED, &Value::Null, &ask)))
    })
}

fn told(deployment: &Deployment) -> Value {
    let mut told = json!({ "id": deployment.id, "createdDate": deployment.created });
    if let Some(description) = &deployment.description {
        told["description"] = description.as_str().into();
    }
    told
}
