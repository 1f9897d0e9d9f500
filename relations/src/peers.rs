//! Interface `microcloud_cluster_manager_peers`: what the units of one application share.
//!
//! The application bag says which application-owned secrets hold what must survive a change of
//! leader; every unit can read them without a grant. Unit bags tell how far each unit is.

use crate::bag::{Bag, BagError, Databag, Reader, bag};
use crate::secret::SecretUri;

const INTERFACE: &str = "microcloud_cluster_manager_peers";

/// Version of the application bag's layout that this release writes.
pub const SCHEMA: u32 = 1;

/// Application bag, written by the leader.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerApp {
    /// Layout of this bag, [`SCHEMA`] for new ones.
    pub schema: u32,
    /// Secret with the private key for the `certificates` relation.
    pub certificates_key: Option<SecretUri>,
    /// Secret with the key of session cookies.
    pub cookie_key: Option<SecretUri>,
    /// Secret with the certificate and key that clusters pin.
    pub connector_identity: Option<SecretUri>,
}

impl Databag for PeerApp {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] =
        &["schema", "certificates-key-secret", "cookie-key-secret", "connector-identity-secret"];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        let secret = |key| bag.parsed(key, "a secret URI", SecretUri::parse);
        let schema = bag.parsed("schema", "a whole number", |text| text.parse().ok())?;
        Ok(Some(Self {
            schema: bag.need("schema", schema)?,
            certificates_key: secret("certificates-key-secret")?,
            cookie_key: secret("cookie-key-secret")?,
            connector_identity: secret("connector-identity-secret")?,
        }))
    }

    fn encode(&self) -> Bag {
        let uri = |uri: &Option<SecretUri>| uri.as_ref().map(SecretUri::to_string);
        bag([
            ("schema", Some(self.schema.to_string())),
            ("certificates-key-secret", uri(&self.certificates_key)),
            ("cookie-key-secret", uri(&self.cookie_key)),
            ("connector-identity-secret", uri(&self.connector_identity)),
        ])
    }
}

/// Unit bag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerUnit {
    /// This unit serves.
    pub ready: bool,
}

impl Databag for PeerUnit {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &["ready"];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        Ok(bag.boolean("ready")?.map(|ready| Self { ready }))
    }

    fn encode(&self) -> Bag {
        bag([("ready", Some(self.ready.to_string()))])
    }
}
