use std::collections::BTreeMap;
use std::path::Path;

use reqwest::header::{CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderValue, LOCATION, SET_COOKIE};
use reqwest::{Certificate, Client, ClientBuilder, Method};
use serde_json::Value;
use url::Url;

/// A person with a browser: it keeps cookies per host and port, and follows redirects only when told to.
#[derive(Clone)]
pub struct Operator {
    client: Client,
    origin: Url,
    /// The name that the balancer in front of the units has.
    host: Option<String>,
    /// Cookies by origin and name.
    pub cookies: BTreeMap<(String, String), String>,
}

/// An answer of the Management API.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The body; what is not UTF-8 is replaced.
    pub body: String,
    /// Bytes of the body on the wire.
    pub length: usize,
    /// These bytes.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The metadata of a success.
    #[must_use]
    pub fn metadata(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.json()["metadata"].take()
    }

    /// Status and text of an error, whose envelope must be complete.
    #[must_use]
    pub fn error(&self) -> (u16, String) {
        let json = self.json();
        let keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        for key in ["type", "status", "status_code", "operation", "error_code", "error", "metadata"]
        {
            assert!(keys.contains(&key), "{key} is missing in {json}");
        }
        assert_eq!(json["type"], "error");
        assert_eq!(json["error_code"], self.status);
        (self.status, json["error"].as_str().unwrap().to_owned())
    }

    /// A header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// An answer that goes on.
pub struct EventStream {
    answer: reqwest::Response,
    text: String,
}

impl EventStream {
    /// A header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        Some(self.answer.headers().get(name)?.to_str().ok()?.to_owned())
    }

    /// The next block that is more than a comment; `None` when the answer has ended.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            let block = self.next_block().await?;
            if block.contains("event:") {
                return Some(block);
            }
        }
    }

    /// The next block, a comment included; `None` when the answer has ended.
    pub async fn next_block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let chunk = self.answer.chunk();
            let chunk = tokio::time::timeout(std::time::Duration::from_mins(1), chunk).await;
            match chunk.expect("at least a comment within a minute") {
                Ok(Some(bytes)) => self.text.push_str(std::str::from_utf8(&bytes).unwrap()),
                Ok(None) | Err(_) => return None,
            }
        }
    }
}

impl Operator {
    /// A browser that trusts an authority and has no cookies.
    #[must_use]
    pub fn new(origin: &str, ca_file: &Path) -> Self {
        let authority = Certificate::from_pem(&std::fs::read(ca_file).unwrap()).unwrap();
        let client = client_builder()
            .http1_only()
            .tls_certs_only([authority])
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self { client, origin: origin.parse().unwrap(), host: None, cookies: BTreeMap::new() }
    }

    /// The same browser whose balancer now leads to another unit: cookies and the host name stay.
    #[must_use]
    pub fn at(&self, unit: std::net::SocketAddr) -> Self {
        let mut other = self.clone();
        other.host = Some(self.origin.authority().to_owned());
        other.origin.set_port(Some(unit.port())).unwrap();
        let (ours, theirs) = (origin_of(&self.origin), origin_of(&other.origin));
        for ((origin, name), value) in &self.cookies {
            if *origin == ours {
                other.cookies.insert((theirs.clone(), name.clone()), value.clone());
            }
        }
        other
    }

    /// A request as the UI sends it: from the same origin, a body as JSON.
    pub async fn send(&mut self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
        headers.insert("sec-fetch-dest", HeaderValue::from_static("empty"));
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let body = body.map(ToString::to_string).unwrap_or_default();
        self.raw(method, path, headers, body).await
    }

    /// `GET` as the UI sends it.
    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    /// Whether a `GET` ends without any answer, as when the unit dies meanwhile.
    pub async fn client_error(&mut self, path: &str) -> bool {
        let origin = origin_of(&self.origin);
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .filter(|((of, _), _)| *of == origin)
            .map(|((_, name), value)| format!("{name}={value}"))
            .collect();
        let request = self.client.get(format!("{origin}{path}")).header(COOKIE, cookies.join("; "));
        request.header("sec-fetch-site", "same-origin").send().await.is_err()
    }

    /// The status of a request whose answer may not come, as when the unit dies meanwhile.
    pub async fn try_raw(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: String,
    ) -> Option<u16> {
        let url = format!("{}{path}", origin_of(&self.origin));
        let request = self.client.request(method, url).headers(headers).body(body);
        let answer = request.header(COOKIE, self.cookie_header()).send().await.ok()?;
        Some(answer.status().as_u16())
    }

    /// A request with exactly these headers, besides `Host` and the cookies.
    pub async fn raw(
        &mut self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: String,
    ) -> Answer {
        let url = format!("{}{path}", origin_of(&self.origin)).parse().unwrap();
        self.fetch(method, url, headers, body).await
    }

