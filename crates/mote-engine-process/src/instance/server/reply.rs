//! A streamed reply on its way out: each piece is read off the connection when its reader asks.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use http_body::Body as _;
use hyper::body::Incoming;
use mote_core::{BoxFuture, Error, Result};
use tokio::sync::mpsc::UnboundedReceiver;

use super::connection::{Line, Link};
use super::upload::Failed;
use super::{Lease, REASON_WITHIN, broken};
use crate::instance::crashed;
use crate::limits::Limit;

pub(super) struct Replying {
    incoming: Incoming,
    failed: Failed,
    /// The guard's word: a deadline, or the end of the process.
    breaks: UnboundedReceiver<Result<Bytes>>,
    /// Until the reply has ended.
    call: Option<(Lease, Line)>,
    reason: Option<BoxFuture<'static, Error>>,
    /// Bytes that the caller may still be given.
    left: u64,
}

impl Replying {
    pub(super) fn new(lease: Lease, line: Line, incoming: Incoming, failed: Failed, breaks: UnboundedReceiver<Result<Bytes>>) -> Replying {
        let left = lease.instance.function.limits.reply_bytes;
        Replying { left, incoming, failed, breaks, call: Some((lease, line)), reason: None }
    }

    /// Cuts the connection, and finds out what the reader is to be told.
    fn break_off(&mut self, error: Error) {
        let Some((lease, line)) = self.call.take() else { return };
        drop(line);
        if let Some(error) = self.failed.take() {
            self.reason = Some(Box::pin(async move { error }));
            return;
        }
        let (_, none) = tokio::sync::mpsc::unbounded_channel();
        let mut breaks = std::mem::replace(&mut self.breaks, none);
        self.reason = Some(Box::pin(async move {
            // The call stays where the guard finds it until the guard had time to say why.
            let within = lease.instance.host.clock.sleep(REASON_WITHIN);
            tokio::select! {
                biased;
                told = breaks.recv() => match told {
                    Some(Err(reason)) => reason,
                    Some(Ok(_)) | None => error,
                },
                () = within => error,
            }
        }));
    }
}

impl Stream for Replying {
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(reason) = &mut this.reason {
                let error = ready!(reason.as_mut().poll(cx));
                this.reason = None;
                return Poll::Ready(Some(Err(error)));
            }
            let Some((lease, line)) = &this.call else { return Poll::Ready(None) };
            // What came counts, even if the process has ended since.
            match poll_data(&mut this.incoming, &line.link, cx) {
                Poll::Ready(Some(Ok(bytes))) => match this.left.checked_sub(bytes.len() as u64) {
                    Some(left) => {
                        this.left = left;
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                    None => {
                        let error = Limit::Reply.error(&lease.instance.function);
                        this.call = None;
                        return Poll::Ready(Some(Err(error)));
                    }
                },
                Poll::Ready(Some(Err(error))) => this.break_off(error),
                Poll::Ready(None) => {
                    if let Some((lease, line)) = this.call.take() {
                        lease.finish(line);
                    }
                    return Poll::Ready(None);
                }
                Poll::Pending => match ready!(this.breaks.poll_recv(cx)) {
                    Some(Err(reason)) => {
                        this.call = None;
                        this.reason = Some(Box::pin(async move { reason }));
                    }
                    Some(Ok(_)) | None => this.break_off(crashed("the call ended before its reply did")),
                },
            }
        }
    }
}

impl Drop for Replying {
    fn drop(&mut self) {
        // A reader that knows the length does not ask for the end.
        if let Some((lease, line)) = self.call.take()
            && self.incoming.is_end_stream()
            && !line.link.is_severed()
        {
            lease.finish(line);
        }
    }
}

/// The next bytes. A reply that was cut has no end: hyper ends it there as if it were whole.
pub(super) fn poll_data(incoming: &mut Incoming, link: &Link, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
    loop {
        return Poll::Ready(match ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => Some(Ok(data)),
                // Trailers, which nobody here reads.
                Err(_) => continue,
            },
            Some(Err(error)) => Some(Err(broken(&error))),
            None if link.is_severed() => Some(Err(crashed("the call was cut off in the middle of its reply"))),
            None => None,
        });
    }
}
