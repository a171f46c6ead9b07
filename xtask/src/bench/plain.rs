//! The formula, warm: mote's three runtimes and the peers, alternating round by round.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::figures::Figure;
use super::pin::{LOAD, SERVER, on_core};
use super::{Options, at_least, at_most, peers};
use crate::Result;
use crate::places::{example, fresh, release, target};
use crate::server::Server;
use crate::shell::capture;

const ALONE_MS: u64 = 1000;
const CROWD_MS: u64 = 1500;
const CROWD: usize = 16;

/// Of mote's functions: name here, example, answer.
const OURS: &[(&str, &str, &str)] =
    &[("mote, Python", "formula/formula.py", "9.0"), ("mote, Node", "formula-js", "9"), ("mote, executable", "formula-executable", "9")];

/// What the load generator prints.
#[derive(Clone, Copy, Deserialize)]
struct Load {
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
}

struct Contender {
    name: &'static str,
    url: String,
    answer: &'static str,
    alone: Vec<Load>,
    crowd: Vec<Load>,
}

#[derive(Serialize)]
struct Row {
    name: &'static str,
    /// One connection, microseconds.
    p50_us: Figure,
    p99_us: Figure,
    p50_over_axum: Figure,
    /// Sixteen connections.
    per_second: Figure,
    per_second_over_axum: Figure,
}

pub(super) fn run(options: &Options, binary: &Path) -> Result<Value> {
    release("mote-load")?;
    let server = on_core(SERVER, || Server::start(binary, &fresh("bench")?.join("data")))?;
    let mut contenders = Vec::new();
    let mut running = Vec::new();
    for peer in peers::all()? {
        let started = peer.start()?;
        contenders.push(Contender::new(peer.name, started.url.clone(), peer.answer));
        running.push(started);
    }
    for (name, path, answer) in OURS {
        server.deploy(&example(path))?;
        let function = path.split('/').next().unwrap_or_default();
        contenders.push(Contender::new(name, format!("{}/{function}?a=1&b=2&c=3", server.doors.public), answer));
    }

    // One round that is thrown away brings compilers and caches to their working state.
    for round in 0..=options.rounds {
        for contender in &mut contenders {
            let (alone, crowd) = (contender.load(1, ALONE_MS)?, contender.load(CROWD, CROWD_MS)?);
            if round > 0 {
                contender.alone.push(alone);
                contender.crowd.push(crowd);
            }
        }
    }
    drop(running);
    server.stop()?;

    let rows: Vec<Row> = contenders.iter().map(|contender| contender.row(&contenders[0])).collect();
    options.say(&format!("medians of {} rounds (lowest–highest); the server on one core, the load on another", options.rounds));
    options.say(&format!("{:<30} {:>20} {:>20} {:>22} {:>22}", "", "p50 µs, 1 conn", "× axum", "req/s, 16 conn", "× axum"));
    for row in &rows {
        options.say(&format!(
            "{:<30} {:>20.0} {:>20.2} {:>22.0} {:>22.3}",
            row.name, row.p50_us, row.p50_over_axum, row.per_second, row.per_second_over_axum
        ));
    }
    Ok(json!({ "goals": goals(&contenders, &rows), "rows": rows }))
}

impl Contender {
    fn new(name: &'static str, url: String, answer: &'static str) -> Contender {
        Contender { name, url, answer, alone: Vec::new(), crowd: Vec::new() }
    }

    fn load(&self, connections: usize, milliseconds: u64) -> Result<Load> {
        let mut command = Command::new(target().join("release/mote-load"));
        command.args(["run", "--url", &self.url, "--expect", self.answer]);
        command.args(["--connections", &connections.to_string(), "--milliseconds", &milliseconds.to_string()]);
        let text = on_core(LOAD, || capture(&mut command, Duration::from_secs(60))).map_err(|e| format!("{}: {e}", self.name))?;
        Ok(serde_json::from_str(&text)?)
    }

    fn row(&self, axum: &Contender) -> Row {
        Row {
            name: self.name,
            p50_us: Figure::of(self.alone.iter().map(|load| load.p50_us)),
            p99_us: Figure::of(self.alone.iter().map(|load| load.p99_us)),
            p50_over_axum: ratio(&self.alone, &axum.alone, |load| load.p50_us),
            per_second: Figure::of(self.crowd.iter().map(|load| load.per_second)),
            per_second_over_axum: ratio(&self.crowd, &axum.crowd, |load| load.per_second),
        }
    }
}

/// Round by round, so that a drift of the machine cancels out.
fn ratio(ours: &[Load], theirs: &[Load], figure: impl Fn(&Load) -> f64) -> Figure {
    Figure::of(ours.iter().zip(theirs).map(|(ours, theirs)| figure(ours) / figure(theirs)))
}

fn goals(contenders: &[Contender], rows: &[Row]) -> Vec<Value> {
    let crowd_of = |name: &str| contenders.iter().find(|c| c.name == name).map_or(&[][..], |c| &c.crowd);
    let times = |ours: &str, theirs: &str| ratio(crowd_of(ours), crowd_of(theirs), |load| load.per_second).median;
    let mut goals = vec![
        at_least("mote, Python: req/s × functions-framework (Python)", times("mote, Python", peers::FRAMEWORK_PYTHON), 5.0),
        at_least("mote, Node: req/s × functions-framework (Node)", times("mote, Node", peers::FRAMEWORK_NODE), 5.0),
    ];
    for row in rows.iter().filter(|row| matches!(row.name, "mote, Python" | "mote, Node")) {
        goals.push(at_most(&format!("{}: p50 × axum, one connection", row.name), row.p50_over_axum.median, 1.6));
    }
    goals
}
