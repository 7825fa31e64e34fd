//! Events that are pushed by HTTP: a handler that feeds a channel.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use futures_core::Stream;
use serde_json::{Value, json};
use telemetra_core::source::{ChannelHandle, PushError};
use telemetra_core::{Arena, Decoder, Event, Preparation, Prepared, Record, RecordBatch, Retry, SerdeJson};

/// The greatest length of a body by default, in bytes.
const MAX_BODY: usize = 1024 * 1024;
/// The number of bad lines that an answer lists.
const MOST_LISTED: usize = 20;
/// The time, in seconds, that a client should wait if the channel is full.
const RETRY_AFTER: u64 = 1;

/// An HTTP handler for axum that decodes events from request bodies and pushes them into a typed
/// [`Channel`](telemetra_core::source::Channel), which is the source of a pipeline. Use it for clients that can only
/// send HTTP, if a loss at a crash is acceptable; see [durability](#durability).
///
/// A request is a `POST` whose body has one event a line, by default JSON lines; empty lines are skipped.
/// Values of binary formats, such as Avro and MessagePack, may contain the byte of a line break, so they cannot be
/// lines: decode these in a handler of your own, and push the events by
/// [`try_push_all`](telemetra_core::source::ChannelHandle::try_push_all). **A body is accepted as a whole or not at
/// all**, and its events stay together in the channel. The answers:
///
/// | status | when | body |
/// |---|---|---|
/// | 202 | all events are in the channel | `{"accepted": 2}` |
/// | 400 | a line cannot be decoded, or the connection broke within the body | problem details; `lines` lists the first twenty bad lines, each with its number and reason |
/// | 413 | the body is too long, or has more events than the channel holds | problem details |
/// | 415 | the body is compressed | problem details |
/// | 429 | the channel has no room for all of the events now | problem details, and `Retry-After: 1` (a second) |
/// | 500 | what the decoder needs, such as a schema, can never be had | problem details; the reason is in the log |
/// | 503 | what the decoder needs is being fetched, or could not be fetched for the moment | problem details, and `Retry-After` |
/// | 503 | the pipeline has ended | problem details |
///
/// Problem details are JSON as RFC 9457 defines it.
///
/// # Durability
///
/// The status 202 means that the events are in the memory of this process. If the process dies, events that are not
/// in a checkpoint yet are lost, as with any channel. If that is not acceptable, let clients write to Kafka, and read
/// it by `KafkaSource`.
///
/// A client whose connection broke before the answer does not know whether its request was accepted, and has to send
/// it again. Such events count once if they have [ids](telemetra_core::Event::id) and
/// [`TimeConfig::deduplicate`](telemetra_core::TimeConfig::deduplicate) is set.
///
/// An event that is too late or from the future is accepted too, and becomes a dead letter of the pipeline.
///
/// # Cost
///
/// The body is held in memory, up to [`max_body`](Self::max_body) for each request under way, and decoded on
/// the thread of the request.
///
/// ```
/// # use telemetra_core::{Event, EventTime};
/// # #[derive(Debug, serde::Deserialize)]
/// # struct Reading { device: String, time: EventTime }
/// # impl Event for Reading {
/// #     type Key = String;
/// #     fn time(&self) -> EventTime { self.time }
/// #     fn key(&self) -> &str { &self.device }
/// # }
/// use telemetra_core::source::Channel;
/// use telemetra_sinks::HttpPush;
///
/// let (handle, source, decoder) = Channel::<Reading>::typed("pushed", 100_000)?;
/// let push = HttpPush::json_lines(handle.clone()).route();
/// let app: axum::Router = axum::Router::new().route("/events", push.clone());
/// // Pipeline::new().source(source, decoder)…, and serve the app. A request is answered so:
/// # use std::{pin::pin, task::{Context, Poll, Waker}};
/// # use axum::{body::Body, extract::Request, handler::Handler};
/// # let post = |body: &'static str| {
/// #     let request = Request::post("/events").body(Body::from(body)).unwrap();
/// #     let mut answer = pin!(Handler::call(push.clone(), request, ()));
/// #     match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
/// #         Poll::Ready(answer) => answer.status().as_u16(),
/// #         Poll::Pending => panic!("the body is in memory"),
/// #     }
/// # };
/// let two = "{\"device\": \"d1\", \"time\": 5}\n{\"device\": \"d2\", \"time\": 6}\n";
/// assert_eq!((post(two), handle.waiting()), (202, 2));
/// assert_eq!((post("{\"device\": \"d1\"}\n"), handle.waiting()), (400, 2));
/// drop(source);
/// assert_eq!(post(two), 503);
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
pub struct HttpPush<E, D = SerdeJson<E>> {
    handle: ChannelHandle<E>,
    decoder: Arc<D>,
    preparation: Option<Arc<dyn Preparation>>,
    max_body: usize,
}

