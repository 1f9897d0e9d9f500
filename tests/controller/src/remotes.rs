//! The charms on the other side: what they answer to what they read.

use std::collections::BTreeMap;
use std::fmt;

use ops::testing::{SecretOwner, SecretState};
use ops::tools::calls::Bag;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, IsCa,
    KeyPair,
};
use relations::Databag;
use relations::tls_certificates::{CertificateAnswers, CertificateRequests, IssuedCertificate};
use time::{Duration, OffsetDateTime};

/// What the other side of a relation has written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RemoteData {
    /// The application's databag.
    pub app: Bag,
    /// The databag of its one unit.
    pub unit: Bag,
    /// Secrets that it has granted to us.
    pub secrets: Vec<SecretState>,
}

type React = Box<dyn FnMut(&Bag, &BTreeMap<u32, Bag>) -> RemoteData>;

/// A charm on the other side.
pub struct Remote {
    pub(crate) app: String,
    pub(crate) react: React,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("app", &self.app).finish_non_exhaustive()
    }
}

fn bag(pairs: &[(&str, &str)]) -> Bag {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A secret of another application, by a number that makes its identifier.
fn granted(number: u32, revision: usize, content: &[(&str, &str)]) -> SecretState {
    let mut secret = SecretState::granted(&format!("secret:d0a1kq5mp25c7f{number:06}"), content);
    secret.owner = SecretOwner::Other;
    let last = secret.newest();
    secret.revisions = vec![last; revision];
    secret
}

impl Remote {
    /// A charm that reads our application's databag and our units' databags.
    pub fn new(
        app: &str,
        react: impl FnMut(&Bag, &BTreeMap<u32, Bag>) -> RemoteData + 'static,
    ) -> Self {
        Self { app: app.to_owned(), react: Box::new(react) }
    }

    /// A charm that says one thing, whatever it reads.
    #[must_use]
    pub fn saying(app: &str, data: RemoteData) -> Self {
        Self::new(app, move |_, _| data.clone())
    }

    /// The same charm, which writes one more key into its application databag.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        let (key, value) = (key.to_owned(), value.to_owned());
        Self::new(&self.app.clone(), move |app, units| {
            let mut data = (self.react)(app, units);
            data.app.insert(key.clone(), value.clone());
            data
        })
    }

    /// PostgreSQL without TLS at `host_port`, with this user and password.
    #[must_use]
    pub fn postgresql(host_port: &str, user: &str, password: &str, revision: usize) -> Self {
        let (host_port, user, password) =
            (host_port.to_owned(), user.to_owned(), password.to_owned());
        Self::new("postgresql-k8s", move |ours, _| {
            let Some(database) = ours.get("database") else { return RemoteData::default() };
            let user = granted(1, revision, &[("username", &user), ("password", &password)]);
            let tls = granted(2, 1, &[("tls", "False")]);
            RemoteData {
                app: bag(&[
                    ("database", database),
                    ("endpoints", &host_port),
                    ("secret-user", &user.id),
                    ("secret-tls", &tls.id),
                    ("version", "14.15"),
                ]),
                unit: Bag::new(),
                secrets: vec![user, tls],
            }
        })
    }

    /// Hydra at `issuer`.
    #[must_use]
    pub fn hydra(issuer: &str) -> Self {
        let issuer = issuer.to_owned();
        Self::new("hydra", move |ours, _| {
            let at = |path: &str| format!("{issuer}/{path}");
            let mut app = bag(&[
                ("issuer_url", &issuer),
                ("authorization_endpoint", &at("oauth2/auth")),
                ("token_endpoint", &at("oauth2/token")),
                ("introspection_endpoint", &at("admin/introspect")),
                ("userinfo_endpoint", &at("userinfo")),
                ("jwks_endpoint", &at(".well-known/jwks.json")),
                ("scope", "openid profile email phone"),
            ]);
            let mut secrets = Vec::new();
            if ours.contains_key("redirect_uri") {
                let secret = granted(3, 1, &[("secret", "canary-oauth-client-secret")]);
                app.insert("client_id".into(), "2f8a1b3c".into());
                app.insert("client_secret_id".into(), secret.id.clone());
                secrets.push(secret);
            }
            RemoteData { app, unit: Bag::new(), secrets }
        })
    }

    /// Traefik with this public address.
    #[must_use]
    pub fn traefik(host: &str) -> Self {
        let app = bag(&[("external_host", host), ("scheme", "https")]);
        Self::saying("traefik-k8s", RemoteData { app, ..RemoteData::default() })
    }

    /// Something that writes one key into its unit databag.
    #[must_use]
    pub fn unit_saying(app: &str, key: &str, value: &str) -> Self {
        Self::saying(app, RemoteData { unit: bag(&[(key, value)]), ..RemoteData::default() })
    }

    /// Something that writes these keys into its application databag.
    #[must_use]
    pub fn app_saying(app: &str, pairs: &[(&str, &str)]) -> Self {
        Self::saying(app, RemoteData { app: bag(pairs), ..RemoteData::default() })
    }
}

/// A certificate authority for `self-signed-certificates`.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    life: Duration,
    age: Duration,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new(Duration::ZERO, Duration::days(90))
    }
}

impl Authority {
    /// One whose certificates are `age` old when they are issued and last `life` in all.
    #[must_use]
    pub fn new(age: Duration, life: Duration) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "test authority");
        let key = KeyPair::generate().unwrap();
        Self { issuer: CertifiedIssuer::self_signed(params, key).unwrap(), life, age }
    }

    /// The certificate of the authority itself.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for `request`, PEM.
    #[must_use]
    pub fn sign(&self, request: &str) -> String {
        let mut params = CertificateSigningRequestParams::from_pem(request).unwrap();
        params.params.not_before = OffsetDateTime::now_utc() - self.age;
        params.params.not_after = params.params.not_before + self.life;
        params.signed_by(&self.issuer).unwrap().pem()
    }

    /// The charm: it answers every request once, and forgets answers to requests that are gone.
    #[must_use]
    pub fn charm(self) -> Remote {
        self.charm_with(None)
    }

    /// The charm, where `next` signs all requests but the first.
    #[must_use]
    pub fn then(self, next: Self) -> Remote {
        self.charm_with(Some(next))
    }

    fn charm_with(self, next: Option<Self>) -> Remote {
        let mut issued: Vec<IssuedCertificate> = Vec::new();
        let mut count = 0;
        Remote::new("self-signed-certificates", move |app, units| {
            let bags = std::iter::once(app).chain(units.values());
            let requests: Vec<String> = bags
                .filter_map(|bag| CertificateRequests::decode(bag).unwrap())
                .flat_map(|requests| requests.0)
                .map(|request| request.certificate_signing_request)
                .collect();
            issued.retain(|answer| requests.contains(&answer.certificate_signing_request));
            for request in requests {
                if !issued.iter().any(|answer| answer.certificate_signing_request == request) {
                    let signer = next.as_ref().filter(|_| count > 0).unwrap_or(&self);
                    count += 1;
                    let (certificate, ca) = (signer.sign(&request), signer.pem());
                    issued.push(IssuedCertificate {
                        chain: Some(vec![certificate.clone(), ca.clone()]),
                        ca,
                        certificate,
                        certificate_signing_request: request,
                        revoked: None,
                    });
                }
            }
            let answers = CertificateAnswers {
                certificates: issued.clone(),
                ..CertificateAnswers::default()
            };
            RemoteData { app: answers.encode(), ..RemoteData::default() }
        })
    }
}
