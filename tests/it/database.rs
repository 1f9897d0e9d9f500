//! The schema and the connection to the database.

use std::process::Command;
use std::time::{Duration, Instant};

use end_to_end_tests::{DatabaseServer, Deployment, Service, program, rounds};

#[tokio::test]
async fn rel_09_processes_that_start_together_migrate_once() {
    for _ in 0..rounds(1, 200) {
        migrate_together().await;
    }
}

async fn migrate_together() {
    let deployment = Deployment::new().await;
    let mut running = Vec::new();
    for _ in 0..6 {
        let mut command = Command::new(program("microcloud-cluster-manager"));
        command.arg("migrate").env_clear().envs(deployment.settings());
        running.push(command.stdout(std::process::Stdio::piped()).spawn().unwrap());
    }
    let mut said: Vec<String> = running
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success());
            String::from_utf8(output.stdout).unwrap()
        })
        .collect();
    said.sort();
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations"));
    let all = i64::try_from(files.unwrap().count()).unwrap();
    assert_eq!(said[0], format!("Applied {all} migrations.\n"));
    assert!(said[1..].iter().all(|line| line == "The database is up to date.\n"), "{said:?}");
    let applied = "SELECT count(*) FROM refinery_schema_history";
    assert_eq!(deployment.database.count(applied).await, all);
}

#[tokio::test]
async fn rel_09_a_schema_that_is_newer_or_edited_stops_the_start() {
    let deployment = Deployment::new().await;
    assert!(deployment.run(&["migrate"]).status.success());
    let db = deployment.database.connect().await;
    db.batch_execute(
        "INSERT INTO refinery_schema_history VALUES (99, 'future', '2030-01-01T00:00:00Z', '1')",
    )
    .await
    .unwrap();
    let mut newer = deployment.launch(Service::ClusterConnector);
    assert_eq!(newer.process.wait().await.code(), Some(1));
    assert!(
        newer.process.log().contains("Error: migrating the database failed"),
        "{}",
        newer.process.log()
    );
    db.batch_execute("DELETE FROM refinery_schema_history WHERE version = 99").await.unwrap();
    db.batch_execute("UPDATE refinery_schema_history SET checksum = '7'").await.unwrap();
    let edited = deployment.run(&["migrate"]);
    assert_eq!(edited.status.code(), Some(1));
}

