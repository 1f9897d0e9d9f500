//! A trace of each hook and each action, for the relation `charm-tracing`: OTLP over plain HTTP, as JSON.
//!
//! Invariants: it takes at most [`PATIENCE`] and never makes a hook or an action fail; it names the event, the steps and how
//! long they took, and nothing of what was read or written. The charm has no TLS, so that a receiver behind https gets nothing.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use ops::Model;
use ops::dispatch::Event;
use ops::log::Level;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::CHARM;
use crate::cos;
use crate::observe::{Inputs, Offer};

/// How long a dispatch waits for its trace to be sent.
const PATIENCE: Duration = Duration::from_secs(1);

/// Codes of a span's status. Source: the OTLP specification, `Status.StatusCode`.
const STATUS_UNSET: u8 = 0;
const STATUS_ERROR: u8 = 2;

/// The steps of a dispatch, as they take place.
pub(crate) struct Trace {
    began: Instant,
    steps: Vec<(&'static str, Duration, Duration)>,
    target: Option<Target>,
}

/// Where the trace goes and what it says about the charm.
struct Target {
    url: String,
    attributes: Vec<Value>,
}

impl Default for Trace {
    fn default() -> Self {
        Self { began: Instant::now(), steps: Vec::new(), target: None }
    }
}

impl Trace {
    /// Does a step and notes how long it took.
    pub(crate) fn step<T>(&mut self, name: &'static str, work: impl FnOnce() -> T) -> T {
        let begin = self.began.elapsed();
        let result = work();
        self.steps.push((name, begin, self.began.elapsed()));
        result
    }

    /// Takes note of where to send the trace.
    pub(crate) fn aim(&mut self, inputs: &Inputs) {
        let answer = inputs.charm_tracing.as_ref().and_then(Offer::good);
        self.target = answer.and_then(relations::tracing::TracingAnswer::traces_url).map(|url| {
            let unit = ("juju_unit", inputs.unit.as_str());
            let labels = cos::application_labels(inputs).into_iter().chain([unit]);
            let service = [("service.name", inputs.app.as_str()), ("service.namespace", CHARM)];
            let attributes = service.into_iter().chain(labels);
            Target { url, attributes: attributes.map(|(name, value)| text(name, value)).collect() }
        });
    }

    /// Sends the trace of a dispatch that began at `now`, if it is to go anywhere.
    pub(crate) fn send(self, model: &Model<'_>, now: OffsetDateTime, failed: bool) {
        let Some(target) = &self.target else { return };
        let Some((host, path)) = plain_http(&target.url) else {
            let why = "no trace is sent: the charm has no TLS, and the receiver of charm-tracing wants it";
            return model.log(Level::Debug, why);
        };
        let name = span_name(&model.dispatch().event);
        let Some(body) = self.body(&target.attributes, &name, now, failed) else { return };
        let (sender, sent) = channel();
        // Looking a name up cannot be given up; this thread can, and ends with the process.
        std::thread::spawn(move || sender.send(post(&host, &path, body.to_string().as_bytes())));
        let problem = match sent.recv_timeout(PATIENCE) {
            Ok(Ok(200..=299)) => return,
            Ok(Ok(status)) => format!("the answer is {status}"),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "there is no answer in time".to_owned(),
        };
        model.log(Level::Debug, format!("no trace was sent: {problem}"));
    }

