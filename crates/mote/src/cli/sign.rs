//! `mote sign NAME`: a URL by which whoever has it may make one kind of call, for a while.

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::{Common, Namespace, age};
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote sign report --expires 10m
  mote sign upload --method POST --path '/upload/2026?kind=photo' --expires 1h
  curl \"$(mote sign report --expires 1m)\"
  mote sign --rotate --namespace shop

The function's manifest says `access = \"signed\"`. The URL is good for this method, path and
query alone. --rotate voids every URL of the namespace that was signed before.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Sign {
    /// The function
    #[arg(required_unless_present = "rotate", conflicts_with = "rotate")]
    name: Option<String>,
    /// The path on the public door, with its query [default: the function's URL]
    #[arg(long, value_name = "PATH", conflicts_with = "rotate")]
    path: Option<String>,
    /// For how long, up to 7d: `90s`, `10m`, `1h`
    #[arg(long, value_name = "TIME", value_parser = age, default_value = "10m", conflicts_with = "rotate")]
    expires: u64,
    /// The method of the call
    #[arg(long, value_name = "METHOD", default_value = "GET", conflicts_with = "rotate")]
    method: String,
    /// Void all URLs of the namespace instead
    #[arg(long)]
    rotate: bool,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Sign {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let client = self.common.server.connect()?;
        let (namespace, json) = (&self.namespace.namespace, self.common.output.json);
        let Some(name) = &self.name else {
            client.send(client.request(Method::POST, &["signing", "rotate"]).query(&[("namespace", namespace)])).await?;
            let said = json!({ "namespace": namespace, "rotated": true });
            let line = format!("every URL that was signed in {namespace} is void");
            if json {
                output::json(&said)
            } else {
                output::line_out(&line)
            }
            return Ok(Exit::Done);
        };
        let mut asked = json!({ "method": self.method.to_ascii_uppercase(), "expires_s": self.expires.div_ceil(1000) });
        if let Some(path) = &self.path {
            asked["path"] = path.as_str().into();
        }
        let request = client.request(Method::POST, &["functions", name, "sign"]).query(&[("namespace", namespace)]).json(&asked);
        let signed = match client.json(request).await {
            Ok(signed) => signed,
            Err(failure) => return Err(client.advise(failure, namespace, name).await),
        };
        if json {
            output::json(&signed);
        } else {
            output::line_out(signed.get("url").and_then(Value::as_str).unwrap_or_default());
        }
        Ok(Exit::Done)
    }
}
