//! Which public addresses can be served through one Traefik.
//!
//! Traefik tells our two services apart by the TLS server name, or by the port. Clients that
//! connect to an IP address send no server name.

use crate::config::{Config, PublicHost};

/// Traefik's own ports besides 443, which is shared.
const TAKEN: [u16; 2] = [80, 8082];

/// Why the configured addresses cannot be routed, if they cannot.
pub(crate) fn conflict(config: &Config) -> Option<&'static str> {
    use PublicHost::Ip;
    let port = config.cluster_connector_port.0;
    if TAKEN.contains(&port) {
        return Some("cluster-connector-port is a port that Traefik itself uses");
    }
    match (&config.management_api_domain, &config.cluster_connector_domain) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Port;

    fn conflicts(management: &str, connector: &str, port: u16) -> bool {
        let host = |text: &str| PublicHost::try_from(text.to_owned()).ok();
        conflict(&Config {
            management_api_domain: host(management),
            cluster_connector_domain: host(connector),
            cluster_connector_port: Port(port),
            ..Config::default()
        })
        .is_some()
    }

    #[test]
    fn names_share_port_443_and_addresses_do_not() {
        for (management, connector, port, wanted) in [
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
        ] {
            assert_eq!(conflicts(management, connector, port), wanted, "{management} {connector}");
        }
    }
}
