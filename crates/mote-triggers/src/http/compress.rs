//! Compressed replies: gzip and brotli, chosen by what the client takes and what is worth it.
//!
//! A stream is flushed whenever its source pauses, so that no line waits for the next one.

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use flate2::write::GzEncoder;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use mote_core::{Body, Error, Result};

use super::connection::Running;

/// Below this a packet is saved at best, and time is lost for sure.
const WORTH_BYTES_MIN: u64 = 1024;
/// Compressed in one go; more would hold up the other requests of the thread.
const AT_ONCE_BYTES_MAX: usize = 128 << 10;
const STEP_BYTES: usize = 32 << 10;
const OUT_BYTES: usize = 16 << 10;
const BROTLI_QUALITY: u32 = 4;
const BROTLI_WINDOW_BITS: u32 = 19;
const GZIP_LEVEL: u32 = 5;

/// A reply on its way out, and the connection's count of it.
pub(super) struct Outgoing {
    body: Kind,
    _running: Running,
}

enum Kind {
    AsItIs(Body),
    Compressed(Box<Compressed>),
}

/// Compresses the reply if the client takes it and the reply is worth it.
pub(super) fn wrap(response: Response<Body>, accepted: Option<HeaderValue>, running: Running) -> Response<Outgoing> {
    let (mut parts, body) = response.into_parts();
    let body = if body.length().is_none_or(|length| length >= WORTH_BYTES_MIN) && is_worth_it(parts.status, &parts.headers) {
        vary(&mut parts.headers);
        match accepted.and_then(|value| choose(value.as_bytes(), body.length().is_some())) {
            Some(coding) => {
                parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
                parts.headers.remove(header::CONTENT_LENGTH);
                parts.headers.remove(header::ACCEPT_RANGES);
                weaken(&mut parts.headers);
                compressed(body, coding)
            }
            None => Kind::AsItIs(body),
        }
    } else {
        Kind::AsItIs(body)
    };
    Response::from_parts(parts, Outgoing { body, _running: running })
}

fn compressed(body: Body, coding: Coding) -> Kind {
    let at_once = body.as_bytes().filter(|bytes| bytes.len() <= AT_ONCE_BYTES_MAX).cloned();
    let mut encoder = Encoder::new(coding);
    match at_once {
        Some(bytes) => match encoder.write(&bytes).and_then(|()| encoder.finish()) {
            Ok(bytes) => Kind::AsItIs(bytes.into()),
            Err(error) => Kind::AsItIs(Body::stream(futures_util::stream::iter([Err(error)]), None)),
        },
        None => Kind::Compressed(Box::new(Compressed { source: body, rest: Bytes::new(), encoder: Some(encoder), unflushed: false })),
    }
}

fn is_worth_it(status: StatusCode, headers: &HeaderMap) -> bool {
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED) {
        return false;
    }
    let fixed = headers.contains_key(header::CONTENT_ENCODING) || headers.contains_key(header::CONTENT_RANGE);
    let cache = headers.get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    !fixed && !cache.contains("no-transform") && is_text(kind)
}

/// A list of what shrinks, since what does not (photographs, archives, video) is without end.
fn is_text(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
        || matches!(
            kind.as_str(),
            "application/json" | "application/x-ndjson" | "application/javascript" | "application/xml" | "application/wasm"
        )
}

