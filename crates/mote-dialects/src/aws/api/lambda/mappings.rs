//! Event source mappings: a queue whose messages a function gets in batches, as a binding beside the
//! function's versions.
//!
//! A change is there when it is answered, so the states on the way (`Creating`, `Updating`, …) are told
//! in that answer alone. What is asked for: [`wish`]; patterns: [`filter`]; the batches themselves are
//! the queue door's, worded by the envelope.

mod filter;
mod tags;
#[cfg(test)]
mod tests;
mod wish;

use std::sync::Arc;

use http::StatusCode;
use mote_core::Code;
use mote_core::action::{Action, Description, Done};
use mote_core::clock::Timestamp;
use mote_core::dialect::Turn;
use mote_core::function::delivery::Destination;
use mote_core::function::{BOUND_MAX, Binding, Bound, Name, Seen};
use mote_core::queues::QueueInfo;
use serde_json::{Map, Value, json};

use self::wish::Wish;
use super::fault::Fault;
use super::names::Address;
use super::{is_missing, number, query, read, refuse, tell, unexpected};
use crate::aws::api::Ask;
use crate::aws::arn;

pub(in crate::aws) use self::filter::pattern_of;
pub(super) use self::tags::{tags, uuid_of};

/// Where a binding says that it is a mapping, and all that was said of it.
const MAPPING: &str = "EventSourceMapping";
const TAGS: &str = "Tags";
const PAGE_MAX: usize = 100;

/// A mapping as it shall be.
struct Plan {
    id: Name,
    address: Address,
    queue: Name,
    said: Map<String, Value>,
    enabled: bool,
    /// While it becomes so.
    state: &'static str,
    seen: Seen,
}

pub(super) fn create(ask: Ask) -> Result<Turn, Fault> {
    let wish: Wish = read(&ask.body)?;
    let (arn, queue) = wish.source(&ask)?;
    let name = wish.function_name.as_deref().ok_or_else(|| Fault::constraint("null", "functionName", "Member must not be null"))?;
    let address = Address::read(name)?;
    let mut said = wish::defaults(arn);
    wish.change(&mut said)?;
    let id = Name::new(&ask.stamp.id.to_string()).map_err(|error| Fault::of(&error))?;
    Ok(place(ask, Plan { id, address, queue, said, enabled: wish.enabled.unwrap_or(true), state: "Creating", seen: Seen::Nothing }))
}

pub(super) fn update(ask: Ask, id: String) -> Result<Turn, Fault> {
    let wish: Wish = read(&ask.body)?;
    wish.of_queues()?;
    let address = wish.function_name.as_deref().map(Address::read).transpose()?;
    Ok(find(ask, id, move |ask, bound| match plan(&bound, address, &wish) {
        Ok(plan) => place(ask, plan),
        Err(fault) => refuse(&fault, ask.stamp.id),
    }))
}

fn plan(bound: &Arc<Bound>, address: Option<Address>, wish: &Wish) -> Result<Plan, Fault> {
    let mut said = said(bound).cloned().unwrap_or_default();
    wish.change(&mut said)?;
    let address = match address {
        Some(address) => address,
        None => Address::read(said.get("FunctionArn").and_then(Value::as_str).unwrap_or_default())?,
    };
    let Binding::Queue(queue) = &bound.binding else { return Err(Fault::of(&unexpected())) };
    let enabled = wish.enabled.unwrap_or(bound.enabled);
    let state = match (bound.enabled, enabled) {
        (false, true) => "Enabling",
        (true, false) => "Disabling",
        _ => "Updating",
    };
    Ok(Plan { id: bound.id.clone(), address, queue: queue.queue.clone(), said, enabled, state, seen: Seen::This(bound.clone()) })
}

