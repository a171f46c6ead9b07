//! A function of a template.

use std::collections::BTreeMap;

use mote_core::dialect::Deployment;
use mote_core::function::UrlAccess;
use serde_json::{Map, Value, json};

use super::super::code;
use super::super::finding::{Finding, Findings, Outcome};
use super::super::function::{self, FunctionUrl, Wanted};
use super::super::template::resources::Resource;
use super::super::template::{Props, Template, wanted};
use super::super::yaml::{Key, Node, Place};
use super::apis::{self, Apis};
use super::{Layer, events, needs_no_build};
use crate::aws::api::lambda::destination_of;

/// Members of CreateFunction as they stand, numbers and texts apart.
const TEXTS: [&str; 3] = ["Description", "Handler", "Runtime"];
const NUMBERS: [&str; 2] = ["Timeout", "MemorySize"];
const AS_THEY_ARE: [&str; 3] = ["Architectures", "EphemeralStorage", "LoggingConfig"];

const HONOURED: [&str; 13] = [
    "FunctionName",
    "CodeUri",
    "Code",
    "InlineCode",
    "Environment",
    "Layers",
    "Events",
    "FunctionUrlConfig",
    "EventInvokeConfig",
    "DeadLetterQueue",
    "DeadLetterConfig",
    "ReservedConcurrentExecutions",
    "ProvisionedConcurrencyConfig",
];

const RIGHTS: &str = "rights are those of mote's tokens, and a function reaches what its namespace holds";
const VERSIONS: &str = "every deploy makes a version, and the newest one is called";
const SILENT: [(&str, &str); 16] = [
    ("Policies", RIGHTS),
    ("Role", RIGHTS),
    ("RolePath", RIGHTS),
    ("PermissionsBoundary", RIGHTS),
    ("AssumeRolePolicyDocument", RIGHTS),
    ("AutoPublishAlias", VERSIONS),
    ("AutoPublishAliasAllProperties", VERSIONS),
    ("AutoPublishCodeSha256", VERSIONS),
    ("VersionDescription", VERSIONS),
    ("DeploymentPreference", VERSIONS),
    ("Tags", "mote keeps none of a template"),
    ("Tracing", "every call has a trace"),
    ("TracingConfig", "every call has a trace"),
    ("KmsKeyArn", "the disk's encryption is the machine's"),
    ("SnapStart", "instances are kept warm, not frozen"),
    ("RuntimeManagementConfig", "the host's interpreter runs it"),
];

pub(super) fn read<'a>(
    template: &Template<'a>,
    resource: &Resource<'a>,
    globals: Option<&'a Node>,
    apis: &Apis<'a>,
    layers: &BTreeMap<&'a str, Layer>,
    found: &mut Findings,
) -> Option<Deployment> {
    let merged = merged(globals, resource.properties, resource.at, 0);
    let props = found.keep(Props::of(template, resource.at, Some(&merged)))?;
    let known = [&HONOURED[..], &TEXTS, &NUMBERS, &AS_THEY_ARE, &["PackageType"]].concat();
    props.expect("a function", &known, &SILENT, found);
    let members = members(&props, found);
    let name = found.keep(resource.name(template).and_then(|name| function::name(resource.at, &name)));
    let files = found.keep(needs_no_build(template, resource).and_then(|()| files(&props, &members)));
    let layers = found.keep(layers_of(&props, layers));
    let url = url(&props, found);
    let url = found.keep(url);
    let reserved = found.keep(props.number("ReservedConcurrentExecutions", 1..=10_000)).flatten();
    let warm = found.keep(provisioned(&props)).flatten();
    let delivery = invoke_config(&props, found);
    let delivery = found.keep(delivery);
    let name = name?;
    let bindings = events::read(&props, apis, &name, found);
    let wish = Wanted {
        at: resource.at,
        name,
        files: files?,
        layers: layers?,
        members,
        built: template.ground.is_built() || props.raw("InlineCode").is_some(),
        url: url?,
        bindings,
    };
    let mut deployment = wish.deployment(template.ground, found)?;
    if let Some(most) = reserved {
        deployment.limits.instances_max = most as u32;
    }
    if let Some(fewest) = warm {
        deployment.limits.instances_min = (fewest as u32).min(deployment.limits.instances_max);
    }
    delivery?.apply(&mut deployment.delivery);
    Some(deployment)
}

