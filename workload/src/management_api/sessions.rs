//! `/1.0/sessions`: one's own sessions. `/1.0/identities`: everybody's, for administrators.

use salvo::{Depot, Request, Response, handler};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::caller::caller;
use super::{app, cookies};
use crate::domain::sessions;
use crate::edge::{ApiError, EmptyObject, Reply, Success};
use crate::model::{KnownIdentity, SessionSummary};

/// A session as its person, or an administrator, sees it.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Session)]
pub(super) struct SessionView {
    id: String,
    /// Whether this very request belongs to it.
    current: bool,
    source: String,
    user_agent: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    last_used_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    verified_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

impl From<(SessionSummary, bool)> for SessionView {
    fn from((session, current): (SessionSummary, bool)) -> Self {
        Self {
            id: session.id.to_string(),
            current,
            source: session.device.source,
            user_agent: session.device.user_agent,
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            verified_at: session.verified_at,
            expires_at: session.expires_at,
        }
    }
}

/// A person who has logged in.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Identity)]
pub(super) struct IdentityView {
    id: i64,
    issuer: String,
    subject: String,
    name: String,
    email: String,
    sessions: i64,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    last_seen: OffsetDateTime,
}

impl From<KnownIdentity> for IdentityView {
    fn from(known: KnownIdentity) -> Self {
        Self {
            id: known.id,
            issuer: known.identity.issuer,
            subject: known.identity.subject,
            name: known.identity.name,
            email: known.identity.email,
            sessions: known.sessions,
            created_at: known.created_at,
            last_seen: known.last_seen,
        }
    }
}

/// How many sessions ended.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = EndedSessions)]
pub(super) struct EndedView {
    ended: u64,
}

/// `GET /1.0/sessions`: the caller's sessions, the newest first.
#[handler]
pub(super) async fn list(depot: &mut Depot) -> Reply<Success<Vec<SessionView>>> {
    let (app, caller) = (app(depot)?, caller(depot)?);
    let (of, current) = (&caller.operator.identity, caller.session.as_deref());
    let found = sessions::list(&app.pool, of, current, app.sessions.idle).await?;
    Ok(Success(found.into_iter().map(SessionView::from).collect()))
}

/// `DELETE /1.0/sessions`: ends all sessions of the caller, this one included.
#[handler]
pub(super) async fn end_all(depot: &mut Depot, res: &mut Response) -> Reply<Success<EndedView>> {
    let (app, caller) = (app(depot)?, caller(depot)?);
    let ended = sessions::end_all(&app.pool, &caller.operator.identity, &caller.origin).await?;
    if caller.session.is_some() {
        cookies::clear_session(res);
    }
    Ok(Success(EndedView { ended }))
}

/// `DELETE /1.0/sessions/{id}`: ends one session of the caller.
#[handler]
pub(super) async fn end_one(req: &mut Request, depot: &mut Depot) -> Reply<Success<EmptyObject>> {
    let (app, caller) = (app(depot)?, caller(depot)?);
    let (of, id) = (&caller.operator.identity, session_id(req, "id")?);
    sessions::end_one(&app.pool, of, id, &caller.origin).await?;
    Ok(Success::EMPTY)
}

/// `GET /1.0/identities`: who has logged in, the last one first, at most 1,000.
#[handler]
pub(super) async fn identities(depot: &mut Depot) -> Reply<Success<Vec<IdentityView>>> {
    let app = app(depot)?;
    let found = sessions::identities(&app.pool, app.sessions.idle).await?;
    Ok(Success(found.into_iter().map(IdentityView::from).collect()))
}

/// `GET /1.0/identities/{id}/sessions`: the sessions of a person, the newest first.
#[handler]
pub(super) async fn list_of(
    req: &mut Request,
    depot: &mut Depot,
) -> Reply<Success<Vec<SessionView>>> {
    let (app, caller) = (app(depot)?, caller(depot)?);
    let of = sessions::identity(&app.pool, identity_id(req)?).await?;
    let found =
        sessions::list(&app.pool, &of, caller.session.as_deref(), app.sessions.idle).await?;
    Ok(Success(found.into_iter().map(SessionView::from).collect()))
}

/// `DELETE /1.0/identities/{id}/sessions`: ends all sessions of a person.
#[handler]
pub(super) async fn end_all_of(req: &mut Request, depot: &mut Depot) -> Reply<Success<EndedView>> {
    let (app, caller) = (app(depot)?, caller(depot)?);
    let of = sessions::identity(&app.pool, identity_id(req)?).await?;
    let ended = sessions::end_all(&app.pool, &of, &caller.origin).await?;
    Ok(Success(EndedView { ended }))
}

/// `DELETE /1.0/identities/{id}/sessions/{session}`: ends one session of a person.
#[handler]
pub(super) async fn end_one_of(
    req: &mut Request,
    depot: &mut Depot,
) -> Reply<Success<EmptyObject>> {
    let (app, caller) = (app(depot)?, caller(depot)?);
    let of = sessions::identity(&app.pool, identity_id(req)?).await?;
    sessions::end_one(&app.pool, &of, session_id(req, "session")?, &caller.origin).await?;
    Ok(Success::EMPTY)
}

fn identity_id(req: &Request) -> Result<i64, ApiError> {
    req.param("id").ok_or_else(|| ApiError::NotFound("identity not found".into()))
}

fn session_id(req: &Request, name: &str) -> Result<Uuid, ApiError> {
    let id: Option<String> = req.param(name);
    let id = id.and_then(|text| Uuid::parse_str(&text).ok());
    id.ok_or_else(|| ApiError::NotFound("session not found".into()))
}
