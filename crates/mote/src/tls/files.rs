//! The two files of a certificate: read whole, judged before anybody sees them.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mote_core::clock::Timestamp;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use zeroize::Zeroizing;

use super::validity;
use crate::failure::Failure;
use crate::output;

/// A chain has a handful of certificates.
const FILE_BYTES_MAX: u64 = 1 << 20;

pub(super) struct Files {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
}

/// Changes when one of the files does.
#[derive(PartialEq, Eq)]
pub(super) struct Stamp([Option<(u64, u64, i64, i64)>; 2]);

impl Files {
    pub(super) fn stamp(&self) -> Stamp {
        let of = |path: &Path| fs::metadata(path).ok().map(|it| (it.ino(), it.len(), it.mtime(), it.mtime_nsec()));
        Stamp([of(&self.cert), of(&self.key)])
    }

    pub(super) fn read(&self, now: Timestamp) -> Result<Arc<CertifiedKey>, Failure> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&contents(&self.cert)?)
            .collect::<Result<_, _>>()
            .map_err(|error| unfit(&self.cert, "certificates", &error))?;
        let Some(own) = chain.first() else { return Err(unfit(&self.cert, "certificates", &pem::Error::NoItemsFound)) };
        self.warn_of_dates(own, now);
        let key = PrivateKeyDer::from_pem_slice(&contents(&self.key)?).map_err(|error| unfit(&self.key, "a private key", &error))?;
        match CertifiedKey::from_der(chain, key, &super::provider()) {
            Ok(both) => Ok(Arc::new(both)),
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(Failure::refused(format!(
                "the key in {} is not the one of the certificate in {}",
                self.key.display(),
                self.cert.display()
            ))
            .wanted("wanted: the private key that the first certificate of the file was made for")
            .hint("The server's own certificate comes first in the file, those of its issuers after it.")),
            Err(error) => Err(Failure::refused(format!(
                "the certificate in {} can't be used with the key in {}: {error}",
                self.cert.display(),
                self.key.display()
            ))
            .hint("RSA keys of 2048 bits or more, ECDSA P-256 and P-384, and Ed25519 are understood.")),
        }
    }

    /// Told and not refused: an old certificate still encrypts, and its renewal may be on its way.
    fn warn_of_dates(&self, own: &[u8], now: Timestamp) {
        let warn = |what: String| eprintln!("{} the certificate in {} {what}", output::bold("warning:"), self.cert.display());
        match validity::of(own) {
            Some(dates) if now > dates.until => warn(format!("expired at {}: clients will refuse it", dates.until.rfc3339())),
            Some(dates) if now < dates.from => warn(format!("is not valid before {}: clients will refuse it", dates.from.rfc3339())),
            Some(_) | None => {}
        }
    }
}

/// Wiped after use, since one of the files is a key.
fn contents(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let unread = |why: String| {
        Failure::refused(format!("{} can't be read: {why}", path.display()))
            .hint("--tls-cert and --tls-key name PEM files that the server's user may read.")
    };
    let file = File::open(path).map_err(|error| unread(error.to_string()))?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| unread(error.to_string()))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(unread(format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

fn unfit(path: &Path, wanted: &str, error: &pem::Error) -> Failure {
    let found = match error {
        pem::Error::NoItemsFound => format!("{} holds no such thing", path.display()),
        // The parser's words may quote a line, and the line may be of a key.
        _ => format!("{} is no PEM file that can be read", path.display()),
    };
    Failure::refused(found)
        .wanted(format!("wanted: {wanted} in PEM, between BEGIN and END lines"))
        .hint("A file in DER becomes PEM by `openssl x509 -inform der` or `openssl pkey -inform der`.")
}
