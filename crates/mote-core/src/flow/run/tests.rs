//! Runs without a queue: calls are answered at once, children run to their end one after the other.

mod random;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::clock::Id;
use crate::flow::{Arm, Branch, Each, NamedSteps, Parallel};
use crate::function::Name;
use crate::topic::filter::Filter;

/// What functions answer: by name and input.
type Answer<'a> = dyn Fn(&str, &Value) -> Result<Value, Code> + 'a;

fn event() -> StoredEvent {
    StoredEvent::new(Id(1), "/test", "test", Timestamp(0))
}

pub(super) fn step(name: &str, kind: Kind) -> Step {
    Step { name: name.to_owned(), kind, catch: Catch::default() }
}

pub(super) fn call(name: &str) -> Step {
    step(name, Kind::Call(Call { function: Name::new(name).unwrap(), input: None, output: Output::Replace, retry: None }))
}

fn template(value: Value) -> Template {
    Template::new(value).unwrap()
}

fn caught(step: Step, by: Vec<Step>) -> Step {
    Step { catch: Catch { steps: by, on: Vec::new() }, ..step }
}

fn each(steps: Vec<Step>, collect: bool) -> Step {
    step("each", Kind::Each(Each { of: "$".parse().unwrap(), steps, width: 2, collect, output: Output::Replace }))
}

/// Runs it to its end. What is kept between two steps is written and read again each time.
pub(super) fn finish(flow: &Flow, mut run: Run, mut data: Data, answer: &Answer<'_>, left: &mut u32) -> (Result<Data, StepError>, Run) {
    let (mut now, event) = (Timestamp(1000), event());
    loop {
        *left = left.checked_sub(1).expect("the run comes to an end");
        run = serde_json::from_slice(&serde_json::to_vec(&run).unwrap()).unwrap();
        let mut machine = Machine { flow, run: &mut run, data: &mut data, event: &event, now };
        let told = match machine.advance() {
            Next::Call { call, input, .. } => {
                let name = call.function.as_str();
                let output = answer(name, &input.part()).map(|value| Data::json(&value)).map_err(|code| StepError::new(name, code, "no"));
                machine.done(output, 1)
            }
            Next::Start(children) => fan_out(&mut machine, children, answer, left),
            Next::Wait(at) => {
                now = at.max(now);
                machine.now = now;
                machine.waited();
                Ok(())
            }
            Next::End(Ok(())) => return (Ok(data), run),
            Next::End(Err(error)) => Err(error),
        };
        if let Err(error) = told {
            return (Err(error), run);
        }
    }
}

/// Some at a time, each to its end.
fn fan_out(machine: &mut Machine<'_, '_>, mut children: Children, answer: &Answer<'_>, left: &mut u32) -> Result<(), StepError> {
    assert!(children.width >= 1 && children.total >= 1);
    while !children.all_over() {
        let next = children.next(0);
        for (index, (run, data)) in next.clone().zip(machine.children(next.clone()).unwrap()) {
            let result = finish(machine.flow, run, data, answer, left).0;
            if let Some(error) = result.clone().err().filter(|_| machine.stops_at_a_failure()) {
                return machine.child_failed(error);
            }
            children.begun = index + 1;
            if let Err(error) = machine.keep(&mut children, index, result) {
                return machine.child_failed(error);
            }
        }
    }
    machine.gathered(children.over.into_values().collect())
}

/// `double` and `inc` reckon, `count` counts a list, `no` fails, everything else says its name.
fn answer(name: &str, input: &Value) -> Result<Value, Code> {
    match name {
        "double" => Ok(json!(input.as_i64().unwrap_or_default() * 2)),
        "inc" => Ok(json!(input.as_i64().unwrap_or_default() + 1)),
        "count" => Ok(json!(input.as_array().map(Vec::len))),
        "no" => Err(Code::FunctionFailed),
        "late" => Err(Code::FunctionTimeout),
        "echo" => Ok(input.clone()),
        other => Ok(json!(other)),
    }
}

fn run(steps: Vec<Step>, body: Value) -> (Result<Value, StepError>, Vec<String>) {
    run_flow(Flow { steps, catch: Catch::default() }, body)
}

