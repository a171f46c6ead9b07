//! What can be said of a queue: as flags, and as it is shown.

use clap::Args;
use mote_dialects::plain::{duration_ms, size_bytes};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{Named, count};
use crate::cli::calls::text;
use crate::failure::{Exit, Failure};
use crate::output;

#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    pub(super) queue: Named,
    /// Messages of one group come in order, one at a time; for good
    #[arg(long)]
    fifo: bool,
    #[command(flatten)]
    settings: Flags,
}

#[derive(Debug, Args)]
pub(super) struct Set {
    #[command(flatten)]
    pub(super) queue: Named,
    #[command(flatten)]
    settings: Flags,
    /// Messages that are received too often stay
    #[arg(long, conflicts_with = "dead_letters")]
    no_dead_letters: bool,
    /// Nobody is told how full it is
    #[arg(long, conflicts_with = "alarm_to")]
    no_alarm: bool,
}

#[derive(Debug, Args)]
struct Flags {
    /// How long a received message is nobody else's [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    visibility: Option<u64>,
    /// How long a receiver waits who does not say how long [default: 0]
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    receive_wait: Option<u64>,
    /// How long a new message waits before anybody can receive it [default: 0]
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    delay: Option<u64>,
    /// An older message goes away [default: 96h]
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    retention: Option<u64>,
    /// The largest body [default: 256KiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    message_bytes: Option<u64>,
    /// Messages that may lie in it [default: 1000000]
    #[arg(long, value_name = "N")]
    messages: Option<u64>,
    /// How long a key is remembered that must not come twice [default: 5m]
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    dedup: Option<u64>,
    /// A message without a key has the digest of its body; `=false` ends that
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    dedup_by_content: Option<bool>,
    /// Where a message goes that was received too often
    #[arg(long, value_name = "QUEUE")]
    dead_letters: Option<String>,
    /// How often a message is received before it is a dead letter
    #[arg(long, value_name = "N", default_value_t = 5, requires = "dead_letters")]
    receives: u32,
    /// Tell when so many messages lie in it
    #[arg(long, value_name = "N", requires = "alarm_to")]
    alarm_messages: Option<u64>,
    /// Tell when one has waited for so long
    #[arg(long, value_name = "TIME", value_parser = time_ms, requires = "alarm_to")]
    alarm_age: Option<u64>,
    /// Whom to tell: a function, `topic:NAME`, `queue:NAME`, a URL
    #[arg(long, value_name = "DESTINATION")]
    alarm_to: Option<String>,
}

impl Create {
    pub(super) async fn run(&self) -> Result<Exit, Failure> {
        let client = self.queue.common.server.connect()?;
        let name = &self.queue.name;
        if client.send_raw(self.queue.request(&client, Method::GET, None)).await?.status().is_success() {
            return Err(Failure::refused(format!("there is a queue {name} already"))
                .hint(format!("`mote queue set {name} …` changes what is said of it.")));
        }
        let mut patch = self.settings.patch();
        if self.fifo {
            patch.insert("fifo".to_owned(), json!(true));
        }
        put(&self.queue, patch, "is there").await
    }
}

impl Set {
    pub(super) async fn run(&self) -> Result<Exit, Failure> {
        let client = self.queue.common.server.connect()?;
        // A name that was mistyped makes no queue.
        client.send(self.queue.request(&client, Method::GET, None)).await?;
        let mut patch = self.settings.patch();
        for (key, is_off) in [("dead_letters", self.no_dead_letters), ("alarm", self.no_alarm)] {
            if is_off {
                patch.insert(key.to_owned(), Value::Null);
            }
        }
        if patch.is_empty() {
            return Err(Failure::usage("nothing to set").wanted("wanted: at least one setting, such as `--visibility 1m`"));
        }
        put(&self.queue, patch, "is set").await
    }
}

