//! Deploys every example and makes the calls that its `test.toml` names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::binary;
use super::native::Language;
use crate::Result;
use crate::places::{fresh, root};
use crate::server::{Server, ask};
use crate::shell::until;
use crate::venv::{Venv, photo};

const UPLOAD: Duration = Duration::from_secs(60);

/// A `test.toml`; examples/README.md says what each key means.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    build: Option<Language>,
    #[serde(default)]
    deploy: PathBuf,
    #[serde(default)]
    buckets: Vec<String>,
    #[serde(default)]
    before: Vec<Run>,
    #[serde(default)]
    call: Vec<Call>,
    #[serde(default)]
    run: Vec<Run>,
    #[serde(default)]
    upload: Vec<Upload>,
}

/// A command of the CLI against the server.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    /// `{public}` in them is the address of the public door.
    args: Vec<String>,
    #[serde(default)]
    stdin: String,
    /// Its output is looked at; until it says so, the command is run again, for `within_s`.
    contains: Option<String>,
    /// Instead of success: part of what it says on stderr.
    fails: Option<String>,
    #[serde(default)]
    within_s: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    #[serde(default = "get")]
    method: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
    #[serde(default = "ok")]
    status: u16,
    /// The reply's content type.
    r#type: Option<String>,
    reply: Option<String>,
    contains: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Upload {
    bucket: String,
    key: String,
    file: File,
    makes: Made,
}

/// Files that are too large for the repository, by name.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum File {
    Photo,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Made {
    bucket: String,
    r#type: String,
}

fn get() -> String {
    "GET".to_owned()
}

fn ok() -> u16 {
    200
}

pub(super) fn run() -> Result<()> {
    let server = Server::start(&binary()?, &fresh("examples")?.join("data"))?;
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root().join("examples"))?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    folders.retain(|folder| folder.is_dir());
    folders.sort();
    for folder in &folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        match example(&server, folder).map_err(|e| format!("examples/{name}: {e}\n{}", server.log_tail()))? {
            Some(checks) => println!("  examples/{name}: {checks} checks"),
            None => println!("  examples/{name}: LEFT OUT"),
        }
    }
    server.stop()
}

/// How much it checked; `None`: nothing here can build it.
fn example(server: &Server, folder: &Path) -> Result<Option<usize>> {
    let script: Script = toml::from_str(&std::fs::read_to_string(folder.join("test.toml"))?)?;
    for bucket in &script.buckets {
        let made = server.control("PUT", &format!("/v1/buckets/{bucket}"), "")?;
        if made.status != 409 {
            made.ok().map_err(|e| format!("the bucket {bucket}: {e}"))?;
        }
    }
    for command in &script.before {
        run_command(server, folder, command).map_err(|e| format!("mote {}: {e}", command.args.join(" ")))?;
    }
    match script.build {
        Some(language) => match built(language, folder)? {
            Some(bundle) => server.deploy(&bundle)?,
            None => return Ok(None),
        },
        None => server.deploy(&folder.join(&script.deploy))?,
    }
    for call in &script.call {
        check(server, call).map_err(|e| format!("{} {}: {e}", call.method, call.path))?;
    }
    for upload in &script.upload {
        fire(server, upload).map_err(|e| format!("upload to {}: {e}", upload.bucket))?;
    }
    for command in &script.run {
        run_command(server, folder, command).map_err(|e| format!("mote {}: {e}", command.args.join(" ")))?;
    }
    match script.call.len() + script.upload.len() + script.run.len() {
        0 => Err("its test.toml checks nothing".into()),
        checks => Ok(Some(checks)),
    }
}

/// What a user would deploy of it, beside its manifest; the example's own folder stays as it is.
fn built(language: Language, folder: &Path) -> Result<Option<PathBuf>> {
    let bundle = fresh(&format!("examples/{}", folder.file_name().unwrap_or_default().to_string_lossy()))?;
    std::fs::copy(folder.join("mote.toml"), bundle.join("mote.toml"))?;
    Ok(language.build(folder, &bundle)?.then_some(bundle))
}

fn check(server: &Server, call: &Call) -> Result<()> {
    let headers: Vec<(&str, &str)> = call.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let answer = ask(&call.method, &format!("{}{}", server.doors.public, call.path), &headers, call.body.as_str())?;
    let right = answer.status == call.status
        && call.r#type.as_ref().is_none_or(|wanted| answer.header("content-type") == wanted)
        && call.reply.as_ref().is_none_or(|wanted| answer.body == *wanted)
        && call.contains.as_ref().is_none_or(|wanted| answer.body.contains(wanted));
    if right {
        return Ok(());
    }
    let wanted = call.reply.as_ref().or(call.contains.as_ref());
    Err(format!(
        "found {} {} {:?}, wanted {} {} {wanted:?}",
        answer.status,
        answer.header("content-type"),
        answer.body,
        call.status,
        call.r#type.as_deref().unwrap_or("of any type"),
    )
    .into())
}

fn run_command(server: &Server, folder: &Path, run: &Run) -> Result<()> {
    let words: Vec<String> = run.args.iter().map(|word| word.replace("{public}", &server.doors.public)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let wanted = run.fails.as_ref().or(run.contains.as_ref());
    let mut found = String::new();
    let told = until(Duration::from_secs(run.within_s), "it", || {
        let (outcome, fails) = (server.cli_in(folder, &words, &run.stdin), run.fails.is_some());
        found = match outcome {
            Ok(said) if !fails => said,
            Err(error) if fails => error.to_string(),
            Ok(said) => return Err(format!("it succeeded, and should not have: {said}").into()),
            Err(error) => return Err(error),
        };
        Ok(wanted.is_none_or(|wanted| found.contains(wanted)).then_some(()))
    });
    told.map_err(|error| format!("{error}; found {found:?}, wanted {wanted:?} in it").into())
}

fn fire(server: &Server, upload: &Upload) -> Result<()> {
    let file = match upload.file {
        File::Photo => photo(&Venv::with("plain", "")?)?,
    };
    let path = |bucket: &str| format!("/v1/buckets/{bucket}/objects/{}", upload.key);
    server.control("PUT", &path(&upload.bucket), std::fs::read(file)?)?.ok()?;
    let made = until(UPLOAD, &format!("the object in {}", upload.makes.bucket), || {
        let answer = server.control("GET", &path(&upload.makes.bucket), "")?;
        Ok((answer.status == 200).then_some(answer))
    })?;
    match made.header("content-type") {
        found if found == upload.makes.r#type => Ok(()),
        found => Err(format!("the new object is {found}, wanted {}", upload.makes.r#type).into()),
    }
}
