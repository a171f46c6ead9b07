//! The HTTP door: sockets, HTTP/1.1 and HTTP/2 with TLS or in the clear, request ids, compression, limits.
//!
//! It knows neither routes nor wire formats: a dialect reads the request and words the answer,
//! and the platform does what it says. One port, one door; which dialects stand behind it is
//! the binary's choice. Next: [`connection`] for a socket's life, then a dialect.

mod compress;
mod connection;
mod request;
mod talk;

use std::net::{IpAddr, Ipv4Addr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Method, Version, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto;
use mote_core::action::Platform;
use mote_core::clock::{Clock, Id};
use mote_core::dialect::{Dialect, Parsed, Request, Response, Stamp};
use mote_core::engine;
use mote_core::trigger::shares::Shares;
use mote_core::trigger::{Handshake, Stop};
use mote_core::{Body, BoxFuture, Code, Error, Fault, Result};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use compress::Outgoing;
use connection::{Connection, Phase};
use talk::Talks;

pub use talk::Room;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const HEAD_BYTES_MAX: usize = 64 << 10;
const STREAMS_MAX: u32 = 256;

/// See the module's text.
pub struct HttpDoor {
    platform: Arc<dyn Platform>,
    /// Asked in this order; the last also words the errors of requests that nobody could read.
    dialects: Vec<Arc<dyn Dialect>>,
    clock: Arc<dyn Clock>,
    http: auto::Builder<TokioExecutor>,
    /// Without one the door speaks in the clear.
    handshake: Option<Arc<dyn Handshake>>,
    limits: HttpLimits,
    /// Without them one address may have all connections.
    shares: Option<Arc<Shares>>,
    beside: Option<Arc<dyn Beside>>,
    talks: Arc<Talks>,
}

/// Another service on the same port, for requests that no dialect wants. Its answers go out as they are.
pub trait Beside: Send + Sync {
    fn answer<'a>(&'a self, request: Request, stamp: &'a Stamp) -> BoxFuture<'a, Response>;
}

/// What a door gives to one client, and to all.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// Further clients wait in the listener's backlog.
    pub connections_max: u32,
    /// A connection is closed after one to two of these without progress: no request in all that
    /// time, a reply that is not read, a body that does not come.
    pub stall: Duration,
    /// Calls that still run after the stop have so long to end.
    pub drain: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        HttpLimits { connections_max: 8192, stall: Duration::from_secs(30), drain: Duration::from_secs(30) }
    }
}

impl HttpDoor {
    pub fn new(platform: Arc<dyn Platform>, dialects: Vec<Arc<dyn Dialect>>, clock: Arc<dyn Clock>) -> HttpDoor {
        let mut http = auto::Builder::new(TokioExecutor::new());
        // No timer: `connection` watches for stalls, with the platform's clock.
        http.http1().header_read_timeout(None).max_buf_size(HEAD_BYTES_MAX);
        http.http2().max_concurrent_streams(STREAMS_MAX).max_header_list_size(HEAD_BYTES_MAX as u32);
        let talks = Arc::new(Talks::new(platform.clone(), clock.clone(), Room::default()));
        HttpDoor { platform, dialects, clock, http, handshake: None, limits: HttpLimits::default(), shares: None, beside: None, talks }
    }

    pub fn with_shares(mut self, shares: Arc<Shares>) -> HttpDoor {
        self.shares = Some(shares);
        self
    }

    pub fn with_handshake(mut self, handshake: Option<Arc<dyn Handshake>>) -> HttpDoor {
        self.handshake = handshake;
        self
    }

    pub fn with_beside(mut self, beside: Arc<dyn Beside>) -> HttpDoor {
        self.beside = Some(beside);
        self
    }

    /// What this one's conversations hold is counted with what others hold.
    pub fn with_room(mut self, room: Room) -> HttpDoor {
        self.talks = Arc::new(Talks::new(self.platform.clone(), self.clock.clone(), room));
        self
    }

    pub fn with_limits(mut self, limits: HttpLimits) -> HttpDoor {
        self.limits = limits;
        self
    }

