//! A bundle: the files that somebody deploys, unpacked in memory from a hostile archive.
//!
//! Bounded in files, bytes and depth; no path leaves the root, no link and no device comes in.
//! What is refused is refused before anything touches the disk. Not here: what the files mean
//! (a dialect's manifest) and where they end up (an engine's artifact).

use std::collections::BTreeMap;
use std::io::Read;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::error::{Code, Error, Result};
use crate::function::Digest;

pub const ARCHIVE_BYTES_MAX: u64 = 64 << 20;
pub const UNPACKED_BYTES_MAX: u64 = 256 << 20;
pub const FILES_MAX: usize = 20_000;
pub const PATH_BYTES_MAX: usize = 1024;
pub const PATH_PARTS_MAX: usize = 64;

/// Files by their path below the root, `/` between its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    files: BTreeMap<String, File>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub content: Bytes,
    pub executable: bool,
}

impl Bundle {
    /// Reads `tar.gz`, `tar` or `zip`, told apart by their first bytes.
    pub fn unpack(archive: &[u8]) -> Result<Bundle> {
        if archive.len() as u64 > ARCHIVE_BYTES_MAX {
            return Err(invalid(format!("the archive has {} bytes, more than the limit of {ARCHIVE_BYTES_MAX}", archive.len())));
        }
        let bundle = match archive {
            [0x1f, 0x8b, ..] => Bundle::untar(flate2::read::MultiGzDecoder::new(archive))?,
            [b'P', b'K', ..] => Bundle::unzip(archive)?,
            _ if archive.get(257..262) == Some(b"ustar") => Bundle::untar(archive)?,
            _ => {
                return Err(invalid("the archive is neither tar.gz, tar nor zip")
                    .hint("Send a folder with `mote deploy DIR`, or pack it as tar.gz or zip."));
            }
        };
        if bundle.files.is_empty() {
            return Err(invalid("the archive holds no file"));
        }
        bundle.check_folders()?;
        Ok(bundle)
    }

    /// An error if a path is a file here and a folder there: no disk can hold both.
    fn check_folders(&self) -> Result<()> {
        for path in self.files.keys() {
            let above = path.match_indices('/').map(|(end, _)| &path[..end]);
            if let Some(file) = above.into_iter().find(|above| self.files.contains_key(*above)) {
                return Err(invalid(format!("{file:?} is a file, and also the folder of {path:?}")));
            }
        }
        Ok(())
    }

    /// Adds a file, if its path is good.
    pub fn insert(&mut self, path: &str, content: impl Into<Bytes>, executable: bool) -> Result<()> {
        let path = clean(path)?;
        if self.files.len() >= FILES_MAX {
            return Err(invalid(format!("more than {FILES_MAX} files")));
        }
        if self.files.insert(path.clone(), File { content: content.into(), executable }).is_some() {
            return Err(invalid(format!("{path:?} is there twice")));
        }
        Ok(())
    }

    /// Adds the files of another one below a folder, over those that are there; together they are
    /// bounded as one is alone.
    pub fn overlay(&mut self, folder: &str, other: Bundle) -> Result<()> {
        for (path, file) in other.files {
            self.files.insert(clean(&format!("{folder}/{path}"))?, file);
        }
        let bytes: u64 = self.files.values().map(|file| file.content.len() as u64).sum();
        if self.files.len() > FILES_MAX || bytes > UNPACKED_BYTES_MAX {
            let found = format!("{} files and {bytes} bytes", self.files.len());
            return Err(invalid(format!("with its layers it has {found}, and may have {FILES_MAX} and {UNPACKED_BYTES_MAX}")));
        }
        self.check_folders()
    }

    /// Takes a file out.
    pub fn take(&mut self, path: &str) -> Option<File> {
        self.files.remove(path)
    }

