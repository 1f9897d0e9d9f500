use cluster_simulator::{Lxd, Member, Tunnel, TunnelAnswer, TunnelManner, TunnelRequest};
use tokio::task::JoinHandle;

use crate::{Deployment, Operator, Process, Service, Unit};

/// A deployment with both services, an operator who is logged in, and clusters that open tunnels.
pub struct TunnelDeployment {
    /// The deployment.
    pub deployment: Deployment,
    /// The Management API.
    pub manager: Unit,
    /// The Cluster Connector.
    pub connector: Unit,
    /// An administrator.
    pub admin: Operator,
    _provider: Process,
}

impl TunnelDeployment {
    /// Starts everything with these settings on top of the usual ones.
    pub async fn start(settings: &[(&'static str, &str)]) -> Self {
        let mut deployment = Deployment::new().await;
        deployment.extra.extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let provider = deployment.start_identity_provider().await;
        let manager = deployment.start(Service::ManagementApi).await;
        let connector = deployment.start(Service::ClusterConnector).await;
        let admin = deployment.logged_in("admin@example.com").await;
        Self { deployment, manager, connector, admin, _provider: provider }
    }

    /// A cluster whose tunnel is open and registered.
    pub async fn open(&self, name: &str) -> (Member, Tunnel) {
        let member = self.deployment.enrol(name).await;
        let tunnel = self.reopen(&member).await;
        (member, tunnel)
    }

    /// The cluster's next tunnel, registered.
    pub async fn reopen(&self, member: &Member) -> Tunnel {
        let database = &self.deployment.database;
        let before = database.count("SELECT coalesce(max(generation), 0) FROM tunnels").await;
        let tunnel = member.open_tunnel().await.unwrap();
        let newer = format!("SELECT count(*) FROM tunnels WHERE generation > {before}");
        database.until_count(&newer, 1).await;
        tunnel
    }

    /// A cluster that answers as LXD does.
    pub async fn serve(&self, name: &str, mut lxd: Lxd, manner: TunnelManner) -> JoinHandle<()> {
        let (_, tunnel) = self.open(name).await;
        tokio::spawn(async move {
            tunnel.serve(&mut lxd, manner).await;
        })
    }
}

/// Answers the requests of a tunnel with `answer` until it ends, and gives them back in their order.
#[must_use]
pub fn answering(
    mut tunnel: Tunnel,
    mut answer: impl FnMut(&TunnelRequest) -> TunnelAnswer + Send + 'static,
) -> JoinHandle<Vec<TunnelRequest>> {
    tokio::spawn(async move {
        let mut requests = Vec::new();
        while let Ok(Some(request)) = tunnel.next().await {
            if tunnel.answer(&answer(&request)).await.is_err() {
                break;
            }
            requests.push(request);
        }
        requests
    })
}
