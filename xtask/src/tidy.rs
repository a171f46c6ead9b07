//! `cargo xtask tidy`: the project's own rules, each a function that adds what it found.
//!
//! Reads files and `cargo metadata`; builds nothing, so it is the first thing that CI does.

mod arrows;
mod docs;
mod source;

use std::fmt::Display;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::places::root;
use crate::shell::capture;

const RULES: &[fn(&Tree, &mut Findings) -> Result<()>] = &[
    arrows::crates_point_inwards,
    arrows::the_lock_file_stays_small,
    source::every_file_says_what_it_is,
    source::files_stay_short,
    source::time_comes_from_the_clock,
    source::unsafe_stays_in_its_crate,
    source::no_words_of_unfinished_work,
    docs::every_error_has_its_page,
    docs::links_lead_somewhere,
    docs::promises_name_their_tests,
];

pub(crate) fn run() -> Result<()> {
    let (tree, mut findings) = (Tree::read()?, Findings::default());
    for rule in RULES {
        rule(&tree, &mut findings)?;
    }
    println!("{} files, {} rules", tree.files.len(), RULES.len());
    match findings.0.as_slice() {
        [] => Ok(()),
        found => Err(format!("{} findings:\n{}", found.len(), found.join("\n")).into()),
    }
}

#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn add(&mut self, place: impl Display, what: impl Display) {
        self.0.push(format!("  {place}: {what}"));
    }
}

/// The text files that git knows or would take.
struct Tree {
    files: Vec<File>,
}

struct File {
    /// Below the root.
    path: String,
    text: String,
}

impl Tree {
    fn read() -> Result<Tree> {
        let mut git = Command::new("git");
        git.current_dir(root()).args(["ls-files", "--cached", "--others", "--exclude-standard"]);
        let list = capture(&mut git, Duration::from_secs(60))?;
        // A file that is no text, or that was removed but not yet committed so, has nothing to read.
        let read = |path: &str| std::fs::read_to_string(root().join(path)).ok().map(|text| File { path: path.to_owned(), text });
        Ok(Tree { files: list.lines().filter_map(read).collect() })
    }

    fn with_ending<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| Path::new(&file.path).extension().is_some_and(|e| e == ending))
    }

    fn rust(&self) -> impl Iterator<Item = &File> {
        self.with_ending("rs")
    }
}

impl File {
    /// Lines with their numbers, from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Lines before the file's own tests.
    fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines().take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
    }

    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.starts_with("tests/") || self.path.ends_with("/tests.rs")
    }
}
