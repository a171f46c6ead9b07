//! `mote calls list`: the records of calls, newest first.

use clap::Args;
use mote_core::clock::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::calls::text;
use crate::cli::{Common, Namespace, age};
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::output;

/// Records asked for at a time.
const PAGE: usize = 500;

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    pub(in crate::cli) which: Which,
    /// The newest so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    pub(super) namespace: Namespace,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Which records are meant.
#[derive(Debug, Default, Args)]
pub(in crate::cli) struct Which {
    /// Of one function alone
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) function: Option<String>,
    /// Those that failed, were cut off or answered 5xx
    #[arg(long)]
    pub(in crate::cli) failed: bool,
    /// Those that answered this status
    #[arg(long, value_name = "CODE")]
    status: Option<u16>,
    /// Not older than this: `30s`, `10m`, `2h`, `7d`
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub(in crate::cli) since: Option<u64>,
    /// Brought by this caller, as the listing shows it
    #[arg(long, value_name = "WHO")]
    caller: Option<String>,
    /// With this text somewhere in the error
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
}

impl List {
    pub(super) async fn run(&self) -> Result<Exit, Failure> {
        let client = self.common.server.connect()?;
        let found = self.which.find(&client, &self.namespace.namespace, self.limit).await?;
        if self.common.output.json {
            output::json(&json!({ "calls": found }));
        } else if found.is_empty() {
            eprintln!("no records of such calls");
        } else {
            let rows: Vec<_> = found.iter().map(row).collect();
            output::table(&["ID", "FUNCTION", "BEGAN", "TOOK", "ATTEMPT", "CALLER", "END"], &rows);
        }
        Ok(Exit::Done)
    }
}

impl Which {
    /// The newest so many, over as many pages as that takes.
    pub(in crate::cli) async fn find(&self, client: &Client, namespace: &str, limit: usize) -> Result<Vec<Value>, Failure> {
        let mut query = vec![("namespace", namespace.to_owned())];
        query.extend(self.function.clone().map(|name| ("function", name)));
        query.extend(self.failed.then(|| ("failed", "1".to_owned())));
        query.extend(self.status.map(|status| ("status", status.to_string())));
        query.extend(self.since.map(|ms| ("since", format!("{}s", ms.div_ceil(1000)))));
        query.extend(self.caller.clone().map(|caller| ("caller", caller)));
        query.extend(self.error.clone().map(|error| ("error", error)));
        let (mut found, mut before): (Vec<Value>, Option<u64>) = (Vec::new(), None);
        while found.len() < limit {
            let mut page = query.clone();
            page.push(("limit", PAGE.min(limit - found.len()).to_string()));
            page.extend(before.map(|before| ("before", before.to_string())));
            let mut page = client.json(client.request(Method::GET, &["calls"]).query(&page)).await?;
            if let Some(records) = page.get_mut("calls").and_then(Value::as_array_mut) {
                found.append(records);
            }
            before = page.get("next").and_then(Value::as_u64);
            if before.is_none() {
                break;
            }
        }
        Ok(found)
    }
}

fn row(record: &Value) -> Vec<String> {
    let number = |key: &str| record.get(key).and_then(Value::as_u64).unwrap_or_default();
    let name = record.get("function").map(|function| text(function, "name")).unwrap_or_default();
    let took = output::duration(took(record));
    vec![text(record, "id"), name, Timestamp(number("began")).rfc3339(), took, number("attempt").to_string(), caller(record), end(record)]
}

pub(in crate::cli) fn took(record: &Value) -> std::time::Duration {
    let us = record.get("phases").and_then(|phases| phases.get("whole_us")).and_then(Value::as_u64).unwrap_or_default();
    std::time::Duration::from_micros(us)
}

/// Who brought the event, or by which way it came where nobody did.
pub(in crate::cli) fn caller(record: &Value) -> String {
    let event = record.get("event").cloned().unwrap_or_default();
    let caller = event.get("lineage").map(|lineage| text(lineage, "caller")).unwrap_or_default();
    if caller.is_empty() { text(&event, "source") } else { caller }
}

/// `200, 12 B`, `function-failed: …` in one line.
pub(in crate::cli) fn end(record: &Value) -> String {
    const CHARS_MAX: usize = 80;
    match text(record, "end").as_str() {
        "replied" => {
            let number = |key: &str| record.get(key).and_then(Value::as_u64).unwrap_or_default();
            format!("{}, {}", number("status"), output::bytes(number("reply_bytes")))
        }
        "failed" => {
            let last = text(record, "report").lines().last().unwrap_or_default().to_owned();
            let said = if last.is_empty() { text(record, "message") } else { last };
            let said: String = said.chars().filter(|c| !c.is_control()).take(CHARS_MAX).collect();
            format!("{}: {said}", text(record, "code"))
        }
        _ => "cut off".to_owned(),
    }
}
