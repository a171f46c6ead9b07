//! What a client says of a function, checked as AWS checks it, and as the core wants it.

use std::collections::BTreeMap;

use mote_core::dialect::Deployment;
use mote_core::engine::Preparing;
use mote_core::function::delivery::{Delivery, Destination, Retry};
use mote_core::function::{Family, Function, HttpAccess, Limits, UrlAccess};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::configuration::{DEAD_LETTERS, TAGS};
use super::fault::Fault;
use super::invoke_config;
use super::logging::{LOGGING, Logging};
use super::runtime::{self, Way};
use crate::aws::arn;
use crate::aws::envelope::PAYLOAD_BYTES_MAX;

const ENV_BYTES_MAX: usize = 4096;
const TIMEOUT_S_MAX: u64 = 900;
const ROLE_PATTERN: &str = r"arn:(aws[a-zA-Z-]*)?:iam::(\d{12}):role/?[a-zA-Z_0-9+=,.@\-_/]+";

/// Variables that the platform alone sets.
const RESERVED: [&str; 19] = [
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
];

/// The members of CreateFunction and UpdateFunctionConfiguration that are a function's own.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Wish {
    pub(super) runtime: Option<String>,
    role: Option<String>,
    pub(super) handler: Option<String>,
    description: Option<String>,
    timeout: Option<u64>,
    memory_size: Option<u64>,
    environment: Option<Environment>,
    ephemeral_storage: Option<Storage>,
    architectures: Option<Vec<String>>,
    #[serde(rename = "KMSKeyArn")]
    kms_key_arn: Option<String>,
    tracing_config: Option<Value>,
    snap_start: Option<Value>,
    logging_config: Option<Logging>,
    vpc_config: Option<Value>,
    dead_letter_config: Option<DeadLetters>,
    pub(super) layers: Option<Vec<String>>,
    file_system_configs: Vec<Value>,
    image_config: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Environment {
    variables: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Storage {
    size: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct DeadLetters {
    target_arn: Option<String>,
}

impl DeadLetters {
    /// `None`: there is none any more.
    fn destination(&self) -> Result<Option<Destination>, Fault> {
        match self.target_arn.as_deref() {
            None | Some("") => Ok(None),
            Some(arn) => match invoke_config::destination(arn)? {
                to @ (Destination::Queue(_) | Destination::Topic(_)) => Ok(Some(to)),
                _ => {
                    Err(Fault::invalid(format!("The provided dead letter config TargetArn is neither a queue's nor a topic's: {arn:.200}")))
                }
            },
        }
    }
}

impl Wish {
    /// An error for what AWS refuses, and for what a function would wait for in vain here.
    pub(super) fn check_in(&self, account: &str) -> Result<(), Fault> {
        let arn = self.dead_letter_config.as_ref().and_then(|config| config.target_arn.as_deref()).unwrap_or_default();
        arn::check_owner(arn, account).map_err(|why| Fault::invalid(format!("{arn:.200}: {why}")))?;
        self.check()
    }

    /// The same, wherever it is wished for.
    fn check(&self) -> Result<(), Fault> {
        within(self.timeout, "timeout", 1, TIMEOUT_S_MAX)?;
        within(self.memory_size, "memorySize", 128, 10_240)?;
        within(self.ephemeral_storage.as_ref().map(|storage| storage.size), "ephemeralStorage.size", 512, 10_240)?;
        if let Some(role) = self.role.as_deref().filter(|role| !is_role(role)) {
            let pattern = format_args!("Member must satisfy regular expression pattern: {ROLE_PATTERN}");
            return Err(Fault::constraint(role, "role", pattern));
        }
        if let Some(handler) = self.handler.as_deref().filter(|h| h.len() > 128 || h.contains(char::is_whitespace)) {
            return Err(Fault::constraint(handler, "handler", r"Member must satisfy regular expression pattern: [^\s]+"));
        }
        if let Some(description) = self.description.as_deref().filter(|description| description.chars().count() > 256) {
            return Err(Fault::constraint(description, "description", "Member must have length less than or equal to 256"));
        }
        let known = |architecture: &String| matches!(architecture.as_str(), "x86_64" | "arm64");
        if let Some(wanted) = self.architectures.as_ref().filter(|wanted| !wanted.iter().all(known)) {
            let shown = format!("['{}']", wanted.join("', '"));
            let set = "Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]";
            return Err(Fault::constraint(&shown, "architectures", set));
        }
        if let Some(environment) = &self.environment {
            check_env(&environment.variables)?;
        }
        if let Some(logging) = &self.logging_config {
            logging.check()?;
        }
        match self {
            _ if !self.file_system_configs.is_empty() => Err(Fault::absent("file systems")),
            _ if self.image_config.is_some() => Err(Fault::absent("container images")),
            Wish { dead_letter_config: Some(config), .. } => config.destination().map(drop),
            _ => Ok(()),
        }
    }

    /// A new function.
    pub(super) fn deployment(self, way: Way, about: Map<String, Value>) -> Result<Deployment, Fault> {
        let mut deployment = Deployment {
            files: None,
            name: None,
            runtime: way.runtime,
            dialect: crate::aws::NAME,
            entry: way.entry,
            limits: Limits {
                timeout_ms: 3000,
                memory_bytes: 128 << 20,
                tmp_bytes: 512 << 20,
                body_bytes: PAYLOAD_BYTES_MAX,
                ..Limits::default()
            },
            env: BTreeMap::new(),
            secrets: Vec::new(),
            egress: Default::default(),
            isolation: Default::default(),
            delivery: delivery(),
            records: Default::default(),
            preparing: PREPARING,
            port: None,
            pulls: way.pulls,
            about,
            // Its function URL is configured, not there from the beginning.
            http: HttpAccess { url: false, access: UrlAccess::Token, ..HttpAccess::default() },
            bindings: Vec::new(),
            flow: None,
        };
        self.say(&mut deployment)?;
        Ok(deployment)
    }

    /// Changes what was said, and leaves the rest. Another handler is another entry, and another
    /// runtime of the same family another name; a family that other code is for takes other code.
    pub(super) fn change(self, deployment: &mut Deployment) -> Result<(), Fault> {
        if let Some(runtime) = &self.runtime {
            let brings = |file: &str| deployment.pulls && file != "bootstrap" || deployment.entry == file;
            let way = runtime::way(runtime, &deployment.entry, brings)?;
            if way.runtime != deployment.runtime {
                return Err(Fault::invalid(format!("{runtime} is of another family than the function's code; create it anew")));
            }
        }
        if let Some(handler) = self.handler.as_ref().filter(|_| deployment.runtime.family != Family::Executable) {
            deployment.entry.clone_from(handler);
        }
        self.say(deployment)
    }

    fn say(self, deployment: &mut Deployment) -> Result<(), Fault> {
        if let Some(logging) = &self.logging_config {
            let said = logging.over(deployment.about.get(LOGGING))?;
            deployment.about.insert(LOGGING.into(), said);
        }
        let limits = &mut deployment.limits;
        limits.timeout_ms = self.timeout.map_or(limits.timeout_ms, |seconds| seconds * 1000);
        limits.memory_bytes = self.memory_size.map_or(limits.memory_bytes, |mb| mb << 20);
        limits.tmp_bytes = self.ephemeral_storage.map_or(limits.tmp_bytes, |storage| storage.size << 20);
        if let Some(environment) = self.environment {
            deployment.env = environment.variables;
        }
        if let Some(config) = self.dead_letter_config {
            // Checked before.
            deployment.delivery.dead_letters = config.destination().ok().flatten();
            let told = config.target_arn.filter(|arn| !arn.is_empty()).map(|arn| serde_json::json!({ "TargetArn": arn }));
            match told {
                Some(told) => drop(deployment.about.insert(DEAD_LETTERS.into(), told)),
                None => drop(deployment.about.remove(DEAD_LETTERS)),
            }
        }
        let text = |text: Option<String>| text.map(Value::from);
        let said = [
            ("Runtime", text(self.runtime)),
            ("Role", text(self.role)),
            ("Handler", text(self.handler)),
            ("Description", text(self.description)),
            ("KMSKeyArn", text(self.kms_key_arn)),
            ("Architectures", self.architectures.map(Value::from)),
            ("TracingConfig", self.tracing_config),
            ("SnapStart", self.snap_start),
            ("VpcConfig", self.vpc_config),
        ];
        deployment.about.extend(said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        Ok(())
    }
}

/// One member of CreateFunction, as a manifest has it; the error says what is wrong.
pub(in crate::aws) fn check_member(name: &str, value: &Value) -> Result<(), String> {
    let wish: Wish = serde_json::from_value(Value::Object(Map::from_iter([(name.to_owned(), value.clone())])))
        .map_err(|error| format!("{name}: {error}"))?;
    wish.check().map_err(|fault| fault.message)
}

/// What a function's members come to, which have been checked; `has`: whether its code brings a file.
pub(in crate::aws) fn deployment(members: Value, has: impl Fn(&str) -> bool) -> Result<Deployment, String> {
    let wish: Wish = serde_json::from_value(members).map_err(|error| error.to_string())?;
    let runtime = wish.runtime.as_deref().ok_or("the function has no Runtime")?;
    // A program's own runtime may take it from somewhere else.
    let handler = wish.handler.as_deref().or_else(|| has("bootstrap").then_some("bootstrap")).ok_or("the function has no Handler")?;
    let way = runtime::way(runtime, handler, has).map_err(|fault| fault.message)?;
    wish.deployment(way, Map::new()).map_err(|fault| fault.message)
}

/// A function as it is, for a version of it that differs in something.
pub(super) fn again(function: &Function) -> Deployment {
    Deployment {
        files: None,
        name: Some(function.name.clone()),
        runtime: function.runtime.clone(),
        dialect: crate::aws::NAME,
        entry: function.entry.clone(),
        limits: function.limits,
        env: function.env.clone(),
        secrets: function.secrets.clone(),
        egress: function.egress.clone(),
        isolation: function.isolation,
        delivery: function.delivery.clone(),
        records: function.records,
        preparing: PREPARING,
        port: function.port,
        pulls: function.pulls,
        about: function.about.clone(),
        http: function.http.clone(),
        bindings: function.bindings.clone(),
        flow: None,
    }
}

/// A zip brings its dependencies, and a broken module is told by the first call.
const PREPARING: Preparing = Preparing { installs: false, starts: false };

/// Two more tries, after one and two minutes.
fn delivery() -> Delivery {
    Delivery { retry: Retry { attempts_max: 3, backoff_ms: 60_000, ..Retry::default() }, ..Delivery::default() }
}

fn within(value: Option<u64>, member: &str, min: u64, max: u64) -> Result<(), Fault> {
    match value {
        Some(value) if value > max => {
            Err(Fault::constraint(&value.to_string(), member, format_args!("Member must have value less than or equal to {max}")))
        }
        Some(value) if value < min => {
            Err(Fault::constraint(&value.to_string(), member, format_args!("Member must have value greater than or equal to {min}")))
        }
        _ => Ok(()),
    }
}

fn is_role(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, resource] = parts.as_slice() else { return false };
    let sound = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@-_/".contains(&b);
    let named = resource.strip_prefix("role").is_some_and(|name| !name.trim_start_matches('/').is_empty() && name.bytes().all(sound));
    partition.starts_with("aws") && account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()) && named
}

fn check_env(variables: &BTreeMap<String, String>) -> Result<(), Fault> {
    let sound = |name: &str| {
        name.len() >= 2
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    const UNABLE: &str = "Lambda was unable to configure your environment variables because the environment variables you have provided";
    let reserved: Vec<&str> = variables.keys().map(String::as_str).filter(|name| RESERVED.contains(name)).collect();
    if !reserved.is_empty() {
        let reserved = reserved.join(", ");
        return Err(Fault::invalid(format!(
            "{UNABLE} contains reserved keys that are currently not supported for modification. Reserved keys used in this request: {reserved}"
        )));
    }
    if let Some(name) = variables.keys().find(|name| !sound(name)) {
        let pattern = "Map keys must satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]";
        return Err(Fault::constraint(name, "environment.variables", pattern));
    }
    // As it would be written down.
    let bytes: usize = variables.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > ENV_BYTES_MAX {
        return Err(Fault::invalid(format!("{UNABLE} exceeded the 4KB limit. They have {bytes} bytes.")));
    }
    Ok(())
}

pub(super) const TAGS_MAX: usize = 50;

pub(super) fn too_many_tags() -> Fault {
    Fault::invalid(format!(
        "A function has at most {TAGS_MAX} tags, with keys of 1 to 128 characters, which don't begin with aws:, and values of at most 256"
    ))
}

/// At most [`TAGS_MAX`], none of the service's own.
pub(super) fn tags(tags: BTreeMap<String, String>) -> Result<Option<(String, Value)>, Fault> {
    let sound = |(key, value): (&String, &String)| {
        (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256 && !key.to_ascii_lowercase().starts_with("aws:")
    };
    if tags.len() > TAGS_MAX || !tags.iter().all(sound) {
        return Err(too_many_tags());
    }
    Ok((!tags.is_empty()).then(|| (TAGS.to_owned(), Value::from(Map::from_iter(tags.into_iter().map(|(key, value)| (key, value.into())))))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(wish: Value) -> Result<(), Fault> {
        serde_json::from_value::<Wish>(wish).unwrap().check()
    }

    #[test]
    fn limits_are_those_of_the_service() {
        let refused = |wish: Value, message: &str| {
            let fault = check(wish.clone()).unwrap_err();
            assert_eq!(fault.kind, "ValidationException", "{wish}");
            assert_eq!(fault.message, format!("1 validation error detected: {message}"));
        };
        refused(
            json!({"Timeout": 901}),
            "Value '901' at 'timeout' failed to satisfy constraint: Member must have value less than or equal to 900",
        );
        refused(
            json!({"Timeout": 0}),
            "Value '0' at 'timeout' failed to satisfy constraint: Member must have value greater than or equal to 1",
        );
        refused(
            json!({"MemorySize": 127}),
            "Value '127' at 'memorySize' failed to satisfy constraint: Member must have value greater than or equal to 128",
        );
        refused(
            json!({"EphemeralStorage": {"Size": 10241}}),
            "Value '10241' at 'ephemeralStorage.size' failed to satisfy constraint: Member must have value less than or equal to 10240",
        );
        let queue = "arn:aws:sqs:us-east-1:123456789012:q";
        for good in [
            json!({}),
            json!({"DeadLetterConfig": {"TargetArn": queue}}),
            json!({"DeadLetterConfig": {"TargetArn": ""}}),
            json!({"Timeout": 900, "MemorySize": 10240, "EphemeralStorage": {"Size": 512}, "DeadLetterConfig": {}}),
        ] {
            assert_eq!(check(good), Ok(()));
        }
    }

    #[test]
    fn roles_are_arns() {
        for good in ["arn:aws:iam::123456789012:role/r", "arn:aws-cn:iam::123456789012:role/service-role/my_r"] {
            assert_eq!(check(json!({ "Role": good })), Ok(()), "{good}");
        }
        for wrong in ["r", "", "arn:aws:iam::1:role/r", "arn:aws:iam::123456789012:user/r", "arn:aws:iam::123456789012:role/"] {
            assert_eq!(check(json!({ "Role": wrong })).unwrap_err().kind, "ValidationException", "{wrong}");
        }
    }

    #[test]
    fn an_environment_is_small_and_not_the_platforms() {
        let of = |name: &str, value: String| check(json!({"Environment": {"Variables": {name: value}}}));
        assert_eq!(of("MODE", "x".repeat(4092)), Ok(()));
        assert!(of("MODE", "x".repeat(4093)).unwrap_err().message.contains("exceeded the 4KB limit"));
        assert!(of("AWS_REGION", "x".into()).unwrap_err().message.ends_with("Reserved keys used in this request: AWS_REGION"));
        for wrong in ["", "A", "1A", "A-B", "A="] {
            assert_eq!(of(wrong, "x".into()).unwrap_err().kind, "ValidationException", "{wrong}");
        }
    }

    #[test]
    fn what_would_be_waited_for_in_vain_is_refused() {
        for wish in [json!({"FileSystemConfigs": [{}]}), json!({"ImageConfig": {}})] {
            assert_eq!(check(wish.clone()).unwrap_err().kind, "NotImplementedException", "{wish}");
        }
    }
}
