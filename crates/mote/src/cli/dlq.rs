//! `mote dlq …`: events that were given up, to look at and to send again.

use clap::{Args, Subcommand};
use mote_core::clock::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::calls::text;
use crate::cli::trace::plain;
use crate::cli::{Common, Namespace};
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote dlq list
  mote dlq list --webhooks
  mote dlq list --queues
  mote dlq show 0193f1f0-5a6b-7c3d-8e9f-000102030405
  mote dlq redrive --function thumbnail --rate 10
  mote dlq purge --all";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Dlq {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List dead letters, oldest first
    #[command(after_help = "Examples:\n  mote dlq list --function thumbnail\n  mote dlq list --json | jq -r .id")]
    List(List),
    /// Show one dead letter: its event, its reason, every attempt's error
    #[command(after_help = "Example:\n  mote dlq show 0193f1f0-5a6b-7c3d-8e9f-000102030405")]
    Show(Show),
    /// Send dead letters to their functions again
    #[command(
        after_help = "Examples:\n  mote dlq redrive 0193f1f0-5a6b-7c3d-8e9f-000102030405\n  mote dlq redrive --function thumbnail --rate 10\n  mote dlq redrive --all"
    )]
    Redrive(Redrive),
    /// Forget dead letters
    #[command(after_help = "Examples:\n  mote dlq purge 0193f1f0-5a6b-7c3d-8e9f-000102030405\n  mote dlq purge --function thumbnail")]
    Purge(Purge),
}

