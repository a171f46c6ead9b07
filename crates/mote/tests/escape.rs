//! The escape suite: hostile functions against the real binary, each with a neighbour beside it.
//!
//! Run by `cargo xtask test --only escape` on the release binary, or by
//! `cargo test -p mote --test escape [CASE…]` on the debug one. mote and its functions live in a
//! network of their own that ends in `world.rs`, so that even a jail with a hole sends no packet
//! to anybody. All of it runs twice where it can: with mote as root, and as an ordinary user.
//!
//! What each case shows is told in docs/guide/threat-model.md; what a case is, in `escape/cases.rs`.

#[path = "escape/cases.rs"]
mod cases;
#[path = "escape/ground.rs"]
mod ground;
#[expect(dead_code, reason = "its server is for tests that need no world of their own")]
#[path = "e2e/harness.rs"]
mod harness;
#[path = "escape/neighbour.rs"]
mod neighbour;
#[path = "escape/traces.rs"]
mod traces;
#[path = "escape/world.rs"]
mod world;

use std::process::ExitCode;

use world::{Pass, Stage};

/// Set by the step `unit` of `cargo xtask test`, whose step `escape` is this suite.
const LATER: &str = "MOTE_ESCAPE_LATER";

fn main() -> ExitCode {
    match Stage::of_this_process() {
        Some(Stage::Hosts(pass)) => return ended("the hosts", world::hosts_main(pass)),
        Some(Stage::Cases(pass)) => return ended("the cases", cases::main(pass)),
        None => {}
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--list") {
        cases::names().for_each(|name| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    if std::env::var_os(LATER).is_some() {
        println!("the escape suite did not run here: it is a step of its own, `cargo xtask test --only escape`");
        return ExitCode::SUCCESS;
    }
    let passes = Pass::of_this_host();
    println!("escape suite, passes: {}", passes.iter().map(|pass| pass.title()).collect::<Vec<_>>().join("; "));
    if passes.len() < Pass::ALL.len() {
        println!("  not run: {}, as this is no root", Pass::Root.title());
    }
    let failed = passes.iter().filter(|pass| !world::run(**pass, &words)).count();
    println!("\nescape suite: {} of {} passes are green", passes.len() - failed, passes.len());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn ended(what: &str, outcome: std::io::Result<bool>) -> ExitCode {
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {what} of the escape suite can't run: {error}");
            ExitCode::FAILURE
        }
    }
}
