//! Two functions that do honest work all the while, one warm and one new each time.
//!
//! Every call is written down with its time, so that a case can ask whether any went wrong while
//! it attacked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::ground::Ground;
use crate::harness::http;

/// A call that takes longer was harmed, on a machine as busy as this suite makes it.
const SANE: Duration = Duration::from_secs(10);

const WARM: &str = "import os\n\ndef neighbour(n: int):\n    return {\"square\": n * n, \"secret\": os.environ[\"TREASURE\"]}\n";
const WARM_MANIFEST: &str = "name = \"neighbour\"\nruntime = \"python\"\ninstances_min = 1\n[env]\nTREASURE = \"the neighbour's own\"\n";
const COLD_MANIFEST: &str = "name = \"neighbour-cold\"\nentry = \"neighbour-cold\"\n";
const COLD: &str = "#!/bin/sh\necho \"$MOTE_QUERY is all I know\"\n";

/// One call, its outcome and when it was.
#[derive(Clone)]
struct Called {
    begun: Instant,
    ended: Instant,
    wrong: Option<String>,
}

#[derive(Default)]
struct Book {
    calls: Mutex<Vec<Called>>,
    news: Condvar,
    moved_out: AtomicBool,
}

impl Book {
    /// A case that panics over it leaves it as it is.
    fn calls(&self) -> MutexGuard<'_, Vec<Called>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
pub(crate) struct Neighbour {
    book: Arc<Book>,
    at_work: Vec<JoinHandle<()>>,
}

impl Neighbour {
    pub(crate) fn moves_in(ground: &Ground) -> Neighbour {
        let mut neighbour = Neighbour::default();
        ground.deploy(&[("neighbour.py", WARM), ("mote.toml", WARM_MANIFEST)]).ok();
        ground.deploy(&[("neighbour-cold", COLD), ("mote.toml", COLD_MANIFEST)]).ok();
        for (path, wanted) in [
            ("/neighbour?n=", (|n| format!("{{\"square\":{},\"secret\":\"the neighbour's own\"}}", n * n)) as fn(u64) -> String),
            ("/neighbour-cold?n=", |n| format!("n={n} is all I know\n")),
        ] {
            let (book, door) = (neighbour.book.clone(), ground.door("public").to_owned());
            neighbour.at_work.push(std::thread::spawn(move || {
                for n in 0.. {
                    if book.moved_out.load(Ordering::Relaxed) {
                        return;
                    }
                    let begun = Instant::now();
                    let head = format!("GET {path}{n} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
                    let reply = http(&door, &head, b"");
                    let right = reply.status == 200 && reply.text() == wanted(n);
                    let wrong = (!right).then(|| format!("{path}{n}: {reply:?}"));
                    book.calls().push(Called { begun, ended: Instant::now(), wrong });
                    book.news.notify_all();
                    // A neighbour, not a load.
                    std::thread::sleep(Duration::from_millis(20));
                }
            }));
        }
        neighbour
    }

    /// Every call since then was right and took a sane time; waits for two that began after it, too.
    pub(crate) fn was_unharmed_since(&self, since: Instant) {
        let asked = Instant::now();
        let mut calls = self.book.calls();
        while calls.iter().rev().take_while(|call| call.begun > asked).count() < 2 {
            assert!(asked.elapsed() < 2 * SANE, "the neighbour is not answered any more");
            calls = self.book.news.wait_timeout(calls, SANE).unwrap_or_else(PoisonError::into_inner).0;
        }
        let calls: Vec<Called> = calls.clone();
        for call in calls.iter().rev().take_while(|call| call.ended > since) {
            assert!(call.wrong.is_none(), "the neighbour was harmed: {}", call.wrong.as_deref().unwrap_or_default());
            let took = call.ended - call.begun;
            assert!(took < SANE, "the neighbour had to wait {took:?}");
        }
    }

    /// How many calls there were, and the slowest.
    pub(crate) fn account(&self) -> (usize, Duration) {
        let calls = self.book.calls();
        (calls.len(), calls.iter().map(|call| call.ended - call.begun).max().unwrap_or_default())
    }

    pub(crate) fn move_out(&mut self) {
        self.book.moved_out.store(true, Ordering::Relaxed);
        for work in self.at_work.drain(..) {
            work.join().expect("the neighbour's calls were answered to the end");
        }
    }
}
