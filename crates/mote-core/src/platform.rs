//! Carries out the verbs that are not a call: deploy, remove, point, list, objects, logs, access.

mod bindings;
mod calls;
mod deploy;
mod files;
mod flows;
mod mqtt;
mod queues;
mod ready;
mod records;
mod rules;
mod secrets;
mod spaces;
mod timers;
mod topics;
mod turns;
mod versions;

use std::sync::Arc;

use crate::BoxFuture;
use crate::access::rights::Scope;
use crate::access::{Access, Caller, Credential};
use crate::action::{Action, CallerInfo, Done, Platform, Status};
use crate::directory::Directory;
use crate::error::{Code, Error, Result};
use crate::function::Name;
use crate::invoke::deliver::QUEUES;
use crate::invoke::{Invoke, Invoker};
use crate::mqtt::Broker;
use crate::secret::vault::Vault;
use crate::store::within::{Judged, within};
use crate::store::{Catalog, LogQuery, Objects, Precondition, RecordQuery};

/// The platform that the doors hold; cheap to clone.
#[derive(Clone)]
pub struct House {
    pub access: Arc<Access>,
    pub invoker: Arc<Invoker>,
    pub objects: Arc<dyn Objects>,
    pub vault: Arc<Vault>,
    /// Of the public door.
    public_url: String,
    turns: turns::Turns,
    mqtt: Option<Arc<dyn Broker>>,
}

impl House {
    pub fn new(access: Arc<Access>, invoker: Arc<Invoker>, objects: Arc<dyn Objects>, vault: Arc<Vault>, public_url: String) -> Self {
        House { access, invoker, objects, vault, public_url, turns: turns::Turns::new(), mqtt: None }
    }

    /// With a broker for its verbs.
    pub fn with_mqtt(mut self, broker: Arc<dyn Broker>) -> Self {
        self.mqtt = Some(broker);
        self
    }

    async fn run(&self, who: Credential, what: Action) -> Result<Done> {
        let caller = self.access.judge(&who, &what)?;
        let Some(note) = self.access.note(&caller, &what) else { return self.carry_out(&caller, what).await };
        // It has an end of its own.
        if let Action::Deploy(deploy) = what {
            return Ok(Done::Deploying(deploy::start(self.clone(), *deploy, note)));
        }
        let outcome = self.carry_out(&caller, what).await;
        self.access.record(note, outcome.as_ref().err());
        outcome
    }

