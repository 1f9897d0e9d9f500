use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RsaKeyPair, RsaSignatureEncoding,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio_rustls::TlsAcceptor;

use crate::{Answer, Deployment, Operator};

/// An identity provider that says what a test wants it to say: by default what an honest one would, for a person `ada` in the
/// group `admins`.
pub struct MockProvider {
    /// Its address, as the manager is configured with it.
    pub issuer: String,
    /// Its keys.
    pub keys: Arc<MockKeys>,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

/// A request that it received.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its path, without the query.
    pub path: String,
    /// The fields of its form.
    pub form: BTreeMap<String, String>,
    /// Its header `Authorization`.
    pub authorization: Option<String>,
}

impl Call {
    /// Whether it uses a refresh token.
    #[must_use]
    pub fn is_refresh(&self) -> bool {
        self.path == "/token" && self.form.get("grant_type").is_some_and(|g| g == "refresh_token")
    }
}

/// What it answers.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A status and a JSON body.
    Json(u16, Value),
    /// A status, further header lines and a body.
    Raw(u16, String, String),
    /// The same with a body that is no text.
    Bytes(u16, String, Vec<u8>),
    /// A body that never ends, a few bytes a second.
    Drip,
    /// Nothing: the connection is closed.
    Close,
    /// Nothing, and the connection stays open until [`MockProvider::release`].
    Stall,
}

/// What a test changes in the claims of the next ID tokens.
type Edit = Box<dyn Fn(&mut Value) + Send + Sync>;
type Behaviour = Box<dyn Fn(&Call) -> Option<Reply> + Send + Sync>;
/// Makes an ID token out of its claims.
type Signer = Box<dyn Fn(&MockKeys, &Value) -> String + Send + Sync>;

struct Shared {
    calls: Mutex<Vec<Call>>,
    nonce: Mutex<String>,
    behaviour: Mutex<Behaviour>,
    edit: Mutex<Edit>,
    signer: Mutex<Signer>,
    released: tokio::sync::watch::Sender<u64>,
}

/// The keys of the provider: `rsa` and `ec` are published, the stranger is not.
pub struct MockKeys {
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    stranger: RsaKeyPair,
}

impl MockKeys {
    fn generate() -> Self {
        Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            stranger: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
        }
    }

    /// A JWT signed with RS256 by the published RSA key.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as(&json!({"alg": "RS256", "kid": "rsa", "typ": "JWT"}), claims)
    }

    /// A JWT with this header, signed by the published key of the algorithm's kind. `HS256` uses the RSA public key as the secret,
    /// `none` signs nothing.
    #[must_use]
    pub fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let input = signing_input(header, claims);
        let signature = match header["alg"].as_str().unwrap() {
            "none" => Vec::new(),
            "HS256" => {
                let key = aws_lc_rs::hmac::Key::new(
                    aws_lc_rs::hmac::HMAC_SHA256,
                    self.rsa.public_key().as_ref(),
                );
                aws_lc_rs::hmac::sign(&key, input.as_bytes()).as_ref().to_vec()
            }
            "ES256" => {
                let signed = self.ec.sign(&SystemRandom::new(), input.as_bytes());
                signed.unwrap().as_ref().to_vec()
            }
            "RS384" => rsa_signature(&self.rsa, &RSA_PKCS1_SHA384, &input),
            _ => rsa_signature(&self.rsa, &RSA_PKCS1_SHA256, &input),
        };
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A JWT that names the published RSA key, signed by a key that is not published.
    #[must_use]
    pub fn sign_by_stranger(&self, header: &Value, claims: &Value) -> String {
        let input = signing_input(header, claims);
        let signature = rsa_signature(&self.stranger, &RSA_PKCS1_SHA256, &input);
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The public half of the key that is not published, for tokens that bring it along.
    #[must_use]
    pub fn strangers_jwk(&self) -> Value {
        jwk("stranger", &self.stranger)
    }

    fn published(&self) -> Value {
        let point = self.ec.public_key().as_ref();
        json!({"keys": [
            jwk("rsa", &self.rsa),
            {
                "kty": "EC", "use": "sig", "crv": "P-256", "kid": "ec",
                "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..65]),
            },
        ]})
    }
}

