//! The heads of a call to a function that is an HTTP server of its own: what a dialect's `encode`
//! writes and an engine sends, and what the engine received and `decode` reads.
//!
//! JSON, as every head is. Header values are bytes in HTTP and text in JSON: each byte is the
//! character of that number, so none is lost. Not here: which headers go along, which is the dialect's say.

use std::borrow::Cow;
use std::str::FromStr;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How the server gets a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    pub method: Method,
    pub target: PathAndQuery,
    pub headers: HeaderMap,
}

/// How the server answered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    pub status: StatusCode,
    pub headers: HeaderMap,
}

#[derive(Serialize, Deserialize)]
struct RequestForm<'h> {
    method: Cow<'h, str>,
    target: Cow<'h, str>,
    headers: Vec<(Cow<'h, str>, Cow<'h, str>)>,
}

#[derive(Serialize, Deserialize)]
struct ResponseForm<'h> {
    status: u16,
    headers: Vec<(Cow<'h, str>, Cow<'h, str>)>,
}

impl RequestHead {
    pub fn write(&self) -> Result<Bytes> {
        json(&RequestForm { method: self.method.as_str().into(), target: self.target.as_str().into(), headers: form(&self.headers) })
    }

    pub fn read(head: &[u8]) -> Result<RequestHead> {
        let form: RequestForm = serde_json::from_slice(head).map_err(unreadable)?;
        let target = PathAndQuery::from_str(&form.target).map_err(unreadable)?;
        // A fragment would be dropped without a word.
        if target.as_str() != form.target {
            return Err(unreadable("the target is not one of a request"));
        }
        Ok(RequestHead { method: Method::from_str(&form.method).map_err(unreadable)?, target, headers: headers(&form.headers)? })
    }
}

impl ResponseHead {
    pub fn write(&self) -> Result<Bytes> {
        json(&ResponseForm { status: self.status.as_u16(), headers: form(&self.headers) })
    }

    pub fn read(head: &[u8]) -> Result<ResponseHead> {
        let form: ResponseForm = serde_json::from_slice(head).map_err(unreadable)?;
        Ok(ResponseHead { status: StatusCode::from_u16(form.status).map_err(unreadable)?, headers: headers(&form.headers)? })
    }
}

fn json(form: &impl Serialize) -> Result<Bytes> {
    Ok(serde_json::to_vec(form).map_err(|e| Error::internal("a head can't be written").caused_by(e))?.into())
}

fn form(headers: &HeaderMap) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    headers.iter().map(|(name, value)| (name.as_str().into(), text(value.as_bytes()))).collect()
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => text.into(),
        _ => bytes.iter().map(|&byte| char::from(byte)).collect::<String>().into(),
    }
}

fn headers(form: &[(Cow<'_, str>, Cow<'_, str>)]) -> Result<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(form.len().min(1000));
    for (name, value) in form {
        let bytes = value.chars().map(|c| u8::try_from(c).map_err(unreadable)).collect::<Result<Vec<u8>>>()?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(unreadable)?;
        headers.append(name, HeaderValue::from_bytes(&bytes).map_err(unreadable)?);
    }
    Ok(headers)
}

/// Both sides are mote's own.
fn unreadable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::internal("a head can't be read").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_head_survives() {
        let mut headers = HeaderMap::new();
        headers.append("x-a", HeaderValue::from_static("1, \"2\"\t\\"));
        headers.append("x-a", HeaderValue::from_bytes(b"caf\xc3\xa9 \xff\x80").unwrap());
        headers.append("x-empty", HeaderValue::from_static(""));
        let request = RequestHead { method: Method::PATCH, target: PathAndQuery::from_static("//a%20b?c=d&e"), headers: headers.clone() };
        assert_eq!(RequestHead::read(&request.write().unwrap()).unwrap(), request);
        let response = ResponseHead { status: StatusCode::IM_A_TEAPOT, headers };
        assert_eq!(ResponseHead::read(&response.write().unwrap()).unwrap(), response);
    }

    #[test]
    fn what_is_no_head_is_an_error() {
        for head in [
            "",
            "{}",
            r#"{"method":"A B","target":"/","headers":[]}"#,
            r#"{"method":"GET","target":"/ b","headers":[]}"#,
            r##"{"method":"GET","target":"#/","headers":[]}"##,
            r##"{"method":"GET","target":"/a#b","headers":[]}"##,
            r#"{"method":"GET","target":"/","headers":[["a b",""]]}"#,
            r#"{"method":"GET","target":"/","headers":[["a","\n"]]}"#,
            r#"{"method":"GET","target":"/","headers":[["a","€"]]}"#,
        ] {
            assert!(RequestHead::read(head.as_bytes()).is_err(), "{head}");
        }
        assert!(ResponseHead::read(br#"{"status":99,"headers":[]}"#).is_err());
    }
}
