//! Each folder of `fixtures/aws/manifests` is deployed on paper: `expect.json` is what comes of it,
//! or says what is wrong, line by line. `set.json` is what was set.

use std::fs;
use std::path::{Path, PathBuf};

use mote_core::function::Name;
use serde_json::{Value, json};

use super::*;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/aws/manifests");

fn files(root: &Path, folder: &Path, bundle: &mut Bundle) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let inside = path.strip_prefix(root).unwrap().to_str().unwrap();
        match path.is_dir() {
            true => files(root, &path, bundle),
            false if ["expect.json", "set.json"].contains(&inside) => {}
            false => bundle.insert(inside, fs::read(&path).unwrap(), inside.ends_with("bootstrap")).unwrap(),
        }
    }
}

fn outcome(case: &Path) -> Value {
    let mut bundle = Bundle::default();
    files(case, case, &mut bundle);
    let values = fs::read(case.join("set.json")).map(|text| serde_json::from_slice(&text).unwrap()).unwrap_or_default();
    let said = Parameters { project: Name::new("shop").ok(), values, ..Parameters::default() };
    match read(&bundle, &said, &Account::default()) {
        Ok(Some(manifest)) => told(&manifest),
        Ok(None) => Value::Null,
        Err(error) => json!({ "wrong": error.detail().lines().collect::<Vec<_>>() }),
    }
}

fn told(manifest: &Manifest) -> Value {
    let functions = manifest.functions.iter().map(|one| {
        let files: Vec<_> = one.files.iter().flat_map(|files| files.files().map(|(path, _)| path.to_owned())).collect();
        let delivery = &one.delivery;
        json!({
            "name": one.name, "runtime": one.runtime, "entry": one.entry, "pulls": one.pulls, "files": files,
            "timeout_ms": one.limits.timeout_ms, "memory_mb": one.limits.memory_bytes >> 20, "instances_max": one.limits.instances_max,
            "env": one.env, "about": one.about, "url": one.http.url.then_some(&one.http), "bindings": one.bindings,
            "installs": one.preparing.installs, "attempts_max": delivery.retry.attempts_max,
            "sent_on": [&delivery.on_success, &delivery.on_failure, &delivery.dead_letters],
        })
    });
    json!({ "functions": functions.collect::<Vec<_>>(), "buckets": manifest.buckets, "queues": manifest.queues, "notes": manifest.notes })
}

#[test]
fn every_case_comes_to_what_it_says() {
    let mut cases: Vec<PathBuf> = fs::read_dir(CASES).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 4, "{cases:?}");
    for case in cases {
        let expect: Value = fs::read(case.join("expect.json")).map(|text| serde_json::from_slice(&text).unwrap()).unwrap_or_default();
        let found = outcome(&case);
        assert!(found == expect, "{} comes to\n{found:#}", case.display());
    }
}

fn refused(name: &str, text: String) -> String {
    let mut bundle = Bundle::default();
    bundle.insert(name, text, false).unwrap();
    bundle.insert("app.py", "def handler(event, context): pass", false).unwrap();
    read(&bundle, &Parameters::default(), &Account::default()).map(drop).expect_err("it is taken").detail().to_owned()
}

#[test]
fn what_would_take_all_room_or_all_time_is_refused() {
    let one =
        |n| format!("  F{n}: {{Type: AWS::Serverless::Function, Properties: {{Handler: app.handler, Runtime: python3.12, CodeUri: .}}}}\n");
    let many: String = (0..200).map(one).collect();
    let told = refused("template.yaml", format!("Transform: AWS::Serverless-2016-10-31\nResources:\n{many}"));
    assert!(told.contains("more than 100 functions and layers"), "{told}");

    // Each reference would work the long text out once more.
    let serverless = |long: String, references: usize| {
        let references = "    - ${self:custom.long}\n".repeat(references);
        format!(
            "service: s\nprovider: {{name: aws, runtime: python3.12}}\ncustom:\n  long: \"{long}\"\n  list:\n{references}functions:\n  f: {{handler: app.handler, description: \"${{self:custom.list.0}}\", environment: {{A: \"${{self:custom.list}}\"}}}}\n"
        )
    };
    let told = refused("serverless.yml", serverless(format!("{}}}", "${".repeat(200_000)), 1));
    assert!(told.contains("a text with variables in it has more than"), "{told}");
    let told = refused("serverless.yml", serverless(format!("{}}}", "${".repeat(8_000)), 10_000));
    assert!(told.contains("more work than a manifest may make"), "{told}");
}
