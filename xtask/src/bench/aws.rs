//! Lambda's `Invoke`, cold and warm, beside others that answer it on one's own machine, in the same run.
//!
//! Everybody gets the same handler and the same request from the same client. A cold call is the first
//! of a function that has no instance: of mote one that has scaled to zero (its `REPORT` line must say
//! so), of MiniStack one that was just made, of the others the first after their start, which is not
//! counted. What each does then is its own: the Runtime Interface Emulator and serverless-offline are no
//! servers for many functions, and put nothing in a jail.

mod peers;

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use self::peers::Peer;
use super::figures::Figure;
use super::pin::{LOAD, SERVER, on_core};
use super::{Options, at_least};
use crate::Result;
use crate::places::{fresh, release, target};
use crate::server::{Server, ask};
use crate::shell::{capture, until};

const WARM_MS: u64 = 1000;
const COLD_CALLS: usize = 3;
const SCALED_DOWN: Duration = Duration::from_secs(30);
const EVENT: &str = r#"{"a":1,"b":2,"c":3}"#;
const ANSWER: &str = "9";
/// A client of AWS always signs, and whom this machine trusts needs no right signature: of mote, MiniStack and the rest alike.
const SIGNED: [(&str, &str); 2] = [
    (
        "authorization",
        "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, Signature=0000000000000000000000000000000000000000000000000000000000000000",
    ),
    ("x-amz-date", "20260101T000000Z"),
];

/// The formula, as Lambda's handlers have it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    Python,
    Node,
}

impl Language {
    const ALL: [Language; 2] = [Language::Python, Language::Node];

    fn name(self) -> &'static str {
        match self {
            Language::Python => "Python",
            Language::Node => "Node",
        }
    }

    fn runtime(self) -> &'static str {
        match self {
            Language::Python => "python3.11",
            Language::Node => "nodejs20.x",
        }
    }

    /// The file's name, and what is in it.
    fn handler(self) -> (&'static str, &'static str) {
        match self {
            Language::Python => ("app.py", "def handler(event, context):\n    return (event[\"a\"] + event[\"b\"]) * event[\"c\"]\n"),
            Language::Node => ("app.js", "exports.handler = async (event) => (event.a + event.b) * event.c;\n"),
        }
    }
}

/// What a round found for one contender.
#[derive(Clone, Copy)]
struct Found {
    cold_ms: f64,
    warm_us: f64,
}

#[derive(Deserialize)]
struct Load {
    p50_us: f64,
}

pub(super) fn run(options: &Options, binary: &Path) -> Result<Value> {
    release("mote-load")?;
    let (mut rows, mut goals) = (Vec::new(), Vec::new());
    let peers = peers::all(&mut |why| options.say(&format!("skipped: {why}")));
    options.say(&format!(
        "medians of {} rounds (lowest–highest), one connection; the server on one core, the load on another",
        options.rounds
    ));
    options.say(&format!("{:<34} {:>22} {:>20} {:>22} {:>20}", "", "cold, ms", "it ÷ mote", "warm, p50 µs", "it ÷ mote"));
    for language in Language::ALL {
        let peers: Vec<&Peer> = peers.iter().filter(|peer| peer.languages.contains(&language)).collect();
        let mut ours = Vec::new();
        let mut theirs = vec![Vec::new(); peers.len()];
        for _ in 0..options.rounds {
            ours.push(mote(binary, language)?);
            for (peer, found) in peers.iter().zip(&mut theirs) {
                found.push(of_peer(peer, language)?);
            }
        }
        rows.push(row(options, &format!("mote, {}", language.name()), &ours, &ours));
        for (peer, found) in peers.iter().zip(&theirs) {
            let name = format!("{}, {}", peer.name, language.name());
            rows.push(row(options, &name, &ours, found));
            for (what, figure) in [("cold", cold as fn(&Found) -> f64), ("warm", warm)] {
                goals.push(at_least(&format!("{name}: {what} ÷ mote"), ratio(&ours, found, figure).median, 10.0));
            }
        }
    }
    Ok(json!({ "goals": goals, "rows": rows }))
}

fn cold(found: &Found) -> f64 {
    found.cold_ms
}

fn warm(found: &Found) -> f64 {
    found.warm_us
}

