//! What a module says to Chalice by its decorators, read and not run.
//!
//! A decorator counts that stands at the outermost level on the app, or on a blueprint that the app
//! registers there. Whatever else would make a function or a route is told as what is not honoured:
//! only running the code, which is anybody's, would tell what comes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::super::finding::{Finding, Outcome};
use super::super::yaml::Place;
use super::python::value::{self, Arguments, Call, Is, Names, Value};
use super::python::{self, Line, Token};

/// Decorators that make a function, or a way to one.
const MAKING: [&str; 14] = [
    "route",
    "lambda_function",
    "schedule",
    "on_s3_event",
    "on_sns_message",
    "on_sqs_message",
    "on_cw_event",
    "on_kinesis_record",
    "on_dynamodb_record",
    "on_ws_connect",
    "on_ws_message",
    "on_ws_disconnect",
    "authorizer",
    "register_blueprint",
];
/// The environment, as the code knows it.
pub(super) const ENVIRONMENT: &str = "os.environ";

/// A decorator of a function.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    pub(super) at: Place,
    /// `route`.
    pub(super) kind: Rc<str>,
    pub(super) arguments: Arguments,
    /// What it stands on: the app, or a blueprint.
    pub(super) on: Rc<str>,
    /// The function below it.
    pub(super) function: Rc<str>,
}

/// A blueprint that the app takes in.
#[derive(Clone, Debug)]
pub(super) struct Registered {
    pub(super) at: Place,
    pub(super) arguments: Arguments,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Module {
    pub(super) declared: Vec<Declared>,
    pub(super) registered: Vec<Registered>,
    /// `app.api.cors = …`.
    pub(super) cors: Option<Value>,
    /// What names were imported: from which module, under which name there.
    pub(super) imported: BTreeMap<Rc<str>, (String, Rc<str>)>,
    /// `Chalice(…)` and `Blueprint(…)`, by the names that they were given.
    made: BTreeMap<Rc<str>, Rc<Call>>,
    pub(super) wrong: Vec<Finding>,
}

impl Module {
    /// `package`: that the module is in, for what it imports from beside it.
    pub(super) fn read(text: &str, package: &str, environment: &Value) -> Outcome<Module> {
        let lines = python::lines(text)?;
        let mut module = Module::default();
        lines.iter().for_each(|line| module.import(line, package));
        let names = module.names(&lines, environment);
        let mut above = Vec::new();
        for line in &lines {
            let done = module.line(line, &names, &mut above);
            if !done {
                module.elsewhere(line);
            }
        }
        Ok(module)
    }

    pub(super) fn makes(&self, name: &str, kind: &str) -> bool {
        self.made.get(name).is_some_and(|call| self.canonical(&call.name) == kind)
    }

    /// The name of what was made here by a call.
    pub(super) fn made_as(&self, call: &Rc<Call>) -> Option<Rc<str>> {
        self.made.iter().find(|(_, made)| Rc::ptr_eq(made, call)).map(|(name, _)| name.clone())
    }

    /// A name of Chalice's, whatever it is called here.
    pub(super) fn canonical<'n>(&'n self, name: &'n str) -> &'n str {
        let (first, rest) = name.split_once('.').unwrap_or((name, ""));
        match self.imported.get(first) {
            Some((module, other)) if module == "chalice" || module.starts_with("chalice.") => {
                if rest.is_empty() {
                    other
                } else {
                    rest.rsplit('.').next().unwrap_or(rest)
                }
            }
            _ => name,
        }
    }

    /// What stands for one value alone, for all that can be seen.
    fn names(&mut self, lines: &[Line], environment: &Value) -> Names {
        let (mut given, mut twice) = (BTreeSet::new(), BTreeSet::new());
        for name in lines.iter().filter_map(assigned).map(|(name, _)| name) {
            if !given.insert(name.to_owned()) {
                twice.insert(name.to_owned());
            }
        }
        let mut names = Names::from([(ENVIRONMENT.into(), environment.clone())]);
        for (local, (module, other)) in &self.imported {
            let whole = if other.is_empty() { module.clone() } else { format!("{module}.{other}") };
            match whole.as_str() {
                "os" => drop(names.insert(format!("{local}.environ").into(), environment.clone())),
                ENVIRONMENT => drop(names.insert(local.clone(), environment.clone())),
                _ => {}
            }
        }
        for line in lines.iter().filter(|line| line.outermost) {
            let Some((name, value)) = assigned(line) else { continue };
            let value = value::read(value, &names);
            if let Is::Call(call) = &value.is {
                self.made.insert(name.into(), call.clone());
            }
            if !twice.contains(name) && value.is != Is::Unknown {
                names.insert(name.into(), value);
            }
        }
        names
    }