    /// The message `ExportTraceServiceRequest`, in JSON. Source: the OTLP specification, "JSON Protobuf Encoding".
    fn body(
        &self,
        attributes: &[Value],
        name: &str,
        now: OffsetDateTime,
        failed: bool,
    ) -> Option<Value> {
        let trace = random::<16>()?;
        let root = random::<8>()?;
        let at = |since: Duration| (now + since).unix_timestamp_nanos().to_string();
        let span = |[id, parent]: [&str; 2], name: &str, begin: Duration, end: Duration, code| {
            json!({
                "traceId": trace, "spanId": id, "parentSpanId": parent, "name": name, "kind": 1,
                "startTimeUnixNano": at(begin), "endTimeUnixNano": at(end),
                "status": { "code": code },
            })
        };
        let end = self.began.elapsed();
        let code = if failed { STATUS_ERROR } else { STATUS_UNSET };
        let mut spans = vec![span([&root, ""], name, Duration::ZERO, end, code)];
        for (name, begin, end) in &self.steps {
            spans.push(span([&random::<8>()?, &root], name, *begin, *end, STATUS_UNSET));
        }
        Some(json!({ "resourceSpans": [{
            "resource": { "attributes": attributes },
            "scopeSpans": [{ "scope": { "name": CHARM }, "spans": spans }],
        }] }))
    }
}

fn text(name: &str, value: &str) -> Value {
    json!({ "key": name, "value": { "stringValue": value } })
}

/// Random bytes as hexadecimal digits.
fn random<const BYTES: usize>() -> Option<String> {
    let mut bytes = [0; BYTES];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(hex::encode(bytes))
}

/// `host:port` and the path of an address without TLS.
fn plain_http(url: &str) -> Option<(String, String)> {
    let rest = url.strip_prefix("http://")?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let host = if port { host.to_owned() } else { format!("{}:80", host.trim_end_matches(':')) };
    Some((host, if path.is_empty() { "/".to_owned() } else { path.to_owned() }))
}

/// Posts once and returns the status of the answer.
fn post(host: &str, path: &str, body: &[u8]) -> std::io::Result<u16> {
    let nowhere = || std::io::Error::other("the receiver's name leads nowhere");
    let address = host.to_socket_addrs()?.next().ok_or_else(nowhere)?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    let status = std::str::from_utf8(&answer).ok().and_then(|line| line.strip_prefix("HTTP/1."));
    let status = status.and_then(|line| line.get(2..5)?.parse().ok());
    status.ok_or_else(|| std::io::Error::other("the receiver does not speak HTTP"))
}

/// What was done, with the event as Juju writes it: `dispatch database-relation-changed`, `action enroll-cluster`.
fn span_name(event: &Event) -> String {
    match event {
        Event::Relation { id, kind, .. } => {
            format!("dispatch {}-relation-{}", id.endpoint(), first_word(&format!("{kind:?}")))
        }
        Event::Action { name, .. } => format!("action {name}"),
        event => format!("dispatch {}", first_word(&format!("{event:?}"))),
    }
}

/// `ConfigChanged(...)` as `config-changed`.
fn first_word(debug: &str) -> String {
    let mut name = String::new();
    for letter in debug.chars().take_while(char::is_ascii_alphabetic) {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_split_and_https_is_not_for_the_charm() {
        let split = |url| plain_http(url).map(|(host, path)| format!("{host} {path}"));
        for (url, wanted) in [
            (
                "http://tempo.cos.svc.cluster.local:4318/v1/traces",
                "tempo.cos.svc.cluster.local:4318 /v1/traces",
            ),
            ("http://tempo/v1/traces", "tempo:80 /v1/traces"),
            ("http://[2001:db8::1]:4318/x", "[2001:db8::1]:4318 /x"),
            ("http://[2001:db8::a]/x", "[2001:db8::a]:80 /x"),
        ] {
            assert_eq!(split(url).as_deref(), Some(wanted));
        }
        assert_eq!(split("https://tempo/v1/traces"), None);
    }

    #[test]
    fn events_have_the_names_that_juju_gives_them() {
        assert_eq!(span_name(&Event::ConfigChanged), "dispatch config-changed");
        assert_eq!(span_name(&Event::UpdateStatus), "dispatch update-status");
        let action = Event::Action { name: "get-status".to_owned(), id: "7".to_owned() };
        assert_eq!(span_name(&action), "action get-status");
    }
}
