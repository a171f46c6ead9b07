//! Where versions of layers lie, and what they are called.
//!
//! `layers/NAME/0000000003/zip` is a version's zip, `…/about` what is said of it: `{}` once it was deleted.

use http::StatusCode;
use mote_core::action::{Action, Done, Over};
use mote_core::dialect::Turn;
use mote_core::function::Name;
use mote_core::store::ObjectListQuery;
use mote_core::{Code, Error};
use serde_json::{Map, Value};

use crate::aws::api::Ask;
use crate::aws::api::lambda::fault::Fault;
use crate::aws::api::lambda::{refuse, unexpected};
use crate::aws::arn;

const KEYS_MAX: usize = 1000;
const ABOUT_BYTES_MAX: u64 = 64 << 10;
const ARN_PATTERN: &str =
    r"Member must satisfy regular expression pattern: arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+";
const NAME_PATTERN: &str =
    r"Member must satisfy regular expression pattern: (arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\d{12}:layer:[a-zA-Z0-9-_]+)|[a-zA-Z0-9-_]+";

/// A version of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) name: Name,
    pub(super) number: u64,
}

impl Version {
    pub(super) fn read(name: &str, number: &str) -> Result<Version, Fault> {
        let number = match number.parse::<i64>() {
            Ok(number) => u64::try_from(number).ok().filter(|number| *number > 0),
            Err(_) => return Err(Fault::constraint(number, "versionNumber", "Member must be a number")),
        };
        let number = number.ok_or_else(|| Fault::invalid("Layer Version Cannot be less than 1"))?;
        Ok(Version { name: layer_name(name)?, number })
    }

    pub(super) fn of_arn(arn: &str, ask: &Ask) -> Result<Version, Fault> {
        let wrong = || Fault::constraint(arn, "layers", ARN_PATTERN);
        let parts: Vec<&str> = arn.split(':').collect();
        let ["arn", _, "lambda", _, account, "layer", name, number] = parts.as_slice() else { return Err(wrong()) };
        let version = Version { name: layer_name(name)?, number: number.parse().map_err(|_| wrong())? };
        if *account == ask.account.of(&ask.namespace) { Ok(version) } else { Err(no_version(arn)) }
    }

    pub(super) fn zip(&self) -> String {
        self.key("zip")
    }

    fn key(&self, what: &str) -> String {
        format!("{}{:010}/{what}", prefix(&self.name), self.number)
    }

    pub(super) fn arn(&self, ask: &Ask) -> String {
        format!("{}:{}", layer_arn(&self.name, ask), self.number)
    }
}

fn prefix(name: &Name) -> String {
    format!("layers/{name}/")
}

pub(super) fn no_version(arn: &str) -> Fault {
    Fault::invalid(format!("Layer version {arn:.200} does not exist."))
}

pub(super) fn is_absent(error: &Error) -> bool {
    error.code() == Code::ObjectNotFound
}

/// A file of that key is kept already.
pub(in crate::aws::api::lambda) fn is_there(error: &Error) -> bool {
    matches!(error.code(), Code::PreconditionFailed | Code::Conflict)
}

pub(super) fn layer_arn(name: &Name, ask: &Ask) -> String {
    format!("arn:{}:lambda:{}:{}:layer:{name}", arn::partition(&ask.region), ask.region, ask.account.of(&ask.namespace))
}

