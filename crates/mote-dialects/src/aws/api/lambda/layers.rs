//! Layers: zips whose files several functions take with them, at `/opt`, in numbered versions.
//!
//! A version's zip and what is said of it lie among the namespace's kept files; of one that was deleted
//! the number stays taken. The wishes of clients are here; what lies where: [`shelf`].

pub(super) mod permissions;
mod shelf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::StatusCode;
use mote_core::action::{Action, Done, Over};
use mote_core::dialect::Turn;
use mote_core::function::{Function, Name};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use self::permissions::POLICY;
use self::shelf::Version;
use super::code::{Place, ZIP_BYTES_MAX};
use super::fault::Fault;
use super::{bare, number, query, read, refuse, tell, unexpected};
use crate::aws::api::Ask;

pub(super) use self::shelf::is_there;

/// Of one function, as the service has it.
const LAYERS_MAX: usize = 5;
/// Each version of a list is read by itself.
const PAGE_MAX: usize = 20;
/// Layers of a list that wants versions of a kind, which have to be looked for.
const CHOSEN_MAX: usize = 2;
/// So many of a layer's latest versions are looked at for one of the kind.
const LOOKED_MAX: usize = 10;

/// A layer of a function, on its way into it.
pub(super) struct Layer {
    pub(super) arn: String,
    pub(super) zip: Bytes,
}

