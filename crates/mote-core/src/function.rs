//! A function's version: code digest and manifest together, immutable once stored.
//!
//! Also its parts: names, runtime, limits, bindings, signature. Not here: which version is live
//! ([`crate::directory`]) and how a manifest is written (each dialect's `manifest.rs`).

pub mod delivery;
pub mod mqtt;
pub mod timer;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::{Id, Timestamp};
use crate::egress::Egress;
use crate::error::{Code, Error, Result};
use crate::flow::Flow;
use crate::secret::SecretUse;

/// One immutable version of a function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Function {
    /// The engine's pool goes by it: unique to this version, and to each time that it goes live.
    pub id: Id,
    pub namespace: Name,
    pub name: Name,
    pub version: u64,
    pub runtime: Runtime,
    /// [`crate::dialect::Dialect::name`] of the contract that the code was written for.
    pub dialect: String,
    /// What to run, in the dialect's own notation (plain: `file` or `file:function`).
    pub entry: String,
    pub artifact: Digest,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretUse>,
    #[serde(default)]
    pub egress: Egress,
    #[serde(default)]
    pub isolation: Isolation,
    #[serde(default)]
    pub delivery: delivery::Delivery,
    #[serde(default)]
    pub records: Recorded,
    /// The function is an HTTP server of its own, which listens on this port in its jail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Errors show their trace to the caller.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dev: bool,
    #[serde(default)]
    pub http: HttpAccess,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bindings: Vec<Binding>,
    #[serde(default)]
    pub signature: Signature,
    /// What it runs, if its runtime is [`Family::Flow`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<Arc<Flow>>,
    pub created: Timestamp,
    /// When it last went live: its timers begin there.
    #[serde(default)]
    pub live_since: Timestamp,
}

/// Namespace and name: which function, whatever its version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FunctionRef {
    pub namespace: Name,
    pub name: Name,
}

impl fmt::Display for FunctionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.as_str() == Name::DEFAULT { write!(f, "{}", self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

impl Function {
    pub fn reference(&self) -> FunctionRef {
        FunctionRef { namespace: self.namespace.clone(), name: self.name.clone() }
    }
}

/// A name of a function or a namespace: 1 to 128 of `A-Z a-z 0-9 . _ -`, the first a letter or digit.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Name(Arc<str>);

impl Name {
    pub const DEFAULT: &str = "default";
    pub const LENGTH_MAX: usize = 128;

    pub fn new(text: &str) -> Result<Name> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let good = text.len() <= Self::LENGTH_MAX && text.chars().all(plain) && text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if good {
            return Ok(Name(text.into()));
        }
        let shown: String = text.chars().take(40).collect();
        Err(Error::new(Code::NameInvalid, format!("{shown:?} is not a name"))
            .hint("A name has 1 to 128 letters, digits, '.', '_' or '-', and begins with a letter or digit."))
    }

    pub fn default_namespace() -> Name {
        Name(Self::DEFAULT.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0.as_ref().to_owned()
    }
}

impl TryFrom<String> for Name {
    type Error = Error;

    fn try_from(text: String) -> Result<Name> {
        Name::new(&text)
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Name> {
        Name::new(text)
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// SHA-256 of an artifact's content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = Error;

    fn try_from(text: String) -> Result<Digest> {
        let bad = || Error::internal(format!("{text:?} is not a digest of 64 hexadecimal digits"));
        let mut bytes = [0; 32];
        // Asked digit by digit: the number parser below would take a sign.
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| bad())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
        }
        Ok(Digest(bytes))
    }
}

/// The family picks the engine and the runner; the version, if named, the interpreter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Runtime {
    pub family: Family,
    /// `3.12` of `python3.12`, `20` of `node20`; empty: the host's newest.
    pub version: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    Python,
    Node,
    /// A program: body on stdin, answer on stdout, one process a call.
    Executable,
    /// No code of its own: [`Function::flow`] says which functions follow one another.
    Flow,
}

impl Family {
    pub const ALL: &[Family] = &[Family::Python, Family::Node, Family::Executable, Family::Flow];

    pub fn as_str(self) -> &'static str {
        match self {
            Family::Python => "python",
            Family::Node => "node",
            Family::Executable => "executable",
            Family::Flow => "flow",
        }
    }
}

