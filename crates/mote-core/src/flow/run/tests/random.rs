//! Flows that nobody thought of: a seeded generator, and what must hold of every one of them.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::*;
use super::{call, finish, step};
use crate::flow::{Arm, Branch, Each, NamedSteps, Parallel};
use crate::function::Name;
use crate::topic::filter::Filter;

/// Marsaglia's xorshift: the same again for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn steps(&mut self, depth: u32, names: &mut u32) -> Vec<Step> {
        (0..1 + self.below(3)).map(|_| self.step(depth, names)).collect()
    }

    fn step(&mut self, depth: u32, names: &mut u32) -> Step {
        *names += 1;
        let name = format!("s{names}");
        let kinds = if depth == 0 { 6 } else { 9 };
        let kind = match self.below(kinds) {
            0..=2 => call(&name).kind,
            3 => Kind::Wait(if self.below(2) == 0 {
                Wait::For { ms: self.below(5000) }
            } else {
                Wait::Until { at: "$.at".parse().unwrap() }
            }),
            4 => Kind::Set(Template::new(json!({"n": self.below(3), "list": "$.list"})).unwrap()),
            5 => match self.below(6) {
                0 => Kind::Fail("by chance".into()),
                1 => Kind::Succeed,
                _ => Kind::Body(Template::new(json!({"n": self.below(3), "list": [1, 2, {"n": 1}], "at": 5})).unwrap()),
            },
            6 => {
                let when = vec![Filter::read(json!({"data": {"n": [{"numeric": [">=", self.below(3)]}]}})).unwrap()];
                let arms = vec![Arm { when, steps: self.steps(depth - 1, names) }];
                Kind::Branch(Branch { arms, otherwise: if self.below(2) == 0 { Vec::new() } else { self.steps(depth - 1, names) } })
            }
            7 => Kind::Each(Each {
                of: "$.list".parse().unwrap(),
                steps: self.steps(depth - 1, names),
                width: 1 + self.below(4) as u32,
                collect: self.below(2) == 0,
                output: self.output(),
            }),
            _ => {
                let branches = (0..1 + self.below(3)).map(|n| NamedSteps { name: format!("b{n}"), steps: self.steps(depth - 1, names) });
                Kind::Parallel(Parallel { branches: branches.collect(), collect: self.below(2) == 0, output: self.output() })
            }
        };
        let catch =
            if depth > 0 && self.below(4) == 0 { Catch { steps: self.steps(depth - 1, names), on: Vec::new() } } else { Catch::default() };
        Step { catch, ..step(&name, kind) }
    }

    fn output(&mut self) -> Output {
        match self.below(3) {
            0 => Output::Replace,
            1 => Output::Discard,
            _ => Output::Into("$.out".parse().unwrap()),
        }
    }
}

/// The same input, the same answer; one in five fails.
fn answer(name: &str, input: &Value) -> Result<Value, Code> {
    let digest = Sha256::digest(format!("{name} {input}"));
    match digest.first().copied().unwrap_or_default() {
        byte if byte % 5 == 0 => Err(if byte % 2 == 0 { Code::FunctionFailed } else { Code::FunctionTimeout }),
        byte => Ok(json!({"n": byte % 3, "list": [{"n": 0, "list": []}, {"n": 2, "at": 9}], "at": byte})),
    }
}

#[test]
fn every_flow_ends_and_the_same_history_gives_the_same_state() {
    let (mut succeeded, mut failed) = (0, 0);
    for seed in 1..=3000u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let flow = Flow { steps: random.steps(3, &mut 0), catch: Catch::default() };
        let flow: Flow = serde_json::from_slice(&serde_json::to_vec(&flow).unwrap()).unwrap();
        check::check(&flow, &Name::new("f").unwrap()).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!(!flow.picture().is_empty() && !flow.summary().is_empty());
        let once = || finish(&flow, Run::new(Timestamp(0)), Data::json(&json!({"n": 1, "list": [1, 2, 3]})), &answer, &mut 100_000);
        let (end, run) = once();
        assert_eq!((&end, &run), (&once().0, &once().1), "seed {seed}");
        match end {
            Ok(_) => {
                succeeded += 1;
                assert!(run.place.is_empty(), "seed {seed}: {run:?}");
            }
            Err(error) => {
                failed += 1;
                assert!(run.step(&flow).is_some(), "seed {seed}: {error:?} leaves no step to go on at");
            }
        }
    }
    assert!(succeeded > 500 && failed > 500, "{succeeded} succeeded, {failed} failed");
}
