//! `mote queue receive`, `ack`, `extend`: messages in somebody's hands.

use std::io::Read;

use clap::Args;
use mote_core::queues::BATCH_MAX;
use reqwest::Method;
use serde_json::{Value, json};

use super::settings::time_ms;
use super::{Named, count};
use crate::cli::calls::text;
use crate::cli::trace::plain;
use crate::failure::{Exit, Failure};
use crate::output;

const RECEIPTS_BYTES_MAX: u64 = 16 << 20;

#[derive(Debug, Args)]
pub(super) struct Receive {
    #[command(flatten)]
    pub(super) queue: Named,
    /// So many messages at most
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    max: u32,
    /// Wait so long for the first one, up to 1m
    #[arg(long, value_name = "TIME", value_parser = time_ms, default_value = "0")]
    wait: u64,
    /// How long they are nobody else's, instead of what the queue says
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    visibility: Option<u64>,
    /// Delete them once they are printed
    #[arg(long)]
    ack: bool,
}

#[derive(Debug, Args)]
pub(super) struct Ack {
    #[command(flatten)]
    pub(super) queue: Named,
    #[command(flatten)]
    receipts: Receipts,
}

#[derive(Debug, Args)]
pub(super) struct Extend {
    #[command(flatten)]
    pub(super) queue: Named,
    #[command(flatten)]
    receipts: Receipts,
    /// How long they are nobody else's, from now on; 0 gives them back
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    visibility: u64,
}

#[derive(Debug, Args)]
struct Receipts {
    /// As it was received; `-` for standard input, one in each line
    #[arg(long = "receipt", value_name = "RECEIPT", required = true)]
    receipts: Vec<String>,
}

impl Receive {
    pub(super) async fn run(&self) -> Result<Exit, Failure> {
        let client = self.queue.common.server.connect()?;
        let mut query = vec![("max", self.max.to_string()), ("wait", format!("{}ms", self.wait))];
        query.extend(self.visibility.map(|ms| ("visibility", format!("{ms}ms"))));
        let found = client.json(self.queue.request(&client, Method::POST, Some("receive")).query(&query)).await?;
        let messages: Vec<&Value> = found.get("messages").and_then(Value::as_array).into_iter().flatten().collect();
        if messages.is_empty() && !self.queue.common.output.json {
            eprintln!("no messages");
        }
        let mut seen = Vec::new();
        for message in messages {
            // What nobody read on the other end of the pipe stays, and is visible again later.
            if !output::bytes_out(&self.printed(message))? {
                break;
            }
            seen.push(text(message, "receipt"));
        }
        if !self.ack || seen.is_empty() {
            return Ok(Exit::Done);
        }
        settle(&self.queue, "ack", &seen, None, None).await
    }

    fn printed(&self, message: &Value) -> Vec<u8> {
        if self.queue.common.output.json {
            return format!("{message}\n").into_bytes();
        }
        let body = match (message.get("body").and_then(Value::as_str), message.get("body_base64").and_then(Value::as_str)) {
            (Some(text), _) => text.lines().map(plain).collect::<Vec<_>>().join("\n"),
            (None, coded) => {
                format!("({} bytes that are no text; `--json` has them)", coded.unwrap_or_default().trim_end_matches('=').len() * 3 / 4)
            }
        };
        if self.ack {
            return format!("{body}\n").into_bytes();
        }
        let mut lines = format!(
            "id        {}\nreceipt   {}\nreceives  {}\n",
            text(message, "id"),
            text(message, "receipt"),
            count(message, "receives")
        );
        if let Some(group) = message.get("group").and_then(Value::as_str) {
            lines.push_str(&format!("group     {}\n", plain(group)));
        }
        for (name, value) in message.get("attributes").and_then(Value::as_object).into_iter().flatten() {
            lines.push_str(&format!("{}={}\n", plain(name), plain(value.as_str().unwrap_or_default())));
        }
        format!("{lines}\n{body}\n\n").into_bytes()
    }
}

impl Ack {
    pub(super) async fn run(&self) -> Result<Exit, Failure> {
        settle(&self.queue, "ack", &self.receipts.all()?, None, Some("deleted")).await
    }
}

impl Extend {
    pub(super) async fn run(&self) -> Result<Exit, Failure> {
        let done = if self.visibility == 0 { "given back" } else { "extended" };
        settle(&self.queue, "extend", &self.receipts.all()?, Some(self.visibility), Some(done)).await
    }
}

impl Receipts {
    fn all(&self) -> Result<Vec<String>, Failure> {
        if self.receipts != ["-"] {
            return Ok(self.receipts.clone());
        }
        let mut lines = String::new();
        let read = std::io::stdin().lock().take(RECEIPTS_BYTES_MAX).read_to_string(&mut lines);
        read.map_err(|error| Failure::usage(format!("standard input can't be read: {error}")))?;
        let all: Vec<String> = lines.split_whitespace().map(str::to_owned).collect();
        if all.is_empty() { Err(Failure::usage("standard input has no receipts")) } else { Ok(all) }
    }
}

/// Each on its own: one that is too late keeps none of the others. Says `done` of those that were
/// settled, if it is to say anything.
async fn settle(queue: &Named, verb: &str, receipts: &[String], visibility_ms: Option<u64>, done: Option<&str>) -> Result<Exit, Failure> {
    let client = queue.common.server.connect()?;
    let (mut settled, mut refused) = (0_u64, None);
    for some in receipts.chunks(BATCH_MAX) {
        let mut asked = json!({ "receipts": some });
        if let Some(ms) = visibility_ms {
            asked["visibility"] = format!("{ms}ms").into();
        }
        let answer = client.json(queue.request(&client, Method::POST, Some(verb)).json(&asked)).await?;
        let outcomes = answer.get("settled").and_then(Value::as_array).into_iter().flatten();
        for (receipt, error) in some.iter().zip(outcomes) {
            if queue.common.output.json && done.is_some() {
                output::json(&json!({ "receipt": receipt, "error": error }));
            }
            if error.is_null() {
                settled += 1;
            } else {
                refused = refused.or_else(|| Failure::from_wire(&json!({ "error": error })));
            }
        }
    }
    if let (Some(done), false) = (done, queue.common.output.json) {
        output::line_out(&format!("{settled} {done}"));
    }
    refused.map_or(Ok(Exit::Done), Err)
}
