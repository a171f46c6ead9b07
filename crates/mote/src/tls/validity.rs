//! From when until when a certificate is valid: the one thing in it that mote itself reads.
//!
//! Four fields deep in DER, and no more of it: who must trust a certificate is the client.

use mote_core::clock::Timestamp;

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const EXPLICIT_0: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dates {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

/// `None` if it is not laid out as a certificate is.
pub(super) fn of(certificate: &[u8]) -> Option<Dates> {
    let (outer, _) = take(certificate, SEQUENCE)?;
    let (mut fields, _) = take(outer, SEQUENCE)?;
    if let Some((_version, rest)) = take(fields, EXPLICIT_0) {
        fields = rest;
    }
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        // Serial number, signature algorithm, issuer.
        fields = take(fields, tag)?.1;
    }
    let (validity, _) = take(fields, SEQUENCE)?;
    let (from, rest) = time(validity)?;
    let (until, _) = time(rest)?;
    Some(Dates { from, until })
}

/// The content of the first value, if it has this tag, and what comes after it.
fn take(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        // So many bytes of length follow; four are more than any file that was read.
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    (found == tag).then_some((content, rest))
}

/// `YYMMDDhhmmssZ` of the years 1950 to 2049, or `YYYYMMDDhhmmssZ`.
fn time(bytes: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (text, rest, century) = match take(bytes, UTC_TIME) {
        Some((text, rest)) => (text, rest, None),
        None => take(bytes, GENERALIZED_TIME).map(|(text, rest)| (text, rest, Some(())))?,
    };
    let digits = text.strip_suffix(b"Z").filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let mut pairs = digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')));
    let first = pairs.next()?;
    let year = match century {
        Some(()) => first * 100 + pairs.next()?,
        None if first < 50 => 2000 + first,
        None => 1900 + first,
    };
    let (month, day, hour, minute, second) = (pairs.next()?, pairs.next()?, pairs.next()?, pairs.next()?, pairs.next()?);
    if pairs.next().is_some() || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    // What began before 1970 has begun.
    Some((Timestamp(u64::try_from(seconds).unwrap_or_default() * 1000), rest))
}

/// Days since 1970, counted in years that begin in March, so that the odd day comes last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leaps + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_certificate() {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2024, 2, 29);
        params.not_after = rcgen::date_time_ymd(2051, 12, 31);
        let made = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let dates = of(made.der()).unwrap();
        assert_eq!(dates.from.rfc3339(), "2024-02-29T00:00:00.000Z");
        assert_eq!(dates.until.rfc3339(), "2051-12-31T00:00:00.000Z");
        for cut in 0..made.der().len() {
            // Short of its end it is none, and nothing panics.
            assert_eq!(of(&made.der()[..cut]), None);
        }
    }

    #[test]
    fn of_what_is_none() {
        for bytes in [&b""[..], b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\x30\x80", b"\x30\x02\x30\x00", b"\x17\x0d9912312359"] {
            assert_eq!(of(bytes), None, "{bytes:?}");
        }
    }
}
