//! Fan-out and fan-in: what the children of a step get, and what is made of what they bring.

use serde_json::{Map, Value, json};

use super::{Children, Frame, Machine, Next, Run, Waiting, flow_failed};
use crate::flow::data::Data;
use crate::flow::trace::StepError;
use crate::flow::{Kind, Output, Step, check};

impl Children {
    pub fn of(total: u32, width: u32) -> Children {
        Children { total, width, ..Children::default() }
    }

    /// Those that may be over by now: no more than `width` at a time are begun, in their order.
    pub fn due(&self) -> Vec<u32> {
        (self.cursor..self.total).filter(|index| !self.over.contains(index)).take(self.width as usize).collect()
    }

    pub fn note_over(&mut self, index: u32) {
        self.over.insert(index);
        while self.over.remove(&self.cursor) {
            self.cursor += 1;
        }
    }

    pub fn over_count(&self) -> u32 {
        self.cursor + self.over.len() as u32
    }

    pub fn all_over(&self) -> bool {
        self.cursor >= self.total
    }
}

impl<'f> Machine<'f, '_> {
    /// `None`: there was nothing to start, and the step is done.
    pub(super) fn fan_out(&mut self, step: &'f Step) -> Result<Option<Next<'f>>, StepError> {
        let (inputs, width) = match &step.kind {
            Kind::Each(each) => {
                let body = self.data.value().unwrap_or_default();
                let wanted = || flow_failed(step, format!("there is no list at {} in the body", each.of));
                let list = each.of.get(&body).and_then(Value::as_array).ok_or_else(wanted)?;
                if list.len() > check::CHILDREN_MAX {
                    let found = format!("the list at {} has {} elements, and {} is the limit", each.of, list.len(), check::CHILDREN_MAX);
                    return Err(flow_failed(step, found));
                }
                (list.iter().map(|element| (0, Data::json(element))).collect::<Vec<_>>(), each.width)
            }
            Kind::Parallel(parallel) => {
                let all = parallel.branches.len() as u32;
                ((0..all).map(|block| (block, self.data.clone())).collect(), all.max(1))
            }
            _ => return Ok(None),
        };
        if inputs.is_empty() {
            return self.gathered(Vec::new()).map(|()| None);
        }
        // A fan-out within a fan-out multiplies: judged along each way down, so that no run counts the whole tree.
        let runs = self.run.siblings.saturating_mul(inputs.len() as u64);
        if runs > check::RUNS_MAX {
            let found = format!("fan-outs within one another would come to {runs} runs, and {} is the limit", check::RUNS_MAX);
            return Err(flow_failed(step, found));
        }
        self.run.waiting = Some(Waiting::Children(Children::of(inputs.len() as u32, width)));
        let children = inputs.into_iter().map(|(block, data)| (self.child(block), data)).collect();
        Ok(Some(Next::Start { children, width }))
    }

    /// A run of one block of the step whose turn it is.
    fn child(&self, block: u32) -> Run {
        let mut place = self.run.place.clone();
        let floor = place.len();
        place.push(Frame { block, at: 0 });
        let Some(Waiting::Children(children)) = &self.run.waiting else { return Run { place, floor, ..Run::new(self.now) } };
        let siblings = self.run.siblings.saturating_mul(children.total.into());
        Run { place, floor, siblings, ..Run::new(self.now) }
    }

    /// A run of another flow that the step calls: it counts among those that this one does.
    pub fn callee(&self) -> Run {
        Run { siblings: self.run.siblings, ..Run::new(self.now) }
    }

    /// One child's beginning again: for one that left no trace.
    pub fn child_again(&self, index: u32) -> Option<(Run, Data)> {
        match &self.run.step(self.flow)?.kind {
            Kind::Each(each) => {
                let body = self.data.value()?;
                let element = each.of.get(&body)?.get(index as usize)?;
                Some((self.child(0), Data::json(element)))
            }
            Kind::Parallel(_) => Some((self.child(index), self.data.clone())),
            Kind::Call(call) => Some((self.callee(), self.input(call))),
            _ => None,
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
    pub fn gathered(&mut self, results: Vec<Result<Data, StepError>>) -> Result<(), StepError> {
        let Some(step) = self.run.step(self.flow) else { return Ok(()) };
        let children = results.len() as u32;
        let output = match &step.kind {
            Kind::Each(each) => whole(results, each.collect).map(|list| (Data::json(&Value::Array(list)), &each.output)),
            Kind::Parallel(parallel) => whole(results, parallel.collect).map(|list| {
                let named: Map<_, _> = parallel.branches.iter().map(|branch| branch.name.clone()).zip(list).collect();
                (Data::json(&Value::Object(named)), &parallel.output)
            }),
            // Another flow, which it called: its reply is the child's.
            Kind::Call(call) => results.into_iter().next().unwrap_or_else(|| Ok(Data::default())).map(|data| (data, &call.output)),
            _ => Ok((self.data.clone(), &Output::Replace)),
        };
        match output.and_then(|(output, how)| self.take(step, output, how)) {
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

fn whole(results: Vec<Result<Data, StepError>>, collect: bool) -> Result<Vec<Value>, StepError> {
    let part = |result: Result<Data, StepError>| match result {
        Ok(data) => Ok(data.part()),
        Err(StepError { step, code, message }) if collect => Ok(json!({ "error": { "code": code, "message": message, "step": step } })),
        Err(error) => Err(error),
    };
    results.into_iter().map(part).collect()
}
