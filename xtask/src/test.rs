//! `cargo xtask test`: everything that CI checks, in order of how soon it fails.
//!
//! A step installs what it needs beyond the toolchains. A failed step does not stop the others;
//! nothing is skipped in silence: what `--only` leaves out is not in the table.

mod budgets;
mod clients;
mod escape;
mod examples;
mod native;
mod runtimes;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use clap::Args;

use crate::Result;
use crate::places::{self, fresh, root, target};
use crate::report::{Steps, human};
use crate::server::Server;
use crate::shell::{cargo, show};
use crate::venv::{Venv, node_modules};

/// Of a package of the host.
const INSTALL: Duration = Duration::from_secs(5 * 60);
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// Name, what it checks, how.
type Step = (&'static str, &'static str, fn() -> Result<()>);

const STEPS: &[Step] = &[
    ("tidy", "the project's own rules", crate::tidy::run),
    ("format", "rustfmt", || show(cargo().args(["fmt", "--all", "--check"]), LIMIT)),
    ("lint", "clippy, without a warning", || {
        show(cargo().args(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]), LIMIT)
    }),
    ("unit", "the tests of all crates", || {
        // The escape suite is a step of its own, on the release binary.
        show(cargo().args(["test", "--workspace", "--locked", "--no-fail-fast"]).env(escape::LATER, "1"), LIMIT)
    }),
    ("fuzz", "every parser of untrusted bytes, on mutated inputs", fuzz),
    ("release", "the release binary", || binary().map(drop)),
    ("escape", "hostile functions, as root and as an ordinary user", escape::run),
    ("s3", "the S3 suite, with boto3 and the AWS CLI", s3),
    ("aws", "the other services of the aws door, with boto3", aws),
    ("load", "Lambda functions under load, with boto3: 200 calls at once, the largest payloads, memory", load),
    ("clients", "the AWS CLI, the SDK for JavaScript, chalice, cargo lambda, sam and osls", clients::run),
    ("moto", "moto's own suite for Lambda, beside what is known to fail of it", moto),
    ("contract", "AWS's published runtime clients beside the runners, on the same handlers", contract),
    ("mqtt", "the MQTT suite, with mosquitto's tools and paho", mqtt),
    ("cloudevents", "the published CloudEvents SDKs, in Python and JavaScript", cloudevents),
    ("runtimes", "the published runtime clients of AWS Lambda, in Python, Node, Rust, Go and Java", runtimes::run),
    ("examples", "every example, deployed and called", examples::run),
    ("budgets", "the sizes that SPEC.md promises", budgets::run),
];

#[derive(Args)]
pub(crate) struct Options {
    /// Run this step alone; may be given more than once
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Show the steps and end
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.list {
        STEPS.iter().for_each(|(name, what, _)| println!("{name:<11} {what}"));
        return Ok(());
    }
    if let Some(unknown) = options.only.iter().find(|only| !STEPS.iter().any(|(name, ..)| name == only)) {
        return Err(format!("there is no step {unknown:?}; `cargo xtask test --list` shows them").into());
    }
    let mut steps = Steps::default();
    let room = places::free()?;
    for (name, what, step) in STEPS.iter().filter(|(name, ..)| options.only.is_empty() || options.only.iter().any(|only| only == name)) {
        if let Err(error) = steps.loud(&format!("{name}: {what}"), |_| step()) {
            eprintln!("error: {error}");
        }
    }
    println!();
    for step in &steps.done {
        println!("{} {:<60} {:>12}", if step.passed { '✓' } else { '✗' }, step.name, human(step.took));
    }
    let failed = steps.done.iter().filter(|step| !step.passed).count();
    println!("{} passed, {failed} failed", steps.done.len() - failed);
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    println!("disk: {:.1} GiB free at the start, {:.1} at the end", gib(room), gib(places::free()?));
    if failed == 0 { Ok(()) } else { Err("not all steps passed".into()) }
}

/// In its own workspace, since its real runner needs a nightly compiler; here it runs on stable.
/// Not `--locked`: a dependency that a crate gains must not have to be locked twice.
fn fuzz() -> Result<()> {
    show(cargo().args(["test", "--manifest-path", "fuzz/Cargo.toml", "--target-dir"]).arg(target()).args(["--", "--nocapture"]), LIMIT)
}

/// The suite is a program of its own, which is given a running server.
fn s3() -> Result<()> {
    let suite = root().join("tests/s3");
    let venv = Venv::with("s3", &std::fs::read_to_string(suite.join("requirements.txt"))?)?;
    // It is about signatures too.
    let server = Server::start_with(&binary()?, &fresh("s3")?.join("data"), &["--aws-keys", "known"])?;
    let path =
        std::env::join_paths(std::iter::once(venv.bin()).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())))?;
    let keys = server.keys()?;
    let mut run = venv.python();
    run.arg(suite.join("run.py")).env("PATH", path).args(["--endpoint", &server.doors.aws]);
    run.args(["--access-key", &keys.access_key_id, "--secret-key", &keys.secret_access_key]);
    let ran = show(&mut run, LIMIT);
    ran.map_err(|e| format!("{e}\n{}", server.log_tail()))?;
    server.stop()
}

