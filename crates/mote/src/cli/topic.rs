//! `mote topic …`: publish, and who is subscribed.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::cli::calls::text;
use crate::cli::invoke::data;
use crate::cli::{Common, Namespace, Output};
use crate::client::{Address, Authority};
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote topic publish orders --type order.paid --data '{\"total\": 120}'
  mote topic subscribe orders --name ledger --to https://hooks.example.com/orders --secret ledger-hook
  mote topic show orders
  mote topic unsubscribe orders --name ledger

A function subscribes by its manifest: `[[topic]]` with `name = \"orders\"`.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Topic {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Give an event to everybody who is subscribed
    #[command(after_help = "Example:\n  mote topic publish orders --type order.paid --data '{\"total\": 120}'")]
    Publish(Publish),
    /// List the topics that somebody is subscribed to
    #[command(after_help = "Example:\n  mote topic list --json | jq -r .topic")]
    List(List),
    /// Show who is subscribed to a topic
    #[command(after_help = "Example:\n  mote topic show orders")]
    Show(Show),
    /// Subscribe a function or a webhook
    #[command(
        after_help = "Examples:\n  mote topic subscribe orders --name ledger --to https://hooks.example.com/orders --secret ledger-hook\n  mote topic subscribe orders --name big --to audit --filter '{\"data\": {\"total\": [{\"numeric\": [\">\", 100]}]}}'"
    )]
    Subscribe(Box<Subscribe>),
    /// Take a subscription away
    #[command(after_help = "Example:\n  mote topic unsubscribe orders --name ledger")]
    Unsubscribe(Unsubscribe),
}

