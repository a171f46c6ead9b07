//! The targets of what publishers and providers send: filters, events whole, and signatures.

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue};
use mote_core::clock::{Id, SystemClock, Timestamp};
use mote_core::event::cloudevents;
use mote_core::event::{Event, StoredEvent};
use mote_core::secret::Secret;
use mote_core::topic::content::Content;
use mote_core::topic::filter::Filter;
use mote_core::webhook::HookUrl;
use mote_core::webhook::verify::Scheme;
use serde_json::Value;

/// Lines: a filter, and the data of an event. What is taken survives its record and judges alike.
pub fn filters(data: &[u8]) {
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let Some(written) = lines.next().and_then(|line| serde_json::from_slice::<Value>(line).ok()) else { return };
    let Ok(filter) = Filter::read(written) else { return };
    let body = Bytes::copy_from_slice(lines.next().unwrap_or_default());
    let event = StoredEvent { body, ..StoredEvent::new(Id(1), "/s", "t", Timestamp(0)) };
    let again: Filter = serde_json::from_value(filter.clone().into()).expect("a filter survives its record");
    assert_eq!(filter.takes(&Content::of(&event)), again.takes(&Content::of(&event)));
    if let Ok(json) = serde_json::from_slice(&event.body) {
        assert_eq!(filter.takes_json(&json), again.takes_json(&json));
    }
}

/// An event or a batch, as its first byte says. What is taken is written, and reads as the same again.
pub fn cloud_events(data: &[u8]) {
    let (kind, body) = data.split_first().unwrap_or((&0, &[]));
    let media = if *kind == b'[' { cloudevents::BATCH } else { cloudevents::JSON };
    let read = |body: Bytes, media: &str| {
        let event = Event::new(Id(7), "/fuzz", "t", Timestamp(5), body).with_content_type(media);
        cloudevents::unpack(event, 1 << 20, &SystemClock::new()).now_or_never().expect("the body is at hand")
    };
    let whole = if *kind == b'[' { Bytes::copy_from_slice(data) } else { Bytes::copy_from_slice(body) };
    let Ok(events) = read(whole, media) else { return };
    for event in events {
        let mut headers = HeaderMap::new();
        cloudevents::write_binary(&event, &mut headers);
        assert!(headers.contains_key("ce-type") && headers.contains_key("ce-id"), "{headers:?}");
        let written = cloudevents::write_structured(&event).to_string();
        let again = read(written.into(), cloudevents::JSON).expect("what was written is an event").remove(0);
        assert_eq!((&again.kind, &again.source, &again.subject), (&event.kind, &event.source, &event.subject));
    }
}

/// Lines: a scheme, then headers, then a body. Nobody without the secret makes one that verifies.
pub fn signatures(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.splitn(6, '\n');
    let first = lines.next().unwrap_or_default();
    if let Ok(url) = first.parse::<HookUrl>() {
        assert_eq!(url.to_string().parse::<HookUrl>().as_ref().ok(), Some(&url));
    }
    let Ok(scheme) = first.parse::<Scheme>() else { return };
    assert_eq!(scheme.to_string().parse::<Scheme>().ok().as_ref(), Some(&scheme));
    let mut headers = HeaderMap::new();
    for line in lines.by_ref().take(4) {
        if let Some((name, value)) = line.split_once(": ")
            && let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value))
        {
            headers.append(name, value);
        }
    }
    let body = lines.next().unwrap_or_default().as_bytes();
    let secret = Secret::new(b"whsec_TjR0b2xkLW5vYm9keS1hbnl0aGluZy1hdC1hbGw=".to_vec());
    let verified = scheme.verify(&secret, &headers, body, Timestamp(1_614_265_330_000));
    assert!(verified.is_err(), "{verified:?}");
    let _ = scheme.handshake(body);
}