impl<E: Event + Send + 'static> HttpPush<E> {
    /// Creates a handler of bodies of JSON lines, decoded by serde. The events go to the channel of `handle`, whose
    /// other end the pipeline reads. That input ends when the last clone of the handle is dropped, or one of them is
    /// [closed](ChannelHandle::close).
    #[must_use]
    pub fn json_lines(handle: ChannelHandle<E>) -> Self
    where
        E: serde::de::DeserializeOwned,
    {
        Self::new(handle, SerdeJson::new())
    }
}

impl<E: Event + Send + 'static, D: Decoder<E> + 'static> HttpPush<E, D> {
    /// Creates a handler of bodies whose lines `decoder` decodes. A line may contain several events, or none. A line
    /// longer than [`RecordBatch::MAX_RECORD_BYTES`] is answered by 400. The decoder sees the bytes of the line, and no
    /// key, header or topic. If it has a [preparation](Decoder::preparation), that is asked about the lines of each body
    /// first; a request does not wait until everything is there, but is answered by 503.
    /// `SchemaRegistry` remembers a permanent error, so restart the process when its cause is gone.
    #[must_use]
    pub fn new(handle: ChannelHandle<E>, decoder: D) -> Self {
        let preparation = decoder.preparation();
        Self { handle, decoder: Arc::new(decoder), preparation, max_body: MAX_BODY }
    }

