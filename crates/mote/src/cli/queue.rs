//! `mote queue …`: queues and the messages in them.
//!
//! Here: which verbs there are, and those about a queue as a whole. What is said of a queue is in
//! `queue/settings.rs`, messages in `queue/send.rs` and `queue/receive.rs`. What it means:
//! `docs/guide/queues.md`.

mod receive;
mod send;
mod settings;

use clap::{Args, Subcommand};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use self::receive::{Ack, Extend, Receive};
use self::send::Send;
use self::settings::{Create, Set};
use crate::cli::calls::text;
use crate::cli::{Common, Namespace};
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::{output, prompt};

const EXAMPLES: &str = "\
Examples:
  mote queue create orders --visibility 1m
  mote queue send orders --data '{\"total\": 120}'
  mote queue receive orders --max 10 --wait 20s --ack
  mote queue show orders

A function is called with the messages by its manifest: `[[queue]]` with `name = \"orders\"`.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Queue {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a queue
    #[command(
        after_help = "Examples:\n  mote queue create orders --visibility 1m --retention 12h\n  mote queue create orders --dead-letters orders-dead --receives 5\n  mote queue create ledger --fifo --dedup-by-content"
    )]
    Create(Box<Create>),
    /// Change what is said of a queue
    #[command(after_help = "Examples:\n  mote queue set orders --visibility 2m --message-bytes 1MiB\n  mote queue set orders --no-alarm")]
    Set(Box<Set>),
    /// List the queues
    #[command(after_help = "Example:\n  mote queue list --json | jq -r 'select(.messages > 0).name'")]
    List(List),
    /// Show one queue: how full it is, and what is said of it
    #[command(after_help = "Example:\n  mote queue show orders --json | jq .oldest_age_ms")]
    Show(Named),
    /// Send a message, or many
    #[command(
        after_help = "Examples:\n  mote queue send orders --data '{\"total\": 120}' --attribute kind=paid\n  mote queue send ledger --file entry.json --group ada --key entry-7\n  mote queue send orders --batch orders.jsonl\n\nA line of a batch: {\"body\": \"text\", \"attributes\": {\"kind\": \"paid\"}, \"delay_ms\": 1000}"
    )]
    Send(Box<Send>),
    /// Receive messages; nobody else has them for a while
    #[command(
        after_help = "Examples:\n  mote queue receive orders --max 10 --wait 20s\n  mote queue receive orders --ack\n  mote queue receive orders --json | jq -r .receipt"
    )]
    Receive(Receive),
    /// Delete messages that were received
    #[command(
        after_help = "Examples:\n  mote queue ack orders --receipt $RECEIPT\n  jq -r .receipt received.jsonl | mote queue ack orders --receipt -"
    )]
    Ack(Ack),
    /// Keep received messages for longer, or give them back
    #[command(
        after_help = "Examples:\n  mote queue extend orders --receipt $RECEIPT --visibility 5m\n  mote queue extend orders --receipt $RECEIPT --visibility 0"
    )]
    Extend(Extend),
    /// Delete what nobody has received just now
    #[command(after_help = "Example:\n  mote queue purge orders --yes")]
    Purge(Gone),
    /// Take a queue away, with its messages
    #[command(after_help = "Example:\n  mote queue delete orders --yes")]
    Delete(Gone),
    /// Move a dead-letter queue's messages back where they came from
    #[command(after_help = "Examples:\n  mote queue redrive orders-dead --rate 10\n  mote queue redrive orders-dead --to orders-by-hand")]
    Redrive(Redrive),
}

