//! How many shells of a kind are worth keeping: a calculation, without a task and without a clock.

use std::collections::VecDeque;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mote_core::function::Family;

/// Who was called so long ago may wait for its jail to be made.
const LATELY: Duration = Duration::from_secs(600);
/// As many as were started in this time are kept for the next ones.
const WINDOW: Duration = Duration::from_secs(30);
/// More than any shelf holds; older starts say nothing new.
const STARTS_MAX: usize = 64;

/// Memory that the host must have left for the first spare of a kind, and for each more.
const AVAILABLE_KB_FIRST: u64 = 256 << 10;
const AVAILABLE_KB_MORE: u64 = 1 << 20;

/// When functions of each family were called last.
#[derive(Default)]
pub(super) struct Calls([AtomicU64; 4]);

impl Calls {
    pub(super) fn note(&self, family: Family, now: Duration) {
        self.of(family).store(now.as_millis() as u64, Ordering::Relaxed);
    }

    fn last(&self, family: Family) -> Duration {
        Duration::from_millis(self.of(family).load(Ordering::Relaxed))
    }

    fn of(&self, family: Family) -> &AtomicU64 {
        let [python, node, java, executable] = &self.0;
        match family {
            Family::Python => python,
            Family::Node => node,
            Family::Java => java,
            Family::Executable | Family::Flow => executable,
        }
    }
}

/// All times are of the monotonic clock.
pub(super) struct Demand {
    family: Family,
    starts: VecDeque<Duration>,
    expected: Duration,
    paused_until: Duration,
}

impl Demand {
    pub(super) fn of(family: Family) -> Demand {
        Demand { family, starts: VecDeque::new(), expected: Duration::ZERO, paused_until: Duration::ZERO }
    }

    pub(super) fn start(&mut self, now: Duration) {
        self.expected = now;
        if self.starts.len() == STARTS_MAX {
            self.starts.pop_front();
        }
        self.starts.push_back(now);
    }

    pub(super) fn expect(&mut self, now: Duration) {
        self.expected = now;
    }

    pub(super) fn pause(&mut self, until: Duration) {
        self.paused_until = until;
    }

    pub(super) fn may_make(&self, now: Duration) -> bool {
        self.paused_until <= now
    }

    pub(super) fn wanted(&self, now: Duration, calls: &Calls) -> usize {
        if self.is_over(now, calls) {
            return 0;
        }
        self.starts.iter().filter(|&&start| start + WINDOW > now).count().max(1)
    }

    /// Nothing of the kind has been needed for long.
    pub(super) fn is_over(&self, now: Duration, calls: &Calls) -> bool {
        self.last(calls) + LATELY <= now
    }

    /// When [`Demand::wanted`] may have become less, or the pause is over.
    pub(super) fn until_less(&self, now: Duration, calls: &Calls) -> Option<Duration> {
        let ends = [
            self.starts.iter().map(|&start| start + WINDOW).find(|&end| end > now),
            Some(self.last(calls) + LATELY),
            Some(self.paused_until),
        ];
        ends.into_iter().flatten().filter(|&end| end > now).min().map(|end| end - now)
    }

    fn last(&self, calls: &Calls) -> Duration {
        // Calls count only for a kind that was wanted once.
        self.expected.max(calls.last(self.family))
    }
}

/// Whether the host has so much memory left that a jail without a function may have some of it.
pub(super) fn memory_allows(first: bool) -> bool {
    let needed = if first { AVAILABLE_KB_FIRST } else { AVAILABLE_KB_MORE };
    // A host that does not say keeps none.
    fs::read_to_string("/proc/meminfo").ok().and_then(|text| available_kb(&text)).is_some_and(|kb| kb >= needed)
}

fn available_kb(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(1000 + seconds)
    }

    #[test]
    fn as_many_as_were_started_lately_and_none_where_nothing_is_called() {
        let (mut demand, calls) = (Demand::of(Family::Python), Calls::default());
        demand.expect(at(0));
        let check = |demand: &Demand, seconds, wanted, until_less: Option<u64>| {
            assert_eq!(demand.wanted(at(seconds), &calls), wanted, "after {seconds} s");
            assert_eq!(demand.until_less(at(seconds), &calls), until_less.map(Duration::from_secs), "after {seconds} s");
        };
        check(&demand, 0, 1, Some(600));
        (0..3).for_each(|second| demand.start(at(10 + second)));
        check(&demand, 12, 3, Some(28));
        check(&demand, 40, 2, Some(1));
        check(&demand, 42, 1, Some(570));
        check(&demand, 612, 0, None);
        // A call of the same runtime by an instance that lives keeps one; of another it does not.
        calls.note(Family::Node, at(600));
        check(&demand, 612, 0, None);
        calls.note(Family::Python, at(600));
        check(&demand, 612, 1, Some(588));
    }

    #[test]
    fn a_failure_is_not_repeated_at_once() {
        let (mut demand, calls) = (Demand::of(Family::Node), Calls::default());
        demand.expect(at(0));
        demand.pause(at(30));
        assert!(!demand.may_make(at(29)) && demand.may_make(at(30)));
        assert_eq!(demand.until_less(at(0), &calls), Some(Duration::from_secs(30)));
    }

    #[test]
    fn the_hosts_memory_is_read() {
        assert_eq!(available_kb("MemTotal: 9 kB\nMemAvailable:  1234 kB\n"), Some(1234));
        assert_eq!(available_kb("MemTotal: 9 kB\n"), None);
    }
}
