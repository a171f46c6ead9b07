//! `aws-chunked`: the framing in which SDKs send a body with a checksum behind it.
//!
//! Bytes go through as they arrive and a chunk's signature is judged at its end, so that a chunk
//! of any size needs no memory; a false one fails the body, and a failed body stores nothing.
//! Not here: what the trailers mean ([`crate::payload`]).

use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes, BytesMut};
use futures_core::Stream;
use futures_util::StreamExt;
use mote_core::access::sigv4::{Signer, hex};
use s3s::{S3Error, s3_error};
use sha2::{Digest, Sha256};

const LINE_MAX: usize = 4096;
const TRAILERS_MAX: usize = 16;

/// Lower-case names and values that came behind the last chunk.
#[derive(Clone, Default)]
pub(crate) struct Trailers(Arc<Mutex<Vec<(String, String)>>>);

impl Trailers {
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
    }

    fn push(&self, name: String, value: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((name, value));
    }
}

/// The data of the chunks. With `signer`, each chunk and the trailers must carry its signature.
pub(crate) fn decode<B>(body: B, mut signer: Option<Signer>, trailers: Trailers) -> impl Stream<Item = Result<Bytes, S3Error>> + Send
where
    B: Stream<Item = Result<Bytes, S3Error>> + Send + 'static,
{
    async_stream::try_stream! {
        let mut input = Input { body: Box::pin(body), ahead: Bytes::new() };
        loop {
            let head = input.line().await?.ok_or_else(cut)?;
            let (mut left, signature) = head_of(&head)?;
            let last = left == 0;
            let mut hash = signer.as_ref().map(|_| Sha256::new());
            while left > 0 {
                let piece = input.piece(left).await?;
                left -= piece.len() as u64;
                if let Some(hash) = &mut hash {
                    hash.update(&piece);
                }
                yield piece;
            }
            if let (Some(signer), Some(hash)) = (&mut signer, hash) {
                let over = format!("{}\n{}", hex(&Sha256::digest([])), hex(&hash.finalize()));
                if !signer.follows("PAYLOAD", &over, signature.unwrap_or_default()) {
                    Err(s3_error!(SignatureDoesNotMatch, "The signature of a chunk of the body is wrong"))?;
                }
            }
            if last {
                break;
            }
            if !input.line().await?.ok_or_else(cut)?.is_empty() {
                Err(garbled())?;
            }
        }
        read_trailers(&mut input, signer, &trailers).await?;
    }
}

/// Reads `1f;chunk-signature=…`.
fn head_of(line: &[u8]) -> Result<(u64, Option<&str>), S3Error> {
    let line = std::str::from_utf8(line).map_err(|_| garbled())?;
    let (size, extension) = line.split_once(';').map_or((line, None), |(size, extension)| (size, Some(extension)));
    let hexadecimal = !size.is_empty() && size.len() <= 12 && size.bytes().all(|b| b.is_ascii_hexdigit());
    let size = u64::from_str_radix(size, 16).ok().filter(|_| hexadecimal).ok_or_else(garbled)?;
    Ok((size, extension.and_then(|e| e.trim().strip_prefix("chunk-signature="))))
}

async fn read_trailers<B>(input: &mut Input<B>, signer: Option<Signer>, trailers: &Trailers) -> Result<(), S3Error>
where
    B: Stream<Item = Result<Bytes, S3Error>>,
{
    let (mut canonical, mut signature) = (Vec::new(), None);
    // The empty line behind the trailers is missing with some clients: the end will do.
    while let Some(line) = input.line().await?.filter(|line| !line.is_empty()) {
        let line = std::str::from_utf8(&line).map_err(|_| garbled())?;
        let (name, value) = line.split_once(':').ok_or_else(garbled)?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
        if name == "x-amz-trailer-signature" {
            signature = Some(value);
            continue;
        }
        if canonical.len() == TRAILERS_MAX {
            return Err(s3_error!(InvalidRequest, "A body takes at most {TRAILERS_MAX} trailers"));
        }
        canonical.push(format!("{name}:{value}\n"));
        trailers.push(name, value);
    }
    if let Some(mut signer) = signer.filter(|_| !canonical.is_empty()) {
        canonical.sort_unstable();
        let over = hex(&Sha256::digest(canonical.concat()));
        if !signer.follows("TRAILER", &over, &signature.unwrap_or_default()) {
            return Err(s3_error!(SignatureDoesNotMatch, "The signature of the body's trailers is wrong"));
        }
    }
    Ok(())
}

