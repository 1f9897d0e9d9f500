//! Who gets through to which cluster (security property TUN-01).

use cluster_simulator::{ClusterModel, Lxd, Trusts, TunnelManner};
use end_to_end_tests::{Deployment, Operator, Service};
use reqwest::Method;
use serde_json::json;

/// Whether a cluster has a tunnel is the member's decision; operators and admins may use it, and nobody else.
#[tokio::test]
async fn tun_01_only_operators_and_admins_reach_a_cluster_and_only_while_it_holds_its_tunnel() {
    let mut deployment = Deployment::new().await;
    deployment.extra =
        vec![("OIDC_OPERATOR_GROUPS", "ops".into()), ("OIDC_VIEWER_GROUPS", "staff".into())];
    let users = deployment.file("users.json");
    let people = json!([
        {"email": "staff@example.org", "groups": ["staff"]},
        {"email": "operator@example.org", "groups": ["ops"]},
    ]);
    std::fs::write(&users, people.to_string()).unwrap();
    let _provider =
        deployment.start_identity_provider_with(&["--users", users.to_str().unwrap()]).await;
    let _manager = deployment.start(Service::ManagementApi).await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let with_tunnel = deployment.enrol("open").await;
    let _without = deployment.enrol("closed").await;
    let tunnel = with_tunnel.open_tunnel().await.unwrap();
    deployment.database.until_count("SELECT count(*) FROM tunnels", 1).await;
    let mut lxd = Lxd::new(ClusterModel::new(1, "open"), Trusts::Anybody);
    let served = tokio::spawn(async move { tunnel.serve(&mut lxd, TunnelManner::Plausible).await });

    let ask = async |who: &mut Operator, method: Method, name: &str| {
        let path = format!("/1.0/remote-cluster/{name}/tunnel/1.0");
        let body = (method != Method::GET).then(|| json!({}));
        let answer = who.send(method, &path, body.as_ref()).await;
        (answer.status, answer.header("x-answered-by").is_some())
    };
    let mut people = vec![(deployment.operator(), [401, 401, 401])];
    for (email, expected) in [
        ("viewer@example.com", [403, 403, 403]),
        ("staff@example.org", [403, 403, 403]),
        ("operator@example.org", [200, 400, 404]),
        ("admin@example.com", [200, 400, 404]),
    ] {
        people.push((deployment.logged_in(email).await, expected));
    }
    for (who, expected) in &mut people {
        for (name, status) in ["open", "closed", "nobody"].into_iter().zip(*expected) {
            let answered = ask(who, Method::GET, name).await;
            assert_eq!(answered, (status, status == 200), "{name}");
            if status != 200 {
                for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                    assert_eq!(ask(who, method, name).await, (status, false), "{name}");
                }
            }
        }
    }
    // The tunnel ends, comes back, and goes with its cluster.
    served.abort();
    deployment.database.until_count("SELECT count(*) FROM tunnels", 0).await;
    let (admin, _) = people.last_mut().unwrap();
    assert_eq!(ask(admin, Method::GET, "open").await, (400, false));
    let _again = with_tunnel.open_tunnel().await.unwrap();
    deployment.database.until_count("SELECT count(*) FROM tunnels", 1).await;
    assert_eq!(admin.send(Method::DELETE, "/1.0/remote-cluster/open", None).await.status, 200);
    assert_eq!(ask(admin, Method::GET, "open").await, (404, false));
}
