//! What is executed for a server: the entry as the main program, as it would be run by hand.

use std::path::Path;

use mote_core::function::{Family, Function};

use crate::instance::start::{PACKAGES, set};
use crate::jail::spec::{Channel, Program};
use crate::runtime::Interpreter;
use crate::{runners, transpile};

/// Executables have no interpreter. `env`: the function's own.
pub(super) fn program(function: &Function, port: u16, interpreter: Option<&Interpreter>, mut env: Vec<(String, String)>) -> Program {
    set(&mut env, "PORT", |_| port.to_string());
    let file = |entry: &Path| Path::new("/code").join(entry).display().to_string();
    let entry = Path::new(&function.entry);
    let command = match interpreter {
        None => vec![file(entry)],
        Some(interpreter) => {
            let mut command = runners::interpreter(interpreter);
            match interpreter.family {
                Family::Node => command.push(file(&transpile::target(entry).0)),
                Family::Python => {
                    // A line is in the log when it is printed, and not when a buffer is full.
                    set(&mut env, "PYTHONUNBUFFERED", |own| own.unwrap_or("1").to_owned());
                    set(&mut env, "PYTHONPATH", |own| own.map_or(PACKAGES.to_owned(), |own| format!("{PACKAGES}:{own}")));
                    command.push(file(entry));
                }
                Family::Java | Family::Executable | Family::Flow => {}
            }
            command
        }
    };
    Program { command, env, channel: Channel::Stdin }
}
