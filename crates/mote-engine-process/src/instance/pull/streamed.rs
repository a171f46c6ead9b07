//! A streamed answer between the runtime that writes it and the caller that reads it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use mote_core::clock::Clock;
use mote_core::{Body, BoxFuture, Error, Result};
use tokio::sync::mpsc::{self, Receiver, Sender, UnboundedReceiver, UnboundedSender};

use crate::instance::crashed;

/// Pieces that lie between the two; hyper's are some 10 to 400 KiB.
const PIECES_MAX: usize = 2;
/// How long a connection that broke may be the first sign of a process that ended.
const REASON_WITHIN: Duration = Duration::from_millis(250);

pub(super) enum Piece {
    Data(Bytes),
    Failed(Error),
    /// Without it, the runtime's connection broke.
    End,
}

/// For who writes, for the guard's word, and for who reads.
pub(super) fn channel(clock: Arc<dyn Clock>) -> (Sender<Piece>, UnboundedSender<Result<Bytes>>, Body) {
    let (write, pieces) = mpsc::channel(PIECES_MAX);
    let (tell, breaks) = mpsc::unbounded_channel();
    (write, tell, Body::stream(Streamed { pieces, breaks, broke: None, clock, reason: None, over: false }, None))
}

struct Streamed {
    pieces: Receiver<Piece>,
    /// The guard's word: a deadline, or the end of the process.
    breaks: UnboundedReceiver<Result<Bytes>>,
    /// It, once it was heard.
    broke: Option<Error>,
    clock: Arc<dyn Clock>,
    reason: Option<BoxFuture<'static, Error>>,
    over: bool,
}

impl Streamed {
    /// The connection broke; the guard may yet say why.
    fn find_reason(&mut self) -> BoxFuture<'static, Error> {
        let (_, none) = mpsc::unbounded_channel();
        let (mut breaks, clock) = (std::mem::replace(&mut self.breaks, none), self.clock.clone());
        Box::pin(async move {
            tokio::select! {
                biased;
                Some(Err(reason)) = breaks.recv() => reason,
                () = clock.sleep(REASON_WITHIN) => crashed("the runtime closed the connection before its reply was whole"),
            }
        })
    }
}

impl Stream for Streamed {
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(reason) = &mut this.reason {
                let error = ready!(reason.as_mut().poll(cx));
                (this.reason, this.over) = (None, true);
                return Poll::Ready(Some(Err(error)));
            }
            if this.over {
                return Poll::Ready(None);
            }
            // What came counts, even if the process has ended since.
            match this.pieces.poll_recv(cx) {
                Poll::Ready(Some(Piece::Data(bytes))) => return Poll::Ready(Some(Ok(bytes))),
                Poll::Ready(Some(Piece::End)) => this.over = true,
                Poll::Ready(Some(Piece::Failed(error))) => this.reason = Some(Box::pin(async move { error })),
                Poll::Ready(None) => this.reason = Some(this.find_reason()),
                Poll::Pending => match this.broke.take() {
                    Some(error) => this.reason = Some(Box::pin(async move { error })),
                    // What came between the two looks was there before the word.
                    None => {
                        this.broke = Some(match ready!(this.breaks.poll_recv(cx)) {
                            Some(Err(reason)) => reason,
                            Some(Ok(_)) | None => crashed("the call ended before its reply did"),
                        });
                    }
                },
            }
        }
    }
}
