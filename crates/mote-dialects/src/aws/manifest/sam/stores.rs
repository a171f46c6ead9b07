//! Buckets, queues and topics of a template.

use mote_core::access::Patch;
use mote_core::function::Name;
use serde_json::{Map, Value};

use super::super::bindings::told;
use super::super::finding::{Finding, Findings, Outcome};
use super::super::template::resources::Resource;
use super::super::template::{Props, Template};
use crate::aws::api::queue_settings;

const TAGS: (&str, &str) = ("Tags", "mote keeps none of a template");
const AT_REST: &str = "the disk's encryption is the machine's";
const RIGHTS: &str = "rights are those of mote's tokens";

const BUCKET_SILENT: [(&str, &str); 6] = [
    TAGS,
    ("BucketEncryption", AT_REST),
    ("PublicAccessBlockConfiguration", "no bucket is public"),
    ("OwnershipControls", RIGHTS),
    ("AccessControl", RIGHTS),
    ("LoggingConfiguration", "changes of buckets are in the audit"),
];

pub(super) fn bucket<'a>(template: &Template<'a>, resource: &Resource<'a>, found: &mut Findings) -> Outcome<String> {
    let props = Props::of(template, resource.at, resource.properties)?;
    props.expect("a bucket", &["BucketName"], &BUCKET_SILENT, found);
    let name = resource.name(template)?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let edges = name.bytes().next().is_some_and(plain) && name.bytes().next_back().is_some_and(plain);
    if !edges || !(3..=63).contains(&name.len()) || !name.bytes().all(|b| plain(b) || b == b'-' || b == b'.') || name.contains("..") {
        return Err(Finding::new(props.at, format!("{name:.80} is no bucket's name: 3 to 63 lower-case letters, digits, '-' and '.'")));
    }
    Ok(name.to_string())
}

const QUEUE: [&str; 8] = [
    "DelaySeconds",
    "VisibilityTimeout",
    "MessageRetentionPeriod",
    "MaximumMessageSize",
    "ReceiveMessageWaitTimeSeconds",
    "FifoQueue",
    "ContentBasedDeduplication",
    "RedriveAllowPolicy",
];
const QUEUE_SILENT: [(&str, &str); 4] =
    [TAGS, ("KmsMasterKeyId", AT_REST), ("KmsDataKeyReusePeriodSeconds", AT_REST), ("SqsManagedSseEnabled", AT_REST)];

/// Its attributes are those that SQS's own API has.
pub(super) fn queue<'a>(template: &Template<'a>, resource: &Resource<'a>, found: &mut Findings) -> Outcome<(Name, Patch)> {
    let props = Props::of(template, resource.at, resource.properties)?;
    props.expect("a queue", &[&QUEUE[..], &["QueueName", "RedrivePolicy"]].concat(), &QUEUE_SILENT, found);
    let (mut given, account) = (Map::new(), template.ground.account());
    for name in QUEUE.iter().chain(&["RedrivePolicy"]) {
        let Some(node) = props.get(name)? else { continue };
        let text = match node.as_text() {
            Some(text) => text.to_owned(),
            None => node.json().to_string(),
        };
        let one = Value::Object(Map::from_iter([((*name).to_owned(), text.clone().into())]));
        queue_settings(&one, &account).map_err(|why| Finding::new(node.at, why))?;
        given.insert((*name).to_owned(), text.into());
    }
    let mut name = resource.name(template)?.to_string();
    // AWS makes up a name with that ending.
    if given.get("FifoQueue").is_some_and(|fifo| fifo == "true") && props.raw("QueueName").is_none() {
        name.push_str(".fifo");
    }
    let patch = queue_settings(&given.into(), &account).map_err(|why| Finding::new(props.at, why))?;
    Ok((told(props.at, Name::new(&name))?, patch))
}

/// Made by being named; only what it says is judged.
pub(super) fn topic<'a>(template: &Template<'a>, resource: &Resource<'a>, found: &mut Findings) -> Outcome<()> {
    let props = Props::of(template, resource.at, resource.properties)?;
    props.expect("a topic", &["TopicName"], &[TAGS, ("DisplayName", "nobody is shown it"), ("KmsMasterKeyId", AT_REST)], found);
    told(props.at, Name::new(&resource.name(template)?)).map(drop)
}
