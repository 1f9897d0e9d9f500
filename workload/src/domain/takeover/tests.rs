//! What is decided about each kind of row.

use std::collections::HashMap;

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::plan::{Circumstances, Here, NewToken, Plan, Source};
use super::report::Outcome::{Copied, Left, Refused};
use super::report::{Item, Kind, Repair};
use crate::model::{ClusterCertificate, Fingerprint};
use crate::store::takeover::{SourceCluster, SourceSetting, SourceToken};

const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

fn pem() -> String {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = CertificateParams::new(vec!["unspecified".into()]).unwrap();
    params.not_before = NOW - Duration::days(300);
    params.not_after = NOW + Duration::days(3650);
    params.self_signed(&key).unwrap().pem()
}

fn fingerprint(pem: &str) -> Fingerprint {
    ClusterCertificate::from_imported_pem(pem).unwrap().fingerprint()
}

/// A cluster as the earlier product leaves it: enrolled in year 1, with two thresholds and a status.
fn cluster(id: i64, name: &str) -> SourceCluster {
    SourceCluster {
        id,
        name: name.into(),
        description: Some("Edge rack".into()),
        status: Some("ACTIVE".into()),
        cluster_certificate: ClusterCertificate::from_imported_pem(&pem()).unwrap().to_pem(),
        joined_at: Some("2026-11-22T11:59:00.25".into()),
        created_at: Some("0001-01-01T00:00:00".into()),
        ..SourceCluster::default()
    }
}

fn detail(id: i64) -> Value {
    json!({
        "id": 100 + id, "remote_cluster_id": id, "ceph_count": 3, "ceph_statuses": [{"status": "ONLINE", "count": 3}],
        "cpu_total_count": 0, "cpu_load_1": "0.50", "cpu_load_5": "0.40", "cpu_load_15": "0.30",
        "memory_total_amount": 1000, "memory_usage": 250, "instance_count": 2,
        "instance_statuses": [{"status": "Running", "count": 2}], "member_count": 3,
        "member_statuses": [{"status": "Online", "count": 3}],
        "storage_pool_usages": [{"name": "local", "member": "a", "total": 10, "usage": 1}],
        "ui_url": "https://10.0.0.1:8443", "tunnel_manager_member_url": "https://10.1.1.1:9000",
        "created_at": "2026-03-01T09:00:00+00:00", "updated_at": "2026-11-22T11:59:00.25+00:00",
    })
}

fn settings(id: i64, disk: &str, memory: &str) -> [SourceSetting; 2] {
    let setting = |key: &str, value: &str| SourceSetting {
        remote_cluster_id: id,
        key: key.into(),
        value: value.into(),
    };
    [setting("disk_threshold", disk), setting("memory_threshold", memory)]
}

fn source(clusters: Vec<SourceCluster>) -> Source {
    let details = clusters.iter().map(|row| (row.id, detail(row.id))).collect();
    let settings = clusters.iter().flat_map(|row| settings(row.id, "70", "90")).collect();
    Source { version: Some(4), clusters, details, settings, ..Source::default() }
}

fn planned(source: Source) -> Plan {
    Plan::new(source, &Here::default(), &Circumstances::default(), NOW)
}

fn item<'a>(plan: &'a Plan, name: &str) -> &'a Item {
    plan.report.items.iter().find(|item| item.name == name).unwrap()
}

#[test]
fn a_cluster_keeps_everything_and_its_time_of_enrolment_is_repaired() {
    let plan = planned(source(vec![cluster(7, "lyon-edge")]));
    let taken = &plan.clusters[0];
    assert_eq!((taken.name.as_str(), taken.description.as_str()), ("lyon-edge", "Edge rack"));
    assert_eq!((taken.disk_threshold, taken.memory_threshold), (70, 90));
    assert_eq!(taken.joined_at, datetime!(2026-03-01 9:00 UTC));
    assert_eq!(taken.last_heartbeat_at, Some(datetime!(2026-11-22 11:59:00.25 UTC)));
    assert_eq!(taken.fingerprint, fingerprint(&taken.certificate).to_string());
    let before = detail(7);
    for key in [
        "ceph_count",
        "ceph_statuses",
        "cpu_load_1",
        "memory_usage",
        "storage_pool_usages",
        "ui_url",
    ] {
        assert_eq!(taken.status[key], before[key], "{key}");
    }
    assert_eq!(taken.status.get("tunnel_manager_member_url"), None);
    let item = item(&plan, "lyon-edge");
    assert_eq!((item.kind, item.source_id, item.outcome), (Kind::Cluster, 7, Copied));
    assert_eq!(item.repairs, [Repair::EnrolmentTime]);
    assert!(item.notes.is_empty(), "{:?}", item.notes);
}

