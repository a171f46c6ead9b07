//! A function with every default, for a test to change what it is about.

use mote_core::clock::{Id, Timestamp};
use mote_core::function::{Digest, Family, Function, Name};

pub fn function(name: &str) -> Function {
    Function {
        id: Id(1),
        namespace: Name::default_namespace(),
        name: Name::new(name).expect("a name"),
        version: 1,
        runtime: Family::Python.into(),
        dialect: "plain".into(),
        entry: "f.py".into(),
        artifact: Digest([0; 32]),
        limits: Default::default(),
        env: Default::default(),
        secrets: Vec::new(),
        egress: Default::default(),
        isolation: Default::default(),
        delivery: Default::default(),
        records: Default::default(),
        port: None,
        pulls: false,
        contract_env: Default::default(),
        contract_start: None,
        about: Default::default(),
        dev: false,
        http: Default::default(),
        bindings: Vec::new(),
        signature: Default::default(),
        flow: None,
        created: Timestamp(0),
        live_since: Timestamp(0),
    }
}
