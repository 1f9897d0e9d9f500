//! Sessions of operators: begun by a login, verified with the identity provider every 15 minutes of use, ended by whoever may, the
//! provider among them.

mod copied;
mod verification;

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;
use uuid::Uuid;
use workload_config::SessionLimits;

use crate::domain::conflicts::settle;
use crate::domain::{self, Error, access_tokens};
use crate::model::{
    Actor, AuditEntry, Device, Event, Identity, KnownIdentity, Origin, ProviderLogout, SessionId,
    SessionSummary,
};
use crate::seal::MasterKey;
use crate::store::sessions::{EndedSession, NewSession};
use crate::store::{self, Pool, audit, sessions};

pub use copied::end_if_copied;

/// What a login or a refresh at the identity provider yields.
pub struct Login {
    /// Who logged in.
    pub identity: Identity,
    /// Groups that the ID token lists.
    pub groups: Vec<String>,
    /// The session at the provider, where it says which.
    pub provider_session: Option<String>,
    /// The ID token.
    pub id_token: String,
    /// The refresh token, if the provider gave one.
    pub refresh_token: Option<String>,
    /// The access token; kept only where it is forwarded to clusters.
    pub access_token: SecretString,
}

/// Why the identity provider does not vouch for a session.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// It refuses for good: the session is over.
    #[error("the identity provider ended a session")]
    Ended(#[source] Box<dyn StdError + Send + Sync>),
    /// It could not be asked, or its answer says nothing about the session.
    #[error("the identity provider could not verify a session")]
    Unavailable(#[source] Box<dyn StdError + Send + Sync>),
    /// Its ID token could not be checked. The refresh token that came with it counts from now on: the provider may have forgotten the
    /// one before, or take its use for a theft.
    #[error("the identity provider's answer could not be checked")]
    Unchecked {
        /// The new refresh token.
        refresh_token: SecretString,
        /// What is wrong.
        source: Box<dyn StdError + Send + Sync>,
    },
}

/// Who vouches for sessions.
pub trait IdentityProvider: Send + Sync + 'static {
    /// Uses a refresh token. The answer is about `subject`, or an error; one that does not come in
    /// time is not waited for.
    fn refresh(
        &self,
        refresh_token: &str,
        subject: &str,
    ) -> impl Future<Output = Result<Login, RefreshError>> + Send;

    /// Makes a refresh token useless, as well as that can be done.
    fn revoke(&self, refresh_token: String) -> impl Future<Output = ()> + Send;
}

/// The sessions of a deployment.
pub struct Sessions<P> {
    /// The database.
    pub pool: Pool,
    /// Seals the provider's tokens.
    pub key: Arc<MasterKey>,
    /// Vouches for sessions.
    pub provider: Arc<P>,
    /// Where verifications run, so that neither a browser that hangs up nor the end of the service loses a refresh token.
    pub tasks: TaskTracker,
    /// A session that is not used for so long ends.
    pub idle: Duration,
    /// No session lives longer.
    pub lifetime: Duration,
    /// How many there may be.
    pub limits: SessionLimits,
    /// Whether access tokens are kept, because they are forwarded to clusters.
    pub keep_access_tokens: bool,
}

impl<P> Clone for Sessions<P> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            key: Arc::clone(&self.key),
            provider: Arc::clone(&self.provider),
            tasks: self.tasks.clone(),
            ..*self
        }
    }
}

/// A session that has just begun.
pub struct Started {
    /// For the cookie.
    pub id: SessionId,
    /// The person has logged in before, but never from this network.
    pub from_new_network: bool,
}

impl<P: IdentityProvider> Sessions<P> {
    /// Starts a session and returns its id for the cookie. The tokens are sealed with a key that the id is part of. `network` is
    /// that of the person's address; `None` where addresses may be those of a balancer.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] without an answer from the database, [`Error::Defect`] when the system's random generator fails.
    #[tracing::instrument(name = "domain.session.start", skip_all)]
    pub async fn start(
        &self,
        login: &Login,
        device: &Device,
        network: Option<&str>,
        origin: &Origin,
    ) -> Result<Started, Error> {
        let id = SessionId::generate().ok_or(Error::Defect("the random generator failed"))?;
        let (id_token_sealed, refresh_token_sealed) = self.seal(&id, login)?;
        let session = NewSession {
            id_hash: id.hash(),
            groups: &login.groups,
            provider_session: login.provider_session.as_deref(),
            id_token_sealed,
            refresh_token_sealed,
            lifetime: self.lifetime,
            device,
            network,
        };
        let origin = origin.by(Actor::person(&login.identity));
        let from_new_network = settle(|| self.insert(&login.identity, &session, &origin)).await?;
        self.keep_access_token(&id, login).await?;
        Ok(Started { id, from_new_network })
    }

