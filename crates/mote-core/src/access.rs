//! Who may do what: the only place that judges a credential.
//!
//! A door or a dialect reads a [`Credential`] off the wire and passes it on unjudged; here it
//! becomes a [`Caller`] or an error, and a caller with an action becomes a yes or a no. What each
//! action needs: [`rights`]. Credentials: [`tokens`] and [`signed`] URLs. How much: [`limits`].
//! What came of it is written down: [`audit`].

pub mod audit;
pub mod limits;
pub(crate) mod mac;
pub mod rights;
pub mod signed;
pub mod sigv4;
pub mod tokens;
mod urls;

use std::collections::HashMap;
use std::sync::Arc;

use subtle::ConstantTimeEq;

use self::audit::{Audit, AuditLine, Note};
use self::limits::Limits;
use self::rights::{Need, Rights, Rule, Scope, Touch, rule};
use self::signed::Signing;
use self::sigv4::SignedRequest;
use self::tokens::{NewToken, TokenId, TokenWish, Tokens};
pub use self::urls::Entry;
use crate::action::Action;
use crate::clock::Clock;
use crate::error::{Code, Error, Result};
use crate::function::Name;
use crate::store::within::{self, Guard};
use crate::store::{Catalog, Logs, Objects};

/// What a request brought to say who sent it.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// Nothing.
    Anonymous,
    /// `Authorization: Bearer …`.
    Token(String),
    /// A request that its own signature has proven to come from this key's owner.
    AccessKey(String),
    /// A request that says whose it is by its signature, to be verified yet.
    Signed(Box<SignedRequest>),
    /// Somebody on this machine, where whoever runs the server lets everybody in. Who signs with a
    /// key of this server is its owner all the same, and has to prove it.
    Local { signed: Option<Box<SignedRequest>> },
    /// An instance of a function of this namespace, known by the connection it came on.
    Instance(Name),
}

/// Whom a credential stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    Anonymous,
    /// Code of a function of this namespace.
    Instance(Name),
    /// Whoever holds the credentials of the data directory.
    Admin,
    Token(Arc<Holder>),
}

/// What a token gives its holder.
#[derive(Debug, PartialEq, Eq)]
pub struct Holder {
    pub id: TokenId,
    pub name: Name,
    pub scope: Scope,
    pub rights: Rights,
}

/// Fields of a JSON object that shall change.
pub type Patch = serde_json::Map<String, serde_json::Value>;

/// An access key pair, as S3 clients sign with.
#[derive(Clone)]
pub struct KeyPair {
    pub id: String,
    pub secret: String,
}

/// The credentials that are made with the data directory. They may do everything.
pub struct Root {
    pub token: String,
    pub keys: Vec<KeyPair>,
    /// What is kept of other credentials is worth nothing without it.
    pub server_key: [u8; 32],
}

/// The credentials of this server, and what their holders may.
pub struct Access {
    token: String,
    keys: HashMap<String, String>,
    clock: Arc<dyn Clock>,
    pub tokens: Tokens,
    pub limits: Limits,
    pub signing: Signing,
    audit: Audit,
}

impl Access {
    pub fn new(root: Root, clock: Arc<dyn Clock>) -> Self {
        Access {
            token: root.token,
            keys: root.keys.into_iter().map(|pair| (pair.id, pair.secret)).collect(),
            clock,
            tokens: Tokens::new(root.server_key),
            limits: Limits::default(),
            signing: Signing::new(root.server_key),
            audit: Audit::default(),
        }
    }

    /// With a log that an administrator can read the audit from.
    pub fn audited(mut self, logs: Arc<dyn Logs>) -> Self {
        self.audit.logs = Some(logs);
        self
    }

    /// Reads what is stored of tokens, signing and quotas.
    pub async fn load(&self, catalog: &dyn Catalog) -> Result<()> {
        self.tokens.load(catalog).await?;
        self.signing.load(catalog).await?;
        self.limits.load(catalog).await
    }

