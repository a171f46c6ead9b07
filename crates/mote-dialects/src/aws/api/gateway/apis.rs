//! REST APIs: imported, looked at, changed, listed and taken away.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::document::Document;
use super::shelf::{self, Api, Does, Route};
use super::{Ask, Outcome, Patch, Patches, Refusal, bad, query, read, seconds, stages, tags, tell};
use crate::aws::gateway;

const PAGE: usize = 25;
const NAME_BYTES_MAX: usize = 1024;
const COMPRESSION_MAX: u32 = 10 << 20;
const ENDPOINTS: [&str; 2] = ["EDGE", "REGIONAL"];

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wish {
    name: String,
    description: Option<String>,
    version: Option<String>,
    binary_media_types: Vec<String>,
    minimum_compression_size: Option<u32>,
    endpoint_configuration: Endpoints,
    tags: std::collections::BTreeMap<String, String>,
    policy: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Endpoints {
    types: Vec<String>,
}

/// With `mode=import` of a document, else empty.
pub(super) fn create(ask: Ask) -> Outcome {
    let now = seconds(ask.stamp.time);
    let mut api = blank(gateway::api_id(ask.stamp.id), now);
    if query(&ask, "mode").as_deref() == Some("import") {
        if let Some(kind) = query(&ask, "endpointConfigurationTypes") {
            api.endpoint = endpoint(&kind)?;
        }
        overwrite(&mut api, Document::read(&ask.body)?)?;
    } else {
        let wish: Wish = read(&ask)?;
        if let Some(kind) = wish.endpoint_configuration.types.first() {
            api.endpoint = endpoint(kind)?;
        }
        if wish.policy.is_some_and(|policy| !policy.is_empty()) {
            return Err(bad("mote has no resource policies of API Gateway"));
        }
        tags::check(&wish.tags)?;
        let Wish { description, version, binary_media_types: binary, minimum_compression_size: compression, tags, .. } = wish;
        api = Api { name: name(&wish.name)?, description, version, binary, compression, tags, ..api };
    }
    shelf::keep(ask, api, |ask, api| Ok(tell(StatusCode::CREATED, &told(&api), &ask)))
}

fn blank(id: String, created: u64) -> Api {
    Api {
        id,
        name: String::new(),
        description: None,
        version: None,
        created,
        endpoint: ENDPOINTS[0].to_owned(),
        compression: None,
        binary: Vec::new(),
        tags: Default::default(),
        routes: Vec::new(),
        deployments: Vec::new(),
        stages: Default::default(),
    }
}

/// Its deployments and stages stay as they are.
fn overwrite(api: &mut Api, document: Document) -> Result<(), Refusal> {
    let Document { name: title, description, version, binary, compression, endpoint: kind, routes } = document;
    if let Some(kind) = kind {
        api.endpoint = endpoint(&kind)?;
    }
    api.name = name(&title)?;
    (api.description, api.version, api.binary) = (description, version, binary);
    api.compression = compression.or(api.compression);
    api.routes = routes;
    Ok(())
}

fn name(text: &str) -> Result<String, Refusal> {
    let sound = !text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control);
    if sound { Ok(text.to_owned()) } else { Err(bad("Invalid API name specified")) }
}

fn endpoint(kind: &str) -> Result<String, Refusal> {
    match ENDPOINTS.contains(&kind) {
        true => Ok(kind.to_owned()),
        false => Err(bad(format!("The endpoint type {kind:.20} is none of {}: mote's public door is no VPC's", ENDPOINTS.join(" and ")))),
    }
}

pub(super) fn put(ask: Ask, id: &str) -> Outcome {
    let document = Document::read(&ask.body)?;
    // What is merged goes before what is there.
    let merges = query(&ask, "mode").as_deref() != Some("overwrite");
    shelf::load(ask, id, move |ask, mut api| {
        let before = std::mem::take(&mut api.routes);
        overwrite(&mut api, document)?;
        if merges {
            let kept = before.into_iter().filter(|old| !api.routes.iter().any(|new| new.path == old.path && new.method == old.method));
            let kept: Vec<Route> = kept.collect();
            api.routes.extend(kept);
        }
        shelf::keep(ask, api, |ask, api| Ok(tell(StatusCode::OK, &told(&api), &ask)))
    })
}

pub(super) fn get(ask: Ask, id: &str) -> Outcome {
    shelf::load(ask, id, |ask, api| Ok(tell(StatusCode::OK, &told(&api), &ask)))
}

pub(super) fn list(ask: Ask) -> Outcome {
    let limit = query(&ask, "limit").and_then(|limit| limit.parse().ok()).unwrap_or(PAGE).clamp(1, PAGE);
    let after = query(&ask, "position").filter(|after| gateway::is_id(after));
    Ok(shelf::page(ask, after, limit, |ask, apis, next| {
        let items: Vec<Value> = apis.iter().map(told).collect();
        let mut answer = json!({ "item": items });
        if let Some(next) = next {
            answer["position"] = next.into();
        }
        Ok(tell(StatusCode::OK, &answer, &ask))
    }))
}

