//! What a runtime says of a failure, verbatim and picked apart.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use mote_core::error::Report;
use serde_json::{Map, Value, json};

pub const TYPE_HEADER: &str = "lambda-runtime-function-error-type";
/// Of a reply that broke off: the failure's JSON in base64.
pub const BODY_TRAILER: &str = "lambda-runtime-function-error-body";
/// The failure and what X-Ray is told of it in one.
const WITH_CAUSE: &str = "application/vnd.aws.lambda.error.cause+json";

/// Of a failure's document. It goes to logs and into records, so it is not as long as an answer may be.
const DOCUMENT_BYTES_MAX: usize = 256 << 10;
/// A runtime that doesn't name the failure.
const UNKNOWN: &str = "Runtime.Unknown";

/// Of a request's headers (or the trailers of a reply) and its body.
pub fn report(headers: &HeaderMap, body: &[u8]) -> Report {
    report_named(TYPE_HEADER, headers, body)
}

/// The same where another header names it.
pub fn report_named(type_header: &str, headers: &HeaderMap, body: &[u8]) -> Report {
    let named = || headers.get(type_header).and_then(|kind| kind.to_str().ok()).filter(|kind| !kind.is_empty()).unwrap_or(UNKNOWN);
    if body.len() > DOCUMENT_BYTES_MAX {
        let message = format!("the failure's own words are {} bytes, and {DOCUMENT_BYTES_MAX} are read", body.len());
        return Report { kind: named().to_owned(), message, ..Report::default() };
    }
    let (Ok(text), Ok(Value::Object(told))) = (std::str::from_utf8(body), serde_json::from_slice(body)) else {
        return Report { kind: named().to_owned(), message: String::from_utf8_lossy(body).into_owned(), ..Report::default() };
    };
    let with_cause = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(WITH_CAUSE.as_bytes()));
    Report {
        kind: word(&told, "errorType").filter(|kind| !kind.is_empty()).unwrap_or_else(named).to_owned(),
        message: word(&told, "errorMessage").unwrap_or_default().to_owned(),
        trace: ["stackTrace", "trace"]
            .into_iter()
            .find_map(|name| told.get(name)?.as_array())
            .map(|frames| trace(frames))
            .unwrap_or_default(),
        document: if with_cause { without_cause(&told) } else { text.to_owned() },
    }
}

/// A reply whose trailers say that it broke off.
pub fn broken_off(trailers: &HeaderMap) -> Option<Report> {
    let body = trailers.get(BODY_TRAILER);
    if body.is_none() && !trailers.contains_key(TYPE_HEADER) {
        return None;
    }
    let body = body.and_then(|body| STANDARD.decode(body.as_bytes()).ok()).unwrap_or_default();
    Some(report(trailers, &body))
}

/// An answer of which there is more than `max` bytes.
pub fn too_large(max: u64) -> Report {
    let (kind, message) =
        ("Function.ResponseSizeTooLarge", format!("Response payload size exceeded maximum allowed payload size ({max} bytes)."));
    let document = format!(r#"{{"errorMessage":"{message}","errorType":"{kind}"}}"#);
    Report { kind: kind.to_owned(), message, document, ..Report::default() }
}

fn word<'j>(told: &'j Map<String, Value>, name: &str) -> Option<&'j str> {
    told.get(name)?.as_str()
}

fn without_cause(told: &Map<String, Value>) -> String {
    let part = |name: &str| told.get(name).cloned().unwrap_or_default();
    json!({ "errorMessage": part("errorMessage"), "errorType": part("errorType"), "stackTrace": part("stackTrace") }).to_string()
}

/// Python and Node give lines, Go places.
fn trace(frames: &[Value]) -> String {
    let line = |frame: &Value| match frame {
        Value::String(line) => line.trim_end_matches('\n').to_owned(),
        Value::Object(place) => {
            let line = place.get("line").and_then(Value::as_i64).unwrap_or_default();
            format!("{}:{line} {}", word(place, "path").unwrap_or_default(), word(place, "label").unwrap_or_default())
        }
        _ => String::new(),
    };
    frames.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(body: &str) -> Report {
        report(&HeaderMap::from_iter([(TYPE_HEADER.parse().unwrap(), HeaderValue::from_static("Runtime.Named"))]), body.as_bytes())
    }

    #[test]
    fn a_document_goes_on_as_it_is() {
        let python =
            r#"{"errorMessage": "no", "errorType": "ValueError", "requestId": "1", "stackTrace": ["  File \"a.py\", line 1\n", "  b\n"]}"#;
        let told = of(python);
        assert_eq!((told.kind.as_str(), told.message.as_str(), told.document.as_str()), ("ValueError", "no", python));
        assert_eq!(told.trace, "  File \"a.py\", line 1\n  b");
        let go = of(r#"{"errorMessage":"no","errorType":"errorString","stackTrace":[{"path":"a.go","line":7,"label":"main"}]}"#);
        assert_eq!(go.trace, "a.go:7 main");
        assert_eq!(of(r#"{"errorType":"E","errorMessage":"m","trace":["a","b"]}"#).trace, "a\nb");
    }

    #[test]
    fn what_is_no_document_is_told_all_the_same() {
        assert_eq!((of("no JSON").kind.as_str(), of("no JSON").message.as_str()), ("Runtime.Named", "no JSON"));
        assert_eq!((of("[1]").document.as_str(), report(&HeaderMap::new(), b"").kind.as_str()), ("", UNKNOWN));
        let long = of(&format!(r#"{{"errorMessage":"{}"}}"#, "x".repeat(DOCUMENT_BYTES_MAX)));
        assert!(long.document.is_empty() && long.message.len() < 100, "{}", long.message);
        assert!(of(&"[".repeat(DOCUMENT_BYTES_MAX)).document.is_empty());
    }

    #[test]
    fn what_is_meant_for_x_ray_does_not_reach_the_caller() {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(WITH_CAUSE))]);
        let told = report(&headers, br#"{"errorMessage":"m","errorType":"T","stackTrace":["a"],"errorCause":{"paths":[]}}"#);
        assert_eq!(serde_json::from_str::<Value>(&told.document).unwrap(), json!({"errorMessage":"m","errorType":"T","stackTrace":["a"]}));
    }

    #[test]
    fn trailers_tell_why_a_reply_broke_off() {
        let trailers = |list: &[(&str, &str)]| -> HeaderMap {
            list.iter().map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())).collect()
        };
        assert_eq!(broken_off(&trailers(&[("x-a", "1")])), None);
        let body = STANDARD.encode(r#"{"errorMessage":"m","errorType":"T"}"#);
        let told = broken_off(&trailers(&[(BODY_TRAILER, &body)])).unwrap();
        assert_eq!((told.kind.as_str(), told.message.as_str()), ("T", "m"));
        assert_eq!(broken_off(&trailers(&[(TYPE_HEADER, "T"), (BODY_TRAILER, "%")])).unwrap().kind, "T");
    }
}
