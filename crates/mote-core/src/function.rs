//! A function's version: code digest and manifest together, immutable once stored.
//!
//! Also its parts: names, runtime, limits, bindings, signature. Not here: which version is live
//! ([`crate::directory`]) and how a manifest is written (each dialect's `manifest.rs`).

mod binding;
mod bound;
pub mod delivery;
mod digest;
mod http;
mod limits;
pub mod mqtt;
mod name;
mod qualifier;
mod runtime;
mod settings;
mod signature;
pub mod timer;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::{Id, Timestamp};
use crate::egress::Egress;
use crate::flow::Flow;
use crate::secret::SecretUse;

pub use self::binding::{Binding, ObjectChange, QueueBinding, Receiver};
pub use self::bound::{BOUND_MAX, Bound, Seen};
pub use self::digest::Digest;
pub use self::http::{Cors, HttpAccess, HttpRoute, UrlAccess};
pub use self::limits::Limits;
pub use self::name::{FunctionRef, Name};
pub use self::qualifier::Qualifier;
pub use self::runtime::{Family, Runtime};
pub use self::settings::{Alias, Settings};
pub use self::signature::{Parameter, Signature};

/// One immutable version of a function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Function {
    /// The engine's pool goes by it: unique to this version, and to each time that it goes live.
    pub id: Id,
    pub namespace: Name,
    pub name: Name,
    /// 0 is the draft, which the next one replaces.
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
    /// Its own runtime asks for its calls, one after the other: [`crate::engine::pull`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pulls: bool,
    /// What its dialect promises to its code beside its own variables, which win.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub contract_env: BTreeMap<String, String>,
    /// What its dialect has in its log when an instance of it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract_start: Option<String>,
    /// What its dialect remembers of it, and nobody else reads.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub about: serde_json::Map<String, serde_json::Value>,
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

impl Function {
    /// The number of what is not a version yet.
    pub const DRAFT: u64 = 0;

    pub fn reference(&self) -> FunctionRef {
        FunctionRef { namespace: self.namespace.clone(), name: self.name.clone() }
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