pub(super) fn update(ask: Ask, id: &str) -> Outcome {
    let patches: Patches = read(&ask)?;
    shelf::load(ask, id, move |ask, mut api| {
        patches.patch_operations.iter().try_for_each(|patch| change(&mut api, patch))?;
        shelf::keep(ask, api, |ask, api| Ok(tell(StatusCode::OK, &told(&api), &ask)))
    })
}

fn change(api: &mut Api, patch: &Patch) -> Result<(), Refusal> {
    let path: Vec<&str> = patch.path.trim_start_matches('/').split('/').collect();
    match path.as_slice() {
        ["name"] => api.name = name(patch.value.as_deref().unwrap_or_default())?,
        ["description"] => api.description = patch.text(),
        ["version"] => api.version = patch.text(),
        ["minimumCompressionSize"] => {
            let size = |text: String| text.parse().ok().filter(|size| *size <= COMPRESSION_MAX);
            let wrong = || bad(format!("Invalid minimum compression size, must be between 0 and {COMPRESSION_MAX}"));
            api.compression = patch.text().map(|text| size(text).ok_or_else(wrong)).transpose()?;
        }
        ["endpointConfiguration", "types", _] => api.endpoint = endpoint(patch.value.as_deref().unwrap_or_default())?,
        ["binaryMediaTypes", kind] => {
            let kind = super::unescaped(kind);
            api.binary.retain(|other| *other != kind);
            if patch.op != "remove" {
                api.binary.push(kind);
            }
        }
        _ => return Err(patch.unknown()),
    }
    Ok(())
}

pub(super) fn delete(ask: Ask, id: &str) -> Outcome {
    shelf::load(ask, id, |ask, api| {
        let id = api.id.clone();
        Ok(stages::unbind_all(ask, &api.id, move |ask| Ok(shelf::drop(ask, &id, |ask| Ok(tell(StatusCode::ACCEPTED, &Value::Null, &ask))))))
    })
}

/// There are none, since an import that asks for one is refused.
pub(super) fn authorizers(ask: Ask, id: &str) -> Outcome {
    shelf::load(ask, id, |ask, _| Ok(tell(StatusCode::OK, &json!({ "item": [] }), &ask)))
}

/// Paths, as API Gateway has a resource for each part of them.
pub(super) fn resources(ask: Ask, id: &str) -> Outcome {
    shelf::load(ask, id, |ask, api| {
        let mut paths: Vec<&str> = api.routes.iter().flat_map(|route| above(&route.path)).chain(["/"]).collect();
        paths.sort_unstable();
        paths.dedup();
        let items: Vec<Value> = paths.into_iter().map(|path| resource(&api, path)).collect();
        Ok(tell(StatusCode::OK, &json!({ "item": items }), &ask))
    })
}

/// `/a/b` and `/a`.
fn above(path: &str) -> Vec<&str> {
    let path = path.trim_end_matches('/');
    path.match_indices('/').skip(1).map(|(end, _)| &path[..end]).chain([path]).filter(|path| !path.is_empty()).collect()
}

fn resource(api: &Api, path: &str) -> Value {
    let id = |path: &str| resource_id(&api.id, path);
    let mut told = json!({ "id": id(path), "path": path });
    if let Some((parent, part)) = path.rsplit_once('/').filter(|_| path != "/") {
        told["parentId"] = id(if parent.is_empty() { "/" } else { parent }).into();
        told["pathPart"] = part.into();
    }
    let methods: serde_json::Map<String, Value> =
        api.routes.iter().filter(|route| route.path.trim_end_matches('/') == path.trim_end_matches('/')).map(method).collect();
    if !methods.is_empty() {
        told["resourceMethods"] = methods.into();
    }
    told
}

fn method(route: &Route) -> (String, Value) {
    let kind = match route.does {
        Does::Call { .. } => "AWS_PROXY",
        Does::Say(_) => "MOCK",
    };
    let told = json!({
        "httpMethod": route.method, "authorizationType": "NONE", "apiKeyRequired": false, "methodIntegration": { "type": kind },
    });
    (route.method.clone(), told)
}

fn resource_id(api: &str, path: &str) -> String {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(format!("{api}{path}")).iter().take(5).map(|byte| format!("{byte:02x}")).collect()
}

fn told(api: &Api) -> Value {
    let mut told = json!({
        "id": api.id,
        "name": api.name,
        "createdDate": api.created,
        "apiKeySource": "HEADER",
        "endpointConfiguration": { "types": [api.endpoint], "ipAddressType": "ipv4" },
        "disableExecuteApiEndpoint": false,
        "rootResourceId": resource_id(&api.id, "/"),
        "tags": api.tags,
    });
    let said = [
        ("description", api.description.clone().map(Value::from)),
        ("version", api.version.clone().map(Value::from)),
        ("minimumCompressionSize", api.compression.map(Value::from)),
        ("binaryMediaTypes", (!api.binary.is_empty()).then(|| api.binary.clone().into())),
    ];
    for (name, value) in said {
        if let Some(value) = value {
            told[name] = value;
        }
    }
    told
}
