//! `mote secret`: values that functions are given by name, and that nobody reads back.
//!
//! A value comes from a terminal, standard input or a file, and never from the command line: that
//! is what every process on the machine can read, and what a shell keeps in its history.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use mote_core::clock::Timestamp;
use mote_core::secret::Secret as Value;
use reqwest::Method;
use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

use super::{Common, Namespace};
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::{output, prompt};

const EXAMPLES: &str = "\
Examples:
  mote secret set db-password
  pass show db | mote secret set db-password
  mote secret set tls-key --file key.pem --exact
  mote secret list
  mote secret remove db-password

mote.toml gives one to a function: `[secrets]` with `DATABASE_PASSWORD = \"db-password\"` as a
variable, `[secret_files]` with `\"key.pem\" = \"tls-key\"` as the file /secrets/key.pem. A new value
needs no deploy: the next call has it.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Secret {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Give a secret a value: asked for on a terminal, else read from standard input
    Set(Set),
    /// List names and generations, and the functions that use them; never values
    List(List),
    /// Take a secret away
    Remove(Remove),
}

const SETTING: &str = "\
Examples:
  mote secret set db-password                          # asks for it, without an echo
  pass show db | mote secret set db-password
  mote secret set tls-key --file key.pem --exact";

#[derive(Debug, Args)]
#[command(after_help = SETTING)]
struct Set {
    /// The secret
    name: String,
    /// Read the value from this file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Keep a final line end of the file or of standard input, which otherwise is cut off
    #[arg(long)]
    exact: bool,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Remove {
    /// The secret
    name: String,
    /// Even if a live version uses it: its next instance then fails to start
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    common: Common,
}

impl Secret {
    pub(super) fn json(&self) -> bool {
        match &self.verb {
            Verb::Set(it) => it.common.output.json,
            Verb::List(it) => it.common.output.json,
            Verb::Remove(it) => it.common.output.json,
        }
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let json = self.json();
        match self.verb {
            Verb::Set(it) => set(it, json).await,
            Verb::List(it) => list(&it.common.server.connect()?, &it.namespace.namespace, json).await,
            Verb::Remove(it) => remove(it, json).await,
        }
    }
}

async fn set(it: Set, json: bool) -> Result<Exit, Failure> {
    // Before anything is typed: who has no server should not have to type it twice.
    let client = it.common.server.connect()?;
    let value = it.value()?;
    let request = client.request(Method::PUT, &["secrets", &it.name]).query(&[("namespace", &it.namespace.namespace)]);
    let set = client.json(request.body(value.to_vec())).await?;
    if json {
        output::json(&set);
    } else {
        let generation = set.get("generation").and_then(Json::as_u64).unwrap_or_default();
        let what = if generation > 1 { "has a new value, which the next calls get" } else { "is set" };
        output::line_out(&format!("{} {what} (generation {generation})", it.name));
    }
    Ok(Exit::Done)
}

impl Set {
    fn value(&self) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let mut value = match &self.file {
            Some(file) => {
                let opened =
                    std::fs::File::open(file).map_err(|error| Failure::usage(format!("{} can't be read: {error}", file.display())))?;
                prompt::bounded(opened, Value::BYTES_MAX)?
            }
            None if prompt::is_asked() => prompt::secret_twice(&format!("value of {}: ", self.name), Value::BYTES_MAX)?,
            None => prompt::bounded(std::io::stdin().lock(), Value::BYTES_MAX)?,
        };
        if !self.exact {
            prompt::cut_line_end(&mut value);
        }
        if value.is_empty() {
            return Err(Failure::usage("the value is empty").hint(format!("Pipe it in, or type it: `mote secret set {}`.", self.name)));
        }
        Ok(value)
    }
}

async fn list(client: &Client, namespace: &str, json: bool) -> Result<Exit, Failure> {
    let listed = client.json(client.request(Method::GET, &["secrets"]).query(&[("namespace", namespace)])).await?;
    if json {
        output::json(&listed);
        return Ok(Exit::Done);
    }
    let secrets = listed.get("secrets").and_then(Json::as_array).into_iter().flatten();
    let rows: Vec<_> = secrets.map(row).collect();
    if rows.is_empty() {
        eprintln!("no secrets");
        eprintln!("{} `mote secret set NAME` makes one.", output::bold("hint:"));
    } else {
        output::table(&["SECRET", "GENERATION", "CHANGED", "USED BY"], &rows);
    }
    Ok(Exit::Done)
}

fn row(secret: &Json) -> Vec<String> {
    let number = |key: &str| secret.get(key).and_then(Json::as_u64).unwrap_or_default();
    let users = secret.get("used_by").and_then(Json::as_array).into_iter().flatten();
    let users: Vec<&str> = users.filter_map(Json::as_str).collect();
    let name = secret.get("name").and_then(Json::as_str).unwrap_or_default().to_owned();
    let users = if users.is_empty() { "-".to_owned() } else { users.join(", ") };
    vec![name, number("generation").to_string(), Timestamp(number("changed")).rfc3339(), users]
}

async fn remove(it: Remove, json: bool) -> Result<Exit, Failure> {
    let client = it.common.server.connect()?;
    let mut request = client.request(Method::DELETE, &["secrets", &it.name]).query(&[("namespace", &it.namespace.namespace)]);
    if it.force {
        request = request.query(&[("force", "1")]);
    }
    client.send(request).await?;
    if json {
        output::json(&json!({ "name": it.name, "removed": true }));
    } else {
        output::line_out(&format!("{} is removed", it.name));
    }
    Ok(Exit::Done)
}
