//! Sessions that come and stay beyond their connection. Not here: how they end ([`over`]).

mod over;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mote_core::Result;
use mote_core::store::Write;
use tokio::sync::OwnedMutexGuard;

use super::MqttBroker;
use crate::limits::{OWNERS_SESSIONS_MAX, RETAINED_MAX, SESSIONS_MAX, SUBSCRIPTIONS_MAX};
use crate::session::{Kept, Session, Subscribed};
use crate::space::{Space, parted};
use crate::wire::{Breach, Options, Reason};

const PREFIX: &str = "mqtt/sessions/";
const PAGE: usize = 1000;
/// For whoever had the session before to give back what it held.
const LEAVE_WAIT: Duration = Duration::from_secs(5);

/// The right to speak with a client; nobody else has it meanwhile.
pub(crate) struct Seat {
    pub(crate) session: Arc<Session>,
    /// The session was there before.
    pub(crate) present: bool,
    /// Over once somebody asked later.
    turn: u64,
    _guard: OwnedMutexGuard<()>,
}

impl Seat {
    /// Somebody else wants to speak as this client.
    pub(crate) fn is_wanted(&self) -> bool {
        self.session.turn.load(Ordering::SeqCst) != self.turn
    }
}

impl MqttBroker {
    /// Sits down as that client; whoever did so before is sent away. `owner` is whose share the session
    /// is of, if it is a new one.
    pub(crate) async fn sit(&self, space: &Arc<Space>, client: &str, owner: &str, clean: bool, expiry_s: u32) -> Result<Seat, Breach> {
        let busy = |why: &str| Breach::new(Reason::Busy, why);
        loop {
            let session = {
                let mut sessions = space.sessions();
                if !sessions.contains_key(client) {
                    has_room(&sessions, owner)?;
                }
                let kept = Kept { owner: Some(owner.into()), ..Kept::default() };
                let new = || Arc::new(Session::new(&space.name, client, kept));
                sessions.entry(client.into()).or_insert_with(new).clone()
            };
            let turn = session.turn.fetch_add(1, Ordering::SeqCst) + 1;
            session.leave.notify_one();
            let guard = tokio::select! {
                guard = session.seat.clone().lock_owned() => guard,
                () = self.seams.clock.sleep(LEAVE_WAIT) => return Err(busy("the client's other connection does not end")),
            };
            if !space.sessions().get(client).is_some_and(|known| Arc::ptr_eq(known, &session)) {
                continue;
            }
            if session.turn.load(Ordering::SeqCst) != turn {
                return Err(busy("the client connected anew meanwhile"));
            }
            let gone = session.has_gone(self.seams.clock.now());
            let present = !clean && !gone && session.persists();
            // Not of one that was never left: nothing of it is anywhere.
            if !present && session.state().kept.left.is_some() {
                self.clear(space, &session).await.map_err(|error| busy(error.detail()))?;
            }
            {
                let mut state = session.state();
                (state.is_connected, state.kept.left, state.kept.expiry_s) = (true, None, expiry_s);
                state.kept.owner.get_or_insert_with(|| owner.into());
                if let Some(resumed) = state.will.as_mut().and_then(|will| will.resumed.take()) {
                    // It may have ended meanwhile.
                    let _ = resumed.send(present);
                }
            }
            session.due.store(true, Ordering::SeqCst);
            let seat = Seat { session, present, turn, _guard: guard };
            if (present || expiry_s > 0)
                && let Err(error) = self.write(space, &seat.session).await
            {
                self.rise(space, seat).await;
                return Err(busy(error.detail()));
            }
            return Ok(seat);
        }
    }

    /// Gets up: a session that ends with its connection is gone.
    pub(crate) async fn rise(&self, space: &Arc<Space>, seat: Seat) {
        let session = &seat.session;
        {
            let mut state = session.state();
            state.is_connected = false;
            state.kept.left = Some(self.seams.clock.now());
        }
        let outcome = if session.persists() {
            session.state().clear_memory();
            self.write(space, session).await
        } else {
            self.forget(space, session).await
        };
        if let Err(error) = outcome {
            tracing::error!(?error, client = %session.client, "a session's end could not be written");
        }
    }

