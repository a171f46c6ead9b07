//! What is measured of a running server from outside: memory, start-up, size.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use crate::Result;
use crate::places::fresh;
use crate::server::{Server, get};

/// Functions in one manifest; a deploy of a thousand is ten of these.
const BATCH: usize = 100;

/// Resident memory of a process, without its children, in KiB.
pub(crate) fn resident_kib(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("the process shows no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Deploys so many functions, programs that say `9`, named `many-0000` and on.
pub(crate) fn deploy_many(server: &Server, count: usize) -> Result<()> {
    let folder = fresh("many")?;
    let program = folder.join("nine");
    std::fs::write(&program, "#!/bin/sh\nprintf 9\n")?;
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    for first in (0..count).step_by(BATCH) {
        let mut manifest = String::new();
        for number in first..count.min(first + BATCH) {
            writeln!(manifest, "[[function]]\nname = \"many-{number:04}\"\nruntime = \"executable\"\nentry = \"nine\"\n")?;
        }
        std::fs::write(folder.join("mote.toml"), manifest)?;
        server.deploy(&folder)?;
    }
    Ok(())
}

/// The median time from starting the process to its ready line, over a data directory as it stands.
pub(crate) fn start_up(binary: &Path, data: &Path, times: usize) -> Result<Duration> {
    let mut all = Vec::new();
    for _ in 0..times {
        let server = Server::start(binary, data)?;
        all.push(server.start_up);
        server.stop()?;
    }
    all.sort_unstable();
    Ok(all[all.len() / 2])
}

/// One call of the function URL, which must say 9.
pub(crate) fn call(server: &Server, path: &str) -> Result<()> {
    let answer = get(&format!("{}{path}", server.doors.public))?.ok()?;
    if matches!(answer.trim(), "9" | "9.0") { Ok(()) } else { Err(format!("{path} answered {answer:?}, wanted 9").into()) }
}
