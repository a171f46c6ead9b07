//! From the answer to an upload until the function that it fires runs its first line.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::figures::Figure;
use super::pin::{SERVER, on_core};
use super::{Options, at_most};
use crate::Result;
use crate::places::fresh;
use crate::server::Server;
use crate::shell::until;

const FUNCTION: &str = "import time\n\n\ndef started(event):\n    print(event[\"subject\"], time.time(), flush=True)\n";
const MANIFEST: &str =
    "name = \"started\"\nruntime = \"python\"\nentry = \"started.py\"\n\n[[bucket]]\nname = \"inbox\"\nevents = [\"created\"]\n";
const UPLOADS_PER_ROUND: usize = 20;

pub(super) fn run(options: &Options, binary: &Path) -> Result<Value> {
    let server = on_core(SERVER, || Server::start(binary, &fresh("bench")?.join("data")))?;
    let folder = fresh("started")?;
    std::fs::write(folder.join("started.py"), FUNCTION)?;
    std::fs::write(folder.join("mote.toml"), MANIFEST)?;
    server.deploy(&folder)?;
    server.control("PUT", "/v1/buckets/inbox", "")?.ok()?;
    let mut latencies_ms = Vec::new();
    for number in 0..options.rounds * UPLOADS_PER_ROUND {
        let key = format!("object-{number}");
        server.control("PUT", &format!("/v1/buckets/inbox/objects/{key}"), "x")?.ok()?;
        let answered = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
        latencies_ms.push((started(&server, &key)? - answered) * 1000.0);
    }
    server.stop()?;
    latencies_ms.sort_unstable_by(f64::total_cmp);
    let p99_ms = latencies_ms.get(latencies_ms.len() * 99 / 100).copied().unwrap_or_default();
    let figure = Figure::of(latencies_ms);
    options.say(&format!("milliseconds, median (lowest–highest): {figure:.2}; p99 {p99_ms:.2}"));
    Ok(json!({ "ms": figure, "p99_ms": p99_ms, "goals": [at_most("upload → function, p50, ms", figure.median, 5.0)] }))
}

/// When the function said that it started, in seconds since 1970.
fn started(server: &Server, key: &str) -> Result<f64> {
    until(Duration::from_secs(20), &format!("the function's word on {key}"), || {
        let lines = server.control("GET", "/v1/logs?function=started&tail=5", "")?.ok()?;
        for line in lines.lines() {
            let line: Value = serde_json::from_str(line)?;
            if let Some((subject, time)) = line["text"].as_str().and_then(|text| text.trim().split_once(' '))
                && subject == key
            {
                return Ok(Some(time.parse()?));
            }
        }
        Ok(None)
    })
}
