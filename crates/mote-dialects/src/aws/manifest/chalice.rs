//! Chalice's projects: `.chalice/config.json`, and what the decorators in `app.py` declare.
//!
//! The code is read and not run: it is anybody's, and a manifest is read where nothing confines it. So
//! decorators count whose arguments say what they are worth ([`app`]); any other is told with its line
//! and column, and nothing is made. Not here: Chalice itself, which comes with the code (`vendor/`) or is
//! installed beside it, and turns events into what the decorated functions take.

mod app;
mod config;
mod python;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use mote_core::Result;
use mote_core::bundle::Bundle;
use mote_core::dialect::{Deployment, Manifest};
use mote_core::function::Binding;
use serde_json::{Map, Value as Json, json};

use self::app::{Declared, Module, Registered};
use self::config::Config;
use self::python::value::{Arguments, Is, Value};
use super::Ground;
use super::finding::{self, Finding, Findings, Outcome};
use super::function::{self, Wanted};
use super::yaml::Place;

pub(super) const CONFIG: &str = ".chalice/config.json";
const APP: &str = "app.py";
const REQUIREMENTS: &str = "requirements.txt";
const CHALICE: &str = "chalice";
const VENDOR: &str = "vendor/";
/// As Chalice has it for all of its versions that run.
const RUNTIME: &str = "python3.12";
const TIMEOUT_S: u64 = 60;
const MEMORY_MB: u64 = 128;
/// By which the config knows the function of all routes.
const API_HANDLER: &str = "api_handler";
/// From one module to the next, to where a blueprint is made.
const STEPS_MAX: usize = 8;

pub(super) fn read(root: &super::yaml::Node, ground: &Ground<'_>) -> Result<Manifest> {
    let mut found = Findings::default();
    let said = ground.said.values.get(config::STAGE_PARAMETER).map(String::as_str);
    let config = Config::read(root, said, &mut found);
    let named = found.keep(config.name()).unwrap_or_default();
    let mut project = Project {
        ground,
        name: format!("{named}-{}", config.stage),
        environment: environment(&config, &mut found),
        config: &config,
        found: BTreeMap::from([(CONFIG.to_owned(), found)]),
        functions: BTreeMap::new(),
        manifest: Manifest::default(),
    };
    project.app();
    let Project { found, mut manifest, .. } = project;
    manifest.notes = finding::end(found)?;
    manifest.buckets.sort();
    manifest.buckets.dedup();
    Ok(manifest)
}

/// As the code knows it while Chalice looks at it.
fn environment(config: &Config<'_>, found: &mut Findings) -> Value {
    let text = |text: &str| Value { at: Place::default(), is: Is::Text(text.into()) };
    let mut all: BTreeMap<Rc<str>, String> = BTreeMap::new();
    for (key, value) in found.keep(config.environment(API_HANDLER)).unwrap_or_default() {
        all.insert(key.text.clone(), value);
    }
    let entries = all.iter().map(|(name, value)| (text(name), text(value)));
    Value { at: Place::default(), is: Is::Map(entries.collect()) }
}

/// A project, and what has come of it so far.
struct Project<'g, 'a> {
    ground: &'g Ground<'a>,
    config: &'g Config<'g>,
    /// With its stage: what all functions' names begin with.
    name: String,
    environment: Value,
    /// By file.
    found: BTreeMap<String, Findings>,
    /// By the name that the decorator says.
    functions: BTreeMap<String, Function>,
    manifest: Manifest,
}

/// A function of the project.
struct Function {
    at: Place,
    file: String,
    handler: String,
    bindings: Vec<Binding>,
}

/// Where something is declared.
struct Origin<'m> {
    file: &'m str,
    /// As a handler's first part.
    module: &'m str,
    name_prefix: &'m str,
    url_prefix: Option<&'m str>,
    cors: Option<&'m Value>,
    of: &'m Module,
}

impl Project<'_, '_> {
    fn found(&mut self, file: &str) -> &mut Findings {
        self.found.entry(file.to_owned()).or_default()
    }

