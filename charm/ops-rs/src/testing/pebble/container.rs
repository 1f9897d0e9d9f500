//! What the container holds, and what Pebble's requests do to it.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};

use super::FakeExec;

/// An answer: HTTP status, content type, body.
pub(super) type Answer = (u16, String, Vec<u8>);

#[derive(Default)]
pub(super) struct Container {
    pub(super) down: bool,
    pub(super) plan: Value,
    labels: Vec<String>,
    /// Services that run, with the definition that they were started with.
    pub(super) running: BTreeMap<String, Value>,
    pub(super) starts: BTreeMap<String, usize>,
    pub(super) checks: BTreeMap<String, &'static str>,
    pub(super) files: BTreeMap<String, (Vec<u8>, String)>,
    pub(super) exec: Option<FakeExec>,
    pub(super) commands: Vec<Vec<String>>,
    /// Output of commands by task: exit code, standard output, standard error.
    pub(super) tasks: Vec<(i64, String, String)>,
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Container").field("plan", &self.plan).finish_non_exhaustive()
    }
}

fn sync(result: &Value) -> Answer {
    let body = json!({"type": "sync", "status-code": 200, "status": "OK", "result": result});
    (200, "application/json".to_owned(), body.to_string().into_bytes())
}

fn started(change: &str, result: &Value) -> Answer {
    let body = json!({"type": "async", "status-code": 202, "change": change, "result": result});
    (202, "application/json".to_owned(), body.to_string().into_bytes())
}

fn error(status: u16, kind: &str, message: &str) -> Answer {
    let result = json!({"kind": kind, "message": message});
    let body = json!({"type": "error", "status-code": status, "result": result});
    (status, "application/json".to_owned(), body.to_string().into_bytes())
}

impl Container {
    pub(super) fn restart(&mut self) {
        self.plan = Value::Null;
        self.labels.clear();
        self.running.clear();
        self.checks.clear();
        self.files.clear();
    }

    pub(super) fn answer(&mut self, method: &str, path: &str, kind: &str, body: &[u8]) -> Answer {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let input = || serde_json::from_slice::<Value>(body).unwrap_or_default();
        match (method, path) {
            ("GET", "/v1/system-info") => sync(&json!({"version": "v1.32.1", "boot-id": "1"})),
            ("GET", "/v1/services") => sync(&self.services()),
            ("POST", "/v1/services") => self.act(&input()),
            ("GET", "/v1/checks") => sync(&self.check_list()),
            ("GET", "/v1/plan") => {
                let plan = if self.plan.is_null() { json!({}) } else { self.plan.clone() };
                sync(&Value::String(format!("{plan}\n")))
            }
            ("POST", "/v1/layers") => self.add_layer(&input()),
            ("GET", "/v1/files") => self.read_file(query),
            ("POST", "/v1/files") if kind.starts_with("multipart/") => self.write_files(body),
            ("POST", "/v1/files") => self.change_files(&input()),
            ("POST", "/v1/exec") => self.run(&input()),
            ("POST", "/v1/notices") => sync(&json!({"id": "1"})),
            ("GET", path) if path.starts_with("/v1/changes/") => self.change(path),
            _ => error(404, "", "invalid API endpoint requested"),
        }
    }

    fn section(&self, name: &str) -> Map<String, Value> {
        self.plan.get(name).and_then(Value::as_object).cloned().unwrap_or_default()
    }

    fn services(&self) -> Value {
        let describe = |(name, service): (&String, &Value)| {
            let current = if self.running.contains_key(name) { "active" } else { "inactive" };
            json!({"name": name, "startup": service["startup"], "current": current})
        };
        self.section("services").iter().map(describe).collect()
    }

    fn check_list(&self) -> Value {
        let describe = |name: &String| {
            let status = self.checks.get(name).copied().unwrap_or("up");
            json!({"name": name, "status": status, "failures": 0, "threshold": 3})
        };
        self.section("checks").keys().map(describe).collect()
    }

    fn act(&mut self, input: &Value) -> Answer {
        let texts = |list: &Value| -> Vec<String> {
            let names = list.as_array().into_iter().flatten().filter_map(Value::as_str);
            names.map(str::to_owned).collect()
        };
        let names = texts(&input["services"]);
        let services = self.section("services");
        if let Some(unknown) = names.iter().find(|name| !services.contains_key(*name)) {
            return error(400, "", &format!("service \"{unknown}\" does not exist"));
        }
        match input["action"].as_str() {
            Some("stop") => self.running.retain(|name, _| !names.contains(name)),
            Some("restart") => {
                self.running.retain(|name, _| !names.contains(name));
                self.start(names);
            }
            Some("replan") => {
                self.running.retain(|name, was| services.get(name) == Some(&*was));
                let enabled = services.iter().filter(|(_, s)| s["startup"] == "enabled");
                self.start(enabled.map(|(name, _)| name.clone()).collect());
            }
            _ => return error(400, "", "unknown action"),
        }
        started("1", &Value::Null)
    }

    fn start(&mut self, names: Vec<String>) {
        let services = self.section("services");
        for name in names {
            if !self.running.contains_key(&name) {
                *self.starts.entry(name.clone()).or_default() += 1;
                let definition = services.get(&name).cloned().unwrap_or_default();
                self.running.insert(name, definition);
            }
        }
    }

