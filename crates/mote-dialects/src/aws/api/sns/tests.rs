//! Conversations with SNS's clients, against topics that remember who is subscribed.

use mote_core::clock::Id;
use mote_core::event::Event;
use mote_core::function::delivery::Destination;
use mote_core::topic::{Published, Subscriber, TopicInfo};

use super::super::play::{Told, ask, play};
use super::*;

const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:orders";
const QUEUE: &str = "arn:aws:sqs:eu-west-1:123456789012:q";
const FUNCTION: &str = "arn:aws:lambda:eu-west-1:123456789012:function:f";

#[derive(Default)]
struct Scene {
    subscribers: Vec<Subscriber>,
    published: Vec<(Name, Event)>,
}

impl Scene {
    fn ask(&mut self, form: &[(&str, &str)]) -> Told {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        play(answer(ask("POST", "/", "", body)), |what| self.carry_out(what))
    }

    fn tell(&mut self, form: &[(&str, &str)]) -> String {
        let told = self.ask(form);
        assert_eq!(told.status, 200, "{form:?}: {}", told.text);
        told.text
    }

    fn refused(&mut self, form: &[(&str, &str)], code: &str) {
        let told = self.ask(form);
        assert!(told.text.contains(&format!("<Code>{code}</Code>")), "{form:?}: {} {}", told.status, told.text);
    }

    fn subscribe(&mut self, protocol: &str, endpoint: &str, more: &[(&str, &str)]) -> String {
        let mut form = vec![("Action", "Subscribe"), ("TopicArn", TOPIC), ("Protocol", protocol), ("Endpoint", endpoint)];
        form.extend(more);
        let told = self.tell(&form);
        let (_, rest) = told.split_once("<SubscriptionArn>").unwrap();
        rest.split_once("</").unwrap().0.to_owned()
    }

    fn carry_out(&mut self, what: Action) -> mote_core::Result<Done> {
        Ok(match what {
            Action::ListTopics { .. } => {
                let mut topics: Vec<Name> = self.subscribers.iter().map(|one| one.topic.clone()).collect();
                topics.sort();
                topics.dedup();
                Done::Topics(topics.into_iter().map(|topic| TopicInfo { topic, functions: 0, subscriptions: 1 }).collect())
            }
            Action::ShowTopic { topic, .. } => {
                let shown = self.subscribers.iter().filter(|one| one.topic == topic).cloned();
                Done::Subscribers(shown.map(|one| SubscriberInfo::from(std::sync::Arc::new(one))).collect())
            }
            Action::Subscribe { subscriber, .. } => {
                self.subscribers.retain(|one| (&one.topic, &one.name) != (&subscriber.topic, &subscriber.name));
                self.subscribers.push(*subscriber);
                Done::Subscribers(Vec::new())
            }
            Action::Unsubscribe { topic, name, .. } => {
                self.subscribers.retain(|one| one.topic != topic || one.name != name);
                Done::Nothing
            }
            Action::Publish { topic, event, .. } => {
                let ids = vec![event.id];
                self.published.push((topic.clone(), event));
                Done::Published(Published { topic, ids, deliveries: 1 })
            }
            other => panic!("{other:?}"),
        })
    }
}

#[test]
fn a_topic_is_a_name() {
    let mut scene = Scene::default();
    assert!(scene.tell(&[("Action", "CreateTopic"), ("Name", "orders")]).contains(&format!("<TopicArn>{TOPIC}</TopicArn>")));
    scene.refused(&[("Action", "CreateTopic"), ("Name", "a b")], "InvalidParameter");
    scene.refused(&[("Action", "CreateTopic"), ("Name", "a.fifo")], "InvalidParameter");
    let display = [("Attributes.entry.1.key", "DisplayName"), ("Attributes.entry.1.value", "x")];
    scene.refused(&[[("Action", "CreateTopic"), ("Name", "a")], display].concat(), "InvalidParameter");
    scene.refused(&[("Action", "SetTopicAttributes"), ("TopicArn", TOPIC), ("AttributeName", "Policy")], "InvalidParameter");
    assert!(!scene.tell(&[("Action", "ListTopics")]).contains("orders"));
    let arn = scene.subscribe("sqs", QUEUE, &[]);
    assert!(scene.tell(&[("Action", "ListTopics")]).contains(TOPIC));
    let told = scene.tell(&[("Action", "GetTopicAttributes"), ("TopicArn", TOPIC)]);
    assert!(told.contains("<key>SubscriptionsConfirmed</key><value>1</value>"), "{told}");
    assert!(scene.tell(&[("Action", "ListSubscriptions")]).contains(&arn));
    scene.tell(&[("Action", "DeleteTopic"), ("TopicArn", TOPIC)]);
    assert!(scene.subscribers.is_empty());
    scene.refused(&[("Action", "GetTopicAttributes"), ("TopicArn", "orders")], "InvalidParameter");
    scene.refused(&[("Action", "GetTopicAttributes"), ("TopicArn", "arn:aws:sns:eu-west-1:1:orders")], "NotFound");
    scene.refused(&[("Action", "AddPermission")], "InvalidAction");
}

