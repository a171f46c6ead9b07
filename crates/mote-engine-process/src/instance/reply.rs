//! A streamed reply on its way out: each piece that is taken gives the runner credit for another.

use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use mote_core::{Body, Result};
use tokio::sync::mpsc::UnboundedReceiver;

use super::Instance;
use crate::wire::WINDOW_BYTES;

pub(super) struct Reply {
    /// Weak: a reply that lies unread must not keep an instance that is gone.
    instance: Weak<Instance>,
    call: u32,
    first: Option<Bytes>,
    /// Bounded by the window, not by itself.
    chunks: UnboundedReceiver<Result<Bytes>>,
    /// Bytes taken since credit was given back last.
    taken: u32,
}

/// Not for every piece: a quarter of the window keeps the runner busy at a quarter of the frames.
const CREDIT_BYTES: u32 = WINDOW_BYTES / 4;

impl Reply {
    pub(super) fn new(instance: &Instance, call: u32, first: Bytes, chunks: UnboundedReceiver<Result<Bytes>>) -> Reply {
        let first = Some(first).filter(|first| !first.is_empty());
        Reply { instance: instance.this.clone(), call, first, chunks, taken: 0 }
    }

    pub(super) fn into_body(self) -> Body {
        Body::stream(self, None)
    }
}

impl Stream for Reply {
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let next = std::task::ready!(this.chunks.poll_recv(cx));
        if let Some(Ok(bytes)) = &next {
            this.taken += bytes.len() as u32;
            if this.taken >= CREDIT_BYTES
                && let Some(instance) = this.instance.upgrade()
            {
                instance.taken(this.call, std::mem::take(&mut this.taken));
            }
        }
        Poll::Ready(next)
    }
}
