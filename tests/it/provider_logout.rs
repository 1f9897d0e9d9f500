//! The identity provider tells that a session there has ended (security property OIDC-13).

use end_to_end_tests::{Answer, Deployment, MockKeys, MockProvider, Operator, Service};
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

const PATH: &str = "/oidc/backchannel-logout";
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

async fn tell(deployment: &Deployment, token: &str) -> Answer {
    deployment.operator().form(PATH, &[("logout_token", token)]).await
}

async fn is_logged_in(operator: &mut Operator) -> bool {
    match operator.get("/1.0").await.status {
        200 => true,
        401 => false,
        other => panic!("status {other}"),
    }
}

/// The claims of an honest logout token for the person `ada` and the session `s-1`.
fn honest(provider: &MockProvider) -> Value {
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    json!({
        "iss": provider.issuer, "aud": "mcm-web", "sub": "ada", "sid": "s-1", "iat": now, "exp": now + 120,
        "jti": uuid::Uuid::new_v4().to_string(), "events": {EVENT: {}},
    })
}

fn sign(keys: &MockKeys, claims: &Value) -> String {
    keys.sign_as(&json!({"alg": "RS256", "kid": "rsa", "typ": "logout+jwt"}), claims)
}

/// A deployment whose provider gives each login a session of its own, `s-1` and so on.
async fn mocked() -> (Deployment, MockProvider, end_to_end_tests::Unit) {
    let mut deployment = Deployment::new().await;
    let provider = MockProvider::start(&mut deployment).await;
    let unit = deployment.start(Service::ManagementApi).await;
    (deployment, provider, unit)
}

async fn log_in(deployment: &Deployment, provider: &MockProvider, session: Value) -> Operator {
    provider.edit_claims(move |claims| claims["sid"] = session.clone());
    let mut operator = deployment.operator();
    assert_eq!(provider.log_in(&mut operator).await.status, 303);
    operator
}

#[tokio::test]
async fn oidc_13_a_logout_at_the_provider_ends_that_session_and_no_other() {
    let mut deployment = Deployment::new().await;
    let uri = format!("{}{PATH}", deployment.origin());
    let provider =
        deployment.start_identity_provider_with(&["--backchannel-logout-uri", &uri]).await;
    let _manager = deployment.start(Service::ManagementApi).await;
    let mut here = deployment.logged_in("admin@example.com").await;
    let mut elsewhere = deployment.logged_in("admin@example.com").await;
    let mut somebody = deployment.logged_in("viewer@example.com").await;

    let url: Url = format!("{}/session/end", deployment.issuer()).parse().unwrap();
    here.log_out_at_provider(&url).await;

    assert!(!is_logged_in(&mut here).await, "{}", provider.log());
    assert!(is_logged_in(&mut elsewhere).await);
    assert!(is_logged_in(&mut somebody).await);
    let records = elsewhere.get("/1.0/audit?event=session.ended").await.metadata();
    let record = &records["records"][0];
    assert_eq!(record["actor_kind"], "system");
    assert_eq!(record["details"]["ended"], 1);
    assert_eq!(record["details"]["reason"], "logged out at the identity provider");
    assert!(!provider.log().contains("backchannel.error"), "{}", provider.log());
}

type Edit = fn(&mut Value);

/// A deviation in the claims each, and whether it is within what is tolerated.
const CLAIMS: [(&str, bool, Edit); 24] = [
    ("nothing", true, |_| ()),
    ("another issuer", false, |c| c["iss"] = "https://evil.example".into()),
    ("another audience", false, |c| c["aud"] = "other".into()),
    ("us among other audiences", true, |c| c["aud"] = json!(["other", "mcm-web"])),
    ("no audience", false, |c| remove(c, "aud")),
    ("issued two minutes ago", false, |c| shift(c, "iat", -125)),
    ("issued a minute ago", true, |c| shift(c, "iat", -60)),
    ("issued in the future", false, |c| shift(c, "iat", 90)),
    ("no time of issue", false, |c| remove(c, "iat")),
    ("expired", false, |c| shift(c, "exp", -70)),
    ("expired within the skew of clocks", true, |c| shift(c, "exp", -30)),
    ("no expiry, as in drafts", true, |c| remove(c, "exp")),
    ("no event", false, |c| remove(c, "events")),
    ("another event", false, |c| {
        c["events"] = json!({"http://schemas.openid.net/event/other": {}});
    }),
    ("an event that is no object", false, |c| c["events"] = json!({EVENT: true})),
    ("a nonce", false, |c| c["nonce"] = "n".into()),
    ("an empty nonce", false, |c| c["nonce"] = Value::Null),
    ("nobody", false, |c| {
        remove(c, "sub");
        remove(c, "sid");
    }),
    ("a session alone", true, |c| remove(c, "sub")),
    ("a person alone", true, |c| remove(c, "sid")),
    ("no identifier", false, |c| remove(c, "jti")),
    ("an empty identifier", false, |c| c["jti"] = "".into()),
    ("a long session", false, |c| c["sid"] = "x".repeat(256).into()),
    ("a NUL in the person", false, |c| c["sub"] = "ada\0".into()),
];

