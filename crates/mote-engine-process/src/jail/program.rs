//! The one look at the program before it is executed: it must not be mote's own binary.
//!
//! Until exec, `/proc/self/exe` of the function's process is that binary, outside of the jail and
//! past its read-only mounts. A script that names it as its interpreter would run it, and could
//! then reach the host's file through `/proc`, and overwrite it where mote's user owns it.

use std::fs::{File, metadata};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// As deep as Linux follows scripts that are interpreted by scripts.
const SCRIPTS_MAX: usize = 5;

/// Follows the `#!` lines down to the last program.
pub fn refuse_own_binary(program: &Path) -> io::Result<()> {
    let own = metadata("/proc/self/exe")?;
    let mut program = program.to_owned();
    for _ in 0..SCRIPTS_MAX {
        let Ok(found) = metadata(&program) else { break };
        if (found.dev(), found.ino()) == (own.dev(), own.ino()) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "mote's own binary can't be a function's program or interpreter"));
        }
        match interpreter(&program) {
            Some(next) => program = next,
            None => break,
        }
    }
    Ok(())
}

/// What the first line of a script names; `None` if it is no script (or none that could be run).
pub fn interpreter(script: &Path) -> Option<PathBuf> {
    let mut start = Vec::new();
    File::open(script).ok()?.take(256).read_to_end(&mut start).ok()?;
    interpreter_of(&start)
}

pub fn interpreter_of(start: &[u8]) -> Option<PathBuf> {
    let line = start.strip_prefix(b"#!")?.split(|&byte| byte == b'\n' || byte == 0).next()?;
    let word = line.split(|&byte| byte == b' ' || byte == b'\t').find(|word| !word.is_empty())?;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(word)))
}
