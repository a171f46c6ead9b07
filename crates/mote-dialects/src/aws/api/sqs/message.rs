//! A message in SQS's words: typed attributes, and the digests by which clients see that nothing changed.
//!
//! Text attributes are mote's own, so every receiver reads them. What has no place there (the type of
//! each, binary values, the deduplication id) goes along in one attribute of ours, [`TYPED`].

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use mote_core::clock::Id;
use mote_core::queues::message::{NewMessage, Received};
use serde_json::{Map, Value, json};

use super::super::wire::Refusal;
use super::{invalid, missing, number, strings};
use crate::aws::envelope::sqs::{TYPED, Worded, sequence};

/// Of a body with its attributes, and of a batch.
pub(super) const BYTES_MAX: usize = 1 << 20;
const ATTRIBUTES_MAX: usize = 10;
const DELAY_MAX_S: u64 = 900;

/// The digests of what was sent.
pub(super) struct Sums {
    body: String,
    attributes: Option<String>,
}

pub(super) fn read(input: &Value) -> Result<(NewMessage, Sums), Refusal> {
    let body = input["MessageBody"].as_str().ok_or_else(|| missing("MessageBody"))?;
    if body.is_empty() {
        return Err(invalid("MissingParameter", "The request must contain the parameter MessageBody."));
    }
    let sound = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    if !body.chars().all(sound) {
        return Err(invalid(
            "InvalidMessageContents",
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
        ));
    }
    let typed = input["MessageAttributes"].as_object().cloned().unwrap_or_default();
    let values = values(&typed)?;
    let size = body.len() + values.iter().map(|(name, value)| name.len() + value.kind.len() + value.bytes.len()).sum::<usize>();
    if size > BYTES_MAX {
        let text = format!("One or more parameters are invalid. Reason: Message must be shorter than {BYTES_MAX} bytes.");
        return Err(invalid("InvalidParameterValue", text));
    }
    let text = |name: &str| input[name].as_str().map(str::to_owned);
    let (group, key) = (text("MessageGroupId"), text("MessageDeduplicationId"));
    let mut attributes: BTreeMap<String, String> = BTreeMap::new();
    let mut own = Map::new();
    for (name, value) in &values {
        if let Ok(text) = std::str::from_utf8(&value.bytes).map(str::to_owned)
            && !value.is_binary()
        {
            attributes.insert(name.clone(), text);
        }
    }
    if !typed.is_empty() {
        own.insert("attributes".to_owned(), typed.into());
    }
    if let Some(key) = &key {
        own.insert("dedup".to_owned(), key.clone().into());
    }
    if !own.is_empty() {
        attributes.insert(TYPED.to_owned(), Value::from(own).to_string());
    }
    let delay = number(input, "DelaySeconds", 0..=DELAY_MAX_S)?.map(Duration::from_secs);
    let sums = Sums { body: hex(&Md5::digest(body)), attributes: sum(&values) };
    Ok((NewMessage { body: body.to_owned().into(), attributes, delay, group, key, ..NewMessage::default() }, sums))
}

/// An attribute's value, as it goes over the wire.
struct Typed {
    kind: String,
    bytes: Vec<u8>,
}

impl Typed {
    fn is_binary(&self) -> bool {
        self.kind.split('.').next() == Some("Binary")
    }
}

