//! Durations and sizes as people write them: `500ms`, `30s`, `5m`, `1h`; `256MB`, `10MiB`.
//!
//! A unit is never guessed: `timeout = 30` is an error. `kB`, `MB`, `GB` are powers of 1000 and
//! `KiB`, `MiB`, `GiB` of 1024, as their standards have it.

/// In milliseconds.
pub fn duration_ms(text: &str) -> Option<u64> {
    with_unit(text, &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)])
}

/// In bytes.
pub fn size_bytes(text: &str) -> Option<u64> {
    const UNITS: &[(&str, u64)] = &[
        ("B", 1),
        ("kB", 1000),
        ("KB", 1000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
    ];
    with_unit(text, UNITS)
}

pub(in crate::plain) const DURATION: &str = "a duration such as \"500ms\", \"30s\", \"5m\" or \"1h\"";
pub(super) const SIZE: &str = "a size such as \"256MB\", \"10MiB\" or \"1GB\"";

/// The largest unit that says it exactly.
pub(super) fn show_ms(ms: u64) -> String {
    let (count, unit) = match ms {
        ms if ms > 0 && ms.is_multiple_of(3_600_000) => (ms / 3_600_000, "h"),
        ms if ms > 0 && ms.is_multiple_of(60_000) => (ms / 60_000, "m"),
        ms if ms > 0 && ms.is_multiple_of(1000) => (ms / 1000, "s"),
        ms => (ms, "ms"),
    };
    format!("{count}{unit}")
}

pub(super) fn show_bytes(bytes: u64) -> String {
    const UNITS: &[(u64, &str)] =
        &[(1 << 30, "GiB"), (1 << 20, "MiB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1 << 10, "KiB"), (1000, "kB")];
    let unit = UNITS.iter().find(|(size, _)| bytes > 0 && bytes.is_multiple_of(*size));
    unit.map_or_else(|| format!("{bytes}B"), |(size, unit)| format!("{}{unit}", bytes / size))
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at(digits);
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    count.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |text: &str, expect| assert_eq!(duration_ms(text), expect, "{text}");
        check("500ms", Some(500));
        check("30s", Some(30_000));
        check("30 s", Some(30_000));
        check("5m", Some(300_000));
        check("1h", Some(3_600_000));
        for bad in ["", "30", "s", "-1s", "1.5s", "30S", "1s2", "99999999999999999999s", "18446744073709551615h", "٣s"] {
            check(bad, None);
        }
    }

    #[test]
    fn sizes() {
        let check = |text: &str, expect| assert_eq!(size_bytes(text), expect, "{text}");
        check("256MB", Some(256_000_000));
        check("10MiB", Some(10 << 20));
        check("1kB", Some(1000));
        check("7B", Some(7));
        for bad in ["", "256", "MB", "1mb", "1TB", "99999999999GB"] {
            check(bad, None);
        }
    }

    #[test]
    fn what_is_shown_is_what_is_read() {
        for ms in [0, 1, 1500, 60_000, 900_000, 3_600_000] {
            assert_eq!(duration_ms(&show_ms(ms)), Some(ms));
        }
        for bytes in [0, 1, 1500, 16_000_000, 5 << 30, 1 << 20] {
            assert_eq!(size_bytes(&show_bytes(bytes)), Some(bytes));
        }
    }
}
