//! Which crate may know which, and how many crates come from elsewhere.

use std::time::Duration;

use serde_json::Value;

use super::{Findings, Tree};
use crate::Result;
use crate::shell::{capture, cargo};

/// The binary names them all; the rest know the core alone.
const BINARY: &str = "mote";
const CORE: &str = "mote-core";
const LOCKED_MAX: usize = 450;

pub(super) fn crates_point_inwards(_: &Tree, findings: &mut Findings) -> Result<()> {
    let text = capture(cargo().args(["metadata", "--format-version=1", "--no-deps", "--locked"]), Duration::from_secs(120))?;
    let metadata: Value = serde_json::from_str(&text)?;
    for package in list(&metadata, "packages") {
        let from = name(package);
        for dependency in list(package, "dependencies") {
            let to = name(dependency);
            // A `kind` is `dev` or `build`; what the product is made of has none.
            let ours = to == BINARY || to.starts_with("mote-");
            if ours && dependency["kind"].is_null() && !allowed(from, to) {
                findings.add(from, format!("must not depend on {to}; crates know {CORE} alone, and only {BINARY} names them all"));
            }
        }
    }
    Ok(())
}

fn allowed(from: &str, to: &str) -> bool {
    match from {
        BINARY => to != "mote-testkit" && to != "mote-load",
        CORE | "xtask" | "mote-load" => false,
        _ => to == CORE,
    }
}

pub(super) fn the_lock_file_stays_small(tree: &Tree, findings: &mut Findings) -> Result<()> {
    let lock = tree.files.iter().find(|file| file.path == "Cargo.lock").ok_or("there is no Cargo.lock")?;
    let locked = lock.lines().filter(|(_, line)| *line == "[[package]]").count();
    if locked > LOCKED_MAX {
        findings.add("Cargo.lock", format!("{locked} packages, more than {LOCKED_MAX}"));
    }
    Ok(())
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn name(value: &Value) -> &str {
    value["name"].as_str().unwrap_or_default()
}
