//! `dialect = "aws"`: a function that was written for AWS Lambda, declared in mote.toml.
//!
//! Its `runtime` and its `entry` are AWS's names for them; what else stands in the manifest means what
//! it means for every function. Its routes say besides in which form API Gateway would tell of a
//! request. Reference: `docs/reference/manifest.md`.

use std::sync::Arc;

use mote_core::Result;
use mote_core::bundle::Bundle;
use mote_core::dialect::Deployment;
use mote_core::function::{Binding, HttpRoute};
use serde_json::{Map, Value as Json};

use super::section::{Section, Value};
use super::{http, invalid};
use crate::aws::{self, Form, about};

const VARIABLES_MAX: usize = 100;
const VARIABLES_BYTES_MAX: usize = 8 << 10;
const STAGE_BYTES_MAX: usize = 128;

pub(super) fn is_meant(dialect: Option<Value>) -> Result<bool> {
    let Some(value) = dialect else { return Ok(false) };
    match value.text()? {
        aws::NAME => Ok(true),
        super::super::NAME => Ok(false),
        _ => Err(value.wanted("\"plain\" or \"aws\"")),
    }
}

pub(super) fn function(this: Deployment, entry: Option<Value>, runtime: Option<Value>, bundle: &Bundle) -> Result<Deployment> {
    let (Some(entry), Some(runtime)) = (entry, runtime) else {
        return Err(invalid("a function with `dialect = \"aws\"` needs `entry` and `runtime`")
            .hint("Such as `entry = \"app.handler\"` and `runtime = \"python3.12\"`."));
    };
    let declared = aws::declared(runtime.text()?, entry.text()?, |file| bundle.file(file).is_some());
    let declared = declared.map_err(|why| runtime.wrong(&format!("can't be taken: {why}")))?;
    Ok(Deployment {
        dialect: aws::NAME,
        runtime: declared.runtime,
        entry: declared.entry,
        pulls: declared.pulls,
        about: declared.about,
        ..this
    })
}

pub(super) fn check(this: &Deployment) -> Result<()> {
    match this.port {
        Some(port) if this.dialect == aws::NAME => {
            Err(invalid(format!("a function with `dialect = \"aws\"` is no server, and `port` is {port}"))
                .hint("Leave `port` out, or `dialect`."))
        }
        _ => Ok(()),
    }
}

pub(super) fn route(table: &Section) -> Result<Binding> {
    table.expect_keys("[[http]] of a function with `dialect = \"aws\"`", &["path", "methods", "payload", "stage", "stage_variables"])?;
    let at = table.get("path").ok_or_else(|| invalid("[[http]] has no `path`"))?;
    let path = aws::path_of(&http::path(&at)?);
    let methods = table.get("methods").map(http::methods).transpose()?.unwrap_or_default();
    let mut said = Map::new();
    let payload = match table.get("payload") {
        Some(value) => value.text().ok().filter(|word| is_of_a_route(word)).ok_or_else(|| value.wanted("\"1.0\", \"2.0\" or \"raw\""))?,
        None => "2.0",
    };
    said.insert(about::PAYLOAD.into(), payload.into());
    if let Some(value) = table.get("stage") {
        let stage = value.text().ok().filter(|stage| is_stage(stage));
        let stage = stage.ok_or_else(|| value.wanted("a stage's name: letters, digits, '_' or '-', or \"$default\","))?;
        said.insert(about::STAGE.into(), stage.into());
    }
    if let Some(value) = table.get("stage_variables") {
        said.insert(about::STAGE_VARIABLES.into(), variables(&value)?.into());
    }
    Ok(Binding::Http(Arc::new(HttpRoute { about: said, ..HttpRoute::new(path, methods) })))
}

fn is_of_a_route(word: &str) -> bool {
    Form::of_word(word).is_some_and(|form| form != Form::Url)
}

fn is_stage(stage: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    stage == "$default" || (1..=STAGE_BYTES_MAX).contains(&stage.len()) && stage.bytes().all(plain)
}

