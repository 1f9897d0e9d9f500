//! Sessions of operators: begun by a login, verified with the identity provider every 15 minutes of use, ended by whoever may.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::domain::Error;
use crate::error_chain::Chain;
use crate::model::{
    Actor, AuditEntry, Device, Event, Identity, KnownIdentity, Operator, Origin, SessionId,
    SessionSummary,
};
use crate::seal::MasterKey;
use crate::store::session_verification::{self as verification, Lease};
use crate::store::sessions::{Ages, EndedSession, FoundSession, NewSession, Verification};
use crate::store::{Pool, audit, sessions};

/// Longest use of a session without asking the identity provider again.
const VERIFIED_FOR: Duration = Duration::from_mins(15);
/// Longest use of a session while the identity provider does not answer.
const TOLERATED_FOR: Duration = Duration::from_hours(1);
/// Longest wait for the provider, and then for a database that is away; together shorter than the lease.
const PROVIDER_TIME: Duration = Duration::from_secs(20);
const STORE_TIME: Duration = Duration::from_secs(8);
/// Longest wait for a verification that another request began.
const PATIENCE: Duration = Duration::from_secs(12);
/// Shortest and longest pause between two looks at whether that verification is over.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));

const PROVIDER_AWAY: Error =
    Error::Unavailable("the identity provider is not available, try again later");

/// What a login or a refresh at the identity provider yields.
pub struct Login {
    /// Who logged in.
    pub identity: Identity,
    /// Groups that the ID token lists.
    pub groups: Vec<String>,
    /// The ID token.
    pub id_token: String,
    /// The refresh token, if the provider gave one.
    pub refresh_token: Option<String>,
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

impl<P: IdentityProvider> Sessions<P> {
    /// Starts a session and returns its id for the cookie. The tokens are sealed with a key that the id is part of.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] without an answer from the database, [`Error::Defect`] when the system's random generator fails.
    #[tracing::instrument(name = "domain.session.start", skip_all)]
    pub async fn start(
        &self,
        login: &Login,
        device: &Device,
        origin: &Origin,
    ) -> Result<SessionId, Error> {
        let id = SessionId::generate().ok_or(Error::Defect("the random generator failed"))?;
        let (id_token_sealed, refresh_token_sealed) = self.seal(&id, login)?;
        let session = NewSession {
            id_hash: id.hash(),
            groups: &login.groups,
            id_token_sealed,
            refresh_token_sealed,
            lifetime: self.lifetime,
            device,
        };
        let mut db = self.pool.get().await?;
        let transaction = db.transaction().await?;
        sessions::insert(&transaction, &login.identity, &session).await?;
        let details = json!({"groups": login.groups, "user_agent": device.user_agent});
        let entry = AuditEntry::done(Event::Login, &login.identity.subject, details);
        audit::insert(&transaction, &origin.by(Actor::person(&login.identity)), &entry).await?;
        transaction.commit().await?;
        Ok(id)
    }

