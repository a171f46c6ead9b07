//! Which functions are live: the catalog's answer, held in memory for the hot path.
//!
//! A lookup takes a read lock and clones two `Arc`s. Changes come from [`crate::platform`] after
//! they are on disk, and from [`Directory::load`] at start.

mod beside;
mod head;
mod index;
mod routes;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, RwLock};

use tokio::sync::watch;

use self::index::Buckets;
use self::routes::{Routes, not_allowed, permits};
use crate::action::Target;
use crate::error::{Code, Error, Result};
use crate::event::Event;
use crate::function::delivery::{Delivery, Destination};
use crate::function::{Bound, Function, FunctionRef, Name, Qualifier, Settings};
use crate::invoke::admit::Gate;
use crate::store::Catalog;
use crate::webhook::Inlet;

pub use self::beside::Beside;
pub(crate) use self::beside::stored;
pub use self::head::Head;
pub use self::index::Wanted;

/// Everything live, by name, by route and by bucket.
#[derive(Default)]
pub struct Directory {
    inner: RwLock<Inner>,
    /// Counts the changes of bindings.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Inner {
    namespaces: HashMap<Name, BTreeMap<Name, Entry>>,
    /// Beside those of versions, by id.
    bound: HashMap<Name, BTreeMap<Name, Arc<Bound>>>,
    routes: Routes,
    buckets: HashMap<Name, Buckets>,
}

/// A live version and the gate that all versions of its function share.
#[derive(Clone)]
pub struct Entry {
    pub function: Arc<Function>,
    pub gate: Arc<Gate>,
    /// The route is one that providers post to, and that says who may.
    pub inlet: Option<Arc<Inlet>>,
    /// The route is that of a binding beside those of versions.
    pub bound: Option<Arc<Bound>>,
    pub beside: Arc<Beside>,
}

impl Inner {
    /// Whether something beside its versions calls it.
    fn is_bound(&self, function: &Function) -> bool {
        let all = self.bound.get(&function.namespace).into_iter().flat_map(BTreeMap::values);
        all.into_iter().any(|bound| matches!(&bound.to, Destination::Function(name) if *name == function.name))
    }
}

impl Directory {
    /// Reads every function's head. One that can't be read keeps no other function from being served.
    pub async fn load(&self, catalog: &dyn Catalog) -> Result<usize> {
        const PAGE: usize = 1000;
        let (mut after, mut live) = (None, Vec::new());
        loop {
            let page = catalog.scan(Head::PREFIX, after.as_deref(), PAGE).await?;
            for record in &page {
                match Head::read(record) {
                    Ok(head) => live.push((Arc::new(head.live), Some(head.settings))),
                    Err(error) => tracing::error!(record = %record.key, ?error, "a function is left out, since it can't be read"),
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.key.clone()),
                _ => break,
            }
        }
        let count = live.len();
        self.place(live);
        self.load_bound(catalog).await?;
        Ok(count)
    }

    /// Makes these versions live; gives back those that were.
    pub fn replace(&self, functions: Vec<Arc<Function>>) -> Vec<Arc<Function>> {
        self.place(functions.into_iter().map(|function| (function, None)).collect())
    }

    /// What stands beside the versions of this function, whose live version is given as it is stored.
    /// Gives back the versions that were called by name before, since they may be no more.
    pub fn settle(&self, live: Arc<Function>, settings: Settings) -> Vec<Arc<Function>> {
        let held = self.entry(&live.reference()).map(|entry| entry.beside.held()).unwrap_or_default();
        self.place(vec![(live, Some(settings))]);
        held
    }

    /// `None`: what stands beside them stays.
    fn place(&self, functions: Vec<(Arc<Function>, Option<Settings>)>) -> Vec<Arc<Function>> {
        let mut inner = self.write();
        let mut gone = Vec::new();
        let (mut indexed, mut bound) = (false, false);
        for (function, settings) in functions {
            indexed |= !function.bindings.is_empty();
            bound |= inner.is_bound(&function);
            let names = inner.namespaces.entry(function.namespace.clone()).or_default();
            let (name, settings) = (function.name.clone(), settings.map(Arc::new));
            match names.get_mut(&name) {
                Some(entry) => {
                    entry.beside = Beside::new(settings.unwrap_or_else(|| entry.beside.settings.clone()), function);
                    let old = std::mem::replace(&mut entry.function, entry.beside.live());
                    indexed |= !old.bindings.is_empty();
                    gone.push(old);
                    entry.gate.reserve(entry.beside.settings.concurrency_max);
                }
                None => {
                    let (gate, beside) = (Gate::new(), Beside::new(settings.unwrap_or_default(), function));
                    gate.reserve(beside.settings.concurrency_max);
                    names.insert(name, Entry { function: beside.live(), gate, inlet: None, bound: None, beside });
                }
            }
        }
        if indexed {
            inner.index();
        }
        // Doors hold the function with what calls it, also where that stands beside its versions.
        if indexed || bound {
            self.changes.send_modify(|count| *count += 1);
        }
        gone
    }