/// Looks at its function and its queue first, and whether the two have another mapping.
fn place(ask: Ask, plan: Plan) -> Turn {
    let nobody = || Fault::invalid("Function does not exist");
    if plan.address.is_known(&ask).is_err() {
        return refuse(&nobody(), ask.stamp.id);
    }
    let what = Action::Describe { function: plan.address.reference(&ask), version: plan.address.version() };
    Turn::act(ask.who.clone(), what, move |described| {
        let function = match described {
            Ok(Done::Function(function)) => *function,
            Ok(_) => return refuse(&Fault::of(&unexpected()), ask.stamp.id),
            Err(error) if is_missing(&error) => return refuse(&nobody(), ask.stamp.id),
            Err(error) => return refuse(&Fault::of(&error), ask.stamp.id),
        };
        let what = Action::ShowQueue { namespace: ask.namespace.clone(), name: plan.queue.clone() };
        Turn::act(ask.who.clone(), what, move |shown| match shown {
            Ok(Done::Queue(queue)) => match wish::fits(&plan.said, &function.function, &queue) {
                Ok(()) => alone(ask, plan, function, *queue),
                Err(fault) => refuse(&fault, ask.stamp.id),
            },
            Ok(_) => refuse(&Fault::of(&unexpected()), ask.stamp.id),
            Err(error) if error.code() == Code::QueueNotFound => refuse(&wish::no_queue(), ask.stamp.id),
            Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
        })
    })
}

fn alone(ask: Ask, plan: Plan, function: Description, queue: QueueInfo) -> Turn {
    let what = list_of(&ask, Some(plan.address.name.clone()), None);
    mappings(ask, what, move |ask, all| {
        let same = |bound: &&Arc<Bound>| bound.id != plan.id && bound.qualifier == plan.address.version() && reads(bound, &queue.name);
        match all.iter().find(same) {
            Some(other) => refuse(&wish::conflict(&plan.said, &plan.address, other.id.as_str()), ask.stamp.id),
            None => bind(ask, plan, &function),
        }
    })
}

fn bind(ask: Ask, plan: Plan, function: &Description) -> Turn {
    let Plan { id, address, queue, mut said, enabled, state, seen } = plan;
    let qualifier = address.qualifier.as_ref().map(|qualifier| qualifier as _);
    said.insert("FunctionArn".into(), arn::of_function(&function.function, &ask.account, qualifier).into());
    said.insert("LastModified".into(), (ask.stamp.time.0 as f64 / 1000.0).into());
    let binding = match wish::binding(queue, &said) {
        Ok(binding) => Binding::Queue(binding.into()),
        Err(fault) => return refuse(&fault, ask.stamp.id),
    };
    let bound = Bound {
        id,
        namespace: ask.namespace.clone(),
        to: Destination::Function(address.name.clone()),
        qualifier: address.version(),
        binding,
        enabled,
        since: Timestamp::default(),
        label: None,
        dialect: None,
        about: Map::from_iter([(MAPPING.to_owned(), said.into())]),
    };
    keep(ask, bound, seen, move |ask, bound| tell(StatusCode::ACCEPTED, &told(bound, &ask, state), ask.stamp.id))
}

fn keep(ask: Ask, bound: Bound, seen: Seen, then: impl FnOnce(Ask, &Bound) -> Turn + Send + 'static) -> Turn {
    Turn::act(ask.who.clone(), Action::Bind { bound: bound.into(), seen }, move |kept| match kept {
        Ok(Done::Bound(all)) => match all.first() {
            Some(bound) => then(ask, bound),
            None => refuse(&Fault::of(&unexpected()), ask.stamp.id),
        },
        Ok(_) => refuse(&Fault::of(&unexpected()), ask.stamp.id),
        Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
    })
}

pub(super) fn get(ask: Ask, id: String) -> Turn {
    find(ask, id, |ask, bound| tell(StatusCode::OK, &told(&bound, &ask, state(&bound)), ask.stamp.id))
}

