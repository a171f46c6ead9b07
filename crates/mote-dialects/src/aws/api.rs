//! The aws door: which service a request is for, who has sent it, and what that service makes of it.
//!
//! One endpoint for every AWS client, as the tools for local work have it. A request is routed by the
//! service that its signature names, else by its target, else by its path; S3's are another's
//! ([`Parsed::NotMine`]). Who is not on this machine must name a key that is known; who comes out of a
//! jail is known by his connection. Then the body is read whole, since a signature covers it, the
//! caller's namespace is asked for, and the service takes over with an [`Ask`].

mod buckets;
mod events;
mod gateway;
mod iam;
pub(super) mod lambda;
mod logs;
mod scheduler;
pub(super) mod sender;
mod sns;
mod sqs;
mod sts;
mod target;
pub(super) mod wire;

pub(super) use self::buckets::changes as changes_of;
pub(super) use self::sns::subscription_id;
pub(super) use self::sqs::queue_settings;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Uri, header};
use mote_core::access::Credential;
use mote_core::access::sigv4::{Claim, query_pairs};
use mote_core::action::{Action, Done};
use mote_core::clock::Id;
use mote_core::dialect::{Parsed, Request, Response, Stamp, Turn};
use mote_core::engine::Depth;
use mote_core::function::Name;
use mote_core::{Body, Code, Error, Result};

use super::Keys;
use super::arn::{self, Account, REGION};
use crate::depth;
use sender::Proof;
use wire::{Protocol, Refusal};

const TARGET: &str = "x-amz-target";
/// What services of small requests read.
const BODY_BYTES_MAX: u64 = 8 << 20;

/// The services that are answered here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    /// What of S3 is answered here: whom a bucket tells of its objects.
    Buckets,
    Events,
    Gateway,
    Iam,
    Lambda,
    Logs,
    Scheduler,
    Sns,
    Sqs,
    Sts,
    /// One that mote has nothing of, by the name in its clients' signatures.
    Unknown,
}

impl Service {
    /// `None`: S3.
    fn of(claim: Option<&Claim>, headers: &HeaderMap, uri: &Uri) -> Option<Service> {
        match claim.map(|claim| claim.service.as_str()) {
            None if headers.contains_key(TARGET) => Some(Service::of_target(headers)),
            None if lambda::is_path(uri.path()) => Some(Service::Lambda),
            Some("s3") | None => buckets::is_one(uri).then_some(Service::Buckets),
            Some("apigateway") => Some(Service::Gateway),
            Some("events") => Some(Service::Events),
            Some("iam") => Some(Service::Iam),
            Some("lambda") => Some(Service::Lambda),
            Some("logs") => Some(Service::Logs),
            Some("scheduler") => Some(Service::Scheduler),
            Some("sns") => Some(Service::Sns),
            Some("sqs") => Some(Service::Sqs),
            Some("sts") => Some(Service::Sts),
            Some(_) => Some(Service::Unknown),
        }
    }

    /// As an unsigned request names it: `AmazonSQS.ListQueues`.
    fn of_target(headers: &HeaderMap) -> Service {
        let target = headers.get(TARGET).and_then(|target| target.to_str().ok()).unwrap_or_default();
        match target.split('.').next() {
            Some("AmazonSQS") => Service::Sqs,
            Some("AWSEvents") => Service::Events,
            Some("Logs_20140328") => Service::Logs,
            _ => Service::Unknown,
        }
    }

    fn body_bytes_max(self, method: &Method, path: &str) -> u64 {
        match self {
            Service::Lambda if lambda::takes_code(method, path) => lambda::CODE_BYTES_MAX,
            _ => BODY_BYTES_MAX,
        }
    }

    fn protocol(self, headers: &HeaderMap) -> Protocol {
        match self {
            Service::Buckets => Protocol::Rest,
            Service::Iam | Service::Sns | Service::Sts => Protocol::Query,
            Service::Events | Service::Gateway | Service::Lambda | Service::Logs | Service::Scheduler => Protocol::Json,
            // SQS speaks both; who asks for what is not here would choke on the other one, and never show what it was told.
            Service::Sqs | Service::Unknown => wire::spoken(headers),
        }
    }

    fn answer(self, ask: Ask) -> Turn {
        match self {
            Service::Buckets => buckets::answer(ask),
            Service::Events => events::answer(ask),
            Service::Gateway => gateway::answer(ask),
            Service::Iam => iam::answer(&ask),
            Service::Lambda => lambda::answer(ask),
            Service::Logs => logs::answer(ask),
            Service::Scheduler => scheduler::answer(ask),
            Service::Sns => sns::answer(ask),
            Service::Sqs => sqs::answer(ask),
            Service::Sts => sts::answer(&ask),
            Service::Unknown => Turn::Answer(wire::refuse(self.protocol(&ask.headers), &Refusal::unknown_service(), ask.stamp.id)),
        }
    }
}

/// Of a form; the largest request has ten messages with ten attributes of three.
const FIELDS_MAX: usize = 1000;

/// A request whose sender is known, to the service that it is for.
struct Ask {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    who: Credential,
    /// As the audit knows the sender.
    caller: String,
    namespace: Name,
    region: String,
    account: Account,
    stamp: Stamp,
}

