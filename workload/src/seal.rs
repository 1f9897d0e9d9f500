//! Sealing: what leaves the process encrypted and comes back, under keys derived from one master key.
//!
//! AES-256-GCM with a random 96-bit nonce (NIST SP 800-38D); keys by HKDF-SHA-256 (RFC 5869) with one label per purpose.
//! The master key has nothing to do with TLS: a renewed certificate logs nobody out.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox, SecretString};
use uuid::Uuid;

use crate::model::SessionId;

/// The labels: each purpose has keys of its own.
const LABEL_LOGIN_ATTEMPT: &str = "microcloud-cluster-manager login-attempt v1";
const LABEL_SESSION_TOKENS: &str = "microcloud-cluster-manager session-tokens v1";
const LABEL_JOIN_SECRETS: &str = "microcloud-cluster-manager join-secrets v1";
const LABEL_UNIT_IDENTITY: &str = "microcloud-cluster-manager inter-unit identity v1";
const LABEL_UNIT_ADDRESSES: &str = "microcloud-cluster-manager inter-unit addresses v1";
const LABEL_KEY_ID: &str = "microcloud-cluster-manager key-id v1";

/// 32 random bytes that all units of a deployment share, and those that they shared before. What the old key sealed still opens;
/// nothing new is sealed with it.
#[derive(Debug)]
pub struct MasterKey {
    current: SecretBox<[u8; 32]>,
    previous: Option<SecretBox<[u8; 32]>>,
}

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The file cannot be read or made.
    #[error("the master key file cannot be used")]
    Io(#[from] std::io::Error),
    /// The file has another content.
    #[error("the master key file must hold 64 hexadecimal digits")]
    Malformed,
    /// No randomness.
    #[error("the random generator failed")]
    Random,
}

impl MasterKey {
    /// Reads the key from a file with 64 hexadecimal digits.
    ///
    /// # Errors
    ///
    /// [`MasterKeyError`], never with the content.
    pub fn read(path: &Path) -> Result<Self, MasterKeyError> {
        let text = SecretString::from(std::fs::read_to_string(path)?);
        let mut bytes = [0_u8; 32];
        hex::decode_to_slice(text.expose_secret().trim(), &mut bytes)
            .map_err(|_| MasterKeyError::Malformed)?;
        Ok(Self { current: SecretBox::new(Box::new(bytes)), previous: None })
    }

    /// The same key, which also opens what `previous` sealed: for a change of keys that logs nobody out.
    #[must_use]
    pub fn with_previous(self, previous: Self) -> Self {
        Self { previous: Some(previous.current), ..self }
    }

    /// Reads the key, or makes it when there is none yet. Processes that start together end up with the same key.
    ///
    /// # Errors
    ///
    /// [`MasterKeyError`], never with the content.
    pub fn read_or_create(path: &Path) -> Result<Self, MasterKeyError> {
        if !path.exists() {
            let mut bytes = [0_u8; 32];
            SystemRandom::new().fill(&mut bytes).map_err(|_| MasterKeyError::Random)?;
            let text = SecretString::from(hex::encode(bytes));
            crate::files::create_once(path, |file| {
                file.write_all(text.expose_secret().as_bytes())
            })?;
        }
        Self::read(path)
    }

    /// Tells whether two keys are the same, and nothing else about them: 16 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> String {
        id(&self.current)
    }

    /// The same for the key before, if there is one.
    #[must_use]
    pub fn previous_id(&self) -> Option<String> {
        self.previous.as_ref().map(id)
    }

    /// Seals the state of a login that is under way.
    #[must_use]
    pub fn login_attempts(&self) -> Sealer {
        self.sealer(&[], &[], LABEL_LOGIN_ATTEMPT)
    }

    /// Seals the secrets of pending join tokens; the kind is the token's id.
    #[must_use]
    pub fn join_secrets(&self) -> Sealer {
        self.sealer(&[], &[], LABEL_JOIN_SECRETS)
    }

    /// Seals the tokens of one session. Without the session's id, which only the cookie has, nothing opens.
    #[must_use]
    pub fn session_tokens(&self, id: &SessionId) -> Sealer {
        self.sealer(id.secret_bytes(), &id.hash(), LABEL_SESSION_TOKENS)
    }

    /// The seed of the key pair by which units of one deployment know each other. `None` when the derivation fails.
    #[must_use]
    pub fn unit_identity_seed(&self) -> Option<SecretBox<[u8; 32]>> {
        self.derive(LABEL_UNIT_IDENTITY)
    }

    /// What vouches for the addresses that units write into the database. `None` when the derivation fails.
    #[must_use]
    pub fn unit_addresses(&self) -> Option<UnitAddresses> {
        let key = self.derive(LABEL_UNIT_ADDRESSES)?;
        Some(UnitAddresses(hmac::Key::new(hmac::HMAC_SHA256, key.expose_secret())))
    }

    fn derive(&self, label: &str) -> Option<SecretBox<[u8; 32]>> {
        let mut key = SecretBox::new(Box::new([0_u8; 32]));
        Salt::new(HKDF_SHA256, &[])
            .extract(self.current.expose_secret())
            .expand(&[label.as_bytes()], HKDF_SHA256)
            .and_then(|okm| okm.fill(key.expose_secret_mut()))
            .ok()?;
        Some(key)
    }

    fn sealer(&self, more_key: &[u8], salt: &[u8], label: &str) -> Sealer {
        let derive = |master: &SecretBox<[u8; 32]>| {
            let input = SecretBox::new(Box::new([master.expose_secret(), more_key].concat()));
            let mut key = [0_u8; 32];
            let derived = Salt::new(HKDF_SHA256, salt)
                .extract(input.expose_secret())
                .expand(&[label.as_bytes()], &AES_256_GCM)
                .and_then(|okm| okm.fill(&mut key));
            derived.and_then(|()| RandomizedNonceKey::new(&AES_256_GCM, &key)).ok()
        };
        Sealer {
            key: derive(&self.current),
            previous: self.previous.as_ref().and_then(derive),
            context: hex::encode(salt),
        }
    }
}

