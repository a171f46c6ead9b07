//! Resource policies: which services and accounts may call a function.
//!
//! They are kept and told, word for word, since clients write and read them at each deploy. Who may
//! call a function here is judged by the caller's own key; what lies in one namespace may call what
//! lies in the same one, and nothing else may.

use http::StatusCode;
use mote_core::action::Description;
use mote_core::clock::Id;
use mote_core::dialect::Turn;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::code::outdated;
use super::fault::Fault;
use super::names::Address;
use super::{bare, describe, query, read, refuse, settings, tell};
use crate::aws::api::Ask;
use crate::aws::arn::{self, LATEST};

pub(super) const POLICIES: &str = "Policies";
/// Of one policy, as the service has it.
const POLICY_BYTES_MAX: usize = 20 << 10;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Permission {
    statement_id: String,
    action: String,
    principal: String,
    source_arn: Option<String>,
    source_account: Option<String>,
    event_source_token: Option<String>,
    function_url_auth_type: Option<String>,
    #[serde(rename = "PrincipalOrgID")]
    principal_org_id: Option<String>,
    revision_id: Option<String>,
}

pub(super) fn add(address: Address, ask: Ask) -> Result<Turn, Fault> {
    let permission: Permission = read(&ask.body)?;
    permission.check()?;
    Ok(describe(address, ask, move |address, ask, description| {
        let id = ask.stamp.id;
        let mut statements = statements(&description, &address);
        if permission.revision_id.as_ref().is_some_and(|revision| *revision != revision_of(&statements)) {
            return refuse(&outdated(), id);
        }
        if statements.iter().any(|statement| sid(statement) == permission.statement_id) {
            return refuse(&sid_is_taken(&permission.statement_id), id);
        }
        let resource = arn::of_function(&description.function, &ask.account, address.qualifier.as_ref().map(|q| q as _));
        let statement = permission.statement(&resource);
        let answer = json!({ "Statement": statement.to_string() });
        statements.push(statement);
        if let Err(fault) = check_size(&statements) {
            return refuse(&fault, id);
        }
        keep(address, ask, &description, statements, move |ask| tell(StatusCode::CREATED, &answer, ask.stamp.id))
    }))
}

impl Permission {
    fn check(&self) -> Result<(), Fault> {
        check_sid(&self.statement_id)?;
        if self.action != "*" && self.action.strip_prefix("lambda:").is_none_or(str::is_empty) {
            let pattern = r"Member must satisfy regular expression pattern: (lambda:[*]|lambda:[a-zA-Z]+|[*])";
            return Err(Fault::constraint(&self.action, "action", pattern));
        }
        if self.principal.is_empty() || self.principal.contains(char::is_whitespace) {
            return Err(Fault::constraint(&self.principal, "principal", r"Member must satisfy regular expression pattern: [^\s]+"));
        }
        Ok(())
    }

    fn statement(&self, resource: &str) -> Value {
        let account = self.principal.len() == 12 && self.principal.bytes().all(|b| b.is_ascii_digit());
        let principal = match self.principal.as_str() {
            "*" => json!("*"),
            service if service.ends_with(".amazonaws.com") || service.ends_with(".amazonaws.com.cn") => json!({ "Service": service }),
            number if account => json!({ "AWS": format!("arn:aws:iam::{number}:root") }),
            other => json!({ "AWS": other }),
        };
        let mut statement = json!({
            "Sid": self.statement_id, "Effect": "Allow", "Principal": principal, "Action": self.action, "Resource": resource,
        });
        let equals: Map<String, Value> = [
            ("AWS:SourceAccount", &self.source_account),
            ("lambda:EventSourceToken", &self.event_source_token),
            ("lambda:FunctionUrlAuthType", &self.function_url_auth_type),
            ("aws:PrincipalOrgID", &self.principal_org_id),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value.clone()?.into())))
        .collect();
        let mut condition = Map::new();
        if !equals.is_empty() {
            condition.insert("StringEquals".into(), equals.into());
        }
        if let Some(source) = &self.source_arn {
            condition.insert("ArnLike".into(), json!({ "AWS:SourceArn": source }));
        }
        if let (false, Some(statement)) = (condition.is_empty(), statement.as_object_mut()) {
            statement.insert("Condition".into(), condition.into());
        }
        statement
    }
}

