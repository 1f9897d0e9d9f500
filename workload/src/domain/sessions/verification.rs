//! Keeping sessions verified: the identity provider is asked by one request of all units, and its bad moments log nobody out.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::json;
use tokio::time::Instant;

use super::{IdentityProvider, Login, RefreshError, Sessions};
use crate::domain::Error;
use crate::error_chain::Chain;
use crate::model::{Event, Operator, Origin, SessionId};
use crate::store::session_verification::{self as verification, Lease};
use crate::store::sessions::{self, Ages, FoundSession, Verification};

/// Longest use of a session without asking the identity provider again.
const VERIFIED_FOR: Duration = Duration::from_mins(15);
/// Least time between two verifications of a session, however often a cluster refuses its access token.
const RENEWED_FOR: Duration = Duration::from_mins(1);
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

impl<P: IdentityProvider> Sessions<P> {
    /// The person behind a session, unless it ended. When the identity provider was last asked more than 15 minutes ago it is asked
    /// now, by one request of all units; the others wait for the outcome. While it does not answer, the session goes on as it was
    /// for up to an hour.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] without an answer from the database, [`Error::Unavailable`] when the provider has been away for too long.
    pub async fn find(&self, id: &Arc<SessionId>) -> Result<Option<Operator>, Error> {
        self.verified_within(id, VERIFIED_FOR).await
    }

    /// Asks the identity provider for fresh tokens of a session, although it was verified a short while ago: the access token may
    /// have expired before its session. Within a minute of the last time, and without a refresh token, nothing happens.
    ///
    /// # Errors
    ///
    /// As [`Self::find`].
    pub async fn renew(&self, id: &Arc<SessionId>) -> Result<(), Error> {
        if verification::can_be_renewed(&self.pool.get().await?, &id.hash()).await? {
            self.verified_within(id, RENEWED_FOR).await?;
        }
        Ok(())
    }

    async fn verified_within(
        &self,
        id: &Arc<SessionId>,
        age: Duration,
    ) -> Result<Option<Operator>, Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = PAUSES.0;
        loop {
            let Some(found) = self.look(id, age).await? else { return Ok(None) };
            match found.verification {
                Verification::Fresh => return Ok(Some(found.operator)),
                Verification::Postponed if found.tolerated => return Ok(Some(found.operator)),
                Verification::Postponed => return Err(PROVIDER_AWAY),
                Verification::Due => {
                    let this = self.clone();
                    let id = Arc::clone(id);
                    let verified =
                        self.tasks.spawn(async move { this.verify(&id, found, age).await });
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

    async fn look(&self, id: &SessionId, age: Duration) -> Result<Option<FoundSession>, Error> {
        let ages = Ages { idle: self.idle, verified: age, tolerated: TOLERATED_FOR };
        Ok(sessions::find(&self.pool.get().await?, &id.hash(), &ages).await?)
    }

    /// Asks the provider, if nobody else does and it was last asked longer than `age` ago, and writes down what came of it. No
    /// connection to the database is held meanwhile.
    #[tracing::instrument(name = "domain.session.verify", skip_all)]
    async fn verify(
        &self,
        id: &SessionId,
        found: FoundSession,
        age: Duration,
    ) -> Result<(), Error> {
        let hash = id.hash();
        let claimed = verification::claim(&self.pool.get().await?, &hash, age).await?;
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
            None => Err(RefreshError::Ended("there is no refresh token that can be opened".into())),
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
                verification::postpone(&self.pool.get().await?, &hash, &lease, None).await?;
                Ok(())
            }
            Err(error @ RefreshError::Unchecked { .. }) => {
                tracing::warn!(error = %Chain(&error), subject, "a session could not be verified");
                let RefreshError::Unchecked { refresh_token, .. } = error else { return Ok(()) };
                let text = refresh_token.expose_secret().as_bytes();
                let sealed = self.key.session_tokens(id).seal("refresh", text);
                let db = self.pool.get().await?;
                verification::postpone(&db, &hash, &lease, sealed.as_deref()).await?;
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
                let transaction = crate::store::begin(&mut db).await?;
                let stored = verification::store(
                    &transaction,
                    &id.hash(),
                    lease,
                    &login.identity,
                    &login.groups,
                    &tokens,
                )
                .await?;
                crate::store::commit(transaction).await?;
                Ok::<bool, Error>(stored)
            };
            match stored.await {
                Ok(true) => return self.keep_access_token(id, &login).await,
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
}
