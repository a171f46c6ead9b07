//! The doors' certificate, as the clients on this machine are told of it.
//!
//! Not here: reading it and shaking hands with it; that is [`crate::tls`].

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use mote_core::trigger::Stop;
use tokio::signal::unix::Signal;

use crate::doors::Doors;
use crate::tls::Tls;

/// The doors as they are announced.
pub(super) fn shown(doors: Doors, tls: Option<&Arc<Tls>>) -> Doors {
    Doors { certificate: tls.map(|tls| encoded(&tls.certificate())), ..doors }
}

/// Follows the certificate's files, and tells the clients on this machine what is shown now.
pub(super) async fn keep_fresh(tls: Arc<Tls>, hangups: Signal, doors: Doors, data_dir: PathBuf, stop: Stop) {
    let changed = |certificate: Vec<u8>| {
        let doors = Doors { certificate: Some(encoded(&certificate)), ..doors.clone() };
        if let Err(failure) = doors.write(&data_dir) {
            tracing::error!("clients on this machine are not told of the new certificate: {}", failure.found());
        }
    };
    tls.keep_fresh(hangups, changed, stop).await;
}

fn encoded(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
