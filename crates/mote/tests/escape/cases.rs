//! Every attack, by topic; what is asked of each; and how a pass runs them.
//!
//! A case deploys something hostile, lets it loose, and says what must have become of it. Around it,
//! the same is asked of all: the neighbour's calls were right meanwhile, a fresh call of the
//! attacker is answered, and nothing is left over.

#[path = "cases/exhaustion.rs"]
mod exhaustion;
#[path = "cases/files.rs"]
mod files;
#[path = "cases/kernel.rs"]
mod kernel;
#[path = "cases/lifetime.rs"]
mod lifetime;
#[path = "cases/neighbours.rs"]
mod neighbours;
#[path = "cases/network.rs"]
mod network;
#[path = "cases/platform.rs"]
mod platform;

use std::any::Any;
use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::ground::{Case, Ground, Server};
use crate::traces;
use crate::world::{Outside, Pass};

/// At once, where they are not about load.
const SIDE_BY_SIDE: usize = 4;

/// Of what a failed case says; floods end up in there.
const TEXT_MAX: usize = 1500;

pub(crate) type Attack = (&'static str, fn(&Case<'_>));

/// The name of a case is that of its function.
macro_rules! attacks {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), $name as fn(&crate::ground::Case<'_>))),*] };
}
pub(crate) use attacks;

/// One topic each.
const TOPICS: &[&[Attack]] =
    &[exhaustion::ATTACKS, kernel::ATTACKS, neighbours::ATTACKS, network::ATTACKS, files::ATTACKS, lifetime::ATTACKS, platform::ATTACKS];
/// These take so much that their neighbours in this suite would be judged by it.
const ALONE: &[&[Attack]] = &[exhaustion::HEAVY];

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TOPICS.iter().chain(ALONE).flat_map(|topic| topic.iter().map(|(name, _)| *name))
}

/// Runs a pass; whether every case is green.
pub(crate) fn main(pass: Pass) -> io::Result<bool> {
    let begun = Instant::now();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |(name, _): &&Attack| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    // What a case panics with is its report, told once it is over.
    std::panic::set_hook(Box::new(|panic| WHERE.set(panic.location().map(|place| format!("{}:{}", place.file(), place.line())))));
    let (mut ground, server) = Ground::prepare(pass, Outside::enter()?)?;
    let together: Vec<Attack> = TOPICS.iter().flat_map(|topic| topic.iter()).filter(wanted).copied().collect();
    let alone: Vec<Attack> = ALONE.iter().flat_map(|topic| topic.iter()).filter(wanted).copied().collect();
    let failed = run(&ground, &together, SIDE_BY_SIDE, 0) + run(&ground, &alone, 1, together.len());
    let (calls, slowest) = ground.neighbour.account();
    ground.neighbour.move_out();

    let astray = judge("nothing_went_astray", || network::nothing_went_astray(&ground));
    let traces = judge("nothing_is_left_over", || nothing_is_left_over(&ground, server));
    let failed = failed + usize::from(!traces) + usize::from(!astray);
    if failed > 0 {
        // Every line but those of the audit, which tell each deploy and removal.
        eprintln!(
            "the server said:\n{}",
            ground
                .server_log()
                .lines()
                .filter(|line| !line.contains(" verb="))
                .rev()
                .take(30)
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
                .collect::<Vec<_>>()
                .join("\n")
        );
    }
    let cases = together.len() + alone.len() + 2;
    println!(
        "  {}: {} of {cases} cases contained in {:.1} s; the neighbour was called {calls} times, the slowest took {:.2} s",
        pass.title(),
        cases - failed,
        begun.elapsed().as_secs_f64(),
        slowest.as_secs_f64()
    );
    if words.is_empty() || cases > 2 { Ok(failed == 0) } else { Err(io::Error::other(format!("no case is called {words:?}"))) }
}

/// After all cases of a pass: no mount, jail or descriptor, and with the server's end no process.
fn nothing_is_left_over(ground: &Ground, server: Server) {
    for name in ["neighbour", "neighbour-cold"] {
        ground.run(&["remove", name]).ok();
    }
    ground.traces.are_gone();
    server.stop().expect("mote ends when it is asked to");
    traces::nobody_is_left();
}

/// How many failed.
fn run(ground: &Ground, attacks: &[Attack], side_by_side: usize, first: usize) -> usize {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(0));
    std::thread::scope(|scope| {
        for _ in 0..side_by_side {
            scope.spawn(|| {
                while let Some((name, attack)) = attacks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let number = first + attacks.iter().position(|(own, _)| own == name).unwrap_or_default();
                    let case = Case::new(ground, name, number);
                    if !judge(name, || contain(&case, *attack)) {
                        case.leave();
                        *failed.lock().expect("a number can't be poisoned") += 1;
                    }
                }
            });
        }
    });
    failed.into_inner().expect("a number can't be poisoned")
}

fn contain(case: &Case<'_>, attack: fn(&Case<'_>)) {
    let begun = Instant::now();
    attack(case);
    case.settle();
    case.ground.traces.none_called(&case.mark);
    case.ground.neighbour.was_unharmed_since(begun);
}

thread_local! {
    /// Where this thread panicked last.
    static WHERE: Cell<Option<String>> = const { Cell::new(None) };
}

/// Runs it, and says how it went.
fn judge(name: &str, work: impl FnOnce()) -> bool {
    let begun = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(work));
    let took = begun.elapsed().as_secs_f64();
    match &outcome {
        Ok(()) => println!("  ✓ {name:<44} {took:>6.2} s"),
        Err(panic) => println!("  ✗ {name:<44} {took:>6.2} s\n    {}: {}", WHERE.take().unwrap_or_default(), text(panic.as_ref())),
    }
    outcome.is_ok()
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked").chars().take(TEXT_MAX).collect()
}