#[derive(Debug, Args)]
struct List {
    /// Of one function alone
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
    /// Of events for webhooks, in place of those for functions
    #[arg(long, conflicts_with_all = ["function", "queues"])]
    webhooks: bool,
    /// Of messages for queues, in place of events for functions
    #[arg(long, conflicts_with = "function")]
    queues: bool,
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Those that come after this one
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Show {
    /// The call's id
    id: String,
    /// Of events for webhooks, in place of those for functions
    #[arg(long, conflicts_with = "queues")]
    webhooks: bool,
    /// Of messages for queues, in place of events for functions
    #[arg(long)]
    queues: bool,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Redrive {
    #[command(flatten)]
    chosen: Chosen,
    /// So many a second, instead of all at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
}

#[derive(Debug, Args)]
struct Purge {
    #[command(flatten)]
    chosen: Chosen,
}

/// One of the three is needed: nobody deals with all of them by leaving something out.
#[derive(Debug, Args)]
struct Chosen {
    /// The calls' ids
    #[arg(value_name = "ID", required_unless_present_any = ["function", "all"])]
    ids: Vec<String>,
    /// Every one of this function
    #[arg(long, value_name = "NAME", conflicts_with = "ids")]
    function: Option<String>,
    /// Every one of the namespace
    #[arg(long, conflicts_with_all = ["ids", "function"])]
    all: bool,
    /// Of events for webhooks, in place of those for functions
    #[arg(long, conflicts_with_all = ["function", "queues"])]
    webhooks: bool,
    /// Of messages for queues, in place of events for functions
    #[arg(long, conflicts_with = "function")]
    queues: bool,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    common: Common,
}

impl Dlq {
    pub(super) fn json(&self) -> bool {
        match &self.verb {
            Verb::List(it) => it.common.output.json,
            Verb::Show(it) => it.common.output.json,
            Verb::Redrive(Redrive { chosen, .. }) | Verb::Purge(Purge { chosen }) => chosen.common.output.json,
        }
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        match &self.verb {
            Verb::List(it) => list(it).await,
            Verb::Show(it) => show(it).await,
            Verb::Redrive(it) => it.chosen.settle("redrive", it.rate, "sent again").await,
            Verb::Purge(it) => it.chosen.settle("purge", None, "forgotten").await,
        }
    }
}

async fn list(it: &List) -> Result<Exit, Failure> {
    let client = it.common.server.connect()?;
    let mut query = vec![("namespace", it.namespace.namespace.clone()), ("limit", it.limit.to_string())];
    query.extend(it.webhooks.then(|| ("webhooks", "1".to_owned())));
    query.extend(it.queues.then(|| ("queues", "1".to_owned())));
    query.extend(it.function.clone().map(|name| ("function", name)));
    query.extend(it.after.clone().map(|id| ("after", id)));
    let found = client.json(client.request(Method::GET, &["dead"]).query(&query)).await?;
    let letters: Vec<&Value> = found.get("dead").and_then(Value::as_array).into_iter().flatten().collect();
    if it.common.output.json {
        letters.into_iter().for_each(output::json);
    } else if letters.is_empty() {
        eprintln!("no dead letters");
    } else {
        let rows: Vec<_> = letters.into_iter().map(row).collect();
        output::table(&["ID", "FUNCTION", "GIVEN UP", "ATTEMPTS", "REASON"], &rows);
    }
    Ok(Exit::Done)
}

fn row(letter: &Value) -> Vec<String> {
    const REASON_CHARS_MAX: usize = 80;
    let reason = text(letter, "reason");
    let mut short: String = reason.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect();
    if short.len() < reason.len() {
        short.push('…');
    }
    let buried = letter.get("buried").and_then(Value::as_u64).map(|ms| Timestamp(ms).rfc3339()).unwrap_or_default();
    let attempts = letter.get("attempts").and_then(Value::as_u64).unwrap_or_default();
    vec![text(letter, "id"), text(letter, "function"), buried, attempts.to_string(), short]
}

async fn show(it: &Show) -> Result<Exit, Failure> {
    let client = it.common.server.connect()?;
    let query = [("namespace", it.namespace.namespace.as_str()), ("webhooks", flag(it.webhooks)), ("queues", flag(it.queues))];
    let found = client.json(client.request(Method::GET, &["dead", &it.id]).query(&query)).await?;
    let Some(letter) = found.get("dead").and_then(|letters| letters.get(0)) else {
        return Err(Failure::refused(format!("there is no dead letter {}", it.id)).hint("`mote dlq list` shows those there are."));
    };
    if it.common.output.json {
        output::json(letter);
        return Ok(Exit::Done);
    }
    // Its records have the function's own words; they may be gone, and the letter is not.
    let trace = client.json(client.request(Method::GET, &["calls", &it.id, "trace"]).query(&query)).await.unwrap_or_default();
    words(letter, &trace).iter().for_each(|line| output::line_out(line));
    Ok(Exit::Done)
}

/// The event's head, its data as a person reads it, and each attempt's error with the function's own words.
fn words(letter: &Value, trace: &Value) -> Vec<String> {
    let time = |value: &Value, key: &str| value.get(key).and_then(Value::as_u64).map(|ms| Timestamp(ms).rfc3339()).unwrap_or_default();
    let count = |value: &Value, key: &str| value.get(key).and_then(Value::as_u64).unwrap_or_default();
    let mut lines = vec![
        format!(
            "{}  given up {} after attempt {}",
            output::bold(&text(letter, "function")),
            time(letter, "buried"),
            count(letter, "attempts")
        ),
        format!("reason    {}", plain(&text(letter, "reason"))),
    ];
    let event = letter.get("event").cloned().unwrap_or_default();
    lines.push(format!("accepted  {}", time(letter, "accepted")));
    lines.push(
        format!("event     {} from {}  {}", text(&event, "type"), text(&event, "source"), text(&event, "subject")).trim_end().to_owned(),
    );
    lines.extend(["", "data"].map(str::to_owned));
    lines.extend(data(&event).lines().map(|line| format!("  {}", plain(line))));
    let id = text(letter, "id");
    let calls = trace.get("calls").and_then(Value::as_array).into_iter().flatten();
    let records = calls.filter(|call| text(call, "id") == id).filter_map(|call| call.get("attempts")?.as_array()).flatten();
    let records: Vec<&Value> = records.collect();
    let failed = letter.get("failed").and_then(Value::as_array).into_iter().flatten();
    let last = json!({ "attempt": letter.get("attempts"), "at": letter.get("buried"), "error": letter.get("reason") });
    for one in failed.chain([&last]) {
        let number = count(one, "attempt");
        lines.push(String::new());
        lines.push(format!("attempt {number}  {}  {}", time(one, "at"), plain(&text(one, "error"))));
        // Sent again, it counts from 1 anew: the newest of a number is meant.
        let record = records.iter().rfind(|record| count(record, "attempt") == number);
        let report = record.map(|record| text(record, "report")).unwrap_or_default();
        lines.extend(report.lines().map(|line| format!("  {}", plain(line))));
    }
    lines
}

/// JSON on lines of its own, other text as it is, and of bytes their number.
fn data(event: &Value) -> String {
    let body = event.get("body").cloned().unwrap_or_default();
    match (body.get("text").and_then(Value::as_str), body.get("base64").and_then(Value::as_str)) {
        (Some(""), _) => "(none)".to_owned(),
        (Some(text), _) => {
            let json: Option<Value> = serde_json::from_str(text).ok();
            json.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_else(|| text.to_owned())
        }
        (None, Some(coded)) => format!("({} bytes that are no text; `--json` has them)", coded.trim_end_matches('=').len() * 3 / 4),
        (None, None) => "(it can't be read)".to_owned(),
    }
}

fn flag(on: bool) -> &'static str {
    if on { "1" } else { "0" }
}

impl Chosen {
    async fn settle(&self, verb: &str, rate: Option<u32>, done: &str) -> Result<Exit, Failure> {
        let client = self.common.server.connect()?;
        let mut asked = json!({ "all": self.all });
        if !self.ids.is_empty() {
            asked["ids"] = json!(self.ids);
        }
        if let Some(name) = &self.function {
            asked["function"] = json!(name);
        }
        if let Some(rate) = rate {
            asked["per_second"] = json!(rate);
        }
        let query = [("namespace", self.namespace.namespace.as_str()), ("webhooks", flag(self.webhooks)), ("queues", flag(self.queues))];
        let settled = client.json(client.request(Method::POST, &["dead", verb]).query(&query).json(&asked)).await?;
        if self.common.output.json {
            output::json(&settled);
        } else {
            output::line_out(&format!("{} {done}", settled.get("count").and_then(Value::as_u64).unwrap_or_default()));
        }
        Ok(Exit::Done)
    }
}
