//! What a deploy reads of its bundle, and what it makes beside the functions: buckets and queues.
//!
//! They are written with the versions, in one transaction. Not here: what a manifest means, which is
//! its dialect's.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::action::DeployWish;
use crate::bundle::Bundle;
use crate::dialect::{Manifest, PARAMETERS, Parameters};
use crate::error::{Code, Error, Result};
use crate::function::Name;
use crate::invoke::Invoker;
use crate::queues::Planned;
use crate::store::{Write, within};

const PARAMETERS_BYTES_MAX: usize = 256 << 10;
/// Of one manifest.
const FUNCTIONS_MAX: usize = 100;
const BUCKETS_MAX: usize = 100;
const QUEUES_MAX: usize = 100;

/// Takes the parameters out of the bundle, which are no file of it.
pub(super) fn parameters(wish: &DeployWish, bundle: &mut Bundle) -> Result<Parameters> {
    let values = match bundle.take(PARAMETERS) {
        Some(file) if file.content.len() > PARAMETERS_BYTES_MAX => {
            return Err(Error::new(Code::BundleInvalid, format!("the deploy's parameters have more than {PARAMETERS_BYTES_MAX} bytes")));
        }
        Some(file) => serde_json::from_slice(&file.content).map_err(|error| {
            Error::new(Code::BundleInvalid, format!("{PARAMETERS} is not a JSON object of texts: {error}"))
                .hint("Give them by `mote deploy --set NAME=VALUE`.")
        })?,
        None => BTreeMap::new(),
    };
    let project = wish.name.clone().or_else(|| wish.default_name.clone());
    Ok(Parameters { namespace: wish.namespace.clone(), project, values })
}

/// The first dialect's that has one; where none has, what the files tell by themselves.
pub(super) async fn read(invoker: &Arc<Invoker>, bundle: Arc<Bundle>, said: Parameters) -> Result<Manifest> {
    let invoker = invoker.clone();
    // A template may be a long calculation.
    let read = tokio::task::spawn_blocking(move || read_whole(&invoker, &bundle, &said)).await;
    read.map_err(|error| Error::internal("reading a manifest panicked").caused_by(error))?
}

fn read_whole(invoker: &Invoker, bundle: &Bundle, said: &Parameters) -> Result<Manifest> {
    for dialect in invoker.dialects.iter() {
        if let Some(manifest) = dialect.manifest(bundle, said)? {
            return bounded(manifest);
        }
    }
    if let Some(manifest) = invoker.dialects.iter().find_map(|dialect| dialect.obvious(bundle)) {
        return match said.values.keys().next() {
            Some(name) => Err(Error::new(Code::ManifestInvalid, format!("{name} was set, and there is no manifest that asks for it"))
                .hint("Leave `--set` out.")),
            None => Ok(manifest),
        };
    }
    let detail = format!("no manifest was found, and no file that tells what to run, among {}", first_of(bundle));
    Err(Error::new(Code::ManifestInvalid, detail)
        .hint("Deploy one `.py`, `.js` or `.ts` file, an executable, or a folder with a mote.toml."))
}

fn bounded(manifest: Manifest) -> Result<Manifest> {
    let (functions, buckets, queues) = (manifest.functions.len(), manifest.buckets.len(), manifest.queues.len());
    if functions > FUNCTIONS_MAX || buckets > BUCKETS_MAX || queues > QUEUES_MAX {
        let detail = format!(
            "the manifest declares {functions} functions, {buckets} buckets and {queues} queues; \
             {FUNCTIONS_MAX}, {BUCKETS_MAX} and {QUEUES_MAX} are the most"
        );
        return Err(Error::new(Code::ManifestInvalid, detail).hint("Make two folders of it."));
    }
    Ok(manifest)
}

/// `"a.txt", "b.txt", "c.txt" and 4 more`.
fn first_of(bundle: &Bundle) -> String {
    const SHOWN: usize = 3;
    let names: Vec<String> = bundle.files().map(|(path, _)| format!("{path:?}")).take(SHOWN).collect();
    match bundle.files().len() {
        0 => "no files at all".to_owned(),
        1..=SHOWN => names.join(", "),
        all => format!("{} and {} more", names.join(", "), all - SHOWN),
    }
}

/// What comes with the functions.
#[derive(Default)]
pub(super) struct Beside {
    /// By their names in the store.
    buckets: Vec<String>,
    queues: BTreeMap<Name, crate::access::Patch>,
}

impl Beside {
    /// Judged at the flip once more; here it spares a build that would be for nothing.
    pub(super) async fn of(invoker: &Invoker, namespace: &Name, manifest: &mut Manifest) -> Result<Beside> {
        let buckets = manifest.buckets.iter().map(|name| within::stored(namespace, name)).collect::<Result<_>>()?;
        let beside = Beside { buckets, queues: std::mem::take(&mut manifest.queues) };
        beside.plan(invoker, namespace).await?;
        Ok(beside)
    }

    /// The writes, and the queues that are to be told of when they have happened.
    pub(super) async fn plan<'i>(&self, invoker: &'i Invoker, namespace: &Name) -> Result<(Vec<Write>, Option<Planned<'i>>)> {
        let mut writes: Vec<Write> = self.buckets.iter().map(|name| Write::Bucket { name: name.clone() }).collect();
        if self.queues.is_empty() {
            return Ok((writes, None));
        }
        let planned = invoker.queues.plan(&*invoker.catalog, namespace, &self.queues, invoker.clock.now()).await?;
        writes.extend(planned.writes.iter().cloned());
        Ok((writes, Some(planned)))
    }
}
