//! The whole fleet at once: compact rows, summary, warnings, changes for many, and lists in parts.

use cluster_simulator::{Member, STATUS_PATH};
use end_to_end_tests::{Answer, Deployment, Operator, Process, Service, Unit};
use reqwest::Method;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, IF_NONE_MATCH};
use serde_json::{Value, json};

pub(crate) struct Fleet {
    pub(crate) deployment: Deployment,
    pub(crate) admin: Operator,
    pub(crate) members: Vec<Member>,
    running: (Process, Unit, Unit),
}

/// A deployment with these clusters, which have sent a heartbeat each.
pub(crate) async fn fleet(names: &[&str]) -> Fleet {
    let mut deployment = Deployment::new().await;
    let provider = deployment.start_identity_provider().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let management = deployment.start(Service::ManagementApi).await;
    let mut members = Vec::new();
    for name in names {
        members.push(deployment.enrol(name).await);
    }
    let admin = deployment.logged_in("admin@example.com").await;
    let fleet = Fleet { deployment, admin, members, running: (provider, connector, management) };
    for member in &fleet.members {
        beat(member, &super::example("heartbeat-3-members.json")).await;
    }
    fleet
}

pub(crate) async fn beat(member: &Member, body: &Value) {
    let sent = member.request("POST", STATUS_PATH, body.to_string().into_bytes()).await;
    sent.unwrap().success().unwrap();
}

impl Fleet {
    /// Identity provider, connector, Management API.
    pub(crate) fn running(&mut self) -> &mut (Process, Unit, Unit) {
        &mut self.running
    }

    /// Asks until the answer's metadata fulfil a condition: heartbeats of the last second may be missing.
    pub(crate) async fn until(&mut self, path: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        loop {
            let metadata = self.admin.get(path).await.metadata();
            if fits(&metadata) {
                return metadata;
            }
            assert!(std::time::Instant::now() < deadline, "{path}: {metadata}");
        }
    }

    /// Records of the audit log.
    async fn records(&mut self, event: &str) -> Value {
        self.admin.get(&format!("/1.0/audit?event={event}")).await.metadata()["records"].take()
    }

    pub(crate) async fn with(&mut self, path: &str, headers: &[(&'static str, &str)]) -> Answer {
        let headers = headers.iter().map(|(name, value)| {
            (name.parse::<reqwest::header::HeaderName>().unwrap(), value.parse().unwrap())
        });
        self.admin.raw(Method::GET, path, headers.collect::<HeaderMap>(), String::new()).await
    }
}

fn names(list: &Value) -> Vec<&str> {
    texts(list, "name")
}

fn texts<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|row| row[key].as_str().unwrap()).collect()
}

const ROWS: &str = "/1.0/fleet/clusters";
/// Of a row, in their order.
const KEYS: [&str; 14] = [
    "name",
    "description",
    "state",
    "seen",
    "members",
    "instances",
    "memory",
    "storage",
    "pool",
    "load",
    "tunnel",
    "warnings",
    "thresholds",
    "joined",
];

