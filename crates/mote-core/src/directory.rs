//! Which functions are live: the catalog's answer, held in memory for the hot path.
//!
//! A lookup takes a read lock and clones two `Arc`s. Changes come from [`crate::platform`] after
//! they are on disk, and from [`Directory::load`] at start.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, RwLock};

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::action::{Qualifier, Target};
use crate::error::{Code, Error, Result};
use crate::event::{Event, HttpRequest};
use crate::function::delivery::Retry;
use crate::function::{Binding, Function, FunctionRef, Name, ObjectChange};
use crate::invoke::admit::Gate;
use crate::store::{Catalog, Record};
use crate::webhook::Inlet;

/// What a webhook is called by.
static POST: LazyLock<[String; 1]> = LazyLock::new(|| ["POST".to_owned()]);

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
    routes: HashMap<Name, matchit::Router<Vec<Route>>>,
    /// By namespace and bucket.
    buckets: HashMap<Name, HashMap<String, Vec<BucketBinding>>>,
}

/// A live version and the gate that all versions of its function share.
#[derive(Clone)]
pub struct Entry {
    pub function: Arc<Function>,
    pub gate: Arc<Gate>,
    /// The route is one that providers post to, and that says who may.
    pub inlet: Option<Arc<Inlet>>,
}

#[derive(Clone)]
struct Route {
    methods: Vec<String>,
    function: FunctionRef,
    inlet: Option<Arc<Inlet>>,
}

#[derive(Clone)]
struct BucketBinding {
    change: ObjectChange,
    prefix: String,
    suffix: String,
    function: FunctionRef,
    retry: Option<Retry>,
}

/// The record of a function: its live version whole, so that a start reads one record each.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Head {
    pub live: Function,
    /// The highest number ever given.
    pub latest: u64,
    /// Versions that are still stored, oldest first.
    pub versions: Vec<u64>,
    /// The version that was live before, for a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<u64>,
}

impl Head {
    pub const PREFIX: &str = "functions/";

    pub fn key(function: &FunctionRef) -> String {
        format!("{}{}/{}", Self::PREFIX, function.namespace, function.name)
    }

    pub fn version_key(function: &FunctionRef, version: u64) -> String {
        format!("{}{}/{version:010}", Self::versions_prefix(&function.namespace), function.name)
    }

    pub fn versions_prefix(namespace: &Name) -> String {
        format!("versions/{namespace}/")
    }

    pub fn read(record: &Record) -> Result<Head> {
        serde_json::from_slice(&record.value).map_err(|e| {
            Error::internal(format!("the record {} can't be read", record.key))
                .caused_by(e)
                .hint("Another version of mote wrote it: remove the function, then deploy it again.")
        })
    }

