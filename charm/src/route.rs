//! Which public addresses can be served through one Traefik, and the routes for them.
//!
//! Traefik tells our two services apart by the TLS server name, or by the port. Clients that
//! connect to an IP address send no server name.

use std::collections::BTreeMap;

use relations::traefik_route::{
    ANY_SNI, DynamicConfig, EntryPoint, LoadBalancer, ProxyProtocol, RouteRequest, Router,
    RouterTls, Server, Service, StaticConfig, Tcp, sni_rule,
};

use crate::addresses::{Addresses, CONNECTOR_PORT, MANAGEMENT_PORT};
use crate::config::PublicHost;

/// The entry point that Traefik's charm opens on port 443.
const SHARED: &str = "websecure";

/// Traefik's own ports besides 443, which is shared.
const TAKEN: [u16; 2] = [80, 8082];

/// Why the addresses cannot be routed, if they cannot.
pub(crate) fn conflict(addresses: &Addresses) -> Option<&'static str> {
    use PublicHost::Ip;
    let port = addresses.connector_port;
    if TAKEN.contains(&port) {
        return Some("cluster-connector-port is a port that Traefik itself uses");
    }
    match (&addresses.management, &addresses.connector) {
        _ if port != 443 => None,
        (Some(Ip(_)), Some(_)) | (Some(_), Some(Ip(_))) => {
            Some("a public IP address cannot share port 443 with the other service")
        }
        (Some(management), Some(connector)) if management == connector => {
            Some("management-api-domain and cluster-connector-domain need different names or ports")
        }
        _ => None,
    }
}

/// The routes. Where the two addresses exclude each other, the one with a name is kept.
pub(crate) fn request(
    addresses: &Addresses,
    app: &str,
    model: &str,
    proxy_protocol: bool,
) -> RouteRequest {
    let mut tcp = Tcp::default();
    let mut add = |service: &str, entry_point: &str, hosts: &[&PublicHost], port: u16| {
        let Some(rule) = rule(hosts) else { return };
        let name = format!("juju-{model}-{app}-{service}");
        let router = Router {
            entry_points: vec![entry_point.to_owned()],
            rule,
            service: name.clone(),
            tls: RouterTls { passthrough: true },
        };
        let load_balancer = LoadBalancer {
            proxy_protocol: proxy_protocol.then_some(ProxyProtocol { version: 2 }),
            servers: vec![Server { address: format!("{}:{port}", addresses.service) }],
        };
        tcp.services.insert(name.clone(), Service { load_balancer });
        tcp.routers.insert(name, router);
    };
    let excluded =
        |host: &PublicHost| conflict(addresses).is_some() && matches!(host, PublicHost::Ip(_));
    if let Some(host) = addresses.management.as_ref().filter(|host| !excluded(host)) {
        add("management-api", SHARED, &[host], MANAGEMENT_PORT);
    }
    let own_port = addresses.connector_port != 443 && !TAKEN.contains(&addresses.connector_port);
    let entry_point = if own_port { entry_point(app) } else { SHARED.to_owned() };
    let same = addresses.connector == addresses.management && !own_port;
    if let Some(host) = addresses.connector.as_ref().filter(|host| !excluded(host) && !same) {
        // Clusters that enrolled under an earlier name go on connecting to it. An address cannot share an entry point.
        let shareable = |host: &&PublicHost| own_port || matches!(host, PublicHost::Name(_));
        let mut hosts = vec![host];
        hosts.extend(addresses.earlier.iter().filter(shareable));
        add("cluster-connector", &entry_point, &hosts, CONNECTOR_PORT);
    }
    let own_entry_point = own_port && addresses.connector.is_some();
    RouteRequest {
        config: DynamicConfig { tcp },
        static_config: own_entry_point.then(|| StaticConfig {
            entry_points: BTreeMap::from([(
                entry_point,
                EntryPoint::on_port(addresses.connector_port),
            )]),
        }),
        raw: true,
    }
}

