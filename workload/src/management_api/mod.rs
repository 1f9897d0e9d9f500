//! The Management API: what operators, their browsers and their scripts talk to.
//!
//! Invariants: a route is closed until the table in `access` says who may use it (the guard stands on the router, not on the
//! handlers); the `Host` header never ends up in an address or a cookie; secrets never leave.

pub mod access;
mod all_clusters;
mod audit;
mod back_channel;
mod caller;
mod clusters;
mod configuration;
mod cookies;
mod fleet;
mod guards;
mod history;
mod join_tokens;
mod login;
mod login_check;
pub mod openapi;
mod server;
mod sessions;
mod tunnel;

use std::sync::Arc;

pub(crate) use clusters::ClusterView;
pub(crate) use join_tokens::JoinTokenView;
use prometheus::IntCounterVec;
use salvo::{Depot, Request, Router, Service, affix_state, handler};
use serde::de::DeserializeOwned;
use workload_config::{AnonymousLimit, Config, Limits, PublicUrl};

pub use self::all_clusters::AllClusters;
pub use self::fleet::Rendered;
use crate::domain::audit::Sampler;
use crate::domain::fleet::Fleet;
use crate::domain::join_tokens::JoinTokenPolicy;
use crate::domain::sessions::Sessions;
use crate::edge::rate_limit::{Anonymous, MonotonicClock, Newcomers, Peers};
use crate::edge::{
    self, AnswerTime, ApiError, BodyRoom, BodyRules, LeanAnswers, Prepared, Redirect, Success,
    parse_json, read_body,
};
use crate::metrics::Metrics;
use crate::model::RoleGroups;
use crate::oidc::Provider;
use crate::seal::MasterKey;
use crate::seal::UnitAddresses;
use crate::store::Pool;
use crate::tunnel::{HopClient, LxdSessions};
use crate::ui_assets;

pub use configuration::settings_digest;

/// What the handlers share.
pub struct App {
    /// The settings, for showing them.
    pub config: Config,
    /// The database.
    pub pool: Pool,
    /// The identity provider.
    pub provider: Arc<Provider>,
    /// Who is logged in.
    pub sessions: Sessions<Provider>,
    /// The key of cookies and stored tokens.
    pub master_key: Arc<MasterKey>,
    /// Our origin.
    pub public_url: PublicUrl,
    /// What is written into join tokens.
    pub join_tokens: JoinTokenPolicy,
    /// The whole fleet.
    pub fleet: Fleet,
    /// Its list, ready to be sent.
    pub rendered: Rendered,
    /// The list of clusters with all their data, the same.
    pub all_clusters: AllClusters,
    /// The description of the API.
    pub openapi: Arc<Prepared>,
    /// Host names and addresses of the manager itself: no link of a cluster may lead there.
    pub own_hosts: Vec<String>,
    /// Groups and what their members may do.
    pub roles: RoleGroups,
    /// Which failed logins the audit log gets.
    pub failed_logins: Sampler,
    /// Which requests that other sites made a browser send the audit log gets.
    pub foreign_requests: Sampler,
    /// The way to the clusters' tunnels.
    pub tunnels: Tunnels,
    /// Which connections have not shown who they are.
    pub newcomers: Newcomers,
    /// Which addresses are those of people's own networks.
    pub peers: Peers,
    /// Logins by what came of them.
    pub logins: IntCounterVec,
}

/// The way to the clusters' tunnels.
pub struct Tunnels {
    /// Sends requests to the units that hold them.
    pub hop: HopClient,
    /// Tells addresses of units from others.
    pub addresses: UnitAddresses,
    /// Sessions that LXD gave to operators.
    pub sessions: LxdSessions,
}

/// How often those who need not be logged in may ask.
#[derive(Clone)]
pub struct AnonymousLimits {
    /// People who begin or finish a login.
    pub logins: Anonymous,
    /// The identity provider, which tells of all logouts from one address.
    pub logouts: Anonymous,
}

impl AnonymousLimits {
    /// As the settings say.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let (settings, peers) = (&config.rate_limit, Peers::new(&config.balancer));
        let limit = |name, limit| Anonymous::new(name, limit, &peers, settings, &MonotonicClock);
        let per_address = settings.login.per_unit;
        Self {
            logins: limit("logins", settings.login),
            logouts: limit("logouts", AnonymousLimit { per_address, ..settings.login }),
        }
    }
}