struct Input<B> {
    body: std::pin::Pin<Box<B>>,
    ahead: Bytes,
}

impl<B: Stream<Item = Result<Bytes, S3Error>>> Input<B> {
    /// Up to a line feed, without it and the carriage return; `None` at the end.
    async fn line(&mut self) -> Result<Option<Bytes>, S3Error> {
        let mut line = BytesMut::new();
        loop {
            if self.ahead.is_empty() && !self.fill().await? {
                return if line.is_empty() { Ok(None) } else { Err(cut()) };
            }
            let end = self.ahead.iter().position(|b| *b == b'\n');
            line.extend_from_slice(&self.ahead.split_to(end.unwrap_or(self.ahead.len())));
            if line.len() > LINE_MAX {
                return Err(garbled());
            }
            if end.is_some() {
                self.ahead.advance(1);
                if line.last() == Some(&b'\r') {
                    line.truncate(line.len() - 1);
                }
                return Ok(Some(line.freeze()));
            }
        }
    }

    /// Whatever is there, at most `most` bytes and at least one.
    async fn piece(&mut self, most: u64) -> Result<Bytes, S3Error> {
        if self.ahead.is_empty() && !self.fill().await? {
            return Err(cut());
        }
        let length = usize::try_from(most).unwrap_or(usize::MAX).min(self.ahead.len());
        Ok(self.ahead.split_to(length))
    }

    async fn fill(&mut self) -> Result<bool, S3Error> {
        while self.ahead.is_empty() {
            match self.body.next().await {
                Some(piece) => self.ahead = piece?,
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

fn cut() -> S3Error {
    s3_error!(IncompleteBody, "The body ended in the middle of its chunks")
}

fn garbled() -> S3Error {
    s3_error!(InvalidRequest, "The body is not in the aws-chunked form that its headers announce")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(body: &'static [u8], step: usize) -> Result<(Vec<u8>, Trailers), S3Error> {
        let trailers = Trailers::default();
        let pieces = futures_util::stream::iter(body.chunks(step).map(|c| Ok(Bytes::from_static(c))));
        let mut decoded = std::pin::pin!(decode(pieces, None, trailers.clone()));
        let mut all = Vec::new();
        while let Some(piece) = decoded.next().await {
            all.extend_from_slice(&piece?);
        }
        Ok((all, trailers))
    }

    #[tokio::test]
    async fn chunks_come_out_however_they_are_cut() {
        let body = b"5\r\nhello\r\n6;chunk-signature=00\r\n world\r\n0\r\nX-Amz-Checksum-Crc32: DUoRhQ==\r\n\r\n";
        for step in 1..body.len() {
            let (data, trailers) = run(body, step).await.unwrap();
            assert_eq!(data, b"hello world");
            assert_eq!(trailers.get("x-amz-checksum-crc32").as_deref(), Some("DUoRhQ=="));
        }
    }

    #[tokio::test]
    async fn what_is_cut_or_garbled_fails() {
        for body in [
            "5\r\nhell",
            "5\r\nhello\r\n",
            "5\r\nhello",
            "",
            "5\r\nhelloX\r\n0\r\n\r\n",
            "-5\r\n",
            "z\r\n",
            "fffffffffffff\r\n",
            "0\r\nnonsense\r\n",
        ] {
            assert!(run(body.as_bytes(), 3).await.is_err(), "{body:?}");
        }
        assert!(run(&[b'1'; LINE_MAX + 1], 1000).await.is_err());
    }
}
