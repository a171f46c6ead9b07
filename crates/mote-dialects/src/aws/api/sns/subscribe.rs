//! Who is subscribed to a topic, and what of it each gets.

use mote_core::action::{Action, Done};
use mote_core::dialect::Turn;
use mote_core::function::Name;
use mote_core::function::delivery::Destination;
use mote_core::topic::filter::Filter;
use mote_core::topic::{Subscriber, SubscriberInfo, TopicInfo};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::form::{self, Asked};
use super::{Outcome, PAGE_MAX, ROUNDS_MAX, id_of, invalid, missing, show, topic, topic_of, unexpected};
use crate::aws::api::wire::Refusal;
use crate::aws::arn::LATEST;
use crate::aws::envelope::sns::{FILTERED, RAW, SUBSCRIPTION};

/// The same endpoint of the same topic is the same subscription: who asks for it once more gets it as it is.
pub(super) fn subscribe(asked: &Asked) -> Outcome {
    let topic = topic(asked)?;
    let (protocol, endpoint) = (asked.needed("Protocol")?, asked.needed("Endpoint")?);
    let to = match protocol {
        "lambda" => Destination::Function(function(asked, endpoint)?),
        "sqs" => Destination::Queue(queue(asked, endpoint)?),
        "http" | "https" | "email" | "email-json" | "sms" | "application" | "firehose" => {
            return Err(invalid(format!("mote delivers to the protocols lambda and sqs, not to {protocol}")));
        }
        _ => return Err(invalid("Protocol")),
    };
    let id = name_of(protocol, &to.to_string());
    let arn = asked.arn("sns", &format!("{topic}:{id}"));
    let name = Name::new(&id).map_err(|_| unexpected())?;
    let (mut wish, said) = (Wish::default(), form::map(&asked.input["Attributes"]));
    for (attribute, value) in &said {
        wish.set(attribute, value.as_str().unwrap_or_default(), &to)?;
    }
    let subscriber = wish.subscriber(name, topic.clone(), to, &arn, asked)?;
    find(asked, topic, id, move |asked, found| match found.as_ref().map(Wish::of) {
        Some(there) if said.is_empty() || there.is(&wish) => Ok(asked.done(&json!({ "SubscriptionArn": arn }))),
        Some(_) => Err(invalid("Attributes Reason: Subscription already exists with different attributes")),
        None => {
            let what = Action::Subscribe { namespace: asked.namespace(), subscriber: Box::new(subscriber) };
            Ok(asked.then(what, move |asked, _| Ok(asked.done(&json!({ "SubscriptionArn": arn })))))
        }
    })
}

/// In the form of a UUID, as the ids of subscriptions have it.
pub(in crate::aws) fn name_of(protocol: &str, endpoint: &str) -> String {
    let digest = Sha256::digest(format!("{protocol} {endpoint}"));
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default().to_owned();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}

/// What a subscription's attributes come to.
#[derive(Debug, Default)]
struct Wish {
    raw: bool,
    policy: Option<Value>,
    of_body: bool,
}

impl Wish {
    /// As a subscription has it.
    fn of(subscriber: &SubscriberInfo) -> Wish {
        let filter = subscriber.filter.clone().map(Value::from);
        let written = |scope: &str| filter.as_ref().and_then(|filter| filter.get(scope)).cloned();
        let (of_body, of_attributes) = (written("data"), written(FILTERED));
        let raw = subscriber.adds.get(RAW).is_some_and(|raw| raw == true);
        Wish { raw, of_body: of_body.is_some(), policy: of_body.or(of_attributes) }
    }

    /// Of what there is no policy for, no scope is kept.
    fn is(&self, other: &Wish) -> bool {
        let scoped = |wish: &Wish| wish.policy.as_ref().map(|policy| (wish.of_body, policy.clone()));
        self.raw == other.raw && scoped(self) == scoped(other)
    }