/// The rule that matches all of `hosts`; whoever connects to an address asks for no name.
fn rule(hosts: &[&PublicHost]) -> Option<String> {
    let mut rules = Vec::new();
    for host in hosts {
        match host {
            PublicHost::Name(name) => rules.extend(sni_rule(name)),
            PublicHost::Ip(_) => return Some(ANY_SNI.to_owned()),
        }
    }
    (!rules.is_empty()).then(|| rules.join(" || "))
}

/// A valid Kubernetes port name that no other application of this Traefik has.
fn entry_point(app: &str) -> String {
    format!("{app}-cc")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(management: &str, connector: &str, port: u16) -> Addresses {
        let host = |text: &str| PublicHost::try_from(text.to_owned()).ok();
        Addresses {
            management: host(management),
            connector: host(connector),
            earlier: Vec::new(),
            connector_port: port,
            service: "mcm.prod.svc.cluster.local".to_owned(),
            pod: String::new(),
        }
    }

    /// The documented table of addresses, ports and what to do with them.
    const TABLE: [(&str, &str, u16, bool); 11] = [
        ("manager.example.com", "clusters.example.com", 443, false),
        ("manager.example.com", "manager.example.com", 443, true),
        ("manager.example.com", "MANAGER.example.com", 443, true),
        ("manager.example.com", "manager.example.com", 9001, false),
        ("manager.example.com", "10.0.0.1", 9001, false),
        ("manager.example.com", "10.0.0.1", 443, true),
        ("10.0.0.1", "clusters.example.com", 443, true),
        ("10.0.0.1", "10.0.0.1", 9001, false),
        ("10.0.0.1", "10.0.0.1", 8082, true),
        ("", "clusters.example.com", 443, false),
        ("", "", 443, false),
    ];

    #[test]
    fn names_share_port_443_and_addresses_do_not() {
        for (management, connector, port, wanted) in TABLE {
            let conflict = conflict(&addresses(management, connector, port));
            assert_eq!(conflict.is_some(), wanted, "{management} {connector} {port}");
        }
    }

    #[test]
    fn no_two_routers_of_one_entry_point_have_the_same_rule() {
        for (management, connector, port, _) in TABLE {
            let request = request(&addresses(management, connector, port), "mcm", "prod", false);
            let routers = request.config.tcp.routers.values();
            let mut seen = std::collections::BTreeSet::new();
            for router in routers {
                assert!(seen.insert((&router.entry_points, &router.rule)), "{router:?}");
                assert!(router.tls.passthrough && router.rule.starts_with("HostSNI("));
                // `*` on the shared entry point only when nothing else is there.
                assert!(router.rule != ANY_SNI || router.entry_points != [SHARED] || port != 443);
            }
            let extra = request.static_config.is_some();
            assert_eq!(extra, port == 9001, "{management} {connector} {port}");
        }
    }

    #[test]
    fn earlier_names_lead_to_the_connector_as_long_as_they_can_be_told_from_others() {
        let rule = |port, earlier: &[&str]| {
            let names = earlier.iter().map(|name| (*name).to_owned()).collect();
            let addresses = addresses("a.example.com", "b.example.com", port).with_earlier(names);
            let request = request(&addresses, "mcm", "prod", false);
            request.config.tcp.routers["juju-prod-mcm-cluster-connector"].rule.clone()
        };
        let one = "HostSNI(`b.example.com`)";
        assert_eq!(rule(443, &[]), one);
        assert_eq!(
            rule(
                443,
                &[
                    "c.example.com",
                    "a.example.com",
                    "b.example.com",
                    "10.0.0.1",
                    "mcm.prod.svc.cluster.local"
                ]
            ),
            format!("{one} || HostSNI(`c.example.com`)")
        );
        assert_eq!(rule(9001, &["c.example.com", "10.0.0.1"]), ANY_SNI);
    }

    #[test]
    fn the_proxy_header_is_asked_for_only_when_the_services_want_it() {
        let addresses = addresses("a.example.com", "b.example.com", 443);
        for wanted in [false, true] {
            let request = request(&addresses, "mcm", "prod", wanted);
            for service in request.config.tcp.services.values() {
                let version = service.load_balancer.proxy_protocol.map(|p| p.version);
                assert_eq!(version, wanted.then_some(2));
            }
        }
    }
}
