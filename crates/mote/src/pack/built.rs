//! What builders of other systems leave in a folder: what of it is deployed, and what stays behind.
//!
//! `sam build` puts built code and a template for it into `.aws-sam/build`; it counts while nothing in
//! the folder is newer. `cargo lambda build` puts programs into `target/lambda`; each counts while no
//! source is newer. The rest that these tools leave there is for themselves.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use super::Entry;

const SAM: &str = ".aws-sam";
const BUILD: &str = ".aws-sam/build";
const TEMPLATE: &str = ".aws-sam/build/template.yaml";
const CARGO: &str = "Cargo.toml";
const LAMBDA: &str = "target/lambda";
/// One of these in the folder of each program.
const PROGRAMS: [&str; 2] = ["bootstrap", "bootstrap.zip"];
/// Never part of a function.
const LEFT: [&str; 4] = [SAM, ".serverless", ".chalice/deployments", ".chalice/deployed"];

/// Whether it is built code, which has its dependencies with it.
pub(super) fn is_within(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.contains("/.aws-sam/build/"))
}

pub(super) fn select(root: &Path, files: &mut Vec<Entry>) {
    let left = |entry: &Entry| LEFT.iter().any(|left| entry.inside.starts_with(left));
    let newest = files.iter().filter(|entry| !left(entry)).filter_map(|entry| changed(&entry.source)).max();
    let built = changed(&root.join(TEMPLATE)).is_some_and(|built| newest.is_none_or(|newest| newest <= built));
    files.retain(|entry| !left(entry) || (built && entry.inside.starts_with(BUILD)));
    if root.join(CARGO).is_file() {
        let programs = programs(root, files);
        files.extend(programs);
    }
}

/// Those that are as new as the sources.
fn programs(root: &Path, files: &[Entry]) -> Vec<Entry> {
    let newest = files.iter().filter(|entry| is_source(&entry.inside)).filter_map(|entry| changed(&entry.source)).max();
    let mut all = Vec::new();
    // Sorted, so that the same files make the same archive.
    let mut folders: Vec<_> = fs::read_dir(root.join(LAMBDA)).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    folders.sort();
    for source in folders.iter().flat_map(|folder| PROGRAMS.map(|name| folder.join(name))) {
        // A link may lead out of the folder.
        let plain = source.canonicalize().is_ok_and(|real| real == source) && source.is_file();
        let fresh = changed(&source).is_some_and(|built| newest.is_none_or(|newest| newest <= built));
        if let (true, true, Ok(inside)) = (plain, fresh, source.strip_prefix(root)) {
            all.push(Entry { inside: inside.to_owned(), source: source.clone() });
        }
    }
    all
}

fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "rs") || path == Path::new(CARGO) || path == Path::new("Cargo.lock")
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|status| status.modified()).ok()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use mote_core::bundle::Bundle;

    use super::*;

    /// Files with their age in seconds.
    fn packed(files: &[(&str, u64)]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        for (file, age_s) in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "{}").unwrap();
            let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - age_s);
            File::options().write(true).open(&path).unwrap().set_modified(then).unwrap();
        }
        let bundle = Bundle::unpack(&super::super::pack(dir.path()).unwrap().archive).unwrap();
        bundle.files().map(|(path, _)| path.to_owned()).collect()
    }

    #[test]
    fn built_code_counts_while_nothing_is_newer() {
        let build = [
            (".aws-sam/build/template.yaml", 10),
            (".aws-sam/build/F/node_modules/a/index.js", 10),
            (".aws-sam/cache/x", 1),
            (".aws-sam/build.toml", 1),
        ];
        let with = |age_s| packed(&[&build[..], &[("template.yaml", 20), ("package.json", 20), ("src/app.py", age_s)]].concat());
        let own = ["package.json", "src/app.py", "template.yaml"];
        assert_eq!(with(5), own);
        assert_eq!(with(11), [&[".aws-sam/build/F/node_modules/a/index.js", ".aws-sam/build/template.yaml"], &own[..]].concat());
    }

    #[test]
    fn a_program_counts_while_no_source_is_newer() {
        let own = ["Cargo.toml", "README.md", "src/main.rs"];
        let with = |age_s| {
            let program = ("target/lambda/shop/bootstrap", age_s);
            let rest = [("target/lambda/shop/shop.d", 1), ("target/release/shop", 1), ("README.md", 1)];
            packed(&[&[program, ("Cargo.toml", 20), ("src/main.rs", 10)][..], &rest].concat())
        };
        assert_eq!(with(11), own);
        assert_eq!(with(10), [&own[..], &["target/lambda/shop/bootstrap"]].concat());
        assert_eq!(packed(&[("target/lambda/shop/bootstrap", 1), ("main.py", 1)]), ["main.py"]);
    }

    #[test]
    fn what_tools_leave_for_themselves_stays_behind() {
        let left = packed(&[(".serverless/a.zip", 1), (".chalice/deployed/dev.json", 1), (".chalice/config.json", 1), ("app.py", 1)]);
        assert_eq!(left, [".chalice/config.json", "app.py"]);
    }
}
