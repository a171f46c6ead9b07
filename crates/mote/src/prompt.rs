//! What a terminal is asked: whether to go on, and what must not be seen (without an echo, or from
//! a pipe or a file).
//!
//! A secret never comes from the command line, which every process of the machine can read.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::os::fd::AsFd;

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};

const ANSWER_BYTES_MAX: u64 = 100;
const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;
const CTRL_U: u8 = 0x15;
const BACKSPACES: [u8; 2] = [0x08, 0x7f];

/// Whether somebody is there to type it.
pub(crate) fn is_asked() -> bool {
    io::stdin().is_terminal()
}

/// Goes on if the answer is `yes`, or was given before; where nobody can be asked it has to be.
pub(crate) fn confirm(ask: &str, is_answered: bool) -> Result<(), Failure> {
    if is_answered {
        return Ok(());
    }
    if !is_asked() {
        return Err(Failure::usage(format!("{ask} Nobody is there to answer")).wanted("wanted: a terminal, or `--yes`"));
    }
    eprint!("{ask} [yes/no] ");
    let mut answer = String::new();
    let heard = io::stdin().lock().take(ANSWER_BYTES_MAX).read_line(&mut answer);
    heard.map_err(|error| Failure::refused(format!("the terminal can't be read: {error}")))?;
    match answer.trim() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::refused("it was not confirmed").hint("Nothing was changed. `yes` goes on, and so does `--yes`.")),
    }
}

/// Typed twice, since nobody sees what he types.
pub(crate) fn secret_twice(ask: &str, limit_bytes: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let first = secret(ask, limit_bytes)?;
    if first.is_empty() || *first == *secret("again: ", limit_bytes)? {
        return Ok(first);
    }
    Err(Failure::usage("the two are not the same").hint("Nothing was set; type it again."))
}

/// From the terminal if standard input is one, else all of standard input.
pub(crate) fn secret(ask: &str, limit_bytes: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if !is_asked() {
        return bounded(io::stdin().lock(), limit_bytes);
    }
    let unheard = |error: io::Error| Failure::refused(format!("the terminal can't be read: {error}")).hint("Pipe the value in instead.");
    eprint!("{ask}");
    let line = {
        let _silent = Silent::new().map_err(unheard)?;
        // Raw, so a byte at a time: nothing may stay behind in a buffer of the standard library's.
        line(std::fs::File::from(io::stdin().as_fd().try_clone_to_owned().map_err(unheard)?), limit_bytes)
    };
    let _ = writeln!(io::stderr());
    line
}

/// All of it, if that is within the limit.
pub(crate) fn bounded(from: impl Read, limit_bytes: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // Room from the start: a buffer that grows leaves copies behind.
    let mut value = Zeroizing::new(Vec::with_capacity(limit_bytes + 1));
    let read = from.take(limit_bytes as u64 + 1).read_to_end(&mut value);
    read.map_err(|error| Failure::refused(format!("the value can't be read: {error}")))?;
    if value.len() > limit_bytes {
        return Err(too_long(limit_bytes));
    }
    Ok(value)
}

/// Takes one line end off: the one that `echo`, editors and files put there.
pub(crate) fn cut_line_end(value: &mut Zeroizing<Vec<u8>>) {
    if value.last() == Some(&b'\n') {
        value.pop();
        if value.last() == Some(&b'\r') {
            value.pop();
        }
    }
}

fn line(mut from: impl Read, limit_bytes: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut line = Zeroizing::new(Vec::with_capacity(limit_bytes + 1));
    let mut byte = [0];
    loop {
        match from.read(&mut byte) {
            Ok(0) => return Ok(line),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failure::refused(format!("the terminal can't be read: {error}"))),
        }
        match byte[0] {
            b'\r' | b'\n' | CTRL_D => return Ok(line),
            CTRL_C => return Err(Failure::new(Exit::Interrupted, "nothing was set")),
            CTRL_U => line.clear(),
            // A whole character, however many bytes it has.
            it if BACKSPACES.contains(&it) => while line.pop().is_some_and(|gone| gone & 0xc0 == 0x80) {},
            _ if line.len() == limit_bytes => return Err(too_long(limit_bytes)),
            it => line.push(it),
        }
    }
}

fn too_long(limit_bytes: usize) -> Failure {
    Failure::usage(format!("the value is longer than {limit_bytes} bytes"))
        .hint("Keep what is large in a bucket, and its key as the secret.")
}

/// A terminal that shows nothing of what is typed, and is as it was once this is dropped.
struct Silent(Termios);

impl Silent {
    fn new() -> io::Result<Silent> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        // Without signals too: Ctrl-C would leave the terminal mute. [`line`] minds it.
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        silent.special_codes[SpecialCodeIndex::VMIN] = 1;
        silent.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Silent(before))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // A terminal that has gone away needs no more.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_as_it_is_typed() {
        let check = |typed: &[u8], expect: &str| assert_eq!(*line(typed, 100).unwrap(), expect.as_bytes(), "{typed:?}");
        check(b"abc\nd", "abc");
        check(b"abc\r", "abc");
        check(b"abd\x7fc\n", "abc");
        check("aü\x08b\n".as_bytes(), "ab");
        check(b"\x7fa\n", "a");
        check(b"wrong\x15right\n", "right");
        check(b"abc", "abc");
        assert!(line(&b"ab\x03"[..], 100).is_err());
        assert!(line(&b"abc\n"[..], 2).is_err());
    }

    #[test]
    fn what_is_piped_is_bounded_and_loses_one_line_end() {
        let check = |piped: &[u8], expect: &[u8]| {
            let mut value = bounded(piped, 8).unwrap();
            cut_line_end(&mut value);
            assert_eq!(*value, expect);
        };
        check(b"abc\n", b"abc");
        check(b"abc\r\n", b"abc");
        check(b"abc\n\n", b"abc\n");
        check(b"12345678", b"12345678");
        assert!(bounded(&b"123456789"[..], 8).is_err());
    }
}
