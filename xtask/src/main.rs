//! The project's tasks: `cargo xtask demo | test | tidy | bench`.
//!
//! Needs a fresh machine's toolchains only (Rust, Python 3 with venv, Node with npm); whatever else
//! a task uses it installs itself, below `target/xtask`. Deliberately without any crate of mote:
//! tasks meet the product as a user does, through its binary.

mod bench;
mod demo;
mod measure;
mod places;
mod report;
mod server;
mod shell;
mod test;
mod tidy;
mod venv;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What a task ends with: an error's text says which step failed and why.
type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The tasks of this project", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build mote, deploy the examples, upload a photo and wait for its thumbnail
    Demo(demo::Options),
    /// Everything that CI checks
    Test(test::Options),
    /// The project's own rules: arrows, names, clocks, links, promises
    Tidy,
    /// Measure mote beside its peers and print ratios
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Demo(options) => demo::run(&options),
        Task::Test(options) => test::run(&options),
        Task::Tidy => tidy::run(),
        Task::Bench(options) => bench::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
