use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use cluster_simulator::{Identity, JoinToken, Member, Pin};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

use crate::{Certificates, Operator, Process, TestDatabase, program};

/// What runs: which of the two services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// For operators.
    ManagementApi,
    /// For clusters.
    ClusterConnector,
}

/// One deployment: a database and as many units as a test starts.
pub struct Deployment {
    /// Its database.
    pub database: TestDatabase,
    /// Its certificates.
    pub certificates: Certificates,
    /// Settings on top of the usual ones, for services that start after they were set.
    pub extra: Vec<(&'static str, String)>,
    /// A program with arguments that starts the services, such as `prlimit`; empty: nothing stands between.
    pub under: Vec<&'static str>,
    directory: TempDir,
    address: IpAddr,
    connector_port: u16,
    management_port: u16,
    issuer: Option<String>,
    running: AtomicU32,
    next_port: AtomicU16,
}

/// A running service.
pub struct Unit {
    /// Which of the two it is.
    pub service: Service,
    /// Its process.
    pub process: Process,
    /// Where its API listens.
    pub api: SocketAddr,
    /// Where its probes listen.
    pub probes: SocketAddr,
}

impl Deployment {
    /// A deployment without any running process.
    pub async fn new() -> Self {
        Self::on(TestDatabase::create().await)
    }

    /// A deployment on an existing database.
    #[must_use]
    pub fn on(database: TestDatabase) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = own_address();
        let certificates = Certificates::new(&directory.path().join("tls"));
        for name in ["management", "connector", "identity-provider"] {
            drop(certificates.issue(name, address));
        }
        Self {
            database,
            certificates,
            extra: Vec::new(),
            under: Vec::new(),
            directory,
            address,
            connector_port: FIRST_PORT,
            management_port: FIRST_PORT + 1,
            next_port: AtomicU16::new(FIRST_PORT + 2),
            issuer: None,
            running: AtomicU32::new(0),
        }
    }

