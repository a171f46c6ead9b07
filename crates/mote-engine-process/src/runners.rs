//! The programs that run inside an instance and answer calls there: one in Python, one in Node.
//!
//! They are part of the binary, written out once and shown to every jail at `/runner`. Not here:
//! what they say on the wire ([`crate::wire`]) and how interpreters are found ([`crate::runtime`]).

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use mote_core::function::Family;

use crate::runtime::Interpreter;

macro_rules! runner {
    ($($path:literal)*) => { &[$(($path, include_str!(concat!("../runners/", $path)))),*] };
}

/// Path below the runners' directory, and text.
pub const FILES: &[(&str, &str)] = runner![
    "node/aws.cjs"
    "node/aws_load.cjs"
    "node/aws_logs.cjs"
    "node/aws_stream.cjs"
    "node/bucket.cjs"
    "node/context.cjs"
    "node/convert.cjs"
    "node/entry.cjs"
    "node/form.cjs"
    "node/logs.cjs"
    "node/main.cjs"
    "node/plain.cjs"
    "node/pull.cjs"
    "node/reply.cjs"
    "node/standby.cjs"
    "node/streams.cjs"
    "node/warm.mjs"
    "node/wire.cjs"
    "python/main.py"
    "python/mote_runner/__init__.py"
    "python/mote_runner/aws.py"
    "python/mote_runner/aws_json.py"
    "python/mote_runner/aws_logs.py"
    "python/mote_runner/bucket.py"
    "python/mote_runner/context.py"
    "python/mote_runner/convert.py"
    "python/mote_runner/convert_more.py"
    "python/mote_runner/entry.py"
    "python/mote_runner/form.py"
    "python/mote_runner/logs.py"
    "python/mote_runner/loop.py"
    "python/mote_runner/plain.py"
    "python/mote_runner/quick_json.py"
    "python/mote_runner/reply.py"
    "python/mote_runner/serve.py"
    "python/mote_runner/standby.py"
    "python/mote_runner/threads.py"
    "python/mote_runner/wire.py"
];

/// Writes the runner of one family, and for Python its bytecode: the jail can't write it later,
/// and a start without it costs three times as much.
pub fn write(directory: &Path, interpreter: &Interpreter) -> io::Result<()> {
    let family = format!("{}/", interpreter.family.as_str());
    for (path, text) in FILES.iter().filter(|(path, _)| path.starts_with(&family)) {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap_or(directory))?;
        fs::write(path, text)?;
    }
    if interpreter.family == Family::Python { compile(directory, interpreter) } else { Ok(()) }
}

/// The command of an instance, for runners that are seen at `directory`.
pub fn command(directory: &Path, interpreter: &Interpreter) -> Vec<String> {
    let mut command = self::interpreter(interpreter);
    match interpreter.family {
        Family::Python => {
            command.extend(["-I".into(), "-S".into(), directory.join("python/main.py").display().to_string()]);
        }
        Family::Node => command.push(directory.join("node/main.cjs").display().to_string()),
        // These have none.
        Family::Java | Family::Executable | Family::Flow => {}
    }
    command
}

/// What comes before the program's file.
pub(crate) fn interpreter(interpreter: &Interpreter) -> Vec<String> {
    let mut command = vec![interpreter.program.display().to_string()];
    // `export` in a .js file needs no package.json; newer ones do this by themselves.
    if interpreter.family == Family::Node && interpreter.is_between([20, 10], [22, 7]) {
        command.push("--experimental-detect-module".into());
    }
    command
}

/// Has a runner begin before there is a function for it; gone from the environment that this sees.
pub const STANDBY: &str = "MOTE_STANDBY";

/// Whether an interpreter, or the C library below it, reads a variable when it starts, or may have
/// read it before its function comes: a function that sets such a one gets an interpreter of its
/// own from the start. By prefix, since each version of an interpreter adds some.
pub fn is_read_at_start(variable: &str) -> bool {
    const FAMILIES: &[&str] = &["PYTHON", "NODE_", "LD_", "MALLOC_", "GLIBC_", "LC_", "UV_", "OPENSSL_", "SSL_", "ICU_", "TZ"];
    const SINGLE: &[&str] = &["LANG", "LANGUAGE", "LOCPATH", STANDBY];
    // A convention of packages that Node itself knows nothing of.
    const NOT: &[&str] = &["NODE_ENV"];
    (SINGLE.contains(&variable) || FAMILIES.iter().any(|family| variable.starts_with(family))) && !NOT.contains(&variable)
}

/// Bytecode that is never checked against its source: both are read-only where they are used.
fn compile(directory: &Path, interpreter: &Interpreter) -> io::Result<()> {
    let status = Command::new(&interpreter.program)
        .args(["-I", "-S", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"])
        .arg(directory.join("python"))
        .stdin(Stdio::null())
        .status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("compileall ended with {status}"))) }
}

#[cfg(test)]
mod tests;
