//! Scripts with access tokens of the identity provider (security property OIDC-16, RFC 6750, RFC 9068).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use end_to_end_tests::{Answer, CLIENT_SECRET, Deployment, MockProvider, Operator, Service};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const AUDIENCE: &str = "mcm-api";
const TOKENS: &str = "/1.0/remote-cluster-join-token";

fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
    let header = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    list.iter().map(header).collect()
}

async fn get_with(script: &mut Operator, token: &str) -> Answer {
    let authorization = format!("Bearer {token}");
    let headers = headers(&[("authorization", &authorization)]);
    script.raw(Method::GET, "/1.0/remote-cluster", headers, String::new()).await
}

#[tokio::test]
async fn oidc_16_only_a_token_of_the_provider_for_our_audience_lets_a_script_in() {
    let mut deployment = Deployment::new().await;
    deployment.extra = vec![("OIDC_AUDIENCE", AUDIENCE.into())];
    let provider = MockProvider::start(&mut deployment).await;
    let unit = deployment.start(Service::ManagementApi).await;
    let mut script = deployment.operator();
    let honest = provider.claims(AUDIENCE);
    let changed = |edit: fn(&mut Value)| {
        let mut claims = honest.clone();
        edit(&mut claims);
        provider.keys.sign(&claims)
    };
    let signed = |header: Value| provider.keys.sign_as(&header, &honest);
    let good = provider.keys.sign(&honest);
    let cases = [
        ("a good one", good.clone(), 200),
        (
            "of the type of RFC 9068",
            signed(json!({"alg": "ES256", "kid": "ec", "typ": "at+jwt"})),
            200,
        ),
        ("for several audiences", changed(|c| c["aud"] = json!(["other", "mcm-api"])), 200),
        ("issued long ago", changed(|c| c["iat"] = 1.into()), 200),
        ("without groups", changed(|c| c["mcm-idp-groups"] = Value::Null), 403),
        ("for another audience", changed(|c| c["aud"] = "mcm-web".into()), 401),
        ("of another issuer", changed(|c| c["iss"] = "https://evil.example".into()), 401),
        ("expired", changed(|c| c["exp"] = (c["iat"].as_i64().unwrap() - 70).into()), 401),
        ("not valid yet", changed(|c| c["nbf"] = (c["iat"].as_i64().unwrap() + 120).into()), 401),
        ("without a subject", changed(|c| c["sub"] = "".into()), 401),
        ("unsigned", signed(json!({"alg": "none"})), 401),
        (
            "signed with the public key as secret",
            signed(json!({"alg": "HS256", "kid": "rsa"})),
            401,
        ),
        (
            "of another type",
            signed(json!({"alg": "RS256", "kid": "rsa", "typ": "logout+jwt"})),
            401,
        ),
        (
            "with a critical header",
            signed(json!({"alg": "RS256", "crit": ["x"], "kid": "rsa"})),
            401,
        ),
        (
            "signed by a stranger",
            provider.keys.sign_by_stranger(&json!({"alg": "RS256", "kid": "rsa"}), &honest),
            401,
        ),
        ("garbage", "garbage".into(), 401),
    ];
    for (what, token, status) in cases {
        let answer = get_with(&mut script, &token).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.body);
        if status == 401 {
            assert_eq!(answer.json(), super::example("error-401.json"), "{what}");
            let challenge = answer.header("www-authenticate");
            assert_eq!(challenge, Some("Bearer error=\"invalid_token\""), "{what}");
        }
    }
    assert!(!unit.process.log().contains(&good[..60]), "no token is logged");
    assert_eq!(deployment.database.count("SELECT count(*) FROM sessions").await, 0);
}

#[tokio::test]
async fn oidc_16_without_an_audience_no_access_token_is_accepted() {
    let mut deployment = Deployment::new().await;
    let provider = MockProvider::start(&mut deployment).await;
    let _unit = deployment.start(Service::ManagementApi).await;
    for audience in ["mcm-web", "", AUDIENCE] {
        let token = provider.keys.sign(&provider.claims(audience));
        assert_eq!(get_with(&mut deployment.operator(), &token).await.status, 401, "{audience}");
    }
}

