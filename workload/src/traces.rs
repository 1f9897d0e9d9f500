//! Traces: a share of the requests, with the spans that the program has for its log, sent to a receiver by OTLP over HTTP.
//!
//! Invariants:
//!
//! - Without `TRACING_URL` nothing of this exists, and nothing of it costs anything.
//! - A span has its name, the fields that the log has and, for a request, method, route pattern and status: no paths, queries,
//!   headers, bodies or log lines.
//! - Nothing waits for the receiver. What does not fit into the bounded queue is dropped.
//! - A trace goes on across processes only on the hop between our own units; no client can begin or continue one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::HeaderMap;
use opentelemetry::KeyValue;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Status, TraceContextExt, TracerProvider};
use opentelemetry_http::{HeaderExtractor, HeaderInjector, HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use reqwest::redirect::Policy;
use salvo::async_trait;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::{Level, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;
use workload_config::{Tracing, Url};

use crate::error_chain::Chain;
use crate::tls::{self, TlsError};

/// How long the receiver may take for a request, and for what is left when the program ends.
const EXPORT_TIME: Duration = Duration::from_secs(5);
/// How much of an answer is read: it is thrown away.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Whether this process sends traces.
static ON: AtomicBool = AtomicBool::new(false);

/// Why there can be no traces.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The authorities cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The HTTP client cannot be set up.
    #[error("the HTTP client for traces could not be set up")]
    Client(#[from] reqwest::Error),
    /// The exporter cannot be set up.
    #[error("the export of traces could not be set up")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// The way of traces out of this process.
pub struct Traces {
    provider: SdkTracerProvider,
    stop: CancellationToken,
}

impl Traces {
    /// Prepares the export from `service`, as `settings` say; `None` if they name no receiver. It must be called on the runtime.
    ///
    /// # Errors
    ///
    /// [`TracesError`] when something in the settings cannot be used.
    pub fn start(
        settings: &Tracing,
        service: &'static str,
        version: &str,
    ) -> Result<Option<Self>, TracesError> {
        let Some(url) = &settings.url else { return Ok(None) };
        let stop = CancellationToken::new();
        let client = Client::new(tls::client_config(settings.ca_file.as_deref())?)?;
        if let Some(ca_file) = settings.ca_file.clone() {
            let trusting = client.clone();
            let trust = move |tls| trusting.replace(tls);
            let follow =
                tls::follow_authorities(ca_file, "the receiver of traces", stop.clone(), trust);
            tokio::spawn(follow);
        }
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter(url, client)?)
            .with_sampler(sampler(settings.sample_ratio))
            .with_resource(resource(settings, service, version))
            .build();
        ON.store(true, Ordering::Relaxed);
        Ok(Some(Self { provider, stop }))
    }

    /// What turns the program's spans into those of traces.
    #[must_use]
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let tracer = self.provider.tracer("microcloud-cluster-manager");
        let own = |target: &str| target.starts_with(env!("CARGO_CRATE_NAME"));
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(move |what| {
                what.is_span() && *what.level() <= Level::INFO && own(what.target())
            }))
    }

    /// Sends what is left, for a bounded time.
    pub async fn finish(self) {
        self.stop.cancel();
        let work = move || self.provider.shutdown_with_timeout(EXPORT_TIME);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(work).await {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

fn exporter(url: &Url, client: Client) -> Result<SpanExporter, TracesError> {
    Ok(SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(url.as_str())
        .with_timeout(EXPORT_TIME)
        .build()?)
}

/// What another unit has begun to trace is traced to its end; of all else, the share that the settings say.
fn sampler(ratio: f64) -> Sampler {
    Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)))
}

fn resource(settings: &Tracing, service: &'static str, version: &str) -> Resource {
    let labels =
        settings.labels.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    // Built from nothing: the library would read the environment otherwise.
    Resource::builder_empty()
        .with_service_name(service)
        .with_attribute(KeyValue::new("service.namespace", "microcloud-cluster-manager"))
        .with_attribute(KeyValue::new("service.version", version.to_owned()))
        .with_attributes(labels)
        .build()
}

