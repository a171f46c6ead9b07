//! The closed list of verbs. Every API, ours or a vendor's, comes down to these.
//!
//! A dialect translates words into an [`Action`] and a [`Done`] back into words; it adds no verb.
//! Who carries them out: [`crate::platform`].

use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use serde::{Deserialize, Serialize};

use crate::BoxFuture;
use crate::access::audit::AuditLine;
use crate::access::limits::QuotaReport;
use crate::access::rights::Scope;
use crate::access::tokens::{NewToken, TokenInfo, TokenWish};
use crate::access::{Credential, Patch};
use crate::body::Body;
use crate::clock::{Id, Timestamp};
use crate::error::{Error, Result};
use crate::event::lineage::Cause;
use crate::event::{Event, StoredEvent};
use crate::function::{Function, FunctionRef, Name};
use crate::invoke::deliver::outcome::CallStatus;
use crate::invoke::deliver::parcel::Wish;
use crate::mqtt::{BrokerStatus, Message};
use crate::queues::QueueInfo;
use crate::queues::message::{NewMessage, Received};
use crate::reply::Reply;
use crate::schedule::{CatchUp, Options, Schedule};
use crate::secret::SecretInfo;
use crate::store::{
    BucketInfo, CallRecord, Failed, LogLine, LogQuery, ObjectInfo, ObjectList, ObjectListQuery, ObjectMeta, RecordPage, RecordQuery,
};
use crate::topic::{Published, Subscriber, SubscriberInfo, TopicInfo};

/// One thing that the platform can do.
#[derive(Debug)]
pub enum Action {
    /// Run a function and wait for its reply.
    Call {
        to: Target,
        event: Event,
    },
    /// Accept an event for a function; durable once it returns.
    Send {
        to: Target,
        event: Event,
        wish: Wish,
    },
    /// What became of a call that was sent; waits so long for its end.
    ShowCall {
        namespace: Name,
        id: Id,
        wait: Duration,
    },
    /// Records of calls, newest first; the query's namespace is set to it.
    ListCalls {
        namespace: Name,
        query: RecordQuery,
    },
    /// A call with all that led to it and all that followed.
    Trace {
        namespace: Name,
        id: Id,
    },
    /// The event of a call once more, as a call of its own that is tried once; durable once it returns.
    Replay {
        namespace: Name,
        id: Id,
        on: ReplayOn,
    },
    /// Take back a call that was sent, while it waits.
    CancelCall {
        namespace: Name,
        id: Id,
    },
    /// Calls that were given up, oldest first, after an id.
    ListDead {
        letters: Letters,
        after: Option<Id>,
        limit: usize,
    },
    /// Send them again, or forget them.
    SettleDead {
        letters: Letters,
        fate: Fate,
    },
    /// Give an event, or a batch of them, to everybody who is subscribed; durable once it returns.
    Publish {
        namespace: Name,
        topic: Name,
        event: Event,
        wish: Wish,
    },
    /// Topics that somebody is subscribed to.
    ListTopics {
        namespace: Name,
    },
    /// Who is subscribed to one.
    ShowTopic {
        namespace: Name,
        topic: Name,
    },
    /// Add a subscription, or change the one of its name.
    Subscribe {
        namespace: Name,
        subscriber: Box<Subscriber>,
    },
    Unsubscribe {
        namespace: Name,
        topic: Name,
        name: Name,
    },
    /// Make a queue, or change what the patch names of the one that is there.
    SetQueue {
        namespace: Name,
        name: Name,
        patch: Patch,
    },
    /// Its messages go with it.
    RemoveQueue {
        namespace: Name,
        name: Name,
    },
    /// In name order, after a name.
    ListQueues {
        namespace: Name,
        after: Option<String>,
        limit: usize,
    },
    ShowQueue {
        namespace: Name,
        name: Name,
    },
    /// Durable once it returns: all of them or none.
    SendMessages {
        namespace: Name,
        name: Name,
        what: Outgoing,
    },
    /// Waits so long for the first; `None`: the queue's own visibility.
    ReceiveMessages {
        namespace: Name,
        name: Name,
        max: usize,
        visibility: Option<Duration>,
        wait: Duration,
    },
    SettleMessages {
        namespace: Name,
        name: Name,
        what: SettleMessages,
    },
    PurgeQueue {
        namespace: Name,
        name: Name,
    },
    /// Move what lies in a dead-letter queue back to where it came from, or to another queue.
    RedriveQueue {
        namespace: Name,
        name: Name,
        to: Option<Name>,
        per_second: Option<u32>,
    },
    /// Build and warm a version from an archive, then make it live.
    Deploy(Box<Deploy>),
    /// Take a function away: its versions, bindings and artifact.
    Remove {
        function: FunctionRef,
    },
    /// One function with its versions.
    Describe {
        function: FunctionRef,
    },
    /// Functions in name order, after a name.
    List {
        namespace: Name,
        after: Option<String>,
        limit: usize,
    },
    /// Make a version live; `None`: the one that was live before.
    Point {
        function: FunctionRef,
        version: Option<u64>,
    },
    /// What was said in a namespace; the query's own is set to it.
    Logs {
        namespace: Name,
        query: LogQuery,
    },
    /// Timers of live functions, each with so many of its next runs.
    ListTimers {
        namespace: Name,
        next: usize,
    },
    /// Publish to the devices and functions of a namespace; the body is the message's payload.
    PublishMqtt {
        namespace: Name,
        message: Box<Message>,
        body: Body,
    },
    /// What the broker holds of a namespace.
    ShowMqtt {
        namespace: Name,
    },
    CreateBucket {
        namespace: Name,
        name: String,
    },
    DeleteBucket {
        namespace: Name,
        name: String,
    },
    ListBuckets {
        namespace: Name,
    },
    PutObject {
        namespace: Name,
        bucket: String,
        key: String,
        meta: ObjectMeta,
        body: Body,
    },
    GetObject {
        namespace: Name,
        bucket: String,
        key: String,
    },
    DeleteObject {
        namespace: Name,
        bucket: String,
        key: String,
    },
    ListObjects {
        namespace: Name,
        bucket: String,
        query: ObjectListQuery,
    },
    /// Give a secret a value. Nothing reads it back: a function is given it.
    SetSecret {
        namespace: Name,
        name: Name,
        value: Body,
    },
    /// What may be told of a namespace's secrets.
    ListSecrets {
        namespace: Name,
    },
    /// Refused while a live version uses it, unless forced.
    RemoveSecret {
        namespace: Name,
        name: Name,
        force: bool,
    },
    /// Make a token; its text is in the answer and nowhere else.
    CreateToken(Box<TokenWish>),
    /// `All`: every token of the server.
    ListTokens {
        scope: Scope,
    },
    RevokeToken {
        scope: Scope,
        name: Name,
    },
    /// Make a URL by which whoever holds it may call a function until it expires.
    SignUrl(Box<SignWish>),
    /// Void every URL of a namespace that was signed.
    RotateSigning {
        namespace: Name,
    },
    /// Change the limits that the patch names; `null` takes one away.
    SetQuota {
        namespace: Name,
        patch: Patch,
    },
    ShowQuota {
        namespace: Name,
    },
    /// The namespaces that the caller may know of.
    ListNamespaces,
    /// Who changed what; `None`: in all namespaces.
    ReadAudit {
        namespace: Option<Name>,
        tail: usize,
    },
    /// Whether the server is well, and how much is inside of what the caller may know of.
    Status,
}

