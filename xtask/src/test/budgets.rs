//! The sizes that SPEC.md promises, measured on the release binary.
//!
//! Sizes, memory and ratios only: an absolute time says more about the machine than about mote.

use std::path::Path;

use super::binary;
use crate::Result;
use crate::measure::{call, deploy_many, resident_kib, start_up};
use crate::places::fresh;
use crate::report::human;
use crate::server::Server;

const BINARY_MIB_MAX: f64 = 45.0;
const IDLE_MIB_MAX: f64 = 20.0;
const FUNCTIONS: usize = 1000;
const PER_FUNCTION_KIB_MAX: f64 = 16.0;
/// A start with a hundred functions over one with none.
const START_UP_RATIO_MAX: f64 = 2.0;
const STARTS: usize = 7;

pub(super) fn run() -> Result<()> {
    let binary = binary()?;
    let mut over = Vec::new();
    let mut hold = |what: &str, found: f64, limit: f64, unit: &str| {
        println!("  {what:<44} {found:>8.2} {unit} (at most {limit} {unit})");
        if found > limit {
            over.push(format!("{what}: {found:.2} {unit}, more than {limit}"));
        }
    };
    hold("size of the binary", std::fs::metadata(&binary)?.len() as f64 / f64::from(1 << 20), BINARY_MIB_MAX, "MiB");

    let data = fresh("budgets")?.join("data");
    let empty = idle_kib(&binary, &data)?;
    hold("memory, idle, no function", empty / 1024.0, IDLE_MIB_MAX, "MiB");

    let start_empty = start_up(&binary, &data, STARTS)?;
    fill(&binary, &data, 100)?;
    let start_hundred = start_up(&binary, &data, STARTS)?;
    println!("  start-up: {} empty, {} with 100 functions", human(start_empty), human(start_hundred));
    hold("start-up with 100 functions over none", start_hundred.as_secs_f64() / start_empty.as_secs_f64(), START_UP_RATIO_MAX, "×");

    fill(&binary, &data, FUNCTIONS)?;
    let full = idle_kib(&binary, &data)?;
    hold("memory, idle, 1,000 functions", full / 1024.0, IDLE_MIB_MAX + PER_FUNCTION_KIB_MAX * FUNCTIONS as f64 / 1024.0, "MiB");
    hold("memory for each deployed function", (full - empty).max(0.0) / FUNCTIONS as f64, PER_FUNCTION_KIB_MAX, "KiB");
    if over.is_empty() { Ok(()) } else { Err(over.join("; ").into()) }
}

/// Memory after a start, when nothing was called yet.
fn idle_kib(binary: &Path, data: &Path) -> Result<f64> {
    let server = Server::start(binary, data)?;
    let resident = resident_kib(server.pid)? as f64;
    server.stop()?;
    Ok(resident)
}

fn fill(binary: &Path, data: &Path, count: usize) -> Result<()> {
    let server = Server::start(binary, data)?;
    deploy_many(&server, count)?;
    call(&server, &format!("/many-{:04}", count - 1))?;
    server.stop()
}
