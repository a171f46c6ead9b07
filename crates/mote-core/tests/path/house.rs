//! A whole platform on scripted parts.

use std::sync::Arc;

use futures_util::StreamExt;
use mote_core::access::{Access, Credential, Root};
use mote_core::action::{Action, Deploy, DeployWish, Deployed, Done, Expect, Files, Number, Platform, Step, Target};
use mote_core::bundle::Bundle;
use mote_core::clock::Clock;
use mote_core::directory::Directory;
use mote_core::engine::Engine;
use mote_core::error::Result;
use mote_core::event::Event;
use mote_core::function::{Function, FunctionRef, Name};
use mote_core::invoke::flow::FlowEngine;
use mote_core::invoke::spill::Spill;
use mote_core::invoke::{Dialects, Engines, Invoker};
use mote_core::platform::House;
use mote_core::queues::Queues;
use mote_core::secret::cipher::{Cipher, Key};
use mote_core::secret::vault::Vault;
use mote_core::topic::Topics;
use mote_testkit::{EchoDialect, FakeClock, MemoryStore, ScriptedEngine};

pub(crate) struct Scene {
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) engine: Arc<ScriptedEngine>,
    pub(crate) invoker: Arc<Invoker>,
    pub(crate) house: House,
}

impl Scene {
    pub(crate) async fn new(engine: Arc<ScriptedEngine>) -> Scene {
        let clock = Arc::new(FakeClock::default());
        let store = MemoryStore::new(clock.clone());
        let access = Arc::new(access(&clock, &store));
        let flows = FlowEngine { queue: store.clone(), clock: clock.clone(), access: access.clone() };
        let cipher = Arc::new(Cipher::new(&Key::new([1; Key::BYTES]), clock.clone()));
        let vault = Arc::new(Vault::open(store.clone(), cipher, clock.clone()).await.unwrap());
        let directory = Arc::new(Directory::default());
        let invoker = Arc::new(Invoker {
            access: access.clone(),
            topics: Arc::new(Topics::new(directory.clone())),
            queues: Arc::new(Queues::new([7; 32])),
            secrets: vault.clone(),
            directory,
            catalog: store.clone(),
            queue: store.clone(),
            spill: Arc::new(Spill::new(Arc::new(NoObjects), store.clone(), access.clone())),
            logs: store.clone(),
            records: store.clone(),
            clock: clock.clone(),
            dialects: Dialects::new(vec![Arc::new(EchoDialect)]),
            engines: Engines::new([engine.clone() as Arc<dyn Engine>, Arc::new(flows)]),
        });
        let house = House::new(access, invoker.clone(), Arc::new(NoObjects), vault, "http://public".into());
        Scene { clock, store, engine, invoker, house }
    }

    /// Makes a function live without a deploy, with limits of the test's choice.
    pub(crate) fn install(&self, name: &str, change: impl FnOnce(&mut Function)) {
        let mut function = Function {
            id: self.clock.id(),
            name: name.parse().unwrap(),
            dialect: "echo".into(),
            artifact: Bundle::default().digest(),
            created: self.clock.now(),
            ..mote_testkit::function("f")
        };
        change(&mut function);
        self.invoker.directory.replace(vec![Arc::new(function)]);
    }

    pub(crate) fn event(&self, body: &'static str) -> Event {
        Event::new(self.clock.id(), "/test", "test", self.clock.now(), body)
    }

    pub(crate) async fn admin(&self, action: Action) -> Result<Done> {
        self.house.execute(Credential::Token("token".into()), action).await
    }

