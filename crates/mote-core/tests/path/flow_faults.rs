//! Kills between any two steps: the server goes away at moments that a seed chooses, with its
//! leases, its calls and now and then a write that fails; the next one finds what is on disk.
//!
//! What must hold of every history: no step is skipped, none is done out of turn, each element's
//! steps are done at least once, and the run has one end with the right result.

use std::collections::BTreeSet;
use std::time::Duration;

use mote_core::clock::Id;
use mote_core::invoke::deliver::QUEUES;
use mote_core::invoke::deliver::outcome::{CallStatus, State};
use mote_core::store::Queue;
use serde_json::json;

use crate::flows::{Calls, body, call, deliver, install_flow, send, status};
use crate::house::Scene;

/// Marsaglia's xorshift: the same again for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[test]
fn no_step_is_lost_though_the_server_dies_between_any_two() {
    let (mut kills, mut repeats) = (0, 0);
    for seed in 1..=SEEDS {
        let (killed, calls) = history(seed);
        kills += killed;
        // Of a run that nobody disturbs: `first`, two for each element, a branch each, `last`.
        repeats += calls - 24;
    }
    assert!(kills > SEEDS as usize && repeats > 10, "{kills} kills that led to {repeats} repeated calls prove little");
}

const SEEDS: u64 = 40;

/// One run to its end; how many times the server was killed, and how many calls were made.
fn history(seed: u64) -> (usize, usize) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let calls = Calls::default();
    let list: Vec<u64> = (0..10).collect();
    let (scene, id) = machine().block_on(begin(&calls, &list));
    let mut kills = 0;
    let end = loop {
        let server = machine();
        let status = server.block_on(async {
            let _stopper = deliver(&scene);
            alive(&scene, id, &mut random).await
        });
        // Nothing of it goes on: calls are cut off where they are, and leases run out.
        drop(server);
        match status {
            Some(status) => break status,
            None => scene.clock.advance(Duration::from_secs(31)),
        }
        kills += 1;
        assert!(kills < 10_000, "seed {seed}: the run has no end");
    };
    assert_eq!(end.state, State::Succeeded, "seed {seed}: {end:?}");
    assert_eq!(body(&end), json!({"l": list, "r": list}), "seed {seed}");
    let steps: Vec<_> = end.flow.unwrap().steps.into_iter().map(|entry| entry.step).collect();
    assert_eq!(steps, ["first", "each", "both", "last"], "seed {seed}");
    in_turn(&calls, seed);
    assert_eq!((scene.store.buried().len(), machine().block_on(scene.store.depth(QUEUES)).unwrap()), (0, 0), "seed {seed}");
    (kills, calls.all().len())
}

/// Lives for some turns of the loop, while a write may fail; the run's end, if it comes to that.
async fn alive(scene: &Scene, id: Id, random: &mut Random) -> Option<CallStatus> {
    scene.store.faults.fail_writes(u32::from(random.below(4) == 0));
    for turn in 0..random.below(400) {
        if let Some(status) = status(scene, id).await.filter(CallStatus::is_over) {
            scene.store.faults.fail_writes(0);
            return Some(status);
        }
        tokio::task::yield_now().await;
        if turn % 50 == 49 {
            scene.clock.advance(Duration::from_millis(60));
        }
    }
    scene.store.faults.fail_writes(0);
    None
}

/// A server's runtime: with it go all its tasks, in the middle of whatever they do.
fn machine() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn begin(calls: &Calls, list: &[u64]) -> (Scene, Id) {
    let scene = Scene::new(calls.engine()).await;
    for name in ["first", "second", "middle", "left", "right", "last"] {
        scene.install(name, |function| function.limits.instances_max = 100);
    }
    let elements = json!([call("middle"), {"name": "pause", "wait": {"for": {"ms": 100}}}, call("second")]);
    let branches = json!([{"name": "l", "steps": [call("left")]}, {"name": "r", "steps": [call("right")]}]);
    let steps = json!([
        call("first"),
        {"name": "each", "each": {"of": "$", "steps": elements, "width": 3}},
        {"name": "both", "parallel": {"branches": branches}},
        call("last"),
    ]);
    install_flow(&scene, "f", steps);
    let id = send(&scene, "f", json!(list)).await;
    (scene, id)
}

/// No call comes before all that its turn waits for.
fn in_turn(calls: &Calls, seed: u64) {
    let all = calls.all();
    let first_of =
        |name: &str| all.iter().position(|(called, _)| called == name).unwrap_or_else(|| panic!("seed {seed}: {name} never ran"));
    let middles: BTreeSet<_> = all.iter().filter(|(name, _)| name == "middle").map(|(_, body)| body).collect();
    let seconds: BTreeSet<_> = all.iter().filter(|(name, _)| name == "second").map(|(_, body)| body).collect();
    assert_eq!((middles.len(), seconds.len()), (10, 10), "seed {seed}");
    assert!(first_of("first") < first_of("middle") && first_of("left") < first_of("last") && first_of("right") < first_of("last"));
    let all_seconds = (0..10).map(|n| all.iter().position(|call| *call == ("second".to_owned(), n.to_string())).unwrap()).max().unwrap();
    assert!(all_seconds < first_of("left"), "seed {seed}: the fan-in came before its last element");
}

#[tokio::test]
async fn a_step_that_takes_the_server_down_each_time_is_given_up() {
    let calls = Calls::default();
    let scene = Scene::new(calls.engine()).await;
    scene.install("bomb", |_| ());
    scene.install("after", |_| ());
    install_flow(&scene, "plain", json!([call("bomb")]));
    install_flow(&scene, "careful", json!([{"name": "try", "call": {"function": "bomb"}, "catch": {"steps": [call("after")]}}]));
    let (plain, careful) = (send(&scene, "plain", json!(1)).await, send(&scene, "careful", json!(1)).await);
    for _ in 0..40 {
        // A server that dies with its lease says nothing.
        for flow in ["plain", "careful"] {
            assert_eq!(scene.store.lease(&format!("{QUEUES}default/{flow}"), 9, Duration::from_secs(30)).await.unwrap().len(), 1);
        }
        scene.clock.advance(Duration::from_secs(31));
    }
    let _stopper = deliver(&scene);
    assert_eq!(end(&scene, plain).await.state, State::Failed);
    assert_eq!(end(&scene, careful).await.state, State::Succeeded);
    assert_eq!(calls.count().into_iter().collect::<Vec<_>>(), [("after".to_owned(), 1)]);
}

async fn end(scene: &Scene, id: Id) -> CallStatus {
    loop {
        let settled = scene.store.settled();
        match status(scene, id).await.filter(CallStatus::is_over) {
            Some(status) => return status,
            None => settled.await,
        }
    }
}
