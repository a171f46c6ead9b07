//! One life of the process under test: clients that send, cancel and redrive, a deliverer that
//! delivers, and a watcher that says all of it and kills at the step that was drawn.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mote_core::access::{Access, Caller, Root};
use mote_core::action::Target;
use mote_core::clock::Clock as _;
use mote_core::directory::Directory;
use mote_core::engine::Engine;
use mote_core::error::{Code, Error, Result};
use mote_core::event::Event;
use mote_core::function::{FunctionRef, Name};
use mote_core::invoke::deliver::outcome::{Outcome, State};
use mote_core::invoke::deliver::parcel::{Parcel, Wish};
use mote_core::invoke::deliver::{Deliverer, QUEUES};
use mote_core::invoke::spill::Spill;
use mote_core::invoke::{Dialects, Engines, Invoke, Invoker};
use mote_core::queues::Queues;
use mote_core::secret::NoSecrets;
use mote_core::store::within::EVENTS;
use mote_core::store::{DeadQuery, ObjectListQuery, Objects, Priority, Queue};
use mote_core::topic::Topics;
use mote_core::trigger::{Stopper, Trigger as _};
use mote_store::Embedded;
use mote_testkit::history::{Said, Sent};
use mote_testkit::{EchoDialect, Step, WatchedQueue, Watcher};
use serde::{Deserialize, Serialize};

use crate::clock::JumpingClock;
use crate::dice::Dice;
use crate::functions::{self, CALLED, LARGE, ORDERED};
use crate::mail::Mail;

/// Events that may wait before the clients wait.
const DEPTH_MAX: u64 = 40;
/// No life is meant to last that long.
const STALLED: Duration = Duration::from_secs(60);

/// What is to happen to a child; it knows all of it beforehand.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Life {
    pub(crate) dir: PathBuf,
    pub(crate) seed: u64,
    pub(crate) round: u64,
    pub(crate) later_ms: u64,
    /// The step at which it kills itself.
    pub(crate) dies_at: Option<u64>,
    pub(crate) clock_jumps: bool,
    pub(crate) store_errs: bool,
    /// No new work: it ends when all is done.
    pub(crate) finishes: bool,
}

impl Life {
    pub(crate) fn quiet(dir: &Path, seed: u64, round: u64, later_ms: u64) -> Life {
        Life { dir: dir.to_owned(), seed, round, later_ms, dies_at: None, clock_jumps: false, store_errs: false, finishes: false }
    }
}

pub(crate) fn live(life: Life) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let clock = Arc::new(JumpingClock::new(life.round, life.later_ms, life.seed));
        let all = run(life, clock.clone());
        tokio::select! {
            () = all => {}
            () = clock.sleep(STALLED) => {
                eprintln!("nothing ended this life in {STALLED:?}");
                std::process::exit(3);
            }
        }
    });
}

async fn run(life: Life, clock: Arc<JumpingClock>) {
    let store = Embedded::open(&life.dir, clock.clone()).expect("the store opens");
    let watcher: Arc<dyn Watcher> = Arc::new(Fate::of(&life, clock.clone()));
    let queue: Arc<dyn Queue> = Arc::new(WatchedQueue { queue: store.queue(), watcher: watcher.clone() });
    let directory = Arc::new(Directory::default());
    directory.replace(functions::all());
    let root = Root { token: "token".into(), keys: Vec::new(), server_key: [7; 32] };
    let access = Arc::new(Access::new(root, clock.clone()));
    let queues = Arc::new(Queues::new([7; 32]));
    let invoker = Arc::new(Invoker {
        spill: Arc::new(Spill::new(store.objects(), queue.clone(), access.clone())),
        topics: Arc::new(Topics::new(directory.clone())),
        queues: queues.clone(),
        secrets: Arc::new(NoSecrets),
        directory,
        catalog: store.catalog(),
        queue: queue.clone(),
        logs: store.logs(),
        records: store.records(),
        clock: clock.clone(),
        dialects: Dialects::new(vec![Arc::new(EchoDialect)]),
        engines: Engines::new([functions::engine(clock.clone(), watcher.clone()) as Arc<dyn Engine>]),
        access,
    });
    let (_stopper, stop) = Stopper::new();
    let stop_of_sweeps = stop.clone();
    let (deliverer, door) = (Deliverer::new(queue.clone(), store.logs(), clock.clone()), invoker.clone() as Arc<dyn Invoke>);
    tokio::spawn(async move { deliverer.serve(door, stop).await });
    let mail = Mail::open(&life, &*store.catalog(), queues, queue.clone(), clock.clone()).await;
    if life.finishes {
        empty(&*queue).await;
        mail.empty().await;
        return collected(&invoker, &*store.objects(), life.round).await;
    }
    let (spill, swept_by, until) = (invoker.spill.clone(), clock.clone(), stop_of_sweeps);
    tokio::spawn(async move { spill.keep_swept(&*swept_by, until).await });
    let client = |number| Client {
        dice: Dice::of(life.seed, number),
        round: life.round,
        invoker: invoker.clone(),
        watcher: watcher.clone(),
        clock: clock.clone(),
    };
    let [one, two, three, four] = [2, 3, 4, 5].map(client);
    tokio::join!(one.send_all_kinds(), two.send_all_kinds(), three.send_in_order(), four.meddle(), mail.send(), mail.receive());
}

