//! A second identity provider, which shares no code with the first: ZITADEL's certified library.

use end_to_end_tests::{Deployment, Operator, Service};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::json;
use url::Url;

/// Answers the provider's login page, beginning at `url`, until it redirects to our callback, which is the answer.
async fn log_in(browser: &mut Operator, mut url: Url) -> Url {
    for _ in 0..10 {
        let path = format!("{}?{}", url.path(), url.query().unwrap_or_default());
        let mut answer = browser.raw(Method::GET, &path, HeaderMap::new(), String::new()).await;
        if answer.status == 200 {
            let id = url.query_pairs().find(|(key, _)| key == "authRequestID").unwrap().1;
            let form = format!("id={id}&username=zoe&password=any");
            let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, kind)]);
            answer = browser.raw(Method::POST, url.path(), headers, form).await;
        }
        url = url.join(answer.header("location").unwrap_or_else(|| panic!("{answer:?}"))).unwrap();
        if url.path() == "/oidc/callback" {
            return url;
        }
    }
    panic!("the provider redirects in a circle");
}

#[tokio::test]
async fn oidc_01_a_provider_of_other_making_logs_in_verifies_and_logs_out() {
    let mut deployment = Deployment::new().await;
    let mut provider = deployment.start_second_identity_provider().await;
    let _manager = deployment.start(Service::ManagementApi).await;
    let mut zoe = deployment.operator();
    let begun = zoe.raw(Method::GET, "/oidc/login", HeaderMap::new(), String::new()).await;
    assert_eq!(begun.status, 302, "{}", begun.body);
    let mut at_provider = deployment.plain_client(&deployment.issuer());
    let target = begun.header("location").unwrap().parse().unwrap();
    let callback = log_in(&mut at_provider, target).await;
    let answer = zoe.follow(&callback).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    let who = zoe.get("/1.0").await.metadata();
    let expected = json!({
        "email": "zoe@example.com", "name": "Zoe Zitadel", "groups": ["admins"], "trusted": true, "role": "admin",
    });
    assert_eq!(who, expected);

    let db = deployment.database.connect().await;
    let verified = "SELECT count(*) FROM sessions WHERE verified_at > now() - interval '1 min'";
    for _ in 0..3 {
        db.batch_execute("UPDATE sessions SET verified_at = now() - interval '20 min'")
            .await
            .unwrap();
        assert_eq!(zoe.get("/1.0/remote-cluster").await.status, 200);
        assert_eq!(deployment.database.count(verified).await, 1, "each refresh token serves once");
    }
    let left = zoe.clone().send(Method::POST, "/oidc/logout", None).await.metadata();
    let target: Url = left["redirect"].as_str().unwrap().parse().unwrap();
    assert!(target.as_str().starts_with(&deployment.issuer()), "{target}");
    let path = format!("{}?{}", target.path(), target.query().unwrap());
    let answer = at_provider.raw(Method::GET, &path, HeaderMap::new(), String::new()).await;
    let state = target.query_pairs().find(|(key, _)| key == "state").unwrap().1.into_owned();
    assert!(state.len() >= 22, "128 bits: {state}");
    let back = format!("{}/ui/login/?state={state}", deployment.origin());
    assert_eq!(answer.header("location"), Some(back.as_str()), "{answer:?}");
    assert_eq!(zoe.get("/1.0").await.status, 401);
    provider.kill();
}
