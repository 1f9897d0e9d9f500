//! Wiring: from settings to running services. No logic of its own.

mod database;
mod unit;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio_util::task::TaskTracker;
use workload_config::{Config, DatabaseHost, DatabaseServer, PublicUrl};

use crate::domain::audit::{self, Sampler};
use crate::domain::clusters;
use crate::domain::fleet::Fleet;
use crate::domain::heartbeat::HeartbeatWriter;
use crate::domain::history;
use crate::domain::join_tokens::JoinTokenPolicy;
use crate::domain::sessions::{self, Sessions};
use crate::domain::takeover;
use crate::domain::tunnels;
use crate::edge::rate_limit::{Limit, Newcomers, Peers};
use crate::edge::{Limits, Listener, Prepared};
use crate::management_api::{AllClusters, Rendered};
use crate::model::{Event, RoleGroups};
use crate::oidc::Provider;
use crate::seal::{MasterKey, MasterKeyError};
use crate::store::{Pool, StoreError};
use crate::tls::{
    self, ClientCertificates, Identities, InterUnit, Pin, Presented, Renewal, ServerIdentity,
    TlsError,
};
use crate::tunnel::{HopClient, Keeper, LxdSessions, Tunnels};
use crate::{cluster_connector, management_api, openapi};

use unit::Unit;

pub use database::{apply_takeover, check_takeover, migrate, waiting_takeover};

