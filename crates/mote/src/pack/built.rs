//! What builders of other systems leave in a folder: what of it is deployed, and what stays behind.
//!
//! `sam build` puts built code and a template for it into `.aws-sam/build`; it counts while nothing in
//! the folder is newer. The rest that these tools leave there is for themselves.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use super::Entry;

const SAM: &str = ".aws-sam";
const BUILD: &str = ".aws-sam/build";
const TEMPLATE: &str = ".aws-sam/build/template.yaml";
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
    fn what_tools_leave_for_themselves_stays_behind() {
        let left = packed(&[(".serverless/a.zip", 1), (".chalice/deployed/dev.json", 1), (".chalice/config.json", 1), ("app.py", 1)]);
        assert_eq!(left, [".chalice/config.json", "app.py"]);
    }
}
