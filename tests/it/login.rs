//! Login at the real identity provider, sessions and logout (security properties OIDC-*, SESS-*).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use end_to_end_tests::{CLIENT_SECRET, Deployment, Running, Service};
use reqwest::Method;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue, SET_COOKIE};

#[tokio::test]
async fn oidc_01_a_login_uses_pkce_state_and_nonce() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let _manager = deployment.start(Service::ManagementApi).await;
    let mut operator = deployment.operator();
    let begun = operator.raw(Method::GET, "/oidc/login", HeaderMap::new(), String::new()).await;
    assert_eq!((begun.status, begun.header("cache-control")), (302, Some("no-store")));
    let target: url::Url = begun.header("location").unwrap().parse().unwrap();
    let parameter = |name: &str| {
        target.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    assert_eq!(parameter("redirect_uri"), Some(format!("{}/oidc/callback", deployment.origin())));
    assert_eq!(parameter("response_type").as_deref(), Some("code"));
    assert_eq!(parameter("scope").as_deref(), Some("openid offline_access email profile"));
    assert_eq!(parameter("code_challenge_method").as_deref(), Some("S256"));
    for name in ["state", "nonce", "code_challenge"] {
        assert_eq!(parameter(name).map(|value| value.len()), Some(43), "{name}: 256 bits");
    }
    assert_eq!(parameter("audience"), None);
    let cookie = begun.header(SET_COOKIE.as_str()).unwrap();
    assert!(cookie.starts_with("__Host-mcm-login-"));
    for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=600"] {
        assert!(cookie.contains(attribute), "{attribute}: {cookie}");
    }
}

#[tokio::test]
async fn oidc_15_a_public_client_sends_no_secret_and_an_audience_is_asked_for_only_where_one_is_set()
 {
    for (secret, audience) in [("", ""), ("", "mcm-api"), (CLIENT_SECRET, "mcm-api")] {
        let mut deployment = Deployment::new().await;
        deployment.extra =
            vec![("OIDC_CLIENT_SECRET", secret.into()), ("OIDC_AUDIENCE", audience.into())];
        let mut running = Running::of(deployment).await;
        assert_eq!(running.ada.get("/1.0").await.status, 200);
        let begun =
            running.ada.raw(Method::GET, "/oidc/login", HeaderMap::new(), String::new()).await;
        let target: url::Url = begun.header("location").unwrap().parse().unwrap();
        let asked_for = target.query_pairs().find(|(key, _)| key == "audience");
        assert_eq!(asked_for.map_or(String::new(), |(_, value)| value.into_owned()), audience);

        let [exchange] = &running.provider.calls(|call| call.path == "/token")[..] else {
            panic!("one login, one exchange")
        };
        assert!(exchange.form.contains_key("code_verifier"), "PKCE stands in for a secret");
        assert!(!exchange.form.contains_key("client_secret"), "never where it could be logged");
        if secret.is_empty() {
            assert_eq!(exchange.authorization, None);
            assert_eq!(exchange.form.get("client_id").map(String::as_str), Some("mcm-web"));
        } else {
            let basic = format!("Basic {}", STANDARD.encode(format!("mcm-web:{secret}")));
            assert_eq!(exchange.authorization.as_deref(), Some(basic.as_str()));
        }
    }
}

#[tokio::test]
async fn sess_02_the_session_cookie_is_bound_hidden_and_strict() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let manager = deployment.start(Service::ManagementApi).await;
    let mut operator = deployment.operator();
    let callback = operator
        .log_in_until_callback("admin@example.com", "/oidc/login?next=/ui/clusters/tokens")
        .await;
    let answer = operator.follow(&callback).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/ui/clusters/tokens")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let set: Vec<_> =
        answer.headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect();
    let session = set.iter().find(|line| line.starts_with("__Host-mcm-session=")).unwrap();
    for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Strict", "Max-Age=604800"] {
        assert!(session.contains(attribute), "{attribute}: {session}");
    }
    assert!(!session.contains("Domain"));
    let value = operator.cookie("__Host-mcm-session").unwrap().to_owned();
    assert_eq!(value.len(), 43);
    let dump = deployment.database.dump().await;
    assert!(dump.contains("admin@example.com"));
    assert!(!dump.contains(&value) && !manager.process.log().contains(&value));
    assert!(!dump.contains("eyJ"), "store_01: no token of the provider is readable");
    assert_eq!(operator.get("/1.0").await.status, 200);
}

