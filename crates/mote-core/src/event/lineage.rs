//! How an event came to be: who brought it, and the call that led to it.
//!
//! It goes with the event wherever that goes, so that a call can be traced to where it began. Not
//! here: what became of the calls; [`crate::store::Records`] has that.

use serde::{Deserialize, Serialize};

use crate::clock::{Id, Timestamp};
use crate::event::Event;

/// The extension attribute of CloudEvents that holds a W3C trace context: kept with an event, given
/// to its function and to what follows, and never changed, since mote begins no span of its own.
pub const TRACE_PARENT: &str = "traceparent";

/// The extension attribute that says which binding brought an event, where that stands beside those of
/// versions.
pub const BINDING: &str = "motebinding";

/// See the module's text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lineage {
    /// As the audit has it, `token shop/ci`; `None`: the platform itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// When the durable path took it, which knows that itself; `None`: somebody waits for the reply.
    #[serde(skip)]
    pub accepted: Option<Timestamp>,
}

/// The call without which the event would not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    pub how: How,
    pub call: Id,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// It called, or sent something, while it ran.
    Called,
    /// Its reply is the event.
    Succeeded,
    /// It was given up, and that is the event.
    Failed,
    /// The event was its own, and somebody wanted it once more.
    Replayed,
}

impl Lineage {
    /// An event that the platform itself makes of a call's end, or a person of its record.
    pub fn of(how: How, call: Id) -> Lineage {
        Lineage { cause: Some(Cause { how, call }), ..Lineage::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.caller.is_none() && self.cause.is_none()
    }
}

impl Event {
    pub fn trace_parent(&self) -> Option<&str> {
        self.extensions.get(TRACE_PARENT)?.as_str()
    }
}

/// Whether it is a trace context of a version that is known: `00-TRACE-SPAN-FLAGS`, hexadecimal, lower case, not all zeros.
pub fn is_trace_parent(text: &str) -> bool {
    let hex = |part: &str, length: usize| part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let parts: Vec<&str> = text.splitn(5, '-').collect();
    let [version, trace, span, flags] = parts.as_slice() else { return false };
    let some = |part: &str| part.bytes().any(|b| b != b'0');
    *version == "00" && hex(trace, 32) && some(trace) && hex(span, 16) && some(span) && hex(flags, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_parents() {
        let check = |text: &str, expect: bool| assert_eq!(is_trace_parent(text), expect, "{text}");
        check("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true);
        check("00-00000000000000000000000000000000-b7ad6b7169203331-01", false);
        check("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false);
        check("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false);
        check("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", false);
        check("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x", false);
        check("00-0af7651916cd43dd8448eb211c80319ä-b7ad6b7169203331-01", false);
        check("", false);
    }
}
