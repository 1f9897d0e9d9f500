//! Interface `postgresql_client`: a database, its user, and how to reach it.
//!
//! The requirer's leader writes [`DatabaseRequest`]. The provider answers in its application bag
//! with [`DatabaseAnswer`], key by key and over several hooks; user name, password and TLS material
//! come as Juju secrets, or as plain keys from providers without secret support.
//! [`DatabaseAnswer::connection`] puts the parts together once all are there.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::bag::{Bag, BagError, Databag, Reader, bag, boolean, boolean_text};
use crate::json;
use crate::secret::{SecretContent, SecretUri, value};

const INTERFACE: &str = "postgresql_client";

/// Port of an endpoint that names none.
pub const DEFAULT_PORT: u16 = 5432;

/// Requirer, application bag: which database, and which answers to deliver as secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseRequest {
    /// Name of the database, at most 49 characters.
    pub database: String,
    /// Fields that the provider is asked to put into secrets. It decides at the moment it sees
    /// `database`, so both keys must arrive in one write.
    pub requested_secrets: Vec<String>,
    /// Comma-separated extra roles; normally absent.
    pub extra_user_roles: Option<String>,
}

impl DatabaseRequest {
    /// A request for `database` with everything secret delivered as secrets, and no extra roles.
    #[must_use]
    pub fn new(database: &str) -> Self {
        let secrets = ["username", "password", "tls", "tls-ca", "uris", "read-only-uris"];
        Self {
            database: database.to_owned(),
            requested_secrets: secrets.map(str::to_owned).to_vec(),
            extra_user_roles: None,
        }
    }
}

impl Databag for DatabaseRequest {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &["database", "requested-secrets", "extra-user-roles"];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        Ok(Some(Self {
            database: bag.need("database", bag.string("database")?)?,
            requested_secrets: bag
                .json("requested-secrets", "a JSON list of strings")?
                .unwrap_or_default(),
            extra_user_roles: bag.string("extra-user-roles")?,
        }))
    }

    fn encode(&self) -> Bag {
        let secrets = &self.requested_secrets;
        bag([
            ("database", Some(self.database.clone())),
            ("requested-secrets", (!secrets.is_empty()).then(|| json::text(secrets))),
            ("extra-user-roles", self.extra_user_roles.clone()),
        ])
    }
}

/// Provider, application bag. Every field may still be on its way.
#[derive(Debug, Clone, Default)]
pub struct DatabaseAnswer {
    /// Secret with [`UserSecret`].
    pub secret_user: Option<SecretUri>,
    /// Secret with [`TlsSecret`].
    pub secret_tls: Option<SecretUri>,
    /// Secret with fields outside the two groups.
    pub secret_extra: Option<SecretUri>,
    /// Name of the database that was really created; it wins over the requested one.
    pub database: Option<String>,
    /// Where to connect for reading and writing, in order of preference.
    pub endpoints: Vec<HostPort>,
    /// Where to connect for reading only.
    pub read_only_endpoints: Vec<HostPort>,
    /// Version of the server, for example `14.15`.
    pub version: Option<String>,
    /// The provider is a subordinate charm: wait for [`DatabaseUnit::ready`] too.
    pub subordinated: bool,
    /// User name from a provider without secret support.
    pub username: Option<String>,
    /// Password from a provider without secret support.
    pub password: Option<SecretString>,
    /// Connection URIs with the password in them, not percent-encoded: not for parsing.
    pub uris: Option<SecretString>,
    /// Read-only counterpart of `uris`; version 16 writes the port twice.
    pub read_only_uris: Option<SecretString>,
    /// Whether the server speaks TLS, from a provider without secret support.
    pub tls: Option<bool>,
    /// CA bundle (PEM) of the server's certificate, from a provider without secret support.
    pub tls_ca: Option<String>,
}

impl Databag for DatabaseAnswer {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &[
        "secret-user",
        "secret-tls",
        "secret-extra",
        "database",
        "endpoints",
        "read-only-endpoints",
        "version",
        "subordinated",
        "username",
        "password",
        "uris",
        "read-only-uris",
        "tls",
        "tls-ca",
    ];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        let secret = |key| bag.parsed(key, "a secret URI", SecretUri::parse);
        let hosts = |key| {
            let list = bag.parsed(key, "a list of host:port", HostPort::parse_list)?;
            Ok::<_, BagError>(list.unwrap_or_default())
        };
        let hidden =
            |key| Ok::<_, BagError>(bag.text(key)?.map(|text| SecretString::from(text.to_owned())));
        Ok(Some(Self {
            secret_user: secret("secret-user")?,
            secret_tls: secret("secret-tls")?,
            secret_extra: secret("secret-extra")?,
            database: bag.string("database")?,
            endpoints: hosts("endpoints")?,
            read_only_endpoints: hosts("read-only-endpoints")?,
            version: bag.string("version")?,
            subordinated: bag.boolean("subordinated")?.unwrap_or(false),
            username: bag.string("username")?,
            password: hidden("password")?,
            uris: hidden("uris")?,
            read_only_uris: hidden("read-only-uris")?,
            tls: bag.boolean("tls")?,
            tls_ca: bag.string("tls-ca")?,
        }))
    }

    fn encode(&self) -> Bag {
        let uri = |uri: &Option<SecretUri>| uri.as_ref().map(SecretUri::to_string);
        let shown = |s: &Option<SecretString>| s.as_ref().map(|s| s.expose_secret().to_owned());
        bag([
            ("secret-user", uri(&self.secret_user)),
            ("secret-tls", uri(&self.secret_tls)),
            ("secret-extra", uri(&self.secret_extra)),
            ("database", self.database.clone()),
            ("endpoints", Some(HostPort::list_text(&self.endpoints))),
            ("read-only-endpoints", Some(HostPort::list_text(&self.read_only_endpoints))),
            ("version", self.version.clone()),
            ("subordinated", self.subordinated.then(|| "true".to_owned())),
            ("username", self.username.clone()),
            ("password", shown(&self.password)),
            ("uris", shown(&self.uris)),
            ("read-only-uris", shown(&self.read_only_uris)),
            ("tls", self.tls.map(boolean_text)),
            ("tls-ca", self.tls_ca.clone()),
        ])
    }
}

