//! Sessions of operators.

use std::time::Duration;

use secrecy::SecretString;

use crate::domain::Error;
use crate::model::{Identity, Session, SessionId};
use crate::seal::MasterKey;
use crate::store::sessions::NewSession;
use crate::store::{Pool, sessions};

/// What a login at the identity provider yields.
pub struct Login {
    /// Who logged in.
    pub identity: Identity,
    /// Groups that the ID token lists.
    pub groups: Vec<String>,
    /// The ID token.
    pub id_token: String,
    /// The refresh token, if the provider gave one.
    pub refresh_token: Option<String>,
    /// The access token; kept only where it is forwarded to clusters.
    pub access_token: SecretString,
}

/// Starts a session and returns its id for the cookie. The tokens are sealed with a key that the id is part of.
///
/// # Errors
///
/// [`Error::Store`] without an answer from the database, [`Error::Defect`] when the system's random generator fails.
#[tracing::instrument(name = "domain.session.start", skip_all)]
pub async fn start(
    pool: &Pool,
    key: &MasterKey,
    login: &Login,
    lifetime: Duration,
) -> Result<SessionId, Error> {
    let id = SessionId::generate().ok_or(Error::Defect("the random generator failed"))?;
    let sealer = key.session_tokens(&id);
    let seal = |kind, token: &str| {
        sealer.seal(kind, token.as_bytes()).ok_or(Error::Defect("a token could not be sealed"))
    };
    let session = NewSession {
        id_hash: id.hash(),
        groups: &login.groups,
        id_token_sealed: seal("id", &login.id_token)?,
        refresh_token_sealed: login
            .refresh_token
            .as_deref()
            .map(|token| seal("refresh", token))
            .transpose()?,
        lifetime,
    };
    let mut db = pool.get().await?;
    let transaction = db.transaction().await?;
    sessions::insert(&transaction, &login.identity, &session).await?;
    transaction.commit().await?;
    Ok(id)
}

/// The session with this id, unless it ended.
///
/// # Errors
///
/// [`Error::Store`] without an answer from the database.
pub async fn find(pool: &Pool, id: &SessionId, idle: Duration) -> Result<Option<Session>, Error> {
    Ok(sessions::find(&pool.get().await?, &id.hash(), idle).await?)
}

/// Ends a session; the answer is its ID token, which a logout at the provider takes as a hint.
///
/// # Errors
///
/// [`Error::Store`] without an answer from the database.
pub async fn end(pool: &Pool, key: &MasterKey, id: &SessionId) -> Result<Option<String>, Error> {
    let sealed = sessions::end(&pool.get().await?, &id.hash()).await?;
    let opened = sealed.and_then(|sealed| key.session_tokens(id).open("id", &sealed));
    Ok(opened.and_then(|bytes| String::from_utf8(bytes).ok()))
}
