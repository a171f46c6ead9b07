//! TLS: what the doors show to their clients, and whom the command line trusts.
//!
//! One certificate for all doors, from two files, read again when they change. A connection that is
//! open keeps what it began with. rustls does the work, with `ring` beneath: the other choice,
//! aws-lc-rs, has more algorithms, which no client of a function needs. Not here:
//! sockets ([`crate::serve`]), and who may do what.

mod files;
mod trust;
mod validity;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use clap::Args;
use mote_core::clock::Clock;
use mote_core::engine::Connection;
use mote_core::trigger::{Handshake, Stop};
use mote_core::{BoxFuture, Code, Error, Result};
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_rustls::TlsAcceptor;

use crate::failure::Failure;
use files::Files;
pub(crate) use trust::Trust;

/// From the connection's first byte to the end of the handshake. How many are under way is bounded
/// by the doors' connections alone: with places of their own, a few silent clients would hold all
/// of them, and the signatures that they cost wait for a core in any case.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);
/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(10);

/// Where the certificate is, if there is one.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct TlsFiles {
    /// Speak TLS on every door, with the certificates of this PEM file, the server's own first
    #[arg(long = "tls-cert", value_name = "FILE", env = "MOTE_TLS_CERT", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// The certificate's private key, in PEM
    #[arg(long = "tls-key", value_name = "FILE", env = "MOTE_TLS_KEY", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
}

/// What the doors speak TLS with.
pub(crate) struct Tls {
    files: Files,
    shown: Arc<Shown>,
    acceptor: TlsAcceptor,
    clock: Arc<dyn Clock>,
}

/// What is shown to a client that connects now.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl TlsFiles {
    /// `None` if the doors are to speak in the clear.
    pub(crate) fn read(&self, clock: &Arc<dyn Clock>) -> Result<Option<Arc<Tls>>, Failure> {
        let (Some(cert), Some(key)) = (&self.cert, &self.key) else { return Ok(None) };
        let files = Files { cert: cert.clone(), key: key.clone() };
        let shown = Arc::new(Shown(RwLock::new(files.read(clock.now())?)));
        let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let config = config.map_err(|error| Failure::platform(format!("TLS can't be set up: {error}")))?;
        let mut config = config.with_no_client_auth().with_cert_resolver(shown.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Some(Arc::new(Tls { files, shown, acceptor: TlsAcceptor::from(Arc::new(config)), clock: clock.clone() })))
    }
}

impl Tls {
    /// The server's own certificate, in DER.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        self.shown.get().cert.first().map(|cert| cert.to_vec()).unwrap_or_default()
    }

    /// What tells that the files are to be read again at once.
    pub(crate) fn hangups() -> Result<Signal, Failure> {
        signal(SignalKind::hangup()).map_err(|error| Failure::platform(format!("signals can't be heard: {error}")))
    }

    /// Reads the files again when they change, or at a hangup. Those that can't be used are told of
    /// and change nothing. Files are looked at and not watched: what renews a certificate may swap
    /// a link or a whole directory, which a watch would lose.
    pub(crate) async fn keep_fresh(&self, mut hangups: Signal, changed: impl Fn(Vec<u8>), mut stop: Stop) {
        let mut seen = self.files.stamp();
        loop {
            let asked = tokio::select! {
                () = stop.wait() => return,
                told = hangups.recv() => told.is_some(),
                () = self.clock.sleep(LOOK) => false,
            };
            let now = self.files.stamp();
            if now == seen && !asked {
                continue;
            }
            seen = now;
            match self.files.read(self.clock.now()) {
                Ok(fresh) => {
                    self.shown.set(fresh);
                    changed(self.certificate());
                    tracing::info!("the certificate was read again");
                }
                Err(failure) => tracing::error!("the certificate in use stays: {}", failure.found()),
            }
        }
    }
}

impl Handshake for Tls {
    fn shake(&self, connection: Box<dyn Connection>) -> BoxFuture<'_, Result<Box<dyn Connection>>> {
        Box::pin(async move {
            let failed = |why| Error::new(Code::RequestInvalid, format!("the TLS handshake failed: {why}"));
            tokio::select! {
                shaken = self.acceptor.accept(connection) => match shaken {
                    Ok(stream) => Ok(Box::new(stream) as Box<dyn Connection>),
                    Err(error) => Err(failed(error.to_string())),
                },
                () = self.clock.sleep(HANDSHAKE_WAIT) => Err(failed(format!("it took more than {} s", HANDSHAKE_WAIT.as_secs()))),
            }
        })
    }
}

impl Shown {
    fn get(&self) -> Arc<CertifiedKey> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, key: Arc<CertifiedKey>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = key;
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.get())
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
