//! The description of the API: what is written down, what is served, what was promised, and what the program does.

use std::collections::BTreeSet;

use cluster_simulator::Request;
use end_to_end_tests::{Deployment, Service};
use reqwest::Method;
use serde_json::{Map, Value, json};

fn described() -> Value {
    serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap()
}

/// Method and path, with nameless parameters, of every operation.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "post", "put", "patch", "delete"] {
            if let Some(operation) = item.get(method) {
                all.push((method.to_owned(), nameless(path), operation.clone()));
            }
        }
    }
    all
}

fn nameless(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn the_description_is_served_and_written_down_as_it_is() {
    let mut deployment = Deployment::new().await;
    let printed = deployment.run(&["openapi"]);
    let printed: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert!(printed == described(), "docs/openapi.json is old: run ./dev generate");
    let _provider = deployment.start_identity_provider().await;
    let _management = deployment.start(Service::ManagementApi).await;
    let mut admin = deployment.logged_in("admin@example.com").await;
    let served = admin.get("/1.0/openapi.json").await;
    assert_eq!(served.header("content-type"), Some("application/json"));
    assert!(served.json() == printed);
    assert_eq!(deployment.operator().get("/1.0/openapi.json").await.status, 401);
}

#[tokio::test]
async fn the_program_serves_exactly_what_is_described() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let _management = deployment.start(Service::ManagementApi).await;
    let mut admin = deployment.logged_in("admin@example.com").await;
    let token = deployment.token("lyon");
    let member = deployment.member(&token);
    member.join(&token).await.unwrap();
    let document = described();
    for path in document["paths"].as_object().unwrap().keys().filter(|path| *path != "/status") {
        let concrete = path.replace("{name}", "nobody").replace("{path}", "a");
        let concrete = concrete.replace("{id}", "7").replace("{session}", "7");
        for service in ["management", "connector"] {
            let is_of = |operation: &Value| {
                let tags = operation["tags"].as_array().unwrap();
                tags.contains(&json!(service))
                    || (service == "management" && !tags.contains(&json!("connector")))
            };
            let methods: BTreeSet<String> = operations(&document)
                .into_iter()
                .filter(|(_, of, operation)| *of == nameless(path) && is_of(operation))
                .map(|(method, ..)| method.to_ascii_uppercase())
                .collect();
            if methods.is_empty() && service == "management" {
                continue; // what the connector alone has may look like a cluster's name here
            }
            let asked = if service == "management" {
                let answer = admin.send(Method::OPTIONS, &concrete, None).await;
                (answer.status, answer.header("allow").map(str::to_owned))
            } else {
                let request = Request::new("OPTIONS", &concrete);
                let answer = member.raw_request(&request, Some(member.identity())).await.unwrap();
                (answer.status, answer.header("allow").map(str::to_owned))
            };
            let served: BTreeSet<String> = match asked {
                // Every method works there; `GET` is what it is for.
                (200, None) if path == "/" => ["GET".to_owned()].into(),
                (405, Some(allow)) => {
                    allow.split(", ").filter(|m| *m != "HEAD").map(str::to_owned).collect()
                }
                (404, None) => BTreeSet::new(),
                other => panic!("{service} {path}: {other:?}"),
            };
            assert_eq!(served, methods, "{service} {path}");
        }
    }
}

#[test]
fn what_was_published_still_holds() {
    let published: Value = serde_yaml::from_str(include_str!("../examples/openapi.yaml")).unwrap();
    let (ours, theirs) = (described(), operations(&published));
    for (method, path, theirs) in theirs {
        let name = format!("{method} {path}");
        let mine = operations(&ours).into_iter().find(|(m, p, _)| *m == method && *p == path);
        let (.., mine) = mine.unwrap_or_else(|| panic!("{name} is not described"));
        for (status, response) in theirs["responses"].as_object().unwrap() {
            let (response, own) =
                (resolve(&published, response), resolve(&ours, &mine["responses"][status]));
            assert!(own.is_object(), "{name}: {status} is not described");
            let json = "/content/application~1json/schema";
            if let (Some(theirs), Some(own)) = (response.pointer(json), own.pointer(json)) {
                answers(&published, theirs, &ours, own, &format!("{name} {status}"));
            }
        }
        let body = "/requestBody/content/application~1json/schema";
        if let Some(theirs) = theirs.pointer(body) {
            requests(&published, theirs, &ours, mine.pointer(body).unwrap(), &name);
        }
        assert_eq!(
            theirs.get("security") == Some(&json!([])),
            mine["security"] == json!([]),
            "{name}: who may use it"
        );
    }
}

fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => {
            resolve(document, document.pointer(reference.trim_start_matches('#')).unwrap())
        }
        None => value,
    }
}

/// A schema without references and `allOf` at its top.
fn flat(document: &Value, schema: &Value) -> Map<String, Value> {
    let schema = resolve(document, schema).as_object().unwrap();
    let mut all = schema.clone();
    let parts = schema.get("allOf").or(schema.get("oneOf")).and_then(Value::as_array);
    for part in parts.into_iter().flatten() {
        for (key, value) in flat(document, part) {
            match (all.get_mut(&key), value) {
                (Some(Value::Object(known)), Value::Object(more)) => known.extend(more),
                (Some(Value::Array(known)), Value::Array(more)) => known.extend(more),
                (Some(Value::String(known)), Value::String(more)) if key == "type" => {
                    let both = json!([known, more]);
                    all.insert(key, both);
                }
                (_, value) => drop(all.insert(key, value)),
            }
        }
    }
    all
}

fn types(schema: &Map<String, Value>) -> BTreeSet<String> {
    let mut types: BTreeSet<String> = match schema.get("type") {
        Some(Value::String(one)) => [one.clone()].into(),
        Some(Value::Array(many)) => {
            many.iter().map(|one| one.as_str().unwrap().to_owned()).collect()
        }
        _ => BTreeSet::new(),
    };
    if schema.get("nullable") == Some(&json!(true)) {
        types.insert("null".into());
    }
    types
}

fn required(schema: &Map<String, Value>) -> BTreeSet<&str> {
    let list = schema.get("required").and_then(Value::as_array);
    list.into_iter().flatten().map(|key| key.as_str().unwrap()).collect()
}

/// Whoever can read the published answer can read ours.
fn answers(published: &Value, theirs: &Value, ours: &Value, mine: &Value, at: &str) {
    let (theirs, mine) = (flat(published, theirs), flat(ours, mine));
    let (promised, given) = (types(&theirs), types(&mine));
    assert!(
        promised.is_empty() || given.is_subset(&promised),
        "{at}: {given:?} instead of {promised:?}"
    );
    if given.iter().eq(["null"]) {
        return;
    }
    if let (Some(Value::Array(promised)), Some(Value::Array(given))) =
        (theirs.get("enum"), mine.get("enum"))
    {
        assert!(given.iter().all(|value| promised.contains(value)), "{at}: {given:?}");
    }
    for key in required(&theirs) {
        assert!(required(&mine).contains(key), "{at}: {key} may be missing");
    }
    let properties = theirs.get("properties").and_then(Value::as_object);
    for (key, schema) in properties.into_iter().flatten() {
        let own =
            mine["properties"].get(key).unwrap_or_else(|| panic!("{at}: {key} is not described"));
        answers(published, schema, ours, own, &format!("{at}.{key}"));
    }
    if let (Some(theirs), Some(mine)) = (theirs.get("items"), mine.get("items")) {
        answers(published, theirs, ours, mine, &format!("{at}[]"));
    }
}

/// Whatever could be sent as published can be sent to us.
fn requests(published: &Value, theirs: &Value, ours: &Value, mine: &Value, at: &str) {
    let (theirs, mine) = (flat(published, theirs), flat(ours, mine));
    let (sent, taken) = (types(&theirs), types(&mine));
    assert!(taken.is_empty() || sent.is_subset(&taken), "{at}: {sent:?} is more than {taken:?}");
    for key in required(&mine) {
        assert!(required(&theirs).contains(key), "{at}: {key} has become required");
    }
    let Some(own) = mine.get("properties") else { return };
    let properties = theirs.get("properties").and_then(Value::as_object);
    for (key, schema) in properties.into_iter().flatten() {
        let own = own.get(key).unwrap_or_else(|| panic!("{at}: {key} is not taken"));
        requests(published, schema, ours, own, &format!("{at}.{key}"));
    }
    if let (Some(theirs), Some(mine)) = (theirs.get("items"), mine.get("items")) {
        requests(published, theirs, ours, mine, &format!("{at}[]"));
    }
}
