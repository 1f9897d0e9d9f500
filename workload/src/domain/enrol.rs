//! Enrolment: a cluster joins with a one-shot token.

use serde_json::json;
use uuid::Uuid;

use crate::domain::Error;
use crate::domain::audit::Sampler;
use crate::domain::conflicts::settle;
use crate::domain::error::FORBIDDEN;
use crate::model::{
    Actor, AuditEntry, ClusterCertificate, Event, Fingerprint, JoinSecret, JoinSignature,
    JoinTokenText, Origin, TokenHash,
};
use crate::seal::{MasterKey, Sealer};
use crate::store::clusters::Enrolled;
use crate::store::join_tokens::TokenKey;
use crate::store::{self, Pool, audit, clusters, join_tokens};

/// What a cluster sends to join, with the certificate that it presented in the TLS handshake.
pub struct JoinRequest {
    /// The name in the request.
    pub cluster_name: String,
    /// The certificate in the request.
    pub certificate: ClusterCertificate,
    /// The token, if there is one.
    pub token: Option<JoinTokenText>,
    /// The signature, if there is one.
    pub signature: Option<JoinSignature>,
    /// Whose private key the TLS handshake proved.
    pub presented: Option<Fingerprint>,
}

const CERTIFICATE_TAKEN: Error =
    Error::Conflict("this certificate is already enrolled under another name");

/// Enrols a cluster, or gives an enrolled one another certificate when the token is for that, once: in one transaction the token, the signature, or
/// both are checked, the token is consumed and the cluster inserted or changed. Repeating a join with the same token and certificate succeeds until the token's life is over, so that a lost answer does no harm.
///
/// # Errors
///
/// [`Error::Forbidden`], the same for every request without the right token, also when the certificate is not the one of the
/// handshake; with the right token it may say that the token has expired. [`Error::Conflict`] when the name or the
/// certificate is enrolled: the token stays usable. [`Error::Store`] without an answer from the database.
#[tracing::instrument(name = "domain.enrol.join", skip_all)]
pub async fn join(
    pool: &Pool,
    key: &MasterKey,
    request: &JoinRequest,
    origin: &Origin,
) -> Result<(), Error> {
    let fingerprint = request.certificate.fingerprint();
    if request.presented != Some(fingerprint) {
        return Err(FORBIDDEN);
    }
    if request.token.is_none() && request.signature.is_none() {
        return Err(FORBIDDEN);
    }
    let proof = Proof::new(request, key);
    settle(|| try_to_join(pool, &proof, request, fingerprint, origin)).await
}

async fn try_to_join(
    pool: &Pool,
    proof: &Proof<'_>,
    request: &JoinRequest,
    fingerprint: Fingerprint,
    origin: &Origin,
) -> Result<(), Error> {
    let mut db = pool.get().await?;
    let transaction = store::begin(&mut db).await?;
    let keys = join_tokens::of_cluster(&transaction, &request.cluster_name, fingerprint).await?;
    let Some(id) = proof.of_one(&keys) else { return Err(FORBIDDEN) };
    // From here on the caller knows the secret. The row is read again under its lock: of racing joins one goes first.
    let locked = join_tokens::lock(&transaction, id).await?;
    let Some(row) = locked.filter(|row| proof.of(&row.key)) else {
        return Err(FORBIDDEN);
    };
    if row.expired {
        return Err(Error::Forbidden("tokenFromDb has expired"));
    }
    if let Some(consumed_by) = row.consumed_by {
        let repeated = consumed_by == fingerprint
            && clusters::is_enrolled(&transaction, &request.cluster_name, fingerprint).await?;
        return if repeated { Ok(()) } else { Err(FORBIDDEN) };
    }
    let (token, new) = (id.to_string(), fingerprint.to_string());
    let (event, details) = if let Some(cluster_id) = row.replaces {
        let certificate = &request.certificate;
        let old = clusters::replace_certificate(&transaction, cluster_id, certificate).await?;
        let old = old.ok_or(CERTIFICATE_TAKEN)?.to_string();
        (Event::CertificateReplaced, json!({"token": token, "old": old, "new": new}))
    } else {
        let (name, description) = (&request.cluster_name, &row.description);
        match clusters::insert(&transaction, name, description, &request.certificate).await? {
            Enrolled::Now => {}
            Enrolled::NameTaken => {
                return Err(Error::Conflict("a cluster with this name is already enrolled"));
            }
            Enrolled::CertificateTaken => return Err(CERTIFICATE_TAKEN),
        }
        (Event::ClusterJoined, json!({"token": token, "fingerprint": new}))
    };
    join_tokens::consume(&transaction, id, fingerprint).await?;
    let actor = Actor::Cluster { fingerprint, name: request.cluster_name.clone() };
    let entry = AuditEntry::done(event, &request.cluster_name, details);
    audit::insert(&transaction, &origin.by(actor), &entry).await?;
    store::commit(transaction).await?;
    tracing::info!(
        cluster.name = request.cluster_name,
        cluster.fingerprint = %fingerprint,
        token.id = %id,
        replaced = row.replaces.is_some(),
        "enrolled cluster {}",
        request.cluster_name
    );
    Ok(())
}