    /// Sets the greatest length of a body, in bytes. A longer one is answered by 413 as soon as more bytes have come.
    /// Default: 1 MiB.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Returns the handler of `POST`, for a path of an axum router; axum answers other methods by 405. It has no
    /// authentication and no limit on the number of requests: add layers of your own. A body is read in full whatever
    /// time the client takes, so add a time-out too.
    pub fn route<S: Clone + Send + Sync + 'static>(self) -> MethodRouter<S> {
        let push = Arc::new(self);
        post(move |request: Request| {
            let push = Arc::clone(&push);
            async move { push.take(request).await.unwrap_or_else(IntoResponse::into_response) }
        })
    }

    async fn take(&self, request: Request) -> Result<Response, Problem> {
        let encoding = request.headers().get(header::CONTENT_ENCODING);
        if encoding.is_some_and(|encoding| encoding != "identity") {
            let detail =
                "the body is compressed; send it as it is, or put a layer that decompresses in front";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        let body = collect(request.into_body(), self.max_body).await?;
        self.prepare(&body)?;
        let events = self.decode(&body)?;
        let (count, capacity) = (events.len(), self.handle.capacity());
        if count > capacity {
            let detail =
                format!("the body has {count} events, and the channel holds {capacity}; send fewer at once");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        match self.handle.try_push_all(events) {
            Ok(()) => Ok((StatusCode::ACCEPTED, json_of(&json!({ "accepted": count }))).into_response()),
            Err(PushError::Full(_)) => {
                let detail = "the pipeline is behind, and its channel has no room; send the body again later";
                let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, detail);
                Err(Problem { retry_after: Some(RETRY_AFTER), ..problem })
            }
            Err(PushError::Closed(_)) => Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the pipeline that reads the events has ended",
            )),
        }
    }

    /// Has fetched what decoding the lines needs. No request waits for that, as each holds its body in memory.
    fn prepare(&self, body: &[u8]) -> Result<(), Problem> {
        let Some(preparation) = &self.preparation else { return Ok(()) };
        let mut batch = RecordBatch::default();
        // Longer ones are not decoded.
        for (number, line) in lines(body).filter(|(_, line)| line.len() <= RecordBatch::MAX_RECORD_BYTES) {
            batch.push(line, number);
        }
        if batch.is_empty() {
            return Ok(());
        }
        let away =
            "no event was taken: what is needed to decode them is not there yet; send the body again later";
        match preparation.prepare(&batch, "") {
            Ok(Prepared::Ready) => Ok(()),
            Ok(Prepared::Pending(pause)) => Err(Problem::for_the_moment(away, pause)),
            // The log has the reason: it names servers that are no business of a client's.
            Err(error) if error.retry() == Retry::Transient => {
                tracing::warn!(
                    error = &error as &dyn Error,
                    "events that are pushed could not be decoded yet"
                );
                Err(Problem::for_the_moment(away, error.retry_after().unwrap_or_default()))
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn Error, "events that are pushed cannot be decoded");
                let detail =
                    "no event was taken: what is needed to decode them cannot be had; see the service's log";
                Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail))
            }
        }
    }

    /// The events of all lines, or what is wrong with some.
    fn decode(&self, body: &[u8]) -> Result<Vec<E>, Problem> {
        let (arena, mut events, mut bad) = (Arena::default(), Vec::new(), Vec::new());
        for (number, line) in lines(body) {
            let reason = if line.len() > RecordBatch::MAX_RECORD_BYTES {
                format!(
                    "the line has {} bytes, and {} are allowed",
                    line.len(),
                    RecordBatch::MAX_RECORD_BYTES
                )
            } else {
                match self.decoder.decode(Record::new(line), &arena, &mut events) {
                    Ok(()) => continue,
                    Err(error) => error.to_string(),
                }
            };
            bad.push((number, reason));
        }
        let Some((number, reason)) = bad.first() else { return Ok(events) };
        let more = match bad.len() {
            1 => String::new(),
            count => format!("; {} other lines are bad too", count - 1),
        };
        let detail = format!("no event was taken: line {number}: {reason}{more}");
        let lines = bad.iter().take(MOST_LISTED);
        let lines = lines.map(|(number, reason)| json!({ "line": number, "reason": reason })).collect();
        Err(Problem { lines: Some(lines), ..Problem::new(StatusCode::BAD_REQUEST, detail) })
    }
}

impl<E, D: fmt::Debug> fmt::Debug for HttpPush<E, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpPush")
            .field("decoder", &self.decoder)
            .field("max_body", &self.max_body)
            .finish_non_exhaustive()
    }
}

/// The lines of a body that are not empty, and their numbers.
fn lines(body: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let lines = body.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    (1..).zip(lines).filter(|(_, line)| !line.is_empty())
}

/// Reads a body of at most so many bytes.
async fn collect(body: Body, most: usize) -> Result<Vec<u8>, Problem> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = poll_fn(|context| Pin::new(&mut stream).poll_next(context)).await {
        let chunk = chunk.map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, format!("no event was taken: the body broke off: {error}"))
        })?;
        if bytes.len() + chunk.len() > most {
            let detail = format!("the body has more than {most} bytes; send fewer events at once");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The reason why nothing was taken, as problem details (RFC 9457).
struct Problem {
    status: StatusCode,
    detail: String,
    lines: Option<Value>,
    /// The seconds that a client should wait before it sends the body again.
    retry_after: Option<u64>,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), lines: None, retry_after: None }
    }

    /// What is not there yet may be there after this pause, or a second.
    fn for_the_moment(detail: &str, pause: Duration) -> Self {
        let seconds = pause.as_millis().div_ceil(1000).clamp(1, 3600);
        let retry_after = u64::try_from(seconds).ok();
        Self { retry_after, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut problem = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some(lines) = self.lines {
            problem["lines"] = lines;
        }
        let mut response = (self.status, problem.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

fn json_of(value: &Value) -> ([(header::HeaderName, HeaderValue); 1], String) {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], value.to_string())
}
