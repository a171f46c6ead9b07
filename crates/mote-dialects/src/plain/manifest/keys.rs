//! The keys of mote.toml, with their bounds; reference: `docs/reference/manifest.md`.
//!
//! A folder holds one function, or several in `[[function]]` tables; then the top level says
//! what they share, and each table may say otherwise. Not here: how a value is written
//! ([`super::units`]) and how an error is worded ([`super::section`]).

use std::collections::{BTreeMap, HashSet};

use mote_core::bundle::Bundle;
use mote_core::dialect::Deployment;
use mote_core::function::{Binding, Family, Name, ObjectChange, Runtime};
use mote_core::{Error, Result};
use toml::de::DeTable;

use super::section::{Section, Value, line_of, nearest};
use super::{aws, confinement, delivery, deployment, family, flow, http, invalid, mqtt, obvious, queue, timer, topic};

const SHARED: &[&str] = &[
    "runtime",
    "concurrency",
    "instances_max",
    "instances_min",
    "waiting_max",
    "timeout",
    "memory",
    "processes",
    "open_files",
    "tmp",
    "body",
    "reply",
    "log",
    "idle",
    "url",
    "methods",
    "env",
    "cors",
    "async",
    "records",
];
/// What may stand at the top for all functions, or in a table for one.
fn shared() -> impl Iterator<Item = &'static str> {
    SHARED.iter().chain(confinement::KEYS).copied()
}

const OWN: &[&str] = &["name", "dialect", "entry", "http", "bucket", "timer", "topic", "queue", "webhook", "mqtt"];

const FUNCTIONS_MAX: usize = 100;
const BINDINGS_MAX: usize = 100;
const ENV_MAX: usize = 200;
const ENV_BYTES_MAX: usize = 64 << 10;
pub(super) const TEXT_BYTES_MAX: usize = 1024;

const MB: u64 = 1_000_000;
pub(super) const MINUTE: u64 = 60_000;

pub(super) fn read(text: &str, bundle: &Bundle) -> Result<Vec<Deployment>> {
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map(|span| format!(" line {}", line_of(text, span.start))).unwrap_or_default();
        invalid(format!("mote.toml{line}: {}", error.message()))
    })?;
    let top = Section::new(text, table.get_ref());
    let (functions, flows) = (top.get("function"), top.get("flow"));
    if functions.is_none() && flows.is_none() {
        let keys: Vec<&str> = OWN.iter().copied().chain(shared()).chain(["function", "flow"]).collect();
        top.expect_keys("the manifest", &keys)?;
        return Ok(vec![function(&top, None, bundle)?]);
    }
    let keys: Vec<&str> = shared().chain(["function", "flow"]).collect();
    top.expect_keys("a manifest with [[function]] or [[flow]] tables, at its top level,", &keys)?;
    let keys: Vec<&str> = OWN.iter().copied().chain(shared()).collect();
    let mut shared = deployment(Family::Executable.into(), "");
    settings(&top, &mut shared)?;
    let mut all: Vec<Deployment> = Vec::new();
    if let Some(functions) = functions {
        for table in functions.tables(FUNCTIONS_MAX)? {
            table.expect_keys("a function", &keys)?;
            if table.get("name").is_none() || table.get("entry").is_none() {
                return Err(functions.wrong("holds a table without `name` or `entry`: each of several functions needs both"));
            }
            all.push(function(&table, Some((&top, &shared)), bundle)?);
        }
        if all.is_empty() {
            return Err(functions.wrong("is empty"));
        }
    }
    if let Some(flows) = flows {
        let bindings: Vec<&str> = OWN.iter().copied().filter(|key| !["name", "dialect", "entry"].contains(key)).collect();
        all.extend(flow::read(&flows, &shared, &bindings)?);
    }
    let mut names = HashSet::new();
    match all.iter().find(|one| !names.insert(&one.name)) {
        Some(twice) => Err(invalid(format!("mote.toml holds two functions of one name: {}", twice.name.as_ref().map_or("", Name::as_str)))),
        None => Ok(all),
    }
}

fn function(table: &Section, shared: Option<(&Section, &Deployment)>, bundle: &Bundle) -> Result<Deployment> {
    let base = || shared.map_or_else(|| deployment(Family::Executable.into(), ""), |(_, shared)| shared.clone());
    let runtime = table.get("runtime").or_else(|| shared.and_then(|(top, _)| top.get("runtime")));
    let mut this = match aws::is_meant(table.get("dialect"))? {
        true => aws::function(base(), table.get("entry"), runtime, bundle)?,
        false => {
            let (runtime, entry) = code(table.get("entry"), runtime, bundle)?;
            Deployment { runtime, entry, ..base() }
        }
    };
    if let Some(value) = table.get("name") {
        this.name = Some(Name::new(value.text()?).map_err(|error| value.wrong(&format!("is no name: {error}")).hint(hint(&error)))?);
    }
    settings(table, &mut this)?;
    if let (Some(port), Some((file, _))) = (this.port, this.entry.split_once(':')) {
        return Err(invalid(format!("`entry` names a function, and `port` says that the file is a server on port {port}"))
            .hint(format!("Set `entry` to {file:?}, or leave `port` out.")));
    }
    aws::check(&this)?;
    bindings(table, &mut this)?;
    Ok(this)
}

