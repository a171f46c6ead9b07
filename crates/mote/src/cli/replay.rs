//! `mote replay ID`: the event of a call once more, or those of many.

use std::time::Duration;

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::calls::list::Which;
use crate::cli::calls::{One, Wait, text};
use crate::cli::{Common, Namespace};
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote replay 0193f1f0-5a6b-7c3d-8e9f-000102030405 --wait
  mote replay $ID --live
  mote replay --failed --since 1h --function thumbnail --live --rate 10

A replay is a call of its own, tried once, without the first caller's credentials.";

/// Calls that are replayed at one go, at most.
const MANY_MAX: usize = 10_000;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Replay {
    /// The call's id
    #[arg(required_unless_present = "failed", conflicts_with_all = ["failed", "function", "since", "status", "caller", "error"])]
    id: Option<String>,
    /// On the version that is live now [default: the one that ran]
    #[arg(long, conflicts_with = "version")]
    live: bool,
    /// On this version
    #[arg(long, value_name = "N")]
    version: Option<u64>,
    /// Wait for the end, and print the reply's body
    #[arg(long, conflicts_with = "failed")]
    wait: bool,
    #[command(flatten)]
    which: Which,
    /// So many a second
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Replay {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let client = self.common.server.connect()?;
        let Some(id) = &self.id else { return self.many(&client).await };
        let accepted = self.again(&client, id).await?;
        let new = text(&accepted, "id");
        if self.wait {
            return Wait { one: One { id: new, namespace: self.namespace, common: self.common }, limit: None }.run().await;
        }
        if self.common.output.json {
            output::json(&accepted)
        } else {
            output::line_out(&new)
        }
        Ok(Exit::Done)
    }

    async fn again(&self, client: &Client, id: &str) -> Result<Value, Failure> {
        let mut query = vec![("namespace", self.namespace.namespace.clone())];
        query.extend(self.live.then(|| ("version", "live".to_owned())));
        query.extend(self.version.map(|version| ("version", version.to_string())));
        client.json(client.request(Method::POST, &["calls", id, "replay"]).query(&query)).await
    }

    async fn state(&self, client: &Client, id: &str) -> Result<String, Failure> {
        let query = [("namespace", self.namespace.namespace.as_str())];
        Ok(text(&client.json(client.request(Method::GET, &["calls", id]).query(&query)).await?, "state"))
    }

    /// Oldest first, as they came. One that can't be replayed holds none of the others up.
    async fn many(&self, client: &Client) -> Result<Exit, Failure> {
        let found = self.which.find(client, &self.namespace.namespace, MANY_MAX).await?;
        let mut ids: Vec<String> = found.iter().rev().map(|record| text(record, "id")).collect();
        // Each attempt has a record.
        let mut seen = std::collections::HashSet::new();
        ids.retain(|id| seen.insert(id.clone()));
        let mut pace = tokio::time::interval(Duration::from_secs(1) / self.rate);
        let (mut replayed, mut left, mut refused) = (0, 0, 0);
        for id in &ids {
            pace.tick().await;
            // Of a call with several attempts, one that failed is not the end.
            match self.state(client, id).await {
                Ok(state) if state != "failed" && state != "cancelled" => {
                    left += 1;
                    eprintln!("{id}: left alone, since it is {state} by now");
                    continue;
                }
                _ => {}
            }
            match self.again(client, id).await {
                Ok(accepted) => {
                    replayed += 1;
                    match (text(&accepted, "id"), self.common.output.json) {
                        (new, true) => output::json(&json!({ "replayed": id, "id": new })),
                        (new, false) => output::line_out(&new),
                    }
                }
                Err(failure) => {
                    refused += 1;
                    eprintln!("{id}: {}", failure.found());
                }
            }
        }
        eprintln!("{replayed} replayed, {left} left alone, {refused} refused");
        Ok(if refused == 0 { Exit::Done } else { Exit::Refused })
    }
}
