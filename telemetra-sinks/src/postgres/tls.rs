//! TLS by rustls, with the modes that libpq calls `sslmode`.

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

/// The encryption of a connection and the checks of the server's certificate, as `sslmode` of libpq defines
/// them.
///
/// As in libpq, [`Require`](Self::Require) acts as [`VerifyCa`](Self::VerifyCa) if root certificates are
/// given. Unlike in libpq, [`Prefer`](Self::Prefer) goes on without encryption only if the server has no TLS,
/// and fails if the handshake fails.
///
/// ```
/// use telemetra_sinks::{PostgresConfig, TlsMode};
///
/// assert_eq!(TlsMode::default(), TlsMode::Prefer);
/// let config = PostgresConfig::new("db.example.org").tls(TlsMode::VerifyFull);
/// let same = PostgresConfig::from_url("postgres://db.example.org/?sslmode=verify-full")?;
/// assert_eq!(format!("{config:?}"), format!("{same:?}"));
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// No encryption.
    Disable,
    /// Encryption if the server supports it, without a check of the certificate, so without protection against
    /// a man in the middle. The default, as in libpq.
    #[default]
    Prefer,
    /// Encryption, without a check of the certificate unless root certificates are given.
    Require,
    /// Encryption, with a certificate that a trusted root has signed; the host name is not checked.
    VerifyCa,
    /// Encryption, with a certificate that a trusted root has signed and that names the host.
    VerifyFull,
}

/// The settings of encryption.
#[derive(Clone, Debug, Default)]
pub(super) struct Tls {
    pub(super) mode: TlsMode,
    /// A PEM file of root certificates; `None` for those of the system.
    pub(super) roots: Option<PathBuf>,
    /// The PEM files of the client's certificates and private key.
    pub(super) client: Option<(PathBuf, PathBuf)>,
}

/// Builds the TLS connector for these settings.
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

/// Reads the certificates in a PEM file.
fn certificates_of(path: &Path) -> Result<Vec<CertificateDer<'static>>, ExternalError> {
    let unreadable = |error| unreadable("certificates", path)(error);
    CertificateDer::pem_file_iter(path).map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)
}

/// Reads the root certificates: those of the settings, or the system's.
fn roots(tls: &Tls) -> Result<RootCertStore, ExternalError> {
    let mut roots = RootCertStore::empty();
    let (certificates, place) = match &tls.roots {
        Some(path) => (certificates_of(path)?, path.display().to_string()),
        None => (rustls_native_certs::load_native_certs().certs, "the system".to_owned()),
    };
    // A system may have certificates that cannot be parsed.
    let (good, _) = roots.add_parsable_certificates(certificates);
    if good == 0 {
        return Err(ExternalError::permanent(format!(
            "there are no root certificates in {place} to check Postgres by"
        )));
    }
    Ok(roots)
}

/// A certificate check that ignores the host name or, if there are no roots, the whole certificate.
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
