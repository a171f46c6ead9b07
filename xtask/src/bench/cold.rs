//! From no instance to the first answer. For mote: a call that the reply itself says was cold; for
//! the peers, which do not scale from zero, the start of their process.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::figures::Figure;
use super::pin::{SERVER, on_core};
use super::{Options, at_least, burst, peers, spawn};
use crate::Result;
use crate::places::{example, fresh, release};
use crate::server::{Server, get};
use crate::shell::until;

/// The shortest idle time that a manifest takes; an instance ends soon after it.
const IDLE: &str = "1s";
const SCALED_DOWN: Duration = Duration::from_secs(20);

/// Example, its file, runtime, what its row is called.
const OURS: &[(&str, &str, &str, &str)] = &[
    ("formula", "formula.py", "python", PYTHON),
    ("formula-js", "formula.js", "node", NODE),
    ("formula-executable", "formula", "executable", "mote, a script of awk"),
];
const PYTHON: &str = "mote, python";
const NODE: &str = "mote, node";
const NATIVE: &str = "mote, a native program";

pub(super) fn run(options: &Options, binary: &Path) -> Result<Value> {
    release("mote-load")?;
    let server = on_core(SERVER, || Server::start(binary, &fresh("bench")?.join("data")))?;
    let mut rows = Vec::new();
    let native = spawn::native()?;
    let examples = OURS.iter().map(|(folder, file, runtime, row)| (example(folder).join(file), *runtime, *row));
    for (file, runtime, row) in examples.chain([(native.clone(), "executable", NATIVE)]) {
        let path = deploy_impatient(&server, &file, runtime)?;
        let samples = (0..options.rounds).map(|_| cold_call(&server, &path)).collect::<Result<Vec<_>>>()?;
        rows.push((row.to_owned(), Figure::of_ms(&samples)));
    }
    server.stop()?;
    // On all cores, as a server of one's own would be: its callers only wait.
    let server = Server::start(binary, &fresh("bench")?.join("data"))?;
    let bursts = burst::run(options, &server)?;
    server.stop()?;
    for (name, samples) in spawn::rows(options.rounds, &native)? {
        if samples.is_empty() {
            options.say(&format!("{name}: this host does not have it, so there is no row"));
        } else {
            rows.push((name, Figure::of_ms(&samples)));
        }
    }
    for peer in peers::all()? {
        let samples = (0..options.rounds).map(|_| Ok(peer.start()?.first_answer)).collect::<Result<Vec<_>>>()?;
        rows.push((peer.name.to_owned(), Figure::of_ms(&samples)));
    }
    options.say(&format!("milliseconds to the first answer, medians of {} (lowest–highest)", options.rounds));
    for (name, figure) in &rows {
        options.say(&format!("{name:<30} {figure:>26.1}"));
    }
    let of = |name: &str| rows.iter().find(|(row, _)| row == name).map_or(f64::NAN, |(_, figure)| figure.median);
    let goals = [
        at_least("functions-framework (Python) takes so many times as long", of(peers::FRAMEWORK_PYTHON) / of(PYTHON), 20.0),
        at_least("functions-framework (Node) takes so many times as long", of(peers::FRAMEWORK_NODE) / of(NODE), 2.0),
    ];
    Ok(json!({ "rows": rows, "bursts": bursts, "goals": goals }))
}

/// Gives back the path of its URL.
fn deploy_impatient(server: &Server, file: &Path, runtime: &str) -> Result<String> {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let entry = if runtime == "executable" { name.to_owned() } else { format!("{name}:formula") };
    let function = format!("cold-{}", name.replace('.', "-"));
    let place = fresh("cold")?;
    std::fs::copy(file, place.join(name))?;
    let manifest = format!("name = \"{function}\"\nruntime = \"{runtime}\"\nentry = \"{entry}\"\nidle = \"{IDLE}\"\n");
    std::fs::write(place.join("mote.toml"), manifest)?;
    server.deploy(&place)?;
    Ok(format!("/{function}"))
}

/// Waits for the instance to go, then times the call that has to start one.
fn cold_call(server: &Server, path: &str) -> Result<Duration> {
    let url = format!("{}{path}?a=1&b=2&c=3", server.doors.public);
    until(SCALED_DOWN, "a cold call", || {
        thread::sleep(Duration::from_millis(1500));
        let begun = Instant::now();
        let answer = get(&url)?;
        let took = begun.elapsed();
        let cold = answer.header("server-timing").contains("cold");
        answer.ok()?;
        Ok(cold.then_some(took))
    })
}
