//! Table `join_tokens`.

use deadpool_postgres::GenericClient;
use time::OffsetDateTime;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

use super::StoreError;
use super::statement::{execute, query, query_one, query_opt};
use crate::model::{Fingerprint, NewJoinToken, PendingJoinToken, TokenHash};

/// What the proof of a join is checked against.
pub struct TokenKey {
    /// Identifies the token's row.
    pub id: Uuid,
    /// Hash of the token's text.
    pub hash: TokenHash,
    /// The token's secret, sealed; tokens of earlier releases have none.
    pub secret_sealed: Option<Vec<u8>>,
}

/// A token row as a join meets it.
pub struct JoinTokenRow {
    /// What shows that the caller knows the token.
    pub key: TokenKey,
    /// What the enrolled cluster will be described as.
    pub description: String,
    /// Whether its life has ended, by the database's clock.
    pub expired: bool,
    /// The cluster whose certificate it replaces; `None`: it enrols a new cluster.
    pub replaces: Option<i64>,
    /// The certificate that used it, if one did.
    pub consumed_by: Option<Fingerprint>,
}

/// Inserts a token in place of an expired one for the same or a similar name. `false`: a token is pending for such a name.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.join_token.insert", skip_all, fields(cluster.name = %token.cluster_name))]
pub async fn insert(
    db: &impl GenericClient,
    id: Uuid,
    token: &NewJoinToken,
    hash: &TokenHash,
    secret_sealed: &[u8],
    replaces: Option<i64>,
) -> Result<bool, StoreError> {
    const SQL: &str = "
        INSERT INTO join_tokens AS token (id, cluster_name, description, token_hash, expires_at, secret_sealed,
                                          replaces_cluster_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (folded_name) WHERE consumed_at IS NULL
          DO UPDATE SET id = $1, cluster_name = $2, description = $3, token_hash = $4, expires_at = $5, secret_sealed = $6,
                        replaces_cluster_id = $7, created_at = now()
              WHERE token.expires_at <= now()";
    let inserted = execute(
        db,
        "inserting a join token",
        SQL,
        &[
            &id,
            &token.cluster_name.as_str(),
            &token.description.as_str(),
            &hash.as_bytes(),
            &token.expires_at,
            &secret_sealed,
            &replaces,
        ],
    )
    .await?;
    Ok(inserted == 1)
}

/// How many tokens are pending, up to `limit`.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn count_pending(db: &impl GenericClient, limit: i64) -> Result<i64, StoreError> {
    const SQL: &str = "
        SELECT count(*) FROM (SELECT FROM join_tokens WHERE consumed_at IS NULL LIMIT $1) AS pending";
    let row = query_one(db, "counting join tokens", SQL, &[&limit]).await?;
    column(&row, "count")
}

/// All tokens that nobody used, the oldest first.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if a row does not parse.
#[tracing::instrument(name = "store.join_token.list", skip_all)]
pub async fn list_pending(db: &impl GenericClient) -> Result<Vec<PendingJoinToken>, StoreError> {
    const SQL: &str = "
        SELECT id, cluster_name, description, expires_at, created_at, expires_at <= now() AS expired,
               replaces_cluster_id IS NOT NULL AS rotation
          FROM join_tokens
         WHERE consumed_at IS NULL
      ORDER BY created_at, cluster_name";
    let rows = query(db, "listing join tokens", SQL, &[]).await?;
    rows.iter()
        .map(|row| {
            Ok(PendingJoinToken {
                id: column(row, "id")?,
                cluster_name: column(row, "cluster_name")?,
                description: column(row, "description")?,
                expires_at: column(row, "expires_at")?,
                created_at: column(row, "created_at")?,
                expired: column(row, "expired")?,
                rotation: column(row, "rotation")?,
            })
        })
        .collect()
}

/// A token that was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked {
    /// Its id.
    pub id: Uuid,
    /// Whether it would have given an enrolled cluster another certificate.
    pub rotation: bool,
}