/// As the one of S3, with any key where that will do.
fn aws() -> Result<()> {
    let suite = root().join("tests/aws");
    let venv = Venv::with("aws", &std::fs::read_to_string(suite.join("requirements.txt"))?)?;
    // Its tries are minutes apart.
    let server = Server::start_with(&binary()?, &fresh("aws")?.join("data"), &["--retry-scale", "0.005"])?;
    let keys = server.keys()?;
    let mut run = venv.python();
    run.arg(suite.join("run.py")).args(["--endpoint", &server.doors.aws]);
    run.args(["--access-key", &keys.access_key_id, "--secret-key", &keys.secret_access_key]);
    show(&mut run, LIMIT).map_err(|e| format!("{e}\n{}", server.log_tail()))?;
    server.stop()
}

/// It looks at the memory of the server's process, which therefore is one that has done nothing else.
fn load() -> Result<()> {
    let suite = root().join("tests/aws-load");
    let venv = Venv::with("aws", &std::fs::read_to_string(suite.join("requirements.txt"))?)?;
    let server = Server::start(&binary()?, &fresh("aws-load")?.join("data"))?;
    let mut run = venv.python();
    run.arg(suite.join("run.py")).args(["--endpoint", &server.doors.aws, "--pid", &server.pid.to_string()]);
    show(&mut run, LIMIT).map_err(|e| format!("{e}\n{}", server.log_tail()))?;
    server.stop()
}

/// The suite expects an account of its own.
fn moto() -> Result<()> {
    let suite = root().join("tests/aws-moto");
    let venv = Venv::with("moto", &std::fs::read_to_string(suite.join("requirements.txt"))?)?;
    let server = Server::start_with(&binary()?, &fresh("moto")?.join("data"), &["--aws-account", "123456789012"])?;
    let mut run = venv.python();
    run.arg(suite.join("run.py")).args(["--endpoint", &server.doors.aws]).arg("--work").arg(fresh("moto-suite")?);
    show(&mut run, LIMIT).map_err(|e| format!("{e}\n{}", server.log_tail()))?;
    server.stop()
}

/// Needs no server: it runs the runners as an engine does.
fn contract() -> Result<()> {
    let suite = root().join("tests/aws-contract");
    let venv = Venv::with("aws-contract", &std::fs::read_to_string(suite.join("requirements.txt"))?)?;
    let mut run = venv.python();
    run.arg(suite.join("run.py")).arg("--runners").arg(root().join("crates/mote-engine-process/runners"));
    for (option, version, name) in [("--node3", "3.3.0", "node-3"), ("--node4", "4.0.2", "node-4")] {
        run.arg(option).arg(runtimes::node_client(version, name)?);
    }
    show(&mut run, LIMIT)
}

/// As the one of S3; the tools and the other broker are the host's, or come from its packages.
fn mqtt() -> Result<()> {
    let suite = root().join("tests/mqtt");
    let install = |package: &str| show(Command::new("apt-get").args(["install", "-y", "-q", package]), INSTALL);
    // A server's program may not be in everybody's PATH.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    let lacks = |program: &str| !std::env::split_paths(&path).any(|folder| folder.join(program).exists());
    if lacks("mosquitto_pub") {
        install("mosquitto-clients")?;
    }
    if lacks("mosquitto") {
        install("mosquitto")?;
        // The package makes it a service of this host, which nobody asked for.
        show(Command::new("service").args(["mosquitto", "stop"]), INSTALL)?;
        show(Command::new("update-rc.d").args(["mosquitto", "disable"]), INSTALL)?;
    }
    let venv = Venv::with("mqtt", &std::fs::read_to_string(suite.join("requirements.txt"))?)?;
    let mote = binary()?;
    let server = Server::start(&mote, &fresh("mqtt")?.join("data"))?;
    let port = server.doors.mqtt.rsplit(':').next().unwrap_or_default().to_owned();
    let mut run = venv.python();
    run.arg(suite.join("run.py")).env("PATH", path).args(["--port", &port, "--token", &server.doors.token]).arg("--mote").arg(mote);
    show(&mut run, LIMIT).map_err(|e| format!("{e}\n{}", server.log_tail()))?;
    server.stop()
}

/// What the SDKs write arrives, and what mote writes they read.
fn cloudevents() -> Result<()> {
    let suite = root().join("tests/cloudevents");
    let venv = Venv::with("cloudevents", &std::fs::read_to_string(suite.join("requirements.txt"))?)?;
    let modules = node_modules("cloudevents", &["cloudevents@10.0.0"])?;
    let server = Server::start(&binary()?, &fresh("cloudevents")?.join("data"))?;
    server.deploy(&suite.join("echo"))?;
    let mut run = venv.python();
    run.arg(suite.join("run.py")).args(["--public", &server.doors.public, "--control", &server.doors.control]);
    run.args(["--token", &server.doors.token]).arg("--modules").arg(modules);
    show(&mut run, LIMIT).map_err(|e| format!("{e}\n{}", server.log_tail()))?;
    server.stop()
}

fn binary() -> Result<PathBuf> {
    places::mote()
}
