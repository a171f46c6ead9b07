//! `mote invoke NAME`: call a function by its name, or leave an event for it.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use mote_core::clock::Timestamp;
use percent_encoding::{AsciiSet, utf8_percent_encode};
use reqwest::{Method, Response};
use serde_json::{Map, Value, json};

use crate::cli::{Namespace, Output, age};
use crate::client::{Address, Authority, Client};
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote invoke formula --data '{\"a\": 1, \"b\": 2, \"c\": 3}'
  mote invoke thumbnail --data @photo.jpg --type image/jpeg
  mote event show object-created | mote invoke thumbnail --event -
  mote invoke report --async
  mote invoke remind --async --in 10m --key order-7
  mote invoke remind --async --at 2026-12-01T10:00:00+01:00

The reply's body is printed as it came. With --json: {\"status\",\"headers\",\"body\",\"timing\"};
with --async: {\"id\"}.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Invoke {
    /// The function
    name: String,
    /// The event's body: JSON or text, `@FILE`, or `-` for standard input
    #[arg(long, value_name = "DATA")]
    data: Option<String>,
    /// The body's content type [default: application/json if it is JSON, else by its look]
    #[arg(long = "type", value_name = "TYPE")]
    content_type: Option<String>,
    /// A whole CloudEvent in JSON, from a file or `-`; `mote event show` prints samples
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "content_type"])]
    event: Option<String>,
    /// Accept the event and do not wait: it is on disk when this returns, and runs at least once
    #[arg(long = "async")]
    send: bool,
    /// With --async: not before so much time has passed, such as `10m`
    #[arg(long = "in", value_name = "TIME", requires = "send", conflicts_with = "at", value_parser = age)]
    delay: Option<u64>,
    /// With --async: not before this time, such as `2026-12-01T10:00:00+01:00`, or in milliseconds since 1970
    #[arg(long, value_name = "TIME", requires = "send", value_parser = moment)]
    at: Option<u64>,
    /// With --async: the same key for the same function within a day is the same call
    #[arg(long, value_name = "KEY", requires = "send")]
    key: Option<String>,
    /// With --async: before or after others that wait: low, normal or high
    #[arg(long, value_name = "RANK", requires = "send", value_parser = ["low", "normal", "high"])]
    priority: Option<String>,
    /// A version, instead of the live one
    #[arg(long, value_name = "N", conflicts_with = "send")]
    version: Option<u64>,
    #[command(flatten)]
    namespace: Namespace,
    /// The data directory of a server on this machine (`--data` is the event's here)
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    authority: Authority,
    #[command(flatten)]
    pub(super) output: Output,
}

impl Invoke {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let client = Address { data_dir: self.data_dir.clone(), authority: self.authority.clone() }.connect()?;
        let event = self.event.as_deref().map(cloud_event).transpose()?;
        let (attributes, body) = match event {
            Some((attributes, data)) => (attributes, Some(data)),
            None => (Vec::new(), self.body()?),
        };
        let content_type = self.content_type.clone().or_else(|| body.as_deref().map(|body| guess(body).to_owned()));
        if self.content_type.is_none()
            && self.event.is_none()
            && let Some(why) = body.as_deref().and_then(almost_json)
        {
            eprintln!("{} the data looks like JSON and is none ({why}); it is sent as text", output::bold("warning:"));
        }
        let what = if self.send { "send" } else { "invoke" };
        let mut request = client.request(Method::POST, &["functions", &self.name, what]);
        request = request.query(&[("namespace", &self.namespace.namespace)]);
        if let Some(ms) = self.delay {
            request = request.query(&[("delay", format!("{ms}ms"))]);
        }
        if let Some(ms) = self.at {
            request = request.query(&[("at", ms)]);
        }
        if let Some(priority) = &self.priority {
            request = request.query(&[("priority", priority)]);
        }
        if let Some(key) = &self.key {
            request = request.header("idempotency-key", key);
        }
        if let Some(version) = self.version {
            request = request.query(&[("version", version)]);
        }
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        for (name, value) in attributes {
            request = request.header(name, value);
        }
        let reply = client.send_raw(request.body(body.unwrap_or_default())).await?;
        self.show(&client, reply).await
    }

    async fn show(&self, client: &Client, mut reply: Response) -> Result<Exit, Failure> {
        let status = reply.status();
        let failed = status.is_client_error() || status.is_server_error();
        // A good reply is printed as it arrives: it may be a stream without an end.
        if status.is_success() && !self.output.json && !self.send {
            while let Some(chunk) = reply.chunk().await.map_err(|error| broken(&error))? {
                if !output::bytes_out(&chunk)? {
                    break;
                }
            }
            return Ok(Exit::Done);
        }
        // A function may word its own errors as mote does; these stay its reply.
        let ours = reply.headers().contains_key("x-mote-error");
        let (headers, timing) = (headers(&reply), timing(&reply));
        let body = reply.bytes().await.map_err(|error| broken(&error))?;
        let value: Option<Value> = serde_json::from_slice(&body).ok();
        let refused = value.as_ref().filter(|_| ours).and_then(Failure::from_wire);
        if let Some(failure) = refused {
            return Err(client.advise(failure, &self.namespace.namespace, &self.name).await);
        }
        if self.send {
            let id = value.as_ref().and_then(|value| value.get("id")?.as_str()).unwrap_or_default();
            if self.output.json {
                output::json(&json!({ "id": id }))
            } else {
                output::line_out(id)
            }
            return Ok(Exit::Done);
        }
        if self.output.json {
            let body = value.unwrap_or_else(|| Value::String(String::from_utf8_lossy(&body).into_owned()));
            output::json(&json!({ "status": status.as_u16(), "headers": headers, "body": body, "timing": timing }));
        } else {
            let mark = if failed { output::red("error:") } else { output::dim("note:") };
            eprintln!("{mark} the function answered {status}");
            output::bytes_out(&body)?;
        }
        Ok(if failed { Exit::Refused } else { Exit::Done })
    }

    fn body(&self) -> Result<Option<Vec<u8>>, Failure> {
        self.data.as_deref().map(data).transpose()
    }
}

