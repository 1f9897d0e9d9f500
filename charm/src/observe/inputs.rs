//! What the charm knows at this moment, as plain values.

use ops::tools::calls::Bag;
use ops::{RelationId, UnitName};
use relations::BagError;
use relations::certificate_transfer::Trusted;
use relations::grafana_metadata::GrafanaMetadata;
use relations::ingress::IngressAnswer;
use relations::loki_push_api::LokiUnit;
use relations::oauth::OauthAnswer;
use relations::postgresql_client::{DatabaseAnswer, TlsSecret, UserSecret};
use relations::tls_certificates::CertificateAnswers;
use relations::tracing::TracingAnswer;
use relations::traefik_route::RouteAnswer;
use secrecy::SecretString;

use super::ContainerState;
use crate::addresses::Addresses;
use crate::config::{Config, ConnectorCertificate};
use crate::pinned;
use crate::shared::Shared;
use crate::surroundings::Surroundings;

/// What the charm knows at this moment.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Name of our application, for commands that we tell people.
    pub app: String,
    /// This unit.
    pub unit: UnitName,
    /// Name of the model, on Kubernetes also of the namespace.
    pub model_name: String,
    /// UUID of the model.
    pub model_uuid: String,
    /// This unit is the leader.
    pub leader: bool,
    /// The pod or the unit is about to go.
    pub leaving: bool,
    /// What has brought us here, as far as that matters.
    pub moment: Moment,
    /// The options, or what is wrong with them.
    pub config: Result<Config, WrongOption>,
    /// The relation `database`.
    pub database: Option<Database>,
    /// The relation `certificates`.
    pub certificates: Option<Offer<CertificateAnswers>>,
    /// The relations `send-ca-cert`.
    pub trust: Vec<Trust>,
    /// The relation `traefik-route`.
    pub route: Option<Offer<RouteAnswer>>,
    /// The relation `ingress`.
    pub ingress: Option<Offer<IngressAnswer>>,
    /// The relations `send-remote-write`.
    pub receivers: Vec<Receiver>,
    /// The relations `grafana-dashboard`.
    pub dashboards: Vec<Own>,
    /// The relation `grafana-metadata`.
    pub grafana: Option<Offer<GrafanaMetadata>>,
    /// The relations `metrics-endpoint`.
    pub metrics: Vec<Own>,
    /// Relations whose other side cannot use our alert rules or dashboards.
    pub refused: Vec<RelationId>,
    /// The relations `logging`.
    pub loki: Vec<Loki>,
    /// The relation `charm-tracing`.
    pub charm_tracing: Option<Offer<TracingAnswer>>,
    /// The relation `workload-tracing`.
    pub workload_tracing: Option<Offer<TracingAnswer>>,
    /// Where the identity provider comes from.
    pub login: Login,
    /// The peer relation.
    pub peers: Option<Own>,
    /// What all units share.
    pub shared: Shared,
    /// What the Python charm of the same name has left.
    pub legacy: Option<Legacy>,
    /// The pod's own address, where Prometheus, Traefik and other units reach it; `None` while it has none.
    pub address: Option<String>,
    /// The workload container; `None` while it is not there.
    pub container: Option<ContainerState>,
    /// Time and places.
    pub surroundings: Surroundings,
}

impl Inputs {
    /// Names and ports; `None` if the options cannot be read.
    #[must_use]
    pub fn addresses(&self) -> Option<Addresses> {
        self.config.as_ref().ok().map(|config| self.addresses_of(config))
    }

    /// Names and ports with these options.
    #[must_use]
    pub fn addresses_of(&self, config: &Config) -> Addresses {
        let namespace = format!("{}.svc.{}", self.model_name, self.surroundings.cluster_domain);
        let route = self.route.as_ref().and_then(Offer::good);
        let ingress = self.ingress.as_ref().and_then(Offer::good);
        let number = self.unit.number();
        let addresses = Addresses::new(config, &self.app, number, &namespace, route, ingress);
        let kept = self.shared.connector.content();
        let kept = kept.filter(|_| config.connector_certificate == ConnectorCertificate::Pinned);
        addresses.with_earlier(kept.map(pinned::earlier_names).unwrap_or_default())
    }
}

/// Events that are a reason to ask again for what was refused. All else is the same whatever the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Juju's clock.
    Tick,
    /// Somebody has changed options.
    ConfigChanged,
    /// Anything else.
    Other,
}

/// An option that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongOption {
    /// Name of the option.
    pub option: String,
    /// What is wrong with it, without the value.
    pub reason: String,
}

/// Our side of one relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// Which relation.
    pub id: RelationId,
    /// Our application databag; `None` if we are not the leader and may not even read it.
    pub app: Option<Bag>,
    /// Our unit databag, where the interface has one.
    pub unit: Option<Bag>,
}

/// A relation whose other side answers in its application databag.
#[derive(Debug, Clone)]
pub struct Offer<T> {
    /// Our side.
    pub own: Own,
    /// The other side: `None` before it has written anything.
    pub answer: Result<Option<T>, BagError>,
}

impl<T> Offer<T> {
    /// The answer, if there is one and it is readable.
    pub fn good(&self) -> Option<&T> {
        self.answer.as_ref().ok().and_then(Option::as_ref)
    }
}

/// The relation `database`.
#[derive(Debug, Clone)]
pub struct Database {
    /// Both sides.
    pub offer: Offer<DatabaseAnswer>,
    /// The secret with user and password, if it could be read.
    pub user: Option<UserSecret>,
    /// The secret about TLS, if it could be read.
    pub tls: Option<TlsSecret>,
}

/// A relation `send-ca-cert`.
#[derive(Debug, Clone)]
pub struct Trust {
    /// Our side.
    pub own: Own,
    /// The authorities, one PEM text with one certificate each.
    pub trusted: Result<Trusted, BagError>,
}

/// A relation `send-remote-write`.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// Our side.
    pub own: Own,
    /// Where to send metrics to: one address of each unit that has said so.
    pub urls: Vec<String>,
    /// What another unit says cannot be used.
    pub malformed: bool,
}

/// A relation `logging`.
#[derive(Debug, Clone)]
pub struct Loki {
    /// Our side.
    pub own: Own,
    /// The remote units.
    pub units: Vec<(UnitName, Result<Option<LokiUnit>, BagError>)>,
}

/// Where the identity provider comes from.
#[derive(Debug, Clone, Default)]
pub struct Login {
    /// The relation `oauth`.
    pub relation: Option<Registration>,
    /// The content of the secret that `oidc-client-credentials` names: `Some(None)` if it cannot be read.
    pub credentials: Option<Option<SecretString>>,
}

/// The relation `oauth`.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Both sides.
    pub offer: Offer<OauthAnswer>,
    /// The client's secret, if it could be read.
    pub secret: Option<SecretString>,
}

/// What the Python charm of the same name has left on this unit.
#[derive(Debug, Clone)]
pub struct Legacy {
    /// Label of the secret with the key.
    pub label: String,
    /// The key, in PEM.
    pub key: SecretString,
    /// The request in the unit's databag.
    pub request: Option<String>,
}
