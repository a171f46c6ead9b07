//! `mote namespace list`: the namespaces that hold anything. One begins with its first function,
//! bucket or token, and needs no making.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use crate::cli::Common;
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote namespace list
  mote deploy orders.py --namespace shop
  MOTE_NAMESPACE=shop mote list";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Namespaces {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the namespaces that you may know of
    #[command(after_help = "Example:\n  mote namespace list --json")]
    List(Common),
}

impl Namespaces {
    pub(super) fn json(&self) -> bool {
        let Verb::List(common) = &self.verb;
        common.output.json
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let Verb::List(common) = &self.verb;
        let client = common.server.connect()?;
        let listed = client.json(client.request(Method::GET, &["namespaces"])).await?;
        if common.output.json {
            output::json(&listed);
            return Ok(Exit::Done);
        }
        let count = |value: &Value, key: &str| value.get(key).and_then(Value::as_u64).unwrap_or_default().to_string();
        let row = |one: &Value| {
            let name = one.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            vec![name, count(one, "functions"), count(one, "buckets"), count(one, "tokens")]
        };
        let rows: Vec<_> = listed.get("namespaces").and_then(Value::as_array).into_iter().flatten().map(row).collect();
        output::table(&["NAMESPACE", "FUNCTIONS", "BUCKETS", "TOKENS"], &rows);
        Ok(Exit::Done)
    }
}
