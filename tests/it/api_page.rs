//! `docs/api.md` shows requests and their answers. Each of them is sent to the real server here, in the order of the page, and what comes
//! back is compared with what is written there.
//!
//! An example is a block that begins with ```` ```console ````: a `curl` command behind `$ `, then the status, then the answer. In an answer
//! `…` stands for anything, `"…": "…"` for further keys, and `"…"` at the end of a list for further items. Times, ids and fingerprints
//! are compared by their form. `$AUTH` is the header with the access token, `$ETAG` the tag of the last answer that had one.

use std::time::Duration;

use cluster_simulator::{ClusterModel, Lxd, Member, STATUS_PATH, Trusts, TunnelManner};
use end_to_end_tests::{Deployment, MockProvider, Service};
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Method};
use serde_json::{Value, json};

fn page(name: &str) -> String {
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    std::fs::read_to_string(docs.join(name)).unwrap()
}

/// An example as it is written.
struct Example {
    line: usize,
    command: String,
    status: u16,
    answer: String,
}

fn examples() -> Vec<Example> {
    let page = page("api.md");
    let mut lines = page.lines().enumerate();
    let mut found = Vec::new();
    while let Some((number, line)) = lines.next() {
        if line != "```console" {
            continue;
        }
        let mut block: Vec<&str> =
            lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
        let status = block.iter().position(|line| line.starts_with("HTTP ")).unwrap_or_else(|| {
            panic!("line {}: the example has no line with the status of its answer", number + 1)
        });
        let answer = block.split_off(status + 1).join("\n");
        let status = block.pop().unwrap().trim_start_matches("HTTP ").parse().unwrap();
        let command = block.join("\n");
        let command = command.strip_prefix("$ ").unwrap().to_owned();
        found.push(Example { line: number + 2, command, status, answer });
    }
    found
}

/// The words of a command as a shell splits them: quotes, and line ends behind a backslash.
fn words(command: &str, variables: &[(&str, String)]) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut characters = command.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\'' | '"', None) => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (mark, Some(open)) if mark == open => quote = None,
            ('\\', None) => assert_eq!(characters.next(), Some('\n'), "only line ends are escaped"),
            (' ' | '\n', None) => words.extend(word.take()),
            ('$', Some('"')) => {
                let rest = characters.as_str();
                let known = variables.iter().find(|(name, _)| rest.starts_with(name));
                let (name, value) = known.unwrap_or_else(|| panic!("unknown variable: ${rest}"));
                word.get_or_insert_default().push_str(value);
                characters = rest[name.len()..].chars();
            }
            (other, _) => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

/// What a `curl` command asks for.
struct Asked {
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Option<String>,
    /// Only the head of the answer is shown.
    head: bool,
    /// The answer goes on.
    endless: bool,
}

impl Asked {
    fn parse(words: &[String]) -> Self {
        let mut asked = Self {
            method: Method::GET,
            url: String::new(),
            headers: HeaderMap::new(),
            body: None,
            head: false,
            endless: false,
        };
        let mut words = words.iter();
        assert_eq!(words.next().map(String::as_str), Some("curl"), "an example is a call of curl");
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap();
            match word.as_str() {
                "-X" => asked.method = value().parse().unwrap(),
                "-H" => {
                    let (name, value) = value().split_once(": ").unwrap();
                    let name: HeaderName = name.parse().unwrap();
                    asked.headers.insert(name, HeaderValue::from_str(value).unwrap());
                }
                "--json" => {
                    asked.body = Some(value().clone());
                    asked
                        .headers
                        .insert("content-type", HeaderValue::from_static("application/json"));
                    if asked.method == Method::GET {
                        asked.method = Method::POST;
                    }
                }
                "--compressed" => {
                    asked.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("br, gzip"));
                }
                "-i" => asked.head = true,
                "-N" => asked.endless = true,
                url => url.clone_into(&mut asked.url),
            }
        }
        asked
    }
}

/// Text in which `…` stands for anything.
fn is_like(shown: &str, real: &str) -> bool {
    let mut pieces = shown.split('…');
    let Some(mut rest) = real.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    true
}

/// The form of a value that differs from time to time; `None`: it does not.
fn form(text: &str) -> Option<&'static str> {
    let is_hex = |length| text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit());
    let time = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339);
    match text.len() {
        _ if time.is_ok() => Some("time"),
        64 if is_hex(64) => Some("fingerprint"),
        16 if is_hex(16) => Some("short id"),
        36 if uuid::Uuid::parse_str(text).is_ok() => Some("uuid"),
        _ => None,
    }
}

/// Keys of numbers that differ from time to time.
const MOVING: [&str; 7] =
    ["seen", "joined", "id", "next", "duration_ms", "heartbeat_interval_seconds", "minutes"];

