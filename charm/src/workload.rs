//! What runs in the container: files, and the Pebble layer with both services.
//!
//! Secrets are in files that only the workload's user can read; the plan names the files. A service
//! reads most of them at its start, so the plan also has a keyed hash of their contents: when one
//! changes, Pebble restarts what reads it, and nothing else.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use ops::Status;
use ops::pebble::{Check, CheckProbe, FileSpec, Layer, Level, Override, Service, Startup};
use relations::grafana_metadata::GrafanaMetadata;
use relations::postgresql_client::{Connection, NotReady, Tls};
use secrecy::ExposeSecret;

use crate::addresses::{
    Addresses, CONNECTOR_PORT, CONNECTOR_STATUS_PORT, MANAGEMENT_PORT, MANAGEMENT_STATUS_PORT,
};
use crate::config::Config;
use crate::custody;
use crate::decide::DATABASE_NAME;
use crate::login::{self, Provider};
use crate::observe::{Inputs, Offer};
use crate::shared::Pair;
use crate::status;
use crate::surroundings::Surroundings;

/// Name of the service that serves people.
pub const MANAGEMENT: &str = "management-api";
/// Name of the service that serves clusters.
pub const CONNECTOR: &str = "cluster-connector";
/// Label of our layer.
pub const LABEL: &str = "cluster-manager";

/// Time that a service may take to stop: above the 15 s for which it goes on while it is no longer ready, the 20 s that it then
/// gives running requests, and what the end itself takes.
const KILL_DELAY: &str = "40s";

/// Every file that the charm may write, below its folder.
const FILES: [&str; 9] = [
    "master.key",
    "db/password",
    "db/ca.pem",
    "oidc/client-secret",
    "oidc/ca.pem",
    "management/tls.crt",
    "management/tls.key",
    "connector/tls.crt",
    "connector/tls.key",
];

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
    let service = |name: &str| {
        let command = format!("{} {name}", surroundings.program());
        let service = Service { command, startup: Startup::Disabled, ..Service::default() };
        (name.to_owned(), service)
    };
    Workload {
        files: Vec::new(),
        without: FILES.iter().map(|name| surroundings.file(name)).collect(),
        layer: Layer {
            services: BTreeMap::from([service(MANAGEMENT), service(CONNECTOR)]),
            ..Layer::default()
        },
    }
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
    management: &'a Pair,
    connector: &'a Pair,
    authorities: String,
}

