//! The self-test of the login: it finds nothing wrong with an honest provider, and says in words what is wrong with any other.

use std::time::{Duration, Instant};

use end_to_end_tests::{
    CLIENT_SECRET, Certificates, Deployment, MockProvider, Operator, Reply, Service,
};
use serde_json::{Value, json};

const DISCOVERY: &str = "/.well-known/openid-configuration";

/// Step, result and text of each finding.
async fn check(admin: &mut Operator) -> (bool, Vec<(String, String, String)>) {
    let answer = admin.get("/1.0/login-check").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let found = answer.metadata();
    let text = |step: &Value, key: &str| step[key].as_str().unwrap().to_owned();
    let steps = found["steps"].as_array().unwrap().iter();
    let steps = steps.map(|step| (text(step, "step"), text(step, "result"), text(step, "text")));
    (found["ok"].as_bool().unwrap(), steps.collect())
}

#[tokio::test]
async fn a_login_that_works_passes_every_step() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let _unit = deployment.start(Service::ManagementApi).await;
    let mut admin = deployment.logged_in("admin@example.com").await;
    let (ok, steps) = check(&mut admin).await;
    assert!(ok, "{steps:?}");
    let results: Vec<_> =
        steps.iter().map(|(step, result, _)| (step.as_str(), result.as_str())).collect();
    assert_eq!(
        results,
        [
            ("discovery", "ok"),
            ("issuer", "ok"),
            ("endpoints", "ok"),
            ("keys", "ok"),
            ("scopes", "ok"),
            ("redirect", "ok"),
            ("secret", "ok"),
            ("logouts", "ok"),
            ("audience", "skipped"),
            ("groups", "ok"),
        ],
        "{steps:?}"
    );
    let callback = format!("{}/oidc/callback", deployment.origin());
    assert!(steps[5].2.contains(&callback), "{}", steps[5].2);
    let told = format!("{}/oidc/backchannel-logout must be registered", deployment.origin());
    assert!(steps[7].2.contains(&told), "{}", steps[7].2);
    assert!(steps[9].2.contains("\"admins\" in the claim mcm-idp-groups"), "{}", steps[9].2);
    assert!(
        !steps.iter().any(|step| step.2.contains(CLIENT_SECRET)),
        "the secret is in the answer"
    );
}

