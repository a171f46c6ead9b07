//! A door, its platform and a client that says exactly what a test wants said.

use std::sync::Arc;
use std::time::Duration;

use mote_core::access::Credential;
use mote_core::action::{Action, Done, Platform};
use mote_core::event::{Event, HttpRequest};
use mote_core::reply::Reply;
use mote_core::trigger::shares::Shares;
use mote_core::trigger::{Stop, Stopper};
use mote_core::{Body, BoxFuture, Error, Result};
use mote_testkit::{EchoDialect, FakeClock};
use mote_triggers::http::{HttpDoor, HttpLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::turns::Talker;

/// Far beyond what any step takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) type Script = dyn Fn(HttpRequest, Body) -> BoxFuture<'static, Result<Reply>> + Send + Sync;

struct Scripted(Box<Script>);

impl Platform for Scripted {
    fn execute(&self, _: Credential, what: Action) -> BoxFuture<'_, Result<Done>> {
        let Action::Call { event: Event { request: Some(request), body, .. }, .. } = what else {
            return Box::pin(async { Err(Error::internal("no call")) });
        };
        Box::pin(async move { Ok(Done::Reply((self.0)(Arc::unwrap_or_clone(request), body).await?)) })
    }
}

pub(crate) struct World {
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) stopper: Stopper,
    pub(crate) served: JoinHandle<Result<()>>,
    address: std::net::SocketAddr,
}

pub(crate) const STALL: Duration = Duration::from_secs(30);

impl World {
    pub(crate) async fn with<F>(script: impl Fn(HttpRequest, Body) -> F + Send + Sync + 'static) -> World
    where
        F: Future<Output = Result<Reply>> + Send + 'static,
    {
        World::limited(HttpLimits::default(), script).await
    }

    pub(crate) async fn limited<F>(limits: HttpLimits, script: impl Fn(HttpRequest, Body) -> F + Send + Sync + 'static) -> World
    where
        F: Future<Output = Result<Reply>> + Send + 'static,
    {
        World::shared(limits, None, script).await
    }

    /// With so many connections for one address.
    pub(crate) async fn shared<F>(
        limits: HttpLimits,
        shares: Option<Arc<Shares>>,
        script: impl Fn(HttpRequest, Body) -> F + Send + Sync + 'static,
    ) -> World
    where
        F: Future<Output = Result<Reply>> + Send + 'static,
    {
        let clock = Arc::new(FakeClock::default());
        let platform = Arc::new(Scripted(Box::new(move |request, body| Box::pin(script(request, body)))));
        let mut door = HttpDoor::new(platform, vec![Arc::new(Talker), Arc::new(EchoDialect)], clock.clone()).with_limits(limits);
        if let Some(shares) = shares {
            door = door.with_shares(shares);
        }
        let door = Arc::new(door);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stopper, stop): (Stopper, Stop) = Stopper::new();
        World { clock, stopper, served: tokio::spawn(door.serve(listener, stop)), address }
    }

    pub(crate) async fn client(&self) -> Client {
        Client { socket: BufReader::new(TcpStream::connect(self.address).await.unwrap()) }
    }

    /// One request on a connection of its own.
    pub(crate) async fn ask(&self, request: &str) -> Answer {
        let mut client = self.client().await;
        client.say(request).await;
        client.answer(request.starts_with("HEAD")).await
    }

    /// Lets one stall's time pass, once the watch over a connection waits for it.
    pub(crate) async fn look(&self) {
        within(self.clock.sleepers(1)).await;
        self.clock.advance(STALL);
        tokio::task::yield_now().await;
    }

    /// Looks, until `what` has come of it.
    pub(crate) async fn look_until<T>(&self, what: impl Future<Output = T>) -> T {
        let looks = async {
            loop {
                self.look().await;
            }
        };
        tokio::select! { biased; done = what => done, () = looks => unreachable!("the loop has no end") }
    }
}

pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("this takes too long")
}

pub(crate) fn ok(body: impl Into<Body>) -> Result<Reply> {
    Ok(Reply::new(http::StatusCode::OK, body))
}

pub(crate) fn typed(kind: &'static str, body: impl Into<Body>) -> Result<Reply> {
    let mut reply = Reply::new(http::StatusCode::OK, body);
    reply.headers.insert("content-type", http::HeaderValue::from_static(kind));
    Ok(reply)
}

pub(crate) struct Client {
    socket: BufReader<TcpStream>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        within(self.socket.write_all(bytes.as_ref())).await.unwrap();
    }

    /// The same to a server that may have closed the connection.
    pub(crate) async fn try_say(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = within(self.socket.write_all(bytes.as_ref())).await;
    }

    /// The head of the next response; `None` if the server closed the connection instead.
    pub(crate) async fn head(&mut self) -> Option<Answer> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match within(self.socket.read_u8()).await {
                Ok(byte) => head.push(byte),
                Err(_) => return None,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_lowercase(), v.to_owned())).collect();
        Some(Answer { status, headers, body: Vec::new() })
    }

    /// The next chunk of a chunked reply; `None` at its end, or if it broke off.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let mut size = Vec::new();
        while !size.ends_with(b"\r\n") {
            size.push(within(self.socket.read_u8()).await.ok()?);
        }
        let size = usize::from_str_radix(std::str::from_utf8(&size).unwrap().trim(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        within(self.socket.read_exact(&mut chunk)).await.ok()?;
        chunk.truncate(size);
        (size > 0).then_some(chunk)
    }

    pub(crate) async fn answer(&mut self, bodiless: bool) -> Answer {
        let mut answer = self.head().await.expect("the server closed the connection");
        if bodiless {
            return answer;
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk().await {
                answer.body.extend(chunk);
            }
        } else if let Some(length) = answer.header("content-length") {
            answer.body = vec![0; length.parse().unwrap()];
            within(self.socket.read_exact(&mut answer.body)).await.unwrap();
        }
        answer
    }

    /// Whether the server has closed the connection with nothing more to say.
    pub(crate) async fn is_closed(&mut self) -> bool {
        matches!(within(self.socket.read(&mut [0; 64])).await, Ok(0) | Err(_))
    }

    pub(crate) fn into_socket(self) -> TcpStream {
        self.socket.into_inner()
    }
}
