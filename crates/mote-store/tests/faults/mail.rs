//! Users of a queue: one sends messages, one receives them. What is received is deleted, let go, held for
//! longer or forgotten; its receipt is on disk before, and a later life tries it again.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mote_core::clock::Clock as _;
use mote_core::function::Name;
use mote_core::queues::message::NewMessage;
use mote_core::queues::{QUEUES, Queues, Taken};
use mote_core::store::{Catalog, End, LeaseToken, Queue, Room};
use serde_json::json;

use crate::child::Life;
use crate::clock::JumpingClock;
use crate::dice::Dice;

/// Received longer ago than that, a message is somebody else's: in the next life, or after a jump of the clock.
const VISIBILITY: Duration = Duration::from_secs(20);
const MESSAGES_MAX: u64 = 20;
const RECEIVES_MAX: u32 = 3;
/// Receipts of earlier lives that are tried.
const OLD_MAX: usize = 5;

pub(crate) struct Mail {
    dice: Dice,
    /// What is received too often goes from the first queue to the second.
    names: [Name; 2],
    queues: Arc<Queues>,
    queue: Arc<dyn Queue>,
    clock: Arc<JumpingClock>,
    receipts: PathBuf,
}

impl Mail {
    pub(crate) async fn open(
        life: &Life,
        catalog: &dyn Catalog,
        queues: Arc<Queues>,
        queue: Arc<dyn Queue>,
        clock: Arc<JumpingClock>,
    ) -> Mail {
        let names = ["mail", "returned"].map(|name| name.parse().expect("a name"));
        let [mail, returned] = &names;
        let rule = json!({ "queue": returned, "receives_max": RECEIVES_MAX });
        for (name, settings) in [(returned, json!({})), (mail, json!({ "dead_letters": rule }))] {
            let mut patch = settings.as_object().cloned().unwrap_or_default();
            patch.insert("retention_ms".into(), json!(14 * 24 * 3_600_000_u64));
            queues.load(catalog).await.expect("queues are read");
            queues.set(catalog, &Name::default_namespace(), name, patch, clock.now()).await.expect("a queue is made");
        }
        Mail { dice: Dice::of(life.seed, 7), names, queues, queue, clock, receipts: life.dir.join("receipts") }
    }

    pub(crate) async fn send(&self) {
        let (namespace, name) = (Name::default_namespace(), &self.names[0]);
        let room = Room { prefixes: vec![Queues::stored(&namespace, name)], items_max: MESSAGES_MAX };
        loop {
            let settled = self.queue.settled();
            let record = self.queues.get(&namespace, name).expect("the queue is there");
            let item = || {
                let (id, message) = (self.clock.id(), NewMessage { body: "hello".into(), ..NewMessage::default() });
                message.into_item(id, &namespace, name, &record, self.clock.now()).expect("a message")
            };
            let items = (0..=self.dice.roll(3)).map(|_| item()).collect();
            if self.queue.enqueue_within(items, vec![room.clone()]).await.is_err() {
                settled.await;
            }
        }
    }

    pub(crate) async fn receive(&self) {
        for receipt in self.old_receipts() {
            self.delete(&receipt).await;
        }
        loop {
            for name in &self.names {
                let changed = self.queue.changed();
                let taken = self.take(name, 1 + self.dice.roll(4) as usize, VISIBILITY).await;
                if taken.is_empty() {
                    changed.await;
                }
                for one in taken {
                    self.handle(name, one).await;
                }
            }
        }
    }

    async fn handle(&self, name: &Name, one: Taken) {
        let receipt = self.queues.receipt(&Name::default_namespace(), name, one.lease.token());
        self.note(&format!("{name} {receipt}"));
        match self.dice.roll(6) {
            0 => {}
            1 => {
                let end = End::Again { due: self.clock.now(), counted: true, error: "let go".into() };
                let _ = self.queue.settle(one.lease.token(), end.into()).await;
            }
            2 => drop(self.queue.extend(one.lease.token(), VISIBILITY).await),
            _ => self.delete(&format!("{name} {receipt}")).await,
        }
    }

    /// Everything is received and deleted.
    pub(crate) async fn empty(&self) {
        while self.queue.depth(QUEUES).await.expect("the queues can be counted") > 0 {
            for name in &self.names {
                for one in self.take(name, 100, VISIBILITY).await {
                    self.queue.settle(one.lease.token(), End::Done.into()).await.expect("a message is deleted");
                }
            }
        }
    }

    async fn take(&self, name: &Name, max: usize, visibility: Duration) -> Vec<Taken> {
        let of = (&Name::default_namespace(), name);
        self.queues.take(&*self.queue, of, max, visibility, &*self.clock).await.map(|(taken, _)| taken).unwrap_or_default()
    }

    /// By its receipt, which may be too late.
    async fn delete(&self, line: &str) {
        if let Some(lease) = self.lease_of(line) {
            let _ = self.queue.settle(lease, End::Done.into()).await;
        }
    }

    fn lease_of(&self, line: &str) -> Option<LeaseToken> {
        let (name, receipt) = line.split_once(' ')?;
        self.queues.lease_of(&Name::default_namespace(), &name.parse().ok()?, receipt).ok()
    }

    fn note(&self, line: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.receipts).expect("receipts can be noted");
        writeln!(file, "{line}").expect("receipts can be noted");
    }

    fn old_receipts(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.receipts).unwrap_or_default();
        text.lines().rev().take(OLD_MAX).map(str::to_owned).collect()
    }
}