/// Deletes the pending token of a cluster; joins that did not commit yet will not find it. `None`: there is none.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.join_token.revoke", skip_all, fields(cluster.name = cluster_name))]
pub async fn revoke(
    db: &impl GenericClient,
    cluster_name: &str,
) -> Result<Option<Revoked>, StoreError> {
    const SQL: &str = "
        DELETE FROM join_tokens WHERE cluster_name = $1 AND consumed_at IS NULL
          RETURNING id, replaces_cluster_id IS NOT NULL AS rotation";
    let row = query_opt(db, "revoking a join token", SQL, &[&cluster_name]).await?;
    let revoked =
        |row| Ok(Revoked { id: column(&row, "id")?, rotation: column(&row, "rotation")? });
    row.map(revoked).transpose()
}

/// The keys of the tokens of a cluster that may serve whoever holds the certificate, without locking them: the pending one, and
/// those that this very certificate consumed.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if a row does not parse.
pub async fn of_cluster(
    db: &impl GenericClient,
    cluster_name: &str,
    fingerprint: Fingerprint,
) -> Result<Vec<TokenKey>, StoreError> {
    const SQL: &str = "
        SELECT id, token_hash, secret_sealed
          FROM join_tokens
         WHERE cluster_name = $1 AND (consumed_at IS NULL OR consumed_fingerprint = $2)";
    let rows =
        query(db, "looking up join tokens", SQL, &[&cluster_name, &fingerprint.as_bytes()]).await?;
    rows.iter().map(key).collect()
}

/// The token as it is now, locked until the transaction ends. `None`: it was revoked or replaced meanwhile.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if the row does not parse.
pub async fn lock(db: &impl GenericClient, id: Uuid) -> Result<Option<JoinTokenRow>, StoreError> {
    const SQL: &str = "
        SELECT id, token_hash, secret_sealed, description, expires_at <= clock_timestamp() AS expired,
               consumed_fingerprint, replaces_cluster_id
          FROM join_tokens
         WHERE id = $1
           FOR UPDATE";
    let row = query_opt(db, "locking a join token", SQL, &[&id]).await?;
    row.as_ref().map(join_token).transpose()
}

/// Marks a token as used by a certificate.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn consume(db: &impl GenericClient, id: Uuid, by: Fingerprint) -> Result<(), StoreError> {
    const SQL: &str =
        "UPDATE join_tokens SET consumed_at = now(), consumed_fingerprint = $2 WHERE id = $1";
    execute(db, "consuming a join token", SQL, &[&id, &by.as_bytes()]).await?;
    Ok(())
}

/// The database's clock, by which the life of tokens is measured.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn clock(db: &impl GenericClient) -> Result<OffsetDateTime, StoreError> {
    const SQL: &str = "SELECT now() AS now";
    let row = query_one(db, "reading the database's clock", SQL, &[]).await?;
    column(&row, "now")
}

fn key(row: &Row) -> Result<TokenKey, StoreError> {
    let corrupt = StoreError::Corrupt { table: "join_tokens", column: "token_hash" };
    Ok(TokenKey {
        id: column(row, "id")?,
        hash: TokenHash::from_bytes(column(row, "token_hash")?).ok_or(corrupt)?,
        secret_sealed: column(row, "secret_sealed")?,
    })
}

fn join_token(row: &Row) -> Result<JoinTokenRow, StoreError> {
    let corrupt = StoreError::Corrupt { table: "join_tokens", column: "consumed_fingerprint" };
    let consumed: Option<&[u8]> = column(row, "consumed_fingerprint")?;
    Ok(JoinTokenRow {
        key: key(row)?,
        description: column(row, "description")?,
        expired: column(row, "expired")?,
        replaces: column(row, "replaces_cluster_id")?,
        consumed_by: consumed
            .map(|bytes| Fingerprint::from_bytes(bytes).ok_or(corrupt))
            .transpose()?,
    })
}

fn column<'a, T: FromSql<'a>>(row: &'a Row, name: &'static str) -> Result<T, StoreError> {
    super::statement::column(row, "join_tokens", name)
}