    async fn carry_out(&self, caller: &Caller, what: Action) -> Result<Done> {
        Ok(match what {
            Action::Call { to, event } => Done::Reply(self.invoker.call_as(caller, to, event).await?),
            Action::DryRun { function, version } => self.invoker.version(function, version).await.map(|_| Done::Nothing)?,
            Action::Send { to, event, wish } => Done::Accepted(self.invoker.send_as(caller, to, event, wish).await?),
            Action::ShowCall { namespace, id, wait } => Done::Call(Box::new(self.call_status(&namespace, id, wait).await?)),
            Action::ListCalls { namespace, query } => {
                Done::Calls(self.invoker.records.search(RecordQuery { namespace: Some(namespace), ..query }).await?)
            }
            Action::Trace { namespace, id } => Done::Trace(Box::new(self.trace(&namespace, id).await?)),
            Action::Replay { namespace, id, on } => Done::Accepted(self.replay(caller, &namespace, id, on).await?),
            Action::CancelCall { namespace, id } => Done::Call(Box::new(self.cancel(&namespace, id).await?)),
            Action::ListDead { letters, after, limit } => Done::Dead(self.dead(&letters, after, limit).await?),
            Action::SettleDead { letters, fate } => {
                let house = self.clone();
                to_the_end(async move { house.settle_dead(&letters, fate).await }).await?
            }
            Action::Publish { namespace, topic, event, wish } => {
                Done::Published(self.invoker.publish(&namespace, &topic, event, wish).await?)
            }
            Action::ListTopics { namespace } => Done::Topics(self.invoker.topics.list(&namespace)),
            Action::ShowTopic { namespace, topic } => Done::Subscribers(self.invoker.topics.show(&namespace, &topic)),
            Action::Subscribe { namespace, subscriber } => self.subscribe(namespace, *subscriber).await?,
            Action::Unsubscribe { namespace, topic, name } => self.unsubscribe(namespace, topic, name).await?,
            Action::SetQueue { namespace, name, patch } => self.set_queue(namespace, name, patch).await?,
            Action::RemoveQueue { namespace, name } => self.remove_queue(namespace, name).await?,
            Action::ListQueues { namespace, after, limit } => Done::Queues(self.list_queues(&namespace, after.as_deref(), limit).await?),
            Action::ShowQueue { namespace, name } => Done::Queue(Box::new(self.show_queue(&namespace, &name).await?)),
            Action::SendMessages { namespace, name, what } => Done::Sent(self.send_messages(caller, &namespace, &name, what).await?),
            Action::ReceiveMessages { namespace, name, max, visibility, wait } => {
                Done::Messages(self.receive(&namespace, &name, max, visibility, wait).await?)
            }
            Action::SettleMessages { namespace, name, what } => Done::Settled(self.settle_messages(&namespace, &name, what).await?),
            Action::PurgeQueue { namespace, name } => Done::Count(self.purge_queue(&namespace, &name).await?),
            Action::RedriveQueue { namespace, name, to, per_second } => {
                let house = self.clone();
                let moved = async move { house.redrive_queue(&namespace, &name, to.as_ref(), per_second).await };
                Done::Count(to_the_end(moved).await?)
            }
            Action::Deploy(_) => return Err(Error::internal("a deploy is begun before")),
            Action::Remove { function } => {
                let house = self.clone();
                to_the_end(async move { house.remove(&function).await }).await?
            }
            Action::Describe { function, version } => Done::Function(Box::new(self.describe(&function, &version).await?)),
            Action::ListVersions { function, after, limit } => Done::Functions(self.list_versions(&function, after, limit).await?),
            Action::Freeze { function, about, expect } => {
                let house = self.clone();
                Done::Version(to_the_end(async move { house.freeze(&function, about, expect).await }).await?)
            }
            Action::RemoveVersion { function, version } => {
                let house = self.clone();
                to_the_end(async move { house.remove_version(&function, version).await }).await?
            }
            Action::Configure { function, patch, expect } => {
                let house = self.clone();
                to_the_end(async move { house.configure(&function, *patch, expect).await }).await?
            }
            Action::Bind { bound, seen } => {
                let house = self.clone();
                Done::Bound(vec![to_the_end(async move { house.bind(*bound, seen).await }).await?])
            }
            Action::Unbind { namespace, id } => {
                let house = self.clone();
                to_the_end(async move { house.unbind(&namespace, &id).await }).await?;
                Done::Nothing
            }
            Action::ListBound { namespace, function, after, limit } => {
                Done::Bound(self.directory().bound(&namespace, function.as_ref(), after.as_deref(), limit))
            }
            Action::SetRule { rule, expect } => self.set_rule(*rule, expect).await?,
            Action::ShowRule { namespace, group, name } => self.show_rule(&namespace, &group, &name).await?,
            Action::RemoveRule { namespace, group, name } => self.remove_rule(namespace, group, name).await?,
            Action::ListRules { namespace, group } => Done::Rules(self.invoker.topics.rules.list(&namespace, group.as_ref())),
            Action::List { namespace, after, limit } => Done::Functions(self.directory().list(&namespace, after.as_deref(), limit)),
            Action::Point { function, version } => {
                let house = self.clone();
                to_the_end(async move { house.point(&function, version).await }).await?
            }
            Action::Logs { namespace, query } => {
                Done::Logs(self.invoker.logs.read(LogQuery { namespace: Some(namespace.to_string()), ..query }).await?)
            }
            Action::ListTimers { namespace, next } => Done::Timers(self.list_timers(&namespace, next).await?),
            Action::PublishMqtt { namespace, message, body } => {
                self.publish_mqtt(caller, &namespace, *message, body).await?;
                Done::Nothing
            }
            Action::ShowMqtt { namespace } => Done::Mqtt(self.mqtt()?.status(&namespace).await?),
            Action::CreateBucket { namespace, name } => {
                self.within(&namespace).create_bucket(&name).await?;
                Done::Nothing
            }
            Action::DeleteBucket { namespace, name } => {
                self.within(&namespace).delete_bucket(&name).await?;
                Done::Nothing
            }
            Action::ListBuckets { namespace } => Done::Buckets(self.within(&namespace).buckets().await?),
            Action::PutObject { namespace, bucket, key, meta, body } => {
                let objects = self.within(&namespace);
                objects.bucket(&bucket).await?;
                let staged = objects.stage(body).await?;
                Done::Stored(objects.put(&bucket, &key, staged, meta, Precondition::default(), None).await?)
            }
            Action::GetObject { namespace, bucket, key } => {
                let (info, body) = self.within(&namespace).get(&bucket, &key, None).await?;
                Done::Object(info, body)
            }
            Action::DeleteObject { namespace, bucket, key } => {
                if !self.within(&namespace).delete(&bucket, &key, Precondition::default(), None).await? {
                    return Err(Error::new(Code::ObjectNotFound, format!("there is no object {key:?} in the bucket {bucket}")));
                }
                Done::Nothing
            }
            Action::ListObjects { namespace, bucket, query } => Done::Objects(self.within(&namespace).list(&bucket, query).await?),
            Action::KeepFile { namespace, key, body, over } => Done::Stored(self.keep_file(&namespace, &key, body, over).await?),
            Action::ReadFile { namespace, key } => {
                let (info, body) = self.read_file(&namespace, &key).await?;
                Done::Object(info, body)
            }
            Action::ListFiles { namespace, query } => Done::Objects(self.list_files(&namespace, query).await?),
            Action::DropFile { namespace, key } => {
                self.drop_file(&namespace, &key).await?;
                Done::Nothing
            }
            Action::SetSecret { namespace, name, value } => {
                let house = self.clone();
                to_the_end(async move { house.set_secret(&namespace, &name, value).await }).await?
            }
            Action::ListSecrets { namespace } => Done::Secrets(self.list_secrets(&namespace).await?),
            Action::RemoveSecret { namespace, name, force } => {
                let house = self.clone();
                to_the_end(async move { house.remove_secret(&namespace, &name, force).await }).await?
            }
            Action::CreateToken(wish) => {
                let house = self.clone();
                Done::Token(Box::new(to_the_end(async move { house.access.create_token(house.catalog(), *wish).await }).await?))
            }
            Action::ListTokens { scope } => Done::Tokens(self.access.tokens.list(Some(&scope).filter(|scope| **scope != Scope::All))),
            Action::RevokeToken { scope, name } => {
                let house = self.clone();
                to_the_end(async move { house.access.revoke_token(house.catalog(), &scope, &name).await }).await?;
                Done::Nothing
            }
            Action::SignUrl(wish) => Done::Signed(self.sign(*wish, caller.signer())?),
            Action::RotateSigning { namespace } => {
                let house = self.clone();
                to_the_end(async move { house.access.rotate_signing(house.catalog(), &namespace).await }).await?;
                Done::Nothing
            }
            Action::SetQuota { namespace, patch } => {
                let (house, of) = (self.clone(), namespace.clone());
                to_the_end(async move { house.access.set_quota(house.catalog(), &of, patch).await }).await?;
                Done::Quota(Box::new(self.quota(namespace).await?))
            }
            Action::ShowQuota { namespace } => Done::Quota(Box::new(self.quota(namespace).await?)),
            Action::ListNamespaces => Done::Namespaces(self.namespaces(caller.bound()).await?),
            Action::ReadAudit { namespace, tail } => Done::Audit(self.access.audit(namespace.as_ref(), tail).await?),
            Action::WhoAmI => Done::Caller(CallerInfo { namespace: caller.namespace(), name: caller.label() }),
            Action::Status => Done::Status(self.status(caller.bound()).await?),
        })
    }