/// Why a service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting that this service needs is missing.
    #[error("{0}")]
    Setting(&'static str),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There is no master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The schema cannot be brought up to date.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The earlier product's database cannot be taken over.
    #[error(transparent)]
    Takeover(#[from] takeover::Error),
    /// The database may be a copy, and the sessions in it did not end.
    #[error("the sessions of another installation could not be ended")]
    Sessions(#[source] crate::domain::Error),
    /// An address cannot be listened on.
    #[error("cannot listen on {0}")]
    Listen(std::net::SocketAddr, #[source] std::io::Error),
    /// The metrics cannot be set up.
    #[error("the metrics could not be set up")]
    Metrics(#[source] prometheus::Error),
    /// The system refused something else.
    #[error("the system refused a service")]
    Io(#[from] std::io::Error),
}

/// Runs the Cluster Connector until a signal.
///
/// # Errors
///
/// [`StartError`] when it cannot start.
pub async fn cluster_connector(config: Config) -> Result<(), StartError> {
    let identities = connector_identities(&config)?;
    let unit = Unit::new(&config, "cluster-connector", &identities)?;
    let forward = unit.forward(&config)?;
    let heartbeats = HeartbeatWriter::start(
        &unit.pool,
        &unit.life.tasks,
        &unit.metrics,
        forward,
        config.limits.heartbeat,
    );
    let key = master_key(&config)?;
    let hop_listen = SocketAddr::new(config.listen.ip(), config.tunnel.port);
    let between_units = Some((InterUnit::new(&key)?.server_config()?, unit.metrics.clone()));
    let hop = Listener::bind(
        hop_listen,
        between_units,
        cluster_connector::hop::limits(&config.limits.tunnel),
    )
    .map_err(|error| StartError::Listen(hop_listen, error))?;
    let hop_address = reachable_address(&config, hop.address()?);
    let addresses = key.unit_addresses().ok_or(TlsError::InterUnit)?;
    let keeper = Keeper::new(
        unit.pool.clone(),
        tunnels::Unit::new(&addresses, hop_address),
        Tunnels::new(config.limits.tunnel, &unit.metrics.tunnels),
        unit.life.stop.clone(),
    );
    let app = Arc::new(cluster_connector::App::new(
        &config,
        unit.pool.clone(),
        key,
        heartbeats,
        keeper.clone(),
        unit.life.tasks.clone(),
    ));
    let pinned = identities.present().fingerprint();
    tracing::info!(
        fingerprint = %pinned,
        address = app.public_address,
        "clusters reach the Cluster Connector at {} and pin {pinned}",
        app.public_address
    );
    for earlier in identities.earlier() {
        let (fingerprint, names) = (earlier.fingerprint(), earlier.dns_names().join(", "));
        tracing::info!(%fingerprint, "clusters that connect to {names} still find {fingerprint}");
    }
    let presented = Presented::new(identities);
    if let Some(path) = &config.connector.tls_path {
        let follow = config.connector.follow_certificate;
        unit.follow(&presented, path, if follow { Renewal::Present } else { Renewal::Report });
    }
    let tls = tls::server_config(presented, ClientCertificates::Requested)?;
    let limits = cluster_connector::RateLimits::new(&config);
    let newcomers = limits.newcomers.clone();
    unit.look_after(&config, limits.all())?;
    let recall =
        Box::pin(recall(unit.pool.clone(), limits.clone(), config.rate_limit.max_clients.get()));
    let keep_history =
        Box::pin(history::keep(unit.pool.clone(), config.history, unit.life.stop.clone()));
    let service = cluster_connector::service(app, limits, &unit.metrics);
    let hop_service =
        cluster_connector::hop::service(keeper.clone(), &config.limits, &unit.metrics);
    let (stop, grace) = (unit.life.stop.clone(), config.shutdown_grace);
    let with_tunnels = async |tasks: &TaskTracker| {
        tokio::join!(keeper.announce(), recall);
        keeper.start(tasks);
        tasks.spawn(keep_history);
        hop.serve(hop_service, tasks, stop, grace)?;
        tracing::info!(address = %hop_address, "the Management API reaches this unit's tunnels at {hop_address}");
        Ok(())
    };
    let limits = config.limits.connector.into();
    unit.serve(&config, tls, (limits, newcomers), service, with_tunnels).await
}

/// Runs the Management API until a signal.
///
/// # Errors
///
/// [`StartError`] when it cannot start.
pub async fn management_api(config: Config) -> Result<(), StartError> {
    let path = config.management.tls_path.as_deref();
    let path = path.ok_or(StartError::Setting(
        "MANAGEMENT_API_TLS_PATH must be set: a directory with tls.crt and tls.key",
    ))?;
    let identity = ServerIdentity::from_directory(path)?;
    let unit = Unit::new(&config, "management-api", &identity.clone().into())?;
    let fleet = Fleet::start(&unit.pool, &unit.life.tasks, &unit.ready, &unit.life.stop);
    let app = Arc::new(management_app(&config, &identity, &unit, fleet)?);
    tracing::info!(
        url = app.public_url.origin(),
        "operators reach the Management API at {}",
        app.public_url.origin()
    );
    let key = Arc::clone(&app.master_key);
    let presented = Presented::new(identity);
    unit.follow(&presented, path, Renewal::Present);
    let tls = tls::server_config(presented, ClientCertificates::NotRequested)?;
    let anonymous = management_api::AnonymousLimits::new(&config);
    let newcomers = app.newcomers.clone();
    let limits: Vec<Arc<dyn Limit>> = vec![
        Arc::new(anonymous.logins.clone()),
        Arc::new(anonymous.logouts.clone()),
        Arc::new(newcomers.clone()),
    ];
    unit.look_after(&config, limits)?;
    let service = management_api::service(app, anonymous, &unit.metrics);
    let settings = management_api::settings_digest(&config);
    let notes = vec![
        (Event::ConfigurationChanged, "management-api", settings),
        (Event::MasterKeyChanged, "master-key", key.id()),
    ];
    let pool = unit.pool.clone();
    let with_notes = async |_: &TaskTracker| {
        sessions::end_if_copied(&pool, &key).await.map_err(StartError::Sessions)?;
        note_changes(&pool, notes).await;
        Ok(())
    };
    let limits = Limits::from(config.limits.management);
    // Requests to clusters take longest.
    let idle = limits.idle.max(config.limits.tunnel.answer_time + Duration::from_mins(1));
    let limits = Limits { idle, ..limits };
    unit.serve(&config, tls, (limits, newcomers), service, with_notes).await
}

fn management_app(
    config: &Config,
    identity: &ServerIdentity,
    unit: &Unit,
    fleet: Fleet,
) -> Result<management_api::App, StartError> {
    let named_by_certificate = || {
        identity.dns_names().first().and_then(|name| PublicUrl::parse(&format!("https://{name}")))
    };
    let public_url = config.management.public_url.clone().or_else(named_by_certificate);
    let public_url = public_url.ok_or(StartError::Setting(
        "MANAGEMENT_API_URL must be set: the https address that browsers use (the certificate names no host)",
    ))?;
    let oidc = config.oidc.clone();
    let oidc = oidc.ok_or(StartError::Setting(
        "OIDC_ISSUER and OIDC_CLIENT_ID must be set: people log in there",
    ))?;
    let join_tokens = join_token_policy(config)?;
    let mut own_hosts = config.own_hosts();
    own_hosts.push(public_url.host().to_owned());
    let roles = RoleGroups {
        admin: oidc.admin_groups.clone(),
        operator: oidc.operator_groups.clone(),
        viewer: oidc.viewer_groups.clone(),
    };
    let provider = Arc::new(Provider::new(oidc, public_url.clone())?);
    unit.life.tasks.spawn(Arc::clone(&provider).follow(unit.life.stop.clone()));
    let key = &join_tokens.master_key;
    let tunnels = management_api::Tunnels {
        hop: HopClient::new(
            InterUnit::new(key)?.client_config()?,
            config.limits.tunnel.answer_time,
        )
        .map_err(|_| TlsError::Runtime)?,
        addresses: key.unit_addresses().ok_or(TlsError::InterUnit)?,
        sessions: LxdSessions::default(),
    };
    Ok(management_api::App {
        tunnels,
        sessions: Sessions {
            pool: unit.pool.clone(),
            key: Arc::clone(&join_tokens.master_key),
            provider: Arc::clone(&provider),
            tasks: unit.life.tasks.clone(),
            idle: config.management.session_idle,
            lifetime: config.management.session_lifetime,
            limits: config.limits.session,
            keep_access_tokens: config.tunnel.forward_access_token,
        },
        pool: unit.pool.clone(),
        roles,
        failed_logins: Sampler::default(),
        foreign_requests: Sampler::default(),
        provider,
        master_key: Arc::clone(&join_tokens.master_key),
        public_url,
        join_tokens,
        fleet,
        rendered: Rendered::default(),
        all_clusters: AllClusters::default(),
        newcomers: Newcomers::new(&Peers::new(&config.balancer), &config.rate_limit),
        peers: Peers::new(&config.balancer),
        logins: unit.metrics.logins.clone(),
        openapi: Arc::new(Prepared::new(openapi().to_string().into())),
        own_hosts,
        config: config.clone(),
    })
}

/// The description of both services' interfaces.
#[must_use]
pub fn openapi() -> serde_json::Value {
    let operations =
        [management_api::openapi::operations(), cluster_connector::openapi::operations()];
    openapi::document(operations.concat())
}

/// What join tokens of this deployment say.
///
/// # Errors
///
/// [`StartError::Tls`] when the connector's certificate cannot be used.
pub fn join_token_policy(config: &Config) -> Result<JoinTokenPolicy, StartError> {
    let at_start = connector_identities(config)?.present().fingerprint();
    let followed =
        config.connector.tls_path.clone().filter(|_| config.connector.follow_certificate);
    let pin = Pin::new(at_start, followed);
    Ok(JoinTokenPolicy {
        connector_address: config.connector.address(),
        connector_pin: Box::new(move || pin.now()),
        max_life: config.management.join_token_max_life,
        max_pending: config.limits.join.tokens,
        master_key: master_key(config)?,
    })
}

fn master_key(config: &Config) -> Result<Arc<MasterKey>, MasterKeyError> {
    let key = match &config.management.master_key_file {
        Some(path) => MasterKey::read(path)?,
        None => MasterKey::read_or_create(&config.data_dir.join("master.key"))?,
    };
    Ok(Arc::new(match &config.management.master_key_previous_file {
        Some(path) => key.with_previous(MasterKey::read(path)?),
        None => key,
    }))
}

/// Where other units reach what listens on `bound`: as the settings say, or as the listener itself does, or, where that stands for
/// all addresses of the machine, at the one that the machine uses towards the database.
fn reachable_address(config: &Config, bound: SocketAddr) -> SocketAddr {
    if let Some(address) = config.tunnel.address {
        return SocketAddr::new(address, bound.port());
    }
    if !bound.ip().is_unspecified() {
        return bound;
    }
    // Connecting a UDP socket sends nothing: the system only chooses the route.
    let towards = |server: &DatabaseServer| match &server.host {
        DatabaseHost::Tcp(host) => UdpSocket::bind((bound.ip(), 0)).and_then(|socket| {
            socket.connect((host.as_str(), server.port))?;
            socket.local_addr()
        }),
        DatabaseHost::Socket(_) => Ok((Ipv4Addr::LOCALHOST, 0).into()),
    };
    // Any of the servers will do; the names of some may not be known at the moment.
    let mut own = Err(std::io::Error::other("there is no database server"));
    for server in &config.database.servers {
        own = towards(server);
        if own.is_ok() {
            break;
        }
    }
    let own = own.map_or_else(
        |error| {
            tracing::warn!(%error, "this unit does not know its own address: set TUNNEL_ADDRESS, or requests through its tunnels fail");
            Ipv4Addr::LOCALHOST.into()
        },
        |address| address.ip(),
    );
    SocketAddr::new(own, bound.port())
}

fn connector_identities(config: &Config) -> Result<Identities, TlsError> {
    if let Some(path) = &config.connector.tls_path {
        return Identities::from_directory(path);
    }
    let path = config.data_dir.join("connector.pem");
    let now = OffsetDateTime::now_utc();
    Ok(ServerIdentity::read_or_create(&path, &config.connector.domain, now)?.into())
}

/// Longest wait for what the limits are told at the start. A hundred thousand clusters take a tenth of that.
const RECALL_TIME: Duration = Duration::from_secs(1);

/// Tells the limits which certificates are enrolled, so that nobody who makes some up keeps clusters out that this unit has not seen
/// yet. A service starts without that, too: it then learns from the answers.
async fn recall(pool: Pool, limits: cluster_connector::RateLimits, most: u32) {
    match tokio::time::timeout(RECALL_TIME, clusters::certificates(&pool, most)).await {
        Ok(Ok(enrolled)) => limits.know(enrolled),
        Ok(Err(error)) => {
            tracing::warn!(error = %crate::Chain(&error), "the limits do not know the clusters yet");
        }
        Err(_) => tracing::warn!("the limits do not know the clusters yet: that took too long"),
    }
}

/// Records which settings and keys differ from those of the last start. A service starts without that, too.
async fn note_changes(pool: &Pool, notes: Vec<(Event, &'static str, String)>) {
    for (event, object, digest) in notes {
        if let Err(error) = audit::note_if_new(pool, event, object, &digest).await {
            tracing::warn!(error = %crate::Chain(&error), "the audit log could not be written");
        }
    }
}