#[test]
fn times_are_repaired_from_the_best_witness_and_never_lie_in_the_future() {
    let joined = |created: Option<&str>, detail_created: &str, joined: Option<&str>| {
        let mut row = cluster(1, "a");
        row.created_at = created.map(str::to_owned);
        row.joined_at = joined.map(str::to_owned);
        let mut source = source(vec![row]);
        source.details.get_mut(&1).unwrap()["created_at"] = detail_created.into();
        planned(source).clusters[0].joined_at
    };
    let (year_one, march, may) =
        ("0001-01-01T00:00:00", "2026-03-01T00:00:00", "2026-05-01T00:00:00");
    assert_eq!(joined(Some(may), march, None), datetime!(2026-05-01 0:00 UTC), "a right one stays");
    assert_eq!(joined(Some(year_one), march, Some(may)), datetime!(2026-03-01 0:00 UTC));
    assert_eq!(joined(Some(year_one), year_one, Some(may)), datetime!(2026-05-01 0:00 UTC));
    assert_eq!(joined(None, "infinity", None), NOW);
    assert_eq!(joined(Some("2999-01-01T00:00:00"), march, None), NOW);

    let mut silent = source(vec![cluster(1, "silent")]);
    let created = silent.details[&1]["created_at"].clone();
    silent.details.get_mut(&1).unwrap()["updated_at"] = created;
    assert_eq!(planned(silent).clusters[0].last_heartbeat_at, None, "it never reported");
}

#[test]
fn damaged_values_are_repaired_and_cost_nothing_else() {
    let mut source = source((1..=5).map(|id| cluster(id, &format!("c{id}"))).collect());
    source.settings = [settings(1, "101", "x"), settings(2, "0", " 100 ")].concat();
    source.details.remove(&3);
    source.details.get_mut(&4).unwrap()["member_statuses"] = json!([{"status": "Online"}]);
    source.details.get_mut(&5).unwrap()["ui_url"] = "javascript:alert(1)".into();
    source.clusters[4].cluster_certificate =
        format!("leading text\r\n{}", source.clusters[4].cluster_certificate.replace('\n', "\r\n"));
    source.clusters[3].disk_threshold = Some(65);
    let plan = planned(source);
    let thresholds: Vec<_> =
        plan.clusters.iter().map(|c| (c.disk_threshold, c.memory_threshold)).collect();
    assert_eq!(thresholds, [(80, 80), (0, 100), (0, 0), (65, 0), (0, 0)]);
    assert_eq!(item(&plan, "c1").repairs, [Repair::EnrolmentTime, Repair::Threshold]);
    assert_eq!(item(&plan, "c2").repairs, [Repair::EnrolmentTime]);
    assert_eq!(item(&plan, "c3").repairs, [Repair::EnrolmentTime, Repair::StatusData]);
    assert_eq!(item(&plan, "c4").repairs, [Repair::EnrolmentTime, Repair::StatusData]);
    assert_eq!(plan.clusters[3].status["member_statuses"], json!([]));
    assert_eq!(plan.clusters[3].status["member_count"], 0);
    assert_eq!(plan.clusters[3].joined_at, datetime!(2026-03-01 9:00 UTC), "times are still good");
    assert_eq!(
        item(&plan, "c5").repairs,
        [Repair::CertificateText, Repair::EnrolmentTime, Repair::UiUrl]
    );
    assert_eq!(plan.clusters[4].status["ui_url"], "");
    assert_eq!(plan.clusters[4].status["member_count"], 3);
    assert!(!plan.report.needs_attention());
}