    /// Answers until it is told to stop; then finishes what it has begun.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, mut stop: Stop) -> Result<()> {
        let (phase, watching) = watch::channel(Phase::Open);
        let places = Arc::new(Semaphore::new(self.limits.connections_max as usize));
        loop {
            let next = async {
                let place = places.clone().acquire_owned().await;
                (listener.accept().await, place)
            };
            let (accepted, place) = tokio::select! { biased; () = stop.wait() => break, next = next => next };
            match accepted {
                Ok((socket, peer)) => {
                    let share = self.shares.as_ref().map(|shares| shares.take(peer.ip()));
                    if let Some(None) = share {
                        continue;
                    }
                    let connection = Connection::new(self.clone(), peer.ip(), watching.clone());
                    tokio::spawn(async move {
                        connection.run(socket).await;
                        drop((place, share));
                    });
                }
                Err(error) => {
                    // A client that left is no matter; without free descriptors, a pause lets some go.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::select! { () = stop.wait() => break, () = self.clock.sleep(Duration::from_millis(50)) => {} }
                }
            }
        }
        drop(listener);
        phase.send_replace(Phase::Draining);
        let all_gone = || places.acquire_many(self.limits.connections_max);
        tokio::select! {
            _ = all_gone() => {}
            () = self.clock.sleep(self.limits.drain) => {
                phase.send_replace(Phase::Cut);
                let _ = all_gone().await;
            }
        }
        Ok(())
    }

    /// Serves one connection that somebody else has accepted, until it is done or makes no progress.
    pub async fn attend(self: Arc<Self>, connection: Box<dyn engine::Connection>) {
        let (_open, phase) = watch::channel(Phase::Open);
        Connection::new(self, IpAddr::V4(Ipv4Addr::LOCALHOST), phase).serve(connection).await;
    }

    /// One request. Whatever happens in here is this request's matter alone.
    async fn respond(&self, connection: &Connection, request: http::Request<Incoming>) -> http::Response<Outgoing> {
        let running = connection.begin();
        let id = self.clock.id();
        let unread = expects_in_vain(&request);
        let accepted = (request.method() != Method::HEAD).then(|| request.headers().get(header::ACCEPT_ENCODING).cloned()).flatten();
        let answer = AssertUnwindSafe(self.answer(connection, request, id, &running)).catch_unwind().await;
        let Answer { mut response, as_it_is } = answer.unwrap_or_else(|_| {
            tracing::error!(%id, "a request made mote panic");
            self.refuse(Error::internal("a defect in mote ended this request").hint(format!("The server's log has more under {id}.")))
                .into()
        });
        if unread {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response.headers_mut().insert(REQUEST_ID, HeaderValue::try_from(id.to_string()).unwrap_or_else(|_| HeaderValue::from_static("")));
        compress::wrap(response, accepted.filter(|_| !as_it_is), running)
    }

    async fn answer(&self, connection: &Connection, request: http::Request<Incoming>, id: Id, running: &connection::Running) -> Answer {
        let stamp = connection.stamp(&request, id, self.clock.now());
        let mut request = match request::read(request, running).await {
            Ok(request) => request,
            Err(error) => return self.refuse(error).into(),
        };
        for dialect in &self.dialects {
            match dialect.parse(request, &stamp) {
                Ok(Parsed::Action(who, what)) => {
                    let result = self.platform.execute(who, what).await;
                    if let Err(error) = &result {
                        note(id, error);
                    }
                    return dialect.render(result).into();
                }
                Ok(Parsed::Turn(turn)) => {
                    return self.talks.converse(turn, id).await.unwrap_or_else(|error| dialect.render(Err(error))).into();
                }
                Ok(Parsed::NotMine(back)) => request = back,
                Err(error) => return dialect.render(Err(error)).into(),
            }
        }
        if let Some(beside) = &self.beside {
            return Answer { response: beside.answer(request, &stamp).await, as_it_is: true };
        }
        let shown: String = request.uri().path().chars().take(100).collect();
        self.refuse(Error::new(Code::FunctionNotFound, format!("nothing answers at {shown}"))).into()
    }

    fn refuse(&self, error: Error) -> Response {
        match self.dialects.last() {
            Some(dialect) => dialect.render(Err(error)),
            None => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = http::StatusCode::NOT_FOUND;
                response
            }
        }
    }
}

/// A response, and whether nothing of it may be changed on its way out.
struct Answer {
    response: Response,
    as_it_is: bool,
}

impl From<Response> for Answer {
    fn from(response: Response) -> Answer {
        Answer { response, as_it_is: false }
    }
}

/// `Expect: 100-continue` with an empty body: nobody ever asks for that body, so no `100` goes out,
/// and some clients take the next reply of the connection for it. So there is none.
fn expects_in_vain<B: http_body::Body>(request: &http::Request<B>) -> bool {
    request.version() <= Version::HTTP_11 && request.headers().contains_key(header::EXPECT) && request.body().is_end_stream()
}

/// What is mote's own fault goes to its log: the client is not told the causes.
fn note(id: Id, error: &Error) {
    if error.code().fault() != Fault::Platform {
        return;
    }
    match error.code() {
        Code::Throttled | Code::ShuttingDown => tracing::debug!(%id, ?error, "a request was turned away"),
        _ => tracing::error!(%id, ?error, "a request failed"),
    }
}
