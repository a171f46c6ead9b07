//! A stream of Redis as a work queue: `XADD`, and with `--work` a group that reads and
//! acknowledges every entry. Speaks as much of RESP as that needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Args;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::Failure;
use crate::drive::{Load, Producer, drive};

#[derive(Args)]
pub(crate) struct Add {
    #[arg(long)]
    port: u16,
    #[command(flatten)]
    load: Load,
    #[arg(long, default_value_t = 1024)]
    bytes: usize,
    /// Workers that take each entry and acknowledge it.
    #[arg(long, default_value_t = 0)]
    work: usize,
}

pub(crate) async fn add(wish: Add) -> Result<Value, Failure> {
    let mut admin = Client::connect(wish.port).await?;
    admin.ask(&[b"DEL", b"bench"]).await?;
    admin.ask(&[b"XGROUP", b"CREATE", b"bench", b"work", b"$", b"MKSTREAM"]).await?;
    let done = Arc::new(AtomicU64::new(0));
    for number in 0..wish.work {
        tokio::spawn(work(Client::connect(wish.port).await?, format!("worker-{number}"), done.clone()));
    }
    let mut producers = Vec::new();
    for _ in 0..wish.load.connections {
        producers.push(Adder { client: Client::connect(wish.port).await?, payload: vec![b'x'; wish.bytes] });
    }
    let mut result = drive(&wish.load, producers).await?;
    result["worked"] = done.load(Ordering::Relaxed).into();
    Ok(result)
}

struct Adder {
    client: Client,
    payload: Vec<u8>,
}

impl Producer for Adder {
    async fn ask(&mut self) -> Result<(), Failure> {
        self.client.ask(&[b"XADD", b"bench", b"*", b"event", &self.payload]).await.map(drop)
    }
}

async fn work(mut client: Client, name: String, done: Arc<AtomicU64>) -> Result<(), Failure> {
    loop {
        let read: [&[u8]; 11] =
            [b"XREADGROUP", b"GROUP", b"work", name.as_bytes(), b"COUNT", b"64", b"BLOCK", b"1000", b"STREAMS", b"bench", b">"];
        let mut texts = Vec::new();
        client.ask(&read).await?.texts(&mut texts);
        // Of all that an answer holds only the ids of entries look like this.
        let ids: Vec<Vec<u8>> = texts.into_iter().filter(|text| text.len() < 40 && text.contains(&b'-')).collect();
        // One by one, as each would be once its work is done, and none waits for the other's answer.
        for id in &ids {
            client.send(&[b"XACK", b"bench", b"work", id]).await?;
        }
        for _ in &ids {
            client.answer().await?;
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Client {
    stream: BufReader<TcpStream>,
}

enum Answer {
    Nothing,
    Text(Vec<u8>),
    List(Vec<Answer>),
}

impl Answer {
    fn texts(self, all: &mut Vec<Vec<u8>>) {
        match self {
            Answer::Nothing => {}
            Answer::Text(text) => all.push(text),
            Answer::List(list) => list.into_iter().for_each(|answer| answer.texts(all)),
        }
    }
}

impl Client {
    async fn connect(port: u16) -> Result<Client, Failure> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Client { stream: BufReader::new(stream) })
    }

    async fn ask(&mut self, words: &[&[u8]]) -> Result<Answer, Failure> {
        self.send(words).await?;
        self.answer().await
    }

    async fn send(&mut self, words: &[&[u8]]) -> Result<(), Failure> {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            bytes.extend_from_slice(word);
            bytes.extend_from_slice(b"\r\n");
        }
        Ok(self.stream.write_all(&bytes).await?)
    }

    async fn answer(&mut self) -> Result<Answer, Failure> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            return Err("the server has gone away".into());
        }
        let (kind, rest) = line.trim_end().split_at_checked(1).ok_or("an empty answer")?;
        match kind {
            "+" | ":" => Ok(Answer::Text(rest.into())),
            "-" => Err(rest.into()),
            "$" if rest != "-1" => {
                let mut text = vec![0; rest.parse::<usize>()? + 2];
                self.stream.read_exact(&mut text).await?;
                text.truncate(text.len() - 2);
                Ok(Answer::Text(text))
            }
            "*" if rest != "-1" => {
                let mut list = Vec::new();
                for _ in 0..rest.parse::<usize>()? {
                    list.push(Box::pin(self.answer()).await?);
                }
                Ok(Answer::List(list))
            }
            _ => Ok(Answer::Nothing),
        }
    }
}