    fn add_layer(&mut self, input: &Value) -> Answer {
        let label = input["label"].as_str().unwrap_or_default().to_owned();
        let text = input["layer"].as_str().unwrap_or_default();
        let Ok(layer) = serde_json::from_str::<Value>(text) else {
            return error(400, "", "cannot parse layer");
        };
        if self.labels.contains(&label) && input["combine"] != true {
            return error(400, "", &format!("layer \"{label}\" already exists"));
        }
        let mut plan = self.plan.as_object().cloned().unwrap_or_default();
        for section in ["services", "checks", "log-targets"] {
            for (name, entry) in layer.get(section).and_then(Value::as_object).into_iter().flatten()
            {
                if entry["override"] != "replace" {
                    return error(
                        400,
                        "",
                        &format!("layer \"{label}\" must define \"override\" for \"{name}\""),
                    );
                }
                plan.entry(section).or_insert_with(|| json!({}))[name.as_str()] = entry.clone();
            }
        }
        self.plan = Value::Object(plan);
        self.labels.push(label);
        sync(&Value::Bool(true))
    }

    fn read_file(&self, query: &str) -> Answer {
        let path = query.split('&').find_map(|pair| pair.strip_prefix("path=")).unwrap_or_default();
        let boundary = "01234567890123456789012345678901";
        let mut body = Vec::new();
        let mut part = |head: &str, content: &[u8]| {
            let head = format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        };
        let result = if let Some((content, _)) = self.files.get(path) {
            part(&format!("name=\"files\"; filename=\"{path}\""), content);
            json!([{"path": path}])
        } else {
            let message = format!("stat {path}: no such file or directory");
            json!([{"path": path, "error": {"message": message, "kind": "not-found"}}])
        };
        let response = json!({"type": "sync", "status-code": 200, "result": result});
        part("name=\"response\"", response.to_string().as_bytes());
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        (200, format!("multipart/form-data; boundary={boundary}"), body)
    }

    fn write_files(&mut self, body: &[u8]) -> Answer {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let Some(end) = body.windows(2).position(|window| window == b"\r\n") else {
            return error(400, "", "no boundary");
        };
        let boundary = format!("\r\n{}", text(body.get(..end).unwrap_or_default()));
        let mut whole = b"\r\n".to_vec();
        whole.extend_from_slice(body);
        let mut request = Value::Null;
        let mut rest = whole.as_slice();
        let find = |all: &[u8], what: &[u8]| all.windows(what.len()).position(|w| w == what);
        let mut results = Vec::new();
        while let Some(at) = find(rest, boundary.as_bytes()) {
            let after = rest.get(at + boundary.len()..).unwrap_or_default();
            let length = find(after, boundary.as_bytes()).unwrap_or(0);
            let part = after.get(..length).unwrap_or_default();
            if let Some(blank) = find(part, b"\r\n\r\n") {
                let head = text(part.get(..blank).unwrap_or_default());
                let content = part.get(blank + 4..).unwrap_or_default();
                if head.contains("name=\"request\"") {
                    request = serde_json::from_slice(content).unwrap_or_default();
                } else if let Some((_, name)) = head.split_once("filename=\"") {
                    let path = name.split('"').next().unwrap_or_default().to_owned();
                    let listed =
                        request.get("files").and_then(Value::as_array).into_iter().flatten();
                    let mut mode = listed.filter(|file| file["path"] == path.as_str());
                    let mode = mode.next().and_then(|file| file["permissions"].as_str());
                    let mode = mode.unwrap_or("644").to_owned();
                    self.files.insert(path.clone(), (content.to_vec(), mode));
                    results.push(json!({"path": path}));
                }
            }
            rest = after;
        }
        sync(&Value::Array(results))
    }

    fn change_files(&mut self, input: &Value) -> Answer {
        let list = if input["action"] == "remove" { &input["paths"] } else { &input["dirs"] };
        let mut results = Vec::new();
        for path in list.as_array().into_iter().flatten().filter_map(|e| e["path"].as_str()) {
            let missing = input["action"] == "remove" && self.files.remove(path).is_none();
            results.push(if missing {
                json!({"path": path, "error": {"kind": "not-found", "message": "missing"}})
            } else {
                json!({"path": path})
            });
        }
        sync(&Value::Array(results))
    }

    fn run(&mut self, input: &Value) -> Answer {
        let words = input["command"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let command: Vec<String> = words.map(str::to_owned).collect();
        let context = input["service-context"].as_str().unwrap_or_default();
        if !context.is_empty() && !self.section("services").contains_key(context) {
            return error(400, "", &format!("context service \"{context}\" not found"));
        }
        let output = match &mut self.exec {
            Some(exec) => exec(&command),
            None => return error(400, "", "cannot find executable"),
        };
        self.commands.push(command);
        self.tasks.push(output);
        let task = (self.tasks.len() - 1).to_string();
        started(&format!("exec-{task}"), &json!({"task-id": task}))
    }

    fn change(&self, path: &str) -> Answer {
        let id = path.trim_start_matches("/v1/changes/").trim_end_matches("/wait");
        let task = id.strip_prefix("exec-").and_then(|task| task.parse::<usize>().ok());
        let code = task.and_then(|task| self.tasks.get(task)).map(|task| task.0);
        let tasks: Value =
            code.into_iter().map(|code| json!({"data": {"exit-code": code}})).collect();
        sync(&json!({"id": id, "ready": true, "status": "Done", "tasks": tasks}))
    }
}
