//! What people write who deploy to AWS, as `mote deploy` takes it: SAM's `template.yaml`,
//! `serverless.yml`, Chalice's `app.py`, and a `Cargo.toml` of `cargo lambda`.
//!
//! Read here and nowhere run: a template is worked out to functions, buckets and queues. What mote
//! can't honour is told with its line and column, all of it at once, and nothing is made. The list of
//! what is honoured: docs/guide/aws-manifests.md. Not here: the Lambda API, which says the same of one
//! function in JSON.

mod bindings;
mod cargo;
mod chalice;
mod code;
mod finding;
mod function;
mod sam;
mod serverless;
mod template;
#[cfg(test)]
mod tests;
mod toml;
mod yaml;

use std::cell::Cell;

use mote_core::Result;
use mote_core::bundle::Bundle;
use mote_core::dialect::{Manifest, Parameters};

pub(crate) use self::bindings::path_of;
use self::finding::Findings;
use self::yaml::Node;
use super::arn::{self, Account};

/// A folder's template as it is written, and as `sam build` leaves it, with its code built.
const TEMPLATES: [&str; 5] =
    [".aws-sam/build/template.yaml", "template.yaml", "template.yml", "template.json", ".aws-sam/build/template.yml"];
const SERVERLESS: [&str; 2] = ["serverless.yml", "serverless.yaml"];
const BUILT: &str = ".aws-sam/build";

/// Where a region may be set that is not the usual one.
const REGION: &str = "AWS::Region";
/// Before the name of a variable of whoever deploys.
const FROM_ENV: &str = "env:";

/// `None`: the bundle has none of these files.
pub(super) fn read(bundle: &Bundle, said: &Parameters, account: &Account) -> Result<Option<Manifest>> {
    for file in TEMPLATES {
        let Some(root) = parse(bundle, file)?.filter(is_template) else { continue };
        let ground = Ground {
            bundle,
            said,
            account,
            folder: file.rsplit_once('/').map_or("", |(folder, _)| folder),
            region: said.values.get(REGION).map_or(arn::REGION, String::as_str).to_owned(),
            taken: Taken::default(),
        };
        let mut found = Findings::default();
        let manifest = sam::read(&root, &ground, &mut found);
        return finish(manifest, found, file).map(Some);
    }
    for file in SERVERLESS {
        let Some(root) = parse(bundle, file)? else { continue };
        let ground = Ground { bundle, said, account, folder: "", region: region_of(&root, said), taken: Taken::default() };
        let mut found = Findings::default();
        let manifest = serverless::read(&root, &ground, &mut found);
        return finish(manifest, found, file).map(Some);
    }
    if let Some(root) = parse(bundle, chalice::CONFIG)? {
        let ground = Ground { bundle, said, account, folder: "", region: region_of(&root, said), taken: Taken::default() };
        return chalice::read(&root, &ground).map(Some);
    }
    if let Some(text) = bundle.text(cargo::MANIFEST) {
        let root = toml::read(text?).map_err(|finding| finding::error(cargo::MANIFEST, finding))?;
        if cargo::is_one(&root, bundle) {
            let ground = Ground { bundle, said, account, folder: "", region: region_of(&root, said), taken: Taken::default() };
            let mut found = Findings::default();
            let manifest = cargo::read(&root, &ground, &mut found);
            return finish(manifest, found, cargo::MANIFEST).map(Some);
        }
    }
    Ok(None)
}

/// A plain text of the provider's, unless another is set.
fn region_of(root: &Node, said: &Parameters) -> String {
    let own = root.get("provider").and_then(|provider| provider.get("region")?.as_text()).filter(|region| !region.contains("${"));
    let set = ["region", REGION].iter().find_map(|name| said.values.get(*name));
    set.map(String::as_str).or(own).unwrap_or(arn::REGION).to_owned()
}

fn finish(mut manifest: Manifest, found: Findings, file: &str) -> Result<Manifest> {
    manifest.notes = found.end(file)?;
    Ok(manifest)
}

/// `None`: there is no such file, or nothing in it.
fn parse(bundle: &Bundle, file: &str) -> Result<Option<Node>> {
    let Some(text) = bundle.text(file) else { return Ok(None) };
    yaml::read(text?).map_err(|finding| finding::error(file, finding))
}

/// A text of YAML or JSON, in whose places nobody is interested.
pub(super) fn value_of(text: &str) -> Option<serde_json::Value> {
    yaml::read(text).ok().flatten().map(|root| root.json())
}

/// Other tools have templates of the same name.
fn is_template(root: &Node) -> bool {
    root.get("Resources").is_some() || root.get("Transform").is_some() || root.get("AWSTemplateFormatVersion").is_some()
}

/// What a manifest is read with.
struct Ground<'a> {
    bundle: &'a Bundle,
    said: &'a Parameters,
    account: &'a Account,
    /// That the manifest lies in.
    folder: &'a str,
    region: String,
    taken: Taken,
}

/// What has been taken out of the bundle for functions and layers.
#[derive(Default)]
struct Taken {
    times: Cell<usize>,
    unpacked: Cell<u64>,
}

impl Ground<'_> {
    fn region(&self) -> &str {
        &self.region
    }

    fn partition(&self) -> &'static str {
        arn::partition(self.region())
    }

    fn account(&self) -> String {
        self.account.of(&self.said.namespace)
    }

    /// What AWS calls the stack.
    fn project(&self) -> &str {
        self.said.project.as_ref().map_or("mote", |name| name.as_str())
    }

    fn arn(&self, service: &str, what: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{what}", self.partition(), self.region(), self.account())
    }

    /// Whether the code that it names is as a build has left it.
    fn is_built(&self) -> bool {
        self.folder == BUILT
    }
}
