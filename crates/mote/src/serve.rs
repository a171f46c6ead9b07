//! The server: how it starts and stops.
//!
//! Start: addresses, store, what is inside ([`parts`], the one list of it), doors ([`open`]). Stop:
//! doors close, calls finish, instances end.

mod aws;
mod bridge;
mod certificate;
mod descriptors;
mod inside;
mod listen;
mod logs;
mod memory;
mod open;
mod outside;
mod parts;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mote_core::clock::{Clock, SystemClock};
use mote_core::invoke::Engines;
use mote_core::trigger::Stopper;
use mote_dialects::aws::Aws;
use mote_mqtt::Guests;
use mote_store::{Embedded, RecordBounds};

use crate::config::{Addresses, AwsClients};
use crate::credentials::Credentials;
use crate::doors::{Announced, Doors};
use crate::failure::Failure;
use crate::keyring::{self, PassphraseFrom};
use crate::tls::{Tls, TlsFiles};

pub(crate) use bridge::Bridge;
pub(crate) use listen::Busy;
use open::{Clients, Running};
use parts::Ground;

/// How long doors and queue may take to pass on how the calls ended that a stop cut off.
const SETTLE: Duration = Duration::from_secs(1);

/// What a server is started with.
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) addresses: Addresses,
    pub(crate) busy: Busy,
    pub(crate) passphrase: PassphraseFrom,
    pub(crate) tls: TlsFiles,
    /// Who may publish and subscribe without a token.
    pub(crate) guests: Guests,
    /// Another broker, whose messages come here.
    pub(crate) bridge: Option<Bridge>,
    /// Of each door of HTTP, for one address.
    pub(crate) connections_each: u32,
    pub(crate) aws: AwsClients,
    /// How much is kept of what was called.
    pub(crate) records: RecordBounds,
    /// Of the time between two tries of an event.
    pub(crate) retry_scale: f64,
}

/// A server that answers on every door.
pub(crate) struct Server {
    data_dir: PathBuf,
    doors: Doors,
    token: String,
    engines: Engines,
    clock: Arc<dyn Clock>,
    stopper: Stopper,
    running: Running,
    announced: Announced,
}

impl Server {
    pub(crate) async fn start(config: Config) -> Result<Server, Failure> {
        mote_engine_process::no_core_dumps()
            .map_err(|error| mote_core::Error::internal("core dumps can't be switched off").caused_by(error))?;
        memory::keep();
        descriptors::take_all();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let tls = config.tls.read(&clock)?;
        let listeners = listen::all(&config.addresses, config.busy, tls.is_some()).await?;
        let Config { data_dir, guests, bridge, connections_each, aws, retry_scale, .. } = config;
        let dialect = Arc::new(Aws::new(aws.aws_account, aws.aws_keys.into()));
        let clients = Clients { guests, bridge, connections_each };
        let store = Embedded::open_with(&data_dir, config.records, clock.clone())?;
        let credentials = Credentials::read_or_make(&data_dir)?;
        let vault = keyring::vault(store.catalog(), &data_dir, &config.passphrase, &clock).await?;
        let (stopper, stop) = Stopper::new();

        let doors = certificate::shown(listeners.doors(), tls.as_ref());
        let ground = Ground {
            store: &store,
            credentials: &credentials,
            vault,
            data_dir: &data_dir,
            aws: dialect,
            public_url: &doors.public,
            clock: clock.clone(),
            retry_scale,
            stop: stop.clone(),
        };
        let parts = parts::assemble(ground).await?;
        let engines = parts.engines.clone();
        let mut running = open::open(parts, listeners, clients, tls.as_ref(), &clock, &stop);
        let announced = doors.announce(&data_dir)?;
        if let Some(tls) = tls {
            running.spawn(certificate::keep_fresh(tls, Tls::hangups()?, doors.clone(), data_dir.clone(), stop));
        }
        Ok(Server { data_dir, doors, token: credentials.token, engines, clock, stopper, running, announced })
    }

    pub(crate) fn doors(&self) -> &Doors {
        &self.doors
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Takes no new call, lets what runs go on for `grace`, and ends every instance.
    pub(crate) async fn stop(mut self, grace: Duration) {
        let begun = self.clock.monotonic();
        drop(self.announced);
        self.stopper.stop();
        let drained = async { while self.running.join_next().await.is_some() {} };
        tokio::select! {
            () = drained => {}
            () = self.clock.sleep(grace) => tracing::warn!("calls that still run after {} s are cut off", grace.as_secs()),
        }
        let left = grace.saturating_sub(self.clock.monotonic() - begun);
        for engine in self.engines.all() {
            engine.stop(left).await;
        }
        // Calls that were cut off have ended by now: the queue notes that they were no attempt.
        let settled = async { while self.running.join_next().await.is_some() {} };
        tokio::select! { () = settled => {}, () = self.clock.sleep(SETTLE) => {} }
    }
}
