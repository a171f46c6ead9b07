//! The published runtime clients of AWS Lambda: installed at one version each, brought by functions
//! as their users' bundles bring them, and called (`tests/it/runtimes.rs` of the engine).

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::native::Language;
use crate::Result;
use crate::places::{fresh, own, root};
use crate::shell::{cargo, show};
use crate::venv::{Venv, node_modules};

const LIMIT: Duration = Duration::from_secs(600);
/// Its native addon has to be built, which needs more of a host than most have; mote stands in for it.
const NO_ADDON: &str = "--ignore-scripts";

pub(super) fn run() -> Result<()> {
    let (suite, all) = (root().join("tests/runtimes"), own("runtime-clients"));
    std::fs::create_dir_all(&all)?;
    let python = Venv::with("runtimes", &std::fs::read_to_string(suite.join("python/requirements.txt"))?)?;
    place(&python.packages()?, &all.join("python"))?;
    for (version, name) in [("3.3.0", "node-3"), ("4.0.2", "node-4")] {
        place(&node_client(version, name)?, &all.join(name))?;
    }
    let mut test = cargo();
    test.args(["test", "--locked", "--workspace", "--test", "it", "runtimes::", "--", "--ignored"]);
    for (language, name, case) in
        [(Language::Rust, "rust", "lambda_runtime"), (Language::Go, "go", "aws_lambda_go"), (Language::Java, "java", "aws_lambda_java")]
    {
        if !language.build(&suite.join(name), &fresh(&format!("runtime-clients/{name}"))?)? {
            test.args(["--skip", case]);
        }
    }
    show(test.env("MOTE_RUNTIMES", all), LIMIT)
}

pub(super) fn node_client(version: &str, name: &str) -> Result<PathBuf> {
    node_modules(&format!("runtimes-{name}"), &[NO_ADDON, &format!("aws-lambda-ric@{version}")])
}

/// What a test finds at a place of its own, wherever it was installed.
fn place(what: &Path, at: &Path) -> Result<()> {
    match std::fs::remove_file(at) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        Ok(()) | Err(_) => Ok(std::os::unix::fs::symlink(what, at)?),
    }
}
