//! The event of an HTTP API, payload format 2.0, and of a function URL, which differs in its context alone.

use std::borrow::Cow;
use std::collections::BTreeMap;

use http::header;
use mote_core::engine::Invocation;
use mote_core::function::UrlAccess;
use serde::Serialize;
use serde_json::{Map, Value};

use super::parts::{self, Content};
use super::{Form, Way, account_id, api_id, resource};
use crate::aws::arn::Account;

/// The name of what is there without anybody having made it: a route, a stage.
const DEFAULT: &str = "$default";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event<'c> {
    version: &'static str,
    route_key: String,
    raw_path: Cow<'c, str>,
    raw_query_string: &'c str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    headers: BTreeMap<&'c str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    query_string_parameters: BTreeMap<String, String>,
    request_context: Context<'c>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    path_parameters: BTreeMap<&'c str, &'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage_variables: Option<&'c Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Cow<'c, str>>,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Context<'c> {
    account_id: String,
    api_id: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer: Option<Authorizer>,
    domain_name: Cow<'c, str>,
    domain_prefix: String,
    http: Http<'c>,
    request_id: String,
    route_key: String,
    stage: &'c str,
    time: String,
    time_epoch: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Http<'c> {
    method: &'c str,
    path: Cow<'c, str>,
    protocol: &'static str,
    source_ip: &'c str,
    user_agent: Cow<'c, str>,
}

#[derive(Serialize)]
struct Authorizer {
    iam: Iam,
}

/// Who has signed the request, by the name that the log has for them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Iam {
    account_id: String,
    caller_id: String,
    cognito_identity: Option<()>,
    principal_org_id: Option<()>,
    user_arn: String,
    user_id: String,
}

pub(super) fn event<'c>(way: Way<'c>, call: &'c Invocation, account: &Account, content: Content<'c>) -> Event<'c> {
    let request = way.request;
    let url = way.form == Form::Url;
    let route_key = match way.route.filter(|_| !url) {
        Some(route) => format!("{} {}", if route.methods.is_empty() { "ANY" } else { request.method.as_str() }, resource(route)),
        None => DEFAULT.to_owned(),
    };
    let stage = way.said(super::about::STAGE).filter(|_| !url).unwrap_or(DEFAULT);
    let path = if stage == DEFAULT { Cow::from(way.path()) } else { format!("/{stage}{}", way.path()).into() };
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(request.query.as_bytes()) {
        match joined.get_mut(&*name) {
            Some(values) => {
                values.push(',');
                values.push_str(&value);
            }
            None => drop(joined.insert(name.into_owned(), value.into_owned())),
        }
    }
    let headers = parts::headers(request).into_iter().filter(|(name, _)| *name != header::COOKIE.as_str());
    // The signature in its headers proves nothing here.
    let signed = call.event.lineage.caller.as_deref().filter(|_| call.function.access_by(way.route) != UrlAccess::Public && url);
    let (domain_name, domain_prefix) = parts::domain(request);
    Event {
        version: "2.0",
        route_key: route_key.clone(),
        raw_path: path.clone(),
        raw_query_string: &request.query,
        cookies: cookies(way),
        headers: headers.map(|(name, values)| (name, values.join(","))).collect(),
        query_string_parameters: joined,
        request_context: Context {
            account_id: match &signed {
                None if url => "anonymous".to_owned(),
                _ => account_id(call, account),
            },
            api_id: api_id(&way, call),
            authorizer: signed.map(|caller| Authorizer { iam: iam(caller, account_id(call, account)) }),
            domain_name,
            domain_prefix,
            http: Http {
                method: request.method.as_str(),
                path,
                protocol: "HTTP/1.1",
                source_ip: &request.peer,
                user_agent: parts::user_agent(request).unwrap_or_default(),
            },
            request_id: call.id.to_string(),
            route_key,
            stage,
            time: parts::log_time(call.event.time),
            time_epoch: call.event.time.0,
        },
        path_parameters: request.params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        stage_variables: way.variables(),
        body: content.text,
        is_base64_encoded: content.base64,
    }
}

fn iam(caller: &str, account_id: String) -> Iam {
    Iam {
        user_arn: format!("arn:aws:iam::{account_id}:user/{}", caller.replace(' ', "/")),
        account_id,
        caller_id: caller.to_owned(),
        cognito_identity: None,
        principal_org_id: None,
        user_id: caller.to_owned(),
    }
}

fn cookies(way: Way<'_>) -> Vec<String> {
    let all = way.request.headers.get_all(header::COOKIE).iter().map(parts::text);
    let each = |line: Cow<'_, str>| line.split(';').map(|cookie| cookie.trim().to_owned()).collect::<Vec<_>>();
    all.flat_map(each).filter(|cookie| !cookie.is_empty()).collect()
}
