//! Packs what is deployed: a file or a folder as tar.gz, the same bytes for the same files.
//!
//! Left out: version control, caches, virtual environments, and what `.moteignore` names (in the
//! notation of `.gitignore`). Links that stay inside are packed as what they point to; one that
//! leads out is an error, since its target would be missing where the function runs. What other
//! systems' builders left in the folder: [`built`].

mod asked;
mod built;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use ignore::{Walk, WalkBuilder};
use mote_core::bundle::{ARCHIVE_BYTES_MAX, FILES_MAX};
use mote_core::dialect::PARAMETERS;

use crate::failure::Failure;

/// Never part of a function.
const SKIPPED: &[&str] = &[".git", ".hg", ".svn", ".mote", ".venv", "venv", "__pycache__", ".pytest_cache", ".mypy_cache", "target"];
const IGNORE_FILE: &str = ".moteignore";

/// Whether a folder of this name is left out, or is one that a change in it does not matter.
pub(crate) fn skips(name: &str) -> bool {
    SKIPPED.contains(&name) || name == "node_modules"
}

pub(crate) use self::asked::asked;

/// An archive, ready to be sent.
pub(crate) struct Packed {
    pub(crate) archive: Vec<u8>,
    /// The name that the path gives, if it is one that a function can have.
    pub(crate) name: Option<String>,
}

/// Packs a file, or a folder with all that is in it.
pub(crate) fn pack(path: &Path) -> Result<Packed, Failure> {
    pack_with(path, &BTreeMap::new())
}

/// The same, and what is said to the manifest in it.
pub(crate) fn pack_with(path: &Path, parameters: &BTreeMap<String, String>) -> Result<Packed, Failure> {
    let root = fs::canonicalize(path).map_err(|error| {
        Failure::refused(format!("{} can't be deployed: {}", path.display(), said(&error)))
            .wanted("wanted: a .py, .js or .ts file, an executable, or a folder")
            .hint("`mote new NAME` makes a folder to start from.")
    })?;
    let files = if root.is_dir() { files_of(&root)? } else { vec![lone(&root)?] };
    if files.is_empty() {
        return Err(
            Failure::refused(format!("{} holds no file to deploy", path.display())).hint("Look into its .moteignore, if there is one.")
        );
    }
    if files.len() > FILES_MAX {
        return Err(Failure::refused(format!("{} holds {} files", path.display(), files.len()))
            .wanted(format!("wanted: {FILES_MAX} at most"))
            .hint("Name what the function does not need in .moteignore."));
    }
    Ok(Packed { archive: archive(&files, parameters)?, name: name_of(&root) })
}

/// A file, and the path it gets in the archive.
struct Entry {
    inside: PathBuf,
    source: PathBuf,
}

fn lone(file: &Path) -> Result<Entry, Failure> {
    // Opening a pipe would wait for a writer.
    if !file.is_file() {
        return Err(Failure::refused(format!("{} is neither a file nor a folder", file.display())));
    }
    let name = file.file_name().ok_or_else(|| Failure::refused(format!("{} is not a file", file.display())))?;
    Ok(Entry { inside: name.into(), source: file.to_owned() })
}

fn files_of(root: &Path) -> Result<Vec<Entry>, Failure> {
    // A function that ships its node_modules without a manifest has no other way to have them.
    let installable = root.join("package.json").is_file();
    let walk = walk(root, installable, true);
    let mut files = Vec::new();
    for entry in walk {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) if path_of(&error).is_some_and(|link| is_ignored_link(root, installable, link)) => continue,
            Err(error) => return Err(Failure::refused(format!("a part of {} can't be read: {error}", root.display()))),
        };
        let path = entry.path();
        if entry.path_is_symlink() {
            stays_inside(root, path)?;
        }
        if entry.file_type().is_some_and(|kind| kind.is_file()) && entry.file_name() != IGNORE_FILE {
            let inside = path.strip_prefix(root).unwrap_or(path).to_owned();
            files.push(Entry { inside, source: path.to_owned() });
        }
    }
    built::select(root, &mut files);
    Ok(files)
}