    /// The stored versions alone, which are told also where the live one can't be read.
    pub fn versions(record: &Record) -> Result<Vec<u64>> {
        #[derive(Deserialize)]
        struct Versions {
            versions: Vec<u64>,
        }
        match serde_json::from_slice(&record.value) {
            Ok(Versions { versions }) => Ok(versions),
            Err(_) => Head::read(record).map(|head| head.versions),
        }
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
                    Ok(head) => live.push(Arc::new(head.live)),
                    Err(error) => tracing::error!(record = %record.key, ?error, "a function is left out, since it can't be read"),
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.key.clone()),
                _ => break,
            }
        }
        let count = live.len();
        self.replace(live);
        Ok(count)
    }

    /// Makes these versions live; gives back those that were.
    pub fn replace(&self, functions: Vec<Arc<Function>>) -> Vec<Arc<Function>> {
        let mut inner = self.write();
        let mut gone = Vec::new();
        let mut bound = false;
        for function in functions {
            bound |= !function.bindings.is_empty();
            let names = inner.namespaces.entry(function.namespace.clone()).or_default();
            match names.get_mut(&function.name) {
                Some(entry) => gone.push(std::mem::replace(&mut entry.function, function)),
                None => {
                    names.insert(function.name.clone(), Entry { function, gate: Gate::new(), inlet: None });
                }
            }
        }
        if bound || gone.iter().any(|old| !old.bindings.is_empty()) {
            inner.index();
            self.changes.send_modify(|count| *count += 1);
        }
        gone
    }

    pub fn remove(&self, function: &FunctionRef) -> Option<Arc<Function>> {
        let mut inner = self.write();
        let entry = inner.namespaces.get_mut(&function.namespace)?.remove(&function.name)?;
        if !entry.function.bindings.is_empty() {
            inner.index();
            self.changes.send_modify(|count| *count += 1);
        }
        Some(entry.function)
    }

    /// Tells when a binding has come or gone; a door that keeps an index of its own builds it anew.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What `pick` takes of all bindings of live functions, in the order of their names.
    pub fn bindings<T>(&self, mut pick: impl FnMut(&Arc<Function>, &Binding) -> Option<T>) -> Vec<T> {
        let inner = self.read();
        let functions = inner.namespaces.values().flat_map(BTreeMap::values).map(|entry| &entry.function);
        let bindings = functions.flat_map(|function| function.bindings.iter().map(move |binding| (function, binding)));
        bindings.filter_map(|(function, binding)| pick(function, binding)).collect()
    }

    pub fn entry(&self, function: &FunctionRef) -> Result<Entry> {
        let inner = self.read();
        let found = inner.namespaces.get(&function.namespace).and_then(|names| names.get(&function.name));
        found.cloned().ok_or_else(|| {
            Error::new(Code::FunctionNotFound, format!("there is no function {function}"))
                .hint("`mote list` shows the functions; `mote deploy PATH` makes one.")
        })
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
            Target::Function { version: Qualifier::Version(_), .. } => Err(Error::internal("a pinned version is not the directory's")),
            Target::Route { namespace } => match event.request.as_mut().map(Arc::make_mut) {
                Some(request) => self.route(namespace, request),
                None => Err(Error::internal("a route was asked for an event without a request")),
            },
        }
    }

    /// Functions that a change of this object fires, each once, with their bindings' own rules.
    pub fn bound_to(&self, namespace: &Name, bucket: &str, key: &str, change: ObjectChange) -> Vec<(FunctionRef, Option<Retry>)> {
        let inner = self.read();
        let bindings = inner.buckets.get(namespace).and_then(|buckets| buckets.get(bucket)).map(Vec::as_slice).unwrap_or_default();
        let fires = |b: &&BucketBinding| b.change == change && key.starts_with(&b.prefix) && key.ends_with(&b.suffix);
        let mut functions: Vec<_> = bindings.iter().filter(fires).map(|b| (b.function.clone(), b.retry.clone())).collect();
        functions.dedup_by(|a, b| a.0 == b.0);
        functions
    }

    /// An error if a route of these functions, which go live together in one namespace, is not
    /// valid, or is another function's.
    pub fn check_routes(&self, functions: &[&Function]) -> Result<()> {
        let others = self.others(functions);
        let mut taken: Vec<_> = others.iter().flat_map(|other| http_routes(other)).collect();
        let mut routes = matchit::Router::new();
        for (path, ..) in &taken {
            // A path may be there already, for other methods.
            let _ = routes.insert(*path, ());
        }
        for (path, methods, name) in functions.iter().flat_map(|function| http_routes(function)) {
            let meets = |with: &str| {
                Error::new(Code::Conflict, format!("the route {path} meets {with}"))
                    .hint("Change the path, or remove the other function first.")
            };
            for (_, others_methods, owner) in taken.iter().filter(|(other, _, owner)| *other == path && *owner != name) {
                if methods.is_empty() || others_methods.is_empty() || methods.iter().any(|m| others_methods.contains(m)) {
                    return Err(meets(&format!("the same route of the function {owner}")));
                }
            }
            match routes.insert(path, ()) {
                Ok(()) => {}
                Err(matchit::InsertError::Conflict { with }) if with == path => {}
                Err(matchit::InsertError::Conflict { with }) => return Err(meets(&with)),
                Err(error) => return Err(Error::new(Code::ManifestInvalid, format!("the route {path:?} is not valid: {error}"))),
            }
            taken.push((path, methods, name));
        }
        Ok(())
    }

    /// The live functions that stay beside these.
    fn others(&self, functions: &[&Function]) -> Vec<Arc<Function>> {
        let Some(first) = functions.first() else { return Vec::new() };
        let inner = self.read();
        let names = inner.namespaces.get(&first.namespace).into_iter().flat_map(BTreeMap::values);
        let stays = |entry: &&Entry| functions.iter().all(|function| function.name != entry.function.name);
        names.filter(stays).map(|entry| entry.function.clone()).collect()
    }

    fn route(&self, namespace: &Name, request: &mut HttpRequest) -> Result<Entry> {
        let inner = self.read();
        let mut path = request.path.as_str();
        let mut namespace: &str = namespace.as_str();
        if let Some(rest) = path.strip_prefix("/@") {
            let end = rest.find('/').unwrap_or(rest.len());
            (namespace, path) = (&rest[..end], &rest[end..]);
        }
        if let Some(Ok(matched)) = inner.routes.get(namespace).map(|routes| routes.at(path)) {
            let params = matched.params.iter().map(|(name, value)| (name.to_owned(), decode(value)));
            let params: Vec<_> = params.collect();
            let route = allowed(matched.value, request)?;
            let entry = inner.namespaces.get(&route.function.namespace).and_then(|names| names.get(&route.function.name));
            let entry = entry.map(|entry| Entry { inlet: route.inlet.clone(), ..entry.clone() });
            (request.params, request.mount) = (params, request.path.len() - path.len());
            return entry.ok_or_else(|| Error::internal("a route leads to a function that is gone"));
        }
        let below = path.trim_start_matches('/');
        let name = below.split('/').next().unwrap_or_default();
        let mount = request.path.len() - (below.len() - name.len());
        let entry = inner.namespaces.get(namespace).and_then(|names| names.get(name)).filter(|entry| entry.function.http.url);
        let Some(entry) = entry else {
            let shown: String = request.path.chars().take(100).collect();
            return Err(Error::new(Code::FunctionNotFound, format!("nothing answers at {shown}"))
                .hint("`mote list` shows the functions and their URLs."));
        };
        if !permits(&entry.function.http.methods, request) {
            return Err(not_allowed(entry.function.http.methods.iter(), request));
        }
        let entry = entry.clone();
        request.mount = mount;
        Ok(entry)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Inner {
    /// Builds routes and bucket bindings anew; at deploys only.
    fn index(&mut self) {
        self.routes.clear();
        self.buckets.clear();
        let mut by_path: HashMap<Name, BTreeMap<String, Vec<Route>>> = HashMap::new();
        for entry in self.namespaces.values().flat_map(BTreeMap::values) {
            let function = entry.function.reference();
            for binding in &entry.function.bindings {
                match binding {
                    Binding::Http { path, methods } => by_path
                        .entry(function.namespace.clone())
                        .or_default()
                        .entry(path.clone())
                        .or_default()
                        .push(Route { methods: methods.clone(), function: function.clone(), inlet: None }),
                    Binding::Webhook(inlet) => by_path
                        .entry(function.namespace.clone())
                        .or_default()
                        .entry(inlet.path.clone())
                        .or_default()
                        .push(Route { methods: POST.to_vec(), function: function.clone(), inlet: Some(inlet.clone()) }),
                    Binding::Bucket { bucket, events, prefix, suffix, retry } => {
                        let bindings = self.buckets.entry(function.namespace.clone()).or_default().entry(bucket.clone()).or_default();
                        bindings.extend(events.iter().map(|&change| BucketBinding {
                            change,
                            prefix: prefix.clone(),
                            suffix: suffix.clone(),
                            function: function.clone(),
                            retry: retry.clone(),
                        }));
                    }
                    // Whoever fires these keeps an index of its own.
                    Binding::Timer(_) | Binding::Topic(_) | Binding::Queue(_) | Binding::Mqtt(_) => {}
                }
            }
        }
        for (namespace, paths) in by_path {
            let router = self.routes.entry(namespace).or_default();
            for (path, routes) in paths {
                if let Err(error) = router.insert(&path, routes) {
                    tracing::error!(%path, %error, "a route was stored that can't be served");
                }
            }
        }
    }
}

fn http_routes(function: &Function) -> impl Iterator<Item = (&str, &[String], &Name)> {
    function.bindings.iter().filter_map(|binding| match binding {
        Binding::Http { path, methods } => Some((path.as_str(), methods.as_slice(), &function.name)),
        Binding::Webhook(inlet) => Some((inlet.path.as_str(), POST.as_slice(), &function.name)),
        Binding::Bucket { .. } | Binding::Timer(_) | Binding::Topic(_) | Binding::Queue(_) | Binding::Mqtt(_) => None,
    })
}

fn permits(methods: &[String], request: &HttpRequest) -> bool {
    takes(methods, request.method.as_str()) || announced(request).is_some()
}

fn takes(methods: &[String], method: &str) -> bool {
    let is = |allowed: &String| allowed == method || (method == "HEAD" && allowed == "GET");
    methods.is_empty() || methods.iter().any(is)
}

/// The method that a preflight asks for.
fn announced(request: &HttpRequest) -> Option<&str> {
    let asked = request.headers.get(http::header::ACCESS_CONTROL_REQUEST_METHOD)?;
    (request.method == http::Method::OPTIONS).then(|| asked.to_str().unwrap_or_default())
}

fn allowed<'a>(routes: &'a [Route], request: &HttpRequest) -> Result<&'a Route> {
    // A preflight is answered by the function that the request itself will reach, if there is one.
    let method = announced(request).unwrap_or(request.method.as_str());
    routes
        .iter()
        .find(|route| takes(&route.methods, method))
        .or_else(|| routes.iter().find(|route| permits(&route.methods, request)))
        .ok_or_else(|| not_allowed(routes.iter().flat_map(|route| &route.methods), request))
}

fn not_allowed<'a>(methods: impl Iterator<Item = &'a String>, request: &HttpRequest) -> Error {
    let allow = methods.map(String::as_str).collect::<Vec<_>>().join(", ");
    let mut error = Error::new(Code::MethodNotAllowed, format!("{} is not among the methods {allow}", request.method));
    if let Ok(value) = allow.parse() {
        error.headers_mut().insert(http::header::ALLOW, value);
    }
    error
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
