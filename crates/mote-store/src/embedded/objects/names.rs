//! The rules for names of buckets and keys: those of S3, since its clients know them.

use std::net::Ipv4Addr;

use mote_core::error::{Code, Error, Result};
use mote_core::store::within;

pub const KEY_BYTES_MAX: usize = 1024;
pub const BUCKET_NAME_RULE: &str =
    "A bucket's name has 3 to 63 lower-case letters, digits, `-` and `.`, begins and ends with a letter or digit, and is no IP address.";

/// A bucket's name, behind its namespace where that is not the default one; or the platform's own.
pub(super) fn check_bucket(stored: &str) -> Result<()> {
    let (_, name) = within::parted(stored)?;
    if [within::EVENTS, within::FILES].contains(&name) {
        return Ok(());
    }
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let edge = |byte: Option<&u8>| byte.is_some_and(|&byte| plain(byte));
    let bytes = name.as_bytes();
    let good = (3..=63).contains(&bytes.len())
        && bytes.iter().all(|&byte| plain(byte) || byte == b'-' || byte == b'.')
        && edge(bytes.first())
        && edge(bytes.last())
        && !name.contains("..")
        && name.parse::<Ipv4Addr>().is_err();
    if good {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    Err(Error::new(Code::NameInvalid, format!("{shown:?} is no name for a bucket")).hint(BUCKET_NAME_RULE))
}

pub(super) fn check_key(key: &str) -> Result<()> {
    match key.len() {
        1..=KEY_BYTES_MAX => Ok(()),
        length => Err(Error::new(Code::NameInvalid, format!("an object's key has {length} bytes; it may have 1 to {KEY_BYTES_MAX}"))
            .hint("Give the object a shorter key, but not an empty one.")),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn check_bucket() {
        let check = |name: &str, good| assert_eq!(super::check_bucket(name).is_ok(), good, "{name}");
        check("photos", true);
        check("a-b.c9", true);
        check("Shop_1/photos", true);
        check("shop/+events", true);
        check(&"a".repeat(63), true);
        for bad in [
            "",
            "ab",
            &"a".repeat(64),
            "Photos",
            "-ab",
            "ab-",
            ".ab",
            "a..b",
            "192.168.0.1",
            "a_b",
            "+event",
            "a+b",
            "a/b",
            "a/b/photos",
            "../photos",
            "/photos",
            "bücket",
        ] {
            check(bad, false);
        }
    }

    #[test]
    fn check_key() {
        let check = |key: &str, good| assert_eq!(super::check_key(key).is_ok(), good);
        check("a", true);
        check("../etc/passwd", true); // A key is no path.
        check(&"é".repeat(512), true);
        check(&"é".repeat(513), false);
        check("", false);
    }
}