/// What about an answer is not as shown; `None`: nothing.
fn difference(shown: &Value, real: &Value, at: &str) -> Option<String> {
    let differ = || Some(format!("{at}: {real} instead of {shown}"));
    match (shown, real) {
        (Value::String(shown), _) if shown == "…" => None,
        (Value::String(shown), Value::String(real)) => {
            let alike = is_like(shown, real) || form(shown).is_some() && form(shown) == form(real);
            if alike { None } else { differ() }
        }
        (Value::Number(_), Value::Number(_)) => {
            let key = at.rsplit('.').next().unwrap_or_default();
            if shown == real || MOVING.contains(&key) { None } else { differ() }
        }
        (Value::Array(shown), Value::Array(real)) => {
            let open = shown.last() == Some(&json!("…"));
            let count = shown.len() - usize::from(open);
            if real.len() < count || !open && real.len() > count {
                return Some(format!("{at}: {} items instead of {count}", real.len()));
            }
            let mut pairs = shown.iter().zip(real).take(count).enumerate();
            pairs.find_map(|(n, (shown, real))| difference(shown, real, &format!("{at}[{n}]")))
        }
        (Value::Object(shown), Value::Object(real)) => {
            for (key, shown) in shown.iter().filter(|(key, _)| *key != "…") {
                let Some(real) = real.get(key) else {
                    return Some(format!("{at}.{key} is missing"));
                };
                if let Some(difference) = difference(shown, real, &format!("{at}.{key}")) {
                    return Some(difference);
                }
            }
            let unshown = real.keys().find(|key| !shown.contains_key(*key));
            unshown
                .filter(|_| !shown.contains_key("…"))
                .map(|key| format!("{at}.{key} is not shown"))
        }
        _ if shown == real => None,
        _ => differ(),
    }
}

/// A deployment as the page describes it: one cluster that reports and has its tunnel open, and somebody who has logged in.
struct Stage {
    deployment: Deployment,
    client: Client,
    variables: Vec<(&'static str, String)>,
    _member: Member,
    _rest: (Box<MockProvider>, Vec<end_to_end_tests::Unit>, tokio::task::JoinHandle<String>),
}

impl Stage {
    async fn set() -> Self {
        let mut deployment = Deployment::new().await;
        deployment.extra =
            vec![("OIDC_AUDIENCE", "mcm-api".into()), ("OIDC_OPERATOR_GROUPS", "ops".into())];
        let provider = MockProvider::start(&mut deployment).await;
        let connector = deployment.start(Service::ClusterConnector).await;
        let manager = deployment.start(Service::ManagementApi).await;
        let member = deployment.enrol("lyon-edge").await;
        let body = super::example("heartbeat-3-members.json").to_string();
        let sent = member.request("POST", STATUS_PATH, body.into_bytes()).await.unwrap();
        assert_eq!(sent.status, 200);
        let tunnel = member.open_tunnel().await.unwrap();
        deployment.database.until_count("SELECT count(*) FROM tunnels", 1).await;
        let mut lxd = Lxd::new(ClusterModel::new(1, "lyon-edge"), Trusts::Anybody);
        let served =
            tokio::spawn(async move { tunnel.serve(&mut lxd, TunnelManner::Plausible).await });
        assert_eq!(provider.log_in(&mut deployment.operator()).await.status, 303);
        let token = provider.keys.sign(&provider.claims("mcm-api"));
        let auth = format!("Authorization: Bearer {token}");
        let variables = vec![("MANAGER", deployment.origin()), ("AUTH", auth)];
        let authority = std::fs::read(deployment.certificates.ca_file()).unwrap();
        let authority = Certificate::from_pem(&authority).unwrap();
        let client =
            Client::builder().no_proxy().http1_only().tls_certs_only([authority]).build().unwrap();
        let rest = (Box::new(provider), vec![connector, manager], served);
        Self { deployment, client, variables, _member: member, _rest: rest }
    }

