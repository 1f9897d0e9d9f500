//! The verification of a row of `sessions`, by one process at a time: a lease, not a lock, so that no transaction spans the call to
//! the identity provider.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use time::OffsetDateTime;

use super::StoreError;
use super::statement::{column, execute, query_opt};
use crate::model::Identity;

/// How long one process has to verify a session before another may try, in seconds: longer than it waits for the provider, by the
/// time it takes to write.
const LEASE_S: f64 = 30.0;
/// Least time between two attempts while the provider does not answer, in seconds.
const PAUSE_S: f64 = 10.0;

/// The right to verify a session, until it runs out.
pub struct Lease {
    until: OffsetDateTime,
    /// The refresh token, sealed; not every provider gives one.
    pub refresh_token_sealed: Option<Vec<u8>>,
}

/// What a verification yields, sealed.
pub struct Tokens<'a> {
    /// The ID token.
    pub id_token_sealed: &'a [u8],
    /// The refresh token.
    pub refresh_token_sealed: Option<&'a [u8]>,
}

/// Whether a session has a refresh token; without one a verification ends it.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if the row does not parse.
#[tracing::instrument(name = "store.session.can_be_renewed", skip_all)]
pub async fn can_be_renewed(
    db: &impl GenericClient,
    id_hash: &[u8; 32],
) -> Result<bool, StoreError> {
    const SQL: &str = "
        SELECT refresh_token_sealed IS NOT NULL AS renewable FROM sessions WHERE id_hash = $1";
    let row = query_opt(db, "looking up a session", SQL, &[&id_hash.as_slice()]).await?;
    row.map_or(Ok(false), |row| column(&row, "sessions", "renewable"))
}

/// Takes the lease on a session that was verified longer than `verified_for` ago. `None`: somebody else has it, it is too early, or
/// the session is gone or verified.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if the row does not parse.
#[tracing::instrument(name = "store.session.claim", skip_all)]
pub async fn claim(
    db: &impl GenericClient,
    id_hash: &[u8; 32],
    verified_for: Duration,
) -> Result<Option<Lease>, StoreError> {
    const SQL: &str = "
           UPDATE sessions SET verifying_until = clock_timestamp() + make_interval(secs => $3)
            WHERE id_hash = $1
              AND verified_at <= clock_timestamp() - make_interval(secs => $2)
              AND (verifying_until IS NULL OR verifying_until <= clock_timestamp())
              AND (verify_not_before IS NULL OR verify_not_before <= clock_timestamp())
        RETURNING verifying_until, refresh_token_sealed";
    let row = query_opt(
        db,
        "claiming the verification of a session",
        SQL,
        &[&id_hash.as_slice(), &verified_for.as_secs_f64(), &LEASE_S],
    )
    .await?;
    row.map(|row| {
        Ok(Lease {
            until: column(&row, "sessions", "verifying_until")?,
            refresh_token_sealed: column(&row, "sessions", "refresh_token_sealed")?,
        })
    })
    .transpose()
}

/// Writes down that the identity provider vouched for a session. Call it within a transaction. `false`: the session ended meanwhile,
/// or the lease ran out and somebody else has it.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.session.verified", skip_all)]
pub async fn store(
    db: &impl GenericClient,
    id_hash: &[u8; 32],
    lease: &Lease,
    identity: &Identity,
    groups: &[String],
    tokens: &Tokens<'_>,
) -> Result<bool, StoreError> {
    const SESSION: &str = "
        UPDATE sessions
           SET groups = $3, id_token_sealed = $4, refresh_token_sealed = $5, verified_at = now(),
               verifying_until = NULL, verify_not_before = NULL
         WHERE id_hash = $1 AND verifying_until = $2";
    const IDENTITY: &str = "
        UPDATE identities SET name = $3, email = $4, last_seen = now() WHERE issuer = $1 AND subject = $2";
    const DOING: &str = "storing a verified session";
    let id_hash = id_hash.as_slice();
    let stored = execute(
        db,
        DOING,
        SESSION,
        &[&id_hash, &lease.until, &groups, &tokens.id_token_sealed, &tokens.refresh_token_sealed],
    )
    .await?;
    let Identity { issuer, subject, name, email } = identity;
    execute(db, DOING, IDENTITY, &[issuer, subject, name, email]).await?;
    Ok(stored == 1)
}

/// Gives the lease back without a result; the next attempt may be made in ten seconds, with another refresh token if there is one.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.session.postpone", skip_all)]
pub async fn postpone(
    db: &impl GenericClient,
    id_hash: &[u8; 32],
    lease: &Lease,
    refresh_token_sealed: Option<&[u8]>,
) -> Result<(), StoreError> {
    const SQL: &str = "
        UPDATE sessions
           SET verifying_until = NULL, verify_not_before = clock_timestamp() + make_interval(secs => $3),
               refresh_token_sealed = coalesce($4, refresh_token_sealed)
         WHERE id_hash = $1 AND verifying_until = $2";
    let id_hash = id_hash.as_slice();
    execute(
        db,
        "postponing the verification of a session",
        SQL,
        &[&id_hash, &lease.until, &PAUSE_S, &refresh_token_sealed],
    )
    .await?;
    Ok(())
}
