//! Join tokens, from the operator's side.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::conflicts::settle;
use crate::domain::{Error, audit};
use crate::model::{
    AuditEntry, ClusterName, Description, Event, Fingerprint, JoinTokenText, NewJoinToken, Origin,
    PendingJoinToken,
};
use crate::seal::MasterKey;
use crate::store::join_tokens::Revoked;
use crate::store::{self, Pool, clusters, join_tokens};

/// Life of a token when the operator names none.
const DEFAULT_LIFE: time::Duration = time::Duration::hours(24);

/// What is written into every token, and the longest life that one may have.
pub struct JoinTokenPolicy {
    /// `host:port` of the Cluster Connector.
    pub connector_address: String,
    /// Tells the fingerprint of the certificate that the Cluster Connector presents at the moment.
    pub connector_pin: Box<dyn Fn() -> Fingerprint + Send + Sync>,
    /// Longest life of a token.
    pub max_life: Duration,
    /// Most tokens that may wait to be used.
    pub max_pending: i64,
    /// Seals the secrets of pending tokens.
    pub master_key: Arc<MasterKey>,
}

/// What an operator asks for, as it came.
#[derive(Debug, Clone, Default)]
pub struct JoinTokenRequest {
    /// Name of the cluster to enrol.
    pub cluster_name: String,
    /// Its description.
    pub description: String,
    /// End of the token's life; by default 24 hours from now.
    pub expiry: Option<OffsetDateTime>,
    /// What the token is for.
    pub purpose: Purpose,
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Purpose {
    /// A new cluster.
    #[default]
    Enrol,
    /// Another certificate for the enrolled cluster of this name, which keeps its settings and its history.
    Rotate,
}

impl Purpose {
    /// What the audit log says about the creation of such a token.
    fn created(self) -> Event {
        match self {
            Self::Enrol => Event::TokenCreated,
            Self::Rotate => Event::RotationTokenCreated,
        }
    }
}

/// Creates a join token. Its text exists in the answer only.
///
/// # Errors
///
/// [`Error::Invalid`] for a bad expiry, name or description, in this order; [`Error::Conflict`] when the name, or one that
/// differs in case or in `-` and `_` only, is enrolled or has a pending token; [`Error::NotFound`] when the cluster that
/// should get another certificate is not there; [`Error::Store`] without an answer from the database.
#[tracing::instrument(name = "domain.join_token.create", skip_all)]
pub async fn create(
    pool: &Pool,
    policy: &JoinTokenPolicy,
    request: JoinTokenRequest,
    origin: &Origin,
) -> Result<JoinTokenText, Error> {
    let (event, name) = (request.purpose.created(), &request.cluster_name);
    let created = settle(|| try_to_create(pool, policy, &request, origin)).await;
    audit::refusals(pool, origin, event, name, created).await
}

async fn try_to_create(
    pool: &Pool,
    policy: &JoinTokenPolicy,
    request: &JoinTokenRequest,
    origin: &Origin,
) -> Result<JoinTokenText, Error> {
    let mut db = pool.get().await?;
    let now = join_tokens::clock(&db).await?;
    let invalid = |error: &dyn std::error::Error| Error::Invalid(error.to_string());
    let token = NewJoinToken {
        expires_at: expiry(request.expiry, now, policy.max_life)?,
        cluster_name: ClusterName::parse(&request.cluster_name).map_err(|error| invalid(&error))?,
        description: Description::parse(&request.description).map_err(|error| invalid(&error))?,
    };
    let (text, secret) =
        JoinTokenText::generate(&token, &policy.connector_address, (policy.connector_pin)())
            .map_err(Error::Defect)?;

    let id = Uuid::now_v7();
    let sealed = policy.master_key.join_secrets().seal(&id.to_string(), secret.as_bytes());
    let sealed = sealed.ok_or(Error::Defect("a secret could not be sealed"))?;
    let transaction = store::begin(&mut db).await?;
    let replaces = match request.purpose {
        Purpose::Enrol => None,
        Purpose::Rotate => {
            let cluster = clusters::keep(&transaction, token.cluster_name.as_str()).await?;
            let missing = || Error::NotFound("remote cluster not found".into());
            Some(cluster.ok_or_else(missing)?)
        }
    };
    // Insert first: a join under way holds the pending row of this name, so the look at the clusters comes after it.
    let inserted =
        join_tokens::insert(&transaction, id, &token, &text.hash(), &sealed, replaces).await?;
    if replaces.is_none()
        && clusters::has_similar_name(&transaction, token.cluster_name.as_str()).await?
    {
        return Err(Error::Conflict("cluster name already exists"));
    }
    if !inserted {
        return Err(Error::Conflict("this cluster name has a pending join token"));
    }
    let most = policy.max_pending;
    if join_tokens::count_pending(&transaction, most.saturating_add(1)).await? > most {
        return Err(Error::Conflict("too many join tokens are pending: revoke some first"));
    }
    let details = json!({"token": id.to_string(), "expires_at": token.expires_at.unix_timestamp()});
    let event = request.purpose.created();
    let entry = AuditEntry::done(event, token.cluster_name.as_str(), details);
    store::audit::insert(&transaction, origin, &entry).await?;
    store::commit(transaction).await?;
    tracing::info!(cluster.name = %token.cluster_name, token.id = %id, "created a join token for {}", token.cluster_name);
    Ok(text)
}

/// All tokens that nobody used yet, the oldest first.
///
/// # Errors
///
/// [`Error::Store`] without an answer from the database.
pub async fn list(pool: &Pool) -> Result<Vec<PendingJoinToken>, Error> {
    Ok(join_tokens::list_pending(&pool.get().await?).await?)
}

/// Revokes the pending token of a cluster.
///
/// # Errors
///
/// [`Error::NotFound`] when there is none, [`Error::Store`] without an answer from the database.
#[tracing::instrument(name = "domain.join_token.revoke", skip_all)]
pub async fn revoke(pool: &Pool, cluster_name: &str, origin: &Origin) -> Result<(), Error> {
    let revoked = settle(|| try_to_revoke(pool, cluster_name, origin)).await;
    audit::refusals(pool, origin, Event::TokenRevoked, cluster_name, revoked).await
}

async fn try_to_revoke(pool: &Pool, cluster_name: &str, origin: &Origin) -> Result<(), Error> {
    let mut db = pool.get().await?;
    let transaction = store::begin(&mut db).await?;
    let Some(Revoked { id, rotation }) = join_tokens::revoke(&transaction, cluster_name).await?
    else {
        return Err(Error::NotFound(format!(
            "no remote cluster token found with name: {cluster_name}"
        )));
    };
    let details = json!({"token": id.to_string()});
    let event = if rotation { Event::RotationTokenRevoked } else { Event::TokenRevoked };
    let entry = AuditEntry::done(event, cluster_name, details);
    store::audit::insert(&transaction, origin, &entry).await?;
    store::commit(transaction).await?;
    tracing::info!(cluster.name = cluster_name, "revoked the join token of {cluster_name}");
    Ok(())
}

/// The end of a token's life: the asked one if it lies in the future and not too far.
fn expiry(
    asked: Option<OffsetDateTime>,
    now: OffsetDateTime,
    max_life: Duration,
) -> Result<OffsetDateTime, Error> {
    let Some(expiry) = asked else {
        return Ok(
            now + DEFAULT_LIFE.min(time::Duration::try_from(max_life).unwrap_or(DEFAULT_LIFE))
        );
    };
    if expiry <= now {
        return Err(Error::Invalid("expiry date must be in the future".into()));
    }
    if (expiry - now).unsigned_abs() > max_life {
        let days = max_life.as_secs() / 86_400;
        return Err(Error::Invalid(format!("expiry date must be at most {days} days ahead")));
    }
    Ok(expiry)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_life_of_a_token_is_bounded() {
        let now = datetime!(2026-11-22 12:00 UTC);
        let month = Duration::from_hours(30 * 24);
        assert_eq!(expiry(None, now, month).unwrap(), datetime!(2026-11-23 12:00 UTC));
        assert_eq!(
            expiry(None, now, Duration::from_hours(1)).unwrap(),
            datetime!(2026-11-22 13:00 UTC)
        );
        let at_limit = datetime!(2026-12-22 12:00 UTC);
        assert_eq!(expiry(Some(at_limit), now, month).unwrap(), at_limit);
        for (asked, text) in [
            (now, "expiry date must be in the future"),
            (datetime!(1999-01-01 0:00 UTC), "expiry date must be in the future"),
            (datetime!(2026-12-22 12:00:01 UTC), "expiry date must be at most 30 days ahead"),
        ] {
            assert_eq!(expiry(Some(asked), now, month).unwrap_err().to_string(), text);
        }
    }
}
