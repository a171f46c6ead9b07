//! `mote logs [NAME]`: what functions and the platform said, and go on saying.

use clap::Args;
use mote_core::clock::{Clock, SystemClock, Timestamp};
use reqwest::Method;
use serde_json::Value;

use crate::cli::{Common, Namespace, age};
use crate::client::lines;
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote logs
  mote logs formula -f
  mote logs formula --since 10m --tail 500
  mote logs --invocation 019a3c5e-7b1c-7000-8000-6a1b2c3d4e5f
  mote logs -f --json | jq -r .text

With --json: one object a line, {\"time\",\"function\",\"version\",\"invocation\",\"stream\",\"text\"}.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Logs {
    /// The function [default: all of the namespace]
    name: Option<String>,
    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,
    /// The newest so many lines
    #[arg(long, value_name = "N", default_value_t = 100)]
    tail: usize,
    /// Not older than this: `30s`, `10m`, `2h`, `7d`
    #[arg(long, value_name = "AGE", value_parser = age)]
    since: Option<u64>,
    /// What one call said
    #[arg(long, value_name = "ID")]
    invocation: Option<String>,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Logs {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let client = self.common.server.connect()?;
        let mut query = vec![("namespace", self.namespace.namespace.clone()), ("tail", self.tail.to_string())];
        query.extend(self.name.clone().map(|name| ("function", name)));
        query.extend(self.invocation.clone().map(|id| ("invocation", id)));
        query.extend(self.since.map(|age| ("since", SystemClock::new().now().0.saturating_sub(age).to_string())));
        query.extend(self.follow.then(|| ("follow", "1".to_owned())));
        let reply = client.send(client.request(Method::GET, &["logs"]).query(&query)).await?;
        let (json, alone) = (self.common.output.json, self.name.is_some());
        let mut silent = true;
        lines(reply, |line| {
            silent = false;
            if let Some(failure) = Failure::from_wire(&line) {
                return Err(failure);
            }
            let text = if json { line.to_string() } else { worded(&line, alone, None) };
            output::bytes_out(format!("{text}\n").as_bytes())
        })
        .await?;
        // A removed function's lines can still be read, so only silence makes the name doubtful.
        if let Some(name) = self.name.filter(|_| silent) {
            let namespace = &self.namespace.namespace;
            let request = client.request(Method::GET, &["functions", &name]).query(&[("namespace", namespace)]);
            if let Err(failure) = client.json(request).await {
                return Err(client.advise(failure, namespace, &name).await);
            }
        }
        if silent && !json && !self.follow {
            eprintln!("no lines");
        }
        Ok(Exit::Done)
    }
}

/// `19:46:14.120 formula  text`; the platform's own words stand behind a `•`.
pub(super) fn worded(line: &Value, alone: bool, tint: Option<usize>) -> String {
    let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default();
    let time = line.get("time").and_then(Value::as_u64).map(|ms| Timestamp(ms).rfc3339()).unwrap_or_default();
    let clock = time.get(11..23).unwrap_or_default();
    let name = if alone { String::new() } else { format!("{:<12} ", text("function")) };
    let name = tint.map_or_else(|| name.clone(), |index| output::tint(&name, index));
    let mark = if text("stream") == "platform" { "• " } else { "" };
    // A line of a function is shown as one line, whatever it holds: no control sequence of its own.
    let said: String = text("text").chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { ' ' } else { c }).collect();
    format!("{} {name}{mark}{said}", output::dim(clock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_function_moves_no_cursor() {
        let line = serde_json::json!({"time": 0, "function": "f", "stream": "stdout", "text": "a\u{1b}[2Jb"});
        assert!(!worded(&line, true, None).contains('\u{1b}'));
    }
}
