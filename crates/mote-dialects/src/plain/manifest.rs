//! What a bundle deploys: by its mote.toml, or by what its files tell without one.
//!
//! The keys of mote.toml stand in [`keys`]; `docs/reference/manifest.md` is their reference.
//! Without a mote.toml one rule holds: there is exactly one candidate, or nothing is guessed.

mod aws;
mod confinement;
mod delivery;
mod flow;
mod http;
mod keys;
mod mqtt;
mod queue;
mod section;
mod timer;
mod topic;
pub(super) mod units;

use mote_core::bundle::{Bundle, File};
use mote_core::dialect::{Deployment, Manifest, Parameters};
use mote_core::function::{Family, HttpAccess, Limits, Runtime};
use mote_core::{Code, Error, Result};

const MANIFEST: &str = "mote.toml";
const MANIFEST_BYTES_MAX: usize = 256 << 10;

/// `None`: there is no mote.toml.
pub(super) fn read(bundle: &Bundle, said: &Parameters) -> Result<Option<Manifest>> {
    let Some(text) = bundle.text(MANIFEST) else { return Ok(None) };
    let text = text?;
    if let Some(name) = said.values.keys().next() {
        return Err(invalid(format!("{name} was set, and {MANIFEST} takes no parameters"))
            .hint("Leave `--set` out: what the manifest says holds everywhere."));
    }
    if text.len() > MANIFEST_BYTES_MAX {
        return Err(invalid(format!("{MANIFEST} has {} bytes, more than the limit of {MANIFEST_BYTES_MAX}", text.len())));
    }
    keys::read(text, bundle).map(|functions| Some(functions.into()))
}

/// What a bundle without a manifest deploys.
pub(super) fn told_by_files(bundle: &Bundle) -> Option<Manifest> {
    obvious(bundle).map(|(entry, family)| vec![deployment(family.into(), entry)].into())
}

/// A function with every default.
fn deployment(runtime: Runtime, entry: &str) -> Deployment {
    Deployment {
        files: None,
        name: None,
        runtime,
        dialect: super::NAME,
        entry: entry.to_owned(),
        limits: Limits::default(),
        env: Default::default(),
        secrets: Vec::new(),
        egress: Default::default(),
        isolation: Default::default(),
        delivery: Default::default(),
        records: Default::default(),
        preparing: Default::default(),
        port: None,
        pulls: false,
        about: Default::default(),
        http: HttpAccess::default(),
        bindings: Vec::new(),
        flow: None,
    }
}

/// The entry that nobody can mistake: the lone file; package.json's `main`; the one file at the
/// root named `main`, `index` or `handler`; the only source file at the root.
fn obvious(bundle: &Bundle) -> Option<(&str, Family)> {
    if let Some((path, file)) = bundle.only_file() {
        return Some((path, family(path, file)?));
    }
    if let Some(main) = package_main(bundle) {
        return Some(main);
    }
    let sources = || bundle.files().filter(|(path, _)| !path.contains('/')).filter_map(|(path, file)| Some((path, family(path, file)?)));
    let named = |path: &str| matches!(path.split('.').next(), Some("main" | "index" | "handler"));
    only(sources().filter(|(path, _)| named(path))).or_else(|| only(sources()))
}

fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next()?;
    items.next().is_none().then_some(first)
}

fn package_main(bundle: &Bundle) -> Option<(&str, Family)> {
    // Read into values it takes many times its bytes.
    let package = bundle.file("package.json").filter(|file| file.content.len() <= MANIFEST_BYTES_MAX)?;
    let package: serde_json::Value = serde_json::from_slice(&package.content).ok()?;
    let main = package.get("main")?.as_str()?;
    let main = main.strip_prefix("./").unwrap_or(main);
    let (path, file) = bundle.files().find(|(path, _)| *path == main)?;
    (family(path, file)? == Family::Node).then_some((path, Family::Node))
}

/// What runs a file: by the ending, and without one that says it, by the file itself.
fn family(path: &str, file: &File) -> Option<Family> {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("py") => Some(Family::Python),
        // Declarations hold types alone.
        Some("ts" | "mts" | "cts") if [".d.ts", ".d.mts", ".d.cts"].iter().any(|end| name.ends_with(end)) => None,
        Some("js" | "mjs" | "cjs" | "ts" | "mts" | "cts") => Some(Family::Node),
        _ => {
            let program = file.executable || file.content.starts_with(b"#!") || file.content.starts_with(b"\x7fELF");
            program.then_some(Family::Executable)
        }
    }
}

fn invalid(detail: impl Into<String>) -> Error {
    Error::new(Code::ManifestInvalid, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(files: &[(&str, &'static str)]) -> Bundle {
        let mut bundle = Bundle::default();
        for (path, content) in files {
            bundle.insert(path, *content, path.ends_with('!')).unwrap();
        }
        bundle
    }

    #[test]
    fn the_obvious_entry() {
        let check = |files: &[(&str, &'static str)], expect: Option<(&str, Family)>| {
            assert_eq!(obvious(&bundle(files)), expect, "{files:?}");
        };
        check(&[("formula.py", "")], Some(("formula.py", Family::Python)));
        check(&[("deep/formula.ts", "")], Some(("deep/formula.ts", Family::Node)));
        for ending in ["js", "mjs", "cjs", "ts", "mts", "cts"] {
            check(&[(&format!("f.{ending}"), "")], Some((&format!("f.{ending}"), Family::Node)));
        }
        check(&[("run!", "")], Some(("run!", Family::Executable)));
        check(&[("run", "#!/bin/sh\n")], Some(("run", Family::Executable)));
        check(&[("run.bin", "\x7fELF")], Some(("run.bin", Family::Executable)));
        check(&[("notes.txt", "hello")], None);
        check(&[("types.d.ts", "")], None);
        check(&[("main.py", ""), ("helper.py", "")], Some(("main.py", Family::Python)));
        check(&[("app.py", ""), ("requirements.txt", "")], Some(("app.py", Family::Python)));
        check(&[("app.py", ""), ("lib/main.py", "")], Some(("app.py", Family::Python)));
        check(&[("a.py", ""), ("b.py", "")], None);
        check(&[("main.py", ""), ("index.js", "")], None);
        check(&[("package.json", r#"{"main":"./src/a.js"}"#), ("src/a.js", ""), ("b.js", "")], Some(("src/a.js", Family::Node)));
        check(&[("package.json", r#"{"main":"gone.js"}"#), ("b.js", "")], Some(("b.js", Family::Node)));
        check(&[("package.json", "{"), ("index.js", ""), ("b.js", "")], Some(("index.js", Family::Node)));
        let endless: &str = Box::leak(format!("{{\"main\":\"a.js\",\"x\":\"{}\"}}", "x".repeat(MANIFEST_BYTES_MAX)).into_boxed_str());
        check(&[("package.json", endless), ("a.js", ""), ("index.js", "")], Some(("index.js", Family::Node)));
    }

    #[test]
    fn a_lone_file_has_every_default() {
        let told = told_by_files(&bundle(&[("formula.py", "")])).unwrap();
        assert_eq!(told.functions, [deployment(Family::Python.into(), "formula.py")]);
        assert_eq!(told_by_files(&bundle(&[("a.py", ""), ("b.py", "")])), None);
    }
}