    /// Gives back what may have instances.
    pub fn remove(&self, function: &FunctionRef) -> Vec<Arc<Function>> {
        let mut inner = self.write();
        let names = inner.namespaces.get_mut(&function.namespace);
        let Some(entry) = names.and_then(|names| names.remove(&function.name)) else { return Vec::new() };
        let goes = |bound: &Bound| matches!(&bound.to, Destination::Function(name) if *name == function.name);
        let had = inner.bound.get(&function.namespace).map_or(0, BTreeMap::len);
        let left = inner.bound.get_mut(&function.namespace).map_or(0, |all| {
            all.retain(|_, bound| !goes(bound));
            all.len()
        });
        if left < had || !entry.function.bindings.is_empty() {
            inner.index();
            self.changes.send_modify(|count| *count += 1);
        }
        let mut gone = entry.beside.held();
        gone.push(entry.function);
        gone
    }

    pub fn entry(&self, function: &FunctionRef) -> Result<Entry> {
        let inner = self.read();
        let found = inner.namespaces.get(&function.namespace).and_then(|names| names.get(&function.name));
        found.cloned().ok_or_else(|| {
            Error::new(Code::FunctionNotFound, format!("there is no function {function}"))
                .hint("`mote list` shows the functions; `mote deploy PATH` makes one.")
        })
    }

    /// How a function gets the events that nobody waits for, as it is declared now for that name of it.
    pub fn delivery(&self, function: &FunctionRef, called: &Qualifier) -> Option<Delivery> {
        Some(self.entry(function).ok()?.beside.delivery(called))
    }

    pub fn list(&self, namespace: &Name, after: Option<&str>, limit: usize) -> Vec<Arc<Function>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let inner = self.read();
        let Some(names) = inner.namespaces.get(namespace) else { return Vec::new() };
        let from = after.map_or(Unbounded, Excluded);
        names.range::<str, _>((from, Unbounded)).take(limit).map(|(_, entry)| entry.function.clone()).collect()
    }

    /// The function that a host name, in whatever case, stands for.
    pub fn by_host(&self, namespace: &Name, host: &str) -> Option<Name> {
        let inner = self.read();
        let names = inner.namespaces.get(namespace)?;
        let exact = names.get_key_value(host).map(|(name, _)| name);
        exact.or_else(|| names.keys().find(|name| name.as_str().eq_ignore_ascii_case(host))).cloned()
    }

    /// Those live versions that always have an instance.
    pub fn kept_warm(&self) -> Vec<Arc<Function>> {
        let inner = self.read();
        let functions = inner.namespaces.values().flat_map(|names| names.values()).map(|entry| &entry.function);
        functions.filter(|function| function.limits.instances_min > 0).cloned().collect()
    }

    /// Those of whose versions instances are kept ready by name.
    pub fn kept_ready(&self) -> Vec<FunctionRef> {
        let inner = self.read();
        let entries = inner.namespaces.values().flat_map(|names| names.values());
        let kept = entries.filter(|entry| !entry.beside.settings.instances_min.is_empty());
        kept.map(|entry| entry.function.reference()).collect()
    }

    /// Functions of a namespace, or of all.
    pub fn count(&self, namespace: Option<&Name>) -> usize {
        let inner = self.read();
        match namespace {
            Some(namespace) => inner.namespaces.get(namespace).map_or(0, BTreeMap::len),
            None => inner.namespaces.values().map(BTreeMap::len).sum(),
        }
    }

    /// Namespaces that have functions.
    pub fn namespaces(&self) -> Vec<Name> {
        self.read().namespaces.iter().filter(|(_, names)| !names.is_empty()).map(|(namespace, _)| namespace.clone()).collect()
    }

    /// Finds the live version that a call is for. A route fills in the request's `params`.
    pub fn resolve(&self, to: &Target, event: &mut Event) -> Result<Entry> {
        match to {
            Target::Function { function, version: Qualifier::Live } => {
                let entry = self.entry(function)?;
                let methods = &entry.function.http.methods;
                match event.request.as_deref().filter(|request| !permits(methods, request)) {
                    Some(request) => Err(not_allowed(methods.iter(), request)),
                    None => Ok(entry),
                }
            }
            Target::Function { version: Qualifier::Version(_) | Qualifier::Alias(_), .. } => {
                Err(Error::internal("a pinned version is not the directory's"))
            }
            Target::Route { namespace } => match event.request.as_mut().map(Arc::make_mut) {
                Some(request) => self.route(namespace, request),
                None => Err(Error::internal("a route was asked for an event without a request")),
            },
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
