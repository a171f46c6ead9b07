//! Jails made ahead of need: shells that wait for a function, for Python and Node with a runner in
//! them that has started already.
//!
//! Two shells that are equal are interchangeable, so there is a shelf for each. How many it holds
//! follows from how many were taken lately: none where nothing is called, one where a start may
//! come, more while starts are frequent. What is missing is made when nobody is being started and
//! what was has had a moment for itself, one at a time, so that it is on no call's way. An empty
//! shelf is no error: a jail is made then, and its program starts with the function already in it.

mod demand;
mod gate;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use mote_core::clock::Clock;
use mote_core::function::Family;
use mote_core::{Error, Result};
use tokio::sync::Notify;

use crate::jail::spec::Shell;
use crate::jail::{Doors, ForkServer, Groups, Jail};
use demand::{Calls, Demand, memory_allows};
use gate::{Gate, Turn};

/// After a shell that could not be built.
const RESPITE: Duration = Duration::from_secs(30);
/// A spare takes a tenth of this where nothing else is done.
const MAKING_MAX: Duration = Duration::from_secs(10);
/// What has just started has a first answer to give, for which it needs the core that a spare's
/// making would take.
const MOMENT: Duration = Duration::from_millis(20);

pub(crate) struct Stock {
    fork_server: Arc<ForkServer>,
    groups: Arc<Groups>,
    clock: Arc<dyn Clock>,
    /// Of one kind.
    most: usize,
    calls: Calls,
    gate: Arc<Gate>,
    state: Mutex<State>,
    /// Who fills the shelves should look again.
    wake: Arc<Notify>,
}

#[derive(Default)]
struct State {
    shelves: HashMap<Shell, Shelf>,
    /// Instances on their way, which come first; and until when for those that have started.
    starts: HashMap<u64, Option<Duration>>,
    next_start: u64,
    /// The task that fills the shelves runs.
    tended: bool,
    closed: bool,
}

struct Shelf {
    /// The oldest first, so that none waits forever.
    ready: std::collections::VecDeque<Empty>,
    demand: Demand,
}

/// A jail without a function.
pub(crate) struct Empty {
    pub(crate) jail: Jail,
    /// To its standby, if it has one.
    pub(crate) wire: Option<UnixStream>,
    /// Once it is built.
    built: Option<Option<Doors>>,
    starting: Option<Starting>,
    /// Until it has started.
    turn: Option<Turn>,
}

/// Counts as an instance on its way until it is dropped, or a moment after it has started.
struct Starting {
    stock: Weak<Stock>,
    number: u64,
    /// Its moment is not over when this is dropped.
    lives_on: bool,
}

impl Stock {
    pub(crate) fn new(fork_server: Arc<ForkServer>, groups: Arc<Groups>, clock: Arc<dyn Clock>, most: usize) -> Arc<Stock> {
        let (calls, gate) = (Calls::default(), Gate::new(clock.clone()));
        Arc::new(Stock { fork_server, groups, clock, most, calls, gate, state: Mutex::default(), wake: Arc::new(Notify::new()) })
    }

    /// A jail of this kind: one that waits, or a new one. A new one has no standby: what an
    /// interpreter does before its function comes is done well ahead, or better not at all.
    pub(crate) async fn take(self: &Arc<Self>, family: Family, shell: &Shell) -> Result<Empty> {
        let (starting, waiting) = {
            let mut state = self.state();
            let number = state.next_start;
            state.next_start += 1;
            state.starts.insert(number, None);
            let shelf = self.shelf(&mut state, family, shell);
            let waiting = shelf.map(|shelf| {
                shelf.demand.start(self.clock.monotonic());
                let ready = &mut shelf.ready;
                // One may have been killed from outside while it waited.
                std::iter::from_fn(|| ready.pop_front()).find_map(|empty| empty.jail.is_waiting().then_some(empty))
            });
            (Starting { stock: Arc::downgrade(self), number, lives_on: false }, waiting)
        };
        let mut empty = match waiting.flatten() {
            Some(empty) => empty,
            None => {
                let turn = self.gate.enter().await;
                Empty { turn: Some(turn), ..self.spawn(&Shell { standby: None, ..shell.clone() }).await? }
            }
        };
        empty.starting = Some(starting);
        Ok(empty)
    }

    /// A function of this kind is live: the first start may come.
    pub(crate) fn expect(self: &Arc<Self>, family: Family, shell: &Shell) {
        let mut state = self.state();
        if let Some(shelf) = self.shelf(&mut state, family, shell) {
            shelf.demand.expect(self.clock.monotonic());
        }
        drop(state);
        self.wake.notify_one();
    }

    /// A function of this family was called, also by an instance that lives.
    pub(crate) fn called(&self, family: Family) {
        self.calls.note(family, self.clock.monotonic());
    }

    /// Ends what waits; from now on nothing is made ahead.
    pub(crate) async fn close(&self) {
        let shelves = {
            let mut state = self.state();
            state.closed = true;
            std::mem::take(&mut state.shelves)
        };
        self.wake.notify_one();
        let waiting = shelves.into_values().flat_map(|shelf| shelf.ready);
        futures_util::future::join_all(waiting.map(|empty| empty.jail.end())).await;
    }

