//! `mote queue send`: one message, or a file of them.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, ValueEnum};
use mote_core::queues::{BATCH_BYTES_MAX, BATCH_MAX};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::settings::time_ms;
use crate::cli::{Namespace, Output};
use crate::client::{Address, Authority, Client};
use crate::failure::{Exit, Failure};
use crate::output;

/// Around the messages of one request.
const FRAME_BYTES: usize = br#"{"messages":[]}"#.len();

#[derive(Debug, Args)]
pub(super) struct Send {
    /// The queue
    name: String,
    /// The body: text, or `-` for standard input [default: standard input]
    #[arg(long, value_name = "DATA")]
    data: Option<String>,
    /// The body, out of a file
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    file: Option<String>,
    /// What the body is
    #[arg(long, value_name = "MEDIA")]
    content_type: Option<String>,
    /// Something about the message, beside its body
    #[arg(long, value_name = "NAME=TEXT", value_parser = attribute)]
    attribute: Vec<(String, String)>,
    /// In a FIFO queue: what it comes in order with
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// The same key within the queue's `--dedup` is the same message
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Nobody receives it before this time has passed
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    delay: Option<u64>,
    /// Before or after others that wait
    #[arg(long, value_enum, default_value_t)]
    priority: Priority,
    /// Many messages, one as JSON in each line; `-` for standard input
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["data", "file", "content_type", "attribute", "group", "key", "delay", "priority"]
    )]
    batch: Option<String>,
    #[command(flatten)]
    namespace: Namespace,
    /// The data directory of a server on this machine (`--data` is the message's here)
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    authority: Authority,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Priority {
    Low,
    #[default]
    Normal,
    High,
}

impl Send {
    pub(super) fn json(&self) -> bool {
        self.output.json
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let client = Address { data_dir: self.data_dir.clone(), authority: self.authority.clone() }.connect()?;
        let mut sent = 0;
        match &self.batch {
            Some(file) => self.all(&client, file, &mut sent).await.map_err(|failure| after(failure, sent))?,
            None => self.give(&client, &[self.message()?], &mut sent).await?,
        }
        if !self.output.json {
            output::line_out(&format!("{sent} sent"));
        }
        Ok(Exit::Done)
    }

    /// As a line of a batch has it: what a header can't say (capitals, any text) goes through.
    fn message(&self) -> Result<String, Failure> {
        let body = match (&self.data, &self.file) {
            (Some(text), _) if text != "-" => text.clone().into_bytes(),
            (_, file) => read(file.as_deref().unwrap_or("-"))?,
        };
        let mut message = json!({ "priority": format!("{:?}", self.priority).to_lowercase() });
        match String::from_utf8(body) {
            Ok(text) => message["body"] = text.into(),
            Err(other) => message["body_base64"] = STANDARD.encode(other.as_bytes()).into(),
        }
        for (key, value) in [("content_type", &self.content_type), ("group", &self.group), ("key", &self.key)] {
            if let Some(text) = value {
                message[key] = text.as_str().into();
            }
        }
        for (name, text) in &self.attribute {
            message["attributes"][name] = text.as_str().into();
        }
        if let Some(ms) = self.delay {
            message["delay_ms"] = ms.into();
        }
        Ok(message.to_string())
    }

    /// In as few requests as they fit into; of each request all messages are taken, or none.
    async fn all(&self, client: &Client, file: &str, sent: &mut u64) -> Result<(), Failure> {
        let (mut some, mut bytes) = (Vec::new(), FRAME_BYTES);
        for (number, line) in opened(file)?.lines().enumerate() {
            let line = line.map_err(|error| unreadable(file, &error))?;
            if line.trim().is_empty() {
                continue;
            }
            // One that is none would spoil the whole request, and the server can't say in which line.
            if let Err(error) = serde_json::from_str::<mote_core::queues::message::NewMessage>(&line) {
                return Err(Failure::usage(format!("line {} of {file} is no message: {error}", number + 1))
                    .wanted(r#"wanted: {"body": "text"}, with `attributes`, `group`, `key`, `delay_ms`, `priority` as they are needed"#));
            }
            if some.len() == BATCH_MAX || bytes + line.len() + 1 > BATCH_BYTES_MAX as usize {
                self.give(client, &some, sent).await?;
                (some, bytes) = (Vec::new(), FRAME_BYTES);
            }
            bytes += line.len() + 1;
            some.push(line);
        }
        if some.is_empty() { Ok(()) } else { self.give(client, &some, sent).await }
    }

    async fn give(&self, client: &Client, messages: &[String], sent: &mut u64) -> Result<(), Failure> {
        let request = client.request(Method::POST, &["queues", &self.name, "batch"]).query(&[("namespace", &self.namespace.namespace)]);
        let body = format!(r#"{{"messages":[{}]}}"#, messages.join(","));
        let answer = client.json(request.header(CONTENT_TYPE, "application/json").body(body)).await?;
        let ids: Vec<&Value> = answer.get("ids").and_then(Value::as_array).into_iter().flatten().collect();
        *sent += ids.len() as u64;
        if self.output.json {
            ids.into_iter().for_each(|id| output::json(&json!({ "id": id })));
        }
        Ok(())
    }
}

/// What was sent before is sent.
fn after(failure: Failure, sent: u64) -> Failure {
    if sent == 0 { failure } else { failure.hint(format!("The first {sent} messages were sent; the rest was not.")) }
}

fn read(file: &str) -> Result<Vec<u8>, Failure> {
    let mut all = Vec::new();
    opened(file)?.read_to_end(&mut all).map_err(|error| unreadable(file, &error))?;
    Ok(all)
}

fn opened(file: &str) -> Result<Box<dyn BufRead>, Failure> {
    if file == "-" {
        return Ok(Box::new(std::io::stdin().lock()));
    }
    let opened = std::fs::File::open(file).map_err(|error| unreadable(file, &error))?;
    Ok(Box::new(BufReader::new(opened)))
}

fn unreadable(file: &str, error: &std::io::Error) -> Failure {
    let what = if file == "-" { "standard input" } else { file };
    Failure::usage(format!("{what} can't be read: {error}"))
}

fn attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("wanted: NAME=TEXT")?;
    Ok((name.to_owned(), value.to_owned()))
}