/// Round by round, so that a drift of the machine cancels out.
fn ratio(ours: &[Found], theirs: &[Found], figure: impl Fn(&Found) -> f64) -> Figure {
    Figure::of(ours.iter().zip(theirs).map(|(ours, theirs)| figure(theirs) / figure(ours)))
}

fn row(options: &Options, name: &str, ours: &[Found], found: &[Found]) -> Value {
    let (cold_ms, warm_us) = (Figure::of(found.iter().map(cold)), Figure::of(found.iter().map(warm)));
    let times = [ratio(ours, found, cold), ratio(ours, found, warm)];
    options.say(&format!("{name:<34} {cold_ms:>22.1} {:>20.1} {warm_us:>22.0} {:>20.1}", times[0], times[1]));
    json!({ "name": name, "cold_ms": cold_ms, "warm_p50_us": warm_us, "cold_over_mote": times[0], "warm_over_mote": times[1] })
}

fn mote(binary: &Path, language: Language) -> Result<Found> {
    let server = on_core(SERVER, || Server::start(binary, &fresh("bench")?.join("data")))?;
    let folder = fresh("lambda")?;
    let (file, code) = language.handler();
    std::fs::write(folder.join(file), code)?;
    // It ends a second after its last call: the shortest time that a manifest takes.
    let manifest =
        format!("name = \"formula\"\ndialect = \"aws\"\nruntime = \"{}\"\nentry = \"app.handler\"\nidle = \"1s\"\n", language.runtime());
    std::fs::write(folder.join("mote.toml"), manifest)?;
    server.deploy(&folder)?;
    let url = invocations(&server.doors.aws, "formula");
    let samples = (0..COLD_CALLS).map(|_| after_scaling_down(&url)).collect::<Result<Vec<_>>>()?;
    let found = Found { cold_ms: Figure::of_ms(&samples).median, warm_us: warm_call(&url)? };
    server.stop()?;
    Ok(found)
}

fn of_peer(peer: &Peer, language: Language) -> Result<Found> {
    let running = peer.start(language)?;
    let (mut samples, mut url) = (Vec::new(), String::new());
    for number in 0..peer.cold_calls() {
        url = running.function(language, number)?;
        samples.push(timed(&url, &[])?.0);
    }
    Ok(Found { cold_ms: Figure::of_ms(&samples).median, warm_us: warm_call(&url)? })
}

fn invocations(door: &str, function: &str) -> String {
    format!("{door}/2015-03-31/functions/{function}/invocations")
}

/// How long it took, and the end of the log where that was asked for.
fn timed(url: &str, headers: &[(&str, &str)]) -> Result<(Duration, String)> {
    let headers = [&SIGNED[..], headers].concat();
    let begun = Instant::now();
    let answer = ask("POST", url, &headers, EVENT)?;
    let took = begun.elapsed();
    let log = String::from_utf8(BASE64_STANDARD.decode(answer.header("x-amz-log-result"))?)?;
    match answer.ok()? {
        body if body == ANSWER => Ok((took, log)),
        other => Err(format!("{url} answers {other:.200} where {ANSWER} is wanted").into()),
    }
}

/// Waits for the instance to go, then times the call that has to start one. The log is asked for, since it says
/// whether one was started; that costs mote time, and no peer is asked for it.
fn after_scaling_down(url: &str) -> Result<Duration> {
    until(SCALED_DOWN, "a cold call", || {
        thread::sleep(Duration::from_millis(1500));
        let (took, log) = timed(url, &[("x-amz-log-type", "Tail")])?;
        Ok(log.contains("Init Duration").then_some(took))
    })
}

fn warm_call(url: &str) -> Result<f64> {
    let mut command = Command::new(target().join("release/mote-load"));
    command.args(["run", "--url", url, "--post", EVENT, "--expect", ANSWER, "--connections", "1"]);
    command.args(["--milliseconds", &WARM_MS.to_string()]);
    for (name, value) in SIGNED {
        command.args(["--header", &format!("{name}: {value}")]);
    }
    let text = on_core(LOAD, || capture(&mut command, Duration::from_secs(60)))?;
    Ok(serde_json::from_str::<Load>(&text)?.p50_us)
}
