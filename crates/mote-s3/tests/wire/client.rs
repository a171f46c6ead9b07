//! A client of bytes: it signs as the API reference says, on its own, and sends what it is given.

use std::net::SocketAddr;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use mote_core::BoxFuture;
use mote_core::access::{Access, Credential, KeyPair, Root};
use mote_core::action::{Action, Done, Platform};
use mote_core::clock::Clock;
use mote_core::dialect::{Request, Response, Stamp};
use mote_core::function::Name;
use mote_core::trigger::{Stop, Stopper};
use mote_s3::S3Door;
use mote_store::Embedded;
use mote_testkit::FakeClock;
use mote_triggers::http::{Beside, HttpDoor};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) access: Arc<Access>,
    pub(crate) store: Embedded,
    s3: S3Door,
    dir: tempfile::TempDir,
    _stopper: Stopper,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub(crate) fn header(reply: &Reply, name: &str) -> String {
    let lines = reply.head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(n, _)| *n == name).map(|(_, value)| value.to_owned()).next().unwrap_or_default()
}

/// S3 alone at an HTTP door, as the aws door has it beside its services.
struct Alone {
    s3: S3Door,
    known: Option<Credential>,
}

impl Beside for Alone {
    fn answer<'a>(&'a self, request: Request, _: &'a Stamp) -> BoxFuture<'a, Response> {
        Box::pin(self.s3.reply(self.known.clone(), request))
    }
}

/// There is no action: every request is S3's.
struct NoPlatform;

impl Platform for NoPlatform {
    fn execute(&self, _: Credential, _: Action) -> BoxFuture<'_, mote_core::Result<Done>> {
        Box::pin(async { unreachable!("nobody asks for an action") })
    }
}

impl Door {
    /// With a bucket `photos`.
    pub(crate) async fn open() -> Door {
        let clock = Arc::new(FakeClock::default());
        let dir = tempfile::tempdir().unwrap();
        let store = Embedded::open(dir.path(), clock.clone()).unwrap();
        store.objects().create_bucket("photos").await.unwrap();
        let keys = vec![KeyPair { id: "mote".into(), secret: "secret".into() }];
        let access = Access::new(Root { token: "token".into(), keys, server_key: [0; 32] }, clock.clone());
        let access = Arc::new(access);
        let s3 = mote_s3::service(store.objects(), access.clone(), clock.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stopper, stop): (Stopper, Stop) = Stopper::new();
        let door = Door { address, clock, access, store, s3, dir, _stopper: stopper };
        tokio::spawn(Arc::new(door.door(None)).serve(listener, stop));
        door
    }

