//! What a function was denied, for its log: each place once a minute, and so many lines at most.

use std::collections::HashSet;
use std::time::Duration;

const PERIOD: Duration = Duration::from_secs(60);
/// Lines for each period.
const LINES_MAX: usize = 20;

/// Of one instance.
#[derive(Default)]
pub(super) struct Denials {
    begun: Duration,
    /// Places of this period.
    told: HashSet<String>,
    untold: u64,
}

impl Denials {
    /// The lines to write for a denial at `now`, a time of the monotonic clock.
    pub(super) fn note(&mut self, now: Duration, place: &str, why: &str) -> Vec<String> {
        let mut lines = Vec::new();
        if now >= self.begun + PERIOD {
            if self.untold > 0 {
                lines.push(format!("egress denied {} more times in the minute before", self.untold));
            }
            *self = Denials { begun: now, ..Denials::default() };
        }
        if self.told.contains(place) || self.told.len() >= LINES_MAX {
            self.untold += 1;
            return lines;
        }
        self.told.insert(place.to_owned());
        lines.push(format!("egress denied: {place}: {why}"));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_does_not_flood_the_log() {
        let mut denials = Denials::default();
        let at = Duration::from_secs(1000);
        assert_eq!(denials.note(at, "a:1", "no"), ["egress denied: a:1: no"]);
        assert!(denials.note(at, "a:1", "no").is_empty());
        let lines: usize = (0..1000).map(|n| denials.note(at, &format!("b:{n}"), "no").len()).sum();
        assert_eq!(lines, LINES_MAX - 1);
        let later = denials.note(at + PERIOD, "a:1", "no");
        assert_eq!(later, ["egress denied 982 more times in the minute before", "egress denied: a:1: no"]);
    }
}
