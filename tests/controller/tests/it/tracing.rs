//! Traces: of each dispatch, and the settings for those of the services.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use controller::{Remote, Runner};
use ops::Event;
use serde_json::json;

use super::*;

/// A collector of OTLP over HTTP in JSON, and what arrives there.
fn collector() -> (String, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, arrived) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = sender.send(read(&stream));
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        }
    });
    (url, arrived)
}

fn read(stream: &TcpStream) -> (String, Value) {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(bytes) = line.strip_prefix("Content-Length: ") {
            length = bytes.trim().parse().unwrap();
        }
        head += &line;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (head, serde_json::from_slice(&body).unwrap())
}

fn tempo(url: &str) -> Remote {
    let receivers = json!([
        {"protocol": {"name": "otlp_grpc", "type": "grpc"}, "url": "tempo:4317"},
        {"protocol": {"name": "otlp_http", "type": "http"}, "url": url},
    ]);
    Remote::app_saying("tempo", &[("receivers", &receivers.to_string())])
}

fn attributes(of: &Value) -> Vec<(&str, &str)> {
    let all = of["attributes"].as_array().unwrap().iter();
    all.map(|a| (a["key"].as_str().unwrap(), a["value"]["stringValue"].as_str().unwrap())).collect()
}

fn spans(message: &Value) -> Vec<Value> {
    message["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone()
}

/// Names of spans, each with the code of its status: 2 is a failure.
fn names_with_status(spans: &[Value]) -> Vec<(&str, u64)> {
    let of = |span: &'_ Value| span["status"]["code"].as_u64().unwrap();
    spans.iter().map(|span| (span["name"].as_str().unwrap(), of(span))).collect()
}

fn steps_are_within_their_root(spans: &[Value]) {
    let number = |of: &Value, name: &str| of[name].as_str().unwrap().parse::<u64>().unwrap();
    let root = &spans[0];
    assert_eq!(root["traceId"].as_str().unwrap().len(), 32);
    assert_eq!(root["spanId"].as_str().unwrap().len(), 16);
    for step in &spans[1..] {
        assert_eq!((&step["traceId"], &step["parentSpanId"]), (&root["traceId"], &root["spanId"]));
        let (begin, end) = (number(step, "startTimeUnixNano"), number(step, "endTimeUnixNano"));
        assert!(number(root, "startTimeUnixNano") <= begin && begin <= end);
        assert!(end <= number(root, "endTimeUnixNano"));
    }
}

#[test]
fn each_dispatch_is_a_trace_of_its_steps_and_holds_no_secret() {
    let (url, arrived) = collector();
    let mut juju = deployed(Runner::process(TOOL));
    juju.integrate("charm-tracing", tempo(&url));
    while arrived.try_recv().is_ok() {}
    juju.dispatch(0, Event::UpdateStatus);
    let (head, message) = arrived.recv_timeout(Duration::from_mins(1)).unwrap();
    assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("Content-Type: application/json\r\n"), "{head}");
    let of_process = &message["resourceSpans"][0];
    let attributes = attributes(&of_process["resource"]);
    for expected in [
        ("service.name", "microcloud-cluster-manager-k8s"),
        ("juju_application", "microcloud-cluster-manager-k8s"),
        ("juju_charm", "microcloud-cluster-manager-k8s"),
        ("juju_unit", "microcloud-cluster-manager-k8s/0"),
    ] {
        assert!(attributes.contains(&expected), "{attributes:?}");
    }
    let spans = spans(&message);
    let names = names_with_status(&spans);
    assert_eq!(
        names,
        [
            ("dispatch update-status", 0),
            ("observe", 0),
            ("custody", 0),
            ("decide", 0),
            ("apply", 0)
        ]
    );
    steps_are_within_their_root(&spans);
    assert!(!message.to_string().contains("canary"), "{message}");
}

#[test]
fn each_action_is_a_trace_of_its_steps_also_one_that_fails_and_holds_no_token() {
    let (url, arrived) = collector();
    let mut juju = deployed(Runner::process(TOOL));
    juju.integrate("charm-tracing", tempo(&url));
    juju.container(0).on_exec(Box::new(|_| (0, "dG9rZW4=\n".to_owned(), String::new())));
    let mut traced = |action: &str, params: &[(&str, Value)], wanted: &[(&str, u64)]| {
        while arrived.try_recv().is_ok() {}
        let outcome = juju.run_action(0, action, params);
        let (_, message) = arrived.recv_timeout(Duration::from_mins(1)).unwrap();
        let spans = spans(&message);
        assert_eq!(names_with_status(&spans), wanted, "{action}");
        steps_are_within_their_root(&spans);
        for secret in ["canary", "dG9rZW4=", "quito-edge", "a name"] {
            assert!(!message.to_string().contains(secret), "{action}: {message}");
        }
        outcome
    };
    let cluster = |name: &str| [("cluster", json!(name))];
    let enrolled = [("action enroll-cluster", 0), ("observe", 0), ("command", 0)];
    let outcome = traced("enroll-cluster", &cluster("quito-edge"), &enrolled);
    assert_eq!(outcome.results["token"], "dG9rZW4=");
    let refused = [("action enroll-cluster", 2), ("observe", 0), ("command", 0)];
    assert!(traced("enroll-cluster", &cluster("a name"), &refused).failure.is_some());
    traced("get-status", &[], &[("action get-status", 0), ("observe", 0)]);
    let settled = [("observe", 0), ("custody", 0), ("decide", 0), ("apply", 0)];
    let rotated = [[("action rotate-certificate-key", 0)].as_slice(), &settled].concat();
    assert_eq!(traced("rotate-certificate-key", &[], &rotated).failure, None);
}

#[test]
fn a_receiver_that_is_away_silent_or_behind_tls_fails_no_hook() {
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for url in [
        format!("http://{}", silent.local_addr().unwrap()),
        format!("http://{gone}"),
        format!("https://{gone}"),
        "http://no-such-host.invalid:4318".to_owned(),
        "no address".to_owned(),
    ] {
        let mut juju = deployed(Runner::process(TOOL));
        juju.integrate("charm-tracing", tempo(&url));
        assert_eq!(juju.status(0), "active: ", "{url}");
        let began = Instant::now();
        juju.dispatch(0, Event::UpdateStatus);
        println!("{url}: {:?}", began.elapsed());
        assert_eq!(juju.status(0), "active: ", "{url}");
    }
}

#[test]
fn the_services_are_told_where_traces_go_and_stop_when_the_relation_does() {
    let mut juju = deployed(Runner::process(TOOL));
    juju.integrate("workload-tracing", tempo("http://tempo.cos:4318"));
    let plan = juju.container(0).plan();
    for (service, share) in [("cluster-connector", "0.01"), ("management-api", "0.1")] {
        assert_eq!(environment(&plan, service, "TRACING_URL"), "http://tempo.cos:4318/v1/traces");
        assert_eq!(environment(&plan, service, "TRACING_SAMPLE_RATIO"), share);
        let labels = environment(&plan, service, "TRACING_LABELS");
        assert!(labels.ends_with("juju_unit=microcloud-cluster-manager-k8s/0"), "{labels}");
    }
    juju.remove_relation("workload-tracing");
    let plan = juju.container(0).plan();
    assert_eq!(environment(&plan, "management-api", "TRACING_URL"), "");
}