impl<'a> Facts<'a> {
    fn gather(inputs: &'a Inputs) -> Result<Self, Status> {
        let config = inputs.config.as_ref().map_err(|wrong| status::wrong_option(inputs, wrong))?;
        let addresses = inputs.addresses().ok_or_else(|| Status::waiting("waiting for options"))?;
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
        let leader = "waiting for the leader to share its keys";
        let shared = &inputs.shared;
        let certificates = shared.certificates.content();
        let management = certificates
            .and_then(|certificates| certificates.served.as_ref())
            .ok_or_else(|| status::no_certificate(inputs))?;
        let pinned = shared.connector.content().map(|connector| &connector.pair);
        let connector = if custody::serves_relation(inputs) { Some(management) } else { pinned };
        let master_key = shared.master_key.content().ok_or_else(|| Status::waiting(leader))?;
        Ok(Self {
            inputs,
            config,
            management_url,
            database,
            provider,
            master_key: master_key.0.expose_secret(),
            management,
            connector: connector.ok_or_else(|| Status::waiting(leader))?,
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
        let mut all = self.authorities.clone();
        for certificate in &self.provider.authorities {
            all.push_str(certificate.trim_end());
            all.push('\n');
        }
        all
    }

    fn files(&self) -> Vec<FileSpec> {
        let mut files = Vec::new();
        let mut add = |name: &str, content: &str| {
            if !content.is_empty() {
                files.push(FileSpec::private(&self.path(name), content));
            }
        };
        add("master.key", self.master_key);
        add("db/password", self.database.password.expose_secret());
        add("db/ca.pem", self.database_authorities().unwrap_or_default());
        let client_secret = self.provider.client_secret.as_ref();
        add(
            "oidc/client-secret",
            client_secret.map(ExposeSecret::expose_secret).unwrap_or_default(),
        );
        add("oidc/ca.pem", &self.login_authorities());
        add("management/tls.crt", &self.management.chain);
        add("management/tls.key", self.management.key.expose_secret());
        add("connector/tls.crt", &self.connector.chain);
        add("connector/tls.key", self.connector.key.expose_secret());
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
        let login = ["oidc/client-secret", "oidc/ca.pem"];
        let with_login: Vec<&str> = both.into_iter().chain(login).collect();
        let mut management = self.environment(MANAGEMENT_PORT, MANAGEMENT_STATUS_PORT);
        management.extend(self.management_environment());
        management.insert("FILES_HMAC".to_owned(), self.hash(files, &with_login));
        let mut connector = self.environment(CONNECTOR_PORT, CONNECTOR_STATUS_PORT);
        if let Some(url) = remote_write_urls(self.inputs).first() {
            connector.insert("PROMETHEUS_BASE_URL".to_owned(), url.clone());
        }
        connector.insert("FILES_HMAC".to_owned(), self.hash(files, &both));
        Layer {
            summary: "MicroCloud Cluster Manager".to_owned(),
            services: BTreeMap::from([
                self.service(MANAGEMENT, "The web page and its API for people", management),
                self.service(CONNECTOR, "What clusters connect to", connector),
            ]),
            checks: [(MANAGEMENT, MANAGEMENT_STATUS_PORT), (CONNECTOR, CONNECTOR_STATUS_PORT)]
                .into_iter()
                .flat_map(|(name, port)| self.checks(name, port))
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
            kill_delay: Some(KILL_DELAY.to_owned()),
            ..Service::default()
        };
        (name.to_owned(), service)
    }

    /// A service that does not answer is restarted by Pebble, without the container and the other
    /// service: that is why the first check has no level. While the second is down, Kubernetes sends no
    /// connections to this pod.
    fn checks(&self, name: &str, port: u16) -> [(String, Check); 2] {
        let host = self.inputs.surroundings.probe_host();
        let check = |path: &str, level, period: &str, threshold| Check {
            over: Override::Replace,
            level,
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

    fn environment(&self, port: u16, status_port: u16) -> BTreeMap<String, String> {
        let (config, database) = (self.config, &self.database);
        let mut vars = Vars::default();
        let host = database.hosts.first();
        vars.set("SERVER_HOST", &self.inputs.surroundings.listen);
        vars.set("SERVER_PORT", &port.to_string());
        vars.set("STATUS_PORT", &status_port.to_string());
        vars.set("DATA_DIR", &self.path("data"));
        vars.set("MASTER_KEY_FILE", &self.path("master.key"));
        vars.set("LOG_LEVEL", config.log_level.as_str());
        vars.set("DB_HOST", host.map(|host| host.host.as_str()).unwrap_or_default());
        vars.set("DB_PORT", &host.map(|host| host.port.to_string()).unwrap_or_default());
        vars.set("DB_USER", &database.username);
        vars.set("DB_PASSWORD_FILE", &self.path("db/password"));
        vars.set("DB_NAME", &database.database);
        vars.set("DB_MAX_OPEN", &config.db_max_connections.0.to_string());
        vars.set("DB_DISABLE_TLS", &(database.tls == Tls::Off).to_string());
        if self.database_authorities().is_some_and(|text| !text.is_empty()) {
            vars.set("DB_CA_FILE", &self.path("db/ca.pem"));
        }
        let connector = self.addresses.connector.as_ref().map(ToString::to_string);
        vars.set("CLUSTER_CONNECTOR_DOMAIN", &connector.unwrap_or_default());
        vars.set("CLUSTER_CONNECTOR_PORT", &self.addresses.connector_port.to_string());
        vars.set("CLUSTER_CONNECTOR_TLS_PATH", &self.path("connector"));
        vars.set("RATE_LIMIT_REFILL_RATE", &config.rate_limit_refill_rate.0.to_string());
        vars.set("RATE_LIMIT_BUCKET_SIZE", &config.rate_limit_bucket_size.0.to_string());
        // Only Traefik writes the header, so that it is demanded only behind Traefik.
        if let (Some(networks), Some(_)) = (&config.proxy_protocol_from, &self.inputs.route) {
            vars.set("PROXY_PROTOCOL", "required");
            vars.set("PROXY_PROTOCOL_FROM", &networks.0);
        }
        vars.0
    }

    fn management_environment(&self) -> BTreeMap<String, String> {
        let (config, provider) = (self.config, &self.provider);
        let mut vars = Vars::default();
        vars.set("MANAGEMENT_API_URL", &self.management_url);
        vars.set("MANAGEMENT_API_TLS_PATH", &self.path("management"));
        vars.set("OIDC_ISSUER", &provider.issuer);
        vars.set("OIDC_CLIENT_ID", &provider.client_id);
        if provider.client_secret.is_some() {
            vars.set("OIDC_CLIENT_SECRET_FILE", &self.path("oidc/client-secret"));
        }
        vars.set("OIDC_AUDIENCE", config.oidc_audience.as_deref().unwrap_or_default());
        if !self.login_authorities().is_empty() {
            vars.set("OIDC_CA_FILE", &self.path("oidc/ca.pem"));
        }
        vars.set("OIDC_GROUPS_CLAIM", &provider.groups_claim);
        vars.set("OIDC_ADMIN_GROUPS", &config.oidc_admin_groups);
        let grafana = self.inputs.grafana.as_ref().and_then(Offer::good);
        vars.set("GRAFANA_BASE_URL", grafana.map(GrafanaMetadata::base_url).unwrap_or_default());
        vars.0
    }
}

/// Variables; an empty value is no variable.
#[derive(Default)]
struct Vars(BTreeMap<String, String>);

impl Vars {
    fn set(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.0.insert(name.to_owned(), value.to_owned());
        }
    }
}

fn alive(service: &str) -> String {
    format!("{service}-alive")
}

/// The addresses that metrics of clusters go to, sorted, each once.
#[must_use]
pub fn remote_write_urls(inputs: &Inputs) -> Vec<String> {
    let urls = inputs.receivers.iter().filter_map(|receiver| receiver.urls.as_ref().ok());
    let mut urls: Vec<String> = urls.flatten().cloned().collect();
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
    all.into_iter().flat_map(|certificate| [certificate, "\n"]).collect()
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
    let connection = answer
        .connection(relation.user.as_ref(), relation.tls.as_ref(), DATABASE_NAME)
        .map_err(|NotReady(what)| waiting(&format!("it has not delivered its {what} yet")))?;
    if connection.tls == Tls::VerifyAgainstSystem && !others_are_trusted {
        return Err(waiting("it has TLS but has not said which authority to trust"));
    }
    Ok(connection)
}