    /// The files below a folder, by their paths there; of the root (empty, or `.`) all of them.
    pub fn below(&self, folder: &str) -> Result<Bundle> {
        if folder.split('/').all(|part| matches!(part, "" | ".")) && !folder.starts_with('/') {
            return Ok(self.clone());
        }
        let within = format!("{}/", clean(folder)?);
        let inside = self.files.range(within.clone()..).map_while(|(path, file)| Some((path.strip_prefix(&within)?, file)));
        Ok(Bundle { files: inside.map(|(path, file)| (path.to_owned(), file.clone())).collect() })
    }

    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.get(path)
    }

    pub fn text(&self, path: &str) -> Option<Result<&str>> {
        let file = self.files.get(path)?;
        Some(std::str::from_utf8(&file.content).map_err(|e| invalid(format!("{path} is not UTF-8: {e}"))))
    }

    pub fn files(&self) -> impl ExactSizeIterator<Item = (&str, &File)> {
        self.files.iter().map(|(path, file)| (path.as_str(), file))
    }

    /// The one file of a bundle that has just one.
    pub fn only_file(&self) -> Option<(&str, &File)> {
        let mut files = self.files();
        (files.len() == 1).then(|| files.next()).flatten()
    }

    /// Over paths, modes and contents; the same for the same files, however they were packed.
    pub fn digest(&self) -> Digest {
        let mut hash = Sha256::new();
        for (path, file) in &self.files {
            hash.update((path.len() as u64).to_le_bytes());
            hash.update(path);
            hash.update([u8::from(file.executable)]);
            hash.update((file.content.len() as u64).to_le_bytes());
            hash.update(&file.content);
        }
        Digest(hash.finalize().into())
    }

    fn untar(reader: impl Read) -> Result<Bundle> {
        let mut bundle = Bundle::default();
        let mut left = UNPACKED_BYTES_MAX;
        // What a gzip bomb of headers alone may cost.
        let mut archive = tar::Archive::new(reader.take(UNPACKED_BYTES_MAX + ((FILES_MAX as u64) << 10)));
        for entry in archive.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            let kind = entry.header().entry_type();
            let path = String::from_utf8(entry.path_bytes().into_owned()).map_err(|_| invalid("a path is not UTF-8"))?;
            match kind {
                tar::EntryType::Directory | tar::EntryType::XGlobalHeader => continue,
                tar::EntryType::Regular | tar::EntryType::Continuous => {}
                _ => return Err(invalid(format!("{path:?} is a link or a device ({kind:?}); only files and folders are taken"))),
            }
            let executable = entry.header().mode().is_ok_and(|mode| mode & 0o111 != 0);
            let content = read(&mut entry, &path, &mut left)?;
            bundle.insert(&path, content, executable)?;
        }
        Ok(bundle)
    }

    fn unzip(bytes: &[u8]) -> Result<Bundle> {
        let mut bundle = Bundle::default();
        let mut left = UNPACKED_BYTES_MAX;
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).map_err(broken)?;
        if archive.len() > FILES_MAX * 2 {
            return Err(invalid(format!("more than {FILES_MAX} files")));
        }
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).map_err(broken)?;
            let path = entry.name().map_err(broken)?.into_owned();
            if entry.is_dir() {
                continue;
            }
            let mode = entry.unix_mode().unwrap_or(0o100_644);
            if !matches!(mode & 0o170_000, 0 | 0o100_000) {
                return Err(invalid(format!("{path:?} is a link or a device; only files and folders are taken")));
            }
            let content = read(&mut entry, &path, &mut left)?;
            bundle.insert(&path, content, mode & 0o111 != 0)?;
        }
        Ok(bundle)
    }
}

fn read(entry: &mut impl Read, path: &str, left: &mut u64) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    let size = entry.take(*left + 1).read_to_end(&mut content).map_err(broken)? as u64;
    *left = left
        .checked_sub(size)
        .ok_or_else(|| invalid(format!("unpacked, the files are larger than {UNPACKED_BYTES_MAX} bytes; {path:?} goes over it")))?;
    Ok(content)
}

/// `./a//b` → `a/b`; anything that could lead elsewhere is refused.
fn clean(path: &str) -> Result<String> {
    let refuse = |why: &str| {
        let shown: String = path.chars().take(80).collect();
        Err(invalid(format!("the path {shown:?} {why}")))
    };
    if path.len() > PATH_BYTES_MAX {
        return refuse("is longer than 1024 bytes");
    }
    if path.starts_with('/') || path.contains(['\\', '\0']) || path.chars().any(char::is_control) {
        return refuse("is absolute or holds a character that no path may");
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => return refuse("leads out of the bundle"),
            part if part.len() > 255 => return refuse("has a part longer than 255 bytes"),
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        return refuse("names no file");
    }
    if parts.len() > PATH_PARTS_MAX {
        return refuse("lies more than 64 folders deep");
    }
    Ok(parts.join("/"))
}

fn invalid(detail: impl Into<String>) -> Error {
    Error::new(Code::BundleInvalid, detail)
}

