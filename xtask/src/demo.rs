//! `cargo xtask demo`: the whole promise in one go, with real clients.
//!
//! Build, serve, deploy, call by GET, POST and CLI, start anew, upload a photograph through boto3
//! and wait for its thumbnail. Every wait has an end, and an error names its step.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use crate::Result;
use crate::places::{self, example, fresh};
use crate::report::{Steps, human};
use crate::server::{Server, ask, get};
use crate::shell::wait;
use crate::venv::{Venv, photo};

/// The S3 client and the judge of the result; both exactly so on every machine.
const CLIENTS: &str = "boto3==1.40.0\npillow>=11,<14\n";
const UPLOADS: Duration = Duration::from_secs(180);

#[derive(Args)]
pub(crate) struct Options {
    /// Leave mote running at the end
    #[arg(long)]
    keep: bool,
    /// The data directory to use, instead of a fresh one below target/xtask
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut steps = Steps::default();
    let binary = steps.loud("build mote for release", |_| places::mote())?;
    let client = steps.quiet("install the S3 client (boto3)", |_| Venv::with("demo", CLIENTS))?;
    let picture = steps.quiet("fetch a photograph", |_| photo(&client))?;
    let data = match &options.data {
        Some(data) => std::path::absolute(data)?,
        None => fresh("demo")?.join("data"),
    };
    let server = steps.quiet("start mote", |_| Server::start(&binary, &data))?;
    deploy_and_call(&mut steps, &server).map_err(|e| with_log(e, &server))?;

    // No instance is warm after this, and everything deployed must still be there.
    let server = steps.quiet("stop and start again", |note| {
        server.stop()?;
        let server = Server::start(&binary, &data)?;
        note.say(format!("ready after {}", human(server.start_up)));
        Ok(server)
    })?;
    let uploaded = upload(&mut steps, &server, &client, &picture).map_err(|e| with_log(e, &server));
    let thumbnails = uploaded?;

    println!("\nupload → thumbnail: {} cold, {} warm", human(thumbnails.cold), human(thumbnails.warm));
    if options.keep {
        println!("\nmote is still running; stop it with: kill {}", server.pid);
        println!("formula     {}/formula?a=1&b=2&c=3", server.doors.public);
        println!("control     {}", server.doors.control);
        println!("S3          {}  (keys: {})", server.doors.aws, data.join("credentials.json").display());
        let beside = binary.parent().unwrap_or(&binary).display();
        println!("\nso that `mote list` and the other commands find it:");
        println!("export MOTE_DATA='{}' PATH='{beside}':\"$PATH\"", data.display());
        server.keep();
        return Ok(());
    }
    steps.quiet("stop mote", |_| server.stop())?;
    println!("\n`cargo xtask demo --keep` leaves it running");
    Ok(())
}

fn deploy_and_call(steps: &mut Steps, server: &Server) -> Result<()> {
    for path in ["formula/formula.py", "formula-js", "thumbnail"] {
        steps.quiet(&format!("deploy examples/{path}"), |_| server.deploy(&example(path)))?;
    }
    let public = &server.doors.public;
    for name in ["formula", "formula-js"] {
        steps.quiet(&format!("GET /{name}?a=1&b=2&c=3"), |note| {
            note.say(nine(&get(&format!("{public}/{name}?a=1&b=2&c=3"))?.ok()?)?);
            Ok(())
        })?;
        steps.quiet(&format!("POST /{name} {{\"a\":1,\"b\":2,\"c\":3}}"), |note| {
            let json = [("content-type", "application/json")];
            note.say(nine(&ask("POST", &format!("{public}/{name}"), &json, ARGUMENTS)?.ok()?)?);
            Ok(())
        })?;
    }
    steps.quiet("mote invoke formula --data …", |note| {
        note.say(nine(&server.cli(&["invoke", "formula", "--data", ARGUMENTS])?)?);
        Ok(())
    })
}

const ARGUMENTS: &str = r#"{"a":1,"b":2,"c":3}"#;

/// (1 + 2) * 3, as Python or as JavaScript writes it.
fn nine(answer: &str) -> Result<String> {
    match answer.trim() {
        right @ ("9" | "9.0") => Ok(format!("→ {right}")),
        wrong => Err(format!("the answer is {wrong:?}, wanted 9").into()),
    }
}

struct Thumbnails {
    cold: Duration,
    warm: Duration,
}

/// A line of `upload.py`.
#[derive(Deserialize)]
struct Told {
    step: String,
    ms: f64,
    #[serde(default)]
    note: String,
}

fn upload(steps: &mut Steps, server: &Server, client: &Venv, picture: &std::path::Path) -> Result<Thumbnails> {
    let mut command = client.python();
    command.args(["-c", include_str!("demo/upload.py")]).arg(picture).envs(server.aws_env()?);
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().ok_or("the uploader has no stdout")?;
    let guard = std::thread::spawn(move || wait(&mut child, UPLOADS).map_err(|e| e.to_string()));
    let mut thumbnails = Vec::new();
    for line in BufReader::new(stdout).lines() {
        let told: Told = serde_json::from_str(&line?)?;
        let took = Duration::from_secs_f64(told.ms / 1000.0);
        if told.step.starts_with("wait") {
            thumbnails.push(took);
        }
        steps.ran(&told.step, took, &told.note);
    }
    let status = guard.join().map_err(|_| "the wait for the uploader panicked")??;
    match thumbnails[..] {
        [cold, warm] if status.success() => Ok(Thumbnails { cold, warm }),
        _ => Err(format!("the uploads ended with {status} after {} thumbnails", thumbnails.len()).into()),
    }
}

fn with_log(error: Box<dyn std::error::Error>, server: &Server) -> Box<dyn std::error::Error> {
    let function_log = server.cli(&["logs", "thumbnail"]).unwrap_or_default();
    format!("{error}\nthe server's log ends with:\n{}\nthe function's log:\n{function_log}", server.log_tail()).into()
}
