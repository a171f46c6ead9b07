//! AWS's framing of a stream of events in one reply, `application/vnd.amazon.eventstream`.
//!
//! A frame has a prelude of two lengths and their checksum, headers, a payload, and a checksum over all
//! of it. Only written here, and only with headers that are texts. Which events a stream has is its
//! operation's to say.

use bytes::{BufMut as _, Bytes, BytesMut};
use crc_fast::{CrcAlgorithm, checksum};

pub(super) const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";
/// Clients refuse frames of more than 16 MiB, and hold one whole before they show it.
const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// Frames of that event, as many as the payload takes.
pub(super) fn events(kind: &str, content_type: &str, payload: &[u8]) -> Bytes {
    let headers = headers(&[(":event-type", kind), (":content-type", content_type), (":message-type", "event")]);
    let mut frames = BytesMut::new();
    for part in payload.chunks(PAYLOAD_BYTES_MAX) {
        frame(&headers, part, &mut frames);
    }
    frames.freeze()
}

fn frame(headers: &[u8], payload: &[u8], frames: &mut BytesMut) {
    const AROUND: usize = 16;
    let begin = frames.len();
    let length = AROUND + headers.len() + payload.len();
    frames.reserve(length);
    frames.put_u32(length as u32);
    frames.put_u32(headers.len() as u32);
    frames.put_u32(crc(&frames[begin..]));
    frames.put_slice(headers);
    frames.put_slice(payload);
    frames.put_u32(crc(&frames[begin..]));
}

fn headers(all: &[(&str, &str)]) -> Vec<u8> {
    const TEXT: u8 = 7;
    let mut written = Vec::new();
    for (name, value) in all {
        written.put_u8(name.len() as u8);
        written.put_slice(name.as_bytes());
        written.put_u8(TEXT);
        written.put_u16(value.len() as u16);
        written.put_slice(value.as_bytes());
    }
    written
}

fn crc(bytes: &[u8]) -> u32 {
    checksum(CrcAlgorithm::Crc32IsoHdlc, bytes) as u32
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The events of a stream, each with its kind: checked as a client checks them.
    pub(crate) fn read(mut stream: &[u8]) -> Vec<(String, Vec<u8>)> {
        let number = |at: usize, bytes: &[u8]| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        let mut all = Vec::new();
        while !stream.is_empty() {
            let (frame, rest) = stream.split_at(number(0, stream) as usize);
            assert_eq!(number(8, frame), crc(&frame[..8]));
            assert_eq!(number(frame.len() - 4, frame), crc(&frame[..frame.len() - 4]));
            let (headers, payload) = frame[12..frame.len() - 4].split_at(number(4, frame) as usize);
            let (name, value) = (usize::from(headers[0]), 3 + usize::from(headers[0]) + 1);
            assert_eq!(&headers[1..=name], b":event-type");
            let length = usize::from(headers[value - 1]);
            all.push((String::from_utf8(headers[value..value + length].to_vec()).unwrap(), payload.to_vec()));
            stream = rest;
        }
        all
    }

    #[test]
    fn a_frame_is_as_the_format_has_it() {
        let frame = events("End", "a/b", b"{}");
        let headers = b"\x0b:event-type\x07\0\x03End\x0d:content-type\x07\0\x03a/b\x0d:message-type\x07\0\x05event";
        assert_eq!(&frame[..8], [[0, 0, 0, 16 + headers.len() as u8 + 2], [0, 0, 0, headers.len() as u8]].concat());
        assert_eq!(&frame[12..12 + headers.len()], headers);
        // Of the check value that the algorithm is known by.
        assert_eq!(crc(b"123456789"), 0xcbf4_3926);
        assert_eq!(read(&frame), [("End".to_owned(), b"{}".to_vec())]);
    }

    #[test]
    fn what_is_large_takes_several_frames() {
        let payload = vec![7; PAYLOAD_BYTES_MAX + 1];
        let told = read(&events("Chunk", "a/b", &payload));
        assert_eq!(told.iter().map(|(_, part)| part.len()).collect::<Vec<_>>(), [PAYLOAD_BYTES_MAX, 1]);
        assert!(events("Chunk", "a/b", b"").is_empty());
    }
}