pub(super) fn delete(ask: Ask, id: String) -> Turn {
    find(ask, id, |ask, bound| {
        let what = Action::Unbind { namespace: ask.namespace.clone(), id: bound.id.clone() };
        Turn::act(ask.who.clone(), what, move |gone| match gone {
            Ok(_) => tell(StatusCode::ACCEPTED, &told(&bound, &ask, "Deleting"), ask.stamp.id),
            Err(error) if error.code() == Code::BindingNotFound => refuse(&none(), ask.stamp.id),
            Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
        })
    })
}

/// In the order of their ids; the marker is the last id of the page before.
pub(super) fn list(ask: Ask) -> Result<Turn, Fault> {
    let limit = number(&ask, "MaxItems", 10_000)?.min(PAGE_MAX);
    let address = query(&ask, "FunctionName").map(|name| Address::read(&name)).transpose()?;
    let source = query(&ask, "EventSourceArn");
    let what = list_of(&ask, address.as_ref().map(|address| address.name.clone()), query(&ask, "Marker"));
    Ok(mappings(ask, what, move |ask, mut all| {
        all.retain(|bound| {
            let of_source = source.as_deref().is_none_or(|arn| word(bound, "EventSourceArn") == arn);
            of_source && address.as_ref().is_none_or(|address| bound.qualifier == address.version())
        });
        let page = all.get(..limit).unwrap_or(&all);
        let mut answer = json!({ "EventSourceMappings": page.iter().map(|bound| told(bound, &ask, state(bound))).collect::<Vec<_>>() });
        if let Some(last) = page.last().filter(|_| all.len() > limit) {
            answer["NextMarker"] = last.id.as_str().into();
        }
        tell(StatusCode::OK, &answer, ask.stamp.id)
    }))
}

fn list_of(ask: &Ask, function: Option<Name>, after: Option<String>) -> Action {
    Action::ListBound { namespace: ask.namespace.clone(), function, after, limit: BOUND_MAX }
}

/// Those bindings that are mappings.
fn mappings(ask: Ask, what: Action, then: impl FnOnce(Ask, Vec<Arc<Bound>>) -> Turn + Send + 'static) -> Turn {
    Turn::act(ask.who.clone(), what, move |listed| match listed {
        Ok(Done::Bound(mut all)) => {
            all.retain(|bound| said(bound).is_some());
            then(ask, all)
        }
        Ok(_) => refuse(&Fault::of(&unexpected()), ask.stamp.id),
        Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
    })
}

fn find(ask: Ask, id: String, then: impl FnOnce(Ask, Arc<Bound>) -> Turn + Send + 'static) -> Turn {
    let what = list_of(&ask, None, None);
    mappings(ask, what, move |ask, all| match all.into_iter().find(|bound| bound.id.as_str() == id) {
        Some(bound) => then(ask, bound),
        None => refuse(&none(), ask.stamp.id),
    })
}

fn none() -> Fault {
    Fault::missing("The resource you requested does not exist.")
}

fn said(bound: &Bound) -> Option<&Map<String, Value>> {
    bound.about.get(MAPPING).and_then(Value::as_object)
}

fn word<'b>(bound: &'b Bound, member: &str) -> &'b str {
    said(bound).and_then(|said| said.get(member)?.as_str()).unwrap_or_default()
}

fn reads(bound: &Bound, queue: &Name) -> bool {
    matches!(&bound.binding, Binding::Queue(binding) if binding.queue == *queue)
}

fn state(bound: &Bound) -> &'static str {
    if bound.enabled { "Enabled" } else { "Disabled" }
}

fn told(bound: &Bound, ask: &Ask, state: &str) -> Value {
    let mut told = said(bound).cloned().unwrap_or_default();
    told.remove(TAGS);
    let (partition, account) = (arn::partition(&ask.region), ask.account.of(&ask.namespace));
    let own = format!("arn:{partition}:lambda:{}:{account}:event-source-mapping:{}", ask.region, bound.id);
    let beside =
        [("UUID", bound.id.as_str()), ("EventSourceMappingArn", &own), ("State", state), ("StateTransitionReason", "USER_INITIATED")];
    told.extend(beside.map(|(member, text)| (member.to_owned(), text.into())));
    told.into()
}
