//! `mote doctor`: what this machine can run, and how well fenced.
//!
//! Barriers are found out by building a jail, not by guessing; the rest by looking.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use mote_core::function::Isolation;
use mote_engine_process::Barrier;
use serde::Serialize;
use serde_json::json;

use crate::cli::Output;
use crate::config::Door;
use crate::doors::Doors;
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote doctor
  mote doctor --json | jq '.barriers[] | select(.enforced | not) | .hint'

Exit code 0: functions can run here, each behind every barrier that `standard` needs.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Doctor {
    /// The data directory to look at [default: MOTE_DATA, then ~/.local/share/mote]
    #[arg(long = "data", visible_alias = "data-dir", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(super) output: Output,
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
        let interpreters =
            [interpreter("python3", "python"), interpreter("node", "node"), installer("pip", "python"), installer("npm", "node")];
        let dir = self.data_dir.unwrap_or_else(crate::config::default_data_dir);
        let data = data_dir(&dir);
        let doors = Doors::read(&dir);
        let ports = [Door::Public, Door::Control, Door::Aws, Door::Mqtt].map(|door| port(door, doors.as_ref()));
        let holds = |isolation| barriers.iter().filter(|barrier| barrier.required <= isolation).all(|barrier| barrier.enforced);
        let (able, strict) = (data.good && holds(Isolation::Standard), data.good && holds(Isolation::Strict));
        let user = further_groups(&mote_engine_process::further_groups());

        if self.output.json {
            output::json(
                &json!({ "able": able, "strict": strict, "barriers": barriers, "user": user, "interpreters": interpreters, "data": data, "ports": ports }),
            );
        } else {
            ladder(&barriers);
            section("USER", vec![user]);
            section("INTERPRETERS", interpreters.into());
            section("DATA", vec![data]);
            section("PORTS", ports.into());
            output::line_out(match (able, strict) {
                (true, true) => "functions can run here, those with `isolation = \"strict\"` too",
                (true, false) => "functions can run here, but none with `isolation = \"strict\"`",
                (false, _) => "functions can't run here as they should",
            });
        }
        Ok(if able { Exit::Done } else { Exit::Refused })
    }
}

/// Below the table stand why a barrier is missing, what stands in for it and what to do: they are
/// too long for a column.
fn ladder(barriers: &[Barrier]) {
    let row = |it: &Barrier| {
        let (enforced, found) = if it.enforced { ("yes", it.why.as_str()) } else { ("NO", "missing, see below") };
        vec![it.name.to_owned(), enforced.to_owned(), it.required.as_str().to_owned(), found.to_owned()]
    };
    output::table(&["BARRIERS", "ENFORCED", "NEEDED BY", "FOUND"], &barriers.iter().map(row).collect::<Vec<_>>());
    for it in barriers.iter().filter(|it| !it.enforced) {
        output::line_out(&format!("{} {}", output::bold(&format!("{}:", it.name)), it.why));
        if let Some(instead) = &it.instead {
            output::line_out(&format!("  instead: {instead}"));
        }
    }
    let mut hints: Vec<_> = barriers.iter().filter_map(|it| it.hint.as_deref()).collect();
    // Controllers share theirs.
    hints.dedup();
    hints.iter().for_each(|hint| output::line_out(&format!("{} {hint}", output::bold("hint:"))));
    output::line_out("");
}

/// A process can't leave them without a right that an ordinary user lacks, so functions have them too.
fn further_groups(groups: &[u32]) -> Finding {
    let names: Vec<_> = groups.iter().map(u32::to_string).collect();
    let alone = names.is_empty();
    Finding {
        name: "groups".to_owned(),
        good: alone,
        found: if alone { "functions are in no group of the host".to_owned() } else { format!("functions keep mote's groups {}", names.join(", ")) },
        hint: (!alone).then(|| {
            "What those groups may read in the programs' directories, functions may read. Run mote as a user of its own without further groups.".to_owned()
        }),
    }
}

/// What installs dependencies at a deploy.
fn installer(program: &str, runtime: &str) -> Finding {
    let asked = match program {
        "pip" => Command::new("python3").args(["-m", "pip", "--version"]).output(),
        _ => Command::new(program).arg("--version").output(),
    };
    let version = asked.ok().filter(|answer| answer.status.success());
    let version = version.map(|answer| String::from_utf8_lossy(&answer.stdout).split_whitespace().take(2).collect::<Vec<_>>().join(" "));
    Finding {
        name: format!("{program} for {runtime}"),
        good: version.is_some(),
        hint: version.is_none().then(|| format!("Without {program}, {runtime} functions bring their dependencies in the bundle.")),
        found: version.unwrap_or_else(|| format!("no `{program}`")),
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
        Door::Mqtt => &doors.mqtt,
    });
    let free = TcpListener::bind(address).is_ok();
    let mine = ours.is_some_and(|url| url.split_once("://").and_then(|(_, url)| url.parse::<SocketAddr>().ok()) == Some(address));
    let name = format!("{} {address}", door.flag().trim_start_matches('-'));
    let found = match (free, mine) {
        (true, _) => "free",
        (false, true) => "held by the server of this data directory",
        (false, false) => "taken by another program",
    };
    let hint = (!free && !mine).then(|| format!("`mote serve {} 127.0.0.1:0` takes a free port.", door.flag()));
    Finding { name, good: free || mine, found: found.to_owned(), hint }
}
