//! What is executed for a function that asks for its calls: its own program, or the runtime client
//! that it brings.

use std::path::Path;

use mote_core::function::{Family, Function};

use crate::instance::start::{PACKAGES, set};
use crate::jail::spec::{Channel, GATEWAY_PORT, Program, RUNTIME_API};
use crate::java;
use crate::runners;
use crate::runtime::Interpreter;

/// Executables have no interpreter. `env`: the function's own.
pub(super) fn program(function: &Function, interpreter: Option<&Interpreter>, mut env: Vec<(String, String)>) -> Program {
    set(&mut env, "AWS_LAMBDA_RUNTIME_API", |_| format!("{RUNTIME_API}:{GATEWAY_PORT}"));
    let mut command = interpreter.map(runners::interpreter).unwrap_or_default();
    match function.runtime.family {
        Family::Python => {
            // A line is in the log when it is printed, and not when a buffer is full.
            set(&mut env, "PYTHONUNBUFFERED", |own| own.unwrap_or("1").to_owned());
            set(&mut env, "PYTHONPATH", |own| own.map_or(PACKAGES.to_owned(), |own| format!("{PACKAGES}:{own}")));
            command.extend(["-m".to_owned(), "awslambdaric".to_owned(), function.entry.clone()]);
        }
        // The package's entry, once what it may lack is there.
        Family::Node => command.extend(["/runner/node/pull.cjs".to_owned(), function.entry.clone()]),
        Family::Java => {
            command.extend(java::options(function, env.iter().any(|(name, _)| name == "JAVA_TOOL_OPTIONS")));
            command.push(function.entry.clone());
        }
        Family::Executable | Family::Flow => command.push(Path::new("/code").join(&function.entry).display().to_string()),
    }
    Program { command, env, channel: Channel::Stdin }
}
