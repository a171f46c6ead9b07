//! What no function may say in a reply over HTTP, whatever its dialect, and how much it may say.
//!
//! Its words are untrusted. Not here: in which form it says them, which is its dialect's.

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};

pub(crate) const HEADERS_MAX: usize = 100;
pub(crate) const HEADER_BYTES_MAX: usize = 32 << 10;

/// One that ends a request.
pub(crate) fn status(number: u16) -> Option<StatusCode> {
    StatusCode::from_u16(number).ok().filter(|status| (200..600).contains(&status.as_u16()))
}

pub(crate) fn has_no_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Framing and routing of the connection, and who failed: not the function's to say.
pub(crate) fn is_the_servers(name: &HeaderName) -> bool {
    const EXTRA: [&str; 4] = ["keep-alive", "proxy-connection", "x-mote-error", "x-request-id"];
    [header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::TRAILER, header::TE, header::UPGRADE].contains(name)
        || EXTRA.contains(&name.as_str())
}

/// Adds those that are the function's to say; of content types the last one counts. The error says
/// what was found.
pub(crate) fn add(own: &[(String, String)], headers: &mut HeaderMap) -> Result<(), String> {
    let bytes: usize = own.iter().map(|(name, value)| name.len() + value.len()).sum();
    if own.len() > HEADERS_MAX || bytes > HEADER_BYTES_MAX {
        return Err(format!("it has {} headers of {bytes} bytes; {HEADERS_MAX} of {HEADER_BYTES_MAX} bytes is the limit", own.len()));
    }
    for (name, value) in own {
        let shown = || name.chars().take(60).collect::<String>();
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{:?} is not a header's name", shown()))?;
        let value = HeaderValue::from_str(value).map_err(|_| format!("the header {name} has a value that can't be sent"))?;
        match name {
            header::CONTENT_TYPE => drop(headers.insert(name, value)),
            name if is_the_servers(&name) => {}
            name => drop(headers.append(name, value)),
        }
    }
    Ok(())
}
