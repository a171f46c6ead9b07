//! The requests about rules: which there are, and one taken away.
//!
//! They are made by the APIs whose words they tell their targets in: none here.

use http::{Method, request};
use mote_core::Result;
use mote_core::action::Action;
use mote_core::function::Name;

use super::super::query::Query;

/// `None`: the path is none of these.
pub(super) fn action(path: &[&str], parts: &request::Parts, query: &Query) -> Result<Option<Action>> {
    let method = if parts.method == Method::HEAD { "GET" } else { parts.method.as_str() };
    let namespace = || query.namespace();
    Ok(Some(match (path, method) {
        (["rules"], "GET") => Action::ListRules { namespace: namespace()?, group: query.name("group")? },
        (["rules", group, name], "GET") => Action::ShowRule { namespace: namespace()?, group: Name::new(group)?, name: Name::new(name)? },
        (["rules", group, name], "DELETE") => {
            Action::RemoveRule { namespace: namespace()?, group: Name::new(group)?, name: Name::new(name)? }
        }
        _ => return Ok(None),
    }))
}

/// The methods of a path that is one of these.
pub(super) fn allows(path: &[&str]) -> Option<&'static str> {
    match path {
        ["rules"] => Some("GET, HEAD"),
        ["rules", _, _] => Some("GET, HEAD, DELETE"),
        _ => None,
    }
}