    fn keep<T>(&mut self, file: &str, outcome: Outcome<T>) -> Option<T> {
        self.found(file).keep(outcome)
    }

    fn module(&mut self, file: &str, package: &str) -> Option<Module> {
        let text = match self.ground.bundle.text(file)? {
            Ok(text) => text.to_owned(),
            Err(error) => return self.keep(file, Err(Finding::new(Place::default(), error.detail().to_owned()))),
        };
        let module = Module::read(&text, package, &self.environment);
        self.keep(file, module)
    }

    fn app(&mut self) {
        let there = self.ground.bundle.file(APP).is_some();
        let Some(module) = self.module(APP, "") else {
            if !there {
                self.found(CONFIG).wrong(Place::default(), "there is no app.py beside the folder");
            }
            return;
        };
        if !module.makes("app", "Chalice") {
            self.found(APP).wrong(Place::default(), "there is no `app = Chalice(…)` at its outermost level");
            return;
        }
        let origin = Origin { file: APP, module: "app", name_prefix: "", url_prefix: None, cors: module.cors.as_ref(), of: &module };
        self.declared(&origin, "app");
        for registered in &module.registered {
            let taken = self.blueprint(&module, registered);
            self.keep(APP, taken);
        }
        self.deployments();
    }

    /// All that stands on an object of a module.
    fn declared(&mut self, origin: &Origin<'_>, on: &str) {
        for wrong in &origin.of.wrong {
            self.found(origin.file).wrong(wrong.at, wrong.what.clone());
        }
        for declared in origin.of.declared.iter().filter(|declared| &*declared.on == on) {
            let outcome = self.declare(origin, declared);
            self.keep(origin.file, outcome);
        }
    }

    fn declare(&mut self, origin: &Origin<'_>, declared: &Declared) -> Outcome<()> {
        let Declared { at, kind, arguments, function, .. } = declared;
        if let Some(at) = arguments.more {
            return Err(Finding::new(at, "only running the code would tell these arguments, and mote reads it"));
        }
        let named = arguments.get("name", (&**kind == "lambda_function").then_some(0));
        let named = named.map(|name| name.text("a name")).transpose()?.unwrap_or_else(|| function.clone());
        let name = format!("{}{named}", origin.name_prefix);
        if &**kind == "route" {
            let bindings = wire::routes(self.stage(), origin, *at, arguments)?;
            self.function(String::new(), *at, origin.file, "app.app".to_owned())?.bindings.extend(bindings);
            return Ok(());
        }
        let handler = format!("{}.{function}", origin.module);
        let wired = match &**kind {
            "lambda_function" => wire::Wired::default(),
            "schedule" => wire::schedule(*at, arguments, origin.of)?,
            "on_s3_event" => wire::bucket(*at, arguments)?,
            "on_sqs_message" => wire::queue(self.ground, *at, arguments)?,
            "on_sns_message" => wire::topic(self.ground, *at, arguments, &function::name(*at, &self.named(&name))?)?,
            other => return Err(Finding::new(*at, format!("mote does not honour {other} of Chalice: {}", wire::why_not(other)))),
        };
        self.manifest.buckets.extend(wired.bucket);
        if let Some(queue) = wired.queue {
            self.manifest.queues.entry(queue).or_default();
        }
        let made = self.function(name, *at, origin.file, handler)?;
        made.bindings.extend(wired.binding);
        Ok(())
    }

    /// Once for each name, but for that of all routes.
    fn function(&mut self, name: String, at: Place, file: &str, handler: String) -> Outcome<&mut Function> {
        if !name.is_empty() && self.functions.contains_key(&name) {
            return Err(Finding::new(at, format!("there is a function {name:.80} already")));
        }
        Ok(self.functions.entry(name).or_insert_with(|| Function { at, file: file.to_owned(), handler, bindings: Vec::new() }))
    }

