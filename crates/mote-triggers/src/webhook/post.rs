//! One attempt: the request, and what its answer means.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use mote_core::clock::{Id, Timestamp};
use mote_core::event::cloudevents;
use mote_core::webhook::{Dispatch, Mode, sign};
use mote_core::{Code, Error, Result};

use super::Sender;

/// From the connection to the head of the answer.
const TIME_MAX: Duration = Duration::from_secs(30);
/// A receiver that wants more is asked after this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// What a receiver wants.
pub(super) enum Answer {
    Taken,
    /// No more of these, ever.
    Gone,
}

impl Sender {
    pub(super) async fn post(&self, dispatch: &Dispatch, id: Id) -> Result<Answer> {
        let request = self.request(dispatch, id).await?;
        tokio::select! {
            answered = self.exchange(dispatch, request) => judged(answered?, self.clock.now()),
            () = self.clock.sleep(TIME_MAX) => Err(failed(format!("no answer in {} s", TIME_MAX.as_secs()))),
        }
    }

    async fn request(&self, dispatch: &Dispatch, id: Id) -> Result<Request<Full<Bytes>>> {
        let mut headers = HeaderMap::new();
        let body = match dispatch.to.mode {
            Mode::Binary => {
                cloudevents::write_binary(&dispatch.event, &mut headers);
                dispatch.event.body.clone()
            }
            Mode::Structured => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/cloudevents+json; charset=utf-8"));
                cloudevents::write_structured(&dispatch.event).to_string().into()
            }
        };
        // The same for each attempt, so that the receiver knows one that comes again.
        let (id, timestamp_s) = (format!("msg_{id}"), self.clock.now().0 / 1000);
        if let Some(name) = &dispatch.to.secret {
            let secret = self.secrets.reveal(&dispatch.namespace, name).await?;
            let signature = sign::signature(&secret, &id, timestamp_s, &body)?;
            headers.insert("webhook-signature", value(&signature)?);
        }
        headers.insert("webhook-id", value(&id)?);
        headers.insert("webhook-timestamp", timestamp_s.into());
        headers.insert(HOST, value(&dispatch.to.url.authority())?);
        headers.insert(USER_AGENT, HeaderValue::from_static("mote"));
        let mut request = Request::post(dispatch.to.url.path.as_str())
            .body(Full::new(body))
            .map_err(|e| Error::internal("a webhook's request can't be made").caused_by(e))?;
        request.headers_mut().extend(headers);
        Ok(request)
    }

    async fn exchange(&self, dispatch: &Dispatch, request: Request<Full<Bytes>>) -> Result<(StatusCode, HeaderMap)> {
        let connection = self.dial.dial(&dispatch.to.url, &dispatch.to.egress).await?;
        let broken = |error: hyper::Error| failed("the connection broke off").caused_by(error);
        let (mut sender, driver) = http1::handshake(TokioIo::new(connection)).await.map_err(broken)?;
        let answered = async move { sender.send_request(request).await };
        let mut driver = std::pin::pin!(driver);
        let mut answered = std::pin::pin!(answered);
        let answer = tokio::select! {
            biased;
            answer = &mut answered => answer,
            _ = &mut driver => answered.await,
        };
        // Its body is nobody's, and is not read: the connection ends here.
        let (parts, _) = answer.map_err(broken)?.into_parts();
        Ok((parts.status, parts.headers))
    }
}

fn judged((status, headers): (StatusCode, HeaderMap), now: Timestamp) -> Result<Answer> {
    if status.is_success() {
        return Ok(Answer::Taken);
    }
    if status == StatusCode::GONE {
        return Ok(Answer::Gone);
    }
    let error = match status.is_redirection() {
        true => failed(format!("the receiver answered {status}, and redirects are not followed")),
        false => failed(format!("the receiver answered {status}")),
    };
    Err(match headers.get(RETRY_AFTER).and_then(|value| asked_for(value.to_str().ok()?.trim(), now)) {
        Some(wait) => error.retry_after(wait.min(RETRY_AFTER_MAX)),
        None => error,
    })
}

/// Seconds, or a date.
fn asked_for(text: &str, now: Timestamp) -> Option<Duration> {
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Timestamp::from_http_date(text).map(|date| date.since(now)),
    }
}

pub(super) fn gone() -> Error {
    Error::new(Code::WebhookRefused, "the receiver answered 410 Gone: it wants no more of these")
}

fn failed(detail: impl Into<String>) -> Error {
    Error::new(Code::WebhookFailed, detail)
}

fn value(text: &str) -> Result<HeaderValue> {
    HeaderValue::try_from(text).map_err(|e| Error::internal("a header can't be written").caused_by(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_asked_for_in_seconds_or_by_a_date() {
        let check = |text: &str, expect_s: Option<u64>| {
            let now = Timestamp(784_111_777_000 - 60_000);
            assert_eq!(asked_for(text, now), expect_s.map(Duration::from_secs), "{text:?}");
        };
        check("120", Some(120));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(60));
        check("Sat, 05 Nov 1994 08:49:37 GMT", Some(0));
        for bad in ["", "-1", "soon", "Sun, 06 Nov 1994 08:49:37 +0000", "Sun, 99 Nov 1994 08:49:37 GMT", "GMT"] {
            check(bad, None);
        }
    }
}
