//! Whom the command line takes for its server.
//!
//! A server of another machine proves itself by a certificate that this machine's roots, or a file
//! of the caller's own, vouch for. A server of this machine is known by the certificate that it
//! wrote beside its credentials: the name in it need not be that of the loopback address.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::failure::Failure;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Nothing is encrypted, so nobody need be trusted.
    Nobody,
    /// This machine's roots, and those of a file.
    Roots(Option<PathBuf>),
    /// This certificate in DER and no other, whatever names are in it.
    Exactly(Vec<u8>),
}

impl Trust {
    pub(crate) fn config(&self) -> Result<ClientConfig, Failure> {
        let config = ClientConfig::builder_with_provider(super::provider()).with_safe_default_protocol_versions();
        let config = config.map_err(|error| Failure::platform(format!("TLS can't be set up: {error}")))?;
        Ok(match self {
            Trust::Nobody => config.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
            Trust::Roots(more) => config.with_root_certificates(roots(more.as_deref())?).with_no_client_auth(),
            Trust::Exactly(certificate) => {
                let verifier = Arc::new(Exactly { certificate: certificate.clone(), provider: super::provider() });
                config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
            }
        })
    }
}

fn roots(more: Option<&Path>) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    // A machine may hold some that nobody can read any more; the rest is as good.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = more {
        let unfit = |why: String| {
            Failure::usage(format!("{} can't be trusted: {why}", file.display()))
                .wanted("wanted: a PEM file of certificates, by --ca or MOTE_CA")
        };
        let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
        let found = found.map_err(|error| unfit(error.to_string()))?;
        if found.is_empty() {
            return Err(unfit("it holds no certificate".into()));
        }
        for certificate in found {
            roots.add(certificate).map_err(|error| unfit(error.to_string()))?;
        }
    }
    Ok(roots)
}

/// The server that holds the key of this one certificate.
#[derive(Debug)]
struct Exactly {
    certificate: Vec<u8>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Exactly {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if **shown == *self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, shown, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, shown, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