#[test]
fn what_cannot_work_is_refused_with_its_reason_and_the_rest_is_taken() {
    let mut rows: Vec<_> = (1..=5).map(|id| cluster(id, &format!("c{id}"))).collect();
    rows[0].cluster_certificate = "cert-01".into();
    rows[1].status = Some("PENDING_APPROVAL".into());
    rows[2].name = "x".repeat(2601);
    rows[3].name = "x".repeat(2600);
    let mut source = source(rows);
    source.settings.push(SourceSetting {
        remote_cluster_id: 5,
        key: "colour".into(),
        value: "blue".into(),
    });
    let plan = planned(source);
    let reasons: Vec<_> =
        plan.report.items.iter().map(|item| item.reason.as_deref().unwrap_or("copied")).collect();
    assert_eq!(
        reasons,
        [
            "invalid certificate: there is no PEM block in it",
            "it was never approved",
            "its name has more than 2600 bytes",
            "copied",
            "copied"
        ]
    );
    assert_eq!((plan.report.clusters.copied, plan.report.clusters.refused), (2, 3));
    assert_eq!(item(&plan, "c5").notes, ["its setting colour is not known here"]);
    assert!(plan.report.needs_attention());
}

#[test]
fn join_09_of_two_clusters_with_one_certificate_the_one_that_reported_last_stays() {
    let mut rows = vec![cluster(1, "first"), cluster(2, "second"), cluster(3, "third")];
    let pem = rows[0].cluster_certificate.clone();
    rows[1].cluster_certificate = pem.replace('\n', "\r\n");
    rows[2].cluster_certificate = format!("\n{pem}\n");
    let mut source = source(rows);
    source.details.get_mut(&2).unwrap()["updated_at"] = "2026-11-22T11:59:30+00:00".into();
    let plan = planned(source);
    assert_eq!(plan.clusters.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["second"]);
    for name in ["first", "third"] {
        let reason = item(&plan, name).reason.as_deref();
        assert_eq!(reason, Some("it has the same certificate as second, which reported last"));
    }
}

#[test]
fn join_11_names_stay_as_they_are_and_what_is_odd_about_them_is_said() {
    let names = ["a-b", "A_b", "oslo/core 1", "\u{202e}txt", "new\nline", ""];
    let rows = names.iter().zip(1..).map(|(name, id)| cluster(id, name)).collect();
    let plan = planned(source(rows));
    assert_eq!(plan.clusters.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), names);
    assert_eq!(
        item(&plan, "a-b").notes,
        [
            "its name differs from A_b in case or in '-' and '_' only: metrics cannot tell them apart"
        ]
    );
    for name in &names[2..] {
        assert_eq!(item(&plan, name).notes, ["it keeps a name that would not be accepted today"]);
    }
}

#[test]
fn a_row_is_dealt_with_once_and_refused_ones_again_on_demand() {
    let rows = || vec![cluster(1, "copied"), cluster(2, "refused"), cluster(3, "new")];
    let outcome = |id, outcome: &str| (("cluster".to_owned(), id), outcome.to_owned());
    let handled = HashMap::from([outcome(1, "copied"), outcome(2, "refused")]);
    let here = Here { handled, ..Here::default() };
    let plan = |retry| {
        let circumstances = Circumstances { retry, ..Circumstances::default() };
        let plan = Plan::new(source(rows()), &here, &circumstances, NOW);
        let names: Vec<_> = plan.clusters.iter().map(|c| c.name.clone()).collect();
        (names, plan.report.clusters.already)
    };
    assert_eq!(plan(false), (vec!["new".to_owned()], 2));
    assert_eq!(plan(true), (vec!["refused".to_owned(), "new".to_owned()], 1));
}

#[test]
fn what_is_enrolled_here_is_never_overwritten() {
    let rows = vec![cluster(1, "same-name"), cluster(2, "same-certificate"), cluster(3, "free")];
    let certificate = fingerprint(&rows[1].cluster_certificate);
    let here = Here {
        names: ["same-name".to_owned()].into(),
        certificates: HashMap::from([(certificate, "other".to_owned())]),
        ..Here::default()
    };
    let plan = Plan::new(source(rows), &here, &Circumstances::default(), NOW);
    assert_eq!(plan.clusters.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["free"]);
    let reason = |name| item(&plan, name).reason.as_deref().unwrap();
    assert_eq!(reason("same-name"), "a cluster of this name is enrolled here");
    assert_eq!(reason("same-certificate"), "its certificate is enrolled here as other");
}