#[tokio::test]
async fn a_service_waits_for_a_database_that_is_away_and_stops_when_asked() {
    let deployment = Deployment::new().await;
    deployment.database.close().await;
    let mut waiting = deployment.launch(Service::ClusterConnector);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while waiting.probe("/alive").await != Some(200) {
        assert!(std::time::Instant::now() < deadline, "{}", waiting.process.log());
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(waiting.probe("/ready").await, Some(500));
    waiting.process.signal("TERM");
    assert_eq!(waiting.process.wait().await.code(), Some(0));
    let mut patient = deployment.launch(Service::ClusterConnector);
    deployment.database.open().await;
    patient.until_ready().await;
}

#[tokio::test]
async fn db_01_the_database_is_verified_unless_tls_is_switched_off() {
    let deployment = Deployment::new().await;
    let db = deployment.database.connect().await;
    let port: String =
        db.query_one("SELECT current_setting('port')", &[]).await.unwrap().try_get(0).unwrap();
    let pem: String = db
        .query_one("SELECT pg_read_file(current_setting('ssl_cert_file'))", &[])
        .await
        .unwrap()
        .try_get(0)
        .unwrap();
    db.batch_execute("DROP ROLE IF EXISTS tls_user").await.unwrap();
    let role = format!("tls_{}", deployment.database.name());
    db.batch_execute(&format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'by-tls'; GRANT CREATE ON DATABASE {} TO {role}",
        deployment.database.name()
    ))
    .await
    .unwrap();
    let ca = deployment.file("database-ca.pem");
    std::fs::write(&ca, pem).unwrap();
    let ca = ca.to_str().unwrap();
    let other_ca = deployment.certificates.ca_file();
    let other_ca = other_ca.to_str().unwrap();
    let migrate = |host: &str, settings: &[(&str, &str)]| {
        let mut command = Command::new(program("microcloud-cluster-manager"));
        command.arg("migrate").env_clear().envs(deployment.settings());
        command
            .env("DB_HOST", host)
            .env("DB_PORT", &port)
            .env("DB_USER", &role)
            .env("DB_PASSWORD", "by-tls");
        let output = command.envs(settings.iter().copied()).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (verified, error) = migrate("localhost", &[("DB_CA_FILE", ca)]);
    assert!(verified, "{error}");
    for (host, settings, reason) in [
        ("localhost", vec![("DB_CA_FILE", other_ca)], "invalid peer certificate"),
        ("localhost", vec![], "invalid peer certificate"),
        ("127.0.0.1", vec![("DB_CA_FILE", ca)], "invalid peer certificate"),
    ] {
        let (connected, error) = migrate(host, &settings);
        assert!(!connected, "{host} {settings:?}");
        assert!(error.contains(reason), "{host} {settings:?}: {error}");
        assert!(!error.contains("by-tls"), "{error}");
    }
    let (plain, error) = migrate("127.0.0.1", &[("DB_DISABLE_TLS", "true")]);
    assert!(plain, "{error}");
}

#[tokio::test]
async fn db_04_every_connection_limits_its_statements() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let db = deployment.database.connect().await;
    db.batch_execute("BEGIN; LOCK TABLE remote_cluster_details IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let answer =
        member.request("POST", cluster_simulator::STATUS_PATH, b"{}".to_vec()).await.unwrap();
    assert_eq!(answer.status, 503, "{}", answer.body);
    db.batch_execute("ROLLBACK").await.unwrap();
    member
        .request("POST", cluster_simulator::STATUS_PATH, b"{}".to_vec())
        .await
        .unwrap()
        .success()
        .unwrap();
}

/// From now on, for open connections as well.
async fn read_only(server: &DatabaseServer, on: bool) {
    let db = server.database.connect().await;
    let sql = format!("ALTER SYSTEM SET default_transaction_read_only = {on}");
    db.batch_execute(&sql).await.unwrap();
    db.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let sql = "SELECT count(*) FROM pg_settings WHERE name = 'default_transaction_read_only' AND setting = ";
    let sql = format!("{sql}'{}'", if on { "on" } else { "off" });
    server.database.until_count(&sql, 1).await;
}

#[tokio::test]
async fn db_01_of_several_servers_the_one_that_can_be_written_to_is_used_and_the_next_when_it_changes()
 {
    let (first, second) = (DatabaseServer::start().await, DatabaseServer::start().await);
    // The same database and the same password on both, as on two nodes of one PostgreSQL cluster.
    let name = first.database.name().to_owned();
    let on_second = second.database.connect().await;
    on_second.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    for db in [&first.database.connect().await, &on_second] {
        db.batch_execute("ALTER ROLE postgres PASSWORD 'the same'").await.unwrap();
    }
    let port = |server: &DatabaseServer| {
        let settings = server.database.settings();
        settings.into_iter().find(|(name, _)| *name == "DB_PORT").unwrap().1
    };
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hosts = format!("{closed},127.0.0.1:{},127.0.0.1:{}", port(&first), port(&second));
    let mut deployment = Deployment::on(first.database.clone());
    deployment.extra = vec![
        ("DB_HOST", hosts),
        ("DB_DISABLE_TLS", "true".into()),
        ("DB_PASSWORD", "the same".into()),
    ];
    let clusters = async |server: &DatabaseServer| {
        server.database.named(&name).count("SELECT count(*) FROM remote_clusters").await
    };
    // Both have the schema before either is read-only.
    assert!(deployment.run(&["migrate"]).status.success());
    read_only(&first, true).await;
    assert!(deployment.run(&["migrate"]).status.success());

    let connector = deployment.start(Service::ClusterConnector).await;
    deployment.enrol("lyon").await;
    assert_eq!((clusters(&first).await, clusters(&second).await), (0, 1));

    read_only(&second, true).await;
    read_only(&first, false).await;
    // Open connections lead to a server that cannot be written to any more: they are given up, not used again and again.
    let token = deployment.token("rome");
    let member = deployment.member(&token);
    let deadline = Instant::now() + Duration::from_mins(1);
    while member.join(&token).await.is_err() {
        assert!(Instant::now() < deadline, "it stays with the server: {}", connector.process.log());
        connector.probe("/ready").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((clusters(&first).await, clusters(&second).await), (1, 1));
}

#[tokio::test]
async fn a_first_start_on_an_empty_database_warns_of_nothing() {
    let deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let log = connector.process.log();
    // Of the machine it may.
    let warnings = log.lines().filter(|line| {
        (line.contains("\"WARN\"") || line.contains("\"ERROR\"")) && !line.contains("open files")
    });
    assert_eq!(warnings.collect::<Vec<_>>(), Vec::<&str>::new());
}
