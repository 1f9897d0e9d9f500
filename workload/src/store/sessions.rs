//! Tables `identities`, `sessions`, `login_networks` and `provider_logouts`.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;
use workload_config::SessionLimits;

use super::StoreError;
use super::statement::{execute, query, query_one, query_opt};
use crate::model::{Device, Identity, KnownIdentity, Operator, ProviderLogout, SessionSummary};

/// What is stored of a new session.
pub struct NewSession<'a> {
    /// SHA-256 of the id in the cookie.
    pub id_hash: [u8; 32],
    /// Groups that the ID token lists.
    pub groups: &'a [String],
    /// The session at the provider, where it says which.
    pub provider_session: Option<&'a str>,
    /// The ID token, sealed.
    pub id_token_sealed: Vec<u8>,
    /// The refresh token, sealed; not every provider gives one.
    pub refresh_token_sealed: Option<Vec<u8>>,
    /// How long the session may live.
    pub lifetime: Duration,
    /// Where the login came from.
    pub device: &'a Device,
    /// The network of that address; `None` where addresses may be those of a balancer.
    pub network: Option<&'a str>,
}

/// Records the person and starts a session. Where there are too many now, those that were not used for the longest time give way.
/// Call it within a transaction. `true`: this person has logged in before, but never from this network.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if its answer does not parse.
#[tracing::instrument(name = "store.session.insert", skip_all)]
pub async fn insert(
    db: &impl GenericClient,
    identity: &Identity,
    session: &NewSession<'_>,
    limits: SessionLimits,
) -> Result<bool, StoreError> {
    const DOING: &str = "starting a session";
    const IDENTITY: &str = "
        INSERT INTO identities (issuer, subject, name, email) VALUES ($1, $2, $3, $4)
        ON CONFLICT (issuer, subject) DO UPDATE SET name = $3, email = $4, last_seen = now()
          RETURNING id";
    const SESSION: &str = "
        INSERT INTO sessions (id_hash, identity_id, groups, expires_at, id_token_sealed, refresh_token_sealed, source,
                              user_agent, provider_session)
             VALUES ($1, $2, $3, now() + make_interval(secs => $4), $5, $6, $7, $8, $9)";
    // The new session was used just now, so that it is never among those that give way.
    const EVICT_OWN: &str = "
        DELETE FROM sessions
              WHERE id_hash IN (SELECT id_hash FROM sessions WHERE identity_id = $1
                                ORDER BY last_used_at DESC, created_at DESC, id_hash OFFSET $2)";
    const EVICT: &str = "
        DELETE FROM sessions
              WHERE id_hash IN (SELECT id_hash FROM sessions ORDER BY last_used_at DESC, id_hash OFFSET $1)";
    // The first network of all is where the person is at home.
    const NETWORK: &str = "
        WITH known AS (SELECT count(*) AS networks, count(*) FILTER (WHERE network = $2) AS this
                         FROM login_networks WHERE identity_id = $1)
        INSERT INTO login_networks (identity_id, network) VALUES ($1, $2)
        ON CONFLICT (identity_id, network) DO UPDATE SET last_login = now()
          RETURNING (SELECT networks > 0 AND this = 0 FROM known) AS is_new";
    let Identity { issuer, subject, name, email } = identity;
    let row = query_one(db, DOING, IDENTITY, &[issuer, subject, name, email]).await?;
    let identity_id: i64 = column(&row, "id")?;
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &session.id_hash.as_slice(),
        &identity_id,
        &session.groups,
        &session.lifetime.as_secs_f64(),
        &session.id_token_sealed,
        &session.refresh_token_sealed,
        &session.device.source,
        &session.device.user_agent,
        &session.provider_session,
    ];
    execute(db, DOING, SESSION, values).await?;
    execute(db, DOING, EVICT_OWN, &[&identity_id, &limits.per_user]).await?;
    execute(db, DOING, EVICT, &[&limits.total]).await?;
    let Some(network) = session.network else { return Ok(false) };
    column(&query_one(db, DOING, NETWORK, &[&identity_id, &network]).await?, "is_new")
}

/// The ages by which a session is judged.
pub struct Ages {
    /// A session that was not used for so long is over.
    pub idle: Duration,
    /// For so long the provider need not be asked again.
    pub verified: Duration,
    /// For so long a session goes on while the provider does not answer.
    pub tolerated: Duration,
}

/// How a session stands with the identity provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// Verified recently.
    Fresh,
    /// The provider must be asked.
    Due,
    /// Somebody asks it now.
    UnderWay,
    /// It did not answer a moment ago.
    Postponed,
}

/// A session that is alive.
pub struct FoundSession {
    /// The person.
    pub operator: Operator,
    /// Whether the provider must be asked.
    pub verification: Verification,
    /// Whether the session may go on while the provider does not answer.
    pub tolerated: bool,
}

