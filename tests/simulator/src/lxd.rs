//! The part of LXD that answers through a tunnel: enough of its REST API for lists, details and state changes.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::model::{ClusterModel, Instance, State};
use crate::tunnel::{TunnelAnswer, TunnelRequest};

/// Whom the simulated LXD lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trusts {
    /// Everybody, so that a fleet can be tried without an identity provider that LXD knows.
    #[default]
    Anybody,
    /// Who brings a bearer token or the session that LXD gave for one.
    Tokens,
}

/// The LXD of one simulated cluster.
#[derive(Debug)]
pub struct Lxd {
    model: ClusterModel,
    trusts: Trusts,
    /// What requests changed, by project and name.
    changed: HashMap<(String, String), State>,
    operations: usize,
    sessions: Vec<String>,
}

impl Lxd {
    /// The LXD of the cluster that `model` describes.
    #[must_use]
    pub fn new(model: ClusterModel, trusts: Trusts) -> Self {
        Self { model, trusts, changed: HashMap::new(), operations: 0, sessions: Vec::new() }
    }

    /// What it answers. A bearer token earns a session, as LXD does it for the member's user agent; while a session is sent,
    /// the token is not looked at.
    pub fn answer(&mut self, request: &TunnelRequest) -> TunnelAnswer {
        let session = request.header("Cookie").and_then(|text| text.strip_prefix("session="));
        let bearer =
            request.header("Authorization").is_some_and(|text| text.starts_with("Bearer "));
        let mut new_session = None;
        let trusted = match (self.trusts, session) {
            (Trusts::Anybody, _) => true,
            (Trusts::Tokens, Some(session)) => self.sessions.iter().any(|known| known == session),
            (Trusts::Tokens, None) => {
                if bearer {
                    let session = format!("lxd-session-{}", self.sessions.len());
                    self.sessions.push(session.clone());
                    new_session = Some(session);
                }
                bearer
            }
        };
        let (status, body) = self.resource(request, trusted);
        let answer = TunnelAnswer::json(request, status, &body);
        match new_session {
            Some(session) => answer.with_cookie("session", &session),
            None => answer,
        }
    }

    /// Ends all sessions that it gave.
    pub fn end_sessions(&mut self) {
        self.sessions.clear();
    }

    fn resource(&mut self, request: &TunnelRequest, trusted: bool) -> (u16, Value) {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let segments: Vec<&str> = path.split('/').skip(2).collect();
        let now = OffsetDateTime::now_utc();
        match (request.method.as_str(), segments.as_slice()) {
            ("GET", []) => success(&self.server(trusted)),
            _ if !trusted => failure(403, "not authorized"),
            ("GET", ["instances"]) => success(&self.instances(query, now)),
            ("GET", ["instances", name]) => match self.find(name, query, now) {
                Some((instance, host)) => success(&self.instance(&instance, &host)),
                None => failure(404, "Instance not found"),
            },
            ("GET", ["instances", name, "state"]) => match self.find(name, query, now) {
                Some((instance, _)) => success(&json!({"status": self.state(&instance).1})),
                None => failure(404, "Instance not found"),
            },
            ("PUT", ["instances", name, "state"]) => self.change(name, query, &request.body, now),
            ("GET", ["operations", id]) => success(&operation(id)),
            ("GET", ["cluster", "members"]) => success(&self.members(now)),
            _ => failure(404, "not found"),
        }
    }

    fn server(&self, trusted: bool) -> Value {
        json!({
            "api_status": "stable",
            "api_version": "1.0",
            "auth": if trusted { "trusted" } else { "untrusted" },
            "environment": {"server": "lxd", "server_name": self.model.first_host(), "server_clustered": true},
        })
    }

    fn members(&self, now: OffsetDateTime) -> Value {
        let member = |(name, status): (String, &str)| json!({"server_name": name, "status": status, "message": "", "roles": ["database"]});
        self.model.hosts(now).into_iter().map(member).collect()
    }

    fn instances(&self, query: &str, now: OffsetDateTime) -> Value {
        let all = parameter(query, "all-projects") == Some("true");
        let project = parameter(query, "project").unwrap_or("default");
        let listed = self.model.instances(now).into_iter();
        let listed = listed.filter(|(instance, _)| all || instance.project == project);
        if parameter(query, "recursion").is_some_and(|level| level != "0") {
            listed.map(|(instance, host)| self.instance(&instance, &host)).collect()
        } else {
            let address =
                |(instance, _): (Instance, _)| format!("/1.0/instances/{}", instance.name);
            listed.map(address).collect::<Vec<_>>().into()
        }
    }

    fn instance(&self, instance: &Instance, host: &str) -> Value {
        let (code, status) = self.state(instance);
        json!({
            "name": instance.name,
            "project": instance.project,
            "type": if instance.virtual_machine { "virtual-machine" } else { "container" },
            "status": status,
            "status_code": code,
            "location": host,
            "architecture": "x86_64",
            "created_at": "2026-01-15T08:00:00Z",
            "last_used_at": "2026-11-01T06:30:00Z",
            "stateful": false,
            "ephemeral": false,
            "profiles": ["default"],
            "config": {},
        })
    }

    fn state(&self, instance: &Instance) -> (u16, &'static str) {
        let key = (instance.project.to_owned(), instance.name.clone());
        match self.changed.get(&key).copied().unwrap_or(instance.state) {
            State::Running => (103, "Running"),
            State::Stopped => (102, "Stopped"),
            State::Frozen => (110, "Frozen"),
            State::Error => (112, "Error"),
        }
    }

