//! SNS over mote's topics: functions and queues that are subscribed, and what is published to them.
//!
//! | SNS | mote |
//! |---|---|
//! | topic | a topic's name: each is there, and listed while somebody is subscribed |
//! | subscription `<topic>:<id>` | subscriber, by its name |
//! | filter policy, of message attributes or of the body | filter |
//!
//! Topics keep no settings, so those that would have an effect are refused by name. Subscriptions:
//! [`subscribe`]; publishing: [`publish`]; what receivers get: `envelope/sns.rs`; the protocol: [`form`].

mod form;
mod publish;
mod subscribe;

pub(in crate::aws) use self::subscribe::name_of as subscription_id;

use http::StatusCode;
use mote_core::action::{Action, Done};
use mote_core::dialect::Turn;
use mote_core::function::Name;
use mote_core::topic::SubscriberInfo;
use mote_core::{Code, Error};
use serde_json::{Value, json};

use self::form::Asked;
use super::Ask;
use super::wire::{Protocol, Refusal};

const PAGE_MAX: usize = 100;
/// Turns that one request may spend on one thing after the other.
const ROUNDS_MAX: usize = 40;

type Outcome = Result<Turn, Refusal>;

pub(super) fn answer(ask: Ask) -> Turn {
    let asked = Asked::read(ask);
    let outcome = match &*asked.operation.clone() {
        "CreateTopic" => create(&asked),
        "DeleteTopic" => delete(&asked),
        "ListTopics" => list(&asked),
        "GetTopicAttributes" => attributes(&asked),
        "SetTopicAttributes" => topic(&asked).and_then(|_| match asked.text("AttributeName") {
            Some(name) => Err(no_setting(name)),
            None => Err(invalid("AttributeName is missing")),
        }),
        "ListTagsForResource" => Ok(asked.done(&json!({ "Tags": [] }))),
        "Subscribe" => subscribe::subscribe(&asked),
        "Unsubscribe" => subscribe::unsubscribe(&asked),
        "ListSubscriptions" => subscribe::list(&asked),
        "ListSubscriptionsByTopic" => subscribe::of_topic(&asked),
        "GetSubscriptionAttributes" => subscribe::attributes(&asked),
        "SetSubscriptionAttributes" => subscribe::set_attribute(&asked),
        "Publish" => publish::publish(&asked),
        "PublishBatch" => publish::batch(&asked),
        other => Err(Refusal::unknown_action(other)),
    };
    outcome.unwrap_or_else(|refusal| asked.refuse(&refusal))
}

fn create(asked: &Asked) -> Outcome {
    let name = asked.needed("Name")?;
    let topic = topic_name(name).ok_or_else(|| match name.ends_with(".fifo") {
        true => invalid("Topic Name: mote's topics keep no order, so none is FIFO"),
        false => invalid("Topic Name"),
    })?;
    // What says that nothing special is wanted may be said.
    let idle = |name: &str, value: &Value| name == "FifoTopic" && value == "false";
    if let Some((name, _)) = form::map(&asked.input["Attributes"]).iter().find(|(name, value)| !idle(name, value)) {
        return Err(no_setting(name));
    }
    Ok(asked.done(&json!({ "TopicArn": asked.arn("sns", topic.as_str()) })))
}

/// Those who are subscribed by their manifests stay so.
fn delete(asked: &Asked) -> Outcome {
    let topic = topic(asked)?;
    Ok(asked.then(show(asked, &topic), move |asked, done| {
        let Done::Subscribers(subscribers) = done else { return Err(unexpected()) };
        let names: Vec<Name> = subscribers.into_iter().filter_map(|one| one.name).collect();
        if names.len() > ROUNDS_MAX {
            return Err(invalid(format!("The topic has {} subscriptions; unsubscribe all but {ROUNDS_MAX} first", names.len())));
        }
        Ok(forget(&asked, topic, names))
    }))
}

fn forget(asked: &Asked, topic: Name, mut names: Vec<Name>) -> Turn {
    let Some(name) = names.pop() else { return asked.done(&json!({})) };
    let what = Action::Unsubscribe { namespace: asked.namespace(), topic: topic.clone(), name };
    asked.turn(what, move |asked, done| match done {
        Err(error) if error.code() != Code::SubscriptionNotFound => asked.refuse(&refusal(&error)),
        _ => forget(&asked, topic, names),
    })
}