impl DatabaseAnswer {
    /// The provider has told where the database is and who may log in: reading the secrets and
    /// [`Self::connection`] can follow.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        let login =
            self.secret_user.is_some() || (self.username.is_some() && self.password.is_some());
        !self.endpoints.is_empty() && self.database.is_some() && login
    }

    /// Puts bag and secrets together. Values from secrets win over plain keys; `requested` is the
    /// database to assume as long as the provider names none.
    ///
    /// # Errors
    ///
    /// [`NotReady`] names the part that the provider has not delivered yet.
    pub fn connection(
        &self,
        user: Option<&UserSecret>,
        tls: Option<&TlsSecret>,
        requested: &str,
    ) -> Result<Connection, NotReady> {
        if self.endpoints.is_empty() {
            return Err(NotReady("endpoints"));
        }
        let username = user.map(|u| &u.username).or(self.username.as_ref());
        let password = user.map(|u| &u.password).or(self.password.as_ref());
        let tls_on = match tls {
            Some(secret) => secret.tls,
            // The secret was announced but could not be read: whether TLS is on is unknown, and
            // "off" would be a guess that sends the password in clear.
            None if self.secret_tls.is_some() => return Err(NotReady("TLS secret")),
            None => self.tls.unwrap_or(false),
        };
        let ca = tls.and_then(|secret| secret.ca.clone()).or_else(|| self.tls_ca.clone());
        Ok(Connection {
            hosts: self.endpoints.clone(),
            database: self.database.clone().unwrap_or_else(|| requested.to_owned()),
            username: username.ok_or(NotReady("user name"))?.clone(),
            password: password.ok_or(NotReady("password"))?.clone(),
            tls: match (tls_on, ca) {
                (false, _) => Tls::Off,
                (true, Some(bundle)) => Tls::VerifyAgainst(bundle),
                (true, None) => Tls::VerifyAgainstSystem,
            },
        })
    }
}

/// The part of the answer that is still missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the database relation has not delivered its {0} yet")]
pub struct NotReady(pub &'static str);

/// Everything that is needed to connect.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Hosts in order; use the first that accepts writes.
    pub hosts: Vec<HostPort>,
    /// Name of the database.
    pub database: String,
    /// Name of the user.
    pub username: String,
    /// Password of the user.
    pub password: SecretString,
    /// How to protect the connection.
    pub tls: Tls,
}

/// How to protect the connection to the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// The server does not speak TLS.
    Off,
    /// TLS with name check, trusting this PEM bundle and nothing else.
    VerifyAgainst(String),
    /// TLS with name check, trusting what `certificate_transfer` and the system provide. With an
    /// empty store the right thing is to wait, never to connect unverified.
    VerifyAgainstSystem,
}

/// Content of the secret behind `secret-user`.
#[derive(Debug, Clone)]
pub struct UserSecret {
    /// Name of the user.
    pub username: String,
    /// Password of the user.
    pub password: SecretString,
}

impl UserSecret {
    /// Reads the secret's content. `None` if user name or password is missing.
    #[must_use]
    pub fn from_content(content: &SecretContent) -> Option<Self> {
        Some(Self {
            username: value(content, "username")?.expose_secret().to_owned(),
            password: value(content, "password")?.clone(),
        })
    }
}

/// Content of the secret behind `secret-tls`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSecret {
    /// Whether the server speaks TLS.
    pub tls: bool,
    /// CA bundle (PEM) of the server's certificate.
    pub ca: Option<String>,
}

impl TlsSecret {
    /// Reads the secret's content. `None` if `tls` is missing or no boolean.
    #[must_use]
    pub fn from_content(content: &SecretContent) -> Option<Self> {
        Some(Self {
            tls: boolean(value(content, "tls")?.expose_secret())?,
            ca: value(content, "tls-ca").map(|ca| ca.expose_secret().to_owned()),
        })
    }
}

/// Provider, unit bag of a subordinate provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseUnit {
    /// This unit accepts connections.
    pub ready: bool,
}

impl Databag for DatabaseUnit {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &["state"];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        Ok(bag.text("state")?.map(|state| Self { ready: state == "ready" }))
    }

    fn encode(&self) -> Bag {
        bag([("state", self.ready.then(|| "ready".to_owned()))])
    }
}

/// A host with its port. `Display` writes `host:port`, IPv6 addresses in brackets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// DNS name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl HostPort {
    /// Reads `host`, `host:port`, `[v6]` or `[v6]:port`. The split is at the last colon.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']')?;
                match rest {
                    "" => (host, DEFAULT_PORT),
                    _ => (host, rest.strip_prefix(':')?.parse().ok()?),
                }
            }
            None => match text.rsplit_once(':') {
                Some((host, port)) => (host, port.parse().ok()?),
                None => (text, DEFAULT_PORT),
            },
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
        let usable = !host.is_empty() && host.chars().all(plain) && port != 0;
        usable.then(|| Self { host: host.to_owned(), port })
    }

    fn parse_list(text: &str) -> Option<Vec<Self>> {
        text.split(',').map(Self::parse).collect()
    }

    fn list_text(list: &[Self]) -> String {
        list.iter().map(Self::to_string).collect::<Vec<_>>().join(",")
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}