fn jwk(kid: &str, key: &RsaKeyPair) -> Value {
    // RSAPublicKey (RFC 8017, appendix A.1.1) of 2048 bits: the modulus after nine bytes of headers, the exponent at the end.
    let der = key.public_key().as_ref();
    let (n, e) = (URL_SAFE_NO_PAD.encode(&der[9..265]), URL_SAFE_NO_PAD.encode(&der[267..]));
    json!({"kty": "RSA", "use": "sig", "kid": kid, "n": n, "e": e})
}

fn signing_input(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

fn rsa_signature(
    key: &RsaKeyPair,
    algorithm: &'static RsaSignatureEncoding,
    input: &str,
) -> Vec<u8> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(algorithm, &SystemRandom::new(), input.as_bytes(), &mut signature).unwrap();
    signature
}

impl MockProvider {
    /// Starts it; services that start later know it.
    pub async fn start(deployment: &mut Deployment) -> Self {
        let address = SocketAddr::new(deployment.connector_address().ip(), 0);
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let issuer = format!("https://{}", listener.local_addr().unwrap());
        deployment.use_issuer(&issuer);
        let acceptor = TlsAcceptor::from(Arc::new(deployment.server_tls("identity-provider")));
        let shared = Arc::new(Shared {
            calls: Mutex::default(),
            nonce: Mutex::default(),
            behaviour: Mutex::new(Box::new(|_| None)),
            edit: Mutex::new(Box::new(|_| ())),
            signer: Mutex::new(Box::new(MockKeys::sign)),
            released: tokio::sync::watch::channel(0).0,
        });
        let keys = Arc::new(MockKeys::generate());
        let (context, own_issuer, own_keys) =
            (Arc::clone(&shared), issuer.clone(), Arc::clone(&keys));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, shared, issuer, keys) = (
                    acceptor.clone(),
                    Arc::clone(&context),
                    own_issuer.clone(),
                    Arc::clone(&own_keys),
                );
                tokio::spawn(async move {
                    // A client that gives up breaks its connection: that is what some tests are about.
                    if let Ok(tls) = acceptor.accept(stream).await {
                        drop(serve(tls, &shared, &issuer, &keys).await);
                    }
                });
            }
        });
        Self { issuer, keys, shared, task }
    }

    /// Answers as `behaviour` says; where it says nothing, as an honest provider would.
    pub fn behave(&self, behaviour: impl Fn(&Call) -> Option<Reply> + Send + Sync + 'static) {
        *self.shared.behaviour.lock().unwrap() = Box::new(behaviour);
    }

    /// Changes the claims of the ID tokens to come.
    pub fn edit_claims(&self, edit: impl Fn(&mut Value) + Send + Sync + 'static) {
        *self.shared.edit.lock().unwrap() = Box::new(edit);
    }

    /// Signs the ID tokens to come in another way.
    pub fn sign_with(&self, sign: impl Fn(&MockKeys, &Value) -> String + Send + Sync + 'static) {
        *self.shared.signer.lock().unwrap() = Box::new(sign);
    }

    /// Lets everything that stalls end without an answer.
    pub fn release(&self) {
        self.shared.released.send_modify(|count| *count += 1);
    }

    /// The requests so far that a condition holds for.
    #[must_use]
    pub fn calls(&self, wanted: impl Fn(&Call) -> bool) -> Vec<Call> {
        self.shared.calls.lock().unwrap().iter().filter(|call| wanted(call)).cloned().collect()
    }

    /// The claims of an honest token about `ada`.
    #[must_use]
    pub fn claims(&self, audience: &str) -> Value {
        honest_claims(&self.issuer, audience)
    }

    /// What it publishes about itself, for tests that change it.
    #[must_use]
    pub fn configuration(&self) -> Value {
        configuration(&self.issuer)
    }

    /// Takes a person through a login and returns the answer of the callback.
    pub async fn log_in(&self, operator: &mut Operator) -> Answer {
        self.log_in_from(operator, None).await
    }

    /// The same, with an answer that names an issuer (RFC 9207).
    pub async fn log_in_from(&self, operator: &mut Operator, issuer: Option<&str>) -> Answer {
        let begun = operator.raw(Method::GET, "/oidc/login", HeaderMap::new(), String::new()).await;
        self.come_back_from(operator, &begun, issuer).await
    }

    /// Goes on with a login that was begun, and returns the answer of the callback.
    pub async fn come_back(&self, operator: &mut Operator, begun: &Answer) -> Answer {
        self.come_back_from(operator, begun, None).await
    }

    async fn come_back_from(
        &self,
        operator: &mut Operator,
        begun: &Answer,
        issuer: Option<&str>,
    ) -> Answer {
        assert_eq!(begun.status, 302, "{}", begun.body);
        let target: url::Url = begun.header("location").unwrap().parse().unwrap();
        let parameter =
            |name: &str| target.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
        *self.shared.nonce.lock().unwrap() = parameter("nonce");
        let mut callback = format!("/oidc/callback?code=a-code&state={}", parameter("state"));
        callback.extend(issuer.map(|issuer| format!("&iss={issuer}")));
        operator.raw(Method::GET, &callback, HeaderMap::new(), String::new()).await
    }
}

