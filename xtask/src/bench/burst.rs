//! Many cold functions woken together: how long the unlucky ones wait.

use std::fmt::Write;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Options;
use crate::Result;
use crate::places::fresh;
use crate::server::{Server, get};

/// Functions at once, and milliseconds within which 95 of 100 calls are to be answered.
const BURSTS: &[(usize, f64)] = &[(1, 50.0), (5, 50.0), (25, 250.0), (100, 1000.0)];
/// After it an instance with an idle time of a second has ended.
const COOLED: Duration = Duration::from_secs(4);

pub(super) fn run(options: &Options, server: &Server) -> Result<Value> {
    deploy(server)?;
    let mut rows = Vec::new();
    for (count, goal_ms) in BURSTS {
        let mut all = Vec::new();
        for _ in 0..options.rounds {
            thread::sleep(COOLED);
            all.extend(wake(server, *count)?);
        }
        all.sort_unstable();
        let p95_ms = all[(all.len() - 1) * 95 / 100].as_secs_f64() * 1000.0;
        options.say(&format!("{count:>3} Python functions woken together: p95 {p95_ms:.0} ms (aim {goal_ms} ms)"));
        rows.push(json!({ "together": count, "p95_ms": p95_ms, "aim_ms": goal_ms }));
    }
    Ok(json!(rows))
}

fn deploy(server: &Server) -> Result<()> {
    let place = fresh("burst")?;
    std::fs::write(place.join("nine.py"), "def nine():\n    return 9\n")?;
    let most = BURSTS.iter().map(|(count, _)| *count).max().unwrap_or_default();
    let mut manifest = String::new();
    for number in 0..most {
        writeln!(manifest, "[[function]]\nname = \"burst-{number}\"\nruntime = \"python\"\nentry = \"nine.py:nine\"\nidle = \"1s\"\n")?;
    }
    std::fs::write(place.join("mote.toml"), manifest)?;
    server.deploy(&place)
}

/// One call to each of so many functions, all at the same moment.
fn wake(server: &Server, count: usize) -> Result<Vec<Duration>> {
    let begun = Instant::now();
    let calls: Vec<_> = (0..count)
        .map(|number| {
            let url = format!("{}/burst-{number}", server.doors.public);
            thread::spawn(move || get(&url).and_then(|answer| answer.ok()).map(|_| begun.elapsed()).map_err(|error| error.to_string()))
        })
        .collect();
    let lost = |_| "a caller's thread was lost".to_owned();
    Ok(calls.into_iter().map(|call| call.join().map_err(lost)?).collect::<Result<Vec<_>, String>>()?)
}
