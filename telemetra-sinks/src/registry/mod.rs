//! The client of a schema registry: the schemas that were fetched, and the thread that fetches others.

mod fetch;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use telemetra_core::{ConfigError, DecodeError, ExternalError, Preparation, Prepared, RecordBatch};

use fetch::{Client, Fetched};

/// The pause before a partition checks again whether its schema has arrived.
const PAUSE: Duration = Duration::from_millis(5);
/// The pause between the answer that a schema is missing and the next request for it.
const MISSING_PAUSE: Duration = Duration::from_millis(250);
/// The number of requests after which a schema counts as missing. The nodes of a registry do not all know a new schema at
/// the same moment.
const ASKED: u32 = 3;
/// The error of a record by such a schema.
const MISSING: &str = "the registry has no such schema";

/// A client of a schema registry with Confluent's API (also Karapace, Apicurio's `ccompat`, Redpanda), for
/// `Avro::from_registry` and for decoders of your own. It fetches each schema once, by its id, with all schemas that
/// it refers to, and keeps it in memory, as a registered schema never changes. Clones share the fetched schemas; give
/// a clone to each decoder.
///
/// # While a schema is fetched
///
/// Workers do not block. A partition whose records need a schema that has not been fetched yet holds these records
/// back while a thread of the client fetches it. The partition counts as
/// [pending](telemetra_core::Polled::Pending), so it is not idle, and the other partitions are read on, up to
/// `max_watermark_drift`.
///
/// # Errors
///
/// * A registry that cannot be reached, that fails (5xx) or that is overloaded (429) is a transient error of the
///   partition. The request is repeated with backoff for as long as the pipeline runs; the status, the metrics and
///   the log report it. So no record becomes malformed because a registry was unavailable.
/// * A registry that refuses the client (401, 403), a certificate that is not trusted, and an address where there is no
///   registry or that is none, are permanent errors, which stop the pipeline.
/// * If the registry answers three times that it has no schema with a record's id, or if the schema cannot be parsed,
///   the record is malformed. The last request is made half a second after the first, as the nodes of a registry do
///   not all get a new schema at once. If there are more records with this id, the registry is asked again after
///   [`missing_ttl`](Self::missing_ttl); a request that fails then changes nothing.
///
/// No error is kept: a pipeline that is started again with the same client asks again.
///
/// # Cost
///
/// One thread makes all requests, one at a time: one for each id, and one for each schema that it refers to. A record
/// with a known id costs a look-up in a map, under a lock that all clones share. Nothing is ever removed, so memory grows
/// with the number of ids.
///
/// ```
/// # use telemetra_core::{ConfigError, Event, EventTime};
/// # #[derive(serde::Deserialize)]
/// # struct Reading { device: String }
/// # impl Event for Reading {
/// #     type Key = String;
/// #     fn time(&self) -> EventTime { EventTime(0) }
/// #     fn key(&self) -> &str { &self.device }
/// # }
/// use std::time::Duration;
/// # #[cfg(feature = "avro")] {
/// use telemetra_sinks::formats::Avro;
/// use telemetra_sinks::SchemaRegistry;
///
/// let registry = SchemaRegistry::new("https://registry.example.com")?
///     .basic_auth("telemetra", "secret")
///     .timeout(Duration::from_secs(5))
///     .missing_ttl(Duration::from_secs(30));
/// assert!(!format!("{registry:?}").contains("secret"));
/// // It makes no request before a record needs a schema.
/// let decoder = Avro::<Reading>::from_registry(registry);
/// # }
/// # Ok::<(), ConfigError>(())
/// ```
#[derive(Clone)]
pub struct SchemaRegistry {
    settings: Settings,
    running: Arc<OnceLock<Sender<u32>>>,
    schemas: Arc<Mutex<HashMap<u32, State>>>,
}

/// The address of the registry, and how to speak to it.
#[derive(Clone)]
struct Settings {
    url: String,
    /// The header that says who asks.
    authorization: Option<String>,
    timeout: Duration,
    authority: Option<PathBuf>,
    /// How long it is believed that the registry does not have a schema.
    missing_ttl: Duration,
}

/// A schema as the registry returned it, for decoders of your own: see [`SchemaRegistry::schema`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegisteredSchema {
    /// The format: `AVRO`, `PROTOBUF` or `JSON`.
    pub kind: String,
    /// The text of the schema: the JSON of Avro or JSON Schema, or a `.proto` file.
    pub text: String,
    /// The texts of the schemas that it refers to. A schema comes before those that refer to it.
    pub references: Vec<String>,
}

/// The state of a schema, as far as it is known.
enum State {
    /// The schema was asked for this number of times.
    Asked(u32),
    Known(Arc<RegisteredSchema>),
    /// The registry answered this number of times that it has no such schema, the last time then.
    Missing(u32, Instant),
    /// The schema counts as missing and is asked for once more.
    AskedAgain,
    /// The request failed, and no partition has reported it yet.
    Failed(ExternalError),
}

