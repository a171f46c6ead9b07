//! What of a folder can be deployed: the folder itself, or each file and sub-folder that is a
//! function. The dialects judge, as at a deploy.

use std::path::{Path, PathBuf};

use mote_core::bundle::{ARCHIVE_BYTES_MAX, Bundle};
use mote_core::dialect::{Dialect, Parameters};
use mote_dialects::aws::{Account, Aws, Keys};
use mote_dialects::plain::Plain;

use crate::pack;

const MANIFEST: &str = "mote.toml";

/// A path that is deployed as one, and what came of it.
pub(super) struct Unit {
    pub(super) path: PathBuf,
    /// As it was last deployed; the same again is no change.
    pub(super) archive: Vec<u8>,
    /// What is live of it.
    pub(super) functions: Vec<String>,
}

impl Unit {
    pub(super) fn new(path: PathBuf) -> Unit {
        Unit { path, archive: Vec::new(), functions: Vec::new() }
    }
}

/// The paths to deploy, in name order; `judge` is [`is_function`], or remembers what it said.
pub(super) fn find(dir: &Path, judge: &mut impl FnMut(&Path) -> bool) -> Vec<PathBuf> {
    if dir.join(MANIFEST).is_file() {
        return vec![dir.to_owned()];
    }
    let mut children: Vec<PathBuf> = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    children
        .retain(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| !name.starts_with('.') && !pack::skips(name)));
    children.sort();
    // A lone `hello.py` is `hello` and not the folder's name: its neighbour may come tomorrow.
    let whole = children.iter().any(|child| marks_a_whole(child)) && !children.iter().any(|child| child.join(MANIFEST).is_file());
    if whole && judge(dir) {
        return vec![dir.to_owned()];
    }
    children.retain(|path| judge(path));
    children
}

/// A file that is about the folder that it lies in.
fn marks_a_whole(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let entry = matches!(name.split('.').next(), Some("main" | "index" | "handler"));
    path.is_file() && (entry || matches!(&*name, "package.json" | "requirements.txt" | "pyproject.toml"))
}

/// Reads all that would be deployed.
pub(super) fn is_function(path: &Path) -> bool {
    let Ok(status) = path.metadata() else { return false };
    if status.is_file() && status.len() > ARCHIVE_BYTES_MAX {
        return false;
    }
    let manifest = path.join(MANIFEST).is_file();
    let Ok(packed) = pack::pack(path) else { return manifest };
    // A broken manifest is one all the same: its deploy tells what is wrong.
    Bundle::unpack(&packed.archive).map_or(manifest, |bundle| {
        let (said, aws) = (Parameters::default(), Aws::new(Account::default(), Keys::default()));
        let dialects: [&dyn Dialect; 2] = [&Plain::public(), &aws];
        dialects.iter().any(|dialect| !matches!(dialect.manifest(&bundle, &said), Ok(None)) || dialect.obvious(&bundle).is_some())
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn check(files: &[&str], expect: &[&str]) {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "name = 'f'\n").unwrap();
        }
        let found = find(dir.path(), &mut is_function);
        let found: Vec<_> = found.iter().map(|path| path.strip_prefix(dir.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(found, expect, "{files:?}");
    }

    #[test]
    fn what_is_judged_already_is_not_read_again() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["a.py", "data/blob.bin"] {
            fs::create_dir_all(dir.path().join(file).parent().unwrap()).unwrap();
            fs::write(dir.path().join(file), "x").unwrap();
        }
        let mut asked = Vec::new();
        let found = find(dir.path(), &mut |path| {
            asked.push(path.file_name().unwrap().to_owned());
            path.ends_with("a.py")
        });
        assert_eq!(found, [dir.path().join("a.py")]);
        assert_eq!(asked, ["a.py", "data"], "each child is judged once, and by nothing else");
    }

    #[test]
    fn finds_the_folder_or_what_is_in_it() {
        check(&["mote.toml", "a.py", "b.py"], &[""]);
        check(&["main.py", "lib.py", "README.md"], &[""]);
        check(&["app.py", "requirements.txt"], &[""]);
        check(&["hello.py"], &["hello.py"]);
        check(&["a.py", "b.js", "README.md"], &["a.py", "b.js"]);
        check(&["one/main.py", "two/index.js", "docs/x.md"], &["one", "two"]);
        check(&["one/mote.toml", "tool.py"], &["one", "tool.py"]);
        check(&[".hidden/main.py", "node_modules/x/index.js"], &[]);
        check(&[], &[]);
    }
}
