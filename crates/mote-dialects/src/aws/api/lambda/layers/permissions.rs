//! Who else may have a version of a layer: statements that are kept and told, word for word.
//!
//! They lie with what is said of the version, and go with it. Nobody judges them: a layer is its
//! namespace's, and functions of another one have layers of their own.

use http::StatusCode;
use mote_core::dialect::Turn;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::shelf::{self, Said, Version};
use crate::aws::api::Ask;
use crate::aws::api::lambda::fault::Fault;
use crate::aws::api::lambda::policy::{self, revision_of, sid};
use crate::aws::api::lambda::{bare, query, read, refuse, tell};

/// Among what is said of a version.
pub(super) const POLICY: &str = "Policy";
const ACTION: &str = "lambda:GetLayerVersion";
const PRINCIPAL_PATTERN: &str = r"Member must satisfy regular expression pattern: \d{12}|\*|arn:(aws[a-zA-Z-]*):iam::\d{12}:root";
const ORGANIZATION_PATTERN: &str = "Member must satisfy regular expression pattern: o-[a-z0-9]{10,32}";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Permission {
    statement_id: String,
    action: String,
    principal: String,
    organization_id: Option<String>,
}

impl Permission {
    fn check(&self) -> Result<(), Fault> {
        policy::check_sid(&self.statement_id)?;
        if self.action != ACTION {
            let pattern = format!("Member must satisfy regular expression pattern: {ACTION}");
            return Err(Fault::constraint(&self.action, "action", pattern));
        }
        if self.principal != "*" && account(&self.principal).is_none() {
            return Err(Fault::constraint(&self.principal, "principal", PRINCIPAL_PATTERN));
        }
        match self.organization_id.as_deref() {
            Some(id) if !is_organization(id) => Err(Fault::constraint(id, "organizationId", ORGANIZATION_PATTERN)),
            _ => Ok(()),
        }
    }

    fn statement(&self, version: &Version, ask: &Ask) -> Value {
        let principal = match (self.principal.as_str(), account(&self.principal)) {
            (number, Some(account)) if number == account => json!({ "AWS": format!("arn:aws:iam::{account}:root") }),
            (arn, Some(_)) => json!({ "AWS": arn }),
            (everybody, None) => json!(everybody),
        };
        let mut statement = json!({
            "Sid": self.statement_id, "Effect": "Allow", "Principal": principal, "Action": ACTION, "Resource": version.arn(ask),
        });
        if let (Some(id), Some(statement)) = (&self.organization_id, statement.as_object_mut()) {
            statement.insert("Condition".into(), json!({ "StringEquals": { "aws:PrincipalOrgID": id } }));
        }
        statement
    }
}

/// The number in a principal that is an account.
fn account(principal: &str) -> Option<&str> {
    let parts: Vec<&str> = principal.split(':').collect();
    let number = match parts.as_slice() {
        [number] => *number,
        ["arn", partition, "iam", "", number, "root"] if partition.starts_with("aws") => *number,
        _ => return None,
    };
    (number.len() == 12 && number.bytes().all(|b| b.is_ascii_digit())).then_some(number)
}

fn is_organization(id: &str) -> bool {
    let sound = |id: &str| (10..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    id.strip_prefix("o-").is_some_and(sound)
}

pub(in crate::aws::api::lambda) fn add(ask: Ask, name: &str, number: &str) -> Result<Turn, Fault> {
    let permission: Permission = read(&ask.body)?;
    permission.check()?;
    Ok(changed(ask, Version::read(name, number)?, move |ask, version, statements| {
        if statements.iter().any(|statement| sid(statement) == permission.statement_id) {
            return Err(policy::sid_is_taken(&permission.statement_id));
        }
        let statement = permission.statement(version, ask);
        let told = statement.to_string();
        statements.push(statement);
        policy::check_size(statements)?;
        let answer = json!({ "Statement": told, "RevisionId": revision_of(statements) });
        Ok(Box::new(move |ask| tell(StatusCode::CREATED, &answer, ask.stamp.id)))
    }))
}

pub(in crate::aws::api::lambda) fn remove(ask: Ask, name: &str, number: &str, wanted: &str) -> Result<Turn, Fault> {
    let wanted = wanted.to_owned();
    Ok(changed(ask, Version::read(name, number)?, move |_, _, statements| {
        let before = statements.len();
        statements.retain(|statement| sid(statement) != wanted);
        match statements.len() < before {
            true => Ok(Box::new(|ask| Turn::Answer(bare(StatusCode::NO_CONTENT, ask.stamp.id)))),
            false if before == 0 => Err(no_policy()),
            false => Err(policy::no_sid(&wanted)),
        }
    }))
}

pub(in crate::aws::api::lambda) fn get(ask: Ask, name: &str, number: &str) -> Result<Turn, Fault> {
    Ok(shelf::about(ask, Version::read(name, number)?, |ask, version, said| match said {
        Some(said) => match statements(&said.about) {
            none if none.is_empty() => refuse(&no_policy(), ask.stamp.id),
            statements => tell(StatusCode::OK, &policy::told(&statements), ask.stamp.id),
        },
        None => refuse(&no_version(&version, &ask), ask.stamp.id),
    }))
}

type Answer = Box<dyn FnOnce(Ask) -> Turn + Send>;

/// Changes what was seen, and nothing that somebody else has said meanwhile.
fn changed(
    ask: Ask,
    version: Version,
    change: impl FnOnce(&Ask, &Version, &mut Vec<Value>) -> Result<Answer, Fault> + Send + 'static,
) -> Turn {
    shelf::about(ask, version, |ask, version, said| {
        let id = ask.stamp.id;
        let Some(Said { mut about, etag }) = said else { return refuse(&no_version(&version, &ask), id) };
        let mut statements = statements(&about);
        if query(&ask, "RevisionId").is_some_and(|revision| revision != revision_of(&statements)) {
            return refuse(&outdated(), id);
        }
        match change(&ask, &version, &mut statements) {
            Ok(answer) => {
                about.insert(POLICY.into(), statements.into());
                shelf::say(ask, version, about, Some(etag), |ask, _, _| answer(ask))
            }
            Err(fault) => refuse(&fault, id),
        }
    })
}

fn statements(about: &Map<String, Value>) -> Vec<Value> {
    about.get(POLICY).and_then(Value::as_array).cloned().unwrap_or_default()
}

fn no_policy() -> Fault {
    Fault::missing("No policy is associated with the given resource.")
}

fn no_version(version: &Version, ask: &Ask) -> Fault {
    Fault::missing(format!("Layer version {} does not exist.", version.arn(ask)))
}

fn outdated() -> Fault {
    let message =
        "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy API to retrieve the latest Revision Id";
    Fault::new(StatusCode::PRECONDITION_FAILED, "PreconditionFailedException", message)
}
