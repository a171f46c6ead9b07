//! Stars in the place of a secret that a function logs by mistake.
//!
//! Best effort, and no barrier: a function that wants to tell its secret encodes it. Values are
//! looked for one by one, line by line: a function has a handful, and an automaton of them would
//! be another copy in memory that nobody wipes.

use std::borrow::Cow;

use mote_core::error::Report;
use mote_core::secret::Secret;
use zeroize::Zeroizing;

/// Shorter values occur by chance, and stars for them would tell more than they hide.
const LENGTH_MIN: usize = 8;
/// A value may have thousands of lines; the longest are looked for.
const PATTERNS_MAX: usize = 256;
const STARS: &str = "***";

/// The values of one instance; without any it costs nothing.
#[derive(Default)]
pub(crate) struct Mask(Vec<Zeroizing<String>>);

impl Mask {
    /// Each line of a value by itself, since a log is lines.
    pub(crate) fn new(values: &[Secret]) -> Mask {
        let texts = values.iter().filter_map(|value| std::str::from_utf8(value.reveal()).ok());
        let lines = texts.flat_map(str::lines).map(str::trim).filter(|line| line.len() >= LENGTH_MIN);
        let mut patterns: Vec<_> = lines.map(|line| Zeroizing::new(line.to_owned())).collect();
        // The longest first: a value may hold another.
        patterns.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        patterns.dedup();
        patterns.truncate(PATTERNS_MAX);
        Mask(patterns)
    }

    pub(crate) fn apply<'t>(&self, text: impl Into<Cow<'t, str>>) -> Cow<'t, str> {
        let mut text = text.into();
        for pattern in &self.0 {
            if text.contains(pattern.as_str()) {
                text = text.replace(pattern.as_str(), STARS).into();
            }
        }
        text
    }

    /// What the code said of its failure goes to the log, and in dev mode to the caller.
    pub(crate) fn report(&self, report: &mut Report) {
        for text in [&mut report.kind, &mut report.message, &mut report.trace, &mut report.document] {
            if let Cow::Owned(masked) = self.apply(text.as_str()) {
                *text = masked;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(values: &[&str]) -> Mask {
        Mask::new(&values.iter().map(|value| Secret::new(value.as_bytes().to_vec())).collect::<Vec<_>>())
    }

    #[test]
    fn values_become_stars() {
        let check = |values: &[&str], text: &str, expect: &str| assert_eq!(mask(values).apply(text), expect);
        check(&[], "nothing to hide", "nothing to hide");
        check(&["hunter2hunter2"], "password=hunter2hunter2;", "password=***;");
        check(&["hunter2hunter2"], "hunter2", "hunter2");
        check(&["short"], "short", "short");
        check(&["hunter2hunter2", "hunter2hunter2-long"], "hunter2hunter2-long hunter2hunter2", "*** ***");
        check(&["-----BEGIN KEY-----\nMIIEvQIBADANBg\n"], "got MIIEvQIBADANBg", "got ***");
        check(&["pässwörter"], "ein pässwörter", "ein ***");
    }

    #[test]
    fn a_report_too() {
        let mut report =
            Report { kind: "E".into(), message: "bad hunter2hunter2".into(), trace: "at\nhunter2hunter2".into(), ..Report::default() };
        mask(&["hunter2hunter2"]).report(&mut report);
        assert_eq!(report, Report { kind: "E".into(), message: "bad ***".into(), trace: "at\n***".into(), ..Report::default() });
    }

    #[test]
    fn it_is_bounded() {
        let many: String = (0..100_000).map(|line| format!("line number {line}\n")).collect();
        assert_eq!(mask(&[&many]).0.len(), PATTERNS_MAX);
    }
}
