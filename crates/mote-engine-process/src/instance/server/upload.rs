//! A request's body on its way to the server.
//!
//! hyper takes a piece when there is room for it, so a server that does not read holds the sender
//! up. If the body fails on its way, the connection ends before the body does, and the caller is
//! told why and not what the server made of the half of it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use mote_core::{Body, Error};

pub(super) struct Upload {
    body: Body,
    failed: Failed,
}

/// What was wrong with the body.
#[derive(Clone, Default)]
pub(super) struct Failed(Arc<Mutex<Option<Error>>>);

impl Failed {
    pub(super) fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Upload {
    pub(super) fn new(body: Body) -> (Upload, Failed) {
        let failed = Failed::default();
        (Upload { body, failed: failed.clone() }, failed)
    }

    pub(super) fn into_inner(self) -> Body {
        self.body
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let this = self.get_mut();
        Poll::Ready(match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
            Some(Err(error)) => {
                *this.failed.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Some(Err(std::io::Error::other("the request's body broke off")))
            }
            Some(Ok(frame)) => Some(Ok(frame)),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
