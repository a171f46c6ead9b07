//! Conversations about schedules and their groups, with a platform that keeps them.

use mote_core::clock::Timestamp;
use serde_json::{Value, json};

use super::super::play::{Rules, Told, ask, play};
use super::*;

const FUNCTION: &str = "arn:aws:lambda:eu-west-1:123456789012:function:f";
const ROLE: &str = "arn:aws:iam::123456789012:role/r";

#[derive(Default)]
struct Kept(Rules);

impl Kept {
    fn tell(&mut self, method: &str, path: &str, input: Value) -> Told {
        let body = if input.is_null() { String::new() } else { input.to_string() };
        play(answer(ask(method, path, "", body)), |what| self.0.execute(what))
    }

    fn good(&mut self, method: &str, path: &str, input: Value) -> Value {
        let told = self.tell(method, path, input);
        assert_eq!(told.status, 200, "{method} {path}: {}", told.text);
        told.json()
    }

    fn refused(&mut self, method: &str, path: &str, input: Value) -> (u16, String) {
        self.tell(method, path, input).refusal()
    }
}

fn schedule(more: Value) -> Value {
    let mut schedule = json!({
        "ScheduleExpression": "rate(5 minutes)", "FlexibleTimeWindow": { "Mode": "OFF" },
        "Target": { "Arn": FUNCTION, "RoleArn": ROLE, "Input": "{}" },
    });
    schedule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    schedule
}