fn list(asked: &Asked) -> Outcome {
    Ok(asked.then(Action::ListTopics { namespace: asked.namespace() }, |asked, done| {
        let Done::Topics(topics) = done else { return Err(unexpected()) };
        let after = asked.text("NextToken").unwrap_or_default();
        let rest: Vec<Name> = topics.into_iter().map(|info| info.topic).filter(|topic| topic.as_str() > after).collect();
        let page = rest.iter().take(PAGE_MAX);
        let told: Vec<Value> = page.map(|topic| json!({ "TopicArn": asked.arn("sns", topic.as_str()) })).collect();
        let mut answer = json!({ "Topics": told });
        if let Some(last) = rest.get(PAGE_MAX - 1).filter(|_| rest.len() > PAGE_MAX) {
            answer["NextToken"] = last.as_str().into();
        }
        Ok(asked.done(&answer))
    }))
}

fn attributes(asked: &Asked) -> Outcome {
    let topic = topic(asked)?;
    Ok(asked.then(show(asked, &topic), move |asked, done| {
        let Done::Subscribers(subscribers) = done else { return Err(unexpected()) };
        let told = json!({
            "TopicArn": asked.arn("sns", topic.as_str()),
            "Owner": asked.account(),
            "DisplayName": "",
            "SubscriptionsConfirmed": subscribers.len().to_string(),
            "SubscriptionsPending": "0",
            "SubscriptionsDeleted": "0",
        });
        Ok(asked.done(&json!({ "Attributes": told })))
    }))
}

fn show(asked: &Asked, topic: &Name) -> Action {
    Action::ShowTopic { namespace: asked.namespace(), topic: topic.clone() }
}

/// The topic that `TopicArn` names, or `TargetArn`.
fn topic(asked: &Asked) -> Result<Name, Refusal> {
    let arn = asked.text("TopicArn").map_or_else(|| asked.needed("TargetArn"), Ok);
    topic_of(asked, arn.map_err(|_| invalid("TopicArn"))?)
}

fn topic_of(asked: &Asked, arn: &str) -> Result<Name, Refusal> {
    match arn.split(':').collect::<Vec<_>>().as_slice() {
        ["arn", _, "sns", _, account, name] if *account == asked.account() => topic_name(name).ok_or_else(|| invalid("TopicArn")),
        ["arn", _, "sns", _, _, _] => Err(missing("Topic")),
        _ => Err(invalid("TopicArn")),
    }
}

fn topic_name(name: &str) -> Option<Name> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    Name::new(name).ok().filter(|_| name.bytes().all(plain))
}

fn no_setting(name: &str) -> Refusal {
    let name: String = name.chars().take(100).collect();
    invalid(format!("mote's topics have no setting {name}"))
}

fn missing(what: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "NotFound", format!("{what} does not exist"))
}

fn invalid(why: impl AsRef<str>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "InvalidParameter", format!("Invalid parameter: {}", why.as_ref()))
}

fn unexpected() -> Refusal {
    refusal(&Error::internal("an action was answered with what belongs to another"))
}

fn refusal(error: &Error) -> Refusal {
    match error.code() {
        Code::SubscriptionNotFound => missing("Subscription"),
        Code::FilterInvalid => invalid(format!("FilterPolicy: {}", error.detail())),
        Code::NameInvalid | Code::RequestInvalid | Code::DestinationInvalid | Code::BodyTooLarge => invalid(error.detail()),
        Code::QuotaExceeded => Refusal::new(StatusCode::FORBIDDEN, "SubscriptionLimitExceeded", error.detail()),
        Code::Forbidden => Refusal::new(StatusCode::FORBIDDEN, "AuthorizationError", error.detail()),
        _ => Refusal::of(Protocol::Query, error),
    }
}

/// How a subscription's ARN ends: its name, or, of a function's own, what is made of the function's.
fn id_of(subscriber: &SubscriberInfo) -> String {
    let own = || subscribe::name_of("manifest", &subscriber.to.to_string());
    subscriber.name.as_ref().map_or_else(own, Name::to_string)
}

#[cfg(test)]
mod tests;
