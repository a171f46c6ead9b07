//! Bindings beside those of versions: one comes, changes or goes.
//!
//! What a version's own must hold at a deploy holds for these as well. Telling of them is the
//! directory's.

use std::sync::Arc;

use super::House;
use crate::error::{Code, Error, Result};
use crate::function::delivery::Destination;
use crate::function::{BOUND_MAX, Binding, Bound, Function, FunctionRef, Name, Seen, timer};
use crate::store::Write;

/// What a dialect remembers of one, as JSON.
const ABOUT_BYTES_MAX: usize = 64 << 10;

impl House {
    /// As it stands now: when it was made is told by the clock.
    pub(super) async fn bind(&self, bound: Bound, seen: Seen) -> Result<Arc<Bound>> {
        let Some(function) = bound.function() else { return self.bind_elsewhere(bound, seen).await };
        let _turn = self.turns.function(&function).await;
        let _flip = self.turns.flip().await;
        let (_, head) = self.head(&function).await?;
        if !head.settings.knows(&bound.qualifier, &head.versions) {
            let detail = format!("{function} has no version or alias {}", bound.qualifier);
            return Err(Error::new(Code::VersionNotFound, detail).hint(format!("`mote show {function}` lists its versions and aliases.")));
        }
        self.keep_bound(bound, seen, Some(&head.live)).await
    }

    /// What is no function is told of objects alone: of the rest there are subscriptions and rules.
    async fn bind_elsewhere(&self, bound: Bound, seen: Seen) -> Result<Arc<Bound>> {
        match (&bound.to, &bound.binding) {
            (Destination::Queue(queue), Binding::Bucket { .. }) => drop(self.queues().get(&bound.namespace, queue)?),
            (Destination::Topic(_), Binding::Bucket { .. }) => {}
            (to, _) => {
                return Err(Error::new(Code::DestinationInvalid, format!("{to} can't be bound so"))
                    .hint("A function can be bound to anything; a queue and a topic are told of a bucket's objects."));
            }
        }
        let _flip = self.turns.flip().await;
        self.keep_bound(bound, seen, None).await
    }

    async fn keep_bound(&self, mut bound: Bound, seen: Seen, live: Option<&Function>) -> Result<Arc<Bound>> {
        let before = self.catalog().get(&Bound::key(&bound.namespace, &bound.id)).await?;
        let stands = self.directory().bound_as(&bound.namespace, &bound.id);
        if !seen.is(stands.as_deref()) {
            let detail =
                format!("the binding {} {}", bound.id, if stands.is_some() { "was changed meanwhile" } else { "has gone meanwhile" });
            return Err(Error::new(Code::Conflict, detail).hint("Look at it again, and then decide."));
        }
        self.check(&bound, live, before.is_none())?;
        let was = before.as_ref().map(Bound::read).transpose()?;
        bound.since = match was {
            Some(was) if was.enabled || !bound.enabled => was.since,
            _ => self.invoker.clock.now(),
        };
        self.catalog().commit(vec![bound.write(before.map_or(0, |record| record.revision))?]).await?;
        let bound = Arc::new(bound);
        self.directory().bind(bound.clone());
        Ok(bound)
    }

    fn check(&self, bound: &Bound, live: Option<&Function>, is_new: bool) -> Result<()> {
        let namespace = &bound.namespace;
        if is_new && self.directory().count_bound(namespace) >= BOUND_MAX {
            return Err(Error::new(Code::QuotaExceeded, format!("the namespace {namespace} has {BOUND_MAX} bindings, which is the most"))
                .hint("Take away those that nobody needs."));
        }
        let bytes = serde_json::to_vec(&bound.about).map_or(0, |text| text.len());
        if bytes > ABOUT_BYTES_MAX {
            let detail = format!("what is said of the binding has {bytes} bytes, and may have {ABOUT_BYTES_MAX}");
            return Err(Error::new(Code::QuotaExceeded, detail));
        }
        if let (Binding::Timer(_), Some(live)) = (&bound.binding, live) {
            self.check_timers(live, Some(bound))?;
        }
        self.directory().check_route(bound)
    }

    /// Of a version that is to be live, with those beside it: no two timers have one name.
    pub(super) fn check_timers(&self, function: &Function, new: Option<&Bound>) -> Result<()> {
        let beside = self.directory().bound(&function.namespace, Some(&function.name), None, usize::MAX);
        let beside = beside.iter().map(|bound| &**bound).filter(|bound| new.is_none_or(|new| new.id != bound.id)).chain(new);
        let all: Vec<&Binding> = function.bindings.iter().chain(beside.map(|bound| &bound.binding)).collect();
        timer::check_names(&function.name, all)
    }

    pub(super) async fn unbind(&self, namespace: &Name, id: &Name) -> Result<()> {
        // A route that goes is free for others only when it is gone.
        let _flip = self.turns.flip().await;
        let Some(record) = self.catalog().get(&Bound::key(namespace, id)).await? else {
            return Err(Error::new(Code::BindingNotFound, format!("there is no binding {id} in the namespace {namespace}"))
                .hint("`mote show FUNCTION` names those that stand beside its versions; a version's own goes with its manifest."));
        };
        self.catalog().commit(vec![Write::Delete { key: record.key, expect: record.revision }]).await?;
        self.directory().unbind(namespace, id);
        Ok(())
    }

    /// The writes that take a function's bindings away with it.
    pub(super) async fn unbinding(&self, function: &FunctionRef) -> Result<Vec<Write>> {
        let mut writes = Vec::new();
        for bound in self.directory().bound(&function.namespace, Some(&function.name), None, usize::MAX) {
            if let Some(record) = self.catalog().get(&Bound::key(&bound.namespace, &bound.id)).await? {
                writes.push(Write::Delete { key: record.key, expect: record.revision });
            }
        }
        Ok(writes)
    }
}
