//! The URL, options and credentials of a bucket in an object store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};
use telemetra_core::ConfigError;

use super::bucket::Bucket;
use super::http::{Connector, Last};

/// The connection settings of an object store: a bucket, the prefix of all object names, and the credentials. It
/// is used by [`ObjectCheckpoints`](crate::ObjectCheckpoints) and `Parquet::in_object_store`. Give each pipeline, and
/// each of these two, a prefix of its own.
///
/// | URL | service | credentials, from the environment or by [`option`](Self::option) |
/// |---|---|---|
/// | `s3://BUCKET/PREFIX` | Amazon S3 and compatible ones | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT`, web identities, the role of the instance |
/// | `gs://BUCKET/PREFIX` | Google Cloud Storage | `GOOGLE_SERVICE_ACCOUNT`, application default credentials |
/// | `az://CONTAINER/PREFIX` | Azure Blob Storage | `AZURE_STORAGE_ACCOUNT_NAME`, `AZURE_STORAGE_ACCOUNT_KEY` and the like |
/// | `memory:///PREFIX` | none: the memory of the process, for tests; clones of one configuration share it | |
///
/// The options are those of the crate [`object_store`](https://docs.rs/object_store). Credentials are never printed,
/// and a URL that contains credentials is an error. A request blocks the thread of the sink or store, no longer than
/// the [`timeout`](Self::timeout). The client repeats no request; a request that failed with a transient error is
/// repeated by the pipeline.
///
/// ```
/// use telemetra_sinks::ObjectStoreConfig;
/// let config = ObjectStoreConfig::from_url("s3://analytics/telemetra")?
///     .option("aws_region", "eu-central-1")?
///     .option("aws_access_key_id", "AKIA…")?
///     .option("aws_secret_access_key", "secret")?;
/// assert!(!format!("{config:?}").contains("secret"));
/// assert_eq!(config.url(), "s3://analytics/telemetra");
///
/// assert!(ObjectStoreConfig::from_url("s3://name:secret@analytics").is_err());
/// assert!(config.option("aws_regoin", "eu-central-1").is_err());
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct ObjectStoreConfig {
    url: String,
    prefix: Path,
    service: Service,
    authority: Option<Vec<u8>>,
    timeout: Duration,
}

#[derive(Clone)]
enum Service {
    S3(Box<AmazonS3Builder>),
    Google(Box<GoogleCloudStorageBuilder>),
    Azure(Box<MicrosoftAzureBuilder>),
    Memory(Arc<InMemory>),
}

impl fmt::Debug for ObjectStoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStoreConfig")
            .field("url", &self.url)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

fn wrong(detail: impl Into<String>, hint: &str) -> ConfigError {
    ConfigError::new("object store", detail, hint)
}

