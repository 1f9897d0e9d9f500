//! What the services may do in the database (security property DB-03). Every other test lets them run as a role that does not own the
//! schema, too: it suffices.

use std::time::{Duration, Instant};

use cluster_simulator::STATUS_PATH;
use end_to_end_tests::{Deployment, Earlier, Service};
use tokio_postgres::error::SqlState;

/// The roles of `docs/how-to/database.md`, made by the statements of one of its sections under names of this test's own.
struct Roles {
    owner: String,
    services: String,
}

impl Roles {
    async fn of(section: &str, deployment: &Deployment) -> Self {
        let page = include_str!("../../docs/how-to/database.md");
        let (_, text) = page.split_once(&format!("\n## {section}\n")).unwrap();
        let (_, sql) = text.split_once("```sql\n").unwrap();
        let (sql, _) = sql.split_once("```").unwrap();
        let name = deployment.database.name();
        let roles = Self { owner: format!("owner_{name}"), services: format!("services {name}") };
        let sql = sql
            .replace("DATABASE cm ", &format!("DATABASE {name} "))
            .replace("cm_owner", &roles.owner)
            .replace("cm_services", &format!("\"{}\"", roles.services));
        deployment.database.connect().await.batch_execute(&sql).await.unwrap();
        roles
    }

    fn of_owner(&self) -> Vec<(&'static str, String)> {
        vec![("DB_USER", self.owner.clone()), ("DB_ROLE", self.services.clone())]
    }

    fn of_services(&self) -> Vec<(&'static str, String)> {
        vec![("DB_USER", self.services.clone()), ("DB_ROLE", String::new())]
    }
}

#[tokio::test]
async fn db_03_the_services_run_as_a_role_that_may_do_what_they_must_and_no_more() {
    let mut deployment = Deployment::new().await;
    let roles = Roles::of("One login", &deployment).await;
    deployment.extra = roles.of_owner();
    let _provider = deployment.start_identity_provider().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let _manager = deployment.start(Service::ManagementApi).await;
    let admin = deployment.database.connect().await;
    admin
        .batch_execute(
            "CREATE TABLE seen (who name);
             CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql SECURITY INVOKER AS $$
             BEGIN PERFORM note(current_user); RETURN NEW; END $$;
             CREATE FUNCTION note(who name) RETURNS void LANGUAGE sql SECURITY DEFINER
                 SET search_path = cluster_manager AS 'INSERT INTO seen VALUES (who)';
             CREATE TRIGGER see BEFORE INSERT OR UPDATE ON remote_cluster_details FOR EACH ROW EXECUTE FUNCTION see();
             CREATE TRIGGER see BEFORE INSERT ON sessions FOR EACH ROW EXECUTE FUNCTION see()",
        )
        .await
        .unwrap();
    let member = deployment.enrol("lyon").await;
    let sent = member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
    assert_eq!(sent.status, 200, "{}", sent.body);
    let mut operator = deployment.logged_in("admin@example.com").await;
    assert_eq!(operator.get("/1.0/remote-cluster/lyon").await.status, 200);
    let others = format!("SELECT count(*) FROM seen WHERE who <> '{}'", roles.services);
    assert!(deployment.database.count("SELECT count(*) FROM seen").await >= 2);
    assert_eq!(deployment.database.count(&others).await, 0);

    let other = deployment.database.named("postgres").connect().await;
    let elsewhere = format!("elsewhere_{}", deployment.database.name());
    other.batch_execute(&format!("CREATE TABLE public.{elsewhere} (secret text)")).await.unwrap();
    let refused = async |db: &tokio_postgres::Client, sql: &str| {
        let transaction = format!("BEGIN; SET LOCAL ROLE \"{}\"; {sql}", roles.services);
        let error = db.batch_execute(&transaction).await.expect_err(sql);
        db.batch_execute("ROLLBACK").await.unwrap();
        assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{sql}: {error:?}");
    };
    for sql in [
        "CREATE TABLE cluster_manager.another (id bigint)",
        "CREATE TABLE public.another (id bigint)",
        "CREATE SCHEMA another",
        "ALTER TABLE remote_clusters ADD COLUMN another text",
        "ALTER TABLE remote_clusters DISABLE TRIGGER ALL",
        "DROP TABLE join_tokens",
        "DROP SCHEMA cluster_manager CASCADE",
        "DROP TRIGGER audit_events_stay ON audit_events",
        "CREATE OR REPLACE FUNCTION cluster_manager.audit_events_stay() RETURNS trigger LANGUAGE sql AS ''",
        "TRUNCATE remote_clusters CASCADE",
        "UPDATE audit_events SET actor = 'nobody'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
        "UPDATE audit_retention SET age = interval '1 day'",
        "DELETE FROM audit_retention",
        "DELETE FROM refinery_schema_history",
        "COPY remote_clusters TO PROGRAM 'cat'",
        "COPY remote_clusters TO '/tmp/remote_clusters'",
        "SELECT pg_read_file('postgresql.conf')",
        "SELECT rolpassword FROM pg_authid",
        "CREATE ROLE another",
    ] {
        refused(&admin, sql).await;
    }
    refused(&other, &format!("SELECT * FROM public.{elsewhere}")).await;
    other.batch_execute(&format!("DROP TABLE public.{elsewhere}")).await.unwrap();
}