#[tokio::test]
async fn compact_rows_have_every_key_in_few_bytes() {
    let mut fleet = fleet(&["oslo", "lyon"]).await;
    let seen = |rows: &Value| rows.as_array().unwrap().iter().all(|row| row["seen"].is_i64());
    let rows = fleet.until(ROWS, seen).await;
    assert_eq!(names(&rows), ["lyon", "oslo"]);
    let row = &rows[0];
    let body = super::example("heartbeat-3-members.json");
    let sum = |key: &str| {
        let pools = body["storage_pool_usages"].as_array().unwrap();
        pools.iter().map(|pool| pool[key].as_u64().unwrap()).sum::<u64>()
    };
    let mut keys = KEYS;
    keys.sort_unstable();
    assert_eq!(super::keys(row), keys);
    assert_eq!(row["state"], "online");
    assert_eq!(row["members"], json!([3, 0, 0, 0, 0]));
    assert_eq!(row["thresholds"], json!([80, 80]));
    assert_eq!(row["memory"], json!([body["memory_usage"], body["memory_total_amount"]]));
    assert_eq!(row["storage"], json!([sum("usage"), sum("total")]));
    assert_eq!((&row["load"], &row["tunnel"]), (&body["cpu_load_1"], &json!(false)));
    assert_eq!(row["warnings"], json!([]));
    let count = |state: &str| {
        let list = body["instance_statuses"].as_array().unwrap();
        list.iter()
            .filter(|entry| entry["status"] == state)
            .map(|e| e["count"].as_i64().unwrap())
            .sum::<i64>()
    };
    for (at, state) in [(1, "Running"), (2, "Error"), (3, "Stopped"), (4, "Frozen")] {
        assert_eq!(row["instances"][at], count(state), "{state}");
    }

    let values = fleet.admin.get(&format!("{ROWS}?rows=values")).await.metadata();
    assert_eq!(values.as_array().map(Vec::len), Some(2));
    // All but the figures that a heartbeat in between may change.
    for (at, key) in KEYS.iter().enumerate().filter(|(_, key)| **key != "seen") {
        assert_eq!(values[0][at], row[*key], "{key}");
    }

    let few = format!("{ROWS}?fields=state,name&sort=-name&limit=1");
    assert_eq!(
        fleet.admin.get(&few).await.metadata(),
        json!([{"name": "oslo", "state": "online"}])
    );
    let few = fleet.admin.get(&format!("{few}&rows=values")).await.metadata();
    assert_eq!(few, json!([["online", "oslo"]]));
    assert_eq!(names(&fleet.admin.get(&format!("{ROWS}?filter=LY")).await.metadata()), ["lyon"]);
    assert_eq!(names(&fleet.admin.get(&format!("{ROWS}?after=lyon")).await.metadata()), ["oslo"]);
    for (query, text) in [
        ("fields=size", "fields has the unknown value"),
        ("sort=size", "sort has the unknown value"),
        ("state=up", "state has the unknown value"),
        ("limit=x", "limit must be 1 to 10000"),
        ("rows=lists", "rows must be objects or values"),
    ] {
        let (status, error) = fleet.admin.get(&format!("{ROWS}?{query}")).await.error();
        assert!(status == 400 && error.starts_with(text), "{query}: {error}");
    }
}

#[tokio::test]
async fn what_an_operator_changes_shows_at_once_on_every_unit() {
    let mut fleet = fleet(&["lyon", "oslo"]).await;
    let second = fleet.deployment.start(Service::ManagementApi).await;
    let mut there = fleet.admin.at(second.api);
    for round in 0..20 {
        let text = format!("round {round}");
        let path = "/1.0/remote-cluster/lyon";
        let changes = json!({"description": text});
        assert_eq!(fleet.admin.send(Method::PATCH, path, Some(&changes)).await.status, 200);
        for operator in [&mut there, &mut fleet.admin] {
            assert_eq!(operator.get(ROWS).await.metadata()[0]["description"], text.as_str());
        }
    }
    let token = fleet.deployment.token("rome");
    fleet.deployment.member(&token).join(&token).await.unwrap();
    assert_eq!(names(&there.get(ROWS).await.metadata()), ["lyon", "oslo", "rome"]);
    assert_eq!(
        fleet.admin.send(Method::DELETE, "/1.0/remote-cluster/lyon", None).await.status,
        200
    );
    assert_eq!(names(&there.get(ROWS).await.metadata()), ["oslo", "rome"]);
    fleet.members[1].leave().await.unwrap();
    assert_eq!(names(&there.get(ROWS).await.metadata()), ["rome"]);

    // The connections that hear of changes break; nothing is missed.
    fleet.deployment.database.close().await;
    assert_eq!(there.get(ROWS).await.status, 503);
    fleet.deployment.database.open().await;
    let db = fleet.deployment.database.connect().await;
    db.batch_execute("UPDATE remote_clusters SET description = 'changed meanwhile'").await.unwrap();
    assert_eq!(there.get(ROWS).await.metadata()[0]["description"], "changed meanwhile");
}

