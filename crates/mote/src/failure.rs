//! How a command fails: an exit code, and three lines for the person who reads them.
//!
//! What was found, what was wanted, what to do. With `--json` the same as one object on standard
//! output, in the form that the server's errors have.

use std::process::ExitCode;

use mote_core::{Code, Error, Fault};
use serde_json::{Value, json};

use crate::output;

/// The exit codes that `mote --help` documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    Refused = 1,
    Usage = 2,
    Unreachable = 3,
    Platform = 4,
    /// As a shell counts a program that Ctrl-C ended.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// See the module's text. One pointer wide, as the core's error is.
#[derive(Debug)]
pub(crate) struct Failure(Box<Inner>);

#[derive(Debug)]
struct Inner {
    exit: Exit,
    code: String,
    found: String,
    wanted: Option<String>,
    hint: Option<String>,
    /// The function's own trace, or an installer's words: printed as it is.
    trace: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, found: impl Into<String>) -> Self {
        let code = match exit {
            Exit::Done | Exit::Refused | Exit::Interrupted => "refused",
            Exit::Usage => "usage",
            Exit::Unreachable => "unreachable",
            Exit::Platform => Code::Internal.slug(),
        };
        Failure(Box::new(Inner { exit, code: code.to_owned(), found: found.into(), wanted: None, hint: None, trace: None }))
    }

    pub(crate) fn refused(found: impl Into<String>) -> Self {
        Failure::new(Exit::Refused, found)
    }

    pub(crate) fn usage(found: impl Into<String>) -> Self {
        Failure::new(Exit::Usage, found)
    }

    pub(crate) fn platform(found: impl Into<String>) -> Self {
        Failure::new(Exit::Platform, found)
    }

    pub(crate) fn wanted(mut self, wanted: impl Into<String>) -> Self {
        self.0.wanted = Some(wanted.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Puts a better hint in the place of a general one.
    pub(crate) fn set_hint(&mut self, hint: String) {
        self.0.hint = Some(hint);
    }

    pub(crate) fn found(&self) -> &str {
        &self.0.found
    }

    pub(crate) fn code(&self) -> &str {
        &self.0.code
    }

    /// Reads `{"error":{…}}`, the form of every error of the server.
    pub(crate) fn from_wire(body: &Value) -> Option<Failure> {
        let error = body.get("error")?;
        let text = |key: &str| error.get(key).and_then(Value::as_str).map(str::to_owned);
        let code = Code::from_slug(error.get("code")?.as_str()?)?;
        let report = error.get("report");
        let said = |key: &str| report.and_then(|report| report.get(key)).and_then(Value::as_str).filter(|text| !text.is_empty());
        let wanted = said("message").map(|message| format!("{}: {message}", said("type").unwrap_or("error")));
        Some(Failure(Box::new(Inner {
            exit: exit_of(code),
            code: code.slug().to_owned(),
            found: text("message").unwrap_or_default(),
            wanted,
            hint: text("hint"),
            trace: said("trace").map(str::to_owned),
        })))
    }

    /// Tells it, and gives the exit code back.
    pub(crate) fn tell(self, json: bool) -> Exit {
        if json {
            output::json(&self.to_json());
        } else {
            self.print();
        }
        self.0.exit
    }

    pub(crate) fn print(&self) {
        eprintln!("{} {}", output::red(&format!("error[{}]:", self.0.code)), self.0.found);
        // What stands behind the kind of an error is often all of what was found.
        let told = |wanted: &str| self.0.found.contains(wanted.split_once(": ").map_or(wanted, |(_, said)| said));
        if let Some(wanted) = self.0.wanted.as_deref().filter(|wanted| !told(wanted)) {
            eprintln!("  {wanted}");
        }
        self.new_in_trace().iter().for_each(|line| eprintln!("  | {line}"));
        if let Some(hint) = &self.0.hint {
            eprintln!("{} {hint}", output::bold("hint:"));
        }
    }

    /// The trace without its last line, where that says again what stands above it.
    fn new_in_trace(&self) -> Vec<&str> {
        let mut lines: Vec<&str> = self.0.trace.as_deref().unwrap_or_default().trim_end().lines().collect();
        let told = |line: &str| self.0.found.contains(line) || self.0.wanted.as_deref().is_some_and(|wanted| wanted.contains(line));
        if lines.last().is_some_and(|last| told(last.trim())) {
            lines.pop();
        }
        lines
    }

    /// Leaves out of an installer's words those that its reader has before them already.
    pub(crate) fn without(mut self, said: &[String]) -> Failure {
        if self.0.code == Code::BuildFailed.slug() {
            let said = |line: &str| said.iter().any(|said| said.trim_end() == line.trim_end());
            let mut lines = self.0.found.lines();
            let first = lines.next().unwrap_or_default();
            // `pip failed: ` and the first of its words.
            let first = first.split_once(": ").filter(|(_, rest)| said(rest)).map_or(first, |(what, _)| what);
            let left: Vec<&str> = std::iter::once(first).chain(lines.filter(|line| !said(line))).collect();
            self.0.found = left.join("\n");
        }
        self
    }

    fn to_json(&self) -> Value {
        let fault = match Code::from_slug(&self.0.code).map(Code::fault) {
            Some(fault) => fault,
            None if self.0.exit == Exit::Unreachable => Fault::Platform,
            None => Fault::Caller,
        };
        let mut error = json!({ "code": self.0.code, "message": self.0.found, "fault": fault });
        for (key, value) in [("detail", &self.0.wanted), ("hint", &self.0.hint), ("trace", &self.0.trace)] {
            if let Some(value) = value {
                error[key] = json!(value);
            }
        }
        json!({ "error": error })
    }
}

fn exit_of(code: Code) -> Exit {
    match code.fault() {
        Fault::Caller | Fault::Function => Exit::Refused,
        Fault::Platform => Exit::Platform,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let mut failure = Failure::new(exit_of(error.code()), error.detail());
        failure.0.code = error.code().slug().to_owned();
        failure.0.hint = error.hint_text().map(str::to_owned);
        failure.0.wanted = std::error::Error::source(&error).map(|cause| format!("cause: {cause}"));
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_told_once() {
        let report = json!({"type": "SyntaxError", "message": "bad (f.py, line 1)", "trace": "  File \"f.py\"\nSyntaxError: bad\n"});
        let body = json!({"error": {"code": "function-start-failed", "message": "no start", "report": report}});
        assert_eq!(Failure::from_wire(&body).unwrap().new_in_trace(), ["  File \"f.py\""]);
        let failed = Failure::from(Error::new(Code::BuildFailed, "pip failed: looking\nnone found\nlast words"));
        let said = ["looking".to_owned(), "none found".to_owned()];
        assert_eq!(failed.without(&said).0.found, "pip failed\nlast words");
        let other = Failure::from(Error::new(Code::ManifestInvalid, "line: looking"));
        assert_eq!(other.without(&said).0.found, "line: looking");
    }

    #[test]
    fn a_server_error_keeps_its_words_and_its_fault() {
        let check = |code: &str, exit| {
            let body = json!({"error": {"code": code, "message": "m", "hint": "h", "report": {"type": "T", "message": "x", "trace": ""}}});
            let failure = Failure::from_wire(&body).unwrap();
            assert_eq!((failure.0.exit, failure.code()), (exit, code));
            assert_eq!(failure.0.wanted.as_deref(), Some("T: x"));
            assert_eq!(failure.0.trace, None);
        };
        check("function-not-found", Exit::Refused);
        check("function-failed", Exit::Refused);
        check("throttled", Exit::Platform);
        assert!(Failure::from_wire(&json!({"error": "what a function may say of itself"})).is_none());
        assert!(Failure::from_wire(&json!({"error": {"code": "its own"}})).is_none());
    }
}
