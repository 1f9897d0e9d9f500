//! Who gets through to which cluster (security properties TUN-01, TUN-09, TUN-14).

use cluster_simulator::{ClusterModel, Lxd, Trusts, TunnelAnswer, TunnelManner};
use end_to_end_tests::{Deployment, MockProvider, Operator, Service, TunnelDeployment, answering};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::json;

const LYON: &str = "/1.0/remote-cluster/lyon/tunnel/1.0";

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

/// The cookie beside an access token is not what let the request in, and may be somebody else's.
#[tokio::test]
async fn tun_14_a_script_with_an_access_token_does_not_act_for_the_session_of_its_cookie() {
    let mut deployment = Deployment::new().await;
    deployment.extra =
        vec![("OIDC_AUDIENCE", "mcm-api".into()), ("TUNNEL_FORWARD_ACCESS_TOKEN", "true".into())];
    let provider = MockProvider::start(&mut deployment).await;
    let manager = deployment.start(Service::ManagementApi).await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let tunnel = deployment.enrol("lyon").await.open_tunnel().await.unwrap();
    deployment.database.until_count("SELECT count(*) FROM tunnels", 1).await;
    let seen = answering(tunnel, |request| {
        TunnelAnswer::json(request, 200, &json!({})).with_cookie("session", "of-ada")
    });
    let mut ada = deployment.operator();
    assert_eq!(provider.log_in(&mut ada).await.status, 303);
    assert_eq!(ada.get(LYON).await.status, 200);
    let mut claims = provider.claims("mcm-api");
    claims["sub"] = "bob".into();
    let bearer = format!("Bearer {}", provider.keys.sign(&claims));
    let mut script =
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&bearer).unwrap())]);
    script.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
    script.insert("sec-fetch-dest", HeaderValue::from_static("empty"));
    for ended in [false, true] {
        if ended {
            let db = deployment.database.connect().await;
            db.batch_execute("UPDATE sessions SET expires_at = now()").await.unwrap();
        }
        let answer = ada.raw(Method::GET, LYON, script.clone(), String::new()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let db = deployment.database.connect().await;
    db.batch_execute("UPDATE sessions SET expires_at = now() + interval '1 h'").await.unwrap();
    assert_eq!(ada.get(LYON).await.status, 200);
    drop((manager, connector));
    let seen = seen.await.unwrap();
    let sent: Vec<_> =
        seen.iter().map(|r| (r.header("Cookie"), r.header("Authorization").is_some())).collect();
    let of_ada = Some("session=of-ada");
    assert_eq!(sent, [(None, true), (None, false), (None, false), (of_ada, false)]);
}

#[tokio::test]
async fn tun_09_an_access_token_that_has_expired_is_renewed_once_a_minute_at_most() {
    let mut at = TunnelDeployment::start(&[("TUNNEL_FORWARD_ACCESS_TOKEN", "true")]).await;
    let (_, tunnel) = at.open("lyon").await;
    let mut refused = None;
    let seen = answering(tunnel, move |request| {
        let token = request.header("Authorization").map(str::to_owned);
        let status = if *refused.get_or_insert(token.clone()) == token { 401 } else { 200 };
        TunnelAnswer::json(request, status, &json!({"error": "not authorized"}))
    });
    assert_eq!(at.admin.get(LYON).await.status, 401, "the login was a moment ago");
    let db = at.deployment.database.connect().await;
    let age = "UPDATE sessions SET verified_at = now() - interval '2 min'";
    db.batch_execute(age).await.unwrap();
    let body = json!({"name": "x".repeat(10_000)});
    let answer = at.admin.send(Method::POST, LYON, Some(&body)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let renewed = "SELECT count(*) FROM sessions WHERE verified_at > now() - interval '1 min'";
    assert_eq!(at.deployment.database.count(renewed).await, 1);
    assert_eq!(at.admin.get(LYON).await.status, 200, "the new token is the session's");
    drop(at);
    let seen = seen.await.unwrap();
    let tokens: Vec<_> = seen.iter().map(|request| request.header("Authorization")).collect();
    assert_eq!(tokens.len(), 4, "{tokens:?}");
    assert!(tokens[0] == tokens[1] && tokens[1] != tokens[2] && tokens[2] == tokens[3]);
    for request in &seen[1..3] {
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&request.body).unwrap(), body);
    }
}

#[tokio::test]
async fn tun_09_a_cluster_that_refuses_every_token_costs_no_session_and_one_renewal_a_minute() {
    let mut at = TunnelDeployment::start(&[("TUNNEL_FORWARD_ACCESS_TOKEN", "true")]).await;
    let (_, tunnel) = at.open("lyon").await;
    let _seen = answering(tunnel, |request| {
        TunnelAnswer::json(request, 401, &json!({"error": "not authorized"}))
    });
    let db = at.deployment.database.connect().await;
    let age = "UPDATE sessions SET verified_at = now() - interval '2 min'";
    let verified =
        "SELECT min(extract(epoch FROM verified_at) * 1000000)::int8 AS count FROM sessions";
    db.batch_execute(age).await.unwrap();
    let mut moments = Vec::new();
    for _ in 0..3 {
        assert_eq!(at.admin.get(LYON).await.status, 401);
        moments.push(at.deployment.database.count(verified).await);
    }
    moments.dedup();
    assert_eq!(moments.len(), 1, "one renewal");
    // Without a refresh token nothing can be renewed, and asking would end the session.
    db.batch_execute("UPDATE sessions SET refresh_token_sealed = NULL").await.unwrap();
    db.batch_execute(age).await.unwrap();
    assert_eq!(at.admin.get(LYON).await.status, 401);
    assert_eq!(at.admin.get("/1.0").await.status, 200, "the session here goes on");
}
