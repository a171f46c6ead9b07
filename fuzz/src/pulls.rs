//! What a runtime says that asks for its calls: it runs in a jail, beside hostile code.

use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use mote_core::engine::pull::PullHead;
use mote_engine_process::runtime_api::{
    Asked, BODY_TRAILER, TYPE_HEADER, broken_off, call_headers, content_type, extensions, report, streams,
};

/// A request as a whole, its parts, and the head of the call that it is given.
pub fn runtime_api(data: &[u8]) {
    if let Some(request) = crate::request(data) {
        match Asked::read(request.method(), request.uri().path()) {
            Ok(Asked::Response(id) | Asked::Failure(id)) => assert!(!id.is_empty() && !id.contains('/')),
            Ok(Asked::Next | Asked::StartFailure | Asked::Extension(_) | Asked::Subscription(_)) => {}
            Err(refusal) => assert!(refusal.status().is_client_error()),
        }
        let _ = (streams(request.headers()), content_type(request.headers()), extensions::identifier(request.headers()));
        if let Ok(registration) = extensions::registration(request.headers(), data) {
            assert!(!registration.name.is_empty());
        }
    }
    let value = |bytes| HeaderValue::from_bytes(bytes).ok();
    let mut headers = HeaderMap::new();
    headers.extend(value(data).map(|value| (HeaderName::from_static(TYPE_HEADER), value)));
    let told = report(&headers, data);
    assert!(!told.kind.is_empty());
    headers.extend(value(data).map(|value| (HeaderName::from_static(BODY_TRAILER), value)));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/vnd.aws.lambda.error.cause+json"));
    let _ = (report(&headers, data), broken_off(&headers));
    let text = String::from_utf8_lossy(data).into_owned();
    let call = PullHead { request_id: text.clone(), arn: text.clone(), client_context: Some(text), ..PullHead::default() };
    // Whatever a caller says, it is a header of one line.
    assert_eq!(call_headers(&call).len(), 5);
}
