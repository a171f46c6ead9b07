//! Conversations with readers of logs, against a log of a few lines.

use mote_core::function::Function;
use mote_core::store::{LogLine, LogSource};

use super::super::play::{Told, ask, play};
use super::*;

/// Functions `f` (version 2, and 1 before it), `g` and `h`, which shares a group with `g`.
struct Scene {
    lines: Vec<LogLine>,
}

fn function(name: &str, version: u64, group: Option<&str>) -> Function {
    let mut function = Function { version, ..mote_testkit::function(name) };
    if let Some(group) = group {
        function.about.insert("LoggingConfig".into(), json!({ "LogGroup": group }));
    }
    function
}

fn line(function: &str, version: u64, time: u64, text: &str) -> LogLine {
    let time = Timestamp(time);
    LogLine {
        time,
        namespace: "default".into(),
        function: function.into(),
        version,
        invocation: None,
        stream: LogSource::Stdout,
        text: text.into(),
    }
}

impl Scene {
    fn new(lines: &[(&str, u64, u64, &str)]) -> Scene {
        Scene { lines: lines.iter().map(|(name, version, time, text)| line(name, *version, *time, text)).collect() }
    }

    fn ask(&self, operation: &str, input: Value) -> Told {
        let asked = ask("POST", "/", &format!("Logs_20140328.{operation}"), input.to_string());
        play(answer(asked), |what| Ok(self.carry_out(what)))
    }

    fn tell(&self, operation: &str, input: Value) -> Value {
        let told = self.ask(operation, input);
        assert_eq!(told.status, 200, "{}", told.text);
        told.json()
    }

    fn carry_out(&self, what: Action) -> Done {
        match what {
            Action::List { .. } => {
                let all = [function("f", 2, None), function("g", 1, Some("shared")), function("h", 1, Some("shared"))];
                Done::Functions(all.map(Into::into).into())
            }
            Action::ListVersions { function: of, .. } => {
                let all = [1, 2].map(|version| function(of.name.as_str(), version, None));
                Done::Functions(all.map(Into::into).into())
            }
            Action::Logs { query, .. } => {
                let wanted = |line: &&LogLine| {
                    query.function.as_ref().is_none_or(|function| *function == line.function)
                        && query.version.is_none_or(|version| version == line.version)
                        && query.since.is_none_or(|since| line.time >= since)
                        && query.until.is_none_or(|until| line.time <= until)
                };
                let mut lines: Vec<LogLine> = self.lines.iter().filter(wanted).cloned().collect();
                lines.sort_by_key(|line| line.time);
                let surplus = lines.len().saturating_sub(query.tail);
                if query.from_oldest {
                    lines.truncate(query.tail)
                } else {
                    drop(lines.drain(..surplus))
                }
                Done::Lines(lines)
            }
            other => panic!("{other:?}"),
        }
    }
}