    /// The caller, if the action is within its rights and its limits.
    pub fn judge(&self, credential: &Credential, action: &Action) -> Result<Caller> {
        let caller = self.caller(credential)?;
        let rule = rule(action);
        self.permit(&caller, &rule)?;
        if let Need::Use(_, namespace) = rule.need {
            self.throttle(&caller, namespace)?;
        }
        Ok(caller)
    }

    pub fn caller(&self, credential: &Credential) -> Result<Caller> {
        match credential {
            Credential::Anonymous => Ok(Caller::Anonymous),
            Credential::Instance(namespace) => Ok(Caller::Instance(namespace.clone())),
            Credential::Token(token) if same(token, &self.token) => Ok(Caller::Admin),
            Credential::Token(token) => self.tokens.holder(token, self.clock.now()).map(Caller::Token),
            Credential::Signed(request) => {
                let key = request.verify(self, self.clock.now())?.to_owned();
                self.caller(&Credential::AccessKey(key))
            }
            Credential::Local { signed: Some(request) } if self.secret_of(request.key_id()).is_some() => {
                self.caller(&Credential::Signed(request.clone()))
            }
            Credential::Local { .. } => Ok(Caller::Admin),
            Credential::AccessKey(id) if self.keys.contains_key(id) => Ok(Caller::Admin),
            Credential::AccessKey(id) => self.tokens.holder_of_key(id, self.clock.now()).map(Caller::Token),
        }
    }

    /// An error if a rule asks for more than this caller has.
    pub fn permit(&self, caller: &Caller, rule: &Rule<'_>) -> Result<()> {
        if caller.meets(&rule.need) {
            return Ok(());
        }
        let refusal = caller.refusal(&rule.need);
        if self.audit.is_news(caller, &*self.clock) {
            self.audit.write(&*self.clock, Note::new(caller, rule), Some(&refusal));
        }
        Err(refusal)
    }

    /// An error if the namespace, or the caller in it, has had its share of requests for now.
    pub fn throttle(&self, caller: &Caller, namespace: &Name) -> Result<()> {
        self.limits.request(namespace, caller, "", || self.clock.monotonic())
    }

    /// What the audit will say of an action that changes something; told to [`Access::record`].
    pub fn note(&self, caller: &Caller, action: &Action) -> Option<Note> {
        let rule = rule(action);
        rule.change.then(|| Note::new(caller, &rule))
    }

    pub fn record(&self, note: Note, error: Option<&Error>) {
        self.audit.write(&*self.clock, note, error);
    }

    /// The newest lines of the audit, of one namespace or of all.
    pub async fn audit(&self, namespace: Option<&Name>, tail: usize) -> Result<Vec<AuditLine>> {
        self.audit.read(namespace, tail).await
    }

    pub async fn create_token(&self, catalog: &dyn Catalog, wish: TokenWish) -> Result<NewToken> {
        let max = match &wish.scope {
            Scope::One(namespace) => self.limits.quota(namespace).tokens,
            Scope::All => None,
        };
        self.tokens.create(catalog, &*self.clock, wish, max).await
    }

    pub async fn revoke_token(&self, catalog: &dyn Catalog, scope: &Scope, name: &Name) -> Result<()> {
        self.tokens.revoke(catalog, scope, name).await
    }

    pub async fn set_quota(&self, catalog: &dyn Catalog, namespace: &Name, patch: Patch) -> Result<()> {
        self.limits.set(catalog, namespace, patch).await
    }

    /// Voids every signed URL of a namespace.
    pub async fn rotate_signing(&self, catalog: &dyn Catalog, namespace: &Name) -> Result<()> {
        self.signing.rotate(catalog, namespace).await
    }

    /// The buckets of a namespace as this caller may use them.
    pub fn objects(self: &Arc<Self>, objects: Arc<dyn Objects>, caller: Caller, namespace: Name) -> Arc<dyn Objects> {
        let guard = BucketGuard { access: self.clone(), caller, namespace: namespace.clone() };
        within::within(objects, &namespace, guard)
    }

    /// The secret of an access key, for those who verify a signature.
    pub fn secret_of(&self, key_id: &str) -> Option<String> {
        self.keys.get(key_id).cloned().or_else(|| self.tokens.secret_of(key_id))
    }
}

