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
    "tags": ["new", "blue"], "lines": [{"sku": "a-1"}, {"sku": "b-2", "price": 7}], "who": {"name": "Åsa"},
    "ip": "10.1.2.3", "ip6": "2001:db8::7", "odd": "a*\\b", "$or": [1]}"#;

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
    check(json!({"type": [{"prefix": {"equals-ignore-case": "ORDER."}}]}), true);
    check(json!({"type": [{"suffix": {"equals-ignore-case": "Paid"}}, "x"]}), true);
    check(json!({"type": [{"suffix": "Paid"}]}), false);
    for (wild, expect) in [
        ("order.*", true),
        ("*paid", true),
        ("*", true),
        ("o*r*.p*d", true),
        ("order.paid", true),
        ("order.paid*", true),
        ("*er.*", true),
        ("order", false),
        ("*order", false),
        ("o*x*d", false),
        ("order.paid*d", false),
        ("order\\*paid", false),
        ("", false),
    ] {
        check(json!({"type": [{"wildcard": wild}]}), expect);
        check(json!({"type": [{"anything-but": {"wildcard": wild}}]}), !expect);
    }
    check(json!({"data": {"odd": [{"wildcard": "a\\*\\\\*"}]}}), true);
    check(json!({"type": [{"anything-but": {"prefix": ["user.", "order."]}}]}), false);
    check(json!({"type": [{"anything-but": {"suffix": ["sent", "lost"]}}]}), true);
    check(json!({"type": [{"anything-but": {"equals-ignore-case": ["ORDER.PAID", "x"]}}]}), false);
    check(json!({"data": {"count": [{"anything-but": [1, 2]}]}}), true);
    check(json!({"data": {"count": [{"anything-but": 3}]}}), false);
    for (network, expect) in [("10.1.2.0/24", true), ("10.1.3.0/24", false), ("0.0.0.0/0", true), ("10.1.2.3/32", true), ("::/0", false)] {
        check(json!({"data": {"ip": [{"cidr": network}]}}), expect);
    }
    check(json!({"data": {"ip6": [{"cidr": "2001:db8::/32"}]}}), true);
    check(json!({"data": {"state": [{"cidr": "10.0.0.0/8"}]}}), false);
    check(json!({"data": {"missing": {"deep": [{"exists": false}]}}}), true);
    check(json!({"data": {"total": {"deeper": [1]}}}), false);
}

#[test]
fn alternatives() {
    let event = event(ORDER);
    let check = |filter: Value, expect: bool| {
        assert_eq!(Filter::read(filter.clone()).unwrap().takes(&Content::of(&event)), expect, "{filter}");
    };
    let paid = json!({"type": ["order.paid"]});
    let sent = json!({"type": ["order.sent"]});
    let eu = json!({"region": ["eu-west"], "source": ["/shop"]});
    check(json!({"$or": [paid, sent]}), true);
    check(json!({"$or": [sent, {"region": ["us"]}]}), false);
    check(json!({"$or": [sent, eu], "subject": [{"prefix": "order/"}]}), true);
    check(json!({"$or": [sent, eu], "subject": [{"prefix": "user/"}]}), false);
    check(json!({"data": {"$or": [{"count": [7]}, {"who": {"name": [{"prefix": "Å"}]}}]}}), true);
    check(json!({"data": {"$or": [{"count": [7]}, {"$or": [{"count": [8]}, {"total": [{"numeric": ["<", 121]}]}]}]}}), true);
    // A field may have that name.
    check(json!({"data": {"$or": [1, 2]}}), true);
    check(json!({"data": {"$or": [{"numeric": ["<", 1]}, {"prefix": "x"}]}}), false);
}

#[test]
fn json_that_is_no_event_has_the_fields_it_has() {
    let filter = Filter::read(json!({"body": {"n": [{"numeric": [">", 1]}]}, "messageAttributes": {"a": {"stringValue": ["x"]}}})).unwrap();
    assert!(filter.takes_json(&json!({"body": {"n": 2}, "messageAttributes": {"a": {"stringValue": "x"}}})));
    assert!(!filter.takes_json(&json!({"body": {"n": 2}, "messageAttributes": {}})));
    assert!(!filter.takes_json(&json!({"body": "text"})));
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
        json!({"type": [{"wildcard": "a**b"}]}),
        json!({"type": [{"wildcard": "a\\b"}]}),
        json!({"type": [{"wildcard": 7}]}),
        json!({"type": [{"prefix": {"wildcard": "a"}}]}),
        json!({"type": [{"anything-but": {"prefix": []}}]}),
        json!({"type": [{"anything-but": {"numeric": ["=", 1]}}]}),
        json!({"type": [{"cidr": "10.0.0.0"}]}),
        json!({"type": [{"cidr": "10.0.0.0/33"}]}),
        json!({"type": [{"cidr": "10.0.0.0/+3"}]}),
        json!({"type": [{"cidr": "example.com/8"}]}),
        json!({"$or": [{"type": ["x"]}]}),
        json!({"$or": [{"type": ["x"]}, {}]}),
        json!({"$or": {}}),
        json!({"$or": []}),
        json!({"$or": [{"$or": [{"a": ["x"]}, {"a": many}]}, {"b": ["y"]}]}),
        json!({"type": [long]}),
        json!({"type": many}),
        deep,
    ] {
        let error = Filter::read(bad.clone()).expect_err(&bad.to_string());
        assert_eq!(error.code(), Code::FilterInvalid, "{bad}");
    }
}