#[test]
fn a_subscription_has_one_name_for_one_endpoint() {
    let mut scene = Scene::default();
    let (queue, function) = (scene.subscribe("sqs", QUEUE, &[]), scene.subscribe("lambda", FUNCTION, &[]));
    assert_eq!(scene.subscribe("sqs", QUEUE, &[]), queue);
    assert!(queue.starts_with(TOPIC) && queue.len() == TOPIC.len() + 37 && function != queue, "{queue}");
    let to: Vec<_> = scene.subscribers.iter().map(|one| one.to.clone()).collect();
    assert_eq!(to, [Destination::Queue(Name::new("q").unwrap()), Destination::Function(Name::new("f").unwrap())]);
    let told = scene.tell(&[("Action", "ListSubscriptionsByTopic"), ("TopicArn", TOPIC)]);
    for expect in [&queue, &function, QUEUE, FUNCTION, "<Protocol>lambda</Protocol>"] {
        assert!(told.contains(expect), "{expect}: {told}");
    }
    for _ in 0..2 {
        scene.tell(&[("Action", "Unsubscribe"), ("SubscriptionArn", &queue)]);
    }
    assert_eq!(scene.subscribers.len(), 1);
    scene.refused(&[("Action", "GetSubscriptionAttributes"), ("SubscriptionArn", &queue)], "NotFound");
    for (protocol, endpoint) in [
        ("email", "a@example.org"),
        ("http", "http://localhost"),
        ("pigeon", "x"),
        ("sqs", FUNCTION),
        ("sqs", "arn:aws:sqs:eu-west-1:000000000000:q"),
        ("lambda", "f"),
        ("lambda", &format!("{FUNCTION}:live")),
    ] {
        let form = [("Action", "Subscribe"), ("TopicArn", TOPIC), ("Protocol", protocol), ("Endpoint", endpoint)];
        scene.refused(&form, "InvalidParameter");
    }
}

