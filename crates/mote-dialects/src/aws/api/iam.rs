//! IAM, as far as deploying needs it: a role is a name that a function carries.
//!
//! mote judges callers by its own tokens and gives functions the rights of their namespace, so a role
//! grants nothing and none is kept: every name is a role that is there. What would promise more (users,
//! groups, access keys) is refused by name.

use mote_core::clock::Timestamp;
use mote_core::dialect::Turn;

use super::wire::{self, Protocol, Refusal};
use super::{Ask, field};

const XMLNS: &str = "https://iam.amazonaws.com/doc/2010-05-08/";
const NAME_BYTES_MAX: usize = 64;
/// Roles have been there from the beginning.
const SINCE: Timestamp = Timestamp(0);

pub(super) fn answer(ask: &Ask) -> Turn {
    let form = ask.form();
    let (action, role) = (field(&form, "Action"), field(&form, "RoleName"));
    let refuse = |refusal: Refusal| Turn::Answer(wire::refuse(Protocol::Query, &refusal, ask.stamp.id));
    let answer = |result: &str| Turn::Answer(wire::query(XMLNS, action, result, ask.stamp.id));
    match action {
        "CreateRole"
        | "GetRole"
        | "AttachRolePolicy"
        | "DetachRolePolicy"
        | "PutRolePolicy"
        | "DeleteRolePolicy"
        | "DeleteRole"
        | "ListAttachedRolePolicies"
        | "ListRolePolicies"
        | "UpdateAssumeRolePolicy" => {}
        other => return refuse(Refusal::unknown_action(other)),
    }
    let sound = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b);
    if role.is_empty() || role.len() > NAME_BYTES_MAX || !role.bytes().all(sound) {
        let message = format!("RoleName {:?} must be 1 to {NAME_BYTES_MAX} of the characters a-zA-Z0-9+=,.@_-", cut(role));
        return refuse(Refusal::new(http::StatusCode::BAD_REQUEST, "ValidationError", message));
    }
    match action {
        "CreateRole" | "GetRole" => answer(&format!("<Role>{}</Role>", described(ask, role, field(&form, "AssumeRolePolicyDocument")))),
        "ListAttachedRolePolicies" => answer("<AttachedPolicies/><IsTruncated>false</IsTruncated>"),
        "ListRolePolicies" => answer("<PolicyNames/><IsTruncated>false</IsTruncated>"),
        _ => answer(""),
    }
}

fn described(ask: &Ask, role: &str, policy: &str) -> String {
    let account = ask.account.of(&ask.namespace);
    let policy = match policy {
        "" => r#"{"Version":"2012-10-17","Statement":[]}"#,
        policy => policy,
    };
    let policy = percent_encoding::utf8_percent_encode(policy, percent_encoding::NON_ALPHANUMERIC);
    format!(
        "<Path>/</Path><RoleName>{role}</RoleName><RoleId>AROA{:A<16}</RoleId><Arn>arn:aws:iam::{account}:role/{role}</Arn>\
         <CreateDate>{}</CreateDate><AssumeRolePolicyDocument>{policy}</AssumeRolePolicyDocument>",
        role.to_ascii_uppercase().bytes().filter(u8::is_ascii_alphanumeric).map(char::from).take(16).collect::<String>(),
        SINCE.rfc3339(),
    )
}

fn cut(text: &str) -> String {
    text.chars().take(NAME_BYTES_MAX).collect()
}
