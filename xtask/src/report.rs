//! One line per step, with its time: a spinner on a terminal, plain text elsewhere.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::Result;

/// The steps of a task, in the order in which they ran.
#[derive(Default)]
pub(crate) struct Steps {
    pub(crate) done: Vec<Done>,
}

pub(crate) struct Done {
    pub(crate) name: String,
    pub(crate) took: Duration,
    pub(crate) passed: bool,
}

/// What a step adds to its own line.
#[derive(Default)]
pub(crate) struct Note(RefCell<String>);

impl Note {
    pub(crate) fn say(&self, text: impl Into<String>) {
        *self.0.borrow_mut() = text.into();
    }
}

impl Steps {
    /// Runs a step that shows nothing itself.
    pub(crate) fn quiet<T>(&mut self, name: &str, step: impl FnOnce(&Note) -> Result<T>) -> Result<T> {
        let spinner = ProgressBar::new_spinner().with_message(name.to_owned());
        // Hidden by itself where stderr is no terminal.
        spinner.set_style(ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}")?);
        spinner.enable_steady_tick(Duration::from_millis(100));
        let result = self.timed(name, step, || spinner.finish_and_clear());
        spinner.finish_and_clear();
        result
    }

    /// Runs a step whose own output is its progress.
    pub(crate) fn loud<T>(&mut self, name: &str, step: impl FnOnce(&Note) -> Result<T>) -> Result<T> {
        println!("… {name}");
        self.timed(name, step, || {})
    }

    /// A step that something else ran and timed.
    pub(crate) fn ran(&mut self, name: &str, took: Duration, note: &str) {
        self.line(name, took, note, true);
    }

    fn timed<T>(&mut self, name: &str, step: impl FnOnce(&Note) -> Result<T>, before_line: impl FnOnce()) -> Result<T> {
        let (begun, note) = (Instant::now(), Note::default());
        let result = step(&note);
        before_line();
        self.line(name, begun.elapsed(), &note.0.borrow(), result.is_ok());
        result.map_err(|error| format!("{name}: {error}").into())
    }

    fn line(&mut self, name: &str, took: Duration, note: &str, passed: bool) {
        let gap = if note.is_empty() { "" } else { "  " };
        println!("{} {name:<44} {:>9}{gap}{note}", if passed { '✓' } else { '✗' }, human(took));
        self.done.push(Done { name: name.to_owned(), took, passed });
    }
}

/// A time as a person reads it.
pub(crate) fn human(time: Duration) -> String {
    match time.as_secs_f64() {
        s if s < 0.001 => format!("{:.0} µs", s * 1e6),
        s if s < 0.1 => format!("{:.1} ms", s * 1e3),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 120.0 => format!("{s:.1} s"),
        s => format!("{:.0} min {:02.0} s", (s / 60.0).floor(), s % 60.0),
    }
}
