//! A package of Rust as `cargo lambda` deploys it: what `Cargo.toml` says below `package.metadata.lambda`,
//! and the programs that `cargo lambda build` has left in `target/lambda`.
//!
//! Nothing is built here: a build runs its authors' code. A program that is not built, or older than what
//! it is built of (whoever packs leaves that out), is told, and nothing is made.

use std::collections::{BTreeMap, BTreeSet};

use mote_core::bundle::Bundle;
use mote_core::dialect::{Deployment, Manifest};
use mote_core::function::Binding;
use serde_json::{Map, Value, json};

use super::Ground;
use super::bindings::{self, Api};
use super::code;
use super::finding::{Finding, Findings, Outcome};
use super::function::{self, FunctionUrl, Wanted};
use super::template::{Props, Template, wanted};
use super::yaml::{Key, Node, Place};

pub(super) const MANIFEST: &str = "Cargo.toml";
const BUILT: &str = "target/lambda/";
const BOOTSTRAP: &str = "bootstrap";
const RUNTIME: &str = "provided.al2023";
/// As `cargo lambda deploy` has them.
const TIMEOUT_S: u64 = 30;
const MEMORY_MB: u64 = 128;

type Silent = (&'static str, &'static str);

const RIGHTS: &str = "rights are those of mote's tokens, and a function reaches what its namespace holds";
const NO_STORE: &str = "mote takes the program itself";
const NO_ACCOUNT: &str = "there is no account";
const SECTIONS: [&str; 4] = ["env", "deploy", "watch", "bin"];
const SECTIONS_SILENT: [Silent; 1] = [("build", "it is for `cargo lambda build`")];
const DEPLOY: [&str; 11] = [
    "memory",
    "timeout",
    "env",
    "env_var",
    "enable_function_url",
    "disable_function_url",
    "description",
    "runtime",
    "include",
    "name",
    "merge_env",
];
const DEPLOY_SILENT: [Silent; 14] = [
    ("role", RIGHTS),
    ("iam_role", RIGHTS),
    ("tracing", "every call has a trace"),
    ("log_retention", "logs are kept as all logs are"),
    ("tag", "mote keeps none of a manifest"),
    ("tags", "mote keeps none of a manifest"),
    ("s3_bucket", NO_STORE),
    ("s3_key", NO_STORE),
    ("output_format", "nobody is shown it"),
    ("profile", NO_ACCOUNT),
    ("region", NO_ACCOUNT),
    ("alias", "a function's live version answers"),
    ("endpoint_url", NO_ACCOUNT),
    ("compatible_runtimes", "it is of extensions"),
];

/// Whether it is a package for Lambda: it says so, or has been built for it.
pub(super) fn is_one(root: &Node, bundle: &Bundle) -> bool {
    metadata(root).is_some() || bundle.files().any(|(path, _)| path.starts_with(BUILT))
}

fn metadata(root: &Node) -> Option<&Node> {
    root.get("package")?.get("metadata")?.get("lambda")
}

pub(super) fn read(root: &Node, ground: &Ground<'_>, found: &mut Findings) -> Manifest {
    let nothing = Node::map(root.at, Vec::new());
    let template = Template::new(&nothing, ground, found);
    let package = Package { template: &template, of_all: metadata(root) };
    let mut manifest = Manifest::default();
    let mut programs = programs(root, ground.bundle, found);
    let routes = package.routes(&programs, found);
    for (at, node) in [package.of_all].into_iter().flatten().map(|node| (node.at, node)) {
        let props = Props::of(&template, at, Some(node));
        if let Some(props) = found.keep(props) {
            props.expect("the package's metadata", &SECTIONS, &SECTIONS_SILENT, found);
        }
    }
    for (key, _) in package.of_all.and_then(|node| node.get("bin")?.entries()).unwrap_or_default() {
        if !programs.contains_key(&*key.text) {
            found.wrong(key.at, format!("the package has no program {:.80}", key.text));
        }
    }
    let many = programs.len() > 1;
    while let Some((program, at)) = programs.pop_first() {
        let bound = routes.get(&program).cloned().unwrap_or_default();
        let made = package.function(&program, at, many, bound, found);
        manifest.functions.extend(found.keep(made).flatten());
    }
    manifest
}

