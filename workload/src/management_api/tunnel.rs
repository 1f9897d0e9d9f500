//! `/1.0/remote-cluster/{name}/tunnel/{path…}`: requests to the LXD of a cluster, through its tunnel.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::BodyExt;
use salvo::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName,
    HeaderValue,
};
use salvo::http::{ResBody, StatusCode};
use salvo::hyper::body::Frame;
use salvo::{Depot, Request, Response, handler};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::caller::{Caller, caller};
use super::{App, app};
use crate::domain::tunnels;
use crate::domain::{self, access_tokens, audit};
use crate::edge::{ApiError, Reply, cluster_name, read_body};
use crate::model::{AuditEntry, Event, Origin, Outcome, SessionId};
use crate::tunnel::hop::OnBehalfOf;
use crate::tunnel::{self, Answer, RequestError, TunnelPath};

/// Longest body of a request in bytes, and the time that it may take.
/// Says that the answer is the cluster's and not ours: a 401 of the cluster does not mean that the session here ended.
const ANSWERED_BY: HeaderName = HeaderName::from_static("x-answered-by");

/// Passes a request on to the cluster's LXD. Path and query go as they came, the body as it is, and of the headers none. The
/// answer is data: it cannot run, frame, redirect or set anything in the operator's browser.
#[handler]
pub(super) async fn pass_on(req: &mut Request, depot: &mut Depot, res: &mut Response) -> Reply<()> {
    let caller = caller(depot)?;
    let mut record = Record::new(req, app(depot)?, &caller);
    let result = answer(req, depot, res, &caller, &mut record).await;
    match result {
        Ok(answer) => {
            write(answer, record, res);
            Ok(())
        }
        Err(error) => {
            record.status = error.status().as_u16();
            Err(error)
        }
    }
}

async fn answer(
    req: &mut Request,
    depot: &Depot,
    res: &Response,
    caller: &Caller,
    record: &mut Record,
) -> Result<Answer<reqwest::Body>, ApiError> {
    let app = app(depot)?;
    let name = cluster_name(req)?;
    let path = TunnelPath::parse(lxd_path(req.uri().path()), req.uri().query())
        .map_err(|error| ApiError::BadRequest(error.to_string()))?;
    path.path().clone_into(&mut record.path);
    let body = read_body(req, app.config.limits.tunnel.body_bytes).await?;
    let body = Bytes::from_owner(body);
    record.bytes_sent = body.len();
    let target = tunnels::target(&app.pool, &app.tunnels.addresses, &name).await?;
    let cluster_id = target.cluster_id;
    let Some(unit) = target.unit else {
        app.tunnels.sessions.forget_cluster(cluster_id);
        return Err(RequestError::NoTunnel.into());
    };
    let by = OnBehalfOf {
        operator: record.user.clone(),
        request_id: res
            .headers()
            .get("x-request-id")
            .and_then(|id| id.to_str().ok())
            .unwrap_or_default()
            .into(),
    };
    let visitor = Visitor { app: &app, id: caller.session.as_ref(), cluster_id };
    let send = async |session, access_token| {
        let request = tunnel::Request {
            method: req.method().clone(),
            path: path.clone(),
            access_token,
            session,
            body: body.clone(),
        };
        app.tunnels.hop.send(unit, cluster_id, request, &by).await
    };
    let session = visitor.session();
    // LXD does not look at the token while it gets a session: the token goes out only where it is needed.
    let mut token = if session.is_none() { visitor.access_token().await? } else { None };
    let had_session = session.is_some();
    let mut answer = send(session, token.clone()).await?;
    // What LXD refused it did not begin to do, so the request may be repeated.
    if had_session && matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        visitor.forget_session();
        token = visitor.access_token().await?;
        if token.is_some() {
            answer = send(None, token.clone()).await?;
        }
    }
    if let Some(used) = token
        && answer.status == StatusCode::UNAUTHORIZED
        && let Some(newer) = visitor.newer_access_token(&used).await?
    {
        answer = send(None, Some(newer)).await?;
    }
    if let Some(session) = answer.session.take() {
        visitor.keep_session(session);
    }
    Ok(answer)
}

/// The operator at the cluster: what LXD knows them by.
struct Visitor<'a> {
    app: &'a App,
    /// The session by which the request was let in. Nothing is remembered for who came with an access token, whatever cookie is
    /// beside it.
    id: Option<&'a Arc<SessionId>>,
    cluster_id: i64,
}

impl Visitor<'_> {
    fn session(&self) -> Option<SecretString> {
        self.app.tunnels.sessions.find(self.id?.hash(), self.cluster_id)
    }

    fn keep_session(&self, session: SecretString) {
        if let Some(id) = self.id {
            self.app.tunnels.sessions.keep(id.hash(), self.cluster_id, session);
        }
    }

    fn forget_session(&self) {
        if let Some(id) = self.id {
            self.app.tunnels.sessions.forget(id.hash(), self.cluster_id);
        }
    }

    /// The access token, where it may be forwarded.
    async fn access_token(&self) -> Result<Option<SecretString>, domain::Error> {
        match self.id {
            Some(id) if self.app.config.tunnel.forward_access_token => {
                access_tokens::find(&self.app.pool, &self.app.master_key, id).await
            }
            _ => Ok(None),
        }
    }

    /// Another access token than the one that was `used` and refused, if the identity provider gives one.
    async fn newer_access_token(
        &self,
        used: &SecretString,
    ) -> Result<Option<SecretString>, ApiError> {
        let Some(id) = self.id else { return Ok(None) };
        self.app.sessions.renew(id).await?;
        let token = self.access_token().await?;
        Ok(token.filter(|token| token.expose_secret() != used.expose_secret()))
    }
}