#[test]
fn a_schedule_is_kept_as_it_is_said_and_told_again() {
    let mut kept = Kept::default();
    let arn = "arn:aws:scheduler:eu-west-1:123456789012:schedule/default/s";
    assert_eq!(kept.good("POST", "/schedules/s", schedule(json!({ "Description": "d" }))), json!({ "ScheduleArn": arn }));
    assert_eq!(kept.refused("POST", "/schedules/s", schedule(json!({}))), (409, "ConflictException".into()));
    let mut told = json!({
        "Arn": arn, "Name": "s", "GroupName": "default", "State": "ENABLED", "ScheduleExpression": "rate(5 minutes)",
        "ScheduleExpressionTimezone": "UTC", "FlexibleTimeWindow": { "Mode": "OFF" }, "ActionAfterCompletion": "NONE", "Description": "d",
        "CreationDate": 0.001, "LastModificationDate": 0.001, "Target": { "Arn": FUNCTION, "RoleArn": ROLE, "Input": "{}" },
    });
    assert_eq!(kept.good("GET", "/schedules/s", Value::Null), told);
    let rule = kept.0.named("s");
    assert!(rule.enabled && !rule.ends && rule.targets.len() == 1 && rule.timer.as_ref().unwrap().options.start == Some(Timestamp(1)));

    // What an update doesn't say is as if it had never been said.
    let changed = json!({
        "ScheduleExpression": "cron(0 9 ? * MON-FRI *)", "ScheduleExpressionTimezone": "Europe/Berlin", "State": "DISABLED",
        "FlexibleTimeWindow": { "Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15 }, "StartDate": 1_800_000_000, "EndDate": 1_900_000_000,
        "ActionAfterCompletion": "DELETE",
    });
    kept.good("PUT", "/schedules/s", schedule(changed.clone()));
    told.as_object_mut().unwrap().remove("Description");
    told.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
    (told["StartDate"], told["EndDate"]) = (1.8e9.into(), 1.9e9.into());
    assert_eq!(kept.good("GET", "/schedules/s?groupName=default", Value::Null), told);
    let rule = kept.0.named("s");
    let options = &rule.timer.as_ref().unwrap().options;
    assert_eq!(
        (options.jitter_ms, options.zone.to_string().as_str(), options.start),
        (900_000, "Europe/Berlin", Some(Timestamp(1_800_000_000_000)))
    );
    assert!(rule.ends && !rule.enabled);

    kept.good("DELETE", "/schedules/s", Value::Null);
    for (method, input) in [("DELETE", Value::Null), ("GET", Value::Null), ("PUT", schedule(json!({})))] {
        assert_eq!(kept.refused(method, "/schedules/s", input), (404, "ResourceNotFoundException".into()), "{method}");
    }
}

#[test]
fn a_list_goes_on_from_group_to_group() {
    let mut kept = Kept::default();
    for group in ["prod", "prod-eu", "prod.x"] {
        kept.good("POST", &format!("/schedule-groups/{group}"), json!({}));
        for name in ["a", "b"] {
            kept.good("POST", &format!("/schedules/{name}"), schedule(json!({ "GroupName": group })));
        }
    }
    let (mut listed, mut token) = (Vec::new(), String::new());
    loop {
        let page = kept.good("GET", &format!("/schedules?MaxResults=1{token}"), Value::Null);
        listed.extend(page["Schedules"].as_array().unwrap().iter().map(|told| format!("{}/{}", told["GroupName"], told["Name"])));
        match page["NextToken"].as_str() {
            Some(next) => token = format!("&NextToken={}", next.replace('/', "%2F")),
            None => break,
        }
    }
    listed.sort();
    listed.dedup();
    assert_eq!(listed.len(), 6, "{listed:?}");
}

#[test]
fn what_is_no_schedule_is_refused() {
    let mut kept = Kept::default();
    for more in [
        json!({ "ScheduleExpression": "" }),
        json!({ "ScheduleExpression": "rate(5 seconds)" }),
        json!({ "ScheduleExpression": "at(2026-12-01T10:00)" }),
        json!({ "ScheduleExpression": "cron(0 1 * * * *)" }),
        json!({ "ScheduleExpressionTimezone": "Europe/Atlantis" }),
        json!({ "FlexibleTimeWindow": {} }),
        json!({ "FlexibleTimeWindow": { "Mode": "FLEXIBLE" } }),
        json!({ "FlexibleTimeWindow": { "Mode": "FLEXIBLE", "MaximumWindowInMinutes": 1441 } }),
        json!({ "FlexibleTimeWindow": { "Mode": "OFF", "MaximumWindowInMinutes": 5 } }),
        json!({ "StartDate": 2, "EndDate": 1 }),
        json!({ "StartDate": "soon" }),
        json!({ "EndDate": 1e300 }),
        json!({ "State": "ON" }),
        json!({ "ActionAfterCompletion": "KEEP" }),
        json!({ "KmsKeyArn": "arn:aws:kms:r:123456789012:key/k" }),
        json!({ "GroupName": "a b" }),
        json!({ "Target": null }),
        json!({ "Target": { "Arn": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage", "RoleArn": ROLE } }),
        json!({ "Target": { "Arn": FUNCTION, "Input": 7 } }),
        json!({ "Target": { "Arn": FUNCTION, "DeadLetterConfig": { "Arn": FUNCTION } } }),
    ] {
        assert_eq!(kept.refused("POST", "/schedules/s", schedule(more.clone())), (400, "ValidationException".into()), "{more}");
    }
    let told = kept.tell("POST", "/schedules/s", schedule(json!({ "ScheduleExpression": "rate(1 min)" })));
    assert_eq!(told.json()["message"], "Invalid Schedule Expression rate(1 min).");
    assert_eq!(kept.refused("POST", "/schedules/a%20b", schedule(json!({}))), (400, "ValidationException".into()));
    assert_eq!(kept.refused("POST", "/schedules/s", schedule(json!({ "GroupName": "g" }))), (404, "ResourceNotFoundException".into()));
    assert_eq!(kept.refused("POST", "/what", Value::Null), (501, "NotImplemented".into()));
    assert!(kept.0.0.is_empty());
}

#[test]
fn schedules_are_listed_by_group_name_and_state_page_by_page() {
    let mut kept = Kept::default();
    kept.good("POST", "/schedule-groups/g", json!({}));
    for (name, group, state) in [("a", "default", "ENABLED"), ("b", "default", "DISABLED"), ("c", "g", "ENABLED")] {
        kept.good("POST", &format!("/schedules/{name}"), schedule(json!({ "GroupName": group, "State": state })));
    }
    let mut names = |query: &str| {
        let told = kept.good("GET", &format!("/schedules{query}"), Value::Null);
        let names: Vec<_> = told["Schedules"].as_array().unwrap().iter().map(|one| one["Name"].as_str().unwrap().to_owned()).collect();
        (names.join(""), told["NextToken"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(names("").0, "abc");
    assert_eq!(names("?ScheduleGroup=g").0, "c");
    assert_eq!(names("?State=ENABLED").0, "ac");
    assert_eq!(names("?NamePrefix=b").0, "b");
    let (first, token) = names("?MaxResults=2");
    assert_eq!((first.as_str(), names(&format!("?MaxResults=2&NextToken={token}")).0.as_str()), ("ab", "c"));
    assert_eq!(kept.refused("GET", "/schedules?MaxResults=0", Value::Null).0, 400);
}

#[test]
fn a_group_has_tags_and_takes_its_schedules_along() {
    let mut kept = Kept::default();
    let arn = "arn:aws:scheduler:eu-west-1:123456789012:schedule-group/g";
    let tags = json!({ "Tags": [{ "Key": "a", "Value": "b" }] });
    assert_eq!(kept.good("POST", "/schedule-groups/g", tags.clone()), json!({ "ScheduleGroupArn": arn }));
    for name in ["g", "default"] {
        assert_eq!(kept.refused("POST", &format!("/schedule-groups/{name}"), json!({})), (409, "ConflictException".into()));
    }
    assert_eq!(kept.good("GET", "/schedule-groups/g", Value::Null)["State"], "ACTIVE");
    assert_eq!(kept.good("GET", "/schedule-groups/default", Value::Null)["Name"], "default");
    assert_eq!(kept.good("GET", "/schedule-groups", Value::Null)["ScheduleGroups"].as_array().unwrap().len(), 2);
    let path = format!("/tags/{}", arn.replace('/', "%2F"));
    assert_eq!(kept.good("GET", &path, Value::Null), tags);
    kept.good("POST", &path, json!({ "Tags": [{ "Key": "c", "Value": "d" }] }));
    kept.good("DELETE", &format!("{path}?TagKeys=a"), Value::Null);
    assert_eq!(kept.good("GET", &path, Value::Null), json!({ "Tags": [{ "Key": "c", "Value": "d" }] }));
    for name in ["a", "b"] {
        kept.good("POST", &format!("/schedules/{name}"), schedule(json!({ "GroupName": "g" })));
    }
    kept.good("DELETE", "/schedule-groups/g", Value::Null);
    assert!(kept.0.0.is_empty());
    assert_eq!(kept.refused("DELETE", "/schedule-groups/g", Value::Null), (404, "ResourceNotFoundException".into()));
    assert_eq!(kept.refused("DELETE", "/schedule-groups/default", Value::Null), (400, "ValidationException".into()));
}
