//! `mote doctor`: what this machine can run, and how well fenced.
//!
//! Barriers are found out by building a jail, not by guessing; the rest by looking.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::cli::Common;
use crate::config::Door;
use crate::doors::Doors;
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote doctor
  mote doctor --json | jq '.barriers[] | select(.enforced | not)'

Exit code 0: functions can run here, each behind every barrier.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Doctor {
    #[command(flatten)]
    pub(super) common: Common,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    name: String,
    good: bool,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Doctor {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let barriers = mote_engine_process::doctor();
        let interpreters = [interpreter("python3", "python"), interpreter("node", "node")];
        let dir = self.common.server.data_dir();
        let data = data_dir(&dir);
        let doors = Doors::read(&dir);
        let ports = [Door::Public, Door::Control, Door::Aws].map(|door| port(door, doors.as_ref()));
        let able = data.good && barriers.iter().all(|barrier| barrier.enforced);

        if self.common.output.json {
            output::json(&json!({ "able": able, "barriers": barriers, "interpreters": interpreters, "data": data, "ports": ports }));
        } else {
            let barriers = barriers.into_iter().map(|barrier| Finding {
                name: barrier.name.to_owned(),
                good: barrier.enforced,
                found: barrier.why,
                hint: barrier.hint,
            });
            section("BARRIERS", barriers.collect());
            section("INTERPRETERS", interpreters.into());
            section("DATA", vec![data]);
            section("PORTS", ports.into());
            output::line_out(if able { "functions can run here" } else { "functions can't run here as they should" });
        }
        Ok(if able { Exit::Done } else { Exit::Refused })
    }
}

fn section(title: &str, findings: Vec<Finding>) {
    let mark = |good: bool| if good { "yes" } else { "NO" }.to_owned();
    let rows: Vec<_> = findings.iter().map(|it| vec![it.name.clone(), mark(it.good), it.found.clone()]).collect();
    output::table(&[title, "GOOD", "FOUND"], &rows);
    findings.iter().filter_map(|it| it.hint.as_ref()).for_each(|hint| output::line_out(&format!("{} {hint}", output::bold("hint:"))));
    output::line_out("");
}

fn interpreter(program: &str, runtime: &str) -> Finding {
    let asked = Command::new(program).arg("--version").output().ok().filter(|answer| answer.status.success());
    let version = asked.map(|answer| String::from_utf8_lossy(&answer.stdout).trim().to_owned());
    Finding {
        name: runtime.to_owned(),
        good: version.is_some(),
        hint: version.is_none().then(|| format!("Without `{program}` in the PATH, no {runtime} function runs here; others do.")),
        found: version.unwrap_or_else(|| format!("no `{program}`")),
    }
}

/// Whether the directory, or the place where it will be made, can be written.
fn data_dir(dir: &Path) -> Finding {
    let there = dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let probe = there.join(format!(".mote-doctor-{}", std::process::id()));
    let written = std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe));
    let state = if there == dir { "can be written" } else { "will be made at the first start" };
    Finding {
        name: dir.display().to_string(),
        good: written.is_ok(),
        hint: written.is_err().then(|| "Name a directory of your own with `--data DIR`.".to_owned()),
        found: written.map_or_else(|error| error.to_string(), |()| state.to_owned()),
    }
}

fn port(door: Door, doors: Option<&Doors>) -> Finding {
    let address = door.default();
    let ours = doors.map(|doors| match door {
        Door::Public => &doors.public,
        Door::Control => &doors.control,
        Door::Aws => &doors.aws,
    });
    let free = TcpListener::bind(address).is_ok();
    let mine = ours.is_some_and(|url| url.strip_prefix("http://").and_then(|url| url.parse::<SocketAddr>().ok()) == Some(address));
    let name = format!("{} {address}", door.flag().trim_start_matches('-'));
    let found = match (free, mine) {
        (true, _) => "free",
        (false, true) => "held by the server of this data directory",
        (false, false) => "taken by another program",
    };
    let hint = (!free && !mine).then(|| format!("`mote serve {} 127.0.0.1:0` takes a free port.", door.flag()));
    Finding { name, good: free || mine, found: found.to_owned(), hint }
}
