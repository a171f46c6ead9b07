//! A dialect that passes bodies through, for tests of the path itself.

use std::sync::Arc;

use mote_core::access::Credential;
use mote_core::action::{Action, Done, Target};
use mote_core::body::Body;
use mote_core::bundle::Bundle;
use mote_core::clock::Id;
use mote_core::dialect::{Deployment, Dialect, Encoded, Followed, Manifest, Parameters, Parsed, Reads, Request, Response, Stamp};
use mote_core::engine::{Answer, Invocation, Output, Payload};
use mote_core::error::{Code, Error, Result};
use mote_core::event::{Event, HttpRequest, StoredEvent};
use mote_core::function::{Binding, Cors, Family, Function, HttpAccess, HttpRoute, Limits, Name};
use mote_core::reply::Reply;
use mote_core::rule::{self, Rule};
use mote_core::secret::{GivenAs, SecretUse};

/// Every file `NAME.py` of a bundle is a function, at the route that it holds, if it begins with
/// `/`, and with the secret `NAME` as its variable `SECRET`, if it holds `secret NAME`; a function whose
/// folder `NAME/` is there has the files in it alone. `NAME.bucket` and `NAME.queue` are declared with them,
/// the queue with the settings in the file, and `NAME.note` is told. Every request is a call by route.
pub struct EchoDialect;

impl Dialect for EchoDialect {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn manifest(&self, bundle: &Bundle, _: &Parameters) -> Result<Option<Manifest>> {
        let stems = bundle.files().filter_map(|(path, file)| path.strip_suffix(".py").map(|stem| (stem, path, file)));
        let deployments = stems.map(|(stem, path, file)| {
            let text = std::str::from_utf8(&file.content).unwrap_or_default();
            let route = Some(text).filter(|text| text.starts_with('/'));
            let secret = text.strip_prefix("secret ").map(Name::new).transpose()?;
            // Beside it all that lies in its folder, and nothing else.
            let own = bundle.below(stem)?;
            let has_own = own.files().len() > 0;
            Ok(Deployment {
                files: has_own.then(|| Arc::new(own)),
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
                bindings: route.map(|path| Binding::http(path, Vec::new())).into_iter().collect(),
                flow: None,
            })
        });
        let functions: Vec<_> = deployments.collect::<Result<_>>()?;
        let declared = |ending: &'static str| bundle.files().filter_map(move |(path, file)| Some((path.strip_suffix(ending)?, file)));
        let queues = declared(".queue").map(|(name, file)| {
            let patch = serde_json::from_slice(&file.content).map_err(|_| Error::new(Code::ManifestInvalid, "a queue is an object"));
            Ok((Name::new(name)?, patch?))
        });
        let manifest = Manifest {
            functions,
            buckets: declared(".bucket").map(|(name, _)| name.to_owned()).collect(),
            queues: queues.collect::<Result<_>>()?,
            notes: declared(".note").map(|(name, _)| name.to_owned()).collect(),
        };
        Ok((!manifest.functions.is_empty()).then_some(manifest))
    }

    /// What the target says in `says`, and nothing at all to one that says `no`.
    fn tell(&self, _: &Rule, target: &rule::Target, event: &StoredEvent) -> Result<Followed> {
        let body = match target.about.get("says").and_then(|says| says.as_str()) {
            Some("no") => return Err(Error::new(Code::EventInvalid, "the target wants no event")),
            Some(says) => says.to_owned().into(),
            None => event.body.clone(),
        };
        Ok(Followed { body, ..Followed::default() })
    }

    /// Of functions of that name.
    fn reads_event(&self, call: &Invocation) -> Option<u64> {
        (call.function.name.as_str() == "reads-all").then_some(1 << 10)
    }

    fn encode(&self, call: &mut Invocation) -> Result<Encoded> {
        // What a function is shown of a request: its query, and its headers' names.
        let shown = call.event.request.as_deref().map(|request| {
            let names: Vec<_> = request.headers.keys().map(|name| name.as_str()).collect();
            format!("{} {}", request.query, names.join(","))
        });
        Ok(Encoded::Run(Payload { head: shown.unwrap_or_default().into(), body: std::mem::take(&mut call.event.body) }))
    }

    /// Of functions of that name, ten bytes.
    fn reads_reply(&self, call: &Invocation, _: &[u8]) -> Option<Reads> {
        (call.function.name.as_str() == "replies-whole").then_some(Reads::Whole { bytes_max: 10 })
    }

    /// Where the route says so, in these words.
    fn tells_failure(&self, _: &Function, route: Option<&HttpRoute>, _: Id, _: &Error) -> Option<Reply> {
        let words = route?.about.get("failed")?.as_str()?;
        Some(Reply::new(http::StatusCode::BAD_GATEWAY, words.to_owned()))
    }

    fn dress(&self, cors: &Cors, _: &http::HeaderMap, headers: &mut http::HeaderMap) {
        if let Some(Ok(origin)) = cors.origins.first().map(|origin| origin.parse()) {
            headers.insert(http::header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
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
            route: None,
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