    fn stage(&mut self) -> String {
        let stage = self.config.text("api_gateway_stage", API_HANDLER);
        self.keep(CONFIG, stage).flatten().map_or("api", |(_, stage)| stage).to_owned()
    }

    fn blueprint(&mut self, module: &Module, registered: &Registered) -> Outcome<()> {
        let wanted = "a blueprint that is imported, or made in app.py,";
        let value =
            registered.arguments.get("blueprint", Some(0)).ok_or_else(|| Finding::new(registered.at, "the blueprint is missing"))?;
        let text = |name: &str, place: usize| -> Outcome<Option<Rc<str>>> {
            registered.arguments.get(name, Some(place)).map(|value| value.text("a text")).transpose()
        };
        let (name_prefix, url_prefix) = (text("name_prefix", 1)?, text("url_prefix", 2)?);
        let (name_prefix, url_prefix) = (name_prefix.unwrap_or_default(), url_prefix.as_deref());
        if let Is::Call(call) = &value.is
            && let Some(own) = module.made_as(call)
            && module.makes(&own, "Blueprint")
        {
            let origin = Origin { file: APP, module: "app", name_prefix: &name_prefix, url_prefix, cors: module.cors.as_ref(), of: module };
            self.declared(&origin, &own);
            return Ok(());
        }
        let Is::Name(name) = &value.is else { return Err(value.unlike(wanted)) };
        let (file, package, found, on) = self.found_blueprint(module, name).ok_or_else(|| value.unlike(wanted))?;
        let origin =
            Origin { file: &file, module: &package, name_prefix: &name_prefix, url_prefix, cors: module.cors.as_ref(), of: &found };
        self.declared(&origin, &on);
        Ok(())
    }

    /// The file where it is made, its module, and its name there.
    fn found_blueprint(&mut self, module: &Module, name: &str) -> Option<(String, String, Module, Rc<str>)> {
        let (first, rest) = name.split_once('.').unwrap_or((name, ""));
        let (mut from, mut name) = module.imported.get(first).cloned()?;
        if !rest.is_empty() {
            // `import a.b`, or `from a import b`, and then `b.name`.
            let whole = if name.is_empty() { format!("{from}.{rest}") } else { format!("{from}.{name}.{rest}") };
            let (module, last) = whole.rsplit_once('.')?;
            (from, name) = (module.to_owned(), last.into());
        }
        for _ in 0..STEPS_MAX {
            let path = from.replace('.', "/");
            let files = [(format!("{path}.py"), false), (format!("{path}/__init__.py"), true)];
            let (file, is_package) = files.into_iter().find(|(file, _)| self.ground.bundle.file(file).is_some())?;
            let package = if is_package { from.as_str() } else { from.rsplit_once('.').map_or("", |(package, _)| package) };
            let module = self.module(&file, package)?;
            if module.makes(&name, "Blueprint") {
                return Some((file, from, module, name));
            }
            (from, name) = module.imported.get(&name).cloned()?;
        }
        None
    }

    fn named(&self, name: &str) -> String {
        if name.is_empty() { self.name.clone() } else { format!("{}-{name}", self.name) }
    }

    fn deployments(&mut self) {
        let files = code(self.ground.bundle);
        let Some(files) = self.keep(APP, files) else { return };
        if self.functions.is_empty() {
            self.found(APP).wrong(Place::default(), "it declares no function");
        }
        for (name, function) in std::mem::take(&mut self.functions) {
            let file = function.file.clone();
            let made = self.deployment(&name, function, &files);
            let made = self.keep(&file, made).flatten();
            self.manifest.functions.extend(made);
        }
    }

