//! The platform's own lines on a call in its function's log: around it, and on how it failed.
//!
//! What a function prints itself comes from its engine.

use std::sync::Arc;

use crate::BoxFuture;
use crate::clock::{Clock, Id};
use crate::dialect::Dialect;
use crate::engine::Output;
use crate::engine::opening::Opening;
use crate::error::{Code, Error, Fault, Result};
use crate::function::Function;
use crate::invoke::Invoker;
use crate::store::{LogLine, LogSource};

impl Invoker {
    /// The line that its code's contract has in the log before a call, if any.
    pub(super) fn opening(&self, dialect: &dyn Dialect, function: &Arc<Function>, id: Id) -> Opening {
        let Some(text) = dialect.log_opening(function, id) else { return Opening::default() };
        let (logs, clock, function) = (self.logs.clone(), self.clock.clone(), function.clone());
        Opening::new(move || logs.append(line(&*clock, &function, id, text)))
    }

    /// What runs, between the lines that its code's contract has in the log around it.
    pub(super) async fn logged(
        &self,
        dialect: &dyn Dialect,
        function: &Function,
        id: Id,
        opening: Opening,
        running: BoxFuture<'_, Result<Output>>,
    ) -> Result<Output> {
        let began = self.clock.monotonic();
        let output = running.await;
        // Of a call that no instance has taken.
        opening.say();
        let timing = match &output {
            Ok(output) => output.timing,
            Err(error) => error.timing().copied().unwrap_or_default(),
        };
        for line in dialect.log_closing(function, id, &timing, self.clock.monotonic() - began) {
            self.say(function, id, line);
        }
        output
    }

    /// Writes a failure, with the function's own trace, where its owner reads it.
    pub(super) fn note(&self, function: &Function, id: Id, error: &Error) {
        // Who is sent away is told so; a line for each would push the function's own out of the log.
        if error.code().fault() == Fault::Caller || error.code() == Code::Throttled {
            return;
        }
        let mut text = format!("{error:?}");
        if let Some(trace) = error.report().map(|report| &report.trace).filter(|trace| !trace.is_empty()) {
            text = format!("{text}\n{}", trace.trim_end());
        }
        self.say(function, id, text);
    }

    pub(super) fn say(&self, function: &Function, id: Id, text: String) {
        self.logs.append(line(&*self.clock, function, id, text));
    }
}

/// Of the platform's own words on a call.
fn line(clock: &dyn Clock, function: &Function, id: Id, text: String) -> LogLine {
    LogLine {
        time: clock.now(),
        namespace: function.namespace.to_string(),
        function: function.name.to_string(),
        version: function.version,
        invocation: Some(id),
        stream: LogSource::Platform,
        text,
    }
}
