//! Interface `tls-certificates`: a certificate for a signing request.
//!
//! The requirer lists its requests under one key, in the unit bag (one certificate per unit) or in
//! the application bag (one for all units): [`CertificateRequests`]. The provider answers in its
//! application bag: [`CertificateAnswers`]. Whether a certificate really belongs to a private key,
//! is no CA and is within its dates needs X.509 and is the caller's check; this module matches
//! answers to requests.

use serde::{Deserialize, Serialize};

use crate::bag::{Bag, BagError, Databag, Reader, bag};
use crate::{json, pem};

const INTERFACE: &str = "tls-certificates";
const CSR_LABEL: &str = "CERTIFICATE REQUEST";

/// Requirer, unit or application bag. No request left is the same as no key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateRequests(pub Vec<CertificateRequest>);

/// One signing request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateRequest {
    /// PEM of the PKCS #10 request (RFC 2986), without final newline.
    pub certificate_signing_request: String,
    /// Whether a CA certificate is asked for; the reference library always writes it.
    #[serde(default)]
    pub ca: Option<bool>,
}

impl CertificateRequest {
    /// A request for a leaf certificate.
    #[must_use]
    pub fn leaf(csr_pem: &str) -> Self {
        Self { certificate_signing_request: csr_pem.trim_end().to_owned(), ca: Some(false) }
    }
}

impl Databag for CertificateRequests {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &["certificate_signing_requests"];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        let list = bag.json("certificate_signing_requests", "a JSON list of signing requests")?;
        Ok(list.map(Self))
    }

    fn encode(&self) -> Bag {
        let list = (!self.0.is_empty()).then(|| json::text(&self.0));
        bag([("certificate_signing_requests", list)])
    }
}

/// Provider, application bag.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateAnswers {
    /// Certificates for requests of this and of other units, also outdated ones.
    pub certificates: Vec<IssuedCertificate>,
    /// Requests that were refused. A request stands here or in `certificates`, not in both.
    pub request_errors: Vec<RefusedRequest>,
    /// What the provider says it can do.
    pub capabilities: Option<Capabilities>,
}

/// One issued certificate. All texts are PEM; a final newline may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedCertificate {
    /// Certificate of the issuing or root CA: the trust anchor.
    pub ca: String,
    /// The request that this answers.
    pub certificate_signing_request: String,
    /// The leaf certificate.
    pub certificate: String,
    /// Leaf first and root last with some providers, other orders and gaps with others: never
    /// rely on a position.
    #[serde(default)]
    pub chain: Option<Vec<String>>,
    /// The certificate must not be used any more.
    #[serde(default)]
    pub revoked: Option<bool>,
}

impl IssuedCertificate {
    /// The provider has withdrawn this certificate.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.revoked == Some(true)
    }
}

/// One refused request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRequest {
    /// The request. The shipped library writes `csr`, the written schema says
    /// `certificate_signing_request`.
    #[serde(rename = "csr", alias = "certificate_signing_request")]
    pub certificate_signing_request: String,
    /// Why.
    pub error: Refusal,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Number of the reason, see [`Refusal::reason_kind`].
    pub code: u32,
    /// Name of the reason, for example `domain_not_allowed`.
    pub name: String,
    /// Text for people, written by the provider.
    pub message: String,
    /// Details.
    #[serde(default)]
    pub reason: Option<String>,
    /// Who refused, for example `acme`.
    #[serde(default)]
    pub provider: Option<String>,
    /// Endpoint of the provider concerned.
    #[serde(default)]
    pub endpoint: Option<String>,
}

/// The reasons that the interface numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// 101: no addresses in certificates.
    IpNotAllowed,
    /// 102: a name is outside the provider's domains.
    DomainNotAllowed,
    /// 103: no wildcards.
    WildcardNotAllowed,
    /// 201: try again later.
    ServerNotAvailable,
    /// 999 and numbers that are not known here.
    Other,
}

impl Refusal {
    /// The reason as a value to match on.
    #[must_use]
    pub fn reason_kind(&self) -> RefusalKind {
        match self.code {
            101 => RefusalKind::IpNotAllowed,
            102 => RefusalKind::DomainNotAllowed,
            103 => RefusalKind::WildcardNotAllowed,
            201 => RefusalKind::ServerNotAvailable,
            _ => RefusalKind::Other,
        }
    }
}

/// What a provider can do; `None` means that it does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// Addresses among the subject alternative names.
    pub supports_ip_sans: Option<bool>,
    /// Names such as `*.example.com`.
    pub supports_wildcard_dns: Option<bool>,
    /// Names below the allowed domains.
    pub supports_subdomain: Option<bool>,
    /// CA certificates.
    pub supports_ca_certificates: Option<bool>,
    /// The domains that names must be in.
    pub allowed_domains: Option<Vec<String>>,
    /// Kind of provider, for example `acme`.
    pub provider_type: Option<String>,
}

impl Databag for CertificateAnswers {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &["certificates", "request_errors", "capabilities"];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        Ok(Some(Self {
            certificates: bag
                .json("certificates", "a JSON list of issued certificates")?
                .unwrap_or_default(),
            request_errors: bag
                .json("request_errors", "a JSON list of refused requests")?
                .unwrap_or_default(),
            capabilities: bag.json("capabilities", "a JSON object of capabilities")?,
        }))
    }

    fn encode(&self) -> Bag {
        let (issued, refused) = (&self.certificates, &self.request_errors);
        bag([
            ("certificates", (!issued.is_empty()).then(|| json::text(issued))),
            ("request_errors", (!refused.is_empty()).then(|| json::text(refused))),
            ("capabilities", self.capabilities.as_ref().map(json::text)),
        ])
    }
}

impl CertificateAnswers {
    /// The certificates that answer the request `csr_pem`, in the order of the bag. There can be
    /// several, and not all need to carry the right key.
    pub fn answers_to(&self, csr_pem: &str) -> impl Iterator<Item = &IssuedCertificate> {
        let wanted = pem::der(csr_pem, CSR_LABEL);
        self.certificates.iter().filter(move |answer| {
            wanted.is_some() && pem::der(&answer.certificate_signing_request, CSR_LABEL) == wanted
        })
    }

    /// Why the request `csr_pem` was refused, if it was.
    #[must_use]
    pub fn refusal_of(&self, csr_pem: &str) -> Option<&Refusal> {
        self.request_errors
            .iter()
            .find(|refused| same_request(&refused.certificate_signing_request, csr_pem))
            .map(|refused| &refused.error)
    }
}

/// Whether two PEM texts hold the same request: the DER is compared, because providers write the
/// PEM anew.
#[must_use]
pub fn same_request(one_pem: &str, other_pem: &str) -> bool {
    let one = pem::der(one_pem, CSR_LABEL);
    one.is_some() && one == pem::der(other_pem, CSR_LABEL)
}
