//! The aws door: which service a request is for, who has sent it, and what that service makes of it.
//!
//! One endpoint for every AWS client, as the tools for local work have it. A request is routed by the
//! service that its signature names, else by its target, else by its path; S3's are another's
//! ([`Parsed::NotMine`]). Then the body is read whole, since a signature covers it, the caller's
//! namespace is asked for, and the service takes over with an [`Ask`].

mod iam;
pub(super) mod lambda;
pub(super) mod sender;
mod sqs;
mod sts;
mod wire;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, header};
use mote_core::access::Credential;
use mote_core::access::sigv4::{Claim, query_pairs};
use mote_core::action::{Action, Done};
use mote_core::dialect::{Parsed, Request, Response, Stamp, Turn};
use mote_core::function::Name;
use mote_core::{Error, Result};

use super::Keys;
use super::arn::{Account, REGION};
use wire::{Protocol, Refusal};

/// What services of small requests read.
const BODY_BYTES_MAX: u64 = 8 << 20;

/// The services that are answered here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Iam,
    Lambda,
    Sqs,
    Sts,
    /// One that mote has nothing of, by the name in its clients' signatures.
    Unknown,
}

impl Service {
    /// `None`: S3.
    fn of(claim: Option<&Claim>, path: &str) -> Option<Service> {
        match claim.map(|claim| claim.service.as_str()) {
            None if lambda::is_path(path) => Some(Service::Lambda),
            Some("s3") | None => None,
            Some("iam") => Some(Service::Iam),
            Some("lambda") => Some(Service::Lambda),
            Some("sqs") => Some(Service::Sqs),
            Some("sts") => Some(Service::Sts),
            Some(_) => Some(Service::Unknown),
        }
    }

    fn body_bytes_max(self) -> u64 {
        match self {
            Service::Lambda => lambda::BODY_BYTES_MAX,
            Service::Iam | Service::Sqs | Service::Sts | Service::Unknown => BODY_BYTES_MAX,
        }
    }

    fn protocol(self) -> Protocol {
        match self {
            Service::Iam | Service::Sts => Protocol::Query,
            Service::Lambda | Service::Sqs | Service::Unknown => Protocol::Json,
        }
    }

    fn answer(self, ask: Ask) -> Turn {
        match self {
            Service::Iam => iam::answer(&ask),
            Service::Lambda => lambda::answer(ask),
            Service::Sqs => sqs::answer(ask),
            Service::Sts => sts::answer(&ask),
            Service::Unknown => Turn::Answer(wire::refuse(self.protocol(), &Refusal::unknown_service(), ask.stamp.id)),
        }
    }
}

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
        let mut fields: Vec<(String, String)> = form_urlencoded::parse(&self.body).into_owned().collect();
        fields.extend(query_pairs(&self.uri).unwrap_or_default());
        fields
    }
}

/// A field of a form; one that is not there is as good as empty.
fn field<'f>(form: &'f [(String, String)], name: &str) -> &'f str {
    form.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
}

pub(super) fn parse(request: Request, stamp: &Stamp, account: &Account, keys: Keys) -> Parsed {
    let claim = match Claim::read((request.method(), request.uri(), request.headers()).into()) {
        Ok(claim) => claim,
        // S3 has a word for each way to sign badly, and its clients are the most.
        Err(_) => return Parsed::NotMine(request),
    };
    let Some(service) = Service::of(claim.as_ref(), request.uri().path()) else { return Parsed::NotMine(request) };
    let (parts, body) = request.into_parts();
    let local = sender::is_local(keys, &parts.uri, &parts.headers, stamp);
    let (stamp, account) = (stamp.clone(), account.clone());
    let read = Turn::read(body, service.body_bytes_max(), move |read| {
        let body = match read {
            Ok(body) => body,
            Err(error) => return refuse(service, &error, &stamp),
        };
        let region = region(claim.as_ref(), &parts.headers);
        let who = sender::credential(claim, &parts, &body, local);
        Turn::act(who.clone(), Action::WhoAmI, move |known| match known {
            Ok(Done::Caller(caller)) => {
                let (method, uri, headers) = (parts.method, parts.uri, parts.headers);
                let ask = Ask { method, uri, headers, body, who, caller: caller.name, namespace: caller.namespace, region, account, stamp };
                service.answer(ask)
            }
            Ok(_) => refuse(service, &Error::internal("nobody said who the caller is"), &stamp),
            Err(error) => refuse(service, &error, &stamp),
        })
    });
    Parsed::Turn(read)
}

/// That of the signature; a request without one may still say it beside its client's name.
fn region(claim: Option<&Claim>, headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let told = agent.split([' ', ';']).find_map(|part| part.strip_prefix("region/"));
    let sound = |region: &&str| !region.is_empty() && region.len() <= 32 && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    claim.map(|claim| claim.region.as_str()).or(told).filter(sound).unwrap_or(REGION).to_owned()
}

fn refuse(service: Service, error: &Error, stamp: &Stamp) -> Turn {
    Turn::Answer(wire::refuse(service.protocol(), &Refusal::of(error), stamp.id))
}

/// Of what could not be read at all, or went wrong on the way to a service.
pub(super) fn render(result: Result<Done>) -> Response {
    let error = result.err().unwrap_or_else(|| Error::internal("an answer that no service has worded"));
    wire::refuse(Protocol::Json, &Refusal::of(&error), mote_core::clock::Id(0))
}

#[cfg(test)]
mod tests;