    /// Sends what an example asks for. The answer is its status, and its text as `curl` prints it.
    async fn ask(&mut self, asked: Asked) -> (u16, String) {
        let mut request = self.client.request(asked.method, &asked.url).headers(asked.headers);
        if let Some(body) = asked.body {
            request = request.body(body);
        }
        let mut answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        if let Some(tag) = answer.headers().get("etag") {
            self.variables.retain(|(name, _)| *name != "ETAG");
            self.variables.push(("ETAG", tag.to_str().unwrap().to_owned()));
        }
        if asked.endless {
            let change = self.deployment.database.connect().await;
            let sql = "UPDATE remote_clusters SET description = 'Changed', updated_at = now()";
            change.batch_execute(sql).await.unwrap();
            let mut text = String::new();
            while !text.contains("event:") {
                let chunk = tokio::time::timeout(Duration::from_mins(1), answer.chunk()).await;
                let chunk = chunk.unwrap().unwrap().unwrap();
                text.push_str(std::str::from_utf8(&chunk).unwrap());
            }
            let event = text.split("\n\n").find(|block| block.contains("event:")).unwrap();
            return (status, event.to_owned());
        }
        if asked.head {
            let lines = answer
                .headers()
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
            return (status, lines.collect::<Vec<_>>().join("\n"));
        }
        (status, answer.text().await.unwrap())
    }
}

/// What is not as shown in the text of an answer.
fn compare(example: &Example, head: bool, real: &str) -> Option<String> {
    let shown = example.answer.trim();
    if head {
        // Of the headers those that matter are shown.
        let has = |line: &&str| !real.lines().any(|real| is_like(line, real));
        return shown.lines().find(has).map(|line| format!("{line} is missing in\n{real}"));
    }
    if let Ok(shown) = serde_json::from_str::<Value>(shown) {
        let Ok(real) = serde_json::from_str::<Value>(real) else {
            return Some(format!("this is no JSON: {real}"));
        };
        return difference(&shown, &real, "answer")
            .map(|difference| format!("{difference}\n{real:#}"));
    }
    let real: Vec<_> = real.trim().lines().collect();
    let shown: Vec<_> = shown.lines().collect();
    let open = shown.last() == Some(&"…");
    let count = shown.len() - usize::from(open);
    let alike = real.len() >= count
        && (open || real.len() == count)
        && shown.iter().zip(&real).take(count).all(|(shown, real)| is_like(shown, real));
    (!alike).then(|| format!("{}\ninstead of\n{}", real.join("\n"), shown.join("\n")))
}

#[tokio::test]
async fn every_example_of_the_page_about_the_api_is_answered_as_shown() {
    let mut stage = Stage::set().await;
    let (mut wrong, examples) = (Vec::new(), examples());
    for example in &examples {
        let words = words(&example.command, &stage.variables);
        let asked = Asked::parse(&words);
        let head = asked.head;
        let (status, text) = stage.ask(asked).await;
        let difference = compare(example, head, &text);
        if status != example.status || difference.is_some() {
            let difference = difference.unwrap_or(text);
            let Example { line, command, status: shown, .. } = example;
            wrong.push(format!(
                "line {line}: $ {command}\nHTTP {status}, shown is {shown}\n{difference}"
            ));
        }
    }
    assert!(wrong.is_empty(), "docs/api.md is out of date:\n\n{}", wrong.join("\n\n"));
}

#[test]
fn the_page_about_the_api_has_an_example_of_every_operation() {
    let variables = [("MANAGER", ""), ("AUTH", "a: b"), ("ETAG", "c")];
    let variables = variables.map(|(name, value)| (name, value.to_owned()));
    let shown: Vec<(Method, String)> = examples()
        .iter()
        .map(|example| Asked::parse(&words(&example.command, &variables)))
        .map(|asked| (asked.method, asked.url.split('?').next().unwrap().to_owned()))
        .collect();
    let description: Value = serde_json::from_str(&page("openapi.json")).unwrap();
    for (path, item) in description["paths"].as_object().unwrap() {
        let tunnel = path.contains("/tunnel/");
        for (method, operation) in item.as_object().unwrap() {
            let of_ours = operation["tags"].as_array().unwrap().contains(&json!("management"));
            let has_one = shown.iter().any(|(by, at)| {
                (tunnel || by.as_str().eq_ignore_ascii_case(method)) && is_at(path, at)
            });
            assert!(
                has_one || !of_ours || path == "/",
                "docs/api.md has no example for {method} {path}"
            );
        }
    }
}

/// Whether a path is one that the pattern means.
fn is_at(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) | (Some("{path}"), Some(_)) => return true,
            (Some(part), Some(given)) if part == given || part.starts_with('{') => {}
            _ => return false,
        }
    }
}

#[test]
fn an_example_that_is_out_of_date_is_noticed() {
    let shown = json!({
        "name": "lyon", "at": "2026-11-22T18:00:00Z", "seen": 1, "list": [1, "…"], "token": "eyJ…9", "any": "…",
    });
    let mut real = json!({
        "name": "lyon", "at": "2027-01-01T00:00:00.5Z", "seen": 2, "list": [1, 2, 3], "token": "eyJabc9", "any": {},
    });
    assert_eq!(difference(&shown, &real, "answer"), None);
    for (key, value) in [
        ("name", json!("oslo")),
        ("at", json!("yesterday")),
        ("seen", json!("2")),
        ("list", json!([2])),
        ("list", json!([])),
        ("token", json!("eyJabc")),
        ("more", json!(1)),
    ] {
        let good = real[key].take();
        real[key] = value;
        assert!(difference(&shown, &real, "answer").is_some(), "{key}");
        match good {
            Value::Null => drop(real.as_object_mut().unwrap().remove(key)),
            good => real[key] = good,
        }
    }
    real.as_object_mut().unwrap().remove("any");
    assert_eq!(difference(&shown, &real, "answer").unwrap(), "answer.any is missing");
}
