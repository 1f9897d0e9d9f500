//! Full disks and clocks that jump (security properties REL-10 and REL-11).

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use cluster_simulator::{CertificateSpec, Identity, Member, Pin, STATUS_PATH};
use end_to_end_tests::{Deployment, Operator, Running, Service};
use reqwest::Method;
use serde_json::json;
use time::{Duration, OffsetDateTime};

const CLUSTER: &str = "/1.0/remote-cluster/lyon";

/// PostgreSQL's answer to whatever needs room on a disk that has none, for each table of ours.
const FILL: &str = "
    CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'could not extend file \"base/16384/canary\": No space left on device' USING ERRCODE = '53100';
    END
    $$;
    DO $$
    DECLARE
        name text;
    BEGIN
        FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'cluster_manager' LOOP
            EXECUTE format('CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION no_room()', name);
        END LOOP;
    END
    $$;";

#[tokio::test]
async fn rel_10_a_full_disk_of_the_database_refuses_changes_keeps_reading_and_ends_by_itself() {
    let Running { deployment, provider: _provider, manager, connector, mut ada } =
        Running::start().await;
    let lyon = deployment.enrol("lyon").await;
    let oslo = deployment.token("oslo");
    let db = deployment.database.connect().await;
    // The use of a session would be written down now.
    db.batch_execute("UPDATE sessions SET last_used_at = now() - interval '5 min'").await.unwrap();
    db.batch_execute(FILL).await.unwrap();

    let beat = async || lyon.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
    let change = json!({"description": "Edge"});
    for _ in 0..2 {
        let answer = beat().await;
        assert_eq!((answer.status, answer.header("retry-after").is_some()), (503, true));
        assert!(!answer.body.contains("canary"), "conf_04: {}", answer.body);
        for (method, path, body) in [
            (Method::PATCH, CLUSTER, Some(&change)),
            (Method::POST, "/1.0/remote-cluster-join-token", Some(&json!({"cluster_name": "x"}))),
            (Method::DELETE, CLUSTER, None),
        ] {
            let answer = ada.send(method.clone(), path, body).await;
            let told = (answer.error().0, answer.header("retry-after").is_some());
            assert_eq!(told, (503, true), "{method} {path}: {}", answer.body);
            assert!(!answer.body.contains("canary"), "conf_04: {}", answer.body);
        }
        let joined = deployment.member(&oslo).join(&oslo).await.unwrap_err().to_string();
        assert!(joined.contains("503"), "{joined}");
        for path in ["/1.0/remote-cluster", CLUSTER, "/1.0/fleet/clusters", "/1.0/audit"] {
            assert_eq!(ada.get(path).await.status, 200, "{path} needs no room");
        }
        for unit in [&manager, &connector] {
            let probes = [unit.probe("/alive").await, unit.probe("/ready").await];
            assert_eq!(probes, [Some(200), Some(200)]);
        }
    }
    assert_eq!(ada.get(CLUSTER).await.metadata()["description"], "", "nothing was done by halves");

    db.batch_execute("DROP FUNCTION no_room() CASCADE").await.unwrap();
    assert_eq!(beat().await.status, 200);
    assert_eq!(ada.send(Method::PATCH, CLUSTER, Some(&change)).await.status, 200);
    deployment.member(&oslo).join(&oslo).await.expect("the token is as it was");
}

#[tokio::test]
async fn rel_10_a_full_disk_below_the_log_holds_up_no_request() {
    let deployment = Deployment::new().await;
    let full = Path::new("/dev/full");
    let manager = deployment.start_logging_to(Service::ManagementApi, full).await;
    let connector = deployment.start_logging_to(Service::ClusterConnector, full).await;
    let lyon = deployment.enrol("lyon").await;
    for _ in 0..20 {
        let answer = lyon.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(deployment.operator().get("/1.0/remote-cluster").await.status, 401);
    }
    for mut unit in [manager, connector] {
        assert_eq!(unit.probe("/ready").await, Some(200));
        unit.process.signal("TERM");
        assert_eq!(unit.process.wait().await.code(), Some(0));
    }
}

/// The clock of the units that start from now on, apart from the database's, the provider's and ours.
struct Clock(PathBuf);

