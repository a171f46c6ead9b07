//! Settings as owners patch them, and messages as senders word them.

use serde_json::json;

use super::message::NewMessage;
use super::settings::Settings;
use super::*;
use crate::clock::Id;

fn patched(patch: serde_json::Value) -> Result<Settings> {
    Settings::default().patched(patch.as_object().expect("an object").clone())
}

#[test]
fn settings_are_bounded() {
    let good = patched(json!({ "visibility_ms": 0, "fifo": true, "alarm": { "messages": 5, "to": "topic:alarms" } })).unwrap();
    assert_eq!((good.visibility_ms, good.fifo, good.retention_ms), (0, true, Settings::default().retention_ms));
    assert_eq!(good.patched(json!({ "visibility_ms": null }).as_object().unwrap().clone()).unwrap().visibility_ms, 30_000);
    for bad in [
        json!({ "visibility_ms": 86_400_001 }),
        json!({ "visibility_ms": -1 }),
        json!({ "retention_ms": 59_999 }),
        json!({ "message_bytes_max": 1_048_577 }),
        json!({ "messages_max": 0 }),
        json!({ "dead_letters": { "queue": "d", "receives_max": 0 } }),
        json!({ "dead_letters": { "queue": "../d", "receives_max": 1 } }),
        json!({ "alarm": { "to": "f" } }),
        json!({ "alarm": { "messages": 1, "to": "queue:" } }),
        json!({ "visibilty_ms": 1 }),
    ] {
        assert!(patched(bad.clone()).is_err(), "{bad}");
    }
}

#[test]
fn messages_are_read_and_bounded() {
    let (namespace, name) = (Name::default_namespace(), Name::new("q").unwrap());
    let record = |patch| Record { settings: patched(patch).unwrap(), created: Timestamp(0) };
    let into_item = |message: &NewMessage, patch| message.clone().into_item(Id(1), &namespace, &name, &record(patch), Timestamp(1000));
    let all =
        NewMessage::read_all(br#"{"messages":[{"body":"a","delay_ms":5,"priority":"high"},{"body_base64":"AAE=","key":"k"}]}"#).unwrap();
    assert_eq!((&all[0].body[..], &all[1].body[..]), (&b"a"[..], &[0, 1][..]));
    let item = into_item(&all[0], json!({})).unwrap();
    assert_eq!((item.due, item.priority, &*item.queue), (Timestamp(1005), store::Priority::High, "queue/default/q/"));
    let once = into_item(&all[1], json!({ "delay_ms": 7 })).unwrap();
    assert_eq!((once.due, once.once.map(|once| (once.key, once.until))), (Timestamp(1007), Some(("0/k".into(), Timestamp(301_000)))));
    let by_content = into_item(&all[0], json!({ "dedup_by_content": true })).unwrap();
    assert_eq!(by_content.once.map(|once| once.key.len()), Some(66));

    assert_eq!(into_item(&all[0], json!({ "fifo": true })).unwrap_err().code(), Code::RequestInvalid);
    let grouped = NewMessage { group: Some("g".into()), ..all[0].clone() };
    assert_eq!(into_item(&grouped, json!({ "fifo": true })).unwrap().lane.map(|lane| (lane.key, lane.width)), Some(("g".into(), 1)));
    assert!(into_item(&grouped, json!({})).is_err());
    let large = NewMessage { body: vec![0; 11].into(), ..NewMessage::default() };
    assert_eq!(into_item(&large, json!({ "message_bytes_max": 10 })).unwrap_err().code(), Code::BodyTooLarge);
    let late = NewMessage { delay: Some(Duration::from_secs(15 * 86_400)), ..NewMessage::default() };
    assert!(into_item(&late, json!({})).is_err());
    let many = NewMessage { attributes: (0..101).map(|n| (n.to_string(), String::new())).collect(), ..NewMessage::default() };
    assert!(into_item(&many, json!({})).is_err());
    let many = |count| format!(r#"{{"messages":[{}]}}"#, vec!["{}"; count].join(","));
    assert_eq!(NewMessage::read_all(many(BATCH_MAX).as_bytes()).unwrap().len(), BATCH_MAX);
    for bad in [
        "",
        "[]",
        &many(BATCH_MAX + 1),
        r#"{"messages":[{"body":"a","body_base64":"AA=="}]}"#,
        r#"{"messages":[{"body_base64":"?"}]}"#,
        r#"{"messages":[{"bdy":""}]}"#,
    ] {
        assert!(NewMessage::read_all(bad.as_bytes()).is_err(), "{bad}");
    }
}
