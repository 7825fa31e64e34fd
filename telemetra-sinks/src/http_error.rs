//! Requests without an answer, and which of them would fail again: those of all clients of HTTP.

use std::io;

use ureq::Error;

/// Returns whether the same request would fail again.
pub(crate) fn lasts(error: &Error) -> bool {
    match error {
        Error::BadUri(_) | Error::Http(_) | Error::Tls(_) | Error::Pem(_) | Error::RequireHttpsOnly(_) => {
            true
        }
        Error::Rustls(error) => is_refusal(error),
        Error::Io(error) => is_refused_certificate(error),
        _ => false,
    }
}

/// Returns whether the handshake failed because one side does not trust the other.
fn is_refused_certificate(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    inner.is_some_and(is_refusal)
}

fn is_refusal(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)
}