/// The package's programs, and where it says so.
fn programs(root: &Node, bundle: &Bundle, found: &mut Findings) -> BTreeMap<String, Place> {
    let mut all = BTreeMap::new();
    let Some(package) = root.get("package") else {
        found.wrong(root.at, "there is no [package]: mote takes the folder of one package, and not a workspace's");
        return all;
    };
    for bin in root.get("bin").and_then(Node::items).unwrap_or_default() {
        match bin.get("name") {
            Some(name) => drop(all.insert(name.as_text().unwrap_or_default().to_owned(), name.at)),
            None => found.wrong(bin.at, "the program has no name"),
        }
    }
    let paths: BTreeSet<&str> =
        root.get("bin").and_then(Node::items).unwrap_or_default().iter().filter_map(|bin| bin.get("path")?.as_text()).collect();
    let others = package.get("autobins").and_then(Node::flag) != Some(false);
    for (path, _) in bundle.files().filter(|(path, _)| others && !paths.contains(path)) {
        let own = package.get("name").and_then(Node::as_text);
        let name = match path.strip_prefix("src/bin/") {
            _ if path == "src/main.rs" => own,
            Some(path) => path.strip_suffix("/main.rs").or_else(|| path.strip_suffix(".rs")).filter(|name| !name.contains('/')),
            None => None,
        };
        if let Some(name) = name {
            all.entry(name.to_owned()).or_insert(package.at);
        }
    }
    if all.is_empty() {
        found.wrong(package.at, "the package has no program: there is neither src/main.rs nor a [[bin]]");
    }
    all
}

struct Package<'t, 'a> {
    template: &'t Template<'a>,
    of_all: Option<&'t Node>,
}

impl<'t, 'a> Package<'t, 'a> {
    /// What is said of all programs, and then of one.
    fn sections(&self, program: &str, name: &str) -> Vec<&'t Node> {
        let own = self.of_all.and_then(|node| node.get("bin")?.get(program));
        [self.of_all, own].into_iter().flatten().filter_map(|node| node.get(name)).collect()
    }

    fn function(&self, program: &str, at: Place, many: bool, bound: Vec<Binding>, found: &mut Findings) -> Outcome<Option<Deployment>> {
        let mut deploys = Vec::new();
        for node in self.sections(program, "deploy") {
            let props = Props::of(self.template, node.at, Some(node))?;
            props.expect("deploy", &DEPLOY, &DEPLOY_SILENT, found);
            deploys.push(props);
        }
        // Of one program alone: many would share it.
        let named = if many { None } else { last(&deploys, |props| props.text("name"))? };
        let (named_at, name) = named.map_or((at, program.to_owned()), |(at, name)| (at, name.to_string()));
        let flag = |name: &'static str| last(&deploys, move |props| props.flag(name));
        let has_url = flag("enable_function_url")? == Some(true) && flag("disable_function_url")? != Some(true);
        let wanted = Wanted {
            at,
            name: function::name(named_at, &name)?,
            files: self.files(program, at, &deploys)?,
            layers: Vec::new(),
            members: self.members(program, &deploys)?,
            built: true,
            url: has_url.then(FunctionUrl::public),
            bindings: bound,
        };
        Ok(wanted.deployment(self.template.ground, found))
    }

    /// The program, and what is to lie beside it.
    fn files(&self, program: &str, at: Place, deploys: &[Props<'_, '_>]) -> Outcome<Bundle> {
        let bundle = self.template.ground.bundle;
        let folder = format!("{BUILT}{program}/");
        let wrong = |error: mote_core::Error| Finding::new(at, error.detail().to_owned());
        let mut files = Bundle::default();
        if let Some(file) = bundle.file(&format!("{folder}{BOOTSTRAP}")) {
            files.insert(BOOTSTRAP, file.content.clone(), true).map_err(wrong)?;
        } else if let Some(file) = bundle.file(&format!("{folder}{BOOTSTRAP}.zip")) {
            files = Bundle::unpack(&file.content).map_err(wrong)?;
        } else {
            let missing = format!("{folder}{BOOTSTRAP} is not there, or older than what it is built of");
            return Err(Finding::new(at, format!("{missing}: run `cargo lambda build --release`, and deploy again")));
        }
        for path in deploys.iter().map(|props| props.list("include")).collect::<Outcome<Vec<_>>>()?.into_iter().flatten() {
            let text = path.as_text().ok_or_else(|| wanted(&path, "a path"))?;
            let plain = text.trim_start_matches("./").trim_end_matches('/');
            if let Some(file) = bundle.file(plain) {
                files.insert(plain, file.content.clone(), file.executable).map_err(wrong)?;
                continue;
            }
            for (inside, file) in code::at(self.template.ground, path.at, plain)?.files() {
                files.insert(&format!("{plain}/{inside}"), file.content.clone(), file.executable).map_err(wrong)?;
            }
        }
        Ok(files)
    }

    fn members(&self, program: &str, deploys: &[Props<'_, '_>]) -> Outcome<Map<String, Value>> {
        let mut members = Map::from_iter([
            ("Handler".to_owned(), BOOTSTRAP.into()),
            ("Runtime".to_owned(), RUNTIME.into()),
            ("Timeout".to_owned(), TIMEOUT_S.into()),
            ("MemorySize".to_owned(), MEMORY_MB.into()),
        ]);
        let mut add = |name: &str, at: Place, value: Value| {
            function::check(at, name, &value)?;
            members.insert(name.to_owned(), value);
            Ok(())
        };
        for (name, member) in [("timeout", "Timeout"), ("memory", "MemorySize")] {
            if let Some(node) = last(deploys, |props| props.get(name))? {
                add(member, node.at, node.whole().ok_or_else(|| wanted(&node, "a number"))?.into())?;
            }
        }
        for (name, member) in [("runtime", "Runtime"), ("description", "Description")] {
            if let Some((at, text)) = last(deploys, |props| props.text(name))? {
                add(member, at, (&*text).into())?;
            }
        }
        let mut variables = Map::new();
        for env in self.sections(program, "env") {
            variables.extend(environment(env)?);
        }
        for env in deploys.iter().flat_map(|props| [props.raw("env"), props.raw("env_var")]).flatten() {
            variables.extend(environment(env)?);
        }
        let at = self.of_all.map(|node| node.at).unwrap_or_default();
        add("Environment", at, json!({ "Variables": variables }))?;
        Ok(members)
    }

    /// By program: those of `watch.router`, by which `cargo lambda watch` has them.
    fn routes(&self, programs: &BTreeMap<String, Place>, found: &mut Findings) -> BTreeMap<String, Vec<Binding>> {
        let mut all: BTreeMap<String, Vec<Binding>> = BTreeMap::new();
        let Some(watch) = self.of_all.and_then(|node| node.get("watch")) else { return all };
        let Some(router) = watch.get("router") else { return all };
        for route in found.keep(listed(router)).unwrap_or_default() {
            let Route { at, path, method, program } = route;
            if !programs.contains_key(&program) {
                found.wrong(at, format!("the route {path:.80} leads to {program:.80}, which is no program of the package"));
                continue;
            }
            let binding = Api::http().route(at, &bindings::path_of(&path), &method);
            all.entry(program).or_default().extend(found.keep(binding));
        }
        all
    }
}

