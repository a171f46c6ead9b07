//! The rights, and which of them each action needs: one table for every API.
//!
//! Not here: whether a caller has them ([`super::Caller`]), and the access of a function's URL,
//! which is its own.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::action::{Action, Target};
use crate::error::{Code, Error};
use crate::function::Name;

/// What an action needs, and how the audit speaks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule<'a> {
    pub need: Need<'a>,
    pub verb: &'static str,
    /// Whom or what it is done to.
    pub about: &'a str,
    /// Whether it changes anything but objects.
    pub change: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need<'a> {
    /// Judged when the route has been found: a function says itself who may call its URL.
    Route,
    /// A credential that is known here, or code of a function.
    Somebody,
    /// A credential that is known here.
    Known,
    /// Any right in the namespace.
    Enter(&'a Name),
    /// Calls and objects: what code in a function may do as well, in its own namespace.
    Use(Right, &'a Name),
    Of(Right, &'a Name),
    /// What no single namespace owns.
    Server(Right),
}

/// What each action needs. No arm for the rest: whoever adds a verb decides who may.
pub fn rule(action: &Action) -> Rule<'_> {
    use Need::{Known, Of, Route, Server, Somebody, Use};
    use Right::{Admin, Deploy, Invoke, Read};
    let tells = |need, verb, about| Rule { need, verb, about, change: false };
    let changes = |need, verb, about| Rule { need, verb, about, change: true };
    match action {
        Action::Call { to, .. } => match to {
            Target::Route { .. } => tells(Route, "call", ""),
            Target::Function { function, .. } => tells(Use(Invoke, &function.namespace), "call", function.name.as_str()),
        },
        Action::DryRun { function, .. } => tells(Use(Invoke, &function.namespace), "dry-run", function.name.as_str()),
        Action::Send { to, .. } => match to {
            Target::Route { .. } => tells(Route, "send", ""),
            Target::Function { function, .. } => tells(Use(Invoke, &function.namespace), "send", function.name.as_str()),
        },
        Action::ShowCall { namespace, .. } => tells(Of(Read, namespace), "show-call", ""),
        Action::ListCalls { namespace, query } => {
            tells(Of(Read, namespace), "list-calls", query.function.as_ref().map_or("", Name::as_str))
        }
        Action::Trace { namespace, .. } => tells(Of(Read, namespace), "trace", ""),
        Action::Replay { namespace, .. } => changes(Of(Invoke, namespace), "replay", ""),
        Action::CancelCall { namespace, .. } => changes(Of(Invoke, namespace), "cancel-call", ""),
        Action::ListDead { letters, .. } => tells(Of(Read, &letters.namespace), "list-dead", ""),
        Action::SettleDead { letters, .. } => {
            changes(Of(Invoke, &letters.namespace), "settle-dead", letters.function.as_ref().map_or("", Name::as_str))
        }
        Action::Publish { namespace, topic, .. } => tells(Use(Invoke, namespace), "publish", topic.as_str()),
        Action::ListTopics { namespace } => tells(Of(Read, namespace), "list-topics", ""),
        Action::ShowTopic { namespace, topic } => tells(Of(Read, namespace), "show-topic", topic.as_str()),
        Action::Subscribe { namespace, subscriber } => changes(Of(Deploy, namespace), "subscribe", subscriber.topic.as_str()),
        Action::Unsubscribe { namespace, topic, .. } => changes(Of(Deploy, namespace), "unsubscribe", topic.as_str()),
        Action::SetQueue { namespace, name, .. } => changes(Of(Deploy, namespace), "set-queue", name.as_str()),
        Action::RemoveQueue { namespace, name } => changes(Of(Deploy, namespace), "remove-queue", name.as_str()),
        Action::ListQueues { namespace, .. } => tells(Of(Read, namespace), "list-queues", ""),
        Action::ShowQueue { namespace, name } => tells(Use(Read, namespace), "show-queue", name.as_str()),
        Action::SendMessages { namespace, name, .. } => tells(Use(Invoke, namespace), "send-messages", name.as_str()),
        Action::ReceiveMessages { namespace, name, .. } => tells(Use(Invoke, namespace), "receive-messages", name.as_str()),
        Action::SettleMessages { namespace, name, .. } => tells(Use(Invoke, namespace), "settle-messages", name.as_str()),
        Action::PurgeQueue { namespace, name } => changes(Of(Deploy, namespace), "purge-queue", name.as_str()),
        Action::RedriveQueue { namespace, name, .. } => changes(Of(Invoke, namespace), "redrive-queue", name.as_str()),
        Action::Deploy(deploy) => {
            let name = deploy.wish.name.as_ref().or(deploy.wish.default_name.as_ref()).map_or("", Name::as_str);
            changes(Of(Deploy, &deploy.wish.namespace), "deploy", name)
        }
        Action::Remove { function } => changes(Of(Deploy, &function.namespace), "remove", function.name.as_str()),
        Action::Point { function, .. } => changes(Of(Deploy, &function.namespace), "point", function.name.as_str()),
        Action::Freeze { function, .. } => changes(Of(Deploy, &function.namespace), "freeze", function.name.as_str()),
        Action::RemoveVersion { function, .. } => changes(Of(Deploy, &function.namespace), "remove-version", function.name.as_str()),
        Action::Configure { function, .. } => changes(Of(Deploy, &function.namespace), "configure", function.name.as_str()),
        Action::Bind { bound, .. } => changes(Of(Deploy, &bound.namespace), "bind", bound.id.as_str()),
        Action::Unbind { namespace, id } => changes(Of(Deploy, namespace), "unbind", id.as_str()),
        Action::ListBound { namespace, function, .. } => {
            tells(Of(Read, namespace), "list-bindings", function.as_ref().map_or("", Name::as_str))
        }
        Action::SetRule { rule, .. } => changes(Of(Deploy, &rule.namespace), "set-rule", rule.name.as_str()),
        Action::RemoveRule { namespace, name, .. } => changes(Of(Deploy, namespace), "remove-rule", name.as_str()),
        Action::ShowRule { namespace, name, .. } => tells(Of(Read, namespace), "show-rule", name.as_str()),
        Action::ListRules { namespace, .. } => tells(Of(Read, namespace), "list-rules", ""),
        Action::ListVersions { function, .. } => tells(Of(Read, &function.namespace), "list-versions", function.name.as_str()),
        Action::Describe { function, .. } => tells(Of(Read, &function.namespace), "describe", function.name.as_str()),
        Action::List { namespace, .. } => tells(Of(Read, namespace), "list", ""),
        Action::Logs { namespace, query } => tells(Of(Read, namespace), "logs", query.function.as_deref().unwrap_or_default()),
        Action::PublishMqtt { namespace, message, .. } => Rule { about: message.topic.as_str(), ..Device::Publish.rule(namespace) },
        Action::ShowMqtt { namespace } => tells(Of(Read, namespace), "show-mqtt", ""),
        Action::ListTimers { namespace, .. } => tells(Of(Read, namespace), "list-timers", ""),
        Action::CreateBucket { namespace, name } => Rule { about: name, ..Touch::Create.rule(namespace) },
        Action::DeleteBucket { namespace, name } => Rule { about: name, ..Touch::Remove.rule(namespace) },
        Action::ListBuckets { namespace } => Touch::List.rule(namespace),
        Action::PutObject { namespace, bucket, .. } => Rule { about: bucket, ..Touch::Write.rule(namespace) },
        Action::GetObject { namespace, bucket, .. } => Rule { about: bucket, ..Touch::Read.rule(namespace) },
        Action::DeleteObject { namespace, bucket, .. } => Rule { about: bucket, ..Touch::Write.rule(namespace) },
        Action::ListObjects { namespace, bucket, .. } => Rule { about: bucket, ..Touch::Read.rule(namespace) },
        Action::KeepFile { namespace, key, .. } => changes(Of(Deploy, namespace), "keep-file", key),
        Action::DropFile { namespace, key } => changes(Of(Deploy, namespace), "drop-file", key),
        Action::ReadFile { namespace, key } => tells(Of(Read, namespace), "read-file", key),
        Action::ListFiles { namespace, .. } => tells(Of(Read, namespace), "list-files", ""),
        Action::SetSecret { namespace, name, .. } => changes(Of(Deploy, namespace), "set-secret", name.as_str()),
        Action::ListSecrets { namespace } => tells(Of(Read, namespace), "list-secrets", ""),
        Action::RemoveSecret { namespace, name, .. } => changes(Of(Deploy, namespace), "remove-secret", name.as_str()),
        Action::CreateToken(wish) => changes(wish.scope.need(), "create-token", wish.name.as_str()),
        Action::ListTokens { scope } => tells(scope.need(), "list-tokens", ""),
        Action::RevokeToken { scope, name } => changes(scope.need(), "revoke-token", name.as_str()),
        Action::SignUrl(wish) => tells(Of(Invoke, &wish.function.namespace), "sign", wish.function.name.as_str()),
        Action::RotateSigning { namespace } => changes(Of(Admin, namespace), "rotate-signing", ""),
        // A limit that its subject can lift is none.
        Action::SetQuota { namespace, .. } => changes(Server(Admin), "set-quota", namespace.as_str()),
        Action::ShowQuota { namespace } => tells(Of(Read, namespace), "show-quota", ""),
        Action::ListNamespaces => tells(Known, "list-namespaces", ""),
        Action::ReadAudit { namespace, .. } => tells(namespace.as_ref().map_or(Server(Admin), |own| Of(Admin, own)), "audit", ""),
        Action::WhoAmI => tells(Somebody, "who-am-i", ""),
        Action::Status => tells(Known, "status", ""),
    }
}

/// What is done to a bucket, by an action or over S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    Create,
    Remove,
    Tag,
    List,
    /// Whether it is there: for all who read or write.
    Probe,
    Read,
    Write,
}