    fn find(&self, name: &str, query: &str, now: OffsetDateTime) -> Option<(Instance, String)> {
        let project = parameter(query, "project").unwrap_or("default");
        let mut all = self.model.instances(now).into_iter();
        all.find(|(instance, _)| instance.name == name && instance.project == project)
    }

    fn change(
        &mut self,
        name: &str,
        query: &str,
        body: &[u8],
        now: OffsetDateTime,
    ) -> (u16, Value) {
        let Some((instance, _)) = self.find(name, query, now) else {
            return failure(404, "Instance not found");
        };
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let state = match body.get("action").and_then(Value::as_str) {
            Some("start" | "restart" | "unfreeze") => State::Running,
            Some("stop") => State::Stopped,
            Some("freeze") => State::Frozen,
            _ => return failure(400, "Unknown action"),
        };
        self.changed.insert((instance.project.to_owned(), instance.name), state);
        self.operations += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", self.operations);
        let answer = json!({
            "type": "async", "status": "Operation created", "status_code": 100, "error_code": 0, "error": "",
            "operation": format!("/1.0/operations/{id}"), "metadata": operation(&id),
        });
        (202, answer)
    }
}

/// Simulated operations are done as soon as they are asked about.
fn operation(id: &str) -> Value {
    json!({"id": id, "class": "task", "status": "Success", "status_code": 200, "err": ""})
}

fn success(metadata: &Value) -> (u16, Value) {
    let answer = json!({
        "type": "sync", "status": "Success", "status_code": 200, "operation": "", "error_code": 0, "error": "",
        "metadata": metadata,
    });
    (200, answer)
}

fn failure(status: u16, text: &str) -> (u16, Value) {
    let answer = json!({
        "type": "error", "status": "", "status_code": 0, "operation": "", "error_code": status, "error": text,
        "metadata": null,
    });
    (status, answer)
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

impl TunnelAnswer {
    /// An answer with a JSON body and the headers that LXD gives it.
    #[must_use]
    pub fn json(request: &TunnelRequest, status: u16, body: &Value) -> Self {
        let body = format!("{body}\n");
        Self {
            uuid: request.uuid.clone(),
            status: i64::from(status),
            headers: Some(HashMap::from([
                ("Content-Type".to_owned(), vec!["application/json".to_owned()]),
                ("Content-Length".to_owned(), vec![body.len().to_string()]),
            ])),
            cookies: None,
            body: Some(STANDARD.encode(body)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(
        lxd: &mut Lxd,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> (i64, Value, TunnelAnswer) {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()]))
            .collect();
        let request = TunnelRequest {
            uuid: "1".into(),
            method: method.into(),
            path: path.into(),
            headers: Some(headers),
            body: body.to_vec(),
        };
        let answer = lxd.answer(&request);
        let body = STANDARD.decode(answer.body.as_deref().unwrap()).unwrap();
        (answer.status, serde_json::from_slice(&body).unwrap(), answer)
    }

    #[test]
    fn instances_are_listed_and_change_their_state() {
        let model = (0..100)
            .map(|seed| ClusterModel::new(seed, "lyon"))
            .find(|model| model.members() > 2)
            .unwrap();
        let mut lxd = Lxd::new(model, Trusts::Anybody);
        let (status, list, _) =
            ask(&mut lxd, "GET", "/1.0/instances?recursion=1&all-projects=true", &[], b"");
        assert_eq!(status, 200);
        let first = list["metadata"][0].clone();
        let (name, project) = (first["name"].as_str().unwrap(), first["project"].as_str().unwrap());
        let path = format!("/1.0/instances/{name}/state?project={project}");
        let (status, answer, _) = ask(&mut lxd, "PUT", &path, &[], br#"{"action":"freeze"}"#);
        assert_eq!(status, 202);
        let (_, done, _) = ask(&mut lxd, "GET", answer["operation"].as_str().unwrap(), &[], b"");
        assert_eq!(done["metadata"]["status"], "Success");
        assert_eq!(ask(&mut lxd, "GET", &path, &[], b"").1["metadata"]["status"], "Frozen");
        assert_eq!(ask(&mut lxd, "PUT", &path, &[], b"{}").0, 400);
        assert_eq!(ask(&mut lxd, "GET", "/1.0/instances/none", &[], b"").0, 404);
        assert_eq!(ask(&mut lxd, "DELETE", "/1.0/profiles", &[], b"").0, 404);
    }

    #[test]
    fn a_bearer_token_earns_a_session_which_ends() {
        let mut lxd = Lxd::new(ClusterModel::new(1, "lyon"), Trusts::Tokens);
        let path = "/1.0/cluster/members";
        assert_eq!(ask(&mut lxd, "GET", path, &[], b"").0, 403);
        assert_eq!(ask(&mut lxd, "GET", "/1.0", &[], b"").1["metadata"]["auth"], "untrusted");
        let (status, _, answer) = ask(&mut lxd, "GET", path, &[("Authorization", "Bearer x")], b"");
        assert_eq!(status, 200);
        let cookie = &answer.cookies.unwrap()[0];
        assert_eq!(cookie["Name"], "session");
        let session = format!("session={}", cookie["Value"].as_str().unwrap());
        assert_eq!(ask(&mut lxd, "GET", path, &[("Cookie", &session)], b"").0, 200);
        lxd.end_sessions();
        let both = [("Cookie", session.as_str()), ("Authorization", "Bearer x")];
        assert_eq!(ask(&mut lxd, "GET", path, &both, b"").0, 403);
    }
}
