//! STS: who am I, and may I be that role? Deploy tools ask before they do anything.
//!
//! A role grants nothing here ([`super::iam`]), so no key comes with one. Who needs no key of this
//! server's, as everybody on this machine in local mode, gets one that is as good as any other; who does
//! need one is refused, since it would be let in nowhere.

use std::time::Duration;

use http::StatusCode;
use mote_core::access::Credential;
use mote_core::dialect::Turn;

use super::wire::{self, Protocol, Refusal};
use super::{Ask, field};

const XMLNS: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const SESSION: Duration = Duration::from_secs(3600);
const NAME_BYTES_MAX: usize = 64;

pub(super) fn answer(ask: &Ask) -> Turn {
    let form = ask.form();
    let action = field(&form, "Action");
    let result = match action {
        "GetCallerIdentity" => Ok(caller(ask)),
        "AssumeRole" => assumed(ask, &form),
        other => Err(Refusal::unknown_action(other)),
    };
    Turn::Answer(match result {
        Ok(result) => wire::query(XMLNS, action, &result, ask.stamp.id),
        Err(refusal) => wire::refuse(Protocol::Query, &refusal, ask.stamp.id),
    })
}

fn caller(ask: &Ask) -> String {
    let account = ask.account.of(&ask.namespace);
    // `token shop/ci` is a user's name in no ARN.
    let name: String = ask.caller.chars().map(|c| if c.is_ascii_alphanumeric() || "/-_".contains(c) { c } else { '-' }).collect();
    format!("<Arn>arn:aws:iam::{account}:user/{name}</Arn><UserId>{}</UserId><Account>{account}</Account>", wire::escape(&ask.caller))
}

fn assumed(ask: &Ask, form: &[(String, String)]) -> Result<String, Refusal> {
    if !matches!(ask.who, Credential::Local { .. }) {
        let message = "mote has no sessions: a request is signed with an access key of the server's";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "AccessDenied", message));
    }
    let role = field(form, "RoleArn").rsplit_once("role/").map_or("", |(_, role)| role);
    let session = field(form, "RoleSessionName");
    for (name, value) in [("RoleArn", role), ("RoleSessionName", session)] {
        let sound = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_/-".contains(&b);
        if value.is_empty() || value.len() > NAME_BYTES_MAX || !value.bytes().all(sound) {
            let message = format!("{name} must name what it is by 1 to {NAME_BYTES_MAX} of the characters a-zA-Z0-9+=,.@_-");
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "ValidationError", message));
        }
    }
    let (account, until) = (ask.account.of(&ask.namespace), ask.stamp.time.plus(SESSION).rfc3339());
    Ok(format!(
        "<AssumedRoleUser><Arn>arn:aws:sts::{account}:assumed-role/{role}/{session}</Arn><AssumedRoleId>AROA:{session}</AssumedRoleId>\
         </AssumedRoleUser><Credentials><AccessKeyId>ASIALOCAL</AccessKeyId><SecretAccessKey>local</SecretAccessKey>\
         <SessionToken>local</SessionToken><Expiration>{until}</Expiration></Credentials>"
    ))
}
