//! Conversations about rules, their targets, their buses and their tags, with a platform that keeps them.

use mote_core::function::delivery::Destination;

use super::super::super::play::Rules;
use super::*;

const FUNCTION: &str = "arn:aws:lambda:eu-west-1:123456789012:function:f";
const QUEUE: &str = "arn:aws:sqs:eu-west-1:123456789012:q";

#[derive(Default)]
struct Kept(Rules);

impl Kept {
    fn tell(&mut self, operation: &str, input: Value) -> Told {
        let ask = ask("POST", "/", &format!("AWSEvents.{operation}"), input.to_string());
        play(answer(ask), |what| self.0.execute(what))
    }

    fn good(&mut self, operation: &str, input: Value) -> Value {
        let told = self.tell(operation, input);
        assert_eq!(told.status, 200, "{operation}: {}", told.text);
        told.json()
    }

    fn refused(&mut self, operation: &str, input: Value) -> (String, String) {
        let told = self.tell(operation, input);
        assert_ne!(told.status, 200, "{operation}: {}", told.text);
        (told.refusal().1, told.json()["message"].as_str().unwrap().to_owned())
    }

    fn rule(&self, name: &str) -> &Rule {
        self.0.named(name)
    }
}

#[test]
fn a_rule_is_kept_as_it_is_said_and_told_again() {
    let mut kept = Kept::default();
    let arn = "arn:aws:events:eu-west-1:123456789012:rule/r";
    let pattern = r#"{"source":["shop"]}"#;
    let said = json!({ "Name": "r", "EventPattern": pattern, "Description": "d", "Tags": [{ "Key": "a", "Value": "b" }] });
    assert_eq!(kept.good("PutRule", said), json!({ "RuleArn": arn }));
    let rule = kept.rule("r");
    assert!(rule.enabled && rule.timer.is_none() && rule.on.as_ref().unwrap().topic.as_str() == "default");
    let told =
        json!({ "Name": "r", "Arn": arn, "EventPattern": pattern, "Description": "d", "State": "ENABLED", "EventBusName": "default" });
    let mut described = told.clone();
    described["CreatedBy"] = "123456789012".into();
    assert_eq!(kept.good("DescribeRule", json!({ "Name": "r" })), described);
    assert_eq!(kept.good("ListRules", json!({ "NamePrefix": "r" })), json!({ "Rules": [told] }));
    assert_eq!(kept.good("ListRules", json!({ "NamePrefix": "x" })), json!({ "Rules": [] }));
    assert_eq!(kept.good("ListTagsForResource", json!({ "ResourceARN": arn })), json!({ "Tags": [{ "Key": "a", "Value": "b" }] }));
    kept.good("TagResource", json!({ "ResourceARN": arn, "Tags": [{ "Key": "c", "Value": "" }] }));
    kept.good("UntagResource", json!({ "ResourceARN": arn, "TagKeys": ["a"] }));
    // Another word of it leaves its tags and its targets.
    kept.good("PutTargets", json!({ "Rule": "r", "Targets": [{ "Id": "1", "Arn": FUNCTION }] }));
    kept.good("PutRule", json!({ "Name": "r", "ScheduleExpression": "rate(5 minutes)", "State": "DISABLED" }));
    assert_eq!(kept.good("ListTagsForResource", json!({ "ResourceARN": arn })), json!({ "Tags": [{ "Key": "c", "Value": "" }] }));
    let rule = kept.rule("r");
    assert!(!rule.enabled && rule.on.is_none() && rule.timer.is_some() && rule.targets.len() == 1);
    kept.good("EnableRule", json!({ "Name": "r" }));
    assert!(kept.rule("r").enabled);
    kept.good("DisableRule", json!({ "Name": "r" }));
    assert!(!kept.rule("r").enabled);
    assert_eq!(kept.refused("DeleteRule", json!({ "Name": "r" })).1, "Rule can't be deleted since it has targets.");
    kept.good("RemoveTargets", json!({ "Rule": "r", "Ids": ["1"] }));
    kept.good("DeleteRule", json!({ "Name": "r" }));
    kept.good("DeleteRule", json!({ "Name": "r" }));
    let gone = ("ResourceNotFoundException".to_owned(), "Rule r does not exist on EventBus default.".to_owned());
    for operation in ["DescribeRule", "EnableRule"] {
        assert_eq!(kept.refused(operation, json!({ "Name": "r" })), gone);
    }
}

