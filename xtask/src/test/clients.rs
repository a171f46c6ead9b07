//! Clients of AWS that mote did not write, beside boto3: the AWS CLI, the SDK for JavaScript, Chalice,
//! `cargo lambda`, `sam remote invoke` and `osls invoke`, each at one version, unmodified.

use std::path::PathBuf;

use super::native::Language;
use super::{LIMIT, binary};
use crate::Result;
use crate::places::{fresh, root};
use crate::server::Server;
use crate::shell::show;
use crate::venv::{Venv, node_modules};

const SAM: &str = "aws-sam-cli==1.170.0\n";
/// Its compiler for other systems is many times its size, and only `build` needs it.
const CARGO_LAMBDA: &str = "cargo-lambda==1.9.2\n";
const MODULES: &[&str] = &["@aws-sdk/client-lambda@3.1164.0", "@aws-sdk/client-s3@3.1173.0", "osls@4.3.1"];

pub(super) fn run() -> Result<()> {
    let suite = root().join("tests/clients");
    let venv = Venv::with("clients", &std::fs::read_to_string(suite.join("requirements.txt"))?)?;
    // Each wants versions of its own of what the others want too.
    let (sam, cargo_lambda) = (Venv::with("sam", SAM)?, Venv::alone("cargo-lambda", CARGO_LAMBDA)?);
    let modules = node_modules("clients", MODULES)?;
    let bundle = rust_example()?;
    let server = Server::start(&binary()?, &fresh("clients")?.join("data"))?;
    let mut run = venv.python();
    run.arg(suite.join("run.py")).args(["--endpoint", &server.doors.aws]).arg("--modules").arg(modules);
    run.arg("--sam").arg(sam.bin().join("sam")).arg("--cargo-lambda").arg(cargo_lambda.bin().join("cargo-lambda"));
    run.arg("--bootstrap").arg(bundle.join("bootstrap")).arg("--mote").arg(binary()?);
    run.args(["--public", &server.doors.public, "--control", &server.doors.control, "--token", &server.doors.token]);
    show(&mut run, LIMIT).map_err(|e| format!("{e}\n{}", server.log_tail()))?;
    server.stop()
}

fn rust_example() -> Result<PathBuf> {
    let bundle = fresh("clients-rust")?;
    Language::Rust.build(&root().join("examples/aws-rust"), &bundle)?;
    Ok(bundle)
}
