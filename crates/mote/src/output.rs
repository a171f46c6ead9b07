//! What a person or a program reads: tables, JSON, colours, progress.
//!
//! Colours and moving lines appear on a terminal alone, and never with `NO_COLOR`; no meaning
//! hangs on a colour.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::failure::Failure;

/// One object on one line of standard output.
pub(crate) fn json(value: &impl Serialize) {
    if let Ok(line) = serde_json::to_string(value) {
        line_out(&line);
    }
}

/// A line on standard output. A reader that has gone away (`| head`) is no error of ours.
pub(crate) fn line_out(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Bytes on standard output, as they are; `false` when their reader has gone away (`| head`), so
/// that a stream without an end is left too. A full disk is an error: the bytes are the result.
pub(crate) fn bytes_out(bytes: &[u8]) -> Result<bool, Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::refused(format!("standard output can't be written: {error}"))),
    }
}

/// Columns as wide as their widest cell. What is empty is a `-`, so that a line has a word for each column.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) {
    let filled = |cell: &String| if cell.is_empty() { "-".to_owned() } else { cell.clone() };
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(filled).collect()).collect();
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.len()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    line_out(&bold(&line(head.to_vec())));
    rows.iter().for_each(|row| line_out(&line(row.iter().map(String::as_str).collect())));
}

/// Names and values, one pair a line.
pub(crate) fn pairs(pairs: &[(&str, String)]) {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        line_out(&format!("{}  {value}", bold(&format!("{name:width$}"))));
    }
}

pub(crate) fn bold(text: &str) -> String {
    paint(text, "1")
}

pub(crate) fn red(text: &str) -> String {
    paint(text, "1;31")
}

pub(crate) fn dim(text: &str) -> String {
    paint(text, "2")
}

/// One of a handful of colours that tell functions apart; the name stands beside it anyway.
pub(crate) fn tint(text: &str, index: usize) -> String {
    const COLOURS: [&str; 6] = ["36", "33", "35", "32", "34", "31"];
    paint(text, COLOURS[index % COLOURS.len()])
}

fn paint(text: &str, code: &str) -> String {
    if coloured() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

fn coloured() -> bool {
    static COLOURED: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    let terminal = || std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
    *COLOURED.get_or_init(|| terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
}

/// `0.4 ms`, `87 ms`, `3.2 s`, `30 s`.
pub(crate) fn duration(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    match ms {
        ..10.0 => format!("{ms:.1} ms"),
        ..1000.0 => format!("{ms:.0} ms"),
        _ if (ms / 1000.0).fract() == 0.0 => format!("{:.0} s", ms / 1000.0),
        _ => format!("{:.1} s", ms / 1000.0),
    }
}

/// `0 B`, `12 B`, `3.4 MiB`: powers of 1024, by the names that mote.toml has for them.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut size = count as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit == 0 || size.fract() == 0.0 { format!("{size:.0} {}", UNITS[unit]) } else { format!("{size:.1} {}", UNITS[unit]) }
}

/// What goes on while somebody waits: a moving line on a terminal, else one line each.
pub(crate) struct Waiting {
    bar: Option<ProgressBar>,
}

impl Waiting {
    pub(crate) fn start(what: &str) -> Waiting {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}").unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = ProgressBar::new_spinner().with_style(style).with_message(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Waiting { bar }
    }

    /// Whether what was said stays to be read, or the next word takes its place.
    pub(crate) fn stays(&self) -> bool {
        self.bar.is_none()
    }

    pub(crate) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(line.to_owned()),
            None => eprintln!("{line}"),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times() {
        let check = |count, expect: &str| assert_eq!(bytes(count), expect);
        check(0, "0 B");
        check(1023, "1023 B");
        check(6 << 20, "6 MiB");
        check(1_600_000, "1.5 MiB");
        assert_eq!(duration(Duration::from_micros(400)), "0.4 ms");
        assert_eq!(duration(Duration::from_millis(87)), "87 ms");
        assert_eq!(duration(Duration::from_millis(3210)), "3.2 s");
        assert_eq!(duration(Duration::from_secs(30)), "30 s");
    }
}
