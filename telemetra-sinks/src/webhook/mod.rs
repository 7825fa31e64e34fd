//! A sink that posts the changes of chosen tables to a URL.

mod post;
mod sign;
mod state;

pub use sign::WebhookSecret;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use telemetra_core::{Batch, ConfigError, EventTime, ExternalError, Sink, SinkProgress, Table};

use crate::http::Client;
use crate::json_lines::line::ChangeLines;
use crate::owner::{self, Owner};
use post::{Delivered, Post};
use state::State;

/// A sink that posts each change of the rows of chosen tables to a URL, as JSON, at least once. It suits tables of
/// few changes, such as moments, whose receiver only accepts HTTP; for many changes, or several receivers, use
/// `KafkaSink`.
///
/// # Requests
///
/// A request is a POST of one change. Its body is the object of a line of [`JsonLines`](crate::JsonLines):
/// `table`, `time`, `action` (`upsert` or `withdraw`), `revision`, and the columns of the row; of a withdrawal,
/// as the row was. The headers are those of [Standard Webhooks](https://www.standardwebhooks.com):
///
/// | header | value |
/// |---|---|
/// | `webhook-id` | the idempotency key: the same for every attempt at one revision of one row, also after a restart, and for nothing else |
/// | `webhook-timestamp` | when the attempt was made, in seconds since the Unix epoch |
/// | `webhook-signature` | with a [`secret`](Self::secret): `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`; one for each secret, separated by spaces |
///
/// A receiver checks the signature and the time, answers with a status of 2xx once it has stored the change, and
/// ignores an id that it has stored before. In Rust the check is [`WebhookSecret::verify`]; in Python:
///
/// ```python
/// import base64, hmac, time
///
/// def verify(secret, headers, body):
///     """secret: "whsec_…"; body: the bytes as they were received."""
///     if abs(time.time() - int(headers["webhook-timestamp"])) > 300:
///         return False
///     signed = f'{headers["webhook-id"]}.{headers["webhook-timestamp"]}.'.encode() + body
///     key = base64.b64decode(secret.removeprefix("whsec_"))
///     expected = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
///     given = headers["webhook-signature"].split()
///     # `compare_digest` takes the same time wherever the two differ.
///     return any(hmac.compare_digest(f"v1,{expected}", one) for one in given)
/// ```
///
/// # Guarantees
///
/// * **At least once.** A change counts as delivered when the receiver has answered with 2xx. When all changes of one
///   event time are delivered, that time is stored in the folder. If the process is killed before, it posts these
///   changes again after its restart, with the same ids.
/// * **Order.** The changes of one row arrive in their order. Changes of different rows that take effect at the same
///   event time are posted in [`parallel`](Self::parallel), in any order.
/// * **Attempts.** Lost connections, time-outs and the statuses 408, 409, 425, 429 and 5xx are transient errors: the
///   pipeline repeats the request with backoff, and not before the time in `Retry-After` (up to an hour). Meanwhile
///   its queue fills and reading pauses, so nothing is lost and memory stays bounded. All other statuses, and
///   redirects, are permanent errors that name the row and stop the pipeline.
/// * **Refused rows.** The statuses 400, 413, 415 and 422 concern the body and not the address. With
///   [`keep_refused`](Self::keep_refused), a change that gets one of them is written to `refused.jsonl` in the
///   folder, with id and reason, and the pipeline goes on. The same happens to a change that is longer than
///   [`max_body`](Self::max_body).
///
/// A folder belongs to one pipeline: opening it fails with a permanent error if another pipeline wrote to it, and with a
/// transient error while another process has it open. Dead letters are not posted.
///
/// ```
/// use telemetra_core::{Batch, Column, ColumnKind, EventTime, Layout, Sink, Table, Value};
/// use telemetra_sinks::{Webhook, WebhookSecret};
/// # use std::io::{Read, Write};
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let url = format!("http://{}/hooks", listener.local_addr()?);
/// # let receiver = std::thread::spawn(move || -> std::io::Result<String> {
/// #     let (mut stream, _) = listener.accept()?;
/// #     let (mut request, mut block, mut count) = (Vec::new(), [0; 4096], 1);
/// #     while count > 0 && !request.ends_with(b"}") {
/// #         count = stream.read(&mut block)?;
/// #         request.extend_from_slice(&block[..count]);
/// #     }
/// #     stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
/// #     Ok(String::from_utf8_lossy(&request).into_owned())
/// # });
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
///
/// let table = Table::new("alarms").key(Column::new("alarm", ColumnKind::Text));
/// let alarms = Layout::new(table, |alarm: &String, put| put(Value::Text(alarm)));
/// let secret = WebhookSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
/// let mut sink = Webhook::new(&url, folder)?.table("alarms").secret(secret).keep_refused();
/// sink.open(&[alarms.table().clone()], None)?;
/// sink.apply(&[Batch { time: EventTime(59_999), changes: vec![alarms.upsert("a1".to_owned(), 0)] }])?;
///
/// let request = receiver.join().expect("a receiver that answers with 204")?;
/// assert!(request.contains("webhook-signature: v1,"));
/// let body = r#"{"table":"alarms","time":"1970-01-01T00:00:59.999Z","action":"upsert","revision":0,"alarm":"a1"}"#;
/// assert!(request.ends_with(body));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Webhook {
    settings: Settings,
    /// The name of the pipeline that this sink belongs to, as the pipeline gives it.
    part_of: Option<String>,
    opened: Option<Opened>,
}