    fn set(&mut self, attribute: &str, value: &str, to: &Destination) -> Result<(), Refusal> {
        match (attribute, value) {
            ("RawMessageDelivery", "true" | "false") => {
                self.raw = value == "true";
                if self.raw && !matches!(to, Destination::Queue(_)) {
                    return Err(invalid(
                        "Attributes Reason: RawMessageDelivery: Delivery protocol [lambda] does not support raw message delivery.",
                    ));
                }
            }
            ("FilterPolicyScope", "MessageAttributes" | "MessageBody") => self.of_body = value == "MessageBody",
            ("FilterPolicy", "" | "{}") => self.policy = None,
            ("FilterPolicy", policy) => {
                let read = serde_json::from_str(policy).ok().filter(Value::is_object);
                self.policy = Some(read.ok_or_else(|| invalid("FilterPolicy: failed to parse JSON."))?);
            }
            ("RawMessageDelivery" | "FilterPolicyScope", _) => return Err(invalid(format!("{attribute}: {value:.60}"))),
            (other, _) => return Err(invalid(format!("mote's subscriptions have no attribute {other:.100}"))),
        }
        Ok(())
    }

    fn filter(&self) -> Result<Option<Filter>, Refusal> {
        let Some(policy) = &self.policy else { return Ok(None) };
        let scope = if self.of_body { "data" } else { FILTERED };
        Filter::read(json!({ scope: policy })).map(Some).map_err(|error| super::refusal(&error))
    }

    fn subscriber(&self, name: Name, topic: Name, to: Destination, arn: &str, asked: &Asked) -> Result<Subscriber, Refusal> {
        let mut adds = Map::from_iter([(SUBSCRIPTION.to_owned(), arn.into())]);
        if self.raw {
            adds.insert(RAW.to_owned(), true.into());
        }
        let (filter, created) = (self.filter()?, asked.ask.stamp.time);
        Ok(Subscriber { name, topic, to, filter, retry: None, adds, created, ended: None })
    }
}

fn function(asked: &Asked, endpoint: &str) -> Result<Name, Refusal> {
    let wrong = || invalid("Lambda endpoint ARN");
    match endpoint.split(':').collect::<Vec<_>>().as_slice() {
        ["arn", _, "lambda", _, account, "function", name, qualifier @ ..] if *account == asked.account() => match qualifier {
            [] | [LATEST] => Name::new(name).map_err(|_| wrong()),
            _ => Err(invalid("Endpoint: mote subscribes a function as it is live, without a version or an alias")),
        },
        _ => Err(wrong()),
    }
}

fn queue(asked: &Asked, endpoint: &str) -> Result<Name, Refusal> {
    match endpoint.split(':').collect::<Vec<_>>().as_slice() {
        ["arn", _, "sqs", _, account, name] if *account == asked.account() => Name::new(name).map_err(|_| invalid("SQS endpoint ARN")),
        _ => Err(invalid("SQS endpoint ARN")),
    }
}

/// The topic of `SubscriptionArn`, and the subscription's id.
fn address(asked: &Asked) -> Result<(Name, String), Refusal> {
    let arn = asked.needed("SubscriptionArn")?;
    let (topic, id) = arn.rsplit_once(':').ok_or_else(|| invalid("SubscriptionArn"))?;
    Ok((topic_of(asked, topic).map_err(|_| invalid("SubscriptionArn"))?, id.to_owned()))
}

/// Of one that is gone, too: it is what was wanted.
pub(super) fn unsubscribe(asked: &Asked) -> Outcome {
    let (topic, id) = address(asked)?;
    find(asked, topic, id, |asked, found| {
        let Some(SubscriberInfo { topic, name: Some(name), .. }) = found else {
            return match found {
                Some(_) => Err(invalid("SubscriptionArn: a function's own subscription goes with its manifest")),
                None => Ok(asked.done(&json!({}))),
            };
        };
        let what = Action::Unsubscribe { namespace: asked.namespace(), topic, name };
        Ok(asked.then(what, |asked, _| Ok(asked.done(&json!({})))))
    })
}

fn find(asked: &Asked, topic: Name, id: String, then: impl FnOnce(Asked, Option<SubscriberInfo>) -> Outcome + Send + 'static) -> Outcome {
    Ok(asked.then(show(asked, &topic), move |asked, done| {
        let Done::Subscribers(subscribers) = done else { return Err(unexpected()) };
        then(asked, subscribers.into_iter().find(|one| id_of(one) == id))
    }))
}