fn vary(headers: &mut HeaderMap) {
    let named = |value: &HeaderValue| value.as_bytes().to_ascii_lowercase().windows(15).any(|part| part == b"accept-encoding");
    if !headers.get_all(header::VARY).iter().any(named) {
        headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

/// The bytes are no longer those that a strong ETag names.
fn weaken(headers: &mut HeaderMap) {
    let strong = headers.get(header::ETAG).filter(|etag| etag.as_bytes().starts_with(b"\""));
    if let Some(weak) = strong.and_then(|etag| HeaderValue::from_bytes(&[b"W/", etag.as_bytes()].concat()).ok()) {
        headers.insert(header::ETAG, weak);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Brotli,
}

impl Coding {
    fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Brotli => "br",
        }
    }
}

/// What `Accept-Encoding` likes best. Among equals: brotli for a body at hand, and gzip for a
/// stream, since a brotli encoder holds megabytes for as long as the stream lives.
fn choose(accept: &[u8], whole: bool) -> Option<Coding> {
    let accept = std::str::from_utf8(accept).ok()?;
    let (mut gzip, mut brotli, mut any) = (None, None, None);
    for item in accept.split(',').take(32) {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let q = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse::<f32>().ok()).unwrap_or(0.0);
        let place = match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => &mut gzip,
            "br" => &mut brotli,
            "*" => &mut any,
            _ => continue,
        };
        *place = Some(q);
    }
    let liked = |q: Option<f32>| q.or(any).filter(|q| *q > 0.0);
    match (liked(gzip), liked(brotli)) {
        (None, None) => None,
        (Some(_), None) => Some(Coding::Gzip),
        (None, Some(_)) => Some(Coding::Brotli),
        (Some(gzip), Some(brotli)) if brotli > gzip || (whole && brotli == gzip) => Some(Coding::Brotli),
        (Some(_), Some(_)) => Some(Coding::Gzip),
    }
}

enum Encoder {
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
}

impl Encoder {
    fn new(coding: Coding) -> Encoder {
        match coding {
            Coding::Gzip => Encoder::Gzip(Box::new(GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL)))),
            Coding::Brotli => {
                Encoder::Brotli(Box::new(brotli::CompressorWriter::new(Vec::new(), 4096, BROTLI_QUALITY, BROTLI_WINDOW_BITS)))
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Encoder::Gzip(gzip) => gzip.write_all(bytes),
            Encoder::Brotli(brotli) => brotli.write_all(bytes),
        }
        .map_err(broken)
    }

    fn flush(&mut self) -> Result<()> {
        match self {
            Encoder::Gzip(gzip) => gzip.flush(),
            Encoder::Brotli(brotli) => brotli.flush(),
        }
        .map_err(broken)
    }

    fn out(&mut self) -> &mut Vec<u8> {
        match self {
            Encoder::Gzip(gzip) => gzip.get_mut(),
            Encoder::Brotli(brotli) => brotli.get_mut(),
        }
    }

    fn finish(self) -> Result<Bytes> {
        match self {
            Encoder::Gzip(gzip) => gzip.finish().map(Bytes::from).map_err(broken),
            Encoder::Brotli(brotli) => Ok(brotli.into_inner().into()),
        }
    }
}

fn broken(error: std::io::Error) -> Error {
    Error::internal("a reply can't be compressed").caused_by(error)
}

struct Compressed {
    source: Body,
    /// Of the piece that is being compressed.
    rest: Bytes,
    /// `None` once the end has been written.
    encoder: Option<Encoder>,
    unflushed: bool,
}

impl Compressed {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let Some(encoder) = &mut self.encoder else { return Poll::Ready(None) };
        // What compresses to nothing must not keep the thread: some steps, then the others' turn.
        for _ in 0..4 {
            if !self.rest.is_empty() {
                let step = self.rest.split_to(self.rest.len().min(STEP_BYTES));
                encoder.write(&step)?;
                self.unflushed = true;
                if encoder.out().len() >= OUT_BYTES {
                    return Poll::Ready(Some(Ok(std::mem::take(encoder.out()).into())));
                }
                continue;
            }
            match Pin::new(&mut self.source).poll_frame(cx) {
                Poll::Ready(Some(frame)) => self.rest = frame?.into_data().unwrap_or_default(),
                Poll::Ready(None) => {
                    let last = self.encoder.take().map(Encoder::finish).transpose()?.unwrap_or_default();
                    return Poll::Ready((!last.is_empty()).then_some(Ok(last)));
                }
                Poll::Pending if self.unflushed => {
                    encoder.flush()?;
                    self.unflushed = false;
                    return Poll::Ready(Some(Ok(std::mem::take(encoder.out()).into())));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        match &mut self.get_mut().body {
            Kind::AsItIs(body) => Pin::new(body).poll_frame(cx),
            Kind::Compressed(body) => Poll::Ready(ready!(body.poll(cx)).map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            Kind::AsItIs(body) => body.is_end_stream(),
            Kind::Compressed(body) => body.encoder.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Kind::AsItIs(body) => body.size_hint(),
            Kind::Compressed(_) => SizeHint::default(),
        }
    }
}