/// What `--data` says: text, `@FILE`, or `-` for standard input.
pub(super) fn data(text: &str) -> Result<Vec<u8>, Failure> {
    match text.strip_prefix('@') {
        _ if text == "-" => read("-"),
        Some(file) => read(file),
        None => Ok(text.as_bytes().to_vec()),
    }
}

/// A file, or standard input.
fn read(file: &str) -> Result<Vec<u8>, Failure> {
    let mut all = Vec::new();
    let bytes = if file == "-" { std::io::stdin().lock().read_to_end(&mut all).map(|_| all) } else { std::fs::read(file) };
    let what = if file == "-" { "standard input" } else { file };
    bytes.map_err(|error| {
        Failure::usage(format!("{what} can't be read: {error}")).hint("`--data @FILE` reads a file, `--data -` standard input.")
    })
}

type Headers = Vec<(String, String)>;

/// An event's attributes as headers (CloudEvents over HTTP, binary mode), and its data.
fn cloud_event(file: &str) -> Result<(Headers, Vec<u8>), Failure> {
    let wrong =
        |found: String| Failure::usage(found).wanted("wanted: a CloudEvent in JSON").hint("`mote event show object-created` prints one.");
    let mut event: Map<String, Value> =
        serde_json::from_slice(&read(file)?).map_err(|error| wrong(format!("{file} is not a JSON object: {error}")))?;
    let data = match event.remove("data") {
        None => Vec::new(),
        Some(Value::String(text)) => text.into_bytes(),
        Some(value) => value.to_string().into_bytes(),
    };
    let mut attributes = Vec::new();
    for (name, value) in event {
        match value {
            Value::String(text) => attributes.push((format!("ce-{name}"), utf8_percent_encode(&text, IN_A_HEADER).to_string())),
            Value::Number(_) | Value::Bool(_) => attributes.push((format!("ce-{name}"), value.to_string())),
            // `http` of a sample request: a call by name has no request to tell of.
            Value::Object(_) | Value::Array(_) | Value::Null => {}
        }
    }
    Ok((attributes, data))
}

/// In milliseconds since 1970.
fn moment(text: &str) -> Result<u64, String> {
    let ms = text.parse().ok().or_else(|| Timestamp::from_rfc3339(text).map(|at| at.0));
    ms.ok_or_else(|| "wanted: a time with its offset, such as 2026-12-01T10:00:00+01:00 or 2026-12-01T09:00:00Z".to_owned())
}

/// What CloudEvents wants encoded in a header's value.
const IN_A_HEADER: &AsciiSet = &percent_encoding::CONTROLS.add(b' ').add(b'"').add(b'%');

fn guess(body: &[u8]) -> &'static str {
    if serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok() {
        "application/json"
    } else if std::str::from_utf8(body).is_ok() {
        "text/plain; charset=utf-8"
    } else {
        "application/octet-stream"
    }
}

/// What keeps a text from being the JSON that it begins as.
fn almost_json(body: &[u8]) -> Option<serde_json::Error> {
    let text = std::str::from_utf8(body).ok().filter(|text| text.trim_start().starts_with(['{', '[']))?;
    serde_json::from_str::<serde::de::IgnoredAny>(text).err()
}

fn headers(reply: &Response) -> Map<String, Value> {
    let mut all = Map::new();
    for (name, value) in reply.headers() {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        match all.get_mut(name.as_str()) {
            Some(Value::String(earlier)) => *earlier = format!("{earlier}, {value}"),
            _ => drop(all.insert(name.as_str().to_owned(), Value::String(value))),
        }
    }
    all
}

/// `Server-Timing: queue;dur=0.1, cold` as `{"queue":0.1,"cold":true}`, in milliseconds.
fn timing(reply: &Response) -> Map<String, Value> {
    let text = reply.headers().get("server-timing").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let metrics = text.split(',').filter_map(|metric| {
        let mut parts = metric.split(';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let duration = parts.find_map(|part| part.strip_prefix("dur=")?.parse::<f64>().ok());
        Some((name.to_owned(), duration.map_or(Value::Bool(true), |ms| json!(ms))))
    });
    metrics.collect()
}

fn broken(error: &reqwest::Error) -> Failure {
    Failure::platform(format!("the reply broke off: {error}")).hint("`mote logs` tells what the function and the platform said.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_as_json() {
        for body in ["{name: Ada}", " [1, 2", "{'a': 1}"] {
            assert!(almost_json(body.as_bytes()).is_some(), "{body}");
        }
        for body in ["{\"a\": 1}", "[]", "Ada", ""] {
            assert!(almost_json(body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn the_look_of_a_body() {
        let check = |body: &[u8], expect: &str| assert!(guess(body).starts_with(expect), "{body:?}");
        check(b"{\"a\":1}", "application/json");
        check(b"17", "application/json");
        check(b"", "text/plain");
        check(b"hello", "text/plain");
        check(&[0xff, 0xd8], "application/octet-stream");
    }
}
