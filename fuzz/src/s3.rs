//! The S3 door over a real store: a request is never the server's fault, and no bytes get past the key.

use std::sync::{Arc, LazyLock};

use mote_core::access::{Access, Credential, KeyPair, Root};
use mote_core::clock::SystemClock;
use mote_core::function::Name;
use mote_s3::S3Door;
use mote_store::Embedded;
use tokio::runtime::Runtime;

struct World {
    runtime: Runtime,
    door: S3Door,
    _store: Embedded,
    _place: tempfile::TempDir,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let place = tempfile::tempdir().expect("a folder");
    let clock = Arc::new(SystemClock::new());
    let _inside = runtime.enter();
    let store = Embedded::open(place.path(), clock.clone()).expect("a store");
    runtime.block_on(store.objects().create_bucket("fuzz")).expect("a bucket");
    let keys = vec![KeyPair { id: "K".to_owned(), secret: "secret".to_owned() }];
    let access = Access::new(Root { token: "token".to_owned(), keys, server_key: [0; 32] }, clock.clone());
    let door = mote_s3::service(store.objects(), Arc::new(access), clock);
    drop(_inside);
    World { runtime, door, _store: store, _place: place }
});

/// A request of the S3 door, from a jail or from outside.
pub fn s3_request(data: &[u8]) {
    let Some((origin, data)) = data.split_first() else { return };
    let Some(request) = crate::request(data) else { return };
    let world = &*WORLD;
    let known = (*origin == b'j').then(|| Credential::Instance(Name::default_namespace()));
    let trusted = known.is_some();
    let response = world.runtime.block_on(world.door.answer(known, request));
    let status = response.status();
    assert!(!status.is_server_error() || status == http::StatusCode::NOT_IMPLEMENTED, "{status}");
    assert!(
        trusted || status.is_client_error() || status == http::StatusCode::NOT_IMPLEMENTED,
        "{status} for a request that nobody signed"
    );
}
