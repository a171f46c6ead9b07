//! The client of a server's control door: finds it, shows the token, reads the answers.
//!
//! Every command that asks something asks through here. What the routes are: `docs/guide/cli.md`
//! and the plain dialect's `api.rs`.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use futures_util::StreamExt;
use reqwest::{Method, RequestBuilder, Response, Url};
use serde_json::Value;

use crate::config::default_data_dir;
use crate::credentials::Credentials;
use crate::doors::Doors;
use crate::failure::{Exit, Failure};
use crate::tls::Trust;

/// A line of a reply in lines is no longer than this.
const LINE_BYTES_MAX: usize = 4 << 20;

/// Which server to ask.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Address {
    /// The data directory of a server on this machine [default: MOTE_URL, then MOTE_DATA, then ~/.local/share/mote]
    #[arg(long = "data", visible_alias = "data-dir", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) authority: Authority,
}

/// Who vouches for a server of another machine, beside this machine's own roots.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Authority {
    /// Trust the certificates of this PEM file too, for a MOTE_URL with https://
    #[arg(long, value_name = "FILE", env = "MOTE_CA", hide_env_values = true)]
    pub(crate) ca: Option<PathBuf>,
}

impl Address {
    /// A named directory, else `MOTE_URL`, else the default directory.
    pub(crate) fn connect(&self) -> Result<Client, Failure> {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        match (&self.data_dir, set("MOTE_URL")) {
            (None, Some(url)) => Client::new(&url, set("MOTE_TOKEN"), Trust::Roots(self.authority.ca.clone())),
            (dir, _) => Client::local(&dir.clone().unwrap_or_else(default_data_dir), set("MOTE_TOKEN")),
        }
    }

    /// Where a server on this machine keeps its data.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(default_data_dir)
    }
}

/// A connection to one server.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<String>,
    /// The public door's URL, if it is known without asking.
    public: Option<String>,
}

impl Client {
    /// The server of this very process.
    pub(crate) fn of(doors: &Doors, token: &str) -> Result<Client, Failure> {
        let shown = doors.certificate.as_ref().map(|text| STANDARD.decode(text).unwrap_or_default());
        let mut client = Client::new(&doors.control, Some(token.to_owned()), shown.map_or(Trust::Nobody, Trust::Exactly))?;
        client.public = Some(doors.public.clone());
        Ok(client)
    }

    /// The server that runs on a data directory.
    fn local(dir: &std::path::Path, token: Option<String>) -> Result<Client, Failure> {
        let doors = Doors::read(dir).ok_or_else(|| {
            Failure::new(Exit::Unreachable, format!("no server runs on the data directory {}", dir.display()))
                .wanted("wanted: a running server, by `--data DIR`, or by MOTE_URL and MOTE_TOKEN")
                .hint("Start one: `mote serve`, or `mote dev` in a folder of functions.")
        })?;
        let token = match Credentials::read(dir)? {
            Some(credentials) => Some(credentials.token),
            None => token,
        };
        Client::of(&doors, token.as_deref().unwrap_or_default())
    }

    pub(crate) fn new(url: &str, token: Option<String>, trust: Trust) -> Result<Client, Failure> {
        let base = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()).ok_or_else(|| {
            Failure::usage(format!("MOTE_URL is {url:?}"))
                .wanted("wanted: the control door as http://HOST:PORT or https://HOST:PORT")
                .hint("`mote serve` prints it; a server with a certificate of its own making is trusted by `--ca FILE`.")
        })?;
        // Roots take a while to read, and nobody needs them in the clear.
        let trust = if base.scheme() == "https" { trust } else { Trust::Nobody };
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            // A redirect would carry the token to somebody who was not asked.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tls_backend_preconfigured(trust.config()?)
            .build()
            .map_err(|error| Failure::platform(format!("no HTTP client could be made: {error}")))?;
        Ok(Client { http, base, token, public: None })
    }

    /// A request to `/v1/` and these path segments, each encoded.
    pub(crate) fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends it; an error of the server becomes a [`Failure`].
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let reply = self.send_raw(request).await?;
        if reply.status().is_success() { Ok(reply) } else { Err(refusal(reply).await) }
    }

    /// Sends it; whatever the status, the reply comes back.
    pub(crate) async fn send_raw(&self, request: RequestBuilder) -> Result<Response, Failure> {
        request.send().await.map_err(|error| {
            let cause = innermost(&error);
            let hint = match cause.as_str() {
                // An authority's own certificate, as `openssl req -x509` makes it, in a server's place.
                cause if cause.contains("CaUsedAsEndEntity") => {
                    "Its certificate is one of an authority: make it without `CA:TRUE`, and trust it with `--ca FILE` or MOTE_CA."
                }
                cause if cause.contains("certificate") => {
                    "Trust its authority with `--ca FILE` or MOTE_CA; MOTE_URL has the name that the certificate has."
                }
                cause if cause.contains("invalid HTTP version") => "Perhaps it speaks TLS: then MOTE_URL begins with https://.",
                _ => "Start it with `mote serve`, or name another with `--data DIR` or MOTE_URL.",
            };
            Failure::new(Exit::Unreachable, format!("the server at {} did not answer", self.base()))
                .wanted(format!("cause: {cause}"))
                .hint(hint)
        })
    }

    pub(crate) async fn json(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let reply = self.send(request).await?;
        let body = reply.bytes().await.map_err(|error| broken(&error))?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|error| Failure::platform(format!("the server's answer is not JSON: {error}")))
    }

    /// The control door's address.
    pub(crate) fn base(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Where function URLs begin: as this machine's server wrote down, or as the server says.
    pub(crate) async fn public(&self) -> Option<String> {
        if self.public.is_some() {
            return self.public.clone();
        }
        let status = self.json(self.request(Method::GET, &["status"])).await.ok()?;
        Some(status.get("public")?.as_str()?.to_owned())
    }

    /// Names of functions that are close to one that is not there.
    pub(crate) async fn near(&self, namespace: &str, name: &str) -> Vec<String> {
        let request = self.request(Method::GET, &["functions"]).query(&[("namespace", namespace), ("limit", "1000")]);
        let Ok(listed) = self.json(request).await else { return Vec::new() };
        let functions = listed.get("functions").and_then(Value::as_array).into_iter().flatten();
        let names = functions.filter_map(|function| function.get("name")?.as_str());
        near(name, names)
    }

    /// Turns "there is no such function" into "did you mean".
    pub(crate) async fn advise(&self, mut failure: Failure, namespace: &str, name: &str) -> Failure {
        if failure.code() == "function-not-found"
            && let Some(nearest) = self.near(namespace, name).await.first()
        {
            failure.set_hint(format!("Did you mean `{nearest}`? `mote list` shows all."));
        }
        failure
    }
}