/// The ARNs of those that a function has.
pub(super) fn of(function: &Function) -> Vec<String> {
    let told = function.about.get("Layers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    told.iter().filter_map(|layer| Some(layer.get("Arn")?.as_str()?.to_owned())).collect()
}

pub(super) fn tell_of(about: &mut Map<String, Value>, layers: &[Layer]) {
    let told: Vec<Value> = layers.iter().map(|layer| json!({ "Arn": layer.arn, "CodeSize": layer.zip.len() })).collect();
    match told.is_empty() {
        true => drop(about.remove("Layers")),
        false => drop(about.insert("Layers".into(), told.into())),
    }
}

/// Goes on with the zips of these, in their order.
pub(super) fn fetch(ask: Ask, arns: Vec<String>, then: impl FnOnce(Ask, Vec<Layer>) -> Turn + Send + 'static) -> Turn {
    let id = ask.stamp.id;
    if arns.len() > LAYERS_MAX {
        return refuse(&Fault::invalid(format!("You cannot reference more than {LAYERS_MAX} layers.")), id);
    }
    let versions: Result<Vec<Version>, Fault> = arns.iter().map(|arn| Version::of_arn(arn, &ask)).collect();
    match versions {
        Ok(versions) if (1..versions.len()).any(|at| versions[..at].iter().any(|before| before.name == versions[at].name)) => {
            refuse(&Fault::invalid("Two different versions of the same layer are not allowed to be referenced in the same function."), id)
        }
        Ok(versions) => fetch_rest(ask, versions.into_iter(), Vec::new(), Box::new(then)),
        Err(fault) => refuse(&fault, id),
    }
}

type Fetched = Box<dyn FnOnce(Ask, Vec<Layer>) -> Turn + Send>;

fn fetch_rest(ask: Ask, mut left: std::vec::IntoIter<Version>, mut layers: Vec<Layer>, then: Fetched) -> Turn {
    let Some(version) = left.next() else { return then(ask, layers) };
    let arn = version.arn(&ask);
    let what = Action::ReadFile { namespace: ask.namespace.clone(), key: version.zip() };
    Turn::act(ask.who.clone(), what, move |kept| match kept {
        Ok(Done::Object(_, body)) => Turn::read(body, ZIP_BYTES_MAX, move |zip| match zip {
            Ok(zip) => {
                layers.push(Layer { arn, zip });
                fetch_rest(ask, left, layers, then)
            }
            Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
        }),
        Ok(_) => refuse(&Fault::of(&unexpected()), ask.stamp.id),
        Err(error) if shelf::is_absent(&error) => refuse(&shelf::no_version(&arn), ask.stamp.id),
        Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Publish {
    description: Option<String>,
    content: Place,
    compatible_runtimes: Option<Vec<String>>,
    compatible_architectures: Option<Vec<String>>,
    license_info: Option<String>,
}

/// Characters of a layer's description, of its licence, and of the name of a runtime or an architecture.
const DESCRIPTION_MAX: usize = 256;
const LICENSE_MAX: usize = 512;
const WORD_MAX: usize = 64;
const RUNTIMES_MAX: usize = 15;
const ARCHITECTURES_MAX: usize = 2;

impl Publish {
    /// What is said of a version is read whole by whoever asks for it.
    fn check(&self) -> Result<(), Fault> {
        let short = |field, text: &Option<String>, max: usize| match text.as_deref().filter(|text| text.chars().count() > max) {
            Some(long) => Err(Fault::constraint(long, field, format!("Member must have length less than or equal to {max}"))),
            None => Ok(()),
        };
        let few = |field, words: &Option<Vec<String>>, max: usize| match words {
            Some(words) if words.len() > max || words.iter().any(|word| word.chars().count() > WORD_MAX) => {
                let list = format!("[{}]", words.join(", "));
                Err(Fault::constraint(&list, field, format!("Member must have length less than or equal to {max}")))
            }
            Some(_) | None => Ok(()),
        };
        short("description", &self.description, DESCRIPTION_MAX)?;
        short("licenseInfo", &self.license_info, LICENSE_MAX)?;
        few("compatibleRuntimes", &self.compatible_runtimes, RUNTIMES_MAX)?;
        few("compatibleArchitectures", &self.compatible_architectures, ARCHITECTURES_MAX)
    }
}

pub(super) fn publish(ask: Ask, name: &str) -> Result<Turn, Fault> {
    let name = shelf::layer_name(name)?;
    let asked: Publish = read(&ask.body)?;
    asked.check()?;
    let Publish { description, content, compatible_runtimes, compatible_architectures, license_info } = asked;
    if content == Place::default() {
        return Err(Fault::invalid("Missing Content"));
    }
    content.fetch(ask, move |ask, zip| {
        let said = [
            ("Description", Some(description.unwrap_or_default().into())),
            ("CompatibleRuntimes", compatible_runtimes.map(Value::from)),
            ("CompatibleArchitectures", compatible_architectures.map(Value::from)),
            ("LicenseInfo", license_info.map(Value::from)),
            ("CreatedDate", Some(ask.stamp.time.rfc3339().replace('Z', "+0000").into())),
            ("CodeSize", Some(zip.len().into())),
            ("CodeSha256", Some(BASE64.encode(Sha256::digest(&zip)).into())),
        ];
        let about = said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        shelf::numbers(ask, name.clone(), move |ask, numbers| {
            let version = Version { name, number: numbers.last().map_or(1, |(number, _)| number + 1) };
            keep(ask, version, zip, about)
        })
    })
}

/// What is said of it comes last: a version without it is not there.
fn keep(ask: Ask, version: Version, zip: Bytes, about: Map<String, Value>) -> Turn {
    let what = Action::KeepFile { namespace: ask.namespace.clone(), key: version.zip(), body: zip.clone().into(), over: Over::Nothing };
    Turn::act(ask.who.clone(), what, move |kept| match kept {
        Ok(_) => shelf::say(ask, version, about, None, |ask, version, about| {
            tell(StatusCode::CREATED, &whole(&version, about, &ask).into(), ask.stamp.id)
        }),
        // Somebody else was faster.
        Err(error) if is_there(&error) => keep(ask, Version { number: version.number + 1, ..version }, zip, about),
        Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
    })
}

pub(super) fn get(ask: Ask, name: &str, number: &str) -> Result<Turn, Fault> {
    Ok(show(ask, Version::read(name, number)?))
}

/// By the version's ARN.
pub(super) fn find(ask: Ask) -> Result<Turn, Fault> {
    let version = Version::of_arn(&query(&ask, "Arn").unwrap_or_default(), &ask)?;
    Ok(show(ask, version))
}

fn show(ask: Ask, version: Version) -> Turn {
    shelf::about(ask, version, |ask, version, about| match about {
        Some(said) => tell(StatusCode::OK, &whole(&version, said.about, &ask).into(), ask.stamp.id),
        None => refuse(&Fault::missing("The resource you requested does not exist."), ask.stamp.id),
    })
}

/// The zip itself.
pub(super) fn content(ask: Ask, name: &str, number: &str) -> Result<Turn, Fault> {
    let what = Action::ReadFile { namespace: ask.namespace.clone(), key: Version::read(name, number)?.zip() };
    Ok(Turn::act(ask.who.clone(), what, move |kept| match kept {
        Ok(Done::Object(_, body)) => super::zipped(body, ask.stamp.id),
        Ok(_) => refuse(&Fault::of(&unexpected()), ask.stamp.id),
        Err(error) if shelf::is_absent(&error) => refuse(&Fault::missing("The resource you requested does not exist."), ask.stamp.id),
        Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
    }))
}

/// Functions that have it keep it.
pub(super) fn delete(ask: Ask, name: &str, number: &str) -> Result<Turn, Fault> {
    Ok(shelf::about(ask, Version::read(name, number)?, |ask, version, about| {
        let done = |ask: Ask| Turn::Answer(bare(StatusCode::NO_CONTENT, ask.stamp.id));
        match about {
            // Nothing is said of it any more, and its number stays taken.
            Some(_) => shelf::say(ask, version, Map::new(), None, move |ask, version, _| {
                super::make::drop_each(ask, vec![version.zip()], Box::new(done))
            }),
            None => done(ask),
        }
    }))
}

/// The latest first.
pub(super) fn versions(ask: Ask, name: &str) -> Result<Turn, Fault> {
    let name = shelf::layer_name(name)?;
    let limit = number(&ask, "MaxItems", 50)?.min(PAGE_MAX);
    let before = query(&ask, "Marker").and_then(|marker| marker.parse().ok()).unwrap_or(u64::MAX);
    let wanted = Wanted::of(&ask);
    Ok(shelf::numbers(ask, name.clone(), move |ask, numbers| {
        let there = numbers.into_iter().rev().filter(|(number, is_there)| *is_there && *number < before).take(limit + 1);
        let page: Vec<Version> = there.map(|(number, _)| Version { name: name.clone(), number }).collect();
        let next = page.get(limit - 1).filter(|_| page.len() > limit).map(|last| last.number.to_string());
        let page = page.into_iter().take(limit).collect();
        told_each(ask, page, wanted, Vec::new(), Box::new(move |ask, told| paged(&ask, "LayerVersions", told, next)))
    }))
}

/// Each that has a version, with the latest one; in the order of their names.
pub(super) fn list(ask: Ask) -> Result<Turn, Fault> {
    let wanted = Wanted::of(&ask);
    let limit = number(&ask, "MaxItems", 50)?.min(if wanted == Wanted::default() { PAGE_MAX / 2 } else { CHOSEN_MAX });
    let after = query(&ask, "Marker");
    Ok(shelf::names(ask, move |ask, names| {
        let rest: Vec<Name> = names.into_iter().filter(|name| after.as_deref().is_none_or(|after| name.as_str() > after)).collect();
        let next = rest.get(limit - 1).filter(|_| rest.len() > limit).map(ToString::to_string);
        let page = rest.into_iter().take(limit).collect();
        latest_each(ask, page, wanted, Vec::new(), Box::new(move |ask, told| paged(&ask, "Layers", told, next)))
    }))
}

/// What a list is to have: versions made for this runtime, or this architecture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wanted {
    runtime: Option<String>,
    architecture: Option<String>,
}

impl Wanted {
    fn of(ask: &Ask) -> Wanted {
        Wanted { runtime: query(ask, "CompatibleRuntime"), architecture: query(ask, "CompatibleArchitecture") }
    }

    fn takes(&self, about: &Map<String, Value>) -> bool {
        let names = |member: &str, wanted: &Option<String>| {
            let said = about.get(member).and_then(Value::as_array);
            wanted.as_ref().is_none_or(|wanted| said.is_some_and(|said| said.iter().any(|one| one == wanted)))
        };
        names("CompatibleRuntimes", &self.runtime) && names("CompatibleArchitectures", &self.architecture)
    }
}

fn paged(ask: &Ask, what: &str, told: Vec<Value>, next: Option<String>) -> Turn {
    let mut answer = Map::from_iter([(what.to_owned(), told.into())]);
    answer.extend(next.map(|next| ("NextMarker".to_owned(), next.into())));
    tell(StatusCode::OK, &answer.into(), ask.stamp.id)
}

type Listed = Box<dyn FnOnce(Ask, Vec<Value>) -> Turn + Send>;

fn latest_each(ask: Ask, mut left: Vec<Name>, wanted: Wanted, mut told: Vec<Value>, then: Listed) -> Turn {
    if left.is_empty() {
        return then(ask, told);
    }
    let name = left.remove(0);
    shelf::numbers(ask, name.clone(), move |ask, numbers| {
        let there = numbers.iter().rev().filter(|(_, is_there)| *is_there).take(LOOKED_MAX);
        let there: Vec<Version> = there.map(|&(number, _)| Version { name: name.clone(), number }).collect();
        let of_layer = move |ask: Ask, wanted: Wanted, latest: Option<Value>| {
            let arn = shelf::layer_arn(&name, &ask);
            told.extend(latest.map(|latest| json!({ "LayerName": name, "LayerArn": arn, "LatestMatchingVersion": latest })));
            latest_each(ask, left, wanted, told, then)
        };
        latest(ask, there.into_iter(), wanted, Box::new(of_layer))
    })
}

type Latest = Box<dyn FnOnce(Ask, Wanted, Option<Value>) -> Turn + Send>;

fn latest(ask: Ask, mut left: std::vec::IntoIter<Version>, wanted: Wanted, then: Latest) -> Turn {
    let Some(version) = left.next() else { return then(ask, wanted, None) };
    shelf::about(ask, version, move |ask, version, said| match said.filter(|said| wanted.takes(&said.about)) {
        Some(said) => {
            let told = listed(&version, said.about, &ask);
            then(ask, wanted, Some(told))
        }
        None => latest(ask, left, wanted, then),
    })
}

fn told_each(ask: Ask, mut left: Vec<Version>, wanted: Wanted, mut told: Vec<Value>, then: Listed) -> Turn {
    if left.is_empty() {
        return then(ask, told);
    }
    let version = left.remove(0);
    shelf::about(ask, version, move |ask, version, said| {
        told.extend(said.filter(|said| wanted.takes(&said.about)).map(|said| listed(&version, said.about, &ask)));
        told_each(ask, left, wanted, told, then)
    })
}

/// In a list nothing is said of what was not said.
fn listed(version: &Version, mut about: Map<String, Value>, ask: &Ask) -> Value {
    about.retain(|name, said| name != "Description" || *said != "");
    short(version, about, ask).into()
}

/// Without its content.
fn short(version: &Version, mut about: Map<String, Value>, ask: &Ask) -> Map<String, Value> {
    about.retain(|name, _| !matches!(name.as_str(), "CodeSize" | "CodeSha256" | POLICY));
    about.insert("LayerVersionArn".into(), version.arn(ask).into());
    about.insert("Version".into(), version.number.into());
    about
}

fn whole(version: &Version, mut about: Map<String, Value>, ask: &Ask) -> Map<String, Value> {
    let content = json!({
        "Location": format!("{}/2018-10-31/layers/{}/versions/{}/content", ask.stamp.origin, version.name, version.number),
        "CodeSha256": about.remove("CodeSha256"),
        "CodeSize": about.remove("CodeSize"),
    });
    let mut told = short(version, about, ask);
    told.insert("Content".into(), content);
    told.insert("LayerArn".into(), shelf::layer_arn(&version.name, ask).into());
    told
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_said_of_a_layer_has_bounds() {
        let fault = |said: Value| serde_json::from_value::<Publish>(said).unwrap().check().err().map(|fault| fault.message);
        let (text, words) = (|length| "ä".repeat(length), |count| vec!["python3.12"; count]);
        assert_eq!(fault(json!({ "Description": text(256), "LicenseInfo": text(512), "CompatibleRuntimes": words(15) })), None);
        for (said, member) in [
            (json!({ "Description": text(257) }), "description"),
            (json!({ "LicenseInfo": text(513) }), "licenseInfo"),
            (json!({ "CompatibleRuntimes": words(16) }), "compatibleRuntimes"),
            (json!({ "CompatibleRuntimes": [text(65)] }), "compatibleRuntimes"),
            (json!({ "CompatibleArchitectures": words(3) }), "compatibleArchitectures"),
        ] {
            let told = fault(said).unwrap_or_default();
            assert!(told.contains(&format!("at '{member}' failed to satisfy constraint: Member must have length")), "{told}");
        }
    }
}