/// As SAM does it: maps are joined, lists come one after the other, and of the rest the function's
/// own stays.
fn merged(globals: Option<&Node>, own: Option<&Node>, at: Place, depth: usize) -> Node {
    const DEPTH_MAX: usize = 8;
    match (globals, own) {
        (Some(globals), Some(own)) if depth < DEPTH_MAX => match (globals.entries(), own.entries(), globals.items(), own.items()) {
            (Some(base), Some(over), ..) => {
                let get = |key: &Key| over.iter().find(|(other, _)| other.text == key.text).map(|(_, node)| node);
                let mut all: Vec<(Key, Node)> =
                    base.iter().map(|(key, node)| (key.clone(), merged(Some(node), get(key), at, depth + 1))).collect();
                all.extend(over.iter().filter(|(key, _)| globals.get(&key.text).is_none()).cloned());
                Node::map(own.at, all)
            }
            (_, _, Some(base), Some(over)) => {
                Node { at: own.at, what: super::super::yaml::What::List(base.iter().chain(over).cloned().collect()) }
            }
            _ => own.clone(),
        },
        (_, Some(own)) => own.clone(),
        (Some(globals), None) => globals.clone(),
        (None, None) => Node::map(at, Vec::new()),
    }
}

/// Those that are wrong are told, and left out.
fn members(props: &Props<'_, '_>, found: &mut Findings) -> Map<String, Value> {
    let mut members = Map::new();
    let mut add = |name: &str, value: Outcome<Option<(Place, Value)>>, found: &mut Findings| {
        let checked = value.and_then(|value| match value {
            Some((at, value)) => function::check(at, name, &value).map(|()| Some(value)),
            None => Ok(None),
        });
        if let Some(value) = found.keep(checked).flatten() {
            members.insert(name.to_owned(), value);
        }
    };
    for name in TEXTS {
        add(name, props.text(name).map(|text| text.map(|(at, text)| (at, (&*text).into()))), found);
    }
    for name in NUMBERS {
        let number = props.get(name).and_then(|node| match node {
            Some(node) => node.whole().map(|number| Some((node.at, number.into()))).ok_or_else(|| wanted(&node, "a number")),
            None => Ok(None),
        });
        add(name, number, found);
    }
    for name in AS_THEY_ARE {
        add(name, props.get(name).map(|node| node.map(|node| (node.at, node.json()))), found);
    }
    add("Environment", environment(props), found);
    let target = if props.raw("DeadLetterQueue").is_some() { "DeadLetterQueue" } else { "DeadLetterConfig" };
    add("DeadLetterConfig", dead_letters(props, target), found);
    if let Some((at, kind)) = found.keep(props.text("PackageType")).flatten().filter(|(_, kind)| &**kind != "Zip") {
        found.wrong(at, format!("mote runs no container images, and PackageType is {kind:.20}"));
    }
    members
}

/// Numbers and truth values are texts there.
fn environment(props: &Props<'_, '_>) -> Outcome<Option<(Place, Value)>> {
    let variables = props.map("Environment")?;
    let Some(node) = variables.get("Variables")? else { return Ok(None) };
    let mut texts = Map::new();
    for (key, value) in node.entries().ok_or_else(|| wanted(&node, "a map"))? {
        let text = value.as_text().ok_or_else(|| wanted(value, "a text"))?;
        texts.insert(key.text.to_string(), text.into());
    }
    Ok(Some((node.at, json!({ "Variables": texts }))))
}

fn files(props: &Props<'_, '_>, members: &Map<String, Value>) -> Outcome<mote_core::bundle::Bundle> {
    let runtime = members.get("Runtime").and_then(Value::as_str).unwrap_or_default();
    let ground = props.template().ground;
    if let Some((at, text)) = props.text("InlineCode")? {
        return code::inline(at, &text, runtime);
    }
    // CloudFormation has it in a map.
    let place = match props.get("Code")? {
        Some(node) if node.entries().is_some() => {
            let Some(text) = node.get("ZipFile") else { return Err(wanted(&node, "ZipFile, or the path of a folder,")) };
            return code::inline(text.at, text.as_text().unwrap_or_default(), runtime);
        }
        Some(node) => Some(node),
        None => props.get("CodeUri")?,
    };
    match place {
        Some(node) => code::at(ground, node.at, node.as_text().ok_or_else(|| wanted(&node, "the path of a folder"))?),
        None => code::at(ground, props.at, "."),
    }
}

