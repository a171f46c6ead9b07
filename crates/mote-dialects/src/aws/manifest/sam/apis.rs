//! The APIs of a template, which have no address here: what their routes take from them.

use std::collections::BTreeMap;

use mote_core::function::Cors;
use serde_json::Map;

use super::super::bindings::{self, Api};
use super::super::finding::{Finding, Findings, Outcome};
use super::super::template::resources::Kind;
use super::super::template::{Props, Template};
use super::super::yaml::{Node, Place};

/// By their ids in the template.
pub(super) struct Apis<'a> {
    named: BTreeMap<&'a str, Api>,
    rest: Api,
    http: Api,
}

const NO_ADDRESS: &str = "routes are on mote's public door";
const NO_GATEWAY: &str = "mote has no gateway before its functions";

const REST: [&str; 3] = ["StageName", "Cors", "Variables"];
const REST_SILENT: [(&str, &str); 14] = [
    ("Name", NO_ADDRESS),
    ("Description", NO_ADDRESS),
    ("Tags", NO_ADDRESS),
    ("EndpointConfiguration", NO_ADDRESS),
    ("OpenApiVersion", NO_ADDRESS),
    ("Domain", NO_ADDRESS),
    ("TracingEnabled", "every call has a trace"),
    ("AccessLogSetting", "every call has a record"),
    ("MethodSettings", NO_GATEWAY),
    ("BinaryMediaTypes", "a body that is no text is told in base64"),
    ("MinimumCompressionSize", NO_GATEWAY),
    ("CacheClusterEnabled", NO_GATEWAY),
    ("CacheClusterSize", NO_GATEWAY),
    ("AlwaysDeploy", NO_GATEWAY),
];
const HTTP: [&str; 3] = ["StageName", "CorsConfiguration", "StageVariables"];
const HTTP_SILENT: [(&str, &str); 8] = [
    ("Name", NO_ADDRESS),
    ("Description", NO_ADDRESS),
    ("Tags", NO_ADDRESS),
    ("Domain", NO_ADDRESS),
    ("AccessLogSettings", "every call has a record"),
    ("DefaultRouteSettings", NO_GATEWAY),
    ("RouteSettings", NO_GATEWAY),
    ("FailOnWarnings", NO_GATEWAY),
];

impl<'a> Apis<'a> {
    pub(super) fn read(template: &Template<'a>, globals: Option<&Node>, found: &mut Findings) -> Apis<'a> {
        let globals = |name: &str| globals.and_then(|globals| globals.get(name));
        let mut apis = Apis { named: BTreeMap::new(), rest: Api::rest("Prod"), http: Api::http() };
        let read = |at, node: Option<&Node>, base: &Api, is_rest, found: &mut Findings| {
            let api = api(template, at, node, base, is_rest, found);
            found.keep(api).unwrap_or_else(|| base.clone())
        };
        apis.rest = read(Place::default(), globals("Api"), &apis.rest, true, found);
        apis.http = read(Place::default(), globals("HttpApi"), &apis.http, false, found);
        for resource in template.resources.values() {
            let (base, is_rest) = match resource.kind {
                Kind::RestApi => (&apis.rest, true),
                Kind::HttpApi => (&apis.http, false),
                _ => continue,
            };
            let api = read(resource.at, resource.properties, base, is_rest, found);
            apis.named.insert(resource.id, api);
        }
        apis
    }

    /// That an event names, or the one that SAM makes by itself.
    pub(super) fn of(&self, event: &Props<'_, '_>, key: &str, is_rest: bool) -> Outcome<&Api> {
        let Some(node) = event.raw(key) else { return Ok(if is_rest { &self.rest } else { &self.http }) };
        let id = node.get("Ref").and_then(Node::as_text).or_else(|| node.as_text()).unwrap_or_default();
        match (self.named.get(id), id) {
            (Some(api), _) => Ok(api),
            (None, "ServerlessRestApi") => Ok(&self.rest),
            (None, "ServerlessHttpApi") => Ok(&self.http),
            (None, _) => Err(Finding::new(node.at, format!("{key} names no API of this template"))),
        }
    }
}

fn api(template: &Template<'_>, at: Place, node: Option<&Node>, base: &Api, is_rest: bool, found: &mut Findings) -> Outcome<Api> {
    let props = Props::of(template, at, node)?;
    let mut api = base.clone();
    match is_rest {
        true => props.expect("an API", &REST, &REST_SILENT, found),
        false => props.expect("an HTTP API", &HTTP, &HTTP_SILENT, found),
    }
    if let Some((_, stage)) = props.text("StageName")? {
        api.stage = stage.to_string();
    }
    let variables = props.get(if is_rest { "Variables" } else { "StageVariables" })?;
    if let Some(variables) = variables.as_ref().and_then(Node::entries) {
        let texts = variables.iter().map(|(key, node)| (key.text.to_string(), node.as_text().unwrap_or_default().into()));
        api.variables = Map::from_iter(texts);
    }
    let rules = if is_rest { rest_cors(&props)? } else { http_cors(&props)? };
    api.cors = rules.or(api.cors);
    Ok(api)
}

/// `"'*'"`, or a map of such texts.
fn rest_cors(props: &Props<'_, '_>) -> Outcome<Option<Cors>> {
    let Some(node) = props.raw("Cors") else { return Ok(None) };
    let list = |text: &str| text.trim_matches('\'').split(',').map(|one| one.trim().to_owned()).collect::<Vec<_>>();
    let whole = props.get("Cors")?;
    if let Some(origin) = whole.as_ref().and_then(Node::as_text) {
        return bindings::cors(node.at, Cors { origins: list(origin), ..Cors::default() }).map(Some);
    }
    let rules = props.map("Cors")?;
    let text = |name: &str| rules.text(name).map(|text| text.map(|(_, text)| list(&text)).unwrap_or_default());
    let cors = Cors {
        origins: text("AllowOrigin")?,
        methods: text("AllowMethods")?,
        headers: text("AllowHeaders")?,
        expose: Vec::new(),
        credentials: rules.flag("AllowCredentials")?.unwrap_or_default(),
        max_age_s: text("MaxAge")?.first().and_then(|age| age.parse().ok()).unwrap_or_default(),
    };
    bindings::cors(node.at, cors).map(Some)
}

/// `true`, or a map of lists.
fn http_cors(props: &Props<'_, '_>) -> Outcome<Option<Cors>> {
    let Some(node) = props.raw("CorsConfiguration") else { return Ok(None) };
    if let Some(flag) = node.flag() {
        return Ok(flag.then(|| Cors { origins: vec!["*".to_owned()], ..Cors::default() }));
    }
    allowed(&props.map("CorsConfiguration")?).map(Some)
}

/// As HTTP APIs and function URLs have it.
pub(super) fn allowed(rules: &Props<'_, '_>) -> Outcome<Cors> {
    let texts = |name: &str| rules.texts(name).map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>());
    let cors = Cors {
        origins: texts("AllowOrigins")?,
        methods: texts("AllowMethods")?,
        headers: texts("AllowHeaders")?,
        expose: texts("ExposeHeaders")?,
        credentials: rules.flag("AllowCredentials")?.unwrap_or_default(),
        max_age_s: rules.number("MaxAge", 0..=86_400)?.unwrap_or_default() as u32,
    };
    bindings::cors(rules.at, cors)
}