#[tokio::test]
async fn db_03_services_with_a_login_of_their_own_use_what_the_owner_has_migrated() {
    let mut deployment = Deployment::new().await;
    let roles = Roles::of("Two logins", &deployment).await;
    deployment.extra = roles.of_services();
    let mut early = deployment.launch(Service::ClusterConnector);
    assert_eq!(early.process.wait().await.code(), Some(1));
    assert!(early.process.log().contains("permission denied"), "{}", early.process.log());

    deployment.extra = roles.of_owner();
    deployment.extra.push(("AUDIT_RETENTION_DAYS", "90".into()));
    let migrated = deployment.run(&["migrate"]);
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));

    deployment.extra = roles.of_services();
    let connector = deployment.start(Service::ClusterConnector).await;
    let log = connector.process.log();
    assert!(log.contains("records of the audit log are kept for 90 days"), "{log}");
    let member = deployment.enrol("lyon").await;
    let sent = member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
    assert_eq!(sent.status, 200, "{}", sent.body);

    // Records go when the owner's time for them is over, and not before, whatever the services are told.
    deployment.extra.push(("AUDIT_RETENTION_DAYS", "1".into()));
    let admin = deployment.database.connect().await;
    admin
        .batch_execute(
            "INSERT INTO audit_events (at, actor_kind, actor, actor_name, source, event, object, outcome, request_id)
             SELECT now() - make_interval(days => n), 'system', '', '', '', 'old', n::text, 'success', ''
               FROM generate_series(88, 92) AS n",
        )
        .await
        .unwrap();
    let settings = deployment.settings();
    let find = |name: &str| {
        settings.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    };
    let config = workload_config::Config::parse(find).unwrap();
    let pool = cluster_manager::store::Pool::for_service(&config.database, "test").unwrap();
    let db = pool.get().await.unwrap();
    let purged = cluster_manager::store::purge::purge(&db, Duration::from_hours(1)).await;
    assert_eq!(purged.unwrap(), 3);

    // A release with another schema says who has to do what.
    admin
        .batch_execute("UPDATE refinery_schema_history SET checksum = '7' WHERE version = 16")
        .await
        .unwrap();
    let mut other = deployment.launch(Service::ClusterConnector);
    assert_eq!(other.process.wait().await.code(), Some(1));
    let log = other.process.log();
    assert!(
        log.contains("run the command `migrate` of this release as the role that owns"),
        "{log}"
    );
}

#[tokio::test]
async fn db_03_the_owner_takes_over_for_services_that_may_not_read_the_earlier_tables() {
    let mut deployment = Deployment::new().await;
    let earlier = Earlier::new(&deployment).await;
    earlier.enrolled("lyon").await;
    let roles = Roles::of("Two logins", &deployment).await;
    let grant = format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}", roles.owner);
    earlier.execute(&grant).await;
    deployment.extra = roles.of_owner();
    let taken = deployment.run(&["takeover", "--apply"]);
    assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));

    deployment.extra = roles.of_services();
    let mut refused = deployment.launch(Service::ClusterConnector);
    assert_eq!(refused.process.wait().await.code(), Some(1));
    assert!(refused.process.log().contains("TAKEOVER=off"), "{}", refused.process.log());
    deployment.extra.push(("TAKEOVER", "off".into()));
    let _connector = deployment.start(Service::ClusterConnector).await;
    let clusters = "SELECT count(*) FROM remote_clusters WHERE name = 'lyon'";
    assert_eq!(deployment.database.count(clusters).await, 1);
}

#[tokio::test]
async fn db_03_a_role_that_is_not_there_or_has_no_rights_is_told_what_to_do() {
    let mut deployment = Deployment::new().await;
    deployment.extra = vec![("DB_ROLE", "nobody has made this".into())];
    let mut unit = deployment.launch(Service::ManagementApi);
    assert_eq!(unit.process.wait().await.code(), Some(1));
    let log = unit.process.log();
    assert!(log.contains("role \"nobody has made this\" does not exist"), "{log}");

    // That has made the schema, which belongs to somebody else now.
    let roles = Roles::of("Two logins", &deployment).await;
    deployment.extra = roles.of_services();
    let unused = deployment.run(&["migrate"]);
    let said = String::from_utf8(unused.stderr).unwrap();
    assert!(said.contains("this role may not use the schema `cluster_manager`"), "{said}");

    let mut deployment = Deployment::new().await;
    let roles = Roles::of("Two logins", &deployment).await;
    deployment.extra = roles.of_owner();
    let mut unit = deployment.launch(Service::ClusterConnector);
    let said = format!("permission denied to set role \\\"{}\\\"", roles.services);
    let deadline = Instant::now() + Duration::from_mins(1);
    while !unit.process.log().contains(&said) {
        assert!(Instant::now() < deadline, "{}", unit.process.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(unit.probe("/ready").await, Some(500));
    let Roles { owner, services } = roles;
    let grant = format!("GRANT \"{services}\" TO {owner}");
    deployment.database.connect().await.batch_execute(&grant).await.unwrap();
    unit.until_ready().await;
}
