//! Which function answers at a path, and which methods it takes there.
//!
//! Who may call it is judged when it has been found: [`crate::access`].

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use percent_encoding::percent_decode_str;

use super::{Directory, Entry, Inner};
use crate::error::{Code, Error, Result};
use crate::event::HttpRequest;
use crate::function::delivery::Destination;
use crate::function::{Binding, Bound, Function, FunctionRef, HttpRoute, Name};
use crate::webhook::Inlet;

/// What a webhook is called by.
static POST: LazyLock<[String; 1]> = LazyLock::new(|| ["POST".to_owned()]);

pub(super) type Routes = HashMap<Name, matchit::Router<Vec<Route>>>;

#[derive(Clone)]
pub(super) struct Route {
    methods: Vec<String>,
    function: FunctionRef,
    /// `None`: a webhook's.
    http: Option<Arc<HttpRoute>>,
    inlet: Option<Arc<Inlet>>,
    bound: Option<Arc<Bound>>,
}

/// A path that somebody answers at.
#[derive(Clone, Copy)]
struct Claimed<'a> {
    path: &'a str,
    below: bool,
    methods: &'a [String],
    by: &'a Name,
}

impl Claimed<'_> {
    /// As the router has them: it takes no empty rest of a path.
    fn patterns(&self) -> Vec<String> {
        let mut patterns = vec![self.path.to_owned()];
        if self.below {
            patterns.extend([format!("{}/", self.path), format!("{}/{{*{BELOW}}}", self.path)]);
        }
        patterns
    }
}

/// The name of what lies below a path, which nobody asks for.
const BELOW: &str = "below";

impl Directory {
    /// An error if a route of these functions, which go live together in one namespace, is not
    /// valid, or is another function's.
    pub fn check_routes(&self, functions: &[&Function]) -> Result<()> {
        let Some(namespace) = functions.first().map(|function| &function.namespace) else { return Ok(()) };
        let (others, bound) = self.beside(namespace);
        let stays = |other: &&Arc<Function>| functions.iter().all(|function| function.name != other.name);
        let taken =
            others.iter().filter(stays).flat_map(|other| of_function(other)).chain(bound.iter().filter_map(|bound| of_bound(bound)));
        check(taken.collect(), functions.iter().flat_map(|function| of_function(function)))
    }

    /// The same for a binding that comes beside those of versions.
    pub(crate) fn check_route(&self, bound: &Bound) -> Result<()> {
        let (functions, others) = self.beside(&bound.namespace);
        let others = others.iter().filter(|other| other.id != bound.id).filter_map(|other| of_bound(other));
        let taken = functions.iter().flat_map(|function| of_function(function)).chain(others);
        check(taken.collect(), of_bound(bound).into_iter())
    }

    /// All that may have routes in a namespace.
    fn beside(&self, namespace: &Name) -> (Vec<Arc<Function>>, Vec<Arc<Bound>>) {
        let inner = self.read();
        let functions = inner.namespaces.get(namespace).into_iter().flat_map(BTreeMap::values).map(|entry| entry.function.clone());
        let bound = inner.bound.get(namespace).into_iter().flat_map(BTreeMap::values).cloned();
        (functions.collect(), bound.collect())
    }

