//! Medians, spreads and how they are written.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// What several rounds found for one thing.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Figure {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Figure {
    pub(super) fn of(samples: impl IntoIterator<Item = f64>) -> Figure {
        let mut samples: Vec<f64> = samples.into_iter().collect();
        samples.sort_unstable_by(f64::total_cmp);
        match samples.as_slice() {
            [] => Figure { median: f64::NAN, min: f64::NAN, max: f64::NAN },
            all => Figure { median: all[all.len() / 2], min: all[0], max: all[all.len() - 1] },
        }
    }

    /// Of durations, in milliseconds.
    pub(super) fn of_ms(samples: &[Duration]) -> Figure {
        Figure::of(samples.iter().map(|time| time.as_secs_f64() * 1000.0))
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let precision = f.precision().unwrap_or(2);
        let text = format!("{:.precision$} ({:.precision$}–{:.precision$})", self.median, self.min, self.max);
        // Not `pad`, which takes the precision for the text's own.
        write!(f, "{text:>width$}", width = f.width().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_ends() {
        let figure = Figure::of([3.0, 1.0, 2.0]);
        assert_eq!((figure.median, figure.min, figure.max), (2.0, 1.0, 3.0));
        assert_eq!(format!("{figure:.0}"), "2 (1–3)");
        assert!(Figure::of([]).median.is_nan());
    }
}
