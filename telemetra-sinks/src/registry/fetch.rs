//! Fetching a schema, and those that it refers to, by HTTP.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use telemetra_core::ExternalError;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use super::{RegisteredSchema, Settings};
use crate::http_error::lasts;

/// The number of schemas that one may refer to, directly and not. More is taken for an error of the registry's.
const MOST_REFERENCES: usize = 1000;
/// The media types of the API.
const ACCEPT: &str = "application/vnd.schemaregistry.v1+json, application/json";
/// The code of an answer that says that there is no schema of that id.
const NO_SUCH_SCHEMA: u32 = 40403;

/// The header of a name and a password.
pub(super) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// The answer of a registry.
pub(super) enum Fetched {
    Schema(RegisteredSchema),
    Missing,
}

/// Speaks to one registry.
pub(super) struct Client {
    agent: Agent,
    url: String,
    authorization: Option<String>,
}

/// A schema as the API writes it. Without a type it is of Avro.
#[derive(Deserialize)]
struct Answer {
    schema: String,
    #[serde(rename = "schemaType")]
    kind: Option<String>,
    #[serde(default)]
    references: Vec<Reference>,
}

#[derive(Deserialize)]
struct Reference {
    subject: String,
    version: i32,
}

#[derive(Deserialize)]
struct Refusal {
    error_code: u32,
    #[serde(default)]
    message: String,
}

impl Client {
    /// # Errors
    ///
    /// If the authority's certificates cannot be read.
    pub(super) fn new(settings: &Settings) -> Result<Self, ExternalError> {
        let mut config = Agent::config_builder()
            .timeout_global(Some(settings.timeout))
            .http_status_as_error(false)
            .user_agent(concat!("telemetra/", env!("CARGO_PKG_VERSION")));
        if settings.url.starts_with("https:") {
            let tls = TlsConfig::builder()
                .provider(TlsProvider::Rustls)
                .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
                .root_certs(roots(settings)?)
                .build();
            config = config.tls_config(tls);
        }
        let Settings { url, authorization, .. } = settings.clone();
        Ok(Self { agent: config.build().new_agent(), url, authorization })
    }

    /// Fetches the schema with this id.
    pub(super) fn fetch(&self, id: u32) -> Result<Fetched, ExternalError> {
        let Some(answer) = self.get(&format!("/schemas/ids/{id}"))? else { return Ok(Fetched::Missing) };
        let (mut references, mut seen) = (Vec::new(), BTreeSet::new());
        self.collect(answer.references, &mut seen, &mut references)?;
        let kind = answer.kind.unwrap_or_else(|| "AVRO".to_owned());
        Ok(Fetched::Schema(RegisteredSchema { kind, text: answer.schema, references }))
    }

    /// Fetches what is referred to, those first that others refer to.
    fn collect(
        &self,
        references: Vec<Reference>,
        seen: &mut BTreeSet<(String, i32)>,
        found: &mut Vec<String>,
    ) -> Result<(), ExternalError> {
        for Reference { subject, version } in references {
            if !seen.insert((subject.clone(), version)) {
                continue;
            }
            if seen.len() > MOST_REFERENCES {
                return Err(ExternalError::permanent(format!(
                    "a schema of the registry at {} refers to more than {MOST_REFERENCES} others",
                    self.url
                )));
            }
            let path = format!("/subjects/{}/versions/{version}", escaped(&subject));
            let answer = self.get(&path)?.ok_or_else(|| {
                let what = format!(
                    "the schema registry has no version {version} of `{subject}`, which a schema refers to"
                );
                ExternalError::transient(what)
            })?;
            self.collect(answer.references, seen, found)?;
            found.push(answer.schema);
        }
        Ok(())
    }

    /// Asks for a schema. `None` if the registry says that there is none.
    fn get(&self, path: &str) -> Result<Option<Answer>, ExternalError> {
        let url = format!("{}{path}", self.url);
        let away = |error: ureq::Error| {
            if lasts(&error) {
                return refused(&url, "check its address, and the authority of its certificate")
                    .because(error);
            }
            ExternalError::transient(format!("could not fetch {url} from the schema registry")).because(error)
        };
        let mut request = self.agent.get(&url).header("accept", ACCEPT);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let mut response = request.call().map_err(away)?;
        let status = response.status().as_u16();
        let body = response.body_mut().read_to_string().map_err(away)?;
        match status {
            200 => serde_json::from_str(&body).map(Some).map_err(|error| {
                refused(&url, "its answer is not that of a schema registry; check its address").because(error)
            }),
            // Codes of a missing subject or version begin like that too.
            404 => match serde_json::from_str::<Refusal>(&body) {
                Ok(Refusal { error_code: 40401..=NO_SUCH_SCHEMA, .. }) => Ok(None),
                _ => Err(refused(&url, "there is no schema registry at this address (404)")),
            },
            408 | 425 | 429 | 500.. => Err(ExternalError::transient(format!(
                "could not fetch {url} from the schema registry: it answered {status}{}",
                error_message(&body)
            ))),
            _ => Err(refused(&url, format_args!("it answered {status}{}", error_message(&body)))),
        }
    }
}

fn refused(url: &str, why: impl Display) -> ExternalError {
    ExternalError::permanent(format!("could not fetch {url} from the schema registry: {why}"))
}

/// The message of a registry about an error, as the end of a sentence.
fn error_message(body: &str) -> String {
    serde_json::from_str::<Refusal>(body)
        .map_or_else(|_| String::new(), |refusal| format!(", {}", refusal.message))
}

/// A part of a path.
fn escaped(part: &str) -> String {
    let mut path = String::new();
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

/// The authorities by which the registry's certificate is checked.
fn roots(settings: &Settings) -> Result<RootCerts, ExternalError> {
    let certificates: Vec<CertificateDer<'static>> = match &settings.authority {
        None => rustls_native_certs::load_native_certs().certs,
        Some(path) => {
            let unreadable = |error| {
                let what = format!(
                    "could not read the certificates in {}; it has to be a file of PEM",
                    path.display()
                );
                ExternalError::permanent(what).because(error)
            };
            let read = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
            read.collect::<Result<_, _>>().map_err(unreadable)?
        }
    };
    if certificates.is_empty() {
        return Err(ExternalError::permanent(
            "there are no root certificates to check the schema registry by",
        ));
    }
    Ok(certificates.iter().map(|der| Certificate::from_der(der).to_owned()).collect::<Vec<_>>().into())
}
