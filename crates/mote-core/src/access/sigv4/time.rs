//! `20260131T235959Z`, the only form of time that a signature takes.

use crate::clock::Timestamp;

pub fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    if bytes.len() != 16 || bytes.get(8) != Some(&b'T') || bytes.get(15) != Some(&b'Z') {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        let digits = text.get(range)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<i64>().ok()).flatten()
    };
    let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
    let (hour, minute, second) = (number(9..11)?, number(11..13)?, number(13..15)?);
    if !(1970..).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days since 1970, with the year beginning in March so that the leap day comes last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    u64::try_from(((days * 24 + hour) * 60 + minute) * 60 + second).ok().map(|seconds| Timestamp(seconds * 1000))
}

/// The same form, for those who sign.
pub fn format(time: Timestamp) -> String {
    let text: String = time.rfc3339().chars().filter(|c| !matches!(c, '-' | ':')).collect();
    format!("{}Z", text.split('.').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_a_time_and_nothing_else() {
        let check = |text, expect: Option<u64>| assert_eq!(parse(text).map(|t| t.0), expect, "{text}");
        check("19700101T000000Z", Some(0));
        check("20000229T000000Z", Some(951_782_400_000));
        check("20261122T191626Z", Some(1_795_374_986_000));
        check("20261322T191626Z", None);
        check("20261122T191626", None);
        check("2026112２T19162Z", None);
        check("+0261122T191626Z", None);
        assert_eq!(format(Timestamp(1_795_374_986_123)), "20261122T191626Z");
    }
}
