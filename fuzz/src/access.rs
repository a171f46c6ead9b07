//! Tokens, signatures in URLs and rates: nothing that was not made here opens anything.

use std::sync::{Arc, LazyLock};

use http::HeaderValue;
use mote_core::access::limits::rate::Rate;
use mote_core::access::{Access, Caller, Credential, Root, tokens};
use mote_core::clock::{Id, SystemClock, Timestamp};
use mote_core::event::{Event, HttpRequest};
use mote_core::function::UrlAccess;

static ACCESS: LazyLock<Access> = LazyLock::new(|| {
    let root = Root { token: "mote_the-administrators".to_owned(), keys: Vec::new(), server_key: [7; 32] };
    Access::new(root, Arc::new(SystemClock::new()))
});

/// Text as each of these, and as a request to a function that takes signed URLs and tokens.
pub fn credentials(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some((id, secret)) = tokens::parse(text) {
        assert!(text.len() == 5 + 2 * (id.len() + secret.len()) + 1 && text.is_ascii());
    }
    if let Ok(rate) = text.parse::<Rate>() {
        assert!(rate.to_string().parse::<Rate>().is_ok_and(|again| again == rate));
    }
    assert!(ACCESS.caller(&Credential::Token(text.to_owned())).is_err());
    let mut function = mote_testkit::function("f");
    function.http.access = UrlAccess::Signed;
    let mut request = HttpRequest { path: "/f".into(), query: text.to_owned(), ..Default::default() };
    if let Ok(value) = HeaderValue::from_str(text) {
        request.headers.insert("authorization", value);
    }
    let mut event = Event::new(Id(1), "/http", "mote.http.request", Timestamp(1), bytes::Bytes::new());
    event.request = Some(Arc::new(request));
    assert!(ACCESS.admit(&Caller::Anonymous, &function, &mut event).is_err(), "a stranger was let in");
}
