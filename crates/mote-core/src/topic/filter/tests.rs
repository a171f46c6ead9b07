//! Filters against one event, test by test.

use serde_json::json;

use super::*;
use crate::clock::{Id, Timestamp};
use crate::event::StoredEvent;

fn event(data: &str) -> StoredEvent {
    let mut extensions = Map::new();
    extensions.insert("region".into(), "eu-west".into());
    StoredEvent {
        subject: Some("order/7".into()),
        content_type: Some("application/json".into()),
        extensions,
        body: data.to_owned().into(),
        ..StoredEvent::new(Id(1), "/shop", "order.paid", Timestamp(0))
    }
}

const ORDER: &str = r#"{"total": 120.5, "count": 3, "state": "Paid", "note": null, "gift": false,
    "tags": ["new", "blue"], "lines": [{"sku": "a-1"}, {"sku": "b-2", "price": 7}], "who": {"name": "Åsa"}}"#;

#[test]
fn tests_of_a_field() {
    let event = event(ORDER);
    let check = |filter: Value, expect: bool| {
        let read = Filter::read(filter.clone()).unwrap();
        assert_eq!(read.takes(&Content::of(&event)), expect, "{filter}");
        let stored = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<Filter>(&stored).unwrap(), read);
    };
    check(json!({}), true);
    check(json!({"type": ["order.paid", "order.sent"]}), true);
    check(json!({"type": ["order.sent"]}), false);
    check(json!({"type": [{"prefix": "order."}], "source": ["/shop"]}), true);
    check(json!({"type": [{"prefix": "order."}], "source": ["/other"]}), false);
    check(json!({"subject": [{"suffix": "/7"}]}), true);
    check(json!({"region": [{"anything-but": ["us-east", {"prefix": "ap-"}]}]}), true);
    check(json!({"region": [{"anything-but": {"prefix": "eu-"}}]}), false);
    check(json!({"region": [{"exists": true}], "zone": [{"exists": false}]}), true);
    check(json!({"region": [{"exists": false}]}), false);
    check(json!({"zone": [{"anything-but": "x"}]}), false);
    check(json!({"data": {"total": [{"numeric": [">", 100, "<=", 120.5]}]}}), true);
    check(json!({"data": {"total": [{"numeric": [">", 120.5]}]}}), false);
    check(json!({"data": {"state": [{"numeric": ["=", 3]}]}}), false);
    check(json!({"data": {"count": [3.0]}}), true);
    check(json!({"data": {"count": ["3"]}}), false);
    check(json!({"data": {"state": [{"equals-ignore-case": "pAID"}]}}), true);
    check(json!({"data": {"who": {"name": [{"equals-ignore-case": "åSA"}]}}}), true);
    check(json!({"data": {"note": [null], "gift": [false]}}), true);
    check(json!({"data": {"tags": ["blue"]}}), true);
    check(json!({"data": {"tags": ["red"]}}), false);
    check(json!({"data": {"lines": {"sku": [{"prefix": "b-"}], "price": [7]}}}), true);
    check(json!({"data": {"missing": {"deep": [{"exists": false}]}}}), true);
    check(json!({"data": {"total": {"deeper": [1]}}}), false);
}

#[test]
fn content_that_is_no_json_has_no_fields() {
    let filter = Filter::read(json!({"data": {"total": [{"exists": false}]}})).unwrap();
    for body in ["", "not json", "7", "[1, 2]", &"[".repeat(100_000)] {
        assert!(filter.takes(&Content::of(&event(body))), "{body:.20}");
    }
    assert!(!filter.takes(&Content::of(&event(ORDER))));
}

#[test]
fn what_is_no_filter_is_refused() {
    let long = "x".repeat(TEXT_BYTES_MAX + 1);
    let many: Vec<u32> = (0..300).collect();
    let mut deep = json!(["x"]);
    for _ in 0..=DEPTH_MAX {
        deep = json!({ "a": deep });
    }
    for bad in [
        json!([]),
        json!("x"),
        json!({"type": "order"}),
        json!({"type": []}),
        json!({"data": {}}),
        json!({"type": [{"regex": ".*"}]}),
        json!({"type": [{"prefix": "a", "suffix": "b"}]}),
        json!({"type": [{}]}),
        json!({"type": [["a"]]}),
        json!({"type": [{"prefix": 7}]}),
        json!({"type": [{"numeric": [">"]}]}),
        json!({"type": [{"numeric": ["~", 1]}]}),
        json!({"type": [{"numeric": [">", "1"]}]}),
        json!({"type": [{"exists": 1}]}),
        json!({"type": [{"anything-but": []}]}),
        json!({"type": [{"anything-but": [{"exists": true}]}]}),
        json!({"type": [long]}),
        json!({"type": many}),
        deep,
    ] {
        let error = Filter::read(bad.clone()).expect_err(&bad.to_string());
        assert_eq!(error.code(), Code::FilterInvalid, "{bad}");
    }
}
