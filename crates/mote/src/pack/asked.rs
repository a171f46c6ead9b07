//! Variables of whoever deploys that a `serverless.yml` asks for: those that it names, and no other.
//!
//! Looked for in the YAML and JSON files beside it, since variables may stand in any of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const MANIFESTS: [&str; 2] = ["serverless.yml", "serverless.yaml"];
const FILE_BYTES_MAX: u64 = 1 << 20;
const FILES_MAX: usize = 100;

/// By the names that the manifest's dialect has for them.
pub(crate) fn asked(folder: &Path) -> BTreeMap<String, String> {
    named(folder).into_iter().filter_map(|name| Some((format!("env:{name}"), std::env::var(&name).ok()?))).collect()
}

fn named(folder: &Path) -> Vec<String> {
    let is_plain = folder.join("mote.toml").is_file();
    if is_plain || !MANIFESTS.iter().any(|file| folder.join(file).is_file()) {
        return Vec::new();
    }
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let texts = files.filter(|path| {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let small = path.metadata().is_ok_and(|status| status.is_file() && status.len() <= FILE_BYTES_MAX);
        small && ["yml", "yaml", "json"].contains(&ending)
    });
    texts.take(FILES_MAX).filter_map(|path| fs::read_to_string(path).ok()).flat_map(|text| names(&text)).collect()
}

fn names(text: &str) -> Vec<String> {
    let variables = text.split("${").skip(1).filter_map(|rest| rest.split(['}', '\n']).next());
    let names = variables.flat_map(|inner| inner.split(',')).filter_map(|one| one.trim().strip_prefix("env:"));
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_are_named_are_sent() {
        assert_eq!(names("a: ${env:A}\nb: ${opt:x, env:B_2, 'env:no'} ${self:${env:C}}\nenv:D\n${env"), ["A", "B_2", "C"]);
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("more.yml"), "a: ${env:PATH}").unwrap();
        assert!(asked(dir.path()).is_empty());
        fs::write(dir.path().join("serverless.yml"), "a: ${env:NOBODY_HAS_SET_THIS}").unwrap();
        assert_eq!(asked(dir.path()).into_keys().collect::<Vec<_>>(), ["env:PATH"]);
        fs::write(dir.path().join("mote.toml"), "").unwrap();
        assert!(asked(dir.path()).is_empty());
    }
}