/// Which function a call is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// By name, from a caller who may.
    Function { function: FunctionRef, version: Qualifier },
    /// By the path of the event's HTTP request: only what is public is found.
    Route { namespace: Name },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Qualifier {
    #[default]
    Live,
    Version(u64),
}

impl Target {
    pub fn live(function: FunctionRef) -> Target {
        Target::Function { function, version: Qualifier::Live }
    }
}

/// Which version a replay is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplayOn {
    /// The one that ran.
    #[default]
    Same,
    Live,
    Version(u64),
}

/// Messages for a queue.
#[derive(Debug)]
pub enum Outgoing {
    /// One, whose body is still to be read.
    One(Box<NewMessage>, Body),
    /// `{"messages":[…]}`, still to be read.
    Batch(Body),
    Ready(Vec<NewMessage>),
}

/// What becomes of messages that were received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettleMessages {
    Delete {
        receipts: Vec<String>,
    },
    /// Nobody else's for so long from now; zero: everybody's at once.
    Extend {
        receipts: Vec<String>,
        visibility: Duration,
    },
}

/// Which dead letters are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letters {
    pub namespace: Name,
    /// Of events for webhooks, in place of those for functions.
    pub webhooks: bool,
    /// `None`: every function's.
    pub function: Option<Name>,
    /// `None`: all of them.
    pub ids: Option<Vec<Id>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Back to the queue, from attempt 1; all at once or at a rate.
    Redrive {
        per_second: Option<u32>,
    },
    Forget,
}

/// A dead letter, with all that is known of it.
#[derive(Clone, Debug, Serialize)]
pub struct DeadCall {
    pub id: Id,
    /// Or the URL of a webhook.
    pub function: String,
    pub accepted: Option<Timestamp>,
    pub buried: Timestamp,
    pub attempts: u32,
    pub reason: String,
    pub failed: Vec<Failed>,
    pub event: Option<StoredEvent>,
}

/// A call in the tree of those that led to one another.
#[derive(Clone, Debug, Serialize)]
pub struct Trace {
    /// The one that was asked for.
    pub id: Id,
    /// What led to a call stands before it; the first is where it began, as far as that is kept.
    pub calls: Vec<TracedCall>,
    /// There were more calls than one trace holds.
    pub more: bool,
    /// Of the call that was asked for.
    pub logs: Vec<LogLine>,
}

