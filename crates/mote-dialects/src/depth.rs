//! What code in an instance asks for is one deeper than the call that runs there, so that a circle ends.
//!
//! One place for every API that a jail has: [`deepen`] for an action, [`turns`] for a whole conversation.

use mote_core::action::{Action, Outgoing, Target};
use mote_core::clock::{Id, Timestamp};
use mote_core::dialect::Turn;
use mote_core::engine::{DEPTH_MAX, Depth, Standing};
use mote_core::event::Event;
use mote_core::event::lineage::{Cause, How, TRACE_PARENT};
use mote_core::{Body, Code, Error, Result};

/// The same conversation, each of its actions led to by the call that runs.
pub(crate) fn turns(turn: Turn, depth: Depth) -> Turn {
    match turn {
        Turn::Read { body, bytes_max, then } => Turn::read(body, bytes_max, move |read| turns(then(read), depth)),
        Turn::Do { who, mut what, then } => match deepen(&mut what, &depth) {
            Ok(()) => Turn::act(who, what, move |done| turns(then(done), depth)),
            Err(error) => turns(then(Err(error)), depth),
        },
        Turn::Pour { response, then } => Turn::pour(response, move |poured| turns(then(poured), depth)),
        Turn::Answer(response) => Turn::Answer(response),
    }
}

/// Refused where it would be one too many. An action that leads to nothing is left as it is.
pub(crate) fn deepen(what: &mut Action, depth: &Depth) -> Result<()> {
    if let Action::Call { to, event } | Action::Send { to, event, .. } = what {
        let to = match to {
            Target::Function { function, .. } => function.to_string(),
            Target::Route { .. } => "the route".to_owned(),
        };
        deeper(event, depth, &to)?;
    }
    if let Action::Publish { topic, event, .. } = what {
        deeper(event, depth, topic.as_str())?;
    }
    if let Action::PublishMqtt { message, .. } = what {
        let event = led_to(depth, message.topic.as_str())?;
        (message.hops, message.lineage) = (event.depth, event.lineage);
    }
    if let Action::SendMessages { name, what, .. } = what {
        let event = led_to(depth, name.as_str())?;
        let messages = match what {
            Outgoing::One(message, _) => std::slice::from_mut(&mut **message),
            Outgoing::Ready(messages) => messages,
            Outgoing::Batch(_) => return Err(Error::internal("messages that nobody has read have no depth")),
        };
        for message in messages {
            (message.hops, message.lineage) = (event.depth, event.lineage.clone());
            // What the function says itself is closer.
            message.trace_parent = message.trace_parent.take().or_else(|| event.trace_parent().map(str::to_owned));
        }
    }
    Ok(())
}

fn deeper(event: &mut Event, depth: &Depth, to: &str) -> Result<()> {
    let Standing { depth, call, trace } = depth.now();
    event.depth = depth.saturating_add(1);
    event.lineage.cause = call.map(|call| Cause { how: How::Called, call });
    if let Some(trace) = trace {
        // What the function says itself is closer.
        event.extensions.entry(TRACE_PARENT).or_insert(trace.into());
    }
    if event.depth >= DEPTH_MAX {
        return Err(Error::new(Code::LoopDetected, format!("{to} would be number {} of functions that call one another", event.depth + 1))
            .hint(format!("At most {DEPTH_MAX} may; a function that calls itself again and again must find an end before.")));
    }
    Ok(())
}

/// As an event without content: what led to something that is none yet.
fn led_to(depth: &Depth, to: &str) -> Result<Event> {
    let mut event = Event::new(Id(0), "", "", Timestamp(0), Body::empty());
    deeper(&mut event, depth, to)?;
    Ok(event)
}
