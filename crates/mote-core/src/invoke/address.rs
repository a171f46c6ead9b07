//! From a destination to the items that carry an event there: the one place that knows what waits
//! in which queue. Whoever has the items commits them, alone or together with what brought them about.
//!
//! Not here: who may send ([`crate::access`]), and what happens to an item later
//! ([`super::deliver`] for those of functions, a trigger for those of webhooks).

use super::Dialects;
use super::deliver::parcel::{Parcel, Wish, in_burst};
use crate::clock::{Clock, Timestamp};
use crate::directory::Directory;
use crate::error::{Code, Error, Result};
use crate::event::StoredEvent;
use crate::event::cloudevents::SENDERS_ID;
use crate::function::delivery::Destination;
use crate::function::{Bound, FunctionRef, Name};
use crate::queues::Queues;
use crate::rule::{Rule, Target};
use crate::store::Item;
use crate::topic::content::Content;
use crate::topic::{FAN_OUT_BYTES_MAX, ITEMS_MAX, Subscribed, Topics};
use crate::webhook::{Dispatch, Endpoint};

/// What is known of who is where.
pub struct Addresses<'a> {
    pub directory: &'a Directory,
    pub topics: &'a Topics,
    pub queues: &'a Queues,
    /// They word what rules tell.
    pub dialects: &'a Dialects,
    pub clock: &'a dyn Clock,
}

/// See [`super::Invoke::items`]. A function that is not there (yet) is sent to all the same: the
/// item becomes a dead letter that says so, and can be sent again.
pub fn items(known: &Addresses<'_>, namespace: &Name, to: &Destination, event: StoredEvent, hops: u32, wish: Wish) -> Result<Vec<Item>> {
    match to {
        Destination::Function(name) => {
            let to = FunctionRef { namespace: namespace.clone(), name: name.clone() };
            Ok(vec![to_function(known.directory, known.clock.now(), to, event, hops, wish)])
        }
        Destination::Webhook(to) => Ok(vec![to_webhook(known, namespace, to, None, event, wish)]),
        Destination::Queue(name) => Ok(vec![known.queues.item_of((namespace, name), event, hops, wish, known.clock.now())]),
        Destination::Topic(topic) => {
            let mut all = Deliveries::default();
            let rules = known.topics.rules.on(namespace, topic);
            let rules: Vec<_> = {
                let content = Content::of(&event);
                rules.into_iter().filter(|rule| rule.on.as_ref().is_some_and(|on| on.filter.takes(&content))).collect()
            };
            for rule in rules {
                let idempotency_key = wish.idempotency_key.as_ref().map(|key| format!("topic {topic} {key} {} {}", rule.group, rule.name));
                tell(known, &rule, &event, hops, &Wish { idempotency_key, ..wish.clone() }, |items| all.add(items))?;
            }
            all.add(fan_out(known, namespace, topic, event, hops, wish)?)?;
            Ok(all.items)
        }
    }
}

/// See [`super::Invoke::of_rule`]. A target that can't be told keeps no other from it.
pub fn of_rule(known: &Addresses<'_>, rule: &Rule, event: &StoredEvent, hops: u32, wish: &Wish) -> Vec<Item> {
    let mut all = Vec::new();
    let taken = tell(known, rule, event, hops, wish, |items| {
        all.extend(items);
        Ok(())
    });
    debug_assert!(taken.is_ok(), "whatever there is, is taken");
    all
}

/// Target by target, so that whoever has a bound refuses the next one before it is made.
fn tell(
    known: &Addresses<'_>,
    rule: &Rule,
    event: &StoredEvent,
    hops: u32,
    wish: &Wish,
    mut take: impl FnMut(Vec<Item>) -> Result<()>,
) -> Result<()> {
    rule.targets.iter().try_for_each(|target| match to_target(known, rule, target, event, hops, wish) {
        Ok(items) => take(items),
        Err(error) => {
            let (rule, target) = (Rule::key(&rule.namespace, &rule.group, &rule.name), &target.id);
            tracing::warn!(%rule, %target, ?error, "a rule's target could not be told");
            Ok(())
        }
    })
}

/// For whom a bucket tells of its objects beside functions, in the words of the binding's dialect. What can't
/// be told keeps no change from happening.
pub fn of_bound(known: &Addresses<'_>, bound: &Bound, event: StoredEvent, hops: u32) -> Vec<Item> {
    let told = match &bound.dialect {
        Some(dialect) => known.dialects.get(dialect).and_then(|dialect| dialect.tell_change(bound, &event)),
        None => Ok(event),
    };
    told.and_then(|event| items(known, &bound.namespace, &bound.to, event, hops, Wish::default())).unwrap_or_else(|error| {
        tracing::warn!(binding = %bound.id, to = %bound.to, ?error, "a change of an object could not be told");
        Vec::new()
    })
}

