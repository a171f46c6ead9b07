//! A function's code: a zip in the request or in a bucket, and what it is made into.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::StatusCode;
use mote_core::action::{Action, Description, Done, Expect, LAYERS};
use mote_core::dialect::{Deployment, Turn};
use mote_core::function::{Function, Qualifier};
use mote_core::{Code as ErrorCode, Error};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::configuration::{self, Moment};
use super::fault::Fault;
use super::layers::{self, Layer};
use super::make::{self, Answer};
use super::names::Address;
use super::wish::{self, Wish};
use super::{describe, read, refuse, runtime, tell, unexpected};
use crate::aws::api::Ask;

/// What a zip may have; the archive's own bound is a little higher.
pub(super) const ZIP_BYTES_MAX: u64 = 50 << 20;

/// Where the code is, as both operations name it.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Place {
    zip_file: Option<String>,
    s3_bucket: Option<String>,
    s3_key: Option<String>,
    s3_object_version: Option<String>,
    image_uri: Option<String>,
}

impl Place {
    /// Goes on with the zip.
    pub(super) fn fetch(self, ask: Ask, then: impl FnOnce(Ask, Bytes) -> Turn + Send + 'static) -> Result<Turn, Fault> {
        match self {
            Place { image_uri: Some(_), .. } => Err(Fault::absent("container images")),
            Place { s3_object_version: Some(_), .. } => Err(Fault::absent("versions of objects")),
            Place { zip_file: Some(_), s3_bucket: Some(_), .. } | Place { zip_file: Some(_), s3_key: Some(_), .. } => {
                Err(Fault::invalid("Please do not provide other FunctionCode parameters when providing a ZipFile."))
            }
            Place { zip_file: Some(text), .. } => {
                let zip = BASE64.decode(text).map_err(|_| Fault::invalid("ZipFile is not base64"))?;
                check(&zip)?;
                Ok(then(ask, zip.into()))
            }
            Place { s3_bucket: Some(bucket), s3_key: Some(key), .. } => Ok(from_bucket(ask, bucket, key, then)),
            _ => Err(Fault::invalid("Please provide a source for function code.")),
        }
    }
}

fn check(zip: &[u8]) -> Result<(), Fault> {
    if zip.len() as u64 > ZIP_BYTES_MAX {
        return Err(Fault::invalid(format!("Unzipped size must be smaller than 262144000 bytes, and a zip than {ZIP_BYTES_MAX} bytes")));
    }
    // Other archives are mote's own, and no zip file.
    if zip.starts_with(b"PK") { Ok(()) } else { Err(Fault::of(&Error::new(ErrorCode::BundleInvalid, "it is no zip file"))) }
}

fn from_bucket(ask: Ask, bucket: String, key: String, then: impl FnOnce(Ask, Bytes) -> Turn + Send + 'static) -> Turn {
    let what = Action::GetObject { namespace: ask.namespace.clone(), bucket, key };
    Turn::act(ask.who.clone(), what, move |object| match object {
        Ok(Done::Object(_, body)) => Turn::read(body, ZIP_BYTES_MAX, move |zip| match zip {
            Ok(zip) => match check(&zip) {
                Ok(()) => then(ask, zip),
                Err(fault) => refuse(&fault, ask.stamp.id),
            },
            Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
        }),
        Ok(_) => refuse(&Fault::of(&unexpected()), ask.stamp.id),
        Err(error) => refuse(&not_fetched(&error), ask.stamp.id),
    })
}