fn layers_of(props: &Props<'_, '_>, known: &BTreeMap<&str, Layer>) -> Outcome<Vec<Layer>> {
    let Some(list) = props.raw("Layers") else { return Ok(Vec::new()) };
    let mut layers = Vec::new();
    for node in list.items().ok_or_else(|| wanted(list, "a list"))? {
        let id = node.get("Ref").and_then(Node::as_text);
        let layer = id.and_then(|id| known.get(id)).cloned();
        layers.push(layer.ok_or_else(|| Finding::new(node.at, "mote takes layers of the same template alone: bring its files along"))?);
    }
    Ok(layers)
}

fn url(props: &Props<'_, '_>, found: &mut Findings) -> Outcome<Option<FunctionUrl>> {
    let Some(node) = props.raw("FunctionUrlConfig") else { return Ok(None) };
    let config = props.map("FunctionUrlConfig")?;
    config.expect("a function URL", &["AuthType", "Cors", "InvokeMode"], &[], found);
    let access = match config.text("AuthType")? {
        Some((_, kind)) if &*kind == "NONE" => UrlAccess::Public,
        Some((_, kind)) if &*kind == "AWS_IAM" => UrlAccess::Token,
        _ => return Err(Finding::new(node.at, "the function URL's AuthType is NONE or AWS_IAM")),
    };
    let cors = match config.raw("Cors") {
        Some(_) => Some(apis::allowed(&config.map("Cors")?)?),
        None => None,
    };
    let streams = match config.text("InvokeMode")? {
        Some((_, mode)) if &*mode == "RESPONSE_STREAM" => true,
        Some((at, mode)) if &*mode != "BUFFERED" => {
            return Err(Finding::new(at, format!("{mode:.40} stands where BUFFERED or RESPONSE_STREAM is wanted")));
        }
        _ => false,
    };
    Ok(Some(FunctionUrl { access, cors, streams }))
}

fn provisioned(props: &Props<'_, '_>) -> Outcome<Option<u64>> {
    props.map("ProvisionedConcurrencyConfig")?.number("ProvisionedConcurrentExecutions", 1..=1000)
}

fn dead_letters(props: &Props<'_, '_>, target: &str) -> Outcome<Option<(Place, Value)>> {
    let Some((at, arn)) = props.map(target)?.text("TargetArn")? else { return Ok(None) };
    function::check_owner(props.template().ground, at, &arn)?;
    Ok(Some((at, json!({ "TargetArn": &*arn }))))
}

/// What becomes of events that nobody waits for.
struct InvokeConfig {
    retries: Option<u64>,
    age_s: Option<u64>,
    on: [Option<mote_core::function::delivery::Destination>; 2],
}

fn invoke_config(props: &Props<'_, '_>, found: &mut Findings) -> Outcome<InvokeConfig> {
    let config = props.map("EventInvokeConfig")?;
    config.expect("EventInvokeConfig", &["MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig"], &[], found);
    let destinations = config.map("DestinationConfig")?;
    destinations.expect("DestinationConfig", &["OnSuccess", "OnFailure"], &[], found);
    let mut on = |when: &str| {
        let Some(node) = destinations.raw(when) else { return Ok(None) };
        let to = destinations.map(when)?;
        // Its kind is said in the ARN.
        to.expect(when, &["Destination", "Type"], &[], found);
        let (at, arn) = to
            .text("Destination")?
            .ok_or_else(|| Finding::new(node.at, format!("{when} names no Destination; declare the queue or topic, and name its ARN")))?;
        destination_of(&arn, &props.template().ground.account()).map(Some).map_err(|why| Finding::new(at, why))
    };
    Ok(InvokeConfig {
        retries: config.number("MaximumRetryAttempts", 0..=2)?,
        age_s: config.number("MaximumEventAgeInSeconds", 60..=21_600)?,
        on: [on("OnSuccess")?, on("OnFailure")?],
    })
}

impl InvokeConfig {
    fn apply(self, delivery: &mut mote_core::function::delivery::Delivery) {
        if let Some(retries) = self.retries {
            delivery.retry.attempts_max = retries as u32 + 1;
        }
        if let Some(age_s) = self.age_s {
            delivery.retry.age_max_ms = age_s * 1000;
        }
        [delivery.on_success, delivery.on_failure] = self.on;
    }
}
