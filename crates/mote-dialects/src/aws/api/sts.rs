//! STS: who am I? Deploy tools ask before they do anything.

use mote_core::dialect::Turn;

use super::wire::{self, Protocol, Refusal};
use super::{Ask, field};

const XMLNS: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

pub(super) fn answer(ask: &Ask) -> Turn {
    let form = ask.form();
    let action = field(&form, "Action");
    let response = match action {
        "GetCallerIdentity" => {
            let account = ask.account.of(&ask.namespace);
            // `token shop/ci` is a user's name in no ARN.
            let name: String = ask.caller.chars().map(|c| if c.is_ascii_alphanumeric() || "/-_".contains(c) { c } else { '-' }).collect();
            let result = format!(
                "<Arn>arn:aws:iam::{account}:user/{name}</Arn><UserId>{}</UserId><Account>{account}</Account>",
                wire::escape(&ask.caller)
            );
            wire::query(XMLNS, action, &result, ask.stamp.id)
        }
        other => wire::refuse(Protocol::Query, &Refusal::unknown_action(other), ask.stamp.id),
    };
    Turn::Answer(response)
}
