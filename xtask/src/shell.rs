//! Runs other programs, each with a limit in time; what they said is part of the error.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::places::root;

pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // What cargo tells this program of its own package: a build script that looks at these would
    // run again, and all that depends on it, whenever a build is started from the shell in between.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command
}

/// Runs it with our own stdout and stderr.
pub(crate) fn show(command: &mut Command, limit: Duration) -> Result<()> {
    let mut child = command.spawn().map_err(|e| format!("{} can't be started: {e}", program(command)))?;
    let status = wait(&mut child, limit)?;
    if status.success() { Ok(()) } else { Err(format!("{} ended with {status}", line(command)).into()) }
}

/// Runs it and gives back its stdout.
pub(crate) fn capture(command: &mut Command, limit: Duration) -> Result<String> {
    capture_with(command, "", limit)
}

/// The same with something to read: at most what a pipe holds.
pub(crate) fn capture_with(command: &mut Command, stdin: &str, limit: Duration) -> Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| format!("{} can't be started: {e}", program(command)))?;
    if let Some(mut pipe) = child.stdin.take() {
        // An error means that it does not read, which is its own matter.
        let _ = pipe.write_all(stdin.as_bytes());
    }
    let (stdout, stderr) = (read(child.stdout.take()), read(child.stderr.take()));
    let status = wait(&mut child, limit);
    let (stdout, stderr) = (stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default());
    match status {
        Ok(status) if status.success() => Ok(stdout),
        Ok(status) => Err(format!("{} ended with {status}\n{}{}", line(command), tail(&stdout, 40), tail(&stderr, 40)).into()),
        Err(error) => Err(format!("{}: {error}\n{}{}", line(command), tail(&stdout, 40), tail(&stderr, 40)).into()),
    }
}

/// Waits, and kills what takes longer than `limit`.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> Result<ExitStatus> {
    let end = Instant::now() + limit;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            return Err(format!("was still running after {} s and was ended", limit.as_secs()).into());
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// The last `lines` of a text, with a line break behind.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all.iter().skip(all.len().saturating_sub(lines)).flat_map(|line| [line, "\n"]).collect()
}

/// Asks again until it says yes, or until the limit. Pauses grow with the time that has passed, so
/// that what is timed by this is late by a twentieth at most.
pub(crate) fn until<T>(limit: Duration, what: &str, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = ask()? {
            return Ok(found);
        }
        if begun.elapsed() >= limit {
            return Err(format!("waited {} s for {what}", limit.as_secs()).into());
        }
        thread::sleep((begun.elapsed() / 20).clamp(Duration::from_micros(200), Duration::from_millis(200)));
    }
}

fn read(from: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut from) = from {
            // What could be read before an error is still worth showing.
            let _ = from.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn program(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().chars().take(200).collect::<String>()).collect::<Vec<_>>().join(" ")
}
