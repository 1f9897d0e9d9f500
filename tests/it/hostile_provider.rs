//! An identity provider that lies, stammers or stalls: nobody gets in (security properties OIDC-05 to OIDC-08).

use std::sync::Arc;
use std::time::{Duration, Instant};

use end_to_end_tests::{Deployment, MockKeys, MockProvider, Reply, Service};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

const DISCOVERY: &str = "/.well-known/openid-configuration";

type Edit = fn(&mut Value);
type Sign = fn(&MockKeys, &Value) -> String;

fn shift(claims: &mut Value, claim: &str, seconds: i64) {
    let now = claims["iat"].as_i64().unwrap();
    claims[claim] = (now + seconds).into();
}

const HONEST: Sign = MockKeys::sign;

/// A deviation in the claims each, and whether it is within what is tolerated.
const CLAIMS: [(&str, bool, Edit); 25] = [
    ("nothing", true, |_| ()),
    ("another issuer", false, |c| c["iss"] = "https://evil.example".into()),
    ("issuer with a slash more", false, |c| {
        c["iss"] = format!("{}/", c["iss"].as_str().unwrap()).into();
    }),
    ("no issuer", false, |c| drop(c.as_object_mut().unwrap().remove("iss"))),
    ("another audience", false, |c| c["aud"] = "other".into()),
    ("no audience", false, |c| drop(c.as_object_mut().unwrap().remove("aud"))),
    ("an empty list of audiences", false, |c| c["aud"] = json!([])),
    ("several audiences without a party", false, |c| c["aud"] = json!(["mcm-web", "other"])),
    ("several audiences and another party", false, |c| {
        c["aud"] = json!(["mcm-web", "other"]);
        c["azp"] = "other".into();
    }),
    ("several audiences and our party", true, |c| {
        c["aud"] = json!(["other", "mcm-web"]);
        c["azp"] = "mcm-web".into();
    }),
    ("another party", false, |c| c["azp"] = "other".into()),
    ("expired a while ago", false, |c| shift(c, "exp", -70)),
    ("expired within the skew of clocks", true, |c| shift(c, "exp", -30)),
    ("no expiry", false, |c| drop(c.as_object_mut().unwrap().remove("exp"))),
    ("issued long ago", false, |c| shift(c, "iat", -620)),
    ("issued in the future", false, |c| shift(c, "iat", 120)),
    ("not valid yet", false, |c| shift(c, "nbf", 120)),
    ("valid since now", true, |c| shift(c, "nbf", 30)),
    ("another nonce", false, |c| c["nonce"] = "x".repeat(43).into()),
    ("no nonce", false, |c| drop(c.as_object_mut().unwrap().remove("nonce"))),
    ("an empty subject", false, |c| c["sub"] = "".into()),
    ("a long subject", false, |c| c["sub"] = "x".repeat(256).into()),
    ("the longest subject", true, |c| c["sub"] = "x".repeat(255).into()),
    ("no subject", false, |c| drop(c.as_object_mut().unwrap().remove("sub"))),
    ("another access token", false, |c| c["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA".into()),
];

/// A deviation in the signature each, and whether it is right nevertheless.
const SIGNATURES: [(&str, bool, Sign); 15] = [
    ("RS256", true, HONEST),
    ("ES256", true, |k, c| k.sign_as(&json!({"alg": "ES256", "kid": "ec"}), c)),
    ("none", false, |k, c| k.sign_as(&json!({"alg": "none"}), c)),
    ("HS256 with the public key as secret", false, |k, c| {
        k.sign_as(&json!({"alg": "HS256", "kid": "rsa"}), c)
    }),
    ("an algorithm that the provider does not announce", false, |k, c| {
        k.sign_as(&json!({"alg": "RS384", "kid": "rsa"}), c)
    }),
    ("an invented algorithm", false, |k, c| k.sign_as(&json!({"alg": "XX1", "kid": "rsa"}), c)),
    ("another key of the same name", false, |k, c| {
        k.sign_by_stranger(&json!({"alg": "RS256", "kid": "rsa"}), c)
    }),
    ("a key that is not published", false, |k, c| {
        k.sign_by_stranger(&json!({"alg": "RS256", "kid": "stranger"}), c)
    }),
    ("a key that it brings along", false, |k, c| {
        let header = json!({"alg": "RS256", "kid": "stranger", "jwk": k.strangers_jwk()});
        k.sign_by_stranger(&header, c)
    }),
    ("a key from elsewhere", false, |k, c| {
        let header = json!({"alg": "RS256", "jku": "https://evil.example/keys", "x5u": "https://evil.example/"});
        k.sign_by_stranger(&header, c)
    }),
    ("a key of another type", false, |k, c| k.sign_as(&json!({"alg": "ES256", "kid": "rsa"}), c)),
    ("a critical header", false, |k, c| {
        k.sign_as(&json!({"alg": "RS256", "kid": "rsa", "crit": ["exp"], "exp": 1}), c)
    }),
    ("the type of an access token", false, |k, c| {
        k.sign_as(&json!({"alg": "RS256", "kid": "rsa", "typ": "at+jwt"}), c)
    }),
    ("a signature that was changed", false, |k, c| {
        let token = k.sign(c);
        let (rest, signature) = token.rsplit_once('.').unwrap();
        let first = if signature.starts_with('A') { "B" } else { "A" };
        format!("{rest}.{first}{}", &signature[1..])
    }),
    ("no signature", false, |k, c| {
        let token = k.sign(c);
        format!("{}.", token.rsplit_once('.').unwrap().0)
    }),
];

#[tokio::test]
async fn oidc_05_an_id_token_with_any_deviation_logs_nobody_in() {
    let mut deployment = Deployment::new().await;
    let provider = MockProvider::start(&mut deployment).await;
    let _unit = deployment.start(Service::ManagementApi).await;
    for (deviation, tolerated, edit) in CLAIMS {
        provider.edit_claims(edit);
        let mut person = deployment.operator();
        let answer = provider.log_in(&mut person).await;
        let is_in = person.cookie("__Host-mcm-session").is_some();
        assert_eq!((answer.status == 303, is_in), (tolerated, tolerated), "{deviation}");
        assert!(tolerated || matches!(answer.status, 401 | 503), "{deviation}: {}", answer.status);
    }
}

#[tokio::test]
async fn oidc_06_only_a_published_key_with_an_announced_algorithm_logs_in() {
    let mut deployment = Deployment::new().await;
    let provider = MockProvider::start(&mut deployment).await;
    let _unit = deployment.start(Service::ManagementApi).await;
    for (signature, right, sign) in SIGNATURES {
        provider.sign_with(sign);
        let mut person = deployment.operator();
        let answer = provider.log_in(&mut person).await;
        let is_in = person.cookie("__Host-mcm-session").is_some();
        assert_eq!((answer.status == 303, is_in), (right, right), "{signature}: {}", answer.body);
        assert!(right || matches!(answer.status, 401 | 503), "{signature}: {}", answer.status);
    }
    assert!(provider.calls(|call| call.path == "/keys").len() <= 2, "no fetch for each token");
}

#[tokio::test]
async fn oidc_08_an_answer_that_is_no_token_logs_nobody_in() {
    let mut deployment = Deployment::new().await;
    let provider = MockProvider::start(&mut deployment).await;
    let unit = deployment.start(Service::ManagementApi).await;
    let html = || "content-type: text/html\r\n".to_owned();
    let json_type = || "content-type: application/json\r\n".to_owned();
    let redirect = format!("location: {}/elsewhere\r\n", provider.issuer);
    let answers = [
        ("an error page", Reply::Raw(200, html(), "<h1>canary-page</h1>".into()), 503),
        ("no JSON", Reply::Raw(200, json_type(), "{".into()), 503),
        (
            "no ID token",
            Reply::Json(200, json!({"token_type": "Bearer", "access_token": "a"})),
            401,
        ),
        ("an empty object", Reply::Json(200, json!({})), 503),
        ("500", Reply::Json(500, json!({"error": "server_error"})), 503),
        ("a refusal", Reply::Json(400, json!({"error": "invalid_grant"})), 401),
        ("a redirect", Reply::Raw(307, redirect, String::new()), 503),
        ("more than a mebibyte", Reply::Raw(200, json_type(), " ".repeat((1 << 20) + 1)), 503),
        ("nothing", Reply::Close, 503),
    ];
    for (what, reply, status) in answers {
        provider.behave(move |call| (call.path == "/token").then(|| reply.clone()));
        let mut person = deployment.operator();
        let answer = provider.log_in(&mut person).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.body);
        assert!(person.cookie("__Host-mcm-session").is_none(), "{what}");
        assert!(!answer.body.contains("canary"), "conf_04: {what}: {}", answer.body);
    }
    assert!(
        provider.calls(|call| call.path == "/elsewhere").is_empty(),
        "redirects are not followed"
    );
    assert!(!unit.process.log().contains("canary-page"));
}