    /// The buckets of a namespace, for a caller who was judged.
    fn within(&self, namespace: &Name) -> Arc<dyn Objects> {
        within(self.objects.clone(), namespace, Judged)
    }

    async fn status(&self, bound: Option<&Name>) -> Result<Status> {
        let queues = bound.map_or_else(|| QUEUES.to_owned(), |namespace| format!("{QUEUES}{namespace}/"));
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            functions: self.directory().count(bound),
            queued: self.invoker.queue.depth(&queues).await?,
            records_dropped: self.invoker.records.dropped(),
            public: self.public_url.clone(),
        })
    }

    /// Has engines delete what a crash left: artifacts that were made, or dropped, without a trace
    /// in the catalog. For a start of the server; deploys may begin meanwhile.
    pub async fn forget_orphans(&self) {
        match deploy::artifacts(self.catalog()).await {
            Ok(artifacts) => {
                for engine in self.invoker.engines.all() {
                    engine.keep_only(&artifacts).await;
                }
            }
            Err(error) => tracing::warn!(?error, "artifacts that a crash left stay on disk until the next start"),
        }
    }

    fn directory(&self) -> &Directory {
        &self.invoker.directory
    }

    fn catalog(&self) -> &dyn Catalog {
        &*self.invoker.catalog
    }
}

/// Runs a change of catalog and directory to its end even if the caller goes away: stopped
/// between the two, what is served would no longer be what is stored.
async fn to_the_end<T: Send + 'static>(change: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(change).await.map_err(|e| Error::internal("a change broke off").caused_by(e))?
}

impl Platform for House {
    fn execute(&self, who: Credential, what: Action) -> BoxFuture<'_, Result<Done>> {
        Box::pin(self.run(who, what))
    }
}