/// What follows `/1.0/remote-cluster/{name}/tunnel`, still encoded.
fn lxd_path(path: &str) -> &str {
    let begin = path.match_indices('/').nth(4).map(|(at, _)| at);
    begin.and_then(|at| path.get(at..)).unwrap_or_default()
}

/// Writes a cluster's answer as data that a browser neither shows nor runs.
fn write(answer: Answer<reqwest::Body>, mut record: Record, res: &mut Response) {
    record.status = answer.status.as_u16();
    res.status_code(answer.status);
    let headers = res.headers_mut();
    if is_json(answer.content_type.as_ref()) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    } else {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    }
    if let Some(etag) = answer.etag {
        headers.insert(ETAG, etag);
    }
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox");
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ANSWERED_BY, HeaderValue::from_static("cluster"));
    let body = answer.body.map_frame(move |frame| {
        record.received(&frame);
        frame
    });
    res.replace_body(ResBody::Boxed(Box::pin(body.map_err(Into::into))));
}

fn is_json(content_type: Option<&HeaderValue>) -> bool {
    let text = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// The trace that a request leaves, in the log and in the audit log, when its answer has gone out, or will not any more.
struct Record {
    app: Arc<App>,
    origin: Origin,
    begin: Instant,
    user: String,
    cluster: String,
    method: String,
    path: String,
    /// 499: the operator went away before the answer.
    status: u16,
    bytes_sent: usize,
    bytes_received: usize,
    span: tracing::Span,
}

impl Record {
    fn new(req: &Request, app: Arc<App>, caller: &Caller) -> Self {
        let identity = &caller.operator.identity;
        let user = if identity.email.is_empty() { &identity.name } else { &identity.email };
        Self {
            app,
            origin: caller.origin.clone(),
            begin: Instant::now(),
            user: user.clone(),
            cluster: cluster_name(req).unwrap_or_default(),
            method: req.method().to_string(),
            path: String::new(),
            status: 499,
            bytes_sent: 0,
            bytes_received: 0,
            span: tracing::Span::current(),
        }
    }
}

impl Record {
    fn received(&mut self, frame: &Frame<Bytes>) {
        self.bytes_received += frame.data_ref().map_or(0, Bytes::len);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let _entered = self.span.enter();
        let duration_ms = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            user = self.user,
            cluster.name = self.cluster,
            method = self.method,
            path = self.path,
            status = self.status,
            bytes_sent = self.bytes_sent,
            bytes_received = self.bytes_received,
            duration_ms,
            "tunnel request"
        );
        let (app, origin) = (Arc::clone(&self.app), self.origin.clone());
        let cluster = std::mem::take(&mut self.cluster);
        let outcome = if self.status < 400 { Outcome::Success } else { Outcome::Failed };
        let details = json!({
            "method": self.method, "path": self.path, "status": self.status, "bytes_sent": self.bytes_sent,
            "bytes_received": self.bytes_received, "duration_ms": duration_ms,
        });
        self.app.sessions.tasks.spawn(async move {
            let entry =
                AuditEntry { outcome, ..AuditEntry::done(Event::TunnelRequest, &cluster, details) };
            audit::note(&app.pool, &origin, &entry).await;
        });
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::NoTunnel => {
                Self::BadRequest("remote cluster does not have an active tunnel".into())
            }
            RequestError::Busy => Self::Unavailable(
                "too many requests are waiting for this cluster, try again later",
                None,
            ),
            RequestError::Waited => {
                Self::Unavailable("the cluster is busy with other requests, try again later", None)
            }
            RequestError::Unavailable => {
                Self::Unavailable("the database is not available, try again later", None)
            }
            RequestError::NoAnswer => Self::GatewayTimeout("the cluster did not answer in time"),
            RequestError::Broken => Self::BadGateway("the cluster's tunnel broke off"),
            RequestError::Nonsense => Self::BadGateway("the cluster's answer cannot be used"),
            RequestError::Unreachable => {
                Self::BadGateway("the unit with the cluster's tunnel cannot be reached")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tun_02_the_path_is_what_stands_behind_the_prefix() {
        for (path, lxd) in [
            ("/1.0/remote-cluster/lyon/tunnel/1.0", "/1.0"),
            ("/1.0/remote-cluster/a%2Fb/tunnel/1.0/x%3Fy", "/1.0/x%3Fy"),
            ("/1.0/remote-cluster/lyon/tunnel//1.0", "//1.0"),
            ("/1.0/remote-cluster/lyon/tunnel/", "/"),
            ("/1.0/remote-cluster/lyon/tunnel", ""),
        ] {
            assert_eq!(lxd_path(path), lxd, "{path}");
        }
    }

    #[test]
    fn tun_05_only_json_is_json() {
        let json = |text: &'static str| is_json(Some(&HeaderValue::from_static(text)));
        assert!(json("application/json") && json("Application/JSON; charset=utf-8"));
        for other in [
            "",
            "text/html",
            "application/json-seq",
            "application/jsonp",
            "text/html; application/json",
        ] {
            assert!(!json(other), "{other}");
        }
        assert!(!is_json(None));
    }
}