    async fn fetch(
        &mut self,
        method: Method,
        url: Url,
        mut headers: HeaderMap,
        body: String,
    ) -> Answer {
        let origin = origin_of(&url);
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .filter(|((of, _), _)| *of == origin)
            .map(|((_, name), value)| format!("{name}={value}"))
            .collect();
        if !cookies.is_empty() {
            headers.insert(COOKIE, cookies.join("; ").parse().unwrap());
        }
        if let Some(host) = self.host.as_ref().filter(|_| origin == origin_of(&self.origin)) {
            headers.insert(HOST, host.parse().unwrap());
        }
        let answer =
            self.client.request(method, url).headers(headers).body(body).send().await.unwrap();
        for line in answer.headers().get_all(SET_COOKIE) {
            let line = line.to_str().unwrap();
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            let (name, value) = pair.split_once('=').unwrap();
            let key = (origin.clone(), name.to_owned());
            let gone = value.is_empty() || attributes.to_ascii_lowercase().contains("max-age=0");
            if gone {
                self.cookies.remove(&key)
            } else {
                self.cookies.insert(key, value.to_owned())
            };
        }
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let bytes = answer.bytes().await.unwrap();
        let body = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status, headers, body, length: bytes.len(), bytes: bytes.into() }
    }

    /// Follows an answer that goes on, such as events, from the one after `last`.
    pub async fn events(&self, path: &str, last: Option<u64>) -> EventStream {
        let origin = origin_of(&self.origin);
        let of_origin = self.cookies.iter().filter(|((of, _), _)| *of == origin);
        let cookies: Vec<String> =
            of_origin.map(|((_, name), value)| format!("{name}={value}")).collect();
        let mut request =
            self.client.get(format!("{origin}{path}")).header(COOKIE, cookies.join("; "));
        if let Some(host) = &self.host {
            request = request.header(HOST, host);
        }
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        EventStream { answer, text: String::new() }
    }

    /// Logs in at the identity provider and comes back; panics unless that works.
    pub async fn log_in(&mut self, email: &str) {
        let callback = self.log_in_until_callback(email, "/oidc/login").await;
        let answer = self.follow(&callback).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        assert_eq!(answer.header("location"), Some("/ui/"));
    }

    /// Begins a login, answers the provider's form, and stops before the provider's last redirect is followed: the answer is
    /// its target, our callback.
    pub async fn log_in_until_callback(&mut self, email: &str, path: &str) -> Url {
        let begun = self.raw(Method::GET, path, HeaderMap::new(), String::new()).await;
        assert_eq!(begun.status, 302, "{}", begun.body);
        self.answer_provider(begun.header("location").unwrap().parse().unwrap(), email).await
    }

    /// Answers the provider's form, beginning at `url`, until it redirects to our callback, which is the answer.
    pub async fn answer_provider(&mut self, mut url: Url, email: &str) -> Url {
        for _ in 0..10 {
            let answer =
                self.fetch(Method::GET, url.clone(), HeaderMap::new(), String::new()).await;
            let answer = if answer.status == 200 {
                self.submit(url.clone(), &[("login", email)]).await
            } else {
                answer
            };
            let location = answer
                .headers
                .get(LOCATION)
                .unwrap_or_else(|| panic!("no redirect: {}", answer.body));
            url = url.join(location.to_str().unwrap()).unwrap();
            if url.path() == "/oidc/callback" {
                return url;
            }
        }
        panic!("the identity provider redirects in a circle");
    }

    /// Logs out at the identity provider itself, whose page `url` is: answers its question with yes.
    pub async fn log_out_at_provider(&mut self, url: &Url) {
        let page = self.fetch(Method::GET, url.clone(), HeaderMap::new(), String::new()).await;
        let (_, rest) = page.body.split_once("name=\"xsrf\" value=\"").expect("a form");
        let (xsrf, _) = rest.split_once('"').expect("a form");
        let confirm = url.join("/session/end/confirm").expect("an address");
        let answer = self.submit(confirm, &[("xsrf", xsrf), ("logout", "yes")]).await;
        assert!(answer.status < 400, "{}", answer.body);
    }

    /// Sends a form to a path of the manager.
    pub async fn form(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.submit(self.origin.join(path).unwrap(), fields).await
    }

    async fn submit(&mut self, url: Url, fields: &[(&str, &str)]) -> Answer {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, form)]);
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        self.fetch(Method::POST, url, headers, body.extend_pairs(fields).finish()).await
    }

    /// Follows a redirect by hand, as a browser that comes from another site.
    pub async fn follow(&mut self, url: &Url) -> Answer {
        let mut target = self.origin.join(url.path()).unwrap();
        target.set_query(url.query());
        self.fetch(Method::GET, target, HeaderMap::new(), String::new()).await
    }

    /// All cookies of the manager as a browser would send them.
    #[must_use]
    pub fn cookie_header(&self) -> String {
        let origin = origin_of(&self.origin);
        let ours = self.cookies.iter().filter(|((of, _), _)| *of == origin);
        ours.map(|((_, name), value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// The value of a cookie of the manager whose name begins with `prefix`.
    #[must_use]
    pub fn cookie(&self, prefix: &str) -> Option<&str> {
        let origin = origin_of(&self.origin);
        let found =
            self.cookies.iter().find(|((of, name), _)| *of == origin && name.starts_with(prefix));
        found.map(|(_, value)| value.as_str())
    }
}

/// An HTTP client on the one crypto provider, past any proxy of the machine.
pub(crate) fn client_builder() -> ClientBuilder {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Client::builder().no_proxy()
}

fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}