#[derive(Clone, Debug, Serialize)]
pub struct TracedCall {
    pub id: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Those whose records are kept, the first one first.
    pub attempts: Vec<CallRecord>,
    /// Where the durable path has it, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<CallStatus>,
}

#[derive(Debug)]
pub struct Deploy {
    pub wish: DeployWish,
    /// Read as `tar.gz`, `zip` or `tar` by its first bytes.
    pub archive: Body,
}

/// What the person who deploys says beside the manifest.
#[derive(Clone, Debug)]
pub struct DeployWish {
    pub namespace: Name,
    /// Overrides the manifest's.
    pub name: Option<Name>,
    /// For a manifest that gives no name: that of the folder or file.
    pub default_name: Option<Name>,
    pub dev: bool,
}

/// A call that a signed URL shall allow.
#[derive(Clone, Debug)]
pub struct SignWish {
    pub function: FunctionRef,
    pub method: http::Method,
    /// On the public door, with the query; `None`: the function's URL.
    pub path: Option<String>,
    pub life: Duration,
}

/// What came of an action.
pub enum Done {
    Reply(Reply),
    Accepted(Id),
    Call(Box<CallStatus>),
    Calls(RecordPage),
    Trace(Box<Trace>),
    Dead(Vec<DeadCall>),
    Queues(Vec<QueueInfo>),
    Queue(Box<QueueInfo>),
    /// The ids of messages that were sent, those of the earlier ones where a key was known.
    Sent(Vec<Id>),
    Messages(Vec<Received>),
    /// For each receipt, why it settled nothing.
    Settled(Vec<Option<Error>>),
    Count(u64),
    Published(Published),
    Topics(Vec<TopicInfo>),
    Subscribers(Vec<SubscriberInfo>),
    Deploying(Steps),
    Function(Box<Description>),
    Functions(Vec<Arc<Function>>),
    Logs(LogStream),
    Timers(Vec<TimerInfo>),
    Mqtt(BrokerStatus),
    Buckets(Vec<BucketInfo>),
    Object(ObjectInfo, Body),
    Stored(ObjectInfo),
    Objects(ObjectList),
    Secret(SecretInfo),
    Secrets(Vec<SecretEntry>),
    Token(Box<NewToken>),
    Tokens(Vec<TokenInfo>),
    Signed(SignedUrl),
    Quota(Box<QuotaReport>),
    Namespaces(Vec<NamespaceInfo>),
    Audit(Vec<AuditLine>),
    Status(Status),
    Nothing,
}

/// What a deploy says while it goes on; the last is `Done` or `Failed`.
pub type Steps = std::pin::Pin<Box<dyn Stream<Item = Step> + Send>>;
pub type LogStream = std::pin::Pin<Box<dyn Stream<Item = Result<LogLine>> + Send>>;

#[derive(Debug)]
pub enum Step {
    /// A line for the person who waits.
    Progress(String),
    Done(Vec<Deployed>),
    Failed(Error),
}

/// A function that a deploy has made live.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deployed {
    pub namespace: Name,
    pub name: Name,
    pub version: u64,
    pub runtime: String,
    /// The function URL's path on the public door; a door that knows its own address completes it.
    pub path: Option<String>,
    /// The barriers in force around an instance.
    pub isolation: Vec<String>,
    /// Spent in the installer; zero when its result was cached.
    pub dependencies_ms: u64,
    pub total_ms: u64,
}

#[derive(Debug, Serialize)]
pub struct Description {
    pub function: Arc<Function>,
    /// Oldest first.
    pub versions: Vec<u64>,
    pub url_path: Option<String>,
}

/// A secret, and the functions whose live version is given it.
#[derive(Clone, Debug, Serialize)]
pub struct SecretEntry {
    #[serde(flatten)]
    pub info: SecretInfo,
    pub used_by: Vec<Name>,
}

#[derive(Clone, Debug, Serialize)]
pub struct SignedUrl {
    pub url: String,
    pub method: String,
    pub expires: Timestamp,
}

/// A timer, where it stands.
#[derive(Clone, Debug, Serialize)]
pub struct TimerInfo {
    pub function: Name,
    pub name: Name,
    pub schedule: Schedule,
    #[serde(flatten)]
    pub options: Options,
    pub catch_up: CatchUp,
    pub enabled: bool,
    /// The time of the last run that was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// Without the jitter; empty when there is none any more.
    pub next: Vec<Timestamp>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NamespaceInfo {
    pub name: String,
    pub functions: usize,
    pub buckets: usize,
    pub tokens: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    pub functions: usize,
    pub queued: u64,
    /// Records of calls that found no room since the start.
    pub records_dropped: u64,
    /// Where function URLs begin: the public door's address, as the server is bound to it.
    pub public: String,
}

/// The verbs' one door: every API calls this.
pub trait Platform: Send + Sync {
    fn execute(&self, who: Credential, what: Action) -> BoxFuture<'_, Result<Done>>;
}