pub(super) fn get(address: Address, ask: Ask) -> Result<Turn, Fault> {
    Ok(describe(address, ask, |address, ask, description| {
        let statements = statements(&description, &address);
        if statements.is_empty() {
            return refuse(&Fault::missing("The resource you requested does not exist."), ask.stamp.id);
        }
        tell(StatusCode::OK, &told(&statements), ask.stamp.id)
    }))
}

pub(super) fn remove(address: Address, ask: Ask, wanted: &str) -> Result<Turn, Fault> {
    let wanted = wanted.to_owned();
    Ok(describe(address, ask, move |address, ask, description| {
        let mut statements = statements(&description, &address);
        if query(&ask, "RevisionId").is_some_and(|revision| revision != revision_of(&statements)) {
            return refuse(&outdated(), ask.stamp.id);
        }
        let before = statements.len();
        statements.retain(|statement| sid(statement) != wanted);
        match (before, statements.len()) {
            (0, _) => refuse(&Fault::missing("No policy is associated with the given resource."), ask.stamp.id),
            (before, after) if before == after => refuse(&no_sid(&wanted), ask.stamp.id),
            _ => keep(address, ask, &description, statements, |ask| Turn::Answer(bare(StatusCode::NO_CONTENT, ask.stamp.id))),
        }
    }))
}

fn keep(address: Address, ask: Ask, seen: &Description, statements: Vec<Value>, then: impl FnOnce(Ask) -> Turn + Send + 'static) -> Turn {
    let mut policies = settings::by_qualifier(seen, POLICIES);
    policies.insert(word(&address).to_owned(), statements.into());
    let patch = settings::noted(POLICIES, policies.into());
    settings::change(&address, ask, seen.revision, patch, |ask, _| then(ask))
}

fn statements(description: &Description, address: &Address) -> Vec<Value> {
    let policies = settings::by_qualifier(description, POLICIES);
    policies.get(word(address)).and_then(Value::as_array).cloned().unwrap_or_default()
}

fn word(address: &Address) -> &str {
    address.qualifier.as_deref().unwrap_or(LATEST)
}

/// A policy as it is given back.
pub(super) fn told(statements: &[Value]) -> Value {
    let policy = json!({ "Version": "2012-10-17", "Id": "default", "Statement": statements });
    json!({ "Policy": policy.to_string(), "RevisionId": revision_of(statements) })
}

pub(super) fn check_sid(sid: &str) -> Result<(), Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    match (1..=100).contains(&sid.len()) && sid.bytes().all(plain) {
        true => Ok(()),
        false => Err(Fault::constraint(sid, "statementId", "Member must satisfy regular expression pattern: ([a-zA-Z0-9-_]+)")),
    }
}

pub(super) fn check_size(statements: &[Value]) -> Result<(), Fault> {
    if Value::from(statements.to_vec()).to_string().len() <= POLICY_BYTES_MAX {
        return Ok(());
    }
    let message = format!("The final policy size is bigger than the limit ({POLICY_BYTES_MAX}).");
    Err(Fault::new(StatusCode::BAD_REQUEST, "PolicyLengthExceededException", message))
}

pub(super) fn sid_is_taken(sid: &str) -> Fault {
    let message =
        format!("The statement id ({sid}) provided already exists. Please provide a new statement id, or remove the existing statement.");
    Fault::new(StatusCode::CONFLICT, "ResourceConflictException", message)
}

pub(super) fn no_sid(sid: &str) -> Fault {
    Fault::missing(format!("Statement {sid} is not found in resource policy."))
}

pub(super) fn sid(statement: &Value) -> &str {
    statement.get("Sid").and_then(Value::as_str).unwrap_or_default()
}

/// Of the words themselves: the same policy is the same revision.
pub(super) fn revision_of(statements: &[Value]) -> String {
    let digest = Sha256::digest(Value::from(statements.to_vec()).to_string());
    let bytes = digest.iter().take(16).fold(0_u128, |all, byte| all << 8 | u128::from(*byte));
    Id(bytes).to_string()
}