impl SchemaRegistry {
    /// Creates a client of the registry at this URL: `http://host:8081`, or with a path, to which `/schemas/ids/1`
    /// is appended. It makes no request until a record needs a schema.
    ///
    /// # Errors
    ///
    /// If `url` is not a URL with `http` or `https`, or contains a user or password.
    ///
    /// ```
    /// use telemetra_sinks::SchemaRegistry;
    /// assert!(SchemaRegistry::new("https://registry.example.com/apis/ccompat/v7").is_ok());
    /// assert!(SchemaRegistry::new("https://telemetra:secret@registry.example.com").is_err());
    /// ```
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let Some(host) = host.filter(|host| !host.is_empty() && !host.starts_with(['/', ':'])) else {
            let hint = "give a URL like http://registry:8081";
            return Err(ConfigError::new("schema registry", "its address is no URL of http or https", hint));
        };
        if host.split('/').next().is_some_and(|host| host.contains('@')) {
            let hint = "give user and password by `basic_auth`, so that they are in no log";
            return Err(ConfigError::new("schema registry", "its URL contains a password", hint));
        }
        let settings = Settings {
            url: url.trim_end_matches('/').to_owned(),
            authorization: None,
            timeout: Duration::from_secs(10),
            authority: None,
            missing_ttl: Duration::from_secs(60),
        };
        Ok(Self { settings, running: Arc::default(), schemas: Arc::default() })
    }

    /// Sets the user and password, or the API key and secret, of HTTP basic authentication. Default: none. Like the
    /// other settings, it makes a client that shares no schemas with clones taken before, so set all first.
    #[must_use]
    pub fn basic_auth(mut self, user: &str, password: &str) -> Self {
        self.settings.authorization = Some(fetch::basic(user, password));
        self.renewed()
    }

    /// Sets the bearer token that authenticates requests, in place of [`basic_auth`](Self::basic_auth). It does not
    /// change while the client lives. Default: none.
    #[must_use]
    pub fn bearer(mut self, token: &str) -> Self {
        self.settings.authorization = Some(format!("Bearer {token}"));
        self.renewed()
    }

    /// Sets how long one request may take, from the connection to the end of the answer; then it is a transient error,
    /// and is repeated. Default: 10 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self.renewed()
    }

    /// Sets the file (PEM) of the certificate authority that must have signed the registry's certificate.
    /// Default: the system's authorities. It is read at the first request; a file that cannot be read is a permanent
    /// error.
    #[must_use]
    pub fn authority(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.authority = Some(path.into());
        self.renewed()
    }

    /// Sets how long the client believes the registry's third answer that it has no schema with an id. Then the next
    /// record with this id makes it ask once more. Records are malformed until the answer, and read from then on if the
    /// schema is there. Default: one minute.
    #[must_use]
    pub fn missing_ttl(mut self, ttl: Duration) -> Self {
        self.settings.missing_ttl = ttl;
        self.renewed()
    }

    /// The same settings, and nothing in common with other clients.
    fn renewed(self) -> Self {
        Self { settings: self.settings, running: Arc::default(), schemas: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u32, State>> {
        self.schemas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the schema with this id if it was fetched, without waiting: for a decoder of your own. Such a decoder
    /// has to return a clone of this client as its [`preparation`](telemetra_core::Decoder::preparation), so that
    /// the pipeline has schemas fetched before it decodes.
    ///
    /// # Errors
    ///
    /// If the registry has no such schema, or the schema was not fetched, as no batch with this id was
    /// [prepared](telemetra_core::Preparation::prepare).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use telemetra_core::{Arena, DecodeError, Decoder, Preparation, Record};
    /// # use telemetra_core::{Event, EventTime};
    /// use telemetra_sinks::SchemaRegistry;
    /// # struct Reading { device: String }
    /// # impl Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> EventTime { EventTime(0) }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    /// # fn parse(text: &str, value: &[u8]) -> Reading { Reading { device: format!("{text}{value:?}") } }
    /// struct ByDescription(SchemaRegistry);
    ///
    /// impl Decoder<Reading> for ByDescription {
    ///     fn decode<'a>(&self, record: Record<'a>, _: &'a Arena, to: &mut Vec<Reading>) -> Result<(), DecodeError> {
    ///         let [0, a, b, c, d, value @ ..] = record.value else { return Err(DecodeError::new("it has no id")) };
    ///         let schema = self.0.schema(u32::from_be_bytes([*a, *b, *c, *d]))?;
    ///         to.push(parse(&schema.text, value));
    ///         Ok(())
    ///     }
    ///     fn preparation(&self) -> Option<Arc<dyn Preparation>> { Some(Arc::new(self.0.clone())) }
    /// }
    ///
    /// let decoder = ByDescription(SchemaRegistry::new("http://127.0.0.1:8081")?);
    /// // Without the preparation no schema is there.
    /// assert!(decoder.decode(Record::new(b"\0\0\0\0\x07"), &Arena::default(), &mut Vec::new()).is_err());
    /// # Ok::<(), telemetra_core::ConfigError>(())
    /// ```
    pub fn schema(&self, id: u32) -> Result<Arc<RegisteredSchema>, DecodeError> {
        match self.lock().get(&id) {
            Some(State::Known(schema)) => Ok(Arc::clone(schema)),
            Some(State::Missing(..) | State::AskedAgain) => Err(DecodeError::new(MISSING)),
            _ => Err(DecodeError::new(
                "the schema was not fetched: prepare batches before they are decoded, as a pipeline does",
            )),
        }
    }

    /// Asks for a schema, on the thread that does so, which is started with the first.
    fn ask(&self, id: u32) -> Result<(), ExternalError> {
        if self.running.get().is_none() {
            let client = Client::new(&self.settings)?;
            let schemas = Arc::downgrade(&self.schemas);
            let (sender, ids) = channel::<u32>();
            // It ends when the last clone is gone.
            let work = move || {
                for id in ids {
                    let fetched = client.fetch(id);
                    let Some(schemas) = schemas.upgrade() else { return };
                    let mut schemas = schemas.lock().unwrap_or_else(PoisonError::into_inner);
                    let state = match (fetched, schemas.get(&id)) {
                        (Ok(Fetched::Schema(schema)), _) => State::Known(Arc::new(schema)),
                        (Ok(Fetched::Missing), Some(State::Asked(asked))) => {
                            State::Missing(*asked, Instant::now())
                        }
                        (Err(error), Some(State::Asked(_))) => State::Failed(error),
                        // It was asked again, and there is no better answer.
                        _ => State::Missing(ASKED, Instant::now()),
                    };
                    schemas.insert(id, state);
                }
            };
            // Where another thread was faster, this one's channel is dropped, and the thread ends.
            if self.running.set(sender).is_ok() {
                thread::Builder::new().name("schema registry".to_owned()).spawn(work).map_err(|error| {
                    ExternalError::permanent("could not start the thread of the schema registry")
                        .because(error)
                })?;
            }
        }
        if let Some(running) = self.running.get() {
            running.send(id).map_err(|_| {
                ExternalError::permanent("the thread that asks the schema registry has ended; see the log")
            })?;
        }
        Ok(())
    }

    /// Has a schema fetched, unless it is there.
    fn prepare_schema(&self, id: u32) -> Result<Prepared, ExternalError> {
        let mut schemas = self.lock();
        let asked = match schemas.get(&id) {
            Some(State::Known(_)) => return Ok(Prepared::Ready),
            Some(State::Asked(_)) => return Ok(Prepared::Pending(PAUSE)),
            Some(State::Missing(asked, last)) if *asked < ASKED => {
                // All partitions that wait for the schema share this pause.
                let pause = MISSING_PAUSE.saturating_sub(last.elapsed());
                if !pause.is_zero() {
                    return Ok(Prepared::Pending(pause));
                }
                asked + 1
            }
            Some(State::Missing(_, last)) => {
                if last.elapsed() >= self.settings.missing_ttl {
                    // Records do not wait for it: where many schemas are missing, all would be asked for without end.
                    self.ask(id)?;
                    schemas.insert(id, State::AskedAgain);
                }
                return Ok(Prepared::Ready);
            }
            Some(State::AskedAgain) => return Ok(Prepared::Ready),
            Some(State::Failed(_)) => {
                // The next to ask asks again, also after a permanent error: a pipeline may be started again.
                let Some(State::Failed(error)) = schemas.remove(&id) else {
                    return Ok(Prepared::Pending(PAUSE));
                };
                return Err(error);
            }
            None => 1,
        };
        self.ask(id)?;
        schemas.insert(id, State::Asked(asked));
        Ok(Prepared::Pending(PAUSE))
    }
}

impl Preparation for SchemaRegistry {
    /// Has the schemas of all records fetched that begin with the id of one.
    fn prepare(&self, batch: &RecordBatch, _: &str) -> Result<Prepared, ExternalError> {
        let mut prepared = Prepared::Ready;
        let mut last = None;
        for place in batch.records().iter().filter(|place| place.oversize.is_none()) {
            let id = match batch.bytes_of(place) {
                [0, a, b, c, d, ..] => u32::from_be_bytes([*a, *b, *c, *d]),
                _ => continue,
            };
            // Records by one schema come in runs.
            if last.replace(id) == Some(id) {
                continue;
            }
            if let Prepared::Pending(pause) = self.prepare_schema(id)? {
                prepared = match prepared {
                    Prepared::Pending(longer) if longer > pause => prepared,
                    _ => Prepared::Pending(pause),
                };
            }
        }
        Ok(prepared)
    }
}

impl fmt::Debug for SchemaRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchemaRegistry").field("url", &self.settings.url).finish_non_exhaustive()
    }
}
