//! Flows as they are written, and what no flow can be.

use mote_core::Code;
use mote_core::bundle::Bundle;
use mote_core::dialect::Deployment;
use mote_core::function::Family;

use crate::plain::manifest::read;

fn deploy(manifest: &str) -> mote_core::Result<Vec<Deployment>> {
    let mut bundle = Bundle::default();
    bundle.insert("mote.toml", manifest.to_owned(), false).unwrap();
    bundle.insert("main.py", "", false).unwrap();
    Ok(read(&bundle, &Default::default())?.unwrap().functions)
}

#[test]
fn every_kind_of_step_is_read() {
    let deployments = deploy(include_str!("../../../../../../fixtures/plain/flow/mote.toml")).unwrap();
    let names: Vec<_> = deployments.iter().map(|one| (one.name.as_ref().unwrap().as_str(), one.runtime.family)).collect();
    assert_eq!(names, [("resize", Family::Python), ("photo", Family::Flow)]);
    let photo = &deployments[1];
    assert_eq!((photo.bindings.len(), photo.delivery.retry.attempts_max, photo.limits.timeout_ms), (2, 7, 60_000));
    assert!(photo.env.is_empty() && photo.http.url && photo.limits.instances_min == 0);
    let picture = photo.flow.as_ref().unwrap().picture().join("\n") + "\n";
    assert_eq!(picture, include_str!("../../../../../../fixtures/plain/flow/picture.txt"));
    // As it is stored and read again.
    let stored = serde_json::to_string(&photo.flow).unwrap();
    assert_eq!(serde_json::from_str::<Option<std::sync::Arc<mote_core::flow::Flow>>>(&stored).unwrap(), photo.flow);
}

#[test]
fn what_no_flow_can_be_is_refused_with_line_and_key() {
    let check = |text: &str, expect: &str| {
        let error = deploy(text).unwrap_err();
        let told = format!("{error} {}", error.hint_text().unwrap_or_default());
        assert!(error.code() == Code::ManifestInvalid && told.contains(expect), "{text}: {told}");
    };
    let flow = |steps: &str| format!("[[flow]]\nname = 'f'\nsteps = {steps}\n");
    check("[[flow]]\nsteps = [{ call = 'a' }]", "without a `name`");
    check("[[flow]]\nname = 'f'", "without `steps`");
    check("[[flow]]\nname = 'f'\nmemory = '1GB'\nsteps = [{ call = 'a' }]", "a flow has no key \"memory\"");
    check("entry = 'main.py'\n[[flow]]\nname = 'f'\nsteps = [{ call = 'a' }]", "at its top level, has no key \"entry\"");
    check("runtime = 'flow'\nentry = 'main.py'", "no runtime of code");
    let rated = flow("[{ call = 'a' }]") + "[flow.async]\norder_by = 'subject'\norder_rate = '1/s'\n";
    check(&rated, "line 6: `order_rate` is of a function");
    check(&flow("[]"), "line 3: `steps` holds no step");
    check(&flow("[{ name = 'x' }]"), "exactly one of call, branch");
    check(&flow("[{ call = 'a', wait = '1s' }]"), "exactly one of call, branch");
    check(&flow("[{ cal = 'a' }]"), "Did you mean `call`?");
    check(&flow("[{ call = 'a', widht = 3 }]"), "a step with `call` has no key \"widht\"");
    check(&flow("[{ call = 'a b' }]"), "names no function");
    check(&flow("[{ call = 'f' }]"), "calls itself");
    check(&flow("[{ call = 'a', name = 'x' }, { call = 'b', name = 'x' }]"), "is the name of another step");
    check(&flow("[{ call = 'a', into = 'x' }]"), "is no path into a body");
    check(&flow("[{ call = 'a', into = '$.x', discard = true }]"), "two things of one output");
    check(&flow("[{ call = 'a', input = { a = '$b' } }]"), "is no path into a body");
    check(&flow("[{ call = 'a', retry = { attempt = 3 } }]"), "Did you mean `attempts`?");
    check(&flow("[{ call = 'a', catch_on = ['timeout'] }]"), "means nothing without `catch`");
    check(&flow("[{ each = '$', steps = [{ call = 'a' }], width = 65 }]"), "1 to 64");
    check(&flow("[{ each = '$' }]"), "has no `steps`");
    check(&flow("[{ parallel = {} }]"), "has 0 branches");
    check(&flow("[{ if = {}, steps = [{ call = 'a' }] }]"), "asks nothing");
    check(&flow("[{ if = { data = { kind = 1 } }, steps = [{ call = 'a' }] }]"), "a list of values or an object at \"data.kind\"");
    check(&flow("[{ if = { data = { a = [{ above = 1 }] } }, steps = [{ call = 'a' }] }]"), "anything-but, numeric, exists, cidr");
    check(&flow("[{ if = [], steps = [{ call = 'a' }] }]"), "asks nothing");
    let arms = "{ if = { data = { a = [1, 2, 3] } }, steps = [{ call = 'a' }] },".repeat(86);
    check(&flow(&format!("[{{ branch = [{arms}] }}]")), "with 258 tests, and 256 is the limit");
    check(&flow("[{ branch = [{ steps = [{ call = 'a' }] }] }]"), "an arm without `if`");
    check(&flow("[{ wait = '400d' }]"), "a duration such as");
    check(&flow("[{ succeed = false }]"), "true is wanted");
    let deep = (0..17).fold("[{ call = 'a' }]".to_owned(), |steps, _| format!("[{{ each = '$', steps = {steps} }}]"));
    check(&flow(&deep), "steps within steps");
    let many = format!("[{}]", "{ call = 'a' },".repeat(1001));
    check(&flow(&many), "at most 1000");
    let twice = "[[function]]\nname = 'f'\nentry = 'main.py'\n".to_owned() + &flow("[{ call = 'a' }]");
    check(&twice, "two functions of one name: f");
}