/// Reads a reply line by line, each a JSON value; `false` from `each` ends the reading.
pub(crate) async fn lines(reply: Response, mut each: impl FnMut(Value) -> Result<bool, Failure>) -> Result<(), Failure> {
    let mut chunks = reply.bytes_stream();
    let mut rest: Vec<u8> = Vec::new();
    while let Some(chunk) = chunks.next().await {
        rest.extend_from_slice(&chunk.map_err(|error| broken(&error))?);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            if line.trim_ascii().is_empty() {
                continue;
            }
            let value =
                serde_json::from_slice(&line).map_err(|error| Failure::platform(format!("a line of the answer is not JSON: {error}")))?;
            if !each(value)? {
                return Ok(());
            }
        }
        if rest.len() > LINE_BYTES_MAX {
            return Err(Failure::platform(format!("a line of the answer is longer than {LINE_BYTES_MAX} bytes")));
        }
    }
    Ok(())
}

/// The error that a reply carries.
pub(crate) async fn refusal(reply: Response) -> Failure {
    let (status, url) = (reply.status(), reply.url().clone());
    let body: Value = reply.json().await.unwrap_or_default();
    Failure::from_wire(&body).unwrap_or_else(|| {
        Failure::platform(format!("{url} answered {status}"))
            .wanted("wanted: an answer of mote's API")
            .hint("Check that MOTE_URL names the control door of a mote server.")
    })
}

fn broken(error: &reqwest::Error) -> Failure {
    Failure::new(Exit::Unreachable, "the server's answer broke off")
        .wanted(format!("cause: {}", innermost(error)))
        .hint("`mote status` tells whether it still runs.")
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// Those within a third of the name's letters, nearest first.
pub(crate) fn near<'a>(name: &str, among: impl Iterator<Item = &'a str>) -> Vec<String> {
    let bound = (name.chars().count() / 3).max(2);
    let mut found: Vec<(usize, String)> = among
        .map(|other| (strsim::damerau_levenshtein(name, other), other.to_owned()))
        .filter(|(distance, other)| *distance <= bound && *distance < other.chars().count())
        .collect();
    found.sort();
    found.into_iter().map(|(_, other)| other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names() {
        let among = || ["formula", "thumbnail", "f"].into_iter();
        assert_eq!(near("formla", among()), ["formula"]);
        assert_eq!(near("fromula", among()), ["formula"]);
        assert!(near("orders", among()).is_empty());
        assert!(near("x", among()).is_empty());
    }

    #[test]
    fn a_path_keeps_what_a_name_holds() {
        let client = Client::new("http://127.0.0.1:1/", None, Trust::Nobody).unwrap();
        let url = client.request(Method::GET, &["buckets", "b", "objects", "a b/ü?.jpg"]).build().unwrap();
        assert_eq!(url.url().path(), "/v1/buckets/b/objects/a%20b%2F%C3%BC%3F.jpg");
    }

    #[test]
    fn only_http_is_spoken() {
        for url in ["127.0.0.1:8081", "", "ftp://x"] {
            assert!(Client::new(url, None, Trust::Nobody).is_err(), "{url}");
        }
    }
}
