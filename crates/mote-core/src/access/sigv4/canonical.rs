//! The one text that a request comes down to before it is signed.

use http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{Head, Refusal, refusal};

/// Unreserved characters stay, everything else is encoded.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &STRICT.remove(b'/');

pub(super) fn request(head: Head<'_>, path: &str, signed: &[String], payload_hash: &str) -> Result<String, Refusal> {
    let mut text = format!("{}\n{path}\n{}\n", head.method, query(head.uri)?);
    let mut names: Vec<&str> = signed.iter().map(String::as_str).collect();
    names.sort_unstable();
    for name in &names {
        text.push_str(name);
        text.push(':');
        text.push_str(&value(head, name)?);
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&names.join(";"));
    text.push('\n');
    text.push_str(payload_hash);
    Ok(text)
}

/// The path as S3 encodes it, and as it came where that differs. All other services have it encoded
/// once more than it is sent.
pub(super) fn paths(uri: &Uri, service: &str) -> Vec<String> {
    let raw = uri.path();
    if service != "s3" {
        return vec![utf8_percent_encode(raw, PATH).to_string()];
    }
    let decoded: Vec<u8> = percent_decode_str(raw).collect();
    let mut paths = vec![percent_encoding::percent_encode(&decoded, PATH).to_string()];
    if paths.iter().all(|path| path != raw) {
        paths.push(raw.to_owned());
    }
    paths
}

/// Names and values of the query, decoded.
pub fn query_pairs(uri: &Uri) -> Result<Vec<(String, String)>, Refusal> {
    let decode = |text: &str| {
        let text = percent_decode_str(text).decode_utf8();
        text.map(|t| t.into_owned()).map_err(|_| refusal!(Unreadable, "The query is not percent-encoded UTF-8"))
    };
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(name, value)| Ok((decode(name)?, decode(value)?))).collect()
}

fn query(uri: &Uri) -> Result<String, Refusal> {
    let encode = |text: &str| utf8_percent_encode(text, STRICT).to_string();
    let pairs = query_pairs(uri)?;
    let mut pairs: Vec<(String, String)> =
        pairs.iter().filter(|(name, _)| name != "X-Amz-Signature").map(|(name, value)| (encode(name), encode(value))).collect();
    pairs.sort_unstable();
    Ok(pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&"))
}

/// Repeats joined by commas, runs of spaces made one.
fn value(head: Head<'_>, name: &str) -> Result<String, Refusal> {
    let mut values = Vec::new();
    for value in head.headers.get_all(name) {
        let text = std::str::from_utf8(value.as_bytes()).map_err(|_| refusal!(Unreadable, "The header {name} is not UTF-8"))?;
        values.push(text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "));
    }
    if values.is_empty() && name == "host" {
        // HTTP/2 carries it in `:authority`.
        values.extend(head.uri.authority().map(|authority| authority.as_str().to_owned()));
    }
    if values.is_empty() {
        return Err(refusal!(Uncovered, "The header {name} is signed, but is not in the request"));
    }
    Ok(values.join(","))
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || text.len() > 128 {
        return None;
    }
    let digit = |b: u8| (b as char).to_digit(16).filter(|_| !b.is_ascii_uppercase()).map(|d| d as u8);
    text.as_bytes().chunks(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_encoded_and_sorted() {
        let check = |uri: &'static str, expect: &str| assert_eq!(query(&Uri::from_static(uri)).unwrap(), expect);
        check("/b?prefix=a/b&list-type=2&delimiter=%2f", "delimiter=%2F&list-type=2&prefix=a%2Fb");
        check("/b?uploads", "uploads=");
        check("/b?a=1+1&X-Amz-Signature=00", "a=1%2B1");
    }

    #[test]
    fn a_path_is_tried_as_encoded_and_as_sent() {
        let check = |uri: &'static str, expect: &[&str]| assert_eq!(paths(&Uri::from_static(uri), "s3"), expect);
        check("/b/a%20b/c", &["/b/a%20b/c"]);
        check("/b/a+b", &["/b/a%2Bb", "/b/a+b"]);
        let lambda = Uri::from_static("/2015-03-31/functions/arn%3Aaws%3Alambda");
        assert_eq!(paths(&lambda, "lambda"), ["/2015-03-31/functions/arn%253Aaws%253Alambda"]);
    }

    #[test]
    fn hexadecimal_is_lower_case_and_whole() {
        assert_eq!(unhex("00ff"), Some(vec![0, 255]));
        assert_eq!(unhex("0"), None);
        assert_eq!(unhex("FF"), None);
        assert_eq!(unhex("é0"), None);
    }
}