#[derive(Debug, Args)]
struct Publish {
    /// The topic; any name
    topic: String,
    /// The event's data: text, `@FILE`, or `-` for standard input
    #[arg(long, value_name = "DATA", default_value = "")]
    data: String,
    /// What the data is
    #[arg(long, value_name = "MEDIA", default_value = "application/json")]
    content_type: String,
    /// The event's type
    #[arg(long = "type", value_name = "TYPE", default_value = "mote.published")]
    kind: String,
    /// What the event is about
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// The same key within a day is the same event
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    namespace: Namespace,
    /// The data directory of a server on this machine (`--data` is the event's here)
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    authority: Authority,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Show {
    /// The topic
    topic: String,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Subscribe {
    /// The topic
    topic: String,
    /// How the subscription is called; an earlier one of that name is changed
    #[arg(long)]
    name: String,
    /// A function's name, or a URL
    #[arg(long, value_name = "DESTINATION")]
    to: String,
    /// Only events that this takes, as JSON
    #[arg(long, value_name = "JSON")]
    filter: Option<String>,
    /// The secret that a webhook is signed with
    #[arg(long, value_name = "NAME")]
    secret: Option<String>,
    /// What a webhook may connect to, in place of the public internet: `10.0.0.7:8080`
    #[arg(long, value_name = "RULE")]
    egress: Vec<String>,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Unsubscribe {
    /// The topic
    topic: String,
    /// The subscription
    #[arg(long)]
    name: String,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    common: Common,
}

impl Topic {
    pub(super) fn json(&self) -> bool {
        match &self.verb {
            Verb::Publish(it) => it.output.json,
            Verb::List(it) => it.common.output.json,
            Verb::Show(it) => it.common.output.json,
            Verb::Subscribe(it) => it.common.output.json,
            Verb::Unsubscribe(it) => it.common.output.json,
        }
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        match self.verb {
            Verb::Publish(it) => publish(it).await,
            Verb::List(it) => list(&it).await,
            Verb::Show(it) => show(&it).await,
            Verb::Subscribe(it) => subscribe(&it).await,
            Verb::Unsubscribe(it) => unsubscribe(&it).await,
        }
    }
}

async fn publish(it: Publish) -> Result<Exit, Failure> {
    // As a header's value has it: all else is percent-encoded.
    let encoded = |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let data = data(&it.data)?;
    let client = Address { data_dir: it.data_dir, authority: it.authority }.connect()?;
    let mut request = client.request(Method::POST, &["topics", &it.topic, "publish"]).query(&[("namespace", &it.namespace.namespace)]);
    request = request.header(CONTENT_TYPE, &it.content_type).header("ce-type", encoded(&it.kind)).header("ce-source", "/cli");
    if let Some(subject) = &it.subject {
        request = request.header("ce-subject", encoded(subject));
    }
    if let Some(key) = &it.idempotency_key {
        request = request.header("idempotency-key", key);
    }
    let published = client.json(request.body(data)).await?;
    if it.output.json {
        output::json(&published);
    } else {
        let count = published.get("deliveries").and_then(Value::as_u64).unwrap_or_default();
        output::line_out(&format!("published to {}: {count} {}", it.topic, if count == 1 { "delivery" } else { "deliveries" }));
    }
    Ok(Exit::Done)
}

async fn list(it: &List) -> Result<Exit, Failure> {
    let client = it.common.server.connect()?;
    let found = client.json(client.request(Method::GET, &["topics"]).query(&[("namespace", &it.namespace.namespace)])).await?;
    let count = |topic: &Value, key: &str| topic.get(key).and_then(Value::as_u64).unwrap_or_default().to_string();
    let row = |topic: &Value| vec![text(topic, "topic"), count(topic, "functions"), count(topic, "subscriptions")];
    listed(&found, "topics", "no topic has a subscriber", &["TOPIC", "FUNCTIONS", "SUBSCRIPTIONS"], row, it.common.output.json)
}

async fn show(it: &Show) -> Result<Exit, Failure> {
    let client = it.common.server.connect()?;
    let request = client.request(Method::GET, &["topics", &it.topic]).query(&[("namespace", &it.namespace.namespace)]);
    let found = client.json(request).await?;
    let row = |one: &Value| {
        let filter = one.get("filter").map(Value::to_string).unwrap_or_default();
        let state = if one.get("ended").is_some() { "ended (410 Gone)" } else { "active" };
        vec![text(one, "name"), destination(one.get("to").unwrap_or(&Value::Null)), state.to_owned(), filter]
    };
    listed(&found, "subscribers", "nobody is subscribed", &["SUBSCRIPTION", "TO", "STATE", "FILTER"], row, it.common.output.json)
}

/// As it is written on the command line.
pub(super) fn destination(to: &Value) -> String {
    let Some((kind, what)) = to.as_object().and_then(|to| to.iter().next()) else { return String::new() };
    match (kind.as_str(), what) {
        ("function", name) => name.as_str().unwrap_or_default().to_owned(),
        ("webhook", endpoint) => text(endpoint, "url"),
        (kind, name) => format!("{kind}:{}", name.as_str().unwrap_or_default()),
    }
}

pub(super) fn listed(
    found: &Value,
    key: &str,
    none: &str,
    head: &[&str],
    row: impl Fn(&Value) -> Vec<String>,
    json: bool,
) -> Result<Exit, Failure> {
    let all: Vec<&Value> = found.get(key).and_then(Value::as_array).into_iter().flatten().collect();
    if json {
        all.into_iter().for_each(output::json);
    } else if all.is_empty() {
        eprintln!("{none}");
    } else {
        output::table(head, &all.into_iter().map(row).collect::<Vec<_>>());
    }
    Ok(Exit::Done)
}

async fn subscribe(it: &Subscribe) -> Result<Exit, Failure> {
    let client = it.common.server.connect()?;
    let mut wanted = json!({ "to": it.to });
    if let Some(filter) = &it.filter {
        wanted["filter"] = serde_json::from_str(filter).map_err(|error| Failure::usage(format!("--filter is no JSON: {error}")))?;
    }
    if let Some(secret) = &it.secret {
        wanted["secret"] = json!(secret);
    }
    if !it.egress.is_empty() {
        wanted["egress"] = json!(it.egress);
    }
    let request = client.request(Method::PUT, &["topics", &it.topic, "subscriptions", &it.name]);
    let made = client.json(request.query(&[("namespace", &it.namespace.namespace)]).json(&wanted)).await?;
    if it.common.output.json {
        made.get("subscribers").and_then(|all| all.get(0)).into_iter().for_each(output::json);
    } else {
        output::line_out(&format!("{} is subscribed to {}", it.name, it.topic));
    }
    Ok(Exit::Done)
}

async fn unsubscribe(it: &Unsubscribe) -> Result<Exit, Failure> {
    let client = it.common.server.connect()?;
    let request = client.request(Method::DELETE, &["topics", &it.topic, "subscriptions", &it.name]);
    client.send(request.query(&[("namespace", &it.namespace.namespace)])).await?;
    if it.common.output.json {
        output::json(&json!({ "topic": it.topic, "removed": it.name }));
    } else {
        output::line_out(&format!("{} gets no more of {}", it.name, it.topic));
    }
    Ok(Exit::Done)
}
