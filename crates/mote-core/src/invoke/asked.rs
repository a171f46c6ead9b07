//! What is kept of a request over HTTP until it is answered: the way that it came, and what a page of
//! another origin is to be told.
//!
//! The request itself goes to the function. Of an event that came in another way there is nothing.

use std::sync::Arc;

use http::HeaderMap;

use crate::clock::Id;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::event::Event;
use crate::function::{Function, HttpRoute};
use crate::reply::Reply;

/// See the module's text.
pub(super) struct Asked {
    over_http: bool,
    route: Option<Arc<HttpRoute>>,
    /// The request's headers, where the function answers pages.
    page: Option<HeaderMap>,
}

impl Asked {
    pub(super) fn of(event: &Event, function: &Function) -> Asked {
        // Nobody waits for the answer to what was accepted for later: its failures are judged as they are.
        let request = event.request.as_deref().filter(|_| event.lineage.accepted.is_none());
        let Some(request) = request else { return Asked { over_http: false, route: None, page: None } };
        let page = function.cors_by(request.route.as_deref()).map(|_| request.headers.clone());
        Asked { over_http: true, route: request.route.clone(), page }
    }

    pub(super) fn dress(&self, dialect: &dyn Dialect, function: &Function, headers: &mut HeaderMap) {
        if let (Some(page), Some(cors)) = (&self.page, function.cors_by(self.route.as_deref())) {
            dialect.dress(cors, page, headers);
        }
    }

    /// The failure in the words of the code's contract, if it has some for it.
    pub(super) fn told(&self, dialect: &dyn Dialect, function: &Function, id: Id, error: &Error) -> Option<Reply> {
        let told = self.over_http.then(|| dialect.tells_failure(function, self.route.as_deref(), id, error));
        let mut reply = told.flatten()?;
        reply.version = function.version;
        reply.timing = error.timing().copied().unwrap_or_default();
        self.dress(dialect, function, &mut reply.headers);
        Some(reply)
    }
}
