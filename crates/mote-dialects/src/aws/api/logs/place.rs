//! Where a reader of a log is: behind so many lines of one moment.
//!
//! A line has no number that an API could tell, but those of one moment stay in their order, and new
//! ones come behind them.

use std::fmt;

use mote_core::clock::Timestamp;
use mote_core::store::LogLine;

/// In a token: `1767225600000-3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) time: Timestamp,
    pub(super) lines: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.time.0, self.lines)
    }
}

impl Place {
    pub(super) fn read(token: &str) -> Option<Place> {
        let (time, lines) = token.split_once('-')?;
        Some(Place { time: Timestamp(time.parse().ok()?), lines: lines.parse().ok()? })
    }

    pub(super) fn start(time: Timestamp) -> Place {
        Place { time, lines: 0 }
    }

    /// Behind the last of these lines, of which those of its moment are all there.
    pub(super) fn behind(lines: &[LogLine]) -> Option<Place> {
        let time = lines.last()?.time;
        Some(Place { time, lines: lines.iter().rev().take_while(|line| line.time == time).count() })
    }

    /// Before the first of these; lines of a moment count from its end.
    pub(super) fn before(lines: &[LogLine]) -> Option<Place> {
        let time = lines.first()?.time;
        Some(Place { time, lines: lines.iter().take_while(|line| line.time == time).count() })
    }

    /// How many of these lines, from this moment on, lie before the place.
    pub(super) fn passed(&self, lines: &[LogLine]) -> usize {
        lines.iter().take_while(|line| line.time == self.time).count().min(self.lines)
    }

    /// How many of these lines, up to this moment, lie behind the place.
    pub(super) fn ahead(&self, lines: &[LogLine]) -> usize {
        lines.iter().rev().take_while(|line| line.time == self.time).count().min(self.lines)
    }
}
