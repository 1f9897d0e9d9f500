//! First step: everything that decisions rest on, read once.

mod container;
mod inputs;

use ops::dispatch::RelationEvent;
use ops::tools::calls::Bag;
use ops::{
    ConfigError, Endpoint, Event, Leader, Model, RelationId, SecretId, SecretRef, ToolError,
};
use relations::certificate_transfer::{self, Trusted};
use relations::postgresql_client::{DatabaseAnswer, TlsSecret, UserSecret};
use relations::prometheus_remote_write::RemoteWriteUnit;
use relations::{Databag, SecretUri, oauth, peers};

pub use container::ContainerState;
pub use inputs::{
    Database, Inputs, Legacy, Login, Loki, Moment, Offer, Own, Receiver, Registration, Trust,
    WrongOption,
};

use crate::config::Config;
use crate::endpoints;
use crate::pki;
use crate::shared::{Content, Kept, Shared};
use crate::surroundings::Surroundings;

/// In front of the labels of secrets that the Python charm of the same name has made.
pub const LEGACY_PREFIX: &str = "afd8c2bccf834997afce12c2706d2ede";

/// Reads everything.
///
/// # Errors
///
/// [`ToolError`] if Juju does not answer. Wrong options, unusable databags and a container that is not
/// there are inputs.
pub fn observe(model: &Model<'_>, surroundings: &Surroundings) -> Result<Inputs, ToolError> {
    let config = match model.config::<Config>() {
        Ok(config) => Ok(config),
        Err(ConfigError::Option { option, reason }) => Err(WrongOption { option, reason }),
        Err(ConfigError::Tool(error)) => return Err(error),
    };
    let read = Reader { model, leader: model.leader()? };
    let peers = read.first(&endpoints::PEERS)?;
    let peer_bag =
        peers.as_ref().map(|id| model.peer_app_data(id)).transpose()?.unwrap_or_default();
    let shared = read.shared(&peer_bag)?;
    let certificates = read.offer(&endpoints::CERTIFICATES)?;
    let metrics = read.all(&endpoints::METRICS_ENDPOINT)?;
    let ingress = read.offer(&endpoints::INGRESS)?;
    let address = model.bind_address(&endpoints::PEERS)?;
    let dashboards = read.all(&endpoints::GRAFANA_DASHBOARD)?;
    let receivers = read.receivers()?;
    let offers = metrics.iter().chain(&dashboards).chain(receivers.iter().map(|r| &r.own));
    let refused = read.refused(offers)?;
    let credentials = config.as_ref().ok().and_then(|c| c.oidc_client_credentials.clone());
    Ok(Inputs {
        app: model.app().to_string(),
        unit: model.dispatch().unit.clone(),
        model_name: model.dispatch().model_name.clone(),
        model_uuid: model.dispatch().model_uuid.clone(),
        leader: read.leader.is_some(),
        leaving: matches!(model.dispatch().event, Event::Stop | Event::Remove),
        moment: match model.dispatch().event {
            Event::UpdateStatus => Moment::Tick,
            Event::ConfigChanged => Moment::ConfigChanged,
            _ => Moment::Other,
        },
        database: read.database()?,
        legacy: read.legacy(&shared, certificates.as_ref().map(|offer| &offer.own.id))?,
        certificates,
        trust: read.trust()?,
        route: read.offer(&endpoints::TRAEFIK_ROUTE)?,
        ingress,
        receivers,
        dashboards,
        refused,
        grafana: read.offer(&endpoints::GRAFANA_METADATA)?,
        metrics,
        loki: read.loki()?,
        charm_tracing: read.offer(&endpoints::CHARM_TRACING)?,
        workload_tracing: read.offer(&endpoints::WORKLOAD_TRACING)?,
        login: Login {
            relation: read.registration()?,
            credentials: match credentials {
                Some(uri) => Some(
                    read.secret(&uri)?.and_then(|content| content.get("client-secret").cloned()),
                ),
                None => None,
            },
        },
        peers: peers.map(|id| Own { id, app: Some(peer_bag), unit: None }),
        shared,
        address,
        container: ContainerState::read(surroundings),
        surroundings: surroundings.clone(),
        config,
    })
}

struct Reader<'a> {
    model: &'a Model<'a>,
    leader: Option<Leader<'a>>,
}