fn variables(value: &Value) -> Result<Map<String, Json>> {
    let mut variables = Map::new();
    let mut bytes = 0;
    for (name, value) in value.table()?.values() {
        let text = value.text()?;
        bytes += name.len() + text.len();
        variables.insert(name.to_owned(), text.into());
    }
    if variables.len() > VARIABLES_MAX || bytes > VARIABLES_BYTES_MAX {
        return Err(value.wrong(&format!("has more than {VARIABLES_MAX} variables, or more than {VARIABLES_BYTES_MAX} bytes of them")));
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use mote_core::function::Family;
    use serde_json::json;

    use super::*;

    fn read(manifest: &str) -> Result<Deployment> {
        let mut bundle = Bundle::default();
        for (path, content) in [("mote.toml", manifest), ("app.py", ""), ("bootstrap", "#!/bin/sh\n")] {
            bundle.insert(path, content.to_owned(), false).unwrap();
        }
        super::super::read(&bundle, &Default::default()).map(|all| all.unwrap().functions.remove(0))
    }

    fn routed(keys: &str) -> Result<HttpRoute> {
        let manifest = format!("dialect = \"aws\"\nentry = \"app.handler\"\nruntime = \"java17\"\n[[http]]\n{keys}\n");
        // The bundle of these tests brings a bootstrap, which goes before any runtime's name.
        let binding = read(&manifest)?.bindings.remove(0);
        let Binding::Http(route) = binding else { panic!("not a route") };
        Ok((*route).clone())
    }

    #[test]
    fn a_function_is_declared_in_awss_words() {
        let this = read("dialect = \"aws\"\nentry = \"app.handler\"\nruntime = \"provided.al2023\"\ntimeout = \"9s\"").unwrap();
        assert_eq!((this.dialect, this.runtime.family, this.entry.as_str(), this.pulls), ("aws", Family::Executable, "bootstrap", true));
        assert_eq!(Json::from(this.about), json!({"Runtime": "provided.al2023", "Handler": "app.handler"}));
        assert_eq!((this.limits.timeout_ms, this.http.url), (9000, true));
        assert_eq!(read("dialect = \"plain\"\nentry = \"app.py\"").unwrap().dialect, "plain");
        let wrong = |manifest: &str, expect: &str| {
            let error = read(manifest).unwrap_err();
            assert!(error.detail().contains(expect), "{manifest}: {}", error.detail());
        };
        wrong("dialect = \"azure\"", "\"plain\" or \"aws\" is wanted");
        wrong("dialect = \"aws\"\nentry = \"app.handler\"", "needs `entry` and `runtime`");
        wrong("dialect = \"aws\"\nentry = \"a.h\"\nruntime = \"provided\"\nport = 80", "is no server");
        wrong("entry = \"app.py\"\n[[http]]\npath = \"/a\"\npayload = \"1.0\"", "has no key \"payload\"");
    }

    #[test]
    fn a_route_says_how_requests_are_told() {
        let route = routed("path = \"/a/{id}/{proxy+}\"\nmethods = [\"GET\"]").unwrap();
        assert_eq!((route.path.as_str(), Json::from(route.about)), ("/a/{id}/{*proxy}", json!({"payload": "2.0"})));
        let route = routed("path = \"/a\"\npayload = \"1.0\"\nstage = \"v-1\"\nstage_variables = { table = \"t\" }").unwrap();
        assert_eq!(Json::from(route.about), json!({"payload": "1.0", "stage": "v-1", "stage_variables": {"table": "t"}}));
        assert_eq!(routed("path = \"/a\"\nstage = \"$default\"").unwrap().about["stage"], "$default");
        for wrong in [
            "payload = \"url\"",
            "payload = \"3.0\"",
            "payload = 1",
            "stage = \"a/b\"",
            "stage = \"\"",
            "stage_variables = { a = 1 }",
            "stage_variables = \"a\"",
            "access = \"token\"",
        ] {
            assert_eq!(routed(&format!("path = \"/a\"\n{wrong}")).unwrap_err().code(), mote_core::Code::ManifestInvalid, "{wrong}");
        }
        let large = format!("path = \"/a\"\nstage_variables = {{ a = \"{}\" }}", "x".repeat(VARIABLES_BYTES_MAX));
        assert!(routed(&large).is_err());
    }
}
