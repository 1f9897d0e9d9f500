//! Access tokens of operators, which go to clusters through tunnels where the settings say so.

use secrecy::{ExposeSecret, SecretString};

use crate::domain::Error;
use crate::model::SessionId;
use crate::seal::MasterKey;
use crate::store::{Pool, access_tokens};

/// The purpose that a sealed token is bound to.
const KIND: &str = "access";

/// Keeps the access token of a session, sealed as its other tokens are. Whoever gets a newer one calls it again.
///
/// # Errors
///
/// [`Error::Store`] without an answer from the database, [`Error::Defect`] when sealing fails.
pub async fn keep(
    pool: &Pool,
    key: &MasterKey,
    id: &SessionId,
    token: &SecretString,
) -> Result<(), Error> {
    let sealed = key.session_tokens(id).seal(KIND, token.expose_secret().as_bytes());
    let sealed = sealed.ok_or(Error::Defect("a token could not be sealed"))?;
    Ok(access_tokens::keep(&pool.get().await?, &id.hash(), &sealed).await?)
}

/// The access token of a session; `None` when none was kept.
///
/// # Errors
///
/// [`Error::Store`] without an answer from the database.
pub async fn find(
    pool: &Pool,
    key: &MasterKey,
    id: &SessionId,
) -> Result<Option<SecretString>, Error> {
    let sealed = access_tokens::find(&pool.get().await?, &id.hash()).await?;
    let opened = sealed.and_then(|sealed| key.session_tokens(id).open(KIND, &sealed));
    Ok(opened.and_then(|bytes| String::from_utf8(bytes).ok()).map(SecretString::from))
}
