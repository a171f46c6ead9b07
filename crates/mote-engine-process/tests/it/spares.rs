//! Jails made ahead of need: when there are some, and that a function can't tell.

use std::sync::Arc;
use std::time::Duration;

use mote_core::clock::{Clock, SystemClock};
use mote_core::engine::Engine;
use mote_core::function::Function;
use mote_testkit::FakeClock;
use serde_json::Value;

use crate::house::House;

const PYTHON: &str = r#"
import os, sys, resource
LOGGING = "logging" in sys.modules

def f() -> dict:
    import asyncio, concurrent.futures, json, logging, socket
    before = logging.getLogger().handlers
    return {
        "environment": list(os.environ.items()),
        "arguments": sys.argv,
        "path": sys.path,
        "original path": sys.orig_argv[1:],
        "directory": os.getcwd(),
        "files": sorted(os.listdir()),
        "main": sys.modules["__main__"].__file__,
        "logging at load": LOGGING,
        "log handlers": len(before),
        "same logging": asyncio.log.logging is logging,
        "names": [asyncio.__spec__.name, concurrent.futures.__spec__.name, logging.__loader__.__class__.__name__, socket.__name__],
        "limits": [resource.getrlimit(which) for which in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_DATA, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE)],
        "space": [os.statvfs("/tmp").f_blocks, os.statvfs("/dev/shm").f_blocks, os.statvfs("/tmp").f_files],
        "mounts": sorted(line.split()[1] + " " + line.split()[3] for line in open("/proc/mounts")),
        "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd") if os.path.lexists("/proc/self/fd/" + name)),
        "capabilities": [line for line in open("/proc/self/status") if line.startswith(("Cap", "NoNewPrivs", "Seccomp"))],
        "hidden": sorted(name for name in os.listdir("/") if not os.access("/" + name, os.R_OK)),
    }
"#;

const NODE: &str = r#"
import fs from "node:fs";
export default function f() {
  return {
    environment: Object.entries(process.env),
    arguments: process.argv,
    flags: process.execArgv,
    directory: process.cwd(),
    resolved: fs.realpathSync("f.mjs"),
    files: fs.readdirSync("."),
    main: typeof require,
    mounts: fs.readFileSync("/proc/mounts", "utf8").split("\n").map((line) => line.split(" ")[1]).sort(),
    limits: fs.readFileSync("/proc/self/limits", "utf8"),
  };
}
"#;

/// What an instance says of itself: one that was started straight, or one from the stock.
async fn seen(house: &House, runtime: &str, entry: &str, code: &str, change: impl FnOnce(&mut Function)) -> Value {
    let name = entry.split(':').next().unwrap();
    let (f, _) = house.deploy(house.function(runtime, entry, change), &[(name, code)]).await.unwrap();
    // The deploy's own instance may have been started straight; another one comes from the stock.
    stocked(house, 1).await;
    let again = Arc::new(Function { id: Clock::id(&*house.clock), ..(*f).clone() });
    let text = house.call(&again, "", "").await.unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Until so many jails wait, if any are made at all.
async fn stocked(house: &House, count: usize) {
    while house.spares && house.engine.spares() < count {
        tokio::task::yield_now().await;
    }
}

fn limited(function: &mut Function) {
    function.limits.open_files = 77;
    function.limits.processes = 40;
    function.limits.memory_bytes = 300 << 20;
    function.limits.tmp_bytes = 4 << 20;
    function.env.insert("OWN".into(), "value".into());
}

#[tokio::test]
async fn a_function_can_not_tell_whether_its_interpreter_waited_for_it() {
    for (runtime, entry, code) in [("python", "f.py:f", PYTHON), ("node", "f.mjs", NODE)] {
        let (ahead, straight) = (House::with_spares(Arc::new(SystemClock::new()), 2), House::new());
        let ahead = seen(&ahead, runtime, entry, code, limited).await;
        // A variable that an interpreter reads when it starts, at the value that it has anyway.
        let straight = seen(&straight, runtime, entry, code, |f| {
            limited(f);
            f.env.insert("LANG".into(), "C.UTF-8".into());
        })
        .await;
        assert_eq!(ahead, straight, "{runtime}");
        assert!(ahead["environment"].as_array().unwrap().contains(&serde_json::json!(["OWN", "value"])), "{ahead:#}");
    }
}

#[tokio::test]
async fn a_module_of_the_functions_own_wins_over_what_a_standby_imported() {
    let house = House::with_spares(Arc::new(SystemClock::new()), 1);
    let code = "import subprocess, logging, json\n\ndef f():\n    return [subprocess.WHOSE, logging.WHOSE, json.dumps(1)]\n";
    let files = [("f.py", code), ("subprocess.py", "WHOSE = 'own'\n"), ("logging/__init__.py", "WHOSE = 'own too'\nbasicConfig = print\n")];
    let code = "def f():\n    return 1\n";
    house.deploy(house.function("python", "g.py:f", |_| {}), &[("g.py", code)]).await.unwrap();
    stocked(&house, 1).await;
    let refused = house.deploy(house.function("python", "f.py:f", |_| {}), &files[..2]).await;
    let (f, _) = refused.unwrap();
    let again = Arc::new(Function { id: Clock::id(&*house.clock), ..(*f).clone() });
    stocked(&house, 1).await;
    let said = house.call(&again, "", "").await;
    assert!(said.as_ref().is_ok_and(|said| said.contains("AttributeError")) || said.is_err(), "{said:?}");
}

#[tokio::test]
async fn nothing_waits_without_a_function_and_the_stock_grows_with_the_starts() {
    let clock = Arc::new(FakeClock::default());
    let house = House::with_spares(clock.clone(), 3);
    assert_eq!(house.engine.spares(), 0);
    let program = house.function("executable", "f", |_| {});
    let (f, _) = house.deploy(program, &[("f", "#!/bin/true\n")]).await.unwrap();
    stocked(&house, 1).await;
    for _ in 0..5 {
        house.call(&f, "", "").await.unwrap();
    }
    stocked(&house, 3).await;
    // Nobody starts anything for half a minute, then for long.
    for (wait, left) in [(30, 1), (600, 0)] {
        clock.sleepers(1).await;
        clock.advance(Duration::from_secs(wait));
        while house.engine.spares() > left {
            tokio::task::yield_now().await;
        }
    }
    house.call(&f, "", "").await.unwrap();
    stocked(&house, 1).await;
    house.engine.stop(Duration::ZERO).await;
    assert_eq!(house.engine.spares(), 0);
}