#[tokio::test]
async fn an_unchanged_answer_is_not_sent_again_and_others_are_compressed() {
    let mut fleet = fleet(&["lyon"]).await;
    let db = fleet.deployment.database.connect().await;
    let many = "
        WITH c AS (INSERT INTO remote_clusters (name, certificate, fingerprint, certificate_not_before, certificate_not_after)
                        SELECT 'many-' || n, '', sha256(n::text::bytea), now() - interval '1 day', now() + interval '9 years'
                          FROM generate_series(1, 2000) AS n RETURNING id)
        INSERT INTO remote_cluster_details (remote_cluster_id) SELECT id FROM c";
    db.batch_execute(many).await.unwrap();
    let plain = fleet.admin.get(ROWS).await;
    assert_eq!(plain.metadata().as_array().unwrap().len(), 2001);
    let etag = plain.header("etag").unwrap().to_owned();
    assert_eq!(
        (plain.header("vary"), plain.header("cache-control")),
        (Some("accept-encoding"), Some("no-store"))
    );
    assert_eq!(plain.header("content-encoding"), None);
    let second = fleet.deployment.start(Service::ManagementApi).await;
    let known = HeaderMap::from_iter([(IF_NONE_MATCH, etag.parse().unwrap())]);
    for operator in [&mut fleet.admin.clone(), &mut fleet.admin.at(second.api)] {
        let unchanged = operator.raw(Method::GET, ROWS, known.clone(), String::new()).await;
        assert_eq!(
            (unchanged.status, unchanged.body.as_str()),
            (304, ""),
            "every unit knows the tag"
        );
    }
    for encoding in ["br", "gzip"] {
        let accept = HeaderMap::from_iter([(ACCEPT_ENCODING, encoding.parse().unwrap())]);
        let packed = fleet.admin.raw(Method::GET, ROWS, accept, String::new()).await;
        assert_eq!(packed.header("content-encoding"), Some(encoding));
        assert_eq!(packed.header("etag"), Some(etag.as_str()));
        let length = packed.length;
        assert!(length * 5 < plain.body.len(), "{encoding}: {length} of {}", plain.body.len());
    }
    assert_eq!(
        fleet
            .admin
            .send(Method::PATCH, "/1.0/remote-cluster/lyon", Some(&json!({"disk_threshold": 1})))
            .await
            .status,
        200
    );
    let changed = fleet.with(ROWS, &[("if-none-match", &etag)]).await;
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), Some(etag.as_str()));

    // What holds secrets has neither.
    for path in ["/1.0", "/1.0/configuration", "/1.0/remote-cluster-join-token"] {
        let answer = fleet.with(path, &[("accept-encoding", "br, gzip")]).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(
            (answer.header("etag"), answer.header("content-encoding")),
            (None, None),
            "{path}"
        );
    }
}