fn messages(told: &Value) -> String {
    let events = told["events"].as_array().unwrap();
    events.iter().map(|event| event["message"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[test]
fn groups_are_those_of_functions() {
    let scene = Scene::new(&[]);
    let told = scene.tell("DescribeLogGroups", json!({}));
    let names: Vec<_> = told["logGroups"].as_array().unwrap().iter().map(|group| &group["logGroupName"]).collect();
    assert_eq!(names, ["/aws/lambda/f", "shared"]);
    assert_eq!(told["logGroups"][0]["arn"], "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/f:*");
    let first = scene.tell("DescribeLogGroups", json!({ "limit": 1 }));
    assert_eq!(first["logGroups"].as_array().unwrap().len(), 1);
    let second = scene.tell("DescribeLogGroups", json!({ "limit": 1, "nextToken": first["nextToken"] }));
    assert_eq!((&second["logGroups"][0]["logGroupName"], &second["nextToken"]), (&json!("shared"), &Value::Null));
    assert_eq!(scene.tell("DescribeLogGroups", json!({ "logGroupNamePrefix": "/aws/lambda/x" }))["logGroups"], json!([]));
}

#[test]
fn a_list_by_time_goes_on_though_its_last_stream_has_spoken_since() {
    let lines = [("f", 1, 10, "a"), ("f", 2, 20, "b"), ("f", 7, 40, "d")];
    for (descending, expect) in [(true, vec![10]), (false, vec![40, 50])] {
        let mut scene = Scene::new(&lines);
        let mut input = json!({ "logGroupName": "/aws/lambda/f", "orderBy": "LastEventTime", "descending": descending, "limit": 2 });
        let first = scene.tell("DescribeLogStreams", input.clone());
        assert_eq!(first["logStreams"].as_array().unwrap().len(), 2);
        // The last of the page before: by its new time it comes before all that descends, and after all else.
        scene.lines.push(line("f", 2, 50, "e"));
        input["nextToken"] = first["nextToken"].clone();
        let second = scene.tell("DescribeLogStreams", input);
        let last = |stream: &Value| stream["lastEventTimestamp"].as_u64().unwrap();
        let times: Vec<u64> = second["logStreams"].as_array().unwrap().iter().map(last).collect();
        assert_eq!(times, expect);
    }
}

#[test]
fn a_stream_is_what_a_version_has_said() {
    let scene = Scene::new(&[("f", 1, 10, "a"), ("f", 2, 20, "b"), ("f", 2, 30, "c"), ("f", 7, 40, "d"), ("g", 1, 50, "e")]);
    let told = scene.tell("DescribeLogStreams", json!({ "logGroupName": "/aws/lambda/f", "orderBy": "LastEventTime", "descending": true }));
    let named = |told: &Value| -> Vec<String> {
        told["logStreams"].as_array().unwrap().iter().map(|stream| stream["logStreamName"].as_str().unwrap().to_owned()).collect()
    };
    let one = |version| format!("1970/01/01/[{version}]00000000000000000000000000000001");
    assert_eq!(named(&told), ["gone/f/[7]".to_owned(), one(2), one(1)]);
    let of_two = &told["logStreams"][1];
    assert_eq!((&of_two["firstEventTimestamp"], &of_two["lastEventTimestamp"]), (&json!(20), &json!(30)));
    let read = |stream: String| messages(&scene.tell("GetLogEvents", json!({ "logGroupName": "/aws/lambda/f", "logStreamName": stream })));
    assert_eq!(read(one(2)), "b c");
    assert_eq!(read("gone/f/[7]".into()), "d");
    let refused = scene.ask("GetLogEvents", json!({ "logGroupName": "/aws/lambda/f", "logStreamName": "x" })).refusal();
    assert_eq!(refused, (400, "ResourceNotFoundException".into()));
    // By its ARN, and for several functions together.
    let shared = "arn:aws:logs:eu-west-1:123456789012:log-group:shared:*";
    assert_eq!(named(&scene.tell("DescribeLogStreams", json!({ "logGroupIdentifier": shared }))).len(), 1);
    assert_eq!(messages(&scene.tell("FilterLogEvents", json!({ "logGroupName": "shared" }))), "e");
}

#[test]
fn events_are_filtered_page_by_page() {
    let scene = Scene::new(&[("f", 1, 10, "a"), ("f", 2, 10, "a"), ("f", 2, 10, "b"), ("f", 2, 20, "a x"), ("f", 2, 30, "c")]);
    let filter = |more: Value| {
        let mut input = json!({ "logGroupName": "/aws/lambda/f" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        scene.tell("FilterLogEvents", input)
    };
    assert_eq!(messages(&filter(json!({}))), "a a b a x c");
    assert_eq!(messages(&filter(json!({ "startTime": 20, "endTime": 29 }))), "a x");
    assert_eq!(messages(&filter(json!({ "filterPattern": "a -x" }))), "a a");
    assert_eq!(messages(&filter(json!({ "logStreamNames": ["1970/01/01/[1]00000000000000000000000000000001"] }))), "a");
    assert_eq!(messages(&filter(json!({ "logStreamNamePrefix": "2026" }))), "");
    for limit in 1..=6 {
        for pattern in ["", "a", "?a ?b ?c"] {
            let (mut input, mut found) = (json!({ "limit": limit, "filterPattern": pattern }), Vec::new());
            let mut ids = std::collections::HashSet::new();
            loop {
                let page = filter(input.clone());
                found.push(messages(&page));
                for event in page["events"].as_array().unwrap() {
                    assert!(ids.insert(event["eventId"].to_string()), "{event} is there twice");
                }
                if page["nextToken"].is_null() {
                    break;
                }
                assert_ne!(page["nextToken"], input["nextToken"]);
                input["nextToken"] = page["nextToken"].clone();
            }
            found.retain(|page| !page.is_empty());
            assert_eq!(found.join(" "), if pattern == "a" { "a a a x" } else { "a a b a x c" }, "{limit} {pattern}");
        }
    }
    // Whoever looks again knows what it has seen.
    assert_eq!(filter(json!({ "startTime": 10 }))["events"][1]["eventId"], filter(json!({ "limit": 2 }))["events"][1]["eventId"]);
}

#[test]
fn a_stream_is_read_in_both_directions() {
    let mut scene =
        Scene::new(&[("f", 2, 10, "a"), ("f", 2, 10, "b"), ("f", 2, 10, "c"), ("f", 2, 20, "d"), ("f", 1, 20, "x"), ("f", 2, 30, "e")]);
    let stream = json!({ "logGroupName": "/aws/lambda/f", "logStreamName": "1970/01/01/[2]00000000000000000000000000000001" });
    let get = |scene: &Scene, more: Value| {
        let mut input = stream.clone();
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        scene.tell("GetLogEvents", input)
    };
    assert_eq!(messages(&get(&scene, json!({}))), "a b c d e");
    assert_eq!(messages(&get(&scene, json!({ "startTime": 20, "endTime": 30 }))), "d");
    for (first, next, expect) in [
        (json!({ "limit": 2, "startFromHead": true }), "nextForwardToken", ["a b", "c d", "e", ""]),
        (json!({ "limit": 2 }), "nextBackwardToken", ["d e", "b c", "a", ""]),
    ] {
        let mut page = get(&scene, first);
        for expect in expect {
            assert_eq!(messages(&page), expect);
            let token = page[next].clone();
            let before = page;
            page = get(&scene, json!({ "limit": 2, "nextToken": token }));
            // Its end is known by a token that stays.
            assert!(!expect.is_empty() || page[next] == before[next], "{page} {before}");
        }
    }
    // One turns round: what comes is what came before.
    let last = get(&scene, json!({ "limit": 2 }));
    let back = get(&scene, json!({ "limit": 2, "nextToken": last["nextBackwardToken"] }));
    assert_eq!(messages(&get(&scene, json!({ "limit": 2, "nextToken": back["nextForwardToken"] }))), "d e");
    let head = get(&scene, json!({ "limit": 3, "startFromHead": true }));
    let on = get(&scene, json!({ "limit": 3, "nextToken": head["nextForwardToken"] }));
    assert_eq!(messages(&get(&scene, json!({ "limit": 3, "nextToken": on["nextBackwardToken"] }))), "a b c");
    // What is said later is found where the last page ended.
    scene.lines.push(line("f", 2, 30, "f"));
    assert_eq!(messages(&get(&scene, json!({ "nextToken": on["nextForwardToken"] }))), "f");
}

#[test]
fn what_is_not_there_or_not_right_is_refused() {
    let scene = Scene::new(&[]);
    let check = |operation: &str, input: Value, expect: &str| {
        let (status, code) = scene.ask(operation, input.clone()).refusal();
        assert_eq!((status, code.as_str()), (if expect == "NotImplemented" { 501 } else { 400 }, expect), "{operation} {input}");
    };
    check("FilterLogEvents", json!({ "logGroupName": "/aws/lambda/none" }), "ResourceNotFoundException");
    check("FilterLogEvents", json!({}), "InvalidParameterException");
    for wrong in [
        json!({ "filterPattern": "{ $.a = 1 }" }),
        json!({ "nextToken": "x" }),
        json!({ "limit": 0 }),
        json!({ "limit": "1" }),
        json!({ "startTime": -1 }),
        json!({ "logStreamNames": ["a"], "logStreamNamePrefix": "a" }),
    ] {
        let mut input = json!({ "logGroupName": "shared" });
        input.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        check("FilterLogEvents", input, "InvalidParameterException");
    }
    check("GetLogEvents", json!({ "logGroupName": "shared", "logStreamName": "s", "nextToken": "f/1" }), "InvalidParameterException");
    check("CreateLogGroup", json!({ "logGroupName": "x" }), "NotImplemented");
    check("PutRetentionPolicy", json!({}), "NotImplemented");
    let asked = ask("POST", "/", "Logs_20140328.DescribeLogGroups", "[");
    assert_eq!(play(answer(asked), |what| Ok(scene.carry_out(what))).refusal(), (400, "SerializationException".into()));
}
