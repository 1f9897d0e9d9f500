//! What only a real browser can show (security properties WEB-02, WEB-04, WEB-07, TUN-05, TUN-06, OIDC-14): pages in `tests/browser/hostile` are
//! opened in Chromium, in a deployment whose clusters, people and operators write nothing but attacks.

use std::path::Path;
use std::process::Command;

use cluster_simulator::{HOSTILE_HEADERS, STATUS_PATH, TunnelAnswer};
use end_to_end_tests::{Deployment, Earlier, Process, Service, TunnelDeployment, answering};
use reqwest::Method;
use serde_json::json;

/// Runs one file of journeys and panics with what it printed when it finds anything.
async fn journey(deployment: &Deployment, file: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    assert!(
        folder.join("node_modules").exists(),
        "the browser's modules are not installed: run the tests with ./dev test"
    );
    let mut command = Command::new("env");
    command.arg("-C").arg(folder).args([
        "node",
        "--test",
        "--test-timeout=120000",
        "--test-reporter=spec",
    ]);
    command.arg(format!("hostile/{file}.test.js")).env("MANAGEMENT_URL", deployment.origin());
    let mut running = Process::start(&command, &deployment.file("browser.log"));
    running.succeed().await;
    assert!(!running.log().contains("ℹ pass 0"), "{}", running.log());
}

/// Text that does something where it is taken for HTML.
fn attack(place: &str) -> String {
    format!("<img src=x onerror=\"window.struck='{place}'\"><x-evil>{place}</x-evil>")
}

#[tokio::test]
async fn web_07_whatever_clusters_and_people_write_is_text_in_the_browser() {
    let mut deployment = Deployment::new().await;
    let users = deployment.file("users.json");
    let person = json!([{
        "sub": attack("sub"), "email": "admin@example.com", "name": attack("person"), "groups": ["admins", attack("group")],
    }]);
    std::fs::write(&users, person.to_string()).unwrap();
    let _provider =
        deployment.start_identity_provider_with(&["--users", users.to_str().unwrap()]).await;
    // Names as an earlier product allowed them.
    let earlier = Earlier::new(&deployment).await;
    earlier.enrolled(&attack("name")).await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let _manager = deployment.start(Service::ManagementApi).await;
    let member = deployment.enrol("lyon").await;
    let body = json!({
        "cpu_load_1": attack("load"), "cpu_load_5": attack("load"), "cpu_load_15": attack("load"),
        "memory_total_amount": 100, "memory_usage": 99, "cpu_total_count": 4,
        "ceph_statuses": [{"status": attack("ceph"), "count": 1}],
        "member_statuses": [{"status": attack("member"), "count": 1}],
        "instance_statuses": [{"status": attack("instance"), "count": 1}, {"status": "Error", "count": 1}],
        "storage_pool_usages": [{"name": attack("pool"), "member": attack("host"), "total": 100, "usage": 99}],
        "server_metrics": [], "ui_url": "https://lxd.example/\"><img src=x onerror=window.struck=1>",
    });
    let sent = member.request("POST", STATUS_PATH, body.to_string().into_bytes()).await.unwrap();
    assert_eq!(sent.status, 200, "{}", sent.body);
    let mut admin = deployment.logged_in("admin@example.com").await;
    let change = json!({"description": attack("description")});
    let changed = admin.send(Method::PATCH, "/1.0/remote-cluster/lyon", Some(&change)).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    let token = json!({"cluster_name": "oslo", "description": attack("token")});
    let made = admin.send(Method::POST, "/1.0/remote-cluster-join-token", Some(&token)).await;
    assert_eq!(made.status, 200);
    journey(&deployment, "values").await;
}

#[tokio::test]
async fn web_04_the_policy_stops_every_script_that_is_not_ours_and_no_page_of_ours_breaks_it() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let _manager = deployment.start(Service::ManagementApi).await;
    let member = deployment.enrol("lyon").await;
    let body = super::example("heartbeat-3-members.json").to_string();
    assert_eq!(member.request("POST", STATUS_PATH, body.into_bytes()).await.unwrap().status, 200);
    let page = deployment.operator().get("/ui/").await;
    let policy = page.header("content-security-policy").unwrap();
    let expected = [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "object-src 'none'",
    ];
    assert_eq!(policy.split("; ").collect::<Vec<_>>(), expected);
    journey(&deployment, "policy").await;
}

#[tokio::test]
async fn tun_06_an_answer_of_a_hostile_cluster_is_never_a_page_a_frame_or_a_script() {
    let mut at = TunnelDeployment::start(&[]).await;
    let (_, tunnel) = at.open("lyon").await;
    let page = b"<!doctype html><script>window.struck = 1; document.cookie = 'evil=1; Secure; Path=/'</script>";
    let seen = answering(tunnel, move |request| {
        let mut answer = TunnelAnswer::refusal(request, 200)
            .with_body(page)
            .with_cookie("__Host-mcm-session", "stolen");
        for (name, value) in HOSTILE_HEADERS {
            answer = answer.with_header(name, value);
        }
        answer
    });
    journey(&at.deployment, "tunnel").await;
    assert_eq!(at.admin.get("/1.0").await.status, 200);
    seen.abort();
}

#[tokio::test]
async fn oidc_14_what_the_provider_says_in_an_error_is_never_a_page_or_a_script() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let manager = deployment.start(Service::ManagementApi).await;
    journey(&deployment, "refusal").await;
    // The log has what helps to find the reason, shortened, on one line.
    let log = manager.process.log();
    let told: Vec<_> = log.lines().filter(|line| line.contains("ended a login")).collect();
    assert!(told.len() == 2 && told.iter().all(|line| line.len() < 1500), "{told:?}");
    assert!(!log.contains("x".repeat(201).as_str()));
}

#[tokio::test]
async fn web_02_a_page_of_another_site_changes_and_reads_nothing() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let _manager = deployment.start(Service::ManagementApi).await;
    let _lyon = deployment.enrol("lyon").await;
    journey(&deployment, "forgery").await;
    let clusters = "SELECT count(*) FROM remote_clusters WHERE name = 'lyon' AND description = ''";
    assert_eq!(deployment.database.count(clusters).await, 1);
    assert_eq!(
        deployment
            .database
            .count("SELECT count(*) FROM join_tokens WHERE consumed_at IS NULL")
            .await,
        0
    );
    let mut admin = deployment.logged_in("admin@example.com").await;
    assert_eq!(admin.get("/1.0/remote-cluster/lyon").await.status, 200);
}