/// What runs, and how.
fn code(entry: Option<Value>, runtime: Option<Value>, bundle: &Bundle) -> Result<(Runtime, String)> {
    let (entry, by_file) = self::entry(entry, bundle)?;
    let runtime = match runtime {
        Some(value) => {
            let runtime: Runtime =
                value.text()?.parse().map_err(|error| value.wrong(&format!("names no runtime: {error}")).hint(hint(&error)))?;
            if runtime.family == Family::Flow {
                return Err(value.wrong("is no runtime of code").hint("A flow is a table of its own, [[flow]]."));
            }
            runtime
        }
        None => match by_file {
            Some(family) => family.into(),
            None => {
                return Err(invalid(format!("nothing says how to run {entry:?}"))
                    .hint("Set `runtime` to `python`, `node` or `executable`, or give the file an ending that tells."));
            }
        },
    };
    Ok((runtime, entry))
}

/// What fires it.
pub(super) fn bindings(table: &Section, this: &mut Deployment) -> Result<()> {
    let is_aws = this.dialect == crate::aws::NAME;
    for (key, read) in [
        ("http", (if is_aws { aws::route } else { http::route }) as fn(&Section) -> Result<Binding>),
        ("bucket", bucket),
        ("timer", timer::read),
        ("topic", topic::topic),
        ("queue", queue::read),
        ("webhook", topic::webhook),
        ("mqtt", mqtt::read),
    ] {
        let Some(value) = table.get(key) else { continue };
        for table in value.tables(BINDINGS_MAX)? {
            let mut binding = read(&table)?;
            if let Some(retry) = binding.retry_mut() {
                *retry = delivery::own_retry(&table, &this.delivery.retry)?;
            }
            this.bindings.push(binding);
        }
    }
    Ok(())
}

pub(super) fn hint(error: &Error) -> String {
    error.hint_text().unwrap_or_default().to_owned()
}

/// The entry as written, and what its file tells of the runtime.
fn entry(value: Option<Value>, bundle: &Bundle) -> Result<(String, Option<Family>)> {
    let Some(value) = value else {
        let (entry, family) = obvious(&without_manifest(bundle)).map(|(entry, family)| (entry.to_owned(), family)).ok_or_else(|| {
            invalid("mote.toml names no `entry`, and no file is the obvious one")
                .hint(format!("Set `entry` to the file to run. The bundle holds {}.", listing(bundle)))
        })?;
        return Ok((entry, Some(family)));
    };
    let entry = value.text()?;
    let (path, handler) = entry.split_once(':').map_or((entry, None), |(path, handler)| (path, Some(handler)));
    let path = path.strip_prefix("./").unwrap_or(path);
    let Some(file) = bundle.file(path) else {
        let files: Vec<&str> = bundle.files().map(|(path, _)| path).take(1000).collect();
        let hint = match nearest(path, &files) {
            Some(near) => format!("Did you mean {near:?}?"),
            None => format!("The bundle holds {}.", listing(bundle)),
        };
        return Err(value.wanted("a file of the bundle").hint(hint));
    };
    match handler {
        Some(name) if !is_identifier(name) => Err(value.wanted("`file` or `file:function`")),
        Some(name) => Ok((format!("{path}:{name}"), family(path, file))),
        None => Ok((path.to_owned(), family(path, file))),
    }
}

/// A folder of one file and its mote.toml is as plain as the file alone.
fn without_manifest(bundle: &Bundle) -> Bundle {
    let mut rest = Bundle::default();
    for (path, file) in bundle.files().filter(|(path, _)| *path != super::MANIFEST) {
        // Paths and number were good in the bundle, so they are here.
        let _ = rest.insert(path, file.content.clone(), file.executable);
    }
    rest
}

fn listing(bundle: &Bundle) -> String {
    const SHOWN: usize = 10;
    let names: Vec<&str> = bundle.files().map(|(path, _)| path).filter(|path| *path != super::MANIFEST).take(SHOWN + 1).collect();
    match names.len() {
        0 => "no other file".to_owned(),
        n if n > SHOWN => format!("{}, …", names[..SHOWN].join(", ")),
        _ => names.join(", "),
    }
}

