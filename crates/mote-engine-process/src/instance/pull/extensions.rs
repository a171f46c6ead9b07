//! The extensions of a runtime's process, and where each is in its life.
//!
//! A start is over when each of them waits for its first event, and a call when each that hears of
//! calls waits for the next. What is said: [`crate::runtime_api::extensions`].

use std::sync::Arc;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use http::{Response, StatusCode};
use hyper::body::Incoming;
use mote_core::Body;
use mote_core::engine::pull::PullHead;
use mote_core::store::LogSource;

use super::answer::{self, Read};
use super::door::json;
use super::{Api, Begun, Phase, Turn};
use crate::instance::{Ending, Instance};
use crate::runtime_api::extensions::{self as words, EVENT_IDENTIFIER, FAILURE_TYPE, IDENTIFIER, Registration, Wanted};
use crate::runtime_api::{Refusal, report_named};

const EXTENSIONS_MAX: usize = 10;
/// Of what is told of one that leaves.
const LEAVING_CHARS_MAX: usize = 1024;
const ACCEPTED: &str = r#"{"status":"OK"}"#;

#[derive(Default)]
pub(super) struct Extensions(Vec<Extension>);

struct Extension {
    id: String,
    name: String,
    invoked: bool,
    doing: Doing,
}

enum Doing {
    Starting,
    Waiting,
    /// An event lies ready for it.
    Called(String),
    Working,
}

impl Extensions {
    fn register(&mut self, id: String, wish: Registration) -> Result<(), Refusal> {
        if self.0.len() == EXTENSIONS_MAX {
            return Err(Refusal::Extension(words::TOO_MANY));
        }
        if self.0.iter().any(|one| one.name == wish.name) {
            return Err(Refusal::Extension(words::TAKEN));
        }
        self.0.push(Extension { id, name: wish.name, invoked: wish.invoked, doing: Doing::Starting });
        Ok(())
    }

    fn named(&mut self, id: &str) -> Result<&mut Extension, Refusal> {
        self.0.iter_mut().find(|one| one.id == id).ok_or(Refusal::Extension(words::UNKNOWN))
    }

    /// The runtime has taken a call.
    pub(super) fn call(&mut self, call: &PullHead) {
        for one in self.0.iter_mut().filter(|one| one.invoked) {
            one.doing = Doing::Called(words::invoke_event(call));
        }
    }

    pub(super) fn have_started(&self) -> bool {
        !self.0.iter().any(|one| matches!(one.doing, Doing::Starting))
    }

    /// With the call, those that hear of it.
    pub(super) fn are_done(&self) -> bool {
        !self.0.iter().any(|one| one.invoked && matches!(one.doing, Doing::Called(_) | Doing::Working))
    }
}

impl Api {
    /// Who has any is told before its process is killed.
    pub(in crate::instance) fn has_extensions(&self) -> bool {
        !self.state().extensions.0.is_empty()
    }

    fn register(&self, id: String, wish: Registration) -> Result<(), Refusal> {
        let mut state = self.state();
        match state.begun {
            Begun::Not => state.extensions.register(id, wish),
            Begun::Failed(_) | Begun::Ready => Err(Refusal::Extension(words::CLOSED)),
        }
    }

    /// It has nothing left to do; the call that is over by that.
    fn extension_rests(&self, id: &str) -> Result<Option<u32>, Refusal> {
        let mut state = self.state();
        let one = state.extensions.named(id)?;
        if !matches!(one.doing, Doing::Called(_)) {
            one.doing = Doing::Waiting;
        }
        self.begun.notify_one();
        Ok(state.over())
    }

    fn event(&self, id: &str) -> Result<Option<String>, Refusal> {
        let mut state = self.state();
        let one = state.extensions.named(id)?;
        Ok(match std::mem::replace(&mut one.doing, Doing::Working) {
            Doing::Called(event) => Some(event),
            before => {
                one.doing = before;
                None
            }
        })
    }
}

impl super::State {
    /// The runtime waits, and so does every extension.
    pub(super) fn over(&mut self) -> Option<u32> {
        match self.turn {
            Turn::Running { call, phase: Phase::Rested, .. } if self.extensions.are_done() => {
                self.turn = Turn::Rest;
                Some(call)
            }
            _ => None,
        }
    }
}

pub(super) async fn respond(
    wanted: Wanted,
    instance: &Arc<Instance>,
    api: &Api,
    headers: &HeaderMap,
    body: &mut Incoming,
) -> Result<Response<Body>, Refusal> {
    match wanted {
        Wanted::Register => {
            let wish = words::registration(headers, &whole(body).await?)?;
            let id = instance.host.clock.id().to_string();
            api.register(id.clone(), wish)?;
            Ok(with(json(StatusCode::OK, words::registered(&instance.function)), IDENTIFIER, &id))
        }
        Wanted::Event => next(instance, api, words::identifier(headers)?).await,
        Wanted::StartFailure => {
            let name = name(api, headers)?;
            let mut report = report_named(FAILURE_TYPE, headers, &whole(body).await?);
            instance.mask.report(&mut report);
            report.message = format!("the extension {name} could not start: {}", report.message);
            api.start_failed(report).map_err(|_| Refusal::Extension(words::NOT_NOW))?;
            Ok(json(StatusCode::ACCEPTED, ACCEPTED))
        }
        Wanted::Exit => {
            let name = name(api, headers)?;
            let mut report = report_named(FAILURE_TYPE, headers, &whole(body).await?);
            instance.mask.report(&mut report);
            report.message = format!("the extension {name} left: {}", report.message);
            // Said again and again it would fill the log.
            if instance.is_alive() {
                let text = format!("{}: {}", report.kind, report.message);
                instance.log(None, LogSource::Platform, text.chars().take(LEAVING_CHARS_MAX).collect::<String>());
            }
            if api.start_failed(report).is_err() {
                // Without it nothing more can run here.
                instance.end(Ending::Exited);
            }
            Ok(json(StatusCode::ACCEPTED, ACCEPTED))
        }
    }
}

fn name(api: &Api, headers: &HeaderMap) -> Result<String, Refusal> {
    words::is_named(headers)?;
    Ok(api.state().extensions.named(words::identifier(headers)?)?.name.clone())
}

async fn next(instance: &Instance, api: &Api, id: &str) -> Result<Response<Body>, Refusal> {
    if let Some(over) = api.extension_rests(id)? {
        instance.end_pulled(over);
    }
    loop {
        let called = api.called.notified();
        tokio::pin!(called);
        // Before the look, so that no event between the two is missed.
        called.as_mut().enable();
        if let Some(event) = api.event(id)? {
            let response = json(StatusCode::OK, event);
            return Ok(with(response, EVENT_IDENTIFIER, &instance.host.clock.id().to_string()));
        }
        called.await;
    }
}

async fn whole(body: &mut Incoming) -> Result<bytes::Bytes, Refusal> {
    match answer::read(body, words::REGISTRATION_BYTES_MAX).await {
        Read::Whole(body, _) => Ok(body),
        Read::Cut => Err(Refusal::Truncated),
        Read::More => Err(Refusal::TooLarge(words::REGISTRATION_BYTES_MAX)),
    }
}

fn with(mut response: Response<Body>, name: &'static str, value: &str) -> Response<Body> {
    response.headers_mut().extend(HeaderValue::from_str(value).map(|value| (HeaderName::from_static(name), value)));
    response
}