fn not_fetched(error: &Error) -> Fault {
    let told = |code: &str, message: &str| {
        Fault::invalid(format!("Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {message}"))
    };
    match error.code() {
        ErrorCode::BucketNotFound => told("NoSuchBucket", "The specified bucket does not exist"),
        ErrorCode::ObjectNotFound => told("NoSuchKey", "The specified key does not exist."),
        ErrorCode::RequestInvalid | ErrorCode::NameInvalid => told("InvalidBucketName", error.detail()),
        ErrorCode::Forbidden => told("AccessDenied", "Access Denied"),
        _ => Fault::of(error),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Update {
    #[serde(flatten)]
    place: Place,
    publish: bool,
    dry_run: bool,
    revision_id: Option<String>,
    architectures: Option<Vec<String>>,
}

pub(super) fn update(address: Address, ask: Ask) -> Result<Turn, Fault> {
    let update: Update = read(&ask.body)?;
    draft(&address)?;
    Ok(describe(address, ask, move |_, ask, Description { function, .. }| {
        let id = ask.stamp.id;
        if let Err(fault) = changeable(&function, update.revision_id) {
            return refuse(&fault, id);
        }
        let fetched = update.place.fetch(ask, move |ask, zip| {
            if update.dry_run {
                return tell(StatusCode::OK, &configuration::of(&function, &ask.account, Moment::At).into(), id);
            }
            let (name, arns) = (function.name.clone(), layers::of(&function));
            let answer =
                Answer { status: StatusCode::OK, moment: Moment::Updated, publish: update.publish, expect: Expect::Live(function.id) };
            make::anew(ask, name, zip, arns, answer, move |zip, layers| {
                let mut about = function.about.clone();
                about.extend(facts(zip));
                about.extend(update.architectures.map(|list| ("Architectures".to_owned(), Value::from(list))));
                let way = way(&configuration::runtime(&function), handler(&about), zip, layers)?;
                let deployment = wish::again(&function);
                Ok(Deployment { runtime: way.runtime, entry: way.entry, pulls: way.pulls, about, ..deployment })
            })
        });
        fetched.unwrap_or_else(|fault| refuse(&fault, id))
    }))
}

pub(super) fn outdated() -> Fault {
    let message = "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id";
    Fault::new(StatusCode::PRECONDITION_FAILED, "PreconditionFailedException", message)
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Change {
    revision_id: Option<String>,
    #[serde(flatten)]
    wish: Wish,
}

/// The same code under another configuration.
pub(super) fn configure(address: Address, ask: Ask) -> Result<Turn, Fault> {
    let Change { revision_id, wish } = read(&ask.body)?;
    wish.check_in(&ask.account.of(&ask.namespace))?;
    draft(&address)?;
    Ok(describe(address, ask, move |_, ask, Description { function, .. }| {
        let id = ask.stamp.id;
        if let Err(fault) = changeable(&function, revision_id) {
            return refuse(&fault, id);
        }
        let (mut deployment, arns) = (wish::again(&function), wish.layers.clone());
        if let Err(fault) = wish.change(&mut deployment) {
            return refuse(&fault, id);
        }
        let answer = Answer { status: StatusCode::OK, moment: Moment::Updated, publish: false, expect: Expect::Live(function.id) };
        match arns {
            Some(arns) => make::with_layers(ask, function.name.clone(), arns, deployment, answer),
            None => make::as_it_is(ask, function.name.clone(), deployment, answer),
        }
    }))
}

/// A version stays as it was made.
fn draft(address: &Address) -> Result<(), Fault> {
    match address.version() {
        Qualifier::Live => Ok(()),
        _ => Err(Fault::invalid("A version can't be changed: only $LATEST can.")),
    }
}

/// An error if it is not as its client knows it, or has a manifest of its own.
fn changeable(function: &Function, revision: Option<String>) -> Result<(), Fault> {
    if revision.is_some_and(|revision| revision != function.id.to_string()) {
        return Err(outdated());
    }
    if function.dialect != crate::aws::NAME {
        return Err(Fault::invalid(format!("{} was not made by this API; deploy it the way it was made", function.name)));
    }
    Ok(())
}

fn handler(about: &Map<String, Value>) -> &str {
    about.get("Handler").and_then(Value::as_str).unwrap_or_default()
}

/// A layer may bring the runtime, where the code brings none.
pub(super) fn way(runtime: &str, handler: &str, zip: &[u8], layers: &[Layer]) -> Result<runtime::Way, Fault> {
    const BOOTSTRAP: &str = "bootstrap";
    if !lists(zip, BOOTSTRAP) && layers.iter().any(|layer| lists(&layer.zip, BOOTSTRAP)) {
        let way = runtime::way(runtime, handler, |file| file == BOOTSTRAP || lists(zip, file))?;
        return Ok(runtime::Way { entry: format!("{LAYERS}/{BOOTSTRAP}"), ..way });
    }
    runtime::way(runtime, handler, |file| lists(zip, file))
}

/// What is told of a zip.
pub(super) fn facts(zip: &[u8]) -> [(String, Value); 2] {
    [("CodeSize".to_owned(), zip.len().into()), ("CodeSha256".to_owned(), BASE64.encode(Sha256::digest(zip)).into())]
}

/// Whether a zip's list of contents, at its end, names a file. What can't be read names none: the
/// deploy says why.
fn lists(zip: &[u8], file: &str) -> bool {
    const END: &[u8] = b"PK\x05\x06";
    const ENTRY: &[u8] = b"PK\x01\x02";
    const ENTRY_BYTES: usize = 46;
    let u16_at = |at: usize| Some(usize::from(u16::from_le_bytes(zip.get(at..at + 2)?.try_into().ok()?)));
    let u32_at = |at: usize| usize::try_from(u32::from_le_bytes(zip.get(at..at + 4)?.try_into().ok()?)).ok();
    // The record of the end is 22 bytes, and a comment of at most 64 KiB behind it.
    let tail = zip.len().saturating_sub(22 + (64 << 10));
    let end = zip.get(tail..).and_then(|bytes| bytes.windows(END.len()).rposition(|window| window == END));
    let Some((mut at, count)) = end.and_then(|end| Some((u32_at(tail + end + 16)?, u16_at(tail + end + 10)?))) else { return false };
    for _ in 0..count {
        if zip.get(at..at + ENTRY.len()) != Some(ENTRY) {
            return false;
        }
        let (Some(name), Some(extra), Some(comment)) = (u16_at(at + 28), u16_at(at + 30), u16_at(at + 32)) else { return false };
        let named = zip.get(at + ENTRY_BYTES..at + ENTRY_BYTES + name).unwrap_or_default();
        if named.strip_prefix(b"./").unwrap_or(named) == file.as_bytes() {
            return true;
        }
        at += ENTRY_BYTES + name + extra + comment;
    }
    false
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A zip of empty files, by its list alone.
    pub(crate) fn listing(files: &[&str]) -> Vec<u8> {
        let mut zip = b"PK\x03\x04".to_vec();
        let begin = zip.len() as u32;
        for file in files {
            let mut entry = [0u8; 46];
            entry[..4].copy_from_slice(b"PK\x01\x02");
            entry[28..30].copy_from_slice(&(file.len() as u16).to_le_bytes());
            zip.extend(entry);
            zip.extend(file.as_bytes());
        }
        let mut end = [0u8; 22];
        end[..4].copy_from_slice(b"PK\x05\x06");
        end[10..12].copy_from_slice(&(files.len() as u16).to_le_bytes());
        end[16..20].copy_from_slice(&begin.to_le_bytes());
        zip.extend(end);
        zip
    }

    #[test]
    fn a_zip_tells_what_is_in_it() {
        let zip = listing(&["app.py", "./lib/x.py", "bootstrap"]);
        for (file, expect) in [("app.py", true), ("lib/x.py", true), ("bootstrap", true), ("boot", false), ("lib", false)] {
            assert_eq!(lists(&zip, file), expect, "{file}");
        }
    }

    #[test]
    fn a_broken_list_names_nothing_and_harms_nobody() {
        let zip = listing(&["app.py", "bootstrap"]);
        // What is read of it ends two bytes before its end.
        for end in 0..zip.len() - 2 {
            assert!(!lists(&zip[..end], "bootstrap"), "{end}");
        }
        for at in 0..zip.len() {
            let mut torn = zip.clone();
            torn[at] ^= 0xff;
            let _ = lists(&torn, "bootstrap");
        }
    }
}