struct Route {
    at: Place,
    path: String,
    method: String,
    program: String,
}

/// A map of paths, or a list of routes.
fn listed(router: &Node) -> Outcome<Vec<Route>> {
    let word = |node: &Node| node.as_text().map(str::to_owned).ok_or_else(|| wanted(node, "a text"));
    let mut all = Vec::new();
    if let Some(paths) = router.entries() {
        for (Key { at, text: path }, to) in paths {
            let mut add = |method: &str, program: &Node| {
                all.push(Route { at: *at, path: path.to_string(), method: method.to_owned(), program: word(program)? });
                Ok::<_, Finding>(())
            };
            match to.entries() {
                None => add("ANY", to)?,
                Some(methods) => methods.iter().try_for_each(|(method, program)| add(&method.text, program))?,
            }
        }
        return Ok(all);
    }
    for route in router.items().ok_or_else(|| wanted(router, "a map of paths, or a list of routes"))? {
        let part = |name: &str| route.get(name).ok_or_else(|| Finding::new(route.at, format!("the route has no {name}")));
        let (path, program) = (word(part("path")?)?, word(part("function")?)?);
        let methods = match route.get("methods") {
            Some(list) => list.items().ok_or_else(|| wanted(list, "a list"))?.iter().map(word).collect::<Outcome<Vec<_>>>()?,
            None => vec!["ANY".to_owned()],
        };
        all.extend(methods.into_iter().map(|method| Route { at: route.at, path: path.clone(), method, program: program.clone() }));
    }
    Ok(all)
}

/// A map, or a list of `NAME=value`.
fn environment(node: &Node) -> Outcome<Map<String, Value>> {
    let text = |node: &Node| node.as_text().map(str::to_owned).ok_or_else(|| wanted(node, "a text"));
    if let Some(entries) = node.entries() {
        return entries.iter().map(|(key, value)| Ok((key.text.to_string(), text(value)?.into()))).collect();
    }
    let pair = |item: &Node| {
        let line = text(item)?;
        let (name, value) = line.split_once('=').ok_or_else(|| wanted(item, "NAME=value"))?;
        Ok((name.to_owned(), value.into()))
    };
    node.items().ok_or_else(|| wanted(node, "a map, or a list of NAME=value"))?.iter().map(pair).collect()
}

/// What is said last goes before.
fn last<T>(all: &[Props<'_, '_>], get: impl Fn(&Props<'_, '_>) -> Outcome<Option<T>>) -> Outcome<Option<T>> {
    for props in all.iter().rev() {
        if let Some(found) = get(props)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