/// Data lie beside the queue for dead letters alone, and for each of those that wants them.
async fn collected(invoker: &Invoker, objects: &dyn Objects, rounds: u64) {
    let namespace = Name::default_namespace();
    invoker.spill.sweep(&namespace).await.expect("what is left is swept");
    let (mut wanted, mut after) = (Vec::new(), None);
    loop {
        let page = invoker.queue.dead(DeadQuery { prefix: QUEUES.into(), after, limit: 1000 }).await.expect("dead letters are listed");
        let Some(last) = page.last() else { break };
        after = Some(last.item.id);
        for letter in &page {
            let parcel: Parcel = serde_json::from_slice(&letter.item.payload).expect("a parcel");
            if parcel.event.spilled_bytes.is_some() {
                let data = invoker.spill.open(&namespace, letter.item.id).await.expect("a dead letter has its data");
                assert_eq!(data.collect(u64::MAX).await.expect("they can be read").len(), LARGE);
                wanted.push(letter.item.id.to_string());
            }
        }
    }
    let list = objects.list(EVENTS, ObjectListQuery { limit: 100_000, ..ObjectListQuery::default() }).await;
    let mut there: Vec<String> = list.map(|list| list.objects.into_iter().map(|object| object.key).collect()).unwrap_or_default();
    wanted.sort();
    there.sort();
    assert_eq!(there, wanted, "nobody wants these data any more, or some are lost");
    assert!(rounds < 100 || !wanted.is_empty(), "no large event became a dead letter");
}

async fn empty(queue: &dyn Queue) {
    loop {
        let settled = queue.settled();
        if queue.depth(QUEUES).await.expect("the queue can be counted") == 0 {
            return;
        }
        settled.await;
    }
}

/// Tells what happens on standard output, and brings about what is to happen.
struct Fate {
    steps: AtomicU64,
    dies_at: Option<u64>,
    /// At these steps the clock goes that much further than it was at first.
    jumps: Vec<(u64, u64)>,
    store_errs: bool,
    clock: Arc<JumpingClock>,
    dice: Dice,
}

impl Fate {
    fn of(life: &Life, clock: Arc<JumpingClock>) -> Fate {
        let dice = Dice::of(life.seed, 6);
        // Far beyond a lease, and back again shortly before the end: what waits then waits for long.
        let ahead = (1 + dice.roll(30), life.later_ms + 31_000 + dice.roll(89_000));
        let back = (life.dies_at.unwrap_or_default().saturating_sub(dice.roll(15) + 1), life.later_ms);
        let jumps = if life.clock_jumps { vec![ahead, back] } else { Vec::new() };
        Fate { steps: AtomicU64::new(0), dies_at: life.dies_at, jumps, store_errs: life.store_errs, clock, dice }
    }
}

impl Watcher for Fate {
    fn hear(&self, said: Said) {
        let mut line = serde_json::to_vec(&said).expect("what is said is plain data");
        line.push(b'\n');
        // One write for a line: no kill cuts it in two.
        std::io::stdout().lock().write_all(&line).expect("the parent listens");
    }

    fn cross(&self, Step { operation, done }: Step) -> Result<()> {
        let step = self.steps.fetch_add(1, Ordering::Relaxed) + 1;
        if self.dies_at.is_some_and(|at| step >= at) {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).expect("a process may end itself");
        }
        for (_, later_ms) in self.jumps.iter().filter(|(at, _)| *at == step) {
            self.clock.jump(*later_ms);
        }
        // Leases that nobody knows of would hold this life up until they ran out.
        if self.store_errs && (operation, done) != ("lease", true) && self.dice.roll(20) == 0 {
            let code = if self.dice.roll(2) == 0 { Code::StorageFull } else { Code::StoreFailed };
            return Err(Error::new(code, format!("{operation} fails, as this life has it")));
        }
        Ok(())
    }
}

