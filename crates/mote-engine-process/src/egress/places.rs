//! Places of which there are only so many, shared between functions: connections and look-ups.
//!
//! A function may hold as many as are still free. One that takes all it can get has half of them,
//! two have a third each, and some are always left for the next function that wants one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mote_core::function::FunctionRef;
use tokio::sync::Notify;

/// See the module's text.
pub(super) struct Places {
    max: usize,
    held: Mutex<Held>,
    freed: Notify,
}

#[derive(Default)]
struct Held {
    all: usize,
    by_function: HashMap<FunctionRef, usize>,
}

/// Free again when dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    function: FunctionRef,
}

impl Places {
    pub(super) fn new(max: usize) -> Arc<Places> {
        Arc::new(Places { max, held: Mutex::default(), freed: Notify::new() })
    }

    pub(super) fn try_take(self: &Arc<Self>, function: &FunctionRef) -> Option<Place> {
        let mut held = self.held();
        let own = held.by_function.get(function).copied().unwrap_or_default();
        if own >= self.max.saturating_sub(held.all) {
            return None;
        }
        held.all += 1;
        held.by_function.insert(function.clone(), own + 1);
        Some(Place { places: self.clone(), function: function.clone() })
    }

    /// Waits for one.
    pub(super) async fn take(self: &Arc<Self>, function: &FunctionRef) -> Place {
        loop {
            // Before the look, so that none that becomes free between the two is missed.
            let mut freed = std::pin::pin!(self.freed.notified());
            freed.as_mut().enable();
            if let Some(place) = self.try_take(function) {
                return place;
            }
            freed.await;
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.places.held();
        held.all -= 1;
        if let Some(own) = held.by_function.get_mut(&self.function) {
            *own -= 1;
            if *own == 0 {
                held.by_function.remove(&self.function);
            }
        }
        drop(held);
        self.places.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use mote_core::function::Name;

    use super::*;

    fn function(name: &str) -> FunctionRef {
        FunctionRef { namespace: Name::default_namespace(), name: Name::new(name).unwrap() }
    }

    #[tokio::test]
    async fn one_that_takes_all_it_can_leaves_room_for_others() {
        let places = Places::new(16);
        let fill = |name: &str| std::iter::from_fn(|| places.try_take(&function(name))).collect::<Vec<_>>();
        let (greedy, second) = (fill("greedy"), fill("second"));
        assert_eq!((greedy.len(), second.len(), fill("third").len()), (8, 4, 2));
        drop(second);
        assert_eq!(fill("other").len(), 4);

        let of_greedy = function("greedy");
        let next = std::pin::pin!(places.take(&of_greedy));
        let freed = std::pin::pin!(async move { drop(greedy) });
        // The first is asked first, and finds nothing free.
        match futures_util::future::select(next, freed).await {
            futures_util::future::Either::Left(_) => panic!("it has its share already"),
            futures_util::future::Either::Right(((), next)) => drop(next.await),
        }
        assert!(places.held().by_function.is_empty(), "what is free is forgotten");
    }
}
