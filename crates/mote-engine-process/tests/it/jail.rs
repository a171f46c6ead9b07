//! What a process in a jail sees, has and can do: asked from inside, as root and as an ordinary user.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use mote_core::function::Isolation;
use mote_engine_process::doctor_of;
use serde_json::Value;

use crate::house::House;

/// Python, as it can look at everything without a tool of the host.
const PROBE: &str = include_str!("probe.py");

async fn probe() -> Value {
    let house = House::new();
    std::fs::write(house.place.path().join("secret"), "secret").unwrap();
    let file = format!("#!/usr/bin/env python3\nPLACE = {:?}\n{PROBE}", house.place.path().display().to_string());
    let function = house.function("executable", "probe", |f| {
        f.limits.tmp_bytes = 4 << 20;
        f.limits.open_files = 77;
        f.limits.processes = 20;
        f.limits.memory_bytes = 200 << 20;
    });
    let (f, _) = house.deploy(function, &[("probe", &file)]).await.unwrap();
    let text = house.call(&f, "", "").await.unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn check(seen: &Value) {
    let is = |name: &str, expect: Value| assert_eq!(seen[name], expect, "{name} of {seen:#}");
    is("uid", 64100.into());
    is("gid", 64100.into());
    is("can become root", false.into());
    is("capabilities", serde_json::json!(["0", "0", "0", "0", "0"]));
    is("no new privileges", 1.into());
    is("can make a user namespace", false.into());
    is("can mount", false.into());
    is("can unmount", serde_json::json!([]));
    is("can write to", serde_json::json!(["/dev/shm", "/tmp"]));
    is("sees of the host", serde_json::json!([]));
    is("sees secret", false.into());
    is("can trace init", false.into());
    is("can open init's binary", false.into());
    is("interfaces", serde_json::json!(["lo"]));
    is("network", "ECONNRESET".into());
    is("gateway", "hello f".into());
    is("hostname", "mote".into());
    is("cwd", "/code".into());
    is("open files", serde_json::json!([0, 1, 2]));
    is("ignored signals", "0".into());
    // A host that counts processes by groups lets each process's own limit come after that.
    let processes = seen["limits"][1].as_u64().filter(|processes| [20, 36].contains(processes));
    is("limits", serde_json::json!([77, processes, 200 << 20, 1]));
    is("tmp ends", true.into());
    is("umask", 0o022.into());
    is("session leader", true.into());
    is(
        "environment",
        serde_json::json!([
            "AWS_ACCESS_KEY_ID",
            "AWS_DEFAULT_REGION",
            "AWS_ENDPOINT_URL",
            "AWS_REGION",
            "AWS_SECRET_ACCESS_KEY",
            "HOME",
            "LANG",
            "MOTE_FUNCTION",
            "MOTE_NAMESPACE",
            "MOTE_QUERY",
            "MOTE_VERSION",
            "PATH",
            "TMPDIR"
        ]),
    );
    let pids = seen["pids"].as_array().unwrap().len();
    assert_eq!(pids, 2, "init and the function itself: {seen:#}");
    let root: Vec<&str> = seen["root"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for name in ["home", "root", "var", "srv", "boot", "sys", "run"] {
        assert!(!root.contains(&name), "{name} in {root:?}");
    }
    assert_eq!(seen["layers"], false, "/opt leads to the layers of a function, and this one has none");
}

#[tokio::test]
async fn a_function_has_nothing_but_its_own() {
    check(&probe().await);
}

/// `/usr/share` stands for a data directory that somebody put into a tree which every jail shows.
#[tokio::test]
async fn what_is_to_be_hidden_is_hidden_in_shown_trees_too() {
    let house = House::new();
    let code = "#!/bin/sh\ntest -d /usr/share && test ! -r /usr/share && test ! -x /usr/share && test -x /usr/bin && echo hidden\n";
    let (f, _) = house.deploy(house.function("executable", "f", |_| {}), &[("f", code)]).await.unwrap();
    assert_eq!(house.call(&f, "", "").await.unwrap(), "hidden\n");
}

/// The same test again, by somebody without any right: a copy of this test and its jail, run as `nobody`.
#[test]
fn an_ordinary_user_gets_the_same_jail() {
    if !rustix::process::geteuid().is_root() {
        // Then the test above was this one.
        return;
    }
    let place = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let copy = |from: &Path, name: &str| {
        let to = place.path().join(name);
        std::fs::copy(from, &to).unwrap();
        to
    };
    let test = copy(&std::env::current_exe().unwrap(), "test");
    let jail = copy(Path::new(env!("CARGO_BIN_EXE_mote-jail-for-tests")), "jail");
    let without_filter = copy(Path::new(env!("CARGO_BIN_EXE_mote-jail-without-filter-for-tests")), "jail-without-filter");
    let work = place.path().join("work");
    std::fs::create_dir(&work).unwrap();
    std::os::unix::fs::chown(&work, Some(65534), Some(65534)).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all"])
        .arg(&test)
        .args(["--exact", "--test-threads=1"])
        .args(["jail::a_function_has_nothing_but_its_own", "executables::a_script_answers"])
        .args(["install::pip_installs_once_for_the_same_content", "install::npm_installs_once_for_the_same_content"])
        .args(["install::code_that_pip_runs_is_in_a_jail", "install::code_that_npm_runs_is_in_a_jail"])
        .args(["install::a_deploy_that_is_dropped_leaves_no_process_and_no_file", "install::users_files_are_honoured"])
        .args(["confinement::no_function_gets_past_the_filter", "confinement::ordinary_programs_find_what_they_need"])
        .args(["confinement::strict_is_everything_or_is_refused", "confinement::a_share_of_the_cpu_is_all_there_is"])
        .args(["limits::a_caller_hears_which_limit_it_was_and_the_next_one_gets_a_new_instance", "limits::programs_hear_of_theirs_too"])
        .args(["servers::two_servers_listen_on_one_port", "servers::any_family_can_be_a_server"])
        .args(["servers::a_server_that_dies_is_told_and_replaced", "servers::a_deadline_cuts_the_call_and_spares_a_server_that_notices"])
        .args(["spares::a_function_can_not_tell_whether_its_interpreter_waited_for_it", "leaks::hundreds_of_cold_starts_leave_nothing"])
        .args(["pulls::a_runtime_is_given_its_calls_one_after_the_other"])
        .args(["sealed::without_a_way_out_a_function_that_wants_none_has_all_the_rest"])
        .env("MOTE_TEST_JAIL", &jail)
        .env("MOTE_TEST_JAIL_WITHOUT_FILTER", &without_filter)
        .env("TMPDIR", &work)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("22 passed"), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_doctor_finds_every_barrier() {
    let barriers = doctor_of(crate::house::jail().as_ref());
    let standard: Vec<_> = barriers.iter().filter(|barrier| barrier.required == Isolation::Standard).collect();
    assert!(standard.iter().all(|barrier| barrier.enforced), "{barriers:#?}");
    assert_eq!((standard.len(), barriers.len()), (8, 14));
    assert!(barriers.iter().all(|barrier| barrier.enforced || (barrier.instead.is_some() && barrier.hint.is_some())), "{barriers:#?}");
}

/// A host that can't give a user namespace: the doctor names it, and nothing runs.
#[test]
fn the_doctor_names_what_is_missing() {
    let place = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let jail = place.path().join("jail");
    std::fs::copy(crate::house::jail(), &jail).unwrap();
    // In a user namespace without a right to make more, even root is an ordinary user.
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c", "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$0\""])
        .arg(&jail)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let barriers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(barriers[0]["name"], "user namespace");
    assert_eq!(barriers[0]["enforced"], false, "{barriers:#?}");
    assert!(barriers[0]["hint"].is_string(), "{barriers:#?}");
}