impl Caller {
    /// The namespace that is meant where an API has no word for one.
    pub fn namespace(&self) -> Name {
        match self {
            Caller::Instance(namespace) => namespace.clone(),
            Caller::Token(holder) => match &holder.scope {
                Scope::One(namespace) => namespace.clone(),
                Scope::All => Name::default_namespace(),
            },
            Caller::Anonymous | Caller::Admin => Name::default_namespace(),
        }
    }

    /// The only namespace that this caller may know of, if there is such a bound.
    pub fn bound(&self) -> Option<&Name> {
        match self {
            Caller::Instance(namespace) => Some(namespace),
            Caller::Token(holder) => match &holder.scope {
                Scope::One(namespace) => Some(namespace),
                Scope::All => None,
            },
            Caller::Anonymous | Caller::Admin => None,
        }
    }

    /// Whom a URL that it has signed names.
    pub(crate) fn signer(&self) -> Option<TokenId> {
        match self {
            Caller::Token(holder) => Some(holder.id),
            // Neither can be revoked.
            Caller::Admin | Caller::Instance(_) | Caller::Anonymous => None,
        }
    }

    fn meets(&self, need: &Need<'_>) -> bool {
        match (self, need) {
            (_, Need::Route) | (Caller::Admin, _) => true,
            (Caller::Anonymous, _) => false,
            (Caller::Instance(_) | Caller::Token(_), Need::Somebody) => true,
            (Caller::Instance(own), Need::Enter(namespace) | Need::Use(_, namespace)) => own == *namespace,
            (Caller::Instance(_), Need::Known | Need::Of(..) | Need::Server(_)) => false,
            (Caller::Token(_), Need::Known) => true,
            (Caller::Token(holder), Need::Enter(namespace)) => !holder.rights.is_empty() && holder.scope.covers(namespace),
            (Caller::Token(holder), Need::Use(right, namespace) | Need::Of(right, namespace)) => {
                holder.rights.has(*right) && holder.scope.covers(namespace)
            }
            (Caller::Token(holder), Need::Server(right)) => holder.rights.has(*right) && holder.scope == Scope::All,
        }
    }

    fn refusal(&self, need: &Need<'_>) -> Error {
        match self {
            Caller::Anonymous => Error::new(Code::CredentialMissing, "this needs a token, and the request has none")
                .hint("Send `Authorization: Bearer TOKEN`; the CLI reads MOTE_TOKEN, or `--data DIR` on the server's machine."),
            Caller::Instance(own) => Error::new(Code::Forbidden, format!("code in a function may call functions and use objects of its own namespace {own}, and this needs {need}"))
                .hint("Do it from outside, with a token."),
            Caller::Admin | Caller::Token(_) => Error::new(Code::Forbidden, format!("{self}, and this needs {need}"))
                .hint("`--namespace` or MOTE_NAMESPACE names another namespace; an admin makes another token: `mote token create NAME --right RIGHTS`."),
        }
    }
}

/// What the log and an error say of it.
impl std::fmt::Display for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Caller::Anonymous => f.write_str("nobody known"),
            Caller::Instance(namespace) => write!(f, "a function of {namespace}"),
            Caller::Admin => f.write_str("the administrator"),
            Caller::Token(holder) => write!(f, "the token {} has {} in {}", holder.name, holder.rights, holder.scope),
        }
    }
}

/// Judges what an API does that has no actions, operation by operation.
struct BucketGuard {
    access: Arc<Access>,
    caller: Caller,
    namespace: Name,
}

impl Guard for BucketGuard {
    fn permit(&self, touch: Touch, bucket: &str) -> Result<()> {
        self.access.permit(&self.caller, &Rule { about: bucket, ..touch.rule(&self.namespace) })
    }

    fn changed(&self, touch: Touch, bucket: &str, outcome: &Result<()>) {
        let note = Note::new(&self.caller, &Rule { about: bucket, ..touch.rule(&self.namespace) });
        self.access.record(note, outcome.as_ref().err());
    }
}

/// Compares without telling by its duration where the first difference is.
fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}
