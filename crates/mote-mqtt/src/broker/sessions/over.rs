//! Sessions that are over: what they leave to others, and that nothing else is left of them.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use mote_core::store::{End, Item, Lease, Settlement, Write};
use mote_core::trigger::Stop;
use mote_core::{Code, Error, Result};

use super::{MqttBroker, key};
use crate::limits::LEASE;
use crate::session::{Copy, Kept, Session};
use crate::space::{Space, parted};

const PURGE: usize = 1000;
/// At once, of a session that is over: all of them are in memory.
const HANDED_OVER: usize = 64;
const SWEEP: Duration = Duration::from_secs(60);

impl MqttBroker {
    /// Ends what has had its time, until told to stop.
    pub(crate) async fn sweep(&self, mut stop: Stop) {
        loop {
            tokio::select! { () = self.seams.clock.sleep(SWEEP) => {}, () = stop.wait() => return }
            self.tidy().await;
        }
    }

    /// Sessions that nobody came back to, and retained messages that have expired.
    pub(crate) async fn tidy(&self) {
        let spaces: Vec<Arc<Space>> = self.spaces.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let now = self.seams.clock.now();
        for space in spaces {
            if let Err(error) = self.keeper.sweep(&space, now).await {
                tracing::error!(?error, namespace = %space.name, "retained messages that are over could not be removed");
            }
            let gone: Vec<Arc<Session>> = space.sessions().values().filter(|session| session.has_gone(now)).cloned().collect();
            for session in gone {
                let Ok(_seat) = session.seat.clone().try_lock_owned() else { continue };
                if session.has_gone(now)
                    && let Err(error) = self.forget(&space, &session).await
                {
                    tracing::error!(?error, client = %session.client, "a session that is over could not be removed");
                }
            }
        }
    }

    pub(super) async fn forget(&self, space: &Arc<Space>, session: &Session) -> Result<()> {
        self.clear(space, session).await?;
        space.dropped.fetch_add(session.state().dropped, Ordering::SeqCst);
        space.sessions().remove(&*session.client);
        Ok(())
    }

    /// As if it had never been; what it shared with others is theirs. Its record goes last, so that an
    /// error or a crash on the way leaves it to be done again.
    pub(super) async fn clear(&self, space: &Arc<Space>, session: &Session) -> Result<()> {
        let orphans = {
            let mut state = session.state();
            state.received = Default::default();
            state.flown.clear();
            // From now on nobody can come back to it, whatever becomes of the rest.
            let over = Kept { left: Some(self.seams.clock.now()), ..Kept::default() };
            let kept = std::mem::replace(&mut state.kept, over);
            kept.subscriptions.keys().for_each(|text| space.unsubscribe(&session.client, text));
            space.less_subscriptions(kept.subscriptions.len());
            state.clear_memory()
        };
        if let Err(error) = self.hand_over(space, &orphans).await {
            orphans.into_iter().rev().for_each(|copy| session.put_back(copy));
            return Err(error);
        }
        let key = key(space, session);
        let record = self.seams.catalog.get(&key).await?;
        let kept: Kept = record.as_ref().and_then(|record| serde_json::from_slice(&record.value).ok()).unwrap_or_default();
        if kept.subscriptions.keys().any(|text| parted(text).is_ok_and(|(group, _)| group.is_some())) {
            self.hand_over_kept(space, session).await?;
        }
        // Some at a time, so that a full session does not hold up the store.
        while self.seams.queue.depth(&session.queue).await? > 0 {
            self.seams.queue.purge(&session.queue, true, PURGE).await?;
        }
        session.waiting.store(0, Ordering::SeqCst);
        match record {
            Some(record) => self.seams.catalog.commit(vec![Write::Delete { key, expect: record.revision }]).await,
            None => Ok(()),
        }
    }

    /// What lies on disk for it.
    async fn hand_over_kept(&self, space: &Space, session: &Session) -> Result<()> {
        loop {
            let leases = self.seams.queue.lease(&session.queue, HANDED_OVER, LEASE).await?;
            if leases.is_empty() {
                break;
            }
            // Side by side, so that they share the disk's time.
            let moved = join_all(leases.into_iter().map(|lease| self.bequeath(space, session, lease))).await;
            moved.into_iter().collect::<Result<()>>()?;
        }
        match self.seams.queue.depth(&session.queue).await? {
            0 => Ok(()),
            held => Err(Error::new(Code::Throttled, format!("{held} messages of the session {:?} are still on their way", session.client))
                .hint("What a crash interrupted is another's after 30 s; try again then.")),
        }
    }

    /// Out of one queue and into another in one transaction: nothing is lost, doubled, or in need of room.
    async fn bequeath(&self, space: &Space, session: &Session, lease: Lease) -> Result<()> {
        let heir = serde_json::from_slice::<Copy>(&lease.item.payload).ok().and_then(|copy| space.another(&copy));
        let mut settlement = Settlement::from(End::Done);
        let (on_disk, in_memory) = match heir {
            Some((heir, copy)) if copy.is_promised() && heir.persists() => {
                self.make_room(&heir).await;
                let payload = serde_json::to_vec(&copy).expect("a message is plain data");
                settlement.follow.push(Item::new(self.seams.clock.id(), heir.queue.clone(), lease.item.due, payload));
                heir.more();
                (Some(heir), None)
            }
            other => (None, other),
        };
        let outcome = self.seams.queue.settle(lease.token(), settlement).await;
        if outcome.is_err() {
            // For the next try, which else would wait for the lease's end. If it was settled after all,
            // or the store takes nothing, this comes to nothing.
            let again = End::Again { due: lease.item.due, counted: false, error: String::new() };
            let _ = self.seams.queue.settle(lease.token(), again.into()).await;
        }
        match on_disk {
            Some(heir) if outcome.is_ok() => heir.wake(),
            Some(heir) => heir.less(),
            None => {}
        }
        outcome?;
        session.less();
        if let Some((heir, copy)) = in_memory {
            heir.pass(copy);
        }
        Ok(())
    }

    /// Gives other members of shared subscriptions what one left behind in memory.
    async fn hand_over(&self, space: &Space, copies: &[Copy]) -> Result<()> {
        let heirs = copies.iter().filter_map(|copy| space.another(copy));
        let (promised, passing): (Vec<_>, Vec<_>) = heirs.partition(|(heir, copy)| copy.is_promised() && heir.persists());
        self.promise(space, Vec::new(), promised).await?;
        passing.into_iter().for_each(|(heir, copy)| heir.pass(copy));
        Ok(())
    }
}