struct Client {
    dice: Dice,
    round: u64,
    invoker: Arc<Invoker>,
    watcher: Arc<dyn Watcher>,
    clock: Arc<JumpingClock>,
}

impl Client {
    async fn send_all_kinds(&self) {
        loop {
            let name = CALLED[self.dice.roll(CALLED.len() as u64) as usize];
            let wait = Duration::from_millis([0, 0, 0, 30][self.dice.roll(4) as usize]);
            // Neighbouring lives use the same keys.
            let key = || format!("key-{}-{}", self.round / 4, self.dice.roll(10));
            let wish = Wish {
                due: Some(self.clock.now().plus(wait)),
                priority: [Priority::Low, Priority::Normal, Priority::High][self.dice.roll(3) as usize],
                idempotency_key: (self.dice.roll(4) == 0).then(key),
                ..Wish::default()
            };
            match self.dice.roll(16) {
                0 => self.send_large(name).await,
                _ => self.send(name, None, wish).await,
            }
        }
    }

    /// Event and data are stored together, which the queue's watcher does not see.
    async fn send_large(&self, name: &str) {
        self.wait_for_room().await;
        let id = self.clock.id();
        let sent = Sent { id, queue: Parcel::queue(&reference(name)), once: None, lane: None };
        self.watcher.hear(Said::Enqueueing(vec![sent.clone()]));
        let mut data = id.to_string().into_bytes();
        data.resize(LARGE, b' ');
        let event = Event::new(id, "/faults", "test", self.clock.now(), data);
        let step = |done| self.watcher.cross(Step { operation: "spill", done });
        if step(false).is_ok()
            && self.invoker.send_as(&Caller::Anonymous, Target::live(reference(name)), event, Wish::default()).await.is_ok()
            && step(true).is_ok()
        {
            self.watcher.hear(Said::Enqueued { sent: vec![sent], ids: vec![id] });
        }
    }

    /// The only sender of its keys.
    async fn send_in_order(&self) {
        loop {
            let subject = format!("lane-{}-{}", self.round / 3, self.dice.roll(2));
            self.send(ORDERED, Some(subject), Wish::default()).await;
        }
    }

    async fn send(&self, name: &str, subject: Option<String>, wish: Wish) {
        self.wait_for_room().await;
        let id = self.clock.id();
        let event = Event { subject, ..Event::new(id, "/faults", "test", self.clock.now(), id.to_string()) };
        // An error is a legal answer: then nothing was promised.
        let _ = self.invoker.send_as(&Caller::Anonymous, Target::live(reference(name)), event, wish).await;
    }

    async fn wait_for_room(&self) {
        loop {
            let settled = self.invoker.queue.settled();
            if self.invoker.queue.depth(QUEUES).await.is_ok_and(|depth| depth < DEPTH_MAX) {
                return;
            }
            settled.await;
        }
    }

    /// Cancels what waits, and takes up what was given up.
    async fn meddle(&self) {
        let queue = &self.invoker.queue;
        loop {
            let id = self.clock.id();
            let event = Event::new(id, "/faults", "test", self.clock.now(), id.to_string());
            let later = Wish { due: Some(self.clock.now().plus(Duration::from_secs(5))), ..Wish::default() };
            let sent = self.invoker.send_as(&Caller::Anonymous, Target::live(reference("steady")), event, later).await;
            if sent.is_ok() && self.dice.roll(3) > 0 {
                let _ = queue.cancel(id, Some(self.cancelled().kept(30 * 24 * 3_600_000))).await;
            }
            let dead = queue.dead(DeadQuery { prefix: QUEUES.into(), after: None, limit: 3 }).await.unwrap_or_default();
            if let Some(letter) = dead.last().filter(|_| self.dice.roll(3) == 0) {
                let _ = queue.redrive(vec![(letter.item.id, self.clock.now())]).await;
            }
            queue.settled().await;
        }
    }

    fn cancelled(&self) -> Outcome {
        let now = self.clock.now();
        Outcome {
            function: reference("steady"),
            state: State::Cancelled,
            accepted: now,
            ended: now,
            attempts: 0,
            reply: None,
            error: None,
            flow: None,
        }
    }
}

fn reference(name: &str) -> FunctionRef {
    FunctionRef { namespace: Name::default_namespace(), name: name.parse().expect("a name") }
}
