//! Makes a function's draft: of its code, its layers, and what is said of it.
//!
//! The zip is kept beside the function, so that other layers can be laid around it and its owner can
//! have it back; one that no version was made of is dropped.

use bytes::Bytes;
use http::StatusCode;
use mote_core::action::{Action, Deploy, DeployWish, Done, Expect, Files, Number, Over, files_of};
use mote_core::dialect::{Deployment, Turn};
use mote_core::function::{Function, FunctionRef, Name, Qualifier};
use mote_core::store::ObjectListQuery;
use mote_core::{Body, Code, Error};
use serde_json::{Map, Value};

use super::code::ZIP_BYTES_MAX;
use super::configuration::{self, Moment};
use super::fault::Fault;
use super::layers::{self, Layer};
use super::names::Address;
use super::{refuse, tell, unexpected, versions};
use crate::aws::api::Ask;
use crate::aws::arn::ABOUT_REGION;

/// Zips that are dropped after one deploy; what is left goes after the next one.
const DROPPED_MAX: usize = 8;
/// Versions and zips of a function that are looked at for that.
const SEEN_MAX: usize = 1000;

/// How a deploy is told.
#[derive(Clone, Copy)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) moment: Moment,
    /// Make a version of it, and tell of that.
    pub(super) publish: bool,
    /// What its caller has looked at: somebody else's change since then is not to be lost.
    pub(super) expect: Expect,
}

/// Of new code.
pub(super) fn anew(
    ask: Ask,
    name: Name,
    zip: Bytes,
    arns: Vec<String>,
    answer: Answer,
    build: impl FnOnce(&Bytes, &[Layer]) -> Result<Deployment, Fault> + Send + 'static,
) -> Turn {
    layers::fetch(ask, arns, move |ask, layers| {
        let deployment = match build(&zip, &layers) {
            Ok(deployment) => deployment,
            Err(fault) => return refuse(&fault, ask.stamp.id),
        };
        let key = key_of(&name, &deployment.about);
        let what = Action::KeepFile { namespace: ask.namespace.clone(), key, body: zip.clone().into(), over: Over::Nothing };
        Turn::act(ask.who.clone(), what, move |kept| match kept {
            // The same code lies there already.
            Err(error) if !layers::is_there(&error) => refuse(&Fault::of(&error), ask.stamp.id),
            _ => deploy(ask, name, Files::Archive(zip.into()), layers, deployment, answer),
        })
    })
}

/// Of the code that it has, with other layers around it.
pub(super) fn with_layers(ask: Ask, name: Name, arns: Vec<String>, deployment: Deployment, answer: Answer) -> Turn {
    layers::fetch(ask, arns, move |ask, layers| {
        let key = key_of(&name, &deployment.about);
        read(ask, key, move |ask, body| {
            Turn::read(body, ZIP_BYTES_MAX, move |zip| match zip {
                Ok(zip) => deploy(ask, name, Files::Archive(zip.into()), layers, deployment, answer),
                Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
            })
        })
    })
}

/// Of the files that it has, as they are.
pub(super) fn as_it_is(ask: Ask, name: Name, deployment: Deployment, answer: Answer) -> Turn {
    carry_out(ask, name, Files::AsTheyAre, Vec::new(), deployment, answer)
}

/// Goes on with the zip that a version was made of.
pub(super) fn zip_of(ask: Ask, function: &Function, then: impl FnOnce(Ask, Body) -> Turn + Send + 'static) -> Turn {
    read(ask, key_of(&function.name, &function.about), then)
}

fn read(ask: Ask, key: String, then: impl FnOnce(Ask, Body) -> Turn + Send + 'static) -> Turn {
    let what = Action::ReadFile { namespace: ask.namespace.clone(), key };
    Turn::act(ask.who.clone(), what, move |kept| match kept {
        Ok(Done::Object(_, body)) => then(ask, body),
        Ok(_) => refuse(&Fault::of(&unexpected()), ask.stamp.id),
        Err(error) => refuse(&no_code(&error), ask.stamp.id),
    })
}