impl Touch {
    pub fn rule(self, namespace: &Name) -> Rule<'_> {
        let (need, verb, change) = match self {
            Touch::Create => (Need::Of(Right::Deploy, namespace), "create-bucket", true),
            Touch::Remove => (Need::Of(Right::Deploy, namespace), "delete-bucket", true),
            Touch::Tag => (Need::Of(Right::Deploy, namespace), "tag-bucket", true),
            Touch::List => (Need::Use(Right::Read, namespace), "list-buckets", false),
            Touch::Probe => (Need::Enter(namespace), "probe-bucket", false),
            Touch::Read => (Need::Use(Right::Read, namespace), "read-object", false),
            // Data that functions work on, and no change of the functions themselves.
            Touch::Write => (Need::Use(Right::Invoke, namespace), "write-object", false),
        };
        Rule { need, verb, about: "", change }
    }
}

/// What a device does, over MQTT or by an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    Connect,
    Publish,
    Subscribe,
}

impl Device {
    pub fn rule(self, namespace: &Name) -> Rule<'_> {
        let (need, verb) = match self {
            Device::Connect => (Need::Enter(namespace), "connect-mqtt"),
            Device::Publish => (Need::Use(Right::Invoke, namespace), "publish-mqtt"),
            Device::Subscribe => (Need::Use(Right::Read, namespace), "subscribe-mqtt"),
        };
        Rule { need, verb, about: "", change: false }
    }
}