#[test]
fn a_filter_policy_is_a_filter() {
    let mut scene = Scene::default();
    let policy = r#"{"store":["x",{"prefix":"y"}]}"#;
    let arn = scene.subscribe("sqs", QUEUE, &[("Attributes.entry.1.key", "FilterPolicy"), ("Attributes.entry.1.value", policy)]);
    let set = |scene: &mut Scene, name: &str, value: &str| {
        scene.tell(&[
            ("Action", "SetSubscriptionAttributes"),
            ("SubscriptionArn", &arn),
            ("AttributeName", name),
            ("AttributeValue", value),
        ]);
        let [one] = scene.subscribers.as_slice() else { panic!("{:?}", scene.subscribers) };
        (one.filter.clone().map(Value::from).unwrap_or_default(), one.adds.get("motesnsraw").is_some())
    };
    // Once more it is the same; asked for plainly it keeps its filter, and asked for otherwise it is refused.
    let again = [("Action", "Subscribe"), ("TopicArn", TOPIC), ("Protocol", "sqs"), ("Endpoint", QUEUE)];
    let with = |policy| [&again[..], &[("Attributes.entry.1.key", "FilterPolicy"), ("Attributes.entry.1.value", policy)]].concat();
    assert!(scene.tell(&again).contains(&arn) && scene.tell(&with(policy)).contains(&arn));
    scene.refused(&with(r#"{"store":["z"]}"#), "InvalidParameter");
    assert!(scene.subscribers[0].filter.is_some());
    let read: Value = serde_json::from_str(policy).unwrap();
    assert_eq!(set(&mut scene, "RawMessageDelivery", "true"), (json!({ "motesnsfiltered": read }), true));
    assert_eq!(set(&mut scene, "FilterPolicyScope", "MessageBody"), (json!({ "data": read }), true));
    let told = scene.tell(&[("Action", "GetSubscriptionAttributes"), ("SubscriptionArn", &arn)]);
    for expect in ["<key>RawMessageDelivery</key><value>true</value>", "<value>MessageBody</value>", "{&quot;store&quot;:[&quot;x&quot;"] {
        assert!(told.contains(expect), "{expect}: {told}");
    }
    assert_eq!(set(&mut scene, "FilterPolicy", ""), (Value::Null, true));
    for (name, value) in [
        ("FilterPolicy", "{"),
        ("FilterPolicy", r#"{"a":[{"regex":"b.*"}]}"#),
        ("FilterPolicy", r#"{"$or":[{"a":["b"]}]}"#),
        ("RawMessageDelivery", "yes"),
        ("RedrivePolicy", "{}"),
    ] {
        let form =
            [("Action", "SetSubscriptionAttributes"), ("SubscriptionArn", &*arn), ("AttributeName", name), ("AttributeValue", value)];
        scene.refused(&form, "InvalidParameter");
    }
    let raw = [("Attributes.entry.1.key", "RawMessageDelivery"), ("Attributes.entry.1.value", "true")];
    let function = [("Action", "Subscribe"), ("TopicArn", TOPIC), ("Protocol", "lambda"), ("Endpoint", FUNCTION)];
    scene.refused(&[&function[..], &raw].concat(), "InvalidParameter");
}

#[test]
fn a_message_is_an_event() {
    let mut scene = Scene::default();
    let attributes = [
        ("MessageAttributes.entry.1.Name", "n"),
        ("MessageAttributes.entry.1.Value.DataType", "Number"),
        ("MessageAttributes.entry.1.Value.StringValue", "7.5"),
        ("MessageAttributes.entry.2.Name", "l"),
        ("MessageAttributes.entry.2.Value.DataType", "String.Array"),
        ("MessageAttributes.entry.2.Value.StringValue", "[\"a\",1]"),
    ];
    let message = [("Action", "Publish"), ("TopicArn", TOPIC), ("Message", "{\"a\":1}"), ("Subject", "S")];
    let told = scene.tell(&[&message[..], &attributes].concat());
    let (topic, event) = scene.published.pop().unwrap();
    assert!(told.contains(&format!("<MessageId>{}</MessageId>", event.id)) && event.id == Id(7), "{told}");
    assert_eq!((topic.as_str(), event.subject.as_deref(), event.source.as_str()), ("orders", Some("S"), TOPIC));
    assert_eq!(event.content_type.as_deref(), Some("application/json"));
    assert_eq!(event.extensions["motesnsfiltered"], json!({ "n": 7.5, "l": ["a", 1] }));
    assert!(event.extensions["motesnsattributes"].as_str().unwrap().contains(r#""StringValue":"7.5""#));
    scene.tell(&[("Action", "Publish"), ("TargetArn", TOPIC), ("MessageStructure", "json"), ("Message", r#"{"default":"d","email":"e"}"#)]);
    assert_eq!(scene.published.pop().unwrap().1.body.as_bytes().unwrap(), "d");
    let long = "x".repeat((256 << 10) + 1);
    for wrong in [
        &[("Message", "")][..],
        &[("Message", &*long)],
        &[("Message", "m"), ("MessageGroupId", "g")],
        &[("Message", "m"), ("Subject", "a\nb")],
        &[("Message", r#"{"default":"d","sqs":"e"}"#), ("MessageStructure", "json")],
        &[("Message", "m"), ("MessageAttributes.entry.1.Name", "n"), ("MessageAttributes.entry.1.Value.DataType", "Number")],
        &[("Message", "m"), ("PhoneNumber", "1")],
    ] {
        scene.refused(&[&[("Action", "Publish"), ("TopicArn", TOPIC)], wrong].concat(), "InvalidParameter");
    }
    assert!(scene.published.is_empty());
}

#[test]
fn of_a_batch_each_message_counts_by_itself() {
    let mut scene = Scene::default();
    let batch = |entries: &[(&'static str, &'static str)]| {
        let mut form = vec![("Action".to_owned(), "PublishBatch".to_owned()), ("TopicArn".to_owned(), TOPIC.to_owned())];
        for (number, (id, message)) in entries.iter().enumerate() {
            let field = |name: &str| format!("PublishBatchRequestEntries.member.{}.{name}", number + 1);
            form.extend([(field("Id"), id.to_string()), (field("Message"), message.to_string())]);
        }
        form
    };
    let mut send = |entries: &[(&'static str, &'static str)]| {
        let form = batch(entries);
        scene.ask(&form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>()).text
    };
    let told = send(&[("a", "1"), ("b", ""), ("c", "3")]);
    assert!(
        told.contains("<Successful><member><Id>a</Id>") && told.contains("<Failed><member><Code>InvalidParameter</Code><Id>b</Id>"),
        "{told}"
    );
    assert!(send(&[]).contains("EmptyBatchRequest"));
    assert!(send(&[("a", "1"), ("a", "2")]).contains("BatchEntryIdsNotDistinct"));
    assert!(send(&[("a", "1"); 11]).contains("TooManyEntriesInBatchRequest"));
    let (one, other) = (&scene.published[0].1, &scene.published[1].1);
    assert!(scene.published.len() == 2 && one.id != other.id);
    assert_eq!(other.body.as_bytes().unwrap(), "3");
}