#[derive(Debug, Args)]
struct List {
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Those that come after this one
    #[arg(long, value_name = "NAME")]
    after: Option<String>,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Named {
    /// The queue
    name: String,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Gone {
    #[command(flatten)]
    queue: Named,
    /// Don't ask
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
struct Redrive {
    #[command(flatten)]
    queue: Named,
    /// To this queue, instead of where each came from
    #[arg(long, value_name = "QUEUE")]
    to: Option<String>,
    /// So many a second become visible there, instead of all at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
}

impl Queue {
    pub(super) fn json(&self) -> bool {
        match &self.verb {
            Verb::Create(it) => it.queue.common.output.json,
            Verb::Set(it) => it.queue.common.output.json,
            Verb::List(it) => it.common.output.json,
            Verb::Show(it) => it.common.output.json,
            Verb::Send(it) => it.json(),
            Verb::Receive(it) => it.queue.common.output.json,
            Verb::Ack(it) => it.queue.common.output.json,
            Verb::Extend(it) => it.queue.common.output.json,
            Verb::Purge(it) | Verb::Delete(it) => it.queue.common.output.json,
            Verb::Redrive(it) => it.queue.common.output.json,
        }
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        match self.verb {
            Verb::Create(it) => it.run().await,
            Verb::Set(it) => it.run().await,
            Verb::List(it) => list(&it).await,
            Verb::Show(it) => show(&it).await,
            Verb::Send(it) => it.run().await,
            Verb::Receive(it) => it.run().await,
            Verb::Ack(it) => it.run().await,
            Verb::Extend(it) => it.run().await,
            Verb::Purge(it) => purge(&it).await,
            Verb::Delete(it) => delete(&it).await,
            Verb::Redrive(it) => redrive(&it).await,
        }
    }
}

impl Named {
    /// `verb` is what comes after the name in the path, or nothing.
    fn request(&self, client: &Client, method: Method, verb: Option<&str>) -> RequestBuilder {
        let path: Vec<&str> = ["queues", &self.name].into_iter().chain(verb).collect();
        client.request(method, &path).query(&[("namespace", &self.namespace.namespace)])
    }
}

async fn list(it: &List) -> Result<Exit, Failure> {
    let client = it.common.server.connect()?;
    let mut query = vec![("namespace", it.namespace.namespace.clone()), ("limit", it.limit.to_string())];
    query.extend(it.after.clone().map(|name| ("after", name)));
    let found = client.json(client.request(Method::GET, &["queues"]).query(&query)).await?;
    let queues: Vec<&Value> = found.get("queues").and_then(Value::as_array).into_iter().flatten().collect();
    if it.common.output.json {
        queues.into_iter().for_each(output::json);
    } else if queues.is_empty() {
        eprintln!("no queues");
    } else {
        let row = |queue: &Value| {
            vec![text(queue, "name"), count(queue, "messages"), count(queue, "in_flight"), count(queue, "delayed"), oldest(queue)]
        };
        output::table(&["NAME", "MESSAGES", "IN FLIGHT", "DELAYED", "OLDEST"], &queues.into_iter().map(row).collect::<Vec<_>>());
    }
    Ok(Exit::Done)
}

async fn show(it: &Named) -> Result<Exit, Failure> {
    let client = it.common.server.connect()?;
    let queue = client.json(it.request(&client, Method::GET, None)).await?;
    if it.common.output.json {
        output::json(&queue);
        return Ok(Exit::Done);
    }
    output::pairs(&[
        ("name", text(&queue, "name")),
        ("messages", count(&queue, "messages")),
        ("in flight", count(&queue, "in_flight")),
        ("delayed", count(&queue, "delayed")),
        ("oldest", oldest(&queue)),
    ]);
    output::line_out("");
    let shown = settings::shown(queue.get("settings").unwrap_or(&Value::Null));
    output::pairs(&shown.iter().map(|(name, value)| (*name, value.clone())).collect::<Vec<_>>());
    Ok(Exit::Done)
}

fn count(of: &Value, key: &str) -> String {
    of.get(key).and_then(Value::as_u64).unwrap_or_default().to_string()
}

/// How long the message has waited that waits longest.
fn oldest(queue: &Value) -> String {
    let age = queue.get("oldest_age_ms").and_then(Value::as_u64);
    age.map(|ms| output::duration(std::time::Duration::from_millis(ms))).unwrap_or_default()
}

async fn purge(it: &Gone) -> Result<Exit, Failure> {
    prompt::confirm(&format!("Delete all that waits in the queue {}?", it.queue.name), it.yes)?;
    let client = it.queue.common.server.connect()?;
    let purged = client.json(it.queue.request(&client, Method::POST, Some("purge"))).await?;
    told(&it.queue, &purged, "deleted")
}

async fn delete(it: &Gone) -> Result<Exit, Failure> {
    let name = &it.queue.name;
    prompt::confirm(&format!("Take the queue {name} away, with all its messages?"), it.yes)?;
    let client = it.queue.common.server.connect()?;
    client.send(it.queue.request(&client, Method::DELETE, None)).await?;
    if it.queue.common.output.json {
        output::json(&json!({ "deleted": name }));
    } else {
        output::line_out(&format!("the queue {name} is gone"));
    }
    Ok(Exit::Done)
}

async fn redrive(it: &Redrive) -> Result<Exit, Failure> {
    let client = it.queue.common.server.connect()?;
    let asked = json!({ "to": it.to, "per_second": it.rate });
    let moved = client.json(it.queue.request(&client, Method::POST, Some("redrive")).json(&asked)).await?;
    told(&it.queue, &moved, "moved")
}

fn told(queue: &Named, answer: &Value, done: &str) -> Result<Exit, Failure> {
    if queue.common.output.json {
        output::json(answer);
    } else {
        output::line_out(&format!("{} {done}", count(answer, "count")));
    }
    Ok(Exit::Done)
}
