//! What all units share: secrets of the application, which its leader writes and every unit reads.

use ops::SecretContent;
use relations::SecretUri;
use secrecy::{ExposeSecret, SecretString};

/// Label of the secret with the key that seals cookies and stored tokens.
pub const MASTER_KEY_LABEL: &str = "master-key";
/// Label of the secret with the certificate from the relation `certificates`.
pub const CERTIFICATES_LABEL: &str = "certificates";
/// Label of the secret with the certificate that clusters pin.
pub const CONNECTOR_LABEL: &str = "connector-identity";

/// A secret of the application as one unit sees it.
#[derive(Debug, Clone)]
pub enum Kept<T> {
    /// Nobody has made it.
    Absent,
    /// It exists and cannot be read now.
    Unreadable,
    /// Here it is.
    Here(SecretUri, T),
}

impl<T> Kept<T> {
    /// The content, if it is here.
    #[must_use]
    pub fn content(&self) -> Option<&T> {
        match self {
            Self::Here(_, content) => Some(content),
            Self::Absent | Self::Unreadable => None,
        }
    }

    /// Whether nobody has made it.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// All of them.
#[derive(Debug, Clone)]
pub struct Shared {
    /// The master key in hexadecimal digits.
    pub master_key: Kept<MasterKey>,
    /// The certificate of the Management API.
    pub certificates: Kept<Certificates>,
    /// The certificate of the Cluster Connector.
    pub connector: Kept<Connector>,
}

/// What can be the content of a secret.
pub trait Content: Sized {
    /// Reads it; `None` if it is something else.
    fn read(content: &SecretContent) -> Option<Self>;

    /// Writes it.
    fn write(&self) -> SecretContent;
}

/// The key that seals.
#[derive(Debug, Clone)]
pub struct MasterKey(pub SecretString);

/// A certificate with its issuers, and its key.
#[derive(Debug, Clone)]
pub struct Pair {
    /// PEM, the leaf first.
    pub chain: String,
    /// PEM.
    pub key: SecretString,
}

/// How it stands with the relation `certificates`.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The key of the present request.
    pub key: SecretString,
    /// The present request; `None` while there is no relation.
    pub request: Option<String>,
    /// What is served: the newest that was ever issued, also while a new one is on its way.
    pub served: Option<Pair>,
}

/// What clusters pin.
#[derive(Debug, Clone)]
pub struct Connector {
    /// What is served.
    pub pair: Pair,
    /// The public name for which it is served; `None` while nobody has said which that is.
    pub domain: Option<String>,
    /// What an operator has prepared to be served next.
    pub next: Option<Pair>,
    /// What was served under other names and still is, to clients that ask for those names; oldest first.
    pub earlier: Vec<Pair>,
}

impl Connector {
    /// `pair` alone, for `domain`.
    #[must_use]
    pub fn new(pair: Pair, domain: Option<String>) -> Self {
        Self { pair, domain, next: None, earlier: Vec::new() }
    }
}

fn text<'a>(content: &'a SecretContent, key: &str) -> Option<&'a str> {
    content.get(key).map(ExposeSecret::expose_secret).filter(|text| !text.is_empty())
}

fn pair(content: &SecretContent, certificate: &str, key: &str) -> Option<Pair> {
    Some(Pair { chain: text(content, certificate)?.to_owned(), key: text(content, key)?.into() })
}

fn earlier_keys(number: u32) -> [String; 2] {
    ["certificate", "private-key"].map(|what| format!("earlier-{number}-{what}"))
}

fn earlier(content: &SecretContent, number: u32) -> Option<Pair> {
    let [certificate, key] = earlier_keys(number);
    pair(content, &certificate, &key)
}

fn put(content: &mut SecretContent, key: &str, value: &str) {
    content.insert(key.to_owned(), value.into());
}

impl Content for MasterKey {
    fn read(content: &SecretContent) -> Option<Self> {
        Some(Self(text(content, "master-key")?.into()))
    }

    fn write(&self) -> SecretContent {
        let mut content = SecretContent::new();
        put(&mut content, "master-key", self.0.expose_secret());
        content
    }
}

impl Content for Certificates {
    fn read(content: &SecretContent) -> Option<Self> {
        Some(Self {
            key: text(content, "private-key")?.into(),
            request: text(content, "csr").map(str::to_owned),
            served: pair(content, "certificate", "certificate-key"),
        })
    }

    fn write(&self) -> SecretContent {
        let mut content = SecretContent::new();
        put(&mut content, "private-key", self.key.expose_secret());
        if let Some(request) = &self.request {
            put(&mut content, "csr", request);
        }
        if let Some(pair) = &self.served {
            put(&mut content, "certificate", &pair.chain);
            put(&mut content, "certificate-key", pair.key.expose_secret());
        }
        content
    }
}

impl Content for Connector {
    fn read(content: &SecretContent) -> Option<Self> {
        Some(Self {
            pair: pair(content, "certificate", "private-key")?,
            domain: text(content, "domain").map(str::to_owned),
            next: pair(content, "next-certificate", "next-private-key"),
            earlier: (1..).map_while(|number| earlier(content, number)).collect(),
        })
    }

    fn write(&self) -> SecretContent {
        let mut content = SecretContent::new();
        put(&mut content, "certificate", &self.pair.chain);
        put(&mut content, "private-key", self.pair.key.expose_secret());
        if let Some(domain) = &self.domain {
            put(&mut content, "domain", domain);
        }
        for (number, pair) in (1..).zip(&self.earlier) {
            let [certificate, key] = earlier_keys(number);
            put(&mut content, &certificate, &pair.chain);
            put(&mut content, &key, pair.key.expose_secret());
        }
        if let Some(next) = &self.next {
            put(&mut content, "next-certificate", &next.chain);
            put(&mut content, "next-private-key", next.key.expose_secret());
        }
        content
    }
}

/// Whether two contents are the same.
#[must_use]
pub fn same(one: &SecretContent, other: &SecretContent) -> bool {
    let shown =
        |(key, value): (&String, &SecretString)| (key.clone(), value.expose_secret().to_owned());
    one.len() == other.len() && one.iter().map(shown).eq(other.iter().map(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clusters_pin_survives_being_kept() {
        let pair =
            |name: &str| Pair { chain: format!("{name} chain"), key: format!("{name} key").into() };
        let mut connector = Connector::new(pair("present"), None);
        for count in 0..3 {
            let read = Connector::read(&connector.write()).unwrap();
            assert!(same(&read.write(), &connector.write()));
            assert_eq!((read.earlier.len(), read.next.is_some()), (count, count > 0));
            connector.domain = Some("clusters.example.com".to_owned());
            connector.next = Some(pair("next"));
            connector.earlier.push(pair(&count.to_string()));
        }
    }
}
