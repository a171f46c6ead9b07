//! Targets and what each gets of an event.

use mote_core::clock::{Id, Timestamp};
use mote_core::function::delivery::Destination;
use mote_core::function::{Name, Qualifier};

use super::*;

const RULE: &str = "arn:aws:events:eu-west-1:123456789012:rule/r";
const SCHEDULE: &str = "arn:aws:scheduler:eu-west-1:123456789012:schedule/default/r";

fn rule(group: &str, arn: &str) -> Rule {
    Rule {
        namespace: Name::default_namespace(),
        group: Name::new(group).unwrap(),
        name: Name::new("r").unwrap(),
        dialect: crate::aws::NAME.into(),
        on: None,
        timer: None,
        enabled: true,
        since: Timestamp::default(),
        ends: false,
        targets: Vec::new(),
        about: [(ARN.to_owned(), arn.into())].into_iter().collect(),
    }
}

fn target(about: Value) -> Target {
    let to = Destination::Function(Name::new("f").unwrap());
    Target { id: "t".into(), to, version: Qualifier::Live, retry: None, about: about.as_object().unwrap().clone() }
}

fn fire() -> StoredEvent {
    StoredEvent::new(Id(7), "/timers/r", FIRED, Timestamp(1_500))
}

fn put() -> StoredEvent {
    let body = json!({ "id": "x", "detail-type": "d", "detail": { "name": "a \"b\"", "n": 7, "list": [1, "x"], "big": "y".repeat(9000) } });
    StoredEvent { body: body.to_string().into(), ..StoredEvent::new(Id(7), "shop", "d", Timestamp(1_500)) }
}

fn told(rule: &Rule, about: Value, event: &StoredEvent) -> String {
    String::from_utf8(tell(rule, &target(about), event).unwrap().body.to_vec()).unwrap()
}

#[test]
fn a_fire_is_a_scheduled_event() {
    let of = |group: &str, arn: &str| serde_json::from_str::<Value>(&told(&rule(group, arn), json!({}), &fire())).unwrap();
    assert_eq!(
        of("bus.default", RULE),
        json!({
            "version": "0", "id": "00000000-0000-0000-0000-000000000007", "detail-type": "Scheduled Event", "source": "aws.events",
            "account": "123456789012", "time": "1970-01-01T00:00:01Z", "region": "eu-west-1", "resources": [RULE], "detail": {},
        })
    );
    let schedule = of("schedules.default", SCHEDULE);
    assert_eq!(
        (&schedule["source"], &schedule["detail"], &schedule["resources"]),
        (&json!("aws.scheduler"), &json!("{}"), &json!([SCHEDULE]))
    );
}

#[test]
fn a_target_gets_what_it_has_made_of_the_event() {
    let rule = rule("bus.default", RULE);
    let check = |about: Value, expect: &str| assert_eq!(told(&rule, about.clone(), &put()), expect, "{about}");
    check(json!({ "Input": "{\"a\": 1}" }), "{\"a\": 1}");
    check(json!({ "InputPath": "$.detail.list" }), "[1,\"x\"]");
    check(json!({ "InputPath": "$.detail-type" }), "\"d\"");
    check(json!({ "InputPath": "$.none" }), "null");
    let paths = json!({ "name": "$.detail.name", "n": "$.detail.n", "list": "$.detail.list", "none": "$.detail.none" });
    let transformed = |template: &str| json!({ "InputTransformer": { "InputPathsMap": paths, "InputTemplate": template } });
    check(transformed(r#"{"a": <name>, "b": "<name>", "c": <n>}"#), r#"{"a": "a \"b\"", "b": "a \"b\"", "c": 7}"#);
    check(transformed(r#""the \"<name>\" is <n>""#), r#""the \"a \"b\"\" is 7""#);
    check(transformed(r#"[<list>, "<list>", <none>, "<none>", "<other>"]"#), r#"[[1,"x"], "[1,\"x\"]", "", "", "<other>"]"#);
    check(transformed(r#"["<aws.events.rule-name>", <aws.events.rule-arn>]"#), &format!(r#"["r", "{RULE}"]"#));
    check(transformed("<aws.events.event>"), r#"{"detail-type":"d","id":"x"}"#);
    check(transformed("a < b > <é> <n"), "a < b > <é> <n");
}

#[test]
fn a_schedules_input_may_ask_for_its_fire() {
    let input = r#"{"arn":"<aws.scheduler.schedule-arn>","at":"<aws.scheduler.scheduled-time>","n":<aws.scheduler.attempt-number>}"#;
    let schedule = rule("schedules.default", SCHEDULE);
    assert_eq!(told(&schedule, json!({ "Input": input }), &fire()), format!(r#"{{"arn":"{SCHEDULE}","at":"1970-01-01T00:00:01Z","n":1}}"#));
}

#[test]
fn what_grows_too_large_is_told_to_nobody() {
    let template = "<big>".repeat(40);
    let about = json!({ "InputTransformer": { "InputPathsMap": { "big": "$.detail.big" }, "InputTemplate": template } });
    assert_eq!(tell(&rule("bus.default", RULE), &target(about), &put()).unwrap_err().code(), Code::EventInvalid);
    let no_json = StoredEvent { body: "text".into(), ..put() };
    assert!(tell(&rule("bus.default", RULE), &target(json!({ "InputPath": "$" })), &no_json).is_err());
    for bad in [
        json!({}),
        json!({ "InputTemplate": "" }),
        json!({ "InputTemplate": "x", "InputPathsMap": { "a": "detail" } }),
        json!({ "InputTemplate": "x", "InputPathsMap": { "aws.a": "$" } }),
        json!({ "InputTemplate": "x", "InputPathsMap": [] }),
    ] {
        assert!(Template::read(&bad).is_err(), "{bad}");
    }
}
