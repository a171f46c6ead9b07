//! What a function returned, read as the reply that it means.
//!
//! The result is untrusted, and as large as a result may be: what is made of it is bounded before it is
//! made. An error says what is wrong with it, for the function's owner.

use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use mote_core::Body;
use mote_core::reply::Reply;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::replies;

type Read<T> = Result<T, String>;

const JSON: &str = "application/json";

/// As a REST API wants it, which takes nothing that it does not know.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rest {
    status_code: Status,
    #[serde(default)]
    headers: Option<Named<Text>>,
    #[serde(default)]
    multi_value_headers: Option<Named<Few<Text>>>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: Option<bool>,
}

/// As HTTP APIs and function URLs take it, and as a stream begins.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Http<'r> {
    #[serde(default)]
    status_code: Option<Status>,
    #[serde(default)]
    headers: Option<Named<Text>>,
    #[serde(default)]
    multi_value_headers: Option<Named<Few<Text>>>,
    #[serde(default)]
    cookies: Option<Few<Text>>,
    #[serde(default, borrow)]
    body: Option<&'r RawValue>,
    #[serde(default)]
    is_base64_encoded: Option<bool>,
}

pub(super) fn rest(result: &[u8]) -> Read<Reply> {
    let result: Rest = serde_json::from_slice(result).map_err(|error| error.to_string())?;
    let body = body(result.body.unwrap_or_default(), result.is_base64_encoded)?;
    reply(result.status_code, JSON, headers(result.headers, result.multi_value_headers), body)
}

/// What has no `statusCode` is the body itself.
pub(super) fn http_api(result: &Bytes, kind: &'static str) -> Read<Reply> {
    match result.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => {
            let http: Http<'_> = serde_json::from_slice(result).map_err(|error| error.to_string())?;
            match http.status_code {
                Some(status) => http.reply(status, kind),
                None => inferred(result.clone().into()),
            }
        }
        Some(b'"') => inferred(serde_json::from_slice::<String>(result).map_err(|error| error.to_string())?.into()),
        _ => {
            serde_json::from_slice::<de::IgnoredAny>(result).map_err(|error| error.to_string())?;
            inferred(result.clone().into())
        }
    }
}

/// The head of a stream's reply.
pub(super) fn prelude(text: &[u8]) -> Read<Reply> {
    let http: Http<'_> = serde_json::from_slice(text).map_err(|error| format!("its prelude can't be read: {error}"))?;
    let status = http.status_code.unwrap_or(Status(200));
    http.reply(status, "application/octet-stream")
}

impl Http<'_> {
    fn reply(self, status: Status, kind: &'static str) -> Read<Reply> {
        let text = match self.body.map(RawValue::get) {
            None => String::new(),
            Some(text) if text.starts_with('"') => serde_json::from_str(text).map_err(|error| error.to_string())?,
            // What is no text goes out as the JSON that it is.
            Some(other) => other.to_owned(),
        };
        let body = body(text, self.is_base64_encoded)?;
        let mut all = headers(self.headers, self.multi_value_headers);
        let cookies = self.cookies.map(|cookies| cookies.0).unwrap_or_default();
        all.extend(cookies.into_iter().map(|cookie| (header::SET_COOKIE.to_string(), cookie.0)));
        reply(status, kind, all, body)
    }
}

fn inferred(body: Body) -> Read<Reply> {
    reply(Status(200), JSON, Vec::new(), body)
}

fn body(text: String, base64: Option<bool>) -> Read<Body> {
    match base64 {
        Some(true) => BASE64.decode(text).map(Body::from).map_err(|error| format!("its body is not base64: {error}")),
        Some(false) | None => Ok(text.into()),
    }
}

/// What is said of a name once and several times is said several times, and once at the end.
fn headers(once: Option<Named<Text>>, several: Option<Named<Few<Text>>>) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for (name, values) in several.map(|several| several.0).unwrap_or_default() {
        all.extend(values.0.into_iter().map(|value| (name.clone(), value.0)));
    }
    for (name, value) in once.map(|once| once.0).unwrap_or_default() {
        let said = |(other, text): &(String, String)| other.eq_ignore_ascii_case(&name) && *text == value.0;
        if !all.iter().any(said) {
            all.push((name, value.0));
        }
    }
    all
}

fn reply(status: Status, kind: &'static str, all: Vec<(String, String)>, body: Body) -> Read<Reply> {
    let status = replies::status(status.0).ok_or_else(|| format!("its status is {}, and 200 to 599 is wanted", status.0))?;
    let empty = replies::has_no_body(status);
    let mut headers = HeaderMap::new();
    if !empty {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    replies::add(&all, &mut headers)?;
    let mut reply = Reply::new(status, if empty { Body::empty() } else { body });
    reply.headers = headers;
    Ok(reply)
}

/// A number, or digits.
#[derive(Clone, Copy)]
struct Status(u16);

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Status, D::Error> {
        let text = Text::deserialize(from)?.0;
        let whole = text.strip_suffix(".0").unwrap_or(&text);
        whole.parse().map(Status).map_err(|_| de::Error::custom(format!("{:?} is no status", shown(&text))))
    }
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

/// A text, or what a text can be made of.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Text, D::Error> {
        struct Scalar;
        impl Visitor<'_> for Scalar {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number or true or false")
            }

            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }
        }
        from.deserialize_any(Scalar)
    }
}

/// A list of so many that a reply can have.
struct Few<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Few<T>, D::Error> {
        struct List<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
            type Value = Few<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {}", replies::HEADERS_MAX)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Few<T>, A::Error> {
                let mut few = Vec::new();
                while let Some(item) = list.next_element()? {
                    bounded(few.len())?;
                    few.push(item);
                }
                Ok(Few(few))
            }
        }
        from.deserialize_seq(List(PhantomData))
    }
}

/// An object of so many fields that a reply can have, in their order.
struct Named<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Named<T>, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Named<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an object of at most {} fields", replies::HEADERS_MAX)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
                let mut named = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    bounded(named.len())?;
                    named.push(entry);
                }
                Ok(Named(named))
            }
        }
        from.deserialize_map(Fields(PhantomData))
    }
}

fn bounded<E: de::Error>(length: usize) -> Result<(), E> {
    if length < replies::HEADERS_MAX { Ok(()) } else { Err(E::custom(format!("more than {} headers", replies::HEADERS_MAX))) }
}

#[cfg(test)]
mod tests;
