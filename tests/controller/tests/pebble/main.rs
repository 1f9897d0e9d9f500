//! The real Pebble runs the real services with the layer that the real charm pushed.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test code outside test functions"
)]

mod container;

use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use charm::pki::Leaf;
use container::Container;
use controller::{Authority, Controller, Remote, RemoteData, Runner};
use end_to_end_tests::TestDatabase;
use ops::Event;
use ops::pebble::{Pebble, ServiceInfo};
use ops::testing::SecretState;
use serde_json::{Value, json};

/// Longest time for anything that Pebble does by its own clock.
const PATIENCE: Duration = Duration::from_mins(2);

/// A deployment whose one unit has a real container.
struct Deployment {
    juju: Controller,
    container: Container,
    database: TestDatabase,
    runtime: tokio::runtime::Runtime,
}

impl Deployment {
    fn new() -> Self {
        Self::with(Container::start, true)
    }

    /// The same in the image. What is in the container's folder is at the root there.
    fn in_image() -> Self {
        Self::with(Container::start_image, false)
    }

    fn with(start: fn(&Path) -> Container, rooted: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let database = runtime.block_on(TestDatabase::create());
        let mut juju = Controller::new(Runner::process(env!("CARGO_BIN_EXE_hook-tool")));
        let mut container = None;
        juju.deploy_with(
            &[
                ("management-api-domain", json!("manager.example.com")),
                ("cluster-connector-domain", json!("clusters.example.com")),
                ("oidc-issuer", json!("https://127.0.0.1:1")),
                ("oidc-client-id", json!("mcm")),
            ],
            |folder| {
                let started = start(folder);
                let root = if rooted { started.root() } else { String::new() };
                let where_it_is = (root, started.address());
                container = Some(started);
                where_it_is
            },
        );
        let this = Self { juju, container: container.unwrap(), database, runtime };
        this.role("one", "first password");
        this
    }

    /// Makes a role that may do what the product does, as PostgreSQL's charm makes it.
    fn role(&self, name: &str, password: &str) {
        let (user, database) = (self.user(name), self.database.name());
        let sql = format!(
            "CREATE ROLE {user} LOGIN PASSWORD '{password}'; GRANT ALL ON DATABASE {database} TO {user};"
        );
        self.sql(&sql);
    }

    fn user(&self, name: &str) -> String {
        format!("{}_{name}", self.database.name())
    }

    fn sql(&self, sql: &str) {
        self.runtime.block_on(async {
            self.database.connect().await.batch_execute(sql).await.unwrap();
        });
    }

    fn postgresql(&self, name: &str, password: &str, revision: usize) -> Remote {
        let settings = self.database.settings();
        let port = settings.iter().find(|(name, _)| *name == "DB_PORT").unwrap().1.clone();
        let user = self.user(name);
        let id = "secret:d0a1kq5mp25c7f000001";
        let mut secret = SecretState::granted(id, &[("username", &user), ("password", password)]);
        secret.revisions = vec![secret.newest(); revision];
        let pairs = [
            ("database", self.database.name().to_owned()),
            ("endpoints", format!("127.0.0.1:{port}")),
            ("secret-user", id.to_owned()),
            ("tls", "False".to_owned()),
        ];
        let app = pairs.map(|(key, value)| (key.to_owned(), value)).into();
        Remote::saying(
            "postgresql-k8s",
            RemoteData { app, secrets: vec![secret], ..Default::default() },
        )
    }

    /// Ticks until the unit's status is this.
    fn until(&mut self, wanted: &str) {
        let end = Instant::now() + PATIENCE;
        while self.juju.status(0) != wanted {
            assert!(Instant::now() < end, "{}: {}", self.juju.status(0), self.container.log());
            std::thread::sleep(Duration::from_millis(50));
            self.juju.dispatch(0, Event::UpdateStatus);
        }
    }

    fn pebble(&self) -> Pebble {
        Pebble::in_folder(&self.juju.containers(0), charm::CONTAINER)
    }

    /// Since when the service runs.
    fn since(&self, service: &str) -> String {
        let services = self.pebble().services().unwrap();
        let found = services.into_iter().find(|found| found.name == service).unwrap();
        found.current_since.unwrap()
    }

    fn pinned(&self) -> String {
        let path = format!(
            "{}/var/lib/microcloud-cluster-manager/connector/tls.crt",
            self.container.root()
        );
        Leaf::parse(&std::fs::read_to_string(path).unwrap()).unwrap().fingerprint
    }

    /// The token that the action gives, as JSON.
    fn enrol(&mut self, cluster: &str) -> Value {
        let outcome = self.juju.run_action(0, "enroll-cluster", &[("cluster", json!(cluster))]);
        assert_eq!(outcome.failure, None);
        let token = STANDARD.decode(&outcome.results["token"]).unwrap();
        serde_json::from_slice(&token).unwrap()
    }
}