#[tokio::test]
async fn oidc_08_a_provider_that_describes_itself_wrongly_is_not_used() {
    let mut deployment = Deployment::new().await;
    let provider = MockProvider::start(&mut deployment).await;
    let configuration = |key: &str, value: Value| {
        let mut changed = provider.configuration();
        changed[key] = value;
        Reply::Json(200, changed)
    };
    let issuer = &provider.issuer;
    let plain = |path: &str| Value::from(issuer.replace("https", "http") + path);
    let key = json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"});
    let keys = move |count: usize| Reply::Json(200, json!({"keys": vec![key.clone(); count]}));
    let page = "content-type: text/html\r\n".to_owned();
    let moved = format!("location: {issuer}/elsewhere\r\n");
    let answers = [
        ("another issuer", DISCOVERY, configuration("issuer", "https://evil.example".into())),
        ("a slash more", DISCOVERY, configuration("issuer", format!("{issuer}/").into())),
        ("plain token endpoint", DISCOVERY, configuration("token_endpoint", plain("/token"))),
        ("plain login page", DISCOVERY, configuration("authorization_endpoint", plain("/auth"))),
        ("plain keys", DISCOVERY, configuration("jwks_uri", plain("/keys"))),
        ("plain logout page", DISCOVERY, configuration("end_session_endpoint", plain("/end"))),
        ("a page", DISCOVERY, Reply::Raw(200, page, "<h1>Welcome</h1>".into())),
        ("a redirect", DISCOVERY, Reply::Raw(302, moved, String::new())),
        ("too many keys", "/keys", keys(101)),
        ("too long a list of keys", "/keys", keys(9000)),
        ("no keys", "/keys", Reply::Json(404, json!({}))),
    ];
    for (what, path, reply) in answers {
        provider.behave(move |call| (call.path == path).then(|| reply.clone()));
        // A unit of its own each: one that failed asks again after ten seconds only.
        let _unit = deployment.start(Service::ManagementApi).await;
        let mut person = deployment.operator();
        let answer = person.raw(Method::GET, "/oidc/login", HeaderMap::new(), String::new()).await;
        let text = "the identity provider is not available, try again later";
        assert_eq!(answer.error(), (503, text.into()), "{what}");
    }
    assert!(provider.calls(|call| call.path == "/elsewhere").is_empty());
    provider.behave(move |call| (call.path == "/keys").then(|| keys(100)));
    let _unit = deployment.start(Service::ManagementApi).await;
    let mut person = deployment.operator();
    let answer = person.raw(Method::GET, "/oidc/login", HeaderMap::new(), String::new()).await;
    assert_eq!(answer.status, 302, "a hundred keys are fine");
}

