//! A flow: functions that follow one another, declared instead of written.
//!
//! It is a function like every other (name, versions, URL, bindings, `[async]` rules), whose code
//! is this definition: a tree of steps, so there is no jump back and every run ends. One body
//! flows through it; what each step makes of it stands at its [`Kind`]. All in this folder is
//! pure: [`run`] says what to do next, and who does it is [`crate::invoke::deliver`].
//!
//! Next: [`check`] (what a definition must keep to), [`template`] and [`path`] (how steps look
//! at the body; branches do as a topic's filter does: [`crate::topic::filter`]), [`picture`] (a flow as text).

pub mod check;
pub mod data;
pub mod path;
pub mod picture;
pub mod run;
pub mod template;
pub mod trace;

use serde::{Deserialize, Serialize};

use self::path::Path;
use self::template::Template;
use crate::function::Name;
use crate::function::delivery::{Failure, Retry};
use crate::topic::filter::Filter;

/// See the module's text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    pub steps: Vec<Step>,
    /// Takes a failure that no step took; the run then ends with what this makes of it.
    #[serde(default, skip_serializing_if = "Catch::is_none")]
    pub catch: Catch,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Unique within the flow.
    pub name: String,
    #[serde(flatten)]
    pub kind: Kind,
    #[serde(default, skip_serializing_if = "Catch::is_none")]
    pub catch: Catch,
}

/// What a step does. "The body" is what the step before it left, and at first the event's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Calls a function, or another flow, of the same namespace; its reply's body is the output.
    Call(Call),
    /// The first arm that takes the event, with the body as its data, runs on it, else `otherwise`.
    Branch(Branch),
    /// Runs its steps once for each element of a list, which is their body. The output is the list
    /// of what came of each, in the order of the elements.
    Each(Each),
    /// Runs all branches, each on the whole body. The output is an object of what came of each, by name.
    Parallel(Parallel),
    /// Goes on with the body as it is, later.
    Wait(Wait),
    /// Puts keys into the body, which is a JSON object or empty.
    Set(Template),
    /// Makes this the body.
    Body(Template),
    /// Ends the run as failed. A catch around it takes it as it takes any failure.
    Fail(String),
    /// Ends the run with the body as it is; within a fan-out: this element or branch.
    Succeed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    pub function: Name,
    /// What it is called with, in place of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Template>,
    #[serde(default, skip_serializing_if = "Output::is_default")]
    pub output: Output,
    /// In place of the flow's own rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Branch {
    pub arms: Vec<Arm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub otherwise: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// Any of these takes it.
    pub when: Vec<Filter>,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Each {
    /// Where the list is in the body.
    pub of: Path,
    pub steps: Vec<Step>,
    /// Elements that are worked on at a time.
    pub width: u32,
    /// A failed element is `{"error": …}` in the list; without this the first failure is the step's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub collect: bool,
    #[serde(default, skip_serializing_if = "Output::is_default")]
    pub output: Output,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parallel {
    pub branches: Vec<NamedSteps>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub collect: bool,
    #[serde(default, skip_serializing_if = "Output::is_default")]
    pub output: Output,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedSteps {
    pub name: String,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wait {
    For {
        ms: u64,
    },
    /// Where the body says when: RFC 3339, or milliseconds since 1970.
    Until {
        at: Path,
    },
}

/// What becomes of a step's output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// It is the body from here on.
    #[default]
    Replace,
    /// It is dropped, and the body goes on as it was.
    Discard,
    /// It is put into the body, which is a JSON object or empty.
    Into(Path),
}

impl Output {
    fn is_default(&self) -> bool {
        *self == Output::Replace
    }
}

/// Steps that run in place of what has failed. Their body is
/// `{"error": {"code", "message", "step"}, "input": the body as it was}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Catch {
    pub steps: Vec<Step>,
    /// The failures that it takes; empty: every one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<Failure>,
}

impl Catch {
    pub fn is_none(&self) -> bool {
        self.steps.is_empty()
    }

    fn takes(&self, code: &str) -> bool {
        let is = || crate::Code::from_slug(code).and_then(Failure::of);
        !self.is_none() && (self.on.is_empty() || is().is_some_and(|failure| self.on.contains(&failure)))
    }
}

impl Step {
    /// The lists of steps within it, the last of them its catch. A position in a run names one by its number.
    pub fn blocks(&self) -> Vec<&[Step]> {
        let mut blocks: Vec<&[Step]> = match &self.kind {
            Kind::Branch(branch) => branch.arms.iter().map(|arm| &arm.steps[..]).chain([&branch.otherwise[..]]).collect(),
            Kind::Each(each) => vec![&each.steps],
            Kind::Parallel(parallel) => parallel.branches.iter().map(|branch| &branch.steps[..]).collect(),
            Kind::Call(_) | Kind::Wait(_) | Kind::Set(_) | Kind::Body(_) | Kind::Fail(_) | Kind::Succeed => Vec::new(),
        };
        blocks.push(&self.catch.steps);
        blocks
    }

    /// The steps in [`Step::blocks`], in their order.
    pub fn within_mut(&mut self) -> Vec<&mut Step> {
        let mut steps: Vec<&mut Step> = match &mut self.kind {
            Kind::Branch(branch) => branch.arms.iter_mut().flat_map(|arm| &mut arm.steps).chain(&mut branch.otherwise).collect(),
            Kind::Each(each) => each.steps.iter_mut().collect(),
            Kind::Parallel(parallel) => parallel.branches.iter_mut().flat_map(|branch| &mut branch.steps).collect(),
            Kind::Call(_) | Kind::Wait(_) | Kind::Set(_) | Kind::Body(_) | Kind::Fail(_) | Kind::Succeed => Vec::new(),
        };
        steps.extend(&mut self.catch.steps);
        steps
    }
}

impl Flow {
    /// Every step, each before those within it.
    pub fn walk<'f>(&'f self, see: &mut impl FnMut(&'f Step, usize)) {
        fn walk<'f>(steps: &'f [Step], depth: usize, see: &mut impl FnMut(&'f Step, usize)) {
            for step in steps {
                see(step, depth);
                step.blocks().into_iter().for_each(|block| walk(block, depth + 1, see));
            }
        }
        walk(&self.steps, 1, see);
        walk(&self.catch.steps, 1, see);
    }

    /// The functions that it calls, in the order of their names.
    pub fn calls(&self) -> Vec<&Name> {
        let mut names = Vec::new();
        self.walk(&mut |step, _| {
            if let Kind::Call(call) = &step.kind {
                names.push(&call.function);
            }
        });
        names.sort();
        names.dedup();
        names
    }
}
