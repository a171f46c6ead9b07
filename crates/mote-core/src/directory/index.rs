//! The bindings of what is live, those of versions and those beside them alike: one walk over all for
//! the doors that keep an index of their own, and the index of buckets.
//!
//! Routes are a list of their own: [`super::routes`].

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::watch;

use super::{Directory, Inner};
use crate::function::delivery::{Destination, Retry};
use crate::function::{Binding, Bound, Function, Name, ObjectChange, Qualifier};
use crate::store::Catalog;

/// By bucket.
pub(super) type Buckets = HashMap<String, Vec<BucketBinding>>;

#[derive(Clone)]
pub(super) struct BucketBinding {
    change: ObjectChange,
    prefix: String,
    suffix: String,
    wanted: Wanted,
}

/// Who is to get an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub to: Destination,
    pub qualifier: Qualifier,
    pub retry: Option<Retry>,
    /// What the event says of the binding, if that has a word for it.
    pub label: Option<String>,
    /// That it is, beside those of versions.
    pub by: Option<Arc<Bound>>,
}

impl Directory {
    /// Tells when a binding has come or gone; a door that keeps an index of its own builds it anew.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What `pick` takes of all bindings that call a live function, each with what it is if it is not
    /// the version's own: in the order of the functions' names, first the version's, then those beside it.
    pub fn bindings<T>(&self, mut pick: impl FnMut(&Arc<Function>, Option<&Bound>, &Binding) -> Option<T>) -> Vec<T> {
        let inner = self.read();
        let mut picked = Vec::new();
        for (namespace, functions) in &inner.namespaces {
            let mut beside: BTreeMap<&Name, Vec<&Bound>> = BTreeMap::new();
            for bound in inner.bound.get(namespace).into_iter().flat_map(BTreeMap::values).filter(|bound| bound.enabled) {
                if let Destination::Function(name) = &bound.to {
                    beside.entry(name).or_default().push(bound);
                }
            }
            for (name, entry) in functions {
                let own = entry.function.bindings.iter().map(|binding| (None, binding));
                let beside = beside.get(name).into_iter().flatten().map(|&bound| (Some(bound), &bound.binding));
                picked.extend(own.chain(beside).filter_map(|(bound, binding)| pick(&entry.function, bound, binding)));
            }
        }
        picked
    }

    /// Who is to hear of a change of this object, each once, with their bindings' own rules.
    pub fn bound_to(&self, namespace: &Name, bucket: &str, key: &str, change: ObjectChange) -> Vec<Wanted> {
        let inner = self.read();
        let bindings = inner.buckets.get(namespace).and_then(|buckets| buckets.get(bucket)).map(Vec::as_slice).unwrap_or_default();
        let fires = |b: &&BucketBinding| b.change.covers(change) && key.starts_with(&b.prefix) && key.ends_with(&b.suffix);
        let mut wanted: Vec<Wanted> = Vec::new();
        for BucketBinding { wanted: one, .. } in bindings.iter().filter(fires) {
            if !wanted.iter().any(|other| other.to == one.to && other.qualifier == one.qualifier) {
                wanted.push(one.clone());
            }
        }
        wanted
    }

    /// One beside those of versions, as it is stored.
    pub(crate) fn bind(&self, bound: Arc<Bound>) {
        let mut inner = self.write();
        inner.bound.entry(bound.namespace.clone()).or_default().insert(bound.id.clone(), bound);
        inner.index();
        self.changes.send_modify(|count| *count += 1);
    }

    pub(crate) fn unbind(&self, namespace: &Name, id: &Name) {
        let mut inner = self.write();
        if inner.bound.get_mut(namespace).and_then(|all| all.remove(id)).is_some() {
            inner.index();
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// Those of a namespace that stand beside versions, or of one function there: by id, after one.
    pub fn bound(&self, namespace: &Name, function: Option<&Name>, after: Option<&str>, limit: usize) -> Vec<Arc<Bound>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let inner = self.read();
        let Some(all) = inner.bound.get(namespace) else { return Vec::new() };
        let from = all.range::<str, _>((after.map_or(Unbounded, Excluded), Unbounded)).map(|(_, bound)| bound);
        let of = |bound: &&Arc<Bound>| function.is_none_or(|name| matches!(&bound.to, Destination::Function(to) if to == name));
        from.filter(of).take(limit).cloned().collect()
    }

    pub(crate) fn bound_as(&self, namespace: &Name, id: &Name) -> Option<Arc<Bound>> {
        self.read().bound.get(namespace)?.get(id).cloned()
    }

    pub(crate) fn count_bound(&self, namespace: &Name) -> usize {
        self.read().bound.get(namespace).map_or(0, BTreeMap::len)
    }

    /// Reads those that are stored. One that can't be read keeps no other from being served.
    pub(super) async fn load_bound(&self, catalog: &dyn Catalog) -> crate::error::Result<()> {
        const PAGE: usize = 1000;
        let mut after: Option<String> = None;
        loop {
            let page = catalog.scan(Bound::PREFIX, after.as_deref(), PAGE).await?;
            for record in &page {
                match Bound::read(record) {
                    Ok(bound) => {
                        let mut inner = self.write();
                        inner.bound.entry(bound.namespace.clone()).or_default().insert(bound.id.clone(), Arc::new(bound));
                    }
                    Err(error) => tracing::error!(record = %record.key, ?error, "a binding is left out, since it can't be read"),
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.key.clone()),
                _ => break,
            }
        }
        let mut inner = self.write();
        inner.index();
        self.changes.send_modify(|count| *count += 1);
        Ok(())
    }
}

impl Inner {
    /// Builds routes and buckets anew; at changes of bindings only.
    pub(super) fn index(&mut self) {
        self.routes = self.routes();
        self.buckets.clear();
        for function in self.namespaces.values().flat_map(BTreeMap::values).map(|entry| &entry.function) {
            let wanted = |retry: &Option<Retry>| Wanted {
                to: Destination::Function(function.name.clone()),
                qualifier: Qualifier::Live,
                retry: retry.clone(),
                label: None,
                by: None,
            };
            for binding in &function.bindings {
                index_bucket(self.buckets.entry(function.namespace.clone()).or_default(), binding, wanted);
            }
        }
        for bound in self.bound.values().flat_map(BTreeMap::values).filter(|bound| bound.enabled) {
            let wanted = |retry: &Option<Retry>| Wanted {
                to: bound.to.clone(),
                qualifier: bound.qualifier.clone(),
                retry: retry.clone(),
                label: Some(bound.label.clone().unwrap_or_else(|| bound.id.to_string())),
                by: Some(bound.clone()),
            };
            index_bucket(self.buckets.entry(bound.namespace.clone()).or_default(), &bound.binding, wanted);
        }
    }
}

fn index_bucket(buckets: &mut Buckets, binding: &Binding, wanted: impl Fn(&Option<Retry>) -> Wanted) {
    match binding {
        Binding::Bucket { bucket, events, prefix, suffix, retry } => {
            let bindings = buckets.entry(bucket.clone()).or_default();
            bindings.extend(events.iter().map(|&change| BucketBinding {
                change,
                prefix: prefix.clone(),
                suffix: suffix.clone(),
                wanted: wanted(retry),
            }));
        }
        // Routes are indexed beside this; whoever fires the others keeps an index of its own.
        Binding::Http(_) | Binding::Webhook(_) | Binding::Timer(_) | Binding::Topic(_) | Binding::Queue(_) | Binding::Mqtt(_) => {}
    }
}
