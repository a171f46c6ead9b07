//! What runs, and how the bindings share the places for calls.
//!
//! A namespace may have as many calls as are still free, so one with slow functions and long backlogs
//! gets half of the places, two get a third each, and some are always left for the next. Not here: how
//! many calls a function takes; that is admission's.

use std::collections::HashMap;

use mote_core::function::Name;
use tokio::task::JoinSet;

use super::gather::Gathering;
use super::{Key, Source};

/// Calls that run at once, of all bindings.
const RUNNING_MAX: usize = 128;

/// See the module's text.
#[derive(Default)]
pub(super) struct Running {
    pub(super) tasks: JoinSet<Key>,
    pub(super) gathering: HashMap<Key, Gathering>,
    held: HashMap<Key, usize>,
    of_namespace: HashMap<Name, usize>,
}

impl Running {
    pub(super) fn held_by(&self, key: &Key) -> usize {
        self.held.get(key).copied().unwrap_or_default()
    }

    /// How many more calls this binding may have now.
    pub(super) fn room(&self, source: &Source) -> usize {
        let free = RUNNING_MAX.saturating_sub(self.tasks.len());
        let of_namespace = self.of_namespace.get(&source.function.namespace).copied().unwrap_or_default();
        // Each one taken is one less that is free: the two meet halfway.
        let share = free.saturating_sub(of_namespace).div_ceil(2);
        share.min((source.binding.concurrency as usize).saturating_sub(self.held_by(&source.key())))
    }

    pub(super) fn begin(&mut self, key: Key, call: impl Future<Output = ()> + Send + 'static) {
        *self.held.entry(key.clone()).or_default() += 1;
        *self.of_namespace.entry(key.function.namespace.clone()).or_default() += 1;
        self.tasks.spawn(async move {
            // On a task of its own: should it panic, its place is free all the same.
            let _ = tokio::spawn(call).await;
            key
        });
    }

    pub(super) fn end(&mut self, key: Option<Key>) {
        let Some(key) = key else { return };
        one_less(&mut self.of_namespace, &key.function.namespace);
        one_less(&mut self.held, &key);
    }
}

fn one_less<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mote_core::function::{Function, QueueBinding};

    use super::*;

    fn source(namespace: &str, queue: &str) -> Source {
        let function = Function { namespace: namespace.parse().unwrap(), ..mote_testkit::function("f") };
        let binding = QueueBinding { concurrency: 1000, ..QueueBinding::new(queue.parse().unwrap()) };
        Source { function: function.into(), version: Default::default(), by: None, binding: Arc::new(binding) }
    }

    #[tokio::test]
    async fn a_namespace_with_slow_functions_leaves_room_for_others() {
        let mut running = Running::default();
        let fill = |running: &mut Running, source: &Source| {
            let begun: usize = std::iter::from_fn(|| {
                let room = running.room(source);
                (0..room).for_each(|_| running.begin(source.key(), std::future::pending()));
                (room > 0).then_some(room)
            })
            .sum();
            begun
        };
        assert_eq!(fill(&mut running, &source("a", "q")), 64);
        assert_eq!(fill(&mut running, &source("a", "another")), 0);
        assert_eq!(fill(&mut running, &source("b", "q")), 32);
        running.end(Some(source("a", "q").key()));
        assert_eq!((running.held_by(&source("a", "q").key()), running.room(&source("c", "q"))), (63, 16));
    }
}
