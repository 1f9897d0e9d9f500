//! Traces, as a collector of OTLP over HTTP gets them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cluster_simulator::{ClusterModel, Lxd, Request, STATUS_PATH, Trusts, TunnelManner};
use end_to_end_tests::{Deployment, Service, TunnelDeployment};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A collector, and everything that has arrived there.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

impl Collector {
    async fn start() -> (Self, String) {
        let this = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let arrived = this.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let message = read(stream).await;
                arrived.0.lock().unwrap().push(message);
            }
        });
        (this, url)
    }

    fn messages(&self) -> Vec<ExportTraceServiceRequest> {
        self.0.lock().unwrap().clone()
    }

    fn spans(&self) -> Vec<Span> {
        self.spans_of(|_| true)
    }

    /// The spans of services with such a name.
    fn spans_of(&self, wanted: impl Fn(&str) -> bool) -> Vec<Span> {
        let messages = self.messages();
        let of_process = messages.into_iter().flat_map(|message| message.resource_spans);
        let of_process = of_process.filter(|of_process| {
            let resource = attributes(&of_process.resource.as_ref().unwrap().attributes);
            wanted(&resource["service.name"])
        });
        let scopes = of_process.flat_map(|of_process| of_process.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// The spans of requests of a route, once there are so many.
    async fn requests(&self, route: &str, count: usize) -> Vec<Span> {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let of_route = |span: &Span| {
                attributes(&span.attributes).get("http.route").is_some_and(|is| is == route)
            };
            let found: Vec<_> = self.spans().into_iter().filter(of_route).collect();
            if found.len() >= count {
                return found;
            }
            assert!(Instant::now() < deadline, "{route}: {:?}", self.spans());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn read(stream: TcpStream) -> ExportTraceServiceRequest {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let mut line = String::new();
        reader.read_line(&mut line).await.unwrap();
        let line = line.to_ascii_lowercase();
        if let Some(bytes) = line.strip_prefix("content-length: ") {
            length = bytes.trim().parse().unwrap();
        }
        head += &line;
    }
    assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
    assert!(head.contains("content-type: application/x-protobuf\r\n"), "{head}");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await.unwrap();
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    reader.into_inner().write_all(answer).await.unwrap();
    ExportTraceServiceRequest::decode(body.as_slice()).unwrap()
}

fn attributes(all: &[KeyValue]) -> HashMap<String, String> {
    let text = |value: &KeyValue| match value.value.as_ref().and_then(|value| value.value.clone()) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    all.iter().map(|attribute| (attribute.key.clone(), text(attribute))).collect()
}

#[tokio::test]
async fn join_15_requests_and_statements_are_traced_without_secrets_and_no_client_goes_on_with_a_trace()
 {
    let (collector, url) = Collector::start().await;
    let mut deployment = Deployment::new().await;
    deployment.extra = vec![
        ("TRACING_URL", url),
        ("TRACING_SAMPLE_RATIO", "1".into()),
        ("TRACING_LABELS", "juju_model=prod,juju_unit=manager/0".into()),
    ];
    let _connector = deployment.start(Service::ClusterConnector).await;
    let token = deployment.token("lyon");
    let member = deployment.member(&token);
    member.join(&token).await.unwrap();
    let mut heartbeat = Request::of_member("POST", STATUS_PATH, b"{}".to_vec());
    let foreign = "0af7651916cd43dd8448eb211c80319c";
    let header = format!("00-{foreign}-b7ad6b7169203331-01");
    heartbeat.headers.push(("Traceparent".into(), header));
    let answer = member.raw_request(&heartbeat, Some(member.identity())).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);

    let join = collector.requests("/1.0/remote-cluster", 1).await.remove(0);
    let of_join = attributes(&join.attributes);
    assert_eq!((join.name.as_str(), of_join["http.request.method"].as_str()), ("request", "POST"));
    assert_eq!(of_join["http.response.status_code"], "200");
    let heartbeat = collector.requests(STATUS_PATH, 1).await.remove(0);
    let all = collector.spans();
    let statements: Vec<_> = all
        .iter()
        .filter(|span| span.trace_id == join.trace_id && span.name.starts_with("store."))
        .collect();
    assert!(!statements.is_empty(), "{all:?}");
    assert!(statements.iter().all(|span| !span.parent_span_id.is_empty()));

    assert_ne!(hex::encode(&heartbeat.trace_id), foreign);
    assert!(heartbeat.parent_span_id.is_empty(), "{heartbeat:?}");
    assert!(all.iter().all(|span| hex::encode(&span.trace_id) != foreign));
    assert!(all.iter().all(|span| span.events.is_empty()), "a log line is in a trace: {all:?}");

    let messages = collector.messages();
    let resource = messages[0].resource_spans[0].resource.as_ref().unwrap();
    let resource = attributes(&resource.attributes);
    assert_eq!(resource["service.name"], "cluster-connector");
    assert_eq!(
        (resource["juju_model"].as_str(), resource["juju_unit"].as_str()),
        ("prod", "manager/0")
    );
    let told = format!("{messages:?}");
    assert!(!told.contains(token.body().secret.as_str()), "{told}");
}

#[tokio::test]
async fn a_share_of_nothing_traces_nothing_and_a_receiver_that_is_away_stops_nothing() {
    let (collector, url) = Collector::start().await;
    let mut deployment = Deployment::new().await;
    deployment.extra = vec![("TRACING_URL", url), ("TRACING_SAMPLE_RATIO", "0".into())];
    let mut connector = deployment.start(Service::ClusterConnector).await;
    deployment.enrol("lyon").await;
    connector.process.signal("INT");
    assert_eq!(connector.process.wait().await.code(), Some(0));
    assert!(collector.spans().is_empty(), "{:?}", collector.spans());

    deployment.extra = vec![
        ("TRACING_URL", "http://127.0.0.1:1/v1/traces".into()),
        ("TRACING_SAMPLE_RATIO", "1".into()),
    ];
    let mut connector = deployment.start(Service::ClusterConnector).await;
    deployment.enrol("rome").await;
    connector.process.signal("INT");
    assert_eq!(connector.process.wait().await.code(), Some(0));
    let log = connector.process.log();
    assert_eq!(log.matches("the receiver of traces does not take them").count(), 1, "{log}");
}

#[tokio::test]
async fn a_request_through_a_tunnel_is_one_trace_of_both_services() {
    let (collector, url) = Collector::start().await;
    let settings = [("TRACING_URL", url.as_str()), ("TRACING_SAMPLE_RATIO", "1")];
    let mut at = TunnelDeployment::start(&settings).await;
    let lxd = Lxd::new(ClusterModel::new(1, "lyon"), Trusts::Anybody);
    let served = at.serve("lyon", lxd, TunnelManner::Plausible).await;
    assert_eq!(at.admin.get("/1.0/remote-cluster/lyon/tunnel/1.0").await.status, 200);
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let asked = collector.spans_of(|service| service == "management-api");
        let passed_on = collector.spans_of(|service| service == "cluster-connector");
        let passed_on = passed_on.iter().find(|span| span.name == "tunnel.request");
        // The spans of the Management API may come later.
        if let Some(span) = passed_on
            && let Some(parent) = asked.iter().find(|other| other.span_id == span.parent_span_id)
        {
            assert_eq!(parent.trace_id, span.trace_id);
            break;
        }
        assert!(Instant::now() < deadline, "{:?}", collector.spans());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    served.abort();
}
