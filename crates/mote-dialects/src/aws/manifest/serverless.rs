//! `serverless.yml` of Serverless's third version: its functions, and of its `resources` what a SAM
//! template may have as well.
//!
//! Variables are worked out first ([`variables`]), then what is left is CloudFormation's. What files a
//! function gets: [`package`]; what fires it: [`events`].

mod events;
mod package;
mod variables;

use std::collections::BTreeMap;
use std::sync::Arc;

use mote_core::dialect::{Deployment, Manifest};
use mote_core::function::UrlAccess;
use serde_json::{Map, Value, json};

use self::events::Around;
use self::variables::Variables;
use super::Ground;
use super::bindings::Api;
use super::code;
use super::finding::{Finding, Findings, Outcome};
use super::function::{self, FunctionUrl, Wanted};
use super::sam::{self, Layer};
use super::template::{Props, Template, wanted};
use super::yaml::{Key, Node, Place};

const READ: [&str; 6] = ["service", "provider", "functions", "package", "layers", "resources"];
const SECTIONS: [&str; 9] = [
    "custom",
    "params",
    "frameworkVersion",
    "configValidationMode",
    "variablesResolutionMode",
    "deprecationNotificationMode",
    "disabledDeprecations",
    "useDotenv",
    "outputs",
];
const SILENT: [(&str, &str); 3] = [("plugins", "mote runs none"), ("org", "there is no account"), ("app", "there is no account")];

const RIGHTS: &str = "rights are those of mote's tokens, and a function reaches what its namespace holds";
const KEPT: &str = "mote keeps no stack";
const PROVIDER: [&str; 11] =
    ["name", "runtime", "region", "stage", "timeout", "memorySize", "environment", "httpApi", "architecture", "layers", "apiGateway"];
const PROVIDER_SILENT: [(&str, &str); 14] = [
    ("versionFunctions", "every deploy makes a version"),
    ("iam", RIGHTS),
    ("iamRoleStatements", RIGHTS),
    ("role", RIGHTS),
    ("tags", "mote keeps none of a manifest"),
    ("stackTags", KEPT),
    ("stackName", KEPT),
    ("profile", "there is no account"),
    ("deploymentBucket", KEPT),
    ("deploymentMethod", KEPT),
    ("endpointType", "routes are on mote's public door"),
    ("tracing", "every call has a trace"),
    ("logs", "every call has a record"),
    ("logRetentionInDays", "logs are kept as all logs are"),
];
const API_GATEWAY_SILENT: [(&str, &str); 5] = [
    ("binaryMediaTypes", "bodies are passed on as they are"),
    ("description", "mote keeps none of a manifest"),
    ("metrics", "every call has a record"),
    ("minimumCompressionSize", "answers are sent as functions give them"),
    ("shouldStartNameWithService", "an API has no name of its own"),
];
const FUNCTION: [&str; 18] = [
    "handler",
    "name",
    "runtime",
    "timeout",
    "memorySize",
    "environment",
    "url",
    "events",
    "description",
    "reservedConcurrency",
    "provisionedConcurrency",
    "layers",
    "maximumRetryAttempts",
    "maximumEventAge",
    "destinations",
    "onError",
    "package",
    "architecture",
];
const FUNCTION_SILENT: [(&str, &str); 6] = [
    ("role", RIGHTS),
    ("iamRoleStatements", RIGHTS),
    ("tags", "mote keeps none of a manifest"),
    ("tracing", "every call has a trace"),
    ("logRetentionInDays", "logs are kept as all logs are"),
    ("versionFunction", "every deploy makes a version"),
];

pub(super) fn read(root: &Node, ground: &Ground<'_>, found: &mut Findings) -> Manifest {
    for (key, _) in root.entries().unwrap_or_default() {
        let name = &*key.text;
        match SILENT.iter().find(|(other, _)| *other == name) {
            Some((_, why)) => found.note(key.at, format!("{name} has no effect: {why}")),
            None if READ.contains(&name) || SECTIONS.contains(&name) => {}
            None => found.wrong(key.at, format!("mote does not honour the section {name}")),
        }
    }
    let variables = Variables::new(root, ground);
    let stage = found.keep(variables.stage()).unwrap_or_else(|| "dev".into());
    let mut sections = Vec::new();
    for (key, node) in root.entries().unwrap_or_default().iter().filter(|(key, _)| READ.contains(&&*key.text)) {
        sections.extend(found.keep(variables.expand(node)).map(|node| (key.clone(), node)));
    }
    let root = Node::map(root.at, sections);
    let nothing = Node::map(root.at, Vec::new());
    let resources = root.get("resources").filter(|node| !node.is_null()).unwrap_or(&nothing);
    let template = Template::new(resources, ground, found);
    let mut manifest = sam::declared(&template, None, found);
    let service = service(&template, &root, stage.to_string(), found);
    if let Some(service) = found.keep(service) {
        service.functions(&root, &mut manifest, found);
    }
    manifest.buckets.sort();
    manifest.buckets.dedup();
    manifest
}