fn walk(root: &Path, installable: bool, follow_links: bool) -> Walk {
    WalkBuilder::new(root)
        .standard_filters(false)
        .add_custom_ignore_filename(IGNORE_FILE)
        .follow_links(follow_links)
        .filter_entry(move |entry| {
            let name = entry.file_name().to_string_lossy();
            let installed = installable && name == "node_modules" && !built::is_within(entry.path());
            let skipped = SKIPPED.contains(&name.as_ref()) || installed;
            let kept = !skipped || !entry.file_type().is_some_and(|kind| kind.is_dir());
            entry.depth() == 0 || (kept && !is_editors(&name))
        })
        .sort_by_file_name(Ord::cmp)
        .build()
}

/// An editor's lock or unsaved copy: `.#main.py` (a link to nowhere), `.main.py.swp`.
pub(crate) fn is_editors(name: &str) -> bool {
    name.starts_with(".#") || (name.starts_with('.') && [".swp", ".swo", ".swx"].iter().any(|end| name.ends_with(end)))
}

/// A link to nowhere fails the walk before anything has asked whether it is left out.
fn is_ignored_link(root: &Path, installable: bool, link: &Path) -> bool {
    // Below another link the second walk sees nothing, so nothing there is excused.
    let reached = link.parent().is_some_and(|parent| parent.canonicalize().is_ok_and(|real| real == parent));
    reached && link.is_symlink() && !walk(root, installable, false).flatten().any(|entry| entry.path() == link)
}

fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => path_of(err),
        _ => None,
    }
}

fn stays_inside(root: &Path, link: &Path) -> Result<(), Failure> {
    let target =
        fs::canonicalize(link).map_err(|error| Failure::refused(format!("the link {} leads nowhere: {}", link.display(), said(&error))))?;
    if target.starts_with(root) {
        return Ok(());
    }
    Err(Failure::refused(format!("the link {} leads out of the folder, to {}", link.display(), target.display()))
        .wanted("wanted: links to files inside the folder")
        .hint("Copy the file in, or name the link in .moteignore."))
}

fn archive(files: &[Entry], parameters: &BTreeMap<String, String>) -> Result<Vec<u8>, Failure> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for Entry { inside, source } in files {
        append(&mut tar, inside, source)
            .map_err(|error| Failure::refused(format!("{} can't be packed: {}", source.display(), said(&error))))?;
        let size = tar.get_ref().get_ref().len() as u64;
        if size > ARCHIVE_BYTES_MAX {
            return Err(Failure::refused(format!("packed, the files are larger than {}", crate::output::bytes(ARCHIVE_BYTES_MAX)))
                .wanted(format!("the limit is passed at {}", inside.display()))
                .hint("Name what the function does not need in .moteignore; large data belongs into a bucket."));
        }
    }
    let finish = move || {
        if !parameters.is_empty() {
            let text = serde_json::to_vec(parameters)?;
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, PARAMETERS, &*text)?;
        }
        tar.into_inner()?.finish()
    };
    finish().map_err(|error| Failure::platform(format!("the archive can't be finished: {error}")))
}

fn append(tar: &mut tar::Builder<impl Write>, inside: &Path, source: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let file = File::open(source)?;
    let status = file.metadata()?;
    let mut header = tar::Header::new_gnu();
    header.set_size(status.len());
    // No time, no owner: the same files make the same archive everywhere.
    header.set_mode(if status.permissions().mode() & 0o111 != 0 { 0o755 } else { 0o644 });
    // A file that grows meanwhile must not run into the next header.
    tar.append_data(&mut header, inside, io::Read::take(file, status.len()))
}

/// `formula.py` → `formula`, `/srv/orders` → `orders`; what a name can't hold becomes `-`.
pub(crate) fn name_of(path: &Path) -> Option<String> {
    let whole = if path.is_dir() { path.file_name() } else { path.file_stem() }?.to_str()?;
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    let name: String = whole.chars().map(plain).collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    mote_core::function::Name::new(name).ok().map(|name| name.to_string())
}

