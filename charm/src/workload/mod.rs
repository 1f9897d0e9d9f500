//! What runs in the container: files, and the Pebble layer with both services.
//!
//! Secrets are in files that only the workload's user can read; the plan names the files. A service
//! reads most of them at its start, so the plan also has a keyed hash of their contents: when one
//! changes, Pebble restarts what reads it, and nothing else.

mod environment;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::hmac;
use ops::Status;
use ops::pebble::{Check, CheckProbe, FileSpec, Layer, Level, Override, Service, Startup};
use relations::postgresql_client::{Connection, DatabaseAnswer, NotReady, Tls};
use relations::{BagError, Databag};
use secrecy::ExposeSecret;

use crate::addresses::{
    Addresses, CONNECTOR_PORT, CONNECTOR_STATUS_PORT, MANAGEMENT_PORT, MANAGEMENT_STATUS_PORT,
};
use crate::config::Config;
use crate::custody;
use crate::decide::DATABASE_NAME;
use crate::login::{self, Provider};
use crate::observe::Inputs;
use crate::shared::Pair;
use crate::surroundings::Surroundings;
use crate::{pinned, pki, status};

/// Name of the service that serves people.
pub const MANAGEMENT: &str = "management-api";
/// Name of the service that serves clusters.
pub const CONNECTOR: &str = "cluster-connector";
/// Both.
pub const BOTH: [&str; 2] = [MANAGEMENT, CONNECTOR];
/// Label of our layer.
pub const LABEL: &str = "cluster-manager";

/// What a service may take to stop beyond the time for which it goes on although it is no longer ready: the 20 s that it gives
/// running requests, and what the end itself takes.
const STOP: Duration = Duration::from_secs(25);

/// How long a service may take to stop before it is killed.
fn kill_delay(config: &Config) -> Duration {
    Duration::from_secs(config.shutdown_drain_seconds.0.into()) + STOP
}

/// Longest time for services to stop and start: what both may take to stop, one after the other, and some. What runs may have been
/// started with a longer drain than the options have now.
#[must_use]
pub fn replan_time(inputs: &Inputs) -> Duration {
    let present = inputs.container.as_ref().and_then(|container| container.kill_delay(CONNECTOR));
    let wanted = inputs.config.as_ref().map(kill_delay).unwrap_or_default();
    2 * wanted.max(present.unwrap_or_default()).max(STOP) + Duration::from_secs(20)
}

/// What is trusted besides the machine's authorities where metrics of clusters go. The services follow its content by themselves, so
/// that it is in no hash.
const AUTHORITIES_FILE: &str = "authorities.pem";

/// Every file that the charm may write, below its folder.
const FILES: [&str; 11] = [
    "master.key",
    AUTHORITIES_FILE,
    "db/password",
    "db/ca.pem",
    "oidc/client-secret",
    "oidc/ca.pem",
    "management/tls.crt",
    "management/tls.key",
    "connector/tls.crt",
    "connector/tls.key",
    "connector/earlier.pem",
];

/// Those of them with the relation's certificate for people.
const MANAGEMENT_FILES: [&str; 2] = ["management/tls.crt", "management/tls.key"];

/// What should be in the container.
#[derive(Debug, Clone)]
pub struct Workload {
    /// Files to be.
    pub files: Vec<FileSpec>,
    /// Files that must not be.
    pub without: Vec<String>,
    /// The layer.
    pub layer: Layer,
}

/// Everything for the services, or why they cannot be started yet.
///
/// # Errors
///
/// What the operator should do, or whom we wait for.
pub fn workload(inputs: &Inputs) -> Result<Workload, Status> {
    let facts = Facts::gather(inputs)?;
    let files = facts.files();
    let written = |path: &String| files.iter().any(|file| file.path == *path);
    let all = FILES.iter().map(|name| inputs.surroundings.file(name));
    let without = all.filter(|path| !written(path)).collect();
    let layer = facts.layer(&files);
    Ok(Workload { files, without, layer })
}

/// The same without services, for a unit that has lost what they need: they stay stopped, also when
/// Pebble is asked to start everything.
#[must_use]
pub fn stopped(surroundings: &Surroundings) -> Workload {
    let services = BOTH.map(|name| stopped_service(surroundings, name));
    Workload {
        files: Vec::new(),
        without: FILES.iter().map(|name| surroundings.file(name)).collect(),
        layer: Layer { services: BTreeMap::from(services), ..Layer::default() },
    }
}

/// What changes where people cannot be served and nothing else can be decided: the Cluster Connector runs on with what it has.
#[must_use]
pub fn without_management(surroundings: &Surroundings) -> Workload {
    let checks = checks(surroundings, MANAGEMENT, MANAGEMENT_STATUS_PORT, false);
    Workload {
        files: Vec::new(),
        without: MANAGEMENT_FILES.iter().map(|name| surroundings.file(name)).collect(),
        layer: Layer {
            services: BTreeMap::from([stopped_service(surroundings, MANAGEMENT)]),
            checks: BTreeMap::from(checks),
            ..Layer::default()
        },
    }
}