fn run_flow(flow: Flow, body: Value) -> (Result<Value, StepError>, Vec<String>) {
    let (end, run) = finish(&flow, Run::new(Timestamp(0)), Data::json(&body), &answer, &mut 10_000);
    let journal = run.journal.iter().map(|entry| format!("{} {:?}", entry.step, entry.state).to_lowercase()).collect();
    (end.map(|data| data.part()), journal)
}

fn check(steps: Vec<Step>, body: Value, expect: Value) {
    assert_eq!(run(steps.clone(), body).0, Ok(expect), "{steps:?}");
}

fn check_failed(steps: Vec<Step>, body: Value, at: &str, code: &str) {
    let error = run(steps.clone(), body).0.unwrap_err();
    assert_eq!((error.step.as_str(), error.code.as_str()), (at, code), "{steps:?}");
}

#[test]
fn the_output_of_one_is_the_input_of_the_next() {
    check(vec![call("double"), call("inc")], json!(3), json!(7));
    let (_, journal) = run(vec![call("double"), call("inc")], json!(3));
    assert_eq!(journal, ["double succeeded", "inc succeeded"]);
    check_failed(vec![call("double"), call("no"), call("inc")], json!(3), "no", "function-failed");
}

#[test]
fn a_call_takes_what_it_is_given_and_its_output_goes_where_it_is_told() {
    let with = |input: Option<Value>, output: Output| {
        let input = input.map(template);
        vec![step("s", Kind::Call(Call { function: Name::new("double").unwrap(), input, output, retry: None }))]
    };
    let body = json!({"n": 4, "keep": true});
    check(with(Some(json!("$.n")), Output::Replace), body.clone(), json!(8));
    check(with(Some(json!("$.n")), Output::Discard), body.clone(), body.clone());
    let into = || Output::Into("$.out.twice".parse().unwrap());
    check(with(Some(json!("$.n")), into()), body, json!({"n": 4, "keep": true, "out": {"twice": 8}}));
    check_failed(with(None, into()), json!([1]), "s", "flow-failed");
    check_failed(with(None, into()), json!({"out": 3}), "s", "flow-failed");
}

#[test]
fn the_first_arm_that_holds_is_taken() {
    let arm = |value: Value, then: &str| Arm {
        when: vec![Filter::read(json!({ "type": ["test"], "data": [value] })).unwrap()],
        steps: vec![call(then)],
    };
    let branch = |otherwise: Vec<Step>| {
        vec![step("b", Kind::Branch(Branch { arms: vec![arm(json!(1), "double"), arm(json!(2), "inc")], otherwise })), call("inc")]
    };
    check(branch(Vec::new()), json!(1), json!(3));
    check(branch(Vec::new()), json!(2), json!(4));
    check(branch(Vec::new()), json!(7), json!(8));
    check(branch(vec![call("double")]), json!(7), json!(15));
}

#[test]
fn a_list_goes_through_in_order() {
    check(vec![each(vec![call("double"), call("inc")], false)], json!([1, 2, 3]), json!([3, 5, 7]));
    check(vec![each(vec![each(vec![call("inc")], false), call("count")], false)], json!([[1], [2, 3], []]), json!([1, 2, 0]));
    check(vec![each(vec![call("no")], false), call("count")], json!([]), json!(0));
    check_failed(vec![each(vec![call("inc")], false)], json!({"a": 1}), "each", "flow-failed");
    check_failed(vec![each(vec![call("inc")], false)], json!((0..1001).collect::<Vec<_>>()), "each", "flow-failed");
    check_failed(vec![each(vec![call("no")], false)], json!([1]), "no", "function-failed");
    let failed = json!({"error": {"code": "function-failed", "message": "no", "step": "no"}});
    check(vec![each(vec![call("no")], true)], json!([1, 2]), json!([failed, failed]));
    check(vec![each(vec![call("no")], true), call("count")], json!([1, 2]), json!(2));
}

#[test]
fn fan_outs_within_one_another_have_a_bound_together() {
    let flow = Flow { steps: vec![each(vec![call("a")], false)], catch: Catch::default() };
    let starts = |siblings: u64| {
        let (mut run, mut data) = (Run { siblings, ..Run::new(Timestamp(1)) }, Data::json(&json!([1, 2])));
        let event = event();
        let mut machine = Machine { flow: &flow, run: &mut run, data: &mut data, event: &event, now: Timestamp(1) };
        let next = machine.advance();
        (next.clone(), machine.children(0..2).unwrap())
    };
    assert!(matches!(starts(check::RUNS_MAX / 2).0, Next::Start(Children { total: 2, .. })));
    assert!(starts(check::RUNS_MAX / 2).1.iter().all(|(run, _)| run.siblings == check::RUNS_MAX));
    assert!(matches!(starts(check::RUNS_MAX / 2 + 1).0, Next::End(Err(error)) if error.code == Code::FlowFailed.slug()));
}