impl<'a> Need<'a> {
    /// The namespace that it is about.
    pub fn namespace(&self) -> Option<&'a Name> {
        match *self {
            Need::Enter(namespace) | Need::Use(_, namespace) | Need::Of(_, namespace) => Some(namespace),
            Need::Route | Need::Somebody | Need::Known | Need::Server(_) => None,
        }
    }
}

impl fmt::Display for Need<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Need::Route => f.write_str("nothing"),
            Need::Known | Need::Somebody => f.write_str("a token"),
            Need::Enter(namespace) => write!(f, "a right in the namespace {namespace}"),
            Need::Use(right, namespace) | Need::Of(right, namespace) => write!(f, "{right} in the namespace {namespace}"),
            Need::Server(right) => write!(f, "{right} in all namespaces"),
        }
    }
}

/// What a token may do in its namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// Call functions, send events, write and delete objects.
    Invoke,
    /// Make, change and remove functions, buckets and secrets.
    Deploy,
    /// See functions, logs and objects.
    Read,
    /// Everything, and the tokens and quotas.
    Admin,
}

impl Right {
    pub const ALL: [Right; 4] = [Right::Invoke, Right::Deploy, Right::Read, Right::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Right::Invoke => "invoke",
            Right::Deploy => "deploy",
            Right::Read => "read",
            Right::Admin => "admin",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Right {
    type Err = Error;

    fn from_str(text: &str) -> Result<Right, Error> {
        Right::ALL.into_iter().find(|right| right.as_str() == text).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            Error::new(Code::RequestInvalid, format!("{shown:?} is no right")).hint("The rights are invoke, deploy, read and admin.")
        })
    }
}

