//! How fast attempts begin, for functions with a `rate`: evenly, of all instances together.
//!
//! In memory: after a start of the server the first may begin at once. Not here: how many run at the
//! same time ([`super::slots`], [`super::super::admit`]).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::QUEUES;
use crate::access::limits::rate::{Rate, take};
use crate::function::{FunctionRef, Name};
use crate::invoke::Invoke;

/// So much of the rate may begin together: it need not come to a lease of its own for each.
const BURST: Duration = Duration::from_millis(100);

/// Functions that are told apart before those are forgotten that have begun nothing of late.
const PACED_MAX: usize = 1000;

#[derive(Default)]
pub(super) struct Pace {
    /// By queue; see [`take`].
    until: HashMap<String, u64>,
}

impl Pace {
    /// How many of `wanted` may begin now, or how long it takes until the next may.
    pub(super) fn admits(&mut self, queue: &str, rate: Option<Rate>, wanted: usize, now: Duration) -> Result<usize, Duration> {
        let Some(rate) = rate else {
            self.until.remove(queue);
            return Ok(wanted);
        };
        if self.until.len() >= PACED_MAX && !self.until.contains_key(queue) {
            // Those that are not behind may begin at once in any case.
            self.until.retain(|_, until| Duration::from_nanos(*until) > now);
        }
        let until = self.until.entry(queue.to_owned()).or_default();
        for count in 0..wanted {
            match take(until, rate, Some(rate.in_span(BURST)), now) {
                Ok(()) => {}
                Err(wait) if count == 0 => return Err(wait),
                Err(_) => return Ok(count),
            }
        }
        Ok(wanted)
    }

    /// So many of those that might have begun were not there.
    pub(super) fn unused(&mut self, queue: &str, rate: Option<Rate>, count: usize) {
        if let (Some(rate), Some(until)) = (rate, self.until.get_mut(queue)) {
            rate.give_back(until, count);
        }
    }
}

/// The rate of the function whose queue it is. A flow has none: each of its leases is but a step.
pub(super) fn rate_of(door: &Arc<dyn Invoke>, queue: &str) -> Option<Rate> {
    let (namespace, name) = queue.strip_prefix(QUEUES)?.split_once('/')?;
    let to = FunctionRef { namespace: Name::new(namespace).ok()?, name: Name::new(name).ok()? };
    let function = door.live(&to)?;
    function.delivery.rate.filter(|_| function.flow.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_begin_evenly() {
        let (mut pace, ten, fast) = (Pace::default(), "10/s".parse().ok(), "1000/s".parse().ok());
        let at = Duration::from_millis;
        assert_eq!(pace.admits("a", ten, 5, at(0)), Ok(1));
        assert_eq!(pace.admits("a", ten, 5, at(40)), Err(at(60)));
        assert_eq!(pace.admits("a", ten, 5, at(100)), Ok(1));
        assert_eq!(pace.admits("b", fast, 500, at(100)), Ok(100));
        pace.unused("b", fast, 30);
        assert_eq!(pace.admits("b", fast, 500, at(100)), Ok(30));
        assert_eq!(pace.admits("a", None, 5, at(100)), Ok(5));
    }
}
