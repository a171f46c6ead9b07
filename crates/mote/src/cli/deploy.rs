//! `mote deploy PATH`: pack, send, show the steps, and say where it answers.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::list::bound_to;
use crate::cli::{Common, Namespace};
use crate::client::{Client, lines};
use crate::failure::{Exit, Failure};
use crate::output;
use crate::pack::{self, Packed};

const EXAMPLES: &str = "\
Examples:
  mote deploy formula.py
  mote deploy ./orders --name orders-v2
  mote deploy ./resize --namespace shop --json | jq -r .url
  mote deploy ./sam-app --set Stage=prod

With --json: {\"name\",\"version\",\"url\",…}; of a folder with several functions {\"functions\":[…]}.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Deploy {
    /// A file, or a folder
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// The function's name, instead of the manifest's or the path's
    #[arg(long)]
    name: Option<String>,
    /// A parameter of a template.yaml, or an option of a serverless.yml; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
    /// Show the function's own errors to its callers
    #[arg(long)]
    dev: bool,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Deploy {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let client = self.common.server.connect()?;
        let waiting = output::Waiting::start("packing");
        let wish = Wish { namespace: &self.namespace.namespace, name: self.name.as_deref(), dev: self.dev };
        let mut parameters = pack::asked(&self.path);
        parameters.extend(self.set);
        let packed = pack::pack_with(&self.path, &parameters)?;
        let mut said = Vec::new();
        let sent = tokio::select! {
            sent = send(&client, packed, &wish, |line| {
                waiting.say(line);
                said.push(line.to_owned());
            }) => Some(sent),
            () = interrupted() => None,
        };
        // A program reads the error alone; from a moving line, the words are gone.
        let known = if waiting.stays() && !self.common.output.json { said } else { Vec::new() };
        drop(waiting);
        let Some(deployed) = sent.transpose().map_err(|failure| failure.without(&known))? else {
            eprintln!("stopped waiting: the server goes on with the deploy; `mote list` tells when it is live");
            return Ok(Exit::Interrupted);
        };
        if self.common.output.json {
            match deployed.as_slice() {
                [one] => output::json(one),
                several => output::json(&json!({ "functions": several })),
            }
        } else {
            for one in &deployed {
                show(one, &fired_by(&client, one).await);
            }
        }
        Ok(Exit::Done)
    }
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("NAME=VALUE is wanted")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// What fires it beside its URL. It is live already: what can't be asked now is left out.
async fn fired_by(client: &Client, deployed: &Value) -> Vec<String> {
    let text = |key: &str| deployed.get(key).and_then(Value::as_str).unwrap_or_default();
    let request = client.request(Method::GET, &["functions", text("name")]).query(&[("namespace", text("namespace"))]);
    let described = client.json(request).await.unwrap_or_default();
    described.get("function").map(bound_to).unwrap_or_default()
}

/// Ctrl-C. Where it can't be heard, it ends the program as it always did.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What is wished for beside the files.
pub(super) struct Wish<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: Option<&'a str>,
    pub(super) dev: bool,
}

/// Deploys what is packed; `say` gets each line of progress.
pub(super) async fn send(client: &Client, packed: Packed, wish: &Wish<'_>, mut say: impl FnMut(&str)) -> Result<Vec<Value>, Failure> {
    let mut query = vec![("namespace", wish.namespace)];
    query.extend(wish.name.map(|name| ("name", name)));
    query.extend(packed.name.as_deref().map(|name| ("default_name", name)));
    query.extend(wish.dev.then_some(("dev", "1")));
    let request = client.request(Method::POST, &["deploy"]).query(&query);
    let reply = client.send(request.header("content-type", "application/gzip").body(packed.archive)).await?;
    let mut done = None;
    lines(reply, |line| {
        if let Some(text) = line.get("progress").and_then(Value::as_str) {
            say(text);
        } else if let Some(failure) = Failure::from_wire(&line) {
            return Err(failure);
        } else if let Some(deployed) = line.get("done").and_then(Value::as_array) {
            done = Some(deployed.clone());
        }
        Ok(true)
    })
    .await?;
    let mut deployed = done.ok_or_else(|| {
        Failure::platform("the server stopped answering in the middle of the deploy").hint("`mote list` tells whether the version is live.")
    })?;
    let public = client.public().await.unwrap_or_default();
    deployed.iter_mut().for_each(|one| complete(&public, one));
    Ok(deployed)
}

/// Adds `url`: the server tells the path, and the door it is on separately.
fn complete(public: &str, deployed: &mut Value) {
    if deployed.get("url").is_none_or(Value::is_null) {
        let path = deployed.get("path").and_then(Value::as_str);
        deployed["url"] = path.map_or(Value::Null, |path| format!("{public}{path}").into());
    }
}

fn show(deployed: &Value, fired_by: &[String]) {
    let text = |key: &str| deployed.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let time = |key: &str| Duration::from_millis(deployed.get(key).and_then(Value::as_u64).unwrap_or_default());
    // `mote doctor` names them, and those that this host lacks.
    let barriers = deployed.get("isolation").and_then(Value::as_array).map_or(0, Vec::len);
    let dependencies = time("dependencies_ms");
    let version = deployed.get("version").and_then(Value::as_u64).unwrap_or_default();
    output::line_out(&output::bold(&format!("{} is live", text("name"))));
    output::pairs(&[
        ("  url", if text("url").is_empty() { "none".to_owned() } else { text("url") }),
        ("  fired by", fired_by.join(", ")),
        ("  version", version.to_string()),
        ("  runtime", text("runtime")),
        ("  isolation", format!("{barriers} barriers")),
        ("  dependencies", if dependencies.is_zero() { "nothing to install".to_owned() } else { output::duration(dependencies) }),
        ("  total", output::duration(time("total_ms"))),
    ]);
}