impl ObjectStoreConfig {
    /// Creates the settings for a URL of the form in [the table](Self), with the credentials and options that the
    /// environment variables of the process contain. `s3a://` is the same as `s3://`.
    ///
    /// # Errors
    ///
    /// If the URL does not have one of these forms, has no bucket, or contains credentials, a query or a fragment.
    pub fn from_url(url: &str) -> Result<Self, ConfigError> {
        const FORMS: &str = "give s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX";
        let (scheme, rest) =
            url.split_once("://").ok_or_else(|| wrong("it is not a URL of an object store", FORMS))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.contains('@') || rest.contains(['?', '#']) {
            // The text is not repeated: it may have a password in it.
            return Err(wrong(
                format!("the {scheme} URL has credentials or parameters in it"),
                "give them by the environment or as options",
            ));
        }
        if bucket.is_empty() && scheme != "memory" {
            return Err(wrong(format!("`{url}` has no bucket"), FORMS));
        }
        let service = match scheme {
            "s3" | "s3a" => Service::S3(Box::new(AmazonS3Builder::from_env().with_bucket_name(bucket))),
            "gs" => Service::Google(Box::new(GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket))),
            "az" => Service::Azure(Box::new(MicrosoftAzureBuilder::from_env().with_container_name(bucket))),
            "memory" => Service::Memory(Arc::new(InMemory::new())),
            _ => return Err(wrong(format!("`{url}` is not the URL of an object store"), FORMS)),
        };
        let prefix = Path::parse(prefix.trim_end_matches('/')).map_err(|error| {
            wrong(format!("`{url}` has a prefix that cannot be: {error}"), "give names separated by slashes")
        })?;
        Ok(Self { url: url.to_owned(), prefix, service, authority: None, timeout: Duration::from_secs(30) })
    }

    /// Sets an option of the service by its name in the crate `object_store`, for example `aws_endpoint`,
    /// `aws_region`, `google_service_account` or `azure_storage_account_name`, in any case of letters. It takes
    /// precedence over the environment. The value is checked when the sink or store is created.
    ///
    /// # Errors
    ///
    /// If the service has no option of that name. `memory://` has no options.
    pub fn option(mut self, name: &str, value: &str) -> Result<Self, ConfigError> {
        let lower = name.to_ascii_lowercase();
        let unknown =
            |_| wrong(format!("there is no option `{name}`"), "see the options of the crate object_store");
        self.service = match self.service {
            Service::S3(builder) => {
                Service::S3(Box::new(builder.with_config(lower.parse().map_err(unknown)?, value)))
            }
            Service::Google(builder) => {
                Service::Google(Box::new(builder.with_config(lower.parse().map_err(unknown)?, value)))
            }
            Service::Azure(builder) => {
                Service::Azure(Box::new(builder.with_config(lower.parse().map_err(unknown)?, value)))
            }
            Service::Memory(_) => return Err(wrong("memory has no options", "leave them out")),
        };
        Ok(self)
    }

    /// Sets the certificate authority, in PEM, that must have signed the service's certificate. Default: the
    /// authorities that the system trusts. It is parsed when the sink or store is created; bytes that are not PEM are an
    /// error then.
    #[must_use]
    pub fn authority(mut self, pem: &[u8]) -> Self {
        self.authority = Some(pem.to_vec());
        self
    }

    /// Sets how long a request may take; a second for each MiB of its body is added. A request that takes longer is
    /// a transient error. Default: 30 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Returns the URL as it was given. It contains no credentials.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The bucket, or why there can be none.
    pub(crate) fn bucket(&self) -> Result<Bucket, ConfigError> {
        let last = Arc::new(Last::default());
        let connect = |endpoint: Option<String>| {
            let secure = !endpoint.is_some_and(|endpoint| endpoint.starts_with("http:"));
            Connector::new(self.timeout, secure, self.authority.as_deref(), Arc::clone(&last))
        };
        // What may succeed later is repeated by the pipeline, which also says so.
        let retry =
            RetryConfig { backoff: BackoffConfig::default(), max_retries: 0, retry_timeout: self.timeout };
        let built: Result<Arc<dyn ObjectStore>, _> = match self.service.clone() {
            Service::S3(builder) => {
                let http = connect(builder.get_config_value(&AmazonS3ConfigKey::Endpoint))?;
                builder.with_http_connector(http).with_retry(retry).build().map(|store| Arc::new(store) as _)
            }
            Service::Google(builder) => {
                let http = connect(None)?;
                builder.with_http_connector(http).with_retry(retry).build().map(|store| Arc::new(store) as _)
            }
            Service::Azure(builder) => {
                let http = connect(builder.get_config_value(&AzureConfigKey::Endpoint))?;
                builder.with_http_connector(http).with_retry(retry).build().map(|store| Arc::new(store) as _)
            }
            Service::Memory(store) => Ok(store as _),
        };
        let store = built.map_err(|error| {
            wrong(format!("{} cannot be used: {error}", self.url), "correct the options or the environment")
        })?;
        Ok(Bucket::new(store, self.prefix.clone(), &self.url, last))
    }
}