#[tokio::test]
async fn oidc_02_a_callback_works_once_for_the_browser_that_began_it() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let _manager = deployment.start(Service::ManagementApi).await;
    let mut operator = deployment.operator();
    let callback = operator.log_in_until_callback("admin@example.com", "/oidc/login").await;
    let mut stranger = deployment.operator();
    assert_eq!(stranger.follow(&callback).await.status, 400, "another browser has no attempt");
    assert!(stranger.cookie("__Host-mcm-session").is_none());

    let mut swapped = callback.clone();
    let other = operator.log_in_until_callback("admin@example.com", "/oidc/login").await;
    let value = |url: &url::Url, name: &str| {
        url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned()
    };
    let issuer = value(&callback, "iss");
    swapped
        .query_pairs_mut()
        .clear()
        .append_pair("code", &value(&callback, "code"))
        .append_pair("state", &value(&other, "state"))
        .append_pair("iss", &issuer);
    assert_eq!(operator.follow(&swapped).await.status, 401, "the code belongs to another attempt");
    assert!(operator.cookie("__Host-mcm-session").is_none());

    let mut again = deployment.operator();
    let callback = again.log_in_until_callback("admin@example.com", "/oidc/login").await;
    assert_eq!(again.follow(&callback).await.status, 303);
    assert_eq!(again.follow(&callback).await.status, 400, "used up");
    for state in ["", "bm90IGpzb24", "%00", "x"] {
        let mut garbage = callback.clone();
        garbage.set_query(Some(&format!("code=x&state={state}")));
        let answer = deployment.operator().follow(&garbage).await;
        assert_eq!(answer.json(), super::example("error-403.json"), "{state}");
    }
}

#[tokio::test]
async fn oidc_02_a_login_begun_on_one_unit_ends_on_another() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let mut first = deployment.start(Service::ManagementApi).await;
    let second = deployment.start(Service::ManagementApi).await;
    let mut operator = deployment.operator();
    let callback = operator.log_in_until_callback("admin@example.com", "/oidc/login").await;
    first.process.kill();
    let mut there = operator.at(second.api);
    assert_eq!(there.follow(&callback).await.status, 303);
    assert_eq!(there.get("/1.0").await.status, 200);
}

#[tokio::test]
async fn oidc_14_a_person_is_told_by_the_login_page_and_a_script_by_the_envelope() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let _manager = deployment.start(Service::ManagementApi).await;
    let mut operator = deployment.operator();
    let callback = operator.log_in_until_callback("admin@example.com", "/oidc/login").await;
    let state = callback.query_pairs().find(|(key, _)| key == "state").unwrap().1.into_owned();
    let refused = format!(
        "/oidc/callback?state={state}&error=access_denied&error_description=<script>alert(1)</script>"
    );
    let browser = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("text/html,*/*"))]);
    let mut person = operator.clone();
    let answer = person.raw(Method::GET, &refused, browser.clone(), String::new()).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/ui/login/?error=refused")));
    assert!(!answer.body.contains("script"));
    let answer = operator.raw(Method::GET, &refused, HeaderMap::new(), String::new()).await;
    assert_eq!(answer.error(), (401, "Unauthorized".into()));
    let unknown = format!("/oidc/callback?state={}&code=x", "x".repeat(43));
    let answer = person.raw(Method::GET, &unknown, browser, String::new()).await;
    assert_eq!(answer.header("location"), Some("/ui/login/?error=expired"));
}

