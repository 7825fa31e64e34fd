//! Sends the spans of a program to an OpenTelemetry collector, by OTLP over HTTP, if the standard variables say where.
//!
//! The exporter has a thread and a queue of its own. A full queue drops spans, and a collector that cannot be reached is
//! said once; neither holds anything up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use telemetra::core::TraceParent;
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use super::{screen, secrets};

/// The time limit for a program that ends to send the spans that are left.
const FLUSH: Duration = Duration::from_secs(2);
/// The time limit for a request, if no variable sets it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The exporter of spans. The last are sent when it is dropped, which takes no more than two seconds.
pub(crate) struct Otlp(SdkTracerProvider);

impl Drop for Otlp {
    fn drop(&mut self) {
        // What could not be sent by then is lost, which was said if it is the collector's fault.
        let _ = self.0.shutdown_with_timeout(FLUSH);
    }
}

/// Starts sending spans under the program's name, or that of `OTEL_SERVICE_NAME`; `None` unless
/// `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set, or if `OTEL_SDK_DISABLED` is `true`.
pub(crate) fn start<S>(program: &'static str) -> Option<(Otlp, impl Layer<S>)>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let endpoint = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"]
        .into_iter()
        .find_map(variable)?;
    let is_off = variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        || variable("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
    if is_off {
        return None;
    }
    // They hold keys of who receives the spans.
    let headers = ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"];
    let pairs = headers.into_iter().filter_map(variable).collect::<Vec<_>>().join(",");
    secrets::hide(pairs.split(',').filter_map(|pair| Some(pair.split_once('=')?.1.to_owned())));
    secrets::hide(secrets::of_value(&endpoint, false));
    let millis =
        ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"].into_iter().find_map(variable);
    let timeout = millis.and_then(|text| text.parse().ok()).map_or(TIMEOUT, Duration::from_millis);
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Client::new(&endpoint, timeout))
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(timeout)
        .build();
    let exporter = match exporter {
        Ok(exporter) => exporter,
        Err(error) => {
            screen::tell(&format!("spans are not sent: {error}"));
            return None;
        }
    };
    let resource = Resource::builder();
    let resource = match variable("OTEL_SERVICE_NAME") {
        Some(_) => resource,
        None => resource.with_service_name(program),
    };
    let provider =
        SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("telemetra"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false);
    // Rows that are written to Kafka go on in the trace of the span that writes them.
    TraceParent::set_current(current);
    // Of other crates what they warn of, in a span of ours.
    let filter = Targets::new().with_default(LevelFilter::WARN).with_target("telemetra", LevelFilter::DEBUG);
    Some((Otlp(provider), spans.with_filter(filter)))
}

/// The place in its trace of the span that this thread is in.
fn current() -> Option<TraceParent> {
    let context = tracing::Span::current().context();
    let span = context.span().span_context().clone();
    let trace = u128::from_be_bytes(span.trace_id().to_bytes());
    TraceParent::new(trace, u64::from_be_bytes(span.span_id().to_bytes()), span.trace_flags().to_u8())
}

/// Sends what the exporter encoded.
#[derive(Clone, Debug)]
struct Client {
    agent: Agent,
    /// The collector, without secrets.
    place: String,
    /// Whether it was said that the collector cannot be reached.
    is_down: Arc<AtomicBool>,
}

impl Client {
    fn new(endpoint: &str, timeout: Duration) -> Self {
        let roots = if endpoint.starts_with("https:") {
            rustls_native_certs::load_native_certs().certs
        } else {
            Vec::new()
        };
        let roots: Vec<_> = roots.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::new_with_certs(&roots))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            // Headers may have secrets, which are for this place alone.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .build();
        let place = secrets::redact(endpoint);
        Self { agent: config.new_agent(), place, is_down: Arc::default() }
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let mut response = self.agent.run(Request::from_parts(parts, &body[..]))?;
        let status = response.status();
        let body = response.body_mut().with_config().limit(1 << 20).read_to_vec()?;
        if !status.is_success() {
            return Err(format!("it answered with status {}", status.as_u16()).into());
        }
        Ok(Response::builder().status(status).body(body.into())?)
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    /// Blocks: it is called on the exporter's own thread.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.send(request);
        match &sent {
            Ok(_) if self.is_down.swap(false, Ordering::Relaxed) => {
                tracing::info!(collector = self.place, "the collector of spans can be reached again");
            }
            Err(error) if !self.is_down.swap(true, Ordering::Relaxed) => {
                tracing::warn!(collector = self.place, %error, "spans cannot be sent, and are dropped until they can");
            }
            _ => {}
        }
        sent
    }
}
