//! A run as it is stored: where it is, what it waits for, what has been. How it moves is
//! [`super::Machine`]'s.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest as _, Sha256};

use crate::clock::{Id, Timestamp};
use crate::flow::trace::{At, Doing, Entry, StepError, Trace};
use crate::flow::{Flow, Step};

/// The state of a run, but for its body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The step whose turn it is; above it those that it is within, the outermost first.
    pub place: Vec<Frame>,
    /// A run of one element or branch: its parent's frames below its own.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub floor: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// When the turn of the step came.
    pub since: Timestamp,
    /// The step's name, for who has no definition at hand.
    #[serde(default)]
    pub step: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub journal: Vec<Entry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// The definition that it began with: its version may be dropped, and its function removed and made
    /// anew, before it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Arc<Flow>>,
    /// The children of every fan-out around it, one times the other: so many runs like it there may be at once.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub siblings: u64,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

fn one() -> u64 {
    1
}

fn is_one(count: &u64) -> bool {
    *count == 1
}

/// A list of steps, by its number among [`Step::blocks`] (of the flow: its steps, its catch), and a place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    pub block: u32,
    pub at: u32,
}

/// Who waits for this run's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    pub id: Id,
    /// Which of its children this is.
    pub index: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Waiting {
    Until(Timestamp),
    Children(Children),
}

/// Children that run, and what came of those that are over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Children {
    pub total: u32,
    /// So many at a time, in their order.
    pub width: u32,
    /// All before this one have begun.
    pub begun: u32,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub over: BTreeMap<u32, Part>,
    /// A failure that nobody takes: it is told, and those that did not succeed run again if the run is sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doomed: Option<StepError>,
    /// Those that did not succeed run again, before anything is made of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reopen: bool,
}

/// As they may lie on disk.
#[derive(Deserialize)]
struct Stored {
    total: u32,
    width: u32,
    /// A server that began all of them at once did not say how many had.
    begun: Option<u32>,
    #[serde(default, deserialize_with = "parts")]
    over: BTreeMap<u32, Part>,
    #[serde(default)]
    doomed: Option<StepError>,
    #[serde(default)]
    reopen: bool,
}

impl From<Stored> for Children {
    fn from(Stored { total, width, begun, over, doomed, reopen }: Stored) -> Children {
        Children { total, width, begun: begun.unwrap_or(total), over, doomed, reopen }
    }
}

/// What children brought. Of those in a mere list it lies with their own results, and is asked for anew.
fn parts<'de, D: Deserializer<'de>>(over: D) -> Result<BTreeMap<u32, Part>, D::Error> {
    struct Parts;
    impl<'de> Visitor<'de> for Parts {
        type Value = BTreeMap<u32, Part>;

        fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
            to.write_str("what children brought, or a list of those that are over")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Self::Value, A::Error> {
            let mut parts = BTreeMap::new();
            while let Some((index, part)) = all.next_entry()? {
                parts.insert(index, part);
            }
            Ok(parts)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Self::Value, A::Error> {
            while all.next_element::<IgnoredAny>()?.is_some() {}
            Ok(BTreeMap::new())
        }
    }
    over.deserialize_any(Parts)
}

/// What a child brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// In JSON, as text: it may be as deep as can be read, and the run lies around it.
    Good(String),
    Failed(StepError),
}

impl Run {
    pub fn new(now: Timestamp) -> Run {
        Run {
            place: vec![Frame { block: 0, at: 0 }],
            floor: 0,
            waiting: None,
            since: now,
            step: String::new(),
            journal: Vec::new(),
            parent: None,
            by: None,
            siblings: 1,
        }
    }

    /// As one of another run's children.
    pub fn under(self, id: Id, index: u32) -> Run {
        Run { parent: Some(Parent { id, index }), ..self }
    }

    /// Of its children those that have begun and may not be over.
    pub fn open_children(&self, own: Id) -> Vec<Id> {
        match &self.waiting {
            Some(Waiting::Children(children)) => children.open().map(|index| self.child_id(own, index)).collect(),
            Some(Waiting::Until(_)) | None => Vec::new(),
        }
    }

    /// The id of a child of the step whose turn it is, or of its call: the same each time it is asked.
    /// It sorts with the run's own.
    pub fn child_id(&self, own: Id, index: u32) -> Id {
        let mut hash = Sha256::new().chain_update(own.0.to_be_bytes());
        for frame in &self.place {
            hash.update(frame.block.to_be_bytes());
            hash.update(frame.at.to_be_bytes());
        }
        let digest = hash.chain_update(index.to_be_bytes()).finalize();
        let tail = digest.iter().take(8).fold(0u64, |tail, byte| tail << 8 | u64::from(*byte));
        // The variant's two bits, as in every UUID.
        let tail = tail & (u64::MAX >> 2) | 1 << 63;
        Id(own.0 >> 64 << 64 | u128::from(tail))
    }

    /// What may be told of it.
    pub fn trace(&self, own: Id) -> Trace {
        let doing = match &self.waiting {
            None => Doing::Running,
            Some(Waiting::Until(until)) => Doing::Waiting { until: *until },
            Some(Waiting::Children(children)) => {
                Doing::Children { total: children.total, over: children.over.len() as u32, ids: self.open_children(own) }
            }
        };
        Trace { steps: self.journal.clone(), at: Some(At { step: self.step.clone(), since: self.since, doing }) }
    }

    /// The step whose turn it is.
    pub fn step<'f>(&self, flow: &'f Flow) -> Option<&'f Step> {
        step_at(flow, &self.place)
    }
}

fn block_at<'f>(flow: &'f Flow, place: &[Frame]) -> Option<&'f [Step]> {
    let (last, above) = place.split_last()?;
    match above {
        [] if last.block == 0 => Some(&flow.steps),
        [] => Some(&flow.catch.steps),
        above => step_at(flow, above)?.blocks().get(last.block as usize).copied(),
    }
}

pub(super) fn step_at<'f>(flow: &'f Flow, place: &[Frame]) -> Option<&'f Step> {
    block_at(flow, place)?.get(place.last()?.at as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_of_an_earlier_server_are_asked_for_anew() {
        let read = |text: &str| serde_json::from_str::<Children>(text).unwrap();
        let earlier = read(r#"{"total":5,"width":2,"cursor":1,"over":[2,3]}"#);
        assert_eq!(earlier, Children { begun: 5, ..Children::of(5, 2) });
        assert_eq!(earlier.open().count(), 5);
        let today = Children { begun: 3, over: BTreeMap::from([(1, Part::Good("7".into()))]), reopen: true, ..Children::of(5, 2) };
        assert_eq!(read(&serde_json::to_string(&today).unwrap()), today);
    }
}