#[test]
fn an_interval_goes_on_unless_it_changes() {
    let mut kept = Kept::default();
    let put = |kept: &mut Kept, expression: &str, state: &str| {
        kept.good("PutRule", json!({ "Name": "r", "ScheduleExpression": expression, "State": state }));
        let rule = kept.0.0.values_mut().next().unwrap();
        let since = rule.0.since;
        // As if it had been some time ago.
        rule.0.since = Timestamp(0);
        since
    };
    assert_eq!(put(&mut kept, "rate(5 minutes)", "ENABLED"), Timestamp(1));
    assert_eq!(put(&mut kept, "rate(5 minutes)", "ENABLED"), Timestamp(0), "it goes on");
    assert_eq!(put(&mut kept, "rate(6 minutes)", "ENABLED"), Timestamp(1));
    assert_eq!(put(&mut kept, "rate(6 minutes)", "DISABLED"), Timestamp(0));
    assert_eq!(put(&mut kept, "rate(6 minutes)", "ENABLED"), Timestamp(1), "what it missed is gone");
}

#[test]
fn what_is_no_rule_is_refused_in_the_services_words() {
    let mut kept = Kept::default();
    let mut check = |input: Value, code: &str, message: &str| {
        let (found, told) = kept.refused("PutRule", input.clone());
        assert!(found == code && told.contains(message), "{input}: {found}: {told}");
    };
    let schedule = |text: &str| json!({ "Name": "r", "ScheduleExpression": text });
    let pattern = |text: &str| json!({ "Name": "r", "EventPattern": text });
    check(schedule("rate(1 minutes)"), "ValidationException", "Parameter ScheduleExpression is not valid.");
    check(schedule("cron(0 1 * * * *)"), "ValidationException", "Parameter ScheduleExpression is not valid.");
    check(json!({ "Name": "r" }), "ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified.");
    check(json!({ "Name": "a b", "EventPattern": "{}" }), "ValidationException", "regular expression pattern");
    check(json!({ "Name": "r".repeat(65), "EventPattern": "{}" }), "ValidationException", "less than or equal to 64");
    check(json!({ "Name": "r", "State": "ON", "EventPattern": "{\"a\":[1]}" }), "ValidationException", "at 'state'");
    let invalid = "InvalidEventPatternException";
    check(pattern("{"), invalid, "Event pattern is not valid. Reason: Filter is not an object");
    check(pattern("[]"), invalid, "Reason: Filter is not an object");
    check(pattern("{}"), invalid, "Reason: Empty objects are not allowed");
    check(pattern(r#"{"source":"a"}"#), invalid, r#"Reason: "source" must be an object or an array"#);
    check(pattern(r#"{"source":[]}"#), invalid, "Reason: Empty arrays are not allowed");
    check(pattern(r#"{"source":[{"regex":"a"}]}"#), invalid, "Reason: Unrecognized match type regex");
    check(pattern(r#"{"source":[["a"]]}"#), invalid, "Reason: Match value must be String, number, true, false, or null");
    check(pattern(r#"{"source":[{"numeric":["~",1]}]}"#), invalid, "Reason: ");
    let other = json!({ "Name": "r", "EventBusName": "orders", "EventPattern": "{\"a\":[1]}" });
    check(other, "ResourceNotFoundException", "Event bus orders does not exist.");
    let other = json!({ "Name": "r", "EventBusName": "orders", "ScheduleExpression": "rate(1 day)" });
    check(other, "ValidationException", "only on the default event bus");
}

#[test]
fn targets_are_functions_queues_and_topics() {
    let mut kept = Kept::default();
    kept.good("PutRule", json!({ "Name": "r", "EventPattern": r#"{"source":["shop"]}"# }));
    let told = [
        json!({ "Id": "1", "Arn": format!("{FUNCTION}:live"), "Input": "{\"a\":1}", "RetryPolicy": { "MaximumRetryAttempts": 2 } }),
        json!({ "Id": "2", "Arn": QUEUE, "InputPath": "$.detail" }),
        json!({ "Id": "3", "Arn": "arn:aws:sns:eu-west-1:123456789012:t",
            "InputTransformer": { "InputPathsMap": { "n": "$.detail.n" }, "InputTemplate": "\"<n>\"" } }),
    ];
    assert_eq!(kept.good("PutTargets", json!({ "Rule": "r", "Targets": told })), json!({ "FailedEntryCount": 0, "FailedEntries": [] }));
    assert_eq!(kept.good("ListTargetsByRule", json!({ "Rule": "r" })), json!({ "Targets": told }));
    let page = kept.good("ListTargetsByRule", json!({ "Rule": "r", "Limit": 2 }));
    assert_eq!((page["Targets"].as_array().unwrap().len(), &page["NextToken"]), (2, &json!("2")));
    assert_eq!(kept.good("ListTargetsByRule", json!({ "Rule": "r", "Limit": 2, "NextToken": "2" })), json!({ "Targets": [told[2]] }));
    assert_eq!(kept.good("ListRuleNamesByTarget", json!({ "TargetArn": QUEUE })), json!({ "RuleNames": ["r"] }));
    assert_eq!(kept.good("ListRuleNamesByTarget", json!({ "TargetArn": FUNCTION })), json!({ "RuleNames": [] }));
    let to: Vec<_> = kept.rule("r").targets.iter().map(|target| target.to.clone()).collect();
    let name = |text: &str| Name::new(text).unwrap();
    assert_eq!(to, [Destination::Function(name("f")), Destination::Queue(name("q")), Destination::Topic(name("t"))]);
    // One of the same id takes its place.
    kept.good("PutTargets", json!({ "Rule": "r", "Targets": [{ "Id": "2", "Arn": FUNCTION }] }));
    assert_eq!(kept.rule("r").targets.len(), 3);

    let mut check = |more: Value, message: &str| {
        let mut target = json!({ "Id": "4", "Arn": FUNCTION });
        target.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (code, told) = kept.refused("PutTargets", json!({ "Rule": "r", "Targets": [target] }));
        assert!(code == "ValidationException" && told.contains(message), "{more}: {code}: {told}");
    };
    check(json!({ "Id": "" }), "Parameter Id");
    check(json!({ "Arn": "f" }), "Parameter f is not valid. Reason: Provided Arn is not in correct format.");
    check(json!({ "Arn": "arn:aws:kinesis:r:123456789012:stream/s" }), "Lambda functions, SQS queues and SNS topics");
    check(json!({ "Input": "{" }), "Parameter Input");
    check(json!({ "InputPath": "detail" }), "Parameter InputPath");
    check(json!({ "InputTransformer": {} }), "Parameter InputTransformer");
    check(json!({ "Input": "1", "InputPath": "$" }), "Only one of");
    check(json!({ "DeadLetterConfig": { "Arn": QUEUE } }), "Parameter DeadLetterConfig");
    check(json!({ "SqsParameters": { "MessageGroupId": "g" } }), "Parameter SqsParameters");
    let many: Vec<Value> = (0..6).map(|n| json!({ "Id": n.to_string(), "Arn": FUNCTION })).collect();
    assert_eq!(kept.refused("PutTargets", json!({ "Rule": "r", "Targets": many })).0, "LimitExceededException");
    assert_eq!(
        kept.refused("PutTargets", json!({ "Rule": "none", "Targets": [{ "Id": "1", "Arn": FUNCTION }] })).0,
        "ResourceNotFoundException"
    );
    assert_eq!(kept.refused("PutTargets", json!({ "Rule": "r", "Targets": [] })).0, "ValidationException");
}

#[test]
fn a_bus_is_made_before_rules_stand_on_it() {
    let mut kept = Kept::default();
    let arn = "arn:aws:events:eu-west-1:123456789012:event-bus/orders";
    assert_eq!(kept.good("CreateEventBus", json!({ "Name": "orders", "Description": "d" })), json!({ "EventBusArn": arn }));
    assert_eq!(kept.refused("CreateEventBus", json!({ "Name": "orders" })).0, "ResourceAlreadyExistsException");
    assert_eq!(kept.refused("CreateEventBus", json!({ "Name": "default" })).0, "ResourceAlreadyExistsException");
    assert_eq!(kept.refused("CreateEventBus", json!({ "Name": "o", "EventSourceName": "aws.partner/a/b" })).0, "ValidationException");
    assert_eq!(kept.good("DescribeEventBus", json!({ "Name": arn }))["Description"], "d");
    assert_eq!(kept.refused("DescribeEventBus", json!({ "Name": "none" })).0, "ResourceNotFoundException");
    let buses = kept.good("ListEventBuses", json!({}));
    let names: Vec<_> = buses["EventBuses"].as_array().unwrap().iter().map(|bus| bus["Name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["default", "orders"]);
    let put = kept.good("PutRule", json!({ "Name": "r", "EventBusName": arn, "EventPattern": r#"{"source":["shop"]}"# }));
    assert_eq!(put["RuleArn"], "arn:aws:events:eu-west-1:123456789012:rule/orders/r");
    assert_eq!(kept.good("ListTagsForResource", json!({ "ResourceARN": put["RuleArn"] })), json!({ "Tags": [] }));
    assert_eq!(kept.good("ListRules", json!({}))["Rules"], json!([]));
    assert_eq!(kept.good("ListRules", json!({ "EventBusName": "orders" }))["Rules"][0]["EventBusName"], "orders");
    assert!(kept.refused("DeleteEventBus", json!({ "Name": "orders" })).1.contains("has rules"));
    kept.good("DeleteRule", json!({ "Name": "r", "EventBusName": "orders" }));
    kept.good("DeleteEventBus", json!({ "Name": "orders" }));
    kept.good("DeleteEventBus", json!({ "Name": "orders" }));
    assert_eq!(kept.refused("DeleteEventBus", json!({ "Name": "default" })).0, "ValidationException");
}

#[test]
fn a_pattern_is_tried_on_an_event() {
    let mut kept = Kept::default();
    let event = json!({
        "id": "1", "account": "123456789012", "source": "shop", "time": "2026-01-01T00:00:00Z", "region": "eu-west-1", "resources": [],
        "detail-type": "paid", "detail": { "total": 7, "state": "Open", "ip": "10.0.0.7", "note": null },
    });
    let mut check = |pattern: Value, expect: bool| {
        let told = kept.good("TestEventPattern", json!({ "EventPattern": pattern.to_string(), "Event": event.to_string() }));
        assert_eq!(told, json!({ "Result": expect }), "{pattern}");
    };
    check(json!({ "source": ["shop"], "detail": { "total": [{ "numeric": [">", 5, "<", 9] }] } }), true);
    check(json!({ "source": ["shop"], "detail": { "total": [{ "numeric": [">", 7] }] } }), false);
    check(json!({ "detail": { "state": [{ "prefix": { "equals-ignore-case": "oP" } }], "ip": [{ "cidr": "10.0.0.0/24" }] } }), true);
    check(json!({ "detail": { "state": [{ "anything-but": { "wildcard": "*e*" } }] } }), false);
    check(json!({ "detail": { "note": [null], "gone": [{ "exists": false }] } }), true);
    check(json!({ "$or": [{ "source": ["other"] }, { "detail-type": [{ "suffix": "id" }] }] }), true);
    let mut part = event.clone();
    part.as_object_mut().unwrap().remove("region");
    let (code, _) = kept.refused("TestEventPattern", json!({ "EventPattern": r#"{"a":[1]}"#, "Event": part.to_string() }));
    assert_eq!(code, "ValidationException");
}
