//! `mote quota …`: what a namespace may use.

use clap::{Args, Subcommand};
use mote_dialects::plain::size_bytes;
use reqwest::Method;
use serde_json::{Map, Value};

use crate::cli::{Common, Namespace};
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote quota set --namespace shop --rate 100/s --burst 200 --calls 50
  mote quota set --caller-rate 10/s
  mote quota set --namespace shop --rate none
  mote quota show --namespace shop

A rate is written 100/s, 600/m or 1000/h. `none` takes a limit away; what is not named stays.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Quota {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Limit a namespace; for an administrator of all
    #[command(after_help = "Example:\n  mote quota set --namespace shop --rate 100/s --functions 100")]
    Set(Box<Set>),
    /// Show the limits, and what of them is used
    #[command(after_help = "Example:\n  mote quota show --namespace shop --json")]
    Show(Show),
}

#[derive(Debug, Args)]
struct Set {
    /// Calls, sends and uses of objects, of all callers together
    #[arg(long, value_name = "RATE")]
    rate: Option<String>,
    /// How many of them may come at once [default: those of a second]
    #[arg(long, value_name = "N")]
    burst: Option<String>,
    /// The same for each token, and for each address without one
    #[arg(long, value_name = "RATE")]
    caller_rate: Option<String>,
    /// How many of one caller may come at once
    #[arg(long, value_name = "N")]
    caller_burst: Option<String>,
    /// Calls that run or wait at the same time
    #[arg(long, value_name = "N")]
    calls: Option<String>,
    /// Functions
    #[arg(long, value_name = "N")]
    functions: Option<String>,
    /// Events that wait to run
    #[arg(long, value_name = "N")]
    queued: Option<String>,
    /// Tokens
    #[arg(long, value_name = "N")]
    tokens: Option<String>,
    /// Devices that are connected over MQTT
    #[arg(long, value_name = "N")]
    connections: Option<String>,
    /// What objects may take, parts of uploads included
    #[arg(long, value_name = "SIZE")]
    stored: Option<String>,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Show {
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    common: Common,
}

impl Set {
    fn patch(&self) -> Result<Map<String, Value>, Failure> {
        let texts = [("rate", &self.rate), ("caller_rate", &self.caller_rate)];
        let counts = [
            ("burst", &self.burst),
            ("caller_burst", &self.caller_burst),
            ("calls", &self.calls),
            ("functions", &self.functions),
            ("queued", &self.queued),
            ("tokens", &self.tokens),
            ("connections", &self.connections),
        ];
        let mut patch = Map::new();
        for (name, text) in texts {
            if let Some(text) = text {
                patch.insert(name.to_owned(), if text == "none" { Value::Null } else { text.as_str().into() });
            }
        }
        for (name, text) in counts {
            let Some(text) = text else { continue };
            let value = if text == "none" { Some(Value::Null) } else { text.parse::<u64>().ok().map(Value::from) };
            let value = value
                .ok_or_else(|| Failure::usage(format!("--{} is {text:?}", name.replace('_', "-"))).wanted("wanted: a number, or `none`"))?;
            patch.insert(name.to_owned(), value);
        }
        if let Some(text) = &self.stored {
            let bytes = if text == "none" { Some(Value::Null) } else { size_bytes(text).map(Value::from) };
            let wrong = || Failure::usage(format!("--stored is {text:?}")).wanted("wanted: a size such as 500MB or 10GiB, or `none`");
            patch.insert("stored".to_owned(), bytes.ok_or_else(wrong)?);
        }
        if patch.is_empty() {
            return Err(
                Failure::usage("no limit is named").hint("`mote quota set --help` lists them; `mote quota show` tells what is set.")
            );
        }
        Ok(patch)
    }
}

impl Quota {
    pub(super) fn json(&self) -> bool {
        match &self.verb {
            Verb::Set(it) => it.common.output.json,
            Verb::Show(it) => it.common.output.json,
        }
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let (common, namespace) = match &self.verb {
            Verb::Set(it) => (&it.common, &it.namespace.namespace),
            Verb::Show(it) => (&it.common, &it.namespace.namespace),
        };
        let patch = match &self.verb {
            Verb::Set(it) => Some(it.patch()?),
            Verb::Show(_) => None,
        };
        let client = common.server.connect()?;
        let request = match patch {
            Some(patch) => client.request(Method::PATCH, &["quota"]).json(&patch),
            None => client.request(Method::GET, &["quota"]),
        };
        let report = client.json(request.query(&[("namespace", namespace)])).await?;
        if common.output.json {
            output::json(&report);
        } else {
            output::table(&["QUOTA", "LIMIT", "USED"], &rows(&report));
        }
        Ok(Exit::Done)
    }
}

fn rows(report: &Value) -> Vec<Vec<String>> {
    const NAMES: [&str; 10] =
        ["rate", "burst", "caller_rate", "caller_burst", "calls", "functions", "queued", "tokens", "connections", "stored"];
    let shown = |of: &str, name: &str, none: &str| match report.get(of).and_then(|of| of.get(name)) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => none.to_owned(),
    };
    NAMES.iter().map(|name| vec![name.replace('_', "-"), shown("quota", name, "none"), shown("used", name, "")]).collect()
}
