//! The S3 door alone, over a store of its own: what the suite in `tests/s3` can run against.
//!
//! `cargo run -p mote-s3 --example door -- DIR [ADDR]` prints its address and serves until SIGINT.
//! The key pair is `mote` / `mote-secret`. The whole server is `mote serve`.

use std::path::PathBuf;
use std::sync::Arc;

use mote_core::access::{Access, KeyPair, Root};
use mote_core::clock::SystemClock;
use mote_core::trigger::Stopper;
use mote_store::Embedded;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().ok_or("usage: door DIR [ADDR]")?);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let clock = Arc::new(SystemClock::new());
    let keys = vec![KeyPair { id: "mote".into(), secret: "mote-secret".into() }];
    let access = Arc::new(Access::new(Root { token: "unused".into(), keys, server_key: [0; 32] }, clock.clone()));
    let store = Embedded::open(&dir, clock.clone())?;
    let door = mote_s3::service(store.objects(), access, clock);
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);
    let (stopper, stop) = Stopper::new();
    let serving = tokio::spawn(async move { door.serve(listener, stop).await });
    tokio::signal::ctrl_c().await?;
    stopper.stop();
    serving.await??;
    Ok(())
}