    /// For whoever has the seat.
    pub(crate) async fn subscribe(
        &self,
        space: &Arc<Space>,
        session: &Arc<Session>,
        number: Option<u32>,
        wanted: Vec<(String, Options)>,
    ) -> Result<Vec<Result<mote_core::mqtt::Qos, Reason>>> {
        let (mut told, mut replays) = (Vec::new(), Vec::new());
        for (text, options) in wanted {
            let subscribed = Subscribed { options, number };
            let (is_shared, filter) = match parted(&text) {
                Ok((group, filter)) => (group.is_some(), filter),
                Err(reason) => {
                    told.push(Err(reason));
                    continue;
                }
            };
            {
                let mut state = session.state();
                let subscriptions = &mut state.kept.subscriptions;
                let is_new = !subscriptions.contains_key(&text);
                if is_new && (subscriptions.len() >= SUBSCRIPTIONS_MAX || !space.more_subscriptions()) {
                    told.push(Err(Reason::Quota));
                    continue;
                }
                subscriptions.insert(text.clone(), subscribed);
            }
            let is_new = space.subscribe(session, &text, &filter, subscribed);
            // Each filter is held against everything that is retained: others have their turn between.
            tokio::task::yield_now().await;
            let replay = !is_shared && (options.retained == 0 || options.retained == 1 && is_new);
            if replay {
                let room = RETAINED_MAX.saturating_sub(replays.len());
                replays.extend(space.retained(&filter, subscribed, self.seams.clock.now(), room));
            }
            told.push(Ok(options.qos));
        }
        if session.persists() {
            self.write(space, session).await?;
        }
        session.replay(replays);
        Ok(told)
    }

    pub(crate) async fn unsubscribe(&self, space: &Arc<Space>, session: &Session, filters: &[String]) -> Result<Vec<bool>> {
        let mut found = Vec::new();
        for text in filters {
            let was_there = session.state().kept.subscriptions.remove(text).is_some();
            space.unsubscribe(&session.client, text);
            space.less_subscriptions(was_there.into());
            found.push(was_there);
        }
        if session.persists() {
            self.write(space, session).await?;
        }
        Ok(found)
    }

    async fn write(&self, space: &Arc<Space>, session: &Session) -> Result<()> {
        let kept = session.state().kept.clone();
        let (key, value) = (key(space, session), serde_json::to_vec(&kept).expect("a session is plain data"));
        let expect = self.seams.catalog.get(&key).await?.map_or(0, |record| record.revision);
        self.seams.catalog.commit(vec![Write::Put { key, expect, value: value.into() }]).await
    }

    pub(super) async fn load_sessions(&self) -> Result<()> {
        let mut after: Option<String> = None;
        loop {
            let page = self.seams.catalog.scan(PREFIX, after.as_deref(), PAGE).await?;
            let is_full = page.len() == PAGE;
            for record in page {
                let parts = record.key.strip_prefix(PREFIX).and_then(|rest| rest.split_once('/'));
                match (parts, serde_json::from_slice::<Kept>(&record.value)) {
                    (Some((namespace, client)), Ok(kept)) => self.revive(namespace, client, kept).await?,
                    (_, outcome) => tracing::error!(error = ?outcome.err(), key = record.key, "a session can't be read"),
                }
                after = Some(record.key);
            }
            if !is_full {
                return Ok(());
            }
        }
    }

    async fn revive(&self, namespace: &str, client: &str, mut kept: Kept) -> Result<()> {
        let space = self.space(&namespace.parse()?);
        // The server's end was its connection's end.
        kept.left.get_or_insert(self.seams.clock.now());
        let session = Arc::new(Session::new(&space.name, client, kept.clone()));
        session.waiting.store(self.seams.queue.depth(&session.queue).await?, Ordering::SeqCst);
        space.subscriptions.fetch_add(kept.subscriptions.len(), Ordering::SeqCst);
        for (text, subscribed) in &kept.subscriptions {
            if let Ok((_, filter)) = parted(text) {
                space.subscribe(&session, text, &filter, *subscribed);
            }
        }
        space.sessions().insert(session.client.clone(), session);
        Ok(())
    }
}

/// For one more session, of that owner.
fn has_room(sessions: &HashMap<Arc<str>, Arc<Session>>, owner: &str) -> Result<(), Breach> {
    if sessions.len() >= SESSIONS_MAX {
        return Err(Breach::new(Reason::Quota, format!("the namespace has {SESSIONS_MAX} sessions")));
    }
    let owned = || sessions.values().filter(|session| session.state().kept.owner.as_deref() == Some(owner)).count();
    // Counted only where there may be so many.
    if sessions.len() >= OWNERS_SESSIONS_MAX && owned() >= OWNERS_SESSIONS_MAX {
        return Err(Breach::new(Reason::Quota, format!("{owner} has {OWNERS_SESSIONS_MAX} sessions of the namespace")));
    }
    Ok(())
}

fn key(space: &Space, session: &Session) -> String {
    format!("{PREFIX}{}/{}", space.name, session.client)
}