/// The session with this id, unless it ended: it was deleted, its life is over, or nobody used it for too long. The time of
/// last use is written at most once a minute, or oftener where sessions end after few minutes; that this fails, as on a full disk,
/// keeps nobody from reading.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if the row does not parse.
#[tracing::instrument(name = "store.session.find", skip_all)]
pub async fn find(
    db: &impl GenericClient,
    id_hash: &[u8; 32],
    ages: &Ages,
) -> Result<Option<FoundSession>, StoreError> {
    const DOING: &str = "looking up a session";
    const SQL: &str = "
        SELECT identity.issuer, identity.subject, identity.name, identity.email, session.groups,
               session.last_used_at < now() - least(interval '1 min', make_interval(secs => $2) / 4) AS stale,
               session.verified_at > now() - make_interval(secs => $3) AS fresh,
               session.verified_at > now() - make_interval(secs => $4) AS tolerated,
               coalesce(session.verifying_until > now(), false) AS under_way,
               coalesce(session.verify_not_before > now(), false) AS postponed
          FROM sessions AS session JOIN identities AS identity ON identity.id = session.identity_id
         WHERE session.id_hash = $1
           AND session.expires_at > now()
           AND session.last_used_at > now() - make_interval(secs => $2)";
    const TOUCH: &str = "UPDATE sessions SET last_used_at = now() WHERE id_hash = $1";
    let id_hash = id_hash.as_slice();
    let (idle, verified) = (ages.idle.as_secs_f64(), ages.verified.as_secs_f64());
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&id_hash, &idle, &verified, &ages.tolerated.as_secs_f64()];
    let Some(row) = query_opt(db, DOING, SQL, values).await? else { return Ok(None) };
    if column(&row, "stale")? {
        let touched = execute(db, "noting the use of a session", TOUCH, &[&id_hash]).await;
        if let Err(error) = touched {
            tracing::warn!(error = %crate::Chain(&error), "a session may end too early");
        }
    }
    let verification =
        match (column(&row, "fresh")?, column(&row, "under_way")?, column(&row, "postponed")?) {
            (true, _, _) => Verification::Fresh,
            (false, true, _) => Verification::UnderWay,
            (false, false, true) => Verification::Postponed,
            (false, false, false) => Verification::Due,
        };
    Ok(Some(FoundSession {
        operator: Operator::new(identity_of(&row)?, column(&row, "groups")?),
        verification,
        tolerated: column(&row, "tolerated")?,
    }))
}

/// A session that ended.
pub struct EndedSession {
    /// Whose it was.
    pub identity: Identity,
    /// The ID token, sealed.
    pub id_token_sealed: Vec<u8>,
    /// The refresh token, sealed.
    pub refresh_token_sealed: Option<Vec<u8>>,
}

/// Ends a session and returns its sealed tokens. `None`: it had ended already.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if the row does not parse.
#[tracing::instrument(name = "store.session.end", skip_all)]
pub async fn end(
    db: &impl GenericClient,
    id_hash: &[u8; 32],
) -> Result<Option<EndedSession>, StoreError> {
    const SQL: &str = "
        DELETE FROM sessions USING identities AS identity
              WHERE id_hash = $1 AND identity.id = identity_id
          RETURNING issuer, subject, name, email, id_token_sealed, refresh_token_sealed";
    let row = query_opt(db, "ending a session", SQL, &[&id_hash.as_slice()]).await?;
    row.map(|row| {
        Ok(EndedSession {
            identity: identity_of(&row)?,
            id_token_sealed: column(&row, "id_token_sealed")?,
            refresh_token_sealed: column(&row, "refresh_token_sealed")?,
        })
    })
    .transpose()
}

/// The sessions of a person that are alive, the newest first, each with whether it has the hash `current`.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if a row does not parse.
#[tracing::instrument(name = "store.session.list", skip_all)]
pub async fn list(
    db: &impl GenericClient,
    of: &Identity,
    current: Option<&[u8; 32]>,
    idle: Duration,
) -> Result<Vec<(SessionSummary, bool)>, StoreError> {
    const SQL: &str = "
        SELECT public_id, session.created_at, source, user_agent, last_used_at, verified_at, expires_at,
               coalesce(id_hash = $4, false) AS current
          FROM sessions AS session JOIN identities AS identity ON identity.id = session.identity_id
         WHERE identity.issuer = $1 AND identity.subject = $2
           AND expires_at > now() AND last_used_at > now() - make_interval(secs => $3)
      ORDER BY session.created_at DESC, public_id";
    let current = current.map(<[u8; 32]>::as_slice);
    let rows = query(
        db,
        "listing sessions",
        SQL,
        &[&of.issuer, &of.subject, &idle.as_secs_f64(), &current],
    )
    .await?;
    rows.iter()
        .map(|row| {
            let device =
                Device { source: column(row, "source")?, user_agent: column(row, "user_agent")? };
            let summary = SessionSummary {
                id: column(row, "public_id")?,
                created_at: column(row, "created_at")?,
                device,
                last_used_at: column(row, "last_used_at")?,
                verified_at: column(row, "verified_at")?,
                expires_at: column(row, "expires_at")?,
            };
            Ok((summary, column(row, "current")?))
        })
        .collect()
}

