use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use crate::{Deployment, Process, Unit};

/// A real HAProxy in front of a service, as a balancer that passes TLS through: it looks at the server name and at nothing else.
pub struct Balancer {
    /// Its process.
    pub process: Process,
}

impl Balancer {
    /// Passes connections to `listen` with the server name `name` on to `units`, each behind a PROXY header of version 2. It
    /// connects from the deployment's own address.
    pub async fn start(
        deployment: &Deployment,
        listen: SocketAddr,
        name: &str,
        units: &[SocketAddr],
    ) -> Self {
        let source = deployment.connector_address().ip();
        let servers: Vec<String> = units
            .iter()
            .map(|unit| format!("    server {unit} {unit} send-proxy-v2 source {source}\n"))
            .collect();
        let accept = format!(
            "    tcp-request inspect-delay 10s\n    \
             tcp-request content accept if {{ req.ssl_hello_type 1 }}\n    \
             use_backend units if {{ req.ssl_sni -i {name} }}\n"
        );
        Self::run(deployment, listen, &accept, &servers.concat()).await
    }

    /// Passes connections to `listen` on to those `units` whose readiness probe says yes, asked ten times per second. A
    /// connection that a unit refuses fails: nothing is tried again.
    pub async fn between_ready(
        deployment: &Deployment,
        listen: SocketAddr,
        units: &[Unit],
    ) -> Self {
        let servers: Vec<String> = units
            .iter()
            .map(|Unit { api, probes, .. }| {
                let port = probes.port();
                format!("    server {api} {api} check port {port} inter 100ms fall 1 rise 1\n")
            })
            .collect();
        let servers = format!("    option httpchk GET /ready\n    retries 0\n{}", servers.concat());
        Self::run(deployment, listen, "    default_backend units\n", &servers).await
    }

    /// A proxy that ends TLS itself with the Management API's certificate and speaks HTTP to both sides, as many companies have it: it
    /// passes requests on to those `units` that are ready and closes what says nothing for `silence_s` seconds.
    pub async fn speaking_http(
        deployment: &Deployment,
        listen: SocketAddr,
        units: &[Unit],
        silence_s: u32,
    ) -> Self {
        let folder = deployment.file("tls/management");
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        let pair = deployment.file("haproxy.pem");
        std::fs::write(&pair, read("tls.crt") + &read("tls.key")).unwrap();
        let servers: Vec<String> = units
            .iter()
            .map(|Unit { api, probes, .. }| {
                let port = probes.port();
                format!("    server {api} {api} ssl verify none check no-check-ssl port {port} inter 100ms fall 1 rise 1\n")
            })
            .collect();
        let servers = format!("    option httpchk GET /ready\n{}", servers.concat());
        let text = format!(
            "defaults\n    mode http\n    timeout connect 10s\n    timeout client {silence_s}s\n    timeout server {silence_s}s\n\
             frontend clients\n    bind {listen} ssl crt {}\n    default_backend units\nbackend units\n{servers}",
            pair.display()
        );
        Self::with_configuration(deployment, listen, &text).await
    }

    async fn run(deployment: &Deployment, listen: SocketAddr, accept: &str, servers: &str) -> Self {
        // A probe that answers late has not said no; without a limit of its own it has only the time between two.
        let text = format!(
            "defaults\n    mode tcp\n    timeout connect 10s\n    timeout client 60s\n    timeout server 60s\n    timeout check 10s\n\
             frontend clients\n    bind {listen}\n{accept}backend units\n{servers}"
        );
        Self::with_configuration(deployment, listen, &text).await
    }

    async fn with_configuration(deployment: &Deployment, listen: SocketAddr, text: &str) -> Self {
        let file = deployment.file("haproxy.cfg");
        std::fs::write(&file, text).unwrap();
        let program = Path::new("/usr/sbin/haproxy");
        assert!(program.exists(), "HAProxy is not installed: run the tests with ./dev test");
        let mut command = Command::new(program);
        command.args(["-db", "-f"]).arg(file);
        let mut process = Process::start(&command, &deployment.file("haproxy.log"));
        process.until_listening(listen).await;
        Self { process }
    }

    /// An address that nobody listens on, on the host `localhost`.
    #[must_use]
    pub fn free_address() -> SocketAddr {
        let address = Ipv4Addr::LOCALHOST;
        std::net::TcpListener::bind((address, 0)).unwrap().local_addr().unwrap()
    }
}
