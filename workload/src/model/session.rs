use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretBox};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

/// The 256-bit id of a session, as the cookie carries it. The database knows only its hash.
pub struct SessionId(SecretBox<[u8; 32]>);

impl SessionId {
    /// Draws a new id; `None` when the system's random generator fails.
    #[must_use]
    pub fn generate() -> Option<Self> {
        let mut bytes = [0_u8; 32];
        SystemRandom::new().fill(&mut bytes).ok()?;
        Some(Self(SecretBox::new(Box::new(bytes))))
    }

    /// The id in a cookie's value; `None` unless it is exactly what [`cookie_value`](Self::cookie_value) writes.
    #[must_use]
    pub fn parse(cookie_value: &str) -> Option<Self> {
        let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(cookie_value).ok()?.try_into().ok()?;
        Some(Self(SecretBox::new(Box::new(bytes))))
    }

    /// The id as 43 characters of base64url.
    #[must_use]
    pub fn cookie_value(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.expose_secret())
    }

    /// The id's 32 bytes, for deriving the key that seals the session's tokens.
    #[must_use]
    pub fn secret_bytes(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }

    /// SHA-256 of the id: the key of the session's row.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.expose_secret()).into()
    }
}

/// A person whom the identity provider vouched for (OpenID Connect Core 1.0, section 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The provider.
    pub issuer: String,
    /// The person's identifier at the provider.
    pub subject: String,
    /// Display name; may be empty.
    pub name: String,
    /// E-mail address; may be empty.
    pub email: String,
}

/// What the identity provider says when a session there has ended (OpenID Connect Back-Channel Logout 1.0, section 2.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderLogout {
    /// The provider.
    pub issuer: String,
    /// The identifier of what it says; it says each thing once.
    pub id: String,
    /// Whose sessions ended; absent where `session` alone tells.
    pub subject: Option<String>,
    /// Which session at the provider ended; absent where all of the person did.
    pub session: Option<String>,
}

/// The person behind a request, with the groups that decide what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Whom the provider vouched for. The name is the subject when the provider gave none.
    pub identity: Identity,
    /// Groups as the provider lists them.
    pub groups: Vec<String>,
}

impl Operator {
    /// The person with these groups.
    #[must_use]
    pub fn new(mut identity: Identity, groups: Vec<String>) -> Self {
        if identity.name.is_empty() {
            identity.name.clone_from(&identity.subject);
        }
        Self { identity, groups }
    }
}

/// Where a login came from, for telling one's sessions apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Device {
    /// Address of the connection's other end; behind a balancer without the PROXY protocol that is the balancer's.
    pub source: String,
    /// What the browser says it is; at most 256 characters are kept.
    pub user_agent: String,
}

/// A session as a person sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSummary {
    /// Names the session; it opens nothing.
    pub id: Uuid,
    /// When and where it began.
    pub created_at: OffsetDateTime,
    /// Where it began.
    pub device: Device,
    /// Last use, to the minute.
    pub last_used_at: OffsetDateTime,
    /// When the identity provider last vouched for the person.
    pub verified_at: OffsetDateTime,
    /// When it ends at the latest.
    pub expires_at: OffsetDateTime,
}

/// A person who logged in once, as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownIdentity {
    /// Names the person here.
    pub id: i64,
    /// The person.
    pub identity: Identity,
    /// First login.
    pub created_at: OffsetDateTime,
    /// Last login or verification.
    pub last_seen: OffsetDateTime,
    /// Sessions that are alive.
    pub sessions: i64,
}
