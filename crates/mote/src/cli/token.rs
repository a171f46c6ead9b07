//! `mote token …`: credentials for others than the administrator.

use clap::{Args, Subcommand};
use mote_core::access::rights::Right;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::{Common, Namespace, age};
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote token create ci --right deploy --namespace shop --expires 30d
  mote token create dashboard --right read --all
  mote token create uploads --right invoke,read --s3
  mote token list --all
  mote token revoke ci --namespace shop

Rights: invoke (call, send, write objects), deploy (functions, buckets, secrets), read (functions, logs, objects),
admin (all of it, and tokens). They hold in one namespace, or in all of them with --all.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Token {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a token; it is printed this once
    #[command(
        after_help = "Examples:\n  mote token create ci --right deploy --expires 30d\n  mote token create ci --right deploy --json | jq -r .token"
    )]
    Create(Create),
    /// List the tokens, without their secrets
    #[command(after_help = "Examples:\n  mote token list\n  mote token list --all --json")]
    List(List),
    /// Make a token void, at once
    #[command(after_help = "Example:\n  mote token revoke ci")]
    Revoke(Revoke),
}

#[derive(Debug, Args)]
struct Create {
    /// What the lists and the audit call it
    name: String,
    /// What it may do: of invoke, deploy, read and admin
    #[arg(long = "right", value_name = "RIGHTS", value_delimiter = ',', required = true, value_parser = right)]
    rights: Vec<Right>,
    /// For how long: `12h`, `30d` [default: until it is revoked]
    #[arg(long, value_name = "TIME", value_parser = age)]
    expires: Option<u64>,
    /// With an access key pair for S3 clients
    #[arg(long)]
    s3: bool,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Revoke {
    /// The token's name
    name: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    common: Common,
}

/// One namespace, or all of them.
#[derive(Debug, Args)]
pub(super) struct Place {
    #[command(flatten)]
    namespace: Namespace,
    /// All namespaces, also those to come
    #[arg(long)]
    all: bool,
}

impl Place {
    pub(super) fn query(&self) -> (&'static str, &str) {
        if self.all { ("all", "1") } else { ("namespace", &self.namespace.namespace) }
    }
}

impl Token {
    pub(super) fn json(&self) -> bool {
        match &self.verb {
            Verb::Create(it) => it.common.output.json,
            Verb::List(it) => it.common.output.json,
            Verb::Revoke(it) => it.common.output.json,
        }
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        match &self.verb {
            Verb::Create(it) => create(it).await,
            Verb::List(it) => list(it).await,
            Verb::Revoke(it) => revoke(it).await,
        }
    }
}

async fn create(it: &Create) -> Result<Exit, Failure> {
    let client = it.common.server.connect()?;
    let mut asked = json!({ "name": it.name, "rights": it.rights, "s3": it.s3 });
    if let Some(ms) = it.expires {
        asked["expires_s"] = ms.div_ceil(1000).into();
    }
    let made = client.json(client.request(Method::POST, &["tokens"]).query(&[it.place.query()]).json(&asked)).await?;
    if it.common.output.json {
        output::json(&made);
        return Ok(Exit::Done);
    }
    // The token alone on standard output, for `TOKEN=$(mote token create …)`.
    output::line_out(&text(&made, "token"));
    if it.s3 {
        output::line_out(&format!("AWS_ACCESS_KEY_ID={}", text(&made, "access_key_id")));
        output::line_out(&format!("AWS_SECRET_ACCESS_KEY={}", text(&made, "secret_access_key")));
    }
    eprintln!("{} may {} in {}. It is not shown again.", it.name, rights(&made), place(&made));
    Ok(Exit::Done)
}

async fn list(it: &List) -> Result<Exit, Failure> {
    let client = it.common.server.connect()?;
    let listed = client.json(client.request(Method::GET, &["tokens"]).query(&[it.place.query()])).await?;
    if it.common.output.json {
        output::json(&listed);
        return Ok(Exit::Done);
    }
    let tokens = listed.get("tokens").and_then(Value::as_array).into_iter().flatten();
    let row = |token| vec![text(token, "name"), place(token), rights(token), expires(token), text(token, "access_key_id")];
    let rows: Vec<_> = tokens.map(row).collect();
    if rows.is_empty() {
        eprintln!("no tokens");
        eprintln!("{} `mote token create NAME --right RIGHTS` makes one.", output::bold("hint:"));
    } else {
        output::table(&["TOKEN", "NAMESPACE", "RIGHTS", "EXPIRES", "ACCESS KEY"], &rows);
    }
    Ok(Exit::Done)
}

async fn revoke(it: &Revoke) -> Result<Exit, Failure> {
    let client = it.common.server.connect()?;
    client.send(client.request(Method::DELETE, &["tokens", &it.name]).query(&[it.place.query()])).await?;
    if it.common.output.json {
        output::json(&json!({ "name": it.name, "revoked": true }));
    } else {
        output::line_out(&format!("{} is void", it.name));
    }
    Ok(Exit::Done)
}

fn place(token: &Value) -> String {
    match text(token, "scope").as_str() {
        "*" => "all namespaces".to_owned(),
        namespace => namespace.to_owned(),
    }
}

fn rights(token: &Value) -> String {
    let rights = token.get("rights").and_then(Value::as_array).into_iter().flatten();
    rights.filter_map(Value::as_str).collect::<Vec<_>>().join(",")
}

fn expires(token: &Value) -> String {
    let end = token.get("expires").and_then(Value::as_u64);
    end.map_or_else(|| "never".to_owned(), |ms| mote_core::clock::Timestamp(ms).rfc3339())
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn right(text: &str) -> Result<Right, String> {
    text.parse().map_err(|_| "wanted: invoke, deploy, read or admin".to_owned())
}
