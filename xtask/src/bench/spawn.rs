//! What a cold start is made of without mote: the bare program, and the same in `bwrap` where the
//! host has that.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::places::fresh;
use crate::shell::show;

/// The name of a row, and the program that it runs until its end.
const PROGRAMS: &[(&str, &[&str])] = &[
    ("plain spawn, python3", &["/usr/bin/python3", "-I", "-S", "-c", "print(9)"]),
    ("plain spawn, node", &["/usr/bin/node", "-e", "console.log(9)"]),
];

/// The formula as a program of its own, as a compiler makes it unless told otherwise: linked dynamically.
const FORMULA: &str = include_str!("formula.rs");

const COMPILE: Duration = Duration::from_secs(120);

/// Namespaces and a read-only root, as near as its options come to a jail of mote's.
const BWRAP: &[&str] =
    &["bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"];

/// Samples by row; a row without samples is of something that this host does not have.
pub(super) fn rows(rounds: usize, native: &Path) -> Result<Vec<(String, Vec<Duration>)>> {
    let native = native.to_str().ok_or("a path that is not UTF-8")?;
    let mut rows = vec![("plain spawn, the native program".to_owned(), samples(&[native], rounds)?)];
    for (name, program) in PROGRAMS {
        rows.push(((*name).to_owned(), samples(program, rounds)?));
    }
    let jailed: Vec<&str> = BWRAP.iter().chain(&[native]).copied().collect();
    rows.push(("bwrap, the native program".to_owned(), samples(&jailed, rounds)?));
    Ok(rows)
}

/// Compiles it.
pub(super) fn native() -> Result<PathBuf> {
    let place = fresh("native")?;
    let (source, program) = (place.join("formula.rs"), place.join("native"));
    std::fs::write(&source, FORMULA)?;
    show(Command::new("rustc").args(["-O", "-o"]).arg(&program).arg(&source), COMPILE)?;
    Ok(program)
}

fn samples(command: &[&str], rounds: usize) -> Result<Vec<Duration>> {
    let mut samples = Vec::new();
    for _ in 0..rounds {
        let begun = Instant::now();
        let output = match Command::new(command[0]).args(&command[1..]).env_clear().stdin(Stdio::null()).output() {
            Ok(output) => output,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        if !output.status.success() {
            return Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        samples.push(begun.elapsed());
    }
    Ok(samples)
}
