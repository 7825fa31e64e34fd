//! Encryption by rustls, with the meanings of `sslmode`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use telemetra_core::ExternalError;
use tokio_postgres_rustls::MakeRustlsConnect;

/// How a connection is encrypted and whom it trusts: `sslmode` of libpq.
///
/// As there, [`Require`](Self::Require) is [`VerifyCa`](Self::VerifyCa) where root certificates are given.
/// Unlike there, [`Prefer`](Self::Prefer) is not tried again in clear when the handshake fails, only where
/// the server has no TLS.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// In clear.
    Disable,
    /// Encrypted if the server can, without looking at whom it is: no help against somebody in between. The
    /// default, as in libpq.
    #[default]
    Prefer,
    /// Encrypted, without looking at whom it is, unless root certificates are given.
    Require,
    /// Encrypted, with a server whose certificate is signed by a root, whatever its name.
    VerifyCa,
    /// Encrypted, with a server whose certificate is signed by a root and names the host.
    VerifyFull,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Tls {
    pub(super) mode: TlsMode,
    /// A file of PEM certificates; the system's without it.
    pub(super) roots: Option<PathBuf>,
    /// Files of PEM: certificates and key.
    pub(super) client: Option<(PathBuf, PathBuf)>,
}

pub(super) fn connector(tls: &Tls) -> Result<MakeRustlsConnect, ExternalError> {
    let provider = Arc::new(ring::default_provider());
    let failed = |error: Error| ExternalError::permanent("could not set up TLS for Postgres").because(error);
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    let wants_chain = match tls.mode {
        TlsMode::VerifyCa | TlsMode::VerifyFull => true,
        TlsMode::Require => tls.roots.is_some(),
        TlsMode::Disable | TlsMode::Prefer => false,
    };
    let builder = if tls.mode == TlsMode::VerifyFull {
        builder.with_root_certificates(roots(tls)?)
    } else {
        let chain = if wants_chain {
            let verifier =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots(tls)?), Arc::clone(&provider))
                    .build()
                    .map_err(|error| {
                        ExternalError::permanent("could not use the root certificates for Postgres")
                            .because(error)
                    })?;
            Some(verifier)
        } else {
            None
        };
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Lenient { chain, provider }))
    };
    let config = match &tls.client {
        None => builder.with_no_client_auth(),
        Some((certificates, key)) => builder
            .with_client_auth_cert(
                certificates_of(certificates)?,
                PrivateKeyDer::from_pem_file(key).map_err(unreadable("private key", key))?,
            )
            .map_err(failed)?,
    };
    Ok(MakeRustlsConnect::new(config))
}

fn unreadable<E: std::error::Error + Send + Sync + 'static>(
    what: &str,
    path: &Path,
) -> impl FnOnce(E) -> ExternalError {
    let what = format!("could not read the {what} in {}; it has to be a file of PEM", path.display());
    move |error| ExternalError::permanent(what).because(error)
}

fn certificates_of(path: &Path) -> Result<Vec<CertificateDer<'static>>, ExternalError> {
    let unreadable = |error| unreadable("certificates", path)(error);
    CertificateDer::pem_file_iter(path).map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)
}

fn roots(tls: &Tls) -> Result<RootCertStore, ExternalError> {
    let mut roots = RootCertStore::empty();
    let (certificates, place) = match &tls.roots {
        Some(path) => (certificates_of(path)?, path.display().to_string()),
        None => (rustls_native_certs::load_native_certs().certs, "the system".to_owned()),
    };
    // Systems have certificates that nobody can parse.
    let (good, _) = roots.add_parsable_certificates(certificates);
    if good == 0 {
        return Err(ExternalError::permanent(format!(
            "there are no root certificates in {place} to check Postgres by"
        )));
    }
    Ok(roots)
}

/// Lets pass who has the wrong name, or anybody if there is no chain to check.
#[derive(Debug)]
struct Lenient {
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