fn remove(claims: &mut Value, name: &str) {
    claims.as_object_mut().unwrap().remove(name);
}

fn shift(claims: &mut Value, name: &str, seconds: i64) {
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    claims[name] = (now + seconds).into();
}

type Sign = fn(&MockKeys, &Value) -> String;

/// A deviation in the signature or the header each, and whether it is right nevertheless.
const SIGNATURES: [(&str, bool, Sign); 13] = [
    ("RS256", true, sign),
    ("ES256", true, |k, c| k.sign_as(&json!({"alg": "ES256", "kid": "ec"}), c)),
    ("a type of before the standard", true, MockKeys::sign),
    ("the type in full", true, |k, c| {
        k.sign_as(&json!({"alg": "RS256", "typ": "application/logout+jwt"}), c)
    }),
    ("the type of access tokens", false, |k, c| {
        k.sign_as(&json!({"alg": "RS256", "kid": "rsa", "typ": "at+jwt"}), c)
    }),
    ("none", false, |k, c| k.sign_as(&json!({"alg": "none"}), c)),
    ("HS256 with the public key as secret", false, |k, c| {
        k.sign_as(&json!({"alg": "HS256", "kid": "rsa"}), c)
    }),
    ("an algorithm that the provider does not announce", false, |k, c| {
        k.sign_as(&json!({"alg": "RS384", "kid": "rsa"}), c)
    }),
    ("the key of another algorithm", false, |k, c| {
        k.sign_as(&json!({"alg": "ES256", "kid": "rsa"}), c)
    }),
    ("an extension that must be understood", false, |k, c| {
        k.sign_as(&json!({"alg": "RS256", "kid": "rsa", "crit": ["x"], "x": 1}), c)
    }),
    ("another key of the same name", false, |k, c| {
        k.sign_by_stranger(&json!({"alg": "RS256", "kid": "rsa"}), c)
    }),
    ("a key that it brings along", false, |k, c| {
        let header = json!({"alg": "RS256", "kid": "stranger", "jwk": k.strangers_jwk()});
        k.sign_by_stranger(&header, c)
    }),
    ("a changed claim", false, |k, c| {
        let (mut changed, honest) = (c.clone(), sign(k, c));
        changed["jti"] = "another".into();
        let (changed, (_, signature)) = (sign(k, &changed), honest.rsplit_once('.').unwrap());
        format!("{}.{signature}", changed.rsplit_once('.').unwrap().0)
    }),
];

#[tokio::test]
async fn oidc_13_a_logout_token_counts_without_any_deviation_only() {
    let (deployment, provider, unit) = mocked().await;
    let claims = CLAIMS.map(|(what, counts, edit)| (what, counts, edit, sign as Sign));
    let signatures = SIGNATURES.map(|(what, counts, sign)| (what, counts, (|_| ()) as Edit, sign));
    let mut ada = log_in(&deployment, &provider, "s-1".into()).await;
    for (what, counts, edit, sign) in claims.into_iter().chain(signatures) {
        let mut claims = honest(&provider);
        edit(&mut claims);
        let answer = tell(&deployment, &sign(&provider.keys, &claims)).await;
        let expected = if counts { 200 } else { 400 };
        assert_eq!(answer.status, expected, "{what}: {}", answer.body);
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
        assert_eq!(is_logged_in(&mut ada).await, !counts, "{what}");
        if counts {
            ada = log_in(&deployment, &provider, "s-1".into()).await;
        } else {
            assert_eq!(answer.error().1, "the logout_token is not acceptable", "{what}");
        }
    }
    assert!(!unit.process.log().contains("eyJ"), "a token is in the log");
    // An ID token and whatever else is no logout token.
    let id_token = provider.keys.sign(&provider.claims("mcm-web"));
    for token in [&id_token, "", ".", "..", "a.b.c", "e30.e30.", &"x".repeat(9000)] {
        let answer = tell(&deployment, token).await;
        assert_eq!(answer.status, 400, "{token}: {}", answer.body);
    }
    assert!(is_logged_in(&mut ada).await);
}

