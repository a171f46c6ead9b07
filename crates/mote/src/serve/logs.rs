//! Logs whose followers are let go when the server stops: a stream without an end would hold up
//! the drain for its whole grace.

use std::sync::Arc;

use futures_util::StreamExt;
use mote_core::action::LogStream;
use mote_core::store::{LogLine, LogQuery, Logs};
use mote_core::trigger::Stop;
use mote_core::{BoxFuture, Result};

pub(super) struct UntilStop {
    inner: Arc<dyn Logs>,
    stop: Stop,
}

impl UntilStop {
    pub(super) fn new(inner: Arc<dyn Logs>, stop: Stop) -> Self {
        UntilStop { inner, stop }
    }
}

impl Logs for UntilStop {
    fn append(&self, line: LogLine) {
        self.inner.append(line);
    }

    fn read(&self, query: LogQuery) -> BoxFuture<'_, Result<LogStream>> {
        let mut stop = self.stop.clone();
        Box::pin(async move {
            let follow = query.follow;
            let lines = self.inner.read(query).await?;
            let until = async move { stop.wait().await };
            Ok(if follow { Box::pin(lines.take_until(until)) as LogStream } else { lines })
        })
    }
}
