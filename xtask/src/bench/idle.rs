//! What mote costs when nobody calls: time to start, memory, disk.

use std::path::Path;

use serde_json::{Value, json};

use super::figures::Figure;
use super::{Options, at_most};
use crate::Result;
use crate::measure::{deploy_many, resident_kib};
use crate::places::fresh;
use crate::server::Server;

pub(super) fn run(options: &Options, binary: &Path) -> Result<Value> {
    let data = fresh("bench")?.join("data");
    let mut rows = Vec::new();
    for functions in [0, 100, 1000] {
        let server = Server::start(binary, &data)?;
        deploy_many(&server, functions)?;
        server.stop()?;
        let (mut starts, mut memory_mib) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            let server = Server::start(binary, &data)?;
            starts.push(server.start_up);
            memory_mib.push(resident_kib(server.pid)? as f64 / 1024.0);
            server.stop()?;
        }
        rows.push((functions, Figure::of_ms(&starts), Figure::of(memory_mib)));
    }
    let size_mib = std::fs::metadata(binary)?.len() as f64 / f64::from(1 << 20);
    options.say(&format!("{:<12} {:>26} {:>26}", "functions", "start-up ms", "idle memory MiB"));
    for (functions, start_ms, memory_mib) in &rows {
        options.say(&format!("{functions:<12} {start_ms:>26.1} {memory_mib:>26.1}"));
    }
    options.say(&format!("binary: {size_mib:.1} MiB"));
    let (_, start_hundred, _) = rows[1];
    let ((_, _, empty), (_, _, thousand)) = (rows[0], rows[2]);
    let goals = [
        at_most("start-up with 100 functions, ms", start_hundred.median, 15.0),
        at_most("idle memory without functions, MiB", empty.median, 20.0),
        at_most("memory for each of 1,000 functions, KiB", (thousand.median - empty.median) * 1.024, 16.0),
        at_most("binary, MiB", size_mib, 45.0),
    ];
    Ok(json!({ "rows": rows, "binary_mib": size_mib, "goals": goals }))
}
