//! Rules for source files.

use super::{File, Findings, Tree};
use crate::Result;
use crate::places::root;

const LINES_MAX: usize = 800;

/// Flat tables, which a reader scans and does not follow.
const FLAT_TABLES: &[&str] = &[];

pub(super) fn every_file_says_what_it_is(tree: &Tree, findings: &mut Findings) -> Result<()> {
    for file in tree.rust() {
        if !file.text.starts_with("//!") {
            findings.add(&file.path, "does not open with `//!`: what it is, what it is not, where to go next");
        }
        if file.path.ends_with("/mod.rs") {
            findings.add(&file.path, "a module is `foo.rs` with `foo/` beside it, never `mod.rs`");
        }
    }
    Ok(())
}

pub(super) fn files_stay_short(tree: &Tree, findings: &mut Findings) -> Result<()> {
    for file in tree.rust().filter(|file| !FLAT_TABLES.contains(&file.path.as_str())) {
        let lines = file.text.lines().count();
        if lines > LINES_MAX {
            findings.add(&file.path, format!("{lines} lines, more than {LINES_MAX}"));
        }
    }
    Ok(())
}

/// Where the machine may be asked for time or ids, and why.
const CLOCKS: &[(&str, &str)] = &[
    ("crates/mote-core/src/clock.rs", "it is the clock"),
    ("crates/mote/src/main.rs", "the clock is made here"),
    ("crates/mote/src/cli/", "a client on a person's machine waits for real"),
    ("crates/mote-store/weigh/", "measures"),
    ("crates/mote-testkit/", "tests only"),
    ("fuzz/", "tests only"),
    ("xtask/", "measures and waits for other programs"),
];

pub(super) fn time_comes_from_the_clock(tree: &Tree, findings: &mut Findings) -> Result<()> {
    const BANNED: &[&str] = &[
        "SystemTime::now",
        "Instant::now",
        "thread::sleep",
        "time::sleep(",
        "time::sleep_until(",
        "time::timeout(",
        "Uuid::new_v4",
        "Uuid::now_v7",
    ];
    for file in tree.rust().filter(|file| !file.is_test() && !CLOCKS.iter().any(|(path, _)| file.path.starts_with(path))) {
        for (number, line) in file.product_lines() {
            for banned in BANNED.iter().filter(|banned| line.contains(**banned) && !is_comment(line)) {
                findings.add(place(file, number), format!("{banned}: take an `Arc<dyn Clock>`, so that a test can hold the time"));
            }
        }
    }
    Ok(())
}

/// The one crate that talks to the kernel where the compiler can't check it.
pub(super) fn unsafe_stays_in_its_crate(tree: &Tree, findings: &mut Findings) -> Result<()> {
    for file in
        tree.rust().filter(|file| !file.path.starts_with("crates/mote-engine-process/") && !file.path.starts_with("xtask/src/tidy/"))
    {
        for (number, line) in file.lines() {
            if line.contains("allow(unsafe_code") {
                findings.add(place(file, number), "unsafe code belongs into mote-engine-process alone");
            }
        }
    }
    Ok(())
}

pub(super) fn no_words_of_unfinished_work(tree: &Tree, findings: &mut Findings) -> Result<()> {
    // In halves, so that this file does not find itself.
    let unfinished = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX"), concat!("todo", "!("), concat!("unimplemented", "!(")];
    // Where this machine has the checkout and its user's files; a document's example is neither.
    let home = std::env::var("HOME").unwrap_or_default();
    let places: Vec<String> =
        [root().display().to_string(), home].into_iter().filter(|path| path.len() > 1).map(|path| path + "/").collect();
    for file in &tree.files {
        for (number, line) in file.lines() {
            if let Some(word) = unfinished.iter().find(|word| has_word(line, word)) {
                findings.add(place(file, number), format!("{word}: finish it, or write an issue"));
            }
            if places.iter().any(|place| line.contains(place)) {
                findings.add(place(file, number), "a path of one machine");
            }
        }
    }
    Ok(())
}

/// `word`, not as a part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        !before.ends_with(letter) && !after.starts_with(letter)
    })
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

fn place(file: &File, line: usize) -> String {
    format!("{}:{line}", file.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let check = |line, word, found| assert_eq!(has_word(line, word), found, "{line}");
        check("a // DONE: x", "DONE", true);
        check("UNDONE", "DONE", false);
        check("DONE_MAX", "DONE", false);
        check("done", "DONE", false);
    }
}
