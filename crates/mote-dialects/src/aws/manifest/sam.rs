//! AWS SAM's template, and CloudFormation's as far as it has functions, buckets, queues and topics.

mod apis;
mod events;
mod function;
mod stores;

use std::collections::BTreeMap;
use std::sync::Arc;

use mote_core::bundle::Bundle;
use mote_core::dialect::Manifest;

use self::apis::Apis;
use super::finding::{Finding, Findings, Outcome};
use super::template::resources::{Kind, Resource};
use super::template::{Props, Template};
use super::yaml::Node;
use super::{Ground, REGION, code};

const TRANSFORM: &str = "AWS::Serverless-2016-10-31";
const SECTIONS: [&str; 9] =
    ["AWSTemplateFormatVersion", "Transform", "Description", "Metadata", "Parameters", "Mappings", "Conditions", "Resources", "Globals"];
/// They tell of a stack or to one, and there is none.
const SILENT: [&str; 2] = ["Outputs", "Rules"];

pub(super) fn read(root: &Node, ground: &Ground<'_>, found: &mut Findings) -> Manifest {
    let sections = root.entries().unwrap_or_default();
    for (key, _) in sections.iter().filter(|(key, _)| ![&SECTIONS[..], &SILENT].concat().contains(&&*key.text)) {
        found.wrong(key.at, format!("mote does not honour the section {}", key.text));
    }
    let transforms = root.get("Transform").map(|node| node.items().unwrap_or(std::slice::from_ref(node))).unwrap_or_default();
    for transform in transforms.iter().filter(|node| node.as_text() != Some(TRANSFORM)) {
        found.wrong(transform.at, format!("mote has no transform but {TRANSFORM}"));
    }
    let template = Template::new(root, ground, found);
    check_set(root, ground, found);
    let mut manifest = declared(&template, root.get("Globals"), found);
    manifest.functions.sort_by(|one, other| one.name.cmp(&other.name));
    manifest
}

/// What was set has to be asked for, or it is mistyped.
fn check_set(root: &Node, ground: &Ground<'_>, found: &mut Findings) {
    let parameters = root.get("Parameters");
    for name in ground.said.values.keys().filter(|name| *name != REGION && !name.starts_with(super::FROM_ENV)) {
        if parameters.is_none_or(|parameters| parameters.get(name).is_none()) {
            let at = parameters.unwrap_or(root).at;
            found.wrong(at, format!("{name} was set, and the template has no such parameter"));
        }
    }
}

/// Functions, and what they need, of a template's resources.
pub(super) fn declared<'a>(template: &Template<'a>, globals: Option<&'a Node>, found: &mut Findings) -> Manifest {
    let apis = Apis::read(template, globals, found);
    let mut layers = BTreeMap::new();
    for resource in template.resources.values().filter(|resource| matches!(resource.kind, Kind::Layer | Kind::PlainLayer)) {
        let layer = layer(template, resource, found);
        let layer = found.keep(layer);
        layers.extend(layer.map(|layer| (resource.id, layer)));
    }
    let mut manifest = Manifest::default();
    for resource in template.resources.values() {
        match resource.kind {
            Kind::Function | Kind::PlainFunction => {
                let globals = globals.and_then(|globals| globals.get("Function")).filter(|_| resource.kind == Kind::Function);
                let function = function::read(template, resource, globals, &apis, &layers, found);
                manifest.functions.extend(function);
            }
            Kind::Bucket => {
                let bucket = stores::bucket(template, resource, found);
                manifest.buckets.extend(found.keep(bucket));
            }
            Kind::Queue => {
                let queue = stores::queue(template, resource, found);
                manifest.queues.extend(found.keep(queue));
            }
            Kind::Topic => {
                let topic = stores::topic(template, resource, found);
                found.keep(topic);
            }
            Kind::Silent(why) => found.note(resource.at, format!("{} has no effect: {why}", resource.id)),
            Kind::Role => found.note(resource.at, "roles have no effect: rights are those of mote's tokens".to_owned()),
            Kind::Layer | Kind::PlainLayer | Kind::RestApi | Kind::HttpApi => {}
        }
    }
    manifest
}

/// The name of a layer, and its files.
pub(super) type Layer = (String, Arc<Bundle>);

const LAYER: [&str; 6] = ["LayerName", "Description", "ContentUri", "Content", "CompatibleRuntimes", "CompatibleArchitectures"];
const LAYER_SILENT: [(&str, &str); 2] =
    [("LicenseInfo", "mote keeps no licences"), ("RetentionPolicy", "a layer of a template is part of the functions that have it")];

fn layer<'a>(template: &Template<'a>, resource: &Resource<'a>, found: &mut Findings) -> Outcome<Layer> {
    let props = Props::of(template, resource.at, resource.properties)?;
    props.expect("a layer", &LAYER, &LAYER_SILENT, found);
    needs_no_build(template, resource)?;
    let content = if props.raw("ContentUri").is_some() { "ContentUri" } else { "Content" };
    let Some((at, path)) = props.text(content)? else { return Err(Finding::new(props.at, "the layer has no ContentUri")) };
    Ok((resource.name(template)?.to_string(), Arc::new(code::at(template.ground, at, &path)?)))
}

/// What a build method says of code that is not built.
fn needs_no_build(template: &Template<'_>, resource: &Resource<'_>) -> Outcome<()> {
    let Some(method) = resource.metadata.and_then(|metadata| metadata.get("BuildMethod")).filter(|_| !template.ground.is_built()) else {
        return Ok(());
    };
    let text = method.as_text().unwrap_or_default();
    // mote installs what requirements.txt and package.json name by itself.
    let installs = ["python", "nodejs"].iter().any(|family| text.starts_with(family));
    match installs && matches!(resource.kind, Kind::Function) {
        true => Ok(()),
        false => Err(Finding::new(method.at, format!("the code is to be built by {text:.40}: run `sam build` first"))),
    }
}