/// A name, or the ARN of a layer.
pub(super) fn layer_name(text: &str) -> Result<Name, Fault> {
    let name = match text.split(':').collect::<Vec<_>>().as_slice() {
        [name] => *name,
        ["arn", _, "lambda", _, _, "layer", name] => *name,
        _ => "",
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let sound = !name.is_empty() && name.bytes().all(plain);
    Name::new(name).ok().filter(|_| sound).ok_or_else(|| Fault::constraint(text, "layerName", NAME_PATTERN))
}

/// What is said of a version, and the tag by which it is known whether somebody else says something else.
pub(super) struct Said {
    pub(super) about: Map<String, Value>,
    pub(super) etag: String,
}

/// Of a version that is there.
pub(super) fn about(ask: Ask, version: Version, then: impl FnOnce(Ask, Version, Option<Said>) -> Turn + Send + 'static) -> Turn {
    let what = Action::ReadFile { namespace: ask.namespace.clone(), key: version.key("about") };
    Turn::act(ask.who.clone(), what, move |kept| match kept {
        Ok(Done::Object(info, body)) => Turn::read(body, ABOUT_BYTES_MAX, move |text| {
            let about = text.ok().and_then(|text| serde_json::from_slice::<Map<String, Value>>(&text).ok());
            let about = about.filter(|about| !about.is_empty());
            then(ask, version, about.map(|about| Said { about, etag: info.etag }))
        }),
        Ok(_) => refuse(&Fault::of(&unexpected()), ask.stamp.id),
        Err(error) if is_absent(&error) => then(ask, version, None),
        Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
    })
}

/// Says this of a version in place of what was said of it, or of that alone which has this tag.
pub(super) fn say(
    ask: Ask,
    version: Version,
    about: Map<String, Value>,
    over: Option<String>,
    then: impl FnOnce(Ask, Version, Map<String, Value>) -> Turn + Send + 'static,
) -> Turn {
    let body = Value::from(about.clone()).to_string().into();
    let over = over.map_or(Over::Anything, Over::This);
    let what = Action::KeepFile { namespace: ask.namespace.clone(), key: version.key("about"), body, over };
    Turn::act(ask.who.clone(), what, move |kept| match kept {
        Ok(_) => then(ask, version, about),
        Err(error) if is_there(&error) => {
            let message = "Another change of the layer's version came in between; try again.";
            refuse(&Fault::new(StatusCode::CONFLICT, "ResourceConflictException", message), ask.stamp.id)
        }
        Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
    })
}

/// The numbers of a layer's versions that are taken, in their order, and whether that is still there.
pub(super) fn numbers(ask: Ask, name: Name, then: impl FnOnce(Ask, Vec<(u64, bool)>) -> Turn + Send + 'static) -> Turn {
    let query = ObjectListQuery { prefix: prefix(&name), delimiter: None, after: None, limit: KEYS_MAX };
    let read = move |ask: Ask, keys: Vec<String>| {
        let mut numbers: Vec<(u64, bool)> = Vec::new();
        for key in &keys {
            let mut parts = key.split('/').skip(2);
            let (Some(Ok(number)), Some(what)) = (parts.next().map(str::parse), parts.next()) else { continue };
            // What is said of one comes first in the order of keys, and its zip is gone when it is.
            match numbers.last_mut() {
                Some((last, is_there)) if *last == number => *is_there = what == "zip",
                _ => numbers.push((number, false)),
            }
        }
        then(ask, numbers)
    };
    keys(ask, query, Vec::new(), Box::new(read))
}

pub(super) fn names(ask: Ask, then: impl FnOnce(Ask, Vec<Name>) -> Turn + Send + 'static) -> Turn {
    let query = ObjectListQuery { prefix: "layers/".into(), delimiter: Some("/".into()), after: None, limit: KEYS_MAX };
    let read = move |ask: Ask, folders: Vec<String>| {
        let names = folders.iter().filter_map(|folder| Name::new(folder.split('/').nth(1)?).ok());
        then(ask, names.collect())
    };
    keys(ask, query, Vec::new(), Box::new(read))
}

type Found = Box<dyn FnOnce(Ask, Vec<String>) -> Turn + Send>;

fn keys(ask: Ask, query: ObjectListQuery, mut found: Vec<String>, then: Found) -> Turn {
    let what = Action::ListFiles { namespace: ask.namespace.clone(), query: query.clone() };
    Turn::act(ask.who.clone(), what, move |listed| match listed {
        Ok(Done::Objects(list)) => {
            found.extend(list.objects.into_iter().map(|object| object.key).chain(list.common_prefixes));
            match list.next {
                Some(next) => keys(ask, ObjectListQuery { after: Some(next), ..query }, found, then),
                None => then(ask, found),
            }
        }
        Ok(_) => refuse(&Fault::of(&unexpected()), ask.stamp.id),
        Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
    })
}
