//! `mote trace ID`: how a call came about, what came of it, and where its time went.

use clap::Args;
use mote_core::clock::Timestamp;
use mote_core::invoke::deliver::STEP;
use reqwest::Method;
use serde_json::Value;

use crate::cli::calls::list::{caller, end, took};
use crate::cli::calls::text;
use crate::cli::logs::worded;
use crate::cli::{Common, Namespace};
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote trace 0193f1f0-5a6b-7c3d-8e9f-000102030405
  mote trace $ID --json | jq '.calls[].id'

A call's id is in the `X-Request-Id` of every reply, in each error, and in `mote calls list`.";

/// Characters of the longest bar.
const BAR: usize = 40;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Trace {
    /// The call's id
    id: String,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Trace {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let client = self.common.server.connect()?;
        let query = [("namespace", self.namespace.namespace.as_str())];
        let trace = client.json(client.request(Method::GET, &["calls", &self.id, "trace"]).query(&query)).await?;
        if self.common.output.json {
            output::json(&trace);
        } else {
            words(&trace).iter().for_each(|line| output::line_out(line));
        }
        Ok(Exit::Done)
    }
}

fn words(trace: &Value) -> Vec<String> {
    let calls: Vec<&Value> = array(trace, "calls").collect();
    let asked = text(trace, "id");
    let mut lines = Vec::new();
    if let Some(root) = calls.first() {
        if let Some(cause) = root.get("cause") {
            lines.push(output::dim(&format!("… {} by {}, of which no record is kept", text(cause, "how"), text(cause, "call"))));
        }
        tree(&calls, root, &asked, 0, &mut lines);
    }
    if trace.get("more").and_then(Value::as_bool).unwrap_or_default() {
        lines.push(output::dim("… and more calls than one trace holds"));
    }
    if let Some(call) = calls.iter().find(|call| text(call, "id") == asked) {
        lines.push(String::new());
        lines.extend(event(call));
        array(call, "attempts").for_each(|record| lines.extend(attempt(record)));
    }
    let said: Vec<String> = array(trace, "logs").map(|line| format!("  {}", worded(line, true, None))).collect();
    if !said.is_empty() {
        lines.extend([String::new(), output::bold("log")]);
        lines.extend(said);
    }
    lines
}

/// One line for a call, and below it those that it led to.
fn tree(calls: &[&Value], call: &Value, asked: &str, level: usize, lines: &mut Vec<String>) {
    let id = text(call, "id");
    let last = array(call, "attempts").last();
    let status = call.get("status");
    let function = last.or(status).and_then(|known| known.get("function")).map(|function| text(function, "name")).unwrap_or_default();
    let state = match (status.map(|status| text(status, "state")), last) {
        // Where the durable path has not come to an end, that is the news.
        (Some(state), _) if matches!(state.as_str(), "queued" | "running" | "cancelled") => state,
        (Some(state), Some(record)) if state == "failed" => format!("given up: {}", end(record)),
        (_, Some(record)) => end(record),
        (Some(state), None) => state,
        (None, None) => String::new(),
    };
    let time = last.map(|record| format!("  {}", output::duration(took(record)))).unwrap_or_default();
    let how = call.get("cause").filter(|_| level > 0).map(|cause| format!("{} ", led(&text(cause, "how")))).unwrap_or_default();
    let branch = if level == 0 { String::new() } else { format!("{}└─ ", "   ".repeat(level - 1)) };
    let step = last.and_then(|record| record.get("event")?.get("extensions")?.get(STEP)?.as_str());
    let step = step.filter(|step| *step != function).map(|step| format!(" at `{step}`")).unwrap_or_default();
    let name = if id == asked { output::bold(&format!("{function} ◀")) } else { function };
    lines.push(format!("{branch}{how}{name}{step}  {state}{time}  {}", output::dim(&id)));
    for next in calls.iter().filter(|next| next.get("cause").is_some_and(|cause| text(cause, "call") == id)) {
        tree(calls, next, asked, level + 1, lines);
    }
}

fn led(how: &str) -> &str {
    match how {
        "called" => "called",
        "succeeded" => "on success",
        "failed" => "on failure",
        "replayed" => "replayed as",
        other => other,
    }
}