fn id(key: &SecretBox<[u8; 32]>) -> String {
    let mut id = [0_u8; 32];
    let derived = Salt::new(HKDF_SHA256, &[])
        .extract(key.expose_secret())
        .expand(&[LABEL_KEY_ID.as_bytes()], &AES_256_GCM)
        .and_then(|okm| okm.fill(&mut id));
    derived.map_or_else(|_| String::new(), |()| hex::encode(id.get(..8).unwrap_or_default()))
}

/// Vouches for where units can be reached (HMAC-SHA-256, FIPS 198-1): who can only write to the database cannot make a unit
/// connect to an address of their choice.
#[derive(Debug, Clone)]
pub struct UnitAddresses(hmac::Key);

impl UnitAddresses {
    /// The proof for a unit's address.
    #[must_use]
    pub fn proof(&self, unit: Uuid, address: SocketAddr) -> Vec<u8> {
        hmac::sign(&self.0, message(unit, address).as_bytes()).as_ref().to_vec()
    }

    /// The address, if it is a literal one and a unit of this deployment wrote it; compared in constant time.
    #[must_use]
    pub fn open(&self, unit: Uuid, address: &str, proof: &[u8]) -> Option<SocketAddr> {
        let address: SocketAddr = address.parse().ok()?;
        hmac::verify(&self.0, message(unit, address).as_bytes(), proof).ok()?;
        Some(address)
    }
}

fn message(unit: Uuid, address: SocketAddr) -> String {
    format!("{unit} {address}")
}

/// Seals and opens for one purpose.
pub struct Sealer {
    key: Option<RandomizedNonceKey>,
    previous: Option<RandomizedNonceKey>,
    context: String,
}

impl Sealer {
    /// Nonce, ciphertext and tag; `kind` must be the same when opening. `None` when the cipher or the generator fails.
    #[must_use]
    pub fn seal(&self, kind: &str, plain: &[u8]) -> Option<Vec<u8>> {
        let mut text = plain.to_vec();
        let nonce = self.key.as_ref()?.seal_in_place_append_tag(self.aad(kind), &mut text).ok()?;
        Some([nonce.as_ref().as_slice(), &text].concat())
    }

    /// The sealed bytes, or `None` when they were not sealed here for the same purpose and kind.
    #[must_use]
    pub fn open(&self, kind: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        self.key.iter().chain(&self.previous).find_map(|key| {
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let mut text = text.to_vec();
            let plain = key.open_in_place(nonce, self.aad(kind), &mut text).ok()?;
            Some(plain.to_vec())
        })
    }