#[tokio::test]
async fn oidc_08_a_provider_that_stalls_is_given_up_and_not_asked_again_at_once() {
    let mut deployment = Deployment::new().await;
    let provider = MockProvider::start(&mut deployment).await;
    provider.behave(|_| Some(Reply::Stall));
    let unit = deployment.start(Service::ManagementApi).await;
    let mut person = deployment.operator();
    let begun = Instant::now();
    for _ in 0..3 {
        let answer = person.raw(Method::GET, "/oidc/login", HeaderMap::new(), String::new()).await;
        assert_eq!(answer.status, 503);
    }
    assert!(begun.elapsed() < Duration::from_mins(1), "none of them waits for ever");
    assert_eq!(provider.calls(|_| true).len(), 1, "rel_04: no storm of requests");
    assert_eq!(unit.probe("/ready").await, Some(200));
}

#[tokio::test]
async fn oidc_08_a_provider_that_answers_byte_by_byte_is_given_up_wherever_it_does_so() {
    let mut deployment = Deployment::new().await;
    let provider = MockProvider::start(&mut deployment).await;
    let unit = deployment.start(Service::ManagementApi).await;
    for path in ["/keys", "/token"] {
        provider.behave(move |call| (call.path == path).then_some(Reply::Drip));
        let unit = deployment.start(Service::ManagementApi).await;
        let mut person = deployment.operator().at(unit.api);
        let login = async {
            let begun =
                person.raw(Method::GET, "/oidc/login", HeaderMap::new(), String::new()).await;
            if begun.status == 302 { provider.log_in(&mut person).await } else { begun }
        };
        let answer = tokio::time::timeout(Duration::from_mins(1), login).await;
        let answer = answer.expect("an answer, however slow the provider is");
        assert_eq!(answer.status, 503, "{path}: {}", answer.body);
        assert!(person.cookie("__Host-mcm-session").is_none(), "{path}");
    }
    provider.behave(|_| None);
    assert_eq!(provider.log_in(&mut deployment.operator()).await.status, 303);
    assert_eq!(unit.probe("/ready").await, Some(200));
}

