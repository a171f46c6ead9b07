//! The audit: who changed what, and who tried what he may not. One line each, bounded by the log
//! that keeps them; never a value of a secret or a token.
//!
//! Each line also goes to `tracing` at the target `audit`, for whoever collects logs elsewhere.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use super::Caller;
use super::rights::{Rule, Scope};
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, Result};
use crate::function::Name;
use crate::store::{LogLine, LogQuery, LogSource, Logs};

/// Lines that one look gives at most.
pub const LINES_MAX: usize = 10_000;

/// One change, or one refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditLine {
    pub time: Timestamp,
    /// `admin`, `token shop/ci`, `function shop`.
    pub who: String,
    pub verb: String,
    /// Empty for what concerns the whole server.
    pub namespace: String,
    /// The function, bucket, token or secret.
    pub about: String,
    /// `ok`, or the code of the error.
    pub result: String,
}

/// Where lines go; without a log, to `tracing` alone.
#[derive(Default)]
pub(super) struct Audit {
    pub(super) logs: Option<Arc<dyn Logs>>,
    /// When code in a namespace's functions was last written of as refused.
    refused: Mutex<HashMap<Name, Duration>>,
}

/// Code in a function may ask as fast as it likes, and must not push out what is written of others.
const REFUSED_APART: Duration = Duration::from_secs(60);

/// What is known of a change before it is made.
pub struct Note {
    who: String,
    verb: &'static str,
    namespace: String,
    about: String,
}

impl Note {
    pub(super) fn new(caller: &Caller, rule: &Rule<'_>) -> Note {
        let namespace = rule.need.namespace().map(Name::to_string).unwrap_or_default();
        Note { who: caller.label(), verb: rule.verb, namespace, about: rule.about.to_owned() }
    }
}

impl Audit {
    /// Whether a refusal of that caller is to be written down.
    pub(super) fn is_news(&self, caller: &Caller, clock: &dyn Clock) -> bool {
        match caller {
            // A stranger is none; that somebody known tries a door is.
            Caller::Anonymous => false,
            Caller::Admin | Caller::Token(_) => true,
            Caller::Instance(namespace) => {
                let (now, mut refused) = (clock.monotonic(), self.refused.lock().unwrap_or_else(PoisonError::into_inner));
                refused.retain(|_, last| now.saturating_sub(*last) < REFUSED_APART);
                match refused.contains_key(namespace) {
                    true => false,
                    false => refused.insert(namespace.clone(), now).is_none(),
                }
            }
        }
    }

    pub(super) fn write(&self, clock: &dyn Clock, note: Note, error: Option<&Error>) {
        let result = error.map_or("ok", |error| error.code().slug());
        let Note { who, verb, namespace, about } = note;
        tracing::info!(target: "audit", who, verb, namespace, about, result);
        let Some(logs) = &self.logs else { return };
        let time = clock.now();
        let line = AuditLine { time, who, verb: verb.to_owned(), namespace: namespace.clone(), about, result: result.to_owned() };
        let text = serde_json::to_string(&line).unwrap_or_default();
        let (function, version, invocation) = (String::new(), 0, None);
        logs.append(LogLine { time, namespace, function, version, invocation, stream: LogSource::Platform, text });
    }

    /// The newest lines of a namespace, or of all, oldest first.
    pub(super) async fn read(&self, namespace: Option<&Name>, tail: usize) -> Result<Vec<AuditLine>> {
        let Some(logs) = &self.logs else { return Ok(Vec::new()) };
        let query = LogQuery { namespace: namespace.map(Name::to_string), tail: tail.min(LINES_MAX), ..Default::default() };
        let mut lines = logs.read(query).await?;
        let mut found = Vec::new();
        while let Some(line) = lines.next().await {
            // What the log says of itself (lines lost) is no line of the audit.
            found.extend(serde_json::from_str(&line?.text).ok());
        }
        Ok(found)
    }
}

impl Caller {
    /// See [`AuditLine::who`].
    pub fn label(&self) -> String {
        match self {
            Caller::Anonymous => "nobody known".to_owned(),
            Caller::Admin => "admin".to_owned(),
            Caller::Instance(namespace) => format!("function {namespace}"),
            Caller::Token(holder) => match &holder.scope {
                Scope::One(namespace) => format!("token {namespace}/{}", holder.name),
                Scope::All => format!("token */{}", holder.name),
            },
        }
    }
}
