//! mote: hand it the business logic, and it is a service.
//!
//! One binary that is the server, its command line, and (re-executed) the process that jails are forked from.
//! What is in the server: `serve/parts.rs`. What can be said to it: `cli.rs`.

mod cli;
mod client;
mod config;
mod credentials;
mod doors;
mod failure;
mod keyring;
mod output;
mod pack;
mod prompt;
mod serve;
mod tls;

use std::process::ExitCode;

fn main() -> ExitCode {
    // First of all: what becomes a jail must not run anything of a server.
    if std::env::args_os().next().is_some_and(|name| name == mote_engine_process::JAIL_NAME) {
        mote_engine_process::jail_main();
    }
    cli::run().into()
}
