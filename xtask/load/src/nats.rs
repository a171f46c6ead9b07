//! JetStream of NATS, in as much of its protocol as a producer and a worker need.
//!
//! `publish` waits for the stream's acknowledgement of each message; with `--work` as many
//! workers beside the producers fetch batches and acknowledge every message.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Args;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::Failure;
use crate::drive::{Load, Producer, drive};

/// Messages that a worker fetches at a time.
const BATCH: usize = 64;

#[derive(Args)]
pub(crate) struct Publish {
    #[arg(long)]
    port: u16,
    #[command(flatten)]
    load: Load,
    #[arg(long, default_value_t = 1024)]
    bytes: usize,
    /// Workers that take each message and acknowledge it.
    #[arg(long, default_value_t = 0)]
    work: usize,
}

pub(crate) async fn publish(wish: Publish) -> Result<Value, Failure> {
    let mut admin = Client::connect(wish.port, 0).await?;
    let stream = json!({ "name": "bench", "subjects": ["bench"], "storage": "file", "retention": "workqueue", "num_replicas": 1 });
    admin.ask("$JS.API.STREAM.CREATE.bench", stream.to_string().as_bytes()).await?;
    let consumer =
        json!({ "stream_name": "bench", "config": { "durable_name": "work", "ack_policy": "explicit", "max_ack_pending": 10_000 } });
    admin.ask("$JS.API.CONSUMER.DURABLE.CREATE.bench.work", consumer.to_string().as_bytes()).await?;
    let done = Arc::new(AtomicU64::new(0));
    for number in 0..wish.work {
        tokio::spawn(work(Client::connect(wish.port, 1000 + number).await?, done.clone()));
    }
    let mut producers = Vec::new();
    for number in 0..wish.load.connections {
        producers.push(Publisher { client: Client::connect(wish.port, 1 + number).await?, payload: vec![b'x'; wish.bytes] });
    }
    let mut result = drive(&wish.load, producers).await?;
    result["worked"] = done.load(Ordering::Relaxed).into();
    Ok(result)
}

struct Publisher {
    client: Client,
    payload: Vec<u8>,
}

impl Producer for Publisher {
    async fn ask(&mut self) -> Result<(), Failure> {
        self.client.ask("bench", &self.payload).await.map(drop)
    }
}

async fn work(mut client: Client, done: Arc<AtomicU64>) -> Result<(), Failure> {
    let wish = json!({ "batch": BATCH, "expires": 1_000_000_000u64 }).to_string();
    loop {
        client.publish("$JS.API.CONSUMER.MSG.NEXT.bench.work", true, wish.as_bytes()).await?;
        for _ in 0..BATCH {
            let message = client.message().await?;
            // A status (no messages in time) has no subject to answer to.
            let Some(reply) = message.reply.filter(|reply| reply.starts_with("$JS.ACK")) else { break };
            client.publish(&reply, false, b"+ACK").await?;
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Client {
    stream: BufReader<TcpStream>,
    inbox: String,
}

struct Message {
    reply: Option<String>,
    payload: Vec<u8>,
}

impl Client {
    async fn connect(port: u16, number: usize) -> Result<Client, Failure> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let mut client = Client { stream: BufReader::new(stream), inbox: format!("_INBOX.{number}") };
        let mut info = String::new();
        client.stream.read_line(&mut info).await?;
        let hello = format!(
            "CONNECT {{\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}}\r\nSUB {} 1\r\n",
            client.inbox
        );
        client.stream.write_all(hello.as_bytes()).await?;
        Ok(client)
    }

    async fn ask(&mut self, subject: &str, payload: &[u8]) -> Result<Vec<u8>, Failure> {
        self.publish(subject, true, payload).await?;
        let answer = self.message().await?.payload;
        if answer.is_empty() || answer.windows(8).any(|part| part == b"\"error\":") {
            return Err(format!("{subject}: {}", String::from_utf8_lossy(&answer)).into());
        }
        Ok(answer)
    }

    async fn publish(&mut self, subject: &str, answered: bool, payload: &[u8]) -> Result<(), Failure> {
        let reply = if answered { self.inbox.as_str() } else { "" };
        let mut bytes = format!("PUB {subject} {reply} {}\r\n", payload.len()).into_bytes();
        bytes.extend_from_slice(payload);
        bytes.extend_from_slice(b"\r\n");
        Ok(self.stream.write_all(&bytes).await?)
    }

    /// The next message; answers the server's pings meanwhile.
    async fn message(&mut self) -> Result<Message, Failure> {
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).await? == 0 {
                return Err("the server has gone away".into());
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["PING"] => self.stream.write_all(b"PONG\r\n").await?,
                // Subject, subscription, where to answer if so, sizes: of the headers if so, of all.
                ["MSG", _, _, rest @ .., size] => return self.read(size, "0", rest.first()).await,
                ["HMSG", _, _, rest @ .., head, size] => return self.read(size, head, rest.first()).await,
                _ if line.starts_with("-ERR") => return Err(line.into()),
                _ => {}
            }
        }
    }

    async fn read(&mut self, size: &str, head: &str, reply: Option<&&str>) -> Result<Message, Failure> {
        let (size, head): (usize, usize) = (size.parse()?, head.parse()?);
        let mut payload = vec![0; size + 2];
        self.stream.read_exact(&mut payload).await?;
        payload.truncate(size);
        Ok(Message { reply: reply.map(|reply| (*reply).to_owned()), payload: payload.split_off(head) })
    }
}
