//! A provider's request at an inlet, from its raw bytes to an event that is on disk.

use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use super::verify::{Inlet, Verified, unready};
use crate::access::Caller;
use crate::body::Body;
use crate::error::{Code, Error, Result};
use crate::event::{Event, cloudevents};
use crate::function::Function;
use crate::function::delivery::Destination;
use crate::invoke::deliver::EVENT_BYTES_MAX;
use crate::invoke::deliver::parcel::Wish;
use crate::invoke::{Invoke, Invoker};
use crate::reply::Reply;

impl Invoker {
    /// Answers 202 once the event is accepted. Its signature is the request's only credential.
    pub(crate) async fn receive(&self, caller: &Caller, inlet: &Inlet, function: &Function, mut event: Event) -> Result<Reply> {
        let Some(request) = event.request.take() else { return Err(Error::internal("a webhook was asked for without a request")) };
        self.access.throttle(caller, &function.namespace)?;
        let limit = function.limits.body_bytes.min(EVENT_BYTES_MAX);
        let body = std::mem::replace(&mut event.body, Body::empty()).collect(limit).await?;
        let secret = self.secrets.reveal(&function.namespace, &inlet.secret).await.map_err(|error| match error.code() {
            Code::SecretNotFound => unready().caused_by(error),
            _ => error,
        })?;
        let verified = inlet.verify.verify(&secret, &request.headers, &body, self.clock.now())?;
        if let Some(challenge) = inlet.verify.handshake(&body) {
            return Ok(answer(StatusCode::OK, "text/plain", challenge));
        }
        event.source = format!("/webhooks{}", inlet.path);
        event.kind = "mote.webhook.received".to_owned();
        event.body = body.into();
        if request.headers.contains_key("ce-specversion") {
            cloudevents::read_headers(&request.headers, &mut event)?;
        }
        let Verified { once, kind } = verified;
        event.subject = event.subject.or(kind);
        let key = once.map(|id| format!("{} {} {id}", inlet.verify, inlet.path));
        let wish = Wish { idempotency_key: key, ..Wish::default() };
        let (id, depth) = (event.id, event.depth);
        if let Some(topic) = &inlet.topic {
            let published = self.publish(&function.namespace, topic, event, wish).await?;
            return Ok(answer(StatusCode::ACCEPTED, "application/json", json!(published).to_string()));
        }
        let events = cloudevents::unpack(event, limit, &*self.clock).await?;
        let to = Destination::Function(function.name.clone());
        let mut items = Vec::new();
        for (number, event) in events.into_iter().enumerate() {
            let key = wish.idempotency_key.as_ref().map(|key| format!("{key}/{number}"));
            items.extend(self.items(&function.namespace, &to, event, depth, Wish { idempotency_key: key, ..wish.clone() })?);
        }
        let id = self.commit(&function.namespace, items).await?.first().copied().unwrap_or(id);
        Ok(answer(StatusCode::ACCEPTED, "application/json", json!({ "id": id }).to_string()))
    }
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Reply {
    let mut reply = Reply::new(status, body);
    reply.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}
