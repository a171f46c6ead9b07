//! A request as it came off the socket, made ready for a dialect.
//!
//! A small body is read here, so that it travels on as bytes; a large one, or one of unknown
//! length, streams through.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http::{HeaderMap, Method, header};
use http_body::Body as _;
use hyper::body::Incoming;
use mote_core::dialect::Request;
use mote_core::{Body, Code, Error, Result};

use super::connection::{Awaiting, Running};

/// Up to this a body is collected before the call.
const COLLECTED_BYTES_MAX: u64 = 64 << 10;

pub(super) async fn read(request: http::Request<Incoming>, running: &Running) -> Result<Request> {
    let (parts, mut incoming) = request.into_parts();
    refuse_upgrades(&parts.method, &parts.headers)?;
    let body = match incoming.size_hint().exact() {
        Some(0) => Body::empty(),
        Some(length) if length <= COLLECTED_BYTES_MAX => collect(&mut incoming, length as usize).await?,
        length => Body::stream(Chunks { incoming, awaiting: running.awaiting() }, length),
    };
    running.start();
    Ok(Request::from_parts(parts, body))
}

fn refuse_upgrades(method: &Method, headers: &HeaderMap) -> Result<()> {
    // Other protocols may be offered and ignored; a WebSocket client takes no other answer.
    let websocket = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"websocket");
    if headers.get_all(header::UPGRADE).iter().any(websocket) {
        return Err(Error::new(Code::RequestInvalid, "WebSocket connections are not served here")
            .hint("Stream the reply over HTTP instead: a generator, or server-sent events."));
    }
    if method == Method::CONNECT {
        return Err(Error::new(Code::MethodNotAllowed, "this is no proxy, so CONNECT leads nowhere"));
    }
    Ok(())
}

async fn collect(incoming: &mut Incoming, length: usize) -> Result<Body> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(piece) = std::future::poll_fn(|cx| poll_data(incoming, cx)).await {
        let piece = piece?;
        if all.is_empty() && first.is_empty() {
            // Most bodies come in one piece, and that piece is not copied.
            first = piece;
            if first.len() == length {
                return Ok(first.into());
            }
        } else {
            if all.is_empty() {
                all.reserve(length);
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&piece);
        }
    }
    Ok(if all.is_empty() { first.into() } else { all.freeze().into() })
}

/// The next bytes; trailers say nothing that anybody here reads.
fn poll_data(incoming: &mut Incoming, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
    loop {
        match ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Poll::Ready(Some(Ok(data)));
                }
            }
            Some(Err(error)) => {
                return Poll::Ready(Some(Err(
                    Error::new(Code::BodyInvalid, "the request's body broke off or is badly framed").caused_by(error)
                )));
            }
            None => return Poll::Ready(None),
        }
    }
}

struct Chunks {
    incoming: Incoming,
    awaiting: Awaiting,
}

impl Stream for Chunks {
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let this = self.get_mut();
        let next = poll_data(&mut this.incoming, cx);
        this.awaiting.set(next.is_pending());
        next
    }
}