/// A set of rights.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Right>", into = "Vec<Right>")]
pub struct Rights(u8);

impl Rights {
    /// Whoever administers may do the rest too: nothing would keep him from giving himself the right.
    pub fn has(self, right: Right) -> bool {
        self.0 & (1 << right as u8 | 1 << Right::Admin as u8) != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Rights {
        Rights(rights.into_iter().fold(0, |set, right| set | 1 << right as u8))
    }
}

impl From<Vec<Right>> for Rights {
    fn from(rights: Vec<Right>) -> Rights {
        rights.into_iter().collect()
    }
}

impl From<Rights> for Vec<Right> {
    fn from(rights: Rights) -> Vec<Right> {
        Right::ALL.into_iter().filter(|right| rights.0 & (1 << *right as u8) != 0).collect()
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Vec::from(*self).into_iter().map(Right::as_str).collect();
        f.write_str(&names.join(","))
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a token's rights hold. Written as the namespace, or `*`, which is no name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Scope {
    One(Name),
    All,
}

impl Scope {
    pub fn covers(&self, namespace: &Name) -> bool {
        match self {
            Scope::One(own) => own == namespace,
            Scope::All => true,
        }
    }

    /// What it takes to give and take rights there.
    fn need(&self) -> Need<'_> {
        match self {
            Scope::One(name) => Need::Of(Right::Admin, name),
            Scope::All => Need::Server(Right::Admin),
        }
    }

    pub fn as_str(&self) -> &str {
        match self {
            Scope::One(name) => name.as_str(),
            Scope::All => "*",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::One(name) => write!(f, "the namespace {name}"),
            Scope::All => f.write_str("all namespaces"),
        }
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> String {
        scope.as_str().to_owned()
    }
}

impl TryFrom<String> for Scope {
    type Error = Error;

    fn try_from(text: String) -> Result<Scope, Error> {
        if text == "*" { Ok(Scope::All) } else { Name::new(&text).map(Scope::One) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_has_the_rest() {
        let one = |right| Rights::from_iter([right]);
        for right in Right::ALL {
            assert!(one(Right::Admin).has(right));
            assert_eq!(one(Right::Invoke).has(right), right == Right::Invoke);
        }
        assert_eq!(Rights::from_iter([Right::Read, Right::Invoke]).to_string(), "invoke,read");
    }

    #[test]
    fn rights_survive_their_record() {
        for bits in 0..16 {
            let rights = Rights(bits);
            let text = serde_json::to_string(&rights).unwrap();
            assert_eq!(serde_json::from_str::<Rights>(&text).unwrap(), rights, "{text}");
        }
    }
}