#[test]
fn the_services_run_and_outlive_credentials_certificates_and_their_pod() {
    let mut all = Deployment::new();
    let began = Instant::now();
    let database = all.postgresql("one", "first password", 1);
    all.juju.integrate("database", database);
    all.juju.integrate("certificates", Authority::default().charm());
    all.until("active: ");
    println!("from relations to active in {:?}", began.elapsed());

    // The token names the certificate that clusters see.
    let pinned = all.pinned();
    let presented = all.container.presented(9000);
    assert_eq!(presented, pinned);
    let token = all.enrol("lyon-edge");
    assert_eq!(token["fingerprint"], pinned.as_str());
    assert_eq!(token["addresses"], json!(["clusters.example.com:443"]));
    let again = all.juju.run_action(0, "enroll-cluster", &[("cluster", json!("lyon-edge"))]);
    assert_eq!(again.failure.unwrap(), "this cluster name has a pending join token");

    // The other actions of the program: it finds its settings and its database.
    let listed = all.juju.run_action(0, "list-clusters", &[]);
    assert_eq!((listed.failure, listed.results["count"].as_str()), (None, "0"));
    assert_eq!(listed.results["clusters"], "No cluster is enrolled.");
    let listed = all.juju.run_action(0, "list-clusters", &[("format", json!("json"))]);
    assert_eq!(listed.results["clusters"], "[]");
    let looked = all.juju.run_action(0, "takeover", &[]);
    assert_eq!((&looked.failure, looked.results["outcome"].as_str()), (&None, "good"));
    assert!(looked.results["report"].contains("left nothing in this database"), "{looked:?}");

    // A hook with nothing to change does not touch the plan.
    let pushed = all.container.log().matches("POST /v1/layers").count();
    assert!(pushed > 0, "{}", all.container.log());
    all.juju.dispatch(0, Event::UpdateStatus);
    assert_eq!(all.container.log().matches("POST /v1/layers").count(), pushed);

    // Other credentials: both services start anew with them, and the old ones are void.
    all.role("two", "second password");
    let (one, two) = (all.user("one"), all.user("two"));
    all.sql(&format!("GRANT {one} TO {two}; ALTER ROLE {one} NOLOGIN"));
    let database = all.postgresql("two", "second password", 2);
    all.juju.replace_remote("database", database);
    all.until("active: ");
    assert_eq!(all.enrol("paris-edge")["fingerprint"], pinned.as_str());

    // Another certificate for the Management API: presented without a restart.
    let since = [all.since("management-api"), all.since("cluster-connector")];
    let before = all.container.presented(9100);
    all.juju.replace_remote("certificates", Authority::default().charm());
    all.until("active: ");
    let end = Instant::now() + PATIENCE;
    while all.container.presented(9100) == before {
        assert!(Instant::now() < end, "the old certificate is still presented");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!([all.since("management-api"), all.since("cluster-connector")], since);
    assert_eq!(all.container.presented(9000), pinned);

    // Without the relation people are not served, and clusters are: Kubernetes goes on sending them here.
    let since = all.since("cluster-connector");
    all.juju.remove_relation("certificates");
    assert!(all.juju.status(0).starts_with("blocked: missing relation: certificates"));
    assert_eq!(all.container.presented(9000), pinned);
    let running = |all: &Deployment| {
        let services = all.pebble().services().unwrap().into_iter();
        services.filter(ServiceInfo::is_active).map(|found| found.name).collect::<Vec<_>>()
    };
    assert_eq!(running(&all), ["cluster-connector"]);
    // The checks of the service that is not there would have failed by now.
    let end = Instant::now() + Duration::from_secs(12);
    while Instant::now() < end {
        assert!(all.container.is_ready());
        std::thread::sleep(Duration::from_millis(200));
    }
    all.juju.integrate("certificates", Authority::default().charm());
    all.until("active: ");
    assert_eq!(running(&all).len(), 2);
    assert_eq!(all.since("cluster-connector"), since, "clusters notice nothing");

    // The pod starts anew with an empty plan and without files.
    all.container.restart();
    all.juju.pebble_ready(0);
    all.until("active: ");
    assert_eq!(all.container.presented(9000), pinned);
}

#[test]
fn a_check_fails_with_the_database_and_recovers_with_it() {
    let mut all = Deployment::new();
    let database = all.postgresql("one", "first password", 1);
    all.juju.integrate("database", database);
    all.juju.integrate("certificates", Authority::default().charm());
    all.until("active: ");
    let since = all.since("cluster-connector");
    all.runtime.block_on(all.database.close());
    let end = Instant::now() + PATIENCE;
    while !all.juju.status(0).starts_with("maintenance: check ") {
        assert!(Instant::now() < end, "{}", all.juju.status(0));
        std::thread::sleep(Duration::from_millis(50));
        all.juju.dispatch(0, Event::UpdateStatus);
    }
    all.runtime.block_on(all.database.open());
    all.until("active: ");
    assert_eq!(all.since("cluster-connector"), since, "nothing was restarted for it");
}

#[test]
fn charm_05_in_the_image_the_services_have_no_rights_and_write_to_their_own_folders_only() {
    let mut all = Deployment::in_image();
    let before = all.container.tree();
    assert!(before.contains_key(Path::new("usr/bin/microcloud-cluster-manager")));
    let database = all.postgresql("one", "first password", 1);
    all.juju.integrate("database", database);
    all.juju.integrate("certificates", Authority::default().charm());
    all.until("active: ");
    let token = all.enrol("lyon-edge");
    assert_eq!(token["fingerprint"], all.container.presented(9000).as_str());
    let programs = all.container.programs();
    assert_eq!(programs.len(), 2, "{programs:?}");
    for program in programs.iter().filter(|_| container::is_root()) {
        let line = |name: &str| -> Vec<&str> {
            let line = program.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().collect()
        };
        let user = container::DAEMON.to_string();
        assert_eq!((line("Uid:"), line("Gid:")), (vec![user.as_str(); 4], vec![user.as_str(); 4]));
        assert_eq!(line("CapEff:"), ["0000000000000000"]);
    }
    // So a root file system that nobody can write to is no obstacle.
    assert_eq!(all.container.tree(), before);
}
