//! A dialect that passes bodies through, for tests of the path itself.

use std::sync::Arc;

use mote_core::access::Credential;
use mote_core::action::{Action, Done, Target};
use mote_core::body::Body;
use mote_core::bundle::Bundle;
use mote_core::dialect::{Deployment, Dialect, Encoded, Parsed, Request, Response, Stamp};
use mote_core::engine::{Answer, Invocation, Output, Payload};
use mote_core::error::{Code, Error, Result};
use mote_core::event::{Event, HttpRequest};
use mote_core::function::{Binding, Family, HttpAccess, Limits, Name};
use mote_core::reply::Reply;
use mote_core::secret::{GivenAs, SecretUse};

/// Every file `NAME.py` of a bundle is a function, at the route that it holds, if it begins with
/// `/`, and with the secret `NAME` as its variable `SECRET`, if it holds `secret NAME`; every request is a call by route.
pub struct EchoDialect;

impl Dialect for EchoDialect {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn manifest(&self, bundle: &Bundle) -> Result<Option<Vec<Deployment>>> {
        let stems = bundle.files().filter_map(|(path, file)| path.strip_suffix(".py").map(|stem| (stem, path, file)));
        let deployments = stems.map(|(stem, path, file)| {
            let text = std::str::from_utf8(&file.content).unwrap_or_default();
            let route = Some(text).filter(|text| text.starts_with('/'));
            let secret = text.strip_prefix("secret ").map(Name::new).transpose()?;
            Ok(Deployment {
                name: Some(Name::new(stem)?),
                runtime: Family::Python.into(),
                dialect: "echo",
                entry: path.to_owned(),
                limits: Limits::default(),
                env: Default::default(),
                secrets: secret.map(|secret| SecretUse { secret, given_as: GivenAs::Env("SECRET".into()) }).into_iter().collect(),
                egress: Default::default(),
                isolation: Default::default(),
                delivery: Default::default(),
                records: Default::default(),
                preparing: Default::default(),
                port: None,
                pulls: false,
                about: Default::default(),
                http: HttpAccess::default(),
                bindings: route.map(|path| Binding::Http { path: path.to_owned(), methods: Vec::new() }).into_iter().collect(),
                flow: None,
            })
        });
        let deployments: Vec<_> = deployments.collect::<Result<_>>()?;
        Ok((!deployments.is_empty()).then_some(deployments))
    }

    fn encode(&self, call: &mut Invocation) -> Result<Encoded> {
        // What a function is shown of a request: its query, and its headers' names.
        let shown = call.event.request.as_deref().map(|request| {
            let names: Vec<_> = request.headers.keys().map(|name| name.as_str()).collect();
            format!("{} {}", request.query, names.join(","))
        });
        Ok(Encoded::Run(Payload { head: shown.unwrap_or_default().into(), body: std::mem::take(&mut call.event.body) }))
    }

    fn decode(&self, _: &Invocation, output: Output) -> Result<Reply> {
        match output.answer {
            Answer::Reply(payload) => Ok(Reply::new(http::StatusCode::OK, payload.body)),
            Answer::Failed(failure) => Err(Error::new(Code::FunctionFailed, "the function raised an error").with_report(failure.report)),
        }
    }

    fn parse(&self, request: Request, stamp: &Stamp) -> Result<Parsed> {
        let (parts, body) = request.into_parts();
        let mut event = Event::new(stamp.id, "/http", "mote.http.request", stamp.time, body);
        event.request = Some(Arc::new(HttpRequest {
            method: parts.method,
            origin: stamp.origin.clone(),
            path: parts.uri.path().to_owned(),
            mount: 0,
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            params: Vec::new(),
            peer: stamp.peer.clone(),
        }));
        let to = Target::Route { namespace: Name::default_namespace() };
        Ok(Parsed::Action(Credential::Anonymous, Action::Call { to, event }))
    }

    fn render(&self, result: Result<Done>) -> Response {
        match result {
            Ok(Done::Reply(reply)) => {
                let mut response = Response::new(reply.body);
                *response.status_mut() = reply.status;
                *response.headers_mut() = reply.headers;
                response
            }
            Ok(_) => Response::new(Body::empty()),
            Err(error) => {
                let mut response = Response::new(error.code().slug().into());
                *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        }
    }
}
