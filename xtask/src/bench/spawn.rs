//! What a cold start is made of without mote: the bare program, and the same in `bwrap` where the
//! host has that.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;

/// The name of a row, and the program that it runs until its end.
const PROGRAMS: &[(&str, &[&str])] = &[
    ("plain spawn, /bin/sh", &["/bin/sh", "-c", "printf 9"]),
    ("plain spawn, python3", &["/usr/bin/python3", "-I", "-S", "-c", "print(9)"]),
    ("plain spawn, node", &["/usr/bin/node", "-e", "console.log(9)"]),
];

/// Namespaces and a read-only root, as near as its options come to a jail of mote's.
const BWRAP: &[&str] =
    &["bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"];

/// Samples by row; a row without samples is of something that this host does not have.
pub(super) fn rows(rounds: usize) -> Result<Vec<(String, Vec<Duration>)>> {
    let mut rows = Vec::new();
    for (name, program) in PROGRAMS {
        rows.push(((*name).to_owned(), samples(program, rounds)?));
    }
    let jailed: Vec<&str> = BWRAP.iter().chain(PROGRAMS[0].1).copied().collect();
    rows.push(("bwrap, /bin/sh".to_owned(), samples(&jailed, rounds)?));
    Ok(rows)
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