/// What the call was given.
fn event(call: &Value) -> Vec<String> {
    let Some(record) = array(call, "attempts").last() else { return Vec::new() };
    let event = record.get("event").cloned().unwrap_or_default();
    let mut lines = vec![
        format!("{}  {} from {}  {}", output::bold("event"), text(&event, "type"), text(&event, "source"), text(&event, "subject")),
        format!("  by {}", caller(record)),
    ];
    if let Some(request) = event.get("request") {
        let query = text(request, "query");
        let mark = if query.is_empty() { "" } else { "?" };
        lines.push(format!("  {} {}{mark}{query}", text(request, "method"), text(request, "path")));
    }
    let kept = record.get("body_kept").and_then(Value::as_bool).unwrap_or_default();
    let bytes = record.get("body_bytes").and_then(Value::as_u64);
    lines.push(match bytes {
        Some(0) => "  no data".to_owned(),
        _ => {
            let size = bytes.map_or("of unknown size".to_owned(), output::bytes);
            format!("  data {size}{}", if kept { "" } else { ", not kept" })
        }
    });
    lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
}

/// Its phases as bars below one another, and how it ended.
fn attempt(record: &Value) -> Vec<String> {
    let number = |key: &str| record.get(key).and_then(Value::as_u64).unwrap_or_default();
    let phase = |key: &str| record.get("phases").and_then(|phases| phases.get(key)).and_then(Value::as_u64).unwrap_or_default();
    let began = number("began");
    let mut lines = vec![format!(
        "{}  at {}, version {}: {}",
        output::bold(&format!("attempt {}", number("attempt"))),
        Timestamp(began).rfc3339(),
        number("version"),
        end(record)
    )];
    let waited = record.get("accepted").and_then(Value::as_u64).map(|accepted| began.saturating_sub(accepted) * 1000);
    let (queue, start, run, whole) = (phase("queue_us"), phase("start_us"), phase("run_us"), phase("whole_us"));
    let cold = record.get("phases").and_then(|phases| phases.get("cold")).and_then(Value::as_bool).unwrap_or_default();
    let reply = whole.saturating_sub(queue + start + run);
    if let Some(waited) = waited {
        lines.push(format!("  accepted {} before", output::duration(std::time::Duration::from_micros(waited))));
    }
    let mut at = 0;
    for (name, us) in [("queued", queue), (if cold { "cold start" } else { "warm" }, start), ("run", run), ("reply", reply)] {
        lines.push(bar(name, at, us, whole));
        at += us;
    }
    lines.extend(text(record, "report").lines().map(|line| format!("    {}", plain(line))));
    lines
}

fn bar(name: &str, from: u64, us: u64, whole: u64) -> String {
    let cell = |us: u64| usize::try_from(us.saturating_mul(BAR as u64) / whole.max(1)).unwrap_or(BAR).min(BAR);
    let (before, length) = (cell(from), cell(us).max(usize::from(us > 0)));
    let bar = format!("{}{}", " ".repeat(before.min(BAR - 1)), "━".repeat(length.min(BAR - before.min(BAR - 1))));
    format!("  {name:<10} {bar:<BAR$} {}", output::duration(std::time::Duration::from_micros(us)))
}

/// A function's own words move no cursor.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { ' ' } else { c }).collect()
}

fn array<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tree_shows_what_led_to_what() {
        let record = |id: &str, name: &str| {
            json!({"id": id, "function": {"name": name}, "attempt": 1, "version": 1, "began": 0, "end": "replied", "status": 200,
                   "reply_bytes": 2, "phases": {"queue_us": 0, "start_us": 500, "run_us": 500, "whole_us": 1000, "cold": true}})
        };
        let trace = json!({"id": "b", "more": false, "logs": [], "calls": [
            {"id": "a", "attempts": [record("a", "upload")], "cause": {"how": "called", "call": "z"}},
            {"id": "b", "attempts": [record("b", "thumb\u{1b}")], "cause": {"how": "succeeded", "call": "a"}},
            {"id": "c", "attempts": [], "status": {"function": {"name": "audit"}, "state": "queued"}, "cause": {"how": "called", "call": "b"}},
        ]});
        let lines = words(&trace);
        assert!(lines[0].contains("called by z"), "{lines:#?}");
        assert!(lines[1].starts_with("upload  200, 2 B"), "{lines:#?}");
        assert!(lines[2].starts_with("└─ on success thumb"), "{lines:#?}");
        assert!(lines[3].starts_with("   └─ called audit  queued"), "{lines:#?}");
        let half = "━".repeat(BAR / 2);
        assert!(lines.iter().any(|line| line.starts_with(&format!("  cold start {half} "))), "{lines:#?}");
    }
}