#[tokio::test]
async fn warnings_say_since_when_also_after_a_restart() {
    let mut fleet = fleet(&["lyon"]).await;
    let mut body = super::example("heartbeat-3-members.json");
    body["memory_usage"] = body["memory_total_amount"].clone();
    beat(&fleet.members[0], &body).await;
    let warnings = fleet.until("/1.0/warnings", |list| !list[0].is_null()).await;
    let db = fleet.deployment.database.connect().await;
    let text =
        "SELECT to_json(last_heartbeat_at AT TIME ZONE 'utc')#>>'{}' FROM remote_cluster_details";
    let reported: String = db.query_one(text, &[]).await.unwrap().try_get(0).unwrap();
    let since = warnings[0]["since"].as_str().unwrap().to_owned();
    assert_eq!(since.trim_end_matches('Z'), reported);
    assert_eq!(
        warnings,
        json!([{"cluster": "lyon", "kind": "memory", "percent": 100, "threshold": 80, "since": since}])
    );
    // A later heartbeat and another unit tell the same time.
    beat(&fleet.members[0], &body).await;
    let second = fleet.deployment.start(Service::ManagementApi).await;
    assert_eq!(
        fleet.admin.at(second.api).get("/1.0/warnings").await.metadata()[0]["since"],
        since.as_str()
    );
    let rows = fleet.until(ROWS, |rows| rows[0]["warnings"] == json!(["memory"])).await;
    assert_eq!(rows[0]["state"], "online");
    let of_kind = fleet.admin.get("/1.0/warnings?warning=pool").await.metadata();
    assert_eq!(of_kind, json!([]));

    beat(&fleet.members[0], &super::example("heartbeat-3-members.json")).await;
    fleet.until("/1.0/warnings", |list| *list == json!([])).await;
    assert_eq!(fleet.deployment.database.count("SELECT count(*) FROM cluster_warnings").await, 0);
    db.batch_execute(
        "UPDATE remote_clusters SET certificate_not_after = now() + interval '71 hours'",
    )
    .await
    .unwrap();
    let warnings = fleet.admin.get("/1.0/warnings").await.metadata();
    assert_eq!(
        (&warnings[0]["kind"], &warnings[0]["days"]),
        (&json!("certificate"), &json!(2)),
        "mtls_08"
    );
    let detail = fleet.admin.get("/1.0/remote-cluster/lyon").await.metadata();
    assert_eq!(detail["warnings"], json!([{"kind": "certificate", "days": 2, "within": 3}]));
}