#[tokio::test]
async fn oidc_07_a_rotation_of_keys_fails_no_login_and_unknown_keys_are_looked_for_once() {
    let mut deployment = Deployment::new().await;
    let provider = MockProvider::start(&mut deployment).await;
    let _unit = deployment.start(Service::ManagementApi).await;
    let fetched = || provider.calls(|call| call.path == "/keys").len();
    assert_eq!(provider.log_in(&mut deployment.operator()).await.status, 303);
    let keys = Arc::clone(&provider.keys);
    provider.behave(move |call| {
        let rotated = json!({"keys": [keys.strangers_jwk()]});
        (call.path == "/keys").then_some(Reply::Json(200, rotated))
    });
    provider.sign_with(|k, c| k.sign_by_stranger(&json!({"alg": "RS256", "kid": "stranger"}), c));
    assert_eq!(
        provider.log_in(&mut deployment.operator()).await.status,
        303,
        "the new key is found"
    );
    assert_eq!(fetched(), 2);
    provider.sign_with(|k, c| k.sign_by_stranger(&json!({"alg": "RS256", "kid": "unknown"}), c));
    for _ in 0..10 {
        assert_eq!(provider.log_in(&mut deployment.operator()).await.status, 401);
    }
    assert_eq!(fetched(), 2, "at most once a minute");
}

#[tokio::test]
async fn oidc_07_keys_stay_in_use_while_the_provider_does_not_publish_them() {
    let mut deployment = Deployment::new().await;
    let provider = MockProvider::start(&mut deployment).await;
    let _unit = deployment.start(Service::ManagementApi).await;
    assert_eq!(provider.log_in(&mut deployment.operator()).await.status, 303);
    provider.behave(|call| (call.path != "/token").then_some(Reply::Close));
    provider.sign_with(|k, c| k.sign_by_stranger(&json!({"alg": "RS256", "kid": "unknown"}), c));
    assert_eq!(provider.log_in(&mut deployment.operator()).await.status, 401);
    provider.sign_with(HONEST);
    assert_eq!(provider.log_in(&mut deployment.operator()).await.status, 303);
}

#[tokio::test]
async fn oidc_05_an_answer_that_names_another_issuer_is_refused() {
    let mut deployment = Deployment::new().await;
    let provider = MockProvider::start(&mut deployment).await;
    let mut configuration = provider.configuration();
    configuration["authorization_response_iss_parameter_supported"] = true.into();
    let mut unit = deployment.start(Service::ManagementApi).await;
    let ours = provider.issuer.clone();
    for (announced, named, status) in [
        (false, None, 303),
        (false, Some(ours.as_str()), 303),
        (false, Some("https://evil.example"), 401),
        (true, Some(ours.as_str()), 303),
        (true, None, 401),
    ] {
        let said = Reply::Json(200, configuration.clone());
        provider.behave(move |call| {
            (announced && call.path.ends_with("openid-configuration")).then(|| said.clone())
        });
        unit.process.kill();
        unit = deployment.start(Service::ManagementApi).await;
        let answer = provider.log_in_from(&mut deployment.operator(), named).await;
        assert_eq!(answer.status, status, "announced: {announced}, named: {named:?}");
    }
}

#[tokio::test]
async fn oidc_08_changed_authorities_are_taken_over_without_a_restart() {
    let mut deployment = Deployment::new().await;
    let provider = MockProvider::start(&mut deployment).await;
    let file = deployment.file("provider-ca.pem");
    let stranger = end_to_end_tests::Certificates::new(&deployment.file("other"));
    std::fs::copy(stranger.ca_file(), &file).unwrap();
    deployment.extra = vec![("OIDC_CA_FILE", file.display().to_string())];
    let unit = deployment.start(Service::ManagementApi).await;
    let mut person = deployment.operator();
    let answer = person.raw(Method::GET, "/oidc/login", HeaderMap::new(), String::new()).await;
    assert_eq!(answer.status, 503, "a provider whose authority is unknown is not believed");
    let until_logged = async |text: &str| {
        let deadline = Instant::now() + Duration::from_mins(1);
        while !unit.process.log().contains(text) {
            assert!(Instant::now() < deadline, "not in the log: {text}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    std::fs::write(&file, "half written").unwrap();
    until_logged("the old ones stay").await;
    std::fs::copy(deployment.certificates.ca_file(), &file).unwrap();
    until_logged("the authorities for the identity provider were replaced").await;
    assert_eq!(provider.log_in(&mut deployment.operator()).await.status, 303);
}
