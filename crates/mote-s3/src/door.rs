//! Connections: accepts them, or takes them from a jail, and speaks HTTP/1.1 and HTTP/2 on them, with TLS or without.
//!
//! [`S3Door::answer`] is the service without any connection: whoever shares the endpoint with
//! another service calls it and keeps the listener to himself.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{HeaderValue, Request, Response, Version, header};
use http_body_util::BodyDataStream;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use mote_core::Body;
use mote_core::access::Credential;
use mote_core::engine::Connection;
use mote_core::error::{Code, Error, Result};
use mote_core::store::Objects;
use mote_core::trigger::shares::Shares;
use mote_core::trigger::{Handshake, Stop};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::gate::Gate;
use crate::idle::{Pulse, Watched};

const CONNECTIONS_MAX: usize = 4096;
const HEADERS_MAX: usize = 128;
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// From a connection's start, or the end of its last reply, until the next headers are here.
const HEADERS_WAIT: Duration = Duration::from_secs(75);
/// So that a process without a free file descriptor does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// S3 as an HTTP service; cheap to clone.
#[derive(Clone)]
pub struct S3Door {
    gate: Arc<Gate>,
    /// Without one it speaks in the clear.
    handshake: Option<Arc<dyn Handshake>>,
    /// Without them one address may have all connections.
    shares: Option<Arc<Shares>>,
}

impl S3Door {
    pub(crate) fn new(gate: Gate) -> S3Door {
        S3Door { gate: Arc::new(gate), handshake: None, shares: None }
    }

    pub fn with_shares(mut self, shares: Arc<Shares>) -> S3Door {
        self.shares = Some(shares);
        self
    }

    /// The same door to other objects.
    pub fn over(&self, objects: Arc<dyn Objects>) -> S3Door {
        S3Door { gate: Arc::new(self.gate.over(objects)), handshake: self.handshake.clone(), shares: self.shares.clone() }
    }

    pub fn with_handshake(mut self, handshake: Option<Arc<dyn Handshake>>) -> S3Door {
        self.handshake = handshake;
        self
    }

    /// Serves until told to stop, then finishes the requests that have begun.
    pub async fn serve(&self, listener: TcpListener, mut stop: Stop) -> Result<()> {
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let (connection, peer, place) = tokio::select! {
                () = stop.wait() => break,
                next = accept(&listener, &places) => match next {
                    Ok(next) => next,
                    Err(error) => {
                        tracing::warn!(?error, "a connection could not be accepted");
                        self.gate.clock.sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            let share = self.shares.as_ref().map(|shares| shares.take(peer));
            if let Some(None) = share {
                continue;
            }
            let watcher = graceful.watcher();
            let door = self.clone();
            tokio::spawn(async move {
                let connection: Box<dyn Connection> = match &door.handshake {
                    None => Box::new(connection),
                    Some(handshake) => match handshake.shake(Box::new(connection)).await {
                        Ok(secured) => secured,
                        Err(error) => return tracing::debug!(%error, "a client was not let in"),
                    },
                };
                let clock = door.gate.clock.clone();
                let pulse = Arc::new(Pulse::default());
                let (connection, running) = (Watched::new(connection, pulse.clone()), pulse.clone());
                let service = service_fn(move |request| running.clone().during(door.clone().respond(None, request)));
                let builder = http();
                let serving = builder.serve_connection(TokioIo::new(connection), service).into_owned();
                tokio::select! {
                    ended = watcher.watch(serving) => if let Err(error) = ended {
                        tracing::debug!(error, "a connection ended early");
                    },
                    () = pulse.stalled(&*clock) => tracing::debug!("a connection made no progress and is closed"),
                }
                drop((place, share));
            });
        }
        drop(listener);
        graceful.shutdown().await;
        Ok(())
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

    /// Serves one connection that has itself shown who calls.
    pub async fn attend(self, who: Credential, connection: Box<dyn Connection>) {
        let service = service_fn(move |request| self.clone().respond(Some(who.clone()), request));
        if let Err(error) = http().serve_connection(TokioIo::new(connection), service).await {
            tracing::debug!(error, "a connection out of a jail ended early");
        }
    }

    async fn respond(self, known: Option<Credential>, request: Request<Incoming>) -> Result<Response<s3s::Body>, std::convert::Infallible> {
        let unread = expects_in_vain(&request);
        let mut response = self.answer(known, request).await;
        if unread {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

fn broken(error: s3s::StdError) -> Error {
    Error::internal("an object's bytes broke off").caused_by(error)
}

/// `Expect: 100-continue` with an empty body: nobody ever asks for that body, so no `100` goes out,
/// and botocore takes the next reply of the connection for it. So there is none.
fn expects_in_vain<B: http_body::Body>(request: &Request<B>) -> bool {
    request.version() <= Version::HTTP_11 && request.headers().contains_key(header::EXPECT) && request.body().is_end_stream()
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Result<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
    let failed = |what| move |e| Error::new(Code::Internal, what).caused_by(Box::<dyn std::error::Error + Send + Sync>::from(e));
    let place = places.clone().acquire_owned().await.map_err(|e| failed("the door is closed")(e.to_string()))?;
    let (connection, peer) = listener.accept().await.map_err(|e| failed("accept failed")(e.to_string()))?;
    // Small replies go out at once; an error here costs only that.
    let _ = connection.set_nodelay(true);
    Ok((connection, peer.ip(), place))
}

fn http() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WAIT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX * 4)
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEADER_BYTES_MAX as u32);
    builder
}
