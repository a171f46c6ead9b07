//! The durable path beside message brokers that fsync before they answer, in the same run: events
//! accepted in a second, accepted and run and settled, and the slowest answers at half the load.
//!
//! mote runs a function, in its jail, for every event; the peers' workers do nothing but acknowledge.
//! A peer's pair is one-sided in its favour, then, and stays so.

mod brokers;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use self::brokers::Broker;
use super::figures::Figure;
use super::pin::{LOAD, SERVER, on_core};
use super::{Options, at_least};
use crate::Result;
use crate::places::{fresh, release, target};
use crate::server::Server;
use crate::shell::{capture, until};

const PRODUCERS: usize = 64;
const EVENT_BYTES: usize = 1024;
const LOAD_MS: u64 = 3000;
/// Workers of a peer, each of which takes 64 at a time.
const WORKERS: usize = 4;

const FUNCTION: &str = "export default function work(event) { return null; }\n";
const MANIFEST: &str = "name = \"work\"\nruntime = \"node\"\nentry = \"work.js\"\nconcurrency = 100\ninstances_max = 1\n";

/// What the load generator prints.
#[derive(Clone, Copy, Deserialize)]
struct Load {
    requests: f64,
    per_second: f64,
    p99_us: f64,
    #[serde(default)]
    worked: f64,
}

/// What a round found for one contender.
#[derive(Clone, Copy)]
struct Found {
    accepted_per_second: f64,
    half_load_p99_us: f64,
    settled_per_second: f64,
}

pub(super) fn run(options: &Options, binary: &Path) -> Result<Value> {
    release("mote-load")?;
    let brokers = brokers::all(&mut |why| options.say(&format!("skipped: {why}")))?;
    let mut ours = Vec::new();
    let mut theirs: Vec<Vec<Found>> = vec![Vec::new(); brokers.len()];
    for _ in 0..options.rounds {
        ours.push(mote(binary)?);
        for (broker, found) in brokers.iter().zip(&mut theirs) {
            found.push(peer(broker)?);
        }
    }
    options.say(&format!(
        "medians of {} rounds (lowest–highest); {PRODUCERS} producers, events of {EVENT_BYTES} bytes; the server on one core, the load on another",
        options.rounds
    ));
    options.say(&format!(
        "{:<22} {:>24} {:>18} {:>22} {:>24} {:>18}",
        "", "accepted/s", "mote ÷ it", "p99 at half load, µs", "accepted, run, settled/s", "mote ÷ it"
    ));
    let mut rows = vec![row(options, "mote", &ours, &ours)];
    let mut goals = vec![
        at_least("accepted/s", median(&ours, |found| found.accepted_per_second), 30_000.0),
        at_least("accepted, run and settled/s", median(&ours, |found| found.settled_per_second), 10_000.0),
    ];
    for (broker, found) in brokers.iter().zip(&theirs) {
        rows.push(row(options, broker.name, &ours, found));
        if broker.is_goal {
            let ratio = ratio(&ours, found, |found| found.accepted_per_second);
            goals.push(at_least(&format!("accepted/s × {}", broker.name), ratio.median, 7.0));
        }
    }
    Ok(json!({ "goals": goals, "rows": rows }))
}

fn median(found: &[Found], figure: impl Fn(&Found) -> f64) -> f64 {
    Figure::of(found.iter().map(figure)).median
}

/// Round by round, so that a drift of the machine cancels out.
fn ratio(ours: &[Found], theirs: &[Found], figure: impl Fn(&Found) -> f64) -> Figure {
    Figure::of(ours.iter().zip(theirs).map(|(ours, theirs)| figure(ours) / figure(theirs)))
}

fn row(options: &Options, name: &str, ours: &[Found], found: &[Found]) -> Value {
    let accepted = Figure::of(found.iter().map(|found| found.accepted_per_second));
    let settled = Figure::of(found.iter().map(|found| found.settled_per_second));
    let p99_us = Figure::of(found.iter().map(|found| found.half_load_p99_us));
    let times = [ratio(ours, found, |found| found.accepted_per_second), ratio(ours, found, |found| found.settled_per_second)];
    options.say(&format!("{name:<22} {accepted:>24.0} {:>18.2} {p99_us:>22.0} {settled:>24.0} {:>18.2}", times[0], times[1]));
    json!({ "name": name, "accepted_per_second": accepted, "settled_per_second": settled, "half_load_p99_us": p99_us,
            "mote_over_accepted": times[0], "mote_over_settled": times[1] })
}

fn load(arguments: &[&str], rate: Option<f64>) -> Result<Load> {
    let mut command = Command::new(target().join("release/mote-load"));
    command.args(arguments).args(["--connections", &PRODUCERS.to_string(), "--milliseconds", &LOAD_MS.to_string()]);
    command.args(rate.map(|rate| format!("--rate={rate}")));
    let text = on_core(LOAD, || capture(&mut command, Duration::from_secs(120)))?;
    Ok(serde_json::from_str(&text)?)
}

fn mote(binary: &Path) -> Result<Found> {
    let server = on_core(SERVER, || Server::start(binary, &fresh("bench")?.join("data")))?;
    let folder = fresh("work")?;
    std::fs::write(folder.join("work.js"), FUNCTION)?;
    std::fs::write(folder.join("mote.toml"), MANIFEST)?;
    server.deploy(&folder)?;
    let send = |query: &str, rate| {
        let url = format!("{}/v1/functions/work/send{query}", server.doors.control);
        let (body, bearer) = ("x".repeat(EVENT_BYTES), format!("authorization: Bearer {}", server.doors.token));
        load(&["run", "--url", &url, "--post", &body, "--header", &bearer, "--header", "content-type: text/plain", "--status", "202"], rate)
    };
    let begun = Instant::now();
    let whole = send("", None)?;
    until(Duration::from_secs(120), "the end of the backlog", || {
        let used: Value = serde_json::from_str(&server.control("GET", "/v1/quota", "")?.ok()?)?;
        Ok((used["used"]["queued"] == 0).then_some(()))
    })?;
    let settled_per_second = whole.requests / begun.elapsed().as_secs_f64();
    // Due much later, so that nothing but the accepting is measured.
    let accept = send("?delay=1h", None)?;
    let half = send("?delay=1h", Some(accept.per_second / 2.0))?;
    server.stop()?;
    Ok(Found { accepted_per_second: accept.per_second, half_load_p99_us: half.p99_us, settled_per_second })
}

fn peer(broker: &Broker) -> Result<Found> {
    let running = broker.start()?;
    let (port, bytes, workers) = (running.port.to_string(), EVENT_BYTES.to_string(), WORKERS.to_string());
    let ask = |work: &str, rate| load(&[broker.load, "--port", &port, "--bytes", &bytes, "--work", work], rate);
    let begun = Instant::now();
    let whole = ask(&workers, None)?;
    let settled_per_second = whole.worked.min(whole.requests) / begun.elapsed().as_secs_f64();
    let accept = ask("0", None)?;
    let half = ask("0", Some(accept.per_second / 2.0))?;
    Ok(Found { accepted_per_second: accept.per_second, half_load_p99_us: half.p99_us, settled_per_second })
}
