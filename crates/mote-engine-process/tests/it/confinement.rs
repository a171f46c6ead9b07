//! What a function can't do, tried from inside; and what ordinary programs can.

use std::path::Path;

use mote_core::Code;
use mote_core::function::Isolation;
use mote_engine_process::doctor_of;
use serde_json::Value;

use crate::house::House;

const FORBIDDEN: &str = include_str!("forbidden.py");

async fn tries(isolation: Isolation) -> Value {
    let house = House::new();
    let function = house.function("executable", "f", |f| f.isolation = isolation);
    let script = format!("#!/usr/bin/python3\n{FORBIDDEN}");
    let (f, _) = house.deploy(function, &[("f", &script)]).await.unwrap();
    let text = house.call(&f, "", "").await.unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn check(seen: &Value) {
    let refused = [
        ("clone3", "ENOSYS"),
        ("vsock", "EAFNOSUPPORT"),
        ("alg", "EAFNOSUPPORT"),
        ("netfilter", "EAFNOSUPPORT"),
        ("by 32 bits", "SIGSYS"),
        ("by x32", "SIGSYS"),
        ("writes /tmp/x", "done"),
        ("writes /dev/shm/x", "done"),
        ("writes /dev/null", "done"),
    ];
    for (name, outcome) in seen.as_object().unwrap() {
        let Some(outcome) = outcome.as_str() else { continue };
        match refused.iter().find(|(known, _)| known == name) {
            Some((_, wanted)) => assert_eq!(outcome, *wanted, "{name}"),
            None if name.starts_with("writes ") => assert!(["EACCES", "EROFS"].contains(&outcome), "{name}: {outcome}"),
            None if ["splice", "shmget", "route"].contains(&name.as_str()) => {}
            None => assert_eq!(outcome, "EPERM", "{name}"),
        }
    }
    assert_eq!(seen["seccomp"], serde_json::json!(["2"]));
    assert_eq!(seen["groups"], serde_json::json!(["/"]), "no group of the host has a name in here");
    assert_eq!(seen["uptime below a minute"], Path::new("/proc/self/ns/time").exists());
}

#[tokio::test]
async fn no_function_gets_past_the_filter() {
    let seen = tries(Isolation::Standard).await;
    check(&seen);
    assert_eq!(seen["splice"], "done");
    assert_eq!(seen["route"], "done");
}

/// All of it or nothing: a host that lacks a barrier says which.
#[tokio::test]
async fn strict_is_everything_or_is_refused() {
    let house = House::new();
    let function = house.function("executable", "f", |f| {
        f.isolation = Isolation::Strict;
        f.limits.cpu_millis = 500;
    });
    let deployed = house.deploy(function, &[("f", "#!/bin/sh\necho here\n")]).await;
    let barriers = doctor_of(&crate::house::jail());
    let missing: Vec<_> = barriers.iter().filter(|barrier| !barrier.enforced).collect();
    match (deployed, missing.first()) {
        (Ok((f, prepared)), None) => {
            assert_eq!(house.call(&f, "", "").await.unwrap(), "here\n");
            let names: Vec<_> = barriers.iter().map(|barrier| barrier.name).collect();
            assert_eq!(prepared.isolation, names);
            let seen = tries(Isolation::Strict).await;
            check(&seen);
            assert_eq!((&seen["splice"], &seen["shmget"]), (&"EPERM".into(), &"EPERM".into()));
            assert_eq!(seen["route"], "EAFNOSUPPORT");
        }
        (Err(error), Some(missing)) => {
            assert_eq!(error.code(), Code::Unsupported);
            assert!(error.detail().contains(missing.name) && error.detail().contains(&missing.why), "{error}");
        }
        (deployed, missing) => panic!("{:?} and yet {missing:?}", deployed.map(|(_, prepared)| prepared.isolation)),
    }
}

/// With a quota it gets so little; without one it gets no more cores, and can't take them either.
#[tokio::test]
async fn a_share_of_the_cpu_is_all_there_is() {
    let house = House::new();
    let script = "#!/usr/bin/python3\nimport os, time\nbegun, used = time.monotonic(), time.process_time()\n\
                  while time.monotonic() - begun < 1: pass\n\
                  print(len(os.sched_getaffinity(0)), time.process_time() - used)\n";
    let function = house.function("executable", "f", |f| f.limits.cpu_millis = 250);
    let (f, prepared) = house.deploy(function, &[("f", script)]).await.unwrap();
    let said = house.call(&f, "", "").await.unwrap();
    let mut words = said.split_whitespace().map(|word| word.parse::<f64>().unwrap());
    let (cores, used) = (words.next().unwrap(), words.next().unwrap());
    if prepared.isolation.iter().any(|barrier| barrier == "CPU quota") {
        assert!(used < 0.6, "{used} seconds of one");
    } else {
        assert!((cores - 1.0).abs() < f64::EPSILON, "{cores} cores");
    }
}

/// What programs of every kind do all day must go on working.
#[tokio::test]
async fn ordinary_programs_find_what_they_need() {
    let house = House::new();
    let script = r#"#!/usr/bin/python3
import asyncio, ctypes, mmap, multiprocessing, os, socket, sqlite3, subprocess, sys, tempfile, threading

def double(n):
    return 2 * n

async def work():
    process = await asyncio.create_subprocess_exec("/bin/echo", "sub", stdout=subprocess.PIPE)
    out, _ = await process.communicate()
    return out.strip().decode()

if __name__ == "__main__":
    done = [asyncio.run(work())]
    with multiprocessing.Pool(2) as pool:
        done.append(sum(pool.map(double, range(5))))
    base = sqlite3.connect("/tmp/base.db")
    base.execute("pragma journal_mode = wal")
    base.execute("create table t (n)")
    base.execute("insert into t values (7)")
    base.commit()
    done.append(base.execute("select n from t").fetchone()[0])
    threads = [threading.Thread(target=done.append, args=("thread",)) for _ in range(3)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    listener = socket.create_server(("127.0.0.1", 0))
    socket.create_connection(listener.getsockname()).close()
    done.append(socket.getaddrinfo("localhost", 80)[0][4][0])
    left, right = socket.socketpair()
    done.append(subprocess.run("git --version >/dev/null && echo git || echo none", shell=True, capture_output=True, text=True).stdout.strip())
    print(*done)
"#;
    let (f, _) = house.deploy(house.function("executable", "f", |_| {}), &[("f", script)]).await.unwrap();
    let text = house.call(&f, "", "").await.unwrap();
    assert!(text.starts_with("sub 20 7 thread thread thread"), "{text}");
    let node = "exports.f = async () => {\n  const { Worker } = require('worker_threads');\n  const { execFileSync } = require('child_process');\n  \
                const said = await new Promise((done, failed) => new Worker(\"require('worker_threads').parentPort.postMessage('worker')\", \
                { eval: true }).on('message', done).on('error', failed));\n  require('fs').writeFileSync('/tmp/x', 'y');\n  \
                return said + ' ' + execFileSync('/bin/echo', ['sub']).toString().trim() + ' ' + require('os').networkInterfaces().lo.length;\n};\n";
    let (f, _) = house.deploy(house.function("node", "f.cjs:f", |_| {}), &[("f.cjs", node)]).await.unwrap();
    assert!(house.call(&f, "", "").await.unwrap().starts_with("worker sub "));
}