async fn put(queue: &Named, patch: Map<String, Value>, done: &str) -> Result<Exit, Failure> {
    let client = queue.common.server.connect()?;
    let made = client.json(queue.request(&client, Method::PUT, None).json(&patch)).await?;
    if queue.common.output.json {
        output::json(&made);
    } else {
        output::line_out(&format!("the queue {} {done}", queue.name));
    }
    Ok(Exit::Done)
}

impl Flags {
    fn patch(&self) -> Map<String, Value> {
        let mut patch = Map::new();
        let numbers = [
            ("visibility_ms", self.visibility),
            ("receive_wait_ms", self.receive_wait),
            ("delay_ms", self.delay),
            ("retention_ms", self.retention),
            ("message_bytes_max", self.message_bytes),
            ("messages_max", self.messages),
            ("dedup_ms", self.dedup),
        ];
        patch.extend(numbers.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value?)))));
        patch.extend(self.dedup_by_content.map(|is| ("dedup_by_content".to_owned(), json!(is))));
        let rule = self.dead_letters.as_ref().map(|queue| json!({ "queue": queue, "receives_max": self.receives }));
        patch.extend(rule.map(|rule| ("dead_letters".to_owned(), rule)));
        let alarm = self.alarm_to.as_ref().map(|to| json!({ "to": to, "messages": self.alarm_messages, "age_ms": self.alarm_age }));
        patch.extend(alarm.map(|alarm| ("alarm".to_owned(), alarm)));
        patch
    }
}

/// As they are written on the command line.
pub(super) fn shown(settings: &Value) -> Vec<(&'static str, String)> {
    let number = |of: &Value, key: &str| of.get(key).and_then(Value::as_u64);
    let time = |key: &str| number(settings, key).map(in_time).unwrap_or_default();
    let is = |key: &str| if settings.get(key) == Some(&Value::Bool(true)) { "yes" } else { "no" }.to_owned();
    let dead = settings.get("dead_letters").map(|rule| format!("{} after {} receives", text(rule, "queue"), count(rule, "receives_max")));
    let alarm = settings.get("alarm").map(|alarm| {
        let at = [number(alarm, "messages").map(|most| format!("{most} messages")), number(alarm, "age_ms").map(in_time)];
        format!("{} at {}", text(alarm, "to"), at.into_iter().flatten().collect::<Vec<_>>().join(" or "))
    });
    vec![
        ("visibility", time("visibility_ms")),
        ("receive wait", time("receive_wait_ms")),
        ("delay", time("delay_ms")),
        ("retention", time("retention_ms")),
        ("message bytes", number(settings, "message_bytes_max").map(output::bytes).unwrap_or_default()),
        ("messages at most", count(settings, "messages_max")),
        ("fifo", is("fifo")),
        ("dedup", time("dedup_ms")),
        ("dedup by content", is("dedup_by_content")),
        ("dead letters", dead.unwrap_or_default()),
        ("alarm", alarm.unwrap_or_default()),
    ]
}

fn in_time(ms: u64) -> String {
    match ms {
        0 => "0".to_owned(),
        ms if ms.is_multiple_of(3_600_000) => format!("{}h", ms / 3_600_000),
        ms if ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
        ms if ms.is_multiple_of(1000) => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

pub(super) fn time_ms(text: &str) -> Result<u64, String> {
    let ms = if text == "0" { Some(0) } else { duration_ms(text) };
    ms.ok_or_else(|| "wanted: a time with its unit, such as 500ms, 30s, 5m or 12h".to_owned())
}

fn size(text: &str) -> Result<u64, String> {
    size_bytes(text).ok_or_else(|| "wanted: a size with its unit, such as 64KiB or 1MiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_given_again() {
        for ms in [0, 1, 500, 1000, 90_000, 300_000, 43_200_000, 345_600_000] {
            assert_eq!(time_ms(&in_time(ms)), Ok(ms));
        }
        for bad in ["", "30", "-1s", "s", "1 week", "99999999999999999999h"] {
            assert!(time_ms(bad).is_err(), "{bad}");
        }
    }
}