/// The routes.
#[must_use]
pub fn service(app: Arc<App>, limits: AnonymousLimits, metrics: &Metrics) -> Service {
    let AnonymousLimits { logins, logouts } = limits;
    let Limits { management, body, .. } = &app.config.limits;
    let answer_time = AnswerTime(management.answer_time);
    let bodies = BodyRoom::new(BodyRules {
        bytes: management.bodies_bytes,
        share: None,
        time: management.body_time,
        rate: body.rate,
    });
    let tunnel = Router::with_path("1.0/remote-cluster/{name}/tunnel/{**path}")
        .hoop(guards::data_only)
        .get(tunnel::pass_on)
        .post(tunnel::pass_on)
        .put(tunnel::pass_on)
        .patch(tunnel::pass_on)
        .delete(tunnel::pass_on);
    let clusters = Router::with_path("remote-cluster")
        .push(Router::new().hoop(LeanAnswers).get(clusters::list).head(clusters::list))
        .push(
            Router::with_path("{name}")
                .get(clusters::get)
                .head(clusters::get)
                .patch(clusters::change)
                .delete(clusters::remove)
                .push(Router::with_path("rotation-token").post(join_tokens::rotate)),
        );
    let join_tokens = Router::with_path("remote-cluster-join-token")
        .get(join_tokens::list)
        .head(join_tokens::list)
        .post(join_tokens::create)
        .push(Router::with_path("{name}").delete(join_tokens::revoke));
    let configuration =
        Router::with_path("configuration").get(configuration::get).head(configuration::get);
    let own_sessions = Router::with_path("sessions")
        .get(sessions::list)
        .head(sessions::list)
        .delete(sessions::end_all)
        .push(Router::with_path("{id}").delete(sessions::end_one));
    let sessions_of = Router::with_path("{id}/sessions")
        .get(sessions::list_of)
        .head(sessions::list_of)
        .delete(sessions::end_all_of)
        .push(Router::with_path("{session}").delete(sessions::end_one_of));
    let identities = Router::with_path("identities")
        .get(sessions::identities)
        .head(sessions::identities)
        .push(sessions_of);
    let audit = Router::with_path("audit")
        .get(audit::list)
        .head(audit::list)
        .push(Router::with_path("export").get(audit::export).head(audit::export));
    let api = Router::with_path("1.0")
        .hoop(answer_time)
        .get(server::get)
        .head(server::get)
        .push(Router::with_path("status").get(server::status).head(server::status))
        .push(clusters)
        .push(join_tokens)
        .push(Router::with_path("openapi.json").get(openapi::get).head(openapi::get))
        .push(fleet::routes())
        .push(fleet::warnings())
        .push(configuration)
        .push(Router::with_path("login-check").get(login_check::get).head(login_check::get))
        .push(own_sessions)
        .push(identities)
        .push(audit);
    let oidc = Router::with_path("oidc")
        .push(Router::with_path("login").hoop(logins.clone()).get(login::begin))
        .push(Router::with_path("callback").hoop(logins).get(login::finish))
        .push(Router::with_path("backchannel-logout").hoop(logouts).post(back_channel::end))
        .push(
            Router::with_path("logout")
                .hoop(guards::same_origin)
                .get(login::logout)
                .post(login::logout),
        );
    let ui = Router::with_path("ui/{**path}").get(ui_assets::serve).head(ui_assets::serve);
    let router = Router::new()
        .hoop(affix_state::inject(app))
        .hoop(guards::own_host)
        .hoop(guards::permitted)
        .get(to_ui)
        .head(to_ui)
        .goal(versions)
        .push(tunnel)
        .push(api)
        .push(oidc)
        .push(ui);
    edge::service(router, bodies, metrics)
}

/// The JSON body of a request.
async fn json_body<T: DeserializeOwned>(req: &mut Request, app: &App) -> Result<T, ApiError> {
    let limits = app.config.limits.body;
    parse_json(&read_body(req, limits.json_bytes).await?, limits.json_depth)
}

/// `GET /` leads to the UI.
#[handler]
async fn to_ui() -> Redirect {
    Redirect("/ui/")
}

/// Any other method on `/`: the versions of the API.
#[handler]
async fn versions() -> Success<[&'static str; 1]> {
    Success(["/1.0"])
}

fn app(depot: &Depot) -> Result<Arc<App>, ApiError> {
    depot
        .get_typed::<Arc<App>>()
        .cloned()
        .map_err(|_| ApiError::Internal("the service has no state".into()))
}