fn broken(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    invalid(format!("the archive can't be read: {error}")).hint("Pack it anew and send it again: it may have been cut short.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar_of(entries: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, kind, content) in entries {
            let mut header = tar::Header::new_ustar();
            // Straight into the field: the builder's own setter refuses what an attacker would write.
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o755);
            header.set_size(content.len() as u64);
            header.set_cksum();
            tar.append(&header, *content).unwrap();
        }
        tar.into_inner().unwrap()
    }

    #[test]
    fn takes_files_and_folders() {
        let tar = tar_of(&[("./d/", tar::EntryType::Directory, b""), ("./d/a.py", tar::EntryType::Regular, b"x = 1")]);
        let bundle = Bundle::unpack(&tar).unwrap();
        assert_eq!(bundle.file("d/a.py").unwrap().content, "x = 1");
        assert!(bundle.file("d/a.py").unwrap().executable);
    }

    #[test]
    fn refuses_what_leaves_the_root() {
        let refused = |path: &str, kind| {
            let error = Bundle::unpack(&tar_of(&[(path, kind, b"")])).unwrap_err();
            assert_eq!(error.code(), Code::BundleInvalid, "{path}");
        };
        refused("../evil", tar::EntryType::Regular);
        refused("a/../../evil", tar::EntryType::Regular);
        refused("/etc/passwd", tar::EntryType::Regular);
        refused("a\\b", tar::EntryType::Regular);
        refused("link", tar::EntryType::Symlink);
        refused("link", tar::EntryType::Link);
        refused("dev", tar::EntryType::Char);
    }

    #[test]
    fn depth_is_bounded() {
        let insert = |parts: usize| Bundle::default().insert(&vec!["a"; parts].join("/"), "", false).is_ok();
        assert_eq!((insert(PATH_PARTS_MAX), insert(PATH_PARTS_MAX + 1)), (true, false));
    }

    #[test]
    fn refuses_a_file_that_is_also_a_folder() {
        let file = |path| (path, tar::EntryType::Regular, &b"x"[..]);
        let error = Bundle::unpack(&tar_of(&[file("a"), file("a-b"), file("a/b")])).unwrap_err();
        assert_eq!((error.code(), error.detail()), (Code::BundleInvalid, r#""a" is a file, and also the folder of "a/b""#));
    }

    #[test]
    fn a_layer_lies_over_those_before() {
        let bundle = |files: &[(&str, &'static str)]| {
            let mut bundle = Bundle::default();
            files.iter().for_each(|(path, content)| bundle.insert(path, *content, false).unwrap());
            bundle
        };
        let mut all = bundle(&[("f.py", "f")]);
        all.overlay("opt", bundle(&[("a", "1"), ("b", "1")])).unwrap();
        all.overlay("opt", bundle(&[("b", "2")])).unwrap();
        assert_eq!(all, bundle(&[("f.py", "f"), ("opt/a", "1"), ("opt/b", "2")]));
        assert_eq!(all.overlay("opt", bundle(&[("a/b", "")])).unwrap_err().code(), Code::BundleInvalid);
        assert_eq!(all.overlay("../x", bundle(&[("a", "")])).unwrap_err().code(), Code::BundleInvalid);
    }

    #[test]
    fn a_folder_is_a_bundle_of_its_own() {
        let mut bundle = Bundle::default();
        ["a/x.py", "a/b/y.py", "a-b.py", "c.py"].iter().for_each(|path| bundle.insert(path, "", false).unwrap());
        let check = |folder: &str, expect: &[&str]| {
            let below = bundle.below(folder).unwrap();
            assert_eq!(below.files().map(|(path, _)| path.to_owned()).collect::<Vec<_>>(), expect, "{folder}");
        };
        check("a", &["b/y.py", "x.py"]);
        check("./a/", &["b/y.py", "x.py"]);
        check("a/b", &["y.py"]);
        check("c.py", &[]);
        check("nothing", &[]);
        check("./", &["a-b.py", "a/b/y.py", "a/x.py", "c.py"]);
        for outside in ["../a", "/", "/a"] {
            assert_eq!(bundle.below(outside).unwrap_err().code(), Code::BundleInvalid, "{outside}");
        }
    }

    #[test]
    fn refuses_what_is_cut_short() {
        let tar = tar_of(&[("a.py", tar::EntryType::Regular, &[b'x'; 4000])]);
        assert_eq!(Bundle::unpack(&tar[..2000]).unwrap_err().code(), Code::BundleInvalid);
        assert_eq!(Bundle::unpack(b"PK\x03\x04").unwrap_err().code(), Code::BundleInvalid);
        assert_eq!(Bundle::unpack(b"\x1f\x8b\x08").unwrap_err().code(), Code::BundleInvalid);
        assert_eq!(Bundle::unpack(b"").unwrap_err().code(), Code::BundleInvalid);
    }

    #[test]
    fn the_digest_is_that_of_the_content() {
        let one = |path: &str, content: &'static str| {
            let mut bundle = Bundle::default();
            bundle.insert(path, content, false).unwrap();
            bundle.digest()
        };
        assert_eq!(one("a", "x"), one("./a", "x"));
        assert_ne!(one("a", "x"), one("a", "y"));
        assert_ne!(one("a", "x"), one("ax", ""));
    }
}
