//! The event of a REST API's proxy integration, payload format 1.0. What is absent is `null`.
//!
//! Names of headers come to a server in whatever case, and are kept in lower case since HTTP/2 has no
//! other: here they are written as most clients of HTTP/1.1 write them (`X-Request-Id`).

use std::borrow::Cow;
use std::collections::BTreeMap;

use mote_core::engine::Invocation;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::{Map, Value};

use super::parts::{self, Content};
use super::{Way, account_id, api_id};
use crate::aws::arn::Account;

/// Where nobody says another.
const STAGE: &str = "prod";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event<'c> {
    resource: String,
    path: Cow<'c, str>,
    http_method: &'c str,
    headers: BTreeMap<String, String>,
    multi_value_headers: BTreeMap<String, Vec<Cow<'c, str>>>,
    query_string_parameters: Option<BTreeMap<String, String>>,
    multi_value_query_string_parameters: Option<BTreeMap<String, Vec<String>>>,
    path_parameters: Option<BTreeMap<&'c str, Cow<'c, str>>>,
    stage_variables: Option<&'c Map<String, Value>>,
    request_context: Context<'c>,
    body: Option<Cow<'c, str>>,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Context<'c> {
    resource_id: Option<()>,
    resource_path: String,
    http_method: &'c str,
    extended_request_id: String,
    request_time: String,
    path: String,
    account_id: String,
    protocol: &'static str,
    stage: &'c str,
    domain_prefix: String,
    request_time_epoch: u64,
    request_id: String,
    identity: Identity<'c>,
    domain_name: Cow<'c, str>,
    api_id: &'c str,
}

/// Nobody is known by anything but where he comes from.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'c> {
    cognito_identity_pool_id: Option<()>,
    account_id: Option<()>,
    cognito_identity_id: Option<()>,
    caller: Option<()>,
    source_ip: &'c str,
    principal_org_id: Option<()>,
    access_key: Option<()>,
    cognito_authentication_type: Option<()>,
    cognito_authentication_provider: Option<()>,
    user_arn: Option<()>,
    user_agent: Option<Cow<'c, str>>,
    user: Option<()>,
}

pub(super) fn event<'c>(way: Way<'c>, call: &'c Invocation, account: &Account, content: Content<'c>) -> Event<'c> {
    let request = way.request;
    let path = percent_decode_str(way.path()).decode_utf8_lossy();
    let (resource, path_parameters) = way.place();
    let resource = resource.map_or_else(|| path.to_string(), Cow::into_owned);
    let stage = way.said(super::about::STAGE).unwrap_or(STAGE);
    let multi_value_headers: BTreeMap<_, _> = parts::headers(request).into_iter().map(|(name, values)| (cased(name), values)).collect();
    let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(request.query.as_bytes()) {
        parameters.entry(name.into_owned()).or_default().push(value.into_owned());
    }
    let (domain_name, domain_prefix) = parts::domain(request);
    Event {
        path,
        http_method: request.method.as_str(),
        headers: last_of(&multi_value_headers),
        multi_value_headers,
        query_string_parameters: (!parameters.is_empty()).then(|| last_of(&parameters)),
        multi_value_query_string_parameters: (!parameters.is_empty()).then_some(parameters),
        path_parameters: (!path_parameters.is_empty()).then_some(path_parameters),
        stage_variables: way.variables(),
        request_context: Context {
            resource_id: None,
            resource_path: resource.clone(),
            http_method: request.method.as_str(),
            extended_request_id: call.id.to_string(),
            request_time: parts::log_time(call.event.time),
            path: format!("/{stage}{}", way.path()),
            account_id: account_id(call, account),
            protocol: "HTTP/1.1",
            stage,
            domain_prefix,
            request_time_epoch: call.event.time.0,
            request_id: call.id.to_string(),
            identity: Identity {
                cognito_identity_pool_id: None,
                account_id: None,
                cognito_identity_id: None,
                caller: None,
                source_ip: &request.peer,
                principal_org_id: None,
                access_key: None,
                cognito_authentication_type: None,
                cognito_authentication_provider: None,
                user_arn: None,
                user_agent: parts::user_agent(request),
                user: None,
            },
            domain_name,
            api_id: api_id(&way, call),
        },
        resource,
        body: content.text,
        is_base64_encoded: content.base64,
    }
}

fn last_of<T: ToString>(all: &BTreeMap<String, Vec<T>>) -> BTreeMap<String, String> {
    all.iter().filter_map(|(name, values)| Some((name.clone(), values.last()?.to_string()))).collect()
}

fn cased(name: &str) -> String {
    let mut start = true;
    let case = |letter: char| {
        let cased = if start { letter.to_ascii_uppercase() } else { letter };
        start = letter == '-';
        cased
    };
    name.chars().map(case).collect()
}