#[tokio::test]
async fn the_summary_counts_the_fleet() {
    let mut fleet = fleet(&["lyon", "oslo"]).await;
    drop(fleet.deployment.token("rome"));
    drop(fleet.deployment.run(&["enroll", "bern"]));
    let summary = fleet.until("/1.0/fleet/summary", |s| s["clusters"]["online"] == 2).await;
    assert_eq!(
        summary["clusters"],
        json!({"total": 2, "online": 2, "stale": 0, "offline": 0, "waiting": 0, "never": 0, "with_warnings": 0})
    );
    assert_eq!(
        summary["members"],
        json!({"total": 6, "not_online": 0, "offline": 0, "evacuated": 0, "blocked": 0})
    );
    assert_eq!(summary["cpu"], json!({"load": 7.86, "load_of_cores": 0.0, "cores": 0}));
    let mut kinds = super::keys(&summary["warnings"]);
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        ["ceph", "certificate", "clock", "heartbeat", "instances", "members", "memory", "pool"]
    );
    let body = super::example("heartbeat-3-members.json");
    assert_eq!(summary["memory"]["used"], body["memory_usage"].as_u64().unwrap() * 2);
    assert_eq!(summary["top"]["memory"][0]["name"], "lyon");
    assert_eq!(summary["top"]["silent"], json!([]));
    let db = fleet.deployment.database.connect().await;
    db.batch_execute(
        "UPDATE remote_cluster_details SET last_heartbeat_at = now() - interval '1 hour';
         UPDATE remote_clusters SET updated_at = now()",
    )
    .await
    .unwrap();
    let summary = fleet.until("/1.0/fleet/summary", |s| s["clusters"]["offline"] == 2).await;
    assert_eq!(summary["warnings"]["heartbeat"], 2);
    assert_eq!(summary["top"]["silent"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_cluster_that_goes_offline_and_comes_back_is_recorded_once_whatever_units_there_are() {
    let mut fleet = fleet(&["lyon", "oslo"]).await;
    let second = fleet.deployment.start(Service::ManagementApi).await;
    let mut there = fleet.admin.at(second.api);
    let mute = fleet.deployment.enrol("mute").await;
    let db = fleet.deployment.database.connect().await;
    db.batch_execute(
        "UPDATE remote_cluster_details SET last_heartbeat_at = now() - interval '1 hour'
          WHERE last_heartbeat_at IS NOT NULL;
         UPDATE remote_clusters SET updated_at = now(), joined_at = joined_at - interval '2 hours'",
    )
    .await
    .unwrap();
    let silent =
        |summary: &Value| summary["clusters"]["offline"] == 2 && summary["clusters"]["never"] == 1;
    fleet.until("/1.0/fleet/summary", silent).await;
    assert!(silent(&there.get("/1.0/fleet/summary").await.metadata()), "the other unit, too");
    let gone = fleet.records("cluster.went-offline").await;
    let mut who = texts(&gone, "object");
    who.sort_unstable();
    assert_eq!(who, ["lyon", "oslo"], "once each, and nothing of who never came");
    let last = &gone[0]["details"]["last_heartbeat_at"];
    assert!(last.as_str().is_some_and(|last| last.ends_with('Z')), "{gone}");
    assert_eq!(gone[0]["actor_kind"], "system");

    let body = super::example("heartbeat-3-members.json");
    beat(&mute, &body).await;
    beat(&fleet.members[0], &body).await;
    let two = |summary: &Value| summary["clusters"]["online"] == 2;
    fleet.until("/1.0/fleet/summary", two).await;
    while !two(&there.get("/1.0/fleet/summary").await.metadata()) {}
    assert_eq!(texts(&fleet.records("cluster.came-back").await, "object"), ["lyon"]);
    assert_eq!(fleet.records("cluster.went-offline").await, gone);
}

#[tokio::test]
async fn one_call_changes_many_clusters_and_tells_what_came_of_each() {
    let mut fleet = fleet(&["lyon", "oslo", "rome"]).await;
    let path = "/1.0/fleet/actions";
    let edit = json!({"action": "edit", "names": ["rome", "nowhere", "lyon"],
                      "changes": {"disk_threshold": 42, "ui_url": "https://lxd.example"}});
    let done = fleet.admin.send(Method::POST, path, Some(&edit)).await.metadata();
    let missing = json!({"name": "nowhere", "status": 404, "error": "remote cluster not found"});
    let good = |name: &str| json!({"name": name, "status": 200, "error": null});
    assert_eq!(done["results"], json!([good("rome"), missing, good("lyon")]));
    for (name, threshold) in [("lyon", 42), ("oslo", 80), ("rome", 42)] {
        let cluster = fleet.admin.get(&format!("/1.0/remote-cluster/{name}")).await.metadata();
        assert_eq!(cluster["disk_threshold"], threshold);
    }
    let many: Vec<String> = (0..501).map(|n| n.to_string()).collect();
    for (body, text) in [
        (json!({"action": "edit", "names": []}), "changes must have at least one change"),
        (json!({"action": "remove", "names": []}), "names must have 1 to 500 clusters"),
        (json!({"action": "remove", "names": many}), "names must have 1 to 500 clusters"),
        (json!({"action": "remove", "names": ["a", "a"]}), "names must name each cluster once"),
        (
            json!({"action": "edit", "names": ["a"], "changes": {"disk_threshold": 101}}),
            "disk threshold",
        ),
        (json!({"action": "explode", "names": ["a"]}), "invalid JSON"),
        (json!({"names": ["a"]}), "invalid JSON"),
    ] {
        let (status, error) = fleet.admin.send(Method::POST, path, Some(&body)).await.error();
        assert!(status == 400 && error.starts_with(text), "{body}: {error}");
    }
    let remove = json!({"action": "remove", "names": ["oslo", "rome", "nul\u{0}"]});
    let done = fleet.admin.send(Method::POST, path, Some(&remove)).await.metadata();
    let statuses: Vec<_> =
        done["results"].as_array().unwrap().iter().map(|r| r["status"].as_i64().unwrap()).collect();
    assert_eq!(statuses, [200, 200, 404]);
    assert_eq!(names(&fleet.admin.get(ROWS).await.metadata()), ["lyon"]);
    let refused = fleet.members[1].request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
    assert_eq!(refused.status, 403);
}

#[tokio::test]
async fn web_08_an_operator_may_lead_the_link_elsewhere_but_not_back_to_us() {
    let mut fleet = fleet(&["lyon"]).await;
    let path = "/1.0/remote-cluster/lyon";
    let reported = super::example("heartbeat-3-members.json")["ui_url"].clone();
    let before = fleet.admin.get(path).await.metadata();
    assert_eq!((&before["ui_url"], &before["ui_url_override"]), (&reported, &json!("")));
    let own = fleet.deployment.origin();
    for bad in [
        "javascript:alert(1)",
        "http://lxd.example",
        "lxd.example",
        "https://user@lxd.example",
        &own,
    ] {
        let (status, text) =
            fleet.admin.send(Method::PATCH, path, Some(&json!({"ui_url": bad}))).await.error();
        assert!(
            status == 400 && text.starts_with("ui_url must be an https address"),
            "{bad}: {text}"
        );
    }
    let good = json!({"ui_url": "https://balancer.example:8443/ui"});
    assert_eq!(fleet.admin.send(Method::PATCH, path, Some(&good)).await.status, 200);
    beat(&fleet.members[0], &super::example("heartbeat-3-members.json")).await;
    assert_eq!(
        fleet.admin.send(Method::PATCH, path, Some(&json!({"description": "kept"}))).await.status,
        200
    );
    let after = fleet.admin.get(path).await.metadata();
    assert_eq!((&after["ui_url"], &after["ui_url_override"]), (&good["ui_url"], &good["ui_url"]));
    assert_eq!(
        fleet.admin.send(Method::PATCH, path, Some(&json!({"ui_url": ""}))).await.status,
        200
    );
    assert_eq!(fleet.admin.get(path).await.metadata()["ui_url"], reported);
}

#[tokio::test]
async fn the_list_of_clusters_comes_in_parts_when_asked() {
    let mut fleet = fleet(&["lyon", "oslo", "rome"]).await;
    let path = "/1.0/remote-cluster";
    let all = fleet.admin.get(path).await.metadata();
    assert_eq!(names(&all), ["lyon", "oslo", "rome"]);
    assert_eq!(
        fleet.admin.get(&format!("{path}?recursion=1")).await.metadata(),
        all,
        "unknown keys are ignored"
    );
    let page = |rest: &str| format!("{path}?sort=-name&limit=2{rest}");
    let first = fleet.until(&page(""), |list| list[0]["last_heartbeat_at"].is_string()).await;
    assert_eq!(names(&first), ["rome", "oslo"]);
    assert_eq!(first[0], all[2], "whole clusters");
    assert_eq!(names(&fleet.admin.get(&page("&after=oslo")).await.metadata()), ["lyon"]);
    let few = fleet
        .admin
        .get(&format!("{path}?filter=osl&fields=name,certificate_fingerprint"))
        .await
        .metadata();
    let fingerprint = fleet.members[1].identity().fingerprint();
    assert_eq!(few, json!([{"name": "oslo", "certificate_fingerprint": fingerprint}]));
    let all = fleet.admin.get(path).await;
    let keys = all.metadata()[0].as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(",");
    assert_eq!(fleet.admin.get(&format!("{path}?fields={keys}")).await.metadata(), all.metadata());
    assert_eq!(fleet.admin.get(&format!("{path}?fields=secret")).await.status, 400);
    let etag = all.header("etag").unwrap().to_owned();
    assert_eq!(fleet.with(path, &[("if-none-match", &etag)]).await.status, 304);
}