#[tokio::test]
async fn oidc_16_an_id_token_is_no_access_token_even_when_the_audience_is_the_client() {
    let mut deployment = Deployment::new().await;
    deployment.extra = vec![("OIDC_AUDIENCE", "mcm-web".into())];
    let provider = MockProvider::start(&mut deployment).await;
    let _unit = deployment.start(Service::ManagementApi).await;
    let claims = provider.claims("mcm-web");
    let typed = |kind: Value| json!({"alg": "RS256", "kid": "rsa", "typ": kind});
    for (header, status) in [
        (typed(json!("JWT")), 401),
        (typed(Value::Null), 401),
        (json!({"alg": "RS256", "kid": "rsa"}), 401),
        (typed(json!("at+jwt")), 200),
        (typed(json!("application/at+jwt")), 200),
    ] {
        let token = provider.keys.sign_as(&header, &claims);
        assert_eq!(get_with(&mut deployment.operator(), &token).await.status, status, "{header}");
    }
}

#[tokio::test]
async fn web_02_a_script_with_a_token_and_no_cookie_need_not_come_from_our_pages() {
    let mut deployment = Deployment::new().await;
    deployment.extra = vec![("OIDC_AUDIENCE", AUDIENCE.into())];
    let provider = MockProvider::start(&mut deployment).await;
    let _unit = deployment.start(Service::ManagementApi).await;
    let authorization = format!("Bearer {}", provider.keys.sign(&provider.claims(AUDIENCE)));
    let foreign = headers(&[
        ("authorization", &authorization),
        ("origin", "https://elsewhere.example"),
        ("content-type", "application/json"),
    ]);
    let body = |name: &str| json!({"cluster_name": name}).to_string();
    let mut script = deployment.operator();
    let made = script.raw(Method::POST, TOKENS, foreign.clone(), body("lyon")).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let mut browser = deployment.operator();
    assert_eq!(provider.log_in(&mut browser).await.status, 303);
    let refused = browser.raw(Method::POST, TOKENS, foreign, body("oslo")).await;
    assert_eq!(refused.error(), (403, "Forbidden Origin header value".into()));
}

#[tokio::test]
async fn oidc_16_an_access_token_of_the_real_provider_lets_a_script_in() {
    let mut deployment = Deployment::new().await;
    deployment.extra = vec![("OIDC_AUDIENCE", AUDIENCE.into())];
    let _provider = deployment.start_identity_provider().await;
    let _unit = deployment.start(Service::ManagementApi).await;
    let issuer = deployment.issuer();
    let redirect = format!("{}/oidc/callback", deployment.origin());
    let verifier = "v".repeat(43);
    for (email, status) in [("admin@example.com", 200), ("viewer@example.com", 403)] {
        let mut login: url::Url = format!("{issuer}/auth").parse().unwrap();
        login
            .query_pairs_mut()
            .append_pair("client_id", "mcm-web")
            .append_pair("response_type", "code")
            .append_pair("scope", "openid")
            .append_pair("redirect_uri", &redirect)
            .append_pair("audience", AUDIENCE)
            .append_pair("code_challenge_method", "S256")
            .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier)));
        let back = deployment.operator().answer_provider(login, email).await;
        let code = back.query_pairs().find(|(key, _)| key == "code").unwrap().1.into_owned();
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "authorization_code")
            .append_pair("code", &code)
            .append_pair("redirect_uri", &redirect)
            .append_pair("code_verifier", &verifier)
            .finish();
        let client = format!("Basic {}", STANDARD.encode(format!("mcm-web:{CLIENT_SECRET}")));
        let headers = headers(&[
            ("authorization", &client),
            ("content-type", "application/x-www-form-urlencoded"),
        ]);
        let mut at_provider = deployment.plain_client(&issuer);
        let tokens = at_provider.raw(Method::POST, "/token", headers, form).await.json();
        let token = tokens["access_token"].as_str().unwrap();
        let mut script = deployment.operator();
        assert_eq!(get_with(&mut script, token).await.status, status, "{email}");
        let id_token = tokens["id_token"].as_str().unwrap();
        assert_eq!(get_with(&mut script, id_token).await.status, 401, "{email}");
    }
}