impl Reader<'_> {
    /// The oldest relation; where the metadata allows one only, others do not count.
    fn first(&self, endpoint: &Endpoint) -> Result<Option<RelationId>, ToolError> {
        Ok(self.model.relations(endpoint)?.into_iter().next())
    }

    fn own(&self, id: RelationId) -> Result<Own, ToolError> {
        let nothing_to_say = endpoints::WITHOUT_APP_DATA.contains(id.endpoint());
        let leader = self.leader.as_ref().filter(|_| !nothing_to_say);
        let app = leader.map(|leader| self.model.own_app_data(leader, &id)).transpose()?;
        let unit_too = endpoints::WITH_UNIT_DATA.contains(id.endpoint());
        let unit = if unit_too { Some(self.model.own_unit_data(&id)?) } else { None };
        Ok(Own { id, app, unit })
    }

    fn all(&self, endpoint: &Endpoint) -> Result<Vec<Own>, ToolError> {
        self.model.relations(endpoint)?.into_iter().map(|id| self.own(id)).collect()
    }

    /// Our side and the remote application's of the oldest relation.
    fn offer<T: Databag>(&self, endpoint: &Endpoint) -> Result<Option<Offer<T>>, ToolError> {
        let Some(id) = self.first(endpoint)? else { return Ok(None) };
        let answer = T::decode(&self.model.remote_app_data(&id)?);
        Ok(Some(Offer { own: self.own(id)?, answer }))
    }

    fn secret(&self, uri: &SecretUri) -> Result<Option<ops::SecretContent>, ToolError> {
        self.model.secret(SecretRef::Id(&SecretId::new(uri.as_str())))
    }

    fn database(&self) -> Result<Option<Database>, ToolError> {
        let Some(offer) = self.offer::<DatabaseAnswer>(&endpoints::DATABASE)? else {
            return Ok(None);
        };
        let answer = offer.answer.as_ref().ok().and_then(Option::as_ref);
        let content = |uri: Option<&SecretUri>| match uri {
            Some(uri) => self.secret(uri),
            None => Ok(None),
        };
        let user = content(answer.and_then(|answer| answer.secret_user.as_ref()))?;
        let tls = content(answer.and_then(|answer| answer.secret_tls.as_ref()))?;
        Ok(Some(Database {
            user: user.as_ref().and_then(UserSecret::from_content),
            tls: tls.as_ref().and_then(TlsSecret::from_content),
            offer,
        }))
    }

    fn registration(&self) -> Result<Option<Registration>, ToolError> {
        let Some(offer) = self.offer::<oauth::OauthAnswer>(&endpoints::OAUTH)? else {
            return Ok(None);
        };
        let answer = offer.answer.as_ref().ok().and_then(Option::as_ref);
        let secret = match answer.and_then(|answer| answer.client.as_ref()) {
            Some(client) => self.secret(&client.secret)?,
            None => None,
        };
        let secret = secret.as_ref().and_then(oauth::client_secret).cloned();
        Ok(Some(Registration { offer, secret }))
    }

    fn trust(&self) -> Result<Vec<Trust>, ToolError> {
        let mut trust = Vec::new();
        for id in self.model.relations(&endpoints::SEND_CA_CERT)? {
            let app = self.model.remote_app_data(&id)?;
            // Version 0 is in unit bags; they are read only where version 1 says nothing.
            let version_1 = app.contains_key("certificates");
            let units = if version_1 { Vec::new() } else { self.model.remote_unit_data(&id)? };
            let bags: Vec<&Bag> = units.iter().map(|(_, bag)| bag).collect();
            let trusted = certificate_transfer::certificates(&app, bags);
            let trusted = trusted.map(|trusted| only_certificates(&trusted));
            trust.push(Trust { own: self.own(id)?, trusted });
        }
        Ok(trust)
    }

    fn receivers(&self) -> Result<Vec<Receiver>, ToolError> {
        let mut receivers = Vec::new();
        for own in self.all(&endpoints::SEND_REMOTE_WRITE)? {
            let units = self.model.remote_unit_data(&own.id)?;
            let units: Vec<_> = units.iter().map(|(_, bag)| RemoteWriteUnit::decode(bag)).collect();
            let malformed = units.iter().any(Result::is_err);
            let urls = units.into_iter().flatten().flatten().map(|unit| unit.url).collect();
            receivers.push(Receiver { own, urls, malformed });
        }
        Ok(receivers)
    }

    /// Those of `offers` whose other side says that what we offer is wrong: the interfaces for rules and
    /// for dashboards all say it with `errors` in the key `event`.
    fn refused<'a>(
        &self,
        offers: impl Iterator<Item = &'a Own>,
    ) -> Result<Vec<RelationId>, ToolError> {
        let mut refused = Vec::new();
        for own in offers {
            let bag = self.model.remote_app_data(&own.id)?;
            let event = bag.get("event").map(String::as_str).unwrap_or_default();
            let event: serde_json::Value = serde_json::from_str(event).unwrap_or_default();
            let errors = event.get("errors").unwrap_or(&serde_json::Value::Null);
            let none = errors.is_null()
                || errors.as_array().is_some_and(Vec::is_empty)
                || errors.as_str() == Some("");
            if !none || event.get("valid") == Some(&false.into()) {
                refused.push(own.id.clone());
            }
        }
        Ok(refused)
    }

    fn loki(&self) -> Result<Vec<Loki>, ToolError> {
        let mut all = Vec::new();
        for own in self.all(&endpoints::LOGGING)? {
            let units = self.model.remote_unit_data(&own.id)?;
            let decode = |(name, bag): &(ops::UnitName, Bag)| (name.clone(), Databag::decode(bag));
            all.push(Loki { units: units.iter().map(decode).collect(), own });
        }
        Ok(all)
    }

    fn shared(&self, bag: &Bag) -> Result<Shared, ToolError> {
        // Our own databag: if it cannot be read, a newer revision has written it.
        let peers = peers::PeerApp::decode(bag);
        let known = peers.is_ok();
        let peers = peers.ok().flatten().unwrap_or_default();
        Ok(Shared {
            master_key: self.kept(known, peers.cookie_key)?,
            certificates: self.kept(known, peers.certificates_key)?,
            connector: self.kept(known, peers.connector_identity)?,
        })
    }

    fn kept<T: Content>(&self, known: bool, uri: Option<SecretUri>) -> Result<Kept<T>, ToolError> {
        let Some(uri) = uri else {
            return Ok(if known { Kept::Absent } else { Kept::Unreadable });
        };
        let content = self.secret(&uri)?;
        let content = content.as_ref().and_then(T::read);
        Ok(content.map_or(Kept::Unreadable, |content| Kept::Here(uri, content)))
    }

    /// What the Python charm of the same name has left. It is looked for where it matters only: each
    /// look costs a call.
    fn legacy(
        &self,
        shared: &Shared,
        certificates: Option<&RelationId>,
    ) -> Result<Option<Legacy>, ToolError> {
        let peers_event = |id: &RelationId| *id.endpoint() == endpoints::PEERS;
        let moment = match &self.model.dispatch().event {
            Event::UpgradeCharm | Event::ConfigChanged | Event::LeaderElected => true,
            Event::Relation {
                id,
                kind: RelationEvent::Created | RelationEvent::Changed(_),
                ..
            } => peers_event(id),
            _ => false,
        };
        let missing = self.leader.is_some() && shared.connector.is_absent();
        if !moment && !missing {
            return Ok(None);
        }
        let unit = self.model.dispatch().unit.number();
        let label = format!("{LEGACY_PREFIX}-private-key-{unit}-certificates");
        let Some(content) = self.model.secret(SecretRef::Label(&label))? else { return Ok(None) };
        let Some(key) = content.get("private-key").cloned() else { return Ok(None) };
        let bag = certificates.map(|id| self.model.own_unit_data(id)).transpose()?;
        let requests = bag.as_ref().map(relations::tls_certificates::CertificateRequests::decode);
        let requests = requests.and_then(Result::ok).flatten().unwrap_or_default();
        let request = requests.0.into_iter().next().map(|r| r.certificate_signing_request);
        Ok(Some(Legacy { label, key, request }))
    }
}

/// Leaves out what is PEM but no certificate.
fn only_certificates(trusted: &Trusted) -> Trusted {
    let (mut certificates, mut skipped) = (Vec::new(), trusted.skipped);
    for text in &trusted.certificates {
        match pki::certificates(text) {
            Some(good) => certificates.extend(good),
            None => skipped += 1,
        }
    }
    Trusted { certificates, skipped }
}