#[tokio::test]
async fn oidc_13_a_logout_token_counts_once() {
    let (deployment, provider, _unit) = mocked().await;
    let second = deployment.start(Service::ManagementApi).await;
    let mut ada = log_in(&deployment, &provider, "s-1".into()).await;
    let token = sign(&provider.keys, &honest(&provider));
    let at_once = || tell(&deployment, &token);
    let (a, b, c, d) = tokio::join!(at_once(), at_once(), at_once(), at_once());
    let mut statuses = [a, b, c, d].map(|answer| answer.status);
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400, 400, 400]);
    assert!(!is_logged_in(&mut ada).await);

    let mut ada = log_in(&deployment, &provider, "s-1".into()).await;
    let answer = tell(&deployment, &token).await;
    assert_eq!(answer.error(), (400, "this logout_token was used before".into()));
    assert!(is_logged_in(&mut ada).await);
    // What one unit ends has ended on the others.
    let mut on_second = ada.at(second.api);
    assert!(is_logged_in(&mut on_second).await);
    assert_eq!(tell(&deployment, &sign(&provider.keys, &honest(&provider))).await.status, 200);
    assert!(!is_logged_in(&mut on_second).await);
}

#[tokio::test]
async fn oidc_13_a_logout_ends_what_it_names() {
    let (deployment, provider, _unit) = mocked().await;
    let logins = async || {
        [
            log_in(&deployment, &provider, "s-1".into()).await,
            log_in(&deployment, &provider, "s-2".into()).await,
            log_in(&deployment, &provider, Value::Null).await,
        ]
    };
    let cases: [(Edit, [bool; 3]); 4] = [
        // Which session the last login belongs to is not known: it may be this one.
        (|_| (), [false, true, false]),
        (|c| remove(c, "sub"), [false, true, true]),
        (|c| remove(c, "sid"), [false, false, false]),
        (|c| c["sub"] = "somebody".into(), [true, true, true]),
    ];
    for (at, (edit, alive)) in cases.into_iter().enumerate() {
        let mut operators = logins().await;
        let mut claims = honest(&provider);
        edit(&mut claims);
        assert_eq!(tell(&deployment, &sign(&provider.keys, &claims)).await.status, 200);
        for (operator, alive) in operators.iter_mut().zip(alive) {
            assert_eq!(is_logged_in(operator).await, alive, "case {at}");
        }
        let mut claims = honest(&provider);
        remove(&mut claims, "sid");
        assert_eq!(tell(&deployment, &sign(&provider.keys, &claims)).await.status, 200);
    }
}

#[tokio::test]
async fn oidc_13_what_is_no_form_with_a_token_is_refused_in_words() {
    let (deployment, provider, _unit) = mocked().await;
    let token = sign(&provider.keys, &honest(&provider));
    let one = ("logout_token", token.as_str());
    for fields in [&[][..], &[("token", "x")], &[one, one]] {
        let answer = deployment.operator().form(PATH, fields).await;
        assert_eq!(answer.error(), (400, "the form must have one logout_token".into()));
    }
    let answer = deployment.operator().form(PATH, &[("other", "1"), one]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let as_json = deployment.operator().send(Method::POST, PATH, Some(&json!({}))).await;
    assert_eq!(
        as_json.error(),
        (415, "the body must be a form: application/x-www-form-urlencoded".into())
    );
    let got = deployment.operator().get(PATH).await;
    assert_eq!(got.status, 405, "{}", got.body);

    // Without the provider's keys nothing can be checked: it should try again later.
    let mut away = Deployment::new().await;
    let provider = MockProvider::start(&mut away).await;
    provider.behave(|_| Some(end_to_end_tests::Reply::Close));
    let _unit = away.start(Service::ManagementApi).await;
    let answer = tell(&away, &sign(&provider.keys, &honest(&provider))).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
}
