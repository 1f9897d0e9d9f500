use crate::{Deployment, MockProvider, Operator, Service, Unit};

/// A deployment in which everything runs: both services, an identity provider that the test directs, and an operator who has logged
/// in.
pub struct Running {
    /// The deployment.
    pub deployment: Deployment,
    /// The identity provider.
    pub provider: MockProvider,
    /// The Management API.
    pub manager: Unit,
    /// The Cluster Connector.
    pub connector: Unit,
    /// An operator who has logged in.
    pub ada: Operator,
}

impl Running {
    /// A new deployment with the usual settings.
    pub async fn start() -> Self {
        Self::of(Deployment::new().await).await
    }

    /// A deployment whose settings have been changed.
    pub async fn of(mut deployment: Deployment) -> Self {
        let provider = MockProvider::start(&mut deployment).await;
        let manager = deployment.start(Service::ManagementApi).await;
        let connector = deployment.start(Service::ClusterConnector).await;
        let mut ada = deployment.operator();
        assert_eq!(provider.log_in(&mut ada).await.status, 303);
        Self { deployment, provider, manager, connector, ada }
    }
}