#[test]
fn a_flow_has_bounds() {
    let steps = |steps: &str| deploy(&format!("[[flow]]\nname = 'f'\nsteps = {steps}\n"));
    let check = |good: &str, bad: &str, expect: &str| {
        assert!(steps(good).is_ok(), "{:?}", steps(good));
        let error = steps(bad).unwrap_err();
        assert!(error.detail().contains(expect), "{error}");
    };
    let branches = |count: u32| {
        let branches: Vec<_> = (0..count).map(|n| format!("b{n} = [{{ call = 'a' }}]")).collect();
        format!("[{{ parallel = {{ {} }} }}]", branches.join(", "))
    };
    check(&branches(32), &branches(33), "has 33 branches");
    let named = |bytes: usize| format!("[{{ call = 'a', name = '{}' }}]", "x".repeat(bytes));
    check(&named(128), &named(129), "129 bytes");
    let wait = |days: u32| format!("[{{ wait = '{}h' }}]", days * 24);
    check(&wait(366), &wait(367), "`wait` is");
    // Each of these is two bytes as it is stored.
    let texts = |count: usize| format!("[{{ body = [{}] }}]", format!("'{}',", "\"".repeat(1000)).repeat(count));
    check(&texts(100), &texts(140), "262144 is the limit");
    let arms = |count: usize| format!("[{{ branch = [{}] }}]", "{ if = { type = ['a'] }, steps = [{ call = 'a' }] },".repeat(count));
    check(&arms(256), &arms(257), "257 tests");
}

#[test]
fn steps_without_a_name_are_called_by_what_they_do() {
    let flow =
        deploy("[[flow]]\nname='f'\nsteps=[{call='a'},{call='a'},{call='b',name='a-2'},{wait='1s'}]").unwrap().remove(0).flow.unwrap();
    let names: Vec<_> = flow.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["a", "a-3", "a-2", "wait"]);
}