/// Ends the session with this public id, if it is the person's. `false`: there is none.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.session.end_one", skip_all)]
pub async fn end_one(db: &impl GenericClient, of: &Identity, id: Uuid) -> Result<bool, StoreError> {
    const SQL: &str = "
        DELETE FROM sessions USING identities AS identity
              WHERE public_id = $3 AND identity.id = identity_id AND identity.issuer = $1 AND identity.subject = $2";
    Ok(execute(db, "ending a session", SQL, &[&of.issuer, &of.subject, &id]).await? == 1)
}

/// Ends all sessions of a person; the answer is how many there were.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.session.end_all", skip_all)]
pub async fn end_all(db: &impl GenericClient, of: &Identity) -> Result<u64, StoreError> {
    const SQL: &str = "
        DELETE FROM sessions USING identities AS identity
              WHERE identity.id = identity_id AND identity.issuer = $1 AND identity.subject = $2";
    execute(db, "ending all sessions of a person", SQL, &[&of.issuer, &of.subject]).await
}

/// Ends all sessions of everybody; the answer is how many there were.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.session.end_everybodys", skip_all)]
pub async fn end_everybodys(db: &impl GenericClient) -> Result<u64, StoreError> {
    execute(db, "ending all sessions", "DELETE FROM sessions", &[]).await
}

/// Remembers what the provider said for an hour, many times as long as its word counts. `false`: it has said so before.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn note_logout(
    db: &impl GenericClient,
    logout: &ProviderLogout,
) -> Result<bool, StoreError> {
    const SQL: &str = "
        INSERT INTO provider_logouts (issuer, id, expires_at) VALUES ($1, $2, now() + interval '1 hour')
        ON CONFLICT (issuer, id) DO NOTHING";
    Ok(execute(db, "noting a logout", SQL, &[&logout.issuer, &logout.id]).await? == 1)
}

/// Ends the sessions that ended at the provider, and returns whose they were and the hashes of their ids. Where the provider names
/// both a person and a session, the person's sessions of which it is not known which one they belong to end as well.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if a row does not parse.
#[tracing::instrument(name = "store.session.end_at_provider", skip_all)]
pub async fn end_at_provider(
    db: &impl GenericClient,
    logout: &ProviderLogout,
) -> Result<Vec<(String, [u8; 32])>, StoreError> {
    const SQL: &str = "
        DELETE FROM sessions USING identities AS identity
              WHERE identity.id = identity_id AND identity.issuer = $1
                AND ($2::text IS NULL OR identity.subject = $2)
                AND ($3::text IS NULL OR provider_session = $3 OR ($2 IS NOT NULL AND provider_session IS NULL))
          RETURNING identity.subject, id_hash";
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&logout.issuer, &logout.subject, &logout.session];
    let rows = query(db, "ending sessions that ended at the provider", SQL, values).await?;
    rows.iter()
        .map(|row| {
            let hash: Vec<u8> = column(row, "id_hash")?;
            let hash = hash
                .try_into()
                .map_err(|_| StoreError::Corrupt { table: "sessions", column: "id_hash" })?;
            Ok((column(row, "subject")?, hash))
        })
        .collect()
}

/// People who have logged in, the last one first, at most 1,000, with the number of their sessions that are alive.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if a row does not parse.
#[tracing::instrument(name = "store.identity.list", skip_all)]
pub async fn identities(
    db: &impl GenericClient,
    idle: Duration,
) -> Result<Vec<KnownIdentity>, StoreError> {
    const SQL: &str = "
        SELECT id, issuer, subject, name, email, created_at, last_seen,
               (SELECT count(*) FROM sessions
                 WHERE identity_id = identity.id
                   AND expires_at > now() AND last_used_at > now() - make_interval(secs => $1)) AS sessions
          FROM identities AS identity
      ORDER BY last_seen DESC, id LIMIT 1000";
    let rows = query(db, "listing people", SQL, &[&idle.as_secs_f64()]).await?;
    rows.iter()
        .map(|row| {
            Ok(KnownIdentity {
                id: column(row, "id")?,
                identity: identity_of(row)?,
                created_at: column(row, "created_at")?,
                last_seen: column(row, "last_seen")?,
                sessions: column(row, "sessions")?,
            })
        })
        .collect()
}

/// The person with this id. `None`: there is none.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if the row does not parse.
pub async fn identity(db: &impl GenericClient, id: i64) -> Result<Option<Identity>, StoreError> {
    const SQL: &str = "SELECT issuer, subject, name, email FROM identities WHERE id = $1";
    let row = query_opt(db, "looking up a person", SQL, &[&id]).await?;
    row.as_ref().map(identity_of).transpose()
}

fn identity_of(row: &Row) -> Result<Identity, StoreError> {
    Ok(Identity {
        issuer: column(row, "issuer")?,
        subject: column(row, "subject")?,
        name: column(row, "name")?,
        email: column(row, "email")?,
    })
}

fn column<'a, T: FromSql<'a>>(row: &'a Row, name: &'static str) -> Result<T, StoreError> {
    super::statement::column(row, "sessions", name)
}
