//! Tables `identities` and `sessions`.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use super::StoreError;
use super::statement::{execute, query_one, query_opt};
use crate::model::{Identity, Operator, Session};

/// Most sessions of one person; the oldest give way.
const MAX_SESSIONS_PER_IDENTITY: i64 = 16;

/// What is stored of a new session.
pub struct NewSession<'a> {
    /// SHA-256 of the id in the cookie.
    pub id_hash: [u8; 32],
    /// Groups that the ID token lists.
    pub groups: &'a [String],
    /// The ID token, sealed.
    pub id_token_sealed: Vec<u8>,
    /// The refresh token, sealed; not every provider gives one.
    pub refresh_token_sealed: Option<Vec<u8>>,
    /// How long the session may live.
    pub lifetime: Duration,
}

/// Records the person and starts a session. Call it within a transaction.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.session.insert", skip_all)]
pub async fn insert(
    db: &impl GenericClient,
    identity: &Identity,
    session: &NewSession<'_>,
) -> Result<(), StoreError> {
    const IDENTITY: &str = "
        INSERT INTO identities (issuer, subject, name, email) VALUES ($1, $2, $3, $4)
        ON CONFLICT (issuer, subject) DO UPDATE SET name = $3, email = $4, last_seen = now()
          RETURNING id";
    const SESSION: &str = "
        INSERT INTO sessions (id_hash, identity_id, groups, expires_at, id_token_sealed, refresh_token_sealed)
             VALUES ($1, $2, $3, now() + make_interval(secs => $4), $5, $6)";
    const EVICT: &str = "
        DELETE FROM sessions
              WHERE id_hash IN (SELECT id_hash FROM sessions WHERE identity_id = $1
                                ORDER BY created_at DESC, id_hash OFFSET $2)";
    let row = query_one(
        db,
        "starting a session",
        IDENTITY,
        &[&identity.issuer, &identity.subject, &identity.name, &identity.email],
    )
    .await?;
    let identity_id: i64 = column(&row, "id")?;
    execute(
        db,
        "starting a session",
        SESSION,
        &[
            &session.id_hash.as_slice(),
            &identity_id,
            &session.groups,
            &session.lifetime.as_secs_f64(),
            &session.id_token_sealed,
            &session.refresh_token_sealed,
        ],
    )
    .await?;
    execute(db, "starting a session", EVICT, &[&identity_id, &MAX_SESSIONS_PER_IDENTITY]).await?;
    Ok(())
}

/// The session with this id, unless it ended: it was deleted, its life is over, or nobody used it for `idle`. The time of
/// last use is written at most once a minute.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if the row does not parse.
#[tracing::instrument(name = "store.session.find", skip_all)]
pub async fn find(
    db: &impl GenericClient,
    id_hash: &[u8; 32],
    idle: Duration,
) -> Result<Option<Session>, StoreError> {
    const SQL: &str = "
        SELECT identity.subject, identity.name, identity.email, session.groups, session.id_token_sealed,
               session.last_used_at < now() - interval '1 min' AS stale
          FROM sessions AS session JOIN identities AS identity ON identity.id = session.identity_id
         WHERE session.id_hash = $1
           AND session.expires_at > now()
           AND session.last_used_at > now() - make_interval(secs => $2)";
    const TOUCH: &str = "UPDATE sessions SET last_used_at = now() WHERE id_hash = $1";
    let id_hash = id_hash.as_slice();
    let Some(row) =
        query_opt(db, "looking up a session", SQL, &[&id_hash, &idle.as_secs_f64()]).await?
    else {
        return Ok(None);
    };
    if column(&row, "stale")? {
        execute(db, "looking up a session", TOUCH, &[&id_hash]).await?;
    }
    let (subject, name): (String, String) = (column(&row, "subject")?, column(&row, "name")?);
    Ok(Some(Session {
        operator: Operator {
            email: column(&row, "email")?,
            name: if name.is_empty() { subject } else { name },
            groups: column(&row, "groups")?,
        },
        id_token_sealed: column(&row, "id_token_sealed")?,
    }))
}

/// Ends a session and returns its sealed ID token. `None`: it had ended already.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.session.end", skip_all)]
pub async fn end(
    db: &impl GenericClient,
    id_hash: &[u8; 32],
) -> Result<Option<Vec<u8>>, StoreError> {
    const SQL: &str = "DELETE FROM sessions WHERE id_hash = $1 RETURNING id_token_sealed";
    let row = query_opt(db, "ending a session", SQL, &[&id_hash.as_slice()]).await?;
    row.as_ref().map(|row| column(row, "id_token_sealed")).transpose()
}

fn column<'a, T: FromSql<'a>>(row: &'a Row, name: &'static str) -> Result<T, StoreError> {
    super::statement::column(row, "sessions", name)
}