    pub(crate) async fn deploy(&self, files: &[(&str, &'static str)]) -> Result<Vec<Deployed>> {
        self.deploy_as(None, files).await
    }

    pub(crate) async fn deploy_as(&self, name: Option<&str>, files: &[(&str, &'static str)]) -> Result<Vec<Deployed>> {
        self.deploy_numbered(Number::Next, name, files).await
    }

    /// What the next version will be made of.
    pub(crate) async fn draft(&self, files: &[(&str, &'static str)]) -> Result<Vec<Deployed>> {
        self.deploy_numbered(Number::Draft, None, files).await
    }

    async fn deploy_numbered(&self, number: Number, name: Option<&str>, files: &[(&str, &'static str)]) -> Result<Vec<Deployed>> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, path, content.as_bytes()).unwrap();
        }
        let name = name.map(|name| name.parse().unwrap());
        let wish = DeployWish { namespace: Name::default_namespace(), name, default_name: None, dev: false };
        let deploy = Deploy {
            wish,
            files: Files::Archive(tar.into_inner().unwrap().into()),
            declared: None,
            number,
            layers: Vec::new(),
            expect: Expect::Anything,
        };
        let Done::Deploying(mut steps) = self.admin(Action::Deploy(Box::new(deploy))).await? else { panic!("not a deploy") };
        while let Some(step) = steps.next().await {
            match step {
                Step::Progress(_) => {}
                Step::Done(deployed) => return Ok(deployed),
                Step::Failed(error) => return Err(error),
            }
        }
        panic!("a deploy ended without a result")
    }
}

/// The access of a server with this store, before it has read anything of it.
pub(crate) fn access(clock: &Arc<FakeClock>, store: &Arc<MemoryStore>) -> Access {
    let root = Root { token: "token".into(), keys: Vec::new(), server_key: [7; 32] };
    Access::new(root, clock.clone()).audited(store.clone())
}

pub(crate) fn live(name: &str) -> Target {
    Target::live(reference(name))
}

pub(crate) fn reference(name: &str) -> FunctionRef {
    FunctionRef { namespace: Name::default_namespace(), name: name.parse().unwrap() }
}

pub(crate) use no_objects::NoObjects;

mod no_objects {
    //! The path's tests touch no object: there is none, and whoever makes one fails the test.

    use std::collections::BTreeMap;

    use mote_core::BoxFuture;
    use mote_core::body::Body;
    use mote_core::error::{Code, Error, Result};
    use mote_core::store::*;

    pub(crate) struct NoObjects;

    fn no_bucket() -> Error {
        Error::new(Code::BucketNotFound, "there is no bucket")
    }

    macro_rules! never {
        ($($(#[$l:ident])? fn $name:ident($($arg:ty),*) -> $out:ty;)*) => {
            impl Objects for NoObjects {
                $(fn $name<'a>(&'a self $(, _: $arg)*) -> BoxFuture<'a, Result<$out>> { unreachable!() })*

                /// Which is true, and asked for by whoever shows a quota.
                fn bytes<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<u64>> {
                    Box::pin(async { Ok(0) })
                }

                fn get<'a>(&'a self, _: &'a str, _: &'a str, _: Option<ByteRange>) -> BoxFuture<'a, Result<(ObjectInfo, Body)>> {
                    Box::pin(async { Err(no_bucket()) })
                }

                fn head<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<ObjectInfo>> {
                    Box::pin(async { Err(no_bucket()) })
                }

                fn list<'a>(&'a self, _: &'a str, _: ObjectListQuery) -> BoxFuture<'a, Result<ObjectList>> {
                    Box::pin(async { Err(no_bucket()) })
                }
            }
        };
    }

    never! {
        fn create_bucket(&'a str) -> ();
        fn delete_bucket(&'a str) -> ();
        fn bucket(&'a str) -> BucketInfo;
        fn buckets() -> Vec<BucketInfo>;
        fn tag_bucket(&'a str, Tags) -> ();
        fn tag(&'a str, &'a str, Tags) -> ();
        fn stage(Body) -> Box<dyn Staged>;
        fn put(&'a str, &'a str, Box<dyn Staged>, ObjectMeta, Precondition, Effects) -> ObjectInfo;
        fn delete(&'a str, &'a str, Precondition, Effects) -> bool;
        fn create_upload(&'a str, &'a str, ObjectMeta) -> UploadInfo;
        fn upload(&'a str, &'a str, &'a str) -> UploadInfo;
        fn put_part(&'a UploadInfo, u32, Box<dyn Staged>, BTreeMap<String, String>, Option<ByteRoom>) -> PartInfo;
        fn parts(&'a UploadInfo, u32, usize) -> Vec<PartInfo>;
        fn complete_upload(&'a UploadInfo, Vec<(u32, String)>, ObjectMeta, Precondition, Effects) -> ObjectInfo;
        fn abort_upload(&'a UploadInfo) -> ();
        fn uploads(&'a str, &'a str, Option<(&'a str, &'a str)>, usize) -> Vec<UploadInfo>;
    }
}