    /// Whether it is one that is known. `above`: decorators whose function has not come.
    fn line(&mut self, line: &Line, names: &Names, above: &mut Vec<(Place, Value)>) -> bool {
        if !line.outermost {
            return false;
        }
        match line.tokens.as_slice() {
            [sign, rest @ ..] if sign.is('@') => {
                above.push((sign.at, value::read(rest, names)));
                true
            }
            [first, name, ..] if first.word() == Some("def") => self.function(name, above),
            [first, second, name, ..] if first.word() == Some("async") && second.word() == Some("def") => self.function(name, above),
            tokens => self.statement(line.at(), tokens, names),
        }
    }

    /// What stands behind its colon is yet to be looked at.
    fn function(&mut self, name: &Token, above: &mut Vec<(Place, Value)>) -> bool {
        let function: Rc<str> = name.word().unwrap_or_default().into();
        for (at, decorator) in above.drain(..) {
            let Is::Call(call) = &decorator.is else { continue };
            let Some((on, kind)) = call.name.split_once('.') else { continue };
            if self.is_ours(on) && MAKING.contains(&kind) {
                let (kind, on) = (kind.into(), on.into());
                self.declared.push(Declared { at, kind, arguments: call.arguments.clone(), on, function: function.clone() });
            }
        }
        false
    }

    fn is_ours(&self, name: &str) -> bool {
        self.makes(name, "Chalice") || self.makes(name, "Blueprint")
    }

