//! The closed list of verbs. Every API, ours or a vendor's, comes down to these.
//!
//! A dialect translates words into an [`Action`] and a [`Done`] back into words; it adds no verb.
//! Who carries them out: [`crate::platform`]. What they are asked with, and what they answer, stands
//! by group in this folder.

mod calls;
mod deploy;
mod queues;
mod server;

use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use futures_util::{StreamExt, TryStreamExt};
use serde_json::{Map, Value};

use crate::BoxFuture;
use crate::access::audit::AuditLine;
use crate::access::limits::QuotaReport;
use crate::access::rights::Scope;
use crate::access::tokens::{NewToken, TokenInfo, TokenWish};
use crate::access::{Credential, Patch};
use crate::body::Body;
use crate::clock::Id;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::function::{Bound, Function, FunctionRef, Name, Seen};
use crate::invoke::deliver::outcome::CallStatus;
use crate::invoke::deliver::parcel::Wish;
use crate::mqtt::{BrokerStatus, Message};
use crate::queues::QueueInfo;
use crate::queues::message::Received;
use crate::reply::Reply;
use crate::rule::Rule;
use crate::secret::SecretInfo;
use crate::store::{BucketInfo, LogLine, LogQuery, ObjectInfo, ObjectList, ObjectListQuery, ObjectMeta, RecordPage, RecordQuery};
use crate::topic::{Published, Subscriber, SubscriberInfo, TopicInfo};

pub use self::calls::{DeadCall, Fate, Letters, Recipients, ReplayOn, Target, Trace, TracedCall};
pub use self::deploy::{
    Deploy, DeployWish, Deployed, Description, Expect, Files, LAYERS, Number, Over, SettingsPatch, Step, Steps, files_of,
};
pub use self::queues::{Outgoing, SettleMessages};
pub use self::server::{CallerInfo, NamespaceInfo, SecretEntry, SignWish, SignedUrl, Status, TimerInfo};
pub use crate::function::Qualifier;

/// One thing that the platform can do.
#[derive(Debug)]
pub enum Action {
    /// Run a function and wait for its reply.
    Call {
        to: Target,
        event: Event,
    },
    /// Whether a call would be let in, and there is what it would run; runs nothing.
    DryRun {
        function: FunctionRef,
        version: Qualifier,
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
    /// Waits so long for the first; `None`: as the queue has it.
    ReceiveMessages {
        namespace: Name,
        name: Name,
        max: usize,
        visibility: Option<Duration>,
        wait: Option<Duration>,
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
    /// Build and warm a version from an archive, or take the files of the live one, then make it live.
    Deploy(Box<Deploy>),
    /// Take a function away: its versions, bindings and artifact.
    Remove {
        function: FunctionRef,
    },
    /// One version of a function, with what stands beside its versions.
    Describe {
        function: FunctionRef,
        version: Qualifier,
    },
    /// Versions that are stored, oldest first, after a number.
    ListVersions {
        function: FunctionRef,
        after: Option<u64>,
        limit: usize,
    },
    /// Make a version of the draft as it is, which says this beside what the draft says; one that was
    /// made of the same draft is given back in place of a new one.
    Freeze {
        function: FunctionRef,
        about: Map<String, Value>,
        expect: Option<Id>,
    },
    /// Drop a version that nothing leads to.
    RemoveVersion {
        function: FunctionRef,
        version: u64,
    },
    /// Change what stands beside a function's versions; refused if that has changed since the revision.
    Configure {
        function: FunctionRef,
        patch: Box<SettingsPatch>,
        expect: Option<u64>,
    },
    /// Add a binding beside those of a function's versions, or change the one of its id; refused if that is another
    /// by now than was seen.
    Bind {
        bound: Box<Bound>,
        seen: Seen,
    },
    Unbind {
        namespace: Name,
        id: Name,
    },
    /// Those of a namespace, or of one function in it: by id, after one.
    ListBound {
        namespace: Name,
        function: Option<Name>,
        after: Option<String>,
        limit: usize,
    },
    /// Add a rule, or change the one of its name; refused if that has changed since the revision, which
    /// is 0 for none.
    SetRule {
        rule: Box<Rule>,
        expect: Option<u64>,
    },
    ShowRule {
        namespace: Name,
        group: Name,
        name: Name,
    },
    RemoveRule {
        namespace: Name,
        group: Name,
        name: Name,
    },
    /// Those of a namespace, or of one group in it.
    ListRules {
        namespace: Name,
        group: Option<Name>,
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
    /// Keep a file that functions are made of, where nobody but the APIs that make them reaches it: an
    /// archive, a layer.
    KeepFile {
        namespace: Name,
        key: String,
        body: Body,
        over: Over,
    },
    ReadFile {
        namespace: Name,
        key: String,
    },
    ListFiles {
        namespace: Name,
        query: ObjectListQuery,
    },
    /// Of one that is not there, too.
    DropFile {
        namespace: Name,
        key: String,
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
    /// Whom the credential stands for, and the namespace that is meant where an API has no word for one.
    WhoAmI,
    /// Whether the server is well, and how much is inside of what the caller may know of.
    Status,
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
    /// What a deploy has made: see [`Done::whole`].
    Deployed(Vec<Deployed>),
    Function(Box<Description>),
    Functions(Vec<Arc<Function>>),
    Version(Arc<Function>),
    Bound(Vec<Arc<Bound>>),
    /// With its revision.
    Rule(Box<Rule>, u64),
    Rules(Vec<Arc<Rule>>),
    Logs(LogStream),
    /// What was said: see [`Done::whole`].
    Lines(Vec<LogLine>),
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
    Caller(CallerInfo),
    Status(Status),
    Nothing,
}

impl Done {
    /// What comes bit by bit, all of it at once: for whoever has nobody to show the bits to, such as
    /// an API whose answer tells of the end alone. Lines are not to be followed.
    pub async fn whole(self) -> Result<Done> {
        match self {
            Done::Deploying(mut steps) => loop {
                match steps.next().await {
                    Some(Step::Progress(_)) => {}
                    Some(Step::Done(deployed)) => return Ok(Done::Deployed(deployed)),
                    Some(Step::Failed(error)) => return Err(error),
                    None => return Err(Error::internal("a deploy came to no end")),
                }
            },
            Done::Logs(lines) => Ok(Done::Lines(lines.try_collect().await?)),
            done => Ok(done),
        }
    }
}

pub type LogStream = std::pin::Pin<Box<dyn Stream<Item = Result<LogLine>> + Send>>;

/// The verbs' one door: every API calls this.
pub trait Platform: Send + Sync {
    fn execute(&self, who: Credential, what: Action) -> BoxFuture<'_, Result<Done>>;
}