fn said(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use mote_core::bundle::Bundle;

    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, *file).unwrap();
        }
        dir
    }

    fn packed(path: &Path) -> Vec<String> {
        let bundle = Bundle::unpack(&pack(path).unwrap().archive).unwrap();
        bundle.files().map(|(path, _)| path.to_owned()).collect()
    }

    #[test]
    fn leaves_out_what_no_function_needs() {
        let dir = folder(&["main.py", ".git/HEAD", "__pycache__/main.pyc", "a/b.txt", "a/.venv/x", ".mote/data/mote.db", ".env"]);
        assert_eq!(packed(dir.path()), [".env", "a/b.txt", "main.py"]);
    }

    #[test]
    fn node_modules_stay_unless_they_can_be_installed() {
        assert_eq!(packed(folder(&["a.js", "node_modules/x/i.js"]).path()), ["a.js", "node_modules/x/i.js"]);
        assert_eq!(packed(folder(&["a.js", "package.json", "node_modules/x/i.js"]).path()), ["a.js", "package.json"]);
    }

    #[test]
    fn moteignore_is_read_as_a_gitignore() {
        let dir = folder(&["a.py", "b.log", "keep.log", "data/x.bin", ".gitignore"]);
        fs::write(dir.path().join(IGNORE_FILE), "*.log\n!keep.log\n/data\n").unwrap();
        assert_eq!(packed(dir.path()), [".gitignore", "a.py", "keep.log"]);
    }

    #[test]
    fn a_lone_file_keeps_its_bit_and_gives_its_name() {
        let dir = folder(&["sum up.sh"]);
        let file = dir.path().join("sum up.sh");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let packed = pack(&file).unwrap();
        assert_eq!(packed.name.as_deref(), Some("sum-up"));
        assert!(Bundle::unpack(&packed.archive).unwrap().file("sum up.sh").unwrap().executable);
    }

    #[test]
    fn links_are_followed_inside_and_refused_outside() {
        let dir = folder(&["lib/x.py"]);
        symlink("lib/x.py", dir.path().join("y.py")).unwrap();
        assert_eq!(packed(dir.path()), ["lib/x.py", "y.py"]);
        let outside = folder(&["secret"]);
        symlink(outside.path().join("secret"), dir.path().join("z.py")).unwrap();
        let refused = format!("{:?}", pack(dir.path()).err().unwrap());
        assert!(refused.contains("z.py") && refused.contains("secret"), "{refused}");
    }

    #[test]
    fn what_an_editor_leaves_beside_a_file_is_no_part_of_it() {
        let dir = folder(&["main.py", ".main.py.swp", "lib/x.py"]);
        symlink("user@host.1234:1700000000", dir.path().join(".#main.py")).unwrap();
        symlink("user@host.1234:1700000000", dir.path().join("lib/.#x.py")).unwrap();
        assert_eq!(packed(dir.path()), ["lib/x.py", "main.py"]);
    }

    #[test]
    fn a_link_to_nowhere_is_refused_unless_it_is_ignored() {
        let dir = folder(&["main.py"]);
        symlink("gone", dir.path().join("old.py")).unwrap();
        assert!(format!("{:?}", pack(dir.path()).err().unwrap()).contains("old.py"));
        fs::write(dir.path().join(IGNORE_FILE), "old.py\n").unwrap();
        assert_eq!(packed(dir.path()), ["main.py"]);
    }

    #[test]
    fn what_is_no_file_is_refused_unopened() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("main.py");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let refused = format!("{:?}", pack(&socket).err().unwrap());
        assert!(refused.contains("neither a file nor a folder"), "{refused}");
    }

    #[test]
    fn the_same_files_make_the_same_archive() {
        assert_eq!(pack(folder(&["a", "b/c"]).path()).unwrap().archive, pack(folder(&["a", "b/c"]).path()).unwrap().archive);
    }

    #[test]
    fn what_is_not_there_is_refused() {
        assert!(pack(Path::new("/nonexistent/x.py")).is_err());
        assert!(pack(tempfile::tempdir().unwrap().path()).is_err());
    }
}
