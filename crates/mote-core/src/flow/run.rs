//! A run: where it is in its flow, and what comes next. A state machine without I/O: the same
//! definition, state and answers always give the same state.
//!
//! Steps that only look at the body are done here; [`Machine::advance`] stops at what somebody
//! else has to do, who tells what came of it. Who keeps the state on disk between the two, and
//! makes attempts anew, is [`crate::invoke::deliver`].

mod fan;
mod state;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use super::data::{BODY_BYTES_MAX, Data};
use super::template::Template;
use super::trace::{ENTRIES_MAX, Entry, StepError, StepState};
use super::{Arm, Call, Catch, Flow, Kind, Output, Step, Wait, check};
use crate::clock::Timestamp;
use crate::error::Code;
use crate::event::StoredEvent;
use crate::topic::content::Content;

use self::state::step_at;
pub use self::state::{Children, Frame, Parent, Part, Run, Waiting};

/// What has to be done before the run can go on.
#[derive(Clone, Debug, PartialEq)]
pub enum Next<'f> {
    /// Call it, and tell [`Machine::done`].
    Call { step: &'f Step, call: &'f Call, input: Data },
    /// Start [children](Machine::children), in their order and so many at a time; then [`Machine::gathered`].
    Start(Children),
    /// Go on at that time, by [`Machine::waited`].
    Wait(Timestamp),
    /// It is over.
    End(Result<(), StepError>),
}

/// A run that is being moved on.
pub struct Machine<'f, 'r> {
    pub flow: &'f Flow,
    pub run: &'r mut Run,
    pub data: &'r mut Data,
    /// Whose data the body takes the place of.
    pub event: &'r StoredEvent,
    pub now: Timestamp,
}