#[test]
fn branches_run_side_by_side_on_the_whole_body() {
    let branch = |name: &str, steps: Vec<Step>| NamedSteps { name: name.to_owned(), steps };
    let parallel = |collect| {
        let branches = vec![branch("a", vec![call("double")]), branch("b", vec![call("no")])];
        vec![step("p", Kind::Parallel(Parallel { branches, collect, output: Output::Replace }))]
    };
    let good = vec![branch("a", vec![call("double")]), branch("b", vec![step("end", Kind::Succeed), call("no")])];
    let good = step("p", Kind::Parallel(Parallel { branches: good, collect: false, output: Output::Replace }));
    check(vec![good], json!(4), json!({"a": 8, "b": 4}));
    check_failed(parallel(false), json!(4), "no", "function-failed");
    check(parallel(true), json!(4), json!({"a": 8, "b": {"error": {"code": "function-failed", "message": "no", "step": "no"}}}));
}

#[test]
fn the_nearest_catch_takes_a_failure_and_the_run_goes_on_behind_its_step() {
    check(vec![caught(call("no"), vec![call("sorry")]), call("echo")], json!(1), json!("sorry"));
    let (end, journal) = run(vec![caught(call("no"), vec![call("echo")])], json!({"a": 1}));
    assert_eq!(end, Ok(json!({"error": {"code": "function-failed", "message": "no", "step": "no"}, "input": {"a": 1}})));
    assert_eq!(journal, ["no failed", "echo succeeded"]);
    // A catch does not take what fails in it; the one around does.
    check_failed(vec![caught(call("no"), vec![call("late")])], json!(1), "late", "function-timeout");
    let within = each(vec![caught(call("no"), vec![call("late")])], false);
    check(vec![caught(within, vec![call("outer")])], json!([1]), json!("outer"));
    // Only what it is for.
    let picky = Step { catch: Catch { steps: vec![call("x")], on: vec![super::super::Failure::Timeout] }, ..call("no") };
    check_failed(vec![picky.clone()], json!(1), "no", "function-failed");
    check(vec![Step { kind: call("late").kind, ..picky }], json!(1), json!("x"));
}

#[test]
fn a_flows_catch_takes_what_no_step_took_and_ends_the_run() {
    let flow = |by: Vec<Step>| Flow { steps: vec![call("no"), call("never")], catch: Catch { steps: by, on: Vec::new() } };
    assert_eq!(run_flow(flow(vec![call("sorry")]), json!(1)).0, Ok(json!("sorry")));
    let error = run_flow(flow(vec![call("late")]), json!(1)).0.unwrap_err();
    assert_eq!(error.step, "late");
    let list = Flow { steps: vec![each(vec![call("no")], false)], ..flow(vec![call("sorry")]) };
    assert_eq!(run_flow(list, json!([1, 2])).0, Ok(json!("sorry")), "a child's failure is its parent's");
}

#[test]
fn bodies_are_set_replaced_and_ended() {
    check(vec![step("set", Kind::Set(template(json!({"b": "$.a", "c": 1}))))], json!({"a": 7}), json!({"a": 7, "b": 7, "c": 1}));
    check_failed(vec![step("set", Kind::Set(template(json!({"b": 1}))))], json!([]), "set", "flow-failed");
    check(vec![step("body", Kind::Body(template(json!("hello"))))], json!(1), json!("hello"));
    check(vec![step("body", Kind::Body(template(json!({"was": "$"}))))], json!(1), json!({"was": 1}));
    check(vec![step("end", Kind::Succeed), call("no")], json!(1), json!(1));
    check_failed(vec![step("f", Kind::Fail("enough".into()))], json!(1), "f", "flow-failed");
    check(vec![caught(step("f", Kind::Fail("enough".into())), vec![call("echo2")])], json!(1), json!("echo2"));
}