    async fn insert(
        &self,
        identity: &Identity,
        session: &NewSession<'_>,
        origin: &Origin,
    ) -> Result<bool, Error> {
        let mut db = self.pool.get().await?;
        let transaction = store::begin(&mut db).await?;
        let new_network = sessions::insert(&transaction, identity, session, self.limits).await?;
        let mut details =
            json!({"groups": session.groups, "user_agent": session.device.user_agent});
        if new_network && let Value::Object(details) = &mut details {
            details.insert("new_network".to_owned(), session.network.into());
        }
        let entry = AuditEntry::done(Event::Login, &identity.subject, details);
        audit::insert(&transaction, origin, &entry).await?;
        store::commit(transaction).await?;
        Ok(new_network)
    }

    async fn keep_access_token(&self, id: &SessionId, login: &Login) -> Result<(), Error> {
        if self.keep_access_tokens {
            access_tokens::keep(&self.pool, &self.key, id, &login.access_token).await?;
        }
        Ok(())
    }

    fn seal(&self, id: &SessionId, login: &Login) -> Result<(Vec<u8>, Option<Vec<u8>>), Error> {
        let sealer = self.key.session_tokens(id);
        let seal = |kind, token: &str| {
            sealer.seal(kind, token.as_bytes()).ok_or(Error::Defect("a token could not be sealed"))
        };
        let refresh_token = login.refresh_token.as_deref();
        Ok((
            seal("id", &login.id_token)?,
            refresh_token.map(|token| seal("refresh", token)).transpose()?,
        ))
    }

    /// Ends a session because its person logs out, and revokes its refresh token in the background. The answer is its ID token,
    /// which a logout at the provider takes as a hint.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] without an answer from the database.
    #[tracing::instrument(name = "domain.session.log_out", skip_all)]
    pub async fn log_out(&self, id: &SessionId, origin: &Origin) -> Result<Option<String>, Error> {
        let ended = self.delete(id, origin, Event::Logout, json!({})).await?;
        Ok(ended.and_then(|ended| self.give_up(id, ended)))
    }

    /// Ends the session that a browser had before a login, which may have been planted there.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] without an answer from the database.
    #[tracing::instrument(name = "domain.session.replace", skip_all)]
    pub async fn replace(&self, id: &SessionId, origin: &Origin) -> Result<(), Error> {
        let details = json!({"reason": "another login in the same browser"});
        if let Some(ended) = self.delete(id, origin, Event::SessionEnded, details).await? {
            self.give_up(id, ended);
        }
        Ok(())
    }

    /// Deletes a session and records it. Who is not known yet is its person.
    async fn delete(
        &self,
        id: &SessionId,
        origin: &Origin,
        event: Event,
        details: Value,
    ) -> Result<Option<EndedSession>, Error> {
        settle(|| self.try_to_delete(id, origin, event, &details)).await
    }

    async fn try_to_delete(
        &self,
        id: &SessionId,
        origin: &Origin,
        event: Event,
        details: &Value,
    ) -> Result<Option<EndedSession>, Error> {
        let mut db = self.pool.get().await?;
        let transaction = store::begin(&mut db).await?;
        let ended = sessions::end(&transaction, &id.hash()).await?;
        if let Some(ended) = &ended {
            let entry = AuditEntry::done(event, &ended.identity.subject, details.clone());
            let origin = match origin.actor {
                Actor::Anonymous => &origin.by(Actor::person(&ended.identity)),
                _ => origin,
            };
            audit::insert(&transaction, origin, &entry).await?;
        }
        store::commit(transaction).await?;
        Ok(ended)
    }

    /// Revokes the refresh token in the background and returns the ID token.
    fn give_up(&self, id: &SessionId, ended: EndedSession) -> Option<String> {
        let sealer = self.key.session_tokens(id);
        let open = |kind, sealed: &[u8]| {
            sealer.open(kind, sealed).and_then(|bytes| String::from_utf8(bytes).ok())
        };
        let refresh_token = ended.refresh_token_sealed.and_then(|sealed| open("refresh", &sealed));
        if let Some(token) = refresh_token {
            let provider = Arc::clone(&self.provider);
            self.tasks.spawn(async move { provider.revoke(token).await });
        }
        open("id", &ended.id_token_sealed)
    }
}

