//! The service as whoever shares the endpoint with others calls it: requests in, responses out, no connection.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{Request, Response};
use http_body_util::BodyDataStream;
use mote_core::Body;
use mote_core::access::Credential;
use mote_core::error::Error;
use mote_core::store::Objects;

use crate::gate::Gate;

/// S3 without a socket; cheap to clone.
#[derive(Clone)]
pub struct S3Door {
    gate: Arc<Gate>,
}

impl S3Door {
    pub(crate) fn new(gate: Gate) -> S3Door {
        S3Door { gate: Arc::new(gate) }
    }

    /// The same door to other objects.
    pub fn over(&self, objects: Arc<dyn Objects>) -> S3Door {
        S3Door { gate: Arc::new(self.gate.over(objects)) }
    }

    /// Answers one request. `known` is set where the connection itself has shown who calls; then
    /// a signature is neither needed nor looked at.
    pub async fn answer<B>(&self, known: Option<Credential>, request: Request<B>) -> Response<s3s::Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync,
    {
        self.gate.answer(known, request).await
    }

    /// The same in core's words, for whoever shares the endpoint with another service.
    pub async fn reply(&self, known: Option<Credential>, request: Request<Body>) -> Response<Body> {
        self.answer(known, request).await.map(|body| match http_body::Body::size_hint(&body).exact() {
            Some(0) => Body::empty(),
            length => Body::stream(BodyDataStream::new(body).map_err(broken), length),
        })
    }
}

fn broken(error: s3s::StdError) -> Error {
    Error::internal("an object's bytes broke off").caused_by(error)
}