/// The settings of the sink.
struct Settings {
    url: String,
    /// The URL without user and query, for errors.
    shown: String,
    folder: PathBuf,
    tables: Vec<String>,
    secrets: Vec<WebhookSecret>,
    headers: Vec<(String, String)>,
    authority: Option<Vec<u8>>,
    timeout: Duration,
    parallel: usize,
    max_body: usize,
    keep_refused: bool,
    start_over: bool,
    pipeline: Option<String>,
}

impl Settings {
    /// Returns whether the changes of this table are posted.
    fn has(&self, table: &str) -> bool {
        self.tables.iter().any(|chosen| chosen == table)
    }
}

/// The sink between `open` and `close`.
struct Opened {
    client: Client,
    lines: ChangeLines,
    state: State,
    pipeline: String,
    delivered: Delivered,
}

/// Shows neither secrets nor headers.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("url", &self.settings.shown).finish_non_exhaustive()
    }
}

impl Webhook {
    /// Creates a sink that posts to this URL and keeps its progress in this folder, which is created when the
    /// sink is opened if it is missing. It posts the tables that are added by [`table`](Self::table).
    ///
    /// # Errors
    ///
    /// If the URL does not begin with `http://` or `https://` and a host.
    pub fn new(url: &str, folder: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        if host.is_empty() || url.contains(char::is_whitespace) {
            let detail = format!("`{}` is not one", without_secrets(url));
            return Err(ConfigError::new("url", detail, "give one like https://alerts.example/hooks"));
        }
        let settings = Settings {
            url: url.to_owned(),
            shown: without_secrets(url),
            folder: folder.as_ref().to_owned(),
            tables: Vec::new(),
            secrets: Vec::new(),
            headers: Vec::new(),
            authority: None,
            timeout: Duration::from_secs(10),
            parallel: 4,
            max_body: 256 * 1024,
            keep_refused: false,
            start_over: false,
            pipeline: None,
        };
        Ok(Self { settings, part_of: None, opened: None })
    }

    /// Adds a table whose changes are posted; call it once for each. [`open`](Sink::open) fails if the
    /// pipeline has no such table, or if none was added.
    #[must_use]
    pub fn table(mut self, name: &str) -> Self {
        self.settings.tables.push(name.to_owned());
        self
    }

    /// Signs the requests with this secret. With a second secret each request has two signatures, so that a
    /// receiver can change from the old secret to the new one. Default: requests are not signed.
    #[must_use]
    pub fn secret(mut self, secret: WebhookSecret) -> Self {
        self.settings.secrets.push(secret);
        self
    }

    /// Adds a header to each request, such as `authorization` with a token. Its value is not logged. Default: only the
    /// headers of [each request](Self#requests), and `content-type: application/json`.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.settings.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the certificate authority, in PEM, that must have signed the receiver's certificate. Default: the
    /// authorities that the system trusts. It is parsed when the sink is opened; if it is not PEM, opening fails with a
    /// permanent error.
    #[must_use]
    pub fn authority(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.settings.authority = Some(pem.into());
        self
    }