impl Clock {
    fn of(deployment: &mut Deployment) -> Self {
        let (library, file) = (deployment.file("clock.so"), deployment.file("clock"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/clock.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source);
        assert!(compiler.status().unwrap().success(), "a C compiler makes the clock");
        std::fs::write(&file, 0_i64.to_ne_bytes()).unwrap();
        deployment.extra.push(("LD_PRELOAD", library.display().to_string()));
        deployment.extra.push(("CLOCK_OFFSET_FILE", file.display().to_string()));
        Self(file)
    }

    fn jump(&self, offset: Duration) {
        let file = OpenOptions::new().write(true).open(&self.0).unwrap();
        file.write_all_at(&offset.whole_seconds().to_ne_bytes(), 0).unwrap();
    }
}

#[tokio::test]
async fn rel_11_clocks_of_units_that_jump_log_nobody_out_and_decide_nothing() {
    let mut deployment = Deployment::new().await;
    let clock = Clock::of(&mut deployment);
    let Running { deployment, provider, manager, connector, mut ada } =
        Running::of(deployment).await;
    let lyon = deployment.enrol("lyon").await;
    // Certificates of clusters are older than any jump here, and so is what they say about time.
    let now = OffsetDateTime::now_utc();
    let spec =
        CertificateSpec { not_before: now - Duration::days(900), ..CertificateSpec::lxd("old") };
    let db = deployment.database.connect().await;
    let jumps = [Duration::HOUR, -Duration::HOUR, Duration::days(365), Duration::days(-365)];
    for (n, offset) in jumps.into_iter().enumerate() {
        clock.jump(offset);
        let answer = lyon.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
        assert_eq!(answer.status, 200, "{offset}: {}", answer.body);
        let listed = ada.get(CLUSTER).await.metadata();
        assert_eq!(listed["state"], "online", "{offset}: the database's clock says so");
        assert_eq!(listed["warnings"], json!([]), "{offset}");

        // Tokens live by the database's clock: one that has ended stays ended, one that lives is taken.
        let name = format!("site-{n}");
        let ended = token(&mut ada, &format!("ended-{n}")).await;
        let ends =
            "UPDATE join_tokens SET expires_at = now() - interval '1 s' WHERE cluster_name = $1";
        assert_eq!(db.execute(ends, &[&format!("ended-{n}")]).await.unwrap(), 1);
        let identity = Identity::from_spec(&spec).unwrap();
        let refused = Member::new(identity.clone(), Pin::of(&ended)).join(&ended).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("expired"), "{offset}: {refused}");
        let alive = token(&mut ada, &name).await;
        Member::new(identity, Pin::of(&alive)).join(&alive).await.expect("it has not ended");

        // Due for another look at the provider, whose tokens look wrong by this clock: nobody is logged out by that.
        let due =
            "UPDATE sessions SET verified_at = now() - interval '20 min', verify_not_before = NULL";
        db.batch_execute(due).await.unwrap();
        assert_eq!(ada.get("/1.0/remote-cluster").await.status, 200, "{offset}");
        for unit in [&manager, &connector] {
            assert_eq!(unit.probe("/ready").await, Some(200), "{offset}");
        }
    }
    clock.jump(Duration::ZERO);
    assert_eq!(deployment.database.count("SELECT count(*) FROM sessions").await, 1);
    assert_eq!(provider.log_in(&mut deployment.operator()).await.status, 303);
    // Sessions end by the database's clock, whatever a unit's says.
    clock.jump(Duration::days(-365));
    db.batch_execute("UPDATE sessions SET expires_at = now() - interval '1 s'").await.unwrap();
    assert_eq!(ada.get("/1.0").await.status, 401);
    for unit in [manager, connector] {
        assert!(!unit.process.log().contains("panicked"), "{}", unit.process.log());
    }
}

async fn token(operator: &mut Operator, name: &str) -> cluster_simulator::JoinToken {
    let body = json!({"cluster_name": name});
    let made = operator.send(Method::POST, "/1.0/remote-cluster-join-token", Some(&body)).await;
    cluster_simulator::JoinToken::decode(made.metadata()["token"].as_str().unwrap()).unwrap()
}