    /// The folder of this deployment's files.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where clusters connect to: the first connector.
    #[must_use]
    pub fn connector_address(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.connector_port)
    }

    /// The origin of the first Management API.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("https://{}:{}", self.address, self.management_port)
    }

    /// Everything that the program reads from its environment.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.directory().join("tls").join(name).display().to_string();
        let mut settings = vec![
            ("SERVER_HOST", self.address.to_string()),
            ("CLUSTER_CONNECTOR_DOMAIN", self.address.to_string()),
            ("CLUSTER_CONNECTOR_PORT", self.connector_port.to_string()),
            ("CLUSTER_CONNECTOR_TLS_PATH", path("connector")),
            ("MANAGEMENT_API_TLS_PATH", path("management")),
            ("MANAGEMENT_API_URL", self.origin()),
            ("DATA_DIR", self.directory().join("data").display().to_string()),
            ("OIDC_ISSUER", self.issuer.clone().unwrap_or_else(|| "https://127.0.0.1:1".into())),
            ("OIDC_CLIENT_ID", "mcm-web".into()),
            ("OIDC_CLIENT_SECRET", CLIENT_SECRET.into()),
            ("OIDC_CA_FILE", self.certificates.ca_file().display().to_string()),
            ("LOG_LEVEL", "debug,h2=info,hyper=info,rustls=info,tokio_postgres=info".into()),
            ("SHUTDOWN_DRAIN_SECONDS", "0".into()),
            ("SHUTDOWN_GRACE_SECONDS", "5".into()),
            ("TUNNEL_PORT", "0".into()),
        ];
        // Tests ask more, and faster, than a fleet would from one address; those about the limits set their own.
        settings.extend(RATE_LIMITS.map(|name| (name, "100000:100000".into())));
        settings.push(("RATE_LIMIT_REFILL_RATE", "100000".into()));
        settings.push(("RATE_LIMIT_BUCKET_SIZE", "100000".into()));
        settings.extend(self.database.settings());
        settings.extend(self.extra.clone());
        settings
    }

    /// Lets services that start later know another identity provider.
    pub fn use_issuer(&mut self, issuer: &str) {
        self.issuer = Some(issuer.to_owned());
    }

    /// The identity provider that services know.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.issuer.clone().expect("an identity provider was started")
    }

    /// TLS settings for a server of a test, with the certificate of the given name.
    #[must_use]
    pub fn server_tls(&self, name: &str) -> rustls::ServerConfig {
        let directory = self.directory().join("tls").join(name);
        let chain = CertificateDer::pem_file_iter(directory.join("tls.crt")).unwrap();
        let key = PrivateKeyDer::from_pem_file(directory.join("tls.key")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.map(Result::unwrap).collect(), key)
            .unwrap()
    }

    /// Starts the identity provider; services that start later know it.
    pub async fn start_identity_provider(&mut self) -> Process {
        self.start_identity_provider_with(&[]).await
    }

    /// The same with further options on its command line.
    pub async fn start_identity_provider_with(&mut self, options: &[&str]) -> Process {
        let log = self.directory().join("identity-provider.log");
        let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("identity-provider/server.mjs");
        let tls = self.directory().join("tls/identity-provider");
        let address = self.address.to_string();
        let mut command = Command::new("node");
        command
            .arg(server)
            .args(["--host", &address, "--issuer-host", &address, "--client-secret", CLIENT_SECRET])
            .args(options)
            .arg("--cert")
            .arg(tls.join("tls.crt"))
            .arg("--key")
            .arg(tls.join("tls.key"))
            .env("NODE_EXTRA_CA_CERTS", self.certificates.ca_file())
            .env("PATH", search_path());
        self.until_issuer(Process::start(&command, &log)).await
    }

    /// Starts the second identity provider, which shares no code with the first; services that start later know it.
    pub async fn start_second_identity_provider(&mut self) -> Process {
        let program =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/second-identity-provider");
        assert!(
            program.exists(),
            "{} is not built: run the tests with ./dev test",
            program.display()
        );
        let tls = self.directory().join("tls/identity-provider");
        let (address, origin) = (self.address.to_string(), self.origin());
        let mut command = Command::new(program);
        command
            .args(["-host", &address, "-client-secret", CLIENT_SECRET, "-client-origin", &origin])
            .arg("-cert")
            .arg(tls.join("tls.crt"))
            .arg("-key")
            .arg(tls.join("tls.key"));
        let process = Process::start(&command, &self.file("second-identity-provider.log"));
        self.until_issuer(process).await
    }

    /// Waits until an identity provider says where it listens, and lets services that start later know it.
    async fn until_issuer(&mut self, mut process: Process) -> Process {
        let deadline = Instant::now() + START_TIME;
        loop {
            let issuer = process.log().lines().find_map(|line| {
                serde_json::from_str::<serde_json::Value>(line)
                    .ok()?
                    .get("issuer")?
                    .as_str()
                    .map(str::to_owned)
            });
            if issuer.is_some() {
                self.issuer = issuer;
                return process;
            }
            let ended = process.ended();
            let alive = ended.is_none() && Instant::now() < deadline;
            assert!(
                alive,
                "the identity provider does not start: {ended:?}, {}: {}",
                process.threads(),
                process.log()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Starts a service and waits until it is ready. The first one of its kind listens where tokens and browsers look for it,
    /// further ones on ports of their own.
    pub async fn start(&self, service: Service) -> Unit {
        let mut unit = self.launch(service);
        unit.until_ready().await;
        unit
    }

    /// Starts a service without waiting for it.
    #[must_use]
    pub fn launch(&self, service: Service) -> Unit {
        let public = match service {
            Service::ManagementApi => self.management_port,
            Service::ClusterConnector => self.connector_port,
        };
        let port = if TcpListener::bind((self.address, public)).is_ok() {
            public
        } else {
            self.own_port()
        };
        self.launch_at(service, port, self.own_port())
    }

    /// Starts a service that writes its log to a given file, and waits until it is ready.
    pub async fn start_logging_to(&self, service: Service, log: &Path) -> Unit {
        let public = match service {
            Service::ManagementApi => self.management_port,
            Service::ClusterConnector => self.connector_port,
        };
        let mut unit = self.launch_with(service, public, self.own_port(), log);
        unit.until_ready().await;
        unit
    }

    /// Starts a service again where a unit that has ended listened, and waits until it is ready.
    pub async fn restart(&self, ended: &Unit) -> Unit {
        let mut unit = self.launch_at(ended.service, ended.api.port(), ended.probes.port());
        unit.until_ready().await;
        unit
    }

    fn own_port(&self) -> u16 {
        self.next_port.fetch_add(1, Ordering::Relaxed)
    }

    fn launch_at(&self, service: Service, port: u16, status_port: u16) -> Unit {
        let n = self.running.fetch_add(1, Ordering::Relaxed);
        let log = self.file(&format!("{}-{n}.log", name_of(service)));
        self.launch_with(service, port, status_port, &log)
    }

    fn launch_with(&self, service: Service, port: u16, status_port: u16, log: &Path) -> Unit {
        let name = name_of(service);
        let own = program("microcloud-cluster-manager");
        let mut command = match self.under.split_first() {
            None => Command::new(own),
            Some((first, arguments)) => {
                let mut command = Command::new(first);
                command.args(arguments).arg(own);
                command
            }
        };
        command.arg(name).envs(self.settings());
        command.env("SERVER_PORT", port.to_string()).env("STATUS_PORT", status_port.to_string());
        Unit {
            service,
            process: Process::start(&command, log),
            api: SocketAddr::new(self.address, port),
            probes: SocketAddr::new(self.address, status_port),
        }
    }

    /// Runs a command of the program to its end.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(program("microcloud-cluster-manager"));
        command.args(arguments).env_clear().envs(self.settings()).output().unwrap()
    }

    /// A join token for a cluster, made on the command line.
    #[must_use]
    pub fn token(&self, name: &str) -> JoinToken {
        let made = self.run(&["enroll", name]);
        assert!(made.status.success(), "enroll {name}: {}", String::from_utf8_lossy(&made.stderr));
        JoinToken::decode(String::from_utf8(made.stdout).unwrap().trim_end()).unwrap()
    }

    /// A member with a new certificate that knows where a token leads.
    #[must_use]
    pub fn member(&self, token: &JoinToken) -> Member {
        Member::new(Identity::generate("test").unwrap(), Pin::of(token))
    }

    /// A cluster that has joined.
    pub async fn enrol(&self, name: &str) -> Member {
        let token = self.token(name);
        let member = self.member(&token);
        member.join(&token).await.unwrap();
        member
    }

    /// An operator in front of a browser that trusts this deployment, not logged in.
    #[must_use]
    pub fn operator(&self) -> Operator {
        Operator::new(&self.origin(), &self.certificates.ca_file())
    }

    /// A browser that looks at another server.
    #[must_use]
    pub fn plain_client(&self, origin: &str) -> Operator {
        Operator::new(origin, &self.certificates.ca_file())
    }

    /// An operator who has logged in.
    pub async fn logged_in(&self, email: &str) -> Operator {
        let mut operator = self.operator();
        operator.log_in(email).await;
        operator
    }

    /// The same member, whose balancer now leads to another unit.
    #[must_use]
    pub fn member_at(&self, member: &Member, unit: &Unit) -> Member {
        let addresses = vec![unit.api.to_string()];
        let fingerprint = member.pin().fingerprint.clone();
        Member::new(member.identity().clone(), Pin { addresses, fingerprint })
    }

    /// A file of this deployment.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }
}

impl Unit {
    /// Waits until the readiness probe says yes.
    pub async fn until_ready(&mut self) {
        let deadline = Instant::now() + START_TIME;
        while self.probe("/ready").await != Some(200) {
            let ended = self.process.ended();
            let alive = ended.is_none() && Instant::now() < deadline;
            assert!(alive, "a service does not start: {ended:?} {}", self.process.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the log has this text.
    pub async fn until_log(&self, text: &str) {
        let deadline = Instant::now() + START_TIME;
        while !self.process.log().contains(text) {
            assert!(Instant::now() < deadline, "{text} is missing in {}", self.process.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What Prometheus would read.
    pub async fn scrape(&self) -> String {
        let client = crate::operator::client_builder().build().unwrap();
        client
            .get(format!("http://{}/metrics", self.probes))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    }

    /// Status of a probe; `None` without an answer.
    pub async fn probe(&self, path: &str) -> Option<u16> {
        let client = crate::operator::client_builder().build().unwrap();
        let answer = client.get(format!("http://{}{path}", self.probes)).send().await.ok()?;
        Some(answer.status().as_u16())
    }
}

/// Our secret at the identity provider.
pub const CLIENT_SECRET: &str = "secret-of-the-tests";
const RATE_LIMITS: [&str; 7] = [
    "RATE_LIMIT_UNKNOWN_PER_UNIT",
    "RATE_LIMIT_PREFLIGHT_PER_ADDRESS",
    "RATE_LIMIT_PREFLIGHT_PER_UNIT",
    "RATE_LIMIT_JOIN_PER_ADDRESS",
    "RATE_LIMIT_JOIN_PER_UNIT",
    "RATE_LIMIT_LOGIN_PER_ADDRESS",
    "RATE_LIMIT_LOGIN_PER_UNIT",
];
/// Each deployment has an address of its own, so its ports are its own, too. They lie below those that the system gives away.
const FIRST_PORT: u16 = 20_000;
/// Longer than any start takes on a machine that does much else.
const START_TIME: Duration = Duration::from_mins(3);

fn name_of(service: Service) -> &'static str {
    match service {
        Service::ManagementApi => "management-api",
        Service::ClusterConnector => "cluster-connector",
    }
}

#[expect(clippy::disallowed_methods, reason = "not a setting of the product")]
fn search_path() -> String {
    std::env::var("PATH").unwrap_or_default()
}

/// A loopback address that no other deployment of any test process has: the system picks ports on it without a clash. After 127
/// and a bit that keeps away from 127.0.0.1 come 14 bits of the process and 9 of the deployment.
fn own_address() -> IpAddr {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    assert!(count < 511, "a test process has at most 510 deployments");
    let process = (std::process::id() & 0x3fff) << 9;
    Ipv4Addr::from_bits((127 << 24) | (1 << 23) | process | count).into()
}
