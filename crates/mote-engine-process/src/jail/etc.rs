//! The jail's `/etc`: what programs look up there, and nothing that tells of the host.
//!
//! Made once per content, as a directory that every jail shows read-only: one mount is far
//! cheaper than eight files in each jail.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::spec::FUNCTION_ID;

const HOSTS: &str = "127.0.0.1 localhost mote\n::1 localhost\n";
/// mote itself answers there: see [`crate::egress`].
const RESOLVER: &str = "nameserver 127.0.0.1\n";
const LOOKUP: &str = "passwd: files\ngroup: files\nhosts: files dns\n";

/// Copied from the host where they are: the linker's index, the time zone, public certificates.
const COPIED: &[(&[&str], &str)] = &[
    (&["/etc/ld.so.cache"], "ld.so.cache"),
    (&["/etc/localtime"], "localtime"),
    (&["/etc/mime.types"], "mime.types"),
    (&["/etc/ssl/certs/java/cacerts"], "ssl/certs/java/cacerts"),
    (&["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"], "ssl/certs/ca-certificates.crt"),
];

/// How the host finds others, for a jail that is in its network.
const NETWORK: &[&str] = &["resolv.conf", "hosts", "nsswitch.conf", "host.conf", "gai.conf", "services", "protocols"];

/// The directory below `cache`, made if it is not there.
pub fn prepare(cache: &Path) -> io::Result<PathBuf> {
    let files = files();
    let digest = crate::artifact::digest(files.iter().flat_map(|(path, content)| [path.as_bytes(), content]));
    crate::artifact::build(cache, &format!("etc-{digest}"), |directory| {
        files.iter().try_for_each(|(path, content)| write(directory, Path::new(path), content))?;
        symlink("/proc/mounts", directory.join("mtab"))?;
        alternatives(directory)
    })
}

/// Fills `directory` for a jail in the host's network, as the host is configured now.
pub fn fill_for_network(directory: &Path) -> io::Result<()> {
    files().iter().try_for_each(|(path, content)| write(directory, Path::new(path), content))?;
    for name in NETWORK {
        // Read through links: some of these lie where no jail looks.
        if let Ok(content) = fs::read(Path::new("/etc").join(name)) {
            write(directory, Path::new(name), &content)?;
        }
    }
    symlink("/proc/mounts", directory.join("mtab"))?;
    alternatives(directory)
}

/// One file below a directory that is to be shown, readable for whoever is in the jail.
pub fn write(directory: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let path = directory.join(path);
    fs::create_dir_all(path.parent().unwrap_or(directory))?;
    fs::write(&path, content)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644))
}

fn files() -> Vec<(String, Vec<u8>)> {
    let id = FUNCTION_ID;
    let mut files = vec![
        ("passwd", format!("function:x:{id}:{id}:function:/tmp:/bin/sh\n").into_bytes()),
        ("group", format!("function:x:{id}:\n").into_bytes()),
        ("hosts", HOSTS.into()),
        ("hostname", "mote\n".into()),
        ("resolv.conf", RESOLVER.into()),
        ("nsswitch.conf", LOOKUP.into()),
    ];
    for (sources, target) in COPIED {
        if let Some(content) = sources.iter().find_map(|source| fs::read(source).ok()) {
            files.push((target, content));
        }
    }
    let mut files: Vec<_> = files.into_iter().map(|(path, content)| (path.to_owned(), content)).collect();
    for jdk in jdks() {
        let name = jdk.file_name().unwrap_or_default().to_string_lossy().into_owned();
        settings(&jdk, &name, JDK_DEPTH_MAX, &mut files);
    }
    files
}

/// Where a distribution keeps what its JDKs read when they start.
fn jdks() -> Vec<PathBuf> {
    let entries = fs::read_dir("/etc").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"java-")).map(|entry| entry.path()).collect();
    found.sort();
    found
}

const JDK_DEPTH_MAX: u32 = 4;
const JDK_FILES_MAX: usize = 256;
const JDK_FILE_BYTES_MAX: u64 = 256 << 10;

/// The files below `from` that everybody may read.
fn settings(from: &Path, at: &str, depth: u32, files: &mut Vec<(String, Vec<u8>)>) {
    let mut entries: Vec<_> = fs::read_dir(from).into_iter().flatten().flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, at) = (entry.path(), format!("{at}/{}", entry.file_name().to_string_lossy()));
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_dir() && depth > 0 {
            settings(&path, &at, depth - 1, files);
        } else if meta.is_file() && meta.permissions().mode() & 0o4 != 0 && meta.len() <= JDK_FILE_BYTES_MAX && files.len() < JDK_FILES_MAX
        {
            files.extend(fs::read(&path).ok().map(|content| (at, content)));
        }
    }
}

/// Some hosts install interpreters as links through this directory.
fn alternatives(directory: &Path) -> io::Result<()> {
    let Ok(entries) = fs::read_dir("/etc/alternatives") else { return Ok(()) };
    let into = directory.join("alternatives");
    fs::create_dir_all(&into)?;
    for entry in entries.flatten() {
        if let Ok(target) = fs::read_link(entry.path()) {
            symlink(target, into.join(entry.file_name()))?;
        }
    }
    Ok(())
}