    fn deployment(&mut self, name: &str, function: Function, files: &Bundle) -> Outcome<Option<Deployment>> {
        let known_as = if name.is_empty() { API_HANDLER } else { name };
        let wanted = Wanted {
            at: function.at,
            name: function::name(function.at, &self.named(name))?,
            files: files.clone(),
            layers: Vec::new(),
            members: self.members(known_as, &function.handler),
            built: false,
            url: None,
            bindings: function.bindings,
        };
        let ground = self.ground;
        let reserved = self.config.whole("reserved_concurrency", known_as);
        let reserved = self.keep(CONFIG, reserved).flatten();
        let Some(mut deployment) = wanted.deployment(ground, self.found(&function.file)) else { return Ok(None) };
        if let Some((_, most)) = reserved {
            deployment.limits.instances_max = u32::try_from(most).unwrap_or(u32::MAX).max(1);
        }
        Ok(Some(deployment))
    }

    /// In the words of Lambda's API; what is wrong is told of the config.
    fn members(&mut self, known_as: &str, handler: &str) -> Map<String, Json> {
        let mut members = Map::from_iter([
            ("Handler".to_owned(), handler.into()),
            ("Runtime".to_owned(), RUNTIME.into()),
            ("Timeout".to_owned(), TIMEOUT_S.into()),
            ("MemorySize".to_owned(), MEMORY_MB.into()),
        ]);
        let config = self.config;
        for (key, member) in
            [("lambda_timeout", "Timeout"), ("lambda_memory_size", "MemorySize"), ("lambda_ephemeral_storage", "EphemeralStorage")]
        {
            let number = config.whole(key, known_as);
            let Some((at, number)) = self.keep(CONFIG, number).flatten() else { continue };
            let value = if member == "EphemeralStorage" { json!({ "Size": number }) } else { number.into() };
            let checked = function::check(at, member, &value);
            if self.keep(CONFIG, checked).is_some() {
                members.insert(member.to_owned(), value);
            }
        }
        let architecture = config.text("lambda_architecture", known_as);
        if let Some((at, kind)) = self.keep(CONFIG, architecture).flatten() {
            let value = json!([kind]);
            let checked = function::check(at, "Architectures", &value);
            if self.keep(CONFIG, checked).is_some() {
                members.insert("Architectures".to_owned(), value);
            }
        }
        let environment = config.environment(known_as);
        let variables: Map<String, Json> =
            self.keep(CONFIG, environment).into_iter().flatten().map(|(key, text)| (key.text.to_string(), text.into())).collect();
        members.insert("Environment".to_owned(), json!({ "Variables": variables }));
        members
    }
}

/// As Chalice packs it: `app.py`, `chalicelib`, what lies in `vendor`, and what it is all built on.
fn code(bundle: &Bundle) -> Outcome<Bundle> {
    let wrong = |error: mote_core::Error| Finding::new(Place::default(), error.detail().to_owned());
    let mut files = Bundle::default();
    let mut taken = BTreeSet::new();
    let vendored = bundle.files().filter_map(|(path, file)| Some((path.strip_prefix(VENDOR)?, file)));
    let own = bundle.files().filter(|(path, _)| *path == APP || path.starts_with("chalicelib/"));
    for (path, file) in own.chain(vendored) {
        if taken.insert(path.to_owned()) {
            files.insert(path, file.content.clone(), file.executable).map_err(wrong)?;
        }
    }
    let mut requirements = bundle.text(REQUIREMENTS).transpose().map_err(wrong)?.unwrap_or_default().to_owned();
    if !taken.contains("chalice/__init__.py") && !requirements.lines().any(asks_for_chalice) {
        requirements = format!("{}\n{CHALICE}\n", requirements.trim_end());
    }
    if !requirements.trim().is_empty() {
        files.insert(REQUIREMENTS, requirements, false).map_err(wrong)?;
    }
    Ok(files)
}

/// `chalice`, `chalice==1.34.0`, `Chalice[cdkv2] >= 1`.
fn asks_for_chalice(line: &str) -> bool {
    let name: String = line.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')).collect();
    name.eq_ignore_ascii_case(CHALICE)
}

impl Arguments {
    fn needed(&self, at: Place, name: &str, place: Option<usize>) -> Outcome<&Value> {
        self.get(name, place).ok_or_else(|| Finding::new(at, format!("{name} is missing")))
    }
}