#[test]
fn a_body_has_a_largest_size() {
    let large = |_: &str, _: &Value| Ok(json!("x".repeat(BODY_BYTES_MAX)));
    let flow = Flow { steps: vec![call("large")], catch: Catch::default() };
    let (end, run) = finish(&flow, Run::new(Timestamp(0)), Data::default(), &large, &mut 10);
    let error = end.unwrap_err();
    assert!(error.step == "large" && error.message.contains("1048578 bytes"), "{error:?}");
    assert_eq!(run.step, "large", "it can be tried again there");
}

#[test]
fn a_wait_ends_at_its_time() {
    let wait = |wait: Wait| vec![step("w", Kind::Wait(wait))];
    let at = |steps: Vec<Step>, body: Value| {
        let flow = Flow { steps, catch: Catch::default() };
        let (mut run, mut data) = (Run::new(Timestamp(0)), Data::json(&body));
        match (Machine { flow: &flow, run: &mut run, data: &mut data, event: &event(), now: Timestamp(500) }).advance() {
            Next::Wait(at) => Ok(at.0),
            Next::End(Err(error)) => Err(error.step),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(at(wait(Wait::For { ms: 250 }), json!(1)), Ok(750));
    let until = || wait(Wait::Until { at: "$.at".parse().unwrap() });
    assert_eq!(at(until(), json!({"at": 7000})), Ok(7000));
    assert_eq!(at(until(), json!({"at": "1970-01-01T00:00:09+00:00"})), Ok(9000));
    for wrong in [json!({}), json!({"at": "soon"}), json!({"at": -1}), json!({"at": u64::MAX})] {
        assert_eq!(at(until(), wrong), Err("w".to_owned()));
    }
    check(until(), json!({"at": 7000}), json!({"at": 7000}));
}

#[test]
fn children_are_counted_as_they_end() {
    let mut children = Children::of(5, 2);
    let open = |children: &Children| children.open().collect::<Vec<_>>();
    assert_eq!((children.next(0), children.next(1), children.next(2)), (0..2, 0..1, 0..0));
    children.begun = 2;
    children.over.insert(1, Part::Good("1".into()));
    assert_eq!((open(&children), children.next(1)), (vec![0], 2..3));
    children.begun = 5;
    for index in [0, 2, 4, 3] {
        assert!(!children.all_over());
        children.over.insert(index, Part::Good("1".into()));
    }
    assert!(children.all_over() && open(&children).is_empty() && children.next(0).is_empty());
}

#[test]
fn what_children_bring_together_has_a_largest_size() {
    let third = |_: &str, _: &Value| Ok(json!("x".repeat(BODY_BYTES_MAX / 3)));
    let brings = |output: Output| {
        let all = Each { of: "$".parse().unwrap(), steps: vec![call("third")], width: 2, collect: false, output };
        let flow = Flow { steps: vec![step("all", Kind::Each(all))], catch: Catch::default() };
        finish(&flow, Run::new(Timestamp(0)), Data::json(&json!([1, 2, 3, 4])), &third, &mut 100).0
    };
    assert!(brings(Output::Replace).unwrap_err().message.contains("a flow carries"));
    assert_eq!(brings(Output::Discard).map(|data| data.part()), Ok(json!([1, 2, 3, 4])));
}

#[test]
fn a_step_that_makes_too_much_of_its_body_fails_and_no_more() {
    let again = |kind: fn(Template) -> Kind| {
        check_failed(vec![step("s", kind(template(json!({"a": vec!["$"; 5000]}))))], json!({"b": "x".repeat(1000)}), "s", "flow-failed")
    };
    again(Kind::Body);
    again(Kind::Set);
    again(|it| Kind::Call(Call { function: Name::new("echo").unwrap(), input: Some(it), output: Output::Replace, retry: None }));
}

#[test]
fn the_ids_of_children_are_their_own_and_always_the_same() {
    let (run, own) = (Run::new(Timestamp(0)), Id(0x0192_0000_0000_7000_8000_0000_0000_0001));
    let ids: BTreeSet<Id> = (0..1000).map(|index| run.child_id(own, index)).collect();
    assert!(ids.len() == 1000 && ids.iter().all(|id| id.0 >> 64 == own.0 >> 64));
    let moved = Run { place: vec![Frame { block: 0, at: 1 }], ..run.clone() };
    assert!(moved.child_id(own, 0) != run.child_id(own, 0) && run.clone().child_id(own, 0) == run.child_id(own, 0));
}