    /// Jails that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.state().shelves.values().map(|shelf| shelf.ready.len()).sum()
    }

    fn shelf<'a>(self: &Arc<Self>, state: &'a mut State, family: Family, shell: &Shell) -> Option<&'a mut Shelf> {
        if self.most == 0 || state.closed {
            return None;
        }
        if !state.tended {
            state.tended = true;
            tokio::spawn(tend(Arc::downgrade(self), self.wake.clone()));
        }
        if !state.shelves.contains_key(shell) {
            state.shelves.insert(shell.clone(), Shelf { ready: Default::default(), demand: Demand::of(family) });
        }
        state.shelves.get_mut(shell)
    }

    /// What is to be done now.
    fn next(&self) -> Next {
        let now = self.clock.monotonic();
        let mut state = self.state();
        let (mut surplus, mut missing) = (Vec::new(), None);
        state.starts.retain(|_, until| until.is_none_or(|until| until > now));
        let free = state.starts.is_empty();
        // What is on its way yet says so when it has started.
        let mut look_again = state.starts.values().flatten().max().map(|&until| until - now);
        state.shelves.retain(|shell, shelf| {
            let wanted = shelf.demand.wanted(now, &self.calls).min(self.most);
            while shelf.ready.len() > wanted {
                surplus.extend(shelf.ready.pop_front());
            }
            if shelf.ready.len() < wanted && free && shelf.demand.may_make(now) {
                missing.get_or_insert_with(|| (shell.clone(), shelf.ready.is_empty()));
            }
            look_again = [look_again, shelf.demand.until_less(now, &self.calls)].into_iter().flatten().min();
            wanted > 0 || !shelf.demand.is_over(now, &self.calls)
        });
        if state.closed {
            return Next::End;
        }
        if !surplus.is_empty() {
            return Next::Discard(surplus);
        }
        match missing {
            Some((shell, first)) if memory_allows(first) => Next::Make(Box::new(shell)),
            _ if state.shelves.is_empty() => Next::Rest(None),
            _ => Next::Rest(look_again),
        }
    }

    async fn make(&self, shell: &Shell) {
        let made = async {
            let mut empty = self.spawn(shell).await?;
            empty.build().await?;
            Ok::<_, Error>(empty)
        };
        let late = || Err(Error::internal(format!("it was not built within {} s", MAKING_MAX.as_secs())));
        let made = tokio::select! { made = made => made, () = self.clock.sleep(MAKING_MAX) => late() };
        let mut state = self.state();
        let Some(shelf) = state.shelves.get_mut(shell) else { return };
        match made {
            Ok(empty) => shelf.ready.push_back(empty),
            Err(error) => {
                tracing::warn!(%error, "a jail could not be made ahead of need");
                shelf.demand.pause(self.clock.monotonic() + RESPITE);
            }
        }
    }

    async fn spawn(&self, shell: &Shell) -> Result<Empty> {
        let broken = |error: std::io::Error| Error::internal("the wire to a runner can't be made").caused_by(error);
        let (wire, channel) = match shell.standby {
            Some(_) => UnixStream::pair().map(|(ours, theirs)| (Some(ours), Some(OwnedFd::from(theirs)))).map_err(broken)?,
            None => (None, None),
        };
        let jail = Jail::spawn(&self.fork_server, shell, channel, &self.groups).await?;
        Ok(Empty { jail, wire, built: None, starting: None, turn: None })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Next {
    Make(Box<Shell>),
    Discard(Vec<Empty>),
    /// Nothing, until something changes or so long.
    Rest(Option<Duration>),
    End,
}

/// Fills the shelves and empties them, as long as there is a stock.
async fn tend(stock: Weak<Stock>, wake: Arc<Notify>) {
    loop {
        let Some(stock) = stock.upgrade() else { return };
        let clock = stock.clock.clone();
        match stock.next() {
            Next::Make(shell) => stock.make(&shell).await,
            Next::Discard(surplus) => {
                for empty in surplus {
                    empty.jail.end().await;
                }
            }
            Next::Rest(wait) => {
                drop(stock);
                let wait = async {
                    match wait {
                        Some(wait) => clock.sleep(wait).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! { () = wake.notified() => {}, () = wait => {} }
            }
            Next::End => return,
        }
    }
}

impl Empty {
    async fn build(&mut self) -> Result<()> {
        if self.built.is_none() {
            self.built = Some(self.jail.built().await?);
        }
        Ok(())
    }

    /// Waits until the function is in that [`Jail::fill`] was told of.
    pub(crate) async fn filled(&mut self) -> Result<Option<Doors>> {
        self.build().await?;
        self.jail.filled().await?;
        Ok(self.built.take().flatten())
    }

    /// What others lack may be made again, once this is dropped or has had its moment.
    pub(crate) fn has_started(&mut self) {
        self.turn = None;
        if let Some(starting) = &self.starting {
            starting.has_started();
        }
    }

    pub(crate) fn into_jail(self) -> Jail {
        self.jail
    }

    /// The same of what has started and goes on.
    pub(crate) fn into_started(mut self) -> Jail {
        self.has_started();
        if let Some(starting) = &mut self.starting {
            starting.lives_on = true;
        }
        self.jail
    }
}

impl Starting {
    fn has_started(&self) {
        let Some(stock) = self.stock.upgrade() else { return };
        let until = stock.clock.monotonic() + MOMENT;
        stock.state().starts.insert(self.number, Some(until));
        stock.wake.notify_one();
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if self.lives_on {
            return;
        }
        let Some(stock) = self.stock.upgrade() else { return };
        stock.state().starts.remove(&self.number);
        stock.wake.notify_one();
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}
