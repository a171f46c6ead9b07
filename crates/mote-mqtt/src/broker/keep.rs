//! Retained messages on disk: one writer, which takes all that waits into one commit.

use std::collections::HashMap;
use std::sync::Arc;

use mote_core::clock::Timestamp;
use mote_core::mqtt::Message;
use mote_core::store::{Catalog, Write};
use mote_core::{Error, Result};
use tokio::sync::{mpsc, oneshot};

use super::MqttBroker;
use crate::space::Space;

const PREFIX: &str = "mqtt/retained/";
const BATCH: usize = 256;
const PAGE: usize = 1000;
/// Commands that wait; then whoever publishes waits too.
const WAITING_MAX: usize = 1024;

struct Wish {
    space: Arc<Space>,
    what: What,
    done: oneshot::Sender<Result<()>>,
}

enum What {
    Keep(Arc<Message>),
    /// Forget those whose time was up then.
    Sweep(Timestamp),
}

pub(super) struct Keeper(mpsc::Sender<Wish>);

impl Keeper {
    pub(super) fn new(catalog: Arc<dyn Catalog>) -> Keeper {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        tokio::spawn(write(catalog, receiver));
        Keeper(sender)
    }

    /// Subscribers find them once they are on disk, which they are once this returns.
    pub(super) async fn keep(&self, space: &Arc<Space>, messages: Vec<Arc<Message>>) -> Result<()> {
        let mut waiting = Vec::with_capacity(messages.len());
        for message in messages {
            waiting.push(self.ask(space, What::Keep(message)).await?);
        }
        for kept in waiting {
            kept.await.map_err(|_| gone())??;
        }
        Ok(())
    }

    pub(super) async fn sweep(&self, space: &Arc<Space>, now: Timestamp) -> Result<()> {
        self.ask(space, What::Sweep(now)).await?.await.map_err(|_| gone())?
    }

    async fn ask(&self, space: &Arc<Space>, what: What) -> Result<oneshot::Receiver<Result<()>>> {
        let (done, kept) = oneshot::channel();
        self.0.send(Wish { space: space.clone(), what, done }).await.map_err(|_| gone())?;
        Ok(kept)
    }
}

fn gone() -> Error {
    Error::internal("the writer of retained messages has ended")
}

async fn write(catalog: Arc<dyn Catalog>, mut wishes: mpsc::Receiver<Wish>) {
    let mut batch = Vec::new();
    while wishes.recv_many(&mut batch, BATCH).await > 0 {
        // What is kept meanwhile is newer than what they find.
        batch.sort_by_key(|wish| matches!(wish.what, What::Keep(_)));
        let changes: Vec<Change> = batch.iter().flat_map(Wish::changes).collect();
        let outcome = commit(&*catalog, &changes).await;
        if outcome.is_ok() {
            changes.iter().for_each(Change::show);
        }
        for wish in batch.drain(..) {
            let told = outcome.as_ref().copied().map_err(|error: &Error| Error::new(error.code(), error.detail().to_owned()));
            // Whoever asked may have gone.
            let _ = wish.done.send(told);
        }
        if let Err(error) = outcome {
            tracing::error!(?error, "retained messages can't be written");
        }
    }
}

/// What becomes of one topic.
struct Change {
    space: Arc<Space>,
    message: Arc<Message>,
    is_removed: bool,
}

impl Wish {
    fn changes(&self) -> Vec<Change> {
        let change = |message: &Arc<Message>, is_removed| Change { space: self.space.clone(), message: message.clone(), is_removed };
        match &self.what {
            What::Keep(message) => vec![change(message, message.payload.is_empty())],
            What::Sweep(now) => self.space.expired(*now).iter().map(|message| change(message, true)).collect(),
        }
    }
}

impl Change {
    fn key(&self) -> String {
        format!("{PREFIX}{}/{}", self.space.name, self.message.topic)
    }

    fn show(&self) {
        self.space.retain(&self.message, self.is_removed);
    }
}

async fn commit(catalog: &dyn Catalog, changes: &[Change]) -> Result<()> {
    // Of several for one topic, the last.
    let last: HashMap<String, &Change> = changes.iter().map(|change| (change.key(), change)).collect();
    let mut writes = Vec::new();
    for (key, Change { message, is_removed, .. }) in last {
        let expect = catalog.get(&key).await?.map_or(0, |record| record.revision);
        match is_removed {
            true if expect == 0 => {}
            true => writes.push(Write::Delete { key, expect }),
            false => {
                let value = serde_json::to_vec(&**message).expect("a message is plain data").into();
                writes.push(Write::Put { key, expect, value });
            }
        }
    }
    if writes.is_empty() { Ok(()) } else { catalog.commit(writes).await }
}

impl MqttBroker {
    pub(super) async fn load_retained(&self) -> Result<()> {
        let mut after: Option<String> = None;
        loop {
            let page = self.seams.catalog.scan(PREFIX, after.as_deref(), PAGE).await?;
            let is_full = page.len() == PAGE;
            for record in page {
                let namespace = record.key.strip_prefix(PREFIX).and_then(|rest| rest.split('/').next()).unwrap_or_default().to_owned();
                match serde_json::from_slice::<Message>(&record.value) {
                    Ok(message) => self.space(&namespace.try_into()?).retain(&Arc::new(message), false),
                    Err(error) => tracing::error!(%error, key = record.key, "a retained message can't be read"),
                }
                after = Some(record.key);
            }
            if !is_full {
                return Ok(());
            }
        }
    }
}
