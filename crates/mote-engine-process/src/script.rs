//! Scripts that unit tests of this crate execute.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Not written by this process: what another test starts meanwhile would hold the file open for writing until
/// its own program runs, and nobody can execute a file that somebody writes.
pub(crate) fn write(path: &Path, text: &str) {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", r#"cat > "$1" && chmod 755 "$1""#, "sh"]).arg(path).stdin(Stdio::piped());
    let mut writing = shell.spawn().expect("a shell");
    writing.stdin.take().expect("its stdin").write_all(text.as_bytes()).expect("the shell reads");
    assert!(writing.wait().expect("the shell").success(), "{} can't be written", path.display());
}
