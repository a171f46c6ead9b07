//! A Swagger 2.0 or OpenAPI 3 document with API Gateway's extensions, as the routes that it declares.
//!
//! What would let in whom AWS would not is refused, and so is what calls no function: all of it at once.

use std::collections::BTreeMap;

use mote_core::function::Name;
use serde_json::{Map, Value};

use super::shelf::{Does, Route};
use super::{Refusal, bad};
use crate::aws::api::lambda::function_of;
use crate::aws::gateway::table::{ANY, Said};
use crate::aws::manifest::value_of;

/// As many as an API may have of them at AWS, and their methods.
const PATHS_MAX: usize = 300;
const ROUTES_MAX: usize = 1000;
const PATH_BYTES_MAX: usize = 1024;
const HEADERS_MAX: usize = 50;
const TEXT_BYTES_MAX: usize = 4 << 10;
const SHOWN_MAX: usize = 20;

const INTEGRATION: &str = "x-amazon-apigateway-integration";
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "x-amazon-apigateway-any-method"];
const RIGHTS: &str = "mote has no authorizers, keys and policies of API Gateway";

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) version: Option<String>,
    pub(super) binary: Vec<String>,
    pub(super) compression: Option<u32>,
    pub(super) endpoint: Option<String>,
    pub(super) routes: Vec<Route>,
}

impl Document {
    /// JSON, or YAML.
    pub(super) fn read(text: &[u8]) -> Result<Document, Refusal> {
        let root = match serde_json::from_slice::<Value>(text) {
            Ok(root) => root,
            Err(_) => std::str::from_utf8(text).ok().and_then(value_of).ok_or_else(|| bad("Invalid OpenAPI input."))?,
        };
        let version = |name: &str, wants: &str| root[name].as_str().is_some_and(|version| version.starts_with(wants));
        if !version("swagger", "2.") && !version("openapi", "3.") {
            return Err(bad("Invalid OpenAPI input."));
        }
        let mut wrong = Vec::new();
        let document = Document::of(&root, &mut wrong);
        if wrong.is_empty() {
            return Ok(document);
        }
        let more = wrong.len().saturating_sub(SHOWN_MAX);
        wrong.truncate(SHOWN_MAX);
        if more > 0 {
            wrong.push(format!("… and {more} more"));
        }
        Err(bad(format!("Errors found during import:\n\t{}", wrong.join("\n\t"))))
    }

    fn of(root: &Value, wrong: &mut Vec<String>) -> Document {
        let info = |name: &str| root["info"][name].as_str().map(short);
        let name = info("title").filter(|name| !name.is_empty()).unwrap_or_else(|| {
            wrong.push("info.title, the API's name, is missing".to_owned());
            String::new()
        });
        let endpoint = &root["x-amazon-apigateway-endpoint-configuration"];
        if !root["x-amazon-apigateway-policy"].is_null() {
            wrong.push(format!("the document has a resource policy: {RIGHTS}"));
        }
        if asks(&endpoint["vpcEndpointIds"]) {
            wrong.push("the API is private to a VPC, and mote has none".to_owned());
        }
        Document {
            name,
            description: info("description"),
            version: info("version"),
            binary: texts(&root["x-amazon-apigateway-binary-media-types"]),
            compression: root["x-amazon-apigateway-minimum-compression-size"].as_u64().and_then(|size| u32::try_from(size).ok()),
            endpoint: texts(&endpoint["types"]).into_iter().next(),
            routes: routes(root, wrong),
        }
    }
}

fn routes(root: &Value, wrong: &mut Vec<String>) -> Vec<Route> {
    let nothing = Map::new();
    let paths = root["paths"].as_object().unwrap_or(&nothing);
    if paths.len() > PATHS_MAX {
        wrong.push(format!("there are {} paths, and may be {PATHS_MAX}", paths.len()));
        return Vec::new();
    }
    let secured = asks(&root["security"]);
    let mut routes = Vec::new();
    for (path, item) in paths {
        if let Err(why) = is_path(path) {
            wrong.push(format!("{path:.100}: {why}"));
            continue;
        }
        for (word, operation) in item.as_object().into_iter().flatten().filter(|(word, _)| METHODS.contains(&word.as_str())) {
            let method = if word.starts_with("x-") { ANY.to_owned() } else { word.to_ascii_uppercase() };
            let guarded = if operation["security"].is_null() { secured } else { asks(&operation["security"]) };
            let does = if guarded { Err(format!("it is not for everybody, and {RIGHTS}")) } else { does(&operation[INTEGRATION]) };
            match does {
                Ok(does) => routes.push(Route { path: path.clone(), method, does }),
                Err(why) => wrong.push(format!("{method} {path}: {why}")),
            }
        }
    }
    if routes.len() > ROUTES_MAX {
        wrong.push(format!("there are {} methods, and may be {ROUTES_MAX}", routes.len()));
    }
    routes
}