fn stopped_service(surroundings: &Surroundings, name: &str) -> (String, Service) {
    let command = format!("{} {name}", surroundings.program());
    let service = Service { command, startup: Startup::Disabled, ..Service::default() };
    (name.to_owned(), service)
}

/// What the services need, all of it there.
struct Facts<'a> {
    inputs: &'a Inputs,
    config: &'a Config,
    addresses: Addresses,
    management_url: String,
    database: Connection,
    provider: Provider,
    master_key: &'a str,
    /// `None` without the relation `certificates`: people are not served then. Clusters are, with a certificate of the
    /// application's own.
    management: Option<&'a Pair>,
    connector: &'a Pair,
    /// Certificates and keys of earlier names, one after the other.
    earlier: String,
    authorities: String,
}

impl<'a> Facts<'a> {
    fn gather(inputs: &'a Inputs) -> Result<Self, Status> {
        let config = inputs.config.as_ref().map_err(|wrong| status::wrong_option(inputs, wrong))?;
        let addresses = inputs.addresses_of(config);
        let management_url = addresses
            .management_url()
            .ok_or_else(|| status::no_domain(inputs, "management-api"))?;
        if addresses.connector.is_none() {
            return Err(status::no_domain(inputs, "cluster-connector"));
        }
        let provider = login::provider(inputs, config)?;
        let authorities = authorities(inputs);
        let database = database(inputs, !authorities.is_empty())?;
        if inputs.peers.is_none() {
            return Err(Status::waiting("waiting for the peer relation"));
        }
        let shared = &inputs.shared;
        // The leader makes it first: without it there is nothing else to wait for.
        let master_key = shared.master_key.content().ok_or_else(status::no_keys)?;
        let management = if inputs.certificates.is_some() {
            let certificates = shared.certificates.content();
            let served = certificates.and_then(|certificates| certificates.served.as_ref());
            Some(served.ok_or_else(|| status::no_certificate(inputs))?)
        } else {
            None
        };
        let kept = shared.connector.content();
        let (connector, earlier) = if custody::serves_relation(inputs) {
            (management, String::new())
        } else {
            (kept.map(|kept| &kept.pair), kept.map(pinned::earlier_file).unwrap_or_default())
        };
        Ok(Self {
            inputs,
            config,
            management_url,
            database,
            provider,
            master_key: master_key.0.expose_secret(),
            management,
            connector: connector.ok_or_else(status::no_keys)?,
            earlier,
            authorities,
            addresses,
        })
    }

    fn path(&self, name: &str) -> String {
        self.inputs.surroundings.file(name)
    }

    fn database_authorities(&self) -> Option<&str> {
        match &self.database.tls {
            Tls::Off => None,
            Tls::VerifyAgainst(bundle) => Some(bundle),
            Tls::VerifyAgainstSystem => Some(&self.authorities),
        }
    }

    fn login_authorities(&self) -> String {
        [&self.authorities, self.provider.authorities.concat().as_str()].concat()
    }

    fn files(&self) -> Vec<FileSpec> {
        let mut files = Vec::new();
        let mut add = |name: &str, content: &str| {
            if !content.is_empty() {
                files.push(FileSpec::private(&self.path(name), content));
            }
        };
        add("master.key", self.master_key);
        add(AUTHORITIES_FILE, &self.authorities);
        add("db/password", self.database.password.expose_secret());
        add("db/ca.pem", self.database_authorities().unwrap_or_default());
        let client_secret = self.provider.client_secret.as_ref();
        add(
            "oidc/client-secret",
            client_secret.map(ExposeSecret::expose_secret).unwrap_or_default(),
        );
        add("oidc/ca.pem", &self.login_authorities());
        if let Some(management) = self.management {
            add("management/tls.crt", &management.chain);
            add("management/tls.key", management.key.expose_secret());
        }
        add("connector/tls.crt", &self.connector.chain);
        add("connector/tls.key", self.connector.key.expose_secret());
        add("connector/earlier.pem", &self.earlier);
        files
    }

