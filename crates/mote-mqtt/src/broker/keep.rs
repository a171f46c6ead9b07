//! Retained messages on disk: one writer, which takes all that waits into one commit, and so is the
//! one who knows what there is room for ([`plan`]).

mod plan;

use std::sync::Arc;

use mote_core::clock::Timestamp;
use mote_core::mqtt::Message;
use mote_core::store::Catalog;
use mote_core::{Error, Result};
use tokio::sync::{mpsc, oneshot};

use self::plan::Plan;
use super::MqttBroker;
use crate::space::Space;

const PREFIX: &str = "mqtt/retained/";
/// Wishes of one commit: each is of one client, 1 MiB at most.
const BATCH: usize = 64;
const PAGE: usize = 1000;
/// Wishes that wait; then whoever publishes waits too.
const WAITING_MAX: usize = 1024;

struct Wish {
    space: Arc<Space>,
    what: What,
    done: oneshot::Sender<Result<()>>,
}

enum What {
    /// All of them or none.
    Keep(Vec<Arc<Message>>),
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
    /// [`mote_core::Code::QuotaExceeded`]: there is no room for them.
    pub(super) async fn keep(&self, space: &Arc<Space>, messages: Vec<Arc<Message>>) -> Result<()> {
        if messages.is_empty() { Ok(()) } else { self.ask(space, What::Keep(messages)).await }
    }

    pub(super) async fn sweep(&self, space: &Arc<Space>, now: Timestamp) -> Result<()> {
        self.ask(space, What::Sweep(now)).await
    }

    async fn ask(&self, space: &Arc<Space>, what: What) -> Result<()> {
        let gone = || Error::internal("the writer of retained messages has ended");
        let (done, kept) = oneshot::channel();
        self.0.send(Wish { space: space.clone(), what, done }).await.map_err(|_| gone())?;
        kept.await.map_err(|_| gone())?
    }
}

async fn write(catalog: Arc<dyn Catalog>, mut wishes: mpsc::Receiver<Wish>) {
    let mut batch = Vec::new();
    while wishes.recv_many(&mut batch, BATCH).await > 0 {
        // What is kept meanwhile is newer than what they find.
        batch.sort_by_key(|wish| matches!(wish.what, What::Keep(_)));
        let (mut plan, mut taken) = (Plan::default(), Vec::new());
        // Whoever asked may have gone, here and below.
        for Wish { space, what, done } in batch.drain(..) {
            match plan.take(&space, &what) {
                Ok(()) => taken.push(done),
                Err(error) => drop(done.send(Err(error))),
            }
        }
        let outcome = plan.commit(&*catalog).await;
        for done in taken {
            let told = outcome.as_ref().copied().map_err(|error: &Error| Error::new(error.code(), error.detail().to_owned()));
            drop(done.send(told));
        }
        if let Err(error) = outcome {
            tracing::error!(?error, "retained messages can't be written");
        }
    }
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
                    Ok(message) => self.space(&namespace.try_into()?).retain(&message.topic.clone(), Some(&Arc::new(message))),
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