/// Whether something is asked for: a list that is not empty, whose members are not empty either.
fn asks(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(all) => all.iter().any(|one| one.as_object().is_none_or(|one| !one.is_empty())),
        _ => true,
    }
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(short).collect()
}

fn short(text: &str) -> String {
    text.chars().take(TEXT_BYTES_MAX / 4).collect()
}

/// As API Gateway has them: `{name}` is a whole part, and `{name+}` the last one.
fn is_path(path: &str) -> Result<(), &'static str> {
    if !path.starts_with('/') || path.len() > PATH_BYTES_MAX || path.chars().any(|c| c.is_control() || c == '?' || c == '#') {
        return Err("a path begins with a slash");
    }
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    for (at, part) in parts.iter().enumerate() {
        let inner = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        match inner.map(|name| name.strip_suffix('+').map_or((name, false), |name| (name, true))) {
            None if part.contains(['{', '}']) => return Err("a name in braces is a whole part of a path"),
            None => {}
            Some((_, true)) if at + 1 < parts.len() => return Err("what takes the rest of a path is its last part"),
            Some((name, _)) if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:".contains(&b)) => {
                return Err("a name in braces has letters, digits, '.', '_', '-' and ':'");
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn does(integration: &Value) -> Result<Does, String> {
    let kind = integration["type"].as_str().unwrap_or_default().to_ascii_lowercase();
    match kind.as_str() {
        "aws_proxy" => called(integration["uri"].as_str().unwrap_or_default()),
        "mock" => said(integration).map(Does::Say),
        "" => Err("it has no integration".to_owned()),
        other => Err(format!("its integration is {other:.40}, and mote has aws_proxy and mock")),
    }
}

/// `arn:aws:apigateway:<region>:lambda:path/2015-03-31/functions/<ARN>/invocations`.
fn called(uri: &str) -> Result<Does, String> {
    let wrong = || format!("{uri:.200} is no integration with a function of Lambda's");
    let path = match uri.splitn(6, ':').collect::<Vec<_>>().as_slice() {
        ["arn", _, "apigateway", _, "lambda", path] => *path,
        _ => return Err(wrong()),
    };
    let arn = path.strip_prefix("path/2015-03-31/functions/").and_then(|path| path.strip_suffix("/invocations")).ok_or_else(wrong)?;
    if arn.contains("${") {
        return Err("mote takes no function that a stage's variable names".to_owned());
    }
    let (function, qualifier): (Name, _) = function_of(arn).ok_or_else(wrong)?;
    Ok(Does::Call { function, qualifier })
}

/// What always says the same; a template that is worked out is none of it.
fn said(integration: &Value) -> Result<Said, String> {
    let responses = integration["responses"].as_object().cloned().unwrap_or_default();
    let response = responses.get("default").or_else(|| responses.get("200")).or_else(|| responses.values().next());
    let response = response.ok_or("its mock has no response")?;
    let status = match &response["statusCode"] {
        Value::String(text) => text.parse().ok(),
        number => number.as_u64().and_then(|number| u16::try_from(number).ok()),
    };
    let status = status.filter(|status| (200..600).contains(status)).ok_or("its mock has no status")?;
    let mut headers = BTreeMap::new();
    for (name, value) in response["responseParameters"].as_object().into_iter().flatten() {
        let name = name.strip_prefix("method.response.header.").ok_or_else(|| format!("its mock sets {name:.100}, which is no header"))?;
        let value = value.as_str().and_then(|value| value.strip_prefix('\'')?.strip_suffix('\''));
        let value = value.ok_or_else(|| format!("its mock takes the header {name:.100} from elsewhere"))?;
        http::HeaderName::try_from(name).map_err(|_| format!("{name:.100} is no header"))?;
        http::HeaderValue::try_from(value).map_err(|_| format!("the header {name:.100} can't have that value"))?;
        headers.insert(name.to_owned(), value.to_owned());
    }
    let template = response["responseTemplates"]["application/json"].as_str().unwrap_or_default();
    if headers.len() > HEADERS_MAX || template.len() > TEXT_BYTES_MAX {
        return Err(format!("its mock has more than {HEADERS_MAX} headers, or {TEXT_BYTES_MAX} bytes"));
    }
    if template.contains(['$', '#']) {
        return Err("its mock has a template that is worked out, which mote does not".to_owned());
    }
    Ok(Said { status, headers, body: template.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:shop-dev";

    fn uri(arn: &str) -> String {
        format!("arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/{arn}/invocations")
    }

    fn call(path: &str, method: &str) -> Route {
        let function = Name::new("shop-dev").unwrap();
        Route { path: path.into(), method: method.into(), does: Does::Call { function, qualifier: Default::default() } }
    }

    fn proxy() -> Value {
        json!({ INTEGRATION: { "type": "aws_proxy", "uri": uri(ARN), "httpMethod": "POST" }, "security": [] })
    }

    #[test]
    fn functions_and_mocks() {
        let mock = json!({ INTEGRATION: { "type": "mock", "requestTemplates": { "application/json": "{\"statusCode\": 200}" },
            "responses": { "default": { "statusCode": "200", "responseParameters": {
                "method.response.header.Access-Control-Allow-Origin": "'*'" } } } } });
        let document = json!({
            "swagger": "2.0", "info": { "title": "shop", "version": "1.0" }, "schemes": ["https"],
            "x-amazon-apigateway-binary-media-types": ["image/png"],
            "paths": {
                "/": { "get": proxy(), "parameters": [] },
                "/{proxy+}": { "x-amazon-apigateway-any-method": proxy(), "options": mock },
            },
        });
        let read = Document::read(document.to_string().as_bytes()).unwrap();
        assert_eq!((read.name.as_str(), read.version.as_deref(), read.description), ("shop", Some("1.0"), None));
        assert_eq!(read.binary, ["image/png"]);
        let headers = BTreeMap::from([("Access-Control-Allow-Origin".to_owned(), "*".to_owned())]);
        let says = Route {
            path: "/{proxy+}".into(),
            method: "OPTIONS".into(),
            does: Does::Say(Said { status: 200, headers, body: String::new() }),
        };
        assert_eq!(read.routes, [call("/", "GET"), says, call("/{proxy+}", "ANY")]);
    }

    #[test]
    fn yaml_is_read_as_well() {
        let text = format!(
            "openapi: 3.0.1\ninfo: {{title: a}}\npaths:\n  /a:\n    get:\n      {INTEGRATION}: {{type: AWS_PROXY, uri: '{}'}}\n",
            uri(&format!("{ARN}:live"))
        );
        let read = Document::read(text.as_bytes()).unwrap();
        let Does::Call { function, qualifier } = &read.routes[0].does else { panic!() };
        assert_eq!((function.as_str(), qualifier.to_string().as_str()), ("shop-dev", "live"));
    }

    #[test]
    fn what_would_let_anybody_in_and_what_is_no_function_are_refused() {
        let check = |change: Value, expect: &str| {
            let mut document = json!({ "swagger": "2.0", "info": { "title": "a" }, "paths": { "/a": { "get": proxy() } } });
            for (key, value) in change.as_object().unwrap() {
                document[key] = value.clone();
            }
            let refusal = Document::read(document.to_string().as_bytes()).unwrap_err();
            assert_eq!(refusal.code, "BadRequestException");
            assert!(refusal.message.contains(expect), "{}", refusal.message);
        };
        let get = |operation: Value| json!({ "paths": { "/a": { "get": operation } } });
        let with = |integration: Value| get(json!({ INTEGRATION: integration }));
        let mut guarded = proxy();
        guarded["security"] = json!([{ "auth": [] }]);
        check(get(guarded.clone()), "GET /a: it is not for everybody");
        guarded.as_object_mut().unwrap().remove("security");
        let mut all = get(guarded);
        all["security"] = json!([{ "api_key": [] }]);
        check(all, "GET /a: it is not for everybody");
        check(json!({ "x-amazon-apigateway-policy": {} }), "resource policy");
        check(json!({ "x-amazon-apigateway-endpoint-configuration": { "vpcEndpointIds": ["vpce-1"] } }), "private");
        check(json!({ "info": {} }), "info.title");
        check(json!({ "paths": { "a": { "get": proxy() } } }), "begins with a slash");
        check(json!({ "paths": { "/a{b}": { "get": proxy() } } }), "whole part");
        check(json!({ "paths": { "/{a+}/b": { "get": proxy() } } }), "last part");
        check(get(json!({})), "no integration");
        check(with(json!({ "type": "http_proxy", "uri": "https://example.org" })), "its integration is http_proxy");
        check(with(json!({ "type": "aws_proxy", "uri": "arn:aws:apigateway:us-east-1:sqs:path/1/q" })), "no integration with a function");
        check(with(json!({ "type": "aws_proxy", "uri": uri("${stageVariables.f}") })), "variable");
        check(with(json!({ "type": "mock" })), "no response");
        let mock = |response: Value| with(json!({ "type": "mock", "responses": { "default": response } }));
        check(mock(json!({ "statusCode": 99 })), "no status");
        check(mock(json!({ "statusCode": 200, "responseParameters": { "method.response.header.a": "context.x" } })), "from elsewhere");
        check(mock(json!({ "statusCode": 200, "responseTemplates": { "application/json": "#set($a = 1)" } })), "worked out");
        check(json!({ "swagger": "1.2" }), "Invalid OpenAPI input.");
        assert!(Document::read(b"[").is_err() && Document::read(b"").is_err() && Document::read(b"\xff").is_err());
    }
}