    /// The person behind a session, unless it ended. When the identity provider was last asked more than 15 minutes ago it is asked
    /// now, by one request of all units; the others wait for the outcome. While it does not answer, the session goes on as it was
    /// for up to an hour.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] without an answer from the database, [`Error::Unavailable`] when the provider has been away for too long.
    pub async fn find(&self, id: &Arc<SessionId>) -> Result<Option<Operator>, Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = PAUSES.0;
        loop {
            let Some(found) = self.look(id).await? else { return Ok(None) };
            match found.verification {
                Verification::Fresh => return Ok(Some(found.operator)),
                Verification::Postponed if found.tolerated => return Ok(Some(found.operator)),
                Verification::Postponed => return Err(PROVIDER_AWAY),
                Verification::Due => {
                    let this = self.clone();
                    let id = Arc::clone(id);
                    let verified = self.tasks.spawn(async move { this.verify(&id, found).await });
                    verified.await.map_err(|_| Error::Defect("a verification panicked"))??;
                }
                Verification::UnderWay if Instant::now() >= deadline => {
                    return if found.tolerated {
                        Ok(Some(found.operator))
                    } else {
                        Err(PROVIDER_AWAY)
                    };
                }
                Verification::UnderWay => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }

    async fn look(&self, id: &SessionId) -> Result<Option<FoundSession>, Error> {
        let ages = Ages { idle: self.idle, verified: VERIFIED_FOR, tolerated: TOLERATED_FOR };
        Ok(sessions::find(&self.pool.get().await?, &id.hash(), &ages).await?)
    }

    /// Asks the provider, if nobody else does, and writes down what came of it. No connection to the database is held meanwhile.
    #[tracing::instrument(name = "domain.session.verify", skip_all)]
    async fn verify(&self, id: &SessionId, found: FoundSession) -> Result<(), Error> {
        let hash = id.hash();
        let claimed = verification::claim(&self.pool.get().await?, &hash, VERIFIED_FOR).await?;
        let Some(lease) = claimed else { return Ok(()) };
        let sealed = lease.refresh_token_sealed.as_deref();
        let opened = sealed.and_then(|sealed| self.key.session_tokens(id).open("refresh", sealed));
        let subject = &found.operator.identity.subject;
        let answer = match opened.and_then(|bytes| String::from_utf8(bytes).ok()) {
            Some(token) => {
                let refresh = self.provider.refresh(&token, subject);
                let answer = tokio::time::timeout(PROVIDER_TIME, refresh).await;
                answer.unwrap_or_else(|elapsed| Err(RefreshError::Unavailable(elapsed.into())))
            }
            None => Err(RefreshError::Ended("there is no refresh token".into())),
        };
        match answer {
            Ok(login) => self.store_verified(id, &lease, login).await,
            Err(error @ RefreshError::Ended(_)) => {
                tracing::info!(error = %Chain(&error), subject, "a session ended: its person must log in again");
                let details = json!({"reason": "the identity provider refuses"});
                self.delete(id, &Origin::SYSTEM, Event::SessionEnded, details).await?;
                Ok(())
            }
            Err(error @ RefreshError::Unavailable(_)) => {
                tracing::warn!(error = %Chain(&error), subject, "a session could not be verified");
                verification::postpone(&self.pool.get().await?, &hash, &lease).await?;
                Ok(())
            }
        }
    }

    /// The provider may have forgotten the old refresh token by now: the new one is stored even if that takes several attempts.
    async fn store_verified(
        &self,
        id: &SessionId,
        lease: &Lease,
        mut login: Login,
    ) -> Result<(), Error> {
        let rotated = login.refresh_token.is_some();
        let (id_token, refresh_token) = self.seal(id, &login)?;
        login.refresh_token = None;
        let tokens = verification::Tokens {
            id_token_sealed: &id_token,
            refresh_token_sealed: if rotated {
                refresh_token.as_deref()
            } else {
                lease.refresh_token_sealed.as_deref()
            },
        };
        let deadline = Instant::now() + STORE_TIME;
        loop {
            let stored = async {
                let mut db = self.pool.get().await?;
                let transaction = db.transaction().await?;
                let stored = verification::store(
                    &transaction,
                    &id.hash(),
                    lease,
                    &login.identity,
                    &login.groups,
                    &tokens,
                )
                .await?;
                transaction.commit().await?;
                Ok::<bool, Error>(stored)
            };
            match stored.await {
                Ok(true) => return Ok(()),
                Ok(false) => {
                    tracing::debug!("a session ended while it was verified");
                    return Ok(());
                }
                Err(Error::Store(error)) if error.is_transient() && Instant::now() < deadline => {
                    tokio::time::sleep(PAUSES.1).await;
                }
                Err(error) => return Err(error),
            }
        }
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
        let mut db = self.pool.get().await?;
        let transaction = db.transaction().await?;
        let ended = sessions::end(&transaction, &id.hash()).await?;
        if let Some(ended) = &ended {
            let entry = AuditEntry::done(event, &ended.identity.subject, details);
            let origin = match origin.actor {
                Actor::Anonymous => &origin.by(Actor::person(&ended.identity)),
                _ => origin,
            };
            audit::insert(&transaction, origin, &entry).await?;
        }
        transaction.commit().await?;
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
    let mut db = pool.get().await?;
    let transaction = db.transaction().await?;
    if !sessions::end_one(&transaction, of, id).await? {
        return Err(Error::NotFound("session not found".into()));
    }
    let details = json!({"session": id.to_string()});
    let entry = AuditEntry::done(Event::SessionEnded, &of.subject, details);
    audit::insert(&transaction, origin, &entry).await?;
    transaction.commit().await?;
    Ok(())
}

/// Ends all sessions of a person on all units; the answer is how many there were.
///
/// # Errors
///
/// [`Error::Store`] without an answer from the database.
#[tracing::instrument(name = "domain.session.end_all", skip_all)]
pub async fn end_all(pool: &Pool, of: &Identity, origin: &Origin) -> Result<u64, Error> {
    let mut db = pool.get().await?;
    let transaction = db.transaction().await?;
    let ended = sessions::end_all(&transaction, of).await?;
    let entry = AuditEntry::done(Event::SessionEnded, &of.subject, json!({"ended": ended}));
    audit::insert(&transaction, origin, &entry).await?;
    transaction.commit().await?;
    Ok(ended)
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