/// Notes on a request's span what it is for.
pub fn asked(span: &Span, method: &str, route: &str) {
    if ON.load(Ordering::Relaxed) {
        span.set_attribute("http.request.method", method.to_owned());
        span.set_attribute("http.route", route.to_owned());
    }
}

/// Notes on a request's span what became of it.
pub fn answered(span: &Span, status: u16) {
    if ON.load(Ordering::Relaxed) {
        span.set_attribute("http.response.status_code", i64::from(status));
        if status >= 500 {
            span.set_status(Status::error(""));
        }
    }
}

/// Adds the present trace to a request to another unit of ours.
pub fn pass_on(headers: &mut HeaderMap) {
    if ON.load(Ordering::Relaxed) {
        let context = Span::current().context();
        if context.span().span_context().is_valid() {
            let mut injector = HeaderInjector(headers);
            TraceContextPropagator::new().inject_context(&context, &mut injector);
        }
    }
}

/// Makes `span` a part of the trace that another unit of ours has begun. Never for requests of anybody else: they could have
/// everything traced, and mix with the traces of others.
pub fn go_on(span: &Span, headers: &HeaderMap) {
    if ON.load(Ordering::Relaxed) {
        let context = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
        if context.span().span_context().is_valid() {
            // It fails only for a span that has begun, and then there is a trace of its own.
            let _ = span.set_parent(context);
        }
    }
}

/// Our HTTP client for the exporter, which works on a thread of its own outside the runtime.
#[derive(Debug, Clone)]
struct Client {
    http: Arc<ArcSwap<reqwest::Client>>,
    runtime: Handle,
    /// The last request failed: that is logged once.
    failing: Arc<AtomicBool>,
}

impl Client {
    fn new(tls: rustls::ClientConfig) -> Result<Self, reqwest::Error> {
        Ok(Self {
            http: Arc::new(ArcSwap::from_pointee(http_client(tls)?)),
            runtime: Handle::current(),
            failing: Arc::default(),
        })
    }

    fn replace(&self, tls: rustls::ClientConfig) -> Result<(), reqwest::Error> {
        self.http.store(Arc::new(http_client(tls)?));
        Ok(())
    }

    fn note(&self, problem: Option<String>) {
        let failed_before = self.failing.swap(problem.is_some(), Ordering::Relaxed);
        match problem {
            Some(reason) if !failed_before => {
                tracing::warn!(reason, "the receiver of traces does not take them: {reason}");
            }
            None if failed_before => tracing::info!("the receiver of traces answers again"),
            _ => {}
        }
    }
}

fn http_client(tls: rustls::ClientConfig) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(Policy::none())
        .timeout(EXPORT_TIME)
        .user_agent("microcloud-cluster-manager")
        .build()
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let http = self.http.load_full();
        let sent = self.runtime.spawn(async move { send(&http, request).await });
        let Ok(answer) = sent.await else { return Err("the program ends".into()) };
        match &answer {
            Ok(answer) if answer.status().is_success() => self.note(None),
            Ok(answer) => self.note(Some(format!("the answer is {}", answer.status()))),
            Err(error) => self.note(Some(Chain(error).to_string())),
        }
        Ok(answer?)
    }
}

async fn send(
    client: &reqwest::Client,
    request: http::Request<Bytes>,
) -> Result<http::Response<Bytes>, reqwest::Error> {
    // The address may hold a secret.
    let answer = client.execute(request.try_into()?).await.map_err(reqwest::Error::without_url)?;
    let (head, mut body) = http::Response::<reqwest::Body>::from(answer).into_parts();
    let mut read = 0;
    while let Some(Ok(frame)) = http_body_util::BodyExt::frame(&mut body).await
        && read < MAX_ANSWER_BYTES
    {
        read += frame.data_ref().map_or(0, Bytes::len);
    }
    Ok(http::Response::from_parts(head, Bytes::new()))
}