impl From<Family> for Runtime {
    fn from(family: Family) -> Runtime {
        Runtime { family, version: String::new() }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.family.as_str(), self.version)
    }
}

impl From<Runtime> for String {
    fn from(runtime: Runtime) -> String {
        runtime.to_string()
    }
}

impl TryFrom<String> for Runtime {
    type Error = Error;

    fn try_from(text: String) -> Result<Runtime> {
        text.parse()
    }
}

impl FromStr for Runtime {
    type Err = Error;

    fn from_str(text: &str) -> Result<Runtime> {
        for &family in Family::ALL {
            if let Some(version) = text.strip_prefix(family.as_str())
                && version.len() <= 8
                && version.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            {
                return Ok(Runtime { family, version: version.to_owned() });
            }
        }
        Err(Error::new(Code::ManifestInvalid, format!("{text:?} is not a runtime that mote knows"))
            .hint("Use `python`, `python3.12`, `node`, `node20` or `executable`."))
    }
}

/// How much of a jail a function insists on; a host that has less refuses it at deploy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// The barriers that every Linux host has; the rest where the host has it.
    #[default]
    Standard,
    /// Every barrier that mote knows.
    Strict,
}

impl Isolation {
    pub fn as_str(self) -> &'static str {
        match self {
            Isolation::Standard => "standard",
            Isolation::Strict => "strict",
        }
    }
}

/// What is kept of its calls, beside who called and how they ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recorded {
    /// The data of small events, for those who may read them and for a replay.
    pub keep_body: bool,
}

impl Default for Recorded {
    fn default() -> Self {
        Recorded { keep_body: true }
    }
}

/// Every limit of a function, with its unit in its name. The defaults are those of SPEC.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    pub timeout_ms: u64,
    /// Of one instance, all its processes together where the host can count that.
    pub memory_bytes: u64,
    /// Thousandths of a core that one instance may use on average; 0: as much as there is.
    pub cpu_millis: u32,
    /// Processes and threads in one instance.
    pub processes: u32,
    pub open_files: u32,
    /// Size of the private `/tmp`.
    pub tmp_bytes: u64,
    /// The largest request body.
    pub body_bytes: u64,
    /// The largest body of a reply.
    pub reply_bytes: u64,
    /// What one call may log; further lines are dropped and counted.
    pub log_bytes: u64,
    /// Calls that one instance takes at a time.
    pub concurrency: u32,
    pub instances_max: u32,
    /// Instances kept warm when nobody calls.
    pub instances_min: u32,
    /// Calls that may wait for a place.
    pub waiting_max: u32,
    /// An idle instance ends after this.
    pub idle_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            timeout_ms: 30_000,
            memory_bytes: 512 << 20,
            cpu_millis: 0,
            processes: 256,
            open_files: 1024,
            tmp_bytes: 512 << 20,
            body_bytes: 6 << 20,
            reply_bytes: 1 << 30,
            log_bytes: 1 << 20,
            concurrency: 1,
            instances_max: 16,
            instances_min: 0,
            waiting_max: 1000,
            idle_ms: 300_000,
        }
    }
}

impl Limits {
    /// Calls that may run at once over all instances.
    pub fn capacity(&self) -> u32 {
        self.concurrency.saturating_mul(self.instances_max).max(1)
    }
}

/// How the public door may reach the function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpAccess {
    /// Whether `/<name>` answers; routes are bindings.
    pub url: bool,
    /// Who may call the URL and the routes.
    pub access: UrlAccess,
    /// Methods that the function URL takes; empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
}

