//! A body: bytes at hand, or a stream of them with a bound.
//!
//! One type on every seam, requests and replies alike. It is an [`http_body::Body`], so a door
//! hands it to its HTTP server as it is. Not here: framing, compression, trailers.

use std::any::Any;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use futures_util::StreamExt;

use crate::error::{Code, Error, Result};

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// See the module's text.
#[derive(Default)]
pub struct Body {
    inner: Inner,
    /// Dropped when the last byte has gone out, or when the reader has gone away.
    guard: Option<Box<dyn Any + Send>>,
}

#[derive(Default)]
enum Inner {
    #[default]
    Empty,
    Full(Bytes),
    Stream {
        /// What has been read already, and goes out first.
        begun: Bytes,
        chunks: Chunks,
        /// Bytes still to come, where that is known beforehand.
        left: Option<u64>,
    },
}

impl Body {
    pub fn empty() -> Self {
        Body::default()
    }

    pub fn stream(chunks: impl Stream<Item = Result<Bytes>> + Send + 'static, length: Option<u64>) -> Self {
        Body { inner: Inner::Stream { begun: Bytes::new(), chunks: Box::pin(chunks), left: length }, guard: None }
    }

    /// Keeps `guard` until the body has ended: an admission permit, a lease on an instance.
    pub fn holding(mut self, guard: impl Any + Send) -> Self {
        if matches!(self.inner, Inner::Stream { .. }) {
            let earlier = self.guard.take();
            self.guard = Some(Box::new((earlier, guard)));
        }
        // Bytes at hand hold nothing: the function that made them has already ended.
        self
    }

    /// The bytes, if they are all here already.
    pub fn as_bytes(&self) -> Option<&Bytes> {
        static EMPTY: Bytes = Bytes::new();
        match &self.inner {
            Inner::Empty => Some(&EMPTY),
            Inner::Full(bytes) => Some(bytes),
            Inner::Stream { .. } => None,
        }
    }

    /// The length, where it is known beforehand.
    pub fn length(&self) -> Option<u64> {
        match &self.inner {
            Inner::Empty => Some(0),
            Inner::Full(bytes) => Some(bytes.len() as u64),
            Inner::Stream { left, .. } => *left,
        }
    }

