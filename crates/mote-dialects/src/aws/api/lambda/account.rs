//! What an account may use, and what it uses.

use http::StatusCode;
use mote_core::action::{Action, Done};
use mote_core::dialect::Turn;
use serde_json::json;

use super::fault::Fault;
use super::{configuration, refuse, tell, unexpected};
use crate::aws::api::Ask;

const PAGE: usize = 1000;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    functions: u64,
    code_bytes: u64,
}

/// Counts a page of functions after the other.
pub(super) fn settings(ask: Ask, after: Option<String>, usage: Usage) -> Turn {
    let what = Action::List { namespace: ask.namespace.clone(), after, limit: PAGE };
    Turn::act(ask.who.clone(), what, move |listed| {
        let functions = match listed {
            Ok(Done::Functions(functions)) => functions,
            Ok(_) => return refuse(&Fault::of(&unexpected()), ask.stamp.id),
            Err(error) => return refuse(&Fault::of(&error), ask.stamp.id),
        };
        let usage = Usage {
            functions: usage.functions + functions.len() as u64,
            code_bytes: functions.iter().fold(usage.code_bytes, |sum, function| sum.saturating_add(configuration::code_bytes(function))),
        };
        match functions.last() {
            Some(last) if functions.len() == PAGE => settings(ask, Some(last.name.to_string()), usage),
            _ => tell(StatusCode::OK, &told(usage), ask.stamp.id),
        }
    })
}

/// Limits as AWS has them at first; what is enforced are a function's own and its namespace's.
fn told(usage: Usage) -> serde_json::Value {
    json!({
        "AccountLimit": {
            "TotalCodeSize": 80_530_636_800_u64,
            "CodeSizeUnzipped": mote_core::bundle::UNPACKED_BYTES_MAX,
            "CodeSizeZipped": super::code::ZIP_BYTES_MAX,
            "ConcurrentExecutions": 1000,
            "UnreservedConcurrentExecutions": 1000,
        },
        "AccountUsage": { "TotalCodeSize": usage.code_bytes, "FunctionCount": usage.functions },
    })
}
