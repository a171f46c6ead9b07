//! The decoder against what a runner may say, and against what a hostile one may.

use super::*;

fn raw(kind: u8, call: u32, payload: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    frame(&mut out, kind, call, &[payload]).unwrap();
    out
}

fn broken(kind: u8, payload: &[u8], expect: &str) {
    let error = FromRunner::decode(&mut raw(kind, 1, payload)).unwrap_err();
    assert!(error.0.contains(expect), "{error} does not say {expect:?}");
}

#[test]
fn a_frame_is_nine_bytes_and_its_payload() {
    let mut out = BytesMut::new();
    ToRunner::Call { head: b"{}", body: b"xyz" }.encode(7, &mut out).unwrap();
    assert_eq!(&out[..], b"\x09\0\0\0\x02\x07\0\0\0\x02\0\0\0{}xyz");
}

#[test]
fn a_frame_waits_until_it_is_whole() {
    let mut whole = raw(66, 3, b"\x02\0\0\0hdbody");
    let last = whole.split_off(whole.len() - 1);
    assert!(FromRunner::decode(&mut whole).unwrap().is_none());
    whole.unsplit(last);
    let (call, said) = FromRunner::decode(&mut whole).unwrap().unwrap();
    assert!(matches!(said, FromRunner::Reply { head, body } if head == "hd" && body == "body"));
    assert_eq!((call, whole.len()), (3, 0));
}

#[test]
fn a_failure_is_one_flat_object() {
    let mut bytes = raw(70, 1, br#"{"code":"argument-missing","type":"TypeError","message":"b","trace":"t","last":true}"#);
    let Some((1, FromRunner::Failed { failure, last: true })) = FromRunner::decode(&mut bytes).unwrap() else { panic!("not a failure") };
    assert_eq!(
        (failure.code.as_str(), failure.report.kind.as_str(), failure.report.trace.as_str()),
        ("argument-missing", "TypeError", "t")
    );
}

#[test]
fn what_breaks_the_protocol_is_named() {
    broken(1, b"", "unknown frame kind 1");
    broken(255, b"", "unknown frame kind 255");
    broken(66, b"\x01\0", "shorter than its head");
    broken(66, b"\xff\xff\xff\xffx", "shorter than its head");
    broken(71, b"", "neither stdout nor stderr");
    broken(71, b"\x03x", "neither stdout nor stderr");
    broken(72, b"123", "without a u32");
    broken(64, b"[", "READY can't be read");
    broken(70, b"7", "FAILED can't be read");
    let mut huge = BytesMut::from(&b"\xff\xff\xff\xff\x42\0\0\0\0"[..]);
    assert!(FromRunner::decode(&mut huge).unwrap_err().0.contains("claims 4294967295 bytes"));
}

#[test]
fn mote_sends_no_frame_over_the_limit() {
    let mut out = BytesMut::new();
    assert!(ToRunner::Body(&vec![0; PAYLOAD_BYTES_MAX + 1]).encode(1, &mut out).is_err());
    assert!(out.is_empty());
}

#[test]
fn a_log_frame_is_bounded_more_tightly() {
    let log = |length: usize| verdicts(&[&raw(71, 0, &[&[1], vec![b'\n'; length].as_slice()].concat())]);
    assert!(log(LOG_BYTES_MAX)[0].contains("Log {"));
    assert_eq!(log(LOG_BYTES_MAX + 1), ["LOG of 65537 bytes; 65536 is the limit"]);
}

/// Random bytes, and good frames with random wounds, cut at random places: never a panic, always
/// the same verdict however the bytes are cut, and never more taken off than was there.
#[test]
fn the_decoder_takes_anything() {
    for seed in 1..4000u64 {
        let mut random = Random(seed);
        let mut bytes = Vec::new();
        for _ in 0..random.below(5) {
            let payload: Vec<u8> = (0..random.below(40)).map(|_| random.below(256) as u8).collect();
            bytes.extend_from_slice(&raw(60 + random.below(15) as u8, random.below(4) as u32, &payload));
        }
        for _ in 0..random.below(4) {
            if !bytes.is_empty() {
                let at = random.below(bytes.len());
                bytes[at] = random.below(256) as u8;
            }
        }
        let whole = verdicts(&[&bytes]);
        let cut = random.below(bytes.len() + 1);
        assert_eq!(whole, verdicts(&[&bytes[..cut], &bytes[cut..]]), "seed {seed}");
    }
}

fn verdicts(pieces: &[&[u8]]) -> Vec<String> {
    let (mut buffer, mut seen) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let before = buffer.len();
            match FromRunner::decode(&mut buffer) {
                Ok(Some(said)) => seen.push(format!("{said:?}")),
                Ok(None) => break,
                Err(broken) => {
                    seen.push(broken.0);
                    return seen;
                }
            }
            assert!(buffer.len() + FRAME_HEADER_BYTES <= before);
        }
    }
    seen
}

/// xorshift64*: the same everywhere for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound.max(1)
    }
}
