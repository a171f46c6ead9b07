//! API Gateway's REST APIs, as far as deploy tools set them up: a document is imported, and deployed to
//! stages, which are bindings of the functions that it names.
//!
//! | API Gateway | mote |
//! |---|---|
//! | REST API, its deployments | file of the namespace ([`shelf`]) |
//! | document (Swagger, OpenAPI) | routes ([`document`]) |
//! | stage | binding of the function that most routes lead to, and of others where they differ ([`stages`]) |
//! | mock integration | answer that the stage's route knows |
//!
//! What would let in whom AWS would not (authorizers, keys, policies) is refused at the import, and so is
//! an integration that is no function of Lambda's. Requests to a stage: [`crate::aws::gateway`].

mod apis;
mod deployments;
mod document;
mod shelf;
mod stages;
mod tags;

use http::StatusCode;
use mote_core::access::sigv4::query_pairs;
use mote_core::clock::Timestamp;
use mote_core::dialect::Turn;
use mote_core::{Code, Error};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Ask;
use super::wire::{self, Protocol, Refusal};

type Outcome = Result<Turn, Refusal>;

pub(super) fn answer(ask: Ask) -> Turn {
    let id = ask.stamp.id;
    settle(route(ask), id)
}

fn route(ask: Ask) -> Outcome {
    let segments = ask.uri.path().trim_matches('/').split('/').map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned());
    let segments: Vec<String> = segments.collect();
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    let method = ask.method.clone();
    match (path.as_slice(), method.as_str()) {
        (["restapis"], "POST") => apis::create(ask),
        (["restapis"], "GET") => apis::list(ask),
        (["restapis", api], "GET") => apis::get(ask, api),
        (["restapis", api], "PUT") => apis::put(ask, api),
        (["restapis", api], "PATCH") => apis::update(ask, api),
        (["restapis", api], "DELETE") => apis::delete(ask, api),
        (["restapis", api, "authorizers"], "GET") => apis::authorizers(ask, api),
        (["restapis", api, "resources"], "GET") => apis::resources(ask, api),
        (["restapis", api, "deployments"], "POST") => deployments::create(ask, api),
        (["restapis", api, "deployments"], "GET") => deployments::list(ask, api),
        (["restapis", api, "deployments", id], "GET") => deployments::get(ask, api, id),
        (["restapis", api, "deployments", id], "DELETE") => deployments::delete(ask, api, id),
        (["restapis", api, "stages"], "POST") => stages::create(ask, api),
        (["restapis", api, "stages"], "GET") => stages::list(ask, api),
        (["restapis", api, "stages", name], "GET") => stages::get(ask, api, name),
        (["restapis", api, "stages", name], "PATCH") => stages::update(ask, api, name),
        (["restapis", api, "stages", name], "DELETE") => stages::delete(ask, api, name),
        (["tags", arn @ ..], "GET") => tags::list(ask, &arn.join("/")),
        (["tags", arn @ ..], "PUT") => tags::add(ask, &arn.join("/")),
        (["tags", arn @ ..], "DELETE") => tags::remove(ask, &arn.join("/")),
        (path, _) => Err(absent(&format!("operation of API Gateway at /{}", path.iter().take(3).copied().collect::<Vec<_>>().join("/")))),
    }
}

fn settle(outcome: Outcome, id: mote_core::clock::Id) -> Turn {
    outcome.unwrap_or_else(|refusal| Turn::Answer(wire::refuse(Protocol::Json, &refusal, id)))
}

fn tell(status: StatusCode, output: &Value, ask: &Ask) -> Turn {
    let text = if status == StatusCode::NO_CONTENT { String::new() } else { output.to_string() };
    // 202 and 204 have nothing to say.
    let text = if status == StatusCode::ACCEPTED { String::new() } else { text };
    Turn::Answer(wire::answer(status, "application/json", text, ask.stamp.id))
}

fn read<T: DeserializeOwned>(ask: &Ask) -> Result<T, Refusal> {
    let body: &[u8] = if ask.body.is_empty() { b"{}" } else { &ask.body };
    serde_json::from_slice(body).map_err(|error| bad(format!("Invalid request body: {error}")))
}

fn query(ask: &Ask, name: &str) -> Option<String> {
    query_pairs(&ask.uri).unwrap_or_default().into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// Changes of an update, which its operations name one by one.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Patches {
    patch_operations: Vec<Patch>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Patch {
    op: String,
    path: String,
    value: Option<String>,
}

impl Patch {
    /// What it is to be; taken away, or an empty text: nothing.
    fn text(&self) -> Option<String> {
        self.value.clone().filter(|value| self.op != "remove" && !value.is_empty())
    }

    fn unknown(&self) -> Refusal {
        bad(format!("Invalid patch path {:.100}: mote has nothing there that can be changed", self.path))
    }
}

/// As a `~1` in a patch's path stands for a slash.
fn unescaped(text: &str) -> String {
    text.replace("~1", "/").replace("~0", "~")
}

/// Seconds since 1970, as this API tells the time.
fn seconds(time: Timestamp) -> u64 {
    time.0 / 1000
}

fn bad(message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "BadRequestException", message)
}

fn missing(message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "NotFoundException", message)
}

fn absent(what: &str) -> Refusal {
    let what: String = what.chars().take(160).collect();
    Refusal::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", format!("mote has no {what}"))
}

fn unexpected() -> Refusal {
    refusal(&Error::internal("an action was answered with what belongs to another"))
}

fn refusal(error: &Error) -> Refusal {
    match error.code() {
        Code::FunctionNotFound | Code::VersionNotFound => missing(error.detail()),
        Code::Conflict => Refusal::new(StatusCode::CONFLICT, "ConflictException", error.detail()),
        Code::QuotaExceeded => Refusal::new(StatusCode::TOO_MANY_REQUESTS, "LimitExceededException", error.detail()),
        _ => match Refusal::of(Protocol::Json, error) {
            Refusal { status, code: "ValidationException", message } => Refusal::new(status, "BadRequestException", message),
            refusal => refusal,
        },
    }
}

#[cfg(test)]
mod tests;
