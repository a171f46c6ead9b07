//! How long a cold start takes. Prints and does not judge: machines differ, `cargo xtask bench` judges by ratios.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mote_core::clock::{Clock, SystemClock};
use mote_core::engine::Engine;
use mote_core::function::Function;

use crate::house::House;

/// Runtime, file, text, and the same without mote.
const KINDS: &[(&str, &str, &str, &[&str])] = &[
    ("executable", "f", "#!/bin/true\n", &["/bin/true"]),
    ("python", "f.py", "def f(a: int = 1) -> int:\n    return a + 1\n", &["/usr/bin/python3", "-I", "-S", "-c", "import json, inspect"]),
    ("node", "f.mjs", "export default (a = 1) => a + 1;\n", &["/usr/bin/node", "-e", "0"]),
];
const ROUNDS: usize = 30;

#[tokio::test]
#[ignore = "a measurement, not a test: cargo test -p mote-engine-process --release -- --ignored --nocapture cold"]
async fn cold_starts() {
    for (runtime, file, text, plain) in KINDS {
        let spawned = (0..ROUNDS).map(|_| {
            let begun = Instant::now();
            Command::new(plain[0]).args(&plain[1..]).output().unwrap();
            begun.elapsed()
        });
        println!("{runtime}: plain spawn {}", quantiles(spawned.collect()));
        for (name, spares) in [("made at the call", 0), ("made ahead", 2)] {
            let house = House::with_spares(Arc::new(SystemClock::new()), spares);
            let (f, _) = house.deploy(house.function(runtime, file, |_| {}), &[(file, text)]).await.unwrap();
            let mut times = Vec::new();
            for _ in 0..ROUNDS {
                while house.engine.spares() < spares.min(1) {
                    tokio::task::yield_now().await;
                }
                // It has been built by now, and is to have come to rest too.
                house.clock.sleep(Duration::from_millis(200)).await;
                let version = Arc::new(Function { id: Clock::id(&*house.clock), ..(*f).clone() });
                let begun = Instant::now();
                house.run(&version, "", "").await.unwrap();
                times.push(begun.elapsed());
                house.engine.retire(&version);
            }
            println!("{runtime}: in a jail {name} {}", quantiles(times));
            house.engine.stop(Duration::from_secs(1)).await;
        }
    }
}

fn quantiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    format!("p50 {:.1?}, p90 {:.1?}, p99 {:.1?}", at(50), at(90), at(99))
}