/// What stands around the functions.
struct Service<'t, 'a> {
    name: String,
    stage: String,
    template: &'t Template<'a>,
    provider: Props<'t, 'a>,
    package: Props<'t, 'a>,
    layers: BTreeMap<String, Layer>,
    rest: Api,
    http: Api,
}

fn service<'t, 'a>(template: &'t Template<'a>, root: &Node, stage: String, found: &mut Findings) -> Outcome<Service<'t, 'a>> {
    let section = |name: &str| Props::of(template, root.at, root.get(name));
    let provider = section("provider")?;
    provider.expect("the provider", &PROVIDER, &PROVIDER_SILENT, found);
    // What guards routes or shares them out, as a resource policy or API keys, must not be lost unseen.
    provider.map("apiGateway")?.expect("provider.apiGateway", &[], &API_GATEWAY_SILENT, found);
    match provider.text("name")? {
        Some((at, name)) if &*name != "aws" => return Err(Finding::new(at, format!("the provider is {name:.40}, and mote takes aws"))),
        _ => {}
    }
    let name = root.get("service").and_then(Node::as_text).map(str::to_owned);
    let name = name.ok_or_else(|| Finding::new(root.at, "service is missing, or is no name"))?;
    let mut layers = BTreeMap::new();
    for (key, node) in section("layers")?.entries() {
        let layer = layer(template, key, node, found);
        layers.extend(found.keep(layer).map(|layer| (format!("{}LambdaLayer", capital(&key.text)), layer)));
    }
    let http = events::http_api(&provider.map("httpApi")?, found)?;
    Ok(Service { rest: Api::rest(&stage), name, stage, template, package: section("package")?, provider, layers, http })
}

fn layer(template: &Template<'_>, key: &Key, node: &Node, found: &mut Findings) -> Outcome<Layer> {
    let props = Props::of(template, key.at, Some(node))?;
    let silent = [("retain", KEPT), ("allowedAccounts", RIGHTS), ("licenseInfo", "mote keeps no licences")];
    props.expect("a layer", &["path", "name", "description", "compatibleRuntimes", "compatibleArchitectures"], &silent, found);
    let (at, path) = props.text("path")?.ok_or_else(|| Finding::new(key.at, "the layer has no path"))?;
    Ok((key.text.to_string(), Arc::new(code::at(template.ground, at, &path)?)))
}

/// As the names of resources begin.
fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