impl<'f> Machine<'f, '_> {
    /// Goes on until somebody else has to do something. Not for a run that [waits](Run::waiting).
    pub fn advance(&mut self) -> Next<'f> {
        loop {
            if let Some(next) = self.step() {
                return next;
            }
        }
    }

    /// Does one step; `None`: another comes next. Each may read a body that is large.
    pub fn step(&mut self) -> Option<Next<'f>> {
        if self.run.place.len() <= self.run.floor {
            return Some(Next::End(Ok(())));
        }
        let Some(step) = self.run.step(self.flow) else { return (!self.leave()).then_some(Next::End(Ok(()))) };
        self.run.step.clone_from(&step.name);
        let failed = match &step.kind {
            Kind::Call(call) => match self.input(step, call) {
                Ok(input) => return Some(Next::Call { step, call, input }),
                Err(error) => error,
            },
            Kind::Branch(branch) => {
                let content = Content::with(self.event, self.data.content_type.as_deref(), &self.data.bytes);
                let takes = |arm: &Arm| arm.when.iter().any(|filter| filter.takes(&content));
                let arm = branch.arms.iter().position(takes).unwrap_or(branch.arms.len());
                self.enter(arm);
                return None;
            }
            Kind::Each(_) | Kind::Parallel(_) => match self.fan_out(step) {
                // An empty list starts nothing.
                Ok(start) => return start,
                Err(error) => error,
            },
            Kind::Wait(wait) => match self.wake_time(wait) {
                Ok(at) => {
                    self.run.waiting = Some(Waiting::Until(at));
                    return Some(Next::Wait(at));
                }
                Err(message) => flow_failed(step, message),
            },
            Kind::Set(template) => match self.set(step, template) {
                Ok(()) => {
                    self.finish(step, 0, 0);
                    return None;
                }
                Err(error) => error,
            },
            Kind::Body(template) => match self.filled(step, template).and_then(|body| self.replace(step, body)) {
                Ok(()) => {
                    self.finish(step, 0, 0);
                    return None;
                }
                Err(error) => error,
            },
            Kind::Fail(message) => flow_failed(step, message.clone()),
            Kind::Succeed => {
                self.note(step, StepState::Succeeded, 0, 0, None);
                self.run.place.truncate(self.run.floor);
                return Some(Next::End(Ok(())));
            }
        };
        self.fail(failed, 0, 0).err().map(|error| Next::End(Err(error)))
    }

    /// What came of the call. An error comes back if nothing takes it: then nothing has changed.
    pub fn done(&mut self, output: Result<Data, StepError>, attempts: u32) -> Result<(), StepError> {
        let Some(step) = self.run.step(self.flow) else { return Ok(()) };
        let Kind::Call(call) = &step.kind else { return Ok(()) };
        match output.and_then(|output| self.take(step, output, &call.output)) {
            Ok(()) => {
                self.finish(step, attempts, 0);
                Ok(())
            }
            Err(error) => self.fail(error, attempts, 0),
        }
    }

    /// The step can't be done at all, whatever it is. An error comes back if nothing takes it: then nothing has changed.
    pub fn gone_wrong(&mut self, error: StepError, attempts: u32) -> Result<(), StepError> {
        self.fail(error, attempts, 0)
    }

    /// The time has come.
    pub fn waited(&mut self) {
        if let Some(step) = self.run.step(self.flow) {
            self.finish(step, 0, 0);
        }
    }

    /// Whether a failure of the step would be taken by something around it.
    pub fn catches(&self, code: &str) -> bool {
        self.catcher(code).is_some()
    }

    fn input(&self, step: &Step, call: &Call) -> Result<Data, StepError> {
        call.input.as_ref().map_or_else(|| Ok(self.data.clone()), |template| self.filled(step, template))
    }

    fn filled(&self, step: &Step, template: &Template) -> Result<Data, StepError> {
        match template.text() {
            Some(text) => Ok(Data::text(text)),
            None => Ok(Data::json(&self.fill(step, template)?)),
        }
    }

    fn fill(&self, step: &Step, template: &Template) -> Result<Value, StepError> {
        let filled = template.fill(&self.data.part(), BODY_BYTES_MAX);
        filled
            .ok_or_else(|| flow_failed(step, format!("what it makes would have more than the {BODY_BYTES_MAX} bytes that a flow carries")))
    }

    fn replace(&mut self, step: &Step, new: Data) -> Result<(), StepError> {
        let bytes = new.bytes.len();
        if bytes > BODY_BYTES_MAX {
            return Err(flow_failed(step, format!("the body would have {bytes} bytes, and a flow carries {BODY_BYTES_MAX}")));
        }
        *self.data = new;
        Ok(())
    }

    /// The step's output becomes what it is to become.
    fn take(&mut self, step: &Step, output: Data, how: &Output) -> Result<(), StepError> {
        match how {
            Output::Replace => self.replace(step, output)?,
            Output::Discard => {}
            Output::Into(path) => {
                let mut body =
                    self.data.object().ok_or_else(|| flow_failed(step, "the body is no JSON object, so nothing can be put into it"))?;
                let put = path.put(&mut body, output.part());
                put.ok_or_else(|| flow_failed(step, format!("something else is in the way of {path} in the body")))?;
                self.replace(step, Data::json(&body))?;
            }
        }
        Ok(())
    }

    fn set(&mut self, step: &Step, template: &Template) -> Result<(), StepError> {
        let wanted = || flow_failed(step, "the body is no JSON object, so nothing can be set in it");
        let mut body = self.data.object().ok_or_else(wanted)?;
        if let (Value::Object(body), Value::Object(new)) = (&mut body, self.fill(step, template)?) {
            body.extend(new);
        }
        self.replace(step, Data::json(&body))
    }

    fn wake_time(&self, wait: &Wait) -> Result<Timestamp, String> {
        let at = match wait {
            Wait::For { ms } => Timestamp(self.now.0.saturating_add(*ms)),
            Wait::Until { at } => {
                let body = self.data.value().unwrap_or_default();
                let time = at.get(&body).and_then(|value| match value {
                    Value::String(text) => text.parse::<jiff::Timestamp>().ok().map(|time| time.as_millisecond().max(0) as u64),
                    value => value.as_u64(),
                });
                Timestamp(time.ok_or_else(|| format!("there is no time at {at} in the body: RFC 3339 or ms since 1970 is wanted"))?)
            }
        };
        let latest = self.now.0.saturating_add(check::WAIT_MS_MAX);
        if at.0 > latest { Err("the wait would be longer than a year".into()) } else { Ok(at) }
    }

    fn enter(&mut self, block: usize) {
        self.run.place.push(Frame { block: block as u32, at: 0 });
    }

    /// Behind the last step of a list, the step around it is over; false behind the outermost.
    fn leave(&mut self) -> bool {
        let left = self.run.place.pop();
        if self.run.place.len() <= self.run.floor {
            return false;
        }
        if let Some(step) = self.run.step(self.flow) {
            // It has failed, as is noted; its catch has made that good.
            let caught = left.is_some_and(|frame| frame.block as usize + 1 == step.blocks().len());
            if caught { self.turn() } else { self.finish(step, 0, 0) }
        }
        true
    }

    /// The next step's turn has come.
    fn turn(&mut self) {
        if let Some(frame) = self.run.place.last_mut() {
            frame.at += 1;
        }
        (self.run.waiting, self.run.since) = (None, self.now);
    }

    fn finish(&mut self, step: &Step, attempts: u32, children: u32) {
        self.note(step, StepState::Succeeded, attempts, children, None);
        self.turn();
    }

    fn note(&mut self, step: &Step, state: StepState, attempts: u32, children: u32, error: Option<StepError>) {
        let entry = Entry { step: step.name.clone(), state, started: self.run.since, ended: self.now, attempts, children, error };
        self.run.journal.push(entry);
        let excess = self.run.journal.len().saturating_sub(ENTRIES_MAX);
        self.run.journal.drain(..excess);
    }

    /// The next catch around the place takes it, or it comes back and nothing has changed.
    fn fail(&mut self, error: StepError, attempts: u32, children: u32) -> Result<(), StepError> {
        let Some((depth, block)) = self.catcher(&error.code) else { return Err(error) };
        if let Some(step) = self.run.step(self.flow) {
            self.note(step, StepState::Failed, attempts, children, Some(error.clone()));
        }
        self.run.place.truncate(depth);
        self.enter(block);
        self.run.waiting = None;
        self.run.since = self.now;
        let StepError { step, code, message } = error;
        *self.data = Data::json(&json!({ "error": { "code": code, "message": message, "step": step }, "input": self.data.part() }));
        Ok(())
    }

    /// How many frames stay, and the number of the block that takes the failure.
    fn catcher(&self, code: &str) -> Option<(usize, usize)> {
        let place = &self.run.place;
        // The block below the frame that is looked at; a catch does not take its own failures.
        let mut within = None;
        for depth in (self.run.floor + 1..=place.len()).rev() {
            let above = place.get(..depth)?;
            let step = step_at(self.flow, above)?;
            let catch = step.blocks().len() - 1;
            if within != Some(catch) && step.catch.takes(code) {
                return Some((depth, catch));
            }
            within = above.last().map(|frame| frame.block as usize);
        }
        let whole: &Catch = &self.flow.catch;
        (self.run.floor == 0 && within == Some(0) && whole.takes(code)).then_some((0, 1))
    }
}

fn flow_failed(step: &Step, message: impl Into<String>) -> StepError {
    StepError::new(&step.name, Code::FlowFailed, message)
}