/// The sessions of a person, the newest first, and which of them has `current` as its id.
///
/// # Errors
///
/// [`Error::Store`] without an answer from the database.
pub async fn list(
    pool: &Pool,
    of: &Identity,
    current: Option<&SessionId>,
    idle: Duration,
) -> Result<Vec<(SessionSummary, bool)>, Error> {
    let hash = current.map(SessionId::hash);
    Ok(sessions::list(&pool.get().await?, of, hash.as_ref(), idle).await?)
}

/// Ends one session of a person, by the id that [`list`] shows.
///
/// # Errors
///
/// [`Error::NotFound`] when the person has no such session, [`Error::Store`] without an answer from the database.
#[tracing::instrument(name = "domain.session.end_one", skip_all)]
pub async fn end_one(pool: &Pool, of: &Identity, id: Uuid, origin: &Origin) -> Result<(), Error> {
    let ended = settle(|| try_to_end_one(pool, of, id, origin)).await;
    domain::audit::refusals(pool, origin, Event::SessionEnded, &of.subject, ended).await
}

async fn try_to_end_one(
    pool: &Pool,
    of: &Identity,
    id: Uuid,
    origin: &Origin,
) -> Result<(), Error> {
    let mut db = pool.get().await?;
    let transaction = store::begin(&mut db).await?;
    if !sessions::end_one(&transaction, of, id).await? {
        return Err(Error::NotFound("session not found".into()));
    }
    let details = json!({"session": id.to_string()});
    let entry = AuditEntry::done(Event::SessionEnded, &of.subject, details);
    audit::insert(&transaction, origin, &entry).await?;
    store::commit(transaction).await?;
    Ok(())
}

/// Ends all sessions of a person on all units; the answer is how many there were.
///
/// # Errors
///
/// [`Error::Store`] without an answer from the database.
#[tracing::instrument(name = "domain.session.end_all", skip_all)]
pub async fn end_all(pool: &Pool, of: &Identity, origin: &Origin) -> Result<u64, Error> {
    settle(|| try_to_end_all(pool, of, origin)).await
}

async fn try_to_end_all(pool: &Pool, of: &Identity, origin: &Origin) -> Result<u64, Error> {
    let mut db = pool.get().await?;
    let transaction = store::begin(&mut db).await?;
    let ended = sessions::end_all(&transaction, of).await?;
    let entry = AuditEntry::done(Event::SessionEnded, &of.subject, json!({"ended": ended}));
    audit::insert(&transaction, origin, &entry).await?;
    store::commit(transaction).await?;
    Ok(ended)
}

/// Ends the sessions that the identity provider says have ended there, on all units; the answer is their hashes. `None`: it has said
/// so before.
///
/// # Errors
///
/// [`Error::Store`] without an answer from the database.
#[tracing::instrument(name = "domain.session.end_at_provider", skip_all)]
pub async fn end_at_provider(
    pool: &Pool,
    logout: &ProviderLogout,
    origin: &Origin,
) -> Result<Option<Vec<[u8; 32]>>, Error> {
    settle(|| try_to_end_at_provider(pool, logout, origin)).await
}

async fn try_to_end_at_provider(
    pool: &Pool,
    logout: &ProviderLogout,
    origin: &Origin,
) -> Result<Option<Vec<[u8; 32]>>, Error> {
    let mut db = pool.get().await?;
    let transaction = store::begin(&mut db).await?;
    if !sessions::note_logout(&transaction, logout).await? {
        return Ok(None);
    }
    let ended = sessions::end_at_provider(&transaction, logout).await?;
    if let Some((subject, _)) = ended.first() {
        let details =
            json!({"reason": "logged out at the identity provider", "ended": ended.len()});
        let entry = AuditEntry::done(Event::SessionEnded, subject, details);
        audit::insert(&transaction, &origin.by(Actor::System), &entry).await?;
    }
    store::commit(transaction).await?;
    Ok(Some(ended.into_iter().map(|(_, hash)| hash).collect()))
}

/// Everybody who has logged in, the last one first, at most 1,000.
///
/// # Errors
///
/// [`Error::Store`] without an answer from the database.
pub async fn identities(pool: &Pool, idle: Duration) -> Result<Vec<KnownIdentity>, Error> {
    Ok(sessions::identities(&pool.get().await?, idle).await?)
}

/// The person with this id.
///
/// # Errors
///
/// [`Error::NotFound`] when there is none, [`Error::Store`] without an answer from the database.
pub async fn identity(pool: &Pool, id: i64) -> Result<Identity, Error> {
    let found = sessions::identity(&pool.get().await?, id).await?;
    found.ok_or_else(|| Error::NotFound("identity not found".into()))
}