/// The queues of users that an event for this destination may come to.
pub fn queues_of(known: &Addresses<'_>, namespace: &Name, to: &Destination) -> Vec<Name> {
    let queue = |to: &Destination| match to {
        Destination::Queue(name) => Some(name.clone()),
        Destination::Function(_) | Destination::Topic(_) | Destination::Webhook(_) => None,
    };
    let Destination::Topic(topic) = to else { return queue(to).into_iter().collect() };
    let rules = known.topics.rules.on(namespace, topic);
    let mut all: Vec<Name> = known.topics.recipients(namespace, topic).iter().filter_map(|one| queue(&one.to)).collect();
    for target in rules.iter().flat_map(|rule| &rule.targets) {
        match &target.to {
            Destination::Topic(topic) => all.extend(known.topics.recipients(namespace, topic).iter().filter_map(|one| queue(&one.to))),
            to => all.extend(queue(to)),
        }
    }
    all.sort();
    all.dedup();
    all
}

fn to_target(known: &Addresses<'_>, rule: &Rule, target: &Target, event: &StoredEvent, hops: u32, wish: &Wish) -> Result<Vec<Item>> {
    let told = known.dialects.get(&rule.dialect)?.tell(rule, target, event)?;
    let mut event = StoredEvent { id: known.clock.id(), content_type: told.content_type, body: told.body, ..event.clone() };
    event.extensions.extend(told.extensions);
    let wish = Wish {
        retry: target.retry.clone(),
        version: target.version.clone(),
        // Two targets may be one function, told in two ways.
        idempotency_key: wish.idempotency_key.as_ref().map(|key| format!("{key} {}", target.id)),
        ..wish.clone()
    };
    match &target.to {
        // To those who are subscribed there, but to no other rule: nobody could see where it ends.
        Destination::Topic(topic) => fan_out(known, &rule.namespace, topic, event, hops, wish),
        to => items(known, &rule.namespace, to, event, hops, wish),
    }
}

pub fn to_function(directory: &Directory, now: Timestamp, to: FunctionRef, event: StoredEvent, hops: u32, wish: Wish) -> Item {
    let version = wish.version.clone();
    let delivery = directory.delivery(&to, &version).unwrap_or_default();
    let id = event.id;
    let parcel = Parcel { to, version, accepted: now, hops, retry: None, event, run: None, awaited: false };
    in_burst(parcel.into_item(id, &delivery, wish), &delivery)
}

fn to_webhook(known: &Addresses<'_>, namespace: &Name, to: &Endpoint, by: Option<Subscribed>, event: StoredEvent, wish: Wish) -> Item {
    let (id, accepted) = (event.id, known.clock.now());
    Dispatch { namespace: namespace.clone(), to: to.clone(), accepted, retry: None, by, event }.into_item(id, wish)
}

/// For everybody who is subscribed and whose filter takes it; each with an id of its own, since
/// each is a call of its own, and all with the same sender's.
fn fan_out(known: &Addresses<'_>, namespace: &Name, topic: &Name, mut event: StoredEvent, hops: u32, wish: Wish) -> Result<Vec<Item>> {
    let recipients = known.topics.recipients(namespace, topic);
    let wanted: Vec<_> = {
        let content = Content::of(&event);
        recipients.into_iter().filter(|one| one.filter.as_ref().is_none_or(|filter| filter.takes(&content))).collect()
    };
    let id = event.id.to_string();
    event.extensions.entry(SENDERS_ID).or_insert_with(|| id.into());
    let mut all = Deliveries::default();
    for recipient in wanted {
        // A key is of its topic: the same key at another one is another event.
        let idempotency_key = wish.idempotency_key.as_ref().map(|key| format!("topic {topic} {key}"));
        let wish = Wish { retry: recipient.retry.clone(), version: recipient.version.clone(), idempotency_key, ..wish.clone() };
        let mut event = StoredEvent { id: known.clock.id(), ..event.clone() };
        event.extensions.extend(recipient.adds.clone());
        all.add(match &recipient.to {
            // One topic does not feed another: nobody could see where it ends.
            Destination::Topic(_) => Vec::new(),
            Destination::Webhook(to) => vec![to_webhook(known, namespace, to, recipient.by.clone(), event, wish)],
            to => items(known, namespace, to, event, hops, wish)?,
        })?;
    }
    Ok(all.items)
}

/// What one publishing brings about, bounded as it grows: before all of it is in memory.
#[derive(Default)]
pub(super) struct Deliveries {
    pub(super) items: Vec<Item>,
    bytes: usize,
}

impl Deliveries {
    pub(super) fn add(&mut self, more: Vec<Item>) -> Result<()> {
        self.bytes += more.iter().map(|item| item.payload.len()).sum::<usize>();
        self.items.extend(more);
        let (found, bytes, mib) = (self.items.len(), self.bytes, FAN_OUT_BYTES_MAX >> 20);
        if found <= ITEMS_MAX && bytes <= FAN_OUT_BYTES_MAX {
            return Ok(());
        }
        let detail = format!("{found} or more deliveries at once, with {bytes} bytes, are past {ITEMS_MAX} or {mib} MiB");
        Err(Error::new(Code::QuotaExceeded, detail)
            .hint("Publish fewer events in one request, or keep large data in a bucket and publish its key."))
    }
}
