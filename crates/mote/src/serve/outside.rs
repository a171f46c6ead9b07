//! The way of webhooks to the outside: the engine's judged connection, with TLS where the URL has it.

use std::sync::Arc;

use mote_core::BoxFuture;
use mote_core::clock::Clock;
use mote_core::egress::Egress;
use mote_core::engine::Connection;
use mote_core::webhook::{Dial, HookUrl};
use mote_core::{Code, Error, Result};
use mote_engine_process::egress::Outside;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use crate::failure::Failure;
use crate::tls::Trust;

/// See the module's text.
pub(super) struct WayOut {
    outside: Outside,
    tls: TlsConnector,
}

impl WayOut {
    pub(super) fn new(clock: Arc<dyn Clock>) -> std::result::Result<WayOut, Failure> {
        let tls = TlsConnector::from(Arc::new(Trust::Roots(None).config()?));
        Ok(WayOut { outside: Outside::new(clock), tls })
    }
}

impl Dial for WayOut {
    fn dial<'a>(&'a self, to: &'a HookUrl, egress: &'a Egress) -> BoxFuture<'a, Result<Box<dyn Connection>>> {
        Box::pin(async move {
            let connection = self.outside.connect(&to.host, to.port, egress).await?;
            if !to.tls {
                return Ok(Box::new(connection) as Box<dyn Connection>);
            }
            let failed = || Error::new(Code::WebhookFailed, format!("{} does not prove who it is", to.host));
            let name = ServerName::try_from(to.host.clone()).map_err(|e| failed().caused_by(e))?;
            let connection = self.tls.connect(name, connection).await.map_err(|e| failed().caused_by(e))?;
            Ok(Box::new(connection) as Box<dyn Connection>)
        })
    }
}