fn token(id: i64, name: &str) -> SourceToken {
    use base64::Engine;
    let body = json!({
        "secret": format!("{id:064x}"), "expires_at": "2026-11-30T18:00:00Z", "addresses": ["cc.example.net:443"],
        "server_name": name, "fingerprint": Fingerprint::of(b"leaf").to_string(),
    });
    SourceToken {
        id,
        cluster_name: name.into(),
        encoded_token: Some(base64::engine::general_purpose::STANDARD.encode(body.to_string())),
        expiry: Some("2026-11-30T18:00:00+00:00".into()),
        description: Some("later".into()),
        created_at: Some(format!("2026-11-2{id}T00:00:00+00:00")),
    }
}

fn tokens(tokens: Vec<SourceToken>, pins: impl IntoIterator<Item = Fingerprint>) -> Plan {
    let connector_pins = pins.into_iter().collect();
    let circumstances = Circumstances { connector_pins, ..Circumstances::default() };
    Plan::new(Source { tokens, ..Source::default() }, &Here::default(), &circumstances, NOW)
}

fn names(tokens: &[NewToken]) -> Vec<&str> {
    tokens.iter().map(|new| new.source.cluster_name.as_str()).collect()
}

#[test]
fn join_02_a_pending_token_keeps_its_life_and_loses_its_readable_text() {
    let mut endless = token(2, "quito");
    endless.expiry = Some("infinity".into());
    let plan = tokens(vec![token(1, "lyon"), endless], Some(Fingerprint::of(b"leaf")));
    let mut taken: Vec<_> = plan.tokens.iter().collect();
    taken.sort_by_key(|new| new.source.id);
    assert!(taken.iter().all(|new| new.source.encoded_token.is_none()));
    assert_eq!(taken[0].expires_at, datetime!(2026-11-30 18:00 UTC));
    assert_eq!(taken[0].created_at, datetime!(2026-11-21 0:00 UTC));
    assert_eq!(taken[1].expires_at, datetime!(3000-01-01 0:00 UTC));
    assert_eq!((plan.report.tokens.copied, plan.report.warnings.len()), (2, 0));
}

#[test]
fn expired_unusable_and_indistinguishable_tokens_stay_behind() {
    let mut rows: Vec<_> = ["sample", "old", "yesterday", "a-b", "A_b", "ancient"]
        .iter()
        .zip(1..)
        .map(|(name, id)| token(id, name))
        .collect();
    rows[0].encoded_token = Some("encoded-token-01".into());
    rows[1].encoded_token = None;
    rows[2].expiry = Some("2026-11-21T12:00:00+00:00".into());
    rows[3].expiry = Some("2026-11-21T12:00:00+00:00".into());
    rows[5].expiry = Some("-infinity".into());
    rows[5].encoded_token = Some("sample".into());
    let plan = tokens(rows, Some(Fingerprint::of(b"leaf")));
    assert_eq!(names(&plan.tokens), ["A_b", "yesterday"]);
    let outcomes: Vec<_> = plan.report.items.iter().map(|item| item.outcome).collect();
    assert_eq!(outcomes, [Refused, Refused, Copied, Left, Copied, Left]);
    assert_eq!(item(&plan, "yesterday").notes, ["it has expired"]);
    assert!(item(&plan, "a-b").reason.as_deref().unwrap().starts_with("another token waits"));
}

#[test]
fn rel_07_a_connector_with_another_certificate_is_noticed() {
    let plan = |leaves: &[&str]| {
        let pins = leaves.iter().map(|leaf| Fingerprint::of(leaf.as_bytes()));
        tokens(vec![token(1, "lyon")], pins)
    };
    let other = plan(&["another leaf"]);
    let named = Fingerprint::of(b"leaf").to_string();
    assert!(other.report.warnings[0].contains(&named), "{:?}", other.report.warnings);
    assert_eq!((other.report.tokens.copied, item(&other, "lyon").notes.len()), (1, 1));
    assert!(plan(&[]).report.warnings[0].contains("has no certificate yet"));
    for presented in [&["leaf"][..], &["another leaf", "leaf"]] {
        let plan = plan(presented);
        assert!(plan.report.warnings.is_empty(), "{presented:?}");
        assert!(item(&plan, "lyon").notes.is_empty(), "{presented:?}");
    }
}
