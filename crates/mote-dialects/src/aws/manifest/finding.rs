//! What is wrong with a manifest, or is taken without effect: said of a place in a file.

use mote_core::{Code, Error};

use super::yaml::Place;

/// More of them help nobody.
const SHOWN_MAX: usize = 20;

/// One thing that can't be honoured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) at: Place,
    pub(super) what: String,
}

impl Finding {
    pub(super) fn new(at: Place, what: impl Into<String>) -> Finding {
        Finding { at, what: what.into() }
    }
}

pub(super) type Outcome<T> = Result<T, Finding>;

/// All that was found in one file, so that who deploys reads it at once.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) wrong: Vec<Finding>,
    pub(super) notes: Vec<Finding>,
}

impl Findings {
    /// Goes on where something is wrong: the rest may be as well.
    pub(super) fn keep<T>(&mut self, outcome: Outcome<T>) -> Option<T> {
        outcome.map_err(|finding| self.wrong.push(finding)).ok()
    }

    pub(super) fn wrong(&mut self, at: Place, what: impl Into<String>) {
        self.wrong.push(Finding::new(at, what));
    }

    pub(super) fn note(&mut self, at: Place, what: impl Into<String>) {
        self.notes.push(Finding::new(at, what));
    }

    /// The notes, if nothing is wrong.
    pub(super) fn end(self, file: &str) -> Result<Vec<String>, Error> {
        end([(file, self)])
    }
}

/// The same of several files.
pub(super) fn end(files: impl IntoIterator<Item = (impl AsRef<str>, Findings)>) -> Result<Vec<String>, Error> {
    let (mut wrong, mut notes) = (Vec::new(), Vec::new());
    for (file, found) in files {
        wrong.extend(lines(file.as_ref(), found.wrong));
        notes.extend(lines(file.as_ref(), found.notes));
    }
    if wrong.is_empty() { Ok(notes) } else { Err(refused(wrong)) }
}

fn lines(file: &str, mut all: Vec<Finding>) -> Vec<String> {
    all.sort_by_key(|finding| finding.at);
    all.dedup();
    all.into_iter().map(|Finding { at, what }| format!("{file}:{at}: {what}")).collect()
}

pub(super) fn error(file: &str, wrong: Finding) -> Error {
    refused(lines(file, vec![wrong]))
}

fn refused(mut lines: Vec<String>) -> Error {
    if let Some(more) = lines.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
        lines.truncate(SHOWN_MAX);
        lines.push(format!("… and {more} more"));
    }
    Error::new(Code::ManifestInvalid, lines.join("\n")).hint("Nothing was changed. docs/guide/aws-manifests.md lists what is honoured.")
}
