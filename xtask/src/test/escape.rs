//! The escape suite on the release binary; the suite itself is `crates/mote/tests/escape.rs`.

use std::time::{Duration, Instant};

use super::binary;
use crate::Result;
use crate::shell::{cargo, show};

/// Tells the suite, when all tests are run, that it has a step of its own.
pub(super) const LATER: &str = "MOTE_ESCAPE_LATER";
/// Both passes, on two cores; compiling the suite not included.
const LIMIT: Duration = Duration::from_secs(4 * 60);
const COMPILE: Duration = Duration::from_secs(20 * 60);

pub(super) fn run() -> Result<()> {
    let binary = binary()?;
    // Of the whole workspace: with a package's own features everything would be compiled once more.
    let suite = ["test", "--locked", "--workspace", "--test", "escape"];
    show(cargo().args(suite).arg("--no-run"), COMPILE)?;
    let begun = Instant::now();
    show(cargo().args(suite).env("MOTE_BIN", binary), LIMIT)?;
    println!("  {:.0} s of {}", begun.elapsed().as_secs_f64(), LIMIT.as_secs());
    Ok(())
}
