//! Under which names the two services are reached.

use relations::{ingress, traefik_route};

use crate::config::{Config, PublicHost};

/// Port of the Management API in the pod and at the Kubernetes service.
pub const MANAGEMENT_PORT: u16 = 9100;
/// Port of the Cluster Connector in the pod and at the Kubernetes service.
pub const CONNECTOR_PORT: u16 = 9000;
/// Port of the Management API's probes and metrics.
pub const MANAGEMENT_STATUS_PORT: u16 = 11000;
/// Port of the Cluster Connector's probes and metrics.
pub const CONNECTOR_STATUS_PORT: u16 = 10000;

/// Names and ports as others see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Where people open the web page; `None` while nobody has said.
    pub management: Option<PublicHost>,
    /// Where clusters connect to; `None` while nobody has said.
    pub connector: Option<PublicHost>,
    /// Where clusters that enrolled earlier connect to, besides `connector`.
    pub earlier: Vec<PublicHost>,
    /// The port that clusters connect to.
    pub connector_port: u16,
    /// DNS name of the Kubernetes service, the same for all units.
    pub service: String,
    /// DNS name of this unit's pod.
    pub pod: String,
}

impl Addresses {
    /// The option decides; without it what Traefik says about itself, for the Management API only:
    /// clusters cannot be moved once they have joined.
    #[must_use]
    pub fn new(
        config: &Config,
        app: &str,
        unit_number: u32,
        namespace: &str,
        route: Option<&traefik_route::RouteAnswer>,
        ingress: Option<&ingress::IngressAnswer>,
    ) -> Self {
        let from_route = || {
            let host = route?.external_host.as_deref()?.split('/').next()?;
            PublicHost::try_from(host.to_owned()).ok()
        };
        let from_ingress = || PublicHost::try_from(ingress_host(&ingress?.url)?).ok();
        let named = config.management_api_domain.clone();
        Self {
            management: named.or_else(from_route).or_else(from_ingress),
            connector: config.cluster_connector_domain.clone(),
            earlier: Vec::new(),
            connector_port: config.cluster_connector_port.0,
            service: format!("{app}.{namespace}"),
            pod: format!("{app}-{unit_number}.{app}-endpoints.{namespace}"),
        }
    }

    /// The same with names under which clusters may still connect. What is not public, or means something else now, is left out.
    #[must_use]
    pub fn with_earlier(mut self, names: Vec<String>) -> Self {
        let hosts = names.into_iter().filter(|name| *name != self.service);
        let hosts = hosts.filter_map(|name| PublicHost::try_from(name).ok());
        let present = [&self.management, &self.connector];
        self.earlier = hosts.filter(|host| !present.contains(&&Some(host.clone()))).collect();
        self.earlier.sort_by_key(ToString::to_string);
        self.earlier.dedup();
        self
    }

    /// The origin that browsers use.
    #[must_use]
    pub fn management_url(&self) -> Option<String> {
        Some(format!("https://{}", self.management.as_ref()?.in_url()))
    }

    /// What the certificate from the relation must name.
    #[must_use]
    pub fn needed_names(&self, for_connector: bool) -> Vec<String> {
        let connector = self.connector.as_ref().filter(|_| for_connector);
        self.management.iter().chain(connector).map(ToString::to_string).collect()
    }

    /// What the certificate from the relation should name.
    #[must_use]
    pub fn wanted_names(&self) -> Vec<String> {
        let hosts = self.management.iter().chain(&self.connector).map(ToString::to_string);
        hosts.chain([self.service.clone()]).collect()
    }
}

/// The host of an ingress that leaves paths alone. With a path in front, as Traefik's charm makes it
/// unless it routes by subdomain, the web page would not find its own files.
#[must_use]
pub fn ingress_host(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    (path.is_empty() && !host.is_empty()).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_wins_and_an_ingress_with_a_path_is_no_address() {
        let route = traefik_route::RouteAnswer {
            external_host: Some("10.64.140.43/x".to_owned()),
            scheme: None,
        };
        let ingress = |url: &str| ingress::IngressAnswer { url: url.to_owned() };
        let url = |config: &Config,
                   route: Option<&traefik_route::RouteAnswer>,
                   ingress: Option<&ingress::IngressAnswer>| {
            Addresses::new(config, "mcm", 1, "prod.svc.cluster.local", route, ingress)
                .management_url()
        };
        let mut config = Config::default();
        assert_eq!(url(&config, None, None), None);
        assert_eq!(url(&config, None, Some(&ingress("https://a.example/prod-mcm"))), None);
        assert_eq!(url(&config, None, Some(&ingress("http://a.example/"))), None);
        let by_name = Some(ingress("https://mcm.example.com/"));
        assert_eq!(url(&config, None, by_name.as_ref()).unwrap(), "https://mcm.example.com");
        assert_eq!(url(&config, Some(&route), by_name.as_ref()).unwrap(), "https://10.64.140.43");
        config.management_api_domain = PublicHost::try_from("fd00::1".to_owned()).ok();
        assert_eq!(url(&config, Some(&route), None).unwrap(), "https://[fd00::1]");
    }
}
