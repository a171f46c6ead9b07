//! `mote calls …`: which calls there were, and what became of them.

pub(super) mod list;

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use mote_core::clock::Timestamp;
use reqwest::Method;
use serde_json::Value;

use crate::cli::{Common, Namespace, age};
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote calls list --failed --since 1h
  ID=$(mote invoke report --async)
  mote calls wait $ID
  mote calls show $ID --json
  mote calls cancel $ID";

/// The server lets a request wait for so long at most.
const ASK_AGAIN: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Calls {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List records of calls, newest first: a line for each attempt
    #[command(
        after_help = "Examples:\n  mote calls list --function thumbnail --failed\n  mote calls list --error KeyError --since 1d --json | jq -r '.calls[].id'"
    )]
    List(list::List),
    /// Tell how a call stands
    #[command(after_help = "Example:\n  mote calls show 0193f1f0-5a6b-7c3d-8e9f-000102030405 --json")]
    Show(One),
    /// Wait for a call's end, and print its reply's body
    #[command(
        after_help = "Examples:\n  mote calls wait 0193f1f0-5a6b-7c3d-8e9f-000102030405\n  mote calls wait $ID --for 10m > report.pdf\n\nExits 1 if the call failed or was cancelled, or is not over by then."
    )]
    Wait(Wait),
    /// Take back a call that has not begun
    #[command(after_help = "Example:\n  mote calls cancel 0193f1f0-5a6b-7c3d-8e9f-000102030405")]
    Cancel(One),
}

#[derive(Debug, Args)]
pub(super) struct One {
    /// The call's id, as `mote invoke --async` prints it
    pub(super) id: String,
    #[command(flatten)]
    pub(super) namespace: Namespace,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Debug, Args)]
pub(super) struct Wait {
    #[command(flatten)]
    pub(super) one: One,
    /// How long: `90s`, `10m` [default: as long as it takes]
    #[arg(long = "for", value_name = "TIME", value_parser = age)]
    pub(super) limit: Option<u64>,
}

impl Calls {
    pub(super) fn json(&self) -> bool {
        match &self.verb {
            Verb::List(it) => it.common.output.json,
            Verb::Show(it) | Verb::Cancel(it) => it.common.output.json,
            Verb::Wait(it) => it.one.common.output.json,
        }
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        match &self.verb {
            Verb::List(it) => it.run().await,
            Verb::Show(it) => show(it, &it.ask(Method::GET, Duration::ZERO).await?),
            Verb::Cancel(it) => show(it, &it.ask(Method::DELETE, Duration::ZERO).await?),
            Verb::Wait(it) => it.run().await,
        }
    }
}

impl One {
    async fn ask(&self, method: Method, wait: Duration) -> Result<Value, Failure> {
        let client = self.common.server.connect()?;
        let wait = format!("{}ms", wait.as_millis());
        let query = [("namespace", self.namespace.namespace.as_str()), ("wait", &wait)];
        client.json(client.request(method, &["calls", &self.id]).query(&query)).await
    }
}

impl Wait {
    pub(super) async fn run(&self) -> Result<Exit, Failure> {
        let until = self.limit.map(|ms| Instant::now() + Duration::from_millis(ms));
        loop {
            let left = until.map_or(ASK_AGAIN, |until| until.saturating_duration_since(Instant::now()).min(ASK_AGAIN));
            let status = self.one.ask(Method::GET, left).await?;
            let state = text(&status, "state");
            if !matches!(state.as_str(), "queued" | "running") {
                return self.over(&status, &state);
            }
            if until.is_some_and(|until| until <= Instant::now()) {
                return Err(
                    Failure::refused(format!("the call is {state} still")).hint("It goes on; `mote calls wait` can be asked again.")
                );
            }
        }
    }

    fn over(&self, status: &Value, state: &str) -> Result<Exit, Failure> {
        let exit = if state == "succeeded" { Exit::Done } else { Exit::Refused };
        if self.one.common.output.json {
            output::json(status);
            return Ok(exit);
        }
        if let Some(error) = status.get("error") {
            return Err(Failure::refused(format!("the call failed: {}: {}", text(error, "code"), text(error, "message")))
                .hint("`mote dlq show ID` has every attempt's error; `mote dlq redrive ID` sends it again."));
        }
        let Some(reply) = status.get("reply") else {
            return Err(Failure::refused(format!("the call was {state}")));
        };
        output::bytes_out(&body(reply)?)?;
        Ok(exit)
    }
}

/// As it was kept: text, or bytes in base64.
fn body(reply: &Value) -> Result<Vec<u8>, Failure> {
    use base64::Engine as _;
    let kept = reply.get("body").cloned().unwrap_or_default();
    let bytes = match (kept.get("text").and_then(Value::as_str), kept.get("base64").and_then(Value::as_str)) {
        (Some(text), _) => Some(text.as_bytes().to_vec()),
        (None, Some(coded)) => base64::engine::general_purpose::STANDARD.decode(coded).ok(),
        (None, None) => None,
    };
    let length = reply.get("body_bytes").and_then(Value::as_u64).unwrap_or_default();
    bytes.filter(|bytes| bytes.len() as u64 == length).ok_or_else(|| {
        Failure::refused(format!("the call succeeded, but its reply of {length} bytes was not kept"))
            .hint("Of calls that nobody waits for up to 256 KiB are kept; have the function write what is large into a bucket.")
    })
}

fn show(it: &One, status: &Value) -> Result<Exit, Failure> {
    if it.common.output.json {
        output::json(status);
        return Ok(Exit::Done);
    }
    let time = |key: &str| status.get(key).and_then(Value::as_u64).map(|ms| Timestamp(ms).rfc3339());
    let function = status.get("function").map(|function| text(function, "name")).unwrap_or_default();
    let attempts = status.get("attempts").and_then(Value::as_u64).unwrap_or_default();
    let mut rows = vec![("function", function), ("state", text(status, "state")), ("attempts", attempts.to_string())];
    rows.extend(
        [("accepted", "accepted"), ("due", "due"), ("ended", "ended")].into_iter().filter_map(|(name, key)| Some((name, time(key)?))),
    );
    if let Some(reply) = status.get("reply") {
        let number = |key: &str| reply.get(key).and_then(Value::as_u64).unwrap_or_default();
        rows.push(("reply", format!("{}, {} bytes {}", number("status"), number("body_bytes"), text(reply, "content_type"))));
    }
    if let Some(error) = status.get("error") {
        rows.push(("error", format!("{}: {}", text(error, "code"), text(error, "message"))));
    }
    for (name, value) in rows {
        output::line_out(&format!("{:<10}{value}", output::dim(name)));
    }
    if status.get("flow").is_some() {
        output::line_out(&format!("{:<10}`mote flow show {}`", output::dim("steps"), it.id));
    }
    for failed in status.get("failed").and_then(Value::as_array).into_iter().flatten() {
        let at = failed.get("at").and_then(Value::as_u64).map(|ms| Timestamp(ms).rfc3339()).unwrap_or_default();
        let attempt = failed.get("attempt").and_then(Value::as_u64).unwrap_or_default();
        output::line_out(&format!("attempt {attempt} at {at}: {}", text(failed, "error")));
    }
    Ok(Exit::Done)
}

pub(super) fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}