    /// `app.api.cors = …`, `app.register_blueprint(…)`.
    fn statement(&mut self, at: Place, tokens: &[Token], names: &Names) -> bool {
        let words: Vec<&str> = tokens.iter().take(5).filter_map(Token::word).collect();
        let [on, rest @ ..] = words.as_slice() else { return false };
        if !self.makes(on, "Chalice") {
            return false;
        }
        match rest {
            ["api", "cors"] if tokens.get(5).is_some_and(|token| token.is('=')) => {
                self.cors = Some(value::read(tokens.get(6..).unwrap_or_default(), names));
                true
            }
            ["register_blueprint", ..] => match value::read(tokens, names).is {
                Is::Call(call) => {
                    self.registered.push(Registered { at, arguments: call.arguments.clone() });
                    true
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// What would make something where nobody has read it.
    fn elsewhere(&mut self, line: &Line) {
        for window in line.tokens.windows(3) {
            let [object, dot, what] = window else { continue };
            let (Some(on), Some(what), true) = (object.word(), what.word(), dot.is('.')) else { continue };
            if self.is_ours(on) && (MAKING.contains(&what) || what.starts_with("_register")) {
                let why = "mote reads what stands at the outermost level, and does not run the code";
                self.wrong.push(Finding::new(object.at, format!("{on}.{what} is not a decorator there: {why}")));
            }
        }
    }

    fn import(&mut self, line: &Line, package: &str) {
        let words: Vec<Option<&str>> = line.tokens.iter().map(Token::word).collect();
        match words.first().copied().flatten() {
            Some("from") => {
                let Some(end) = words.iter().position(|word| *word == Some("import")) else { return };
                let from = line.tokens.get(1..end).unwrap_or_default();
                let module = module_of(from, package);
                for part in split(line.tokens.get(end + 1..).unwrap_or_default()) {
                    if let [name, .., local] | [name @ local] = part.as_slice() {
                        self.imported.insert((*local).into(), (module.clone(), (*name).into()));
                    }
                }
            }
            Some("import") => {
                for part in split(line.tokens.get(1..).unwrap_or_default()) {
                    match part.as_slice() {
                        [module @ .., "as", local] => drop(self.imported.insert((*local).into(), (module.join("."), "".into()))),
                        [module, ..] => drop(self.imported.insert((*module).into(), ((*module).to_owned(), "".into()))),
                        [] => {}
                    }
                }
            }
            _ => {}
        }
    }
}

/// The words between commas.
fn split(tokens: &[Token]) -> Vec<Vec<&str>> {
    tokens.split(|token| token.is(',')).map(|part| part.iter().filter_map(Token::word).collect()).collect()
}

/// `a.b`, or `.b` from beside.
fn module_of(tokens: &[Token], package: &str) -> String {
    let dots = tokens.iter().take_while(|token| token.is('.')).count();
    let named: Vec<&str> = tokens.iter().filter_map(Token::word).collect();
    if dots == 0 {
        return named.join(".");
    }
    let mut parts: Vec<&str> = package.split('.').filter(|part| !part.is_empty()).collect();
    parts.truncate(parts.len().saturating_sub(dots - 1));
    parts.extend(named);
    parts.join(".")
}

/// `name = value`, `name: type = value`.
fn assigned(line: &Line) -> Option<(&str, &[Token])> {
    let name = line.tokens.first()?.word()?;
    let second = line.tokens.get(1)?;
    let sign = match second {
        token if token.is('=') => 1,
        token if token.is(':') => line.tokens.iter().position(|token| token.is('='))?,
        _ => return None,
    };
    let value = line.tokens.get(sign + 1..)?;
    (!value.first()?.is('=')).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Module {
        Module::read(text, "", &Value { at: Place::default(), is: Is::Map([].into()) }).unwrap()
    }

    fn told(module: &Module) -> Vec<String> {
        let one = |one: &Declared| format!("{} {}.{} {}", one.at, one.on, one.kind, one.function);
        module.declared.iter().map(one).collect()
    }

    #[test]
    fn decorators_of_the_app() {
        let module = read(
            "from chalice import Chalice as C, Rate\nimport chalice\napp = C(app_name='x')\nother = thing()\n\
             PATH = '/a'\napp.api.cors = True\n@app.route(PATH, methods=['GET'])\n@other.route('/b')\n@plain\nasync def a(): pass\n\
             @app.schedule(Rate(1, unit=Rate.HOURS))\ndef b(event):\n    return app.route\n@other.route('/c')\ndef c(): pass\n",
        );
        assert_eq!(told(&module), ["7:1 app.route a", "11:1 app.schedule b"]);
        assert_eq!(&*module.declared[0].arguments.by_place[0].text("").unwrap(), "/a");
        assert!(module.cors.is_some());
        assert_eq!(module.wrong[0].at.to_string(), "13:12");
        assert_eq!(module.canonical("chalice.app.Rate"), "Rate");
    }

    #[test]
    fn what_is_declared_elsewhere_is_told() {
        let module = read(
            "from chalice import Chalice\napp = Chalice('x')\nif True:\n    @app.route('/a')\n    def a(): pass\n\
             app.route('/b')(print)\nfor p in '/c', '/d': app.route(p)(print)\ndef f():\n    app.register_blueprint(x)\n",
        );
        let wrong: Vec<_> = module.wrong.iter().map(|finding| finding.at.to_string()).collect();
        assert_eq!(wrong, ["4:6", "6:1", "7:22", "9:5"]);
        assert!(module.declared.is_empty());
    }

    #[test]
    fn names_that_may_stand_for_two_stand_for_none() {
        let module = read(
            "from chalice import Chalice\napp = Chalice('x')\nA = '/a'\nB: str = '/b'\nif C:\n    A = '/c'\n\
             @app.route(A)\ndef a(): pass\n@app.route(B)\ndef b(): pass\n",
        );
        let paths: Vec<bool> = module.declared.iter().map(|one| one.arguments.by_place[0].text("").is_ok()).collect();
        assert_eq!(paths, [false, true]);
    }

    #[test]
    fn imports() {
        let package = "chalicelib.sub";
        let text = "from .b import (c, d as e)\nfrom .. import f\nfrom a.b import g\nimport h.i as j, k.l\nfrom . import m\n";
        let module = Module::read(text, package, &Value { at: Place::default(), is: Is::None }).unwrap();
        let told: Vec<_> = module.imported.iter().map(|(local, (module, name))| format!("{local}={module}:{name}")).collect();
        let expect = ["c=chalicelib.sub.b:c", "e=chalicelib.sub.b:d", "f=chalicelib:f", "g=a.b:g", "j=h.i:", "k=k:", "m=chalicelib.sub:m"];
        assert_eq!(told, expect);
    }
}