    pub(super) fn route(&self, namespace: &Name, request: &mut HttpRequest) -> Result<Entry> {
        let inner = self.read();
        let mut path = request.path.as_str();
        let mut namespace: &str = namespace.as_str();
        if let Some(rest) = path.strip_prefix("/@") {
            let end = rest.find('/').unwrap_or(rest.len());
            (namespace, path) = (&rest[..end], &rest[end..]);
        }
        if let Some(Ok(matched)) = inner.routes.get(namespace).map(|routes| routes.at(path)) {
            let route = allowed(matched.value, request)?;
            let below = route.http.as_deref().filter(|http| http.below);
            let params = matched.params.iter().filter(|_| below.is_none()).map(|(name, value)| (name.to_owned(), decode(value)));
            let params: Vec<_> = params.collect();
            let entry = inner.namespaces.get(&route.function.namespace).and_then(|names| names.get(&route.function.name));
            let entry = entry.map(|entry| Entry { inlet: route.inlet.clone(), bound: route.bound.clone(), ..entry.clone() });
            let mount = request.path.len() - path.len() + below.map_or(0, |http| http.path.len());
            (request.params, request.mount, request.route) = (params, mount, route.http.clone());
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
}

impl Inner {
    pub(super) fn routes(&self) -> Routes {
        let mut by_path: HashMap<Name, BTreeMap<String, Vec<Route>>> = HashMap::new();
        let mut add = |function: FunctionRef, binding: &Binding, bound: Option<&Arc<Bound>>| {
            let Some(claimed) = claimed(binding, &function.name) else { return };
            let (http, inlet) = match binding {
                Binding::Webhook(inlet) => (None, Some(inlet.clone())),
                Binding::Http(http) => (Some(http.clone()), None),
                _ => (None, None),
            };
            let route = Route { methods: claimed.methods.to_vec(), function: function.clone(), http, inlet, bound: bound.cloned() };
            let paths = by_path.entry(function.namespace).or_default();
            for pattern in claimed.patterns() {
                paths.entry(pattern).or_default().push(route.clone());
            }
        };
        for function in self.namespaces.values().flat_map(BTreeMap::values).map(|entry| &entry.function) {
            function.bindings.iter().for_each(|binding| add(function.reference(), binding, None));
        }
        for bound in self.bound.values().flat_map(BTreeMap::values).filter(|bound| bound.enabled) {
            if let Some(function) = bound.function() {
                add(function, &bound.binding, Some(bound));
            }
        }
        let mut routes = Routes::new();
        for (namespace, paths) in by_path {
            let router = routes.entry(namespace).or_default();
            for (path, routes) in paths {
                if let Err(error) = router.insert(&path, routes) {
                    tracing::error!(%path, %error, "a route was stored that can't be served");
                }
            }
        }
        routes
    }
}

fn check<'a>(mut taken: Vec<Claimed<'a>>, new: impl Iterator<Item = Claimed<'a>>) -> Result<()> {
    let mut routes = matchit::Router::new();
    for pattern in taken.iter().flat_map(Claimed::patterns) {
        // A path may be there already, for other methods.
        let _ = routes.insert(pattern, ());
    }
    for one @ Claimed { path, below, methods, by } in new {
        if below && (path.contains('{') || path.ends_with('/')) {
            return Err(Error::new(Code::ManifestInvalid, format!("nothing can lie below the route {path:?}"))
                .hint("Its path has no `{names}`, and does not end in a slash."));
        }
        let patterns = one.patterns();
        let meets = |with: &str| {
            Error::new(Code::Conflict, format!("the route {path} meets {with}"))
                .hint("Change the path, or remove the other function first.")
        };
        for other in taken.iter().filter(|other| other.by != by && other.patterns().iter().any(|pattern| patterns.contains(pattern))) {
            if methods.is_empty() || other.methods.is_empty() || methods.iter().any(|m| other.methods.contains(m)) {
                return Err(meets(&format!("the same route of the function {}", other.by)));
            }
        }
        for pattern in &patterns {
            match routes.insert(pattern, ()) {
                Ok(()) => {}
                Err(matchit::InsertError::Conflict { with }) if with == *pattern => {}
                Err(matchit::InsertError::Conflict { with }) => return Err(meets(&with)),
                Err(error) => return Err(Error::new(Code::ManifestInvalid, format!("the route {path:?} is not valid: {error}"))),
            }
        }
        taken.push(one);
    }
    Ok(())
}

fn of_function(function: &Function) -> impl Iterator<Item = Claimed<'_>> {
    function.bindings.iter().filter_map(|binding| claimed(binding, &function.name))
}

fn of_bound(bound: &Bound) -> Option<Claimed<'_>> {
    match &bound.to {
        Destination::Function(name) => claimed(&bound.binding, name),
        Destination::Queue(_) | Destination::Topic(_) | Destination::Webhook(_) => None,
    }
}

fn claimed<'a>(binding: &'a Binding, by: &'a Name) -> Option<Claimed<'a>> {
    match binding {
        Binding::Http(route) => Some(Claimed { path: &route.path, below: route.below, methods: &route.methods, by }),
        Binding::Webhook(inlet) => Some(Claimed { path: &inlet.path, below: false, methods: POST.as_slice(), by }),
        Binding::Bucket { .. } | Binding::Timer(_) | Binding::Topic(_) | Binding::Queue(_) | Binding::Mqtt(_) => None,
    }
}

pub(super) fn permits(methods: &[String], request: &HttpRequest) -> bool {
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

pub(super) fn not_allowed<'a>(methods: impl Iterator<Item = &'a String>, request: &HttpRequest) -> Error {
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