/// Where the provider deviates, how, which step fails, and words of the sentence that says so.
type Fault = (&'static str, fn(&Value) -> Reply, &'static str, &'static str);

fn described(configuration: &Value, key: &str, value: Value) -> Reply {
    let mut description = configuration.clone();
    description[key] = value;
    Reply::Json(200, description)
}

fn page(status: u16, headers: &str) -> Reply {
    Reply::Raw(status, headers.to_owned(), "<html>".to_owned())
}

const FAULTS: [Fault; 18] = [
    (DISCOVERY, |_| Reply::Close, "discovery", "cannot be reached"),
    (DISCOVERY, |_| page(404, ""), "discovery", "the address of the issuer is wrong"),
    (DISCOVERY, |_| page(301, "location: /other\r\n"), "discovery", "leads on to another address"),
    (DISCOVERY, |_| page(200, ""), "discovery", "something else than a JSON object"),
    (DISCOVERY, |_| page(500, ""), "discovery", "500 Internal Server Error"),
    (DISCOVERY, |_| page(200, &format!("x: {}\r\n", "y".repeat(1000))), "discovery", "JSON object"),
    (
        DISCOVERY,
        |c| described(c, "issuer", json!("https://evil.example\u{202e}")),
        "issuer",
        "\\u{202e}",
    ),
    (DISCOVERY, |c| described(c, "issuer", json!(7)), "issuer", "no OpenID Connect provider"),
    (DISCOVERY, |c| described(c, "token_endpoint", json!(null)), "endpoints", "no token_endpoint"),
    (
        DISCOVERY,
        |c| described(c, "jwks_uri", json!("http://a.example/")),
        "endpoints",
        "only https",
    ),
    (
        DISCOVERY,
        |c| described(c, "response_types_supported", json!(["id_token"])),
        "endpoints",
        "authorization code flow",
    ),
    (
        DISCOVERY,
        |c| described(c, "code_challenge_methods_supported", json!(["plain"])),
        "endpoints",
        "PKCE with S256",
    ),
    (
        DISCOVERY,
        |c| described(c, "id_token_signing_alg_values_supported", json!(["HS256"])),
        "keys",
        "none of the accepted algorithms",
    ),
    ("/keys", |_| page(404, ""), "keys", "keys cannot be used"),
    ("/keys", |_| Reply::Json(200, json!({"keys": []})), "keys", "no key"),
    ("/auth", |_| page(400, ""), "redirect", "register both"),
    (
        "/token",
        |_| Reply::Json(401, json!({"error": "invalid_client"})),
        "secret",
        "compare OIDC_CLIENT_ID",
    ),
    ("/token", |_| Reply::Close, "secret", "cannot be reached"),
];

#[tokio::test]
async fn each_fault_of_the_provider_is_named_at_its_step() {
    let mut deployment = Deployment::new().await;
    let provider = MockProvider::start(&mut deployment).await;
    let _unit = deployment.start(Service::ManagementApi).await;
    let mut admin = deployment.operator();
    assert_eq!(provider.log_in(&mut admin).await.status, 303);
    let back = format!("location: {}/oidc/callback?error=login_required\r\n", deployment.origin());
    let honest = move |path: &str| match path {
        "/auth" => Some(page(302, &back)),
        "/token" => Some(Reply::Json(400, json!({"error": "invalid_grant"}))),
        _ => None,
    };

    let usual = honest.clone();
    provider.behave(move |call| usual(&call.path));
    let (ok, steps) = check(&mut admin).await;
    assert!(ok, "{steps:?}");
    let logouts = steps.iter().find(|step| step.0 == "logouts").unwrap();
    assert_eq!(logouts.1, "skipped", "this provider does not announce that: {}", logouts.2);

    for (path, fault, wanted, words) in FAULTS {
        let (usual, configuration) = (honest.clone(), provider.configuration());
        provider.behave(move |call| {
            if call.path == path { Some(fault(&configuration)) } else { usual(&call.path) }
        });
        let (ok, steps) = check(&mut admin).await;
        assert!(!ok, "{path}: {steps:?}");
        let failed: Vec<_> = steps.iter().filter(|step| step.1 == "failed").collect();
        assert_eq!(failed.len(), 1, "{path}: {steps:?}");
        assert_eq!(failed[0].0, wanted, "{path}: {steps:?}");
        assert!(failed[0].2.contains(words), "{path}: {}", failed[0].2);
    }

    // What cannot be seen is no failure, and a refusal is quoted.
    for (answer, result, words) in [
        (page(200, ""), "warning", "a page of its own"),
        (page(302, "location: /login\r\n"), "warning", "a page of its own"),
    ] {
        let usual = honest.clone();
        provider.behave(move |call| {
            if call.path == "/auth" { Some(answer.clone()) } else { usual(&call.path) }
        });
        let (ok, steps) = check(&mut admin).await;
        assert!(ok, "{steps:?}");
        let redirect = steps.iter().find(|step| step.0 == "redirect").unwrap();
        assert_eq!(redirect.1, result);
        assert!(redirect.2.contains(words), "{}", redirect.2);
    }
    let refused = format!(
        "location: {}/oidc/callback?error=invalid_scope&error_description=no+such+scope\r\n",
        deployment.origin()
    );
    let usual = honest.clone();
    provider.behave(move |call| {
        if call.path == "/auth" { Some(page(302, &refused)) } else { usual(&call.path) }
    });
    let (ok, steps) = check(&mut admin).await;
    assert!(!ok);
    let redirect = steps.iter().find(|step| step.0 == "redirect").unwrap();
    assert!(redirect.2.contains("\"invalid_scope\": \"no such scope\""), "{}", redirect.2);
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_named() {
    let mut deployment = Deployment::new().await;
    let provider = MockProvider::start(&mut deployment).await;
    let authorities = deployment.file("authorities.pem");
    std::fs::copy(deployment.certificates.ca_file(), &authorities).unwrap();
    deployment.extra = vec![("OIDC_CA_FILE", authorities.to_str().unwrap().into())];
    let unit = deployment.start(Service::ManagementApi).await;
    let mut admin = deployment.operator();
    assert_eq!(provider.log_in(&mut admin).await.status, 303);
    let stranger = Certificates::new(&deployment.file("other"));
    std::fs::copy(stranger.ca_file(), &authorities).unwrap();
    unit.until_log("the authorities for the identity provider were replaced").await;
    let (ok, steps) = check(&mut admin).await;
    assert!(!ok);
    assert_eq!((steps[0].0.as_str(), steps[0].1.as_str()), ("discovery", "failed"));
    assert!(steps[0].2.contains("is not accepted"), "{}", steps[0].2);
    assert!(steps[0].2.contains("OIDC_CA_FILE"), "{}", steps[0].2);
}

#[tokio::test]
async fn lim_06_who_asks_for_a_second_check_meanwhile_does_not_wait_for_it() {
    let mut deployment = Deployment::new().await;
    let provider = MockProvider::start(&mut deployment).await;
    let _unit = deployment.start(Service::ManagementApi).await;
    let mut admin = deployment.operator();
    assert_eq!(provider.log_in(&mut admin).await.status, 303);
    let asked = || provider.calls(|call| call.path == DISCOVERY).len();
    let before = asked();
    provider.behave(|call| (call.path == DISCOVERY).then_some(Reply::Stall));
    let mut first = admin.clone();
    let first = tokio::spawn(async move { first.get("/1.0/login-check").await });
    let deadline = Instant::now() + Duration::from_secs(30);
    while asked() == before {
        assert!(Instant::now() < deadline, "the provider is not asked");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let second = admin.get("/1.0/login-check").await;
    let text = "another check of the login is running, try again later";
    assert_eq!(second.error(), (503, text.into()));
    assert!(second.header("retry-after").is_some());
    assert!(!first.is_finished());
    provider.release();
    assert_eq!(first.await.unwrap().status, 200);
}
