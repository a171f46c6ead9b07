//! `mote mqtt …`: publish to devices, and what the broker holds.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::cli::invoke::data;
use crate::cli::{Common, Namespace, Output};
use crate::client::{Address, Authority};
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote mqtt publish lamps/kitchen --data on
  mote mqtt publish lamps/kitchen/state --data '{\"on\": true}' --qos 1 --retain
  mote mqtt status

A function hears of messages by its manifest: `[[mqtt]]` with `filter = \"lamps/+/state\"`.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Mqtt {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Publish a message to devices and functions
    #[command(after_help = "Example:\n  mote mqtt publish lamps/kitchen --data on --qos 1")]
    Publish(Publish),
    /// Show connections, sessions and what waits for them
    #[command(after_help = "Example:\n  mote mqtt status --json | jq .connections")]
    Status(Status),
}

#[derive(Debug, Args)]
struct Publish {
    /// The topic, without wildcards
    topic: String,
    /// The payload: text, `@FILE`, or `-` for standard input
    #[arg(long, value_name = "DATA", default_value = "")]
    data: String,
    /// 0: at most once; 1 or 2: on disk before this returns
    #[arg(long, value_name = "QOS", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=2))]
    qos: u8,
    /// Keep it for those who subscribe later; with no data, forget the one that is kept
    #[arg(long)]
    retain: bool,
    /// What the payload is
    #[arg(long, value_name = "MEDIA")]
    content_type: Option<String>,
    #[command(flatten)]
    namespace: Namespace,
    /// The data directory of a server on this machine (`--data` is the payload here)
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    authority: Authority,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Status {
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    common: Common,
}

impl Mqtt {
    pub(super) fn json(&self) -> bool {
        match &self.verb {
            Verb::Publish(it) => it.output.json,
            Verb::Status(it) => it.common.output.json,
        }
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        match self.verb {
            Verb::Publish(it) => publish(it).await,
            Verb::Status(it) => status(&it).await,
        }
    }
}

async fn publish(it: Publish) -> Result<Exit, Failure> {
    let payload = data(&it.data)?;
    let client = Address { data_dir: it.data_dir, authority: it.authority }.connect()?;
    let (qos, retain) = (it.qos.to_string(), if it.retain { "1" } else { "0" });
    let query = [("namespace", it.namespace.namespace.as_str()), ("topic", &it.topic), ("qos", &qos), ("retain", retain)];
    let mut request = client.request(Method::POST, &["mqtt", "publish"]).query(&query);
    if let Some(content_type) = &it.content_type {
        request = request.header(CONTENT_TYPE, content_type);
    }
    client.send(request.body(payload)).await?;
    if it.output.json {
        output::json(&json!({ "topic": it.topic, "qos": it.qos, "retain": it.retain }));
    } else {
        output::line_out(&format!("published to {}", it.topic));
    }
    Ok(Exit::Done)
}

async fn status(it: &Status) -> Result<Exit, Failure> {
    let client = it.common.server.connect()?;
    let found = client.json(client.request(Method::GET, &["mqtt"]).query(&[("namespace", &it.namespace.namespace)])).await?;
    if it.common.output.json {
        output::json(&found);
        return Ok(Exit::Done);
    }
    let count = |key: &str| found.get(key).and_then(Value::as_u64).unwrap_or_default().to_string();
    output::pairs(&[
        ("connections", count("connections")),
        ("sessions", count("sessions")),
        ("subscriptions", count("subscriptions")),
        ("retained", count("retained")),
        ("retained bytes", count("retained_bytes")),
        ("waiting", count("waiting")),
        ("dropped", count("dropped")),
    ]);
    Ok(Exit::Done)
}
