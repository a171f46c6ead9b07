//! `mote event …`: sample events, to see what a function gets and to call it with one.

use clap::{Args, Subcommand, ValueEnum};
use mote_core::function::ObjectChange;
use serde_json::{Value, json};

use crate::cli::Output;
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote event list
  mote event show object-created
  mote event show object-created | mote invoke resize --event -";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Event {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the kinds of events
    #[command(after_help = "Example:\n  mote event list")]
    List(Output),
    /// Print a sample of one kind
    #[command(after_help = "Example:\n  mote event show object-created | jq .data")]
    Show(Show),
}

#[derive(Debug, Args)]
struct Show {
    /// The kind
    #[arg(value_enum)]
    kind: Kind,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A request to a function's URL or route
    HttpRequest,
    /// A call by name: `mote invoke`, or the API
    Invoke,
    /// An object was stored
    ObjectCreated,
    /// An object was deleted
    ObjectRemoved,
}

impl Event {
    pub(super) fn json(&self) -> bool {
        match &self.verb {
            Verb::List(output) => output.json,
            Verb::Show(it) => it.output.json,
        }
    }

    pub(super) fn run(self) -> Result<Exit, Failure> {
        match self.verb {
            Verb::List(output) => list(output.json),
            Verb::Show(it) if it.output.json => output::json(&sample(it.kind)),
            // For reading; the same object.
            Verb::Show(it) => output::line_out(&serde_json::to_string_pretty(&sample(it.kind)).unwrap_or_default()),
        }
        Ok(Exit::Done)
    }
}

fn list(json: bool) {
    let kinds = Kind::value_variants().iter().filter_map(|kind| {
        let value = kind.to_possible_value()?;
        let about = value.get_help().map(ToString::to_string).unwrap_or_default();
        Some((value.get_name().to_owned(), sample(*kind)["type"].as_str().unwrap_or_default().to_owned(), about))
    });
    if json {
        let kinds: Vec<_> = kinds.map(|(name, kind, about)| json!({ "name": name, "type": kind, "about": about })).collect();
        output::json(&json!({ "events": kinds }));
    } else {
        output::table(&["NAME", "TYPE", "WHEN"], &kinds.map(|(name, kind, about)| vec![name, kind, about]).collect::<Vec<_>>());
    }
}

/// As a function's `event` parameter holds it.
fn sample(kind: Kind) -> Value {
    let attributes = |source: &str, kind: &str, more: Value| {
        let mut event = json!({
            "specversion": "1.0", "id": "019a3c5e-7b1c-7f00-8a2b-6a1b2c3d4e5f", "source": source, "type": kind,
            "time": "2026-11-22T19:16:26.123Z", "datacontenttype": "application/json",
        });
        if let (Some(event), Value::Object(more)) = (event.as_object_mut(), more) {
            event.extend(more);
        }
        event
    };
    match kind {
        Kind::HttpRequest => {
            let http = json!({
                "method": "POST", "path": "/orders/17", "query": "urgent=1", "params": { "id": "17" },
                "headers": { "content-type": "application/json", "host": "127.0.0.1:8080" }, "peer": "127.0.0.1",
            });
            attributes("/http", "mote.http.request", json!({ "http": http, "data": { "amount": 3 } }))
        }
        Kind::Invoke => attributes("/control", "mote.invoke", json!({ "data": { "a": 1, "b": 2, "c": 3 } })),
        Kind::ObjectCreated => object(ObjectChange::Created, &attributes),
        Kind::ObjectRemoved => object(ObjectChange::Removed, &attributes),
    }
}

fn object(change: ObjectChange, attributes: &dyn Fn(&str, &str, Value) -> Value) -> Value {
    let data = json!({
        "bucket": "photos", "key": "2026/cat.jpg", "size": 48_213, "etag": "9b2cf535f27731c974343645a3985328", "content_type": "image/jpeg",
    });
    attributes("/buckets/photos", change.kind(), json!({ "subject": "2026/cat.jpg", "data": data }))
}