/// Records a join that was refused, where `sampler` sees fit. The name is what the caller said: it need not exist.
pub async fn note_refusal(
    pool: &Pool,
    sampler: &Sampler,
    request: &JoinRequest,
    error: &Error,
    origin: &Origin,
) {
    let reason = match error {
        Error::Forbidden(reason) | Error::Conflict(reason) => *reason,
        _ => return,
    };
    let actor = match request.presented {
        Some(fingerprint) => Actor::Cluster { fingerprint, name: String::new() },
        None => Actor::Anonymous,
    };
    let object: String = request.cluster_name.chars().take(63).collect();
    let entry = AuditEntry::refused(Event::ClusterJoined, &object, json!({"reason": reason}));
    sampler.note(pool, &origin.by(actor), entry).await;
}

/// What a caller brings to show that it knows a token: the token, a signature made with the token's secret, or both.
struct Proof<'a> {
    hash: Option<TokenHash>,
    signature: Option<&'a JoinSignature>,
    secrets: Sealer,
    strange: TokenKey,
}

/// How many tokens every join is checked against: more than one name has that are pending or were used by the caller. Where there
/// are fewer, one that nobody has takes their place.
const CHECKS: usize = 4;

impl<'a> Proof<'a> {
    fn new(request: &'a JoinRequest, key: &MasterKey) -> Self {
        let secrets = key.join_secrets();
        Self {
            hash: request.token.as_ref().map(JoinTokenText::hash),
            signature: request.signature.as_ref(),
            strange: strange(&secrets),
            secrets,
        }
    }

    /// The token that everything that was brought is right for. The work is the same whether there is such a token or any at all:
    /// time must not tell.
    fn of_one(&self, keys: &[TokenKey]) -> Option<Uuid> {
        one_of(keys, &self.strange, |key| self.of(key))
    }

    /// Whether everything that was brought is right for this token.
    fn of(&self, key: &TokenKey) -> bool {
        let hash_is_right = self.hash.is_none_or(|hash| key.hash.matches(&hash));
        let signature_is_right = self.signature.is_none_or(|signature| {
            let sealed = key.secret_sealed.as_deref().unwrap_or_default();
            let opened = self.secrets.open(&key.id.to_string(), sealed);
            let known = opened.is_some();
            let secret = opened.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
            signature.verifies(&JoinSecret::opened(secret)) && known
        });
        hash_is_right && signature_is_right
    }
}

/// A token that nobody has.
fn strange(secrets: &Sealer) -> TokenKey {
    let id = Uuid::nil();
    // As long as a secret is, so that it is opened and used like one.
    let secret_sealed = secrets.seal(&id.to_string(), &[b'0'; 64]);
    TokenKey { id, hash: TokenHash::DUMMY, secret_sealed }
}

fn one_of(
    keys: &[TokenKey],
    strange: &TokenKey,
    is_right: impl Fn(&TokenKey) -> bool,
) -> Option<Uuid> {
    let mut found = None;
    for key in keys {
        if is_right(key) {
            found = Some(key.id);
        }
    }
    for _ in keys.len()..CHECKS {
        std::hint::black_box(is_right(strange)); // never the one that is meant
    }
    found
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn join_03_the_number_of_checks_depends_on_nothing() {
        let key =
            |n| TokenKey { id: Uuid::from_u128(n), hash: TokenHash::DUMMY, secret_sealed: None };
        let strange = key(0);
        for keys in [vec![], vec![key(1)], vec![key(1), key(2)], vec![key(1), key(2), key(3)]] {
            for right in 0..=4 {
                let checks = Cell::new(0);
                let found = one_of(&keys, &strange, |key| {
                    checks.set(checks.get() + 1);
                    key.id.as_u128() == right
                });
                let expected = keys.iter().find(|key| key.id.as_u128() == right).map(|key| key.id);
                assert_eq!((found, checks.get()), (expected, CHECKS));
            }
        }
    }

    #[test]
    fn join_03_where_there_is_no_token_a_secret_of_the_usual_length_is_opened() {
        let directory = tempfile::tempdir().unwrap();
        let key = MasterKey::read_or_create(&directory.path().join("key")).unwrap();
        let secrets = key.join_secrets();
        let sealed = secrets.seal("a real one", &[b'f'; 64]).unwrap();
        let strange = strange(&secrets);
        assert_eq!(strange.secret_sealed.as_ref().unwrap().len(), sealed.len());
        let opened = secrets.open(&strange.id.to_string(), &strange.secret_sealed.unwrap());
        assert_eq!(opened.unwrap().len(), 64);
    }
}