    fn door(&self, known: Option<Credential>) -> HttpDoor {
        let beside = Alone { s3: self.s3.clone(), known };
        HttpDoor::new(Arc::new(NoPlatform), Vec::new(), self.clock.clone()).with_beside(Arc::new(beside))
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub(crate) async fn signed(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let length = body.len().to_string();
        let mut headers = headers.to_vec();
        headers.push(("content-length", &length));
        self.send(&self.sign(method, target, &headers, body), body).await
    }

    pub(crate) async fn send(&self, head: &str, body: &[u8]) -> Reply {
        converse(self.connect().await, head, body).await
    }

    pub(crate) async fn send_from_jail(&self, head: &str, body: &[u8]) -> Reply {
        self.send_as(Credential::Instance(Name::default_namespace()), head, body).await
    }

    /// On a connection that is known to be this caller's.
    pub(crate) async fn send_as(&self, who: Credential, head: &str, body: &[u8]) -> Reply {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let serving = tokio::spawn(Arc::new(self.door(Some(who))).attend(Box::new(theirs)));
        let reply = converse(ours, head, body).await;
        serving.await.unwrap();
        reply
    }

    /// A whole head: `target` must be encoded as S3 encodes it, without a query.
    pub(crate) fn sign(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
        self.sign_for(method, target, headers, body).0
    }

    /// A PUT in signed chunks, and its body.
    pub(crate) fn sign_chunks(&self, target: &str, chunks: &[&[u8]]) -> (String, Vec<u8>) {
        let (data, framing): (usize, usize) = (
            chunks.iter().map(|c| c.len()).sum(),
            chunks.iter().map(|c| format!("{:x};chunk-signature=\r\n\r\n", c.len()).len() + 64).sum(),
        );
        let (length, decoded) = ((data + framing).to_string(), data.to_string());
        let headers = [
            ("content-length", length.as_str()),
            ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            ("x-amz-decoded-content-length", decoded.as_str()),
        ];
        let (head, key, mut previous) = self.sign_for("PUT", target, &headers, b"");
        let (date, time) = self.date();
        let mut body = Vec::new();
        for chunk in chunks {
            let text =
                format!("AWS4-HMAC-SHA256-PAYLOAD\n{time}\n{date}/us-east-1/s3/aws4_request\n{previous}\n{}\n{}", hash(b""), hash(chunk));
            previous = hex(&hmac(&key, &text));
            body.extend_from_slice(format!("{:x};chunk-signature={previous}\r\n", chunk.len()).as_bytes());
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
        }
        (head, body)
    }

    fn sign_for(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> (String, Vec<u8>, String) {
        let (date, time) = self.date();
        let (host, payload) = (self.address.to_string(), hash(body));
        let mut all = vec![("host", host.as_str()), ("x-amz-content-sha256", payload.as_str()), ("x-amz-date", time.as_str())];
        all.retain(|(name, _)| headers.iter().all(|(n, _)| n != name));
        all.extend_from_slice(headers);
        all.sort_unstable();
        let names = all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let lines: String = all.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let payload = all.iter().find(|(name, _)| *name == "x-amz-content-sha256").map(|(_, value)| *value).unwrap();
        let canonical = format!("{method}\n{target}\n\n{lines}\n{names}\n{payload}");
        let scope = format!("{date}/us-east-1/s3/aws4_request");
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hash(canonical.as_bytes()));
        let key = [date.as_str(), "us-east-1", "s3", "aws4_request"].iter().fold(b"AWS4secret".to_vec(), |key, part| hmac(&key, part));
        let signature = hex(&hmac(&key, &text));
        let lines: String = all
            .iter()
            .map(|(name, value)| {
                format!(
                    "{name}: {value}
"
                )
            })
            .collect();
        let authorization = format!("AWS4-HMAC-SHA256 Credential=mote/{scope}, SignedHeaders={names}, Signature={signature}");
        (format!("{method} {target} HTTP/1.1\r\n{lines}authorization: {authorization}\r\n\r\n"), key, signature)
    }

    fn date(&self) -> (String, String) {
        let text: String = self.clock.now().rfc3339().chars().filter(|c| !matches!(c, '-' | ':')).collect();
        (text[..8].to_owned(), format!("{}Z", &text[..15]))
    }

    /// Files in the store's folder for bytes, whether they belong to an object or not.
    pub(crate) fn staged(&self) -> usize {
        fn files(dir: &std::path::Path) -> usize {
            let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
            entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
        }
        files(&self.dir.path().join("objects"))
    }
}

async fn converse(mut connection: impl AsyncRead + AsyncWrite + Unpin, head: &str, body: &[u8]) -> Reply {
    connection.write_all(head.as_bytes()).await.unwrap();
    // A server that refuses early may close before it has read all.
    let _ = connection.write_all(body).await;
    let mut all = Vec::new();
    loop {
        if let Some(end) = all.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8(all[..end].to_vec()).unwrap();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |v| v.parse().unwrap());
            if all.len() >= end + 4 + length {
                let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                return Reply { status, head, body: all[end + 4..end + 4 + length].to_vec() };
            }
        }
        let count = connection.read_buf(&mut all).await.unwrap();
        assert!(count > 0, "the connection ended: {}", String::from_utf8_lossy(&all));
    }
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hash(data: &[u8]) -> String {
    hex(&Sha256::digest(data))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