/// Limits, environment and HTTP access.
pub(super) fn settings(table: &Section, this: &mut Deployment) -> Result<()> {
    let limits = &mut this.limits;
    let counts: [(&str, &mut u32, _); 6] = [
        ("concurrency", &mut limits.concurrency, 1..=1000),
        ("instances_max", &mut limits.instances_max, 1..=1000),
        ("instances_min", &mut limits.instances_min, 0..=1000),
        ("waiting_max", &mut limits.waiting_max, 0..=100_000),
        ("processes", &mut limits.processes, 1..=32_768),
        ("open_files", &mut limits.open_files, 16..=1_048_576),
    ];
    for (key, limit, bounds) in counts {
        if let Some(value) = table.get(key) {
            *limit = value.count(bounds)?;
        }
    }
    let sizes: [(&str, &mut u64, _); 5] = [
        ("memory", &mut limits.memory_bytes, 16 * MB..=1 << 40),
        ("tmp", &mut limits.tmp_bytes, MB..=64 << 30),
        ("body", &mut limits.body_bytes, 0..=5 << 30),
        ("reply", &mut limits.reply_bytes, 0..=1 << 40),
        ("log", &mut limits.log_bytes, 0..=1 << 30),
    ];
    for (key, limit, bounds) in sizes {
        if let Some(value) = table.get(key) {
            *limit = value.size_bytes(bounds)?;
        }
    }
    for (key, limit, bounds) in
        [("timeout", &mut limits.timeout_ms, 1..=15 * MINUTE), ("idle", &mut limits.idle_ms, 1000..=24 * 60 * MINUTE)]
    {
        if let Some(value) = table.get(key) {
            *limit = value.duration_ms(bounds)?;
        }
    }
    if limits.instances_min > limits.instances_max {
        let at = table.get("instances_min").or_else(|| table.get("instances_max"));
        let what = format!("makes instances_min {} and instances_max {}", limits.instances_min, limits.instances_max);
        return Err(at.map_or_else(|| invalid(what.clone()), |value| value.wrong(&what)));
    }
    if let Some(value) = table.get("url") {
        this.http.url = value.flag()?;
    }
    if let Some(value) = table.get("methods") {
        this.http.methods = http::methods(value)?;
    }
    if let Some(value) = table.get("cors") {
        this.http.cors = Some(http::cors(value)?);
    }
    if let Some(value) = table.get("env") {
        env(value, &mut this.env)?;
    }
    if let Some(value) = table.get("async") {
        delivery::read(&value.table()?, &mut this.delivery)?;
    }
    if let Some(value) = table.get("records") {
        let records = value.table()?;
        records.expect_keys("[records]", &["keep_body"])?;
        if let Some(value) = records.get("keep_body") {
            this.records.keep_body = value.flag()?;
        }
    }
    confinement::read(table, this)
}

fn env(value: Value, env: &mut BTreeMap<String, String>) -> Result<()> {
    for (name, value) in value.table()?.values() {
        let content = value.text()?;
        if !is_variable(name) {
            return Err(value.wrong("is no name for a variable: letters, digits and '_', not beginning with a digit, are wanted"));
        }
        if name.starts_with("MOTE_") {
            return Err(value.wrong("is a name that mote sets itself"));
        }
        if content.contains('\0') {
            return Err(value.wrong("holds a NUL, which no environment can"));
        }
        env.insert(name.to_owned(), content.to_owned());
    }
    let bytes: usize = env.iter().map(|(name, content)| name.len() + content.len()).sum();
    if env.len() > ENV_MAX || bytes > ENV_BYTES_MAX {
        return Err(value.wrong(&format!("has {} variables of {bytes} bytes; {ENV_MAX} of {ENV_BYTES_MAX} bytes is the limit", env.len())));
    }
    Ok(())
}

pub(super) fn is_variable(name: &str) -> bool {
    is_identifier(name) && name.len() <= 128
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

const CHANGES: &str = "a list of \"created\" (or \"put\", \"copy\", \"complete-multipart-upload\" of these alone) and \"removed\"";

fn bucket(table: &Section) -> Result<Binding> {
    table.expect_keys("[[bucket]]", &[&["name", "events", "prefix", "suffix"], delivery::RETRY].concat())?;
    let name = table.get("name").ok_or_else(|| invalid("[[bucket]] has no `name`"))?;
    let bucket = name.text()?;
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
    if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(plain) || !edge(bucket.chars().next()) || !edge(bucket.chars().last()) {
        return Err(name.wanted("a bucket's name: 3 to 63 lower-case letters, digits, '.' or '-',"));
    }
    let mut events = Vec::new();
    for event in table.get("events").map(|value| value.texts(5)).transpose()?.unwrap_or_else(|| vec!["created"]) {
        let event = match event {
            "created" => ObjectChange::Created,
            "put" => ObjectChange::Put,
            "copy" => ObjectChange::Copy,
            "complete-multipart-upload" => ObjectChange::CompleteMultipartUpload,
            "removed" => ObjectChange::Removed,
            _ => return Err(table.get("events").unwrap_or(name).wanted(CHANGES)),
        };
        if !events.contains(&event) {
            events.push(event);
        }
    }
    if events.is_empty() {
        return Err(table.get("events").unwrap_or(name).wanted("one event at least"));
    }
    let part = |key: &str| match table.get(key) {
        Some(value) => value
            .text()
            .and_then(|text| if text.len() <= TEXT_BYTES_MAX { Ok(text.to_owned()) } else { Err(value.wanted("at most 1024 bytes")) }),
        None => Ok(String::new()),
    };
    Ok(Binding::Bucket { bucket: bucket.to_owned(), events, prefix: part("prefix")?, suffix: part("suffix")?, retry: None })
}

#[cfg(test)]
mod tests;
