//! Attacks by not ending: in the import, against signals, past the call.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Attack, attacks};
use crate::ground::Case;

pub(super) const ATTACKS: &[Attack] =
    attacks![endless_init, ignored_signals, daemon_of_a_program, daemon_of_an_instance, stopped_processes, forged_frames, deaf_runner];

/// A deploy that would wait for ever ends, and says why.
fn endless_init(case: &Case<'_>) {
    let manifest =
        format!("name = \"{}\"\nruntime = \"python\"\nentry = \"f.py\"\ntimeout = \"1s\"\n[env]\nMARK = \"{}\"\n", case.name, case.mark);
    let begun = Instant::now();
    let run = case.program(case.name, &[("mote.toml", &manifest), ("f.py", include_str!("../attacks/endless_init.py"))]);
    assert_ne!(run.code, 0, "{run:?}");
    assert!(format!("{run:?}").contains("function-start-failed"), "{run:?}");
    assert!(begun.elapsed() < Duration::from_secs(30), "it took {:?}", begun.elapsed());
}

fn ignored_signals(case: &Case<'_>) {
    let attacker = case.attacker("timeout = \"2s\"\nprocesses = 40", include_str!("../attacks/ignored_signals.py"));
    assert_eq!(attacker.attack().is(504).code(), "function-timeout");
    case.ground.traces.none_called(&case.mark);
}

/// The call of a program ends with its first process; what it left behind ends with it.
fn daemon_of_a_program(case: &Case<'_>) {
    let manifest = format!("name = \"{}\"\nruntime = \"executable\"\nentry = \"daemon\"\n[env]\nMARK = \"{}\"\n", case.name, case.mark);
    case.program(case.name, &[("mote.toml", &manifest), ("daemon", include_str!("../attacks/daemon.py"))]).ok();
    let reply = case.ground.post(&format!("/{}", case.name), &Value::Null).is(200);
    assert!(reply.text().starts_with("left behind"), "{reply:?}");
    case.ground.traces.none_called(&case.mark);
}

/// An instance lives on after a call, and so may what it started; with the instance, all of it ends.
fn daemon_of_an_instance(case: &Case<'_>) {
    let attacker = case.attacker("idle = \"1s\"", include_str!("../attacks/daemon.py"));
    assert!(attacker.attack().is(200).text().starts_with("left behind"));
    // Nobody calls: the idle instance ends by itself.
    case.ground.traces.none_called(&case.mark);
}

/// Stopped and traced by themselves, processes can't be asked; they are killed all the same.
fn stopped_processes(case: &Case<'_>) {
    let attacker = case.attacker("timeout = \"2s\"\nprocesses = 40", include_str!("../attacks/stopped_processes.py"));
    assert_eq!(attacker.attack().is(504).code(), "function-timeout");
    case.ground.traces.none_called(&case.mark);
}

/// What code writes to its runner's wire itself ends the instance, and the log says so.
fn forged_frames(case: &Case<'_>) {
    let attacker = case.attacker("timeout = \"5s\"", include_str!("../attacks/forged_frames.py"));
    for how in ["huge", "of_no_kind", "ready_again", "endless_head", "credit", "garbage"] {
        let reply = attacker.call(how);
        assert!((500..600).contains(&reply.status), "{how}: {reply:?}");
    }
    attacker.logs("protocol");
    // A reply to another call of its own instance is its own affair; to one that there is not, nobody's.
    let other = attacker.call("of_another_call");
    assert!(other.status == 200 || (500..600).contains(&other.status), "{other:?}");
}

/// The runner reads no more: what is sent to it waits, bounded, and the callers are told in time.
fn deaf_runner(case: &Case<'_>) {
    let attacker = case.attacker("timeout = \"2s\"\nconcurrency = 20", include_str!("../attacks/deaf_runner.py"));
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..20).map(|_| scope.spawn(|| attacker.with(&json!({ "how": "run", "what": "x".repeat(1 << 18) })))).collect();
        for call in calls {
            let reply = call.join().expect("a call");
            assert!(reply.status >= 500, "{reply:?}");
        }
    });
    case.ground.traces.none_called(&case.mark);
}