    /// The next piece, `None` at the end.
    pub async fn chunk(&mut self) -> Option<Result<Bytes>> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// All of it, or [`Code::BodyTooLarge`] as soon as more than `limit_bytes` have arrived.
    pub async fn collect(mut self, limit_bytes: u64) -> Result<Bytes> {
        if self.length().is_some_and(|length| length > limit_bytes) {
            return Err(too_large(limit_bytes));
        }
        if let Some(bytes) = self.as_bytes() {
            return Ok(bytes.clone());
        }
        let mut all = BytesMut::new();
        while let Some(piece) = self.chunk().await {
            let piece = piece?;
            if (all.len() + piece.len()) as u64 > limit_bytes {
                return Err(too_large(limit_bytes));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    /// The same body, begun up to a mark, or to its end, or to where nobody looks for the mark any more.
    pub async fn begin_up_to(mut self, mark: &[u8], bytes_max: u64) -> Result<Self> {
        let mut seen = BytesMut::new();
        while let Some(piece) = self.chunk().await {
            // It may lie across two pieces.
            let from = seen.len().saturating_sub(mark.len());
            seen.extend_from_slice(&piece?);
            if seen.len() as u64 > bytes_max || seen[from..].windows(mark.len().max(1)).any(|window| window == mark) {
                break;
            }
        }
        self.put_back(seen.freeze());
        Ok(self)
    }

    /// What has been read of it, or is here anyway.
    pub fn take_begun(&mut self) -> Bytes {
        match &mut self.inner {
            Inner::Empty => Bytes::new(),
            Inner::Full(bytes) => std::mem::take(bytes),
            Inner::Stream { begun, left, .. } => {
                let taken = std::mem::take(begun);
                if let Some(left) = left {
                    *left = left.saturating_sub(taken.len() as u64);
                }
                taken
            }
        }
    }

    /// Lets these bytes go before all others.
    pub fn put_back(&mut self, bytes: Bytes) {
        match &mut self.inner {
            Inner::Empty => self.inner = Inner::Full(bytes),
            Inner::Full(rest) if rest.is_empty() => *rest = bytes,
            Inner::Full(rest) => *rest = [bytes, std::mem::take(rest)].concat().into(),
            Inner::Stream { begun, left, .. } => {
                if let Some(left) = left {
                    *left = left.saturating_add(bytes.len() as u64);
                }
                *begun = if begun.is_empty() { bytes } else { [bytes, std::mem::take(begun)].concat().into() };
            }
        }
    }

    /// The same body, which fails with [`Code::BodyTooLarge`] past `limit_bytes`.
    pub fn limited(self, limit_bytes: u64) -> Result<Body> {
        match self.length() {
            Some(length) if length > limit_bytes => Err(too_large(limit_bytes)),
            Some(_) => Ok(self),
            None => {
                let mut seen = 0u64;
                Ok(Body::stream(
                    self.map(move |piece| {
                        let piece = piece?;
                        seen += piece.len() as u64;
                        if seen > limit_bytes { Err(too_large(limit_bytes)) } else { Ok(piece) }
                    }),
                    None,
                ))
            }
        }
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let next = match &mut self.inner {
            Inner::Empty => None,
            Inner::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.inner = Inner::Empty;
                Some(Ok(bytes)).filter(|piece: &Result<Bytes>| !matches!(piece, Ok(b) if b.is_empty()))
            }
            Inner::Stream { begun, chunks, left } => {
                let next = match begun.is_empty() {
                    true => ready!(chunks.as_mut().poll_next(cx)),
                    false => Some(Ok(std::mem::take(begun))),
                };
                if let (Some(left), Some(Ok(piece))) = (left.as_mut(), next.as_ref()) {
                    *left = left.saturating_sub(piece.len() as u64);
                }
                next
            }
        };
        if !matches!(next, Some(Ok(_))) {
            self.inner = Inner::Empty;
            self.guard = None;
        }
        Poll::Ready(next)
    }
}

fn too_large(limit_bytes: u64) -> Error {
    Error::new(Code::BodyTooLarge, format!("the body is larger than the limit of {limit_bytes} bytes"))
        .hint("Send less, or raise `body` in the function's mote.toml.")
}

impl Stream for Body {
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_chunk(cx)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<http_body::Frame<Bytes>>>> {
        let piece = ready!(self.get_mut().poll_chunk(cx));
        Poll::Ready(piece.map(|piece| piece.map(http_body::Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Empty => true,
            Inner::Full(bytes) => bytes.is_empty(),
            Inner::Stream { .. } => false,
        }
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.length().map(http_body::SizeHint::with_exact).unwrap_or_default()
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.inner {
            Inner::Empty => f.write_str("Body(empty)"),
            Inner::Full(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Inner::Stream { left, .. } => write!(f, "Body(stream, {left:?} bytes left)"),
        }
    }
}

macro_rules! from {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Body {
            fn from(bytes: $kind) -> Self {
                Body { inner: Inner::Full(Bytes::from(bytes)), guard: None }
            }
        }
    )*};
}
from!(Bytes, Vec<u8>, String, &'static str, &'static [u8]);

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(pieces: &[&'static str]) -> Body {
        let pieces: Vec<_> = pieces.iter().map(|p| Ok(Bytes::from(*p))).collect();
        Body::stream(futures_util::stream::iter(pieces), None)
    }

    #[tokio::test]
    async fn collect_stops_at_the_limit() {
        assert_eq!(pieces(&["ab", "cd"]).collect(4).await.unwrap(), "abcd");
        assert_eq!(pieces(&["ab", "cd"]).collect(3).await.unwrap_err().code(), Code::BodyTooLarge);
        assert_eq!(Body::from("abcd").collect(3).await.unwrap_err().code(), Code::BodyTooLarge);
    }

    #[tokio::test]
    async fn a_body_is_begun_up_to_its_mark() {
        for parts in [&["head\0\0bo", "dy"][..], &["he", "ad\0", "\0body"], &["head\0\0body"]] {
            let mut body = pieces(parts).begin_up_to(b"\0\0", 100).await.unwrap();
            let begun = body.take_begun();
            assert!(begun.starts_with(b"head\0\0"), "{begun:?}");
            body.put_back(begun.slice(6..));
            assert_eq!(body.collect(100).await.unwrap(), "body", "{parts:?}");
        }
        // Without the mark: to its end, or as far as one looks.
        let mut body = pieces(&["ab", "cd"]).begin_up_to(b"\0", 100).await.unwrap();
        assert_eq!((body.take_begun(), body.chunk().await.is_none()), ("abcd".into(), true));
        let mut body = pieces(&["ab", "cd", "ef"]).begin_up_to(b"\0", 3).await.unwrap();
        assert_eq!((body.take_begun(), body.collect(100).await.unwrap()), ("abcd".into(), "ef".into()));
        let mut body = Body::from("a\0b").begin_up_to(b"\0", 3).await.unwrap();
        assert_eq!(body.take_begun(), "a\0b");
        body.put_back("b".into());
        assert_eq!(body.collect(1).await.unwrap(), "b");
    }

    #[tokio::test]
    async fn a_guard_lives_as_long_as_the_stream() {
        let alive = std::sync::Arc::new(());
        let mut body = pieces(&["a"]).holding(alive.clone());
        assert_eq!(std::sync::Arc::strong_count(&alive), 2);
        body.chunk().await;
        assert!(body.chunk().await.is_none());
        assert_eq!(std::sync::Arc::strong_count(&alive), 1);
    }
}
