//! Fan-out and fan-in: what the children of a step get, and what is made of what they bring.

use serde_json::{Map, Value, json};

use super::{Children, Frame, Machine, Next, Part, Run, Waiting, flow_failed};
use crate::flow::data::{BODY_BYTES_MAX, Data};
use crate::flow::trace::StepError;
use crate::flow::{Kind, Output, Step, check};

impl Children {
    pub fn of(total: u32, width: u32) -> Children {
        Children { total, width, ..Children::default() }
    }

    /// Those that have begun and may not be over.
    pub fn open(&self) -> impl Iterator<Item = u32> {
        (0..self.begun).filter(|index| !self.over.contains_key(index))
    }

    /// Those that are to begin next, when so many are at work.
    pub fn next(&self, at_work: u32) -> std::ops::Range<u32> {
        self.begun..self.begun.saturating_add(self.width.saturating_sub(at_work)).min(self.total)
    }

    pub fn all_over(&self) -> bool {
        self.over.len() >= self.total as usize
    }

    fn bytes(&self) -> usize {
        let bytes = |part: &Part| match part {
            Part::Good(text) => text.len(),
            Part::Failed(error) => error.message.len(),
        };
        self.over.values().map(bytes).sum()
    }
}

impl<'f> Machine<'f, '_> {
    /// `None`: there was nothing to start, and the step is done.
    pub(super) fn fan_out(&mut self, step: &'f Step) -> Result<Option<Next<'f>>, StepError> {
        let (total, width) = match &step.kind {
            Kind::Each(each) => {
                let found = self.data.value().and_then(|body| Some(each.of.get(&body)?.as_array()?.len()));
                let length = found.ok_or_else(|| flow_failed(step, format!("there is no list at {} in the body", each.of)))?;
                if length > check::CHILDREN_MAX {
                    let found = format!("the list at {} has {length} elements, and {} is the limit", each.of, check::CHILDREN_MAX);
                    return Err(flow_failed(step, found));
                }
                (length as u32, each.width)
            }
            Kind::Parallel(parallel) => (parallel.branches.len() as u32, parallel.branches.len() as u32),
            _ => return Ok(None),
        };
        if total == 0 {
            return self.gathered(Vec::new()).map(|()| None);
        }
        // A fan-out within a fan-out multiplies: judged along each way down, so that no run counts the whole tree.
        let runs = self.run.siblings.saturating_mul(total.into());
        if runs > check::RUNS_MAX {
            let found = format!("fan-outs within one another would come to {runs} runs, and {} is the limit", check::RUNS_MAX);
            return Err(flow_failed(step, found));
        }
        Ok(Some(self.start(Children::of(total, width.max(1)))))
    }

    /// The step is a call of another flow.
    pub fn call_flow(&mut self) -> Next<'f> {
        self.start(Children::of(1, 1))
    }

    fn start(&mut self, children: Children) -> Next<'f> {
        self.run.waiting = Some(Waiting::Children(children.clone()));
        Next::Start(children)
    }

    /// How these children of the step begin.
    pub fn children(&self, which: impl Iterator<Item = u32>) -> Result<Vec<(Run, Data)>, StepError> {
        let Some(step) = self.run.step(self.flow) else { return Ok(Vec::new()) };
        match &step.kind {
            Kind::Each(each) => {
                let body = self.data.value().unwrap_or_default();
                let list = each.of.get(&body);
                let element = |index: u32| Some((self.child(0), Data::json(list?.get(index as usize)?)));
                which.map(element).collect::<Option<_>>().ok_or_else(|| flow_failed(step, "its list is no longer there"))
            }
            Kind::Parallel(_) => Ok(which.map(|block| (self.child(block), self.data.clone())).collect()),
            // It counts among those that this one does.
            Kind::Call(call) => {
                let run = Run { siblings: self.run.siblings, ..Run::new(self.now) };
                which.map(|_| Ok((run.clone(), self.input(step, call)?))).collect()
            }
            _ => Ok(Vec::new()),
        }
    }

    /// A run of one block of the step whose turn it is.
    fn child(&self, block: u32) -> Run {
        let mut place = self.run.place.clone();
        let floor = place.len();
        place.push(Frame { block, at: 0 });
        let total = match &self.run.waiting {
            Some(Waiting::Children(children)) => children.total,
            _ => 1,
        };
        let siblings = self.run.siblings.saturating_mul(total.into());
        Run { place, floor, siblings, by: self.run.by.clone(), ..Run::new(self.now) }
    }

    /// Keeps what a child brought. An error if all of it would be more than a flow carries.
    pub fn keep(&self, children: &mut Children, index: u32, result: Result<Data, StepError>) -> Result<(), StepError> {
        let Some(step) = self.run.step(self.flow) else { return Ok(()) };
        let dropped = match &step.kind {
            Kind::Each(each) => each.output == Output::Discard,
            Kind::Parallel(parallel) => parallel.output == Output::Discard,
            _ => false,
        };
        let part = match result {
            _ if dropped => Part::Good("null".into()),
            Ok(data) => Part::Good(data.part().to_string()),
            Err(error) => Part::Failed(error),
        };
        children.over.insert(index, part);
        match children.bytes() {
            bytes if bytes > BODY_BYTES_MAX => {
                let found = format!("what its children bring has {bytes} bytes, and a flow carries {BODY_BYTES_MAX}");
                Err(flow_failed(step, found))
            }
            _ => Ok(()),
        }
    }

    /// Whether the first failure of a child is the step's own.
    pub fn stops_at_a_failure(&self) -> bool {
        match self.run.step(self.flow).map(|step| &step.kind) {
            Some(Kind::Each(each)) => !each.collect,
            Some(Kind::Parallel(parallel)) => !parallel.collect,
            _ => true,
        }
    }

    /// What came of all children, in their order. An error comes back if nothing takes it: then nothing has changed.
    pub fn gathered(&mut self, parts: Vec<Part>) -> Result<(), StepError> {
        let Some(step) = self.run.step(self.flow) else { return Ok(()) };
        let children = parts.len() as u32;
        let (output, how) = match &step.kind {
            Kind::Each(each) => (Value::Array(parts.into_iter().map(value_of).collect()), &each.output),
            Kind::Parallel(parallel) => {
                let named: Map<_, _> =
                    parallel.branches.iter().map(|branch| branch.name.clone()).zip(parts.into_iter().map(value_of)).collect();
                (Value::Object(named), &parallel.output)
            }
            _ => return Ok(()),
        };
        match self.take(step, Data::json(&output), how) {
            Ok(()) => {
                self.finish(step, 0, children);
                Ok(())
            }
            Err(error) => self.fail(error, 0, children),
        }
    }

    /// A child's failure that is the step's own. It comes back if nothing takes it: then nothing has changed.
    pub fn child_failed(&mut self, error: StepError) -> Result<(), StepError> {
        let total = match &self.run.waiting {
            Some(Waiting::Children(children)) => children.total,
            _ => 0,
        };
        self.fail(error, 0, total)
    }
}

fn value_of(part: Part) -> Value {
    match part {
        Part::Good(text) => serde_json::from_str(&text).unwrap_or_default(),
        Part::Failed(StepError { step, code, message }) => json!({ "error": { "code": code, "message": message, "step": step } }),
    }
}