impl Default for HttpAccess {
    fn default() -> Self {
        HttpAccess { url: true, access: UrlAccess::Public, methods: Vec::new(), cors: None }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UrlAccess {
    /// Anybody who reaches the door.
    #[default]
    Public,
    /// Who has a token with the right to invoke.
    Token,
    /// Who has a URL that was signed for this function, or such a token.
    Signed,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cors {
    /// `*`, or exact origins.
    pub origins: Vec<String>,
    /// Empty: the methods of the route.
    pub methods: Vec<String>,
    /// Request headers; empty: those that the browser asks for.
    pub headers: Vec<String>,
    /// Reply headers that the page may read.
    pub expose: Vec<String>,
    pub credentials: bool,
    pub max_age_s: u32,
}

/// What fires a function, besides its URL and a call by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "on", rename_all = "lowercase")]
pub enum Binding {
    /// `/orders/{id}`; `{*rest}` takes the rest of the path.
    Http { path: String, methods: Vec<String> },
    /// Objects of a bucket that come or go.
    Bucket {
        bucket: String,
        events: Vec<ObjectChange>,
        prefix: String,
        suffix: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry: Option<delivery::Retry>,
    },
    /// The clock.
    Timer(Arc<timer::Timer>),
    /// What is published to a topic.
    Topic(Arc<crate::topic::Subscription>),
    /// Messages of a queue, one by one or in batches.
    Queue(Arc<QueueBinding>),
    /// What a provider posts, signed, to a path.
    Webhook(Arc<crate::webhook::Inlet>),
    /// What devices publish.
    Mqtt(Arc<mqtt::MqttFilter>),
}

impl Binding {
    /// The rule for its own events, in place of the function's; `None`: nothing waits in a queue.
    pub fn retry_mut(&mut self) -> Option<&mut Option<delivery::Retry>> {
        match self {
            Binding::Http { .. } | Binding::Webhook(_) => None,
            Binding::Topic(subscription) => Some(&mut Arc::make_mut(subscription).retry),
            Binding::Bucket { retry, .. } => Some(retry),
            Binding::Timer(timer) => Some(&mut Arc::make_mut(timer).retry),
            Binding::Queue(queue) => Some(&mut Arc::make_mut(queue).retry),
            Binding::Mqtt(filter) => Some(&mut Arc::make_mut(filter).retry),
        }
    }
}

/// How a function gets the messages of a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueBinding {
    pub queue: Name,
    /// Messages of one call at most; with 1 the message is the event itself.
    pub batch: u32,
    /// How long a batch that is not full waits for more.
    pub window_ms: u64,
    /// Calls at once.
    pub concurrency: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<delivery::Retry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectChange {
    Created,
    Removed,
}

impl ObjectChange {
    /// CloudEvents `type`.
    pub fn kind(self) -> &'static str {
        match self {
            ObjectChange::Created => "mote.object.created",
            ObjectChange::Removed => "mote.object.removed",
        }
    }
}

/// The parameters of a plain function, read from its code at deploy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Signature {
    pub parameters: Vec<Parameter>,
    /// The return type as the code words it; empty if it says none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub returns: String,
    /// The first paragraph of its documentation.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub doc: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parameter {
    pub name: String,
    /// A JSON Schema `type`, or empty if the code does not say.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    pub required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<serde_json::Value>,
}

impl Signature {
    pub fn takes(&self, name: &str) -> bool {
        self.parameters.iter().any(|parameter| parameter.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |text: &str, good: bool| assert_eq!(Name::new(text).is_ok(), good, "{text:?}");
        check("formula", true);
        check("dev.lever", true);
        check("a_B-9", true);
        check("", false);
        check(".", false);
        check("..", false);
        check("-a", false);
        check("a/b", false);
        check("a\0", false);
        check("ä", false);
        check(&"x".repeat(129), false);
    }

    #[test]
    fn digests() {
        let check = |text: String, good: bool| assert_eq!(Digest::try_from(text.clone()).is_ok(), good, "{text:?}");
        check("0f".repeat(32), true);
        check("+f".repeat(32), false);
        check("0f".repeat(31), false);
        check("ä".repeat(32), false);
    }

    #[test]
    fn runtimes() {
        let check = |text: &str, family, version: &str| {
            assert_eq!(text.parse::<Runtime>().unwrap(), Runtime { family, version: version.into() });
            assert_eq!(text.parse::<Runtime>().unwrap().to_string(), text);
        };
        check("python", Family::Python, "");
        check("python3.12", Family::Python, "3.12");
        check("node20", Family::Node, "20");
        check("executable", Family::Executable, "");
        assert!("ruby3".parse::<Runtime>().is_err());
        assert!("python../../x".parse::<Runtime>().is_err());
    }
}