fn values(typed: &Map<String, Value>) -> Result<Vec<(String, Typed)>, Refusal> {
    if typed.len() > ATTRIBUTES_MAX {
        let text = format!("Number of message attributes [{}] exceeds the allowed maximum [{ATTRIBUTES_MAX}].", typed.len());
        return Err(invalid("InvalidParameterValue", text));
    }
    // By name, as the digest wants them.
    let mut values = Vec::with_capacity(typed.len());
    for (name, value) in typed {
        let kind = value["DataType"].as_str().unwrap_or_default();
        let wrong = |why: &str| invalid("InvalidParameterValue", format!("The message attribute '{}' {why}.", shown(name)));
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if name.is_empty() || name.len() > 256 || !name.bytes().all(plain) {
            return Err(wrong("has a name that is not allowed"));
        }
        let bytes = match kind.split('.').next().unwrap_or_default() {
            "String" | "Number" => value["StringValue"].as_str().map(|text| text.as_bytes().to_vec()),
            "Binary" => value["BinaryValue"].as_str().and_then(|text| STANDARD.decode(text).ok()),
            _ => {
                return Err(wrong(
                    "has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String",
                ));
            }
        };
        let bytes = bytes.filter(|bytes| !bytes.is_empty()).ok_or_else(|| wrong("must contain a non-empty value of its type"))?;
        values.push((name.clone(), Typed { kind: kind.to_owned(), bytes }));
    }
    values.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(values)
}

fn shown(name: &str) -> String {
    name.chars().take(100).collect()
}

/// The digest of attributes in the order of their names: each name, type and value with its length
/// before it, and before the value a mark that says whether it is binary.
fn sum(values: &[(String, Typed)]) -> Option<String> {
    let mut digest = Md5::new();
    for (name, value) in values {
        let mark: &[u8] = if value.is_binary() { &[2] } else { &[1] };
        for (mark, part) in [(&[][..], name.as_bytes()), (&[][..], value.kind.as_bytes()), (mark, &value.bytes)] {
            digest.update(mark);
            digest.update((part.len() as u32).to_be_bytes());
            digest.update(part);
        }
    }
    (!values.is_empty()).then(|| hex(&digest.finalize()))
}

pub(super) fn sent(id: Id, sums: &Sums, fifo: bool) -> Value {
    let mut told = json!({ "MessageId": id.to_string(), "MD5OfMessageBody": sums.body });
    if let Some(sum) = &sums.attributes {
        told["MD5OfMessageAttributes"] = sum.as_str().into();
    }
    if fifo {
        told["SequenceNumber"] = sequence(id).into();
    }
    told
}

/// What a receiver wants to see beside the body.
pub(super) struct Shown {
    system: Vec<String>,
    own: Vec<String>,
    account: String,
}

impl Shown {
    pub(super) fn of(input: &Value, account: &str) -> Shown {
        let mut system = strings(&input["AttributeNames"]);
        system.extend(strings(&input["MessageSystemAttributeNames"]));
        Shown { system, own: strings(&input["MessageAttributeNames"]), account: account.to_owned() }
    }

    fn wants(&self, name: &str) -> bool {
        self.own.iter().any(|wanted| {
            let prefix = wanted.strip_suffix(".*").or_else(|| wanted.strip_suffix('*'));
            wanted == "All" || wanted == name || prefix.is_some_and(|prefix| name.starts_with(prefix))
        })
    }
}

pub(super) fn received(received: &Received, shown: &Shown) -> Value {
    let worded = Worded::of(received, shown.account.clone());
    let mut told = json!({
        "MessageId": received.id,
        "ReceiptHandle": received.receipt,
        "MD5OfBody": worded.md5_of_body(),
        "Body": worded.body,
    });
    let wanted = |name: &str| shown.system.iter().any(|one| one == "All" || one == name);
    let system: Map<String, Value> =
        worded.system.into_iter().filter(|(name, _)| wanted(name)).map(|(name, text)| (name.to_owned(), text.into())).collect();
    if !system.is_empty() {
        told["Attributes"] = system.into();
    }
    let mut typed = worded.typed;
    typed.retain(|name, _| shown.wants(name));
    if let (false, Ok(values)) = (typed.is_empty(), values(&typed)) {
        told["MD5OfMessageAttributes"] = sum(&values).into();
        told["MessageAttributes"] = typed.into();
    }
    told
}

fn hex(bytes: &[u8]) -> String {
    mote_core::access::sigv4::hex(bytes)
}