    /// A hash of those of `names` that are written. It is keyed, so that a weak secret cannot be found
    /// by trying.
    fn hash(&self, files: &[FileSpec], names: &[&str]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.master_key.as_bytes());
        let mut hash = hmac::Context::with_key(&key);
        for name in names {
            let path = self.path(name);
            let content = files.iter().find(|file| file.path == path);
            let content = content.map(|file| file.content.expose_secret()).unwrap_or_default();
            hash.update(name.as_bytes());
            hash.update(&u64::try_from(content.len()).unwrap_or_default().to_be_bytes());
            hash.update(content);
        }
        hex::encode(hash.sign())
    }

    fn layer(&self, files: &[FileSpec]) -> Layer {
        // The Management API follows its own certificate's files by itself.
        let both =
            ["master.key", "db/password", "db/ca.pem", "connector/tls.crt", "connector/tls.key"];
        let of_management = [&both[..], &["oidc/client-secret", "oidc/ca.pem"]].concat();
        let of_connector = [&both[..], &["connector/earlier.pem"]].concat();
        let management = if self.management.is_some() {
            let mut management = self.environment(MANAGEMENT_PORT, MANAGEMENT_STATUS_PORT);
            management.extend(self.management_environment());
            management.insert("FILES_HMAC".to_owned(), self.hash(files, &of_management));
            self.service(MANAGEMENT, "The web page and its API for people", management)
        } else {
            stopped_service(&self.inputs.surroundings, MANAGEMENT)
        };
        let mut connector = self.environment(CONNECTOR_PORT, CONNECTOR_STATUS_PORT);
        connector.extend(self.connector_environment());
        connector.insert("FILES_HMAC".to_owned(), self.hash(files, &of_connector));
        Layer {
            summary: "MicroCloud Cluster Manager".to_owned(),
            services: BTreeMap::from([
                management,
                self.service(CONNECTOR, "What clusters connect to", connector),
            ]),
            checks: [
                (MANAGEMENT, MANAGEMENT_STATUS_PORT, self.management.is_some()),
                (CONNECTOR, CONNECTOR_STATUS_PORT, true),
            ]
            .into_iter()
            .flat_map(|(name, port, runs)| checks(&self.inputs.surroundings, name, port, runs))
            .collect(),
            ..Layer::default()
        }
    }

    fn service(
        &self,
        name: &str,
        summary: &str,
        environment: BTreeMap<String, String>,
    ) -> (String, Service) {
        let service = Service {
            summary: summary.to_owned(),
            command: format!("{} {name}", self.inputs.surroundings.program()),
            environment,
            on_check_failure: BTreeMap::from([(alive(name), "restart".to_owned())]),
            kill_delay: Some(format!("{}s", kill_delay(self.config).as_secs())),
            ..Service::default()
        };
        (name.to_owned(), service)
    }
}

/// A service that does not answer is restarted by Pebble, without the container and the other service: that is why the first check has
/// no level. While the second is down, Kubernetes sends no connections to this pod. The checks of a service that should not run have no
/// level and keep nobody from the other one; Pebble 1.32 goes on with a check that is disabled while it runs, and with its level.
fn checks(surroundings: &Surroundings, name: &str, port: u16, runs: bool) -> [(String, Check); 2] {
    let host = surroundings.probe_host();
    let check = |path: &str, level: Option<Level>, period: &str, threshold| Check {
        over: Override::Replace,
        level: level.filter(|_| runs),
        startup: Startup::Enabled,
        period: period.to_owned(),
        timeout: "3s".to_owned(),
        threshold,
        probe: CheckProbe::Http { url: format!("http://{host}:{port}/{path}") },
    };
    [
        (alive(name), check("alive", None, "10s", 6)),
        (format!("{name}-ready"), check("ready", Some(Level::Ready), "5s", 2)),
    ]
}

fn alive(service: &str) -> String {
    format!("{service}-alive")
}

/// Most receivers of remote write that the services take.
pub const MAX_RECEIVERS: usize = 16;

/// The addresses that metrics of clusters go to, sorted, each once.
#[must_use]
pub fn remote_write_urls(inputs: &Inputs) -> Vec<String> {
    let urls = inputs.receivers.iter().flat_map(|receiver| &receiver.urls);
    let mut urls: Vec<String> = urls.cloned().collect();
    urls.sort();
    urls.dedup();
    urls
}

/// All certificates of `send-ca-cert` in one text.
fn authorities(inputs: &Inputs) -> String {
    let good = inputs.trust.iter().filter_map(|trust| trust.trusted.as_ref().ok());
    let mut all: Vec<&str> =
        good.flat_map(|trusted| trusted.certificates.iter().map(String::as_str)).collect();
    all.sort_unstable();
    all.dedup();
    all.concat()
}

fn database(inputs: &Inputs, others_are_trusted: bool) -> Result<Connection, Status> {
    let relation = inputs.database.as_ref().ok_or_else(|| status::no_database(inputs))?;
    let waiting = |what: &str| Status::waiting(&format!("waiting for database: {what}"));
    let preparing = || waiting("the provider is still preparing it");
    let answer = match &relation.offer.answer {
        Ok(answer) => answer.as_ref().ok_or_else(preparing)?,
        Err(error) => return Err(status::unusable(&relation.offer.own.id, error)),
    };
    if !answer.is_answered() {
        return Err(preparing());
    }
    if answer.secret_user.is_some() && relation.user.is_none() {
        return Err(waiting("its secret cannot be read yet"));
    }
    let mut connection = answer
        .connection(relation.user.as_ref(), relation.tls.as_ref(), DATABASE_NAME)
        .map_err(|NotReady(what)| waiting(&format!("it has not delivered its {what} yet")))?;
    if connection.tls == Tls::VerifyAgainstSystem && !others_are_trusted {
        return Err(waiting("it has TLS but has not said which authority to trust"));
    }
    if let Tls::VerifyAgainst(bundle) = &mut connection.tls {
        *bundle = pki::certificates(bundle).map(|all| all.concat()).ok_or_else(|| {
            let (interface, key) = (DatabaseAnswer::INTERFACE, "tls-ca");
            let expected = "a PEM text with certificates";
            let error = BagError::Malformed { interface, key, expected };
            status::unusable(&relation.offer.own.id, &error)
        })?;
    }
    Ok(connection)
}