    /// Sets how long a request may take, from the connection to the end of the answer; then it is a transient error, and
    /// is repeated under the same id. Default: 10 s; limited to between 1 ms and one hour.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout.clamp(Duration::from_millis(1), Duration::from_secs(3600));
        self
    }

    /// Sets the number of requests that may be under way at once; each needs a connection. Default: 4; limited to
    /// between 1 and 256. It bounds the rate: with answers after 50 ms, 4 requests at once make 80 changes a
    /// second. Only changes of the same event time are posted at once.
    #[must_use]
    pub fn parallel(mut self, requests: usize) -> Self {
        self.settings.parallel = requests.clamp(1, 256);
        self
    }

    /// Sets the greatest length of a body that is posted, in bytes. A longer one is handled like one that the
    /// receiver refuses with 413. Default: 256 KiB.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.settings.max_body = bytes;
        self
    }

    /// Writes a change that the receiver refuses to the file `refused.jsonl` of the folder, and continues. Each
    /// line is a JSON object with `id`, `reason` and `body`; after a crash a change may be there twice, with the
    /// same id. Default: a refused change stops the pipeline.
    #[must_use]
    pub fn keep_refused(mut self) -> Self {
        self.settings.keep_refused = true;
        self
    }

    /// Sets the name of the pipeline that owns the folder. Default: the name of the pipeline that the sink is
    /// added to.
    #[must_use]
    pub fn pipeline(mut self, name: &str) -> Self {
        self.settings.pipeline = Some(name.to_owned());
        self
    }

    /// Posts all changes again, with new ids, when the pipeline starts without a checkpoint, and so from the beginning
    /// of its input. Default: off, so all batches up to the time found in the folder are skipped, which is right
    /// if the input is the same as before. Changes that an earlier run posted are not withdrawn.
    #[must_use]
    pub fn start_over(mut self) -> Self {
        self.settings.start_over = true;
        self
    }
}

/// A URL without user, password, query and fragment, as errors and logs show it.
fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
    let host = host.rsplit('@').next().unwrap_or_default();
    let path = path.map(|path| format!("/{path}")).unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

impl Sink for Webhook {
    fn name(&self) -> &str {
        "webhook"
    }

    fn part_of(&mut self, pipeline: &str) {
        self.part_of = Some(pipeline.to_owned());
    }

    fn progress(&mut self) -> Result<SinkProgress, ExternalError> {
        Ok(SinkProgress::Until(State::reached(&self.settings.folder)?))
    }

    fn open(
        &mut self,
        tables: &[Arc<Table>],
        resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        self.opened = None;
        let settings = &self.settings;
        let failed = |why: String| {
            ExternalError::permanent(format!("could not open the webhook to {}: {why}", settings.shown))
        };
        if settings.tables.is_empty() {
            return Err(failed(
                "no table is named whose changes shall be posted; name one by `table`".to_owned(),
            ));
        }
        if let Some(unknown) = settings.tables.iter().find(|name| !tables.iter().any(|t| t.name() == *name)) {
            let names = tables.iter().map(|table| table.name()).collect::<Vec<_>>().join(", ");
            return Err(failed(format!("the pipeline has no table `{unknown}`; it has {names}")));
        }
        let pipeline = settings.pipeline.as_deref().or(self.part_of.as_deref()).unwrap_or(owner::UNNAMED);
        let client = Client::new(&settings.url, settings.timeout, settings.authority.as_deref())
            .map_err(|error| failed(error.to_string()))?;
        let chosen: Vec<_> =
            tables.iter().filter(|table| settings.has(table.name())).map(Arc::clone).collect();
        let how = (settings.start_over && resume.is_none(), resume.is_some());
        let state = State::open(&settings.folder, Owner::new(pipeline, &chosen), how)?;
        let time = state.time();
        self.opened = Some(Opened {
            client,
            lines: ChangeLines::new(&chosen),
            state,
            pipeline: pipeline.to_owned(),
            delivered: Delivered::default(),
        });
        Ok(time)
    }

    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        let settings = &self.settings;
        let Some(opened) = &mut self.opened else {
            let what =
                format!("could not post to {}: the sink is not open; call `open` first", settings.shown);
            return Err(ExternalError::permanent(what));
        };
        let known = batches.partition_point(|batch| Some(batch.time) <= opened.state.time());
        let mut behind = None;
        for batch in &batches[known..] {
            if batch.changes.iter().any(|change| settings.has(change.table())) {
                opened.state.begin()?;
                let Opened { client, lines, state, pipeline, delivered } = opened;
                let post = Post { settings, pipeline, client, lines, state };
                post.batch(batch, delivered)?;
                opened.state.delivered(batch.time)?;
                behind = None;
            } else {
                behind = Some(batch.time);
            }
        }
        behind.map_or(Ok(()), |time| opened.state.delivered(time))
    }
}
