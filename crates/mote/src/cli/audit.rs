//! `mote audit`: who changed what, and who tried what he may not.

use clap::Args;
use mote_core::clock::Timestamp;
use reqwest::Method;
use serde_json::Value;

use crate::cli::Common;
use crate::cli::token::Place;
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote audit
  mote audit --all --tail 1000
  mote audit --namespace shop --json | jq -r 'select(.result == \"forbidden\") | .who'

With --json: one object a line, {\"time\",\"who\",\"verb\",\"namespace\",\"about\",\"result\"}.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Audit {
    /// The newest so many lines
    #[arg(long, value_name = "N", default_value_t = 100)]
    tail: usize,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Audit {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let client = self.common.server.connect()?;
        let tail = self.tail.to_string();
        let asked = client.request(Method::GET, &["audit"]).query(&[self.place.query(), ("tail", &tail)]);
        let found = client.json(asked).await?;
        let lines: Vec<&Value> = found.get("audit").and_then(Value::as_array).into_iter().flatten().collect();
        if self.common.output.json {
            lines.iter().for_each(output::json);
        } else if lines.is_empty() {
            eprintln!("no lines");
        } else {
            let rows: Vec<_> = lines.into_iter().map(row).collect();
            output::table(&["TIME", "WHO", "DID", "NAMESPACE", "TO", "RESULT"], &rows);
        }
        Ok(Exit::Done)
    }
}

fn row(line: &Value) -> Vec<String> {
    let text = |key: &str| {
        let said = line.get(key).and_then(Value::as_str).unwrap_or_default();
        // A bucket's name that was refused is whatever somebody sent.
        said.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>()
    };
    let time = line.get("time").and_then(Value::as_u64).map(|ms| Timestamp(ms).rfc3339()).unwrap_or_default();
    vec![time, text("who"), text("verb"), text("namespace"), text("about"), text("result")]
}