pub(super) fn of_topic(asked: &Asked) -> Outcome {
    let topic = topic(asked)?;
    Ok(asked.then(show(asked, &topic), move |asked, done| {
        let Done::Subscribers(subscribers) = done else { return Err(unexpected()) };
        let after = asked.text("NextToken").and_then(|token| token.parse().ok()).unwrap_or(0);
        let page = subscribers.iter().skip(after).take(PAGE_MAX);
        let mut answer = json!({ "Subscriptions": page.map(|one| told(&asked, one)).collect::<Vec<_>>() });
        if subscribers.len() - after.min(subscribers.len()) > PAGE_MAX {
            answer["NextToken"] = (after + PAGE_MAX).to_string().into();
        }
        Ok(asked.done(&answer))
    }))
}

/// A page ends with a topic, whose name leads to the next one.
pub(super) fn list(asked: &Asked) -> Outcome {
    Ok(asked.then(Action::ListTopics { namespace: asked.namespace() }, |asked, done| {
        let Done::Topics(topics) = done else { return Err(unexpected()) };
        let after = asked.text("NextToken").unwrap_or_default();
        let mut left: Vec<TopicInfo> = topics.into_iter().filter(|info| info.topic.as_str() > after).collect();
        left.reverse();
        Ok(list_next(&asked, left, 0, Vec::new()))
    }))
}

fn list_next(asked: &Asked, mut left: Vec<TopicInfo>, rounds: usize, mut found: Vec<Value>) -> Turn {
    let Some(TopicInfo { topic, .. }) = left.pop() else { return asked.done(&json!({ "Subscriptions": found })) };
    asked.then(show(asked, &topic), move |asked, done| {
        let Done::Subscribers(subscribers) = done else { return Err(unexpected()) };
        found.extend(subscribers.iter().map(|one| told(&asked, one)));
        if (found.len() >= PAGE_MAX || rounds + 1 >= ROUNDS_MAX) && !left.is_empty() {
            return Ok(asked.done(&json!({ "Subscriptions": found, "NextToken": topic })));
        }
        Ok(list_next(&asked, left, rounds + 1, found))
    })
}

/// One that another API has made is told, too.
fn told(asked: &Asked, one: &SubscriberInfo) -> Value {
    let (protocol, endpoint) = match &one.to {
        Destination::Function(name) => ("lambda", asked.arn("lambda", &format!("function:{name}"))),
        Destination::Queue(name) => ("sqs", asked.arn("sqs", name.as_str())),
        Destination::Topic(name) => ("sns", asked.arn("sns", name.as_str())),
        Destination::Webhook(to) => ("https", to.url.to_string()),
    };
    json!({
        "SubscriptionArn": asked.arn("sns", &format!("{}:{}", one.topic, id_of(one))),
        "Owner": asked.account(), "Protocol": protocol, "Endpoint": endpoint,
        "TopicArn": asked.arn("sns", one.topic.as_str()),
    })
}

pub(super) fn attributes(asked: &Asked) -> Outcome {
    let (topic, id) = address(asked)?;
    find(asked, topic, id, |asked, found| {
        let found = found.ok_or_else(|| missing("Subscription"))?;
        let (mut told, wish) = (told(&asked, &found), Wish::of(&found));
        told["PendingConfirmation"] = "false".into();
        told["ConfirmationWasAuthenticated"] = "true".into();
        told["RawMessageDelivery"] = wish.raw.to_string().into();
        if let Some(policy) = &wish.policy {
            told["FilterPolicy"] = policy.to_string().into();
            told["FilterPolicyScope"] = if wish.of_body { "MessageBody" } else { "MessageAttributes" }.into();
        }
        Ok(asked.done(&json!({ "Attributes": told })))
    })
}

pub(super) fn set_attribute(asked: &Asked) -> Outcome {
    let (topic, id) = address(asked)?;
    asked.needed("AttributeName")?;
    find(asked, topic, id, |asked, found| {
        let found = found.ok_or_else(|| missing("Subscription"))?;
        let (Some(name), Some(arn)) = (found.name.clone(), found.adds.get(SUBSCRIPTION).and_then(Value::as_str)) else {
            return Err(invalid("SubscriptionArn: the subscription was not made by SNS"));
        };
        let mut wish = Wish::of(&found);
        wish.set(asked.needed("AttributeName")?, asked.text("AttributeValue").unwrap_or_default(), &found.to)?;
        let subscriber = wish.subscriber(name, found.topic, found.to, arn, &asked)?;
        let what = Action::Subscribe { namespace: asked.namespace(), subscriber: Box::new(subscriber) };
        Ok(asked.then(what, |asked, _| Ok(asked.done(&json!({})))))
    })
}