impl Drop for MockProvider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn honest_claims(issuer: &str, audience: &str) -> Value {
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    json!({
        "iss": issuer, "aud": audience, "sub": "ada", "name": "Ada", "email": "ada@example.com",
        "iat": now, "exp": now + 3600, "mcm-idp-groups": ["admins"],
    })
}

async fn serve(
    tls: tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
    shared: &Shared,
    issuer: &str,
    keys: &MockKeys,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(tls);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut length, mut authorization) = (0, None);
    loop {
        line.clear();
        if stream.read_line(&mut line).await? <= 2 {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "authorization" => authorization = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let form = url::form_urlencoded::parse(&body).into_owned().collect();
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let call = Call { path, form, authorization };
    shared.calls.lock().unwrap().push(call.clone());
    let asked = (shared.behaviour.lock().unwrap())(&call);
    let (status, headers, body) = match asked.unwrap_or_else(|| honest(&call, shared, issuer, keys))
    {
        Reply::Json(status, value) => {
            let headers = "content-type: application/json\r\n".to_owned();
            (status, headers, value.to_string().into_bytes())
        }
        Reply::Raw(status, headers, body) => (status, headers, body.into_bytes()),
        Reply::Bytes(status, headers, body) => (status, headers, body),
        Reply::Close => return Ok(()),
        Reply::Drip => {
            let head = "HTTP/1.1 200 x\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n";
            stream.write_all(head.as_bytes()).await?;
            loop {
                stream.write_all(b" ").await?;
                stream.flush().await?;
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            }
        }
        Reply::Stall => {
            drop(shared.released.subscribe().changed().await);
            return Ok(());
        }
    };
    let head = format!(
        "HTTP/1.1 {status} x\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.shutdown().await
}

fn honest(call: &Call, shared: &Shared, issuer: &str, keys: &MockKeys) -> Reply {
    match call.path.as_str() {
        "/.well-known/openid-configuration" => Reply::Json(200, configuration(issuer)),
        "/keys" => Reply::Json(200, keys.published()),
        "/revoke" => Reply::Json(200, json!({})),
        "/token" => {
            let mut claims = honest_claims(issuer, "mcm-web");
            if !call.is_refresh() {
                claims["nonce"] = shared.nonce.lock().unwrap().clone().into();
            }
            (shared.edit.lock().unwrap())(&mut claims);
            let id_token = (shared.signer.lock().unwrap())(keys, &claims);
            let serial = shared.calls.lock().unwrap().len();
            Reply::Json(
                200,
                json!({
                    "token_type": "Bearer", "access_token": "opaque", "id_token": id_token,
                    "refresh_token": format!("refresh-{serial}"), "expires_in": 3600,
                }),
            )
        }
        _ => Reply::Json(404, json!({})),
    }
}

fn configuration(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/auth"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
    })
}