#[tokio::test]
async fn rel_04_without_a_provider_logins_fail_clearly_and_sessions_go_on() {
    let mut deployment = Deployment::new().await;
    let mut provider = deployment.start_identity_provider().await;
    let _manager = deployment.start(Service::ManagementApi).await;
    let mut admin = deployment.logged_in("admin@example.com").await;
    provider.kill();
    assert_eq!(admin.get("/1.0/remote-cluster").await.status, 200);
    let second = deployment.start(Service::ManagementApi).await;
    let mut newcomer = deployment.operator().at(second.api);
    let answer = newcomer.raw(Method::GET, "/oidc/login", HeaderMap::new(), String::new()).await;
    assert_eq!(
        answer.error(),
        (503, "the identity provider is not available, try again later".into())
    );
    assert!(answer.header("retry-after").is_some());
    assert_eq!(second.probe("/ready").await, Some(200), "readiness does not depend on it");
}

#[tokio::test]
async fn sess_04_a_session_ends_idle_or_old_and_a_changed_cookie_is_none() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let _manager = deployment.start(Service::ManagementApi).await;
    let mut admin = deployment.logged_in("admin@example.com").await;
    let db = deployment.database.connect().await;
    db.batch_execute("UPDATE sessions SET last_used_at = now() - interval '7 h 59 min'")
        .await
        .unwrap();
    assert_eq!(admin.get("/1.0").await.status, 200);
    let touched = "SELECT count(*) FROM sessions WHERE last_used_at > now() - interval '1 min'";
    assert_eq!(deployment.database.count(touched).await, 1, "use keeps a session alive");
    db.batch_execute("UPDATE sessions SET last_used_at = now() - interval '8 h 1 s'")
        .await
        .unwrap();
    assert_eq!(admin.get("/1.0").await.error(), (401, "Unauthorized".into()));
    db.batch_execute("UPDATE sessions SET last_used_at = now(), expires_at = now()").await.unwrap();
    assert_eq!(admin.get("/1.0").await.status, 401);
    let mut changed = deployment.logged_in("admin@example.com").await;
    for ((_, name), value) in &mut changed.cookies {
        if name == "__Host-mcm-session" {
            let flipped = if value.starts_with('A') { "B" } else { "A" };
            value.replace_range(0..1, flipped);
        }
    }
    assert_eq!(changed.get("/1.0").await.status, 401);
}

#[tokio::test]
async fn sess_05_several_sessions_live_side_by_side_up_to_sixteen() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let _manager = deployment.start(Service::ManagementApi).await;
    let mut first = deployment.logged_in("admin@example.com").await;
    let mut second = deployment.logged_in("admin@example.com").await;
    assert_eq!((first.get("/1.0").await.status, second.get("/1.0").await.status), (200, 200));
    for _ in 0..15 {
        deployment.logged_in("admin@example.com").await;
    }
    assert_eq!(deployment.database.count("SELECT count(*) FROM sessions").await, 16);
    assert_eq!(
        (first.get("/1.0").await.status, second.get("/1.0").await.status),
        (401, 200),
        "the oldest gives way"
    );
}

#[tokio::test]
async fn oidc_12_a_logout_ends_the_session_here_and_leads_to_the_providers() {
    let mut deployment = Deployment::new().await;
    let provider = deployment.start_identity_provider().await;
    let _manager = deployment.start(Service::ManagementApi).await;
    let mut admin = deployment.logged_in("admin@example.com").await;
    let stolen = admin.clone();
    let answer = admin.send(Method::POST, "/oidc/logout", None).await;
    let target: url::Url = answer.metadata()["redirect"].as_str().unwrap().parse().unwrap();
    let parameters: Vec<_> = target.query_pairs().map(|(key, _)| key.into_owned()).collect();
    assert_eq!(parameters, ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"]);
    assert!(admin.cookie("__Host-mcm-session").is_none());
    assert_eq!(stolen.clone().get("/1.0").await.status, 401, "a kept cookie is worth nothing");
    assert_eq!(deployment.database.count("SELECT count(*) FROM sessions").await, 0);

    let mut admin = deployment.logged_in("admin@example.com").await;
    let answer = admin.get("/oidc/logout").await;
    assert_eq!((answer.status, answer.header("location")), (302, Some("/ui/login/")));
    assert_eq!(admin.get("/1.0").await.status, 401);
    drop(provider);
    let answer = admin.send(Method::POST, "/oidc/logout", None).await;
    assert_eq!(
        answer.metadata()["redirect"],
        "/ui/login/",
        "without a session there is nothing to end elsewhere"
    );
}
