//! What is not taken over, and that nothing happens then.

use end_to_end_tests::{Deployment, Earlier, Service, program};
use serde_json::json;

use super::{clusters, run};

/// The service does not start, says why in one line, and writes nothing.
async fn assert_start_is_refused(deployment: &Deployment, because: &str) {
    let mut connector = deployment.launch(Service::ClusterConnector);
    assert_eq!(connector.process.wait().await.code(), Some(1));
    let log = connector.process.log();
    let error = log.lines().find(|line| line.starts_with("Error: ")).unwrap_or_default();
    assert!(error.contains(because) && error.contains("TAKEOVER=off"), "{log}");
    for table in ["remote_clusters", "takeovers"] {
        let sql = format!("SELECT count(*) FROM {table}");
        assert_eq!(deployment.database.count(&sql).await, 0);
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_until_an_operator_accepts_it() {
    let deployment = Deployment::new().await;
    let earlier = Earlier::new(&deployment).await;
    earlier.enrolled("lyon").await;
    earlier.execute("INSERT INTO goose_db_version (version_id, is_applied) VALUES (5, true)").await;
    assert_start_is_refused(&deployment, "has schema version 5, and this program knows 1 to 4")
        .await;
    for action in ["--check", "--apply"] {
        let (code, report) = run(&deployment, &["takeover", action]);
        assert_eq!((code, &report["applied"]), (Some(4), &json!(false)), "{action}");
        assert!(report["refused"].as_str().unwrap().contains("schema version 5"), "{action}");
    }
    let text = deployment.run(&["takeover", "--check"]);
    assert!(String::from_utf8(text.stdout).unwrap().starts_with("Nothing is taken over: "));

    let (code, report) = run(&deployment, &["takeover", "--check", "--accept-newer"]);
    assert_eq!((code, &report["clusters"]["copied"]), (Some(0), &json!(1)));
    let (code, report) = run(&deployment, &["takeover", "--apply", "--accept-newer"]);
    assert_eq!((code, &report["schema_version"]), (Some(0), &json!(5)));
    let _connector = deployment.start(Service::ClusterConnector).await;
    assert_eq!(clusters(&deployment).len(), 1);
}

#[tokio::test]
async fn a_step_down_counts_and_missing_bookkeeping_is_no_obstacle() {
    let deployment = Deployment::new().await;
    let earlier = Earlier::new(&deployment).await;
    earlier.enrolled("lyon").await;
    earlier
        .execute("INSERT INTO goose_db_version (version_id, is_applied) VALUES (5, false)")
        .await;
    let (code, report) = run(&deployment, &["takeover", "--check"]);
    assert_eq!((code, &report["schema_version"]), (Some(0), &json!(4)));
    earlier.execute("DROP TABLE goose_db_version").await;
    let (code, report) = run(&deployment, &["takeover", "--apply"]);
    assert_eq!((code, &report["schema_version"]), (Some(0), &json!(null)));
    assert_eq!(report["clusters"]["copied"], 1);
}

#[tokio::test]
async fn a_schema_of_another_shape_is_refused_whole() {
    let deployment = Deployment::new().await;
    let earlier = Earlier::new(&deployment).await;
    earlier.enrolled("lyon").await;
    earlier.execute("ALTER TABLE remote_cluster_config RENAME COLUMN value TO content").await;
    let because = "public.remote_cluster_config has no column value";
    assert_start_is_refused(&deployment, because).await;
    let (code, report) = run(&deployment, &["takeover", "--check"]);
    assert_eq!(code, Some(4));
    assert!(report["refused"].as_str().unwrap().contains(because));
}

#[tokio::test]
async fn tables_that_this_role_may_not_read_are_refused_with_what_to_grant() {
    let mut deployment = Deployment::new().await;
    let earlier = Earlier::new(&deployment).await;
    earlier.enrolled("lyon").await;
    let role = format!("poor_{}", deployment.database.name());
    let database = deployment.database.name().to_owned();
    earlier
        .execute(&format!(
            "CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {database} TO {role}"
        ))
        .await;
    deployment.extra = vec![("DB_USER", role.clone()), ("DB_ROLE", String::new())];
    assert_start_is_refused(&deployment, "grant it the right to read them").await;
    assert_eq!(run(&deployment, &["takeover", "--check"]).0, Some(4));
    earlier.execute(&format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")).await;
    assert_eq!(run(&deployment, &["takeover", "--apply"]).0, Some(0));
    assert_eq!(clusters(&deployment).len(), 1);
}

#[tokio::test]
async fn tables_that_somebody_else_made_enrol_nobody_and_stop_nothing() {
    let mut deployment = Deployment::new().await;
    let earlier = Earlier::new(&deployment).await;
    earlier.enrolled("intruder").await;
    let name = deployment.database.name().to_owned();
    let (ours, theirs) = (format!("ours_{name}"), format!("theirs_{name}"));
    earlier
        .execute(&format!(
            "CREATE ROLE {ours} LOGIN; CREATE ROLE {theirs} LOGIN; GRANT CREATE ON DATABASE {name} TO {ours};
             ALTER TABLE remote_clusters OWNER TO {theirs}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {ours}"
        ))
        .await;
    deployment.extra = vec![("DB_USER", ours.clone()), ("DB_ROLE", String::new())];
    let mut connector = deployment.start(Service::ClusterConnector).await;
    let log = connector.process.log();
    assert!(log.contains("are left alone") && log.contains(&theirs), "{log}");
    assert_eq!(clusters(&deployment).len(), 0);
    for action in ["--check", "--apply"] {
        let (code, report) = run(&deployment, &["takeover", action]);
        assert_eq!(code, Some(4), "{action}");
        assert!(report["refused"].as_str().unwrap().contains(&format!("grant {theirs} to it")));
    }
    assert_eq!(clusters(&deployment).len(), 0);
    earlier.execute(&format!("GRANT {theirs} TO {ours}")).await;
    connector.process.kill();
    let _connector = deployment.start(Service::ClusterConnector).await;
    assert_eq!(clusters(&deployment).len(), 1);
}

#[tokio::test]
async fn takeover_off_starts_without_the_earlier_clusters_until_told_otherwise() {
    let mut deployment = Deployment::new().await;
    let earlier = Earlier::new(&deployment).await;
    earlier.enrolled("lyon").await;
    deployment.extra = vec![("TAKEOVER", "off".into())];
    let _connector = deployment.start(Service::ClusterConnector).await;
    assert_eq!(clusters(&deployment).len(), 0);
    let (code, status) = run(&deployment, &["status"]);
    assert_eq!((code, &status["takeover"]["waiting_clusters"]), (Some(3), &json!(1)));
    let (_, report) = run(&deployment, &["takeover", "--apply"]);
    assert_eq!(report["clusters"]["copied"], 1);
    assert_eq!(clusters(&deployment).len(), 1);
}

#[tokio::test]
async fn a_database_without_the_earlier_product_has_nothing_to_take_over() {
    let deployment = Deployment::new().await;
    let db = deployment.database.connect().await;
    db.batch_execute("CREATE TABLE public.remote_clusters (id int, name text, owner text)")
        .await
        .unwrap();
    db.batch_execute("INSERT INTO public.remote_clusters VALUES (1, 'not ours', 'x')")
        .await
        .unwrap();
    let (code, report) = run(&deployment, &["takeover", "--check"]);
    assert_eq!((code, &report["found"]), (Some(0), &json!(false)));
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'cluster_manager'";
    assert_eq!(deployment.database.count(schemas).await, 0, "looking changes nothing");
    let text = deployment.run(&["takeover", "--apply"]);
    assert_eq!(
        String::from_utf8(text.stdout).unwrap(),
        "The earlier Cluster Manager left nothing in this database.\n"
    );
    let _connector = deployment.start(Service::ClusterConnector).await;
    assert_eq!(deployment.database.count("SELECT count(*) FROM takeovers").await, 0);
}

#[test]
fn takeover_wants_to_know_whether_to_look_or_to_act() {
    for arguments in [&["takeover"][..], &["takeover", "--check", "--apply"]] {
        let mut command = std::process::Command::new(program("microcloud-cluster-manager"));
        let output = command.args(arguments).env_clear().output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