    fn aad(&self, kind: &str) -> Aad<Vec<u8>> {
        Aad::from(format!("{}|{kind}|1", self.context).into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> MasterKey {
        MasterKey { current: SecretBox::new(Box::new([byte; 32])), previous: None }
    }

    #[test]
    fn sess_06_the_previous_master_key_opens_and_never_seals() {
        let id = SessionId::generate().unwrap();
        let old = key(1).session_tokens(&id).seal("id", b"token").unwrap();
        let attempt = key(1).login_attempts().seal("attempt", b"state").unwrap();
        let rotated = key(2).with_previous(key(1));
        assert_eq!(rotated.session_tokens(&id).open("id", &old).unwrap(), b"token");
        assert_eq!(rotated.login_attempts().open("attempt", &attempt).unwrap(), b"state");
        let new = rotated.session_tokens(&id).seal("id", b"token").unwrap();
        assert_eq!(key(2).session_tokens(&id).open("id", &new).unwrap(), b"token");
        assert_eq!(key(1).session_tokens(&id).open("id", &new), None);
        let twice = key(3).with_previous(key(2));
        assert_eq!(twice.session_tokens(&id).open("id", &old), None, "one predecessor, not two");
    }

    #[test]
    fn store_02_each_purpose_has_a_label_of_its_own_and_keys_are_derived_as_published() {
        let labels = [LABEL_LOGIN_ATTEMPT, LABEL_SESSION_TOKENS, LABEL_JOIN_SECRETS, LABEL_KEY_ID];
        let different: std::collections::BTreeSet<_> = labels.iter().collect();
        assert_eq!(different.len(), labels.len());
        // Computed with an independent implementation of RFC 5869.
        assert_eq!(key(1).id(), "65f8c31058916fb3");
        assert_ne!(key(1).id(), key(2).id());
        assert_eq!(key(1).previous_id(), None);
        assert_eq!(key(2).with_previous(key(1)).previous_id(), Some(key(1).id()));
        let master = key(1);
        let sealed = master.login_attempts().seal("kind", b"text").unwrap();
        assert_eq!(master.join_secrets().open("kind", &sealed), None, "keys differ by label alone");
    }

    #[test]
    fn store_01_only_the_same_key_session_and_kind_open_a_token() {
        let (master, id) = (key(1), SessionId::generate().unwrap());
        let sealed = master.session_tokens(&id).seal("id", b"token").unwrap();
        assert_eq!(master.session_tokens(&id).open("id", &sealed).unwrap(), b"token");
        assert_ne!(
            sealed,
            master.session_tokens(&id).seal("id", b"token").unwrap(),
            "a fresh nonce each time"
        );
        let other = SessionId::generate().unwrap();
        assert_eq!(master.session_tokens(&other).open("id", &sealed), None);
        assert_eq!(master.session_tokens(&id).open("refresh", &sealed), None);
        assert_eq!(key(2).session_tokens(&id).open("id", &sealed), None);
        assert_eq!(master.login_attempts().open("id", &sealed), None);
        for n in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[n] ^= 1;
            assert_eq!(master.session_tokens(&id).open("id", &changed), None, "byte {n}");
            assert_eq!(master.session_tokens(&id).open("id", &sealed[..n]), None, "cut at {n}");
        }
    }

    #[test]
    fn tun_13_only_the_address_that_a_unit_wrote_is_believed() {
        let (ours, unit) = (key(1).unit_addresses().unwrap(), Uuid::from_u128(7));
        let address = "10.1.2.3:9001".parse().unwrap();
        let proof = ours.proof(unit, address);
        assert_eq!(ours.open(unit, "10.1.2.3:9001", &proof), Some(address));
        for other in
            ["10.1.2.3:9002", "169.254.169.254:9001", "127.0.0.1:9001", "evil.example:9001", ""]
        {
            assert_eq!(ours.open(unit, other, &proof), None, "{other}");
        }
        assert_eq!(ours.open(Uuid::from_u128(8), "10.1.2.3:9001", &proof), None);
        assert_eq!(ours.open(unit, "10.1.2.3:9001", &proof[..31]), None);
        let theirs = key(2).unit_addresses().unwrap();
        assert_eq!(theirs.open(unit, "10.1.2.3:9001", &proof), None);
    }

    #[test]
    fn store_02_every_purpose_has_a_key_of_its_own() {
        let labels = [
            LABEL_LOGIN_ATTEMPT,
            LABEL_SESSION_TOKENS,
            LABEL_JOIN_SECRETS,
            LABEL_UNIT_IDENTITY,
            LABEL_UNIT_ADDRESSES,
        ];
        let keys: std::collections::HashSet<[u8; 32]> =
            labels.iter().map(|label| *key(1).derive(label).unwrap().expose_secret()).collect();
        assert_eq!(keys.len(), labels.len());
    }

    #[test]
    fn store_02_the_key_is_made_once_and_not_readable_by_others() {
        let dir = std::env::temp_dir().join(format!("mcm-master-key-{}", std::process::id()));
        let path = dir.join("master.key");
        let first = MasterKey::read_or_create(&path).unwrap();
        let second = MasterKey::read_or_create(&path).unwrap();
        assert_eq!(first.current.expose_secret(), second.current.expose_secret());
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap());
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(&path, "too short").unwrap();
        assert!(matches!(MasterKey::read(&path), Err(MasterKeyError::Malformed)));
        assert!(!format!("{first:?}").contains(&hex::encode(first.current.expose_secret())));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