fn no_code(error: &Error) -> Fault {
    match error.code() {
        Code::ObjectNotFound => Fault::invalid("The function's zip is not kept: it was deployed in another way. Update its code first."),
        _ => Fault::of(error),
    }
}

fn deploy(ask: Ask, name: Name, files: Files, layers: Vec<Layer>, mut deployment: Deployment, answer: Answer) -> Turn {
    layers::tell_of(&mut deployment.about, &layers);
    carry_out(ask, name, files, layers.into_iter().map(|layer| layer.zip).collect(), deployment, answer)
}

fn carry_out(ask: Ask, name: Name, files: Files, layers: Vec<Bytes>, mut deployment: Deployment, answer: Answer) -> Turn {
    deployment.about.entry(ABOUT_REGION).or_insert_with(|| ask.region.as_str().into());
    let wish = DeployWish { namespace: ask.namespace.clone(), name: Some(name.clone()), default_name: None, dev: false };
    let what = Action::Deploy(Box::new(Deploy {
        wish,
        files,
        declared: Some(deployment.into()),
        number: Number::Draft,
        layers,
        expect: answer.expect,
    }));
    Turn::act(ask.who.clone(), what, move |deployed| match deployed {
        Ok(Done::Deployed(_)) => tidy(ask, name, answer),
        Ok(_) => refuse(&Fault::of(&unexpected()), ask.stamp.id),
        Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
    })
}

/// Drops zips that no version was made of any more. That this fails is no failure of the deploy.
fn tidy(ask: Ask, name: Name, answer: Answer) -> Turn {
    let query = ObjectListQuery { prefix: files_of(&name), limit: SEEN_MAX, ..ObjectListQuery::default() };
    let what = Action::ListFiles { namespace: ask.namespace.clone(), query };
    Turn::act(ask.who.clone(), what, move |listed| {
        let kept: Vec<String> = match listed {
            Ok(Done::Objects(list)) => list.objects.into_iter().map(|object| object.key).collect(),
            _ => Vec::new(),
        };
        if kept.len() < 2 {
            return told(ask, name, answer);
        }
        let function = FunctionRef { namespace: ask.namespace.clone(), name: name.clone() };
        let what = Action::ListVersions { function, after: None, limit: SEEN_MAX };
        Turn::act(ask.who.clone(), what, move |listed| {
            let Ok(Done::Functions(versions)) = listed else { return told(ask, name, answer) };
            let used: Vec<String> = versions.iter().map(|version| key_of(&name, &version.about)).collect();
            let unused = kept.into_iter().filter(|key| !used.contains(key)).take(DROPPED_MAX).collect();
            drop_each(ask, unused, Box::new(move |ask| told(ask, name, answer)))
        })
    })
}

pub(super) fn drop_each(ask: Ask, mut keys: Vec<String>, then: Box<dyn FnOnce(Ask) -> Turn + Send>) -> Turn {
    let Some(key) = keys.pop() else { return then(ask) };
    let what = Action::DropFile { namespace: ask.namespace.clone(), key };
    Turn::act(ask.who.clone(), what, move |_| drop_each(ask, keys, then))
}

fn told(ask: Ask, name: Name, Answer { status, moment, publish, .. }: Answer) -> Turn {
    if publish {
        return versions::freeze(Address::of(name), ask, Map::new(), None, (status, moment));
    }
    let function = FunctionRef { namespace: ask.namespace.clone(), name };
    Turn::act(ask.who.clone(), Action::Describe { function, version: Qualifier::Live }, move |described| match described {
        Ok(Done::Function(description)) => {
            tell(status, &configuration::of(&description.function, &ask.account, moment).into(), ask.stamp.id)
        }
        Ok(_) => refuse(&Fault::of(&unexpected()), ask.stamp.id),
        Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
    })
}

/// By the zip's digest, as it is told, in letters that a key may have.
fn key_of(name: &Name, about: &Map<String, Value>) -> String {
    let digest = about.get("CodeSha256").and_then(Value::as_str).unwrap_or_default();
    format!("{}{}", files_of(name), digest.replace('/', "_"))
}