impl<'a> Service<'_, 'a> {
    fn functions(&self, root: &Node, manifest: &mut Manifest, found: &mut Findings) {
        let functions = root.get("functions");
        // A list of maps, too, since they may come out of several files.
        let maps = functions.and_then(Node::items).unwrap_or_else(|| functions.map(std::slice::from_ref).unwrap_or_default());
        for (key, node) in maps.iter().filter_map(Node::entries).flatten() {
            let function = self.function(key, node, &mut manifest.buckets, found);
            manifest.functions.extend(found.keep(function).flatten());
        }
    }

    fn function(&self, key: &Key, node: &Node, buckets: &mut Vec<String>, found: &mut Findings) -> Outcome<Option<Deployment>> {
        let props = Props::of(self.template, key.at, Some(node))?;
        props.expect("a function", &FUNCTION, &FUNCTION_SILENT, found);
        let name = props.text("name")?.map_or_else(|| format!("{}-{}-{}", self.name, self.stage, key.text), |(_, name)| name.to_string());
        let name = function::name(key.at, &name)?;
        let around = Around { rest: &self.rest, http: &self.http, function: &name };
        let bindings = events::read(&props, &around, buckets, found);
        let wanted = Wanted {
            at: key.at,
            name: name.clone(),
            files: package::files(&self.package, &props.map("package")?, found)?,
            layers: self.layers_of(&props)?,
            members: self.members(&props)?,
            built: false,
            url: url(&props, found)?,
            bindings,
        };
        let Some(mut deployment) = wanted.deployment(self.template.ground, found) else { return Ok(None) };
        if let Some(most) = props.number("reservedConcurrency", 1..=10_000)? {
            deployment.limits.instances_max = most as u32;
        }
        if let Some(fewest) = props.number("provisionedConcurrency", 1..=1000)? {
            deployment.limits.instances_min = (fewest as u32).min(deployment.limits.instances_max);
        }
        let delivery = &mut deployment.delivery;
        if let Some(retries) = props.number("maximumRetryAttempts", 0..=2)? {
            delivery.retry.attempts_max = retries as u32 + 1;
        }
        if let Some(age_s) = props.number("maximumEventAge", 60..=21_600)? {
            delivery.retry.age_max_ms = age_s * 1000;
        }
        let destinations = props.map("destinations")?;
        destinations.expect("destinations", &["onSuccess", "onFailure"], &[], found);
        for (when, to) in [("onSuccess", &mut delivery.on_success), ("onFailure", &mut delivery.on_failure)] {
            if let Some((at, arn)) = destinations.text(when)? {
                let destination = crate::aws::api::lambda::destination_of(&arn, &props.template().ground.account())
                    .map_err(|why| Finding::new(at, why))?;
                *to = Some(destination);
            }
        }
        Ok(Some(deployment))
    }

    /// In the words of Lambda's API; the function's own go before the provider's.
    fn members(&self, props: &Props<'_, 'a>) -> Outcome<Map<String, Value>> {
        let either = |name: &str| Ok(props.get(name)?.or(self.provider.get(name)?));
        let mut members = Map::new();
        for (name, member) in [("handler", "Handler"), ("description", "Description"), ("runtime", "Runtime")] {
            if let Some(node) = either(name)? {
                add(&mut members, member, node.at, node.as_text().ok_or_else(|| wanted(&node, "a text"))?.into())?;
            }
        }
        for (name, member, default) in [("timeout", "Timeout", 6), ("memorySize", "MemorySize", 1024)] {
            match either(name)? {
                Some(node) => add(&mut members, member, node.at, node.whole().ok_or_else(|| wanted(&node, "a number"))?.into())?,
                None => drop(members.insert(member.to_owned(), default.into())),
            }
        }
        if let Some(node) = either("architecture")? {
            add(&mut members, "Architectures", node.at, json!([node.json()]))?;
        }
        if let Some((at, arn)) = props.text("onError")? {
            function::check_owner(props.template().ground, at, &arn)?;
            add(&mut members, "DeadLetterConfig", at, json!({ "TargetArn": &*arn }))?;
        }
        let mut variables = Map::new();
        for whose in [&self.provider, props] {
            let Some(node) = whose.get("environment")? else { continue };
            for (key, value) in node.entries().ok_or_else(|| wanted(&node, "a map"))? {
                match value.as_text() {
                    _ if value.is_null() => drop(variables.remove(&*key.text)),
                    Some(text) => drop(variables.insert(key.text.to_string(), text.into())),
                    None => return Err(wanted(value, "a text")),
                }
            }
        }
        add(&mut members, "Environment", props.at, json!({ "Variables": variables }))?;
        Ok(members)
    }

    fn layers_of(&self, props: &Props<'_, '_>) -> Outcome<Vec<Layer>> {
        let Some(list) = props.raw("layers").or(self.provider.raw("layers")) else { return Ok(Vec::new()) };
        let layer = |node: &Node| {
            let known = node.get("Ref").and_then(Node::as_text).and_then(|id| self.layers.get(id)).cloned();
            known.ok_or_else(|| Finding::new(node.at, "mote takes layers of the same manifest alone: bring its files along"))
        };
        list.items().ok_or_else(|| wanted(list, "a list"))?.iter().map(layer).collect()
    }
}

fn add(members: &mut Map<String, Value>, name: &str, at: Place, value: Value) -> Outcome<()> {
    function::check(at, name, &value)?;
    members.insert(name.to_owned(), value);
    Ok(())
}

/// `true`, or who may use it.
fn url(props: &Props<'_, '_>, found: &mut Findings) -> Outcome<Option<FunctionUrl>> {
    let Some(node) = props.raw("url") else { return Ok(None) };
    if let Some(flag) = node.flag() {
        return Ok(flag.then(FunctionUrl::public));
    }
    let url = props.map("url")?;
    url.expect("a function URL", &["authorizer", "cors", "invokeMode"], &[], found);
    let access = match url.text("authorizer")? {
        Some((_, kind)) if &*kind == "aws_iam" => UrlAccess::Token,
        Some((at, kind)) => return Err(Finding::new(at, format!("{kind:.40} stands where aws_iam is wanted"))),
        None => UrlAccess::Public,
    };
    let cors = match url.raw("cors") {
        Some(_) => events::cors(&url, "cors")?,
        None => None,
    };
    let streams = match url.text("invokeMode")? {
        Some((_, mode)) if &*mode == "RESPONSE_STREAM" => true,
        Some((at, mode)) if &*mode != "BUFFERED" => {
            return Err(Finding::new(at, format!("{mode:.40} stands where BUFFERED or RESPONSE_STREAM is wanted")));
        }
        _ => false,
    };
    Ok(Some(FunctionUrl { access, cors, streams }))
}
