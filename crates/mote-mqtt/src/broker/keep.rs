//! Retained messages on disk: one writer, which takes all that waits into one commit.

use std::collections::HashMap;
use std::sync::Arc;

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
    message: Arc<Message>,
    done: oneshot::Sender<Result<()>>,
}

pub(super) struct Keeper(mpsc::Sender<Wish>);

impl Keeper {
    pub(super) fn new(catalog: Arc<dyn Catalog>) -> Keeper {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        tokio::spawn(write(catalog, receiver));
        Keeper(sender)
    }

    /// Subscribers find it once it is on disk.
    pub(super) async fn keep(&self, space: Arc<Space>, message: Arc<Message>, wait: bool) -> Result<()> {
        let (done, kept) = oneshot::channel();
        let gone = || Error::internal("the writer of retained messages has ended");
        self.0.send(Wish { space, message, done }).await.map_err(|_| gone())?;
        if wait { kept.await.map_err(|_| gone())? } else { Ok(()) }
    }
}

async fn write(catalog: Arc<dyn Catalog>, mut wishes: mpsc::Receiver<Wish>) {
    let mut batch = Vec::new();
    while wishes.recv_many(&mut batch, BATCH).await > 0 {
        let outcome = commit(&*catalog, &batch).await;
        for Wish { space, message, done } in batch.drain(..) {
            if outcome.is_ok() {
                space.retain(&message);
            }
            let told = outcome.as_ref().copied().map_err(|error: &Error| Error::new(error.code(), error.detail().to_owned()));
            // Of QoS 0 nobody waits.
            let _ = done.send(told);
        }
        if let Err(error) = outcome {
            tracing::error!(?error, "retained messages can't be written");
        }
    }
}

async fn commit(catalog: &dyn Catalog, batch: &[Wish]) -> Result<()> {
    // Of several for one topic, the last.
    let last: HashMap<String, &Message> = batch.iter().map(|wish| (key(&wish.space, &wish.message), &*wish.message)).collect();
    let mut writes = Vec::new();
    for (key, message) in last {
        let expect = catalog.get(&key).await?.map_or(0, |record| record.revision);
        match message.payload.is_empty() {
            true if expect == 0 => {}
            true => writes.push(Write::Delete { key, expect }),
            false => {
                let value = serde_json::to_vec(message).expect("a message is plain data").into();
                writes.push(Write::Put { key, expect, value });
            }
        }
    }
    if writes.is_empty() { Ok(()) } else { catalog.commit(writes).await }
}

fn key(space: &Space, message: &Message) -> String {
    format!("{PREFIX}{}/{}", space.name, message.topic)
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
                    Ok(message) => self.space(&namespace.try_into()?).retain(&Arc::new(message)),
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