impl Ask {
    /// The fields of a request of the Query protocol, in its body or in its address.
    fn form(&self) -> Vec<(String, String)> {
        let mut fields: Vec<(String, String)> = form_urlencoded::parse(&self.body).into_owned().take(FIELDS_MAX).collect();
        fields.extend(query_pairs(&self.uri).unwrap_or_default());
        fields.truncate(FIELDS_MAX);
        fields
    }
}

/// A field of a form; one that is not there is as good as empty.
fn field<'f>(form: &'f [(String, String)], name: &str) -> &'f str {
    form.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
}

pub(super) fn parse(request: Request, stamp: &Stamp, account: &Account, keys: Keys) -> Parsed {
    let Some((service, claim)) = asked_for(&request) else { return Parsed::NotMine(request) };
    let asked = Asked::of(service, claim, request, stamp, account);
    let Asked { parts, claim, refused, .. } = &asked;
    if sender::is_local(keys, &parts.uri, &parts.headers, stamp) && !sender::is_a_browsers(&parts.headers) {
        return Parsed::Turn(asked.read(Proof::Local));
    }
    let Some(claim) = claim else {
        return Parsed::Turn(refused.turn(&Error::new(Code::CredentialMissing, "the request is not signed")));
    };
    // Nobody else's body is worth its room.
    Parsed::Turn(Turn::act(Credential::AccessKey(claim.key_id.clone()), Action::WhoAmI, move |known| match known {
        Ok(_) => asked.read(Proof::Signature),
        Err(error) => asked.refused.turn(&error),
    }))
}

/// The same out of a jail. Whatever key a client in there signs with, it is the namespace's code.
pub(super) fn inside(request: Request, stamp: &Stamp, account: &Account, namespace: &Name, depth: &Depth) -> Parsed {
    let Some((service, claim)) = asked_for(&request) else { return Parsed::NotMine(request) };
    let asked = Asked::of(service, claim, request, stamp, account);
    Parsed::Turn(depth::turns(asked.read(Proof::Inside(namespace.clone())), depth.clone()))
}

/// Which service, and by whose word. `None`: it is S3's.
fn asked_for(request: &Request) -> Option<(Service, Option<Claim>)> {
    // S3 has a word for each way to sign badly, and its clients are the most.
    let claim = Claim::read((request.method(), request.uri(), request.headers()).into()).ok()?;
    Some((Service::of(claim.as_ref(), request.headers(), request.uri())?, claim))
}

/// A request of one of the services, whose body has not been read.
struct Asked {
    service: Service,
    claim: Option<Claim>,
    parts: Parts,
    body: Body,
    stamp: Stamp,
    account: Account,
    refused: Refused,
}

impl Asked {
    fn of(service: Service, claim: Option<Claim>, request: Request, stamp: &Stamp, account: &Account) -> Asked {
        let (parts, body) = request.into_parts();
        let (stamp, account) = (stamp.clone(), account.clone());
        let refused = Refused { service, protocol: service.protocol(&parts.headers), id: stamp.id };
        Asked { service, claim, parts, body, stamp, account, refused }
    }

    fn read(self, proof: Proof) -> Turn {
        let Asked { service, claim, parts, body, stamp, account, refused } = self;
        // Code in a function deploys none.
        let bytes_max = match proof {
            Proof::Inside(_) => BODY_BYTES_MAX,
            Proof::Local | Proof::Signature => service.body_bytes_max(&parts.method, parts.uri.path()),
        };
        Turn::read(body, bytes_max, move |read| {
            let body = match read {
                Ok(body) => body,
                Err(error) => return refused.turn(&error),
            };
            let region = region(claim.as_ref(), &parts.headers);
            let who = proof.credential(claim, &parts, &body);
            Turn::act(who.clone(), Action::WhoAmI, move |known| match known {
                Ok(Done::Caller(caller)) => {
                    let (method, uri, headers) = (parts.method, parts.uri, parts.headers);
                    let ask =
                        Ask { method, uri, headers, body, who, caller: caller.name, namespace: caller.namespace, region, account, stamp };
                    service.answer(ask)
                }
                Ok(_) => refused.turn(&Error::internal("nobody said who the caller is")),
                Err(error) => refused.turn(&error),
            })
        })
    }
}

/// That of the signature; a request without one may still say it beside its client's name.
fn region(claim: Option<&Claim>, headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let told = agent.split([' ', ';']).find_map(|part| part.strip_prefix("region/"));
    let sound = |region: &&str| !region.is_empty() && region.len() <= 32 && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    claim.map(|claim| claim.region.as_str()).or(told).filter(sound).unwrap_or(REGION).to_owned()
}

/// Who never reaches the service that he asks for, in that service's words.
#[derive(Clone, Copy)]
struct Refused {
    service: Service,
    protocol: Protocol,
    id: Id,
}

impl Refused {
    fn turn(self, error: &Error) -> Turn {
        let mut refusal = Refusal::of(self.protocol, error);
        if self.service == Service::Lambda && error.code() == Code::BodyTooLarge {
            refusal.code = lambda::TOO_LARGE;
        }
        Turn::Answer(wire::refuse(self.protocol, &refusal, self.id))
    }
}

/// Of what could not be read at all, or went wrong on the way to a service.
pub(super) fn render(result: Result<Done>) -> Response {
    let error = result.err().unwrap_or_else(|| Error::internal("an answer that no service has worded"));
    wire::refuse(Protocol::Json, &Refusal::of(Protocol::Json, &error), Id(0))
}

#[cfg(test)]
mod play;
#[cfg(test)]
mod tests;
