//! Whether the machine was ours: time that other programs took on it, from `/proc`.

use std::collections::HashMap;
use std::time::Instant;

use crate::Result;

/// The parent of all kernel threads, whose work is partly done for us.
const KERNEL: u32 = 2;
/// Of the kernel's clock of process times, on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) struct Watch {
    begun: Instant,
    busy: u64,
    ours: u64,
}

impl Watch {
    pub(super) fn start() -> Result<Watch> {
        Ok(Watch { begun: Instant::now(), busy: busy()?, ours: ours()? })
    }

    /// Cores' worth of time that went to neither us, nor our children, nor the kernel's threads.
    pub(super) fn elsewhere(&self) -> Result<f64> {
        let (busy, ours) = (busy()? - self.busy, ours()?.saturating_sub(self.ours));
        Ok(busy.saturating_sub(ours) as f64 / TICKS_PER_SECOND / self.begun.elapsed().as_secs_f64())
    }
}

/// User, nice and system time of all cores.
fn busy() -> Result<u64> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().and_then(|line| line.strip_prefix("cpu ")).ok_or("/proc/stat has no line for all cores")?;
    Ok(line.split_whitespace().take(3).filter_map(|field| field.parse::<u64>().ok()).sum())
}

/// Time of this process and its descendants, dead ones included once they were waited for.
fn ours() -> Result<u64> {
    let mut processes = HashMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let pid = entry?.file_name().to_string_lossy().parse::<u32>();
        // A process may end between the listing and the reading.
        if let Ok(pid) = pid
            && let Some(found) = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok().and_then(|stat| parse(&stat))
        {
            processes.insert(pid, found);
        }
    }
    let own = std::process::id();
    let is_ours = |mut pid: u32| loop {
        if pid == own || pid == KERNEL {
            return true;
        }
        match processes.get(&pid) {
            Some(process) => pid = process.parent,
            None => return false,
        }
    };
    Ok(processes.iter().filter(|(pid, _)| is_ours(**pid)).map(|(_, process)| process.ticks).sum())
}

struct Process {
    parent: u32,
    /// Its own and its dead children's.
    ticks: u64,
}

/// `/proc/PID/stat`; the name in it may hold anything, so it is read from behind the last bracket.
fn parse(stat: &str) -> Option<Process> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(Process { parent: fields.get(1)?.parse().ok()?, ticks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets() {
        let process = parse("7 (a) b) S 3 7 7 0 -1 0 0 0 0 0 10 20 1 2 20 0").unwrap();
        assert_eq!((process.parent, process.ticks), (3, 33));
    }
}
